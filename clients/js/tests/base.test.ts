import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type Base, changed } from "../src/base.ts";
import type { Change } from "../src/protocol.ts";

const EMPTY: Base<number> = { epoch: "3", version: 0, items: new Map() };

/** A base of `size` records, all at version 0. */
function baseOf(size: number): Base<number> {
  const items = Array.from({ length: size }, (_, id) => ({ id: `r${id}`, version: 0, data: id }));
  return { epoch: "3", version: 0, items: new Map(items.map((item) => [item.id, item])) };
}

function change(version: number, id: number, data: number | null): Change<number> {
  return data === null
    ? { id: `r${id}`, version, action: "deleted", data }
    : { id: `r${id}`, version, action: "updated", data };
}

/** The base after one more change, and its records as a map that is made at once. */
function fold(items: ReadonlyMap<string, unknown>, { id, action, version, data }: Change<number>) {
  const next = new Map(items);
  if (action === "deleted") next.delete(id);
  else next.set(id, { id, version, data });
  return next;
}

const wishes = fc.array(fc.tuple(fc.nat(9), fc.option(fc.nat(99), { freq: 3 })), { maxLength: 40 });

test("every base has the records of its version in their order, whenever and in whatever order one looks", () => {
  fc.assert(
    fc.property(fc.nat(9), wishes, fc.infiniteStream(fc.nat(40)), fc.nat(40), (size, edits, looks, often) => {
      const bases = [baseOf(size)];
      const expected: ReadonlyMap<string, unknown>[] = [bases[0]?.items ?? new Map()];
      const check = (index: number) =>
        expect([...(bases[index]?.items ?? [])]).toEqual([...(expected[index] ?? [])]);
      for (const [index, [id, data]] of edits.entries()) {
        const next = change(index + 1, id, data);
        bases.push(changed(bases[index] ?? EMPTY, index + 1, [next]));
        expected.push(fold(expected[index] ?? new Map(), next));
        if (index % (often + 1) === 0) check((looks.next().value ?? 0) % bases.length);
      }
      for (let index = bases.length - 1; index >= 0; index -= 1) check(index);
    }),
  );
});

test("a record is the same object in every base until it changes, also where one looks late", () => {
  const first = baseOf(3);
  const second = changed(first, 1, [change(1, 0, 7)]);
  const third = changed(second, 2, [change(2, 1, 8)]);
  expect(third.items.get("r0")).toBe(second.items.get("r0"));
  expect(third.items.get("r2")).toBe(first.items.get("r2"));
  expect(third.items).toBe(third.items);
});

test("who looks changes nothing of what others see", () => {
  const first = baseOf(3);
  const values = first.items.values();
  const second = changed(first, 1, [change(1, 0, null), change(1, 1, 9)]);
  expect(second.items.size).toBe(2);
  expect([...values].map(({ data }) => data)).toEqual([0, 1, 2]);
});

test("changes at which nobody looks cost a copy only as often as there are as many as records", () => {
  const copy = vi.spyOn(Map.prototype, "set");
  let base = baseOf(100);
  copy.mockClear();
  for (let version = 1; version <= 1_000; version += 1)
    base = changed(base, version, [change(version, version % 100, 1)]);
  const copied = copy.mock.calls.length;
  copy.mockRestore();
  expect(copied).toBeGreaterThan(0);
  expect(copied).toBeLessThan(3_000);
});

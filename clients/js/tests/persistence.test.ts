import fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { Base } from "../src/base.ts";
import { decode, encode, Persistence } from "../src/persistence.ts";
import { FakeStorage } from "./support/fake-storage.ts";
import type { Data } from "./support/topic-log.ts";

const OWNER = { url: "ws://muster/ws", user: "u_1", topic: "servers" };
const BASE: Base<Data> = {
  epoch: "3",
  version: 4,
  items: new Map([
    ["a", { id: "a", version: 2, data: { value: 1 } }],
    ["b", { id: "b", version: 4, data: { value: 2 } }],
  ]),
};

const ids = fc.uniqueArray(fc.string(), { maxLength: 8 });

test("what is kept is read as it was", () => {
  fc.assert(
    fc.property(fc.string(), ids, fc.jsonValue(), (epoch, names, value) => {
      const items = new Map(names.map((id, version) => [id, { id, version, data: { value } }]));
      const base = JSON.parse(JSON.stringify({ epoch, version: 10 }));
      const read = decode(encode({ ...base, items }));
      expect(read).toEqual({ ...base, items: new Map(JSON.parse(JSON.stringify([...items]))) });
    }),
  );
});

test.each([
  ["no JSON", "{"],
  ["null", "null"],
  ["something of another program", '{"epoch":"3","version":4}'],
  ["a later form", encode(BASE).replace('"form":1', '"form":2')],
  ["a lost record", encode(BASE).replace('["a",2,{"value":1}],', "")],
  ["a changed version", encode(BASE).replace('["a",2', '["a",1')],
  ["a record later than the whole", encode({ ...BASE, version: 3 })],
  ["a record without data", encode(BASE).replace('{"value":1}', "null")],
  ["a record that is none", encode(BASE).replace('["a",2,{"value":1}]', "7")],
  ["an epoch that is a number", encode(BASE).replace('"epoch":"3"', '"epoch":3')],
  ["a version that is none", encode(BASE).replace('"version":4', '"version":-4')],
])("%s is ignored", (_, text) => {
  expect(text).not.toBe(encode(BASE));
  expect(decode(text)).toBeNull();
});

test.each([
  ["another server", { ...OWNER, url: "ws://other/ws" }, "w_1"],
  ["another user", { ...OWNER, user: "u_2" }, "w_1"],
  ["another topic", { ...OWNER, topic: "metrics" }, "w_1"],
  ["another workspace", OWNER, "w_2"],
  ["a user of a name that looks like more", { ...OWNER, url: "ws", user: "//muster/ws:u_1" }, "w_1"],
])("%s sees nothing of it, and clears nothing", (_, owner, workspace) => {
  const storage = new FakeStorage();
  const mine = new Persistence(storage, OWNER);
  mine.save("w_1", BASE);
  const theirs = new Persistence(storage, owner);
  expect(theirs.load(workspace)).toBeNull();
  if (owner !== OWNER) theirs.clear();
  expect(mine.load("w_1")).toEqual(BASE);
});

test("a clear forgets the topic in every workspace, and nothing else", () => {
  const storage = new FakeStorage();
  const persistence = new Persistence(storage, OWNER);
  storage.setItem("colour", "blue");
  persistence.save("w_1", BASE);
  persistence.save("w_2", BASE);
  persistence.clear();
  expect([storage.length, storage.getItem("colour")]).toEqual([1, "blue"]);
});

test("a full storage is survived and counted, and keeps what it had", () => {
  const warn = vi.spyOn(console, "warn").mockReturnValue();
  const storage = new FakeStorage();
  const persistence = new Persistence(storage, OWNER);
  persistence.save("w_1", BASE);
  storage.isFull = true;
  persistence.save("w_1", { ...BASE, version: 5 });
  persistence.save("w_1", { ...BASE, version: 6 });
  expect(persistence.failures).toBe(2);
  expect(persistence.load("w_1")).toEqual(BASE);
  expect(warn).toHaveBeenCalledTimes(1);
});

test("without a storage nothing is kept, and nothing fails", () => {
  const persistence = new Persistence(null, OWNER);
  persistence.save("w_1", BASE);
  persistence.clear();
  expect([persistence.load("w_1"), persistence.failures]).toEqual([null, 0]);
});

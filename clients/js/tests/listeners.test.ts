import { beforeEach, expect, test, vi } from "vitest";
import { Listeners } from "../src/listeners.ts";

let listeners: Listeners<[string]>;

beforeEach(() => {
  vi.spyOn(console, "error").mockReturnValue();
  listeners = new Listeners();
});

test("a listener is told until it stops", () => {
  const listener = vi.fn();
  const stop = listeners.add(listener);
  listeners.tell("one");
  stop();
  listeners.tell("two");
  expect(listener.mock.calls).toEqual([["one"]]);
});

test("one that fails keeps nothing from the others, and from who tells", () => {
  const listener = vi.fn();
  listeners.add(() => {
    throw new Error("a fault");
  });
  listeners.add(listener);
  listeners.tell("one");
  expect(listener).toHaveBeenCalledTimes(1);
  expect(console.error).toHaveBeenCalledTimes(1);
});

test("one that begins or is stopped while something is told does not hear it", () => {
  const [begun, stopped] = [vi.fn(), vi.fn()];
  listeners.add(() => {
    listeners.add(begun);
    stop();
  });
  const stop = listeners.add(stopped);
  listeners.tell("one");
  expect([begun.mock.calls, stopped.mock.calls]).toEqual([[], []]);
});

test("in turn, what a listener brings about is heard after what it hears, and by those who listen by then", () => {
  const heard: string[] = [];
  listeners.add((word) => {
    if (word !== "one") return;
    listeners.tellInTurn("two");
    listeners.add((later) => heard.push(`late ${later}`));
    listeners.tellInTurn("three");
  });
  listeners.add((word) => heard.push(word));
  listeners.tellInTurn("one");
  listeners.tellInTurn("four");
  expect(heard).toEqual(["one", "two", "three", "late three", "four", "late four"]);
});

import { expect, test } from "vitest";
import { ANSWER_WITHIN_MS, look } from "../src/liveness.ts";

const HEARTBEAT_S = 25;
const SILENT_MS = 62_500;

test("nothing is asked while the other side may just have nothing to say", () => {
  expect(look({ heardMs: 1_000, askedMs: null }, 1_000 + SILENT_MS - 1, HEARTBEAT_S)).toEqual({
    kind: "wait",
    atMs: 1_000 + SILENT_MS,
  });
});

test("after two and a half heartbeats of silence it is asked", () => {
  expect(look({ heardMs: 1_000, askedMs: null }, 1_000 + SILENT_MS, HEARTBEAT_S)).toEqual({ kind: "ask" });
});

test("a page that slept for an hour asks before it gives up", () => {
  expect(look({ heardMs: 0, askedMs: null }, 3_600_000, HEARTBEAT_S)).toEqual({ kind: "ask" });
});

test("who was asked has time to answer", () => {
  expect(look({ heardMs: 0, askedMs: 70_000 }, 70_000, HEARTBEAT_S)).toEqual({
    kind: "wait",
    atMs: 70_000 + ANSWER_WITHIN_MS,
  });
});

test("who does not answer is gone", () => {
  expect(look({ heardMs: 0, askedMs: 70_000 }, 70_000 + ANSWER_WITHIN_MS, HEARTBEAT_S)).toEqual({
    kind: "lost",
  });
});

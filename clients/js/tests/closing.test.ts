import { expect, test } from "vitest";
import { verdict } from "../src/closing.ts";

test.each([
  [4400, { kind: "stop", reason: "malformed" }],
  [4403, { kind: "stop", reason: "forbidden" }],
  [4401, { kind: "renew" }],
  [4408, { kind: "resume" }],
  [4503, { kind: "resume" }],
  [1006, { kind: "retry", afterMs: null }],
  [1001, { kind: "retry", afterMs: null }],
  [1012, { kind: "retry", afterMs: null }],
])("code %i is answered as the protocol says", (code, expected) => {
  expect(verdict(code, "")).toEqual(expected);
});

test.each([
  ["retry_after_ms=1500", 1_500],
  ['{"retry_after_ms": 1500}', 1_500],
  ["retry after 1500 ms", 1_500],
  ["try again in 2.5 s", 2_500],
  ["too many connections; wait 30 seconds", 30_000],
  ["250", 250],
  ["too many connections", null],
])("the time in the reason %j of a 4429 is read", (reason, afterMs) => {
  expect(verdict(4429, reason)).toEqual({ kind: "retry", afterMs });
});

test("a number in the reason of another code is not taken for a time", () => {
  expect(verdict(1011, "error 17")).toEqual({ kind: "retry", afterMs: null });
});

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
  ["too many connections; retry_after_ms=2.5", 2.5],
  ["more than 200 connections; retry_after_ms=5000", 5_000],
  ["more than 200 connections", null],
  ["too many connections", null],
])("the time in the reason %j of a 4429 is read", (reason, afterMs) => {
  expect(verdict(4429, reason)).toEqual({ kind: "retry", afterMs });
});

test("a number in the reason of another code is not taken for a time", () => {
  expect(verdict(1011, "error 17")).toEqual({ kind: "retry", afterMs: null });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { delayMs } from "../src/backoff.ts";

const ALMOST_ONE = 1 - Number.EPSILON;

test.each([
  [0, 500],
  [1, 1_000],
  [2, 2_000],
  [5, 16_000],
  [6, 20_000],
  [2_000, 20_000],
])("try %i waits at most %i ms", (attempt, ceilingMs) => {
  expect(delayMs(attempt, ALMOST_ONE)).toBe(ceilingMs);
});

test("the jitter is full: a wait may be anything from nothing to the ceiling", () => {
  expect([0, 0.25, 0.5].map((random) => delayMs(3, random))).toEqual([0, 1_000, 2_000]);
});

test("a time from the server wins over every attempt, and is never shortened", () => {
  fc.assert(
    fc.property(
      fc.nat(50),
      fc.double({ min: 0, max: ALMOST_ONE, noNaN: true }),
      fc.nat(600_000),
      (attempt, random, afterMs) => {
        const delay = delayMs(attempt, random, afterMs);
        return delay >= afterMs && delay <= Math.ceil(afterMs * 1.1);
      },
    ),
  );
});

import { describe, expect, test } from "vitest";
import { ago, duration, NOTHING, percent, rate, usage } from "../src/format.ts";

const GIB = 1024 ** 3;

test.each([null, undefined, Number.NaN, Infinity])("%s is a dash everywhere", (value) => {
  expect([percent(value), usage(value, 1), usage(1, value), rate(value), duration(value)]).toEqual(
    Array.from({ length: 5 }, () => NOTHING),
  );
});

test.each([
  [0, "0.0%"],
  [3.12, "3.1%"],
  [100, "100.0%"],
])("percent(%d) is %s", (value, expected) => {
  expect(percent(value)).toBe(expected);
});

test.each([
  [3.4 * GIB, 15.6 * GIB, "3.4 / 15.6 GiB"],
  [512 * 1024 ** 2, 2 * GIB, "0.5 / 2.0 GiB"],
  [100.4 * GIB, 503 * GIB, "100 / 503 GiB"],
  [1.25 * 1024 * GIB, 2 * 1024 * GIB, "1.3 / 2.0 TiB"],
  [0, 1023.7 * 1024 ** 2, "0.0 / 1.0 GiB"],
  [0, 900, "0.0 / 900 B"],
])("usage(%d, %d) is %s", (used, total, expected) => {
  expect(usage(used, total)).toBe(expected);
});

test.each([
  [0, "0 B/s"],
  [999, "999 B/s"],
  [999.7, "1.0 kB/s"],
  [1_234, "1.2 kB/s"],
  [99_960, "100 kB/s"],
  [999_600, "1.0 MB/s"],
  [118_000_000, "118 MB/s"],
])("rate(%d) is %s", (value, expected) => {
  expect(rate(value)).toBe(expected);
});

test.each([
  [-1, NOTHING],
  [0, "0 s"],
  [59.9, "59 s"],
  [60, "1 m 0 s"],
  [3_599, "59 m 59 s"],
  [11_520, "3 h 12 m"],
  [86_400, "1 d 0 h"],
  [1_051_200, "12 d 4 h"],
])("duration(%d) is %s", (seconds, expected) => {
  expect(duration(seconds)).toBe(expected);
});

describe("a moment", () => {
  test.each([
    [-5_000, "just now"],
    [9_999, "just now"],
    [25_000, "20 s ago"],
    [60_000, "1 min ago"],
    [3_599_000, "59 min ago"],
    [3_600_000, "1 h ago"],
    [86_400_000 * 9, "9 d ago"],
  ])("%d ms back was %s", (sinceMs, expected) => {
    const now = 1_700_000_000_000;
    expect(ago(now - sinceMs, now)).toBe(expected);
  });
});

import { expect, test } from "vitest";
import { crc32, digest } from "../src/digest.ts";

// What `zlib.crc32` of Python gives for the UTF-8 bytes; the second is the check value of CRC-32/ISO-HDLC.
test.each([
  ["", 0],
  ["123456789", 3421780262],
  ["s_1:1", 3135251218],
  ["Zürich:7", 839039667],
])("crc32 of %j is the one of zlib", (text, expected) => {
  expect(crc32(text)).toBe(expected);
});

test("the digest of nothing is zero", () => {
  expect(digest([])).toBe(0);
});

test("the digest is the sum over all records, modulo 2^32", () => {
  const items = Array.from({ length: 1000 }, (_, i) => ({ id: `s_${i}`, version: i * 7 }));
  expect(digest(items)).toBe(3918813356);
});

test("the digest does not depend on the order", () => {
  const items = [
    { id: "a", version: 1 },
    { id: "b", version: 2 },
  ];
  expect(digest(items.toReversed())).toBe(digest(items));
});

test("the digest tells one version of a record from the next", () => {
  expect(digest([{ id: "a", version: 1 }])).not.toBe(digest([{ id: "a", version: 2 }]));
});

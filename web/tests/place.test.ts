// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { placeAt } from "../src/place.ts";

test.each([
  ["/", { kind: "fleet" }],
  ["/r/websites", { kind: "resource", name: "websites" }],
  ["/r/websites/", { kind: "resource", name: "websites" }],
  ["/r/nothing", { kind: "nowhere" }],
  ["/r/toString", { kind: "nowhere" }],
  ["/elsewhere", { kind: "nowhere" }],
])("%s leads to its page", (path, expected) => {
  expect(placeAt(path)).toEqual(expected);
});

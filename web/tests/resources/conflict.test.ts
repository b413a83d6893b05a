import { expect, test } from "vitest";
import { differences } from "../../src/resources/conflict.ts";
import { draftOf } from "../../src/resources/draft.ts";
import { RESOURCES } from "../../src/resources/generated.ts";

const { fields } = RESOURCES.products;
const BEFORE = { name: "Tea", price: 1, tags: ["hot"], sku: "T" };

const seen = (draft: Record<string, string | boolean> | null, now: object) =>
  differences(fields, BEFORE, { ...BEFORE, ...now }, draft).map(({ field, before, now: theirs, mine }) => [
    field.name,
    before,
    theirs,
    mine,
  ]);

test("what somebody else has changed stands beside what would be saved", () => {
  const draft = { ...draftOf(fields, BEFORE), price: "3", sku: "mine alone" };
  expect(seen(draft, { price: 2, tags: ["cold"] })).toEqual([
    ["price", 1, 2, 3],
    ["tags", ["hot"], ["cold"], ["cold"]],
  ]);
});

test("nothing differs where nothing was changed, even if this person changed something", () => {
  expect(seen({ ...draftOf(fields, BEFORE), price: "3" }, {})).toEqual([]);
});

test("where nothing is changed here, theirs is what stays", () => {
  expect(seen(null, { price: 2 })).toEqual([["price", 1, 2, 2]]);
});

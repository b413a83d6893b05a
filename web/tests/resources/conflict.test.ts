import { expect, test } from "vitest";
import { differences } from "../../src/resources/conflict.ts";
import { RESOURCES } from "../../src/resources/generated.ts";
import { inputsOf } from "../../src/resources/inputs.ts";

const { fields } = RESOURCES.products;
const BEFORE = { name: "Tea", price: 1, tags: ["hot"], sku: "T" };

const seen = (inputs: Record<string, string | boolean> | null, now: object) =>
  differences(fields, BEFORE, { ...BEFORE, ...now }, inputs).map(({ field, before, now: theirs, mine }) => [
    field.name,
    before,
    theirs,
    mine,
  ]);

test("what somebody else has changed stands beside what would be saved", () => {
  const inputs = { ...inputsOf(fields, BEFORE), price: "3", sku: "mine alone" };
  expect(seen(inputs, { price: 2, tags: ["cold"] })).toEqual([
    ["price", 1, 2, 3],
    ["tags", ["hot"], ["cold"], ["cold"]],
  ]);
});

test("nothing differs where nothing was changed, even if this person changed something", () => {
  expect(seen({ ...inputsOf(fields, BEFORE), price: "3" }, {})).toEqual([]);
});

test("where nothing is changed here, theirs is what stays", () => {
  expect(seen(null, { price: 2 })).toEqual([["price", 1, 2, 2]]);
});

import { expect, test } from "vitest";
import type { Fields } from "../../src/resources/descriptor.ts";
import { RESOURCES } from "../../src/resources/generated.ts";
import { asBefore, defaultSort, found, ordered, titleOf, turned } from "../../src/resources/list.ts";

const { products, websites } = RESOURCES;

const product = (id: string, data: Fields) => ({ id, version: 1, data });

const LIST = [
  product("a", { name: "Tea 10", price: 3, sku: "T10" }),
  product("b", { name: "tea 2", price: 1, sku: "X" }),
  product("c", { name: "Coffee", price: 3, sku: "" }),
];

const ids = (records: readonly { readonly id: string }[]) => records.map(({ id }) => id).join("");

test.each([
  ["name", "ascending", "cba"],
  ["name", "descending", "abc"],
  ["price", "ascending", "bca"],
  ["price", "descending", "cab"],
  // What is empty comes last in both directions.
  ["sku", "ascending", "abc"],
  ["sku", "descending", "bac"],
] as const)("records are ordered by %s, %s, as people read it", (field, direction, expected) => {
  expect(ids(ordered(LIST, products, { field, direction }))).toBe(expected);
});

test("a list begins in the order that its declaration names first, and turns with a click", () => {
  const sort = defaultSort(websites);
  expect(sort).toEqual({ field: "primary_domain", direction: "ascending" });
  expect(turned(sort, "primary_domain").direction).toBe("descending");
  expect(turned(turned(sort, "primary_domain"), "primary_domain").direction).toBe("ascending");
  expect(turned(turned(sort, "primary_domain"), "status")).toEqual({
    field: "status",
    direction: "ascending",
  });
});

test("a search looks into the searched fields, in whatever case", () => {
  expect(ids(found(LIST, products, " TEA "))).toBe("ab");
  expect(ids(found(LIST, products, "x"))).toBe("b");
  expect(found(LIST, products, "  ")).toBe(LIST);
});

test("an earlier order is taken up with the records as they are now", () => {
  const now = [product("d", { name: "Water" }), product("b", { name: "Milk" }), LIST[0] ?? product("a", {})];
  const before = ordered(LIST, products, defaultSort(products));
  expect(asBefore(now, before)).toEqual([now[1], now[2], now[0]]);
});

test("a record without a name is known by its id", () => {
  expect(titleOf(products, product("p_1", { name: "" }))).toBe("p_1");
});

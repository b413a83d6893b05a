import { expect, test } from "vitest";
import type { Field } from "../../src/resources/descriptor.ts";
import { RESOURCES } from "../../src/resources/generated.ts";
import { changesOf, faultsIn, faultsOf, inputsOf } from "../../src/resources/inputs.ts";

const { websites, price_rules: rules, products } = RESOURCES;

const SHOP = {
  primary_domain: "shop.example.org",
  domains: ["a.example.org", "b.example.org"],
  cname: "",
  line_group_id: "",
  line_group: "",
  https_enabled: false,
  status: "active",
};

/** What the page finds wrong with this input in the field of a new record. */
function fault(fields: readonly Field[], name: string, input: string): string | undefined {
  const inputs = { ...inputsOf(fields, null), primary_domain: "a.example.org", name: "a", [name]: input };
  return faultsOf(fields, inputs).get(name);
}

test("a record stands in the form as a person would write it", () => {
  expect(inputsOf(websites.fields, SHOP)).toMatchObject({
    primary_domain: "shop.example.org",
    domains: "a.example.org\nb.example.org",
    https_enabled: false,
  });
});

test("a new record stands there with its defaults", () => {
  expect(inputsOf(websites.fields, null)).toMatchObject({
    primary_domain: "",
    domains: "",
    https_enabled: true,
    status: "active",
  });
});

test("of another record only what was changed is sent", () => {
  const inputs = {
    ...inputsOf(websites.fields, SHOP),
    cname: " edge.example.net ",
    domains: "\n c.example.org\n",
  };
  expect(changesOf(websites.fields, inputs, SHOP)).toEqual({
    cname: "edge.example.net",
    domains: ["c.example.org"],
  });
});

test("of a new record everything is sent", () => {
  const inputs = { ...inputsOf(rules.fields, null), name: "Happy hour", value: "-2.5", priority: "" };
  expect(changesOf(rules.fields, inputs, null)).toEqual({
    name: "Happy hour",
    applies_to: "all",
    targets: [],
    kind: "percent",
    value: -2.5,
    starts_at: null,
    ends_at: null,
    priority: 0,
    active: true,
  });
});

test("a time is written by the clock on the wall, and keeps its fractions until it is touched", () => {
  const before = { name: "a", starts_at: "2026-03-01T12:00:00.250Z" };
  const inputs = inputsOf(rules.fields, before);
  expect(changesOf(rules.fields, inputs, before)).toEqual({});
  const local = String(inputs.starts_at);
  expect(new Date(local).toISOString()).toBe("2026-03-01T12:00:00.000Z");
  const later = { ...inputs, starts_at: local.replace(/:00$/, ":30") };
  expect(changesOf(rules.fields, later, before)).toEqual({ starts_at: "2026-03-01T12:00:30.000Z" });
});

test("a time that is taken away is sent as none", () => {
  const before = { name: "a", starts_at: "2026-03-01T12:00:00Z" };
  const inputs = { ...inputsOf(rules.fields, before), starts_at: "" };
  expect(changesOf(rules.fields, inputs, before)).toEqual({ starts_at: null });
});

test("a long text keeps its spaces and lines", () => {
  const before = { name: "a", description: "" };
  const inputs = { ...inputsOf(products.fields, before), description: "  one\ntwo\n" };
  expect(changesOf(products.fields, inputs, before)).toEqual({ description: "  one\ntwo\n" });
});

test.each<[readonly Field[], string, string, string | undefined]>([
  [websites.fields, "primary_domain", "shop.example.org", undefined],
  [websites.fields, "primary_domain", "  ", "This is needed."],
  [websites.fields, "primary_domain", "Shop.example.org", "This is not in the right form."],
  [websites.fields, "primary_domain", `${"a".repeat(300)}`, "At most 253 characters; these are 300."],
  [websites.fields, "cname", "", undefined],
  [websites.fields, "domains", "a.example.org\n\nb.example.org", undefined],
  [websites.fields, "domains", "a.example.org\nno no", "Line 2: this is not in the right form."],
  [websites.fields, "domains", "a\n".repeat(101), "At most 100 lines."],
  [products.fields, "price", "1.50", undefined],
  [products.fields, "price", "", undefined],
  [products.fields, "price", "-1", "At least 0."],
  [products.fields, "price", "much", "This is no number."],
  [products.fields, "position", "1.5", "This must be a whole number."],
  [products.fields, "position", "99999999999", "At most 2147483647."],
  [products.fields, "currency", "euro", "This is not in the right form."],
  // Characters outside of the basic plane count once, as they do for the server.
  [products.fields, "sku", "😀".repeat(200), undefined],
  [rules.fields, "starts_at", "", undefined],
  [rules.fields, "starts_at", "2026-02-30 soon", "This is no date with a time."],
])("%#: of %s the page says of %s: %s", (fields, name, input, expected) => {
  expect(fault(fields, name, input)).toBe(expected);
});

test("what the server finds wrong stands at its field", () => {
  const errors = [
    { field: "domains[1]", message: "Expected `str` of length >= 1" },
    { field: "primary_domain", message: "another record has it" },
    { field: "primary_domain", message: "a second reason" },
    { field: "", message: "the body is wrong" },
    { field: "unknown", message: "there is no such field" },
  ];
  expect([...faultsIn(websites.fields, errors)]).toEqual([
    ["domains", "Line 2: expected `str` of length >= 1."],
    ["primary_domain", "Another record has it."],
  ]);
});

test("every pattern of a declaration is one that the page can check", () => {
  const rulesOf = (field: Field) => (field.kind === "list" ? [field, field.item] : [field]);
  const patterns = Object.values(RESOURCES)
    .flatMap(({ fields }) => fields.flatMap(rulesOf))
    .flatMap(({ pattern }) => pattern ?? []);
  expect(patterns.length).toBeGreaterThan(10);
  for (const pattern of patterns) expect(() => new RegExp(pattern, "u")).not.toThrow();
});

/** Which records a table shows, and in what order. */

import type { Descriptor, Field, Value } from "./descriptor.ts";
import { valueIn } from "./inputs.ts";
import type { AnyRecord } from "./store.ts";

export interface Sort {
  readonly field: string;
  readonly direction: "ascending" | "descending";
}

/** Texts are compared as people read them: table 2 before table 10. */
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export function defaultSort({ sortable, titleField }: Descriptor): Sort {
  return { field: sortable[0] ?? titleField, direction: "ascending" };
}

/** What a click on the head of a column means: the same one turns. */
export function turned(sort: Sort, field: string): Sort {
  const isTurned = sort.field === field && sort.direction === "ascending";
  return { field, direction: isTurned ? "descending" : "ascending" };
}

/** What people know a record by. */
export function titleOf(descriptor: Descriptor, record: AnyRecord): string {
  return String(record.data[descriptor.titleField] || record.id);
}

/** The records of which a searched field contains the text, in whatever case: the same as the api's `q` finds. */
export function found(
  records: readonly AnyRecord[],
  { searched }: Descriptor,
  text: string,
): readonly AnyRecord[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return records;
  return records.filter(({ data }) =>
    searched.some((name) =>
      String(data[name] ?? "")
        .toLowerCase()
        .includes(wanted),
    ),
  );
}

/** The records in an order that was right a moment ago: to order nearly ordered ones takes a tenth of the time. */
export function asBefore(records: readonly AnyRecord[], before: readonly AnyRecord[]): readonly AnyRecord[] {
  const left = new Map(records.map((record) => [record.id, record]));
  const known: AnyRecord[] = [];
  for (const { id } of before) {
    const record = left.get(id);
    if (record !== undefined && left.delete(id)) known.push(record);
  }
  return [...known, ...left.values()];
}

/** Records without a value come last in both directions; ties go by what people know a record by. */
export function ordered(
  records: readonly AnyRecord[],
  descriptor: Descriptor,
  sort: Sort,
): readonly AnyRecord[] {
  const field = descriptor.fields.find(({ name }) => name === sort.field);
  const sign = sort.direction === "ascending" ? 1 : -1;
  const rows = records.map((record) => ({
    record,
    key: field === undefined ? null : keyOf(field, valueIn(record.data, field)),
    title: titleOf(descriptor, record),
  }));
  return rows
    .sort(
      (a, b) =>
        compared(a.key, b.key, sign) ||
        collator.compare(a.title, b.title) ||
        (a.record.id < b.record.id ? -1 : 1),
    )
    .map(({ record }) => record);
}

type Key = string | number | null;

function keyOf(field: Field, value: Value): Key {
  if (value === null || value === "") return null;
  if (field.kind === "time") return Date.parse(String(value));
  return typeof value === "number" ? value : String(value);
}

function compared(a: Key, b: Key, sign: number): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  if (typeof a === "string" || typeof b === "string") return sign * collator.compare(String(a), String(b));
  return sign * (a - b);
}

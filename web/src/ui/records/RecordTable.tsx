/** The table of a resource: the columns that its declaration makes, and a row for each record of one part of the list. */

import { type CSSProperties, memo, useMemo } from "react";
import type { Descriptor, Field } from "../../resources/descriptor.ts";
import { valueIn } from "../../resources/inputs.ts";
import { type Sort, titleOf, turned } from "../../resources/list.ts";
import type { AnyRecord } from "../../resources/store.ts";
import { NarrowSort } from "../NarrowSort.tsx";
import { FieldValue } from "./FieldValue.tsx";

/** What a person may do to a record; null where they may not. They stay the same functions, or every row is redrawn. */
export interface Actions {
  readonly edit: ((record: AnyRecord) => void) | null;
  readonly remove: ((record: AnyRecord) => void) | null;
}

interface RecordTableProps extends Actions {
  readonly descriptor: Descriptor;
  readonly records: readonly AnyRecord[];
  readonly sort: Sort;
  readonly setSort: (sort: Sort) => void;
}

const MAX_COLUMNS = 8;

export function RecordTable({ descriptor, records, sort, setSort, edit, remove }: RecordTableProps) {
  const columns = useMemo(() => columnsOf(descriptor), [descriptor]);
  const hasActions = edit !== null || remove !== null;
  return (
    <>
      <NarrowSort
        options={descriptor.fields
          .filter(({ name }) => descriptor.sortable.includes(name))
          .map(({ name, label }) => ({ value: name, label }))}
        value={sort.field}
        direction={sort.direction}
        choose={(field) => setSort(turned(sort, field))}
        setDirection={(direction) => setSort({ ...sort, direction })}
      />
      <table className="rows records" role="table" style={widths(columns, hasActions)}>
        <caption className="visually-hidden">{descriptor.label}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((field) => (
              <Head
                key={field.name}
                field={field}
                isSortable={descriptor.sortable.includes(field.name)}
                sort={sort}
                setSort={setSort}
              />
            ))}
            {hasActions && (
              <th scope="col" role="columnheader">
                <span className="visually-hidden">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {records.map((record) => (
            <Row
              key={record.id}
              descriptor={descriptor}
              columns={columns}
              record={record}
              edit={edit}
              remove={remove}
            />
          ))}
        </tbody>
      </table>
    </>
  );
}

interface HeadProps {
  readonly field: Field;
  readonly isSortable: boolean;
  readonly sort: Sort;
  readonly setSort: (sort: Sort) => void;
}

function Head({ field, isSortable, sort, setSort }: HeadProps) {
  if (!isSortable) {
    return (
      <th scope="col" role="columnheader" data-column={field.name}>
        {field.label}
      </th>
    );
  }
  return (
    <th
      scope="col"
      role="columnheader"
      data-column={field.name}
      aria-sort={sort.field === field.name ? sort.direction : "none"}
    >
      <button type="button" onClick={() => setSort(turned(sort, field.name))}>
        {field.label}
        <span className="sort-mark" aria-hidden="true" />
      </button>
    </th>
  );
}

interface RowProps extends Actions {
  readonly descriptor: Descriptor;
  readonly columns: readonly Field[];
  readonly record: AnyRecord;
}

/** A record stays the same object until it changes, so that a change of one record redraws one row. */
const Row = memo(function Row({ descriptor, columns, record, edit, remove }: RowProps) {
  const { titleField } = descriptor;
  const title = titleOf(descriptor, record);
  return (
    <tr role="row" data-record-id={record.id}>
      {columns.map((field) => (
        <Cell
          key={field.name}
          field={field}
          record={record}
          title={field.name === titleField ? title : null}
        />
      ))}
      {(edit !== null || remove !== null) && (
        <td role="cell" className="row-actions">
          {edit !== null && (
            <button className="quiet" type="button" aria-label={`Edit ${title}`} onClick={() => edit(record)}>
              Edit
            </button>
          )}
          {remove !== null && (
            <button
              className="quiet"
              type="button"
              aria-label={`Delete ${title}`}
              onClick={() => remove(record)}
            >
              Delete
            </button>
          )}
        </td>
      )}
    </tr>
  );
});

interface CellProps {
  readonly field: Field;
  readonly record: AnyRecord;
  /** What the record is known by, in the cell that says so. */
  readonly title: string | null;
}

function Cell({ field, record, title }: CellProps) {
  const value = <FieldValue field={field} value={valueIn(record.data, field)} />;
  if (title === null) {
    return (
      <td role="cell" data-field={field.name} data-label={field.label} {...look(field, record)}>
        {value}
      </td>
    );
  }
  return (
    <th scope="row" role="rowheader" data-field={field.name}>
      <span className="name" title={title}>
        {value}
      </span>
    </th>
  );
}

/** What the style sheet leaves out of a card, and the whole of a text that may be too long for its column. */
function look(field: Field, record: AnyRecord) {
  const value = valueIn(record.data, field);
  const isEmpty = value === null || value === "" || (Array.isArray(value) && value.length === 0);
  return { "data-is-empty": isEmpty, ...(field.kind === "text" && !isEmpty && { title: String(value) }) };
}

/** What people know a record by, then the other fields that fit a line, as far as there is room. */
function columnsOf({ fields, titleField }: Descriptor): readonly Field[] {
  const first = fields.filter(({ name }) => name === titleField);
  const others = fields.filter(
    ({ name, kind }) => name !== titleField && kind !== "long-text" && kind !== "object",
  );
  return [...first, ...others].slice(0, MAX_COLUMNS);
}

const SHARES: Readonly<Partial<Record<Field["kind"], number>>> = {
  boolean: 0.9,
  integer: 0.7,
  number: 0.7,
  list: 1.5,
};

/** How the columns share the width; the style sheet says where that counts. */
function widths(columns: readonly Field[], hasActions: boolean): CSSProperties {
  const shares = columns.map(({ kind }, index) => (index === 0 ? 1.6 : (SHARES[kind] ?? 1)));
  const tracks = shares.map((share) => `minmax(0, ${share}fr)`);
  return { "--columns": [...tracks, ...(hasActions ? ["112px"] : [])].join(" ") } as CSSProperties;
}

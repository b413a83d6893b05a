/** What a declaration in shared/resources says about a resource, as the page needs to know it. */

/** A value of a field as JSON has it. */
export type Value = string | number | boolean | null | readonly string[] | object;

/** The fields of any record, by their names. */
export type Fields = Readonly<Record<string, Value>>;

/** What a text or a number must be; lengths in characters, the pattern as `RegExp` takes it. */
export interface Rule {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
}

interface OfField extends Rule {
  readonly name: string;
  readonly label: string;
  readonly isEditable: boolean;
  /** Whether a record cannot be made without it; what it is otherwise made with is the `default`. */
  readonly isRequired: boolean;
  readonly isNullable: boolean;
  readonly default: Value;
  /** What helps people to write it. */
  readonly hint?: string;
}

export type Field =
  /** An `object` is for programs, and not shown. */
  | (OfField & {
      readonly kind: "text" | "long-text" | "number" | "integer" | "boolean" | "time" | "color" | "object";
    })
  | (OfField & { readonly kind: "choice"; readonly options: readonly string[] })
  | (OfField & { readonly kind: "list"; readonly maxItems: number; readonly item: Rule })
  /** The id of a record of `resource`. */
  | (OfField & { readonly kind: "reference"; readonly resource: string });

export interface Descriptor {
  readonly name: string;
  readonly label: string;
  /** What one record is called. */
  readonly singular: string;
  /** The field that people know a record by. */
  readonly titleField: string;
  /** The roles that may write; none where the system alone does. */
  readonly writers: readonly string[];
  readonly isDeletable: boolean;
  /** Whether its changes are kept, so that one can be undone. */
  readonly isJournalled: boolean;
  /** The fields that lists are ordered by; the first is the default. */
  readonly sortable: readonly string[];
  readonly searched: readonly string[];
  readonly fields: readonly Field[];
}

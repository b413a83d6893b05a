/** What stands in a form: inputs as a person types them, what is wrong with them, and the values that they mean. */

import { type FieldError, sentence } from "../http.ts";
import type { Field, Fields, Rule, Value } from "./descriptor.ts";

/** What an input holds: whether a box is ticked, or a text; a list has one element a line. */
export type Input = string | boolean;

/** The inputs of a form, by the names of their fields. */
export type Inputs = Readonly<Record<string, Input>>;

/** What is wrong with fields, by their names. */
export type Faults = ReadonlyMap<string, string>;

/** The inputs for a record, or for a new one. */
export function inputsOf(fields: readonly Field[], record: Fields | null): Inputs {
  return Object.fromEntries(fields.map((field) => [field.name, inputOf(field, valueIn(record, field))]));
}

/** The value of a field; a record from before there was the field has its default. */
export function valueIn(record: Fields | null, field: Field): Value {
  const value = record?.[field.name];
  return value === undefined ? field.default : value;
}

/** The values to be sent: of a new record all, of another one only those that were changed. */
export function changesOf(fields: readonly Field[], inputs: Inputs, before: Fields | null): Fields {
  const changed = fields.filter((field) => before === null || isChanged(field, inputs, before));
  return Object.fromEntries(changed.map((field) => [field.name, valueFrom(field, inputs[field.name] ?? "")]));
}

/** Inputs are compared, not values: a time has no fractions of a second there, and keeps those it had. */
export function isChanged(field: Field, inputs: Inputs, before: Fields | null): boolean {
  return inputs[field.name] !== inputOf(field, valueIn(before, field));
}

/** What the page itself finds wrong; the server has the last word. */
export function faultsOf(fields: readonly Field[], inputs: Inputs): Faults {
  const found = fields.map((field) => [field.name, faultOf(field, inputs[field.name] ?? "")] as const);
  return new Map(found.filter((entry): entry is [string, string] => entry[1] !== null));
}

/**
 * Sort what the server found wrong to the fields of the form. What is about none of them is left out: the problem's own
 * text tells that.
 */
export function faultsIn(fields: readonly Field[], errors: readonly FieldError[]): Faults {
  const faults = new Map<string, string>();
  for (const { field: path, message } of errors) {
    const [, name = "", index] = /^([^.[]*)(?:\[(\d+)\])?/.exec(path) ?? [];
    if (faults.has(name) || !fields.some((field) => field.name === name)) continue;
    faults.set(name, index === undefined ? sentence(message) : inLine(Number(index), sentence(message)));
  }
  return faults;
}

function inputOf(field: Field, value: Value): Input {
  if (field.kind === "boolean") return value === true;
  if (value === null) return "";
  if (field.kind === "list") return (value as readonly string[]).join("\n");
  return field.kind === "time" ? localTime(String(value)) : String(value);
}

function valueFrom(field: Field, input: Input): Value {
  if (typeof input === "boolean") return input;
  if (field.kind === "list") return linesOf(input);
  // A text keeps the spaces around it only where they may mean something.
  const text = field.kind === "long-text" ? input : input.trim();
  if (text === "" && (field.isNullable || isNumeric(field))) return field.default;
  if (isNumeric(field)) return Number(text);
  return field.kind === "time" ? new Date(text).toISOString() : text;
}

function faultOf(field: Field, input: Input): string | null {
  if (typeof input === "boolean") return null;
  if (field.kind === "list") {
    const lines = linesOf(input);
    if (lines.length > field.maxItems) return `At most ${field.maxItems} lines.`;
    const index = lines.findIndex((line) => faultOfText(line, field.item) !== null);
    return index < 0 ? null : inLine(index, faultOfText(lines[index] ?? "", field.item) ?? "");
  }
  const text = input.trim();
  if (text === "" && field.isRequired) return "This is needed.";
  if (text === "" && (field.isNullable || isNumeric(field) || field.kind === "choice")) return null;
  if (isNumeric(field)) return faultOfNumber(text, field, field.kind === "integer");
  if (field.kind === "time") return Number.isNaN(Date.parse(text)) ? "This is no date with a time." : null;
  return faultOfText(valueFrom(field, input) as string, field);
}

function faultOfText(text: string, rule: Rule): string | null {
  const { minLength = 0, maxLength = Infinity, pattern } = rule;
  // The server counts characters, not the halves of which JavaScript makes some.
  const { length } = [...text];
  if (length < minLength) return `At least ${minLength} ${minLength === 1 ? "character" : "characters"}.`;
  if (length > maxLength) return `At most ${maxLength} characters; these are ${length}.`;
  if (pattern === undefined || new RegExp(pattern, "u").test(text)) return null;
  return "This is not in the right form.";
}

function faultOfNumber(text: string, { minimum, maximum }: Rule, isInteger: boolean): string | null {
  const number = Number(text);
  if (!Number.isFinite(number)) return "This is no number.";
  if (isInteger && !Number.isInteger(number)) return "This must be a whole number.";
  if (minimum !== undefined && number < minimum) return `At least ${minimum}.`;
  if (maximum !== undefined && number > maximum) return `At most ${maximum}.`;
  return null;
}

function isNumeric(field: Field): boolean {
  return field.kind === "integer" || field.kind === "number";
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

const inLine = (index: number, message: string) => `Line ${index + 1}: ${lowered(message)}`;

const lowered = (text: string) => `${text.charAt(0).toLowerCase()}${text.slice(1)}`;

/** A moment as `<input type="datetime-local">` has it: by the clock on the wall, to the second. */
function localTime(iso: string): string {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return "";
  const part = (value: number, digits = 2) => String(value).padStart(digits, "0");
  const date = [part(moment.getFullYear(), 4), part(moment.getMonth() + 1), part(moment.getDate())].join("-");
  return `${date}T${[moment.getHours(), moment.getMinutes(), moment.getSeconds()].map((value) => part(value)).join(":")}`;
}

/** The input of one field, with its name, what helps to fill it in, and what is wrong with it. */

import { useMusterClient, useResource } from "muster-client/react";
import { useId } from "react";
import type { Field } from "../../resources/descriptor.ts";
import { descriptorOf } from "../../resources/descriptors.ts";
import type { Input } from "../../resources/inputs.ts";
import { defaultSort, ordered, titleOf } from "../../resources/list.ts";
import { storeOf } from "../../resources/store.ts";

interface FieldInputProps {
  readonly field: Field;
  readonly input: Input;
  readonly fault: string | undefined;
  readonly change: (input: Input) => void;
}

/** What all kinds of inputs have in common. */
interface ControlProps {
  readonly id: string;
  readonly name: string;
  readonly "aria-describedby"?: string;
  readonly "aria-invalid"?: boolean;
  readonly "aria-required"?: boolean;
}

export function FieldInput({ field, input, fault, change }: FieldInputProps) {
  const id = useId();
  const hint = hintOf(field);
  const described = [fault !== undefined && `${id}-fault`, hint !== null && `${id}-hint`].filter(Boolean);
  const control: ControlProps = {
    id,
    name: field.name,
    ...(described.length > 0 && { "aria-describedby": described.join(" ") }),
    ...(fault !== undefined && { "aria-invalid": true }),
    ...(field.isRequired && { "aria-required": true }),
  };
  return (
    <div className="field" data-field={field.name} data-kind={field.kind}>
      <label htmlFor={id}>
        {field.label}
        {field.isRequired && (
          <span className="required" aria-hidden="true">
            *
          </span>
        )}
      </label>
      <Control field={field} input={input} change={change} control={control} />
      {fault !== undefined && (
        <p className="field-fault" id={`${id}-fault`}>
          {fault}
        </p>
      )}
      {hint !== null && (
        <p className="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

function hintOf({ kind, hint }: Field): string | null {
  if (kind !== "list") return hint ?? null;
  return hint === undefined ? "One on each line" : `One on each line. ${hint}`;
}

interface EachControlProps {
  readonly field: Field;
  readonly input: Input;
  readonly change: (input: Input) => void;
  readonly control: ControlProps;
}

function Control({ field, input, change, control }: EachControlProps) {
  if (field.kind === "boolean") {
    return (
      <input
        {...control}
        type="checkbox"
        checked={input === true}
        onChange={(event) => change(event.target.checked)}
      />
    );
  }
  const text = String(input);
  const onChange = (event: { readonly target: { readonly value: string } }) => change(event.target.value);
  switch (field.kind) {
    case "long-text":
    case "list":
      return <textarea {...control} rows={3} value={text} onChange={onChange} />;
    case "choice":
      return (
        <select {...control} value={text} onChange={onChange}>
          {field.options.map((option) => (
            <option key={option} value={option}>
              {option === "" ? "–" : option}
            </option>
          ))}
        </select>
      );
    case "reference":
      return <ReferenceSelect {...control} resource={field.resource} value={text} onChange={onChange} />;
    case "time":
      return <input {...control} type="datetime-local" step={1} value={text} onChange={onChange} />;
    case "color":
      return (
        <span className="color-input">
          <input
            type="color"
            aria-label={`Pick ${field.label.toLowerCase()}`}
            value={/^#[0-9a-f]{6}$/.test(text) ? text : "#808080"}
            onChange={onChange}
          />
          <input {...control} type="text" value={text} onChange={onChange} autoComplete="off" />
        </span>
      );
    case "integer":
    case "number":
      // A numeric input hides from us what it cannot read, and what it was, from the person.
      return (
        <input
          {...control}
          type="text"
          inputMode={field.kind === "integer" ? "numeric" : "decimal"}
          value={text}
          onChange={onChange}
          autoComplete="off"
        />
      );
    default:
      return <input {...control} type="text" value={text} onChange={onChange} autoComplete="off" />;
  }
}

interface ReferenceSelectProps extends ControlProps {
  readonly resource: string;
  readonly value: string;
  readonly onChange: (event: { readonly target: { readonly value: string } }) => void;
}

function ReferenceSelect({ resource, value, onChange, ...control }: ReferenceSelectProps) {
  const descriptor = descriptorOf(resource);
  const { items, getById } = useResource(storeOf(useMusterClient(), resource));
  const isKnown = value === "" || getById(value) !== undefined;
  return (
    <select {...control} value={value} onChange={onChange}>
      <option value="">–</option>
      {!isKnown && <option value={value}>{value}</option>}
      {ordered(items, descriptor, defaultSort(descriptor)).map((record) => (
        <option key={record.id} value={record.id}>
          {titleOf(descriptor, record)}
        </option>
      ))}
    </select>
  );
}

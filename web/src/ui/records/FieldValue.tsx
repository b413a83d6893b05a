/** A value of a field as people read it. */

import { useMusterClient, useResource } from "muster-client/react";
import { NOTHING } from "../../format.ts";
import type { Field, Value } from "../../resources/descriptor.ts";
import { descriptorOf } from "../../resources/descriptors.ts";
import { titleOf } from "../../resources/list.ts";
import { storeOf } from "../../resources/store.ts";

interface FieldValueProps {
  readonly field: Field;
  readonly value: Value;
}

export function FieldValue({ field, value }: FieldValueProps) {
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (value === null || value === "") return NOTHING;
  switch (field.kind) {
    case "list":
      return <Labels labels={value as readonly string[]} />;
    case "reference":
      return <Reference resource={field.resource} id={String(value)} />;
    case "time":
      return <time dateTime={String(value)}>{new Date(String(value)).toLocaleString()}</time>;
    case "color":
      return (
        <>
          <span className="swatch" style={{ background: String(value) }} aria-hidden="true" />
          {String(value)}
        </>
      );
    default:
      return String(value);
  }
}

function Labels({ labels }: { readonly labels: readonly string[] }) {
  if (labels.length === 0) return NOTHING;
  return (
    <span className="labels">
      {labels.map((label) => (
        <span className="tag" key={label}>
          {label}
        </span>
      ))}
    </span>
  );
}

/** What the other record is known by; its id as long as it is not there. */
function Reference({ resource, id }: { readonly resource: string; readonly id: string }) {
  const store = storeOf(useMusterClient(), resource);
  const record = useResource(store).getById(id);
  return record === undefined ? <code>{id}</code> : titleOf(descriptorOf(resource), record);
}

/** What two people have made of one record. */

import type { Field, Fields, Value } from "./descriptor.ts";
import { changesOf, type Inputs, valueIn } from "./inputs.ts";

/** A field that somebody else has changed. */
export interface Difference {
  readonly field: Field;
  /** What it was when this person began. */
  readonly before: Value;
  readonly now: Value;
  /** What it would be if this person's changes were saved upon it. */
  readonly mine: Value;
}

/** The fields that differ between a record as it was and as it is; without inputs nothing was changed here. */
export function differences(
  fields: readonly Field[],
  before: Fields,
  now: Fields,
  inputs: Inputs | null,
): readonly Difference[] {
  const editable = fields.filter(({ isEditable }) => isEditable);
  const changes: Fields = inputs === null ? {} : changesOf(editable, inputs, before);
  return fields
    .map((field) => ({ field, before: valueIn(before, field), now: valueIn(now, field) }))
    .filter((each) => JSON.stringify(each.before) !== JSON.stringify(each.now))
    .map((each) => {
      const { [each.field.name]: mine = each.now } = changes;
      return { ...each, mine };
    });
}

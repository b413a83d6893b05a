/** The form of one record, in a dialog: a new one, or one as it was when the person opened it. */

import { type SubmitEvent, useRef, useState } from "react";
import { Problem } from "../../http.ts";
import { differences } from "../../resources/conflict.ts";
import type { Descriptor } from "../../resources/descriptor.ts";
import { changesOf, type Faults, faultsIn, faultsOf, inputsOf, isChanged } from "../../resources/inputs.ts";
import { titleOf } from "../../resources/list.ts";
import type { AnyRecord } from "../../resources/store.ts";
import type { Writes } from "../../resources/writes.ts";
import { messageOf } from "../failure.ts";
import { Dialog } from "./Dialog.tsx";
import { Differences } from "./Differences.tsx";
import { FieldInput } from "./FieldInput.tsx";

interface RecordFormProps {
  readonly descriptor: Descriptor;
  readonly writes: Writes;
  /** Null for a new one. */
  readonly record: AnyRecord | null;
  /** `said` tells what has been done, null if nothing was. */
  readonly close: (said: string | null) => void;
}

const NO_FAULTS: Faults = new Map();

export function RecordForm({ descriptor, writes, record, close }: RecordFormProps) {
  const { singular } = descriptor;
  const fields = descriptor.fields.filter(({ isEditable }) => isEditable);
  const form = useRef<HTMLFormElement>(null);
  /** What the inputs are a change of. */
  const [before, setBefore] = useState(record);
  const [inputs, setInputs] = useState(() => inputsOf(fields, record?.data ?? null));
  const [faults, setFaults] = useState(NO_FAULTS);
  const [failure, setFailure] = useState<string | null>(null);
  /** The record as somebody else has made it meanwhile. */
  const [theirs, setTheirs] = useState<AnyRecord | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const [isLeaving, setIsLeaving] = useState(false);
  const isDirty = fields.some((field) => isChanged(field, inputs, before?.data ?? null));

  function show(found: Faults) {
    setFaults(found);
    const first = fields.find(({ name }) => found.has(name));
    if (first !== undefined) form.current?.querySelector<HTMLElement>(`[name="${first.name}"]`)?.focus();
  }

  async function write(onto: AnyRecord | null) {
    const changes = changesOf(fields, inputs, before?.data ?? null);
    if (onto === null) await writes.create(changes);
    else if (Object.keys(changes).length > 0) await writes.update(onto, changes);
  }

  async function learn(error: unknown) {
    if (!(error instanceof Problem)) return setFailure(messageOf(error));
    if (error.status === 404) return setFailure(`Somebody deleted this ${singular} meanwhile.`);
    if (error.status === 412 && before !== null) {
      const current = await writes.read(before.id);
      if (current === null) return setFailure(`Somebody deleted this ${singular} meanwhile.`);
      return setTheirs(current);
    }
    const found = faultsIn(fields, error.errors);
    show(found);
    // What stands at a field need not be said twice.
    if (found.size < Math.max(1, error.errors.length)) setFailure(error.message);
  }

  async function save(onto: AnyRecord | null) {
    if (isBusy) return;
    setIsBusy(true);
    setFailure(null);
    try {
      await write(onto);
      close(`The ${singular} was saved.`);
    } catch (error) {
      await learn(error).catch((other: unknown) => setFailure(messageOf(other)));
      setIsBusy(false);
    }
  }

  async function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const found = faultsOf(fields, inputs);
    show(found);
    if (found.size === 0) await save(theirs ?? before);
  }

  function takeTheirs() {
    setBefore(theirs);
    setInputs(inputsOf(fields, theirs?.data ?? null));
    setFaults(NO_FAULTS);
    setTheirs(null);
  }

  const cancel = () => (isDirty ? setIsLeaving(true) : close(null));
  return (
    <Dialog
      title={record === null ? `New ${singular}` : `Edit ${titleOf(descriptor, record)}`}
      onCancel={isLeaving ? () => setIsLeaving(false) : cancel}
    >
      <form ref={form} className="record-form" noValidate={true} onSubmit={(event) => void submit(event)}>
        <div className="record-fields">
          {fields.map((field) => (
            <FieldInput
              key={field.name}
              field={field}
              input={inputs[field.name] ?? ""}
              fault={faults.get(field.name)}
              change={(input) => setInputs({ ...inputs, [field.name]: input })}
            />
          ))}
        </div>
        <div className="form-foot">
          <div role="alert">
            {failure !== null && <p className="failure">{failure}</p>}
            {theirs !== null && before !== null && (
              <div className="conflict">
                <p>Somebody else has changed this {singular} since you opened it:</p>
                <Differences
                  differences={differences(descriptor.fields, before.data, theirs.data, inputs)}
                  hasMine={true}
                />
              </div>
            )}
            {isLeaving && <p>You have not saved what you changed.</p>}
          </div>
          <div className="form-buttons">
            {isLeaving ? (
              <>
                <button className="button" type="button" onClick={() => setIsLeaving(false)}>
                  Keep editing
                </button>
                <button className="button is-dangerous" type="button" onClick={() => close(null)}>
                  Discard
                </button>
              </>
            ) : (
              <>
                <button className="button" type="button" onClick={cancel}>
                  Cancel
                </button>
                {theirs !== null && (
                  <button className="button" type="button" onClick={takeTheirs}>
                    Take theirs
                  </button>
                )}
                <button className="button is-primary" type="submit" aria-disabled={isBusy}>
                  {isBusy ? "Saving…" : theirs === null ? "Save" : "Save mine"}
                </button>
              </>
            )}
          </div>
        </div>
      </form>
    </Dialog>
  );
}

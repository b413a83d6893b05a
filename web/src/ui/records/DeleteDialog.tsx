/** Asks whether a record is really to be deleted, and deletes it: as it was when that was asked. */

import { useState } from "react";
import { Problem } from "../../http.ts";
import { differences } from "../../resources/conflict.ts";
import type { Descriptor } from "../../resources/descriptor.ts";
import { titleOf } from "../../resources/list.ts";
import type { AnyRecord } from "../../resources/store.ts";
import type { Writes } from "../../resources/writes.ts";
import { messageOf } from "../failure.ts";
import { Dialog } from "./Dialog.tsx";
import { Differences } from "./Differences.tsx";

interface DeleteDialogProps {
  readonly descriptor: Descriptor;
  readonly writes: Writes;
  readonly record: AnyRecord;
  /** `said` tells what has been done, null if nothing was. */
  readonly close: (said: string | null) => void;
}

export function DeleteDialog({ descriptor, writes, record, close }: DeleteDialogProps) {
  const title = titleOf(descriptor, record);
  const [current, setCurrent] = useState(record);
  const [failure, setFailure] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const gone = `${title} was deleted.`;

  async function learn(error: unknown) {
    if (error instanceof Problem && error.status === 404) return close(gone);
    if (!(error instanceof Problem && error.status === 412)) return setFailure(messageOf(error));
    const now = await writes.read(record.id);
    if (now === null) return close(gone);
    setCurrent(now);
  }

  async function remove() {
    if (isBusy) return;
    setIsBusy(true);
    setFailure(null);
    try {
      await writes.remove(current);
      close(gone);
    } catch (error) {
      await learn(error).catch((other: unknown) => setFailure(messageOf(other)));
      setIsBusy(false);
    }
  }

  return (
    <Dialog title={`Delete ${title}?`} onCancel={() => close(null)}>
      <p>The {descriptor.singular} disappears for everybody at once.</p>
      <div role="alert">
        {failure !== null && <p className="failure">{failure}</p>}
        {current !== record && (
          <div className="conflict">
            <p>Somebody has changed this {descriptor.singular} meanwhile:</p>
            <Differences
              differences={differences(descriptor.fields, record.data, current.data, null)}
              hasMine={false}
            />
          </div>
        )}
      </div>
      <div className="form-buttons">
        <button className="button" type="button" onClick={() => close(null)}>
          Cancel
        </button>
        <button
          className="button is-dangerous"
          type="button"
          onClick={() => void remove()}
          aria-disabled={isBusy}
        >
          {isBusy ? "Deleting…" : current === record ? "Delete" : "Delete all the same"}
        </button>
      </div>
    </Dialog>
  );
}

/** The button above the table of machines, and the dialog that it opens. */

import { useState } from "react";
import type { FleetStore } from "../fleet/store.ts";
import type { Session } from "../session.ts";
import { AddMachine } from "./AddMachine.tsx";
import { Dialog } from "./records/Dialog.tsx";

interface AddMachineButtonProps {
  readonly store: FleetStore;
  readonly session: Session;
}

export function AddMachineButton({ store, session }: AddMachineButtonProps) {
  const [isOpen, setIsOpen] = useState(false);
  const close = () => setIsOpen(false);
  return (
    <div className="add-machine-bar">
      <button className="button" type="button" onClick={() => setIsOpen(true)}>
        Add a machine
      </button>
      {isOpen && (
        <Dialog title="Add a machine" onCancel={close}>
          <AddMachine store={store} session={session} />
          <div className="form-buttons">
            <button className="button" type="button" onClick={close}>
              Close
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

/** How a machine gets its agent: a token that lets one in, and the line to paste there. */

import { useState } from "react";
import type { FleetStore } from "../fleet/store.ts";
import type { Session } from "../session.ts";
import { useView } from "./view.ts";

interface AddMachineProps {
  readonly store: FleetStore;
  readonly session: Session;
}

/** What the api answers of a token that was made: where machines reach it, and the line for one of them. */
interface AddedToken {
  readonly server: string;
  readonly install_line: string;
}

const VALID_FOR_S = 3600;
const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;

export function AddMachine({ store, session }: AddMachineProps) {
  const workspace = useView(store, (view) => view.status.workspace);
  const [added, setAdded] = useState<AddedToken | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isCopied, setIsCopied] = useState(false);

  async function createToken() {
    if (workspace === null) return;
    setError(null);
    setIsCopied(false);
    try {
      const body = { name: "Added from the page", uses: 1, expires_in_s: VALID_FOR_S, groups: [] };
      const wish = { method: "POST", path: "/api/v1/enrolment-tokens", body } as const;
      const answer = await session.request(wish, workspace.id);
      setAdded(answer as AddedToken);
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
    }
  }

  async function copy(line: string) {
    try {
      await navigator.clipboard.writeText(line);
      setIsCopied(true);
    } catch {
      setError("The browser does not let this page copy: select the line and copy it.");
    }
  }

  return (
    <ol className="add-machine">
      <li>
        <p>Create an enrolment token. It lets one machine in, and ends after one hour.</p>
        <button
          className={added === null ? "button is-primary" : "button"}
          type="button"
          onClick={() => void createToken()}
        >
          {added === null ? "Create a token" : "Create another token"}
        </button>
        <p className="empty-error" role="alert">
          {error}
        </p>
      </li>
      <li>
        {added === null ? (
          <p>A line appears here, which installs the agent on the machine.</p>
        ) : (
          <>
            <p>Install the agent on the machine with this line. The token is shown only this once:</p>
            <pre>
              <code>{added.install_line}</code>
            </pre>
            {LOOPBACK.test(new URL(added.server).hostname) && (
              <p className="add-machine-note">
                {new URL(added.server).hostname} is this machine alone. For another one, open this page at an
                address that it reaches.
              </p>
            )}
            {"clipboard" in navigator && (
              <button className="button" type="button" onClick={() => void copy(added.install_line)}>
                {isCopied ? "Copied" : "Copy the line"}
              </button>
            )}
          </>
        )}
      </li>
    </ol>
  );
}

/** What a person sees before the first machine: how to add one. */

import { useState } from "react";
import type { FleetStore } from "../fleet/store.ts";
import type { Session } from "../session.ts";
import { useView } from "./view.ts";

interface NoServersProps {
  readonly store: FleetStore;
  readonly session: Session;
}

const VALID_FOR_S = 3600;

export function NoServers({ store, session }: NoServersProps) {
  const workspace = useView(store, (view) => view.status.workspace);
  const [token, setToken] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);

  async function createToken() {
    if (workspace === null) return;
    setError(null);
    try {
      const body = { name: "Added from the page", uses: 1, expires_in_s: VALID_FOR_S, groups: [] };
      const wish = { method: "POST", path: "/api/v1/enrolment-tokens", body } as const;
      const answer = await session.request(wish, workspace.id);
      setToken((answer as { readonly token: string }).token);
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
    }
  }

  return (
    <section className="empty">
      <h2>No machines yet</h2>
      <p>
        A machine appears here by itself as soon as its agent has reported for the first time. The agent only
        measures; it changes nothing on its machine.
      </p>
      <ol>
        <li>
          <p>Create an enrolment token. It lets one machine in, and ends after one hour.</p>
          <button
            className={token === null ? "button is-primary" : "button"}
            type="button"
            onClick={() => void createToken()}
          >
            {token === null ? "Create a token" : "Create another token"}
          </button>
          <p className="empty-error" role="alert">
            {error}
          </p>
        </li>
        <li>
          <p>Start the agent on the machine{token === null ? "" : ". The token is shown only this once"}:</p>
          <pre>
            <code>{`muster-agent --server ${location.origin} --token ${token ?? "TOKEN"}`}</code>
          </pre>
        </li>
      </ol>
    </section>
  );
}

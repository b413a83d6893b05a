/** What a person sees before the first machine: how to add one. */

import type { FleetStore } from "../fleet/store.ts";
import type { Session } from "../session.ts";
import { AddMachine } from "./AddMachine.tsx";

interface NoServersProps {
  readonly store: FleetStore;
  readonly session: Session;
}

export function NoServers({ store, session }: NoServersProps) {
  return (
    <section className="empty">
      <h2>No machines yet</h2>
      <p>
        A machine appears here by itself as soon as its agent has reported for the first time. The agent only
        measures; it changes nothing on its machine.
      </p>
      <AddMachine store={store} session={session} />
    </section>
  );
}

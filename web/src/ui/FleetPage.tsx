/** The machines of a workspace, or what stands in for them. */

import { useEffect } from "react";
import type { FleetStore } from "../fleet/store.ts";
import type { Session } from "../session.ts";
import { AddMachineButton } from "./AddMachineButton.tsx";
import { ConnectionNotice } from "./ConnectionNotice.tsx";
import { NoServers } from "./NoServers.tsx";
import { ServerTable } from "./ServerTable.tsx";
import { useView } from "./view.ts";

interface FleetPageProps {
  readonly store: FleetStore;
  readonly session: Session;
}

export function FleetPage({ store, session }: FleetPageProps) {
  useEffect(() => store.start(), [store]);
  const isLive = useView(store, (view) => view.status.isLive);
  const isLoaded = useView(store, (view) => view.isLoaded);
  const isEmpty = useView(store, (view) => view.servers.size === 0);
  // While all is live it changes with every frame, and nobody asks.
  const liveMs = useView(store, (view) => (view.status.isLive ? null : view.liveMs));
  return (
    <>
      <ConnectionNotice isLoaded={isLoaded} liveMs={liveMs} />
      <main className="content" data-stale={isLoaded && !isLive}>
        {!isLoaded && <p className="loading">Getting your machines…</p>}
        {isLoaded && isEmpty && <NoServers store={store} session={session} />}
        {isLoaded && !isEmpty && <AddMachineButton store={store} session={session} />}
        {isLoaded && !isEmpty && <ServerTable store={store} />}
      </main>
    </>
  );
}

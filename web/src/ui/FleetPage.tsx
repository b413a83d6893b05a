/** The page of one workspace: its header, and its machines or what stands in for them. */

import { MusterClient } from "muster-client";
import { useEffect, useState } from "react";
import { FleetStore, TOPICS } from "../fleet/store.ts";
import type { Session } from "../session.ts";
import { ConnectionNotice } from "./ConnectionNotice.tsx";
import { Header } from "./Header.tsx";
import { NoServers } from "./NoServers.tsx";
import { ServerTable } from "./ServerTable.tsx";
import { useView } from "./view.ts";

/** Where the last choice of a workspace is remembered. */
const KEY = "muster.workspace";

export function FleetPage({ session }: { readonly session: Session }) {
  const [store, setStore] = useState(() => openStore(session, localStorage.getItem(KEY)));
  useEffect(() => store.start(), [store]);

  const isLive = useView(store, (view) => view.status.isLive);
  const isLoaded = useView(store, (view) => view.isLoaded);
  const isEmpty = useView(store, (view) => view.servers.size === 0);

  function chooseWorkspace(id: string) {
    localStorage.setItem(KEY, id);
    setStore(openStore(session, id));
  }

  return (
    <>
      <Header store={store} chooseWorkspace={chooseWorkspace} signOut={() => void session.signOut()} />
      <ConnectionNotice store={store} />
      <main className="fleet" data-stale={isLoaded && !isLive}>
        {!isLoaded && <p className="loading">Getting your machines…</p>}
        {isLoaded && isEmpty && <NoServers store={store} session={session} />}
        {isLoaded && !isEmpty && <ServerTable store={store} />}
      </main>
    </>
  );
}

function openStore(session: Session, workspace: string | null): FleetStore {
  const url = `${location.origin.replace(/^http/, "ws")}/ws`;
  return new FleetStore(new MusterClient({ url, token: session.token, topics: TOPICS, workspace }));
}

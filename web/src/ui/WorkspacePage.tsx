/** The page of one workspace: its header, the menu, and what the address names. */

import { MusterClient } from "muster-client";
import { MusterProvider } from "muster-client/react";
import { useEffect, useState } from "react";
import { FleetStore } from "../fleet/store.ts";
import { placeAt, usePath } from "../place.ts";
import { descriptorOf } from "../resources/descriptors.ts";
import type { Session } from "../session.ts";
import { FleetCounts } from "./FleetCounts.tsx";
import { FleetPage } from "./FleetPage.tsx";
import { Header } from "./Header.tsx";
import { Link } from "./Link.tsx";
import { Menu } from "./Menu.tsx";
import { ResourcePage } from "./records/ResourcePage.tsx";

/** Where the last choice of a workspace is remembered. */
const KEY = "muster.workspace";

interface Following {
  readonly client: MusterClient;
  readonly fleet: FleetStore;
}

export function WorkspacePage({ session }: { readonly session: Session }) {
  const [{ client, fleet }, follow] = useState(() => following(session, localStorage.getItem(KEY)));
  const path = usePath();
  const place = placeAt(path);
  useEffect(() => {
    client.start();
    return () => client.stop();
  }, [client]);

  function chooseWorkspace(id: string) {
    localStorage.setItem(KEY, id);
    follow(following(session, id));
  }

  return (
    <MusterProvider client={client}>
      <Header chooseWorkspace={chooseWorkspace} signOut={() => void session.signOut()}>
        {place.kind === "fleet" && <FleetCounts store={fleet} />}
      </Header>
      <Menu path={path} />
      {place.kind === "fleet" && <FleetPage store={fleet} session={session} />}
      {place.kind === "resource" && (
        <ResourcePage key={place.name} descriptor={descriptorOf(place.name)} session={session} />
      )}
      {place.kind === "nowhere" && <Nowhere />}
    </MusterProvider>
  );
}

function Nowhere() {
  return (
    <main className="content">
      <section className="empty">
        <h2>There is nothing here</h2>
        <p>
          The address names no page of Muster. <Link to="/">Go to the servers</Link>
        </p>
      </section>
    </main>
  );
}

function following(session: Session, workspace: string | null): Following {
  const url = `${location.origin.replace(/^http/, "ws")}/ws`;
  const client = new MusterClient({ url, token: session.token, workspace });
  return { client, fleet: new FleetStore(client) };
}

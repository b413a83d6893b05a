/** The bar on top: whose fleet this is, how it is, and whether what is shown is live. */

import { type Condition, condition } from "../fleet/condition.ts";
import type { FleetStore, View } from "../fleet/store.ts";
import { Logo } from "./Logo.tsx";
import { useHasNetwork, useView } from "./view.ts";

interface HeaderProps {
  readonly store: FleetStore;
  readonly chooseWorkspace: (id: string) => void;
  readonly signOut: () => void;
}

const WORDS: Readonly<Record<Condition, string>> = {
  live: "Live",
  reconnecting: "Reconnecting…",
  offline: "Offline",
};

export function Header({ store, chooseWorkspace, signOut }: HeaderProps) {
  const hasNetwork = useHasNetwork();
  const state = useView(store, (view) => condition(view, hasNetwork));
  const isLoaded = useView(store, (view) => view.isLoaded);
  return (
    <header className="header" data-connection={state}>
      <h1 className="brand">
        <Logo />
        Muster
      </h1>
      <WorkspaceName store={store} choose={chooseWorkspace} />
      <p className="connection" role="status">
        <span className="connection-dot" aria-hidden="true" />
        {state === "reconnecting" && !isLoaded ? "Connecting…" : WORDS[state]}
      </p>
      {isLoaded && <Counts store={store} />}
      <button className="button sign-out" type="button" onClick={signOut}>
        Sign out
      </button>
    </header>
  );
}

function WorkspaceName({ store, choose }: { store: FleetStore; choose: (id: string) => void }) {
  const workspace = useView(store, (view) => view.status.workspace);
  const workspaces = useView(store, (view) => view.status.workspaces);
  if (workspace === null) return null;
  if (workspaces.length === 1) return <p className="workspace">{workspace.name}</p>;
  return (
    <select
      className="workspace"
      aria-label="Workspace"
      value={workspace.id}
      onChange={(event) => choose(event.target.value)}
    >
      {workspaces.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </select>
  );
}

const selectCounts = (view: View) => view.counts;

function Counts({ store }: { readonly store: FleetStore }) {
  const counts = useView(store, selectCounts);
  return (
    <ul className="counts" aria-label="Machines by status">
      {(["online", "offline", "unknown"] as const).map((status) => (
        <li key={status} data-count={status} data-is-zero={counts[status] === 0}>
          <b>{counts[status]}</b> {status}
        </li>
      ))}
    </ul>
  );
}

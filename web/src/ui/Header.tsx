/** The bar on top: whose workspace this is, and whether what is shown is live. */

import type { ClientStatus } from "muster-client";
import { useSyncConnection } from "muster-client/react";
import type { ReactNode } from "react";
import { condition } from "../condition.ts";
import { Logo } from "./Logo.tsx";
import { useHasNetwork } from "./view.ts";

interface HeaderProps {
  readonly chooseWorkspace: (id: string) => void;
  readonly signOut: () => void;
  /** What the page that is shown adds. */
  readonly children?: ReactNode;
}

export function Header({ chooseWorkspace, signOut, children }: HeaderProps) {
  const status = useSyncConnection();
  const state = condition(status, useHasNetwork());
  return (
    <header className="header" data-connection={state}>
      <h1 className="brand">
        <Logo />
        Muster
      </h1>
      <WorkspaceName status={status} choose={chooseWorkspace} />
      <p className="connection" role="status">
        <span className="connection-dot" aria-hidden="true" />
        {state === "live" && "Live"}
        {state === "offline" && "Offline"}
        {state === "reconnecting" && progress(status)}
      </p>
      {children}
      <button className="button sign-out" type="button" onClick={signOut}>
        Sign out
      </button>
    </header>
  );
}

function progress({ workspace, connection }: ClientStatus): string {
  if (connection.phase === "open") return "Catching up…";
  return workspace === null ? "Connecting…" : "Reconnecting…";
}

function WorkspaceName({ status, choose }: { status: ClientStatus; choose: (id: string) => void }) {
  const { workspace, workspaces } = status;
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

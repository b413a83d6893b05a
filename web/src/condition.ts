/** What to tell a person about the connection, in one word and one sentence. */

import type { ClientStatus } from "muster-client";

/** What a part of the page shows: whether there is anything yet, and how it is kept in step. */
export interface Shown {
  readonly status: ClientStatus;
  /** Whether all records have been seen once, so that no records are none. */
  readonly isLoaded: boolean;
}

export type Condition = "live" | "reconnecting" | "offline";

/** `offline` is what does not mend by trying: no network, or a server that will not have us. */
export function condition(status: ClientStatus, hasNetwork: boolean): Condition {
  if (status.isLive) return "live";
  const { phase } = status.connection;
  if (phase === "stopped" || isRefused(status.refusal?.code)) return "offline";
  if (phase === "open") return status.workspace === null ? "offline" : "reconnecting";
  return hasNetwork ? "reconnecting" : "offline";
}

/** What has happened, for a person; null while all is well. */
export function explanation({ status, isLoaded }: Shown, hasNetwork: boolean): string | null {
  const { connection, refusal, workspace, isLive } = status;
  if (isLive) return null;
  if (connection.phase === "stopped") return STOPPED[connection.reason];
  if (refusal !== null && isRefused(refusal.code)) {
    return `Muster does not show you this workspace: ${refusal.message}`;
  }
  if (connection.phase === "open") {
    return workspace === null ? "You are not a member of any workspace yet." : "Catching up.";
  }
  if (!hasNetwork) return "This device has no network.";
  return isLoaded ? "The connection was lost." : "Muster cannot be reached.";
}

/** Whether pressing “Try now” could bring the next try forward. */
export function canRetry({ connection }: ClientStatus): boolean {
  return connection.phase === "waiting" && !connection.isPaced;
}

const STOPPED = {
  malformed: "This page and the server do not understand each other. Reload the page to get the current one.",
  forbidden: "The server refused this connection. You may have lost access; reload the page to try again.",
  "signed-out": "Your session has ended.",
} as const;

function isRefused(code: string | undefined): boolean {
  return code === "forbidden" || code === "unknown_topic" || code === "bad_request";
}

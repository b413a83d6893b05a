/** The line below the header that says what is wrong with the connection and what one can do; nothing while it is live. */

import { useMusterClient, useSyncConnection } from "muster-client/react";
import { canRetry, explanation } from "../condition.ts";
import { useHasNetwork, useNow } from "./view.ts";

interface ConnectionNoticeProps {
  /** Whether there is something to see. */
  readonly isLoaded: boolean;
  /** When what is seen was last known to be the server's, `Date.now()`. */
  readonly liveMs: number | null;
}

export function ConnectionNotice(props: ConnectionNoticeProps) {
  return useSyncConnection().isLive ? null : <Notice {...props} />;
}

function Notice({ isLoaded, liveMs }: ConnectionNoticeProps) {
  const client = useMusterClient();
  const status = useSyncConnection();
  const { connection } = status;
  return (
    <div className="notice">
      <p>
        {explanation({ status, isLoaded }, useHasNetwork())} {isLoaded && liveMs !== null && asOf(liveMs)}
        {connection.phase === "waiting" && <Countdown toMs={connection.retryAtMs} />}
      </p>
      {canRetry(status) && (
        <button className="button" type="button" onClick={() => client.wake()}>
          Try now
        </button>
      )}
      {connection.phase === "stopped" && (
        <button className="button" type="button" onClick={() => location.reload()}>
          Reload
        </button>
      )}
    </div>
  );
}

function Countdown({ toMs }: { readonly toMs: number }) {
  const seconds = Math.ceil((toMs - useNow(1000)) / 1000);
  return <> {seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again."}</>;
}

function asOf(ms: number): string {
  return `What you see is from ${new Date(ms).toLocaleTimeString()}.`;
}

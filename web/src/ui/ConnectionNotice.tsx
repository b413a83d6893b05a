/** The line below the header that says what is wrong with the connection and what one can do; nothing while it is live. */

import { canRetry, explanation } from "../fleet/condition.ts";
import type { FleetStore, View } from "../fleet/store.ts";
import { useHasNetwork, useNow, useView } from "./view.ts";

const itself = (view: View) => view;

export function ConnectionNotice({ store }: { readonly store: FleetStore }) {
  const isLive = useView(store, (view) => view.status.isLive);
  return isLive ? null : <Notice store={store} />;
}

function Notice({ store }: { readonly store: FleetStore }) {
  const view = useView(store, itself);
  const { phase } = view.status.connection;
  return (
    <div className="notice">
      <p>
        {explanation(view, useHasNetwork())} {view.isLoaded && view.liveMs !== null && asOf(view.liveMs)}
        {view.status.connection.phase === "waiting" && <Countdown toMs={view.status.connection.retryAtMs} />}
      </p>
      {canRetry(view) && (
        <button className="button" type="button" onClick={store.retry}>
          Try now
        </button>
      )}
      {phase === "stopped" && (
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

/** How many machines there are of each status. */

import type { FleetStore, View } from "../fleet/store.ts";
import { useView } from "./view.ts";

const selectCounts = (view: View) => view.counts;

export function FleetCounts({ store }: { readonly store: FleetStore }) {
  const counts = useView(store, selectCounts);
  const isLoaded = useView(store, (view) => view.isLoaded);
  if (!isLoaded) return null;
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

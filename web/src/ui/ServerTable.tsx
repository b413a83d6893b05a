/** The table of machines: its columns, its order, and a row for each. */

import { useEffect, useMemo, useState } from "react";
import { BY_NAME, type Column, isVolatile, order, type Sort, turned } from "../fleet/order.ts";
import type { FleetStore, View } from "../fleet/store.ts";
import { NarrowSort } from "./NarrowSort.tsx";
import { ServerRow } from "./ServerRow.tsx";
import { useView } from "./view.ts";

const COLUMNS: readonly { readonly column: Column; readonly label: string }[] = [
  { column: "status", label: "Status" },
  { column: "name", label: "Name" },
  { column: "cpu", label: "CPU" },
  { column: "memory", label: "Memory" },
  { column: "disk", label: "Disk" },
  { column: "network", label: "Network" },
  { column: "uptime", label: "Uptime" },
  { column: "last-seen", label: "Last seen" },
];

/** Rows that are ordered by a measurement change places this often, so that one can still read and click them. */
const SETTLE_MS = 3_000;

export function ServerTable({ store }: { readonly store: FleetStore }) {
  const [sort, setSort] = useState(BY_NAME);
  const ids = useOrder(store, sort);
  const turn = (column: Column) => setSort(turned(sort, column));
  return (
    <>
      <NarrowSort
        options={COLUMNS.map(({ column, label }) => ({ value: column, label }))}
        value={sort.column}
        direction={sort.direction}
        choose={turn}
        setDirection={(direction) => setSort({ ...sort, direction })}
      />
      <table className="rows servers" role="table">
        <caption className="visually-hidden">Machines</caption>
        <thead role="rowgroup">
          <tr role="row">
            {COLUMNS.map(({ column, label }) => (
              <th
                key={column}
                scope="col"
                role="columnheader"
                data-column={column}
                aria-sort={sort.column === column ? sort.direction : "none"}
              >
                <button type="button" onClick={() => turn(column)}>
                  {label}
                  <span className="sort-mark" aria-hidden="true" />
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {ids.map((id) => (
            <ServerRow key={id} store={store} id={id} />
          ))}
        </tbody>
      </table>
    </>
  );
}

const selectServers = (view: View) => view.servers;

/** The ids in order: at once when a server or the wish has changed, now and then when only samples have. */
function useOrder(store: FleetStore, sort: Sort): readonly string[] {
  const servers = useView(store, selectServers);
  const [samples, setSamples] = useState(store.getView().samples);
  useEffect(() => {
    if (!isVolatile(sort.column)) return;
    const settle = () => setSamples(store.getView().samples);
    settle();
    const interval = setInterval(settle, SETTLE_MS);
    return () => clearInterval(interval);
  }, [store, sort.column]);
  return useMemo(() => order(servers, samples, sort), [servers, samples, sort]);
}

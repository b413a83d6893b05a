/** The order of the rows. */

import type { Item } from "muster-client";
import { current, type Sample, type Server, type ServerStatus, share } from "./records.ts";

export type Column = "status" | "name" | "cpu" | "memory" | "disk" | "network" | "uptime" | "last-seen";

export interface Sort {
  readonly column: Column;
  readonly direction: "ascending" | "descending";
}

export const BY_NAME: Sort = { column: "name", direction: "ascending" };

type Items<T> = ReadonlyMap<string, Item<T>>;
type Key = (server: Server, sample: Sample | undefined) => number | null;

const STATUS_RANK: Readonly<Record<ServerStatus, number>> = { online: 0, unknown: 1, offline: 2 };

/** Names are compared as people read them: web2 before web10. */
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

const KEYS: Readonly<Record<Exclude<Column, "name">, Key>> = {
  status: (server) => STATUS_RANK[server.status] ?? null,
  cpu: (_, sample) => sample?.cpu_percent ?? null,
  memory: (_, sample) => share(sample?.mem_used, sample?.mem_total),
  disk: (_, sample) => share(sample?.disk_used, sample?.disk_total),
  network: (_, sample) =>
    sample?.net_rx_rate == null && sample?.net_tx_rate == null
      ? null
      : (sample.net_rx_rate ?? 0) + (sample.net_tx_rate ?? 0),
  uptime: (_, sample) => sample?.uptime_s ?? null,
  // An online server was seen just now, whatever its record says.
  "last-seen": (server) => (server.status === "online" ? Infinity : time(server.last_seen)),
};

/** Whether the order by this column moves with every sample. */
export function isVolatile(column: Column): boolean {
  return !["status", "name", "last-seen"].includes(column);
}

/** What a click on the head of a column means: a new column starts where people look first, the same one turns. */
export function turned(sort: Sort, column: Column): Sort {
  if (sort.column === column) {
    return { column, direction: sort.direction === "ascending" ? "descending" : "ascending" };
  }
  return { column, direction: column === "name" || column === "status" ? "ascending" : "descending" };
}

/** The ids of the servers in order. A server without a value comes last in both directions; ties go by name. */
export function order(servers: Items<Server>, samples: Items<Sample>, sort: Sort): string[] {
  const sign = sort.direction === "ascending" ? 1 : -1;
  const rows = [...servers.values()].map(({ id, data }) => ({
    id,
    name: data.name,
    key: sort.column === "name" ? 0 : KEYS[sort.column](data, current(data, samples.get(id)?.data)),
  }));
  const nameSign = sort.column === "name" ? sign : 1;
  return rows
    .sort(
      (a, b) =>
        compareKeys(a.key, b.key, sign) ||
        nameSign * collator.compare(a.name, b.name) ||
        (a.id < b.id ? -1 : 1),
    )
    .map(({ id }) => id);
}

function compareKeys(a: number | null, b: number | null, sign: number): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return sign * (a < b ? -1 : 1);
}

function time(text: string | null | undefined): number | null {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? null : ms;
}

/** The records that the page shows, as their producers encode them. */

export type ServerStatus = "online" | "offline" | "unknown";

/** A record of the topic `servers`; only what the page reads. */
export interface Server {
  readonly name: string;
  readonly hostname?: string | null;
  readonly status: ServerStatus;
  /** RFC 3339. */
  readonly last_seen?: string | null;
  readonly tags?: readonly string[] | null;
}

/**
 * A record of the topic `metrics`: the latest sample of the server of the same id.
 * Sizes in bytes, rates in bytes per second. A machine sends only what it can measure.
 */
export interface Sample {
  readonly cpu_percent?: number | null;
  readonly mem_used?: number | null;
  readonly mem_total?: number | null;
  readonly disk_used?: number | null;
  readonly disk_total?: number | null;
  readonly net_rx_rate?: number | null;
  readonly net_tx_rate?: number | null;
  readonly uptime_s?: number | null;
}

/** The sample if it tells how the server is now: what a server said before it went away is not true any more. */
export function current(server: Server, sample: Sample | undefined): Sample | undefined {
  return server.status === "online" ? sample : undefined;
}

/** How much of a whole is used, in percent 0–100; null when either is not known. */
export function share(used: number | null | undefined, total: number | null | undefined): number | null {
  if (typeof used !== "number" || typeof total !== "number" || total <= 0) return null;
  return Math.min(100, Math.max(0, (used / total) * 100));
}

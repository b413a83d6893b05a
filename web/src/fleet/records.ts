/** The records that the page of the fleet shows, of which it knows only what it reads. */

import type * as declared from "../resources/generated.ts";

export type Server = Pick<declared.Server, "name" | "hostname" | "status" | "last_seen" | "tags">;

export type ServerStatus = Server["status"];

/**
 * The latest sample of the server of the same id. Sizes in bytes, rates in bytes per second. A machine sends only what
 * it can measure.
 */
export type Sample = Pick<
  declared.Sample,
  | "cpu_percent"
  | "mem_used"
  | "mem_total"
  | "disk_used"
  | "disk_total"
  | "net_rx_rate"
  | "net_tx_rate"
  | "uptime_s"
>;

/** The sample if it tells how the server is now: what a server said before it went away is not true any more. */
export function current(server: Server, sample: Sample | undefined): Sample | undefined {
  return server.status === "online" ? sample : undefined;
}

/** How much of a whole is used, in percent 0–100; null when either is not known. */
export function share(used: number | null | undefined, total: number | null | undefined): number | null {
  if (typeof used !== "number" || typeof total !== "number" || total <= 0) return null;
  return Math.min(100, Math.max(0, (used / total) * 100));
}

/** The fleet as the page draws it: one consistent view, replaced at most once per frame of the screen. */

import type { Item, MusterClient } from "muster-client";
import type { Shown } from "../condition.ts";
import type { Sample, Server, ServerStatus } from "./records.ts";

export const TOPICS = ["servers", "metrics"] as const;

export interface View extends Shown {
  readonly servers: ReadonlyMap<string, Item<Server>>;
  readonly samples: ReadonlyMap<string, Item<Sample>>;
  readonly counts: Readonly<Record<ServerStatus, number>>;
  /** When this view was last known to be the server's, `Date.now()`; null before the first time. */
  readonly liveMs: number | null;
}

const NO_COUNTS = { online: 0, offline: 0, unknown: 0 };

export class FleetStore {
  readonly #client: MusterClient;
  readonly #schedule: (flush: () => void) => void;
  readonly #listeners = new Set<() => void>();
  #isScheduled = false;
  #view: View;

  /**
   * `schedule` calls `flush` once, with the next frame. A hidden page draws no frames, and so does no work here;
   * the client below it keeps up all the same.
   */
  constructor(client: MusterClient, schedule: (flush: () => void) => void = requestAnimationFrame) {
    this.#client = client;
    this.#schedule = (flush) => schedule(flush);
    this.#view = this.#look(null);
  }

  /** Follow the fleet, by way of a client that somebody else starts; returns the way to stop. */
  start(): () => void {
    const stops = [
      this.#client.subscribe(() => this.#invalidate()),
      ...TOPICS.map((topic) => this.#client.watch(topic)),
    ];
    this.#invalidate();
    return () => {
      for (const stop of stops) stop();
    };
  }

  readonly getView = (): View => this.#view;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  #invalidate(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#schedule(() => {
      this.#isScheduled = false;
      this.#view = this.#look(this.#view);
      for (const listener of this.#listeners) listener();
    });
  }

  #look(last: View | null): View {
    const servers = this.#client.topic<Server>("servers").base?.items ?? new Map<string, Item<Server>>();
    const metrics = this.#client.topic<Sample>("metrics").base;
    const status = this.#client.status;
    return {
      servers,
      samples: metrics?.items ?? new Map<string, Item<Sample>>(),
      counts: servers === last?.servers ? last.counts : count(servers.values()),
      status,
      isLoaded: (last?.isLoaded ?? false) || (status.isLive && metrics !== null),
      liveMs: status.isLive ? Date.now() : (last?.liveMs ?? null),
    };
  }
}

function count(servers: Iterable<Item<Server>>): Record<ServerStatus, number> {
  const counts: Record<ServerStatus, number> = { ...NO_COUNTS };
  for (const { data } of servers) counts[data.status] = (counts[data.status] ?? 0) + 1;
  return counts;
}

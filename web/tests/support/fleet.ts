/** Fleets for the tests of what is shown. */

import type { Item } from "muster-client";
import { MusterClient } from "muster-client";
import { FakeWorld, HOME, welcome } from "../../../clients/js/tests/support/fake-socket.ts";
import type { Sample, Server } from "../../src/fleet/records.ts";
import { FleetStore } from "../../src/fleet/store.ts";

export function server(id: string, data: Partial<Server> = {}, version = 1): Item<Server> {
  return {
    id,
    version,
    data: { name: id, hostname: id, status: "online", last_seen: null, tags: [], ...data },
  };
}

export function sample(id: string, data: Partial<Sample> = {}, version = 1): Item<Sample> {
  return { id, version, data };
}

export const byId = <T>(...items: readonly Item<T>[]): Map<string, Item<T>> =>
  new Map(items.map((item) => [item.id, item]));

/** A store on a fake connection, whose frames of the screen come when the test says so. */
export class FakeFleet {
  readonly world = new FakeWorld();
  readonly client: MusterClient;
  readonly store: FleetStore;
  readonly #frames: (() => void)[] = [];

  constructor() {
    const { surroundings } = this.world;
    this.client = new MusterClient({ url: "ws://muster/ws", token: "token", surroundings });
    this.store = new FleetStore(this.client, (flush) => this.#frames.push(flush));
  }

  get pendingFrames(): number {
    return this.#frames.length;
  }

  /** The screen draws. */
  frame(): void {
    for (const flush of this.#frames.splice(0)) flush();
  }

  /** Connect and take the first snapshots. */
  async open(servers: readonly Item<Server>[], samples: readonly Item<Sample>[]): Promise<() => void> {
    const unwatch = this.store.start();
    this.client.start();
    await Promise.resolve();
    await Promise.resolve();
    this.world.socket.accept();
    this.world.socket.say(welcome());
    this.snapshot("servers", servers);
    this.snapshot("metrics", samples);
    this.frame();
    return () => {
      unwatch();
      this.client.stop();
    };
  }

  snapshot(topic: string, items: readonly Item[]): void {
    const version = Math.max(0, ...items.map((item) => item.version));
    this.world.socket.say({
      op: "snapshot",
      topic,
      workspace: HOME.id,
      epoch: "1",
      version,
      part: 1,
      parts: 1,
      items,
    });
  }

  /** One record is changed; its version is the topic's, too. */
  change(topic: string, { id, version, data }: Item): void {
    this.world.socket.say({
      op: "changes",
      topic,
      workspace: HOME.id,
      epoch: "1",
      prev: version - 1,
      version,
      changes: [{ id, action: "updated", version, data }],
    });
  }
}

import fc from "fast-check";
import { expect, test } from "vitest";
import type { Base } from "../src/base.ts";
import { digest } from "../src/digest.ts";
import type { Delivery, Position, TopicMessage } from "../src/protocol.ts";
import { apply, EMPTY, isCaughtUp, type Step, subscription, type TopicState } from "../src/topic.ts";
import { type Update, updateOf } from "../src/update.ts";
import { type Data, TopicLog, type Wish } from "./support/topic-log.ts";

type Event =
  | { readonly kind: "append"; readonly wishes: readonly Wish[] }
  | { readonly kind: "publish"; readonly overlap: number }
  | { readonly kind: "deliver"; readonly index: number; readonly keep: boolean }
  | { readonly kind: "lose"; readonly index: number }
  | { readonly kind: "bookmark" | "reconnect" | "snapshot" | "new epoch" };

const wish = fc.record({ id: fc.nat(5), value: fc.option(fc.nat(99), { freq: 4 }) });

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("append"),
      wishes: fc.array(wish, { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("publish"), overlap: fc.nat(3) }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("deliver"), index: fc.nat(20), keep: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("lose"), index: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("bookmark", "reconnect", "snapshot", "new epoch") }),
  },
);

/** A client, a server, and between them a network that loses, repeats and reorders what it carries. */
class World {
  readonly epochs: TopicLog[] = [new TopicLog("1")];
  client: TopicState<Data> = EMPTY;
  #inFlight: TopicMessage<Data>[] = [];
  #published = 0;
  readonly #parts: number;
  readonly #delivery: Delivery;
  /** What a listener knows who hears of updates only. */
  heard: Base<Data> | null = null;

  constructor(parts: number, delivery: Delivery) {
    this.#parts = parts;
    this.#delivery = delivery;
    this.#reconnect();
  }

  get log(): TopicLog {
    return this.epochs.at(-1) as TopicLog;
  }

  do(what: Event): void {
    switch (what.kind) {
      case "append":
        for (const each of what.wishes) this.log.append(each);
        return;
      case "publish":
        this.#publish(what.overlap);
        return;
      case "deliver":
        this.#deliver(what.index, what.keep);
        return;
      case "lose":
        this.#inFlight.splice(what.index, 1);
        return;
      case "bookmark":
        this.#inFlight.push(this.log.bookmark());
        return;
      case "snapshot":
        this.#inFlight.push(...this.log.snapshot(this.#parts));
        return;
      case "reconnect":
        this.#reconnect();
        return;
      case "new epoch":
        this.epochs.push(new TopicLog(String(this.epochs.length + 1), this.log));
        this.#published = this.log.version;
    }
  }

  /** The network behaves from now on, nobody edits, and bookmarks come as they do. */
  rest(): void {
    this.#publish(0);
    for (let round = 0; round < 6; round += 1) {
      this.#inFlight.push(this.log.bookmark());
      // A client that never stops asking is a fault, and no reason to deliver for ever.
      for (let i = 0; this.#inFlight.length > 0 && i < 1_000; i += 1) this.#deliver(0, false);
    }
  }

  #publish(overlap: number): void {
    const { log } = this;
    if (log.version === this.#published) return;
    this.#inFlight.push(...log.since(Math.max(log.start, this.#published - overlap), this.#delivery));
    this.#published = log.version;
  }

  #deliver(index: number, keep: boolean): void {
    const message = this.#inFlight[index];
    if (message === undefined) return;
    if (!keep) this.#inFlight.splice(index, 1);
    const { state, effect }: Step<Data> = apply(this.client, message);
    this.#hear(updateOf(this.client.base, state.base, message));
    this.client = state;
    if (effect.kind === "resubscribe") this.#answer(effect.since);
  }

  #hear(update: Update<Data> | null): void {
    if (update?.kind === "all") this.heard = update;
    if (update?.kind !== "changes") return;
    expect([update.epoch, update.prev]).toEqual([this.heard?.epoch, this.heard?.version]);
    const items = new Map(this.heard?.items);
    for (const { id, action, version, data } of update.changes) {
      if (action === "deleted") items.delete(id);
      else items.set(id, { id, version, data });
    }
    this.heard = { epoch: update.epoch, version: update.version, items };
  }

  #answer(since: Position | null): void {
    this.#inFlight.push(...this.log.answer(since, this.#parts, this.#delivery));
  }

  #reconnect(): void {
    this.#inFlight = [];
    this.#published = this.log.version;
    const { state, since } = subscription(this.client);
    this.client = state;
    this.#answer(since);
  }
}

const sorted = (items: Iterable<[string, unknown]>) => [...items].sort(([a], [b]) => (a < b ? -1 : 1));

const worlds = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.array(event, { maxLength: 60 }));

test.each<Delivery>(["batch", "each", "full"])(
  "with %s, a client never holds anything but the fold of the log at its version, and at rest that of the whole log",
  (delivery) => {
    fc.assert(
      fc.property(worlds, ([parts, events]) => {
        const world = new World(parts, delivery);
        for (const each of events) {
          world.do(each);
          const { base } = world.client;
          if (base === null) continue;
          const log = world.epochs.find(({ epoch }) => epoch === base.epoch) as TopicLog;
          expect(sorted(base.items)).toEqual(sorted(log.itemsAt(base.version)));
          expect(sorted(world.heard?.items ?? [])).toEqual(sorted(base.items));
        }
        world.rest();
        const { base } = world.client;
        expect(isCaughtUp(world.client)).toBe(true);
        expect([base?.epoch, base?.version]).toEqual([world.log.epoch, world.log.version]);
        expect(sorted(base?.items ?? [])).toEqual(sorted(world.log.itemsAt(world.log.version)));
        expect(digest(base?.items.values() ?? [])).toBe(world.log.bookmark().digest);
      }),
      { numRuns: 500 },
    );
  },
);

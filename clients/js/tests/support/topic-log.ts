/** A server's side of one topic, in memory: the log, and the frames and answers that it may send of it. */

import { digest } from "../../src/digest.ts";
import type {
  Bookmark,
  Change,
  Changes,
  Delivery,
  Full,
  Item,
  Position,
  Snapshot,
  Subscribed,
  Sync,
  TopicMessage,
} from "../../src/protocol.ts";

export interface Data {
  readonly value: number;
}

const TOPIC = { topic: "servers", workspace: "w_1" } as const;

/** One change that a test wishes for: of record `r<id>`, deleting it when `value` is null. */
export interface Wish {
  readonly id: number;
  readonly value: number | null;
}

export class TopicLog {
  readonly epoch: string;
  /** The version with which this epoch began. */
  readonly start: number;
  readonly #changes: Change<Data>[] = [];
  readonly #before: ReadonlyMap<string, Item<Data>>;

  /** A log that begins in a new epoch, where another one stood. */
  constructor(epoch: string, before?: TopicLog) {
    this.epoch = epoch;
    this.start = before?.version ?? 0;
    this.#before = before?.itemsAt(before.version) ?? new Map();
  }

  get version(): number {
    return this.start + this.#changes.length;
  }

  append({ id, value }: Wish): void {
    const change = { id: `r${id}`, version: this.version + 1 };
    this.#changes.push(
      value === null
        ? { ...change, action: "deleted", data: null }
        : { ...change, action: "updated", data: { value } },
    );
  }

  /** The fold of the log up to a version. */
  itemsAt(version: number): Map<string, Item<Data>> {
    const items = new Map(this.#before);
    for (const { id, action, version: at, data } of this.#changes.slice(0, version - this.start)) {
      if (action === "deleted") items.delete(id);
      else items.set(id, { id, version: at, data });
    }
    return items;
  }

  /** One conflated frame of everything after `prev` up to `version`. */
  frame(prev: number, version: number): Changes<Data> {
    const span = this.#changes.slice(prev - this.start, version - this.start);
    const last = new Map(span.map((change) => [change.id, change]));
    return { op: "changes", ...TOPIC, epoch: this.epoch, prev, version, changes: [...last.values()] };
  }

  snapshot(parts = 1): Snapshot<Data>[] {
    const items = [...this.itemsAt(this.version).values()];
    const size = Math.ceil(items.length / parts);
    return Array.from({ length: parts }, (_, i) => ({
      op: "snapshot",
      ...TOPIC,
      epoch: this.epoch,
      version: this.version,
      part: i + 1,
      parts,
      items: items.slice(i * size, (i + 1) * size),
    }));
  }

  /** Every change after `prev` up to `version` as a message of its own. */
  singles(prev: number, version: number): Sync<Data>[] {
    const { topic: resource, workspace } = TOPIC;
    const span = this.#changes.slice(prev - this.start, version - this.start);
    return span.map((change) => ({ op: "sync", resource, workspace, epoch: this.epoch, ...change }));
  }

  /** The whole list. */
  full(): Full<Data> {
    const items = [...this.itemsAt(this.version).values()];
    return { op: "full", ...TOPIC, epoch: this.epoch, version: this.version, items };
  }

  /** All that is sent after `prev` up to the last version, in the form that was asked for. */
  since(prev: number, delivery: Delivery): TopicMessage<Data>[] {
    if (delivery === "each") return this.singles(prev, this.version);
    return delivery === "full" ? [this.full()] : [this.frame(prev, this.version)];
  }

  /** What a broadcaster answers to a subscription. */
  answer(since: Position | null, parts = 1, delivery: Delivery = "batch"): TopicMessage<Data>[] {
    const canResume =
      since?.epoch === this.epoch && since.version >= this.start && since.version <= this.version;
    if (!canResume) return this.snapshot(parts);
    const subscribed: Subscribed = {
      op: "subscribed",
      ...TOPIC,
      epoch: this.epoch,
      version: since.version,
    };
    return since.version === this.version
      ? [subscribed]
      : [subscribed, ...this.since(since.version, delivery)];
  }

  bookmark(): Bookmark {
    const items = this.itemsAt(this.version);
    return {
      op: "bookmark",
      ...TOPIC,
      epoch: this.epoch,
      version: this.version,
      digest: digest(items.values()),
    };
  }
}

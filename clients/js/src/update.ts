/** What one message has done to a topic, for those who want to hear of changes rather than look at the whole. */

import type { Base } from "./base.ts";
import type { Change, Item, Position, TopicMessage } from "./protocol.ts";
import { changesOf } from "./topic.ts";

export type Update<T = unknown> =
  /** Everything was replaced. */
  | ({ readonly kind: "all"; readonly items: ReadonlyMap<string, Item<T>> } & Position)
  /** These changes were applied, each of which is told once: the updates of an epoch join without gap or overlap. */
  | ({ readonly kind: "changes"; readonly prev: number; readonly changes: readonly Change<T>[] } & Position);

/** The update that led from one base to the next by way of a message; null if nothing was applied. */
export function updateOf<T>(
  before: Base<T> | null,
  after: Base<T> | null,
  message: TopicMessage<T>,
): Update<T> | null {
  if (after === null || after === before) return null;
  const { epoch, version } = after;
  const isChange = message.op === "changes" || message.op === "sync";
  if (!isChange || before?.epoch !== epoch) return everything(after);
  const { changes } = message.op === "sync" ? changesOf(message) : message;
  const fresh = changes.filter((change) => change.version > before.version);
  return { kind: "changes", epoch, prev: before.version, version, changes: fresh };
}

/** All that is known, as an update for who has heard nothing yet. */
export function everything<T>({ epoch, version, items }: Base<T>): Update<T> {
  return { kind: "all", epoch, version, items };
}

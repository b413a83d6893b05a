/**
 * One topic as a client holds it: a state machine without I/O that never applies across a gap.
 *
 * `subscription` says what to ask for, `apply` takes what the server says and tells whether to ask again. Both
 * return a new state and leave the old one as it was, so that a state may be kept and compared by identity.
 */

import { type Base, changed } from "./base.ts";
import { digest } from "./digest.ts";
import type {
  Bookmark,
  Change,
  Changes,
  Full,
  Item,
  Position,
  Snapshot,
  Subscribed,
  Sync,
  TopicMessage,
} from "./protocol.ts";

/** Changes that may wait for the rest of a snapshot. What comes beyond them shows up as a gap, which heals. */
const MAX_HELD = 256;

/** Bookmarks in a row that could not be matched before the topic is asked for again; the first may be early. */
const MAX_UNMATCHED = 2;

/** A snapshot of which some parts have come. */
interface Assembly<T> extends Position {
  readonly parts: number;
  readonly received: ReadonlyMap<number, readonly Item<T>[]>;
  readonly held: readonly Changes<T>[];
}

export interface TopicState<T> {
  /** What is known; null until the first snapshot. */
  readonly base: Base<T> | null;
  /**
   * What was asked and is not answered yet. While a `snapshot` is awaited, `base` is no longer trusted: it may be
   * shown, but nothing is applied to it and it is not named as a place to resume from.
   */
  readonly awaiting: "nothing" | "resume" | "snapshot";
  readonly assembly: Assembly<T> | null;
  /** Bookmarks in a row that could not be matched. */
  readonly unmatched: number;
}

/** What the caller must do: nothing, or subscribe again, from `since` or (null) from a snapshot. */
export type Effect =
  | { readonly kind: "none" }
  | { readonly kind: "resubscribe"; readonly since: Position | null };

export interface Step<T> {
  readonly state: TopicState<T>;
  readonly effect: Effect;
}

export const EMPTY: TopicState<never> = { base: null, awaiting: "snapshot", assembly: null, unmatched: 0 };

/** Whether the state is what the server last said, with nothing asked and unanswered. */
export function isCaughtUp(state: TopicState<unknown>): boolean {
  return state.base !== null && state.awaiting === "nothing" && state.assembly === null;
}

/** A state to begin with, from what was kept of an earlier one. */
export function kept<T>(base: Base<T>): TopicState<T> {
  return { ...EMPTY, base, awaiting: "resume" };
}

/** Trust what is held no more: the next question is for a snapshot. What is held may be shown meanwhile. */
export function distrusted<T>(state: TopicState<T>): TopicState<T> {
  return { ...state, awaiting: "snapshot", assembly: null };
}

/** Whether a bookmark proves that the state is what the server has. */
export function isProven(
  state: TopicState<unknown>,
  { epoch, version, digest: expected }: Bookmark,
): boolean {
  const { base } = state;
  if (base === null || !isCaughtUp(state)) return false;
  return base.epoch === epoch && base.version === version && digest(base.items.values()) === expected;
}

/** Ask for the topic, on a new connection or again on the same: the new state and the `since` to send. */
export function subscription<T>(state: TopicState<T>): { state: TopicState<T>; since: Position | null } {
  const since = state.awaiting === "snapshot" ? null : position(state.base);
  const awaiting = since === null ? "snapshot" : "resume";
  return { state: { ...state, awaiting, assembly: null, unmatched: 0 }, since };
}

/** Take one message of the topic. */
export function apply<T>(state: TopicState<T>, message: TopicMessage<T>): Step<T> {
  switch (message.op) {
    case "changes":
      return applyChanges(state, message);
    case "sync":
      return applyChanges(state, changesOf(message));
    case "full":
      return applyFull(state, message);
    case "snapshot":
      return applySnapshot(state, message);
    case "subscribed":
      return applySubscribed(state, message);
    case "bookmark":
      return applyBookmark(state, message);
  }
}

/** A single change as the change set that it is: one version long. */
export function changesOf<T>({ resource, epoch, version, id, action, data }: Sync<T>): Changes<T> {
  // That there is data unless it was deleted was seen when the frame was read.
  const change = { id, action, version, data } as Change<T>;
  return { op: "changes", topic: resource, epoch, prev: version - 1, version, changes: [change] };
}

function applyChanges<T>(state: TopicState<T>, message: Changes<T>): Step<T> {
  const { base, assembly } = state;
  if (assembly !== null) return still({ ...state, assembly: hold(assembly, message) });
  if (base === null || state.awaiting === "snapshot") return still(state);
  if (message.epoch !== base.epoch) return state.awaiting === "nothing" ? refetch(state) : still(state);
  if (message.version <= base.version) return still(state);
  if (message.prev > base.version) return state.awaiting === "nothing" ? resume(state) : still(state);

  const fresh = message.changes.filter(({ version }) => version > base.version);
  return still({ ...state, base: changed(base, message.version, fresh), unmatched: 0 });
}

function applySnapshot<T>(state: TopicState<T>, message: Snapshot<T>): Step<T> {
  if (isOutdated(state, message)) return still(state);
  const assembly = collect(state.assembly, message);
  if (assembly.received.size < assembly.parts) return still({ ...state, assembly });

  const base = install(state, assembly);
  const installed: TopicState<T> = { base, awaiting: "nothing", assembly: null, unmatched: 0 };
  return assembly.held.reduce<Step<T>>((step, changes) => {
    const next = applyChanges(step.state, changes);
    return next.effect.kind === "none" ? { ...next, effect: step.effect } : next;
  }, still(installed));
}

/** A whole list is a snapshot of one part that nobody asked for, but of this epoch; it answers whatever is awaited. */
function applyFull<T>(state: TopicState<T>, message: Full<T>): Step<T> {
  const { base, awaiting } = state;
  if (base !== null && awaiting === "nothing") {
    if (message.epoch !== base.epoch) return refetch(state);
    if (message.version <= base.version) return still(state);
  }
  return applySnapshot(state, { ...message, op: "snapshot", part: 1, parts: 1 });
}

function applySubscribed<T>(state: TopicState<T>, message: Subscribed): Step<T> {
  const { base } = state;
  // While a snapshot is awaited, this answers an earlier question.
  if (base === null || state.awaiting === "snapshot") return still(state);
  if (message.epoch !== base.epoch) return refetch(state);
  return still({ ...state, awaiting: "nothing" });
}

function applyBookmark<T>(state: TopicState<T>, message: Bookmark): Step<T> {
  const { base } = state;
  if (base === null || !isCaughtUp(state)) return unmatched(state, refetch);
  if (message.epoch !== base.epoch) return refetch(state);
  if (message.version < base.version) return still(state);
  // Ahead of us: its changes may be on their way, and are missed only if they do not come.
  if (message.version > base.version) return unmatched(state, resume);
  return message.digest === digest(base.items.values()) ? still({ ...state, unmatched: 0 }) : refetch(state);
}

/**
 * Whether a snapshot is older than what is held and answers no question. The answer to a resume may be older: the
 * version that we claimed never was, or was lost.
 */
function isOutdated<T>({ base, awaiting }: TopicState<T>, { epoch, version }: Snapshot<T>): boolean {
  return base !== null && awaiting === "nothing" && epoch === base.epoch && version < base.version;
}

function collect<T>(begun: Assembly<T> | null, message: Snapshot<T>): Assembly<T> {
  const { epoch, version, parts, part, items } = message;
  const belongs = begun?.epoch === epoch && begun.version === version && begun.parts === parts;
  const received = new Map(belongs ? begun.received : []).set(part, items);
  return { epoch, version, parts, received, held: begun?.held ?? [] };
}

/** Records that the snapshot finds unchanged stay the same objects, so that nobody redraws them. */
function install<T>({ base, awaiting }: TopicState<T>, { epoch, version, received }: Assembly<T>): Base<T> {
  const known = base?.epoch === epoch && awaiting !== "snapshot" ? base.items : new Map<string, Item<T>>();
  const items = new Map<string, Item<T>>();
  for (const item of [...received.values()].flat()) {
    const held = known.get(item.id);
    items.set(item.id, held?.version === item.version ? held : item);
  }
  return { epoch, version, items };
}

function hold<T>(assembly: Assembly<T>, message: Changes<T>): Assembly<T> {
  if (assembly.held.length >= MAX_HELD) return assembly;
  return { ...assembly, held: [...assembly.held, message] };
}

function unmatched<T>(state: TopicState<T>, remedy: (state: TopicState<T>) => Step<T>): Step<T> {
  const count = state.unmatched + 1;
  return count < MAX_UNMATCHED ? still({ ...state, unmatched: count }) : remedy(state);
}

const still = <T>(state: TopicState<T>): Step<T> => ({ state, effect: { kind: "none" } });

function resume<T>(state: TopicState<T>): Step<T> {
  return resubscribe({ ...state, awaiting: "resume" });
}

function refetch<T>(state: TopicState<T>): Step<T> {
  return resubscribe({ ...state, awaiting: "snapshot" });
}

function resubscribe<T>(state: TopicState<T>): Step<T> {
  const asked = subscription(state);
  return { state: asked.state, effect: { kind: "resubscribe", since: asked.since } };
}

function position(base: Base<unknown> | null): Position | null {
  return base === null ? null : { epoch: base.epoch, version: base.version };
}

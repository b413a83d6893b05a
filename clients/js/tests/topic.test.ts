import { describe, expect, test } from "vitest";
import type { Base } from "../src/base.ts";
import type { Bookmark, Changes, Snapshot, Subscribed, TopicMessage } from "../src/protocol.ts";
import {
  apply,
  distrusted,
  EMPTY,
  isCaughtUp,
  isProven,
  kept,
  type Step,
  subscription,
  type TopicState,
} from "../src/topic.ts";
import { type Data, TopicLog } from "./support/topic-log.ts";

const NONE = { kind: "none" };
const FROM_SNAPSHOT = { kind: "resubscribe", since: null };

/** A log of six changes of two records, in epoch 3. */
function log(): TopicLog {
  const topic = new TopicLog("3");
  for (const [index, id] of [1, 2, 1, 2, 1, 2].entries()) topic.append({ id, value: index + 1 });
  return topic;
}

/** A client that follows `log()` and is at version `version`. */
function following(version: number): TopicState<Data> {
  const items = log().itemsAt(version);
  return { ...EMPTY, base: { epoch: "3", version, items }, awaiting: "nothing" };
}

function feed(state: TopicState<Data>, messages: readonly TopicMessage<Data>[]): Step<Data> {
  let step: Step<Data> = { state, effect: { kind: "none" } };
  for (const message of messages) step = apply(step.state, message);
  return step;
}

const values = ({ base }: TopicState<Data>) =>
  Object.fromEntries([...(base?.items ?? [])].map(([id, { data }]) => [id, data.value]));

describe("a change frame", () => {
  test("of another epoch has the client subscribe without since", () => {
    const { state, effect } = apply(following(2), { ...log().frame(2, 3), epoch: "4" });
    expect(effect).toEqual(FROM_SNAPSHOT);
    expect(values(state)).toEqual({ r1: 1, r2: 2 });
  });

  test("that ends at or before the client's version is skipped", () => {
    const state = following(4);
    expect(apply(state, log().frame(2, 4))).toEqual({ state, effect: NONE });
    expect(apply(state, log().frame(1, 3))).toEqual({ state, effect: NONE });
  });

  test("that begins at the client's version is applied", () => {
    const { state, effect } = apply(following(2), log().frame(2, 4));
    expect(effect).toEqual(NONE);
    expect(state.base?.version).toBe(4);
    expect(values(state)).toEqual({ r1: 3, r2: 4 });
  });

  test("that begins before the client's version is applied from there on only", () => {
    const frame: Changes<Data> = {
      ...log().frame(1, 4),
      changes: [
        { id: "r2", action: "updated", version: 2, data: { value: -1 } },
        { id: "r1", action: "updated", version: 3, data: { value: -1 } },
        { id: "r2", action: "updated", version: 4, data: { value: 4 } },
      ],
    };
    const { state, effect } = apply(following(3), frame);
    expect(effect).toEqual(NONE);
    expect(state.base?.version).toBe(4);
    expect(values(state)).toEqual({ r1: 3, r2: 4 });
  });

  test("that begins after the client's version is a gap: the client subscribes with its own since", () => {
    const { state, effect } = apply(following(2), log().frame(3, 4));
    expect(effect).toEqual({ kind: "resubscribe", since: { epoch: "3", version: 2 } });
    expect(values(state)).toEqual({ r1: 1, r2: 2 });
  });

  test("removes what it deletes", () => {
    const topic = log();
    topic.append({ id: 1, value: null });
    expect(values(apply(following(6), topic.frame(6, 7)).state)).toEqual({ r2: 6 });
  });

  test("leaves the state before it as it was", () => {
    const before = following(2);
    apply(before, log().frame(2, 4));
    expect(values(before)).toEqual({ r1: 1, r2: 2 });
  });

  test("behind a gap does not have the client ask twice", () => {
    const { effect } = feed(following(2), [log().frame(3, 4), log().frame(4, 5)]);
    expect(effect).toEqual(NONE);
  });

  test("is not applied while a snapshot is awaited, for what is held is not trusted then", () => {
    const { state } = apply(following(2), { ...log().frame(2, 3), epoch: "4" });
    expect(apply(state, log().frame(2, 4))).toEqual({ state, effect: NONE });
  });
});

describe("a snapshot", () => {
  const asked = subscription<Data>(EMPTY).state;

  test("of one part is applied at once", () => {
    const { state, effect } = feed(asked, log().snapshot());
    expect(effect).toEqual(NONE);
    expect(state.base).toEqual({ epoch: "3", version: 6, items: log().itemsAt(6) });
    expect(isCaughtUp(state)).toBe(true);
  });

  test("of several parts is applied when the last has come, in whatever order", () => {
    const [first, second] = log().snapshot(2) as [Snapshot<Data>, Snapshot<Data>];
    const half = feed(asked, [second]).state;
    expect(half.base).toBeNull();
    expect(isCaughtUp(half)).toBe(false);
    expect(feed(half, [first]).state.base?.items).toEqual(log().itemsAt(6));
  });

  test("keeps the changes that come between its parts", () => {
    const topic = log();
    const [first, second] = topic.snapshot(2) as [Snapshot<Data>, Snapshot<Data>];
    topic.append({ id: 3, value: 7 });
    const { state, effect } = feed(asked, [first, topic.frame(6, 7), second]);
    expect(effect).toEqual(NONE);
    expect(state.base).toEqual({ epoch: "3", version: 7, items: topic.itemsAt(7) });
  });

  test("finds a gap among the changes between its parts", () => {
    const topic = log();
    const [first, second] = topic.snapshot(2) as [Snapshot<Data>, Snapshot<Data>];
    topic.append({ id: 3, value: 7 });
    topic.append({ id: 3, value: 8 });
    topic.append({ id: 3, value: 9 });
    const { effect } = feed(asked, [first, topic.frame(7, 8), topic.frame(8, 9), second]);
    expect(effect).toEqual({ kind: "resubscribe", since: { epoch: "3", version: 6 } });
  });

  test("that is begun anew forgets the parts of the one before", () => {
    const topic = log();
    const [, stale] = topic.snapshot(2) as [Snapshot<Data>, Snapshot<Data>];
    topic.append({ id: 1, value: 7 });
    expect(feed(asked, [stale, ...topic.snapshot(2)]).state.base?.items).toEqual(topic.itemsAt(7));
  });

  test("that nobody asked for replaces everything", () => {
    const { state } = feed(following(2), log().snapshot());
    expect(state.base).toEqual({ epoch: "3", version: 6, items: log().itemsAt(6) });
  });

  test("of a new epoch replaces everything, also at a lower version", () => {
    const topic = new TopicLog("4");
    topic.append({ id: 9, value: 1 });
    expect(feed(following(6), topic.snapshot()).state.base).toEqual({
      epoch: "4",
      version: 1,
      items: topic.itemsAt(1),
    });
  });

  test("that answers a resume is taken also when it is older: the claimed version never was", () => {
    const topic = new TopicLog("3");
    topic.append({ id: 1, value: 1 });
    const step = feed(subscription(following(6)).state, topic.snapshot());
    expect(step.state.base?.version).toBe(1);
    expect(values(step.state)).toEqual({ r1: 1 });
    expect(isCaughtUp(step.state)).toBe(true);
  });

  test("that is older than what is held does not set the client back", () => {
    const topic = new TopicLog("3");
    topic.append({ id: 1, value: 1 });
    const state = following(6);
    expect(feed(state, topic.snapshot())).toEqual({ state, effect: NONE });
  });

  test("does not replace the objects of records that it finds unchanged", () => {
    const before = following(5);
    const after = feed(before, log().snapshot()).state;
    expect(after.base?.items.get("r1")).toBe(before.base?.items.get("r1"));
    expect(after.base?.items.get("r2")).not.toBe(before.base?.items.get("r2"));
  });
});

describe("a single change", () => {
  test("is a change set of one version", () => {
    const { state, effect } = feed(following(2), log().singles(2, 4));
    expect(effect).toEqual(NONE);
    expect(state.base).toEqual({ epoch: "3", version: 4, items: log().itemsAt(4) });
  });

  test("that was seen before is skipped", () => {
    const state = following(4);
    expect(feed(state, log().singles(2, 4))).toEqual({ state, effect: NONE });
  });

  test("behind a gap is not applied", () => {
    const { state, effect } = feed(following(2), log().singles(3, 4));
    expect(effect).toEqual({ kind: "resubscribe", since: { epoch: "3", version: 2 } });
    expect(values(state)).toEqual({ r1: 1, r2: 2 });
  });
});

describe("a whole list", () => {
  test("replaces everything, also across a gap", () => {
    const { state, effect } = apply(following(2), log().full());
    expect(effect).toEqual(NONE);
    expect(state.base).toEqual({ epoch: "3", version: 6, items: log().itemsAt(6) });
  });

  test("of a version that is held is skipped", () => {
    const state = following(6);
    expect(apply(state, log().full()).state).toBe(state);
  });

  test("of another epoch leads to a snapshot", () => {
    const { state, effect } = apply(following(6), { ...log().full(), epoch: "4", version: 7 });
    expect(effect).toEqual({ kind: "resubscribe", since: null });
    expect([state.base?.epoch, state.base?.version]).toEqual(["3", 6]);
  });

  test("answers what is awaited", () => {
    const { state } = apply(subscription<Data>(EMPTY).state, log().full());
    expect(isCaughtUp(state)).toBe(true);
  });
});

describe("what was kept", () => {
  test("is resumed from, and is not taken for current before", () => {
    const { base } = following(4);
    const state = kept(base as Base<Data>);
    expect(isCaughtUp(state)).toBe(false);
    expect(subscription(state).since).toEqual({ epoch: "3", version: 4 });
  });

  test("is not resumed from when it is not trusted", () => {
    expect(subscription(distrusted(following(4))).since).toBeNull();
  });
});

describe("a proof", () => {
  test("is a bookmark of the same position with the same digest", () => {
    const bookmark = log().bookmark();
    expect(isProven(following(6), bookmark)).toBe(true);
    expect(isProven(following(5), bookmark)).toBe(false);
    expect(isProven(following(6), { ...bookmark, digest: bookmark.digest + 1 })).toBe(false);
    expect(isProven(following(6), { ...bookmark, epoch: "4" })).toBe(false);
    expect(isProven(subscription(following(6)).state, bookmark)).toBe(false);
  });
});

describe("a subscription", () => {
  test("names no since on a first visit", () => {
    expect(subscription(EMPTY).since).toBeNull();
  });

  test("resumes from where the client is", () => {
    expect(subscription(following(4)).since).toEqual({ epoch: "3", version: 4 });
  });

  test("names no since while what is held is not trusted, also on the next connection", () => {
    const { state } = apply(following(2), { ...log().frame(2, 3), epoch: "4" });
    expect(subscription(subscription(state).state).since).toBeNull();
  });

  test("drops the parts of a snapshot that the last connection began", () => {
    const { state } = feed(subscription<Data>(EMPTY).state, log().snapshot(2).slice(0, 1));
    expect(subscription(state).state.assembly).toBeNull();
  });

  test("that is taken up again leads on with what was missed", () => {
    const asked = subscription(following(2));
    expect(isCaughtUp(asked.state)).toBe(false);
    const { state, effect } = feed(asked.state, log().answer(asked.since));
    expect(effect).toEqual(NONE);
    expect(isCaughtUp(state)).toBe(true);
    expect(state.base?.items).toEqual(log().itemsAt(6));
  });

  test("that another epoch says it has taken up is asked for again, from a snapshot", () => {
    const [subscribed] = log().answer({ epoch: "3", version: 2 }) as [Subscribed];
    const { effect } = apply(subscription(following(2)).state, { ...subscribed, epoch: "4" });
    expect(effect).toEqual(FROM_SNAPSHOT);
  });
});

describe("a bookmark", () => {
  const bookmark: Bookmark = log().bookmark();

  test("with the same digest at the same version changes nothing", () => {
    const state = following(6);
    expect(apply(state, bookmark)).toEqual({ state, effect: NONE });
  });

  test("with another digest at the same version has the client subscribe without since", () => {
    const { state, effect } = apply(following(6), { ...bookmark, digest: bookmark.digest + 1 });
    expect(effect).toEqual(FROM_SNAPSHOT);
    expect(isCaughtUp(state)).toBe(false);
  });

  test("of another epoch has the client subscribe without since", () => {
    expect(apply(following(6), { ...bookmark, epoch: "4" }).effect).toEqual(FROM_SNAPSHOT);
  });

  test("behind the client is skipped", () => {
    const state = following(6);
    expect(apply(state, { ...bookmark, version: 5, digest: bookmark.digest + 1 })).toEqual({
      state,
      effect: NONE,
    });
  });

  test("ahead of the client may be early, but not twice", () => {
    const first = apply(following(4), bookmark);
    expect(first.effect).toEqual(NONE);
    expect(apply(first.state, bookmark).effect).toEqual({
      kind: "resubscribe",
      since: { epoch: "3", version: 4 },
    });
  });

  test("ahead of the client is forgiven when changes have come since", () => {
    const { effect } = feed(following(3), [bookmark, log().frame(3, 4), bookmark]);
    expect(effect).toEqual(NONE);
  });

  test("twice without the answer that is awaited has the client ask again", () => {
    const { effect } = feed(subscription<Data>(EMPTY).state, [bookmark, bookmark]);
    expect(effect).toEqual(FROM_SNAPSHOT);
  });
});

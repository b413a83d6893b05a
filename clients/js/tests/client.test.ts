import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MusterClient } from "../src/client.ts";
import type { Delivery } from "../src/protocol.ts";
import { FakeSocket, FakeWorld, HOME, welcome } from "./support/fake-socket.ts";
import { TopicLog } from "./support/topic-log.ts";

let world: FakeWorld;
let log: TopicLog;
let client: MusterClient;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "error").mockReturnValue();
  world = new FakeWorld();
  log = new TopicLog("3");
  log.append({ id: 1, value: 1 });
  client = newClient();
});

afterEach(() => {
  client.stop();
  vi.useRealTimers();
});

function newClient(workspace: string | null = null): MusterClient {
  const { surroundings } = world;
  return new MusterClient({
    url: "ws://muster/ws",
    token: "token",
    topics: ["servers"],
    workspace,
    surroundings,
  });
}

/** Connect, or connect again, up to the welcome; gives what the client asks for. */
async function open(workspaces = [HOME]) {
  client.start();
  await vi.advanceTimersByTimeAsync(1_000);
  world.socket.accept();
  world.socket.take();
  world.socket.say(welcome(900, workspaces));
  return world.socket.take();
}

function say(messages: readonly object[]) {
  for (const message of messages) world.socket.say(message);
}

const SUBSCRIBE = { op: "subscribe", topic: "servers", workspace: "w_1" };

test("a first visit subscribes without since, and is live with the snapshot", async () => {
  expect(await open()).toEqual([SUBSCRIBE]);
  expect(client.status.isLive).toBe(false);
  say(log.answer(null));
  expect(client.status.isLive).toBe(true);
  expect(client.topic("servers").base?.items).toEqual(log.itemsAt(1));
});

test("a new connection resumes from where the client is, and shows what it has meanwhile", async () => {
  await open();
  say(log.answer(null));
  world.socket.end(1006);
  expect(client.status.isLive).toBe(false);
  expect(client.topic("servers").base?.items).toEqual(log.itemsAt(1));
  log.append({ id: 2, value: 2 });
  expect(await open()).toEqual([{ ...SUBSCRIBE, since: { epoch: "3", version: 1 } }]);
  say(log.answer({ epoch: "3", version: 1 }));
  expect(client.status.isLive).toBe(true);
  expect(client.topic("servers").base?.items).toEqual(log.itemsAt(2));
});

test("a gap is asked for at once, and again only with pauses", async () => {
  await open();
  say(log.answer(null));
  for (let value = 2; value <= 5; value += 1) log.append({ id: 1, value });
  const [subscribed] = log.answer({ epoch: "3", version: 1 }) as [object];
  const since = { epoch: "3", version: 1 };

  say([log.frame(2, 3)]);
  expect(world.socket.take()).toEqual([{ ...SUBSCRIBE, since }]);
  say([subscribed, log.frame(3, 4)]);
  expect(world.socket.take()).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(world.socket.take()).toEqual([{ ...SUBSCRIBE, since }]);
  say([subscribed, log.frame(1, 5)]);
  expect(client.status.isLive).toBe(true);
});

test("messages of another workspace are not taken for ours", async () => {
  await open();
  say(log.answer(null).map((message) => ({ ...message, workspace: "w_2" })));
  expect(client.topic("servers").base).toBeNull();
});

test("the first workspace is taken when none is wished for, or one that the person is not in", async () => {
  const other = { id: "w_2", name: "Other", role: "viewer" };
  client = newClient("w_3");
  expect(await open([HOME, other])).toEqual([SUBSCRIBE]);
  expect(client.status.workspaces).toEqual([HOME, other]);
});

test("the workspace that is wished for is taken", async () => {
  const other = { id: "w_2", name: "Other", role: "viewer" };
  client = newClient("w_2");
  expect(await open([HOME, other])).toEqual([{ ...SUBSCRIBE, workspace: "w_2" }]);
});

test("a person in no workspace is connected but sees nothing", async () => {
  expect(await open([])).toEqual([]);
  expect(client.status).toMatchObject({ workspace: null, isLive: false });
});

test("a refusal for now is asked again after the pause that the server named", async () => {
  world.random = 0;
  await open();
  say([{ op: "error", code: "unavailable", message: "not now", topic: "servers", retry_after_ms: 3_000 }]);
  await vi.advanceTimersByTimeAsync(2_999);
  expect(world.socket.take()).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(world.socket.take()).toEqual([SUBSCRIBE]);
  say(log.answer(null));
  expect(client.status).toMatchObject({ isLive: true, refusal: null });
});

test("a refusal for good is told, and not asked again", async () => {
  await open();
  const refusal = { op: "error", code: "forbidden", message: "no", topic: "servers" };
  say([refusal]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(world.socket.take()).toEqual([]);
  expect(client.status.refusal).toEqual(refusal);
});

describe("a topic that is refused for now", () => {
  const NOT_NOW = {
    op: "error",
    code: "unavailable",
    message: "not now",
    topic: "servers",
    retry_after_ms: 3_000,
  };
  const NOT_SUBSCRIBED = { op: "error", code: "bad_request", message: "no subscription", topic: "servers" };

  beforeEach(async () => {
    await open();
    say([NOT_NOW]);
  });

  test("is not checked before it is asked for again", async () => {
    client.wake();
    await expect(client.check("servers")).rejects.toMatchObject({ name: "RetryLater" });
    expect(world.socket.take()).toEqual([]);
  });

  test("is not ended when nobody watches it any more, for there is nothing to end", () => {
    client.unwatch("servers");
    expect(world.socket.take()).toEqual([]);
  });

  test("is not refused for good by the answer to a check that was on its way", async () => {
    say([NOT_SUBSCRIBED]);
    expect(client.status.refusal).toEqual(NOT_NOW);
  });
});

test("the clock of the server is known from its welcome", async () => {
  client.start();
  await vi.advanceTimersByTimeAsync(0);
  world.socket.accept();
  world.socket.say({ ...welcome(), server_time: new Date(Date.now() + 90_000).toISOString() });
  expect(client.status.clockOffsetMs).toBe(90_000);
});

test("a client that is stopped as it begins to connect leaves the page alone", async () => {
  client.subscribe(() => client.stop());
  client.start();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(world.sockets).toHaveLength(0);
  expect(world.isPageWatched).toBe(false);
});

test("listeners are told until they stop listening", async () => {
  const listener = vi.fn();
  const stop = client.subscribe(listener);
  await open();
  expect(listener).toHaveBeenCalled();
  stop();
  listener.mockClear();
  say(log.answer(null));
  expect(listener).not.toHaveBeenCalled();
});

describe("topics at run time", () => {
  const REGIONS = { op: "subscribe", topic: "regions", workspace: "w_1" };

  test("a topic is subscribed with its options when the first begins to watch it, and ended with the last", async () => {
    await open();
    const stop = client.watch("regions", { delivery: "each", tickMs: 2_000 });
    const stopAgain = client.watch("regions", { delivery: "full" });
    expect(world.socket.take()).toEqual([{ ...REGIONS, delivery: "each", tick_ms: 2_000 }]);
    stop();
    stop();
    expect(world.socket.take()).toEqual([]);
    stopAgain();
    expect(world.socket.take()).toEqual([{ op: "unsubscribe", topic: "regions", workspace: "w_1" }]);
    client.unwatch("regions");
    expect(world.socket.take()).toEqual([]);
  });

  test("a topic watched before the connection is open is subscribed with it, one that is not watched any more is not", async () => {
    client.watch("regions");
    client.watch("networks");
    client.unwatch("networks");
    expect(await open()).toEqual([SUBSCRIBE, REGIONS]);
  });

  test("who watches a topic again resumes from what is known", async () => {
    await open();
    say(log.answer(null));
    client.unwatch("servers");
    log.append({ id: 2, value: 2 });
    say([log.frame(1, 2)]);
    expect(client.topic("servers").base?.version).toBe(1);
    world.socket.take();
    client.watch("servers");
    expect(world.socket.take()).toEqual([{ ...SUBSCRIBE, since: { epoch: "3", version: 1 } }]);
  });

  test("a topic that nobody watches any more holds nothing up", async () => {
    await open();
    say(log.answer(null));
    const stop = client.watch("regions");
    expect(client.status.isLive).toBe(false);
    stop();
    expect(client.status.isLive).toBe(true);
  });

  test.each<Delivery>(["batch", "each", "full"])("with %s, the state is the same", async (delivery) => {
    await open();
    client.unwatch("servers");
    client.watch("servers", { delivery });
    say(log.answer(null));
    log.append({ id: 2, value: 2 });
    log.append({ id: 1, value: null });
    say(log.since(1, delivery));
    expect(client.topic("servers").base).toEqual({ epoch: "3", version: 3, items: log.itemsAt(3) });
    expect(client.status.isLive).toBe(true);
  });
});

describe("a listener", () => {
  test("hears each change once, whatever overlaps", async () => {
    const listener = vi.fn();
    client.listen("servers", listener);
    await open();
    say(log.answer(null));
    for (let value = 2; value <= 4; value += 1) log.append({ id: value, value });
    say([log.frame(1, 3), log.frame(1, 3), log.frame(2, 4)]);
    const updates = listener.mock.calls.map(([update]) => [update.kind, update.prev, update.version]);
    expect(updates).toEqual([
      ["all", undefined, 1],
      ["changes", 1, 3],
      ["changes", 3, 4],
    ]);
    expect(listener.mock.lastCall?.[0].changes).toEqual(log.frame(3, 4).changes);
    expect(listener.mock.lastCall?.[1]).toBe(client.topic("servers").base);
  });

  test("that comes later hears first of all that is known, until it stops", async () => {
    await open();
    say(log.answer(null));
    const listener = vi.fn();
    const stop = client.listen("servers", listener);
    expect(listener.mock.calls).toEqual([
      [{ kind: "all", epoch: "3", version: 1, items: log.itemsAt(1) }, client.topic("servers").base],
    ]);
    stop();
    log.append({ id: 2, value: 2 });
    say([log.frame(1, 2)]);
    expect(listener).toHaveBeenCalledTimes(1);
    expect(client.isWatched("servers")).toBe(true);
  });

  test("that begins while an update is told hears it once, and one that has stopped does not", async () => {
    const [begun, ended] = [vi.fn(), vi.fn()];
    let stop = () => undefined as unknown;
    client.listen("servers", () => {
      if (begun.mock.calls.length === 0) client.listen("servers", begun);
      stop();
    });
    stop = client.listen("servers", ended);
    await open();
    say(log.answer(null));
    expect(begun).toHaveBeenCalledTimes(1);
    expect(ended).not.toHaveBeenCalled();
  });
});

describe("a listener that fails", () => {
  const failing = () => {
    throw new Error("a fault of the listener");
  };

  test("keeps nothing from the others, and is told of", async () => {
    client.subscribe(failing);
    client.listen("servers", failing);
    const [listener, subscriber] = [vi.fn(), vi.fn()];
    client.listen("servers", listener);
    await open();
    client.subscribe(subscriber);
    say(log.answer(null));
    expect(listener).toHaveBeenCalledTimes(1);
    expect(subscriber).toHaveBeenCalledTimes(1);
    expect(console.error).toHaveBeenCalledWith("muster: a listener has failed", expect.any(Error));
  });

  test("does not keep the client from its topics, nor from coming back", async () => {
    client = newClient("w_3");
    client.watch("regions");
    client.restore("servers", () => ({ epoch: "3", version: 1, items: log.itemsAt(1) }));
    client.listen("servers", failing);
    expect(await open()).toHaveLength(2);
    client.subscribe(failing);
    world.socket.end(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.sockets).toHaveLength(2);
  });
});

describe("a check", () => {
  const CHECK = { op: "check", topic: "servers", workspace: "w_1" };

  test("is true when the server has just what is held", async () => {
    await open();
    say(log.answer(null));
    world.socket.take();
    const answers = Promise.all([client.check("servers"), client.check("servers")]);
    expect(world.socket.take()).toEqual([CHECK, CHECK]);
    say([log.bookmark()]);
    expect(await answers).toEqual([true, true]);
  });

  test("is false when it has something else, which is fetched", async () => {
    await open();
    say(log.answer(null));
    const answer = client.check("servers");
    world.socket.take();
    say([{ ...log.bookmark(), digest: 1 }]);
    expect(await answer).toBe(false);
    expect(world.socket.take()).toEqual([SUBSCRIBE]);
  });

  test("is to be tried later without a connection, without an answer, or for a topic that nobody watches", async () => {
    const later = { name: "RetryLater" };
    await expect(client.check("servers")).rejects.toMatchObject(later);
    await open();
    await expect(client.check("regions")).rejects.toMatchObject(later);
    const unanswered = expect(client.check("servers")).rejects.toMatchObject(later);
    await vi.advanceTimersByTimeAsync(10_000);
    await unanswered;
    const cut = expect(client.check("servers")).rejects.toMatchObject(later);
    world.socket.end(1006);
    await cut;
  });
});

test("records can be had anew, and are shown until they have come", async () => {
  await open();
  say(log.answer(null));
  client.refetch("servers");
  expect(world.socket.take()).toEqual([SUBSCRIBE]);
  expect(client.topic("servers").base?.version).toBe(1);
  expect(client.status.isLive).toBe(false);
  say(log.snapshot());
  expect(client.status.isLive).toBe(true);
});

test("records that nobody watches are not asked for before somebody does", async () => {
  await open();
  say(log.answer(null));
  client.unwatch("servers");
  world.socket.take();
  client.refetch("servers");
  expect(world.socket.take()).toEqual([]);
  client.watch("servers");
  expect(world.socket.take()).toEqual([SUBSCRIBE]);
});

test("a message that came another way counts as one of the connection", async () => {
  await open();
  say(log.answer(null));
  log.append({ id: 2, value: 2 });
  for (const message of log.singles(1, 2)) client.deliver(message);
  client.deliver({ ...log.frame(0, 2), workspace: "w_2", version: 3 });
  expect(client.topic("servers").base).toEqual({ epoch: "3", version: 2, items: log.itemsAt(2) });
});

describe("what was kept", () => {
  const base = () => ({ epoch: "3", version: 1, items: log.itemsAt(1) });

  test("is shown before the connection is open when the workspace is known, and resumed from", async () => {
    client = newClient("w_1");
    client.restore("servers", (workspace) => (workspace === "w_1" ? base() : null));
    expect(client.topic("servers").base).toEqual(base());
    expect(client.status.isLive).toBe(false);
    expect(await open()).toEqual([{ ...SUBSCRIBE, since: { epoch: "3", version: 1 } }]);
  });

  test("is looked for when the workspace becomes known", async () => {
    client.restore("servers", (workspace) => (workspace === "w_1" ? base() : null));
    expect(client.topic("servers").base).toBeNull();
    expect(await open()).toEqual([{ ...SUBSCRIBE, since: { epoch: "3", version: 1 } }]);
  });

  test("is not looked at while a snapshot is coming", async () => {
    await open();
    log.append({ id: 2, value: 2 });
    const [first, second] = log.snapshot(2) as [object, object];
    say([first]);
    client.restore("servers", base);
    say([second]);
    expect(client.topic("servers").base?.version).toBe(2);
    expect(client.status.isLive).toBe(true);
  });

  test("of another workspace is not shown when the wished one is not given", async () => {
    client = newClient("w_3");
    client.restore("servers", (workspace) => (workspace === "w_3" ? base() : null));
    expect(client.topic("servers").base).toEqual(base());
    expect(await open()).toEqual([SUBSCRIBE]);
    expect(client.topic("servers").base).toBeNull();
  });
});

test("the status is the same object until something in it changes", async () => {
  await open();
  say(log.answer(null));
  const { status } = client;
  log.append({ id: 2, value: 2 });
  say([log.frame(1, 2)]);
  expect(client.status).toBe(status);
  world.socket.end(1006);
  expect(client.status).not.toBe(status);
});

test("a client is not live on a new connection before it has asked for its topics", async () => {
  await open();
  say(log.answer(null));
  world.socket.end(1006);
  const seen: boolean[] = [];
  client.subscribe(() => seen.push(client.status.isLive));
  await open();
  expect(seen).not.toContain(true);
});

test("the sockets are of the constructor that is given", async () => {
  const made: string[][] = [];
  class Given extends FakeSocket {
    constructor(url: string, subprotocol: string) {
      super(url, subprotocol);
      made.push([url, subprotocol]);
    }
  }
  client = new MusterClient({ url: "ws://muster/ws", token: "token", WebSocket: Given }).start();
  await vi.advanceTimersByTimeAsync(0);
  expect(made).toEqual([["ws://muster/ws", "muster.v1"]]);
});

test("updates that a listener brings about itself come after the one that it hears", async () => {
  await open();
  say(log.answer(null));
  const versions: number[] = [];
  log.append({ id: 2, value: 2 });
  log.append({ id: 3, value: 3 });
  client.listen("servers", ({ version }) => {
    if (version === 2) client.deliver(log.frame(2, 3));
  });
  client.listen("servers", ({ version }) => versions.push(version));
  say([log.frame(1, 2)]);
  expect(versions).toEqual([1, 2, 3]);
});

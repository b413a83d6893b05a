import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MusterClient } from "../src/client.ts";
import { createResourceStore, type PersistOptions, type ResourceStore } from "../src/store.ts";
import { FakeWorld, welcome } from "./support/fake-socket.ts";
import { FakeStorage } from "./support/fake-storage.ts";
import { type Data, TopicLog } from "./support/topic-log.ts";

const SUBSCRIBE = { op: "subscribe", topic: "servers", workspace: "w_1" };

let world: FakeWorld;
let log: TopicLog;
let client: MusterClient;
let store: ResourceStore<Data>;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  vi.spyOn(console, "error").mockReturnValue();
  log = new TopicLog("3");
  log.append({ id: 1, value: 1 });
  log.append({ id: 2, value: 2 });
  load();
});

afterEach(() => {
  client.stop();
  vi.useRealTimers();
});

/** Load the page, or load it again. */
function load(persist?: PersistOptions, workspace: string | null = null) {
  world = new FakeWorld();
  const { surroundings } = world;
  client = new MusterClient({ url: "ws://muster/ws", token: "token", workspace, surroundings });
  store = createResourceStore<Data>("servers", { client, ...(persist === undefined ? {} : { persist }) });
}

async function open() {
  client.start();
  await vi.advanceTimersByTimeAsync(1_000);
  world.socket.accept();
  world.socket.take();
  world.socket.say(welcome());
  return world.socket.take();
}

function say(messages: readonly object[]) {
  for (const message of messages) world.socket.say(message);
}

const seen = () => {
  const { isLoading, isLoaded, error, lastVersion, lastSyncTime } = store.getState();
  return { isLoading, isLoaded, error, lastVersion, lastSyncTime };
};

test("a store has just the state and the actions that it promises", () => {
  expect(new Set(Object.keys(store.getState()))).toEqual(
    new Set([
      "applySync",
      "checkVersion",
      "clear",
      "error",
      "fetchAll",
      "getById",
      "isLoaded",
      "isLoading",
      "items",
      "lastSyncTime",
      "lastVersion",
    ]),
  );
});

test("fetchAll follows the resource, and resolves when its records have come", async () => {
  expect(await open()).toEqual([]);
  const done = vi.fn();
  const loaded = store.getState().fetchAll().then(done);
  expect(world.socket.take()).toEqual([SUBSCRIBE]);
  expect(seen()).toMatchObject({ isLoading: true, isLoaded: false, lastVersion: null, lastSyncTime: null });
  await Promise.resolve();
  expect(done).not.toHaveBeenCalled();
  say(log.answer(null));
  await loaded;
  expect(seen()).toEqual({
    isLoading: false,
    isLoaded: true,
    error: null,
    lastVersion: 2,
    lastSyncTime: Date.now(),
  });
  expect(store.getState().items).toEqual([...log.itemsAt(2).values()]);
  expect(store.getState().getById("r2")?.data).toEqual({ value: 2 });
  expect(store.getState().getById("r9")).toBeUndefined();
});

test("fetchAll of a resource that is followed has the records anew, and shows those at hand meanwhile", async () => {
  await open();
  void store.getState().fetchAll();
  say(log.answer(null));
  world.socket.take();
  const again = store.getState().fetchAll();
  expect(world.socket.take()).toEqual([SUBSCRIBE]);
  expect(seen()).toMatchObject({ isLoading: true, isLoaded: true });
  expect(store.getState().items).toHaveLength(2);
  say(log.snapshot());
  await again;
  expect(seen()).toMatchObject({ isLoading: false });
});

test("a refusal is an error, of those who wait too, until it is asked again", async () => {
  await open();
  const refused = expect(store.getState().fetchAll()).rejects.toMatchObject({
    name: "Refused",
    code: "forbidden",
  });
  say([{ op: "error", code: "forbidden", message: "not yours", topic: "servers" }]);
  await refused;
  expect(seen()).toMatchObject({ isLoading: false, error: { message: "not yours" } });
  const again = store.getState().fetchAll();
  say(log.answer(null));
  await again;
  expect(seen()).toMatchObject({ isLoaded: true, error: null });
});

test("a connection that will not come back is an error", async () => {
  await open();
  const refused = expect(store.getState().fetchAll()).rejects.toMatchObject({ name: "Refused" });
  world.socket.end(4403);
  await refused;
  expect(seen()).toMatchObject({ error: { code: "forbidden" }, isLoading: false });
});

test("messages that came another way are applied by their versions alone", async () => {
  await open();
  void store.getState().fetchAll();
  say(log.answer(null));
  log.append({ id: 1, value: null });
  log.append({ id: 3, value: 3 });
  const [deleted, created] = log.singles(2, 4);
  if (deleted === undefined || created === undefined) throw new Error("the log is too short");
  const { applySync } = store.getState();
  applySync(deleted);
  applySync(deleted);
  say([log.frame(2, 3)]);
  expect(store.getState()).toMatchObject({ lastVersion: 3, items: [{ id: "r2" }] });
  world.socket.take();
  applySync({ ...created, version: 5 });
  expect(store.getState().lastVersion).toBe(3);
  expect(world.socket.take()).toEqual([{ ...SUBSCRIBE, since: { epoch: "3", version: 3 } }]);
  applySync(created);
  expect(store.getState().lastVersion).toBe(4);
});

test("checkVersion compares with the server", async () => {
  await open();
  void store.getState().fetchAll();
  say(log.answer(null));
  world.socket.take();
  await vi.advanceTimersByTimeAsync(7_000);
  const answer = store.getState().checkVersion();
  expect(world.socket.take()).toEqual([{ op: "check", topic: "servers", workspace: "w_1" }]);
  say([log.bookmark()]);
  expect(await answer).toBe(true);
  expect(seen().lastSyncTime).toBe(Date.now());
});

test("a bookmark ahead of the items does not prove them", async () => {
  await open();
  void store.getState().fetchAll();
  say(log.answer(null));
  const { lastSyncTime } = seen();
  await vi.advanceTimersByTimeAsync(7_000);
  log.append({ id: 1, value: 3 });
  say([log.bookmark()]);
  expect(seen().lastSyncTime).toBe(lastSyncTime);
});

test("listeners hear of each new state with the one before, and of nothing else", async () => {
  const listener = vi.fn();
  const stop = store.subscribe(listener);
  await open();
  expect(listener).not.toHaveBeenCalled();
  const before = store.getState();
  void store.getState().fetchAll();
  expect(listener.mock.calls).toEqual([[store.getState(), before]]);
  say(log.answer(null));
  expect(listener).toHaveBeenCalledTimes(2);
  stop();
  log.append({ id: 1, value: 7 });
  say([log.frame(2, 3)]);
  expect(listener).toHaveBeenCalledTimes(2);
});

test("records that did not change stay the same objects, and the list too if none did", async () => {
  await open();
  void store.getState().fetchAll();
  say(log.answer(null));
  const before = store.getState().items;
  say([log.bookmark()]);
  expect(store.getState().items).toBe(before);
  log.append({ id: 1, value: 7 });
  say([log.frame(2, 3)]);
  expect(store.getState().items).not.toBe(before);
  expect(store.getState().getById("r2")).toBe(before[1]);
});

test("of many changes that nobody looks at the records are not copied", async () => {
  await open();
  void store.getState().fetchAll();
  for (let id = 3; id <= 1_000; id += 1) log.append({ id, value: id });
  say(log.answer(null));
  const { base } = client.topic<Data>("servers");
  const copy = vi.spyOn(Map.prototype, "set");
  for (let value = 0; value < 500; value += 1) {
    log.append({ id: value % 10, value });
    say(log.singles(log.version - 1, log.version));
  }
  const copied = copy.mock.calls.length;
  copy.mockRestore();
  expect(copied).toBeLessThan(1_000);
  expect(base?.items).toEqual(log.itemsAt(1_000));
  expect(store.getState().items).toEqual([...log.itemsAt(1_500).values()]);
});

test("clear forgets everything and ends what fetchAll began", async () => {
  await open();
  const { fetchAll, clear } = store.getState();
  void fetchAll();
  say(log.answer(null));
  const again = expect(fetchAll()).rejects.toMatchObject({ name: "RetryLater" });
  world.socket.take();
  clear();
  await again;
  expect(world.socket.take()).toEqual([{ op: "unsubscribe", topic: "servers", workspace: "w_1" }]);
  expect(seen()).toMatchObject({ isLoading: false, isLoaded: false, lastVersion: null, lastSyncTime: null });
  expect(store.getState().items).toEqual([]);
  const anew = fetchAll();
  expect(world.socket.take()).toEqual([SUBSCRIBE]);
  say(log.answer(null));
  await anew;
});

describe("a store that is kept", () => {
  let storage: FakeStorage;
  const persist = (user = "u_1") => ({ user, storage });

  beforeEach(async () => {
    storage = new FakeStorage();
    load(persist());
    await open();
    void store.getState().fetchAll();
    say(log.answer(null));
    await vi.advanceTimersByTimeAsync(2_000);
    client.stop();
  });

  test("resumes after a reload from the version that it had, and gets only what it missed", async () => {
    log.append({ id: 3, value: 3 });
    load(persist());
    const loaded = store.getState().fetchAll();
    expect(await open()).toEqual([{ ...SUBSCRIBE, since: { epoch: "3", version: 2 } }]);
    expect(store.getState()).toMatchObject({ isLoaded: true, isLoading: true, lastSyncTime: null });
    say(log.answer({ epoch: "3", version: 2 }));
    await loaded;
    expect(store.getState().items).toEqual([...log.itemsAt(3).values()]);
  });

  test("shows what it had before it is connected, where the workspace is known", () => {
    load(persist(), "w_1");
    expect(store.getState().items).toEqual([...log.itemsAt(2).values()]);
    expect(seen()).toMatchObject({ isLoaded: true, lastVersion: 2, lastSyncTime: null });
  });

  test("shows another user nothing", async () => {
    load(persist("u_2"), "w_1");
    void store.getState().fetchAll();
    expect(store.getState().items).toEqual([]);
    expect(await open()).toEqual([SUBSCRIBE]);
  });

  test("takes damaged content for none", async () => {
    const key = storage.key(0) ?? "";
    storage.setItem(key, storage.getItem(key)?.replace("r1", "r7") ?? "");
    load(persist(), "w_1");
    void store.getState().fetchAll();
    expect(await open()).toEqual([SUBSCRIBE]);
  });

  test("goes to a snapshot when the server has begun a new epoch", async () => {
    load(persist());
    void store.getState().fetchAll();
    await open();
    const next = new TopicLog("4", log);
    next.append({ id: 9, value: 9 });
    say(next.answer({ epoch: "3", version: 2 }));
    expect(store.getState().items).toEqual([...next.itemsAt(3).values()]);
  });

  test("keeps later changes in one go", async () => {
    load(persist());
    await open();
    void store.getState().fetchAll();
    say(log.answer({ epoch: "3", version: 2 }));
    const write = vi.spyOn(storage, "setItem");
    for (let value = 3; value <= 50; value += 1) {
      log.append({ id: 1, value });
      say([log.frame(log.version - 1, log.version)]);
    }
    expect(write).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(write).toHaveBeenCalledTimes(1);
    load(persist(), "w_1");
    expect(store.getState().lastVersion).toBe(50);
  });

  test("does not keep what it does not trust any more", async () => {
    load(persist());
    await open();
    void store.getState().fetchAll();
    log.append({ id: 1, value: 3 });
    say([...log.answer({ epoch: "3", version: 2 }), { ...log.bookmark(), digest: 1 }]);
    await vi.advanceTimersByTimeAsync(2_000);
    load(persist(), "w_1");
    expect(store.getState().lastVersion).toBe(2);
  });

  test("survives a full storage, and counts it", async () => {
    vi.spyOn(console, "warn").mockReturnValue();
    storage.isFull = true;
    load(persist());
    await open();
    void store.getState().fetchAll();
    log.append({ id: 1, value: 3 });
    say(log.answer({ epoch: "3", version: 2 }));
    await vi.advanceTimersByTimeAsync(2_000);
    expect(store.storageFailures).toBe(1);
    expect(store.getState().lastVersion).toBe(3);
  });

  test("is cleared with the store", async () => {
    load(persist(), "w_1");
    store.getState().clear();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(storage.length).toBe(0);
    load(persist(), "w_1");
    expect(store.getState().items).toEqual([]);
  });
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SyncClient } from "../src/client.ts";
import { FakeWorld, HOME, welcome } from "./support/fake-socket.ts";
import { TopicLog } from "./support/topic-log.ts";

let world: FakeWorld;
let log: TopicLog;
let client: SyncClient;

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

function newClient(workspace: string | null = null): SyncClient {
  const { surroundings } = world;
  const tokens = () => Promise.resolve("token");
  return new SyncClient({ url: "ws://muster/ws", tokens, topics: ["servers"], workspace, surroundings });
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

test("the clock of the server is known from its welcome", async () => {
  client.start();
  await vi.advanceTimersByTimeAsync(0);
  world.socket.accept();
  world.socket.say({ ...welcome(), server_time: new Date(Date.now() + 90_000).toISOString() });
  expect(client.status.clockOffsetMs).toBe(90_000);
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

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Connection, type ConnectionEvents, type ConnectionState } from "../src/connection.ts";
import { RetryLater, SignedOut } from "../src/errors.ts";
import type { ClientMessage } from "../src/protocol.ts";
import { FakeWorld, welcome } from "./support/fake-socket.ts";

const CHECK: ClientMessage = { op: "check", topic: "servers", workspace: "w_1" };
const BOOKMARK = { op: "bookmark", topic: "servers", epoch: "1", version: 1, digest: 0 };

let world: FakeWorld;
let spent: (string | null)[];
let giveToken: (spent: string | null) => Promise<string>;
let states: ConnectionState[];
let connection: Connection;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  vi.spyOn(console, "error").mockReturnValue();
  vi.spyOn(console, "warn").mockReturnValue();
  world = new FakeWorld();
  spent = [];
  states = [];
  let tokens = 0;
  giveToken = (token) => {
    spent.push(token);
    tokens += 1;
    return Promise.resolve(`token ${tokens}`);
  };
  const events: ConnectionEvents = {
    changed: (state) => states.push(state),
    opened: () => undefined,
    received: () => undefined,
    question: () => CHECK,
  };
  connection = new Connection(
    {
      url: "ws://muster/ws",
      tokens: (token) => giveToken(token),
      hideAfterMs: 300_000,
      surroundings: world.surroundings,
    },
    events,
  );
});

afterEach(() => {
  connection.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** Let time pass while the server says what it says every 30 s. */
async function passAlive(ms: number): Promise<void> {
  const alive = setInterval(() => world.socket.say(BOOKMARK), 30_000);
  await pass(ms);
  clearInterval(alive);
}

/** Bring the connection up, or up again, and keep it so for `forMs`. */
async function open(forMs = 0): Promise<void> {
  if (connection.state.phase === "idle") connection.start();
  await pass(0);
  world.socket.accept();
  world.socket.say(welcome());
  await pass(forMs);
}

test("a token is sent first, over the subprotocol, and nothing before the socket is open", async () => {
  connection.start();
  await pass(0);
  expect([world.socket.url, world.socket.subprotocol]).toEqual(["ws://muster/ws", "muster.v1"]);
  expect(world.socket.take()).toEqual([]);
  world.socket.accept();
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 1" }]);
});

test("the connection is open when the server has said welcome", async () => {
  await open();
  expect(states.map(({ phase }) => phase)).toEqual(["connecting", "open"]);
});

test("a server that does not say welcome is left after ten seconds", async () => {
  connection.start();
  await pass(0);
  world.socket.accept();
  await pass(10_000);
  expect(world.socket.isClosedByClient).toBe(true);
  expect(connection.state.phase).toBe("waiting");
});

test("a broken connection is tried again, with pauses that grow to 20 s", async () => {
  world.random = 1 - Number.EPSILON;
  await open(10_000);
  const pauses: number[] = [];
  for (let i = 0; i < 8; i += 1) {
    world.socket.end(1006);
    const { state } = connection;
    if (state.phase !== "waiting") throw new Error(`the connection is ${state.phase}`);
    pauses.push(state.retryAtMs - Date.now());
    await pass(state.retryAtMs - Date.now());
  }
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
  expect(world.sockets).toHaveLength(9);
});

test("pauses begin anew once a connection has held", async () => {
  await open(10_000);
  for (let i = 0; i < 5; i += 1) {
    world.socket.end(1006);
    await pass(8_000);
  }
  await open(10_000);
  world.socket.end(1006);
  expect(connection.state).toEqual({ phase: "waiting", retryAtMs: Date.now() + 250, isPaced: false });
});

test("pauses go on growing while connections do not hold", async () => {
  world.random = 1 - Number.EPSILON;
  for (const pauseMs of [500, 1_000, 2_000]) {
    await open();
    world.socket.end(1006);
    expect(connection.state).toMatchObject({ retryAtMs: Date.now() + pauseMs });
    await pass(pauseMs);
  }
});

test.each([
  [4400, "malformed"],
  [4403, "forbidden"],
])("after %i there is no further try", async (code, reason) => {
  await open(10_000);
  world.socket.end(code);
  world.sign("visible");
  await pass(3_600_000);
  expect(connection.state).toEqual({ phase: "stopped", reason });
  expect(world.sockets).toHaveLength(1);
  expect(world.isPageWatched).toBe(false);
});

test("a stopped connection can be started again", async () => {
  await open();
  world.socket.end(4403);
  connection.start();
  await open();
  expect(connection.state.phase).toBe("open");
});

test("after 4401 another token is had before the next try, at once", async () => {
  await open(10_000);
  world.socket.end(4401);
  await pass(0);
  expect(spent).toEqual([null, "token 1"]);
  world.socket.accept();
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 2" }]);
});

test("a server that refuses every token is not asked in a loop", async () => {
  await open(10_000);
  world.socket.end(4401);
  await pass(0);
  world.socket.end(4401);
  expect(connection.state).toMatchObject({ phase: "waiting", retryAtMs: Date.now() + 500 });
});

test.each([4408, 4503])("after %i the connection is back within 300 ms", async (code) => {
  world.random = 1 - Number.EPSILON;
  await open(10_000);
  world.socket.end(code);
  await pass(300);
  expect(world.sockets).toHaveLength(2);
});

test("a server that drains right after each welcome is not called in a loop", async () => {
  await open();
  world.socket.end(4503);
  await pass(300);
  await open();
  world.socket.end(4503);
  expect(connection.state).toMatchObject({ phase: "waiting", retryAtMs: Date.now() + 500 });
});

test("after 4429 the pause is the one in the reason, and waking does not shorten it", async () => {
  world.random = 0;
  await open(10_000);
  world.socket.end(4429, "retry_after_ms=7000");
  expect(connection.state).toEqual({ phase: "waiting", retryAtMs: Date.now() + 7_000, isPaced: true });
  world.sign("visible");
  await pass(6_999);
  expect(world.sockets).toHaveLength(1);
  await pass(1);
  expect(world.sockets).toHaveLength(2);
});

test("a pause that the server asked for before it closed wins", async () => {
  world.random = 0;
  await open(10_000);
  world.socket.say({ op: "error", code: "unavailable", message: "restarting", retry_after_ms: 3_000 });
  world.socket.end(4503);
  expect(connection.state).toMatchObject({ phase: "waiting", retryAtMs: Date.now() + 3_000 });
});

test("a pause that the server asked for long ago is over", async () => {
  await open(10_000);
  world.socket.say({ op: "error", code: "unavailable", message: "not now", retry_after_ms: 3_000 });
  await pass(3_000);
  world.socket.end(4503);
  expect(connection.state).toMatchObject({ phase: "waiting", isPaced: false });
});

test.each(["online", "visible"] as const)(
  "when a page is %s again, the next try is at once",
  async (sign) => {
    await open(10_000);
    world.socket.end(1006);
    world.sign(sign);
    await pass(0);
    expect(world.sockets).toHaveLength(2);
  },
);

test.each(["online", "visible"] as const)(
  "when a page is %s again, an open connection must show that it lives",
  async (sign) => {
    await open(10_000);
    world.socket.take();
    world.sign(sign);
    expect(world.socket.take()).toEqual([CHECK]);
    world.socket.say(BOOKMARK);
    await pass(6_000);
    expect(connection.state.phase).toBe("open");
  },
);

test("a connection that has gone silent is asked after two and a half heartbeats, then left", async () => {
  await open();
  const { socket } = world;
  socket.take();
  await pass(62_499);
  expect(socket.take()).toEqual([]);
  await pass(1);
  expect(socket.take()).toEqual([CHECK]);
  await pass(5_000);
  expect(socket.isClosedByClient).toBe(true);
  expect(connection.state.phase).toBe("waiting");
});

test("a connection on which anything arrives is not asked", async () => {
  await open();
  world.socket.take();
  for (let i = 0; i < 10; i += 1) {
    await pass(30_000);
    world.socket.say(BOOKMARK);
  }
  expect(world.socket.take()).toEqual([]);
});

test("the token is renewed a minute before it ends, on the same connection", async () => {
  await open();
  world.socket.take();
  const alive = setInterval(() => world.socket.say(BOOKMARK), 30_000);
  await pass(839_999);
  expect(world.socket.take()).toEqual([]);
  await pass(1);
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 2" }]);
  expect(spent).toEqual([null, "token 1"]);
  world.socket.say(welcome());
  await pass(840_000);
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 3" }]);
  clearInterval(alive);
  expect(world.sockets).toHaveLength(1);
  expect(states.map(({ phase }) => phase)).toEqual(["connecting", "open"]);
});

test("a renewal that fails for now is tried again", async () => {
  await open();
  world.socket.say(welcome(20));
  world.socket.take();
  const give = giveToken;
  giveToken = () => Promise.reject(new RetryLater("not now"));
  await pass(10_000);
  giveToken = give;
  await pass(5_000);
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 2" }]);
});

test("a renewal is not tried again before the time that was named", async () => {
  await open();
  world.socket.say(welcome(20));
  let asked = 0;
  giveToken = () => {
    asked += 1;
    return Promise.reject(new RetryLater("busy", 40_000));
  };
  await pass(10_000);
  await pass(39_999);
  expect(asked).toBe(1);
  await pass(1);
  expect(asked).toBe(2);
  expect(console.error).not.toHaveBeenCalled();
});

test("a source of tokens that is broken is told of, and asked again", async () => {
  await open();
  world.socket.say(welcome(20));
  const give = giveToken;
  giveToken = () => Promise.reject(new TypeError("a fault of the source"));
  await pass(10_000);
  expect(console.error).toHaveBeenCalledTimes(1);
  giveToken = give;
  world.socket.take();
  await pass(5_000);
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 2" }]);
});

test("a session that ends while the connection is open ends the connection", async () => {
  await open();
  giveToken = () => Promise.reject(new SignedOut("ended"));
  world.socket.say(welcome(20));
  await pass(10_001);
  expect(connection.state).toEqual({ phase: "stopped", reason: "signed-out" });
});

test("without a token for now, it is tried again after the pause that was named", async () => {
  world.random = 0;
  const give = giveToken;
  giveToken = () => Promise.reject(new RetryLater("busy", 4_000));
  connection.start();
  await pass(0);
  expect(connection.state).toEqual({ phase: "waiting", retryAtMs: Date.now() + 4_000, isPaced: true });
  giveToken = give;
  await pass(4_000);
  expect(world.sockets).toHaveLength(1);
});

test("a frame that is not of the protocol ends the link, which is tried again", async () => {
  await open(10_000);
  world.socket.say({ op: "sing" });
  expect(world.socket.isClosedByClient).toBe(true);
  expect(connection.state.phase).toBe("waiting");
});

test("a token that comes after stop opens nothing", async () => {
  connection.start();
  connection.stop();
  await pass(0);
  expect(world.sockets).toHaveLength(0);
  expect(connection.state).toEqual({ phase: "idle" });
});

test("a page that is hidden for five minutes disconnects, and is back as soon as it is seen", async () => {
  await open(10_000);
  world.sign("hidden");
  await passAlive(299_999);
  expect(connection.state.phase).toBe("open");
  await pass(1);
  expect(connection.state).toEqual({ phase: "paused" });
  expect(world.socket.isClosedByClient).toBe(true);
  world.sign("online");
  await pass(3_600_000);
  expect(world.sockets).toHaveLength(1);
  world.sign("visible");
  await open();
  expect(world.sockets).toHaveLength(2);
  expect(connection.state.phase).toBe("open");
});

test("a page that is seen again in time stays connected", async () => {
  await open(10_000);
  world.sign("hidden");
  await passAlive(299_000);
  world.sign("visible");
  world.socket.say(BOOKMARK);
  await passAlive(60_000);
  expect(connection.state.phase).toBe("open");
});

test("a page that has been hidden does not come back before the time that the server named", async () => {
  await open(10_000);
  world.sign("hidden");
  await pass(290_000);
  world.random = 0;
  world.socket.end(4429, "retry_after_ms=60000");
  const { state } = connection;
  await pass(10_000);
  expect(connection.state.phase).toBe("paused");
  world.sign("visible");
  expect(connection.state).toEqual(state);
});

test("a paused connection can be stopped and started", async () => {
  await open(10_000);
  world.sign("hidden");
  await pass(300_000);
  connection.stop();
  world.sign("visible");
  expect(connection.state.phase).toBe("idle");
  await open();
  expect(connection.state.phase).toBe("open");
});

test("a token that is refused again and again, with no other to be had, ends it", async () => {
  giveToken = () => Promise.resolve("the only one");
  connection.start();
  for (let i = 0; i < 3; i += 1) {
    await pass(2_000);
    world.socket.accept();
    world.socket.end(4401);
  }
  await pass(20_000);
  expect(connection.state).toEqual({ phase: "stopped", reason: "signed-out" });
  expect(world.sockets).toHaveLength(3);
  connection.start();
  await open();
  expect(connection.state.phase).toBe("open");
});

test("a token that cannot be renewed yet is not sent again, but asked for until there is another", async () => {
  await open();
  world.socket.say(welcome(20));
  world.socket.take();
  const give = giveToken;
  giveToken = () => Promise.resolve("token 1");
  await pass(14_000);
  expect(world.socket.take()).toEqual([]);
  giveToken = give;
  await pass(1_000);
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 2" }]);
});

test("a renewal that is not answered is said again", async () => {
  await open();
  world.socket.say(welcome(60));
  world.socket.take();
  await pass(30_000);
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 2" }]);
  world.socket.say({ op: "error", code: "unavailable", message: "not now", retry_after_ms: 1_000 });
  await pass(10_000);
  expect(world.socket.take()).toEqual([{ op: "auth", token: "token 2" }]);
  world.socket.say(welcome(900));
  await pass(60_000);
  expect(world.socket.take()).toEqual([]);
});

test("a token that lasts for years is not renewed before its time", async () => {
  await open();
  world.socket.say(welcome(40 * 86_400));
  const alive = setInterval(() => world.socket.say(BOOKMARK), 60_000);
  await pass(39 * 86_400_000);
  expect(spent).toEqual([null]);
  clearInterval(alive);
});

test("a source of tokens that never answers is asked again", async () => {
  const give = giveToken;
  giveToken = () => new Promise(() => undefined);
  connection.start();
  await pass(30_000);
  expect(connection.state.phase).toBe("waiting");
  giveToken = give;
  await pass(1_000);
  expect(world.sockets).toHaveLength(1);
});

test("a token that comes too late opens nothing", async () => {
  let answer: (token: string) => void = () => undefined;
  giveToken = () => new Promise((resolve) => (answer = resolve));
  connection.start();
  await pass(30_000);
  answer("late");
  await pass(0);
  expect(world.sockets).toHaveLength(0);
});

test("an error of a socket, which some throw when nobody handles it, is waited out until it closes", async () => {
  connection.start();
  await pass(0);
  world.socket.fail(1006);
  expect(connection.state.phase).toBe("waiting");
  await pass(1_000);
  const { socket } = world;
  connection.stop();
  expect(() => socket.fail(1006)).not.toThrow();
});

import { expect, test } from "vitest";
import { ProtocolFault } from "../src/errors.ts";
import { parse, type TopicMessage, topicOf } from "../src/protocol.ts";

const OF_SERVERS = { topic: "servers", workspace: "w_1", epoch: "3" };

const MESSAGES = {
  welcome: {
    op: "welcome",
    session: "x",
    server_time: "2025-01-01T00:00:00Z",
    heartbeat_s: 25,
    expires_at: "2025-01-01T00:15:00Z",
    workspaces: [{ id: "w_1", name: "Home", role: "owner" }],
  },
  snapshot: {
    op: "snapshot",
    ...OF_SERVERS,
    version: 44,
    recovered: false,
    part: 1,
    parts: 1,
    items: [{ id: "s_1", version: 44, data: { name: "a" } }],
  },
  subscribed: { op: "subscribed", ...OF_SERVERS, version: 41, recovered: true },
  changes: {
    op: "changes",
    ...OF_SERVERS,
    prev: 41,
    version: 43,
    changes: [
      { id: "s_1", action: "updated", version: 42, data: { name: "b" } },
      { id: "s_2", action: "deleted", version: 43, data: null },
    ],
  },
  bookmark: { op: "bookmark", ...OF_SERVERS, version: 44, digest: 2864434397, at: "2025-01-01T00:00:00Z" },
  sync: {
    op: "sync",
    resource: "servers",
    workspace: "w_1",
    epoch: "3",
    version: 42,
    id: "s_1",
    action: "created",
    data: { name: "b" },
  },
  full: {
    op: "full",
    ...OF_SERVERS,
    version: 44,
    items: [{ id: "s_1", version: 44, data: { name: "a" } }],
  },
  error: { op: "error", code: "unavailable", message: "not now", topic: "servers", retry_after_ms: 500 },
};

test.each(Object.entries(MESSAGES))("a %s is read as it stands", (_, message) => {
  expect(parse(JSON.stringify(message))).toEqual(message);
});

test("a field that is not known is ignored", () => {
  expect(() => parse(JSON.stringify({ ...MESSAGES.changes, colour: "blue" }))).not.toThrow();
});

test("a token that does not expire is welcome", () => {
  expect(() => parse(JSON.stringify({ ...MESSAGES.welcome, expires_at: null }))).not.toThrow();
});

test.each([
  ["bytes", new ArrayBuffer(1)],
  ["no JSON", "{"],
  ["no object", "[]"],
  ["null", "null"],
  ["no op", "{}"],
  ["an unknown op", '{"op":"sing"}'],
  ["an op of Object's own", '{"op":"constructor"}'],
  ["a version below zero", JSON.stringify({ ...MESSAGES.subscribed, version: -1 })],
  ["a version with a fraction", JSON.stringify({ ...MESSAGES.bookmark, version: 1.5 })],
  ["an epoch that is a number", JSON.stringify({ ...MESSAGES.changes, epoch: 3 })],
  ["an item without id", JSON.stringify({ ...MESSAGES.snapshot, items: [{ version: 1, data: {} }] })],
  [
    "an update without data",
    JSON.stringify({
      ...MESSAGES.changes,
      changes: [{ id: "a", action: "updated", version: 1, data: null }],
    }),
  ],
  ["a single update without data", JSON.stringify({ ...MESSAGES.sync, data: null })],
  ["a single change of no resource", JSON.stringify({ ...MESSAGES.sync, resource: undefined })],
  ["a whole list without items", JSON.stringify({ ...MESSAGES.full, items: undefined })],
  ["a heartbeat of zero", JSON.stringify({ ...MESSAGES.welcome, heartbeat_s: 0 })],
])("%s is refused", (_, frame) => {
  expect(() => parse(frame)).toThrow(ProtocolFault);
});

test("a single deletion has no data", () => {
  expect(() => parse(JSON.stringify({ ...MESSAGES.sync, action: "deleted", data: null }))).not.toThrow();
});

test("every message but the welcome tells its topic", () => {
  const { welcome: _, ...others } = MESSAGES;
  const topics = Object.values(others).map((message) => topicOf(message as TopicMessage));
  expect(new Set(topics)).toEqual(new Set(["servers"]));
  expect(topicOf({ op: "error", code: "unavailable", message: "restarting" })).toBeNull();
});

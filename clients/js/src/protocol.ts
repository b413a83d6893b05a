/**
 * The messages of the sync protocol `muster.v1`, and the reading of one frame.
 *
 * Only what the client relies on is declared and checked; unknown fields are ignored, as the protocol asks.
 */

import { ProtocolFault } from "./errors.ts";

export const SUBPROTOCOL = "muster.v1";

/** Where a client stands in a topic. The epoch is opaque: only equality means anything. */
export interface Position {
  readonly epoch: string;
  readonly version: number;
}

export interface Workspace {
  readonly id: string;
  readonly name: string;
  readonly role: string;
}

/** One record at the version of its last change. */
export interface Item<T = unknown> {
  readonly id: string;
  readonly version: number;
  readonly data: T;
}

export type Change<T = unknown> =
  | {
      readonly id: string;
      readonly action: "created" | "updated";
      readonly version: number;
      readonly data: T;
    }
  | { readonly id: string; readonly action: "deleted"; readonly version: number; readonly data: null };

export interface Welcome {
  readonly op: "welcome";
  readonly session: string;
  readonly server_time: string;
  readonly heartbeat_s: number;
  /** When the token ends, RFC 3339; null for a token that does not. */
  readonly expires_at: string | null;
  readonly workspaces: readonly Workspace[];
}

/** What every message about a topic carries. */
interface OfTopic {
  readonly topic: string;
  readonly workspace?: string;
  readonly epoch: string;
  readonly version: number;
}

export interface Snapshot<T = unknown> extends OfTopic {
  readonly op: "snapshot";
  /** Which part this is, from 1. */
  readonly part: number;
  readonly parts: number;
  readonly items: readonly Item<T>[];
}

export interface Subscribed extends OfTopic {
  readonly op: "subscribed";
}

export interface Changes<T = unknown> extends OfTopic {
  readonly op: "changes";
  readonly prev: number;
  readonly changes: readonly Change<T>[];
}

export interface Bookmark extends OfTopic {
  readonly op: "bookmark";
  readonly digest: number;
}

/** One change of its own, as the delivery `each` sends it. */
export interface Sync<T = unknown> {
  readonly op: "sync";
  readonly resource: string;
  readonly workspace?: string;
  readonly epoch: string;
  readonly version: number;
  readonly id: string;
  readonly action: "created" | "updated" | "deleted";
  readonly data: T | null;
}

/** The whole list, as the delivery `full` sends it whenever something has changed. */
export interface Full<T = unknown> extends OfTopic {
  readonly op: "full";
  readonly items: readonly Item<T>[];
}

export type TopicMessage<T = unknown> = Snapshot<T> | Subscribed | Changes<T> | Bookmark | Sync<T> | Full<T>;

/** How changes arrive; what they add up to is the same. */
export type Delivery = "batch" | "each" | "full";

export interface Refusal {
  readonly op: "error";
  readonly code: string;
  readonly message: string;
  readonly topic?: string;
  readonly workspace?: string;
  readonly retry_after_ms?: number;
}

export type ServerMessage = Welcome | TopicMessage | Refusal;

export type ClientMessage =
  | { readonly op: "auth"; readonly token: string }
  | {
      readonly op: "subscribe";
      readonly topic: string;
      readonly workspace: string;
      readonly delivery?: Delivery;
      readonly tick_ms?: number;
      readonly since?: Position;
    }
  | { readonly op: "unsubscribe"; readonly topic: string; readonly workspace: string }
  | { readonly op: "check"; readonly topic: string; readonly workspace: string };

/** The topic that a message is about; null for one about the connection. */
export function topicOf(message: TopicMessage | Refusal): string | null {
  return message.op === "sync" ? message.resource : (message.topic ?? null);
}

type Fields = Readonly<Record<string, unknown>>;

/** Read one frame. Throws ProtocolFault on anything that the protocol does not say. */
export function parse(frame: unknown): ServerMessage {
  if (typeof frame !== "string") throw new ProtocolFault("a frame is not text");
  const message = decode(frame);
  const op = String(message.op);
  const shape = SHAPES.get(op);
  if (shape === undefined) throw new ProtocolFault(`unknown op ${op}`);
  for (const [field, holds] of Object.entries(shape)) {
    if (!holds(message[field])) throw new ProtocolFault(`${op}: bad ${field}`);
  }
  if (op === "sync" && !isChange(message)) throw new ProtocolFault("sync: bad data");
  // The shape of this op was just checked; what stands inside `data` is for the owner of the topic to read.
  return message as unknown as ServerMessage;
}

function decode(frame: string): Fields {
  try {
    const value: unknown = JSON.parse(frame);
    if (isObject(value)) return value;
  } catch (error) {
    throw new ProtocolFault("a frame is not JSON", { cause: error });
  }
  throw new ProtocolFault("a frame is not a JSON object");
}

type Check = (value: unknown) => boolean;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText: Check = (value) => typeof value === "string";
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isOptional =
  (holds: Check): Check =>
  (value) =>
    value === undefined || value === null || holds(value);
const isListOf =
  (holds: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(holds);
const isRecord = (value: unknown): value is Fields =>
  isObject(value) && isText(value.id) && isCount(value.version);
const isChange: Check = (value) => isRecord(value) && (value.action === "deleted" || isObject(value.data));

const OF_TOPIC = { topic: isText, workspace: isOptional(isText), epoch: isText, version: isCount };

const SHAPES: ReadonlyMap<string, Readonly<Record<string, Check>>> = new Map(
  Object.entries({
    welcome: {
      server_time: isText,
      heartbeat_s: (value) => isCount(value) && value !== 0,
      expires_at: isOptional(isText),
      workspaces: isListOf((value) => isObject(value) && isText(value.id)),
    },
    snapshot: { ...OF_TOPIC, part: isCount, parts: isCount, items: isListOf(isRecord) },
    subscribed: OF_TOPIC,
    changes: { ...OF_TOPIC, prev: isCount, changes: isListOf(isChange) },
    bookmark: { ...OF_TOPIC, digest: isCount },
    sync: {
      resource: isText,
      workspace: isOptional(isText),
      epoch: isText,
      version: isCount,
      id: isText,
      action: isText,
      data: isOptional(isObject),
    },
    full: { ...OF_TOPIC, items: isListOf(isRecord) },
    error: { code: isText, message: isText, topic: isOptional(isText), retry_after_ms: isOptional(isCount) },
  } satisfies Record<string, Record<string, Check>>),
);

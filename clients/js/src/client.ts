/** Topics of one workspace, kept in step with the server over one connection. */

import { delayMs } from "./backoff.ts";
import { Connection, type ConnectionState, type Surroundings } from "./connection.ts";
import type { TokenSource } from "./link.ts";
import type { ClientMessage, Refusal, ServerMessage, TopicMessage, Welcome, Workspace } from "./protocol.ts";
import { apply, EMPTY, isCaughtUp, subscription, type TopicState } from "./topic.ts";

export interface ClientOptions {
  /** `ws://` or `wss://` address of the sync endpoint. */
  readonly url: string;
  readonly tokens: TokenSource;
  /** The topics to keep. */
  readonly topics: readonly string[];
  /** The id of the workspace to be in; the first of the person's when it is null or not one of theirs. */
  readonly workspace?: string | null;
  readonly surroundings?: Partial<Surroundings>;
}

export interface ClientStatus {
  readonly connection: ConnectionState;
  /** Whether every topic is what the server last said. */
  readonly isLive: boolean;
  /** Null until the first welcome, or for a person who is in none. */
  readonly workspace: Workspace | null;
  readonly workspaces: readonly Workspace[];
  /** Why a topic is not given to us, if one is not. */
  readonly refusal: Refusal | null;
  /** Server's clock minus ours, in milliseconds, as of the last welcome. */
  readonly clockOffsetMs: number;
}

interface Topic {
  state: TopicState<unknown>;
  refusal: Refusal | null;
  /** Times that it was asked for again since it was last calm. */
  repeats: number;
  askedMs: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** A topic that was not asked for again for this long is calm. */
const CALM_AFTER_MS = 30_000;
const PASSING_REFUSALS = new Set(["too_many", "unavailable"]);

export class SyncClient {
  readonly #topics: ReadonlyMap<string, Topic>;
  readonly #preferred: string | null;
  readonly #random: () => number;
  readonly #connection: Connection;
  readonly #listeners = new Set<() => void>();
  #workspace: Workspace | null = null;
  #workspaces: readonly Workspace[] = [];
  #clockOffsetMs = 0;

  constructor({ url, tokens, topics, workspace = null, surroundings = {} }: ClientOptions) {
    this.#preferred = workspace;
    this.#random = surroundings.random ?? Math.random;
    this.#topics = new Map(
      topics.map((name) => [name, { state: EMPTY, refusal: null, repeats: 0, askedMs: 0, timer: undefined }]),
    );
    const events = {
      changed: () => this.#changed(),
      opened: (welcome: Welcome) => this.#opened(welcome),
      received: (message: Exclude<ServerMessage, Welcome>) => this.#received(message),
      question: () => this.#question(),
    };
    this.#connection = new Connection(url, tokens, events, surroundings);
  }

  start(): void {
    this.#connection.start();
  }

  /** Close the connection. What is known stays, and `start` resumes from it. */
  stop(): void {
    for (const topic of this.#topics.values()) clearTimeout(topic.timer);
    this.#connection.stop();
  }

  /** Try to connect now rather than after the pause. */
  wake(): void {
    this.#connection.wake();
  }

  /** Be told whenever `status` or a topic has changed; returns the way to stop that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What is known of a topic; `T` is what the caller knows its records to be. */
  topic<T>(name: string): TopicState<T> {
    return (this.#topics.get(name)?.state ?? EMPTY) as TopicState<T>;
  }

  get status(): ClientStatus {
    const topics = [...this.#topics.values()];
    return {
      connection: this.#connection.state,
      isLive: this.#connection.state.phase === "open" && topics.every(({ state }) => isCaughtUp(state)),
      workspace: this.#workspace,
      workspaces: this.#workspaces,
      refusal: topics.find(({ refusal }) => refusal !== null)?.refusal ?? null,
      clockOffsetMs: this.#clockOffsetMs,
    };
  }

  #opened({ workspaces, server_time }: Welcome): void {
    this.#clockOffsetMs = Date.parse(server_time) - Date.now();
    this.#workspaces = workspaces;
    // The workspace that the records at hand are of comes before any other.
    const wanted = this.#workspace?.id ?? this.#preferred;
    const workspace = workspaces.find(({ id }) => id === wanted) ?? workspaces[0] ?? null;
    if (workspace?.id !== this.#workspace?.id) {
      for (const topic of this.#topics.values()) topic.state = EMPTY;
    }
    this.#workspace = workspace;
    for (const [name, topic] of this.#topics) {
      topic.refusal = null;
      this.#ask(name, topic);
    }
    this.#changed();
  }

  #received(message: Exclude<ServerMessage, Welcome>): void {
    const name = message.topic ?? null;
    if (name === null || (message.workspace ?? this.#workspace?.id) !== this.#workspace?.id) return;
    const topic = this.#topics.get(name);
    if (topic === undefined) return;
    if (message.op === "error") this.#refused(name, topic, message);
    else this.#advance(name, topic, message);
    this.#changed();
  }

  #advance(name: string, topic: Topic, message: TopicMessage): void {
    const { state, effect } = apply(topic.state, message);
    topic.state = state;
    topic.refusal = null;
    if (effect.kind === "resubscribe") this.#askAgain(name, topic);
  }

  /** Once at once, then with growing pauses: a server whose answers do not fit must not be asked in a loop. */
  #askAgain(name: string, topic: Topic, afterMs: number | null = null): void {
    if (Date.now() - topic.askedMs > CALM_AFTER_MS) topic.repeats = 0;
    const isFirst = topic.repeats === 0 && afterMs === null;
    topic.repeats += 1;
    if (isFirst) {
      this.#ask(name, topic);
      return;
    }
    clearTimeout(topic.timer);
    topic.timer = setTimeout(() => this.#ask(name, topic), delayMs(topic.repeats, this.#random(), afterMs));
  }

  #ask(name: string, topic: Topic): void {
    clearTimeout(topic.timer);
    if (this.#workspace === null) return;
    const { state, since } = subscription(topic.state);
    topic.state = state;
    topic.askedMs = Date.now();
    const wish = { op: "subscribe", topic: name, workspace: this.#workspace.id } as const;
    this.#connection.send(since === null ? wish : { ...wish, since });
  }

  #refused(name: string, topic: Topic, refusal: Refusal): void {
    topic.refusal = refusal;
    if (PASSING_REFUSALS.has(refusal.code)) this.#askAgain(name, topic, refusal.retry_after_ms ?? null);
  }

  #question(): ClientMessage | null {
    const [name] = this.#topics.keys();
    if (name === undefined || this.#workspace === null) return null;
    return { op: "check", topic: name, workspace: this.#workspace.id };
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

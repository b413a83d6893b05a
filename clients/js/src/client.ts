/** Topics of one workspace, kept in step with the server over one connection. */

import type { Base } from "./base.ts";
import { Connection, type ConnectionState } from "./connection.ts";
import type { TokenSource } from "./link.ts";
import { Listeners } from "./listeners.ts";
import {
  type ClientMessage,
  type Refusal,
  type ServerMessage,
  type TopicMessage,
  topicOf,
  type Welcome,
  type Workspace,
} from "./protocol.ts";
import { type Outlet, Subscription, type WatchOptions } from "./subscription.ts";
import { host, type SocketConstructor, type Surroundings } from "./surroundings.ts";
import { EMPTY, isCaughtUp, type TopicState } from "./topic.ts";
import type { Update } from "./update.ts";

export interface ClientOptions {
  /** `ws://` or `wss://` address of the sync endpoint. */
  readonly url: string;
  /** A token, or where to get one from: asked before each connection and in time before one expires. */
  readonly token: string | TokenSource;
  /** Topics to watch from the beginning, besides those that `watch` adds. */
  readonly topics?: readonly string[];
  /** The id of the workspace to be in; the first of the person's when it is null or not one of theirs. */
  readonly workspace?: string | null;
  /** The constructor of the sockets, where the platform has none. */
  readonly WebSocket?: SocketConstructor;
  /** How long a page may be hidden before it disconnects, in milliseconds; null to stay connected. */
  readonly hideAfterMs?: number | null;
  readonly surroundings?: Partial<Surroundings>;
}

export interface ClientStatus {
  readonly connection: ConnectionState;
  /** Whether every watched topic is what the server last said. */
  readonly isLive: boolean;
  /** Null until the first welcome, or for a person who is in none. */
  readonly workspace: Workspace | null;
  readonly workspaces: readonly Workspace[];
  /** Why a watched topic is not given to us, if one is not. */
  readonly refusal: Refusal | null;
  /** Server's clock minus ours, in milliseconds, as of the last welcome. */
  readonly clockOffsetMs: number;
}

const HIDE_AFTER_MS = 300_000;

export class MusterClient {
  readonly url: string;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #outlet: Outlet;
  readonly #connection: Connection;
  readonly #listeners = new Listeners<[]>();
  /** Whose records are held: the workspace that was wished for, until the first welcome. */
  #home: string | null;
  #workspace: Workspace | null = null;
  #workspaces: readonly Workspace[] = [];
  #clockOffsetMs = 0;
  #status: ClientStatus;

  constructor(options: ClientOptions) {
    const { url, token, topics = [], workspace = null, hideAfterMs = HIDE_AFTER_MS } = options;
    const surroundings = { ...host(options.WebSocket), ...options.surroundings };
    const tokens = typeof token === "string" ? () => Promise.resolve(token) : token;
    this.url = url;
    this.#home = workspace;
    this.#connection = new Connection({ url, tokens, hideAfterMs, surroundings }, this.#events());
    this.#outlet = this.#newOutlet(surroundings.random);
    this.#status = this.#look();
    for (const name of topics) this.watch(name);
  }

  /** Connect, and stay so until `stop`; returns the client itself. */
  start(): this {
    this.#connection.start();
    return this;
  }

  /** Close the connection. What is known stays, and `start` resumes from it. */
  stop(): void {
    this.#connection.stop();
  }

  /** Try to connect now rather than after the pause. */
  wake(): void {
    this.#connection.wake();
  }

  /** Keep a topic, as long as anyone who watches it does; returns the way to stop, which is safe to call twice. */
  watch(name: string, options: WatchOptions = {}): () => void {
    const subscription = this.#of(name);
    subscription.watch(options);
    let isOver = false;
    return () => {
      if (!isOver) subscription.unwatch();
      isOver = true;
    };
  }

  /** End one `watch` of a topic whose way to stop is not at hand. What is known stays, to be resumed from. */
  unwatch(name: string): void {
    this.#subscriptions.get(name)?.unwatch();
  }

  /**
   * Watch a topic and hear each of its updates once, beginning with all that is known already; returns the way to
   * stop. `T` is what the caller knows the topic's records to be.
   */
  listen<T>(
    name: string,
    listener: (update: Update<T>, base: Base<T>) => void,
    options: WatchOptions = {},
  ): () => void {
    const stop = this.#of(name).listen((update, base) => listener(update as Update<T>, base as Base<T>));
    const unwatch = this.watch(name, options);
    return () => {
      stop();
      unwatch();
    };
  }

  /** Be told whenever `status` or a topic has changed; returns the way to stop that. */
  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** What is known of a topic; `T` is what the caller knows its records to be. */
  topic<T>(name: string): TopicState<T> {
    return (this.#subscriptions.get(name)?.state ?? EMPTY) as TopicState<T>;
  }

  /** Whether anyone watches a topic. */
  isWatched(name: string): boolean {
    return this.#subscriptions.get(name)?.isWatched ?? false;
  }

  /** Why a topic is not given to us; null if it is, or was not asked for. */
  refusalOf(name: string): Refusal | null {
    return this.#subscriptions.get(name)?.refusal ?? null;
  }

  /** The id of the workspace whose records are held; null while none is known. */
  get workspaceId(): string | null {
    return this.#home;
  }

  /** The same object until something in it changes. */
  get status(): ClientStatus {
    return this.#status;
  }

  /**
   * Whether what is held of a watched topic is just what the server has. What differs is fetched by itself.
   * Rejects with RetryLater when the server cannot be asked now, or does not answer.
   */
  check(name: string): Promise<boolean> {
    return this.#of(name).check();
  }

  /** Ask for all records of a watched topic anew, and show those at hand until they have come. */
  refetch(name: string): void {
    this.#of(name).refetch();
  }

  /** Forget what is known of a topic; if it is watched, it is asked for anew. */
  forget(name: string): void {
    this.#of(name).forget();
  }

  /** Begin a topic of which nothing is known with what `restore` has kept of it, for the workspace that it is given. */
  restore<T>(name: string, restore: (workspace: string) => Base<T> | null): void {
    this.#of(name).restoreFrom(restore);
  }

  /** Take a message of the server that came another way, such as from `/events`, as though it had come on ours. */
  deliver(message: TopicMessage): void {
    if (!this.#isOurs(message)) return;
    this.#of(topicOf(message) as string).take(message);
    this.#changed();
  }

  #events() {
    return {
      changed: ({ phase }: ConnectionState) => {
        // `opened` follows at once, and nothing is live before it has asked for the topics.
        if (phase === "open") return;
        for (const subscription of this.#subscriptions.values()) subscription.suspend();
        this.#changed();
      },
      opened: (welcome: Welcome) => this.#opened(welcome),
      received: (message: Exclude<ServerMessage, Welcome>) => this.#received(message),
      question: () => this.#question(),
    };
  }

  #newOutlet(random: () => number): Outlet {
    const workspace = () => this.#home;
    return {
      get workspace() {
        return workspace();
      },
      send: (message) => this.#connection.send(message),
      random,
      changed: () => this.#changed(),
    };
  }

  #of(name: string): Subscription {
    const found = this.#subscriptions.get(name) ?? new Subscription(name, this.#outlet);
    this.#subscriptions.set(name, found);
    return found;
  }

  #opened({ workspaces, server_time }: Welcome): void {
    this.#clockOffsetMs = Date.parse(server_time) - Date.now();
    this.#workspaces = workspaces;
    // The workspace that the records at hand are of comes before any other.
    this.#workspace = workspaces.find(({ id }) => id === this.#home) ?? workspaces[0] ?? null;
    const id = this.#workspace?.id ?? null;
    const isElsewhere = id !== this.#home;
    this.#home = id;
    for (const subscription of this.#subscriptions.values()) {
      if (isElsewhere) subscription.enter();
      subscription.open();
    }
    this.#changed();
  }

  #received(message: Exclude<ServerMessage, Welcome>): void {
    const subscription = this.#subscriptions.get(topicOf(message) ?? "");
    // What comes of a topic after its `unsubscribe` was still on its way.
    if (subscription?.isWatched !== true || !this.#isOurs(message)) return;
    if (message.op === "error") subscription.refuse(message);
    else subscription.take(message);
    this.#changed();
  }

  #isOurs({ workspace }: { readonly workspace?: string }): boolean {
    return this.#home === null || (workspace ?? this.#home) === this.#home;
  }

  #question(): ClientMessage | null {
    for (const { question } of this.#subscriptions.values()) if (question !== null) return question;
    return null;
  }

  #look(): ClientStatus {
    const watched = [...this.#subscriptions.values()].filter(({ isWatched }) => isWatched);
    const connection = this.#connection.state;
    return {
      connection,
      isLive:
        connection.phase === "open" &&
        this.#workspace !== null &&
        watched.every(({ state }) => isCaughtUp(state)),
      workspace: this.#workspace,
      workspaces: this.#workspaces,
      refusal: watched.find(({ refusal }) => refusal !== null)?.refusal ?? null,
      clockOffsetMs: this.#clockOffsetMs,
    };
  }

  #changed(): void {
    const status = this.#look();
    const fields = Object.keys(status) as (keyof ClientStatus)[];
    if (fields.some((field) => status[field] !== this.#status[field])) this.#status = status;
    this.#listeners.tell();
  }
}

/** A topic as a store that user interfaces know how to read: one immutable state, replaced as a whole. */

import type { Base } from "./base.ts";
import type { MusterClient } from "./client.ts";
import { Refused, RetryLater, SignedOut } from "./errors.ts";
import { Listeners } from "./listeners.ts";
import { type KeyValueStorage, ownStorage, Persistence } from "./persistence.ts";
import type { Item, TopicMessage } from "./protocol.ts";
import type { WatchOptions } from "./subscription.ts";
import { isCaughtUp, type TopicState } from "./topic.ts";

export interface ResourceState<T> {
  /** The records, each the same object until it changes. */
  readonly items: readonly Item<T>[];
  /** Whether something was asked for and has not come. */
  readonly isLoading: boolean;
  /** Whether the records have been seen once, so that no items are none. */
  readonly isLoaded: boolean;
  /** Why there is nothing to be had; null while there is. */
  readonly error: Error | null;
  /** The version that the items are of. */
  readonly lastVersion: number | null;
  /** When the items were last known to be the server's, `Date.now()`. */
  readonly lastSyncTime: number | null;
  /**
   * Follow the resource from now on, or have its records anew if it is followed already. Resolves when they are the
   * server's; rejects when they are not to be had (Refused, SignedOut) or not wanted any more (RetryLater).
   */
  fetchAll(): Promise<void>;
  /** Take a message of the server that came another way. Versions decide what becomes of it. */
  applySync(message: TopicMessage<T>): void;
  /** Whether the items are just what the server has; what differs is fetched. Rejects with RetryLater. */
  checkVersion(): Promise<boolean>;
  getById(id: string): Item<T> | undefined;
  /** End what `fetchAll` began, and forget the records, here and in the storage. */
  clear(): void;
}

export interface PersistOptions {
  /** Anything that tells the users of the storage apart, such as their id. */
  readonly user: string;
  /** `localStorage` when left out. */
  readonly storage?: KeyValueStorage | null;
}

export interface StoreOptions extends WatchOptions {
  readonly client: MusterClient;
  /** Keep the records across reloads. */
  readonly persist?: PersistOptions;
}

type Listener<T> = (state: ResourceState<T>, previous: ResourceState<T>) => void;

/** How long changes may wait to be kept. What is kept may be old: it is resumed from. */
const KEEP_WITHIN_MS = 2_000;

export class ResourceStore<T> {
  readonly #name: string;
  readonly #client: MusterClient;
  readonly #options: WatchOptions;
  readonly #persistence: Persistence | null;
  readonly #listeners = new Listeners<Parameters<Listener<T>>>();
  readonly #actions: Pick<ResourceState<T>, "fetchAll" | "applySync" | "checkVersion" | "getById" | "clear">;
  #topic: TopicState<T>;
  /** The records as a list, made when somebody looks. */
  #list: () => readonly Item<T>[] = () => NONE;
  #state: ResourceState<T>;
  /** The way to stop what `fetchAll` began. */
  #unwatch: (() => void) | null = null;
  readonly #waiting = new Set<(outcome: Error | null) => void>();
  #keepTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(name: string, { client, persist, ...options }: StoreOptions) {
    this.#name = name;
    this.#client = client;
    this.#options = options;
    this.#persistence = persist === undefined ? null : persistenceOf(client.url, name, persist);
    if (this.#persistence !== null) client.restore(name, (id) => this.#persistence?.load<T>(id) ?? null);
    this.#actions = {
      fetchAll: () => this.#fetchAll(),
      applySync: (message) => client.deliver(message),
      checkVersion: () => client.check(name),
      getById: (id) => client.topic<T>(name).base?.items.get(id),
      clear: () => this.#clear(),
    };
    this.#topic = client.topic<T>(name);
    this.#state = this.#look(null, this.#topic);
    client.subscribe(() => this.#follow());
  }

  readonly getState = (): ResourceState<T> => this.#state;

  /** Be told of each new state; returns the way to stop that. */
  readonly subscribe = (listener: Listener<T>): (() => void) => this.#listeners.add(listener);

  /** Follow the resource until the way to stop, which this returns, is taken. */
  watch(): () => void {
    return this.#client.watch(this.#name, this.#options);
  }

  /** How often the storage would not do what it was asked. */
  get storageFailures(): number {
    return this.#persistence?.failures ?? 0;
  }

  #fetchAll(): Promise<void> {
    const isAnswered = this.#topic.base !== null || this.#client.refusalOf(this.#name) !== null;
    if (this.#client.isWatched(this.#name) && isAnswered) this.#client.refetch(this.#name);
    this.#unwatch ??= this.watch();
    return new Promise((resolve, reject) => {
      const settle = (outcome: Error | null) => {
        this.#waiting.delete(settle);
        if (outcome === null) resolve();
        else reject(outcome);
      };
      this.#waiting.add(settle);
      this.#settle();
    });
  }

  #clear(): void {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
    this.#persistence?.clear();
    this.#unwatch?.();
    this.#unwatch = null;
    for (const settle of this.#waiting) settle(new RetryLater("the store was cleared"));
    this.#client.forget(this.#name);
  }

  #follow(): void {
    const topic = this.#client.topic<T>(this.#name);
    const state = this.#look(this.#topic, topic);
    const isNew = topic.base !== this.#topic.base;
    this.#topic = topic;
    if (isNew && topic.base !== null) this.#keepSoon();
    this.#settle();
    if (!isNew && isSame(state, this.#state)) return;
    const previous = this.#state;
    this.#state = state;
    this.#listeners.tellInTurn(state, previous);
  }

  #look(before: TopicState<T> | null, topic: TopicState<T>): ResourceState<T> {
    const { base } = topic;
    const isSynced = topic !== before && isCaughtUp(topic) && topic.unmatched === 0;
    if (base !== (before?.base ?? null)) this.#list = listOf(base);
    const list = this.#list;
    return {
      ...this.#actions,
      get items() {
        return list();
      },
      isLoading: this.#client.isWatched(this.#name) && this.#trouble() === null && !isCaughtUp(topic),
      isLoaded: base !== null,
      error: this.#trouble(),
      lastVersion: base?.version ?? null,
      lastSyncTime: isSynced ? Date.now() : base === null ? null : (this.#state?.lastSyncTime ?? null),
    };
  }

  /** Why there is nothing to wait for. */
  #trouble(): Error | null {
    const refusal = this.#client.refusalOf(this.#name);
    if (refusal !== null && refusal.code !== "unavailable" && refusal.code !== "too_many") {
      return new Refused(refusal.message, refusal.code);
    }
    const { connection } = this.#client.status;
    if (connection.phase !== "stopped") return null;
    if (connection.reason === "signed-out") return new SignedOut("the session has ended");
    return new Refused(`the server refused the connection: ${connection.reason}`, connection.reason);
  }

  /** Tell those who wait for the records whether they have come, or will not. */
  #settle(): void {
    const trouble = this.#trouble();
    if (trouble === null && !isCaughtUp(this.#topic)) return;
    for (const settle of this.#waiting) settle(trouble);
  }

  #keepSoon(): void {
    if (this.#persistence === null) return;
    this.#keepTimer ??= setTimeout(() => this.#keep(), KEEP_WITHIN_MS);
  }

  #keep(): void {
    this.#keepTimer = undefined;
    const { workspaceId } = this.#client;
    const { base, awaiting } = this.#topic;
    // What is not trusted any more is not kept; the snapshot that replaces it will be.
    if (base !== null && workspaceId !== null && awaiting !== "snapshot") {
      this.#persistence?.save(workspaceId, base);
    }
  }
}

/** A store of the resource `name`; `T` is what the caller knows its records to be. */
export function createResourceStore<T>(name: string, options: StoreOptions): ResourceStore<T> {
  return new ResourceStore<T>(name, options);
}

function persistenceOf(url: string, topic: string, { user, storage }: PersistOptions): Persistence {
  return new Persistence(storage === undefined ? ownStorage() : storage, { url, user, topic });
}

const NONE: readonly never[] = [];

function listOf<T>(base: Base<T> | null): () => readonly Item<T>[] {
  let list: readonly Item<T>[] | null = null;
  return () => {
    list ??= base === null ? NONE : [...base.items.values()];
    return list;
  };
}

/** Whether two states of the same records differ in nothing else. */
function isSame<T>(one: ResourceState<T>, other: ResourceState<T>): boolean {
  const keys = Object.keys(one) as (keyof ResourceState<T>)[];
  return (
    keys.every((key) => key === "items" || key === "error" || one[key] === other[key]) &&
    isSameError(one.error, other.error)
  );
}

function isSameError(one: Error | null, other: Error | null): boolean {
  return one?.name === other?.name && one?.message === other?.message;
}

/**
 * What is kept of a topic across reloads: its records at one position, as text in a storage.
 *
 * A kept state may be old, but never wrong: it is checked against its own digest when it is read, resumed from by its
 * version, and compared with the server's digest like any other. What cannot be read is as if it were not there.
 */

import type { Base } from "./base.ts";
import { digest } from "./digest.ts";
import type { Item } from "./protocol.ts";

/** What is used of a `Storage`. */
export interface KeyValueStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Whose records they are: nobody is shown what was kept for somebody else, or from elsewhere. */
export interface Owner {
  readonly url: string;
  /** Anything that tells the users of this storage apart. */
  readonly user: string;
  readonly topic: string;
}

/** Told in what is kept, so that a later form is not mistaken for this one. */
const FORM = 1;

export class Persistence {
  readonly #storage: KeyValueStorage | null;
  readonly #prefix: string;
  #failures = 0;

  /** Without a storage nothing is kept. */
  constructor(storage: KeyValueStorage | null, { url, user, topic }: Owner) {
    this.#storage = storage;
    this.#prefix = `muster:${[url, user, topic].map(encodeURIComponent).join(":")}:`;
  }

  /** How often the storage would not do what it was asked: it is full, or forbidden. */
  get failures(): number {
    return this.#failures;
  }

  load<T>(workspace: string): Base<T> | null {
    const text = this.#attempt((storage) => storage.getItem(this.#key(workspace)));
    return text === null ? null : decode<T>(text);
  }

  /** A state that does not fit leaves the one that was kept before, which is older but whole. */
  save(workspace: string, base: Base<unknown>): void {
    this.#attempt((storage) => storage.setItem(this.#key(workspace), encode(base)));
  }

  /** Forget the topic, in every workspace. */
  clear(): void {
    this.#attempt((storage) => {
      const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index));
      for (const key of keys) if (key?.startsWith(this.#prefix)) storage.removeItem(key);
    });
  }

  #key(workspace: string): string {
    return this.#prefix + encodeURIComponent(workspace);
  }

  #attempt<R>(task: (storage: KeyValueStorage) => R): R | null {
    if (this.#storage === null) return null;
    try {
      return task(this.#storage);
    } catch (error) {
      // Each kind of trouble has a name of its own in each browser; all of them mean that nothing is kept.
      this.#failures += 1;
      if (this.#failures === 1) console.warn("muster: the storage cannot be used", error);
      return null;
    }
  }
}

/** The storage of the page; null where there is none, or the person does not allow it. */
export function ownStorage(): KeyValueStorage | null {
  try {
    return typeof window === "undefined" ? null : window.localStorage;
  } catch {
    return null;
  }
}

export function encode({ epoch, version, items }: Base<unknown>): string {
  const records = [...items.values()].map((item) => [item.id, item.version, item.data]);
  return JSON.stringify({ form: FORM, epoch, version, digest: digest(items.values()), records });
}

/** The state that a text tells of; null for a text that is not ours, or not as we wrote it. */
export function decode<T>(text: string): Base<T> | null {
  const { form, epoch, version, records, digest: expected } = fields(text);
  if (form !== FORM || typeof epoch !== "string" || !isVersion(version) || !Array.isArray(records))
    return null;
  const items = new Map<string, Item<T>>();
  for (const record of records) {
    const item = itemOf<T>(record);
    if (item === null || item.version > version) return null;
    items.set(item.id, item);
  }
  return digest(items.values()) === expected ? { epoch, version, items } : null;
}

function fields(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function itemOf<T>(record: unknown): Item<T> | null {
  if (!Array.isArray(record)) return null;
  const [id, version, data] = record as unknown[];
  if (typeof id !== "string" || !isVersion(version) || typeof data !== "object" || data === null) return null;
  return { id, version, data: data as T };
}

const isVersion = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

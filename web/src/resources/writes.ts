/** Writes of the records of one resource over the api, each only on the version that a person has seen. */

import { RetryLater } from "muster-client";
import { Problem, type Request } from "../http.ts";
import type { Session } from "../session.ts";
import type { Descriptor, Fields } from "./descriptor.ts";
import type { AnyRecord } from "./store.ts";

/** What happened to a record, newest first; only what is read of it. */
interface History {
  readonly items: readonly { readonly version: number; readonly action: string }[];
}

export class Writes {
  readonly #session: Session;
  readonly #workspace: string;
  readonly #path: string;
  #last = { wish: "", key: "" };

  constructor(session: Session, workspace: string, { name }: Descriptor) {
    this.#session = session;
    this.#workspace = workspace;
    this.#path = `/api/v1/${name}`;
  }

  /**
   * Make a record. What is sent again as it was, because no answer had come, makes no second one. This and what
   * follows throws Problem, Unreachable, SignedOut or RetryLater, whose messages are for people.
   */
  async create(fields: Fields): Promise<void> {
    const wish = JSON.stringify(fields);
    if (wish !== this.#last.wish) this.#last = { wish, key: randomKey() };
    const headers = { "Idempotency-Key": this.#last.key };
    await this.#request({ method: "POST", path: this.#path, body: fields, headers });
    this.#last = { wish: "", key: "" };
  }

  /** Change fields of a record that has this version, or throw a Problem of status 412. */
  async update({ id, version }: AnyRecord, changes: Fields): Promise<void> {
    await this.#request({
      method: "PATCH",
      path: `${this.#path}/${id}`,
      body: changes,
      headers: ifMatch(version),
    });
  }

  /** Delete a record that has this version, or throw a Problem of status 412. */
  async remove({ id, version }: AnyRecord): Promise<void> {
    await this.#request({ method: "DELETE", path: `${this.#path}/${id}`, headers: ifMatch(version) });
  }

  /** Undo the newest change of a record, which has deleted it: it is there again, under its id. */
  async restore(id: string): Promise<void> {
    const path = `${this.#path}/${id}`;
    const history = (await this.#request({ method: "GET", path: `${path}/changes?limit=1` })) as History;
    const [newest] = history.items;
    if (newest?.action !== "deleted") throw new RetryLater("Somebody was faster, or the journal is late.");
    await this.#request({ method: "POST", path: `${path}/revert`, body: { version: newest.version } });
  }

  /** The record as it is now; null when it is no more. */
  async read(id: string): Promise<AnyRecord | null> {
    try {
      const answer = await this.#request({ method: "GET", path: `${this.#path}/${id}` });
      const { version, ...data } = answer as Fields & { readonly version: number };
      return { id, version, data };
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return null;
      throw error;
    }
  }

  #request(request: Request): Promise<unknown> {
    return this.#session.request(request, this.#workspace);
  }
}

const ifMatch = (version: number) => ({ "If-Match": `"${version}"` });

/** `crypto.randomUUID` exists on https and localhost only. */
function randomKey(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");
}

/**
 * Who is signed in: keeps the pair of tokens, refreshes it, and says when a person must sign in again.
 *
 * The tokens are in localStorage, not sessionStorage, because the refresh token is spent with each use and using it
 * twice ends the session: a duplicated tab would take a copy of sessionStorage with it and do just that. With one
 * place for all tabs, whoever refreshes does it for everyone. A script that could read the one could read the other;
 * the content security policy is what keeps such a script out.
 */

import { RetryLater, SignedOut } from "muster-client";
import { Problem, post, type Request, request, Unreachable } from "./http.ts";

export type SessionState =
  | { readonly kind: "signed-in" }
  /** `notice` says why, where the person did not ask for it. */
  | { readonly kind: "signed-out"; readonly notice: string | null };

interface Tokens {
  readonly access: string;
  readonly refresh: string;
  readonly expiresAtMs: number;
}

/** Runs `task` while nobody else, in any tab, runs one. */
export type Exclusive = <T>(task: () => Promise<T>) => Promise<T>;

const KEY = "muster.session";
/** A token about to expire is not worth sending. */
const MIN_LIFE_MS = 30_000;
const ENDED = "Your session has ended. Please sign in again.";

/** One tab at a time, where the browser can do that: locks exist only on https and localhost. */
const acrossTabs: Exclusive = async (task) => {
  const locks = (navigator as { readonly locks?: LockManager }).locks;
  return locks === undefined ? task() : locks.request(KEY, task);
};

export class Session {
  readonly #storage: Storage;
  readonly #exclusively: Exclusive;
  readonly #listeners = new Set<() => void>();
  #state: SessionState;
  #refreshing: Promise<string> | null = null;

  constructor(storage: Storage, exclusively: Exclusive = acrossTabs) {
    this.#storage = storage;
    this.#exclusively = exclusively;
    this.#state = this.#read() === null ? { kind: "signed-out", notice: null } : { kind: "signed-in" };
  }

  readonly getState = (): SessionState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Look again at what is stored: another tab may have signed in or out. */
  reread(): void {
    const isSignedIn = this.#read() !== null;
    if (isSignedIn === (this.#state.kind === "signed-in")) return;
    this.#become(isSignedIn ? { kind: "signed-in" } : { kind: "signed-out", notice: null });
  }

  /** Throws Problem or Unreachable, whose message is for the person. */
  async signIn(email: string, password: string): Promise<void> {
    this.#keep(tokensOf(await post("/api/v1/auth/login", { email, password })));
    this.#become({ kind: "signed-in" });
  }

  /** Forget the tokens here at once, then have the server revoke them. */
  async signOut(): Promise<void> {
    const tokens = this.#read();
    this.#end(null);
    if (tokens === null) return;
    try {
      await revoke(tokens);
    } catch (error) {
      // What is not good any more needs no revoking.
      if (error instanceof Problem && error.status === 401) return;
      console.error("muster: sign-out", error);
      this.#become({
        kind: "signed-out",
        notice: "You are signed out in this browser, but the server could not be told.",
      });
    }
  }

  /** Ask as the person who is signed in. Throws Problem, Unreachable, SignedOut or RetryLater. */
  async request(what: Request, workspace: string): Promise<unknown> {
    const token = await this.token(null);
    return request({ ...what, headers: { ...what.headers, ...bearer(token), "X-Workspace": workspace } });
  }

  /**
   * A valid access token other than `spent`, refreshed when that is needed.
   * Throws SignedOut when the session has ended, RetryLater when the server could not say.
   */
  readonly token = async (spent: string | null): Promise<string> => {
    const usable = this.#usable(spent);
    if (usable !== null) return usable;
    this.#refreshing ??= this.#exclusively(() => this.#refresh(spent)).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  };

  async #refresh(spent: string | null): Promise<string> {
    // While this tab waited for its turn, another one may have refreshed.
    const usable = this.#usable(spent);
    if (usable !== null) return usable;
    const before = this.#read();
    if (before === null) throw this.#ended();
    try {
      const tokens = await renewed(before);
      // The person may have signed out meanwhile.
      if (this.#read() === null) throw this.#ended();
      this.#keep(tokens);
      return tokens.access;
    } catch (error) {
      throw this.#afterFailure(error, before);
    }
  }

  #afterFailure(error: unknown, before: Tokens): unknown {
    if (error instanceof Unreachable) return new RetryLater(error.message);
    if (!(error instanceof Problem)) return error;
    if (error.isPassing) return new RetryLater(error.message, error.retryAfterMs);
    // Without locks another tab may have been quicker with the same refresh token; then its tokens count.
    if (this.#read()?.refresh !== before.refresh)
      return new RetryLater("another tab has refreshed the session");
    return this.#ended();
  }

  #ended(): SignedOut {
    if (this.#state.kind === "signed-in") this.#end(this.#read() === null ? null : ENDED);
    return new SignedOut(ENDED);
  }

  #end(notice: string | null): void {
    this.#storage.removeItem(KEY);
    this.#become({ kind: "signed-out", notice });
  }

  #usable(spent: string | null): string | null {
    const tokens = this.#read();
    if (tokens === null || tokens.access === spent) return null;
    return isFresh(tokens) ? tokens.access : null;
  }

  #keep(tokens: Tokens): void {
    this.#storage.setItem(KEY, JSON.stringify(tokens));
  }

  #read(): Tokens | null {
    const text = this.#storage.getItem(KEY);
    if (text === null) return null;
    try {
      return JSON.parse(text) as Tokens;
    } catch (error) {
      console.warn("muster: the stored session is unreadable", error);
      return null;
    }
  }

  #become(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

const isFresh = ({ expiresAtMs }: Tokens) => expiresAtMs - Date.now() > MIN_LIFE_MS;

/** The next pair; the refresh token is spent by it. */
async function renewed({ refresh }: Tokens): Promise<Tokens> {
  return tokensOf(await post("/api/v1/auth/refresh", { refresh_token: refresh }));
}

/** Have the server end the session, for which it wants an access token that is still good. */
async function revoke(tokens: Tokens): Promise<void> {
  const { access } = isFresh(tokens) ? tokens : await renewed(tokens);
  await post("/api/v1/auth/logout", null, bearer(access));
}

/** Read the api's answer to a login or a refresh. */
function tokensOf(answer: unknown): Tokens {
  const { access_token, refresh_token, expires_in } = (answer ?? {}) as Record<string, unknown>;
  if (
    typeof access_token !== "string" ||
    typeof refresh_token !== "string" ||
    typeof expires_in !== "number"
  ) {
    throw new Problem(502, "bad_answer", "Muster's answer could not be understood.", null);
  }
  return { access: access_token, refresh: refresh_token, expiresAtMs: Date.now() + expires_in * 1000 };
}

/** A connection that comes back: opens one link after the other, and decides when. */

import { delayMs } from "./backoff.ts";
import { verdict } from "./closing.ts";
import { RetryLater, SignedOut } from "./errors.ts";
import { Link, type TokenSource } from "./link.ts";
import type { PageSign } from "./page.ts";
import { type ClientMessage, type ServerMessage, SUBPROTOCOL, type Welcome } from "./protocol.ts";
import type { Surroundings } from "./surroundings.ts";

export type ConnectionState =
  | { readonly phase: "idle" }
  /** A token is fetched, a socket opened, or a welcome awaited. */
  | { readonly phase: "connecting" }
  | { readonly phase: "open"; readonly welcome: Welcome }
  /** The next try is at `retryAtMs` (`Date.now()`); `isPaced` when the server asked for the pause. */
  | { readonly phase: "waiting"; readonly retryAtMs: number; readonly isPaced: boolean }
  /** The page has been hidden for long; it connects again when somebody looks. */
  | { readonly phase: "paused" }
  /** It will not come back by itself. */
  | { readonly phase: "stopped"; readonly reason: "malformed" | "forbidden" | "signed-out" };

export interface ConnectionEvents {
  changed(state: ConnectionState): void;
  /** Let in on a new link: everything must be subscribed again. */
  opened(welcome: Welcome): void;
  received(message: Exclude<ServerMessage, Welcome>): void;
  question(): ClientMessage | null;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly tokens: TokenSource;
  /** How long a page may be hidden before it disconnects, in milliseconds; null to stay connected. */
  readonly hideAfterMs: number | null;
  readonly surroundings: Surroundings;
}

/** A link that has held this long shows that the trouble is over. */
const STABLE_AFTER_MS = 5_000;
/** How far clients spread when they were told to come back at once. */
const RESUME_WITHIN_MS = 300;
/** Refusals in a row before a token that is given once more is given up. */
const MAX_REFUSALS = 3;
const TOKEN_WITHIN_MS = 30_000;

export class Connection {
  readonly #url: string;
  readonly #tokens: TokenSource;
  readonly #events: ConnectionEvents;
  readonly #surroundings: Surroundings;
  #state: ConnectionState = { phase: "idle" };
  #link: Link | null = null;
  #tries = 0;
  #spentToken: string | null = null;
  #refusals = 0;
  /** Until when the server asked to be left alone, `Date.now()`. */
  #notBeforeMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #hideAfterMs: number | null;
  #hideTimer: ReturnType<typeof setTimeout> | undefined;
  #stopWatching: (() => void) | null = null;
  /** Counts the tries for good, so that a token which comes late is known to be for an earlier one. */
  #generation = 0;

  constructor({ url, tokens, hideAfterMs, surroundings }: ConnectionOptions, events: ConnectionEvents) {
    this.#url = url;
    this.#tokens = tokens;
    this.#hideAfterMs = hideAfterMs;
    this.#surroundings = surroundings;
    this.#events = events;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(): void {
    if (this.#state.phase !== "idle" && this.#state.phase !== "stopped") return;
    this.#tries = 0;
    this.#refusals = 0;
    this.#stopWatching ??= this.#surroundings.watchPage((sign) => this.#heed(sign));
    void this.#connect();
  }

  stop(): void {
    this.#halt({ phase: "idle" });
  }

  /** Try now instead of later, unless the server asked for the pause; an open link is asked for a sign of life. */
  wake(): void {
    if (this.#state.phase === "open") this.#link?.ask();
    else if (this.#state.phase === "waiting" && !this.#state.isPaced) void this.#connect();
    else if (this.#state.phase === "paused") this.#comeBack();
  }

  /** Say it if the link is open, and tell whether it was; whoever is still interested asks again on opening. */
  send(message: ClientMessage): boolean {
    if (this.#state.phase !== "open" || this.#link === null) return false;
    this.#link.send(message);
    return true;
  }

  #heed(sign: PageSign): void {
    if (sign !== "online") clearTimeout(this.#hideTimer);
    if (sign === "hidden" && this.#hideAfterMs !== null) {
      this.#hideTimer = setTimeout(() => this.#pause(), this.#hideAfterMs);
    }
    if (sign === "visible" || (sign === "online" && this.#state.phase !== "paused")) this.wake();
  }

  #pause(): void {
    if (this.#state.phase === "waiting" && this.#state.isPaced) this.#notBeforeMs = this.#state.retryAtMs;
    this.#drop();
    this.#become({ phase: "paused" });
  }

  #comeBack(): void {
    const pauseMs = this.#askedPauseMs();
    if (pauseMs === null) void this.#connect();
    else this.#wait(pauseMs, true);
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#timer);
    this.#generation += 1;
    const generation = this.#generation;
    this.#timer = setTimeout(() => this.#withoutToken(new RetryLater("no token has come")), TOKEN_WITHIN_MS);
    this.#become({ phase: "connecting" });
    try {
      const token = await this.#tokens(this.#spentToken);
      if (generation !== this.#generation) return;
      clearTimeout(this.#timer);
      if (token === this.#spentToken && this.#refusals >= MAX_REFUSALS) throw new SignedOut("no other token");
      this.#open(token);
    } catch (error) {
      if (generation === this.#generation) this.#withoutToken(error);
    }
  }

  #open(token: string): void {
    const socket = this.#surroundings.createSocket(this.#url, SUBPROTOCOL);
    this.#link = new Link(socket, token, this.#tokens, {
      welcomed: (welcome) => this.#welcomed(welcome),
      received: (message) => this.#received(message),
      question: () => this.#events.question(),
      ended: (code, reason) => this.#ended(code, reason),
    });
  }

  #welcomed(welcome: Welcome): void {
    this.#spentToken = null;
    this.#refusals = 0;
    this.#timer = setTimeout(() => {
      this.#tries = 0;
    }, STABLE_AFTER_MS);
    this.#become({ phase: "open", welcome });
    this.#events.opened(welcome);
  }

  #received(message: Exclude<ServerMessage, Welcome>): void {
    if (message.op === "error" && (message.topic ?? null) === null) {
      this.#notBeforeMs = Date.now() + (message.retry_after_ms ?? 0);
      console.warn(`muster: ${message.code}: ${message.message}`);
    }
    this.#events.received(message);
  }

  #ended(code: number, reason: string): void {
    const token = this.#link?.token ?? null;
    this.#link = null;
    clearTimeout(this.#timer);
    const next = verdict(code, reason);
    if (next.kind === "stop") {
      console.error(`muster: the server refused the connection: ${code} ${reason}`);
      this.#halt({ phase: "stopped", reason: next.reason });
      return;
    }
    if (next.kind === "renew") {
      this.#spentToken = token;
      this.#refusals += 1;
    }
    const afterMs = (next.kind === "retry" ? next.afterMs : null) ?? this.#askedPauseMs();
    // At once only when things were well before, or a server that lets in and sends away would be called in a loop.
    if (next.kind !== "retry" && afterMs === null && this.#tries === 0) {
      this.#wait(next.kind === "renew" ? 0 : this.#surroundings.random() * RESUME_WITHIN_MS);
    } else {
      this.#waitTurn(afterMs);
    }
  }

  #askedPauseMs(): number | null {
    const pauseMs = this.#notBeforeMs - Date.now();
    return pauseMs > 0 ? pauseMs : null;
  }

  #withoutToken(error: unknown): void {
    clearTimeout(this.#timer);
    this.#generation += 1;
    if (error instanceof SignedOut) {
      this.#halt({ phase: "stopped", reason: "signed-out" });
      return;
    }
    if (!(error instanceof RetryLater)) console.error("muster: cannot connect", error);
    this.#waitTurn(error instanceof RetryLater ? error.afterMs : null);
  }

  #waitTurn(afterMs: number | null): void {
    this.#wait(delayMs(this.#tries, this.#surroundings.random(), afterMs), afterMs !== null);
  }

  #wait(delay: number, isPaced = false): void {
    this.#tries += 1;
    this.#timer = setTimeout(() => void this.#connect(), delay);
    this.#become({ phase: "waiting", retryAtMs: Date.now() + delay, isPaced });
  }

  #halt(state: ConnectionState): void {
    clearTimeout(this.#hideTimer);
    this.#stopWatching?.();
    this.#stopWatching = null;
    this.#drop();
    this.#become(state);
  }

  /** Leave whatever is under way. */
  #drop(): void {
    clearTimeout(this.#timer);
    this.#generation += 1;
    this.#link?.close();
    this.#link = null;
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    this.#events.changed(state);
  }
}

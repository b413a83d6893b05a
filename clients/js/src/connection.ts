/** A connection that comes back: opens one link after the other, and decides when. */

import { delayMs } from "./backoff.ts";
import { verdict } from "./closing.ts";
import { RetryLater, SignedOut } from "./errors.ts";
import { Link, type TokenSource } from "./link.ts";
import { type ClientMessage, type ServerMessage, SUBPROTOCOL, type Welcome } from "./protocol.ts";
import { onWake } from "./wake.ts";

export type ConnectionState =
  | { readonly phase: "idle" }
  /** A token is fetched, a socket opened, or a welcome awaited. */
  | { readonly phase: "connecting" }
  | { readonly phase: "open"; readonly welcome: Welcome }
  /** The next try is at `retryAtMs` (`Date.now()`); `isPaced` when the server asked for the pause. */
  | { readonly phase: "waiting"; readonly retryAtMs: number; readonly isPaced: boolean }
  /** It will not come back by itself. */
  | { readonly phase: "stopped"; readonly reason: "malformed" | "forbidden" | "signed-out" };

export interface ConnectionEvents {
  changed(state: ConnectionState): void;
  /** Let in on a new link: everything must be subscribed again. */
  opened(welcome: Welcome): void;
  received(message: Exclude<ServerMessage, Welcome>): void;
  question(): ClientMessage | null;
}

/** What the connection takes from its surroundings; tests bring their own. */
export interface Surroundings {
  createSocket(url: string, subprotocol: string): WebSocket;
  /** In [0, 1). */
  random(): number;
  /** Calls back when the network or the person has returned; returns the way to stop that. */
  onWake(listener: () => void): () => void;
}

const BROWSER: Surroundings = {
  createSocket: (url, subprotocol) => new WebSocket(url, subprotocol),
  random: Math.random,
  onWake,
};

/** A link that has held this long shows that the trouble is over. */
const STABLE_AFTER_MS = 5_000;
/** How far clients spread when they were told to come back at once. */
const RESUME_WITHIN_MS = 300;

export class Connection {
  readonly #url: string;
  readonly #tokens: TokenSource;
  readonly #events: ConnectionEvents;
  readonly #surroundings: Surroundings;
  #state: ConnectionState = { phase: "idle" };
  #link: Link | null = null;
  #tries = 0;
  #spentToken: string | null = null;
  /** Until when the server asked to be left alone, `Date.now()`. */
  #notBeforeMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopWake: (() => void) | null = null;
  /** Counts the tries for good, so that a token which comes late is known to be for an earlier one. */
  #generation = 0;

  constructor(
    url: string,
    tokens: TokenSource,
    events: ConnectionEvents,
    surroundings: Partial<Surroundings> = {},
  ) {
    this.#url = url;
    this.#tokens = tokens;
    this.#events = events;
    this.#surroundings = { ...BROWSER, ...surroundings };
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(): void {
    if (this.#state.phase !== "idle" && this.#state.phase !== "stopped") return;
    this.#tries = 0;
    this.#stopWake ??= this.#surroundings.onWake(() => this.wake());
    void this.#connect();
  }

  stop(): void {
    this.#halt({ phase: "idle" });
  }

  /** Try now instead of later, unless the server asked for the pause; an open link is asked for a sign of life. */
  wake(): void {
    if (this.#state.phase === "open") this.#link?.ask();
    else if (this.#state.phase === "waiting" && !this.#state.isPaced) void this.#connect();
  }

  /** Say it if the link is open; what is said while it is not would be asked again on opening anyway. */
  send(message: ClientMessage): void {
    if (this.#state.phase === "open") this.#link?.send(message);
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#timer);
    this.#generation += 1;
    const generation = this.#generation;
    this.#become({ phase: "connecting" });
    try {
      const token = await this.#tokens(this.#spentToken);
      if (generation === this.#generation) this.#open(token);
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
    if (next.kind === "renew") this.#spentToken = token;
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
    if (error instanceof SignedOut) {
      this.#halt({ phase: "stopped", reason: "signed-out" });
      return;
    }
    if (!(error instanceof RetryLater)) console.error("muster: no token", error);
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
    clearTimeout(this.#timer);
    this.#generation += 1;
    this.#stopWake?.();
    this.#stopWake = null;
    this.#link?.close();
    this.#link = null;
    this.#become(state);
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    this.#events.changed(state);
  }
}

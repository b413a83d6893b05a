/**
 * One WebSocket, from its opening to its end: authenticates first, renews its token in time, and notices when the
 * other side has silently gone. What to do after the end is for the connection to decide.
 */

import { ProtocolFault, RetryLater, SignedOut } from "./errors.ts";
import { look } from "./liveness.ts";
import { type ClientMessage, parse, type ServerMessage, type Welcome } from "./protocol.ts";
import type { Socket } from "./surroundings.ts";

/**
 * Gives a valid access token other than `spent`, the last one given; the same again if there is no other.
 * Throws, or rejects with, SignedOut or RetryLater.
 */
export type TokenSource = (spent: string | null) => string | Promise<string>;

export interface LinkEvents {
  /** The server has let us in; called once. */
  welcomed(welcome: Welcome): void;
  /** Anything else that the server said. */
  received(message: Exclude<ServerMessage, Welcome>): void;
  /** A message that the server answers soon, to see whether it is there; null when there is none to send. */
  question(): ClientMessage | null;
  /** It is over; called once, and nothing is called after it. */
  ended(code: number, reason: string): void;
}

/** The code of a connection that broke without a closing handshake (RFC 6455, 7.4.1). */
const BROKEN = 1006;
const PROTOCOL_ERROR = 1002;
const UNAUTHENTICATED = 4401;

const WELCOME_WITHIN_MS = 10_000;
const RENEW_AHEAD_MS = 60_000;
const RENEW_AGAIN_MS = 5_000;
/** How long a renewal may go unanswered before it is said again. */
const RENEWED_WITHIN_MS = 10_000;
/** The longest delay that a timer takes; longer ones fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Link {
  readonly #socket: Socket;
  readonly #tokens: TokenSource;
  readonly #events: LinkEvents;
  #token: string;
  #heartbeatS: number | null = null;
  #heardMs = 0;
  #askedMs: number | null = null;
  #pulseTimer: ReturnType<typeof setTimeout> | undefined;
  #renewTimer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(socket: Socket, token: string, tokens: TokenSource, events: LinkEvents) {
    this.#socket = socket;
    this.#token = token;
    this.#tokens = tokens;
    this.#events = events;
    socket.onopen = () => this.send({ op: "auth", token: this.#token });
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = (event) => this.#end(event.code, event.reason);
    // The package `ws` throws an error that nobody handles; what matters, the close, comes after it.
    socket.onerror = () => undefined;
    this.#pulseTimer = setTimeout(() => this.#giveUp("no welcome"), WELCOME_WITHIN_MS);
  }

  /** The token that was last sent. */
  get token(): string {
    return this.#token;
  }

  send(message: ClientMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  /** Ask whether the other side is still there; without an answer the link ends soon. */
  ask(): void {
    if (this.#heartbeatS === null || this.#askedMs !== null) return;
    const question = this.#events.question();
    if (question === null) return;
    this.#askedMs = Date.now();
    this.send(question);
    this.#watch();
  }

  /** Close it for good; no event follows. */
  close(): void {
    this.#release();
    this.#socket.close(1000);
  }

  #hear(frame: unknown): void {
    this.#heardMs = Date.now();
    this.#askedMs = null;
    let message: ServerMessage;
    try {
      message = parse(frame);
    } catch (error) {
      if (!(error instanceof ProtocolFault)) throw error;
      this.#giveUp(error.message, PROTOCOL_ERROR);
      return;
    }
    if (message.op === "welcome") this.#welcome(message);
    else this.#events.received(message);
  }

  #welcome(welcome: Welcome): void {
    const isFirst = this.#heartbeatS === null;
    this.#heartbeatS = welcome.heartbeat_s;
    this.#watch();
    this.#scheduleRenewal(welcome);
    if (isFirst) this.#events.welcomed(welcome);
  }

  /** Silence is looked at when it would have become too long, not with every message. */
  #watch(): void {
    if (this.#isOver || this.#heartbeatS === null) return;
    clearTimeout(this.#pulseTimer);
    const now = Date.now();
    const sign = look({ heardMs: this.#heardMs, askedMs: this.#askedMs }, now, this.#heartbeatS);
    if (sign.kind === "lost") {
      this.#giveUp("no answer");
      return;
    }
    if (sign.kind === "ask") {
      this.ask();
      if (this.#askedMs !== null) return;
      this.#heardMs = now;
    }
    const atMs = sign.kind === "wait" ? sign.atMs : now + this.#heartbeatS * 1000;
    this.#pulseTimer = setTimeout(() => this.#watch(), atMs - now);
  }

  /** Both times are the server's, so that a wrong clock here does no harm. */
  #scheduleRenewal({ expires_at, server_time }: Welcome): void {
    clearTimeout(this.#renewTimer);
    if (expires_at === null || expires_at === undefined) return;
    const lifeMs = Date.parse(expires_at) - Date.parse(server_time);
    this.#renewIn(Math.max(lifeMs / 2, lifeMs - RENEW_AHEAD_MS));
  }

  #renewIn(ms: number): void {
    if (ms > MAX_TIMER_MS)
      this.#renewTimer = setTimeout(() => this.#renewIn(ms - MAX_TIMER_MS), MAX_TIMER_MS);
    else this.#renewTimer = setTimeout(() => void this.#renew(), ms);
  }

  async #renew(): Promise<void> {
    try {
      const token = await this.#tokens(this.#token);
      if (this.#isOver) return;
      if (token === this.#token) this.#renewIn(RENEW_AGAIN_MS);
      else this.#say(token);
    } catch (error) {
      if (this.#isOver) return;
      this.#withoutToken(error);
    }
  }

  #withoutToken(error: unknown): void {
    if (error instanceof SignedOut) {
      this.#giveUp(error.message, UNAUTHENTICATED);
      return;
    }
    if (!(error instanceof RetryLater)) console.error("muster: cannot renew the token", error);
    const afterMs = error instanceof RetryLater ? error.afterMs : null;
    this.#renewIn(Math.max(RENEW_AGAIN_MS, afterMs ?? 0));
  }

  /** The welcome that answers it sets the timer anew; a server that could not check the token gets it again. */
  #say(token: string): void {
    this.#token = token;
    this.send({ op: "auth", token });
    this.#renewTimer = setTimeout(() => this.#say(token), RENEWED_WITHIN_MS);
  }

  /** A dead connection takes minutes to say that it has closed, so its end is not waited for. */
  #giveUp(reason: string, code = BROKEN): void {
    this.#socket.close();
    this.#end(code, reason);
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#release();
    this.#events.ended(code, reason);
  }

  #release(): void {
    this.#isOver = true;
    clearTimeout(this.#pulseTimer);
    clearTimeout(this.#renewTimer);
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
  }
}

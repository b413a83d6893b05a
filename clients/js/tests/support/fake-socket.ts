/** WebSockets without a network: a test plays the server. */

import type { PageSign } from "../../src/page.ts";
import type { ClientMessage } from "../../src/protocol.ts";
import type { Surroundings } from "../../src/surroundings.ts";

export class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly sent: ClientMessage[] = [];
  isClosedByClient = false;
  readonly url: string;
  readonly subprotocol: string;

  constructor(url: string, subprotocol: string) {
    this.url = url;
    this.subprotocol = subprotocol;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }

  close(): void {
    this.isClosedByClient = true;
  }

  /** The handshake has succeeded. */
  accept(): void {
    this.onopen?.();
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  end(code: number, reason = ""): void {
    this.onclose?.({ code, reason });
  }

  /** Break as a socket of the package `ws` does: an error that nobody handles is thrown. */
  fail(code: number): void {
    if (this.onerror === null) throw new Error("an error event that nobody handles");
    this.onerror();
    this.end(code);
  }

  /** What the client has said since this was last asked. */
  take(): ClientMessage[] {
    return this.sent.splice(0);
  }
}

/** A world of fake sockets, in which chance always says `random`. */
export class FakeWorld {
  readonly sockets: FakeSocket[] = [];
  random = 0.5;
  readonly #pageListeners = new Set<(sign: PageSign) => void>();

  readonly surroundings: Surroundings = {
    createSocket: (url, subprotocol) => {
      const socket = new FakeSocket(url, subprotocol);
      this.sockets.push(socket);
      return socket;
    },
    random: () => this.random,
    watchPage: (listener) => {
      this.#pageListeners.add(listener);
      return () => this.#pageListeners.delete(listener);
    },
  };

  /** The socket that was opened last. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("the client has opened no socket");
    return socket;
  }

  get isPageWatched(): boolean {
    return this.#pageListeners.size > 0;
  }

  /** Something happens to the page. */
  sign(sign: PageSign): void {
    for (const listener of this.#pageListeners) listener(sign);
  }
}

export const HOME = { id: "w_1", name: "Home", role: "owner" };

/** A welcome for a token that lasts 15 minutes, from a server whose clock is as ours. */
export function welcome(lifeS = 900, workspaces = [HOME]) {
  const now = Date.now();
  return {
    op: "welcome",
    session: "x",
    server_time: new Date(now).toISOString(),
    heartbeat_s: 25,
    expires_at: new Date(now + lifeS * 1000).toISOString(),
    workspaces,
  };
}

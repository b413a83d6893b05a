/** What a client takes from the world around it: sockets, chance, and the signs of its page. */

import { type PageSign, watchPage } from "./page.ts";

/** What is used of a WebSocket. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

/** The constructor of a WebSocket: the platform's own, or that of a package such as `ws`. */
export type SocketConstructor = new (url: string, subprotocol: string) => unknown;

export interface Surroundings {
  createSocket(url: string, subprotocol: string): Socket;
  /** In [0, 1). */
  random(): number;
  /** Calls back when something happens to the page; returns the way to stop that. */
  watchPage(listener: (sign: PageSign) => void): () => void;
}

/** The surroundings of a browser or of Node.js, with sockets of `Constructor` where one is given. */
export function host(Constructor?: SocketConstructor): Surroundings {
  return {
    createSocket: (url, subprotocol) => {
      const Found = Constructor ?? globalThis.WebSocket;
      // Constructors declare their handlers more narrowly than they call them.
      return new Found(url, subprotocol) as Socket;
    },
    random: Math.random,
    watchPage,
  };
}

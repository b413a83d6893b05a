/** How components read the fleet's view, the network and the time, each redrawing only when its own part changes. */

import { useState, useSyncExternalStore } from "react";
import type { FleetStore, View } from "../fleet/store.ts";

/** The part of the view that `select` picks; it must give the same object while that part is the same. */
export function useView<T>(store: FleetStore, select: (view: View) => T): T {
  return useSyncExternalStore(store.subscribe, () => select(store.getView()));
}

/** Whether the browser believes that it has a network. */
export function useHasNetwork(): boolean {
  return useSyncExternalStore(subscribeToNetwork, () => navigator.onLine);
}

function subscribeToNetwork(listener: () => void): () => void {
  window.addEventListener("online", listener);
  window.addEventListener("offline", listener);
  return () => {
    window.removeEventListener("online", listener);
    window.removeEventListener("offline", listener);
  };
}

/** The time in milliseconds, moving on every `periodMs`. */
export function useNow(periodMs: number): number {
  const [ticker] = useState(() => tickerOf(periodMs));
  return useSyncExternalStore(ticker.subscribe, ticker.getNow);
}

/** One interval for everyone who watches the time at the same pace. */
class Ticker {
  readonly #periodMs: number;
  readonly #listeners = new Set<() => void>();
  #interval: ReturnType<typeof setInterval> | undefined;
  #nowMs = Date.now();

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  readonly getNow = (): number => this.#nowMs;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#nowMs = Date.now();
      this.#interval = setInterval(() => this.#tick(), this.#periodMs);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearInterval(this.#interval);
    };
  };

  #tick(): void {
    this.#nowMs = Date.now();
    for (const listener of this.#listeners) listener();
  }
}

const tickers = new Map<number, Ticker>();

function tickerOf(periodMs: number): Ticker {
  const ticker = tickers.get(periodMs) ?? new Ticker(periodMs);
  tickers.set(periodMs, ticker);
  return ticker;
}

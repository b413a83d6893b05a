/** Those who want to hear of something: each is told once, and one that fails keeps nothing from the others. */

export class Listeners<Args extends readonly unknown[]> {
  readonly #listeners = new Set<(...args: Args) => void>();
  readonly #turns: (() => void)[] = [];

  /** Returns the way to stop. */
  add(listener: (...args: Args) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tell all who listen now, not those who begin or have stopped while it is told. */
  tell(...args: Args): void {
    this.#tellThese([...this.#listeners], args);
  }

  /** The same, but what a listener brings about is told after what it hears, so that all hear it in one order. */
  tellInTurn(...args: Args): void {
    const listeners = [...this.#listeners];
    this.#turns.push(() => this.#tellThese(listeners, args));
    if (this.#turns.length > 1) return;
    for (let turn = this.#turns[0]; turn !== undefined; turn = this.#turns[0]) {
      turn();
      this.#turns.shift();
    }
  }

  #tellThese(listeners: readonly ((...args: Args) => void)[], args: Args): void {
    for (const listener of listeners) if (this.#listeners.has(listener)) tell(listener, ...args);
  }
}

/** Tell one. What it throws is for the console, since whoever has news to tell can do nothing about it. */
export function tell<Args extends readonly unknown[]>(
  listener: (...args: Args) => void,
  ...args: Args
): void {
  try {
    listener(...args);
  } catch (error) {
    console.error("muster: a listener has failed", error);
  }
}

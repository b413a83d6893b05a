/** Those who want to hear of something: each is told once, and one that fails keeps nothing from the others. */

export class Listeners<Args extends readonly unknown[]> {
  readonly #listeners = new Set<(...args: Args) => void>();

  /** Returns the way to stop. */
  add(listener: (...args: Args) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tell all who listen now, not those who begin or have stopped while it is told. */
  tell(...args: Args): void {
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) tell(listener, ...args);
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

/** One topic of a client: who wants it, what is held of it, and when it is asked for again. */

import { delayMs } from "./backoff.ts";
import type { Base } from "./base.ts";
import { RetryLater } from "./errors.ts";
import { Listeners, tell } from "./listeners.ts";
import type { Bookmark, ClientMessage, Delivery, Refusal, TopicMessage } from "./protocol.ts";
import { apply, distrusted, EMPTY, isProven, kept, subscription, type TopicState } from "./topic.ts";
import { everything, type Update, updateOf } from "./update.ts";

export interface WatchOptions {
  readonly delivery?: Delivery;
  /** The shortest time between two deliveries, in milliseconds; the server's own when left out. */
  readonly tickMs?: number;
}

export type UpdateListener = (update: Update, base: Base<unknown>) => void;

/** What a subscription needs of its client. */
export interface Outlet {
  /** The workspace that topics are of; null while none is known. */
  readonly workspace: string | null;
  /** Say it if the connection is open, and tell whether it was. */
  send(message: ClientMessage): boolean;
  random(): number;
  changed(): void;
}

/** A check that is not answered yet. */
interface Question {
  readonly answer: Promise<boolean>;
  settle(isProven: boolean | Error): void;
}

/** A topic that was not asked for again for this long is calm. */
const CALM_AFTER_MS = 30_000;
const CHECKED_WITHIN_MS = 10_000;
const PASSING_REFUSALS = new Set(["too_many", "unavailable"]);

export class Subscription {
  readonly #name: string;
  readonly #outlet: Outlet;
  readonly #listeners = new Listeners<Parameters<UpdateListener>>();
  #state: TopicState<unknown> = EMPTY;
  #refusal: Refusal | null = null;
  #watchers = 0;
  #options: WatchOptions = {};
  #restore: ((workspace: string) => Base<unknown> | null) | null = null;
  #question: Question | null = null;
  /** Times that it was asked for again since it was last calm. */
  #repeats = 0;
  #askedMs = 0;
  /** Whether the server was asked on this connection, and has not refused. */
  #isAsked = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(name: string, outlet: Outlet) {
    this.#name = name;
    this.#outlet = outlet;
  }

  get state(): TopicState<unknown> {
    return this.#state;
  }

  /** Why the topic is not given to us, if it is not. */
  get refusal(): Refusal | null {
    return this.#refusal;
  }

  get isWatched(): boolean {
    return this.#watchers > 0;
  }

  /** The options of the first watcher hold until the last has gone. */
  watch(options: WatchOptions): void {
    this.#watchers += 1;
    if (this.#watchers > 1) return;
    this.#options = options;
    this.#repeats = 0;
    this.ask();
    this.#outlet.changed();
  }

  /** What is held stays, for the next watcher to resume from. */
  unwatch(): void {
    if (this.#watchers === 0) return;
    this.#watchers -= 1;
    if (this.#watchers > 0) return;
    const { workspace } = this.#outlet;
    if (workspace !== null && this.#isAsked)
      this.#outlet.send({ op: "unsubscribe", topic: this.#name, workspace });
    this.suspend("nobody watches the topic any more");
    this.#refusal = null;
    this.#outlet.changed();
  }

  /** Hear every update, and at once of all that is known already. */
  listen(listener: UpdateListener): () => void {
    const stop = this.#listeners.add(listener);
    const { base } = this.#state;
    if (base !== null) tell(listener, everything(base), base);
    return stop;
  }

  /** Where to find what was kept of a workspace's topic; looked for whenever nothing is held. */
  restoreFrom(restore: (workspace: string) => Base<unknown> | null): void {
    this.#restore = restore;
    this.#fill();
  }

  /** Be of another workspace: nothing of the one before is shown. */
  enter(): void {
    this.#state = EMPTY;
    this.#fill();
  }

  /** A connection is open: ask from where we are. */
  open(): void {
    this.#refusal = null;
    if (this.isWatched) this.ask();
  }

  /** Wait for nothing any more: the connection has ended. */
  suspend(reason = "the connection has ended"): void {
    clearTimeout(this.#timer);
    this.#isAsked = false;
    this.#question?.settle(new RetryLater(reason));
  }

  /** Forget what is held. */
  forget(): void {
    this.#state = EMPTY;
    if (this.isWatched) this.ask();
    this.#outlet.changed();
  }

  /** Ask for a snapshot; what is held is shown until it has come. */
  refetch(): void {
    this.#state = distrusted(this.#state);
    this.#refusal = null;
    if (this.isWatched) this.ask();
    this.#outlet.changed();
  }

  ask(): void {
    clearTimeout(this.#timer);
    const { workspace } = this.#outlet;
    if (workspace === null) return;
    const { state, since } = subscription(this.#state);
    this.#state = state;
    this.#askedMs = Date.now();
    const { delivery, tickMs } = this.#options;
    this.#isAsked = this.#outlet.send({
      op: "subscribe",
      topic: this.#name,
      workspace,
      ...(delivery === undefined ? {} : { delivery }),
      ...(tickMs === undefined ? {} : { tick_ms: tickMs }),
      ...(since === null ? {} : { since }),
    });
  }

  /** What has the server say where the topic stands; null while it would not know what is meant. */
  get question(): ClientMessage | null {
    const { workspace } = this.#outlet;
    return workspace === null || !this.#isAsked ? null : { op: "check", topic: this.#name, workspace };
  }

  /** Whether the server has just what is held. Rejects with RetryLater when it cannot be asked or does not answer. */
  check(): Promise<boolean> {
    const question = this.question;
    const isSaid = question !== null && this.#outlet.send(question);
    if (!isSaid) return Promise.reject(new RetryLater("the topic is not followed just now"));
    this.#question ??= this.#newQuestion();
    return this.#question.answer;
  }

  take(message: TopicMessage): void {
    const { base } = this.#state;
    if (message.op === "bookmark") this.#answer(message);
    const { state, effect } = apply(this.#state, message);
    this.#state = state;
    this.#refusal = null;
    if (effect.kind === "resubscribe" && this.isWatched) this.#askAgain();
    const update = updateOf(base, state.base, message);
    if (update !== null && state.base !== null) this.#listeners.tellInTurn(update, state.base);
  }

  refuse(refusal: Refusal): void {
    // The answer to what was said before the server refused the topic.
    if (refusal.code === "bad_request" && !this.#isAsked) return;
    this.#isAsked = false;
    this.#refusal = refusal;
    this.#question?.settle(new RetryLater(refusal.message, refusal.retry_after_ms ?? null));
    if (PASSING_REFUSALS.has(refusal.code)) this.#askAgain(refusal.retry_after_ms ?? null);
  }

  /** Once at once, then with growing pauses: a server whose answers do not fit must not be asked in a loop. */
  #askAgain(afterMs: number | null = null): void {
    if (Date.now() - this.#askedMs > CALM_AFTER_MS) this.#repeats = 0;
    const isFirst = this.#repeats === 0 && afterMs === null;
    this.#repeats += 1;
    if (isFirst) {
      this.ask();
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), delayMs(this.#repeats, this.#outlet.random(), afterMs));
  }

  #newQuestion(): Question {
    let settle: Question["settle"] = () => undefined;
    const answer = new Promise<boolean>((resolve, reject) => {
      const timer = setTimeout(() => settle(new RetryLater("no answer")), CHECKED_WITHIN_MS);
      settle = (outcome) => {
        clearTimeout(timer);
        this.#question = null;
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
    });
    return { answer, settle };
  }

  #answer(bookmark: Bookmark): void {
    this.#question?.settle(isProven(this.#state, bookmark));
  }

  #fill(): void {
    const { workspace } = this.#outlet;
    if (workspace === null || this.#state.base !== null || this.#state.assembly !== null) return;
    const base = this.#restore?.(workspace) ?? null;
    if (base === null) return;
    this.#state = kept(base);
    this.#listeners.tellInTurn(everything(base), base);
    this.#outlet.changed();
  }
}

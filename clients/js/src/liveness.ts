/** Whether the other side of an open connection is still there, told from when it was last heard. */

/** How many heartbeats may go by in silence before it is asked. */
const HEARTBEATS = 2.5;

/** How long it has to answer. */
export const ANSWER_WITHIN_MS = 5_000;

export interface Pulse {
  /** When anything last arrived, in milliseconds of the caller's clock. */
  readonly heardMs: number;
  /** When it was asked since; null when it was not. */
  readonly askedMs: number | null;
}

export type Sign =
  /** Nothing is wrong; look again at `atMs`. */
  | { readonly kind: "wait"; readonly atMs: number }
  /** It has been silent for too long: ask. */
  | { readonly kind: "ask" }
  /** It was asked and did not answer. */
  | { readonly kind: "lost" };

export function look(pulse: Pulse, nowMs: number, heartbeatS: number): Sign {
  if (pulse.askedMs !== null) {
    const lostMs = pulse.askedMs + ANSWER_WITHIN_MS;
    return nowMs >= lostMs ? { kind: "lost" } : { kind: "wait", atMs: lostMs };
  }
  const silentMs = pulse.heardMs + HEARTBEATS * heartbeatS * 1000;
  return nowMs >= silentMs ? { kind: "ask" } : { kind: "wait", atMs: silentMs };
}

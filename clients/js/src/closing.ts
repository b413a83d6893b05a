/** What to do when a connection has ended: the protocol's table of close codes. */

export type Verdict =
  /** Trying again cannot help. */
  | { readonly kind: "stop"; readonly reason: "malformed" | "forbidden" }
  /** Come back at once, with hardly a pause. */
  | { readonly kind: "resume" }
  /** The token was refused: get another, then come back. */
  | { readonly kind: "renew" }
  /** Come back after a pause; `afterMs` where the server named one. */
  | { readonly kind: "retry"; readonly afterMs: number | null };

export function verdict(code: number, reason: string): Verdict {
  switch (code) {
    case 4400:
      return { kind: "stop", reason: "malformed" };
    case 4403:
      return { kind: "stop", reason: "forbidden" };
    case 4401:
      return { kind: "renew" };
    case 4408:
    case 4503:
      return { kind: "resume" };
    case 4429:
      return { kind: "retry", afterMs: timeIn(reason) };
    default:
      return { kind: "retry", afterMs: null };
  }
}

/** The time that a reason names, in milliseconds, among other words and numbers. */
function timeIn(reason: string): number | null {
  const amount = /retry_after_ms=(\d+(?:\.\d+)?)/.exec(reason)?.[1];
  return amount === undefined ? null : Number(amount);
}

/** How long to wait before trying again: exponential, with full jitter. */

const FIRST_MS = 500;
const LAST_MS = 20_000;

/**
 * Milliseconds to wait before try `attempt` (from 0), anywhere below a ceiling that doubles from 0.5 s to 20 s, so
 * that clients which lost the same server do not return together.
 *
 * A time that the server named wins over ours; it is stretched by up to a tenth for the same reason.
 * `random` is in [0, 1).
 */
export function delayMs(attempt: number, random: number, retryAfterMs: number | null = null): number {
  if (retryAfterMs !== null) return Math.round(retryAfterMs * (1 + random / 10));
  return Math.round(random * Math.min(LAST_MS, FIRST_MS * 2 ** attempt));
}

/** Numbers and times as people read them. Everything that is not known is a dash. */

export const NOTHING = "–";

type Known = number | null | undefined;

const isKnown = (value: Known): value is number => typeof value === "number" && Number.isFinite(value);

/** A share of 0–100, with one decimal. */
export function percent(value: Known): string {
  return isKnown(value) ? `${value.toFixed(1)}%` : NOTHING;
}

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;
const RATE_UNITS = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"] as const;

/** How much is used of how much, in the unit of the whole, which is a power of 1024 as `free` and `df` show it. */
export function usage(used: Known, total: Known): string {
  if (!isKnown(used) || !isKnown(total)) return NOTHING;
  const power = powerOf(total, 1024, SIZE_UNITS.length);
  const scale = 1024 ** power;
  return `${digits(used / scale)} / ${digits(total / scale)} ${SIZE_UNITS[power]}`;
}

/** Bytes per second, in powers of 1000 as networks are rated. */
export function rate(bytesPerS: Known): string {
  if (!isKnown(bytesPerS)) return NOTHING;
  const power = powerOf(bytesPerS, 1000, RATE_UNITS.length);
  return `${power === 0 ? Math.round(bytesPerS) : digits(bytesPerS / 1000 ** power)} ${RATE_UNITS[power]}`;
}

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

/** A span of time in its two largest units: `12 d 4 h`, `3 h 12 m`, `45 s`. */
export function duration(seconds: Known): string {
  if (!isKnown(seconds) || seconds < 0) return NOTHING;
  if (seconds >= DAY_S) return pair(seconds, DAY_S, "d", HOUR_S, "h");
  if (seconds >= HOUR_S) return pair(seconds, HOUR_S, "h", MINUTE_S, "m");
  if (seconds >= MINUTE_S) return pair(seconds, MINUTE_S, "m", 1, "s");
  return `${Math.floor(seconds)} s`;
}

/** How long ago a moment was, in its largest unit. A moment ahead counts as just now: clocks differ a little. */
export function ago(momentMs: number, nowMs: number): string {
  const seconds = Math.max(0, (nowMs - momentMs) / 1000);
  if (seconds < 10) return "just now";
  if (seconds < MINUTE_S) return `${Math.floor(seconds / 10) * 10} s ago`;
  if (seconds < HOUR_S) return `${Math.floor(seconds / MINUTE_S)} min ago`;
  if (seconds < DAY_S) return `${Math.floor(seconds / HOUR_S)} h ago`;
  return `${Math.floor(seconds / DAY_S)} d ago`;
}

function pair(seconds: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  return `${Math.floor(seconds / large)} ${largeUnit} ${Math.floor((seconds % large) / small)} ${smallUnit}`;
}

/** The power of `base` in whose unit the value reads best; one that would round up to `base` takes the next. */
function powerOf(value: number, base: number, units: number): number {
  let power = 0;
  while (power < units - 1 && value / base ** power >= base - 0.5) power += 1;
  return power;
}

/** One decimal below 100, none above: three digits at most carry meaning. */
function digits(value: number): string {
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

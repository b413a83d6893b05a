/** The digest of a topic: what a bookmark is compared with, to prove that nothing was missed. */

const POLYNOMIAL = 0xedb88320;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1;
  }
  return remainder;
});

const encoder = new TextEncoder();

/** CRC-32 (ISO-HDLC, as in zlib) of the text's UTF-8 bytes, as an unsigned number. */
export function crc32(text: string): number {
  let remainder = 0xffffffff;
  for (const byte of encoder.encode(text)) {
    remainder = (remainder >>> 8) ^ (TABLE[(remainder ^ byte) & 0xff] ?? 0);
  }
  return ~remainder >>> 0;
}

/** The sum over records of `crc32("<id>:<version>")`, modulo 2^32. The order does not matter. */
export function digest(items: Iterable<{ readonly id: string; readonly version: number }>): number {
  let sum = 0;
  for (const { id, version } of items) sum = (sum + crc32(`${id}:${version}`)) >>> 0;
  return sum;
}

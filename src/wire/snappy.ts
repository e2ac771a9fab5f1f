import { snappyUncompressor } from 'hysnappy';
import { MonitorError, messageOf } from '../core/error.ts';

/** It keeps the memory of the largest block it was given. */
let uncompress: ReturnType<typeof snappyUncompressor> | undefined;

/**
 * How many bytes a block of snappy has once it is unpacked, as it says in its first bytes itself
 * (https://github.com/google/snappy/blob/main/format_description.txt): more it cannot become.
 * @throws MonitorError `invalid`
 */
export function snappyLength(block: Uint8Array): number {
  let length = 0;
  for (let at = 0; at < 5; at++) {
    const byte = block[at];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return length;
  }
  throw notSnappy('it does not begin with a length');
}

/** @throws MonitorError `invalid` for what is no block of snappy of the length it says */
export function unpackSnappy(block: Uint8Array): Uint8Array {
  const length = snappyLength(block);
  if (length === 0) return new Uint8Array(0);
  try {
    uncompress ??= snappyUncompressor();
    return uncompress(block, length);
  } catch (error) {
    throw notSnappy(messageOf(error));
  }
}

function notSnappy(why: string): MonitorError {
  return new MonitorError('invalid', `the body is no block of snappy: ${why}`);
}

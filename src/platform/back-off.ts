/** How long to wait before what has failed is tried again. */
const backoff = { firstMs: 1000, capMs: 60_000, longestRetryAfterMs: 600_000 };

/**
 * Full jitter over an exponential delay (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/),
 * applied after the cap, and never before the other side's own Retry-After.
 * @param random from 0 to 1
 */
export function backoffMs(failures: number, retryAfterMs: number | null, random: number): number {
  const ceiling = Math.min(backoff.capMs, backoff.firstMs * 2 ** Math.max(0, failures - 1));
  return Math.min(backoff.longestRetryAfterMs, retryAfterMs ?? 0) + random * ceiling;
}

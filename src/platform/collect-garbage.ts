import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives the memory of what is not used any more back to the machine. V8 does so by itself only as a thread goes on
 * working: one that falls idle after a large answer keeps what that took.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

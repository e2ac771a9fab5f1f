import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of this boot, or null where the kernel does not say. */
export function readBootId(procRoot = '/proc'): string | null {
  try {
    return readFileSync(join(procRoot, 'sys/kernel/random/boot_id'), 'latin1').trim() || null;
  } catch {
    return null;
  }
}

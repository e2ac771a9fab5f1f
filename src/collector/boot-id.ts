import { join } from 'node:path';
import { readProcText } from './proc-file.ts';

/** Of this boot, or null where the kernel does not say. */
export function readBootId(procRoot = '/proc'): string | null {
  return readProcText(join(procRoot, 'sys/kernel/random/boot_id'))?.trim() || null;
}

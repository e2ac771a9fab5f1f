import { readFileSync } from 'node:fs';
import { MonitorError } from '../../core/error.ts';
import { fileReason } from '../../core/failure-reason.ts';

/** @throws MonitorError `invalid` */
export function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new MonitorError('invalid', `${what} ${path} cannot be read: ${fileReason(error)}`, { cause: error });
  }
}

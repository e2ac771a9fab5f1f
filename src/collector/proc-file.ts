import { closeSync, openSync, readSync } from 'node:fs';

/**
 * Reads a small kernel file synchronously into `buffer`: no promise, no thread, no string.
 * @returns the bytes read, or -1 when it cannot be opened or read, as when the process has ended
 */
export function readProcFile(path: string, buffer: Uint8Array): number {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return -1;
  }
  try {
    return readSync(fd, buffer, 0, buffer.length, 0);
  } catch {
    return -1;
  } finally {
    closeSync(fd);
  }
}

/** The whole small file as text, or null. */
export function readProcText(path: string): string | null {
  const buffer = Buffer.alloc(16_384);
  const length = readProcFile(path, buffer);
  return length < 0 ? null : buffer.toString('utf8', 0, length);
}

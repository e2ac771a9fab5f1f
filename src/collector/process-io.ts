import { readProcFile } from './proc-file.ts';

/** Cumulative bytes that a process has had read from and written to disks. */
export interface ProcessIo {
  read: number;
  written: number;
}

/**
 * `/proc/PID/io` (proc_pid_io(5)): what reached the disk, not what the page cache served. Null where it may not be
 * read, as of other users' processes, or the kernel does not count.
 */
export function readProcessIo(path: string, buffer: Buffer): ProcessIo | null {
  const length = readProcFile(path, buffer);
  if (length <= 0) return null;
  const text = buffer.toString('latin1', 0, length);
  const [, read] = /^read_bytes: (\d+)$/m.exec(text) ?? [];
  const [, written] = /^write_bytes: (\d+)$/m.exec(text) ?? [];
  return read === undefined || written === undefined ? null : { read: Number(read), written: Number(written) };
}

/** Bytes in a second between two readings; a counter that went back counts as none. */
export function bytesPerSecond(before: number, now: number, elapsedMs: number): number | null {
  return elapsedMs > 0 ? (Math.max(0, now - before) / elapsedMs) * 1000 : null;
}

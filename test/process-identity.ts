import { readFileSync } from 'node:fs';

/** As a lock names a process: pid, start time in ticks, boot. */
export function identityOf(pid: number): string {
  const start = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ')[19];
  return `${pid} ${start} ${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`;
}

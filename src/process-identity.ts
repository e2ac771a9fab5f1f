import { readFileSync } from 'node:fs';

/**
 * What names a process for ever, fit for a lock file: its pid, when it was started, and in which boot. A pid
 * alone is another program's later, and after a boot nearly every one is. Elsewhere than on Linux: the pid.
 */
export function ownIdentity(): string {
  return identityOf(process.pid) ?? String(process.pid);
}

/** The pid in an identity; 0 where there is none. */
export function pidOf(identity: string): number {
  return Number(identity.split(' ')[0]);
}

/** Whether the process that wrote this identity is still there. Nobody's, as of a file being written, counts as so. */
export function isRunning(identity: string): boolean {
  if (identity.includes(' ')) return identityOf(pidOf(identity)) === identity;
  try {
    process.kill(pidOf(identity), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function identityOf(pid: number): string | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ');
    return `${pid} ${fields?.[19]} ${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`;
  } catch {
    return null;
  }
}

import { readFileSync } from 'node:fs';
import { readBootId } from './boot-id.ts';

/**
 * What names a process for ever, fit for a lock file: its pid, when it was started, and in which boot. A pid
 * alone is another program's later, and after a boot nearly every one is. Elsewhere than on Linux: the pid.
 */
export function ownIdentity(): string {
  return identityOf(process.pid) ?? String(process.pid);
}

const wholePattern = /^\d+ \d+ [0-9a-f-]{36}$/;

/** The pid in an identity; 0 where there is none. */
export function pidOf(identity: string): number {
  return Number(/^[1-9]\d*/.exec(identity)?.[0] ?? 0);
}

/** Whether the process with this identity is still there. What is empty or torn is nobody's. */
export function isRunning(identity: string): boolean {
  const pid = pidOf(identity);
  if (pid === 0) return false;
  if (identityOf(process.pid) === null) return String(pid) === identity && answers(pid);
  if (!wholePattern.test(identity)) return false;
  const found = identityOf(pid);
  // Another user's process may be hidden.
  return found === null ? answers(pid) : found === identity;
}

function answers(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Null where there is no such process, or no procfs. */
function identityOf(pid: number): string | null {
  const bootId = readBootId();
  if (bootId === null) return null;
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ');
    return `${pid} ${fields?.[19]} ${bootId}`;
  } catch {
    return null;
  }
}

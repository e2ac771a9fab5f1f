/** Fields of `/proc/PID/stat` (proc_pid_stat(5)) that a sweep needs. */
export interface Stat {
  /** The command name lies in the buffer from `nameStart` to `nameEnd`. */
  nameStart: number;
  nameEnd: number;
  flags: number;
  /** utime + stime. */
  cpuTicks: number;
  threads: number;
  startTicks: number;
  rssPages: number;
}

const space = 32;
const openParenthesis = 40;
const closeParenthesis = 41;
const minus = 45;
const zero = 48;

/** Field numbers as in proc_pid_stat(5); the first after the name is 3. */
const flagsField = 9;
const utimeField = 14;
const stimeField = 15;
const threadsField = 20;
const startField = 22;
const rssField = 24;

/**
 * Parses `length` bytes into `stat` without allocating. The name may hold spaces, brackets and newlines,
 * so it ends at the LAST closing bracket.
 * @returns false when it is no stat line, as when the process ended while it was read
 */
export function parseStat(buffer: Uint8Array, length: number, stat: Stat): boolean {
  let end = length - 1;
  while (end >= 0 && buffer[end] !== closeParenthesis) end--;
  const start = buffer.indexOf(openParenthesis);
  if (start < 0 || end <= start) return false;
  stat.nameStart = start + 1;
  stat.nameEnd = end;
  let at = end + 2;
  let utime = 0;
  for (let field = 3; field <= rssField; field++) {
    let value = 0;
    const negative = buffer[at] === minus;
    if (negative) at++;
    for (; at < length && buffer[at] !== space; at++) value = value * 10 + ((buffer[at] as number) - zero);
    if (at >= length) return false;
    at++;
    if (field === flagsField) stat.flags = value;
    else if (field === utimeField) utime = value;
    else if (field === stimeField) stat.cpuTicks = utime + value;
    else if (field === threadsField) stat.threads = value;
    else if (field === startField) stat.startTicks = value;
    else if (field === rssField) stat.rssPages = negative ? 0 : value;
  }
  return true;
}

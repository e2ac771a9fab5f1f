import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseStat, type Stat } from '../../src/collector/stat-parser.ts';

const empty = (): Stat => ({ nameStart: 0, nameEnd: 0, flags: 0, cpuTicks: 0, threads: 0, startTicks: 0, rssPages: 0 });

/** Fields 3 to 52, each with a value of its own. */
function line(pid: number, name: string | Buffer, fields: Partial<Record<number, string>> = {}): Buffer {
  const rest = Array.from({ length: 50 }, (_, i) => fields[i + 3] ?? (i === 0 ? 'S' : String(1000 + i)));
  return Buffer.concat([Buffer.from(`${pid} (`), Buffer.from(name), Buffer.from(`) ${rest.join(' ')}\n`)]);
}

test('reads the fields of proc_pid_stat(5)', () => {
  const buffer = line(7, 'nginx', { 9: '2129984', 14: '120', 15: '80', 20: '17', 22: '98765', 24: '4096' });
  const stat = empty();
  expect(parseStat(buffer, buffer.length, stat)).toBe(true);
  expect(stat).toMatchObject({ flags: 2129984, cpuTicks: 200, threads: 17, startTicks: 98765, rssPages: 4096 });
  expect(buffer.toString('utf8', stat.nameStart, stat.nameEnd)).toBe('nginx');
});

test('numbers as large as the kernel writes them, and negative ones', () => {
  const buffer = line(1, 'x', {
    8: '-1',
    14: '9007199254740',
    15: '1',
    22: '18446744073709',
    23: '18446744073709551615',
    24: '-5',
  });
  const stat = empty();
  expect(parseStat(buffer, buffer.length, stat)).toBe(true);
  expect(stat).toMatchObject({ cpuTicks: 9007199254741, startTicks: 18446744073709, rssPages: 0 });
});

test('any name, brackets, spaces and newlines included', () => {
  const name = fc.uint8Array({ maxLength: 15 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(
      fc.oneof(
        name,
        fc.constantFrom(') R 1 2 3 4', '((', '))', ') S', '\n', '').map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        const buffer = line(99, bytes, { 14: '5', 15: '6' });
        const stat = empty();
        expect(parseStat(buffer, buffer.length, stat)).toBe(true);
        expect(buffer.subarray(stat.nameStart, stat.nameEnd)).toEqual(bytes);
        expect(stat.cpuTicks).toBe(11);
      },
    ),
    { numRuns: 2000 },
  );
});

test('a cut or foreign text is none, and never throws', () => {
  const whole = line(7, 'nginx');
  const beforeRss = whole.indexOf('1021');
  for (let length = 0; length < beforeRss; length++) expect(parseStat(whole, length, empty())).toBe(false);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      parseStat(bytes, bytes.length, empty());
    }),
  );
});

import picocolors from 'picocolors';
import { pino } from 'pino';
import { renderJson, renderLine } from '../src/alerter/render.ts';
import { otherName } from '../src/core/snapshot.ts';
import { escapeJson } from '../src/platform/terminal-text.ts';
import { makeSnapshot } from '../test/make-snapshot.ts';
import { seededRandom } from './random.ts';
import { type Engine, engineNames, type Scenario, scaled, startEngine, type Verdict } from './scenario.ts';
import { openQuietly } from './stored-times.ts';

/** Of each host: more new names of one than that a day are counted together. */
const perSnapshot = 4000;
/** What a terminal may be sent beside its own colours: nothing that moves, hides or reorders. */
const forbidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to be found
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\u{e0000}-\u{e0fff}\p{Cs}]/u;

/** Names of processes and hosts as an attacker would choose them. */
export const hostileNames: Scenario = {
  name: 'hostile-names',
  behaviour: 'names are text wherever they go, and bounded',
  async run(scale) {
    const names = makeNames(scaled(100_000, scale), seededRandom(5));
    const verdicts = [printed(names), logged(names)];
    for (const name of engineNames) {
      verdicts.push(await roundTrip(name, names));
      verdicts.push(await oneHost(name, names));
    }
    return verdicts;
  },
};

const pieces = [
  '\u001b[2J',
  '\u001b]52;c;ZXZpbA==\u0007',
  '\u009b31m',
  '\r',
  '\n',
  '\b',
  '\u0000',
  '\u202e',
  '\u2028',
  '\u200b',
  '\ud83d',
  "'",
  '"',
  '\\',
  ',',
  '=',
  ' ',
  ';',
  '--',
  '$(x)',
  '`',
  '<script>',
  '{}',
  '%s',
  '../',
  'ä',
  '漢',
  '🚀',
  'a',
  'b',
  '7',
  '\t',
  '\u007f',
  '\ufeff',
  '\u{e0041}',
];

function makeNames(count: number, random: () => number): string[] {
  const names = new Set<string>();
  while (names.size < count) {
    const length = 1 + Math.floor(random() * 12);
    const name = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)])
      .join('')
      .toWellFormed();
    names.add(name.slice(0, 260));
  }
  return [...names];
}

function printed(names: readonly string[]): Verdict {
  const plain = picocolors.createColors(false);
  let bad = 0;
  for (const name of names) {
    const announcement = announcementOf(name);
    const line = renderLine(announcement, plain);
    const json = renderJson(announcement);
    if (forbidden.test(line) || forbidden.test(json) || JSON.parse(json).process !== name) bad++;
  }
  return {
    promise: 'no name reaches the terminal as anything but text',
    figure: `${names.length} names, as a line and as JSON: ${bad} with a control character or changed`,
    holds: bad === 0,
  };
}

function logged(names: readonly string[]): Verdict {
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(escapeJson(line.trimEnd())) });
  for (const name of names) log.warn({ host: name }, `refused ${name}`);
  const bad = lines.filter((line, i) => forbidden.test(line) || JSON.parse(line).host !== names[i]).length;
  return {
    promise: 'every log line is one line and parses, whatever is in it',
    figure: `${lines.length} lines: ${bad} broken`,
    holds: bad === 0 && lines.length === names.length,
  };
}

async function roundTrip(name: Engine['name'], names: readonly string[]): Promise<Verdict> {
  const engine = await startEngine(name);
  const store = await openQuietly(engine.url);
  const from = Date.now() - 3_600_000;
  let changed = 0;
  for (let start = 0, i = 1; start < names.length; start += perSnapshot, i++) {
    const group = names.slice(start, start + perSnapshot);
    const host = group[0] as string;
    const time = from + i * 1000;
    await store.append({ snapshots: [makeSnapshot({ host, time, processes: group.map((each) => ({ name: each })) })] });
    const found = new Set((await store.rows([{ host, time }])).map((row) => row.name));
    changed += group.filter((each) => !found.has(each)).length + Math.max(0, found.size - group.length);
  }
  await store.close();
  await engine.close();
  return {
    promise: `${name}: every name comes back as it was sent`,
    figure: `${names.length} names: ${changed} lost or changed`,
    holds: changed === 0,
  };
}

/** All of the names from one host. */
async function oneHost(name: Engine['name'], names: readonly string[]): Promise<Verdict> {
  const engine = await startEngine(name);
  const store = await openQuietly(engine.url);
  const from = Date.now() - 3_600_000;
  const kept = new Set<string>();
  for (let start = 0, i = 1; start < names.length; start += perSnapshot, i++) {
    const group = names.slice(start, start + perSnapshot);
    const time = from + i * 1000;
    await store.append({
      snapshots: [makeSnapshot({ host: 'one', time, processes: group.map((each) => ({ name: each })) })],
    });
    for (const row of await store.rows([{ host: 'one', time }])) kept.add(row.name);
  }
  const hasOther = kept.delete(otherName);
  await store.close();
  await engine.close();
  return {
    promise: `${name}: a host that makes up names has 5,000 of them kept in a day, and the rest together`,
    figure: `${names.length} names: ${kept.size} kept${hasOther ? `, the others in ${otherName}` : ''}`,
    holds: kept.size === Math.min(5000, names.length) && hasOther === names.length > 5000,
  };
}

function announcementOf(name: string) {
  return {
    time: 0,
    level: 'RED',
    before: null,
    id: 'x',
    host: name,
    state: 'firing',
    process: name,
    pid: 1,
    metric: 'cpu',
    value: 99,
    threshold: 80,
    since: 0,
    reason: `${name} is over`,
    prediction: null,
    leadSeconds: null,
  } as const;
}

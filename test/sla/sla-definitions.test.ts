import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSlas, slasFile } from '../../src/cli/config/slas-file.ts';
import { SlaDefinitions } from '../../src/sla/sla-definitions.ts';
import { openSlas } from '../../src/sla/sla-file.ts';
import { Slas } from '../../src/sla/slas.ts';
import { noon } from '../make-snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const one = 'java:\n  selector: process_cpu{process="java"}\n  max: 80\n  objective: 99.5\n';
const two = 'web:\n  selector: system_load1\n  min: 0.1\n  objective: 90\n  windows: [1h]\n';
const other = { selector: 'system_swap', min: null, max: 5, objective: 99, windows: ['1h'] };

function setUp() {
  const folder = temporaryFolder();
  const path = join(folder, 'slas.yaml');
  const said: string[] = [];
  const log = { info: () => undefined, warn: (text: unknown) => said.push(String(text)), error: () => undefined };
  const time = { now: noon };
  const open = () =>
    new Slas(
      openSlas(folder, () => undefined),
      true,
    );
  const slas = open();
  const clock = { now: () => time.now, monotonic: () => time.now };
  const definitions = new SlaDefinitions(slasFile(path), slas, clock, log);
  let length = 0;
  // A time stamp alone may be the same.
  const write = (text: string) => writeFileSync(path, `${text}\n# ${'x'.repeat(++length)}\n`);
  return { folder, path, said, time, slas, open, definitions, write };
}

test('a file is followed: what is new, what has changed, what is gone; others stay', async () => {
  const { slas, open, definitions, write, time } = setUp();
  await slas.set('other', other, noon);
  write(one);
  await definitions.look();
  expect(slas.get('java')).toMatchObject({ isFromFile: true, versions: [{ max: 80, windows: ['1h', '3h', '12h'] }] });
  await expect(slas.set('java', other, noon)).rejects.toMatchObject({ code: 'conflict' });
  await expect(slas.remove('java')).rejects.toThrow(/--slas/);
  time.now += 60_000;
  write(one.replace('80', '90') + two);
  await definitions.look();
  expect(slas.get('java').versions).toMatchObject([{ max: 80 }, { max: 90, since: time.now }]);
  expect(
    open()
      .all()
      .map(({ id }) => id),
  ).toEqual(['java', 'other', 'web']);
  write(two);
  await definitions.look();
  expect(slas.all().map(({ id }) => id)).toEqual(['other', 'web']);
});

test('what cannot be read changes nothing, and is said once', async () => {
  const { path, slas, definitions, write, said } = setUp();
  write(one);
  await definitions.look();
  write(one.replace('objective', 'objectiv'));
  await definitions.look();
  await definitions.look();
  expect(said).toEqual([
    expect.stringMatching(/stay as they were: .*slas.yaml:1: java: there is no 'objectiv'; did you mean 'objective'\?/),
  ]);
  rmSync(path);
  await definitions.look();
  expect(said[1]).toMatch(/cannot be read/);
  expect(slas.all().map(({ id }) => id)).toEqual(['java']);
});

test('who has no file any more may change all of them', async () => {
  const { folder, definitions, write } = setUp();
  write(one);
  await definitions.look();
  const without = new Slas(openSlas(folder, () => undefined));
  expect((await without.set('java', other, noon)).isFromFile).toBeUndefined();
});

test.each([
  ['- a\n', /must hold ids/],
  ['a b:\n  max: 1\n', /:1: 'a b' is no id/],
  ['x:\n  selector: a{\n  max: 1\n  objective: 99\n', /:1: x: .*label/],
  ['y: 1\nx:\n  max: 1\n', /:1: y: it needs/],
  ['x:\n  selector: a\n  max: high\n  objective: 99\n', /'max' has to be a number/],
  ['x:\n  selector: a\n  max: 1\n', /objective NaN|objective/],
  ['x: {selector: a\n', /not YAML/],
])('%j is refused with a reason', (text, why) => {
  const { path } = setUp();
  writeFileSync(path, text);
  expect(() => readSlas(path)).toThrow(why);
});

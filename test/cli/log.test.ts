import { expect, test } from 'vitest';
import { makeLog } from '../../src/cli/log.ts';

function logged(columns: number | null, say: (log: ReturnType<typeof makeLog>) => void): string {
  let text = '';
  say(
    makeLog('info', () => ({
      columns,
      write: (more) => {
        text += more;
      },
    })),
  );
  return text;
}

test('a line for people on a terminal, JSON elsewhere; neither can move a cursor', () => {
  const say = (log: ReturnType<typeof makeLog>) =>
    log.info({ url: 'http://x', names: ['a', 'b'] }, 'listening\u001b[2J');
  expect(logged(80, say)).toMatch(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}listening\\x1b\[2J, url http:\/\/x, names a b\n$/,
  );
  expect(JSON.parse(logged(null, say))).toMatchObject({ level: 30, url: 'http://x', msg: 'listening\u001b[2J' });
});

test('what is worse than usual says so, with the reason', () => {
  const say = (log: ReturnType<typeof makeLog>) => log.error({ err: new Error('no room') }, 'cannot forecast');
  expect(logged(80, say)).toMatch(/ {2}ERROR cannot forecast: no room\n$/);
});

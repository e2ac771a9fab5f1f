import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from '../test/e2e/program.ts';
import { CuttableProxy } from './proxy.ts';
import { type Scenario, temporaryFolder, until } from './scenario.ts';
import { ServerProcess } from './server-process.ts';

const intervalMs = 2000;
const barMs = 3 * intervalMs + 1000;

/** Killed, hung or cut off: how long until the alerter says STALE, with its default pace. */
export const silence: Scenario = {
  name: 'silence',
  behaviour: 'a silent host is STALE within three intervals',
  async run() {
    const server = await ServerProcess.start('memory:');
    const proxy = await CuttableProxy.start(Number(new URL(server.url).port));
    const alerter = new Program(['alert', '--server', server.url, '--json', '--data', temporaryFolder()]);
    const figures: string[] = [];
    let holds = true;
    for (const [how, silencing] of [
      ['killed', (collector: Program) => collector.child.kill('SIGKILL')],
      ['hung', (collector: Program) => collector.child.kill('SIGSTOP')],
      ['cut off', () => proxy.cut()],
    ] as const) {
      const host = how.replace(' ', '-');
      const url = how === 'cut off' ? proxy.url : server.url;
      const args = [
        'collect',
        '--server',
        url,
        '--host',
        host,
        '--interval',
        `${intervalMs}ms`,
        '--data',
        temporaryFolder(),
      ];
      const collector = new Program(args);
      const lastSeen = () => newest(server.url, host);
      await until(async () => Number.isFinite(await lastSeen()), 10_000, `${host} to report`);
      await sleep(2500);
      silencing(collector);
      // What was on its way may still arrive.
      await sleep(500);
      const from = await lastSeen();
      await until(
        () => alerter.stdout.includes(`"level":"STALE","before":null,"id":null,"host":"${host}"`),
        30_000,
        `STALE of ${host}`,
      );
      const tookMs = Date.now() - from;
      holds &&= tookMs <= barMs;
      figures.push(`${how} ${(tookMs / 1000).toFixed(1)} s`);
      collector.child.kill('SIGKILL');
    }
    await alerter.stop('SIGKILL');
    await server.stop('SIGKILL');
    proxy.close();
    return [
      {
        promise: 'a silent host is STALE within three intervals and a second of its last snapshot',
        figure: `interval ${intervalMs / 1000} s, bar ${barMs / 1000} s: ${figures.join(', ')}`,
        holds,
      },
    ];
  },
};

async function newest(url: string, host: string): Promise<number> {
  const { hosts } = (await (await fetch(`${url}/v1/hosts`)).json()) as { hosts: { host: string; lastSeen: string }[] };
  return Date.parse(hosts.find((each) => each.host === host)?.lastSeen ?? '');
}

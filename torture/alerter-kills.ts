import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverName } from '../src/cli/wiring/client-access.ts';
import { MonitorClient } from '../src/client/monitor-client.ts';
import { Program } from '../test/e2e/program.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import { type Scenario, scaled, temporaryFolder, until } from './scenario.ts';
import { ServerProcess } from './server-process.ts';

const secret = 'a-secret-of-some-length';

interface Line {
  id: string;
  announcement: { level: string; process: string };
}

/** The alerter is killed at any moment while alarms come and go. */
export const alerterKills: Scenario = {
  name: 'alerter-kills',
  behaviour: 'an alerter that is killed says every transition, once',
  async run(scale) {
    const kills = scaled(200, scale);
    // OK at once: by default it would take half a minute.
    const noHold = ['--threshold', 'cpu:red=80,hold=0'];
    const server = await ServerProcess.start('memory:', temporaryFolder(), ...noHold);
    const webhook = await startReceiver();
    const data = temporaryFolder();
    const args = [
      'alert',
      '--server',
      server.url,
      '--poll',
      '100ms',
      '--data',
      data,
      '--webhook',
      webhook.url,
      '--webhook-allow',
      '127.0.0.1',
    ];
    const log = join(data, 'alerter', serverName(server.url), 'said.ndjson');
    const client = new MonitorClient(server.url);
    const report = (isRed: boolean) =>
      client.put(
        '/v1/usage',
        gzipBody({ ...bodyOf('flip', Date.now(), 1, isRed ? 95 : 1), interval: 3600 }),
        Date.now(),
      );
    const said = () => (existsSync(log) ? readLines(log) : []);
    const start = () => new Program(args, { AMBERWATCH_WEBHOOK_SECRET: secret });
    await report(false);
    let alerter = start();
    await until(() => existsSync(log), 10_000, 'the first start of the alerter');
    for (let kill = 1; kill <= kills; kill++) {
      await report(kill % 2 === 1);
      await sleep(Math.random() * 250);
      await alerter.stop('SIGKILL');
      alerter = start();
      // Whichever of the two has seen it, it has been said once by now.
      await until(() => said().length >= kill, 20_000, `transition ${kill}`);
    }
    await until(() => webhook.ids().size >= said().length, 20_000, 'the last webhook');
    await alerter.stop('SIGTERM');
    await server.stop('SIGKILL');
    await client.close();
    webhook.close();
    const lines = said();
    const isAlternating = lines.every(({ announcement }, i) => announcement.level === (i % 2 === 0 ? 'RED' : 'OK'));
    const missed = lines.filter(({ id }) => !webhook.ids().has(id)).length;
    return [
      {
        promise: 'the alerter says every transition once in its log, and to each webhook at least once',
        figure: `${kills} kills, ${kills} transitions: ${lines.length} said, ${isAlternating ? 'in order' : 'OUT OF ORDER'}; webhook: ${webhook.ids().size} of them in ${webhook.count()} messages, ${missed} missed, ${webhook.forged()} signed wrongly`,
        holds: lines.length === kills && isAlternating && missed === 0 && webhook.forged() === 0,
      },
    ];
  },
};

function readLines(path: string): Line[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"announcement"') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line);
}

/** A receiver that checks signatures, and answers every fifth message with an error. */
async function startReceiver() {
  const ids = new Set<string>();
  let [count, forged] = [0, 0];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const id = String(request.headers['webhook-id']);
      const signed = `${id}.${request.headers['webhook-timestamp']}.${body}`;
      const expected = `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`;
      if (request.headers['webhook-signature'] !== expected || JSON.parse(body).id !== id) forged++;
      const refuses = ++count % 5 === 0;
      if (!refuses) ids.add(id);
      response.writeHead(refuses ? 503 : 204).end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    ids: () => ids,
    count: () => count,
    forged: () => forged,
    close: () => server.close().closeAllConnections(),
  };
}

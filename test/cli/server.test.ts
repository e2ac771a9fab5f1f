import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/cli/config/read-config.ts';
import { makeLog } from '../../src/cli/log.ts';
import { clock } from '../../src/cli/real-clock.ts';
import { startServer } from '../../src/cli/wiring/server.ts';
import { temporaryFolder } from '../temporary-folder.ts';

test('closed twice it ends once: what is on its way is stored before the store is closed', async () => {
  const flags = { listen: '127.0.0.1:0', data: temporaryFolder() };
  const log = makeLog('silent', () => ({ write: () => undefined, columns: null }));
  const server = await startServer(readConfig(flags, {}), clock, log, '0');
  const body = JSON.stringify({ host: 'web-01', time: new Date().toISOString(), processes: [] });
  const put = request(`${server.url}/v1/usage`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  });
  const answered = new Promise((resolve, reject) => {
    put.on('response', (answer) => resolve(answer.statusCode)).on('error', reject);
  });
  put.write(body.slice(0, 20));
  await sleep(100);
  const first = server.close();
  await sleep(20);
  const second = server.close();
  await sleep(100);
  put.end(body.slice(20));
  expect(await answered).toBe(204);
  await Promise.all([first, second]);
});

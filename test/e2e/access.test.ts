import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MonitorClient } from '../../src/client/monitor-client.ts';
import { ownAddress } from '../../src/platform/own-address.ts';
import { freePort } from '../influxd.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { Program } from './program.ts';

const running: Program[] = [];
afterEach(() => {
  for (const program of running.splice(0)) program.child.kill('SIGKILL');
});

function start(args: readonly string[], environment: Record<string, string> = {}): Program {
  const program = new Program(args, environment);
  running.push(program);
  return program;
}

async function run(args: readonly string[], environment: Record<string, string> = {}) {
  const program = start(args, environment);
  return { code: await program.exit, out: program.stdout, err: program.stderr };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not happen within 20 s');
}

const isLive = (url: string) =>
  fetch(`${url}/health/live`).then(
    (answer) => answer.ok,
    () => false,
  );

describe('tokens', () => {
  test('an address that others can reach is not listened on without tokens', async () => {
    const data = temporaryFolder();
    const listen = `0.0.0.0:${await freePort()}`;
    for (const command of ['serve', 'up']) {
      const { code, err } = await run([command, '--listen', listen, '--store', 'memory:', '--data', data]);
      expect([code, err]).toEqual([
        2,
        expect.stringMatching(/without tokens would let everybody read and write; make one first/),
      ]);
    }
  });

  test('a host joins with a code, reports, and is refused under another name', async () => {
    const [data, theirs] = [temporaryFolder(), temporaryFolder()];
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const invited = await run(['token', 'invite', '--host', 'web-02', '--data', data]);
    const [code = ''] = invited.out.split('\n');
    expect(code).toMatch(/^\w{4}-\w{4}-\w{4}$/);
    const server = start(['serve', '--listen', `0.0.0.0:${port}`, '--store', 'memory:', '--data', data]);
    await until(() => isLive(url));
    const wrong = await run(['join', url, 'AAAA-BBBB-CCCC', '--host', 'web-02', '--data', theirs]);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringMatching(/the code is not valid: it works once/)]);
    const joined = await run(['join', url, code, '--host', 'web-02', '--data', theirs]);
    expect(joined).toMatchObject({ code: 0, out: expect.stringMatching(/^web-02 may report to/) });
    expect((await run(['join', url, code, '--host', 'web-02', '--data', theirs])).code).toBe(1);

    const args = ['collect', '--server', url, '--data', theirs, '--interval', '500ms'];
    const impostor = start([...args, '--host', 'web-01']);
    await until(() => /refuses this collector \(403\).*may report 'web-02' and not 'web-01'/.test(impostor.stderr));
    await impostor.stop('SIGKILL');
    start([...args, '--host', 'web-02']);

    const read = (await run(['token', 'create', '--role', 'read', '--data', data])).out.trim();
    const client = new MonitorClient(url, { token: read });
    // A new token is known to the server within a second.
    await until(() =>
      client.hosts().then(
        ({ hosts }) => hosts.length > 0,
        () => false,
      ),
    );
    expect((await client.hosts()).hosts.map(({ host }) => host)).toEqual(['web-02']);
    await client.close();
    const seen = await run(['alert', '--once', '--server', url], { AMBERWATCH_TOKEN: read });
    expect(seen.code).not.toBe(1);
    expect(await run(['alert', '--once', '--server', url])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/this server wants a token/),
    });

    const list = (await run(['token', 'list', '--data', data])).out;
    expect(list.split('\n').filter((line) => /web-02|read/.test(line))).toHaveLength(2);
    const secrets = [read, readFileSync(join(theirs, 'token', url.replace(/[:/]+/g, '_')), 'utf8').trim()];
    for (const place of [list, server.stderr, readFileSync(join(data, 'tokens.json'), 'utf8'), processTable()])
      for (const secret of secrets) expect(place).not.toContain(secret);
  });

  test('on the server itself no token is needed by whoever may use its data folder, and by nobody else', async () => {
    const data = temporaryFolder();
    await run(['token', 'invite', '--data', data]);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const server = start(['serve', '--listen', `0.0.0.0:${port}`, '--store', 'memory:', '--data', data]);
    await until(() => isLive(url));
    const socket = join(data, `local-${port}.sock`);
    // For a moment after it has been made it is the owner's to execute too.
    await until(() => existsSync(socket) && (statSync(socket).mode & 0o777) === 0o600);
    expect((await fetch(`${url}/v1/hosts`)).status).toBe(401);
    const at = ['--server', url, '--data', data];
    const collector = start(['collect', '--interval', '500ms', '--host', 'own', ...at]);
    await until(async () => (await run(['host', 'ls', ...at])).out.includes(' own '));
    // Whatever the machine is at: it is an answer, and none of 1, 2 and 5.
    expect([0, 3, 4]).toContain((await run(['alert', '--once', ...at])).code);
    expect((await run(['accuracy', ...at])).code).toBe(0);
    // Whether there is enough of it depends on the minute it is.
    const backtest = await run(['backtest', '--host', 'own', ...at]);
    expect(backtest.err + backtest.out).toMatch(/own|nothing to judge|breaches/);
    expect(backtest.err).not.toMatch(/token/);
    expect((await run(['store', 'expire', ...at])).code).toBe(0);
    await collector.stop();
    // Another folder: as anybody else on this machine.
    expect(await run(['alert', '--once', '--server', url, '--data', temporaryFolder()])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/wants a token/),
    });
    expect(await run(['alert', '--once', ...at], { AMBERWATCH_TOKEN: 'aw_r_wrong' })).toMatchObject({ code: 1 });
    if (process.getuid?.() === 0) {
      chmodSync(data, 0o755);
      const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
      const curl = ['curl', '-sS', '--unix-socket', socket, 'http://localhost/v1/hosts'];
      expect(spawnSync('setpriv', [...asNobody, ...curl]).status).toBe(7);
      expect(spawnSync(curl[0] as string, curl.slice(1)).status).toBe(0);
    }
    expect(await server.stop('SIGTERM')).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });

  test('a server that was killed leaves its socket behind: the next one takes it over', async () => {
    const data = temporaryFolder();
    const port = await freePort();
    const args = ['serve', '--listen', `127.0.0.1:${port}`, '--store', 'memory:', '--data', data];
    const url = `http://127.0.0.1:${port}`;
    const first = start(args);
    await until(() => isLive(url));
    await first.stop('SIGKILL');
    const once = () => run(['alert', '--once', '--server', url, '--data', data]);
    expect((await once()).code).toBe(5);
    const second = start(args);
    await until(() => isLive(url));
    expect((await once()).code).toBe(3);
    expect(await second.stop('SIGTERM')).toBe(0);
  });

  test('a code comes with the command to type elsewhere, and the address others call', async () => {
    const invite = async (...more: string[]) =>
      (await run(['token', 'invite', '--host', 'web-02', '--data', temporaryFolder(), ...more])).out.split('\n');
    const [code, , command, listen] = await invite();
    const [, url = ''] = /^ {2}amberwatch join (http:\S+) (\S+) --host web-02$/.exec(command ?? '') ?? [];
    expect(command).toContain(` ${code} `);
    expect(url).toMatch(/^http:\/\/[\d.[\]:a-f]+:8000$/);
    expect(listen).toMatch(/must listen for others: --listen 0\.0\.0\.0:8000/);
    expect((await invite('--server', 'https://mon.example.com:8443'))[2]).toContain(
      'join https://mon.example.com:8443 ',
    );
  });

  test('an admin token that is none, and variables that nothing reads', async () => {
    const args = ['serve', '--store', 'memory:', '--data', temporaryFolder()];
    expect(await run(args, { AMBERWATCH_ADMIN_TOKEN: 'hello' })).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^amberwatch: AMBERWATCH_ADMIN_TOKEN: the admin token is not valid: .* make one with/),
    });
    const { err } = await run(['config', 'print'], { AMBERWATCH_INTERVALL: '10s' });
    expect(
      err.match(/AMBERWATCH_INTERVALL is not read by anything; did you mean 'AMBERWATCH_INTERVAL'\?/g),
    ).toHaveLength(1);
  });

  test('a flag that npm has taken for itself', async () => {
    const npm = { npm_lifecycle_event: 'start' };
    const said = /npm has taken --listen for itself; put -- before it: npm start -- --listen 127\.0\.0\.1:9000\n$/;
    for (const [args, environment] of [
      [['up', '127.0.0.1:9000'], { ...npm, npm_config_listen: 'true' }],
      [['up'], { ...npm, npm_config_listen: '127.0.0.1:9000' }],
    ] as const)
      expect(await run(args, environment)).toMatchObject({ code: 2, err: expect.stringMatching(said) });
  });

  test('config print says what is set and where, and no secret', async () => {
    const { out, code } = await run(['config', 'print', '--interval', '7s'], {
      AMBERWATCH_TOKEN: 'aw_r_secret',
      AMBERWATCH_INFLUX_PASSWORD: 'hunter2hunter2',
      AMBERWATCH_THRESHOLD: 'cpu=90 memory=70',
    });
    expect(code).toBe(0);
    expect(out).toContain('interval: "7s"  # --interval\n');
    expect(out).toContain(
      'threshold: ["cpu:red=90","memory:red=70","system.cpu:red=80","system.memory:red=80"]  # AMBERWATCH_THRESHOLD\n',
    );
    expect(out).toContain('token: (set, not shown)  # AMBERWATCH_TOKEN\n');
    expect(out).toContain('poll: "5s"  # default\n');
    expect(out).not.toMatch(/secret|hunter2/);
  });

  test.each<[string, string[], RegExp]>([
    [
      'a code for what is no host name',
      ['token', 'invite', '--host', 'bad host!'],
      /'bad host!' is no host name; write letters/,
    ],
    ['a collector without a name', ['collect', '--host', ''], /'' is no host name/],
    [
      'a line that is never reached',
      ['serve', '--threshold', 'memory=120'],
      /memory: 120 is never reached: .* ends at 100/,
    ],
    ['a file that is wrong', ['config', 'check', '/etc/hostname'], /\/etc\/hostname must hold keys and values/],
    ['a write token without a host', ['token', 'create', '--role', 'write'], /name it with --host/],
    [
      'a token that is not there',
      ['token', 'revoke', '00000000'],
      /there is no token 00000000; see: amberwatch token list/,
    ],
    ['a webhook without a key', ['alert', '--webhook', 'https://example.com'], /AMBERWATCH_WEBHOOK_SECRET/],
    ['a webhook that is none', ['alert', '--webhook', 'ftp://example.com'], /is not a URL; write it like https/],
    ['half of TLS', ['serve', '--store', 'memory:', '--tls-cert', '/etc/hostname'], /TLS needs both/],
  ])('%s is one clear sentence', async (_, args, message) => {
    const { code, err } = await run(args, { AMBERWATCH_DATA: temporaryFolder() });
    expect(code).toBeGreaterThan(0);
    expect(err).toMatch(message);
    expect(err).not.toMatch(/\n {4}at /);
  });
});

function processTable(): string {
  return execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
}

describe('TLS', () => {
  const folder = temporaryFolder();
  const file = (name: string) => join(folder, name);
  const openssl = (command: string) => execFileSync('openssl', command.split(' '), { cwd: folder, stdio: 'pipe' });

  const newKey = (name: string) =>
    `req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${name} -keyout ${name}.key`;

  function makeAuthority(name: string): void {
    openssl(`${newKey(name)} -x509 -days 2 -out ${name}.pem`);
  }

  function makeCertificate(name: string, authority: string, serial: number): void {
    writeFileSync(file(`${name}.ext`), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    openssl(`${newKey(name)} -out ${name}.csr`);
    const signed = `-CA ${authority}.pem -CAkey ${authority}.key -set_serial ${serial} -extfile ${name}.ext`;
    openssl(`x509 -req -in ${name}.csr ${signed} -days 2 -out ${name}.pem`);
  }

  beforeAll(() => {
    makeAuthority('authority');
    makeAuthority('other');
    makeCertificate('server', 'authority', 1001);
    makeCertificate('client', 'authority', 1002);
  });

  const hostsSeen = async (url: string, options: ConstructorParameters<typeof MonitorClient>[1]) => {
    const client = new MonitorClient(url, options);
    return client
      .hosts()
      .then(
        () => 'answered',
        (error: Error) => error.message,
      )
      .finally(() => client.close());
  };
  const pem = (name: string) => readFileSync(file(name), 'utf8');

  function serialOf(port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', ca: pem('authority.pem') }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }

  test('the authority is pinned, and a renewed certificate is used without a restart', async () => {
    const port = await freePort();
    const url = `https://127.0.0.1:${port}`;
    const tls = ['--tls-cert', file('server.pem'), '--tls-key', file('server.key')];
    const server = start(['serve', '--listen', `127.0.0.1:${port}`, '--store', 'memory:', ...tls]);
    await until(() => server.stderr.includes('server is listening'));
    expect(await hostsSeen(url, { ca: pem('authority.pem') })).toBe('answered');
    expect(await hostsSeen(url, {})).toMatch(/unable to verify|self-signed/);
    expect(await hostsSeen(url, { ca: pem('other.pem') })).toMatch(/unable to verify|self-signed|certificate/);
    const collector = start([
      'collect',
      '--server',
      url,
      '--interval',
      '500ms',
      '--ca',
      file('authority.pem'),
      '--data',
      temporaryFolder(),
    ]);
    await until(async () => (await hostsCount(url)) > 0);
    await collector.stop('SIGTERM');

    expect(await serialOf(port)).toBe('03E9');
    makeCertificate('server', 'authority', 1003);
    await until(async () => (await serialOf(port)) === '03EB');
    expect(server.stderr).toContain('the certificate was read again');
  });

  const far = ownAddress() ?? '';

  test.skipIf(far === '')(
    'agents speak TLS or not on one port; a certificate lets in, and a renewed one is shown',
    async () => {
      makeCertificate('server', 'authority', 1010);
      const [port, tcpPort] = [await freePort(), await freePort()];
      const tls = [
        '--tls-cert',
        file('server.pem'),
        '--tls-key',
        file('server.key'),
        '--tls-client-ca',
        file('authority.pem'),
      ];
      const tcp = ['--tcp', `0.0.0.0:${tcpPort}`, '--tcp-reply', 'ok'];
      const server = start([
        'serve',
        '--listen',
        `127.0.0.1:${port}`,
        '--store',
        'memory:',
        '--data',
        temporaryFolder(),
        ...tls,
        ...tcp,
      ]);
      await until(() => server.stderr.includes('agents are listened to'));
      const answerOf = (socket: Socket) =>
        new Promise<string>((resolve, reject) => {
          socket.on('error', reject).once('data', (data) => {
            resolve(String(data));
            socket.destroy();
          });
          socket.write('{"cpu": 1}');
        });
      const secure = { ca: pem('authority.pem'), checkServerIdentity: () => undefined, port: tcpPort };
      const own = { cert: pem('client.pem'), key: pem('client.key') };
      expect(await answerOf(connectPlain(tcpPort, '127.0.0.1'))).toBe('ok');
      expect(await answerOf(connect({ ...secure, host: '127.0.0.1' }))).toBe('ok');
      expect(await answerOf(connect({ ...secure, ...own, host: far }))).toBe('ok');
      expect(await answerOf(connect({ ...secure, host: far }))).toMatch(/"unauthorized"/);
      // A session of one that had no certificate is no certificate.
      let session: Buffer | undefined;
      const first = connect({ ...secure, host: far });
      first.on('session', (given) => {
        session = given;
      });
      await answerOf(first);
      expect(await answerOf(connect({ ...secure, host: far, ...(session && { session }) }))).toMatch(/"unauthorized"/);
      expect(await answerOf(connectPlain(tcpPort, far))).toMatch(/"unauthorized"/);
      expect(await serialOf(tcpPort)).toBe('03F2');
      makeCertificate('server', 'authority', 1011);
      await until(async () => (await serialOf(tcpPort)) === '03F3');
    },
  );

  test('what is wrong with a certificate, or that there is none, is said with what helps', async () => {
    makeCertificate('server', 'authority', 1005);
    const [port, plainPort] = [await freePort(), await freePort()];
    const tls = ['--tls-cert', file('server.pem'), '--tls-key', file('server.key')];
    const serve = (at: number, more: string[]) =>
      start(['serve', '--listen', `127.0.0.1:${at}`, '--store', 'memory:', '--data', temporaryFolder(), ...more]);
    const servers = [serve(port, tls), serve(plainPort, [])];
    await until(() => servers.every(({ stderr }) => stderr.includes('server is listening')));
    const once = async (url: string, ...more: string[]) => {
      const { code, err } = await run(['alert', '--once', '--server', url, '--data', temporaryFolder(), ...more]);
      return [code, err];
    };
    expect(await once(`https://127.0.0.1:${port}`)).toEqual([
      5,
      expect.stringMatching(
        /its certificate is self-signed or of an authority that is not known here; .* with --ca\n$/,
      ),
    ]);
    expect(await once(`http://127.0.0.1:${port}`)).toEqual([
      5,
      expect.stringMatching(/it hangs up without an answer .*; if it listens with TLS, write https:/),
    ]);
    expect(await once(`https://127.0.0.1:${plainPort}`)).toEqual([
      5,
      expect.stringMatching(/it does not speak TLS; write the address without it/),
    ]);
    expect(await once(`http://127.0.0.1:${await freePort()}`)).toEqual([
      5,
      expect.stringMatching(/nothing listens there/),
    ]);
    const wrong: [string[], RegExp][] = [
      [
        ['--tls-cert', '/nowhere.pem', '--tls-key', file('server.key')],
        /--tls-cert \/nowhere.pem cannot be read: there is no such file/,
      ],
      [
        ['--tls-cert', file('server.key'), '--tls-key', file('server.key')],
        /--tls-cert .*server.key holds no certificate/,
      ],
      [
        ['--tls-cert', file('server.pem'), '--tls-key', file('server.pem')],
        /--tls-key .*server.pem holds no private key/,
      ],
      [
        ['--tls-cert', file('server.pem'), '--tls-key', file('authority.key')],
        /the key does not belong to the certificate/,
      ],
    ];
    for (const [flags, message] of wrong) {
      const { code, err } = await run(['serve', '--store', 'memory:', '--data', temporaryFolder(), ...flags]);
      expect([code, err]).toEqual([2, expect.stringMatching(message)]);
    }
  });

  async function hostsCount(url: string): Promise<number> {
    const client = new MonitorClient(url, { ca: pem('authority.pem') });
    const { hosts } = await client.hosts();
    await client.close();
    return hosts.length;
  }

  test('clients without a certificate are refused where one is wanted', async () => {
    makeCertificate('server', 'authority', 1004);
    const port = await freePort();
    const url = `https://127.0.0.1:${port}`;
    const tls = [
      '--tls-cert',
      file('server.pem'),
      '--tls-key',
      file('server.key'),
      '--tls-client-ca',
      file('authority.pem'),
    ];
    const server = start(['serve', '--listen', `127.0.0.1:${port}`, '--store', 'memory:', ...tls]);
    await until(() => server.stderr.includes('server is listening'));
    const ca = pem('authority.pem');
    expect(await hostsSeen(url, { ca, cert: pem('client.pem'), key: pem('client.key') })).toBe('answered');
    expect(await hostsSeen(url, { ca })).toMatch(/does not answer/);
  });
});

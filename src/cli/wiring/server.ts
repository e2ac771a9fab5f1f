import { randomUUID } from 'node:crypto';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { AppOptions } from '../../api/app.ts';
import type { ClientOptions } from '../../client/monitor-client.ts';
import type { Clock } from '../../core/clock.ts';
import { MonitorError, messageOf } from '../../core/error.ts';
import { serverRoles } from '../../core/server-role.ts';
import type { Store } from '../../core/store.ts';
import { formatThreshold } from '../../core/threshold.ts';
import { openClockDoubt } from '../../hosts/clock-doubt-file.ts';
import { readBootId } from '../../platform/boot-id.ts';
import { ownAddress } from '../../platform/own-address.ts';
import type { SlaDefinitionsFile } from '../../sla/sla-definitions.ts';
import { openFetched } from '../../sources/fetched-file.ts';
import type { PrometheusSourceOptions } from '../../sources/prometheus-source.ts';
import type { ConfiguredSource } from '../../sources/sources.ts';
import { formatListen, type ListenAddress } from '../config/address.ts';
import { storeUrl } from '../config/data-folder.ts';
import type { Config } from '../config/settings.ts';
import { keptSettings } from './kept-settings.ts';
import { type LocalSocket, makeLocalSocket } from './local-socket.ts';
import { readPem } from './pem.ts';
import { serverAccess } from './server-access.ts';
import { ServerCertificate } from './server-certificate.ts';
import { storeOptions } from './store-options.ts';

/**
 * Wires each daemon from its configuration. Modules are loaded where they are needed, so that a collector
 * never loads the server and stays small.
 */

export interface RunningServer {
  /** The URL a client on this machine reaches it at. */
  url: string;
  /** Where others reach it, in words. */
  announced: string;
  /** The same for agents on plain TCP; null: they are not listened to. */
  agents: string | null;
  /** For the daemons of the same process. */
  own: ClientOptions;
  close(): Promise<void>;
}

/** Requests under way are answered within this; then their connections are cut. */
const requestGraceMs = 3_000;

/** @throws MonitorError when the store cannot be opened or the address not be listened on */
export async function startServer(
  config: Config,
  clock: Clock,
  log: FastifyBaseLogger,
  version: string,
): Promise<RunningServer> {
  const { access, secret } = serverAccess(config, clock);
  const certificate = new ServerCertificate(config);
  const { loadStore } = await import('../../store/open.ts');
  const open = await loadStore(storeUrl(config.store, config.data));
  const opening = open(storeOptions(config, clock, log));
  // Loaded while the store opens in its thread; what is wrong with it is met below.
  void import('../../api/app.ts').catch(() => undefined);
  const store = await opening;
  refuseAloneInPart(config, store);
  const local = makeLocalSocket();
  const closing: (() => unknown)[] = [() => store.close(), () => local.close()];
  try {
    const given = { store, clock, log, version, access: { ...access, isLocal: local.isLocal } };
    const app = await makeApp(config, given, certificate);
    closing.push(() => closeApp(app, local));
    const url = await listen(app, config.listen);
    const { port } = app.server.address() as AddressInfo;
    await local.listen(app.routing, config.data, port, (message) => log.warn(message));
    const agents = config.tcp === null ? null : await listenToAgents(app, config, config.tcp);
    if (agents !== null) log.info(agents);
    closing.push(certificate.renew([app.server as Server, app.tcpAgents], log));
    const announced = announcedAs(url, config.listen);
    const thresholds = config.threshold.map(formatThreshold);
    log.info({ url: announced, store: store.url, thresholds }, 'server is listening');
    let ended: Promise<void> | null = null;
    const close = () => {
      ended ??= closeAll(closing);
      return ended;
    };
    return { url, announced, agents, own: { token: secret }, close };
  } catch (error) {
    await closeAll(closing).catch(() => undefined);
    throw error;
  }
}

/** @throws MonitorError `invalid` for one of several servers over a store that only one has */
function refuseAloneInPart({ role, watchShare, store: url, data }: Config, { isShared = false }: Store): void {
  if (isShared || (role.length === serverRoles.length && watchShare.of === 1)) return;
  throw new MonitorError(
    'invalid',
    `the store ${storeUrl(url, data)} is this server's alone, and so it has to do everything: --role and --watch-share are for servers over one ClickHouse or InfluxDB`,
  );
}

/** What was opened last first, each whatever became of the others. @throws what the first one threw */
async function closeAll(closing: readonly (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closing.toReversed())
    await Promise.resolve()
      .then(close)
      .catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function closeApp(app: FastifyInstance, local: LocalSocket): Promise<void> {
  const cut = setTimeout(() => {
    app.server.closeAllConnections();
    local.closeAllConnections();
  }, requestGraceMs);
  await Promise.all([app.close(), local.close()]);
  clearTimeout(cut);
}

async function makeApp(
  config: Config,
  given: Pick<AppOptions, 'store' | 'clock' | 'log' | 'version' | 'access'>,
  { tls }: ServerCertificate,
): Promise<FastifyInstance> {
  const { buildApp } = await import('../../api/app.ts');
  const warn = (message: string) => given.log.warn(message);
  return buildApp({
    ...given,
    thresholds: config.threshold,
    retentionMs: config.retention,
    horizonMs: config.horizon,
    queryTimeoutMs: config.queryTimeout,
    clockDoubt: openClockDoubt(config.data, warn),
    ...keptSettings(given.store, config.data, given.clock, warn),
    duties: { roles: config.role, share: config.watchShare },
    serverId: `${hostname()} ${randomUUID()}`,
    ...(config.slas !== undefined && { slasFile: await openSlasFile(config.slas) }),
    hasOlderSlaApi: config.olderSlaApi,
    // Beside this file once it is bundled.
    webFolder: fileURLToPath(new URL('./web', import.meta.url)),
    bootId: readBootId(),
    mappings: config.mapping,
    sources: config.sources.map((source) => configuredSource(source, config, warn)),
    agents: {
      client: config.tcpClient,
      counters: config.tcpCounter,
      reply: config.tcpReply,
      allowed: config.tcpAllow,
    },
    ...(tls && { https: tls }),
  });
}

/** @throws MonitorError `invalid` for one that cannot be read: later that would only be said */
async function openSlasFile(path: string): Promise<SlaDefinitionsFile> {
  const { readSlas, slasFile } = await import('../config/slas-file.ts');
  readSlas(path);
  return slasFile(path);
}

function configuredSource(
  { ca, ...options }: PrometheusSourceOptions,
  config: Config,
  warn: (message: string) => void,
): ConfiguredSource {
  const pem = ca === undefined ? {} : { ca: readPem(ca, `ca of source ${options.name}:`, 'certificate') };
  // Of another address, other selectors or another store nothing is known.
  const of = JSON.stringify([options.url.href, options.selectors, storeUrl(config.store, config.data)]);
  const kept = openFetched(join(config.data, 'sources'), options.name, of, warn);
  return { options: { ...options, ...pem }, kept };
}

/** An address that stands for all of them is none that anybody could call. */
function announcedAs(url: string, { host }: ListenAddress): string {
  if (host !== '0.0.0.0' && host !== '::') return url;
  const own = ownAddress();
  if (own === null) return `every address of this machine (here ${url})`;
  const others = new URL(url);
  others.hostname = own.includes(':') ? `[${own}]` : own;
  return `${others.origin} and every other address of this machine (here ${url})`;
}

async function listen(
  app: { listen(address: ListenAddress): Promise<string>; close(): Promise<unknown> },
  address: ListenAddress,
): Promise<string> {
  try {
    return (await app.listen(address)).replace('0.0.0.0', '127.0.0.1').replace('[::]', '[::1]');
  } catch (error) {
    await app.close();
    throw listenFailure(address, '--listen', error);
  }
}

/** @returns what is to be said of it */
async function listenToAgents(app: FastifyInstance, config: Config, address: ListenAddress): Promise<string> {
  const { tcpAllow, tlsCert } = config;
  const port = await app.tcpAgents.listen(address).catch((error: unknown) => {
    throw listenFailure(address, '--tcp', error);
  });
  const allowed = ['this machine', ...tcpAllow.map(({ address, bits }) => `${address}/${bits}`)].join(', ');
  const others = tlsCert === undefined ? 'a token' : 'a token or a client certificate';
  return `agents are listened to on ${formatListen({ ...address, port })}: ${allowed}, and whoever shows ${others}`;
}

function listenFailure(address: ListenAddress, flag: string, error: unknown): MonitorError {
  const reasons: Record<string, string> = {
    EADDRINUSE: `another program uses it; choose another port with ${flag} ${formatListen({ ...address, port: address.port + 1 })}`,
    EACCES: 'this user may not use that port; choose one above 1023',
    EADDRNOTAVAIL: 'this machine does not have that address',
    ENOTFOUND: 'that name has no address',
  };
  const why = reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? messageOf(error);
  return new MonitorError('unavailable', `cannot listen on ${formatListen(address)}: ${why}`, { cause: error });
}

import type { SecureContextOptions } from 'node:tls';
import helmet from '@fastify/helmet';
import { Ajv2020 as Ajv, type AnySchema, type Options } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { mostAheadMs, placedAt } from '../core/host-clock.ts';
import { isOfOtherSource } from '../core/series.ts';
import type { Store } from '../core/store.ts';
import type { Threshold } from '../core/threshold.ts';
import { AlarmReader } from './alarm-reader.ts';
import { alarmRoutes } from './alarms.ts';
import type { AppParts } from './app-parts.ts';
import { addDocs } from './docs.ts';
import { Expiry, expiryRoutes } from './expiry.ts';
import { ForecastScores } from './forecast-scores.ts';
import { Forecaster } from './forecaster.ts';
import { forecastRoutes } from './forecasts.ts';
import { ForgottenHosts, type KeptForgotten } from './forgotten-hosts.ts';
import { type AccessOptions, addGuard } from './guard.ts';
import { healthRoutes } from './health.ts';
import { hostRoutes } from './hosts.ts';
import { Ingest } from './ingest.ts';
import { joinRoutes } from './join.ts';
import { addJsonBody } from './json-body.ts';
import { KnownHosts } from './known-hosts.ts';
import { LargeAnswers } from './large-answer.ts';
import { addLargeBodyTurns } from './large-body-turns.ts';
import { metricSampleRoutes } from './metric-samples.ts';
import { metricRoutes } from './metrics.ts';
import { addProblems } from './problem.ts';
import { addReadBounds } from './read-bounds.ts';
import { resourceRoutes } from './resources.ts';
import { seriesRoutes } from './series.ts';
import { type KeptDoubt, ServerClock } from './server-clock.ts';
import { refuseUnknownParameters } from './unknown-parameters.ts';
import { usageRoutes } from './usage.ts';

export interface AppOptions {
  store: Store;
  clock: Clock;
  log: FastifyBaseLogger;
  thresholds: readonly Threshold[];
  retentionMs: number;
  /** How far ahead is forecast. */
  horizonMs: number;
  /** What is read for one request takes at most so long; absent: `defaultQueryTimeoutMs`. */
  queryTimeoutMs?: number;
  version: string;
  access: AccessOptions;
  /** Where a doubt about this machine's clock outlasts a restart. */
  clockDoubt?: KeptDoubt;
  /** Where forgotten hosts outlast a restart. */
  forgotten?: KeptForgotten;
  /** Of this machine. */
  bootId?: string | null;
  /** TLS of the socket; absent: plain HTTP. */
  https?: TlsOptions;
}

/** Of the decoded body: about 60 snapshots of 300 processes in columns. */
const bodyLimitBytes = 1024 * 1024;
const requestTimeoutMs = 30_000;
const defaultQueryTimeoutMs = 10_000;
const maxConnections = 2000;
/** The pages of /docs bring their own scripts and styles, and nothing from elsewhere. */
const contentSecurityPolicy = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    styleSrc: ["'self'", "'unsafe-inline'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
    objectSrc: ["'none'"],
  },
};

export type TlsOptions = Pick<SecureContextOptions, 'cert' | 'key' | 'ca'> & { requestCert?: boolean };

/** Node applies the larger of the two timeouts, and looks only every 30 s: without these a slow body stays for ever. */
function serverOptions(https: TlsOptions | undefined) {
  const timeouts = { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 1000 };
  return https === undefined ? { http: timeouts } : { https: { ...timeouts, ...https, rejectUnauthorized: true } };
}

/** The whole server, not yet listening. It neither opens nor closes the store. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { store, clock, log, thresholds, retentionMs, horizonMs } = options;
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestTimeoutMs,
    ...serverOptions(options.https),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1024 },
  });
  app.setValidatorCompiler(({ schema, httpPart }) =>
    httpPart === 'body' ? strict.compile(inParts(schema)) : coercing.compile(schema),
  );
  app.server.maxConnections = maxConnections;
  addProblems(app);
  app.addHook('onRoute', (route) => {
    if (route.url === '/' || route.url.startsWith('/docs')) route.config = { ...route.config, access: 'public' };
  });
  await app.register(helmet, { contentSecurityPolicy });
  await addGuard(app, options.access, clock);
  addReadBounds(app, options.queryTimeoutMs ?? defaultQueryTimeoutMs);
  addJsonBody(app, bodyLimitBytes, addLargeBodyTurns(app));
  refuseUnknownParameters(app);
  await addDocs(app, options.version);

  const forecaster = new Forecaster({ store, clock, log, thresholds, horizonMs });
  app.addHook('onListen', async () => forecaster.start());
  app.addHook('preClose', () => forecaster.close());
  const scores = new ForecastScores({
    store,
    clock,
    log,
    retentionMs,
    horizonMs,
    stepMs: forecaster.stepMs,
    otherMetrics: thresholds.map(({ selector }) => selector.metric).filter(isOfOtherSource),
  });
  app.addHook('onListen', async () => scores.start());
  app.addHook('preClose', () => scores.close());
  // A store that is not there yet says nothing of before.
  const before = await store.latest(clock.now() + mostAheadMs).catch(() => []);
  const newest = before.length === 0 ? null : Math.max(...before.map(placedAt));
  const serverClock = new ServerClock(clock, newest, options.clockDoubt);
  const forgotten = new ForgottenHosts(options.forgotten, clock, retentionMs);
  const hosts = new KnownHosts({ store, clock, serverClock, before, forgotten, bootId: options.bootId ?? null });
  const expiry = new Expiry({ store, clock, serverClock, log, retentionMs });
  app.addHook('onListen', async () => expiry.start());
  app.addHook('preClose', async () => expiry.close());
  const parts: AppParts = {
    store,
    hosts,
    tokens: options.access.tokens,
    clock,
    log,
    ingest: new Ingest(store, hosts, expiry, clock),
    expiry,
    serverClock,
    alarms: new AlarmReader({
      store,
      hosts,
      clock,
      serverClock,
      thresholds,
      retentionMs,
      stepMs: forecaster.stepMs,
    }),
    forecaster,
    scores,
    largeAnswers: new LargeAnswers(),
  };
  for (const routes of [
    usageRoutes,
    metricSampleRoutes,
    seriesRoutes,
    expiryRoutes,
    hostRoutes,
    alarmRoutes,
    forecastRoutes,
    healthRoutes,
    metricRoutes,
    resourceRoutes,
    joinRoutes,
  ]) {
    await app.register(routes(parts));
  }
  app.get('/', { schema: { hide: true } }, (_request, reply) => reply.redirect('/docs'));
  return app;
}

/**
 * The same schema with each part that has a title as a definition, which becomes a function of its own: V8 runs what is
 * longer than 60 KB of its code unoptimised, ten times as slow, and a snapshot's schema as one function is.
 */
function inParts(schema: unknown): AnySchema {
  const $defs: Record<string, unknown> = {};
  const part = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(part);
    if (typeof node !== 'object' || node === null) return node;
    const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, part(value)]));
    if (typeof copy.title !== 'string' || !('properties' in copy)) return copy;
    $defs[copy.title] = copy;
    return { $ref: `#/$defs/${copy.title}` };
  };
  const whole = part(schema);
  return { ...(whole as object), $defs };
}

const ajvOptions: Options = { allErrors: false, strict: false, allowUnionTypes: true, inlineRefs: false };
/** Bodies are taken as they are: a null must not become 0, nor a string a number. */
const strict = withFormats(new Ajv({ ...ajvOptions, coerceTypes: false }));
/** A query string has only text. */
const coercing = withFormats(new Ajv({ ...ajvOptions, coerceTypes: true }));

function withFormats(ajv: Ajv): Ajv {
  (formats as unknown as (ajv: Ajv) => Ajv)(ajv);
  return ajv;
}

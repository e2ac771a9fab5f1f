import type { SecureContextOptions } from 'node:tls';
import helmet from '@fastify/helmet';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { type Duties, everyDuty, isFirstWatcher } from '../core/server-role.ts';
import type { AppParts } from './app-parts.ts';
import { type AccessOptions, addGuard } from './guard.ts';
import { addJsonBody } from './json-body.ts';
import { LargeAnswers } from './large-answer.ts';
import { addLargeBodyTurns } from './large-body-turns.ts';
import { addDocs } from './openapi.ts';
import { OwnMetrics } from './own-metrics.ts';
import { addPage } from './page.ts';
import { addProblems } from './problem.ts';
import { addReadBounds } from './read-bounds.ts';
import { refuseOtherRoles } from './route-roles.ts';
import { alarmRoutes } from './routes/alarms.ts';
import { diskRoutes } from './routes/disk.ts';
import { expiryRoutes } from './routes/expiry.ts';
import { forecastRoutes } from './routes/forecasts.ts';
import { healthRoutes } from './routes/health.ts';
import { hostRoutes } from './routes/hosts.ts';
import { joinRoutes } from './routes/join.ts';
import { metricSampleRoutes } from './routes/metric-samples.ts';
import { newestRoutes } from './routes/newest.ts';
import { olderSlaRoutes } from './routes/older-sla.ts';
import { metricRoutes } from './routes/prometheus.ts';
import { remoteWriteRoutes } from './routes/remote-write.ts';
import { resourceRoutes } from './routes/resources.ts';
import { seriesRoutes } from './routes/series.ts';
import { seriesForecastRoutes } from './routes/series-forecasts.ts';
import { sessionRoutes } from './routes/session.ts';
import { slaRoutes } from './routes/slas.ts';
import { sourceRoutes } from './routes/sources.ts';
import { statisticsRoutes } from './routes/statistics.ts';
import { usageRoutes } from './routes/usage.ts';
import { compileSerializer, compileValidator } from './schema-compilers.ts';
import { makeServices, type ServiceOptions, type Services } from './services.ts';
import { TableTexts } from './table-texts.ts';
import { type TcpAgentOptions, TcpAgents } from './tcp/tcp-agents.ts';
import { refuseUnknownParameters } from './unknown-parameters.ts';

export interface AppOptions extends ServiceOptions {
  log: FastifyBaseLogger;
  /** What is read for one request takes at most so long; absent: `defaultQueryTimeoutMs`. */
  queryTimeoutMs?: number;
  version: string;
  access: AccessOptions;
  /** TLS of the socket; absent: plain HTTP. */
  https?: TlsOptions;
  /** The page as it was built; absent: there is none, and `/` leads to the documentation. */
  webFolder?: string;
  /** Whether the older SLA manager's clients are answered. */
  hasOlderSlaApi?: boolean;
  /** Agents on plain TCP; absent: as they are by default. They listen when somebody tells them to. */
  agents?: TcpAgentOptions;
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

const routes = [
  usageRoutes,
  newestRoutes,
  metricSampleRoutes,
  remoteWriteRoutes,
  seriesRoutes,
  statisticsRoutes,
  slaRoutes,
  diskRoutes,
  expiryRoutes,
  hostRoutes,
  sourceRoutes,
  alarmRoutes,
  forecastRoutes,
  seriesForecastRoutes,
  healthRoutes,
  metricRoutes,
  resourceRoutes,
  joinRoutes,
  sessionRoutes,
];

declare module 'fastify' {
  interface FastifyInstance {
    /** Not listening yet; closed with the server. */
    tcpAgents: TcpAgents;
  }
}

const defaultAgents: TcpAgentOptions = { client: 'address-port', counters: [], reply: null, allowed: [] };

/** The whole server, not yet listening. It neither opens nor closes the store. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const app = makeFastify(options);
  const ownMetrics = new OwnMetrics(app);
  await addRules(app, options);
  const services = await makeServices(options);
  runServices(app, services, services.duties);
  const agents = addAgents(app, options, services);
  const { tokens } = options.access;
  const tableTexts = new TableTexts();
  app.addHook('onClose', () => tableTexts.close());
  const parts: AppParts = { ...services, agents, ownMetrics, tokens, largeAnswers: new LargeAnswers(), tableTexts };
  for (const group of routes) await app.register(group(parts));
  if (options.hasOlderSlaApi === true) await app.register(olderSlaRoutes(parts));
  addPage(app, options.webFolder);
  return app;
}

function makeFastify({ log, https }: AppOptions): FastifyInstance {
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestTimeoutMs,
    ...serverOptions(https),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1024 },
  });
  app.setValidatorCompiler(({ schema, httpPart }) => compileValidator(schema, httpPart));
  app.setSerializerCompiler(({ schema }) => compileSerializer(schema));
  app.server.maxConnections = maxConnections;
  return app;
}

/** What holds for every request, whatever it asks for. */
async function addRules(app: FastifyInstance, options: AppOptions): Promise<void> {
  addProblems(app);
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith('/docs')) route.config = { ...route.config, access: 'public' };
  });
  await app.register(helmet, { contentSecurityPolicy });
  await addGuard(app, options.access, options.clock);
  refuseOtherRoles(app, (options.duties ?? everyDuty).roles);
  addReadBounds(app, options.queryTimeoutMs ?? defaultQueryTimeoutMs);
  addJsonBody(app, bodyLimitBytes, addLargeBodyTurns(app));
  refuseUnknownParameters(app);
  await addDocs(app, options.version);
}

function addAgents(app: FastifyInstance, options: AppOptions, { ingest }: Services): TcpAgents {
  const { clock, log, access, https: tls } = options;
  const agents = new TcpAgents(options.agents ?? defaultAgents, { ingest, tokens: access.tokens, clock, log, tls });
  app.decorate('tcpAgents', agents);
  app.addHook('preClose', () => agents.close());
  return agents;
}

type Daemon = {
  [K in keyof Services]: Services[K] extends { start(): void; close(): unknown } ? K : never;
}[keyof Services];

/** What goes on without being asked: of one of several servers what its roles need. */
function daemonsOf(duties: Duties): Daemon[] {
  const { roles } = duties;
  const has = (...meant: Duties['roles']) => meant.some((role) => roles.includes(role));
  return [
    'agreement',
    'slaDefinitions',
    ...(has('watch') ? (['forecaster', 'watchers'] as const) : []),
    ...(isFirstWatcher(duties)
      ? (['scores', 'expiry', 'compaction', 'diskWatch', 'slaWatch', 'sources'] as const)
      : []),
    // Who asks how an SLA will stand is told by whom they ask.
    ...(isFirstWatcher(duties) || has('query') ? (['slaForecaster'] as const) : []),
    ...(has('ingest', 'watch') ? (['mapper'] as const) : []),
  ];
}

/** From when it listens until it closes. */
function runServices(app: FastifyInstance, services: Services, duties: Duties): void {
  for (const name of daemonsOf(duties)) {
    app.addHook('onListen', async () => services[name].start());
    app.addHook('preClose', async () => services[name].close());
  }
  if (!duties.roles.includes('watch')) app.addHook('preClose', async () => services.forecaster.close());
}

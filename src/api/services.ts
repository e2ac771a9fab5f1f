import { AlarmReader } from '../alarms/alarm-reader.ts';
import type { Clock } from '../core/clock.ts';
import { mostAheadMs, placedAt } from '../core/host-clock.ts';
import type { MetricSample } from '../core/sample.ts';
import { isOfOtherSource, type Series } from '../core/series.ts';
import { type Duties, everyDuty, isFirstWatcher, isSeriesInShare } from '../core/server-role.ts';
import type { Store } from '../core/store.ts';
import type { Threshold } from '../core/threshold.ts';
import { ForecastScores } from '../forecast/forecast-scores.ts';
import { ForecastThread } from '../forecast/forecast-worker-client.ts';
import { Forecaster } from '../forecast/forecaster.ts';
import { horizonSteps } from '../forecast/steps.ts';
import { Watchers } from '../forecast/watchers.ts';
import { DesiredSettingsOfHosts, type DesiredSettingsStorage } from '../hosts/desired-settings.ts';
import { ForgottenHosts, type ForgottenHostsStorage } from '../hosts/forgotten-hosts.ts';
import { KnownHosts } from '../hosts/known-hosts.ts';
import { type ClockDoubtStorage, ServerClock } from '../hosts/server-clock.ts';
import { Compaction } from '../ingest/compaction.ts';
import { DiskWatch, diskThreshold } from '../ingest/disk-watch.ts';
import { Expiry } from '../ingest/expiry.ts';
import { Ingest, notStored, type ScrapedIngestResult } from '../ingest/ingest.ts';
import { LatestUsage } from '../ingest/latest-usage.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { UsageMapper } from '../mapping/usage-mapper.ts';
import type { Log } from '../platform/log.ts';
import { SlaDefinitions, type SlaDefinitionsFile } from '../sla/sla-definitions.ts';
import { SlaForecaster } from '../sla/sla-forecaster.ts';
import { budgetThreshold, SlaWatch } from '../sla/sla-watch.ts';
import { type SlaStorage, Slas } from '../sla/slas.ts';
import type { NotKept } from '../sources/not-kept.ts';
import { type ConfiguredSource, Sources } from '../sources/sources.ts';
import { AgreementRefresh } from './agreement-refresh.ts';

export interface ServiceOptions {
  store: Store;
  clock: Clock;
  log: Log;
  thresholds: readonly Threshold[];
  retentionMs: number;
  /** How far ahead is forecast. */
  horizonMs: number;
  /** Where a doubt about this machine's clock outlasts a restart. */
  clockDoubt?: ClockDoubtStorage;
  /** Where forgotten hosts outlast a restart. */
  forgotten?: ForgottenHostsStorage;
  /** Where what is wanted of collectors outlasts a restart. */
  desired?: DesiredSettingsStorage;
  /** Where SLAs outlast a restart. */
  slas?: SlaStorage;
  /** Where somebody writes some. */
  slasFile?: SlaDefinitionsFile;
  /** Of one of several servers over the store; absent: it does everything. */
  duties?: Duties;
  /** Of this process among them. */
  serverId?: string;
  /** Of this machine. */
  bootId?: string | null;
  /** Others that are asked for what they have. */
  sources?: readonly ConfiguredSource[];
  /** Which series of others are the usage of hosts and processes. */
  mappings?: readonly Mapping[];
}

/** What the routes answer from, and what goes on without being asked. */
export interface Services {
  store: Store;
  clock: Clock;
  log: Log;
  hosts: KnownHosts;
  serverClock: ServerClock;
  desired: DesiredSettingsOfHosts;
  slas: Slas;
  slaWatch: SlaWatch;
  slaForecaster: SlaForecaster;
  slaDefinitions: SlaDefinitions;
  ingest: Ingest;
  sources: Sources;
  mapper: UsageMapper;
  latestUsage: LatestUsage;
  expiry: Expiry;
  compaction: Compaction;
  diskWatch: DiskWatch;
  alarms: AlarmReader;
  forecaster: Forecaster;
  scores: ForecastScores;
  watchers: Watchers;
  agreement: AgreementRefresh;
  duties: Duties;
}

/** All of them, none started. A store that is not there yet says nothing of before. */
export async function makeServices(options: ServiceOptions): Promise<Services> {
  const { store, clock, log, retentionMs, horizonMs } = options;
  const thresholds = [...options.thresholds, budgetThreshold, ...((await hasLimit(store)) ? [diskThreshold] : [])];
  const before = await store.latest(clock.now() + mostAheadMs).catch(() => []);
  const newest = before.length === 0 ? null : Math.max(...before.map(placedAt));
  const serverClock = new ServerClock(clock, newest, options.clockDoubt);
  const forgotten = new ForgottenHosts(options.forgotten, clock, retentionMs);
  const hosts = new KnownHosts({ store, clock, serverClock, before, forgotten, bootId: options.bootId ?? null });
  const expiry = new Expiry({ store, clock, serverClock, log, retentionMs });
  const latestUsage = new LatestUsage(clock);
  const ingest = new Ingest({ store, hosts, expiry, clock, latestUsage });
  const write = async (samples: readonly MetricSample[]) => notKept(await ingest.writeScraped(samples, null));
  const oldestKept = () => expiry.oldestKept();
  const sources = new Sources(options.sources ?? [], { write, clock, log, oldestKept });
  const mapper = new UsageMapper(options.mappings ?? [], {
    write: async (snapshots) => void (await ingest.write(snapshots, { token: null, sentAt: null })),
    hosts: () => hosts.now(),
    clock,
    log,
  });
  ingest.onScraped((samples) => mapper.take(samples));
  const slas = new Slas(options.slas, options.slasFile !== undefined);
  const stepMs = horizonMs / horizonSteps;
  const { duties = everyDuty, serverId = 'server' } = options;
  const { agreements } = store;
  // Whoever is asked looks as well: it is said by one.
  const writeOwn = async (samples: readonly MetricSample[]) =>
    isFirstWatcher(duties) ? ingest.writeSamples(samples, null) : null;
  const slaWatch = new SlaWatch({ store, slas, clock, log, write: writeOwn, everyMs: stepMs });
  const thread = new ForecastThread();
  const slaForecaster = new SlaForecaster({ store, clock, log, slas, watch: slaWatch, thread, stepMs, horizonMs });
  // Budgets are forecast beside the violations that use them up.
  const ordinary = thresholds.filter((threshold) => threshold !== budgetThreshold);
  const { share } = duties;
  const forecaster = new Forecaster({ store, clock, log, thresholds: ordinary, horizonMs, thread, share });
  const desired = new DesiredSettingsOfHosts(options.desired);
  const answers = duties.roles.some((role) => role !== 'ingest');
  const agreed = agreements === undefined ? [] : [desired, ...(answers ? [forgotten, slas] : [])];
  // Who answers for all tells all alarms; a watcher those of its share.
  const told = duties.roles.includes('query') ? everyDuty.share : share;
  const isTold = (series: Series) => isSeriesInShare(series, told);
  const otherMetrics = thresholds.map(({ selector }) => selector.metric).filter(isOfOtherSource);
  return {
    store,
    clock,
    log,
    hosts,
    serverClock,
    desired,
    duties,
    watchers: new Watchers({ agreements, id: serverId, duties, clock, log }),
    agreement: new AgreementRefresh(agreed, clock, log),
    slas,
    slaDefinitions: new SlaDefinitions(options.slasFile, slas, clock, log),
    slaWatch,
    slaForecaster,
    expiry,
    compaction: new Compaction(store, clock, log),
    diskWatch: new DiskWatch(store, ingest, clock, log),
    forecaster,
    latestUsage,
    ingest,
    sources,
    mapper,
    alarms: new AlarmReader({ store, hosts, clock, serverClock, thresholds, retentionMs, stepMs, sources, isTold }),
    scores: new ForecastScores({ store, clock, log, retentionMs, horizonMs, stepMs, otherMetrics }),
  };
}

/** A store that is not there yet has none. */
async function hasLimit(store: Store): Promise<boolean> {
  const use = await store.disk().catch(() => null);
  return use !== null && use.mostBytes !== null;
}

/** What of pulled samples is not stored. */
function notKept(result: ScrapedIngestResult): NotKept {
  const lost = notStored(result);
  return { count: lost.reduce((sum, { count }) => sum + count, 0), why: lost[0]?.why ?? null };
}

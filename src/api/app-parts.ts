import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../core/clock.ts';
import type { Store } from '../core/store.ts';
import type { AlarmReader } from './alarm-reader.ts';
import type { Expiry } from './expiry.ts';
import type { ForecastScores } from './forecast-scores.ts';
import type { Forecaster } from './forecaster.ts';
import type { TokenSource } from './guard.ts';
import type { Ingest } from './ingest.ts';
import type { KnownHosts } from './known-hosts.ts';
import type { LargeAnswers } from './large-answer.ts';
import type { ServerClock } from './server-clock.ts';

/** What every group of routes is given. */
export interface AppParts {
  store: Store;
  hosts: KnownHosts;
  tokens: TokenSource;
  clock: Clock;
  log: FastifyBaseLogger;
  ingest: Ingest;
  expiry: Expiry;
  serverClock: ServerClock;
  alarms: AlarmReader;
  forecaster: Forecaster;
  scores: ForecastScores;
  largeAnswers: LargeAnswers;
}

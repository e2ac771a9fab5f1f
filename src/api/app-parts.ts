import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../core/clock.ts';
import type { Store } from '../core/store.ts';
import type { AlarmReader } from './alarm-reader.ts';
import type { Forecaster } from './forecaster.ts';
import type { Ingest } from './ingest.ts';

/** What every group of routes is given. */
export interface AppParts {
  store: Store;
  clock: Clock;
  log: FastifyBaseLogger;
  ingest: Ingest;
  alarms: AlarmReader;
  forecaster: Forecaster;
}

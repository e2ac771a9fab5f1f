import type { DuckDBAppender } from '@duckdb/node-api';
import type { Forecast } from '../../core/forecast.ts';
import { type HourTally, tallyCounts } from '../../core/tally.ts';

function appendNumber(appender: DuckDBAppender, value: number | null): void {
  if (value === null) appender.appendNull();
  else appender.appendDouble(value);
}

function appendTime(appender: DuckDBAppender, value: number | null): void {
  if (value === null) appender.appendNull();
  else appender.appendBigInt(BigInt(value));
}

export function appendForecast(appender: DuckDBAppender, forecast: Forecast, series: number): void {
  appendTime(appender, forecast.time);
  appender.appendInteger(series);
  for (const value of [forecast.value, forecast.threshold, forecast.probability]) appendNumber(appender, value);
  appendTime(appender, forecast.amberSince);
  appendTime(appender, forecast.notifySince);
  appender.appendBoolean(forecast.isMuted);
  for (const value of [forecast.etaSeconds, ...(forecast.intervalSeconds ?? [null, null])])
    appendNumber(appender, value);
  appender.appendVarchar(forecast.reason);
  appender.endRow();
}

export function appendTally(appender: DuckDBAppender, hour: HourTally, series: number): void {
  appendTime(appender, hour.time);
  appender.appendInteger(series);
  appender.appendBoolean(hour.isMuted);
  for (const count of tallyCounts) appendNumber(appender, hour.tally[count]);
  if (hour.tally.leadsMs.length === 0) appender.appendNull();
  else appender.appendVarchar(hour.tally.leadsMs.join(' '));
  appender.endRow();
}

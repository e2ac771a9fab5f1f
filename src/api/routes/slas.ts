import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import Type from 'typebox';
import { MonitorError } from '../../core/error.ts';
import { seriesKey } from '../../core/series.ts';
import { type Reads, readsWithin } from '../../core/store.ts';
import { currentOf, defaultWindows, type Sla, type SlaVersion } from '../../sla/sla.ts';
import type { Outlook } from '../../sla/sla-forecaster.ts';
import { statusOf, violationsIn, type WindowStatus } from '../../sla/sla-reader.ts';
import type { Violation } from '../../sla/violation.ts';
import {
  type SlaAnswer,
  type SlaPredictionsAnswer,
  type SlaStatusAnswer,
  type SlasAnswer,
  slaBodySchema,
  slaIdPattern,
  slaPredictionsSchema,
  slaSchema,
  slaStatusSchema,
  slasSchema,
  violationsSchema,
} from '../../wire/sla.ts';
import type { AppParts } from '../app-parts.ts';
import { csvField, csvType } from '../csv.ts';
import { instantOf, iso, windowOf } from '../window.ts';

const cheaper = 'a shorter window (window=), or an SLA on fewer series';
/** For all of them; what is left then is told one by one. */
const longestMs = 6000;
const cheaperStatus = 'one SLA (id=), or those on fewer series';
const tags = ['slas'];
const params = Type.Object({ id: Type.String({ pattern: slaIdPattern, description: 'Letters, digits, _ . : and -' }) });
const at = Type.Optional(Type.String({ format: 'date-time', description: 'Up to when; default: now.' }));

const format = Type.Optional(Type.Enum(['json', 'csv'], { default: 'json' }));

const getSlas = {
  schema: { tags, summary: 'All SLAs', querystring: Type.Object({ format }), response: { 200: slasSchema } },
};
const getSla = {
  schema: { tags, summary: 'An SLA, and what it was before', params, response: { 200: slaSchema } },
};
const putSla = {
  config: { access: 'admin' },
  schema: {
    tags,
    summary: 'Define an SLA, or change it from now on',
    description:
      'What was before stays judged by the definition of then; the first one is for all of the past. The same definition again changes nothing.',
    params,
    body: slaBodySchema,
    response: { 200: slaSchema },
  },
} as const;
const deleteSla = {
  config: { access: 'admin' },
  schema: { tags, summary: 'Delete an SLA with all it was', params, response: { 200: slaSchema } },
} as const;
const getViolations = {
  config: { cheaper },
  schema: {
    tags,
    summary: 'When which series of an SLA were out of its range',
    params,
    querystring: Type.Object({
      window: Type.Optional(Type.String({ default: '12h', description: 'How far back.' })),
      at,
      format,
    }),
    response: { 200: violationsSchema },
  },
};
const getPredictions = {
  schema: {
    tags,
    summary: 'How likely each series leaves the range within the horizon, and what that costs of the error budgets',
    params,
    response: { 200: slaPredictionsSchema },
  },
};
const getStatus = {
  config: { cheaper: cheaperStatus },
  schema: {
    tags,
    summary: 'How every SLA stands: time in violation, objective, error budget',
    querystring: Type.Object({ at, id: Type.Optional(Type.String({ description: 'Only this one.' })), format }),
    response: { 200: slaStatusSchema },
  },
};

/** What is promised, and how it was kept. */
export function slaRoutes({ store, clock, slas, slaForecaster, forecaster }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/v1/slas', getSlas, async ({ query }, reply) => {
      const all: SlasAnswer['slas'] = slas.all().map(slaAnswer);
      return query.format === 'csv' ? sendCsv(reply, slaColumns, all) : { slas: all };
    });

    app.get('/v1/slas/status', getStatus, async ({ query, reading }, reply) => {
      const now = instantOf(query.at, clock.now());
      const reads = readsWithin(store, reading);
      const all: SlaStatusAnswer['slas'] = [];
      // One after the other: each reads all its samples.
      const asked = query.id === undefined ? slas.all() : [slas.get(query.id)];
      const until = clock.monotonic() + longestMs;
      for (const sla of asked) all.push(clock.monotonic() < until ? await statusAnswer(reads, sla, now) : noTime(sla));
      if (query.format === 'csv') return sendCsv(reply, statusColumns, all.flatMap(statusRows));
      return { at: iso(now), slas: all };
    });

    app.get('/v1/slas/:id', getSla, async ({ params }): Promise<SlaAnswer> => slaAnswer(slas.get(params.id)));

    app.put('/v1/slas/:id', putSla, async ({ params, body }): Promise<SlaAnswer> => {
      const { selector, objective, min = null, max = null, windows = defaultWindows } = body;
      return slaAnswer(await slas.set(params.id, { selector, objective, min, max, windows }, clock.now()));
    });

    app.delete(
      '/v1/slas/:id',
      deleteSla,
      async ({ params }): Promise<SlaAnswer> => slaAnswer(await slas.remove(params.id)),
    );

    app.get('/v1/slas/:id/predictions', getPredictions, async ({ params }): Promise<SlaPredictionsAnswer> => {
      const sla = slas.get(params.id);
      const outlook = slaForecaster.of(sla);
      return { id: sla.id, horizonSeconds: forecaster.horizonMs / 1000, ...predictionsAnswer(outlook) };
    });

    app.get('/v1/slas/:id/violations', getViolations, async ({ params, query, reading }, reply) => {
      const sla = slas.get(params.id);
      const window = windowOf({ window: '12h', ...query }, clock.now());
      const violations = await violationsIn(readsWithin(store, reading), sla, window);
      const found = violations.map(violationAnswer);
      if (query.format === 'csv') return sendCsv(reply, violationColumns, found);
      return { id: sla.id, from: iso(window.from), to: iso(window.to), violations: found };
    });
  };
}

function slaAnswer(sla: Sla): SlaAnswer {
  const versions = sla.versions.map((version, index) => versionAnswer(version, index === 0));
  return { id: sla.id, ...(versions.at(-1) as SlaAnswer['versions'][number]), versions };
}

function versionAnswer({ since, windows, ...rest }: SlaVersion, isFirst: boolean): SlaAnswer['versions'][number] {
  return { since: isFirst ? null : iso(since), ...rest, windows: [...windows] };
}

/** One that cannot be told keeps no other from being told. */
async function statusAnswer(reads: Reads<[]>, sla: Sla, at: number): Promise<SlaStatusAnswer['slas'][number]> {
  const about = { id: sla.id, objective: currentOf(sla).objective };
  try {
    const { isViolated, windows } = await statusOf(reads, sla, at);
    return { ...about, violated: isViolated, windows: windows.map(windowAnswer), problem: null };
  } catch (error) {
    if (!(error instanceof MonitorError) || error.code !== 'invalid') throw error;
    return { ...about, violated: null, windows: [], problem: error.message };
  }
}

function noTime(sla: Sla): SlaStatusAnswer['slas'][number] {
  const { objective } = currentOf(sla);
  return {
    id: sla.id,
    objective,
    violated: null,
    windows: [],
    problem: `there was no time for it; ask for it alone: id=${sla.id}`,
  };
}

function windowAnswer(status: WindowStatus): SlaStatusAnswer['slas'][number]['windows'][number] {
  const { window, from, to, violations, violatedMs, coverage, compliance, isMet, budgetMs, leftMs, usedUpAt } = status;
  return {
    window,
    from: iso(from),
    to: iso(to),
    violations,
    violatedSeconds: secondsOf(violatedMs),
    coverage,
    compliance,
    met: isMet,
    budgetSeconds: secondsOf(budgetMs),
    budgetLeftSeconds: secondsOf(leftMs),
    // Beyond what a date holds is never.
    budgetUsedUpAt: usedUpAt === null || usedUpAt > latestDate ? null : iso(usedUpAt),
  };
}

const latestDate = 8.64e15;

/** To the millisecond: 0.5 % of an hour are 18 s. */
function secondsOf(ms: number): number {
  return Math.round(ms) / 1000;
}

function violationAnswer({ series, from, to, side, worst }: Violation) {
  return { series, from: iso(from), to: iso(to), durationSeconds: (to - from) / 1000, side, worst };
}

function predictionsAnswer(outlook: Outlook | null): Omit<SlaPredictionsAnswer, 'id' | 'horizonSeconds'> {
  if (outlook === null) return { at: null, problem: null, predictions: [], budgets: [] };
  const { at, problem, passings, risks } = outlook;
  const sorted = passings.toSorted((a, b) => likelihood(b) - likelihood(a));
  return {
    at: iso(at),
    problem,
    predictions: sorted.map(({ series, isOut, ...passing }) => ({
      series: seriesKey(series),
      violated: isOut,
      ...passing,
    })),
    budgets: risks.map((risk) => (risk.probability > 0 ? risk : { ...risk, etaSeconds: null, intervalSeconds: null })),
  };
}

/** What is out already comes first, what is too young last. */
function likelihood({ isOut, probability }: Outlook['passings'][number]): number {
  return isOut ? 2 : (probability ?? -1);
}

const slaColumns = ['id', 'selector', 'min', 'max', 'objective', 'windows', 'since'] as const;
const statusColumns = [
  ...(['id', 'objective', 'violated', 'window', 'from', 'to', 'violations', 'violatedSeconds', 'coverage'] as const),
  ...(['compliance', 'met', 'budgetSeconds', 'budgetLeftSeconds', 'budgetUsedUpAt', 'problem'] as const),
];
const violationColumns = ['series', 'from', 'to', 'durationSeconds', 'side', 'worst'] as const;

/** A line for each window; of an SLA that could not be told one with the reason. */
function statusRows({ windows, ...sla }: SlaStatusAnswer['slas'][number]): Partial<Record<string, CsvValue>>[] {
  return windows.length === 0 ? [sla] : windows.map((window) => ({ ...sla, ...window }));
}

type CsvValue = string | number | boolean | null | readonly string[];

/** What is not known is empty. */
function sendCsv(
  reply: unknown,
  columns: readonly string[],
  rows: readonly { readonly [column: string]: CsvValue | object | undefined }[],
): FastifyReply {
  const lines = rows.map((row) => columns.map((column) => csvText(row[column] ?? '')).join(','));
  return (reply as FastifyReply).type(csvType).send([columns.join(','), ...lines, ''].join('\r\n'));
}

function csvText(value: CsvValue | object): string {
  return typeof value === 'number' ? String(value) : csvField(String(value));
}

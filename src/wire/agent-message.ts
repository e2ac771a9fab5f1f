import { isOfOtherSource, type Labels } from '../core/series.ts';

/** One figure of a message of a plain agent: of a counter by how much it grows. */
export interface AgentFigure {
  metric: string;
  /** `field` is the key as it was sent, where that could not be the name. */
  labels: Labels;
  kind: 'gauge' | 'counter';
  value: number;
}

/** A metric with its labels, as a field of a message becomes one. */
export type FieldMetric = Omit<AgentFigure, 'value'>;

/** Longer keys are no names of anything. */
export const longestField = 200;
const decimal = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i;
/** Sums and differences of these are numbers too. */
const most = 1e300;
/** What /metrics has of its own. */
const ours = /^(?:amberwatch_|process_|nodejs_|clients_connected$)/;

/** The number that a field holds, also one in a string; null: it holds none. */
export function numberOfField(value: unknown): number | null {
  const number = typeof value === 'string' && decimal.test(value) ? Number(value) : value;
  return typeof number === 'number' && Math.abs(number) <= most ? number : null;
}

/**
 * How fields are named: what a metric's name may not hold is `_`, a counter ends in `_total`, and what would be taken
 * for a metric of this server, or for one of the counters, has `agent_` before it. The same for the same key, always.
 * @param counters keys whose values add up
 */
export function fieldMetrics(counters: readonly string[]): (field: string) => FieldMetric {
  const isCounter = new Set(counters);
  const counterNames = new Set(counters.map(totalName).flatMap((name) => [name, name.slice(0, -'_total'.length)]));
  return (field) => {
    const kind = isCounter.has(field) ? 'counter' : 'gauge';
    const name = kind === 'counter' ? totalName(field) : plainName(field);
    const isTaken = ours.test(name) || !isOfOtherSource(name) || (kind === 'gauge' && counterNames.has(name));
    const metric = isTaken ? `agent_${name}` : name;
    const isSame = metric === field || (kind === 'counter' && metric === `${field}_total`);
    return { metric, kind, labels: isSame ? {} : { field: field.toWellFormed() } };
  };
}

function plainName(field: string): string {
  const name = field.replace(/[^a-zA-Z0-9_]/g, '_');
  return /^\d/.test(name) || name === '' ? `_${name}` : name;
}

function totalName(field: string): string {
  return `${plainName(field).replace(/_total$/, '')}_total`;
}

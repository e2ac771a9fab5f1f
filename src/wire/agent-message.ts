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
const decimal = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*$/i;
/** No number is longer, and an expression takes time. */
const longestNumber = 64;
/** Sums and differences of these are numbers too. */
export const mostOfField = 1e300;
/** What /metrics has of its own, and what Prometheus itself makes of a scrape. */
const ours = /^(?:amberwatch_|process_|nodejs_|scrape_|(?:clients_connected|up|ALERTS|ALERTS_FOR_STATE)$)/;

/** The number that a field holds, also one in a string; null: it holds none. */
export function numberOfField(value: unknown): number | null {
  const isText = typeof value === 'string' && value.length <= longestNumber && decimal.test(value);
  const number = isText ? Number(value) : value;
  return typeof number === 'number' && Math.abs(number) <= mostOfField ? number : null;
}

/**
 * How fields are named: what a metric's name may not hold is `_`, a counter ends in `_total`, and what would be taken
 * for a metric of this server, or for one of the counters, has `agent_` before it. The same for the same key, always.
 * @param counters keys whose values add up
 */
export function fieldMetrics(counters: readonly string[]): (field: string) => FieldMetric {
  const isCounter = new Set(counters);
  const counterNames = new Set(counters.map(counterName).flatMap((name) => [name, name.slice(0, -'_total'.length)]));
  return (field) => {
    const kind = isCounter.has(field) ? 'counter' : 'gauge';
    const metric = kind === 'counter' ? counterName(field) : gaugeName(field, counterNames);
    const isSame = metric === field || (kind === 'counter' && metric === `${field}_total`);
    return { metric, kind, labels: isSame ? {} : { field: field.toWellFormed() } };
  };
}

function counterName(field: string): string {
  const name = totalName(field);
  return isOurs(name) ? `agent_${name}` : name;
}

/** As often as it takes: `agent_x` may be a counter too. */
function gaugeName(field: string, counterNames: ReadonlySet<string>): string {
  let name = plainName(field);
  while (isOurs(name) || counterNames.has(name)) name = `agent_${name}`;
  return name;
}

function isOurs(name: string): boolean {
  return ours.test(name) || !isOfOtherSource(name);
}

function plainName(field: string): string {
  const name = field.replace(/[^a-zA-Z0-9_]/g, '_');
  return /^\d/.test(name) || name === '' ? `_${name}` : name;
}

function totalName(field: string): string {
  return `${plainName(field).replace(/_total$/, '')}_total`;
}

/** Metrics of one name in GET /metrics. The name of a counter ends in `_total`. */
export interface MetricFamily {
  name: string;
  help: string;
  /** `unknown`: what it is nobody says. */
  type: 'gauge' | 'counter' | 'histogram' | 'summary' | 'unknown';
  samples: Iterable<ExposedSample>;
}

export interface ExposedSample {
  /** After the name, as histograms and summaries have it: `_bucket`, `_sum`, `_count`. */
  suffix?: string;
  /** As `labelsText` makes it. */
  labels: string;
  value: number;
}

export type ExpositionFormat = 'prometheus' | 'openmetrics';

export const expositionTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/**
 * What Prometheus reads: https://prometheus.io/docs/instrumenting/exposition_formats/, and OpenMetrics 1.0,
 * https://prometheus.io/docs/specs/om/open_metrics_spec/. Families without a sample are left out.
 */
export function* expositionText(families: Iterable<MetricFamily>, format: ExpositionFormat): Generator<string> {
  for (const { name, help, type, samples } of families) {
    let isFirst = true;
    for (const { suffix = '', labels, value } of samples) {
      if (isFirst) yield headText(name, help, type, format);
      isFirst = false;
      yield `${name}${suffix}${labels} ${valueText(value)}\n`;
    }
  }
  if (format === 'openmetrics') yield '# EOF\n';
}

/** `{host="web-01",process="java"}`; what is empty or null is left out, and without any it is empty itself. */
export function labelsText(labels: Readonly<Record<string, string | number | null | undefined>>): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(labels))
    if (value !== '' && value !== null && value !== undefined) parts.push(`${name}="${escaped(String(value))}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function headText(name: string, help: string, type: MetricFamily['type'], format: ExpositionFormat): string {
  if (format === 'openmetrics') {
    const family = type === 'counter' ? name.replace(/_total$/, '') : name;
    return `# TYPE ${family} ${type}\n# HELP ${family} ${escaped(help)}\n`;
  }
  const helpText = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return `# HELP ${name} ${helpText}\n# TYPE ${name} ${type === 'unknown' ? 'untyped' : type}\n`;
}

function escaped(text: string): string {
  return /["\\\n]/.test(text) ? text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : text;
}

function valueText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

/** What a scraper that accepts this is given: OpenMetrics where it asks for that at least as much as for the older text. */
export function negotiatedFormat(accept: string | undefined): ExpositionFormat {
  const weights = new Map<string, number>();
  for (const part of (accept ?? '').toLowerCase().split(',')) {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim());
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = quality === undefined ? 1 : Number(quality.slice(2));
    weights.set(type, Math.max(weights.get(type) ?? 0, Number.isNaN(weight) ? 0 : weight));
  }
  const wanted = weights.get('application/openmetrics-text') ?? 0;
  return wanted > 0 && wanted >= (weights.get('text/plain') ?? 0) ? 'openmetrics' : 'prometheus';
}

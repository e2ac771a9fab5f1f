import { type HostMetric, hostColumn, type ProcessColumnId, processColumn, snakeCase, type Unit } from './metric.ts';

/** What a column is in GET /metrics: its name there, and what a value is divided by. */
export interface ExposedColumn {
  name: string;
  type: 'gauge' | 'counter';
  divisor: number;
}

/** Base units, as https://prometheus.io/docs/practices/naming/ has them; others are in their names already. */
const baseUnits: Partial<Record<Unit, { suffix: string; divisor: number }>> = {
  percent: { suffix: '_ratio', divisor: 100 },
  percentOfCore: { suffix: '_cores', divisor: 100 },
  milliseconds: { suffix: '_seconds', divisor: 1000 },
  epochMilliseconds: { suffix: '_timestamp_seconds', divisor: 1000 },
  celsius: { suffix: '_celsius', divisor: 1 },
};

/** `amberwatch_process_cpu_cores` */
export function exposedProcessColumn(id: ProcessColumnId): ExposedColumn {
  return exposed(`process_${snakeCase(id)}`, processColumn(id));
}

/** `amberwatch_system_memory_ratio`, `amberwatch_collector_taken_total` */
export function exposedHostColumn(id: HostMetric): ExposedColumn {
  return exposed(snakeCase(id), hostColumn(id));
}

function exposed(name: string, { unit, kind }: { unit: Unit; kind: string }): ExposedColumn {
  const { suffix, divisor } = baseUnits[unit] ?? { suffix: '', divisor: 1 };
  const isCounter = kind === 'counter';
  const inBaseUnit = `${divisor === 1000 ? name.replace(/_ms$/, '') : name}${suffix}`;
  return {
    name: `amberwatch_${inBaseUnit}${isCounter ? '_total' : ''}`,
    type: isCounter ? 'counter' : 'gauge',
    divisor,
  };
}

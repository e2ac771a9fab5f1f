import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { digits, instant } from './format.ts';
import { say } from './text.ts';

export interface Line {
  label: string;
  /** Epoch milliseconds, oldest first. */
  points: readonly { time: number; value: number }[];
  /** Drawn as `--chart-N` says; default: its place. */
  color?: number;
  isDashed?: boolean;
}

interface ChartProps {
  /** What it shows, for who does not see it. */
  name: string;
  lines: readonly Line[];
  threshold?: number | null;
  /** Index of the lower and the upper line of a band. */
  band?: readonly [number, number];
  unit?: string;
  /** Each line on those before it, with the room between filled. */
  isStacked?: boolean;
}

const height = 260;
const mostTwinRows = 200;
const mostLabel = 36;

/** Lines over time, with a table of the same beside it. */
export function Chart({ name, lines, threshold = null, band, unit = '', isStacked = false }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [isOpen, setOpen] = useState(false);
  const all = lines.flatMap(({ points }) => points);
  const isKnown = all.length > 0;
  const shape = `${isKnown}|${lines.map(({ label }) => label).join('\n')}|${threshold}|${band}`;
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return;
    plot.current = new uPlot(
      optionsOf(parent, { lines, threshold, band, unit, isStacked }),
      dataOf(lines, isStacked),
      parent,
    );
    const watch = new ResizeObserver(() => plot.current?.setSize({ width: parent.clientWidth, height }));
    watch.observe(parent);
    const theme = matchMedia('(prefers-color-scheme: dark)');
    const repaint = () => plot.current?.redraw();
    theme.addEventListener('change', repaint);
    return () => {
      watch.disconnect();
      theme.removeEventListener('change', repaint);
      plot.current?.destroy();
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(dataOf(lines, isStacked)), [lines]);
  if (!isKnown) return <p>{say('noData')}</p>;
  return (
    <figure class="chart">
      <div ref={box} role="img" aria-label={summaryOf(name, all)} />
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{say('asTable')}</summary>
        {isOpen && <Twin name={name} lines={lines} />}
      </details>
    </figure>
  );
}

function Twin({ name, lines }: { name: string; lines: readonly Line[] }) {
  const times = [...new Set(lines.flatMap(({ points }) => points.map(({ time }) => time)))].sort((a, b) => b - a);
  const values = lines.map(({ points }) => new Map(points.map(({ time, value }) => [time, value])));
  return (
    <section class="box" tabIndex={0} aria-label={name}>
      <table class="twin">
        <caption class="unseen">{name}</caption>
        <thead>
          <tr>
            <th scope="col">{say('time')}</th>
            {lines.map(({ label }) => (
              <th key={label} scope="col" class="number">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {times.slice(0, mostTwinRows).map((time) => (
            <tr key={time}>
              <td>{instant(time)}</td>
              {values.map((each, index) => (
                <td key={lines[index]?.label} class="number">
                  {digits(each.get(time))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function summaryOf(name: string, points: readonly { time: number; value: number }[]): string {
  const times = points.map(({ time }) => time);
  const values = points.map(({ value }) => value);
  return say('chartOf', {
    name,
    from: instant(times.reduce((a, b) => Math.min(a, b))),
    to: instant(times.reduce((a, b) => Math.max(a, b))),
    low: digits(values.reduce((a, b) => Math.min(a, b))),
    high: digits(values.reduce((a, b) => Math.max(a, b))),
    last: digits(values.at(-1)),
  });
}

/** All lines over the same instants; null where one has no value. */
function dataOf(lines: readonly Line[], isStacked: boolean): uPlot.AlignedData {
  const tables = lines.map(
    ({ points }): uPlot.AlignedData => [points.map(({ time }) => time / 1000), points.map(({ value }) => value)],
  );
  const [times = [], ...values] = tables.length === 0 ? [] : uPlot.join(tables);
  if (!isStacked) return [times, ...values];
  const sums: number[] = Array.from(times, () => 0);
  return [
    times,
    ...values.map((each) => {
      for (let k = 0; k < sums.length; k++) sums[k] = (sums[k] ?? 0) + (each?.[k] ?? 0);
      return [...sums];
    }),
  ];
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

type Drawn = Required<Pick<ChartProps, 'lines' | 'unit' | 'isStacked'>> & {
  threshold: number | null;
  band: readonly [number, number] | undefined;
};

function optionsOf(parent: HTMLElement, { lines, threshold, band, unit, isStacked }: Drawn): uPlot.Options {
  const axis = { stroke: () => color('--text'), grid: { stroke: () => color('--edge'), width: 1 } };
  return {
    width: Math.max(200, parent.clientWidth),
    height,
    legend: { show: lines.length > 1, live: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, low, high) => rangeOf(low, high, threshold) } },
    axes: [axis, { ...axis, size: 60, values: (_, ticks) => ticks.map((tick) => `${digits(tick)}${unit}`) }],
    series: [
      {},
      ...lines.map(
        (line, index): uPlot.Series => ({
          // The table has all of it.
          label: line.label.length > mostLabel ? `${line.label.slice(0, mostLabel - 1)}…` : line.label,
          stroke: () => colorOf(line, index),
          width: 1.5,
          ...(isStacked && index === 0 && { fill: () => faded(colorOf(line, index)) }),
          spanGaps: false,
          points: { show: false },
          ...(line.isDashed && { dash: [6, 4] }),
        }),
      ),
    ],
    bands: [
      ...(band ? [{ series: [band[1] + 1, band[0] + 1] as uPlot.Band.Bounds, fill: () => color('--band') }] : []),
      ...(isStacked ? lines.slice(1).map((line, index) => bandOf(line, index + 1)) : []),
    ],
    hooks:
      threshold === null
        ? {}
        : { drawAxes: [(plot) => shadeRuns(plot, threshold)], draw: [(plot) => drawThreshold(plot, threshold)] },
  };
}

function colorOf(line: Line, index: number): string {
  return color(`--chart-${((line.color ?? index) % 8) + 1}`);
}

function faded(text: string): string {
  return `color-mix(in srgb, ${text} 35%, transparent)`;
}

/** Between a line of a stack and the one below it. */
function bandOf(line: Line, index: number): uPlot.Band {
  return { series: [index + 1, index], fill: () => faded(colorOf(line, index)) };
}

/** With 0, and with the line where it is near. */
function rangeOf(low: number | null, high: number | null, threshold: number | null): [number, number] {
  const most = high ?? 1;
  const withLine = threshold !== null && most > threshold / 3 ? Math.max(most, threshold) : most;
  return [Math.min(0, low ?? 0), withLine * 1.08 || 1];
}

/** Where the first line was over its threshold. */
function shadeRuns(plot: uPlot, threshold: number): void {
  const [times, values] = plot.data;
  const { ctx, bbox } = plot;
  const x = (index: number) => plot.valToPos(times[index] ?? 0, 'x', true);
  ctx.save();
  ctx.fillStyle = faded(color('--red'));
  for (let from = 0; values !== undefined && from < times.length; from++) {
    if ((values[from] ?? 0) <= threshold) continue;
    let to = from;
    while (to + 1 < times.length && (values[to + 1] ?? 0) > threshold) to++;
    ctx.fillRect(x(from), bbox.top, Math.max(2, x(Math.min(to + 1, times.length - 1)) - x(from)), bbox.height);
    from = to;
  }
  ctx.restore();
}

function drawThreshold(plot: uPlot, threshold: number): void {
  const y = plot.valToPos(threshold, 'y', true);
  const { left, top, width, height } = plot.bbox;
  if (y < top || y > top + height) return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = color('--red');
  ctx.lineWidth = 1.5;
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(left + width, y);
  ctx.stroke();
  ctx.restore();
}

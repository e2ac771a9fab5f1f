import { formatDuration } from '../core/duration.ts';
import type { Tally } from '../core/tally.ts';
import { accuracyOf } from '../forecast/score.ts';
import { terminalText } from '../platform/terminal-text.ts';
import type { AccuracyAnswer } from '../wire/forecast.ts';

type Figures = AccuracyAnswer['overall'];

/** How right something was, as sentences for a person. */
export function accuracyLines(tally: Tally): string[] {
  return sentences({ ...tally, ...accuracyOf(tally) });
}

/** The answer of /v1/forecasts/accuracy as lines: all together, then each series that had an alarm or a breach, or is muted. */
export function accuracyReport(answer: AccuracyAnswer): string[] {
  const { from, to, horizonSeconds, overall, series } = answer;
  const span = formatDuration(Date.parse(to) - Date.parse(from));
  const head = `forecasts of the last ${span}, ${formatDuration(horizonSeconds * 1000)} ahead, ${series.length} series`;
  const worth = series.filter((each) => each.alarms > 0 || each.breaches > 0 || each.muted);
  return [head, '', ...sentences(overall), ...(worth.length > 0 ? [''] : []), ...worth.map(seriesLine)];
}

function sentences(figures: Figures): string[] {
  const { predictions, breaches, warned, alarms, falseAlarms, unforeseeable, brierSkill, medianLeadSeconds } = figures;
  const unseen =
    unforeseeable > 0
      ? [`${unforeseeable} breach${unforeseeable === 1 ? '' : 'es'} of series too new for a prediction`]
      : [];
  if (predictions === 0)
    return ['nothing to judge yet: no series was near its threshold, or no horizon has passed since', ...unseen];
  const lead = medianLeadSeconds === null ? '' : `, half of them ${duration(medianLeadSeconds)} before or earlier`;
  const daily = figures.falseAlarmsPerDay === null ? '' : ` (${figures.falseAlarmsPerDay.toFixed(1)} a day and series)`;
  const eta =
    figures.etaErrorSeconds === null || figures.intervalShare === null
      ? []
      : [
          `times:    ${duration(figures.etaErrorSeconds)} off in the mean; the interval held in ${Math.round(figures.intervalShare * 100)} % (it means to in 80 %)`,
        ];
  return [
    `breaches: ${breaches}, warned of ${warned}${lead}; recall ${share(figures.recall)}`,
    `alarms:   ${alarms}, false ${falseAlarms}${daily}, the others pointed at ${figures.pointedAt} breaches; precision ${share(figures.precision)}`,
    ...eta,
    `probabilities: ${predictions}, Brier score ${figures.brier?.toFixed(4)}, skill ${share(brierSkill)} (1 is perfect, 0 no better than the mean)`,
    ...unseen.map((line) => `and ${line}`),
  ];
}

function seriesLine(series: AccuracyAnswer['series'][number]): string {
  const { host, process, metric, muted, warned, breaches, falseAlarms, alarms } = series;
  const subject = `${terminalText(host)}  ${process === null ? '(host)' : terminalText(process)}  ${metric}`;
  return `${subject}: ${warned} of ${breaches} breaches warned of, ${falseAlarms} of ${alarms} alarms false${muted ? '; muted' : ''}`;
}

function share(value: number | null): string {
  return value === null ? '-' : value.toFixed(2);
}

function duration(seconds: number): string {
  return formatDuration(Math.round(seconds) * 1000);
}

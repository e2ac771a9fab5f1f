import { language, say } from './text.ts';

const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const plain = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(language, { dateStyle: 'short', timeStyle: 'medium' });

/** One decimal; `-` where it is not known. */
export function decimal(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : number.format(value);
}

/** As many digits as say something. */
export function digits(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : plain.format(value);
}

export function count(value: number): string {
  return whole.format(value);
}

/** A share of 1. */
export function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? '-' : `${whole.format(share * 100)} %`;
}

export function instant(time: number | string | null): string {
  return time === null ? '-' : clock.format(typeof time === 'string' ? Date.parse(time) : time);
}

/** In its largest unit, or two of them where that says more. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return say('seconds', { n: seconds });
  if (seconds < 7200) return say('minutes', { n: Math.floor(seconds / 60) });
  if (seconds < 172_800)
    return `${say('hours', { n: Math.floor(seconds / 3600) })} ${say('minutes', { n: Math.floor((seconds % 3600) / 60) })}`;
  return say('days', { n: Math.floor(seconds / 86_400) });
}

import { MonitorError } from './error.ts';
import { quoted, readQuoted } from './quoted-text.ts';
import type { Series } from './series.ts';

export const operators = ['=', '!=', '=~', '!~'] as const;

/** What a label has to be; a label that a series does not have is ''. */
export interface Matcher {
  label: string;
  operator: (typeof operators)[number];
  value: string;
}

/**
 * Names series: `process_cpu{host="web-01",process=~"java.*"}`. A closed subset of Prometheus' selectors
 * (https://prometheus.io/docs/prometheus/latest/querying/basics/#instant-vector-selectors): a name, and matchers, no
 * offsets, ranges or functions. Expressions are those of RE2 and have to fit the whole value.
 */
export interface Selector {
  metric: string;
  matchers: readonly Matcher[];
}

/** Longer ones nobody has written. */
export const longestSelector = 4000;
export const mostMatchers = 30;
const mostExpressions = 3;
/** Characters of an expression, times what its counted repetitions multiply it by: `(a{30}){30}` is 900 times as long. */
const longestExpression = 200;
const name = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const label = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const operator = /=~|!~|!=|=/y;
const blanks = /[ \t\r\n]*/y;

/** @throws MonitorError `invalid` that says what was expected where */
export function parseSelector(text: string): Selector {
  const { selector, end } = readSelector(text);
  if (end < text.length) throw refused(text, end, 'nothing more');
  return selector;
}

/** A selector that `text` begins with, and where it ends. @throws MonitorError `invalid` */
export function readSelector(text: string): { selector: Selector; end: number } {
  if (text.length > longestSelector)
    throw new MonitorError('invalid', `a selector is longer than ${longestSelector} characters`);
  const reader = new Reader(text);
  const metric = reader.take(name, 'the name of a metric');
  const matchers: Matcher[] = [];
  if (reader.skip('{')) {
    while (!reader.skip('}')) {
      if (matchers.length === mostMatchers) throw refused(text, reader.at, `at most ${mostMatchers} matchers`);
      matchers.push(readMatcher(reader));
      if (matchers.filter(isExpression).length > mostExpressions)
        throw refused(text, reader.at, `at most ${mostExpressions} matchers with an expression`);
      if (!reader.skip(',') && !reader.isAt('}')) throw refused(text, reader.at, "',' or '}'");
    }
  }
  return { selector: { metric, matchers }, end: reader.at };
}

function readMatcher(reader: Reader): Matcher {
  const name = reader.take(label, 'the name of a label');
  const found = reader.take(operator, 'one of = != =~ !~') as Matcher['operator'];
  const at = reader.at;
  const value = reader.takeQuoted();
  const matcher = { label: name, operator: found, value };
  if (isExpression(matcher)) refuseCostly(value, reader.text, at);
  return matcher;
}

function isExpression({ operator }: Matcher): boolean {
  return operator === '=~' || operator === '!~';
}

/** Every expression takes time in proportion to the text; this bounds how much, and how long it takes to be read. */
function refuseCostly(expression: string, text: string, at: number): void {
  const counts = [...expression.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].map(([, least, most]) => Number(most || least));
  const length = counts.reduce((product, count) => product * Math.max(1, count), expression.length);
  if (length > longestExpression)
    throw refused(text, at, `an expression of at most ${longestExpression} characters, counted repetitions multiplied`);
  if (/\(\?(?!:)/.test(expression)) throw refused(text, at, "an expression without '(?' (flags, look-ahead, names)");
}

/** The series that a key names: see `seriesKey` in series.ts. Null for what is none, as in a damaged file. */
export function parseSeries(key: string): Series | null {
  try {
    const { metric, matchers } = parseSelector(key);
    return { metric, labels: Object.fromEntries(matchers.map(({ label, value }) => [label, value])) };
  } catch {
    return null;
  }
}

/** As parseSelector reads it; the same for the same selector. */
export function formatSelector({ metric, matchers }: Selector): string {
  const texts = matchers.map(({ label, operator, value }) => `${label}${operator}${quoted(value)}`);
  return texts.length === 0 ? metric : `${metric}{${texts.join(',')}}`;
}

function refused(text: string, at: number, expected: string): MonitorError {
  const found = at >= text.length ? 'it ends there' : `there is ${JSON.stringify(text.slice(at, at + 20))}`;
  return new MonitorError(
    'invalid',
    `the selector ${JSON.stringify(text.slice(0, 200))} needs ${expected} at character ${at + 1}, and ${found}; write it like process_cpu{host="web-01",process=~"java.*"}`,
  );
}

class Reader {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
    this.#skipBlanks();
  }

  isAt(character: string): boolean {
    return this.text[this.at] === character;
  }

  skip(character: string): boolean {
    if (!this.isAt(character)) return false;
    this.at++;
    this.#skipBlanks();
    return true;
  }

  take(pattern: RegExp, expected: string): string {
    pattern.lastIndex = this.at;
    const [found] = pattern.exec(this.text) ?? [];
    if (found === undefined) throw refused(this.text, this.at, expected);
    this.at += found.length;
    this.#skipBlanks();
    return found;
  }

  takeQuoted(): string {
    const found = readQuoted(this.text, this.at);
    if (found === null) throw refused(this.text, this.at, 'a value in double quotes');
    this.at = found.end;
    this.#skipBlanks();
    return found.value;
  }

  #skipBlanks(): void {
    blanks.lastIndex = this.at;
    this.at += blanks.exec(this.text)?.[0].length ?? 0;
  }
}

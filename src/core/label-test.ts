import { RE2JS } from 're2js';
import { MonitorError, messageOf } from './error.ts';
import type { Matcher, Selector } from './selector.ts';
import type { Labels } from './series.ts';

/** Values whose outcome is remembered, of one matcher: process names repeat. */
const mostRemembered = 10_000;

/**
 * What tells whether a series has the labels that a selector asks for. Expressions are run by re2js, whose time grows
 * with the text and not with what the expression is.
 * @throws MonitorError `invalid` for an expression that is none
 */
export function labelTest({ matchers }: Pick<Selector, 'matchers'>): (labels: Labels) => boolean {
  const tests = matchers.map((matcher) => ({ label: matcher.label, test: valueTest(matcher) }));
  if (tests.length === 0) return () => true;
  return (labels) => tests.every(({ label, test }) => test(Object.hasOwn(labels, label) ? (labels[label] ?? '') : ''));
}

/** The same of one value. */
function valueTest({ label, operator, value }: Matcher): (text: string) => boolean {
  if (operator === '=') return (text) => text === value;
  if (operator === '!=') return (text) => text !== value;
  const expression = compile(label, value);
  const wanted = operator === '=~';
  const known = new Map<string, boolean>();
  return (text) => {
    let fits = known.get(text);
    if (fits === undefined) {
      fits = expression.testExact(text) === wanted;
      if (known.size >= mostRemembered) known.clear();
      known.set(text, fits);
    }
    return fits;
  };
}

function compile(label: string, expression: string): RE2JS {
  try {
    return RE2JS.compile(expression, RE2JS.DOTALL);
  } catch (error) {
    throw new MonitorError(
      'invalid',
      `the expression ${JSON.stringify(expression)} for ${label} cannot be read: ${messageOf(error)}`,
    );
  }
}

/** The only value a label may have; undefined: it may have several. */
export function exactValue(matchers: readonly Matcher[], label: string): string | undefined {
  return matchers.find((matcher) => matcher.label === label && matcher.operator === '=' && matcher.value !== '')?.value;
}

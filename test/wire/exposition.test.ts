import { expect, test } from 'vitest';
import { expositionText, labelsText, type MetricFamily, negotiatedFormat } from '../../src/wire/exposition.ts';

const families: MetricFamily[] = [
  {
    name: 'a_total',
    help: 'How "often"\\\n',
    type: 'counter',
    samples: [{ labels: labelsText({ x: 'é"\\\n' }), value: 3 }],
  },
  { name: 'b', help: 'None.', type: 'gauge', samples: [] },
  { name: 'c', help: 'C.', type: 'unknown', samples: [{ labels: '', value: Number.POSITIVE_INFINITY }] },
  {
    name: 'd',
    help: 'D.',
    type: 'histogram',
    samples: [
      { suffix: '_bucket', labels: labelsText({ le: 0.5 }), value: 1 },
      { suffix: '_count', labels: '', value: 1 },
    ],
  },
];

test('text as Prometheus 0.0.4 has it', () => {
  expect([...expositionText(families, 'prometheus')].join('')).toBe(`# HELP a_total How "often"\\\\\\n
# TYPE a_total counter
a_total{x="é\\"\\\\\\n"} 3
# HELP c C.
# TYPE c untyped
c +Inf
# HELP d D.
# TYPE d histogram
d_bucket{le="0.5"} 1
d_count 1
`);
});

test('text as OpenMetrics 1.0 has it', () => {
  expect([...expositionText(families, 'openmetrics')].join('')).toBe(`# TYPE a counter
# HELP a How \\"often\\"\\\\\\n
a_total{x="é\\"\\\\\\n"} 3
# TYPE c unknown
# HELP c C.
c +Inf
# TYPE d histogram
# HELP d D.
d_bucket{le="0.5"} 1
d_count 1
# EOF
`);
});

test('labels that are empty are none', () => expect(labelsText({ a: '', b: null })).toBe(''));

test.each([
  [undefined, 'prometheus'],
  ['*/*', 'prometheus'],
  // As Prometheus 2.42 asks.
  [
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    'openmetrics',
  ],
  ['text/plain;version=0.0.4', 'prometheus'],
  ['application/openmetrics-text;q=0.3, text/plain;q=0.5', 'prometheus'],
  ['application/openmetrics-text;q=0', 'prometheus'],
])('who accepts %s is given %s', (accept, format) => expect(negotiatedFormat(accept)).toBe(format));

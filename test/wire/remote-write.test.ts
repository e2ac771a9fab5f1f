import fc from 'fast-check';
import { snappyCompress } from 'hysnappy';
import { describe, expect, test } from 'vitest';
import type { MetricSample } from '../../src/core/sample.ts';
import { seriesKey } from '../../src/core/series.ts';
import { LruCache } from '../../src/platform/lru-cache.ts';
import { RemoteWriteReader } from '../../src/wire/remote-write.ts';
import { snappyLength, unpackSnappy } from '../../src/wire/snappy.ts';
import { type SentSeries, sent, writeRequest } from '../write-request.ts';

const known = new LruCache<string, never>(1000);
const t = Date.UTC(2026, 10, 21, 12);

function read(all: readonly SentSeries[] | Uint8Array, turn = 1) {
  const reader = new RemoteWriteReader(all instanceof Uint8Array ? all : writeRequest(all), known, 'prometheus lab');
  let reads = 0;
  while (reader.read(() => ++reads % turn === 0));
  return reader.found;
}

const told = (samples: readonly MetricSample[]) =>
  samples.map(({ series, kind, value, time }) => [seriesKey(series), kind, value, time - t]);

describe('a request', () => {
  test('is samples of series, whatever comes between, and in how many parts it is read', () => {
    const all = [
      {
        ...sent('up', { job: 'node', instance: 'a:9100' }, [
          [1, t],
          [0, t + 15_000],
        ]),
        exemplars: 2,
      },
      { ...sent('rpc', {}, []), histograms: 3 },
      sent('http_requests_total', { code: '200', empty: '' }, [[12.5, t]]),
      sent('d_bucket', { le: '+Inf' }, [
        [3, t],
        ['stale', t + 1000],
      ]),
      sent('d_count', {}, [
        [Number.NaN, t],
        [Number.POSITIVE_INFINITY, t + 1],
        [1e301, t + 2],
        [-7, t + 3],
      ]),
      sent('process_threads', { host: 'x', bad_bucket: '' }, [[1, t]]),
    ];
    for (const turn of [1, 2, 1000]) {
      const { samples, leftOut, refused } = read(all, turn);
      expect(told(samples)).toEqual([
        ['up{instance="a:9100",job="node"}', 'gauge', 1, 0],
        ['up{instance="a:9100",job="node"}', 'gauge', 0, 15_000],
        ['http_requests_total{code="200"}', 'counter', 12.5, 0],
        ['d_bucket{le="+Inf"}', 'counter', 3, 0],
        ['d_bucket{le="+Inf"}', 'counter', 'exited', 1000],
        ['d_count{}', 'gauge', -7, 3],
        ['prometheus_process_threads{host="x"}', 'gauge', 1, 0],
      ]);
      expect(leftOut).toEqual({ histograms: 3, exemplars: 2, notNumbers: 3 });
      expect(refused.count).toBe(0);
    }
  });

  test('has its series told by their labels in any order, and with others between', () => {
    const labels = [
      ['b', '2'],
      ['__name__', 'up'],
      ['a', '1'],
    ] as const;
    const one = writeRequest([{ labels, samples: [[1, t]] }]);
    expect(told(read(one).samples)).toEqual([['up{a="1",b="2"}', 'gauge', 1, 0]]);
    // The same once more: it is remembered. And labels that stand apart are not mistaken for it.
    expect(told(read(one).samples)).toEqual([['up{a="1",b="2"}', 'gauge', 1, 0]]);
    const apart = Buffer.concat([
      writeRequest([{ labels: labels.slice(0, 2), samples: [[1, t]] }]).subarray(2),
      writeRequest([{ labels: [['c', '3']], samples: [[2, t + 1]] }]).subarray(2),
    ]);
    const request = Buffer.concat([Buffer.from([0x0a, apart.length]), apart]);
    expect(told(read(request).samples)).toEqual([
      ['up{b="2",c="3"}', 'gauge', 1, 0],
      ['up{b="2",c="3"}', 'gauge', 2, 1],
    ]);
  });

  test('of no metadata or anything at all is empty', () => {
    expect(read(new Uint8Array(0)).samples).toEqual([]);
    expect(read(Buffer.from([0x1a, 2, 8, 1])).samples).toEqual([]);
  });

  test.each([
    [
      'a series without a name',
      [{ labels: [['job', 'x']] as const, samples: [[1, t]] as const }],
      /a series has no name/,
    ],
    [
      'a label without one',
      [
        {
          labels: [
            ['__name__', 'up'],
            ['', 'x'],
          ] as const,
          samples: [[1, t]] as const,
        },
      ],
      /a label has no name/,
    ],
    [
      'a label twice',
      [
        {
          labels: [
            ['__name__', 'up'],
            ['a', '1'],
            ['a', '2'],
          ] as const,
          samples: [[1, t]] as const,
        },
      ],
      /the label "a" twice/,
    ],
    [
      'no UTF-8',
      [
        {
          labels: [
            ['__name__', 'up'],
            ['a', Buffer.from([0xc3, 0x28])],
          ] as const,
          samples: [[1, t]] as const,
        },
      ],
      /no WriteRequest/,
    ],
  ])('with %s is none', (_, all, said) => {
    expect(() => read(all)).toThrow(said);
  });

  test.each([
    ['a name that no selector can have', sent('http.duration', {}, [[1, t]]), /"http.duration" is not kept: its name/],
    ['a label that none can have', sent('up', { 'a-b': 'x' }, [[1, t]]), /its label "a-b"/],
    ['a label that is no label', sent('up', JSON.parse('{"__proto__":"x"}'), [[1, t]]), /its label "__proto__"/],
    [
      'too many labels',
      sent('up', Object.fromEntries(Array.from({ length: 31 }, (_, k) => [`l${k}`, 'x'])), [[1, t]]),
      /has 31 labels/,
    ],
    ['too long labels', sent('up', { a: 'x'.repeat(5000) }, [[1, t]]), /longer than 4000 characters/],
    ['a time before all', sent('up', {}, [[1, -5]]), /the time -5/],
    ['a time after all', sent('up', {}, [[1, 2 ** 52]]), /not between 1970 and 2200/],
  ])('with %s leaves that out and says so', (_, series, said) => {
    const { samples, refused } = read([sent('before', {}, [[1, t]]), series, sent('after', {}, [[2, t]])]);
    expect(told(samples).map(([key]) => key)).toEqual(['before{}', 'after{}']);
    expect(refused).toEqual({ count: 1, why: expect.stringMatching(said) });
  });

  test('that was mutated is read or refused, and never takes long', { timeout: 60_000 }, () => {
    const whole = Buffer.from(
      writeRequest([
        sent('up', { job: 'node', instance: 'ä' }, [
          [1, t],
          ['stale', t + 1],
        ]),
        sent('a_total', { x: 'y' }, [[2, t]]),
      ]),
    );
    let refused = 0;
    let worstMs = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 }),
        fc.nat({ max: whole.length }),
        (changes, length) => {
          const body = Buffer.from(whole.subarray(0, changes.length % 2 === 0 ? whole.length : length));
          for (const [at, byte] of changes) if (at < body.length) body[at] = byte;
          const begin = performance.now();
          try {
            read(body);
          } catch (error) {
            refused++;
            expect(error).toMatchObject({ code: 'invalid' });
          }
          worstMs = Math.max(worstMs, performance.now() - begin);
        },
      ),
      { numRuns: 20_000 },
    );
    expect(refused).toBeGreaterThan(1000);
    expect(worstMs).toBeLessThan(500);
  });
});

describe('a block of snappy', () => {
  test('is unpacked to the length it says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat({ max: 300 }), (bytes, times) => {
        const whole = Buffer.concat(Array.from({ length: times }, () => bytes));
        const block = snappyCompress(whole);
        expect(snappyLength(block)).toBe(whole.length);
        expect(Buffer.from(unpackSnappy(block)).equals(whole)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ['nothing', []],
    ['a length without an end', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['less than it says', [20, 0x10, 1, 2, 3, 4, 5]],
    ['a copy of what is not there', [20, 0x01, 0x05]],
    // A literal whose length is negative in 32 bits: it sends some decoders back to where they were, for ever.
    ['a literal of nearly 4 GiB', [20, 0xfc, 0xfa, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6]],
  ])('of %s is refused', (_, bytes) => {
    expect(() => unpackSnappy(Buffer.from(bytes))).toThrow(/no block of snappy/);
  });

  test('that is shorter than it says tells nothing of the one before', () => {
    unpackSnappy(snappyCompress(Buffer.alloc(5000, 'secret')));
    expect(() => unpackSnappy(Buffer.from([0x88, 0x27, 0x10, 1, 2, 3, 4, 5]))).toThrow(/no block of snappy/);
  });
});

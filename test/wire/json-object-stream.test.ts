import { describe, expect, test } from 'vitest';
import { JsonObjectStream, type StreamedObject } from '../../src/wire/json-object-stream.ts';
import { seededRandom } from '../../torture/random.ts';

/** What comes out of these pieces. */
function parsed(pieces: readonly (string | Uint8Array)[], stream = new JsonObjectStream()): unknown[] {
  const told = (each: StreamedObject) => (each === 'invalid' ? each : each.object);
  return pieces.flatMap((piece) => [...stream.push(typeof piece === 'string' ? Buffer.from(piece) : piece)].map(told));
}

describe('JSON objects out of a stream', () => {
  test('glued, torn, with and without line ends, in an array', () => {
    expect(parsed(['{"a":1}{"b":2}\n{"c"', ':', '3}\r\n\0 [{"d":[1,{"e":4}]}', ',{}]'])).toEqual([
      { a: 1 },
      { b: 2 },
      { c: 3 },
      { d: [1, { e: 4 }] },
      {},
    ]);
  });

  test('braces, quotes and backslashes in strings are text', () => {
    const objects = [{ 'a}{"\\': '}{' }, { b: '\\' }, { ü: '☃🙂' }];
    const bytes = Buffer.from(objects.map((each) => JSON.stringify(each)).join(''));
    expect(parsed([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(objects);
  });

  test.each([
    ['hello{"a":1}', ['invalid', { a: 1 }]],
    ['{"a":1 "b"}{"a":1}', ['invalid', { a: 1 }]],
    ['{"a":1\n{"a":2}\n{"a":3}', ['invalid', { a: 2 }, { a: 3 }]],
    ['{"a":"cut off\n{"a":2}', ['invalid', { a: 2 }]],
    ['{{"a":2}', ['invalid', { a: 2 }]],
    ['}}{"a":2}]]garbage', ['invalid', { a: 2 }, 'invalid']],
    ['GET / HTTP/1.1\r\nhost: x\r\n\r\n', ['invalid']],
  ])('what is none is passed over: %j', (text, expected) => {
    expect(parsed([text])).toEqual(expected);
    expect(parsed([...text])).toEqual(expected);
  });

  test('an object that is too long is told before it ends', () => {
    const stream = new JsonObjectStream(100);
    expect([...stream.push(Buffer.from(`{"a":"${'x'.repeat(90)}`))]).toEqual([]);
    expect(stream.isTooLong).toBe(false);
    expect([...stream.push(Buffer.from('x'.repeat(10)))]).toEqual([]);
    expect(stream.isTooLong).toBe(true);
  });

  test('100,000 random splits and joins are the same messages', () => {
    const random = seededRandom(14);
    const below = (count: number) => Math.floor(random() * count);
    const strings = ['', '1', '}{', '"', '\\', '\\"}', '☃', '🙂', 'a b', '{"x":1}', '\u0000\n'];
    const value = (depth: number): unknown => {
      const kind = below(depth > 2 ? 4 : 6);
      if (kind === 0) return below(1000) / 10 - 50;
      if (kind === 1) return strings[below(strings.length)];
      if (kind === 2) return below(2) === 0;
      if (kind === 3) return null;
      if (kind === 4) return Array.from({ length: below(3) }, () => value(depth + 1));
      return object(depth + 1);
    };
    const object = (depth: number): Record<string, unknown> =>
      Object.fromEntries(Array.from({ length: below(4) }, () => [strings[below(strings.length)], value(depth)]));
    const between = ['', '\n', '\r\n', ' ', ',', '\0'];
    for (let round = 0; round < 100_000; round++) {
      const objects = Array.from({ length: 1 + below(4) }, () => object(0));
      const indent = below(3) === 0 ? 1 : undefined;
      const texts = objects.map((each) => JSON.stringify(each, null, indent) + between[below(between.length)]);
      const bytes = Buffer.from(texts.join(''));
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + below(Math.max(1, below(2) === 0 ? 4 : bytes.length));
        pieces.push(bytes.subarray(at, end));
        at = end;
      }
      const found = parsed(pieces);
      if (JSON.stringify(found) !== JSON.stringify(objects)) expect({ round, texts, found }).toEqual({ objects });
    }
  });
});

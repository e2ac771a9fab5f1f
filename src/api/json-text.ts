/** Text is handed on in pieces of about this size. */
const pieceCharacters = 64 * 1024;

export function* inPieces(parts: Iterable<string>): Generator<string, undefined> {
  let piece = '';
  for (const part of parts) {
    piece += part;
    if (piece.length < pieceCharacters) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

/** The text of an object whose values are made one by one, in pieces. */
export function* objectText(entries: Iterable<readonly [key: string, value: Iterable<string>]>): Generator<string> {
  let before = '{';
  for (const [key, value] of entries) {
    yield `${before}${JSON.stringify(key)}:`;
    yield* value;
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}

/** The text of an array whose items are made one by one. */
export function* arrayText(items: Iterable<string>): Generator<string> {
  let before = '[';
  for (const item of items) {
    yield before + item;
    before = ',';
  }
  yield before === '[' ? '[]' : ']';
}

export function* mapped<T, R>(items: Iterable<T>, change: (item: T) => R): Generator<R> {
  for (const item of items) yield change(item);
}

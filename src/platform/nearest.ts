import { closest, distance } from 'fastest-levenshtein';

/** The name that somebody may have meant; undefined: none is near enough. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  if (names.length === 0 || text.length < 3) return undefined;
  const fold = (name: string) => name.toLowerCase().replace(/[-_]/g, '');
  const found = closest(fold(text), names.map(fold));
  const isNear = distance(fold(text), found) <= Math.floor(text.length / 3);
  return isNear ? names.find((name) => fold(name) === found) : undefined;
}

/** The remedy for a wrong name, as the end of a sentence. */
export function didYouMean(text: string, names: readonly string[], otherwise: string): string {
  const near = nearest(text, names);
  return near === undefined ? `; ${otherwise}` : `; did you mean '${near}'?`;
}

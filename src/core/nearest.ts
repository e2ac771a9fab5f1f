import { closest, distance } from 'fastest-levenshtein';

/** `; did you mean 'x'?` where one of the names is nearly this one, else nothing. */
export function didYouMean(text: string, names: readonly string[]): string {
  if (names.length === 0 || text.length < 3) return '';
  const fold = (name: string) => name.toLowerCase().replace(/[-_]/g, '');
  const folded = closest(fold(text), names.map(fold));
  const isNear = distance(fold(text), folded) <= Math.floor(text.length / 3);
  return isNear ? `; did you mean '${names[names.map(fold).indexOf(folded)]}'?` : '';
}

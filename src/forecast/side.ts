/** On which side of a line a value is out of its range. */
export type Side = 'above' | 'below';

/** What comes down to a line goes up to it in a mirror that stands on the line; the model was trained to look up. */
export function mirroredAt(line: number, value: number): number {
  return 2 * line - value;
}

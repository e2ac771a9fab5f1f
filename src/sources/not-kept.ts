/** Samples that are not kept, and why the first of them is not. */
export interface NotKept {
  count: number;
  why: string | null;
}

/** Some more of them. */
export function leaveOut(notKept: NotKept, { count, why }: NotKept): void {
  if (count === 0) return;
  notKept.count += count;
  notKept.why ??= why;
}

export const noHistograms = 'native histograms have no place';

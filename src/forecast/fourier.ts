/** e^(-i pi k / half) for k below half, by half: the same few sizes come again and again. */
const turns = new Map<number, { cos: Float64Array; sin: Float64Array }>();

/** In place, radix 2 (Cooley and Tukey 1965): `real.length` is a power of two. */
export function fourier(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  reverseBits(real, imaginary);
  for (let half = 1; half < size; half *= 2) {
    const { cos, sin } = turnsOf(half);
    for (let k = 0; k < half; k++) {
      const c = cos[k] as number;
      const s = sin[k] as number;
      for (let a = k; a < size; a += 2 * half) {
        const b = a + half;
        const re = (real[b] as number) * c - (imaginary[b] as number) * s;
        const im = (real[b] as number) * s + (imaginary[b] as number) * c;
        real[b] = (real[a] as number) - re;
        imaginary[b] = (imaginary[a] as number) - im;
        real[a] = (real[a] as number) + re;
        imaginary[a] = (imaginary[a] as number) + im;
      }
    }
  }
}

function turnsOf(half: number): { cos: Float64Array; sin: Float64Array } {
  const known = turns.get(half);
  if (known) return known;
  const angle = (_: unknown, k: number) => (-Math.PI * k) / half;
  const made = {
    cos: Float64Array.from({ length: half }, (_, k) => Math.cos(angle(_, k))),
    sin: Float64Array.from({ length: half }, (_, k) => Math.sin(angle(_, k))),
  };
  turns.set(half, made);
  return made;
}

function reverseBits(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  for (let a = 1, b = 0; a < size; a++) {
    let bit = size >> 1;
    for (; b & bit; bit >>= 1) b ^= bit;
    b ^= bit;
    if (a < b) {
      [real[a], real[b]] = [real[b] as number, real[a] as number];
      [imaginary[a], imaginary[b]] = [imaginary[b] as number, imaginary[a] as number];
    }
  }
}

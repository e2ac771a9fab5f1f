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
  const reversed = reversedOf(real.length);
  for (let a = 1; a < reversed.length; a++) {
    const b = reversed[a] as number;
    if (a >= b) continue;
    const [re, im] = [real[a] as number, imaginary[a] as number];
    real[a] = real[b] as number;
    imaginary[a] = imaginary[b] as number;
    real[b] = re;
    imaginary[b] = im;
  }
}

/** Every index with its bits in the opposite order, by size. */
const reversals = new Map<number, Uint32Array>();

function reversedOf(size: number): Uint32Array {
  const known = reversals.get(size);
  if (known) return known;
  const reversed = new Uint32Array(size);
  for (let a = 1; a < size; a++) reversed[a] = ((reversed[a >> 1] as number) >> 1) + (a & 1 ? size >> 1 : 0);
  reversals.set(size, reversed);
  return reversed;
}

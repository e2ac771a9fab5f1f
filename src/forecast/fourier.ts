/** In place, radix 2 (Cooley and Tukey 1965): `real.length` is a power of two. */
export function fourier(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  reverseBits(real, imaginary);
  for (let half = 1; half < size; half *= 2) {
    const turn = -Math.PI / half;
    for (let k = 0; k < half; k++) {
      const cos = Math.cos(turn * k);
      const sin = Math.sin(turn * k);
      for (let a = k; a < size; a += 2 * half) {
        const b = a + half;
        const re = (real[b] as number) * cos - (imaginary[b] as number) * sin;
        const im = (real[b] as number) * sin + (imaginary[b] as number) * cos;
        real[b] = (real[a] as number) - re;
        imaginary[b] = (imaginary[a] as number) - im;
        real[a] = (real[a] as number) + re;
        imaginary[a] = (imaginary[a] as number) + im;
      }
    }
  }
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

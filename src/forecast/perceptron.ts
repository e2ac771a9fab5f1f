/** A multilayer perceptron: each layer sums, and all but the last cut off what is negative. */
export interface Perceptron {
  inputNames: readonly string[];
  /** Inputs are taken relative to these, and no farther from 0 than `limit`. */
  means: Float32Array;
  spreads: Float32Array;
  limit: number;
  layers: Layer[];
}

/** In double precision, which is what the processor adds in: it saves a conversion per weight. */
interface Layer {
  /** A row of weights per output. */
  weights: Float64Array;
  biases: Float64Array;
}

/** The arrays as base64 of little-endian 32-bit floats: how training writes it. */
export interface PackedPerceptron {
  inputNames: readonly string[];
  means: string;
  spreads: string;
  limit: number;
  layers: readonly { weights: string; biases: string }[];
}

export function unpackPerceptron({ layers, ...packed }: PackedPerceptron): Perceptron {
  return {
    ...packed,
    means: floats(packed.means),
    spreads: floats(packed.spreads),
    layers: layers.map(({ weights, biases }) => ({ weights: doubles(weights), biases: doubles(biases) })),
  };
}

/** The one output of the last layer: log odds of an event. */
export function outputOf({ means, spreads, limit, layers }: Perceptron, inputs: Float32Array): number {
  let values = new Float64Array(inputs.length);
  for (let k = 0; k < inputs.length; k++) {
    const scaled = ((inputs[k] as number) - (means[k] as number)) / (spreads[k] as number);
    values[k] = scaled > limit ? limit : scaled < -limit ? -limit : scaled;
  }
  for (const [depth, layer] of layers.entries()) {
    values = sumsOf(layer, values);
    if (depth < layers.length - 1) for (let k = 0; k < values.length; k++) if ((values[k] as number) < 0) values[k] = 0;
  }
  return values[0] as number;
}

/** Four outputs at a time share each value that is read, and need not wait for one another's sums. */
function sumsOf({ weights, biases }: Layer, values: Float64Array): Float64Array<ArrayBuffer> {
  const width = values.length;
  const sums = new Float64Array(biases);
  const fours = sums.length - (sums.length % 4);
  for (let k = 0; k < fours; k += 4) {
    const [row0, row1, row2, row3] = [k * width, (k + 1) * width, (k + 2) * width, (k + 3) * width];
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let j = 0; j < width; j++) {
      const value = values[j] as number;
      a += (weights[row0 + j] as number) * value;
      b += (weights[row1 + j] as number) * value;
      c += (weights[row2 + j] as number) * value;
      d += (weights[row3 + j] as number) * value;
    }
    sums[k] = (sums[k] as number) + a;
    sums[k + 1] = (sums[k + 1] as number) + b;
    sums[k + 2] = (sums[k + 2] as number) + c;
    sums[k + 3] = (sums[k + 3] as number) + d;
  }
  for (let k = fours; k < sums.length; k++) {
    for (let j = 0; j < width; j++)
      sums[k] = (sums[k] as number) + (weights[k * width + j] as number) * (values[j] as number);
  }
  return sums;
}

function floats(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}

function doubles(base64: string): Float64Array {
  return Float64Array.from(floats(base64));
}

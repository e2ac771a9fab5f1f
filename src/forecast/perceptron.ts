/** A multilayer perceptron: each layer sums, and all but the last cut off what is negative. */
export interface Perceptron {
  inputNames: readonly string[];
  /** Inputs are taken relative to these, and no farther from 0 than `limit`. */
  means: Float32Array;
  spreads: Float32Array;
  limit: number;
  layers: Layer[];
}

interface Layer {
  /** A row of weights per output. */
  weights: Float32Array;
  biases: Float32Array;
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
    layers: layers.map(({ weights, biases }) => ({ weights: floats(weights), biases: floats(biases) })),
  };
}

/** The one output of the last layer: log odds of an event. */
export function outputOf({ means, spreads, limit, layers }: Perceptron, inputs: Float32Array): number {
  let values: Float32Array = inputs.map((input, k) => {
    const scaled = (input - (means[k] as number)) / (spreads[k] as number);
    return Math.min(Math.max(scaled, -limit), limit);
  });
  for (const [depth, layer] of layers.entries()) {
    values = sumsOf(layer, values);
    if (depth < layers.length - 1) for (let k = 0; k < values.length; k++) if ((values[k] as number) < 0) values[k] = 0;
  }
  return values[0] as number;
}

function sumsOf({ weights, biases }: Layer, values: Float32Array): Float32Array {
  const width = values.length;
  const sums = new Float32Array(biases.length);
  for (let k = 0; k < sums.length; k++) {
    let sum = biases[k] as number;
    const row = k * width;
    for (let j = 0; j < width; j++) sum += (weights[row + j] as number) * (values[j] as number);
    sums[k] = sum;
  }
  return sums;
}

function floats(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}

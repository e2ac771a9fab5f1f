/**
 * Boosted trees (Friedman 2001) as plain numbers, all trees in one piece. A node compares one input with a
 * level: at most the level goes to `left`, more to `right`; a negative child is the leaf -child - 1.
 */
export interface TreeEnsemble {
  /** The inputs the trees were trained on, in order. */
  inputNames: readonly string[];
  /** First node and first leaf of each tree. */
  nodeStarts: Uint32Array;
  leafStarts: Uint32Array;
  inputs: Uint8Array;
  levels: Float32Array;
  left: Int16Array;
  right: Int16Array;
  /** Log odds. */
  leaves: Float32Array;
}

/** The arrays of an ensemble as base64 of little-endian numbers: how training writes it. */
export interface PackedTreeEnsemble {
  inputNames: readonly string[];
  nodeCounts: string;
  inputs: string;
  levels: string;
  left: string;
  right: string;
  leaves: string;
}

export function unpackTrees(packed: PackedTreeEnsemble): TreeEnsemble {
  const nodeCounts = new Uint8Array(bytesOf(packed.nodeCounts));
  return {
    inputNames: packed.inputNames,
    nodeStarts: starts(nodeCounts, 0),
    // A binary tree has one leaf more than it has nodes.
    leafStarts: starts(nodeCounts, 1),
    inputs: new Uint8Array(bytesOf(packed.inputs)),
    levels: new Float32Array(bytesOf(packed.levels)),
    left: new Int16Array(bytesOf(packed.left)),
    right: new Int16Array(bytesOf(packed.right)),
    leaves: new Float32Array(bytesOf(packed.leaves)),
  };
}

/** The sum of one leaf of each tree: log odds of an event, or a quantity. */
export function sumOf(trees: TreeEnsemble, values: Float32Array): number {
  const { nodeStarts, leafStarts, inputs, levels, left, right, leaves } = trees;
  let sum = 0;
  for (let tree = 0; tree < nodeStarts.length; tree++) {
    const start = nodeStarts[tree] as number;
    let node = 0;
    while (node >= 0) {
      const at = start + node;
      const isLeft = (values[inputs[at] as number] as number) <= (levels[at] as number);
      node = (isLeft ? left[at] : right[at]) as number;
    }
    sum += leaves[(leafStarts[tree] as number) - node - 1] as number;
  }
  return sum;
}

function starts(counts: Uint8Array, extra: number): Uint32Array {
  let sum = 0;
  return Uint32Array.from(counts, (count) => {
    const start = sum;
    sum += count + extra;
    return start;
  });
}

function bytesOf(base64: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(base64, 'base64')).buffer;
}

/**
 * Boosted trees (Friedman 2001) as plain numbers, all trees in one piece. A node compares one input with a
 * level: at most the level goes to the node `left`, more to `right`; a negative child is the leaf -child - 1.
 */
export interface TreeEnsemble {
  /** The inputs the trees were trained on, in order. */
  inputNames: readonly string[];
  /** First node of each tree. */
  roots: Int32Array;
  inputs: Uint8Array;
  levels: Float32Array;
  left: Int32Array;
  right: Int32Array;
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
  const children = { left: new Int16Array(bytesOf(packed.left)), right: new Int16Array(bytesOf(packed.right)) };
  const ensemble: TreeEnsemble = {
    inputNames: packed.inputNames,
    roots: new Int32Array(nodeCounts.length),
    inputs: new Uint8Array(bytesOf(packed.inputs)),
    levels: new Float32Array(bytesOf(packed.levels)),
    left: new Int32Array(children.left.length),
    right: new Int32Array(children.right.length),
    leaves: new Float32Array(bytesOf(packed.leaves)),
  };
  let first = 0;
  for (const [tree, count] of nodeCounts.entries()) {
    ensemble.roots[tree] = first;
    // Packed, nodes and leaves count from 0 in each tree; a binary tree has one leaf more than it has nodes.
    const whole = (child: number) => (child >= 0 ? child + first : child - first - tree);
    for (let node = first; node < first + count; node++) {
      ensemble.left[node] = whole(children.left[node] as number);
      ensemble.right[node] = whole(children.right[node] as number);
    }
    first += count;
  }
  return ensemble;
}

/** The sum of one leaf of each tree: log odds of an event, or a quantity. */
export function sumOf({ roots, inputs, levels, left, right, leaves }: TreeEnsemble, values: Float32Array): number {
  let sum = 0;
  for (let tree = 0; tree < roots.length; tree++) {
    let node = roots[tree] as number;
    while (node >= 0) {
      const isLeft = (values[inputs[node] as number] as number) <= (levels[node] as number);
      node = (isLeft ? left[node] : right[node]) as number;
    }
    sum += leaves[-node - 1] as number;
  }
  return sum;
}

function bytesOf(base64: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(base64, 'base64')).buffer;
}

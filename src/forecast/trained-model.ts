import { outputOf, unpackPerceptron } from './perceptron.ts';
import { sigmoid } from './probability.ts';
import { breachPerceptron, breachTrees, passageTrees } from './trained-numbers.ts';
import { sumOf, unpackTrees } from './tree-ensemble.ts';

/**
 * The model above the experts, trained on many series at once, see training/README.md. It learnt which expert
 * to trust in which state; what a series is like, the experts learn from the series. Boosted trees and a
 * perceptron err in different places: half of each is better than either.
 */
const trees = unpackTrees(breachTrees);
const perceptron = unpackPerceptron(breachPerceptron);
const passage = passageTrees.map(unpackTrees);

/** The probability of a breach within the horizon. */
export function probabilityOf(inputs: Float32Array): number {
  return sigmoid((sumOf(trees, inputs) + outputOf(perceptron, inputs)) / 2);
}

/** If there is a breach, after which share of the horizon: the 10th, 50th and 90th percentile. */
export function passageShares(inputs: Float32Array): [number, number, number] {
  const [low, median, high] = passage.map((each) => sumOf(each, inputs)).sort((a, b) => a - b);
  return [low as number, median as number, high as number];
}

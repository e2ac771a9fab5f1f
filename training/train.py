#!/usr/bin/env python3
"""Trains the model above the experts and writes src/forecast/trained-numbers.ts. See README.md.

  train.py SERIES.jsonl INPUT_NAMES.json OUT.ts FEATURES [FEATURES ...] [--folds] [--about TEXT]

--folds first reports average precision and Brier skill on hosts the model has not seen, by source. numpy, lightgbm,
scikit-learn."""
import argparse
import base64
import json

import lightgbm
import numpy as np
from sklearn.neural_network import MLPClassifier

from features_file import read

TREES = dict(learning_rate=0.04, num_leaves=31, min_data_in_leaf=800, lambda_l2=10, feature_fraction=0.5,
             bagging_fraction=0.7, bagging_freq=1, max_bin=127, verbose=-1, num_threads=2, seed=1,
             deterministic=True, force_row_wise=True)
ROUNDS, PASSAGE_ROUNDS, QUANTILES = 300, 80, (0.1, 0.5, 0.9)
HIDDEN, EPOCHS, LIMIT = (64, 24), 4, 6.0
# Long series say more than short ones, but not in proportion to their length.
WEIGHTS = {'line': 0.6, 'never': 0.3, 'generated': 1.0, 'recorded': 1.0}


def kind_of(series):
    return 'generated' if series.source == 'generated' else series.variant


def rows_of(series, rng):
    """Inputs, steps to the breach, weight and fold of the steps of one series that are learnt from."""
    passage = series.passage[series.kept]
    usable = passage >= 0
    if series.is_whole:
        usable &= rng.random(len(usable)) < (150 if len(series.values) < 1000 else 550) / len(usable)
    count = int(usable.sum())
    weight = WEIGHTS[kind_of(series)] * np.sqrt(len(series.values)) / max(count, 1)
    return series.inputs[usable], passage[usable] / series.horizon, np.full(count, weight), np.full(count, series.fold)


def fit(inputs, targets, weights, rounds, **more):
    return lightgbm.train({**TREES, **more}, lightgbm.Dataset(inputs, targets, weight=weights / weights.mean()), rounds)


class Perceptron:
    """A multilayer perceptron on inputs of mean 0 and spread 1. Weights are dealt with by how often a row is drawn."""

    def __init__(self, inputs, targets, weights):
        self.means, self.spreads = inputs[::7].mean(0), inputs[::7].std(0) + 1e-6
        self.net = MLPClassifier(HIDDEN, batch_size=4096, learning_rate_init=2e-3, alpha=1e-4, random_state=2)
        rng = np.random.default_rng(3)
        for epoch in range(EPOCHS):
            drawn = rng.choice(len(targets), len(targets), p=weights / weights.sum())
            if epoch:
                self.net._optimizer.learning_rate_init = 2e-3 * (1 - epoch / EPOCHS)
            self.net.partial_fit(self.scaled(inputs[drawn]), targets[drawn], classes=[False, True])

    def scaled(self, inputs):
        return ((inputs - self.means) / self.spreads).clip(-LIMIT, LIMIT).astype(np.float32)

    def predict(self, inputs):
        return self.net.predict_proba(self.scaled(inputs))[:, 1]


class Blend:
    """Half the log odds of the trees and half those of the perceptron, as trained-model.ts."""

    def __init__(self, inputs, targets, weights):
        self.trees = fit(inputs, targets, weights, ROUNDS, objective='binary')
        self.perceptron = Perceptron(inputs, targets, weights)

    def predict(self, inputs):
        a, b = (np.clip(m.predict(inputs), 1e-7, 1 - 1e-7) for m in (self.trees, self.perceptron))
        return 1 / (1 + np.sqrt((1 - a) / a * (1 - b) / b))


def average_precision(p, y):
    order = np.argsort(-p, kind='stable')
    hits = np.cumsum(y[order])
    last = np.r_[np.nonzero(np.diff(p[order]))[0], len(p) - 1]
    recall = hits[last] / hits[-1]
    return float((np.diff(np.r_[0, recall]) * hits[last] / (last + 1)).sum())


def report(label, pairs):
    p, y = (np.concatenate(each) for each in zip(*pairs))
    base = y.mean()
    print(f'{label:15s} {average_precision(p, y):.3f} {1 - ((p - y) ** 2).mean() / (base * (1 - base)):.3f}', flush=True)


def report_folds(all_series, inputs, shares, weights, folds):
    models = [Blend(inputs[folds != k], shares[folds != k] > 0, weights[folds != k]) for k in range(3)]
    print('source          AP    Brier skill, on hosts not seen')
    by_source = {}
    for series in filter(lambda s: s.is_whole, all_series):
        passage = series.passage[series.kept]
        probability = models[series.fold].predict(series.inputs)
        by_source.setdefault(series.source, []).append((probability[passage >= 0], passage[passage >= 0] > 0))
    for source, pairs in sorted(by_source.items()):
        report(source, pairs)


def packed(model, names):
    """The trees of a model as the arrays of tree-ensemble.ts."""
    counts, inputs, levels, left, right, leaves = [], [], [], [], [], []

    def walk(node, nodes):
        if 'leaf_value' in node:
            leaves_here.append(node['leaf_value'])
            return -len(leaves_here)
        at = len(nodes)
        nodes.append(None)
        level = np.float32(node['threshold'])
        # Rounding must not move a level past an input that lies just below it.
        level = np.nextafter(level, np.float32(-np.inf)) if level > node['threshold'] else level
        nodes[at] = (node['split_feature'], level, walk(node['left_child'], nodes), walk(node['right_child'], nodes))
        return at

    for tree in model.dump_model()['tree_info']:
        nodes, leaves_here = [], []
        root = walk(tree['tree_structure'], nodes)
        if root < 0:
            nodes = [(0, np.float32(0), -1, -1)]
            leaves_here.append(0)
        counts.append(len(nodes))
        for feature, level, a, b in nodes:
            inputs.append(feature), levels.append(level), left.append(a), right.append(b)
        leaves += leaves_here
    arrays = dict(nodeCounts=np.array(counts, 'u1'), inputs=np.array(inputs, 'u1'), levels=np.array(levels, '<f4'),
                  left=np.array(left, '<i2'), right=np.array(right, '<i2'), leaves=np.array(leaves, '<f4'))
    return dict(inputNames=names, **{k: base64.b64encode(a.tobytes()).decode() for k, a in arrays.items()})


def packed_perceptron(model, names):
    text = lambda a: base64.b64encode(np.ascontiguousarray(a, '<f4').tobytes()).decode()
    layers = [dict(weights=text(w.T), biases=text(b)) for w, b in zip(model.net.coefs_, model.net.intercepts_)]
    return dict(inputNames=names, means=text(model.means), spreads=text(model.spreads), limit=LIMIT, layers=layers)


def write(path, about, breach, perceptron, passage):
    with open(path, 'w') as out:
        out.write('// Written by training/train.py; not to be edited.\n')
        out.write("import type { PackedPerceptron } from './perceptron.ts';\n")
        out.write("import type { PackedTreeEnsemble } from './tree-ensemble.ts';\n\n")
        out.write(f'/** {about} */\n')
        out.write(f'export const breachTrees: PackedTreeEnsemble = {json.dumps(breach)};\n\n')
        out.write(f'export const breachPerceptron: PackedPerceptron = {json.dumps(perceptron)};\n\n')
        out.write('/** Of the share of the horizon after which a breach comes: percentiles 10, 50 and 90. */\n')
        out.write(f'export const passageTrees: PackedTreeEnsemble[] = {json.dumps(passage)};\n')


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('series'), args.add_argument('names'), args.add_argument('out')
    args.add_argument('features', nargs='+')
    args.add_argument('--folds', action='store_true'), args.add_argument('--about', default='')
    a = args.parse_args()
    names = json.load(open(a.names))
    rng = np.random.default_rng(1)
    all_series = list(read(a.series, a.features))
    inputs, shares, weights, folds = (np.concatenate(each) for each in zip(*(rows_of(s, rng) for s in all_series)))
    print(f'{len(all_series)} series, {len(shares)} steps, {(shares > 0).mean():.3f} before a breach', flush=True)
    if a.folds:
        report_folds(all_series, inputs, shares, weights, folds)
    breach = Blend(inputs, shares > 0, weights)
    ahead = shares > 0
    passage = [fit(inputs[ahead], shares[ahead], weights[ahead], PASSAGE_ROUNDS, objective='quantile', alpha=q, learning_rate=0.1)
               for q in QUANTILES]
    about = f'{a.about} {len(all_series)} series, {len(shares)} steps.'.strip()
    write(a.out, about, packed(breach.trees, names), packed_perceptron(breach.perceptron, names), [packed(model, names) for model in passage])


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Walks series of hosts the model has not seen with many alarm policies, and says which are best. See README.md.

  policies.py SERIES.jsonl INPUT_NAMES.json FEATURES [FEATURES ...]

balanced: the best mean F1 over the sources. quiet: the most breaches warned of at a precision of 0.6 or more."""
import itertools
import json
import sys

import numpy as np

from features_file import read
from train import Blend, rows_of

GRID = dict(on=(.16, .2, .24, .28, .32, .36, .44, .52), evaluations=(1, 2), sure=(.4, .45, .5, .7), off=(.65, .8), hold=(5,))


def amber(probability, breach, known, on, evaluations, sure, off, hold):
    """amber-policy.ts in Python; `off` as a share of `on`."""
    out = np.zeros(len(probability), bool)
    is_on, above, age = False, 0, 0
    for i, p in enumerate(probability):
        if breach[i]:
            is_on, above = False, 0
            continue
        if known[i]:
            if is_on:
                age += 1
                if p < off * on and age >= hold:
                    is_on, above = False, 0
            else:
                above = above + 1 if p >= on else 0
                if p >= sure or above >= evaluations:
                    is_on, age = True, 0
        out[i] = is_on
    return out


def count(series, alarm):
    """Breaches after a quiet horizon, those warned of, false alarms (one per horizon), breaches pointed at."""
    h, passage = series.horizon, series.passage
    breach = np.nan_to_num(series.values, nan=-1) > series.threshold
    judged = alarm & (passage >= 0)
    onsets = [t for t in np.nonzero(breach)[0] if t >= 30 + h and not breach[t - h:t].any() and (passage[t - h:t] >= 0).any()]
    warned = sum(judged[t - h:t].any() for t in onsets)
    false, pointed, start = 0, set(), None
    for i in range(len(alarm)):
        if judged[i]:
            if start is None or i - start >= h:
                start = i
                if passage[i] > 0:
                    pointed.add(i + passage[i])
                else:
                    false += 1
        elif not np.isnan(series.values[i]):
            start = None
    return np.array([len(onsets), warned, false, len(pointed)])


def main():
    all_series = list(read(sys.argv[1], sys.argv[3:]))
    rng = np.random.default_rng(1)
    inputs, shares, weights, folds = (np.concatenate(each) for each in zip(*(rows_of(s, rng) for s in all_series)))
    models = [Blend(inputs[folds != k], shares[folds != k] > 0, weights[folds != k]) for k in range(3)]
    walked = []
    for s in all_series:
        if s.is_whole and s.source != 'generated':
            probability = np.zeros(len(s.values))
            probability[s.kept] = models[s.fold].predict(s.inputs)
            walked.append((s, probability, np.nan_to_num(s.values, nan=-1) > s.threshold, np.isfinite(s.values)))
    results = []
    for values in itertools.product(*GRID.values()):
        by_source = {}
        for s, probability, breach, known in walked:
            counts = count(s, amber(probability, breach, known, *values))
            by_source[s.source] = by_source.get(s.source, 0) + counts
        precision = np.array([c[3] / max(1, c[2] + c[3]) for c in by_source.values()])
        recall = np.array([c[1] / max(1, c[0]) for c in by_source.values()])
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
        results.append((f1.mean(), precision.mean(), recall.mean(), dict(zip(GRID, values))))
    print('balanced: F1, precision, recall, policy')
    for row in sorted(results, key=lambda r: -r[0])[:8]:
        print(*(f'{v:.3f}' for v in row[:3]), json.dumps(row[3]))
    print('quiet')
    for row in sorted((r for r in results if r[1] >= .6), key=lambda r: -r[2])[:8]:
        print(*(f'{v:.3f}' for v in row[:3]), json.dumps(row[3]))


main()

"""Reads what features.ts has written, and the truth of the series behind it."""
import json
import re
import zlib

import numpy as np


class Series:
    """One series of the training set: its values, the kept steps with their inputs, and what came after each."""

    def __init__(self, line, about, inputs):
        self.name, self.source, self.variant = about['name'], about['source'], about.get('variant', 'recorded')
        self.horizon, self.threshold = about['horizon'], about['threshold']
        self.values = np.array([np.nan if v is None else v for v in line['values']])
        self.kept, self.inputs = np.array(about['kept'], int), inputs
        self.passage = first_passage(self.values, self.threshold, self.horizon)
        self.fold = zlib.crc32(group_of(self.name).encode()) % 3

    @property
    def is_whole(self):
        """All its steps were kept: it can be walked by a policy."""
        return self.variant == 'recorded' and len(self.kept) >= len(self.values) - 40


def first_passage(values, threshold, horizon):
    """Of each step: steps to the first breach within the horizon, 0 where there is none, -1 where nobody can say."""
    count, known = len(values), np.isfinite(values)
    breach = np.nan_to_num(values, nan=-1) > threshold
    at = np.arange(count)
    following = np.append(np.minimum.accumulate(np.where(breach, at, count + horizon)[::-1])[::-1], count + horizon)
    seen = np.append(0, np.cumsum(known))
    has_horizon = at + horizon < count
    any_known = seen[np.minimum(at + horizon, count - 1) + 1] > seen[at + 1]
    steps = following[at + 1] - at
    return np.where(known & ~breach & has_horizon & any_known, np.where(steps <= horizon, steps, 0), -1)


def group_of(name):
    """Series of one host, VM or job belong together: they must not be on both sides of a fold."""
    for pattern in (r'bb_rnd_\d+', r'azurev1p?_\d+', r'azurev2_(?:\d+|agg)', r'google2019_agg', r'gcd_vm_\d+',
                    r'exa_\d_\d'):
        found = re.match(pattern, name)
        if found:
            return found.group(0).replace('azurev1p', 'azurev1')
    host = re.match(r'(?:pl_long_|planetlab_\d+_)(.*?_(?:edu|com|org|net|gov|[a-z]{2}))(?:_|$)', name)
    # Names of one's own are host/process/metric.
    return host.group(1) if host else name.split('/')[0]


def read(series_path, features):
    """All series of SERIES.jsonl with the inputs in each FEATURES.f32 / .jsonl."""
    lines = [json.loads(line) for line in open(series_path)]
    for base in features:
        abouts = [json.loads(line) for line in open(base + '.jsonl')]
        width = np.memmap(base + '.f32', np.float32, 'r').size // sum(len(about['kept']) for about in abouts)
        rows = np.memmap(base + '.f32', np.float32, 'r').reshape(-1, width)
        at = 0
        for about in abouts:
            yield Series(lines[about['number']], about, rows[at:at + len(about['kept'])])
            at += len(about['kept'])

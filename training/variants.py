#!/usr/bin/env python3
"""Makes the training set: each series as it is, again with another threshold and horizon, some that never breach,
and generated ones of the shapes that recorded traces lack (sawtooths, batch ramps, leaks, traps).

  variants.py SERIES.jsonl.gz OUT.jsonl [--evaluate N]

SERIES has one series per line: {name, source, step_seconds, threshold, horizon, values} with null where a value is
missing. OUT has the same, `variant` (line, never; absent: as recorded), and `keep`, the number of steps train.py is to learn from. --evaluate marks N series of each
source whose steps are all kept, for choosing the policy. Standard library only."""
import argparse, gzip, json, math, random

HORIZONS = (5, 6, 8, 10, 12)


def read(path):
    with (gzip.open(path, 'rt') if path.endswith('.gz') else open(path)) as lines:
        for line in lines:
            yield json.loads(line)


def quantile(values, q):
    known = sorted(v for v in values if v is not None)
    return known[min(len(known) - 1, int(q * len(known)))] if known else 0


def rethreshold(series, rng, never):
    """The same values under another line: over the top for `never`, at a random high quantile otherwise."""
    top = quantile(series['values'], 1)
    line = top * rng.uniform(1.01, 1.35) if never else quantile(series['values'], rng.uniform(0.93, 0.997))
    if line <= 0 or (not never and line >= top):
        return None
    variant = 'never' if never else 'line'
    return dict(series, variant=variant, threshold=round(line, 3), horizon=rng.choice(HORIZONS))


def clip(values):
    return [None if v is None else round(min(100, max(0, v)), 2) for v in values]


def noise(rng, n, sd, keep=0.0):
    out, v = [], 0.0
    for _ in range(n):
        v = keep * v + rng.gauss(0, sd)
        out.append(v)
    return out


def sawtooth(rng, n):
    """A collector's heap: climbs to its limit and falls, near the line or over it."""
    low, high, v, rate = rng.uniform(15, 45), rng.uniform(60, 79) if rng.random() < .6 else rng.uniform(80, 92), 0, rng.uniform(.4, 6)
    out, v = [], low
    for e in noise(rng, n, rng.uniform(.1, 1.5)):
        v += rate * rng.uniform(.6, 1.4)
        if v > high + rng.gauss(0, 1.2):
            v = low + rng.gauss(0, 2)
        out.append(v + e)
    return out


def ramps(rng, n):
    """Batches: idle, then a climb to a peak that is now and then over the line, then idle."""
    out, idle = [], rng.uniform(5, 40)
    regular = rng.random() < .4
    gap0, spread = rng.randint(30, 300), rng.uniform(.5, 4)
    while len(out) < n:
        gap = gap0 if regular else int(rng.expovariate(1 / gap0)) + 5
        out += [idle] * gap
        peak, length, hold = rng.uniform(55, 98), rng.randint(6, 60), rng.randint(1, 25)
        out += [idle + (peak - idle) * (k / length) ** rng.choice((1, 1, .7, 1.5)) for k in range(1, length + 1)] + [peak] * hold
    return [v + e for v, e in zip(out, noise(rng, n, spread, rng.uniform(0, .6)))]


def leak(rng, n):
    """Memory that only grows, until a restart or the end of memory; some samples missing in every third."""
    base, rate, limit = rng.uniform(15, 50), math.exp(rng.uniform(math.log(.02), math.log(1.5))), rng.uniform(83, 99)
    gaps, out, v = rng.random() < .33, [], base
    for e in noise(rng, n, rng.uniform(.05, 2), rng.uniform(0, .8)):
        v += rate * rng.uniform(.2, 1.8)
        if v > limit:
            v = base
        out.append(None if gaps and rng.random() < .1 else v + e)
    return out


def trap(rng, n):
    """Climbs as if it would not stop, and levels off below the line."""
    out, level = [], rng.uniform(10, 40)
    spread = noise(rng, n, rng.uniform(.1, 2.0), rng.uniform(0, .7))
    while len(out) < n:
        top, length = rng.uniform(58, 77), rng.randint(15, 120)
        shape = rng.choice((lambda x: x, lambda x: 1 - math.exp(-3 * x), lambda x: x ** 1.4))
        out += [level] * rng.randint(20, 250) + [level + (top - level) * shape(k / length) for k in range(length)]
        out += [top] * rng.randint(10, 200)
    return [v + e for v, e in zip(out, spread)]


def plateau(rng, n):
    """Busy and noisy, mostly below the line."""
    level = rng.uniform(55, 76)
    return [level + e for e in noise(rng, n, rng.uniform(.3, (80 - level) / 3.2), rng.uniform(0, .7))]


def steps(rng, n):
    """Jumps between levels without a sign before."""
    out = []
    while len(out) < n:
        high = rng.random() < .25
        out += [rng.uniform(82, 97) if high else rng.uniform(10, 70)] * rng.randint(8, 40 if high else 300)
    return [v + e for v, e in zip(out, noise(rng, n, rng.uniform(.3, 3)))]


def daily(rng, n):
    """A day's wave with a peak that is over the line on most days."""
    day, low, peak, width = 288, rng.uniform(10, 35), rng.uniform(78, 95), rng.uniform(.03, .12)
    at, out = rng.random(), []
    tops = [peak + rng.gauss(0, 5) for _ in range(n // day + 2)]
    for k in range(n):
        phase = (k / day - at + .5) % 1 - .5
        out.append(low + (tops[k // day] - low) * math.exp(-((phase / width) ** 2) / 2))
    return [v + e for v, e in zip(out, noise(rng, n, rng.uniform(.5, 4), .4))]


def cron(rng, n):
    """Quiet but for a burst every so many steps."""
    every, length, late = rng.randint(20, 240), rng.randint(2, 12), rng.randint(0, 3)
    level, peak, out, due = rng.uniform(5, 50), rng.uniform(82, 98), [], rng.randint(0, 100)
    for k in range(n):
        if k >= due + length:
            due += every + rng.randint(-late, late)
        out.append(peak if due <= k < due + length else level)
    return [v + e for v, e in zip(out, noise(rng, n, rng.uniform(.5, 5), .3))]


SHAPES = [(sawtooth, 60), (ramps, 60), (leak, 60), (trap, 60), (plateau, 60), (steps, 60), (daily, 300), (cron, 60)]


def generated(rng, each):
    for make, step in SHAPES:
        for k in range(each):
            n = rng.choice((1500, 2500, 3500))
            yield dict(name=f'generated_{make.__name__}_{k}', source='generated', step_seconds=step, threshold=80,
                       horizon=rng.choice(HORIZONS), values=clip(make(rng, n)[:n]))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('series'), args.add_argument('out')
    args.add_argument('--evaluate', type=int, default=0)
    a = args.parse_args()
    rng = random.Random(7)
    real = list(read(a.series))
    names = {}
    for s in real:
        names.setdefault(s['source'], []).append(s['name'])
    whole = {name for group in names.values() for name in rng.sample(group, min(a.evaluate, len(group)))}
    with open(a.out, 'w') as out:
        write = lambda s, keep: out.write(json.dumps(dict(s, keep=keep)) + '\n')
        for s in real:
            short = len(s['values']) < 1000
            write(s, len(s['values']) if s['name'] in whole else 150 if short else 550)
            for never in (False, True):
                if never and rng.random() > .3:
                    continue
                other = rethreshold(s, rng, never)
                if other:
                    write(other, (80 if short else 300) if not never else 60)
        for s in generated(rng, 80):
            write(s, len(s['values']) if s['name'].endswith(('_0', '_1', '_2')) and a.evaluate else 450)


main()

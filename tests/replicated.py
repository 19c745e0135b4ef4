"""Services whose replicas differ, and what the rule for gauges makes of them: for simulations of its error rates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from simulation import ar1

from canaryjudge.stats.rank_test import shift_test
from canaryjudge.stats.replicas import replica_test

N, NOISE = 60, 0.1
SPREADS = (0.0, 0.05, 0.2)
SHAPES = ((2, 1), (2, 2), (3, 1), (5, 1), (5, 5), (10, 1), (10, 3))
LEVEL = 0.05


def services(rng, runs, replicas, spread, rho, *, factor=1.0, shared=0.5):
    """Series (runs, replicas, N) of one arm, of level 1: replicas differ by `spread`; half of what varies in time they share."""
    levels = factor * (1 + spread * rng.normal(size=(runs, replicas, 1)))
    common = ar1(rng, runs, N, rho)[:, np.newaxis]
    own = ar1(rng, runs * replicas, N, rho).reshape(runs, replicas, N)
    return levels + factor * NOISE * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)


def pvalues(baseline, canary, tolerance):
    """P-values of "worse" and "no worse" as the rule takes them: the larger of the points' and of the replicas'."""
    pooled = baseline.mean(axis=1), canary.mean(axis=1)
    median = np.median(pooled[0], axis=-1)
    limit = (tolerance * median)[:, np.newaxis]
    points = shift_test(*pooled, limit, scales=[1 + tolerance])
    levels = np.median(baseline, axis=-1), np.median(canary, axis=-1)
    found = [
        replica_test(b, c, at, scales=[1 + tolerance], noise=error, noise_df=df)
        for b, c, at, error, df in zip(*levels, limit, points.standard_error, points.df, strict=True)
    ]
    greater = np.maximum(points.pvalue_greater[:, 0], [each.pvalue_greater[0] for each in found])
    less = np.maximum(points.pvalue_less[:, 0], [each.pvalue_less[0] for each in found])
    return greater, less


def simulate(runs: int, shapes: tuple, spreads: tuple, rhos: tuple) -> Iterator[tuple[tuple, int, int]]:
    """Give each case with its number of false fails and false passes, right at a tolerance of 10 %."""
    rng = np.random.default_rng(20260401)
    for (many, few), spread, rho in itertools.product(shapes, spreads, rhos):
        baseline = services(rng, runs, many, spread, rho)
        canary = services(rng, runs, few, spread, rho, factor=1.1)
        greater, less = pvalues(baseline, canary, 0.1)
        yield (many, few, spread, rho), int((greater <= LEVEL).sum()), int((less <= LEVEL).sum())

"""Releases that lie exactly at the limit of an objective, and what its test says of them."""

from __future__ import annotations

import numpy as np
from judging import judge_by
from scipy.special import ndtri
from simulation import ar1

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.aggregates import measure
from canaryjudge.rules.changes import Limit, compare
from canaryjudge.rules.slo import aggregate_of

EDGES = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, np.inf])
"""The twelve buckets of Prometheus's clients."""


def pair_of(kind, baseline, canary, *, totals=(None, None), pairing="windows", edges=None):
    """Both arms, from values (and totals) or from an array of buckets an interval."""
    arms = []
    for values, total in zip((baseline, canary), totals, strict=True):
        points = np.asarray(values, dtype=np.float64)
        if edges is not None:
            arms.append(Arm(points.sum(axis=1), buckets=points))
        else:
            arms.append(Arm(points, None if total is None else np.asarray(total, dtype=np.float64)))
    return MetricPair("m", kind, *arms, pairing=pairing, edges=edges)


def metric_of(kind, *rules):
    return cj.Metric(name="m", kind=kind, direction="increase", rules=rules)


def change_pvalues(pair, rule, error=0.05):
    """P-values of a breach and of a pass, without the intervals that cost most of the time."""
    metric = metric_of(pair.kind, rule)
    row, rule = row_of(pair, metric, ErrorRates(error, error)), rule.in_unit_of(metric)
    question = aggregate_of(row, rule)
    arms = measure(pair.canary, question), measure(pair.baseline, question)
    limit = Limit(*rule.parts(rule.change, metric), upward=rule.op in ("lt", "lte"))
    found = compare(row, question, *arms).pvalues(limit, error)
    both = float(found.greater), float(found.less)
    return both if limit.upward else both[::-1]


def judged(pair, rule, level=0.05, beta=0.05):
    """What the whole rule finds."""
    return judge_by(pair, metric_of(pair.kind, rule), rule, ErrorRates(level, beta))


def shared_load(rng, n, rho, share):
    """Two normal series that follow each other, and a common load that both feel with this part of their variance."""
    load, first, second = (ar1(rng, 1, n, rho)[0] for _ in range(3))
    return tuple(np.sqrt(share) * load + np.sqrt(1 - share) * own for own in (first, second))


def histograms(rng, intervals, requests, *, median=0.08, sigma=0.8, weather=0.0):
    """Buckets of lognormal latencies, an interval a row; the weather moves all requests of an interval."""
    scale = median * np.exp(weather * rng.normal(size=(intervals, 1)))
    latencies = scale * np.exp(sigma * rng.normal(size=(intervals, requests)))
    index = np.searchsorted(EDGES, latencies)
    return np.stack([np.bincount(row, minlength=len(EDGES)) for row in index]).astype(float)


def lognormal_quantile(q, sigma=0.8, median=1.0):
    return median * np.exp(sigma * ndtri(q))

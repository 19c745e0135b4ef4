"""How often a watch of samples or means, a score an interval, fails what is tolerable or passes what is not.

A look after every interval, two hours of minutes, at the tolerated change itself, where both errors are likeliest. The methods rest on an
estimated long-run variance: their own assumption is that an interval's weather is independent of the one before, or nearly so.
"""

import numpy as np
import pytest
from simulation import ar1, assert_rate_at_most

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules.decision import Share
from canaryjudge.rules.sequential.scores import MeanProcess, RankProcess
from canaryjudge.stats.interval_scores import FEWEST_SCORES, mean_evidence

TOLERANCE = 0.1
INTERVALS = 120
LEVELS = np.array([0.05, 0.01, 0.0005])


class Latencies:
    """Lognormal latencies in ms of an interval, of which each arm has its own weather."""

    def __init__(self, rng, runs, *, requests=(100, 100), shock=0.0, rho=0.0, clock=0.0, tolerance=TOLERANCE):
        self.rng, self.runs, self.clock, self.tolerance = rng, runs, clock, tolerance
        self.requests = np.broadcast_to(np.array(requests).T, (INTERVALS, 2))
        self.shocks = [shock * ar1(rng, runs, INTERVALS, rho) for _ in range(2)]

    def __call__(self, t):
        values = []
        for shock, requests, change in zip(
            self.shocks, self.requests[t], (1, 1 + self.tolerance), strict=True
        ):
            logs = 0.6 * self.rng.standard_normal((self.runs, requests)) + shock[:, t, None]
            latency = 100 * change * np.exp(logs)
            values.append(
                np.maximum(np.rint(latency / self.clock), 1) * self.clock if self.clock else latency
            )
        return values

    def score(self, t):
        baseline, canary = self(t)
        return exceedances(baseline * (1 + self.tolerance), canary)

    def weight(self, t):
        harmonic = 2 / (1 / self.requests[t]).sum()
        return harmonic / (harmonic + 50)


def exceedances(baseline, canary):
    """Score an interval of many runs: the lowest bit of each value says whose it is, so that sorting finds who comes before whom.

    Ties are counted for the canary once, and once against it.
    """
    n, m = baseline.shape[1], canary.shape[1]
    wins = 0.0
    for mine in (0, 1):
        keys = np.concatenate([baseline, canary], axis=1).view(np.int64) & -2
        keys[:, :n] |= 1 - mine
        keys[:, n:] |= mine
        keys.sort(axis=1)
        places = ((keys & 1) == mine).astype(np.float32) @ np.arange(n + m, dtype=np.float32)
        wins = wins + (places.astype(np.float64) - m * (m - 1) / 2)
    return wins / (2 * n * m) - 0.5


class Means:
    """Numbers whose mean is compared, one an interval."""

    def __init__(self, rng, runs, *, kind="normal", rho=0.0):
        values = [ar1(rng, runs, INTERVALS, rho) for _ in range(2)]
        if kind == "normal":
            values = [100 + 20 * arm for arm in values]
        elif kind == "skewed":
            values = [100 * np.exp(0.5 * arm) for arm in values]
        else:
            assert kind == "very skewed"
            values = [100 * np.exp(arm) for arm in values]
        self.arms = values[0], values[1] * (1 + TOLERANCE)
        self.tolerance = TOLERANCE

    def __call__(self, t):
        return [arm[:, t] for arm in self.arms]

    def score(self, t):
        baseline, canary = self(t)
        return canary - (1 + self.tolerance) * baseline

    def weight(self, t):
        del t
        return 1.0


class Blocks:
    """Weighted scores of many runs, a row a run, halved as the processes halve them."""

    def __init__(self):
        self.rows, self.weights, self.pending, self.each = [], [], [], 1

    def add(self, score, weight):
        """Take an interval; tell whether a block is complete."""
        self.pending.append((score * weight, weight))
        if len(self.pending) < self.each:
            return False
        row, total = (sum(part) / self.each for part in zip(*self.pending, strict=True))
        self.rows, self.weights, self.pending = [*self.rows, row], [*self.weights, total], []
        if len(self.rows) == 64:
            self.rows, self.weights = (
                [(some[i] + some[i + 1]) / 2 for i in range(0, 64, 2)] for some in (self.rows, self.weights)
            )
            self.each *= 2
        return True

    def evidence(self):
        if len(self.rows) < FEWEST_SCORES:
            return None
        return mean_evidence(np.stack(self.rows, axis=-1) / np.mean(self.weights), each=self.each)


def evidence_over_time(made):
    """Log evidence above and below at every look, or None before there is any."""
    blocks, found = Blocks(), None
    for t in range(INTERVALS):
        found = blocks.evidence() if blocks.add(made.score(t), made.weight(t)) else found
        yield found


def errors(stream, runs, seed, **settings):
    """Runs that ever failed, and that ever passed, at each level."""
    count = np.zeros((2, len(LEVELS)), dtype=int)
    rng = np.random.default_rng(seed)
    for start in range(0, runs, 2000):
        some = min(2000, runs - start)
        highest = np.full((2, some), -np.inf)
        for found in evidence_over_time(stream(rng, some, **settings)):
            if found is not None:
                highest = np.maximum(highest, [found.above, found.below])
        count += (highest[..., None] >= -np.log(LEVELS)).sum(axis=1)
    return count

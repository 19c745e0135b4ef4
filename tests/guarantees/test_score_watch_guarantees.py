"""How often a watch of samples or means, a score an interval, fails what is tolerable or passes what is not.

A look after every interval, two hours of minutes, at the tolerated change itself, where both errors are likeliest. The methods' own
assumption is that the weather of an interval depends little on that of the one before; up to 1.5 times the level is allowed where it does,
and at levels of which an estimated variance knows little. What 20,000 runs showed, in % of runs (failed / passed):

====================================== =========== =========== ===========
case                                   at 5 %      at 1 %      at .05 %
====================================== =========== =========== ===========
latencies                              0.88 / 0.91 0.12 / 0.15 0.00 / 0.01
shocks of .1                           0.88 / 0.83 0.14 / 0.07 0.00 / 0.01
shocks of .1, rho .7                   2.73 / 3.00 0.77 / 0.76 0.03 / 0.06
shocks of .2                           0.96 / 0.87 0.18 / 0.07 0.00 / 0.00
shocks of .2, rho .7                   2.56 / 2.31 0.60 / 0.49 0.01 / 0.04
a clock of 5 ms                        0.54 / 1.50 0.06 / 0.26 0.00 / 0.02
a clock of 25 ms, nothing tolerated    0.93 / 0.81 0.10 / 0.14 0.00 / 0.00
190 requests and 10                    2.71 / 2.73 0.69 / 0.64 0.01 / 0.05
traffic of a day                       2.40 / 2.69 0.60 / 0.61 0.06 / 0.06
means                                  0.90 / 0.84 0.12 / 0.12 0.01 / 0.01
means, rho .7                          2.15 / 2.06 0.49 / 0.48 0.03 / 0.04
means, skewed                          0.47 / 0.41 0.04 / 0.04 0.01 / 0.00
means, skewed, rho .5                  1.44 / 1.36 0.23 / 0.27 0.01 / 0.01
====================================== =========== =========== ===========
"""

import numpy as np
import pytest
from judging import feed
from simulation import ar1, assert_rate_at_most, fewest_runs
from watches import Scores, clocked_exceedances, exceedances, pair_of, weight_of

import canaryjudge as cj
from canaryjudge.data import question_of
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.sequential.interval_scores import MeanScoreProcess, RankScoreProcess

INTERVALS = 120
LEVELS = np.array([0.05, 0.01, 0.0005])
DAY = (100 * np.exp(np.sin(np.arange(INTERVALS) / 20))).astype(int)


class Latencies:
    """Lognormal latencies in ms, 100 in the middle; each arm has its own weather, and a clock may tick coarsely."""

    kind, process = "samples", RankScoreProcess

    def __init__(self, rng, runs, *, requests=(100, 100), shock=0.0, rho=0.0, clock=0.0, tolerance=0.1):
        self.rng, self.runs, self.clock, self.change = rng, runs, clock, 1 + tolerance
        self.requests = [np.broadcast_to(arm, INTERVALS) for arm in requests]
        self.shocks = [shock * ar1(rng, runs, INTERVALS, rho) for _ in range(2)]

    def arms(self, t):
        for requests, shocks, change in zip(self.requests, self.shocks, (1, self.change), strict=True):
            logs = 0.6 * self.rng.standard_normal((self.runs, requests[t])) + shocks[:, t, None]
            latencies = 100 * change * np.exp(logs)
            yield np.maximum(np.rint(latencies / self.clock), 1) * self.clock if self.clock else latencies

    def scored(self, baseline, canary):
        weight = weight_of(baseline.shape[1], canary.shape[1])
        if self.clock:
            return clocked_exceedances(baseline, canary, self.change, self.clock), weight
        return exceedances(baseline, canary / self.change), weight


class Numbers:
    """Numbers whose means are compared, one an interval; logarithms of standard deviation `skew`, or normal."""

    kind, process = "gauge", MeanScoreProcess

    def __init__(self, rng, runs, *, rho=0.0, skew=0.0, tolerance=0.1):
        self.change = 1 + tolerance
        noise = [ar1(rng, runs, INTERVALS, rho) for _ in range(2)]
        values = [100 * np.exp(skew * arm) if skew else 100 + 20 * arm for arm in noise]
        self.values = values[0], values[1] * self.change

    def arms(self, t):
        return (arm[:, t : t + 1] for arm in self.values)

    def scored(self, baseline, canary):
        # as the process has it: the difference, less what of it is tolerated
        return (canary - baseline - (self.change - 1) * baseline)[:, 0], 1.0


def watch(stream, runs, seed, **settings):
    """Runs that ever failed, and that ever passed, at each level."""
    rng, errors = np.random.default_rng(seed), np.zeros((2, len(LEVELS)), dtype=int)
    for start in range(0, runs, 2000):
        given, scores = stream(rng, min(2000, runs - start), **settings), Scores()
        highest = -np.inf
        for t in range(INTERVALS):
            scores.add(*given.scored(*given.arms(t)))
            if scores.found is not None:
                highest = np.maximum(highest, [scores.found.above, scores.found.below])
        errors += (highest[..., None] >= -np.log(LEVELS)).sum(axis=1)
    return errors


# the stream, its settings, and the multiples of 5 %, 1 % and .05 % that are allowed
CASES = {
    "latencies": (Latencies, {}, (1.0, 1.0, 1.0)),
    "shocks of .1": (Latencies, {"shock": 0.1}, (1.0, 1.0, 1.0)),
    "shocks of .1, rho .7": (Latencies, {"shock": 0.1, "rho": 0.7}, (1.0, 1.0, 1.5)),
    "shocks of .2": (Latencies, {"shock": 0.2}, (1.0, 1.0, 1.0)),
    "shocks of .2, rho .7": (Latencies, {"shock": 0.2, "rho": 0.7}, (1.0, 1.0, 1.5)),
    "a clock of 5 ms": (Latencies, {"clock": 5.0}, (1.0, 1.0, 1.0)),
    "a clock of 25 ms": (Latencies, {"clock": 25.0}, (1.0, 1.0, 1.0)),
    "a clock of 25 ms, nothing tolerated": (Latencies, {"clock": 25.0, "tolerance": 0.0}, (1.0, 1.0, 1.0)),
    "190 requests and 10": (Latencies, {"requests": (190, 10), "shock": 0.1, "rho": 0.7}, (1.0, 1.0, 1.5)),
    "traffic of a day": (Latencies, {"requests": (DAY, DAY), "shock": 0.1, "rho": 0.7}, (1.0, 1.0, 1.5)),
    "means": (Numbers, {}, (1.0, 1.0, 1.0)),
    "means, rho .7": (Numbers, {"rho": 0.7}, (1.0, 1.0, 1.5)),
    "means, skewed": (Numbers, {"skew": 1.0}, (1.0, 1.0, 1.0)),
    "means, skewed, rho .5": (Numbers, {"skew": 0.5, "rho": 0.5}, (1.0, 1.0, 1.5)),
}


def check(name, runs, seed):
    stream, settings, allowed = CASES[name]
    for side in watch(stream, runs, seed, **settings):
        for wrong, times, level in zip(side, allowed, LEVELS, strict=True):
            assert_rate_at_most(int(wrong), runs, times * level)


@pytest.mark.parametrize("name", CASES)
def test_sampled_watches_keep_their_level(name):
    check(name, fewest_runs(LEVELS[0]), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_watches_keep_their_level(name):
    check(name, 5_000, 2)


@pytest.mark.parametrize("name", CASES)
def test_the_processes_find_the_same_evidence(name):
    stream, settings, _ = CASES[name]
    given, scores = stream(np.random.default_rng(3), 2, **settings), Scores()
    metric = cj.Metric(
        name="m", kind=given.kind, direction="increase", tolerance={"relative": given.change - 1}
    )
    processes = [given.process(question_of(metric, ErrorRates(0.05, 0.05))) for _ in range(2)]
    for t in range(INTERVALS):
        arms = list(given.arms(t))
        scores.add(*given.scored(*arms))
        for run, process in enumerate(processes):
            feed(process, pair_of(given.kind, *(arm[run] for arm in arms)))
            found = process.finding()
            assert (found.watch is None) == (scores.found is None)
            if scores.found is not None:
                expected = [scores.found.above[run], scores.found.below[run]]
                assert np.multiply(
                    [found.watch.log_e_fail, found.watch.log_e_pass], np.log(10)
                ) == pytest.approx(expected, rel=1e-3, abs=1e-4)

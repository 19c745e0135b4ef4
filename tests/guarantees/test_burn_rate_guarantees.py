"""How often the rule fails a canary that burns no faster than an alert allows, or passes one that burns as fast as it says.

The whole rule is run, from intervals to outcome, on canaries whose true burn rate is exactly the alert's. One case is one line of
CASES: the share of wrong fails is held against the rule's level, that of wrong passes against beta.

A pass that rests on so few bad events that their bursts could not be seen is listed as waived, and is not counted here: see
docs/burn-rates.md for what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from judging import judge_by
from simulation import assert_rate_at_most, fewest_runs

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates

LEVEL, BETA = 0.05, 0.05
RATES = ErrorRates(level=LEVEL, beta=BETA)


@dataclass(frozen=True)
class Case:
    """A canary that burns at exactly the rate of its only alert."""

    target: float
    requests: int
    factor: float = 14.4
    minutes: int = 60
    dispersion: float = 1.0
    settings: tuple[tuple[str, object], ...] = ()

    @property
    def share(self) -> float:
        return self.factor * (1 - self.target)


def bursty(rng, n, share, dispersion, size):
    """Beta-binomial counts whose variance is `dispersion` times the binomial one."""
    if dispersion == 1 or n <= dispersion:
        return rng.binomial(n, share, size)
    strength = (n - dispersion) / (dispersion - 1)
    return rng.binomial(n, rng.beta(share * strength, (1 - share) * strength, size))


def chain(rng, runs, n, share, length):
    """Slices that are bad in runs of a mean length: a two-state Markov chain."""
    leave = 1 / length
    enter = leave * share / (1 - share)
    state = np.empty((runs, n), dtype=bool)
    state[:, 0] = rng.random(runs) < share
    for t in range(1, n):
        state[:, t] = rng.random(runs) < np.where(state[:, t - 1], 1 - leave, enter)
    return state


def rule_of(case, **more):
    alerts = [{"long": "1h", "short": "5m", "burn_rate": case.factor}]
    return cj.BurnRate(**({"target": case.target, "alerts": alerts} | dict(case.settings) | more))


def outcomes(case, events, totals, **more):
    """What the rule says of each run: canaries of events (runs, minutes) beside a baseline without bad events."""
    rule = rule_of(case, **more)
    metric = cj.Metric(name="m", kind="ratio", direction="increase", rules=[rule])
    time = 60.0 * np.arange(events.shape[1])
    fine = Arm(np.zeros(events.shape[1]), totals, time)
    for run in events.astype(float):
        pair = MetricPair("m", "ratio", fine, Arm(run, totals, time), "concurrent", 60.0)
        yield judge_by(pair, metric, rule, RATES)


def check(case, runs, seed):
    rng = np.random.default_rng(seed)
    per_minute = max(case.requests // case.minutes, 1)
    events = bursty(rng, per_minute, case.share, case.dispersion, (runs, case.minutes))
    found = list(outcomes(case, events, np.full(case.minutes, float(per_minute))))
    assert_rate_at_most(sum(finding.outcome == "fail" for finding in found), runs, LEVEL)
    passes = sum(finding.outcome == "pass" and not finding.waived for finding in found)
    assert_rate_at_most(passes, runs, BETA)


RATIOS = (("budgeting", "ratio_timeslices"), ("time_slice_window", "1m"))
CASES = [
    Case(target, requests, dispersion=dispersion)
    for target in (0.99, 0.999, 0.9999)
    for requests in (1_000, 3_000, 30_000, 1_000_000)
    for dispersion in (1.0, 3.0)
]
CASES += [Case(0.999, 30_000, dispersion=dispersion, settings=RATIOS) for dispersion in (1.0, 3.0)] + [
    Case(0.99, 30_000, factor=1.0),
    Case(0.999, 30_000, factor=6.0, minutes=30),
]
SAMPLE = [CASES[index] for index in (0, 13, 19, 24)]


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_canary_right_at_the_alert_is_seldom_misjudged(case):
    check(case, fewest_runs(LEVEL), 20260501)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_canary_right_at_the_alert_is_seldom_misjudged_in_full(case):
    check(case, 250, 20260502)


SLICES = (("budgeting", "timeslices"), ("time_slice_target", 0.95), ("time_slice_window", "1m"))
SLICED = [Case(target, 6_000, settings=SLICES) for target in (0.98, 0.99, 0.999)]


def check_slices(case, length, runs, seed):
    rng = np.random.default_rng(seed)
    bad = chain(rng, runs, 240, case.share, length)
    alerts = [{"long": "4h", "short": "30m", "burn_rate": case.factor}]
    found = list(outcomes(case, 20.0 * bad, np.full(240, 100.0), alerts=alerts))
    fails = sum(finding.outcome == "fail" for finding in found)
    passes = sum(finding.outcome == "pass" and not finding.waived for finding in found)
    assert_rate_at_most(fails, runs, LEVEL)
    assert_rate_at_most(passes, runs, 1.2 * BETA)


@pytest.mark.parametrize(("case", "length"), [(SLICED[0], 2.0), (SLICED[1], 5.0)])
def test_slices_in_bursts_are_seldom_misjudged(case, length):
    check_slices(case, length, fewest_runs(LEVEL), 20260503)


@pytest.mark.slow
@pytest.mark.parametrize("case", SLICED, ids=str)
@pytest.mark.parametrize("length", [1.5, 2.0, 3.0, 5.0])
def test_slices_in_bursts_are_seldom_misjudged_in_full(case, length):
    check_slices(case, length, 250, 20260504)


def test_points_in_place_of_intervals_would_fail_healthy_canaries_at_low_traffic():
    """The estimate alone exceeds the alert in about half of all canaries that are right at it, which an interval does not."""
    case = Case(0.999, 1_000)
    rng = np.random.default_rng(20260505)
    events = rng.binomial(16, case.share, (150, 60))
    found = list(outcomes(case, events, np.full(60, 16.0)))
    assert np.mean([finding.burn.burn_rate > case.factor for finding in found]) > 0.3
    assert np.mean([finding.outcome == "fail" for finding in found]) < LEVEL


@pytest.mark.parametrize(
    ("factor", "requests", "outcome"), [(40.0, 60_000, "fail"), (40.0, 600_000, "fail"), (2.0, 6_000, "pass")]
)
def test_a_canary_far_from_the_alert_is_recognized(factor, requests, outcome):
    case = Case(0.999, requests, dispersion=2.0)
    rng = np.random.default_rng(20260506)
    per_minute = requests // 60
    events = bursty(rng, per_minute, factor * 0.001, 2.0, (40, 60))
    found = [finding.outcome for finding in outcomes(case, events, np.full(60, float(per_minute)))]
    assert found.count(outcome) >= 34

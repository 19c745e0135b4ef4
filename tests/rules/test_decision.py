"""Tolerances, the three zones, and that every interval says what its outcome says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.data import question_of
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.decision import Evidence, Limits, more_points, tolerated, weigh
from canaryjudge.rules.mann_whitney import ShiftFinding

RATES = ErrorRates(level=0.01, beta=0.05)


def metric(tolerance="10%", direction="increase", **settings):
    return cj.Metric(name="m", direction=direction, tolerance=tolerance, **settings)


@pytest.mark.parametrize(
    ("tolerance", "level", "expected"),
    [
        ("10%", 100.0, Limits(absolute=False, high=0.1, low=None)),
        ({"absolute": 5}, 100.0, Limits(absolute=True, high=5.0, low=None)),
        ({"relative": "10%", "absolute": 5}, 100.0, Limits(absolute=False, high=0.1, low=None)),
        ({"relative": "10%", "absolute": 5}, 40.0, Limits(absolute=True, high=5.0, low=None)),
        ({"relative": "10%", "absolute": 5}, -100.0, Limits(absolute=False, high=0.1, low=None)),
        ({"absolute": 0}, 0.0, Limits(absolute=True, high=0.0, low=None)),
        ("10%", 0.0, None),
    ],
)
def test_the_larger_part_of_the_tolerance_decides(tolerance, level, expected):
    assert tolerated(question_of(metric(tolerance), RATES), level) == expected


@pytest.mark.parametrize(
    ("direction", "high", "low"),
    [("increase", 0.25, None), ("decrease", None, -0.2), ("either", 0.25, -0.2)],
)
def test_a_fall_is_tolerated_down_to_the_baseline_over_one_plus_the_tolerance(direction, high, low):
    limits = tolerated(question_of(metric("25%", direction), RATES), 8.0)
    assert (limits.high, limits.low) == (high, low if low is None else pytest.approx(low))


def evidence(**changes):
    facts = {
        "estimate": 0.0,
        "pvalues": [(0.5, 0.5)],
        "pvalues_none": (0.5, 0.5),
        "fail_bounds": [(-1.0, 1.0)],
        "pass_bounds": [(-0.5, 0.5)],
    }
    return Evidence(**(facts | changes))


UP = Limits(absolute=False, high=0.1, low=None)
BOTH = Limits(absolute=False, high=0.1, low=-0.1)


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"pvalues": [(0.01, 0.99)]}, "fail", "proven_worse"),
        ({"pvalues": [(0.99, 0.05)]}, "pass", "proven_safe"),
        ({"pvalues": [(0.02, 0.98)]}, "marginal", "undecided"),
        ({"pvalues_none": (0.01, 0.99)}, "marginal", "worse_but_maybe_tolerable"),
        ({"pvalues_none": (0.99, 0.001)}, "marginal", "undecided"),
        ({"pvalues": [(1e-9, 1.0)], "abstains": True}, "marginal", "abstains"),
        ({"pvalues": [(1.0, 1e-9)], "abstains": True}, "pass", "proven_safe"),
        ({"pvalues": [(1.0, 1e-9)], "abstains_pass": True}, "marginal", "abstains"),
        ({"pvalues": [(1e-9, 1.0)], "abstains_pass": True}, "fail", "proven_worse"),
    ],
)
def test_there_are_three_zones(changes, outcome, reason):
    found = weigh(evidence(**changes), UP, RATES, 60)
    assert (found["outcome"], found["reason"]) == (outcome, reason)


def test_what_abstains_bounds_nothing():
    found = weigh(evidence(abstains=True, abstains_pass=True), UP, RATES, 60)
    assert {found[name].low for name in ("interval", "pass_interval")} == {None}
    assert {found[name].high for name in ("interval", "pass_interval")} == {None}


@pytest.mark.parametrize(
    ("pvalues", "outcome"),
    [
        ([(0.005, 1.0), (1.0, 0.005)], "fail"),
        ([(0.006, 1.0), (1.0, 1.0)], "marginal"),  # more than half the level
        ([(1.0, 0.05), (0.05, 1.0)], "pass"),
        ([(1.0, 0.05), (0.06, 1.0)], "marginal"),  # one side is not proven
    ],
)
def test_either_direction_fails_at_half_the_level_and_passes_on_both_proofs(pvalues, outcome):
    bounds = [(-1.0, 1.0), (-2.0, 2.0)]
    found = weigh(evidence(pvalues=pvalues, fail_bounds=bounds, pass_bounds=bounds), BOTH, RATES, 60)
    assert found["outcome"] == outcome
    assert found["interval"].error == RATES.level / 2
    # the low end was held against the upper limit, the high end against the lower one; for a pass the other way round
    assert (found["interval"].low, found["interval"].high) == (-1.0, 2.0)
    assert (found["pass_interval"].low, found["pass_interval"].high) == (-2.0, 1.0)


def test_more_points_grow_with_the_square_of_the_noise_or_without_events_with_the_noise():
    assert more_points(60, 5.0, 10.0) == 180
    assert more_points(60, 5.0, 10.0, power=1) == 60
    assert more_points(60, 10.0, 5.0) is None  # decided already
    assert more_points(60, 1.0, 11.0) is None  # more than a hundred times as many
    assert more_points(60, 1e-300, 1e300) is None
    assert more_points(60, 0.0, 1.0) is None
    assert more_points(60, 1.0, math.inf) is None


def ends(interval):
    low = -math.inf if interval.low is None else interval.low
    return low, math.inf if interval.high is None else interval.high


def assert_consistent(finding):
    if finding.interval is None:
        return
    high = math.inf if finding.limit_high is None else finding.limit_high
    low = -math.inf if finding.limit_low is None else finding.limit_low
    fail_low, fail_high = ends(finding.interval)
    pass_low, pass_high = ends(finding.pass_interval)
    assert (finding.outcome == "fail") == (fail_low > high or fail_high < low)
    if finding.outcome != "fail":
        most = math.inf if finding.pass_high is None else finding.pass_high
        least = -math.inf if finding.pass_low is None else finding.pass_low
        assert most >= high
        assert least <= low
        tolerated = low <= finding.estimate <= high or not isinstance(finding, ShiftFinding)
        assert (finding.outcome == "pass") == (least <= pass_low and pass_high <= most and tolerated)
    assert finding.pvalue is not None
    assert finding.pvalue_pass is not None


DIRECTIONS = st.sampled_from(["increase", "decrease", "either"])


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(6, 40),
    m=st.integers(6, 40),
    level=st.sampled_from([-50.0, 0.001, 100.0]),
    shift=st.floats(-0.5, 0.5),
    spread=st.sampled_from([0.01, 0.1, 0.5]),
    direction=DIRECTIONS,
    tolerance=st.sampled_from(["10%", "0%", {"absolute": 4}, {"relative": "5%", "absolute": 0.0001}]),
    method=st.sampled_from(["robust", "exact", "asymptotic"]),
    rates=st.sampled_from([(0.01, 0.05), (0.2, 0.3), (1e-4, 1e-4)]),
)
def test_a_gauge_fails_or_passes_just_where_its_intervals_say_so(
    seed, n, m, level, shift, spread, direction, tolerance, method, rates
):
    rng = np.random.default_rng(seed)
    size = abs(level)
    data = {
        "baseline": rng.normal(level, spread * size, n),
        "canary": rng.normal(level + shift * size, spread * size, m),
    }
    asked = metric(tolerance, direction, min_points=1, rules=[cj.MannWhitney(method=method)])
    verdict = cj.judge({"m": data}, cj.Policy(alpha=rates[0], beta=rates[1], metrics=[asked]))
    assert_consistent(verdict.metrics["m"].findings[0])


@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["ratio", "count"]),
    intervals=st.integers(1, 30),
    rate=st.sampled_from([0.0, 0.001, 0.05, 0.4]),
    worse=st.sampled_from([0.0, 0.5, 1.0, 1.2, 2.0]),
    burst=st.booleans(),
    direction=DIRECTIONS,
    tolerance=st.sampled_from(["10%", {"absolute": "0.05"}, {"relative": "20%", "absolute": "0.001"}]),
)
def test_totals_fail_or_pass_just_where_their_intervals_say_so(
    seed, kind, intervals, rate, worse, burst, direction, tolerance
):
    rng = np.random.default_rng(seed)
    data = {}
    for arm, share in (("baseline", rate), ("canary", rate * worse)):
        total = rng.integers(1, 3000, intervals)
        varied = np.clip(share * (rng.gamma(0.5, 2.0, intervals) if burst else np.ones(intervals)), 0, 1)
        data[arm] = {"value": rng.binomial(total, varied), "total": total}
    verdict = cj.judge({"m": data}, cj.Policy(metrics=[metric(tolerance, direction, kind=kind)]))
    finding = verdict.metrics["m"].findings[0]
    if finding.reason != "needs_absolute_tolerance":
        assert_consistent(finding)

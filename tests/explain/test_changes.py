"""Sentences that a newcomer reads for the first time: what adds up, what does no harm, what a p-value is of, and what else one can do."""

from __future__ import annotations

import re

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.explain.what_would_change import what_would_change_metric

RNG = np.random.default_rng(20260714)
NOISE = RNG.normal(size=(2, 60))


def judged(data, **settings):
    metric = cj.Metric(**({"name": "m", "direction": "increase"} | settings))
    return cj.judge({"m": data}, cj.Policy(metrics=[metric]))


def gauge(factor, noise=3.0, **settings):
    baseline, canary = 100 + noise * NOISE
    return judged({"baseline": baseline, "canary": factor * canary}, **settings)


def told(verdict):
    return " ".join(verdict.explain().split())


def turns(verdict):
    return " ".join(what_would_change_metric(verdict.metrics["m"], verdict))


def ratio(errors, requests, intervals=60, **settings):
    arms = {
        arm: {"value": [found] * intervals, "total": [total] * intervals}
        for arm, found, total in zip(("baseline", "canary"), errors, requests, strict=True)
    }
    return judged(arms, kind="ratio", dispersion=1.0, **settings)


def test_of_nothing_no_percentage_is_told():
    said = told(judged({"baseline": [0] * 20, "canary": [4] * 20}, kind="count"))
    assert (
        "canary is higher, 4 v. 0, of which no percentage can be told (98.18 % CI 16.5 times or more)" in said
    )
    assert "infinite" not in said


def test_more_than_nothing_is_no_harm_where_a_fall_is():
    said = told(judged({"baseline": [0] * 20, "canary": [4] * 20}, kind="count", direction="decrease"))
    assert re.search(
        r"canary is higher, 4 v\. 0, .* which is no harm: only a fall of more than 9\.1 % is", said
    ), said


@pytest.fixture(scope="module")
def skewed():
    """Percentages of a few requests: the medians differ by 58 %, the typical pair of points by 40 %."""
    rng = np.random.default_rng(4)
    baseline, canary = rng.normal(0.21, 0.04, 60), rng.binomial(930, 0.003, 60) / 9.3
    return judged({"baseline": baseline, "canary": canary}, rules=["mann_whitney"])


def test_a_change_that_is_not_that_of_the_levels_says_so(skewed):
    finding = skewed.metrics["m"].deciding
    between = finding.canary_level / finding.baseline_level - 1
    assert abs(between - finding.estimate) > 0.1 * finding.estimate
    assert finding.levels_apart
    assert "the change is the typical one between points, not that of the two medians" in told(skewed)
    assert "typical" not in skewed.reason  # which has to be short


def test_a_change_that_is_that_of_the_levels_needs_no_words():
    verdict = gauge(1.3)
    assert not verdict.metrics["m"].deciding.levels_apart
    assert "the change is" not in told(verdict)


def test_a_change_within_intervals_is_not_that_of_the_totals():
    """The canary gets its traffic when errors are rare: within intervals it has twice as many, in all fewer."""
    hours = np.arange(120) % 2
    arms = {
        "baseline": {"value": np.where(hours, 4, 400), "total": np.where(hours, 1000, 10_000)},
        "canary": {"value": np.where(hours, 80, 80), "total": np.where(hours, 10_000, 1000)},
    }
    metric = cj.Metric(name="m", kind="ratio", direction="increase", tolerance="10%")
    monitor = cj.Monitor(cj.Policy(metrics=[metric]))
    times = {"time": 60.0 * np.arange(120)}
    monitor.update({"m": {arm: columns | times for arm, columns in arms.items()}})
    verdict = monitor.verdict()
    assert verdict.metrics["m"].deciding.levels_apart
    assert "the change is the one within intervals, not that of the two totals" in told(verdict)


@pytest.mark.parametrize(
    ("factor", "direction", "harm"),
    [(1.3, "decrease", "a fall of more than 9.1 %"), (0.1, "increase", "a rise of more than 10 %")],
)
def test_the_harmless_direction_is_not_called_tolerated(factor, direction, harm):
    verdict = gauge(factor, direction=direction)
    assert verdict.outcome == "pass"
    assert f"which is no harm: only {harm} is;" in told(verdict)
    assert "within the tolerated" not in told(verdict)
    assert turns(verdict) == f"It passes because only {harm} would be harm, and the interval holds none."


def test_a_change_that_may_be_none_is_within_the_tolerance_in_either_direction():
    for direction in ("increase", "decrease"):
        assert "within the tolerated" in told(gauge(1.0, direction=direction))


def test_what_may_be_harmless_or_not_says_what_is_open():
    arms = {"baseline": 100 + 10 * NOISE[0], "canary": 40 + 180 * NOISE[1]}
    verdict = judged(arms, rules=["mann_whitney"])
    assert verdict.outcome == "marginal"
    assert "a rise of more than 10 % is neither proven nor ruled out" in told(verdict)


def test_the_ends_of_an_interval_can_be_told_apart():
    said = told(gauge(0.11, noise=0.3))
    low, high = re.search(r"CI (-\S+) to (-\S+) %", said).groups()
    assert low != high


def test_a_late_shift_says_that_its_tolerance_is_its_own():
    late = np.where(np.arange(60) < 30, 1.0, 1.33) * (100 + 8 * NOISE[1])
    verdict = judged({"baseline": 100 + 8 * NOISE[0], "canary": late})
    said = told(verdict)
    assert re.search(r"last half, by late_shift's own tolerance: canary is .* tolerated 25 %", said), said
    same = judged({"baseline": 100 + 8 * NOISE[0], "canary": late}, tolerance="25%")
    assert "last half: canary is" in told(same)


def test_quiet_rules_are_told_in_words_that_need_no_manual():
    assert "- no late shift; no burst seen, though a small one may have been missed." in told(gauge(1.0))
    unsure = {"baseline": 100 + 25 * NOISE[0], "canary": 100 + 25 * NOISE[1]}
    said = told(
        judged(
            unsure,
            pass_within="tolerance",
            rules=["mann_whitney", "excursion", {"rule": "late_shift", "tolerance": "10%"}],
        )
    )
    assert "- no burst and no late shift seen, though small ones may have been missed." in said


def test_a_p_value_says_of_what_it_is_where_nothing_is_proven():
    verdict = gauge(1.09, noise=8)
    assert verdict.outcome == "marginal"
    assert re.search(r"robust Mann-Whitney p = \S+ for more than tolerated", told(verdict)), told(verdict)
    assert "for more than" not in told(gauge(1.3))
    objective = gauge(1.0, noise=8, rules=[{"rule": "slo", "of": "mean", "op": "lte", "value": "100"}])
    assert re.search(r" p = \S+ for a breach", told(objective)), told(objective)


@pytest.mark.parametrize(
    ("factor", "words"), [(1.08, "not the canary's doing alone;"), (0.97, "not the canary's doing;")]
)
def test_a_canary_that_is_worse_than_a_baseline_that_breaches_is_not_excused(factor, words):
    verdict = gauge(factor, rules=[{"rule": "slo", "of": "mean", "op": "lte", "value": "80"}])
    assert verdict.metrics["m"].reason == "environment_unhealthy"
    assert words in told(verdict)
    assert "only a rule that compares the arms can tell" in turns(verdict)


def test_the_same_below_an_objective():
    rules = [{"rule": "slo", "of": "mean", "op": "gte", "value": "120"}]
    assert "not the canary's doing alone" in told(gauge(0.9, direction="decrease", rules=rules))
    assert "not the canary's doing;" in told(gauge(1.1, direction="decrease", rules=rules))


def test_where_data_will_not_do_it_another_way_is_named():
    strict = {"pass_within": "tolerance"}
    verdict = ratio((17, 2), (8400, 930), **strict)
    finding = verdict.metrics["m"].deciding
    assert finding.more_points > 10 * finding.n_canary
    enough = re.search(r"these data would pass with a tolerance of about ([\d.]+) %", told(verdict))[1]
    assert f"a wider tolerance (these data would pass with about {enough} %), or more traffic" in turns(
        verdict
    )
    assert ratio((17, 2), (8400, 930), **strict, tolerance=f"{enough}%").outcome == "pass"
    nearly = f"{0.9 * float(enough):.6f}%"
    assert ratio((17, 2), (8400, 930), **strict, tolerance=nearly).outcome == "marginal"


def test_where_a_little_more_data_will_do_it_no_tolerance_is_named():
    verdict = gauge(1.05, noise=8, pass_within="tolerance")
    assert verdict.outcome == "marginal"
    assert not verdict.metrics["m"].deciding.far_from_decided
    assert "would pass a tolerance" not in told(verdict)


@pytest.mark.parametrize(
    ("direction", "low", "high", "scale", "enough"),
    [
        ("increase", -0.1, 0.1234, "relative", 0.13),
        ("decrease", -0.2, 0.1, "relative", 0.25),  # down to 1 / 1.25 of the baseline
        ("either", -0.2, 0.5, "relative", 0.5),
        ("increase", None, None, "relative", None),
        ("decrease", -3.21, None, "absolute", 3.3),
        ("decrease", -1.5, 1.0, "relative", None),  # no fall is that deep
        ("increase", -0.5, -0.1, "relative", None),
    ],
)
def test_the_smallest_tolerance_is_the_end_of_the_interval_that_proves_a_pass(
    direction, low, high, scale, enough
):
    limits = {"increase": (0.1, None), "decrease": (None, -0.1), "either": (0.1, -0.1)}[direction]
    found = gauge(1.0).metrics["m"].deciding
    interval = found.pass_interval.model_copy(update={"low": low, "high": high})
    facts = {"scale": scale, "limit_high": limits[0], "limit_low": limits[1], "pass_interval": interval}
    assert found.model_copy(update=facts).smallest_passing_tolerance == enough

"""Excursions and late shifts as a policy asks for them: what users reported, and what they do not prove."""

import json
from pathlib import Path

import numpy as np
import pytest

import canaryjudge as cj

REPORTED = Path(__file__).parents[3] / "shared/cases/kayenta_user_reported.json"
NOISE = np.random.default_rng(20260207).normal(0, 5, (2, 60))


def judged(baseline, canary, **settings):
    metric = cj.Metric(**({"name": "m", "direction": "increase"} | settings))
    return cj.judge({"m": {"baseline": baseline, "canary": canary}}, cj.Policy(metrics=[metric])).metrics["m"]


@pytest.mark.parametrize("tolerance", ["10%", "0.5"])
def test_a_canary_that_is_not_zero_in_half_of_its_minutes_does_not_pass(tolerance):
    assert (
        judged(
            np.zeros(30),
            np.tile([0.0, 1.0], 15),
            tolerance={"absolute": 0.5} if tolerance == "0.5" else tolerance,
        ).outcome
        != "pass"
    )


@pytest.mark.skipif(
    not REPORTED.exists(), reason="the cases that users reported are not beside the repository"
)
def test_what_users_reported_does_not_pass():
    cases = json.loads(REPORTED.read_text(encoding="utf-8"))
    for case in cases:
        if case["user_expected"] == "High":
            arms = ([float(value) for value in case[arm]] for arm in ("control", "experiment"))
            assert judged(*arms, min_points=5).outcome != "pass", case["name"]


def test_a_pass_names_what_was_not_proven_and_nothing_found_is_no_proof_by_itself():
    baseline, canary = 100 + NOISE
    assert judged(baseline, canary).unproven == ("excursion",)
    alone = judged(baseline, canary, rules=["excursion"])
    assert (alone.outcome, alone.reason) == ("marginal", "undecided")
    either = judged(
        baseline, canary, rules=[cj.AnyOf(rules=["excursion", cj.Slo(of="mean", op="lte", value=50)])]
    )
    assert either.outcome != "pass"


def test_the_tolerance_of_the_metric_holds_for_features_too():
    baseline, canary = 100 + NOISE
    worse = canary + np.repeat([0, 60], 30)
    assert judged(baseline, worse).outcome == "fail"
    assert judged(baseline, worse, tolerance="80%").outcome != "fail"


@pytest.mark.parametrize("lag", [1.0, 15.0, 30.0])
@pytest.mark.parametrize("kind", ["gauge", "samples", "histogram"])
def test_arms_whose_clocks_are_apart_are_cut_at_one_place(lag, kind):
    time = 1_772_632_800.0 + 60 * np.arange(60)
    edges = np.append(np.geomspace(50, 200, 19), np.inf)
    arms = {}
    for arm, values, late in zip(("baseline", "canary"), 100 + NOISE, (0.0, lag), strict=True):
        arms[arm] = {"time": time + late, "value": values}
        if kind == "histogram":
            spread = np.random.default_rng(7).normal(values[:, None], 20, (60, 50))
            counts = [np.bincount(np.searchsorted(edges, row), minlength=20) for row in spread]
            arms[arm] = {"time": time + late, "edges": edges, "buckets": np.array(counts, dtype=float)}
    verdict = cj.judge({"m": arms}, cj.Policy(metrics=[cj.Metric(name="m", kind=kind, direction="increase")]))
    late = next(finding for finding in verdict.metrics["m"].findings if finding.rule == "late_shift")
    assert verdict.outcome == "pass"
    assert late.n_baseline == late.n_canary == 30

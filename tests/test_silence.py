"""What is missing, or left unsaid, never passes silently."""

import numpy as np
import pandas as pd
import pytest

import canaryjudge as cj

NOISE = np.random.default_rng(2).normal(100, 3, (2, 60))


def gauge(canary, **settings):
    metric = cj.Metric(**({"name": "p99", "unit": "ms", "direction": "increase"} | settings))
    return cj.judge({"p99": {"baseline": NOISE[0], "canary": canary}}, cj.Policy(metrics=[metric]))


@pytest.mark.parametrize("lost", [np.inf, np.nan])
def test_a_pass_is_withheld_where_one_arm_lacks_far_more_of_its_values(lost):
    """A p99 above the last bucket is +Inf: leaving it out would leave the fault out."""
    canary = NOISE[1].copy()
    assert gauge(canary).outcome == "pass"
    canary[:40] = lost
    verdict = gauge(canary)
    assert (verdict.outcome, verdict.metrics["p99"].reason) == ("marginal", "too_little_data")
    assert verdict.lacks_data
    assert "one arm lacks far more of its values than the other" in verdict.explain().replace("\n    ", " ")


def test_values_missing_alike_in_both_arms_do_not_matter():
    both = NOISE.copy()
    both[:, ::3] = np.nan
    metric = cj.Metric(name="p99", direction="increase")
    verdict = cj.judge({"p99": {"baseline": both[0], "canary": both[1]}}, cj.Policy(metrics=[metric]))
    assert verdict.outcome == "pass"


def notes(data, policy):
    return {note.code for note in next(iter(cj.judge(data, policy).metrics.values())).warnings}


def test_equal_exposure_is_said_where_a_count_has_neither_total_nor_split():
    data = {"restarts": {"baseline": [50] * 20, "canary": [50] * 20}}
    metric = cj.Metric(name="restarts", kind="count", direction="increase")
    assert "equal_exposure" in notes(data, cj.Policy(metrics=[metric]))
    split = cj.Split(baseline="90%", canary="10%")
    assert "equal_exposure" not in notes(data, cj.Policy(metrics=[metric], split=split))
    arm = {"value": [50] * 20, "total": [1.0] * 20}
    assert "equal_exposure" not in notes(
        {"restarts": {"baseline": arm, "canary": arm}}, cj.Policy(metrics=[metric])
    )


def test_a_success_ratio_under_the_default_tolerance_is_warned_of():
    """99.9 % may fall to 90.8 % before it counts as worse: ninety times the failures."""
    arm = {"value": [9990] * 20, "total": [10_000] * 20}
    data = {"success": {"baseline": arm, "canary": arm}}
    settings = {"name": "success", "kind": "ratio", "direction": "decrease"}
    verdict = cj.judge(data, cj.Policy(metrics=[cj.Metric(**settings)]))
    (note,) = [note for note in verdict.metrics["success"].warnings if note.code == "success_ratio"]
    assert note.facts["times"] == pytest.approx((1 - 0.999 / 1.1) / 0.001)
    assert "give tolerance.absolute" in " ".join(verdict.explain().split())
    chosen = cj.Metric(**settings, tolerance={"absolute": "0.1%"})
    assert "success_ratio" not in notes(data, cj.Policy(metrics=[chosen]))


@pytest.mark.parametrize("name", ["time", "timestamp", "ts"])
def test_times_are_found_by_their_usual_names(name):
    times = pd.date_range("2026-01-01", periods=60, freq="min", tz="UTC")
    frame = pd.concat(
        pd.DataFrame({"metric": "p99", "arm": arm, name: times, "value": values})
        for arm, values in zip(("baseline", "canary"), NOISE, strict=True)
    )
    verdict = cj.judge(
        frame.sample(frac=1, random_state=1), cj.Policy(metrics=[cj.Metric(name="p99", direction="increase")])
    )
    result = verdict.metrics["p99"]
    assert (result.pairing, result.interval_s) == ("concurrent", 60)
    assert (result.overlap_start, result.overlap_end) == (times[0].timestamp(), times[-1].timestamp())


def test_a_silent_arm_is_no_data_where_the_policy_says_what_that_does():
    rows = [{"metric": "p99", "arm": "baseline", "value": value} for value in NOISE[0]]
    policy = cj.Policy(metrics=[cj.Metric(name="p99", direction="increase", no_data="fail")])
    assert cj.judge(rows, policy).outcome == "fail"
    with pytest.raises(cj.DataError, match="set no_data for every metric"):
        cj.judge(rows, cj.Policy(metrics=[cj.Metric(name="p99", direction="increase")]))
    with pytest.raises(cj.DataError, match="Did you mean 'baseline'"):
        cj.judge(rows, policy, baseline="baselin")
    with pytest.raises(cj.DataError, match="Known arms: baseline"):  # which is the other arm
        cj.judge(rows, policy, canary="baselin")
    with pytest.raises(cj.DataError, match="no arm 'v1'"):
        cj.judge(rows, policy, baseline="v1", canary="v2")

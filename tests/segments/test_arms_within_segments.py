"""Several canaries within segments: each its verdict alone at its part of alpha, and best and worst by direct comparison within segments."""

import numpy as np
import pandas as pd
import pytest
from cohorts import MINUTES, START, arms_of_one_mix, arms_of_two_mixes, policy
from cohorts import SEVERAL as ARMS

import canaryjudge as cj

LATENCY = {"unit": "ms", "direction": "increase", "tolerance": "15%"}
ERRORS = {"kind": "ratio", "direction": "increase"}


def judged(data, asked, canary=ARMS[1:], **names):
    found = cj.judge(data, asked, **{"baseline": "stable", "canary": list(canary), **names})
    assert found == type(found).from_json(found.to_json())
    return found


def test_each_arm_has_the_verdict_that_it_has_alone_at_its_part_of_alpha():
    data = arms_of_one_mix(np.random.default_rng(1), {"b": {"asia": 0.6}})
    asked = policy(**LATENCY)
    found = judged(data, asked)
    assert [verdict.outcome for verdict in found.values()] == ["pass", "fail", "pass"]
    for arm, parts in (("b", 3), ("a", 2), ("c", 2)):
        alone = cj.judge(
            data, asked.model_copy(update={"alpha": 0.01 / parts}), baseline="stable", canary=arm
        )
        assert found[arm].metrics == alone.metrics
        assert found[arm].segments == alone.segments
    assert [each.name for each in found["b"].segments.metrics["m"].culprits] == [("asia",)]
    assert "m FAIL: worse only in asia" in found.explain()
    assert "Segments of m of b" in found.to_html()


def test_the_worst_arm_is_the_one_that_is_worse_within_segments():
    found = judged(arms_of_one_mix(np.random.default_rng(2), {"a": -0.3, "b": 0.3}), policy(**LATENCY))
    assert (found.best, found.worst) == ("a", "b")
    (ranking,) = found.ranking
    assert max(ranking.pvalue_best, ranking.pvalue_worst) < ranking.level


def test_another_mix_of_segments_makes_no_arm_the_worst_and_hides_none():
    rng = np.random.default_rng(3)
    same = judged(arms_of_two_mixes(rng, {}), policy(**ERRORS))
    assert same.worst is None
    assert same.best is None
    assert [verdict.outcome for verdict in same.values()].count("fail") == 0
    pooled = cj.judge(
        arms_of_two_mixes(rng, {}),
        cj.Policy(metrics=policy(**ERRORS).metrics),
        baseline="stable",
        canary=["a", "b", "c"],
    )
    assert pooled.worst == "c"
    hidden = judged(arms_of_two_mixes(rng, {"a": 0.5}), policy(**ERRORS))
    assert hidden.worst == "a"
    assert hidden["a"].outcome == "fail"


def test_equal_arms_are_named_in_no_more_than_alpha():
    rng, asked = np.random.default_rng(4), policy(**LATENCY)
    named = [judged(arms_of_one_mix(rng, {}), asked).ranking[0] for _ in range(25)]
    assert sum(one.best is not None or one.worst is not None for one in named) <= 1


def test_metrics_without_segments_are_ranked_as_ever():
    rng = np.random.default_rng(5)
    queue = pd.DataFrame(
        {
            "metric": "queue",
            "arm": arm,
            "time": START + 60 * np.arange(MINUTES),
            "value": rng.normal(80 if arm == "c" else 50, 2, MINUTES),
        }
        for arm in ARMS
    ).explode(["time", "value"])
    data = pd.concat([arms_of_one_mix(rng, {"b": 0.3}), queue], ignore_index=True)
    data["value"], data["time"] = data["value"].astype(float), data["time"].astype(float)
    metrics = [*policy(**LATENCY).metrics, cj.Metric(name="queue", direction="increase")]
    found = judged(data, cj.Policy(metrics=metrics, segments={"by": ["region"]}))
    assert {one.metric: one.worst for one in found.ranking} == {"m": "b", "queue": "c"}
    assert found["a"].segments.unnamed == ("queue",)


def test_arms_with_baselines_of_their_own_are_not_ranked_within_segments():
    data = arms_of_one_mix(np.random.default_rng(6), {"c": 0.5})
    found = judged(data, policy(**LATENCY), canary=["b", "c"], baseline=["stable", "a"])
    assert [verdict.outcome for verdict in found.values()] == ["pass", "fail"]
    assert found.ranking == ()
    assert "neither a best nor a worst one is named" in found.explain()


def test_arms_that_share_too_few_segments_are_not_compared():
    data = arms_of_one_mix(np.random.default_rng(7), {"b": 0.5})
    data = data[~((data["arm"] == "c") & data["region"].isin(["eu", "us"]))]
    found = judged(data, policy(**LATENCY))
    assert found["c"].outcome == "marginal"
    assert found["c"].metrics["m"].reason == "segments_left_out"
    assert found.worst is None


@pytest.mark.parametrize("arm", ["a", "c"])
def test_segments_of_two_columns_are_those_of_the_first_where_they_are_too_thin(arm):
    rng = np.random.default_rng(8)
    data = arms_of_one_mix(rng, {"b": 0.5}).assign(device="phone")
    thin = data.groupby(["region", "arm"], sort=False).head(4).assign(device="tablet")
    data = pd.concat([data, thin], ignore_index=True)
    found = judged(data, policy(by=("region", "device"), **LATENCY))
    assert (
        found[arm].segments.by
        == cj.judge(
            data, policy(by=("region", "device"), **LATENCY), baseline="stable", canary=arm
        ).segments.by
    )
    assert found.worst == "b"

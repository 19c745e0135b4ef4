"""Objectives are said as they were written, with what was found beside them."""

import numpy as np
import pytest
from objective_worlds import EDGES, histograms

import canaryjudge as cj
from canaryjudge.policy import Slo

NOISE = np.random.default_rng(5).normal(0, 2, 100)
NOISE -= NOISE.mean()


def said(rule, baseline, canary, **settings):
    metric = cj.Metric(**({"name": "m", "direction": "increase", "unit": "ms", "rules": [rule]} | settings))
    verdict = cj.judge({"m": {"baseline": baseline, "canary": canary}}, cj.Policy(metrics=[metric]))
    return " ".join(verdict.explain().split("\n\n")[1].split())


def gauge(level, baseline=180, **settings):
    return said(Slo(of="mean", **settings), baseline + NOISE, level + NOISE)


@pytest.mark.parametrize(
    ("settings", "level", "words"),
    [
        ({"op": "lte", "change": "+10%"}, 212, "canary mean is 212 ms (98 % CI 21"),
        (
            {"op": "lte", "change": "+10%"},
            212,
            "ms), baseline 180 ms: objective <= +10 % (198 ms) is breached; t test of both means",
        ),
        ({"op": "lte", "change": "+10%"}, 190, "baseline 180 ms: objective <= +10 % (198 ms) is met; "),
        (
            {"op": "lte", "change": "+10%"},
            198,
            "objective <= +10 % (198 ms) is proven neither met nor breached",
        ),
        ({"op": "gte", "change": "-8%"}, 150, "objective >= -8 % (166 ms) is breached"),
        (
            {"op": "lte", "change": {"relative": "1%", "absolute": "5ms"}},
            212,
            "objective <= +1 % or +5 ms (185 ms) is breached",
        ),
        (
            {"op": "lte", "change": "+10%", "fail_change": "+20%"},
            212,
            "objective <= +10 % (198 ms) is breached, but it is not proven to lie beyond 216 ms, where it fails",
        ),
        (
            {"op": "lte", "change": "+10%", "fail_change": "+15%"},
            220,
            "objective <= +10 % (198 ms) is breached, and so is 207 ms, where it fails",
        ),
        ({"between": [170, 190]}, 180, "which meets the objective 170 to 190 ms"),
        ({"between": [170, 190]}, 212, "which breaches the objective 170 to 190 ms (baseline 180 ms)"),
        ({"between": [170, 190]}, 190, "whether it meets the objective 170 to 190 ms is not proven"),
        (
            {"op": "lte", "value": 190, "fail_value": 200},
            212,
            "which breaches the objective <= 190 ms and 200 ms, where it fails (baseline 180 ms)",
        ),
        (
            {"op": "lte", "value": 190, "fail_value": 250},
            212,
            "which breaches the objective <= 190 ms, but is not proven to lie beyond 250 ms, where it fails",
        ),
        (
            {"between": [170, 190], "fail_between": [100, 300]},
            212,
            "is not proven to lie beyond 100 ms or 300 ms, where it fails",
        ),
    ],
)
def test_an_objective_is_said_as_it_was_written(settings, level, words):
    assert words in gauge(level, **settings)


def test_a_share_is_said_in_percent_with_its_bound():
    rule = Slo(of="within", bound="0.2s", op="gte", value="99%")
    found = said(rule, 180 + NOISE, 180 + NOISE, kind="samples")
    assert (
        "canary share within 200 ms is 100 % (98 % CI 95 to 100 %): whether it meets the objective >= 99 % is not proven"
        in found
    )
    change = Slo(of="within", bound=182, op="gte", change={"absolute": "-5%"})
    found = said(change, 180 + NOISE, 190 + NOISE, kind="samples")
    assert "objective >= -5 percentage points" in found


def test_a_percentile_of_buckets_is_said_with_its_bucket():
    rng = np.random.default_rng(6)
    arms = [
        {"buckets": histograms(rng, 20, 300, median=median).tolist(), "edges": EDGES[:-1].tolist()}
        for median in (0.02, 0.08)
    ]
    settings = {"kind": "histogram", "unit": "s"}
    found = said(Slo(of="p95", op="lte", value="0.2s"), *arms, **settings)
    assert "canary p95, inside the bucket (250 ms, 500 ms], is 29" in found
    assert " ms (98 % CI 250 to 500 ms), which breaches the objective <= 200 ms" in found
    assert "6,000 v. 6,000 observations in 20 v. 20 intervals" in found
    found = said(Slo(of="within", bound=0.3, op="gte", value="99%"), *arms, **settings)
    assert "canary share within 300 ms, a bound inside the bucket (250 ms, 500 ms], is 9" in found


def test_a_baseline_of_zero_is_said_to_need_an_absolute_part():
    arms = ({"value": [0] * 10, "total": [1000] * 10},) * 2
    found = said(Slo(of="pooled", op="lte", change="+10%"), *arms, kind="ratio", unit="")
    assert (
        "where a change in percent means nothing and no rise is proven: give the change an absolute part"
        in found
    )

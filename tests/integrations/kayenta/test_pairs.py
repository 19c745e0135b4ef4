import json
import math

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.integrations.kayenta import pairs as kayenta_pairs
from tests.kayenta_requests import SCOPE, metric, pair, request

rng = np.random.default_rng(9)
LOW, HIGH = rng.normal(10, 1, 60).tolist(), rng.normal(14, 1, 60).tolist()


def test_control_is_the_baseline_and_times_are_those_of_the_scopes():
    later = SCOPE | {"startTimeMillis": 0, "stepMillis": 1_000}
    data = cj.from_kayenta(
        [pair("cpu", [1, 2, 3], [4, "NaN"], scopes={"control": SCOPE, "experiment": later})]
    )
    baseline, canary = data["cpu"]["baseline"], data["cpu"]["canary"]
    assert baseline["value"].tolist() == [1.0, 2.0, 3.0]
    assert (baseline["time"] - 1_704_067_200).tolist() == [0.0, 60.0, 120.0]
    assert canary["time"].tolist() == [0.0, 1.0]
    assert canary["value"][0] == 4.0
    assert math.isnan(canary["value"][1])


@pytest.mark.parametrize(
    "scopes",
    [
        None,
        {},
        {"control": SCOPE},
        {"control": SCOPE, "experiment": {"stepMillis": 0, "startTimeMillis": 0}},
        {"control": 3, "experiment": 3},
    ],
)
def test_without_both_times_there_are_none(scopes):
    data = cj.from_kayenta([pair("cpu", [1, 2], [3, 4], scopes=scopes)])
    assert set(data["cpu"]["baseline"]) == {"value"}


def test_the_old_format_has_its_times_beside_the_values():
    old = {
        "name": "cpu",
        "values": {"control": [1, 2], "experiment": [3, 4]},
        "startTimeMillis": 60_000,
        "stepMillis": 1_000,
    }
    assert cj.from_kayenta([old])["cpu"]["canary"]["time"].tolist() == [60.0, 61.0]


def test_what_it_gives_is_judged():
    policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")])
    for document in (
        [pair("cpu", LOW, HIGH)],
        request(pair("cpu", LOW, HIGH)),
        json.dumps([pair("cpu", LOW, HIGH)]),
    ):
        assert cj.judge(cj.from_kayenta(document), policy).outcome == "fail"


def test_tag_sets_become_replicas():
    rows = [pair("cpu", [1, 2], [3, 4], tags={"zone": zone, "pod": "x"}) for zone in "ab"]
    arm = cj.from_kayenta(rows)["cpu"]["canary"]
    assert arm["value"].tolist() == [3.0, 4.0, 3.0, 4.0]
    assert arm["replica"].tolist() == ["pod=x,zone=a"] * 2 + ["pod=x,zone=b"] * 2
    twins = cj.from_kayenta([pair("cpu", [1], [2]), pair("cpu", [1], [2])])
    assert twins["cpu"]["canary"]["replica"].tolist() == ["/0", "/1"]
    judged = cj.judge(
        cj.from_kayenta([pair("cpu", LOW, HIGH, tags={"zone": zone}) for zone in "ab"]),
        cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")]),
    )
    assert judged.metrics["cpu"].n_canary > 0


def test_missing_points_become_zeros_where_the_config_says_so():
    pairs = [pair("errors", ["NaN", 1], ["NaN", 2]), pair("cpu", ["NaN", 1], [1, 2])]
    metrics = [metric("errors", nanStrategy="replace"), metric("cpu")]
    for data in (
        cj.from_kayenta(request(*pairs, metrics=metrics)),
        cj.from_kayenta(pairs, config={"metrics": metrics}),
    ):
        assert data["errors"]["baseline"]["value"].tolist() == [0.0, 1.0]
        assert math.isnan(data["cpu"]["baseline"]["value"][0])
    assert math.isnan(cj.from_kayenta(pairs)["errors"]["baseline"]["value"][0])


def test_numbers_beyond_all_doubles_are_infinite():
    values = cj.from_kayenta([pair("cpu", [10**400, -(10**400), 1], ["INF", "-Infinity", None])])["cpu"]
    assert values["baseline"]["value"].tolist() == [math.inf, -math.inf, 1.0]
    assert values["canary"]["value"].tolist() == [math.inf, -math.inf, 0.0]


def test_a_text_too_long_is_refused_unread(monkeypatch):
    monkeypatch.setattr(kayenta_pairs, "KAYENTA_CHARACTERS", 100)
    with pytest.raises(cj.DataError, match="has 101 characters, and at most 100 are read"):
        cj.from_kayenta("[" * 101)


@pytest.mark.parametrize("wrong", [3, "3", None, {"metricSetPairList": 3}, {}])
def test_what_is_no_list_is_refused(wrong):
    with pytest.raises(cj.DataError, match="not a list of metric set pairs"):
        cj.from_kayenta(wrong)

"""What is known of a service from before, in the shapes it comes in."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import canaryjudge as cj
from canaryjudge.data import read_history

POLICY = cj.Policy(
    metrics=[
        cj.Metric(name="cpu", direction="increase"),
        cj.Metric(name="e", kind="ratio", direction="increase"),
    ]
)
ROWS = [{"metric": "cpu", "time": 60.0 * t, "value": 1.0 + t, "total": None} for t in range(5)] + [
    {"metric": "e", "time": 60.0 * t, "value": 1.0, "total": 100.0} for t in range(5)
]


@pytest.mark.parametrize("make", [list, pd.DataFrame, pl.DataFrame])
def test_a_table_without_arms_is_one_series_a_metric(make):
    found = read_history(make(ROWS), POLICY)
    (cpu,), (errors,) = found.tracks["cpu"], found.tracks["e"]
    assert cpu.value.tolist() == [1, 2, 3, 4, 5]
    assert errors.total.tolist() == [100] * 5


def test_arms_and_replicas_are_series_side_by_side():
    rows = [row | {"replica": name} for row in ROWS[:5] for name in "ab"]
    assert [track.arm for track in read_history(rows, POLICY).tracks["cpu"]] == ["a", "b"]
    rows = [row | {"arm": name} for row in ROWS[:5] for name in ("old", "new")]
    assert [track.arm for track in read_history(rows, POLICY).tracks["cpu"]] == ["old", "new"]


def test_a_mapping_names_one_series_or_several():
    assert len(read_history({"cpu": np.ones(4)}, POLICY).tracks["cpu"]) == 1
    assert len(read_history({"cpu": {"value": np.ones(4), "time": np.arange(4)}}, POLICY).tracks["cpu"]) == 1
    assert len(read_history({"cpu": {"a": [1.0], "b": [2.0]}}, POLICY).tracks["cpu"]) == 2


def releases(outcomes):
    return [
        row | {"release": name, "arm": arm, **({} if outcome is None else {"outcome": outcome})}
        for name, outcome in outcomes.items()
        for arm in ("baseline", "canary")
        for row in ROWS
    ]


def test_releases_come_with_what_became_of_them():
    found = read_history(releases({"v1": "good", "v2": "Bad"}), POLICY).releases
    assert [(release.name, release.healthy) for release in found] == [("v1", True), ("v2", False)]
    assert [len(arm) for arm in found[0].metrics["cpu"]] == [5, 5]
    assert all(release.healthy for release in read_history(releases({"v1": None}), POLICY).releases)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"cpus": [1.0]}, "no metric of the policy"),
        ([{"metric": "disk", "value": 1.0}], "no metric of the policy"),
        (releases({"v1": "great"}), "the outcome 'great' is not known"),
        ([row for row in releases({"v1": "good"}) if row["arm"] == "canary"], "has no arm 'baseline'"),
        ([*releases({"v1": "good"}), releases({"v1": "bad"})[0]], "two outcomes"),
        (7, "the data are"),
    ],
)
def test_mistakes_are_told(data, said):
    with pytest.raises(cj.DataError, match=said):
        read_history(data, POLICY)

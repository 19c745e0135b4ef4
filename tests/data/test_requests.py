"""Requests of both arms, joined by their ids: whatever the ids are, in whatever order, with what is missing counted."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import canaryjudge as cj
from canaryjudge.data import read_pairs

LATENCY = cj.Policy(metrics=[cj.Metric(name="ms", kind="pairs", direction="increase")])
ERRORS = cj.Policy(metrics=[cj.Metric(name="errors", kind="paired_ratio", direction="increase")])


def read(data, policy=LATENCY):
    (pair,) = read_pairs(data, policy).values()
    return pair


def notes(pair):
    return {(note.code, note.arm): note.count for note in pair.notes if note.code != "too_few_points"}


def tidy(ids, values):
    return [
        {"metric": "ms", "arm": arm, "request": id_, "value": value}
        for arm in ("baseline", "canary")
        for id_, value in zip(ids[arm], values[arm], strict=True)
    ]


IDS = {"baseline": ["a", "b", "c", "d"], "canary": ["d", "x", "a", "b"]}
VALUES = {"baseline": [1.0, 2.0, 3.0, 4.0], "canary": [40.0, 0.5, 10.0, 20.0]}


@pytest.mark.parametrize("form", ["rows", "pandas", "polars", "mapping"])
@pytest.mark.parametrize("numbers", [False, True])
def test_pairs_are_joined_by_the_ids_in_the_order_of_the_baseline(form, numbers):
    ids = {arm: [ord(name) if numbers else name for name in own] for arm, own in IDS.items()}
    data = tidy(ids, VALUES)
    if form == "mapping":
        data = {"ms": {arm: {"request": ids[arm], "value": VALUES[arm]} for arm in ids}}
    elif form != "rows":
        data = (pd if form == "pandas" else pl).DataFrame(data)
    pair = read(data)
    assert pair.baseline.value.tolist() == [1.0, 2.0, 4.0]
    assert pair.canary.value.tolist() == [10.0, 20.0, 40.0]
    assert pair.pairing == "concurrent"
    assert notes(pair) == {("unmatched_requests", "baseline"): 1, ("unmatched_requests", "canary"): 1}


def test_ids_as_numbers_in_one_arm_and_as_texts_in_the_other():
    data = {
        "ms": {
            "baseline": {"request": [7, 8], "value": [1, 2]},
            "canary": {"request": ["8", "7"], "value": [3, 4]},
        }
    }
    assert read(data).canary.value.tolist() == [4.0, 3.0]


def test_times_are_the_order():
    arms = {"request": [1, 2, 3], "value": [1.0, 2.0, 3.0], "time": [30, 10, 20]}
    pair = read({"ms": {"baseline": arms, "canary": arms | {"time": [5, 6, 7]}}})
    assert pair.baseline.value.tolist() == pair.canary.value.tolist() == [2.0, 3.0, 1.0]
    assert pair.baseline.time.tolist() == [10.0, 20.0, 30.0]


def test_what_cannot_be_used_is_counted():
    rows = {"request": ["a", None, "b", "c", "a"], "value": [1.0, 2.0, np.nan, 4.0, 9.0]}
    pair = read({"ms": {"baseline": rows, "canary": {"request": ["a", "b", "c"], "value": [1.0, 1.0, 1.0]}}})
    assert pair.baseline.value.tolist() == [1.0, 4.0]
    assert notes(pair) == {
        ("missing_requests", "baseline"): 1,
        ("missing_values", "baseline"): 1,
        ("repeated_requests", "baseline"): 1,
        ("unmatched_requests", "canary"): 1,
    }
    rows = [{"metric": "ms", "arm": arm, "request": id_, "value": 1.0} for arm in IDS for id_ in ("a", None)]
    assert notes(read(pd.DataFrame(rows)))["missing_requests", "canary"] == 1


@pytest.mark.parametrize(
    ("arms", "policy", "said"),
    [
        ({"baseline": [1.0], "canary": [2.0]}, LATENCY, "there is no column 'request'"),
        (
            {"baseline": {"request": ["a"], "value": [1]}, "canary": {"request": ["b"], "value": [1]}},
            LATENCY,
            "no request is in both arms; 'baseline' begins with 'a' and 'canary' with 'b'",
        ),
        (
            {"baseline": {"request": [1], "value": [0]}, "canary": {"request": [1], "value": [3]}},
            ERRORS,
            "the value is 3, and of one request it is 0 or 1",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(arms, policy, said):
    with pytest.raises(cj.DataError, match=said):
        read_pairs({policy.metrics[0].name: arms}, policy)


def test_an_arm_without_answers_is_no_data():
    verdict = cj.judge({"ms": {"baseline": {"request": [1], "value": [2.0]}, "canary": None}}, LATENCY)
    assert verdict.metrics["ms"].reason == "no_data"


def test_other_metrics_of_the_table_need_no_ids():
    rows = [
        *tidy(IDS, VALUES),
        *({"metric": "cpu", "arm": arm, "value": 1.0} for arm in ("baseline", "canary")),
    ]
    policy = cj.Policy(metrics=[*LATENCY.metrics, cj.Metric(name="cpu", direction="increase")])
    assert len(read_pairs(rows, policy)["ms"].canary) == 3

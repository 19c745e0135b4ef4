"""Rows of users: several of one add up, sums stand for all of them, and what cannot be meant is refused in a sentence."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from users import summed, users

import canaryjudge as cj
from canaryjudge.data import read_pairs

POLICY = cj.Policy(metrics=[cj.Metric(name="clicks", kind="users", direction="decrease", tolerance="2%")])


def world(sizes=(400, 300), change=0.0):
    rng = np.random.default_rng(1)
    return {
        arm: users(rng, size, change=own, named=arm)
        for arm, size, own in zip(("baseline", "canary"), sizes, (0.0, change), strict=True)
    }


def frame(arms):
    return pd.concat([pd.DataFrame(columns).assign(arm=arm) for arm, columns in arms.items()]).assign(
        metric="clicks"
    )


def halves(frame):
    """The same users in two rows each, shuffled."""
    half = frame.assign(value=frame["value"] / 2, total=frame["total"] / 2)
    return pd.concat([half, half]).sample(frac=1, random_state=1)


def told(data):
    verdict = cj.judge(data, POLICY)
    return verdict.outcome, verdict.explain(), verdict.metrics


def test_rows_of_any_library_in_any_number_and_order_are_the_users():
    arms = world()
    expected, table = told({"clicks": arms}), frame(arms)
    for data in (
        table,
        halves(table),
        pl.DataFrame(table),
        pa.Table.from_pandas(table),
        table.to_dict("records"),
    ):
        assert told(data) == expected
    numbered = halves(table).assign(user=lambda rows: pd.factorize(rows["user"])[0] * 7)
    assert told(numbered) == expected
    assert told(pl.DataFrame(numbered)) == expected
    many = cj.judge_many(halves(table).assign(test="a"), POLICY, by=["test"])
    assert many["a"].explain() == expected[1]


@pytest.mark.parametrize(
    "columns", [("value",), ("value", "total"), ("value", "covariate"), ("value", "total", "covariate")]
)
def test_sums_are_judged_as_the_users_are(columns):
    arms = {arm: {name: own[name] for name in columns} for arm, own in world(change=-0.3).items()}
    sums = {"clicks": {arm: summed(own) for arm, own in arms.items()}}
    assert told(sums) == told({"clicks": arms})
    assert told(json.loads(json.dumps(sums))) == told(sums)


def test_rows_that_cannot_be_used_are_left_out_and_noted():
    arms = world()
    arms["canary"]["value"][:3] = [np.nan, np.inf, 1e200]
    arms["canary"]["covariate"][4] = np.nan
    pair = read_pairs({"clicks": arms}, POLICY)["clicks"]
    assert (pair.baseline.points, pair.canary.points) == (400, 297)
    assert [(note.code, note.count) for note in pair.notes] == [("missing_values", 1), ("infinite_values", 2)]


def test_the_same_users_in_both_arms_are_no_comparison():
    own = world()["baseline"]
    assert (
        cj.judge({"clicks": {"baseline": own, "canary": own}}, POLICY).metrics["clicks"].reason == "same_data"
    )


def broken(**canary):
    arms = world()
    return {"clicks": {"baseline": arms["baseline"], "canary": arms["canary"] | canary}}


TWICE = {"user": ["a", "a", "b"], "value": [1, 2, 3], "total": [1, 1, 1], "covariate": [1, 2, 3]}


@pytest.mark.parametrize(
    ("canary", "said"),
    [
        (TWICE, "the rows of one user say that covariate is 1, and that it is 2"),
        ({"total": -np.ones(300)}, "a total is -1, and none can be negative"),
        ({"user": ["a", None] * 150}, "index 1: there is no user"),
        ({"covariate": None, "covariate_total": np.ones(300)}, "there is a covariate_total and no covariate"),
        ({"covariate": None}, "the users of 'baseline' have a covariate, and those of 'canary' have none"),
        ({"total": None}, "the users of 'baseline' have a total, and those of 'canary' have none"),
        ({"user": ["a"]}, "value has 300 points and user has 1"),
    ],
)
def test_rows_that_cannot_be_meant(canary, said):
    with pytest.raises(cj.DataError, match=said):
        read_pairs(broken(**canary), POLICY)


SUMS = {"value": 20.0, "value*value": 80.0}


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"n": 10, "sums": [1.0]}, "sums is .* where a mapping belongs"),
        ({"sums": SUMS}, "n is None where a number belongs"),
        ({"n": 2.5, "sums": SUMS}, "n is 2.5, which is no number of users"),
        ({"n": 10, "sums": SUMS | {"value": "20"}}, "value is '20' where a number belongs"),
        ({"n": 10, "sums": {"value*value": 80.0}}, "the sum of value is missing"),
        ({"n": 10, "sums": {"value": 20.0}}, r"the sum of value\*value is missing"),
        (
            {"n": 10, "sums": SUMS | {"valu*value": 1.0}},
            r"is no sum that is known here. Did you mean 'value\*value'",
        ),
        ({"n": 4, "sums": SUMS}, "less than any 4 numbers with the sum 20 have"),
    ],
)
def test_sums_that_cannot_be_meant(arm, said):
    with pytest.raises(cj.DataError, match=said):
        read_pairs({"clicks": {"baseline": arm, "canary": arm}}, POLICY)


def test_a_row_without_a_user_is_named_by_its_number():
    table = frame(world()).reset_index(drop=True)
    table.loc[6, "user"] = None
    with pytest.raises(cj.DataError, match="row 7: there is no user"):
        read_pairs(table, POLICY)

"""Pairs that are made at once are those that are read one by one; and most of healthy data are made so."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data.frames import labels, table_columns
from canaryjudge.data.plain_pairs import plain_pairs
from canaryjudge.data.reading import kinds_of, read_pairs_or_notes
from canaryjudge.data.tidy import TidyRows
from canaryjudge.errors import CanaryJudgeError
from canaryjudge.policy import Metric, Policy
from tests.tidy_worlds import table, worlds

ARMS = ("baseline", "canary")


def at_once(policy, releases):
    """Read releases, given as tables, at once."""
    codes = np.repeat(np.arange(len(releases)), [len(rows) for rows in releases])
    columns = table_columns(pd.concat(releases, ignore_index=True))
    groups = labels(columns["metric"], "metric"), labels(columns["arm"], "arm")
    rows = TidyRows(columns, groups, releases=codes, kinds=kinds_of(policy))
    return plain_pairs(rows, len(releases), policy, ARMS)


def assert_same(pairs, policy, rows):
    """Compare pairs with those that are read alone."""
    alone = read_pairs_or_notes(rows.dropna(axis=1, how="all"), policy, baseline=ARMS[0], canary=ARMS[1])
    for name, pair in pairs.items():
        other = alone[name]
        assert (pair.digest(), pair.interval, pair.notes, pair.pairing, pair.reported, pair.differenced) == (
            (other.digest(), other.interval, other.notes, other.pairing, other.reported, other.differenced)
        )
        assert pair.overlap == other.overlap
        assert not pair.baseline.replicas
        assert pair.edges is None


@given(st.lists(worlds(), min_size=1, max_size=4))
def test_of_odd_data_those_are_made_that_would_be_read_as_they_are(drawn):
    policy = drawn[0][0]
    tables = [rows for _, data in drawn if len(rows := table(data))]
    shared = [name for name in tables[0] if all(name in rows for rows in tables)] if tables else []
    tables = [rows[shared] for rows in tables]
    if not tables:
        return
    for pairs, rows in zip(at_once(policy, tables), tables, strict=True):
        if pairs is not None:
            assert_same(pairs, policy, rows)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def metric(**settings):
    return Metric(**{"name": "cpu", "direction": "increase", **settings})


def arms(value, **columns):
    """Lay the values of two arms into a table."""
    parts = [
        pd.DataFrame(
            {
                "metric": "cpu",
                "arm": arm,
                "value": own,
                **{name: column[i] for name, column in columns.items()},
            }
        )
        for i, (arm, own) in enumerate(zip(ARMS, value, strict=True))
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("kind", ["gauge", "samples", "ratio", "count"])
@pytest.mark.parametrize("step", [None, 15.0, 60.0])
def test_healthy_data_are_made_at_once(rng, kind, step):
    policy = Policy(metrics=[metric(kind=kind)])
    tables = []
    for _ in range(20):
        total = rng.poisson(1000, (2, 30)) + 1.0
        value = (
            rng.normal(200, 10, (2, 30))
            if kind in ("gauge", "samples")
            else rng.binomial(900, 0.2, (2, 30)) + 0.0
        )
        columns = {"total": total} if kind == "ratio" else {}
        if step is not None:
            columns["time"] = [1.7e9 + step * np.arange(30)] * 2
        tables.append(arms(value, **columns))
    made = at_once(policy, tables)
    raw_with_times = kind == "samples" and step is not None  # of which the rows come when they come
    assert sum(pairs is not None for pairs in made) == (0 if raw_with_times else 20)
    for pairs, rows in zip(made, tables, strict=True):
        if pairs is not None:
            assert_same(pairs, policy, rows)


def test_each_release_has_its_own_interval(rng):
    policy = Policy(metrics=[metric()])
    tables = [
        arms(rng.normal(200, 10, (2, 30)), time=[step * np.arange(30)] * 2) for step in (15.0, 60.0, 30.0)
    ]
    assert [pairs["cpu"].interval for pairs in at_once(policy, tables)] == [15.0, 60.0, 30.0]


@pytest.mark.parametrize(
    ("odd", "settings"),
    [
        (lambda value: value[0].__setitem__(7, np.nan), {}),
        (lambda value: value[0].__setitem__(7, np.inf), {}),
        (lambda value: value.__setitem__(1, value[0]), {}),
        (lambda value: value.__setitem__(1, np.roll(value[0], 3)), {}),
        (lambda value: value.__setitem__(1, value[1] / 1000), {}),
        (lambda value: value.__setitem__(1, value[1] / 60), {}),
        (lambda value: value.__setitem__(slice(None), np.sort(value, axis=1)), {}),
        (lambda value: value.__setitem__(0, 3.0), {}),
        (lambda value: value[1].__setitem__(slice(15, None), value[1][14]), {}),
        (lambda value: None, {"warmup": "5m"}),
        (lambda value: None, {"interval": "2m"}),
        (lambda value: None, {"min_points": 40}),
        (lambda value: None, {"counter": True, "kind": "count"}),
        (lambda value: value.__setitem__(slice(None), np.rint(value)), {"name": "errors"}),
    ],
)
def test_what_is_odd_is_left_to_be_read_alone(rng, odd, settings):
    policy = Policy(metrics=[metric(**settings)])
    value = rng.normal(200, 10, (2, 30))
    odd(value)
    rows = arms(value, time=[60.0 * np.arange(30)] * 2).assign(metric=policy.metrics[0].name)
    fine = arms(rng.normal(200, 10, (2, 30)), time=[60.0 * np.arange(30)] * 2).assign(
        metric=policy.metrics[0].name
    )
    made = at_once(policy, [rows, fine])
    assert made[0] is None
    assert (made[1] is not None) == (not settings)


@pytest.mark.parametrize("names", [("baseline", "canary", "Canary "), ("baseline", "canary", "other")])
def test_other_arms_do_not_matter_but_twins_do(rng, names):
    policy = Policy(metrics=[metric()])
    rows = [pd.DataFrame({"metric": "cpu", "arm": arm, "value": rng.normal(200, 10, 30)}) for arm in names]
    table_of_all = pd.concat(rows, ignore_index=True)
    (pairs,) = at_once(policy, [table_of_all])
    if names[2] == "other":
        assert_same(pairs, policy, table_of_all)
        return
    assert pairs is None
    with pytest.raises(CanaryJudgeError, match="differ by white space"):
        read_pairs_or_notes(table_of_all, policy, baseline=ARMS[0], canary=ARMS[1])


EVENTS = [
    (
        "fewer points of one arm",
        lambda columns: {name: (own[0], own[1][:-1]) for name, own in columns.items()},
    ),
    (
        "totals of one arm alone",
        lambda columns: columns | {"total": (columns["total"][0], np.full(30, np.nan))},
    ),
    (
        "less than no event",
        lambda columns: columns | {"value": (columns["value"][0], columns["value"][1] - 60)},
    ),
    (
        "no traffic",
        lambda columns: columns | {"total": (columns["total"][0], at(columns["total"][1], 7, 0.0))},
    ),
    (
        "more events than all",
        lambda columns: columns | {"value": (columns["value"][0], at(columns["value"][1], 7, 5e3))},
    ),
    ("shares", lambda columns: columns | {"value": (columns["value"][0], columns["value"][1] / 1000)}),
    (
        "totals that only grow",
        lambda columns: columns | {"total": tuple(np.cumsum(own) for own in columns["total"])},
    ),
    (
        "a minute is missing",
        lambda columns: {name: tuple(np.delete(own[i], 7) for i in (0, 1)) for name, own in columns.items()},
    ),
    (
        "a minute comes twice",
        lambda columns: columns | {"time": tuple(at(own, 7, own[6]) for own in columns["time"])},
    ),
    ("another clock", lambda columns: columns | {"time": (columns["time"][0], columns["time"][1] + 20)}),
]


def at(column, place, number):
    changed = column.copy()
    changed[place] = number
    return changed


@pytest.mark.parametrize(("what", "odd"), EVENTS, ids=[what for what, _ in EVENTS])
@pytest.mark.parametrize("kind", ["ratio", "count"])
def test_odd_events_are_left_to_be_read_alone(rng, what, odd, kind):
    policy = Policy(metrics=[metric(kind=kind)])
    columns = {
        "value": tuple(rng.poisson(50, 30) + 0.0 for _ in ARMS),
        "total": tuple(rng.poisson(1000, 30) + 1.0 for _ in ARMS),
        "time": (60.0 * np.arange(30),) * 2,
    }
    changed = odd(columns)
    tables = [arms(**each) for each in (changed, columns)]
    made = at_once(policy, tables)
    assert_same(made[1], policy, tables[1])
    if what == "more events than all" and kind == "count":
        assert_same(made[0], policy, tables[0])  # of an exposure there may be
    else:
        assert made[0] is None


@pytest.mark.parametrize("place", [slice(10, 16), slice(0, 6)])
def test_levels_that_stand_still_or_lie_a_unit_apart_are_left_to_be_read_alone(rng, place):
    policy = Policy(metrics=[metric()])
    still, apart = rng.normal(200, 10, (2, 2, 30))
    still[1][place] = still[1][place.start]
    apart[1] *= 1024
    time = [60.0 * np.arange(30)] * 2
    assert at_once(policy, [arms(still, time=time), arms(apart, time=time)]) == [None, None]


def test_without_times_arms_of_two_lengths_and_samples_that_are_all_the_same_are_left_to_be_read_alone(rng):
    value = rng.normal(200, 10, (2, 30))
    assert at_once(Policy(metrics=[metric()]), [arms((value[0], value[1][:-1]))] * 2) == [None, None]
    policy = Policy(metrics=[metric(kind="samples", min_points=3)])
    assert at_once(policy, [arms((value[0], np.full(30, 200.0)))]) == [None]


def test_an_arm_whose_other_metrics_go_on_has_stopped(rng):
    policy = Policy(metrics=[metric(), metric(name="memory")])

    def release(points):
        both = arms(rng.normal(200, 10, (2, 30)), time=[60.0 * np.arange(30)] * 2)
        short = both[both.groupby("arm").cumcount() < points].assign(metric="memory")
        return pd.concat([both, short.assign(value=short.value + 1)], ignore_index=True)

    whole, stopped = at_once(policy, [release(30), release(15)])
    assert sorted(whole) == ["cpu", "memory"]
    assert stopped is None


def test_twins_of_metrics_are_left_to_be_complained_of(rng):
    policy = Policy(metrics=[metric()])
    rows = arms(rng.normal(200, 10, (2, 30)))
    assert at_once(policy, [pd.concat([rows, rows.assign(metric="CPU")], ignore_index=True)]) == [None]

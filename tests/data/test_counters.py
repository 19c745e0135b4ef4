"""Counters that only grow: what they grew by, against a slow oracle, and what a policy with `counter: true` makes of them."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data import read_pairs
from canaryjudge.data.counters import EARLY, CounterState, ever_growing, increases, missed
from canaryjudge.data.diagnostics import Location
from canaryjudge.data.frames import object_array, to_exact_floats
from canaryjudge.errors import DataError
from canaryjudge.judging import judge
from canaryjudge.packing import pack
from canaryjudge.policy import Metric, Policy

T0 = 1_700_000_000.0


def policy(kind="count", **keys):
    """Make a policy of one metric; ``counter=None`` says nothing of it."""
    given = {"name": "m", "kind": kind, "direction": "increase", "counter": True} | keys
    return Policy(metrics=[Metric(**{key: value for key, value in given.items() if value is not None})])


def read(canary, baseline=None, **keys):
    data = {"m": {"baseline": canary if baseline is None else baseline, "canary": canary}}
    return read_pairs(data, policy(**keys))["m"]


def times(*steps, every=15.0):
    return (T0 + every * np.array(steps, dtype=float)).tolist()


def found(pair, code, arm="canary"):
    return [note.count for note in pair.notes if (note.code, note.arm) == (code, arm)]


# ---- the function


def by_hand(columns, replica, reset, parts):
    """Point by point, as a person would."""
    last, grown, points, resets, unclear = {}, [], [], 0, 0
    for index, (row, name, known) in enumerate(zip(columns, replica, reset, strict=True)):
        if name in last:
            steps = list(zip(row, last[name], strict=True))
            fell = any(new < old for new, old in steps)
            told = [(sum(row), sum(last[name]))] if parts else steps
            went_on = any(old <= new < 2 * old - 1 for new, old in told)
            if fell and went_on and not known:
                unclear += 1
            else:
                resets += known or fell
                grown.append([new if known or fell else new - old for new, old in steps])
                points.append(index)
        last[name] = row
    return grown, points, resets, unclear


@st.composite
def counters(draw):
    count, width = draw(st.integers(0, 25)), draw(st.integers(1, 3))
    columns = draw(
        st.lists(st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=count, max_size=count)
    )
    replica = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    reset = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return (
        np.array(columns, dtype=float).reshape(count, width),
        np.array(replica, dtype=np.intp),
        np.array(reset, dtype=bool),
    )


@given(counters(), st.booleans(), st.booleans())
def test_increases_are_those_of_the_slow_way(given_counters, restarts_known, parts):
    columns, replica, reset = given_counters
    reset = reset if restarts_known else np.zeros(len(reset), dtype=bool)
    result = increases(columns, replica, reset if restarts_known else None, parts=parts)
    grown, points, resets, unclear = by_hand(columns.tolist(), replica.tolist(), reset.tolist(), parts)
    assert result.columns.tolist() == grown
    assert (result.points.tolist(), result.resets, result.unclear) == (points, resets, unclear)
    assert (result.columns >= 0).all()
    assert result.columns.shape[1] == columns.shape[1]


@given(counters())
def test_without_a_restart_the_increases_add_up_to_what_lies_between_first_and_last(given_counters):
    columns, replica, _ = given_counters
    columns = columns.cumsum(axis=0)
    result = increases(columns, replica)
    assert result.resets == 0
    for name in set(replica.tolist()):
        own = columns[replica == name]
        assert (
            result.columns[replica[result.points] == name].sum(axis=0).tolist() == (own[-1] - own[0]).tolist()
        )


@given(counters(), st.randoms(use_true_random=False))
def test_how_replicas_are_interleaved_does_not_matter(given_counters, random):
    columns, replica, reset = given_counters
    names = replica.tolist()
    random.shuffle(names)  # another interleaving of the same points, each replica's in their order
    where = {name: iter(np.flatnonzero(replica == name).tolist()) for name in set(names)}
    order = np.array([next(where[name]) for name in names], dtype=np.intp)
    first, second = (
        increases(columns, replica, reset),
        increases(columns[order], replica[order], reset[order]),
    )
    at_end = dict(zip(first.points.tolist(), first.columns.tolist(), strict=True))
    assert at_end == dict(zip(order[second.points].tolist(), second.columns.tolist(), strict=True))
    assert (first.resets, first.unclear) == (second.resets, second.unclear)


def test_one_replica_needs_no_code():
    result = increases(np.array([[5.0, 9.0], [6.0, 20.0], [2.0, 40.0]]), None)
    # the total did not fall, but its process is the one that was restarted, and it has overtaken what it was
    assert result.columns.tolist() == [[1.0, 11.0], [2.0, 40.0]]
    assert (result.points.tolist(), result.resets, result.unclear) == ([1, 2], 1, 0)


@pytest.mark.parametrize(
    ("before", "after", "increase"),
    [
        ([2000, 5e8], [50, 5e8 + 1000], None),  # the value was registered anew, and the total was not
        ([2000, 9e5], [2020, 1038], None),  # and the other way round
        ([20, 800], [1, 1000], None),  # either might be
        ([20, 800], [1, 1600], [1, 1600]),
        ([0, 5e8], [0, 1000], [0, 1000]),
        ([1, 5e8], [1, 1000], [1, 1000]),  # rare errors: as many again since the restart
        ([3, 5e8], [60, 1000], [60, 1000]),
        ([3, 5e8], [2, 1000], [2, 1000]),
    ],
)
def test_a_counter_that_goes_on_while_another_falls_is_not_taken_to_have_begun_again(before, after, increase):
    for at in ([0, 1], [1, 0]):
        columns = np.array([before, after], dtype=float)[:, at]
        found = increases(columns, None)
        assert found.columns[:, at].tolist() == ([] if increase is None else [increase])
        assert (found.resets, found.unclear) == ((0, 1) if increase is None else (1, 0))


def test_steps_are_measured_by_the_steps_up_to_them():
    steps = np.array([30.0, 15.0, 15.0, 60.0, 15.0, 10.0])
    replica = np.array([0, 0, 0, 0, 0, 1], dtype=np.intp)
    skipped, early = missed(steps, replica, np.full((2, 4), np.nan))
    # the first step may be a gap, which nobody can know yet
    assert skipped.tolist() == [0, 0, 0, 3, 0, 0]
    assert np.nan_to_num(early).tolist() == [[30, 15, 15, 60], [10, 0, 0, 0]]
    for cut in range(7):
        first, known = missed(steps[:cut], replica[:cut], np.full((2, 4), np.nan))
        second, known = missed(steps[cut:], replica[cut:], known)
        assert [*first.tolist(), *second.tolist()] == skipped.tolist()
        assert np.array_equal(known, early, equal_nan=True)


# ---- counters of a policy


def test_counters_are_differenced_and_a_reset_is_noted_and_never_negative():
    pair = read({"value": [100, 110, 125, 5, 12], "time": times(0, 1, 2, 3, 4)})
    assert pair.canary.value.tolist() == [10, 15, 5, 7]
    assert pair.canary.time.tolist() == times(1, 2, 3, 4)
    assert found(pair, "counter_resets") == [1]
    assert {note.code for note in pair.notes} == {"counter_resets"}


def test_value_and_total_of_a_ratio_were_restarted_together():
    pair = read({"value": [5, 6, 2], "total": [100, 200, 410], "time": times(0, 1, 2)}, kind="ratio")
    assert pair.canary.value.tolist() == [1, 2]
    assert pair.canary.total.tolist() == [100, 410]


def test_where_one_of_them_goes_on_the_interval_is_left_out():
    columns = {"value": [5, 6, 2, 4], "total": [100, 200, 250, 300], "time": times(0, 1, 2, 3)}
    pair = read(columns, kind="ratio")
    assert (pair.canary.value.tolist(), pair.canary.total.tolist()) == ([1, 2], [100, 50])
    assert {note.code: note.count for note in pair.notes if note.arm == "canary"} == {"unclear_resets": 1}
    alone = read({name: column[1:3] for name, column in columns.items()}, kind="ratio")
    assert {note.code for note in alone.notes} == {"unclear_resets", "too_few_points"}


def test_errors_of_a_counter_that_was_registered_anew_are_not_thinned_by_its_totals_lifetime():
    rng = np.random.default_rng(0)
    total = np.cumsum(rng.poisson(1000, 40)) + 5e8
    faulty, fine = np.cumsum(rng.binomial(1000, 0.05, 40)), np.cumsum(rng.binomial(1000, 0.001, 40))
    value = faulty + 2000.0
    value[20:] -= value[19]
    data = {
        "m": {
            "baseline": {"value": fine, "total": total, "time": times(*range(40))},
            "canary": {"value": value, "total": total, "time": times(*range(40))},
        }
    }
    metric = judge(data, policy(kind="ratio")).metrics["m"]
    assert (metric.outcome, metric.n_canary) == ("fail", 38)
    anew = fine + 500.0
    lowered = total.copy()
    lowered[20:] -= lowered[19]
    data["m"]["canary"] = {"value": anew, "total": lowered, "time": times(*range(40))}
    metric = judge(data, policy(kind="ratio", pass_within="tolerance")).metrics["m"]
    assert (metric.outcome, metric.n_canary) == ("marginal", 38)
    assert (
        "1 interval left out in which one counter fell and another went on"
        in judge(data, policy(kind="ratio")).explain()
    )


def test_without_times_the_order_of_rows_is_time():
    assert read({"value": [1, 4, 9, 16]}).canary.value.tolist() == [3, 5, 7]
    assert read([1, 4, 9, 16]).canary.time is None


def test_replicas_are_differenced_each_and_then_added_up():
    columns = {"value": [100, 7, 110, 9, 130, 3], "replica": list("ababab"), "time": times(0, 0, 1, 1, 2, 2)}
    pair = read(columns)
    assert pair.canary.value.tolist() == [12, 23]
    assert [replica.value.tolist() for replica in pair.canary.replicas] == [[10, 20], [2, 3]]
    assert found(pair, "counter_resets") == [1]
    order = [4, 1, 0, 5, 3, 2]
    shuffled = {name: [column[index] for index in order] for name, column in columns.items()}
    assert read(shuffled).digest() == pair.digest()


def test_a_scrape_that_is_missing_makes_the_next_increase_longer():
    columns = {"value": [10, None, 30, 45], "total": [100, 200, 300, 400], "time": times(0, 1, 2, 3)}
    pair = read(columns, kind="ratio", interval="15s")
    assert pair.canary.value.tolist() == [20, 15]
    assert pair.canary.total.tolist() == [200, 100]
    assert (found(pair, "missing_values"), found(pair, "gaps")) == ([1], [1])


def test_a_count_shares_such_an_increase_out_over_the_intervals():
    pair = read({"value": [0, 4, 8, 19, 23], "time": times(0, 1, 2, 5, 6)})
    assert pair.canary.value.tolist() == [4, 4, 3, 4, 4, 4]
    assert pair.canary.time.tolist() == times(1, 2, 3, 4, 5, 6)
    assert found(pair, "gaps") == [2]


def test_of_a_named_replica_such_an_increase_is_the_report_of_several_intervals():
    columns = {
        "value": [0, 4, 8, 19, 0, 5, 10, 15, 20, 25],
        "replica": list("aaaabbbbbb"),
        "time": times(0, 1, 2, 5, *range(6)),
    }
    pair = read(columns)
    assert pair.canary.value.tolist() == [9, 9, 5, 5, 16]
    assert pair.canary.total.tolist() == [2, 2, 1, 1, 4]
    assert found(pair, "gaps") == [2]


def test_that_holds_for_one_named_replica_too():
    columns = {"value": [0, 4, 8, 19], "time": times(0, 1, 2, 5)}
    pair = read(
        columns | {"replica": list("aaaa")},
        baseline={"value": range(10), "time": times(*range(10))},
        interval="15s",
    )
    assert (pair.canary.value.tolist(), pair.canary.total.tolist()) == ([4, 4, 11], [1, 1, 3])
    assert (pair.baseline.total.tolist(), pair.canary.replicas) == ([1, 1, 1], ())
    whole = {"value": range(5), "time": times(*range(5))}
    assert read(whole | {"replica": list("aaaaa")}).digest() == read(whole).digest()


def test_a_count_of_seconds_shares_out_fractions():
    pair = read({"value": [0, 0.5, 2.0], "time": times(0, 1, 4)})
    assert pair.canary.value == pytest.approx([0.5, 0.5, 0.5, 0.5])


def test_a_count_with_a_total_has_its_exposure_there():
    pair = read({"value": [0, 4, 8, 20], "total": [0, 15, 30, 75], "time": times(0, 1, 2, 5)})
    assert pair.canary.value.tolist() == [4, 4, 12]
    assert pair.canary.total.tolist() == [15, 15, 45]


def test_what_was_counted_in_a_long_silence_is_left_out():
    pair = read({"value": [0, 4, 8, 12, 2000, 2004], "time": times(0, 1, 2, 3, 500, 501)})
    assert pair.canary.value.tolist() == [4, 4, 4, 4]
    assert found(pair, "gaps") == [496]
    far = read({"value": [0, 4, 8, 9], "time": times(0, 1, 2, 3e8)})
    assert far.canary.value.tolist() == [4, 4]


def test_repeated_rows_count_once():
    pair = read({"value": [1, 3, 3, 8], "time": times(0, 1, 1, 2)})
    assert pair.canary.value.tolist() == [2, 5]
    assert found(pair, "identical_rows") == [1]


@pytest.mark.parametrize("replica", [None, list("aab")])
def test_two_values_of_one_replica_at_one_time_are_an_error(replica):
    columns = {"value": [3, 4, 8], "time": times(1, 1, 1 if replica else 2)} | (
        {"replica": replica} if replica else {}
    )
    with pytest.raises(
        DataError, match=r"arm '(canary|baseline)'.*several values at 2023.*name the column 'replica'"
    ):
        read(columns)


def test_a_counter_of_one_point_is_no_data():
    pair = read({"value": [3, 4], "replica": ["a", "b"], "time": times(0, 0)})
    assert (len(pair.canary), found(pair, "first_of_counter")) == (0, [2])


def test_an_interval_without_requests_is_left_out():
    pair = read({"value": [1, 1, 2], "total": [10, 10, 20], "time": times(0, 1, 2)}, kind="ratio")
    assert (pair.canary.total.tolist(), found(pair, "no_traffic")) == ([10], [1])


def test_more_errors_than_requests_is_an_error():
    columns = {"value": [1, 30], "total": [100, 110], "time": times(0, 1)}
    with pytest.raises(DataError, match="value grew by 29 and total by 10 up to 2023"):
        read(columns, kind="ratio")
    # the counters need not have begun together
    assert read(
        {"value": [100, 101], "total": [10, 20], "time": times(0, 1)}, kind="ratio"
    ).canary.value.tolist() == [1]


def test_histograms_are_differenced_edge_by_edge():
    rows = [
        {"metric": "m", "arm": arm, "time": time, "le": le, "value": value}
        for arm in ("baseline", "canary")
        for time, counts in zip(times(0, 1, 2), ([5, 9], [7, 20], [1, 4]), strict=True)
        for le, value in zip(("0.1", "+Inf"), counts, strict=True)
    ]
    pair = read_pairs(pd.DataFrame(rows), policy("histogram"))["m"]
    assert pair.canary.buckets.tolist() == [[2, 9], [1, 3]]
    assert found(pair, "counter_resets") == [1]


def test_negative_counts_point_at_the_setting():
    rows = {"value": [3, -1], "le": ["0.1", "+Inf"]}
    matrix = {"edges": [0.1, 0.5], "buckets": [[1, 2, -3]]}
    for columns, kind in (({"value": [3, -1]}, "count"), (rows, "histogram"), (matrix, "histogram")):
        with pytest.raises(DataError, match=r"is -[13], and .* be negative.*set counter: true"):
            read(columns, kind=kind, counter=False)
        with pytest.raises(DataError, match=r"be negative. Give.*; a counter begins at 0 and only grows"):
            read(columns, kind=kind)


# ---- what was differenced already


def deltas(kind, size=40, seed=4):
    rng = np.random.default_rng(seed)
    total = rng.poisson(1000, size)
    if kind == "histogram":
        return {
            "edges": [0.1, 0.5],
            "buckets": rng.poisson(50, (size, 3)).tolist(),
            "time": times(*range(size)),
        }
    columns = {"value": rng.binomial(total, 0.05), "time": times(*range(size))}
    return columns | ({"total": total} if kind == "ratio" else {})


@pytest.mark.parametrize("kind", ["ratio", "count", "histogram"])
def test_what_each_interval_counted_is_no_counter(kind):
    with pytest.raises(DataError, match=r"fall at [0-9]+ of 39 steps.*leave out counter: true"):
        read(deltas(kind), kind=kind)
    plain, told = (
        read(deltas(kind), kind=kind, counter=False),
        read(deltas(kind) | {"increases": True}, kind=kind),
    )
    assert told.digest() == plain.digest()
    assert told.notes == plain.notes
    grown = {"increases": True} | (
        {"edges": [0.1, 0.5], "buckets": [[50 * i, 9, 9] for i in range(1, 30)]}
        if kind == "histogram"
        else {"value": range(1, 30), "total": range(100, 129)}
    )
    assert not found(read(grown, kind=kind), "looks_like_counter")


def test_counters_that_are_restarted_now_and_then_are_taken():
    value = np.cumsum(np.full(60, 20.0))
    for at in range(10, 60, 10):
        value[at:] -= value[at - 1]
    assert found(read({"value": value, "time": times(*range(60))}), "counter_resets") == [5]
    assert found(read({"value": [5, 3, 2, 1], "time": times(0, 1, 2, 3)}), "counter_resets") == [3]


# ---- counters that nobody declared


@pytest.mark.parametrize("kind", ["count", "ratio"])
def test_what_looks_like_a_counter_is_noted(kind):
    value = np.random.default_rng(1).poisson(100, 12).cumsum()
    columns = {"value": value // 50, "total": value} if kind == "ratio" else {"value": value}
    assert found(read(columns, kind=kind, counter=None), "looks_like_counter") == [12]
    assert not found(read(columns, kind=kind), "looks_like_counter")
    assert not found(read(columns, kind=kind, counter=False), "looks_like_counter")


def test_histograms_that_look_like_counters_are_noted():
    counts = np.random.default_rng(1).poisson(50, (12, 3)).cumsum(axis=0).tolist()
    series = {"edges": [0.1, 0.5], "buckets": counts}
    assert found(read(series, kind="histogram", counter=None), "looks_like_counter") == [12]
    assert not found(read(series, kind="histogram"), "looks_like_counter")
    assert not found(read(series, kind="histogram", counter=False), "looks_like_counter")


def test_counts_are_not_taken_for_counters():
    rng = np.random.default_rng(2)
    steady = rng.poisson(100, (2000, 10)).astype(float)
    ramp = rng.poisson(np.linspace(1000, 3000, 12), (2000, 12)).astype(float)
    one = np.zeros(12, dtype=np.intp)
    assert not any(ever_growing(row[:, np.newaxis], one[:10]) for row in steady)
    assert sum(ever_growing(row[:, np.newaxis], one) for row in ramp) <= 20
    assert not ever_growing(np.arange(9.0)[:, np.newaxis], one[:9])
    with_a_pause = np.repeat(np.arange(10.0), 2)[:, np.newaxis]
    assert not ever_growing(with_a_pause, np.zeros(20, dtype=np.intp))


@pytest.mark.parametrize("first", [2**53 + 1, 2**60 + 1, 2**63 - 1])
def test_counters_beyond_floats_are_differenced_as_whole_numbers(first):
    counts = [first + step for step in (0, 1, 3, 6, 10, 15)]
    numbers, rest = to_exact_floats(object_array(counts), Location("m", "canary"), "value")
    found = increases(numbers[:, np.newaxis], None, rest=rest[:, np.newaxis])
    assert found.columns[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert found.resets == found.unclear == 0


def test_a_restart_of_a_counter_beyond_floats_is_seen():
    counts = [2**60 + 1, 2**60 + 4, 5, 9]
    numbers, rest = to_exact_floats(object_array(counts), Location("m", "canary"), "value")
    found = increases(numbers[:, np.newaxis], None, rest=rest[:, np.newaxis])
    assert found.columns[:, 0].tolist() == [3, 5, 4]
    assert found.resets == 1


@pytest.mark.parametrize(
    "column",
    [
        [1, None, 2**60 + 1],
        [1.5, 2**60 + 1],
        [Decimal(2**60 + 1), Decimal("1.5")],
        [np.int64(2**60 + 1), True],
        [Fraction(2**61 + 2, 2)],
    ],
)
def test_what_floats_leave_out_is_told_of_numbers_of_any_kind(column):
    numbers, rest = to_exact_floats(object_array(column), Location("m", "canary"), "value")
    pairs = zip(np.nan_to_num(numbers).tolist(), rest.tolist(), strict=True)
    whole = {int(number) + int(more) for number, more in pairs}
    assert 2**60 + 1 in whole


def test_what_is_carried_of_a_counter_beyond_floats_is_carried_exactly():
    names, columns, times = ("a", "b"), np.array([[2.0**60], [5.0]]), np.array([1.0, 2.0])
    steps = np.full((2, EARLY), np.nan)
    state = CounterState(names, columns, times, steps, rest=np.array([[1.0], [0.0]]))
    again = CounterState.restore(state.state())
    assert again.rest.tolist() == [[1.0], [0.0]]
    assert "rest" not in CounterState(names, columns, times, steps, rest=np.zeros((2, 1))).state()
    later = CounterState(("a",), columns[:1], times[1:], steps[:1])
    assert state.union(later).rest is not None
    assert state.union(later).names == names
    with pytest.raises(ValueError, match="no number"):
        CounterState.restore(state.state() | {"rest": pack(np.array([[np.nan], [0.0]]))})

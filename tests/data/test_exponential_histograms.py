"""Exponential histograms: as OpenTelemetry writes them, and as ranges with a count."""

import math

import numpy as np
import polars as pl
import pytest
from histogram_data import INF, T0, both, matrix, minutes, notes, read, refused, rows_of
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data.exponential_histograms import bounded_edges, exponential_buckets, powers, range_buckets
from canaryjudge.errors import DataError


def exponential_of(values, scale, threshold=0.0):
    """The histogram of some values, by its definition: bucket i holds base^i < x <= base^(i+1)."""
    found = {"scale": scale, "zeroThreshold": threshold, "count": str(len(values))}
    found["zeroCount"] = sum(abs(value) <= threshold for value in values)
    for name, sign in (("positive", 1), ("negative", -1)):
        sizes = [sign * value for value in values if sign * value > threshold]
        if not sizes:
            continue
        index = [bucket_of(size, scale) for size in sizes]
        counts = [str(index.count(i)) for i in range(min(index), max(index) + 1)]
        found[name] = {"offset": min(index), "bucketCounts": counts}
    return found


def bucket_of(size, scale):
    near = math.floor(math.log2(size) * 2.0**scale)
    for index in range(near - 2, near + 3):
        if powers([index], scale)[0] < size <= powers([index + 1], scale)[0]:
            return index
    raise AssertionError(size)


def arm_of(values, scale, **more):
    return {
        "time": minutes(len(values)),
        "exponential": [exponential_of(each, scale) for each in values],
    } | more


def latencies(seed, size=4, each=50):
    rng = np.random.default_rng(seed)
    return rng.lognormal(-2, 0.5, (size, each)).tolist()


def check_counts(pair, arms):
    """Every bucket counts what lies in it."""
    for arm, values in zip((pair.baseline, pair.canary), arms, strict=True):
        for row, interval in zip(arm.buckets, values, strict=True):
            below = [sum(value <= edge for value in interval) for edge in pair.edges]
            assert row.cumsum().tolist() == below


def test_an_interval_counts_what_lies_in_each_bucket():
    arms = latencies(1), latencies(2)
    pair = read({"latency": {"baseline": arm_of(arms[0], 3), "canary": arm_of(arms[1], 3)}})
    assert pair.pairing == "concurrent"
    assert not pair.notes
    assert len(pair.edges) > 20
    check_counts(pair, arms)


values = st.lists(
    st.one_of(st.floats(1e-3, 1e3), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(-1e3, -1e-3)),
    min_size=1,
    max_size=8,
)


@given(
    st.lists(values, min_size=2, max_size=2),
    st.tuples(st.integers(-2, 6), st.integers(-2, 6)),
    st.sampled_from([0.0, 0.01, 0.7]),
)
def test_scales_may_differ(intervals, scales, threshold):
    items = [exponential_of(each, scale, threshold) for each, scale in zip(intervals, scales, strict=True)]
    sparse = exponential_buckets(items, str)
    edges, _ = bounded_edges(sparse, "here")
    counted = sparse.up_to(edges)
    assert counted[:, -1].tolist() == [len(each) for each in intervals]
    for row, interval in zip(counted, intervals, strict=True):
        for edge, count in zip(edges, row, strict=True):
            below = sum(value <= edge for value in interval)
            # mirrored buckets hold their lower edge and not their upper one, and a zero bucket both
            at = sum(value == edge for value in interval)
            assert np.isnan(count) or below - at <= count <= below


def test_a_finer_scale_is_known_to_a_coarser_one_where_it_has_nothing():
    fine = {"scale": 1, "positive": {"offset": 0, "bucketCounts": [1, 2, 3, 4]}}
    coarse = {"scale": 0, "positive": {"offset": 1, "bucketCounts": [5]}}
    pair = read(
        {
            "latency": {
                "baseline": {"time": minutes(1), "exponential": [fine]},
                "canary": {"time": minutes(1), "exponential": [coarse]},
            }
        }
    )
    # the middle of (1, 2] lies where the canary has nothing, that of (2, 4] where it has 5
    assert math.sqrt(2) in pair.edges
    assert 2 * math.sqrt(2) not in pair.edges
    assert notes(pair, "merged_buckets") == [("baseline", 1)]
    place = pair.edges.tolist().index(4.0)
    assert pair.baseline.buckets.cumsum(axis=1)[0, place] == 10


def test_what_one_does_not_know_and_the_other_has_none_of_is_no_repeat():
    """Unnamed replicas of one time: one has all in (1, 4], the other in (2, 4]."""
    coarse = {"scale": -1, "positive": {"offset": 0, "bucketCounts": [5]}}
    fine = {"scale": 0, "positive": {"offset": 1, "bucketCounts": [5]}}
    arm = {"time": minutes(1) * 2, "exponential": [coarse, fine]}
    pair = read({"latency": {"baseline": arm, "canary": arm}})
    assert pair.canary.value.tolist() == [10]
    assert not notes(pair, "identical_rows")


def test_fields_are_read_in_either_spelling_and_left_out_ones_are_zero():
    camel = {
        "scale": 2,
        "zeroCount": "3",
        "zeroThreshold": 0.5,
        "positive": {"offset": 1, "bucketCounts": ["7"]},
    }
    snake = {
        "scale": "2",
        "zero_count": 3,
        "zero_threshold": "0.5",
        "positive": {"offset": 1, "bucket_counts": [7]},
    }
    bare = {"positive": {"bucketCounts": [2]}}
    found = exponential_buckets([camel, snake, bare], str)
    assert found.row.tolist() == [0, 1, 2, 0, 1]
    assert found.count.tolist() == [7, 7, 2, 3, 3]
    assert found.upper.tolist()[2:] == [2.0, 0.5, 0.5]


def test_zeros_are_sizes():
    """With a positive edge above the zeros, a histogram of sizes has no edge that is not positive."""
    item = {"scale": 0, "zeroCount": 4, "positive": {"offset": 0, "bucketCounts": [6]}}
    arm = {"time": minutes(1), "exponential": [item]}
    pair = read({"latency": {"baseline": arm, "canary": arm}})
    assert pair.edges[0] > 0
    assert pair.canary.buckets[0, 0] == 4
    negative = {"scale": 0, "negative": {"offset": 0, "bucketCounts": [6]}}
    pair = read({"latency": {"baseline": arm, "canary": {"time": minutes(1), "exponential": [negative]}}})
    assert pair.edges[:2].tolist() == [-1.0, -(2.0**-1022)]
    assert pair.canary.buckets[0].tolist()[:1] == [6]


def test_buckets_that_reach_into_the_zero_bucket_are_part_of_it():
    item = {
        "scale": 0,
        "zeroCount": 1,
        "zeroThreshold": 3,
        "positive": {"offset": 0, "bucketCounts": [2, 4, 8]},
    }
    item["negative"] = {"offset": 0, "bucketCounts": [16, 32, 64]}
    found = exponential_buckets([item], str)
    assert found.lower.tolist() == [4.0, -8.0, -4.0]
    assert found.upper.tolist() == [8.0, -4.0, 4.0]
    assert found.count.tolist() == [8, 64, 1 + 2 + 4 + 16 + 32]


@pytest.mark.parametrize("offset", [2**31 - 2, -(2**31), 5000, -5000])
def test_offsets_beyond_all_doubles_do_no_harm(offset):
    item = {"scale": 0, "positive": {"offset": offset, "bucketCounts": [3]}}
    usual = {"scale": 0, "positive": {"offset": 0, "bucketCounts": [3, 2]}}
    arm = {"time": minutes(2), "exponential": [item, usual]}
    pair = read({"latency": {"baseline": arm, "canary": arm}})
    assert pair.canary.value.tolist() == [3, 5]
    assert np.isfinite(pair.edges[:-1]).all()


def test_very_many_edges_are_thinned():
    rng = np.random.default_rng(1)
    values = rng.lognormal(0, 2, (6, 300)).tolist()
    arm = arm_of(values, 12)
    pair = read({"latency": {"baseline": arm, "canary": arm}})
    assert 500 < len(pair.edges) < 2100
    check_counts(pair, (values, values))


def test_powers_of_two_around_the_observations_are_edges_too():
    pair = read({"latency": {arm: arm_of([[1.0, 1.5]], 3) for arm in ("baseline", "canary")}})
    assert {2.0**-6, 2.0**6} <= set(pair.edges)
    assert not pair.notes


def ranges_of(values, scale):
    """As the HTTP API of Prometheus gives it: non-empty buckets, their edges and count as texts."""
    item = exponential_of(values, scale)["positive"]
    edges = powers(np.arange(len(item["bucketCounts"]) + 1) + item["offset"], scale).tolist()
    return [
        [repr(low), repr(high), count]
        for low, high, count in zip(edges, edges[1:], item["bucketCounts"], strict=False)
        if count != "0"
    ]


def test_ranges_count_as_the_exponential_histograms_they_are_of():
    arms = latencies(3), latencies(4)
    ranges = [{"time": minutes(4), "buckets": [ranges_of(each, 3) for each in arm]} for arm in arms]
    exponential = [arm_of(arm, 3) for arm in arms]
    first = read({"latency": dict(zip(("baseline", "canary"), ranges, strict=True))})
    second = read({"latency": dict(zip(("baseline", "canary"), exponential, strict=True))})
    assert first.digest() == second.digest()
    mixed = read({"latency": {"baseline": ranges[0], "canary": exponential[1]}})
    assert mixed.digest() == first.digest()


def test_ranges_may_be_empty_open_and_around_zero():
    arm = {
        "time": minutes(3),
        "buckets": [[["-Inf", 0.5, 4], [1, "+Inf", 2]], [], [[-0.001, 0.001, 3], [1, 2, 1]]],
    }
    pair = read({"latency": {"baseline": arm, "canary": arm}})
    assert pair.canary.value.tolist() == [6, 4]
    assert notes(pair, "no_traffic") == [("baseline", 1), ("canary", 1)]
    place = pair.edges.tolist().index(0.5)
    assert pair.canary.buckets.cumsum(axis=1)[:, place].tolist() == [4, 3]


def test_fractional_ranges_are_rounded():
    """As increase() of Prometheus extrapolates them."""
    arm = {"time": minutes(1), "buckets": [[[1, 2, 2.6], [2, 4, 1.3]]]}
    pair = read({"latency": {"baseline": arm, "canary": arm}})
    assert notes(pair, "rounded_counts") == [("baseline", 1), ("canary", 1)]
    assert pair.canary.value.tolist() == [4]


def test_classic_and_exponential_arms_meet_where_both_know():
    canary = {
        "time": minutes(1),
        "exponential": [{"scale": 0, "positive": {"offset": -1, "bucketCounts": [3, 4]}}],
    }
    baseline = {"time": minutes(1), "edges": [0.25, 0.5, 1.0, 2.5], "buckets": [[1, 5, 2, 0, 0]]}
    pair = read({"latency": {"baseline": baseline, "canary": canary}})
    assert {0.25, 0.5, 1.0, 2.0} <= set(pair.edges)
    assert notes(pair, "merged_buckets") == []
    assert pair.baseline.buckets.sum() == 8


def test_columns_of_any_library_hold_exponential_histograms():
    items = [exponential_of(each, 3) for each in latencies(5)]

    def digest(column):
        arm = {"time": minutes(4), "exponential": column}
        return read({"latency": {"baseline": arm, "canary": arm}}).digest()

    expected = digest(items)
    # a struct of polars has null for what an item lacks
    sparse = [
        item | {"negative": {"offset": 0, "bucketCounts": []}} if index else item
        for index, item in enumerate(items)
    ]
    for column in (tuple(items), np.array(items, dtype=object), pl.Series(sparse)):
        assert digest(column) == expected


def test_too_large_counts_are_left_out():
    huge = {"scale": 0, "positive": {"offset": 0, "bucketCounts": ["1e300"]}}
    usual = {"scale": 0, "positive": {"offset": 0, "bucketCounts": [3, 2]}}
    arm = {"time": minutes(2), "exponential": [huge, usual]}
    pair = read({"latency": {"baseline": arm, "canary": arm}})
    assert notes(pair, "infinite_values") == [("baseline", 1), ("canary", 1)]


def item(**change):
    return {"scale": 0, "positive": {"offset": 0, "bucketCounts": [3, 2]}} | change


BAD = [
    (7, "index 1: 7 is no exponential histogram"),
    ({}, "index 1: {} is no exponential histogram"),
    ({"buckets": [1, 2]}, "is no exponential histogram"),
    (item(scale=21), "the scale is 21"),
    (item(scale=-11), "the scale is -11"),
    (item(scale=1.5), "scale is 1.5 where a whole number belongs"),
    (item(scale="nan"), "scale is 'nan' where a whole number belongs"),
    (item(scale=True), "scale is True where a number belongs"),
    (item(scale=[3]), "scale is [3] where a number belongs"),
    (item(zeroCount=-1), "a count in zeroCount is -1"),
    (item(zeroCount="many"), "a count in zeroCount is 'many' where a number belongs"),
    (item(zeroThreshold=-0.5), "the zeroThreshold is -0.5"),
    (item(zeroThreshold="Infinity"), "the zeroThreshold is inf"),
    (item(positive=[1, 2]), "positive is [1, 2]"),
    (item(positive={"offset": 2**40, "bucketCounts": [1]}), "no bucket of a double is so far from 1"),
    (
        item(positive={"offset": None, "bucketCounts": 3}),
        "positive.bucketCounts is 3 where a list of counts belongs",
    ),
    (item(positive={"bucketCounts": [1, None]}), "a count in positive.bucketCounts is None"),
    (item(positive={"bucketCounts": [1, "x"]}), "a count in positive.bucketCounts is 'x'"),
    (item(positive={"bucketCounts": [1, True]}), "a count in positive.bucketCounts is True"),
    (item(positive={"bucketCounts": [1, "nan"]}), "a count in positive.bucketCounts is nan"),
    (item(negative={"bucketCounts": [-2]}), "a count in negative.bucketCounts is -2"),
    (item(count=6), "the count is 6, and the buckets hold 5"),
    (item(count="5x"), "count is '5x'"),
]


@pytest.mark.parametrize(("unfit", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_a_mistake_in_an_exponential_histogram_is_told_in_one_sentence(unfit, sentence):
    series = {"time": minutes(2), "exponential": [item(), unfit]}
    message = refused({"latency": {"baseline": matrix("baseline"), "canary": series}})
    assert sentence in message
    assert "metric 'latency', arm 'canary', index 1: " in message


BAD_RANGES = [
    ([[1, 2, 3], [1.5, 4, 1]], "index 1: the buckets 1 to 2 and 1.5 to 4 overlap"),
    ([[1, 2, 3], [1, 2, 1]], "index 1: the buckets 1 to 2 and 1 to 2 overlap"),
    ([[2, 1, 3]], "index 1: [2.0, 1.0, 3.0] is no bucket"),
    ([[1, 2, -3]], "index 1: [1.0, 2.0, -3.0] is no bucket"),
    ([[1, 2, "NaN"]], "index 1: [1.0, 2.0, nan] is no bucket"),
    ([["+Inf", "+Inf", 1]], "is no bucket"),
    ([["-Inf", "-Inf", 1]], "is no bucket"),
    ([[1, 2]], "index 1: [1, 2] is no bucket"),
    ([[1, 2, 3, 4]], "index 1: [1, 2, 3, 4] is no bucket"),
    ([[1, 2, "x"]], "index 1: a bucket's part is 'x'"),
    ([[1, 2, None]], "index 1: a bucket's part is None"),
]


@pytest.mark.parametrize(("unfit", "sentence"), BAD_RANGES, ids=[sentence for _, sentence in BAD_RANGES])
def test_a_mistake_in_ranges_is_told_in_one_sentence(unfit, sentence):
    series = {"time": minutes(2), "buckets": [[[1, 2, 3]], unfit]}
    assert sentence in refused({"latency": {"baseline": matrix("baseline"), "canary": series}})


def test_lengths_must_agree():
    series = {"time": minutes(2), "exponential": [item()]}
    message = refused({"latency": {"baseline": matrix("baseline"), "canary": series}})
    assert "exponential has 1 rows and time has 2" in message


def test_very_many_different_edges_that_no_scale_thins_are_refused():
    rows = [[[index + 0.3, index + 0.6, 1]] for index in range(2000)]
    with pytest.raises(DataError, match="here: the histograms have 4001 different edges"):
        bounded_edges(range_buckets(rows, str), "here")
    le = rows_of("canary", [[1, 1]] * 9000, [T0 + i for i in range(9000)], [0.5, INF])
    for index, row in enumerate(le):
        row["le"] = row["le"] + index / 1e5
    with pytest.raises(DataError, match="the column le has 24000 different edges over 9001 histograms"):
        read(both([*le, *rows_of("canary", [[1] * 15000], [T0 + 1e5], [*range(1, 15000), INF])]))


rubbish = st.one_of(
    st.none(),
    st.integers(-3, 30),
    st.floats(),
    st.sampled_from(["3", "x", "", b"x", True, [1], {}, 10**400, INF]),
)
numbers = st.one_of(rubbish, st.integers(-2, 5))
sides = st.one_of(
    rubbish,
    st.fixed_dictionaries(
        {}, optional={"offset": numbers, "bucketCounts": st.one_of(rubbish, st.lists(numbers, max_size=4))}
    ),
)


def attempt(read_buckets, items):
    """Give the buckets; None if they are refused in a sentence with a hint."""
    try:
        return read_buckets(items, str)
    except DataError as refusal:
        error = refusal
    assert error.hint
    assert "\n" not in str(error)
    return None


@given(
    st.lists(
        st.one_of(
            rubbish,
            st.fixed_dictionaries(
                {},
                optional={
                    "scale": numbers,
                    "zeroCount": numbers,
                    "zeroThreshold": numbers,
                    "positive": sides,
                    "negative": sides,
                },
            ),
        ),
        max_size=3,
    )
)
def test_rubbish_gives_a_data_error_or_counts(items):
    found = attempt(exponential_buckets, items)
    if found is None:
        return
    edges, _ = bounded_edges(found, "here")
    counted = found.up_to(edges)
    assert found.size == len(items)
    assert (np.diff(edges) > 0).all()
    assert edges[-1] == INF
    assert not np.isnan(counted[:, -1]).any()


@given(
    st.lists(
        st.one_of(rubbish, st.lists(st.one_of(rubbish, st.lists(numbers, max_size=4)), max_size=3)),
        max_size=3,
    )
)
def test_rubbish_in_ranges_gives_a_data_error_or_counts(rows):
    found = attempt(range_buckets, rows)
    if found is None:
        return
    assert (found.count > 0).all()

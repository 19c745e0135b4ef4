"""A stream hands out every interval once, however the data come."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data import Arm, MetricPair
from canaryjudge.data.notes import Note
from canaryjudge.data.series import Series
from canaryjudge.data.stream import Stream, intervals
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric

T0 = 1_700_000_040.0  # a full minute


def stream(kind="gauge", **keys):
    return Stream(Metric(name="m", direction="increase", kind=kind, **keys), "baseline", "canary")


def arm(name, minutes, values=None, total=None, **keys):
    """Give points at minutes after T0; the value is the minute unless given."""
    minutes = np.asarray(minutes, dtype=float)
    value = minutes if values is None else np.asarray(values, dtype=float)
    return Series(
        name, value, None if total is None else np.full(len(value), float(total)), T0 + 60 * minutes, **keys
    )


def untimed(name, values):
    return Series(name, np.asarray(values, dtype=float))


def feed(into, baseline=(), canary=(), **keys):
    return into.feed(arm("baseline", baseline, **keys), arm("canary", canary, **keys))


def minutes(pairs):
    return [(time - T0) / 60 for pair in pairs for time in pair.canary.time.tolist()]


def values(pairs):
    return [
        [value for pair in pairs for value in getattr(pair, side).value.tolist()]
        for side in ("baseline", "canary")
    ]


def counts(found):
    return {(note.code, note.arm): note.count for note in found.notes}


def again(found):
    """Save and restore."""
    text = json.dumps(found.state(), allow_nan=False)
    return Stream.restore(found.metric, "baseline", "canary", json.loads(text))


# ---- intervals on one clock


def test_an_interval_is_handed_out_at_once_when_both_arms_have_it():
    found = stream()
    (pair,) = feed(found, [0, 1, 2], [0, 1])
    assert (pair.pairing, pair.interval, minutes([pair])) == ("concurrent", 60.0, [0, 1])
    assert pair.baseline.time.tolist() == pair.canary.time.tolist()
    assert minutes(feed(found, [], [2])) == [2]
    assert feed(found, [3], []) == []
    assert (found.points, found.interval) == ((3, 3), 60.0)
    assert (found.first_time, found.last_time) == (T0, T0 + 120)


def test_what_waited_is_handed_out_in_order_of_time():
    found = stream()
    feed(found, [0, 1, 2, 3], [3])
    (pair,) = feed(found, [], [0, 2])
    assert minutes([pair]) == [0, 2]


def test_arms_scraped_at_different_seconds_meet_in_the_policys_interval():
    found = stream(interval="1m")
    (pair,) = feed(found, [0.1, 1.1, 2.1], [0.9, 1.9, 3.5])
    assert values([pair]) == [[0.1, 1.1], [0.9, 1.9]]
    assert minutes([pair]) == pytest.approx([0.9, 1.9])


def test_a_time_that_is_off_by_rounding_stays_in_its_interval():
    found = stream(interval="100ms")
    times = np.arange(17_000_000_000, 17_000_001_000) * 0.1
    below = np.nextafter(times, 0)
    (pair,) = found.feed(Series("baseline", times, time=times), Series("canary", times, time=below))
    assert len(pair.canary) == 1000


def test_several_points_of_an_interval_are_paired_in_their_order():
    found = stream(interval="1m")
    pairs = feed(found, [0.1, 0.2, 0.3], [0.5])
    pairs += feed(found, [], [0.6])
    assert values(pairs) == [[0.1, 0.2], [0.5, 0.6]]


@pytest.mark.parametrize(("kind", "expected"), [("gauge", 2.0), ("count", 4.0)])
def test_replicas_of_one_update_and_time_become_one_point(kind, expected):
    found = stream(kind)
    (pair,) = found.feed(arm("baseline", [0, 0], [1, 3]), arm("canary", [0], [7]))
    assert values([pair]) == [[expected], [7.0]]


def test_ratios_keep_their_totals():
    (pair,) = feed(stream("ratio"), [1, 2], [1, 2], total=50)
    assert pair.canary.total.tolist() == [50, 50]


FINE, COARSE = np.array([1.0, 2.0, np.inf]), np.array([2.0, np.inf])


def histogram(name, minutes, edges, **keys):
    buckets = np.tile(np.arange(1.0, len(edges) + 1), (len(minutes), 1))
    return arm(name, minutes, buckets.sum(axis=1), buckets=buckets, edges=edges, **keys)


def test_histograms_keep_their_buckets():
    found = stream("histogram")
    found.feed(histogram("baseline", [0, 1], FINE), arm("canary", []))
    (pair,) = again(found).feed(arm("baseline", []), histogram("canary", [0, 1], FINE))
    assert pair.canary.buckets.tolist() == pair.baseline.buckets.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert (pair.canary.value.tolist(), pair.edges.tolist()) == ([6, 6], FINE.tolist())


def test_histograms_of_both_arms_have_the_edges_that_are_common():
    found = stream("histogram")
    found.feed(histogram("baseline", [0, 1], FINE), arm("canary", []))
    for minute in (0, 1):
        (pair,) = found.feed(histogram("baseline", [0, 1], FINE), histogram("canary", [minute], COARSE))
        assert (pair.baseline.buckets.tolist(), pair.canary.buckets.tolist()) == ([[3, 3]], [[1, 2]])
        assert pair.edges.tolist() == COARSE.tolist()
    assert counts(found) == {("merged_buckets", "baseline"): 1}


def test_edges_that_were_judged_by_must_stay():
    found = stream("histogram")
    found.feed(histogram("baseline", [0], FINE), histogram("canary", [0], FINE))
    with pytest.raises(DataError, match=r"edges of the buckets are missing.*the same buckets"):
        found.feed(histogram("baseline", [1], COARSE), arm("canary", []))
    other = stream("histogram")
    other.feed(histogram("baseline", [9], COARSE), histogram("canary", [9], COARSE))
    with pytest.raises(DataError, match="differ in their buckets"):
        found.merge(other)


def test_histograms_that_end_at_different_edges_are_an_error():
    found = stream("histogram")
    note = (Note(code="no_infinite_bucket", arm="canary", count=1, facts={"edge": 5.0}),)
    with pytest.raises(DataError, match=r"different edges, \+Inf and 5,"):
        found.feed(histogram("baseline", [0], FINE), histogram("canary", [0], FINE, notes=note))


def test_points_whose_partner_does_not_come_are_dropped_and_noted():
    found = stream(pairing="concurrent")
    feed(found, [0], [0])
    feed(found, range(1, 101))
    assert counts(found) == {("unpaired", "baseline"): 36}
    assert minutes(feed(found, [], range(1, 101))) == list(range(37, 101))


def test_points_older_than_64_intervals_do_not_wait_on():
    found = stream(interval="1m")
    feed(found, [0, 1, 2], [0, 1])
    feed(found, [66], [66])
    assert counts(found) == {("both_silent", None): 63}
    feed(found, [67], [67])
    assert counts(found) == {("unpaired", "baseline"): 1, ("both_silent", None): 63}


def test_the_spacing_is_the_median_of_the_first_intervals():
    found = stream()
    feed(found, [0], [0])
    assert found.interval is None
    early = [0, 1, 2, 3, 7, *range(8, 35)]
    feed(found, early[1:], early[1:])
    assert found.interval == 60.0
    late = [100 + 5 * step for step in range(100)]
    feed(found, late, late)
    assert found.interval == 60.0


def test_arms_that_never_meet_are_an_error_that_names_their_times():
    found = stream()
    feed(found, [0, 1, 2], [0.5, 1.5, 2.5])
    error = (
        r"'baseline' has 2023-11-14T22:14:00Z.*'canary' has 2023-11-14T22:14:30Z.*Set the metric's interval"
    )
    with pytest.raises(DataError, match=error):
        feed(found, range(3, 8), np.arange(3, 8) + 0.5)
    assert feed(found, range(3, 7), np.arange(3, 8) + 0.5) == []


# ---- points that come again


def test_points_that_come_again_are_ignored_in_silence():
    found = stream("ratio")
    feed(found, range(5), range(4), total=50)
    digest = found.digest
    assert feed(found, range(5), range(4), total=50) == []
    assert (found.points, found.digest, counts(found)) == ((4, 4), digest, {})
    assert minutes(feed(found, range(6), range(6), total=50)) == [4, 5]


@pytest.mark.parametrize("minute", [1, 3])
@pytest.mark.parametrize("changed", [{"values": [9]}, {"total": 51}])
def test_a_point_that_has_changed_is_an_error(minute, changed):
    found = stream("ratio")
    feed(found, range(1, 4), range(1, 3), total=50)
    place = rf"metric 'm', arm 'baseline': the point of 2023-11-14T22:1{4 + minute}:00Z has changed.*once it is complete"
    with pytest.raises(DataError, match=place):
        found.feed(arm("baseline", [minute], **({"total": 50} | changed)), arm("canary", []))


def late(found):
    return {arm: count for (code, arm), count in counts(found).items() if code == "too_late"}


def test_points_older_than_what_is_remembered_are_ignored_and_counted():
    found = stream()
    feed(found, range(0, 400, 2), range(0, 400, 2))  # the last 128 begin at 144
    assert feed(found, [142, 141], []) == []
    assert late(found) == {"baseline": 2}
    assert minutes(feed(found, [145], [145, 3])) == [145]
    assert late(found) == {"baseline": 2, "canary": 1}


def test_zero_and_negative_zero_are_the_same_content():
    found = stream()
    found.feed(arm("baseline", [0], [0.0]), arm("canary", [0]))
    assert found.feed(arm("baseline", [0], [-0.0]), arm("canary", [])) == []


def test_an_error_leaves_the_stream_as_it_was():
    found = stream()
    feed(found, range(3), range(2))
    before = json.dumps(found.state())
    note = (Note(code="missing_values", arm="baseline", count=1),)
    with pytest.raises(DataError, match="has changed"):
        found.feed(arm("baseline", [3, 4], notes=note), arm("canary", [1, 2], [5, 5]))
    assert json.dumps(found.state()) == before
    assert minutes(feed(found, [3], [2, 3])) == [2, 3]


# ---- without times, and before and after


def test_without_times_points_are_paired_as_they_come():
    found = stream()
    assert values(found.feed(untimed("baseline", [1, 2, 3]), untimed("canary", [4]))) == [[1], [4]]
    (pair,) = found.feed(untimed("baseline", [1]), untimed("canary", [4, 4, 5]))
    assert values([pair]) == [[2, 3, 1], [4, 4, 5]]
    assert (pair.pairing, pair.baseline.time, found.first_time, found.points) == (
        "windows",
        None,
        None,
        (4, 4),
    )


def test_without_times_only_so_many_points_wait():
    found = stream()
    found.feed(untimed("baseline", np.arange(5000)), untimed("canary", []))
    assert counts(found) == {("unpaired", "baseline"): 904}
    (pair,) = found.feed(untimed("baseline", []), untimed("canary", np.arange(5000)))
    assert values([pair])[0] == list(range(4096))


@pytest.mark.parametrize("kind", ["gauge", "samples"])
def test_some_points_with_times_and_some_without_are_an_error(kind):
    with pytest.raises(DataError, match=r"'canary': the points have no times.*a time, or none"):
        stream(kind).feed(arm("baseline", [1]), untimed("canary", [1]))
    found = stream(kind)
    found.feed(untimed("baseline", [1]), untimed("canary", [1]))
    with pytest.raises(DataError, match="the points have times, and those given before"):
        feed(found, [1], [1])
    with pytest.raises(DataError, match="pairing: concurrent needs times"):
        stream(kind, pairing="concurrent").feed(untimed("baseline", [1]), untimed("canary", [1]))


def test_arms_and_updates_must_be_of_one_form():
    found = stream("count")
    feed(found, [0], [0])
    with pytest.raises(DataError, match="arm 'canary': there are totals"):
        found.feed(arm("baseline", []), arm("canary", [1], total=3))
    feed(found, [1], [1], zones=frozenset({"UTC"}))
    feed(found, [2], [2], zones=frozenset({"Europe/Berlin"}))
    with pytest.raises(DataError, match="mix Europe/Berlin and UTC and no time zone"):
        feed(found, [3], [3], zones=frozenset({"no time zone"}))


def test_before_and_after_are_paired_in_order():
    found = stream(pairing="windows")
    assert feed(found, range(1000)) == []
    (pair,) = feed(found, range(900, 1000), range(2000, 2003))
    assert (pair.pairing, pair.baseline.value.tolist()) == ("windows", [0, 1, 2])
    assert minutes([pair]) == [2000, 2001, 2002]
    assert values(feed(found, [], [2002, 2003])) == [[3], [2003]]


def test_arms_that_do_not_overlap_are_before_and_after():
    found = stream()
    feed(found, range(200))
    assert feed(found, [], [300]) == []
    assert values(feed(again(found), [], [301])) == [[0, 1], [300, 301]]
    (pair,) = feed(found, [], [301])
    assert (pair.pairing, counts(found)) == ("windows", {("no_overlap", None): 0})
    assert found.notes[0].facts["canary_start"] == T0 + 300 * 60
    assert values(feed(again(found), [], [302])) == [[2], [302]]


def test_arms_that_overlap_share_the_clock_ever_after():
    found = stream()
    feed(found, [0, 1], [1, 2])
    feed(found, range(2, 10))
    assert feed(again(found), [], range(20, 22)) == []


# ---- raw observations


def seconds(name, at, observed=None):
    at = np.asarray(at, dtype=float)
    return Series(name, at if observed is None else np.asarray(observed, dtype=float), time=T0 + at)


def observe(into, baseline=(), canary=(), observed=None):
    return into.feed(seconds("baseline", baseline, observed), seconds("canary", canary, observed))


def test_observations_are_handed_out_when_both_arms_are_past_their_interval():
    found = stream("samples")
    assert observe(found, [1, 2, 9, 11], [3, 9]) == []
    (pair,) = observe(found, [], [10])
    assert (values([pair]), pair.interval, pair.pairing) == ([[1, 2, 9], [3, 9]], 10.0, "concurrent")
    assert (found.points, found.interval, found.last_time) == ((3, 2), 10.0, T0 + 9)


def test_a_slow_arm_is_waited_for_by_one_interval():
    found = stream("samples", interval="1m")
    assert observe(found, [1, 59, 61, 119], [30]) == []
    assert values(observe(found, [120])) == [[1, 59], [30]]
    assert values(observe(found, [180], [31, 100])) == [[61, 119], [100]]
    assert counts(found) == {("too_late", "canary"): 1}
    assert observe(found, [], [31]) == []
    assert counts(found) == {("too_late", "canary"): 1}


def test_observations_without_a_partner_are_dropped_and_noted():
    found = stream("samples", pairing="concurrent")
    pairs = observe(found, [1, 2, 3, 31, 32, 51], [33, 34, 51])
    assert values(pairs) == [[31, 32], [33, 34]]
    assert counts(found) == {("unpaired", "baseline"): 3}


def test_observations_that_come_again_are_ignored():
    found = stream("samples")
    observe(found, [1, 2, 3, 3], [1], None)
    observe(found, [1, 2, 3, 3, 3, 4], [1, 2])
    assert values(observe(found, [2, 4, 10], [10])) == [[1, 2, 3, 3, 3, 4], [1, 2]]
    assert counts(found) == {}


def test_equal_times_are_told_apart_by_value():
    found = stream("samples")
    observe(found, [5, 5, 5], [5, 5, 5], [1, 2, 2])
    found = again(found)
    found.feed(seconds("baseline", [5, 5, 5, 5], [2, 2, 2, 3]), seconds("canary", [5], [2]))
    assert values(observe(found, [20], [20])) == [[1, 2, 2, 2, 3], [1, 2, 2]]


def test_without_times_an_update_is_a_block():
    found = stream("samples")
    assert values(found.feed(untimed("baseline", [1, 2]), untimed("canary", [3]))) == [[1, 2], [3]]
    assert found.feed(untimed("baseline", [1]), untimed("canary", [])) == []
    assert values(again(found).feed(untimed("baseline", []), untimed("canary", [4]))) == [[1], [4]]
    assert found.interval == 10.0


def test_a_crowded_interval_is_handed_out_before_its_end():
    found = stream("samples")
    at = np.linspace(0, 4.9, 15_000)
    assert observe(found, at, at[:10]) == []
    (pair,) = observe(found, 5.001 + 0.99 * at, [])
    assert (len(pair.baseline), len(pair.canary)) == (30_000, 10)
    assert len(json.dumps(found.state())) < 1300
    observe(found, [], at[10:])
    assert values(observe(found, [10.5, 20], [10.5, 20])) == [[10.5], [10.5]]
    assert counts(found)["unpaired", "canary"] == 14_990


@pytest.mark.parametrize("pairing", ["auto", "concurrent", "windows"])
def test_no_more_than_so_many_observations_wait(pairing):
    found = stream("samples", pairing=pairing)
    observe(found, np.linspace(0, 9, 150_000))
    assert counts(found) == {("unpaired", "baseline"): 50_000}


def test_so_many_observations_at_one_time_are_not_looked_for_again():
    found = stream("samples")
    observe(found, np.zeros(30_000), np.zeros(3))
    assert observe(found, [0, 0], [0]) == []
    assert found.points == (30_000, 3)


def test_observations_before_and_after_are_paired_interval_by_interval():
    found = stream("samples", pairing="windows")
    assert observe(found, [1, 2, 11, 12, 13, 41, 42, 51]) == []
    pairs = observe(found, [], [101, 111, 112, 151])
    assert [values([pair]) for pair in pairs] == [[[1, 2], [101]], [[11, 12, 13], [111, 112]]]
    assert values(observe(again(found), [], [161])) == [[41, 42], [151]]
    assert pairs[0].pairing == "windows"


# ---- notes, digest, state


def test_notes_add_up_over_updates():
    found = stream()
    for count in (1, 2):
        notes = (
            Note(code="missing_values", arm="canary", count=count),
            Note(code="gaps", arm="canary", count=1, facts={"interval": 60.0 * count}),
        )
        found.feed(arm("baseline", [count]), arm("canary", [count], notes=notes))
    assert counts(found) == {("missing_values", "canary"): 3, ("gaps", "canary"): 2}
    assert found.notes[0].facts == {"interval": 120.0}


def test_the_digest_tells_different_data_apart():
    digests = set()
    for update in ([0, 1], [0], [1], []):
        found = stream()
        feed(found, update, update)
        digests.add(found.digest)
    for kind in ("samples", "gauge"):
        for observed in ([1, 2], [2, 1]):
            found = stream(kind)
            found.feed(untimed("baseline", observed), untimed("canary", [1, 2]))
            digests.add(found.digest)
    assert len(digests) == 8
    assert all(len(digest) == 64 for digest in digests)


@pytest.mark.parametrize("kind", ["gauge", "ratio"])
def test_the_state_stays_small(kind):
    found = stream(kind)
    rng = np.random.default_rng(1)
    at = np.arange(10_000)
    total = 10 if kind == "ratio" else None
    found.feed(
        arm("baseline", at, rng.random(10_000), total), arm("canary", at[:-3], rng.random(9_997), total)
    )
    assert len(json.dumps(found.state())) <= 4000


@pytest.mark.parametrize("kind", ["gauge", "samples"])
def test_rubbish_is_no_state(kind):
    found = stream(kind)
    feed(found, range(9), range(7))
    good = found.state()
    sound = {"notes": [[]], "timed": [None], "windows": [None], "totals": [None], "closed": [None, -1]}
    for key, junk in itertools.product(good, ("x", None, [], [["x"]], -1, {"a": 1})):
        if junk not in ([good[key], *sound.get(key, [])]):
            with pytest.raises(DataError, match="the saved state cannot be read"):
                Stream.restore(found.metric, "baseline", "canary", good | {key: junk})
    for key in good:
        if key != "pending":
            part = {name: value for name, value in good.items() if name != key}
            with pytest.raises(DataError, match="the saved state cannot be read"):
                Stream.restore(found.metric, "baseline", "canary", part)


# ---- whatever the chunks


@st.composite
def histories(draw, kind):
    """Points of both arms in order of time, the first two of which meet."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    length = draw(st.integers(2, 200))
    exact = kind != "samples" and draw(st.booleans())
    events = []
    for side in (0, 1):
        if kind == "samples":
            at = np.sort(rng.uniform(0, 4 * length, length).round(6))
        elif exact:
            at = 60.0 * np.arange(length)[(rng.random(length) < 0.9) | (np.arange(length) == 0)]
        else:
            at = 60.0 * np.arange(length) + rng.uniform(0, 59, length).round(3)
            at = at[(rng.random(length) < 0.9) | (np.arange(length) == 0)]
        events += [(time, side, value) for time, value in zip(at, rng.integers(0, 4, len(at)), strict=True)]
    keys = (
        {"pairing": "concurrent"}
        if exact or kind == "samples"
        else {"pairing": "concurrent", "interval": "1m"}
    )
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=6)))
    overlap = draw(st.integers(0, 12))
    return sorted(events), keys, [0, *cuts, len(events)], overlap


def as_arms(events, kind):
    arms = []
    for side, name in enumerate(("baseline", "canary")):
        mine = [event for event in events if event[1] == side]
        value = np.array([value for _, _, value in mine], dtype=float)
        total = np.full(len(value), 5.0) if kind == "ratio" else None
        arms.append(Series(name, value, total, np.array([T0 + time for time, _, _ in mine])))
    return arms


def summary(found, pairs):
    arrays = [
        [number for pair in pairs for number in array(pair)]
        for array in (
            lambda pair: pair.baseline.value.tolist(),
            lambda pair: pair.canary.value.tolist(),
            lambda pair: pair.baseline.time.tolist(),
            lambda pair: pair.canary.time.tolist(),
        )
    ]
    return (
        arrays,
        found.digest,
        found.points,
        found.first_time,
        found.last_time,
        found.interval,
        counts(found),
    )


@pytest.mark.parametrize("kind", ["gauge", "ratio", "samples"])
def test_chunks_overlaps_and_restarts_change_nothing(kind):
    @given(histories(kind))
    def check(history):
        events, keys, cuts, overlap = history
        whole, parts = stream(kind, **keys), stream(kind, **keys)
        expected = summary(whole, whole.feed(*as_arms(events, kind)))
        pairs = []
        for start, end in itertools.pairwise(cuts):
            pairs += parts.feed(*as_arms(events[max(start - overlap, 0) : end], kind))
            parts = again(parts)
        assert summary(parts, pairs) == expected
        assert json.dumps(parts.state()) == json.dumps(whole.state())

    check()


def test_points_one_by_one_come_out_as_all_at_once():
    rng = np.random.default_rng(3)
    at = np.arange(300)
    data = [rng.random(300), rng.random(300)]
    whole, single = stream(), stream()
    expected = whole.feed(arm("baseline", at, data[0]), arm("canary", at, data[1]))
    pairs = []
    for index in at.tolist():
        here = slice(index, index + 1)
        pairs += single.feed(arm("baseline", at[here], data[0][here]), arm("canary", []))
        pairs += single.feed(arm("baseline", []), arm("canary", at[here], data[1][here]))
    assert summary(single, pairs) == summary(whole, expected)


# ---- merging


@pytest.mark.parametrize("kind", ["gauge", "ratio", "samples"])
def test_streams_are_merged_in_any_order(kind):
    @given(histories(kind), st.integers(0, 2**32 - 1))
    def check(history, seed):
        events, keys, _, _ = history
        shard = np.random.default_rng(seed).integers(0, 3, 2000)
        shards = [[event for event in events if shard[int(event[0] // 60)] == which] for which in range(3)]
        merged = []
        for order in itertools.permutations(range(3)):
            fed = [stream(kind, **keys) for _ in range(3)]
            for found, part in zip(fed, shards, strict=True):
                found.feed(*as_arms(part, kind))
            first, second, third = (fed[index] for index in order)
            if order[0] == 1:
                second.merge(third)
                first.merge(second)
            else:
                first.merge(second)
                first.merge(third)
            merged.append((json.dumps(first.state()), first.digest))
        assert len(set(merged)) == 1

    check()


def test_shards_of_time_add_up_to_the_whole():
    whole, first, second = stream(), stream(), stream()
    feed(whole, range(40), range(40))
    feed(first, range(20), range(20))
    feed(second, range(20, 40), range(20, 40))
    second.merge(first)
    assert (second.digest, second.points, second.first_time) == (whole.digest, (40, 40), T0)
    assert json.dumps(second.state()) == json.dumps(whole.state())
    assert feed(second, range(10), range(10)) == []


def test_points_that_wait_in_two_streams_meet_after_a_merge():
    first, second = stream(pairing="concurrent"), stream(pairing="concurrent")
    feed(first, range(5))
    feed(second, [], range(5))
    first.merge(second)
    assert minutes(feed(first)) == list(range(5))


def test_regions_at_the_same_time_are_different_data():
    first, second = stream(), stream()
    feed(first, range(20), range(20))
    second.feed(
        arm("baseline", range(20), np.arange(20) + 0.5), arm("canary", range(20), np.arange(20) + 0.5)
    )
    first.merge(second)
    assert first.points == (40, 40)


@pytest.mark.parametrize("kind", ["gauge", "samples"])
def test_the_same_data_in_both_streams_are_an_error(kind):
    first, second = stream(kind), stream(kind)
    feed(first, range(20), range(20))
    feed(second, range(15, 40), range(15, 40))
    before = json.dumps(first.state())
    with pytest.raises(DataError, match="the same data are in both"):
        first.merge(second)
    with pytest.raises(DataError, match="the same data are in both"):
        first.merge(first)
    assert json.dumps(first.state()) == before


def test_the_same_data_without_times_are_an_error():
    first, second = stream(), stream()
    for found in (first, second):
        found.feed(untimed("baseline", [1, 2]), untimed("canary", [1, 2]))
    with pytest.raises(DataError, match="the same data are in both"):
        first.merge(second)


def test_streams_of_other_things_are_not_merged():
    first = stream()
    feed(first, [0, 1], [0, 1])
    with pytest.raises(DataError, match="of another metric"):
        first.merge(stream(interval="1m"))
    second = stream()
    second.feed(untimed("baseline", [1]), untimed("canary", [1]))
    with pytest.raises(DataError, match="differ in their times"):
        first.merge(second)
    third = stream()
    feed(third, [0, 1], [8, 9])
    with pytest.raises(DataError, match="differ in their pairing"):
        first.merge(third)


# ---- whole series


def test_whole_series_are_cut_into_intervals():
    both = Arm(np.arange(3.0), total=np.full(3, 9.0), time=T0 + np.arange(3.0))
    parts = list(intervals(MetricPair("m", "ratio", both, both, "concurrent")))
    assert [(part.canary.value.tolist(), part.canary.total.tolist()) for part in parts] == [
        ([0.0], [9.0]),
        ([1.0], [9.0]),
        ([2.0], [9.0]),
    ]
    assert parts[0].canary.value.base is not None


@pytest.mark.parametrize("pairing", ["concurrent", "windows"])
def test_whole_observations_are_cut_as_a_stream_does(pairing):
    rng = np.random.default_rng(1)
    times = [np.sort(rng.uniform(0, 600, size)) for size in (300, 40)]
    arms = [Arm(time, time=T0 + time) for time in times]
    pair = MetricPair("m", "samples", *arms, pairing)
    found = stream("samples", pairing=pairing)
    expected = observe(found, *times)
    assert [values([part]) for part in intervals(pair)] == [values([part]) for part in expected]
    rest = list(intervals(pair, unfinished=True))[len(expected) :]
    assert rest
    untimed_pair = MetricPair("m", "samples", Arm(times[0]), Arm(times[1]))
    assert list(intervals(untimed_pair)) == [untimed_pair]


def test_many_small_updates_are_all_taken():
    found = stream()
    for minute in range(2000):
        found.feed(arm("baseline", [minute]), arm("canary", [minute]))
    assert found.points == (2000, 2000)


def test_what_was_odd_is_noted_once_though_it_is_given_again():
    stream = Stream(Metric(name="m", direction="increase"), "old", "new")
    odd = (Note(code="missing_values", arm="new", count=1),)
    update = (
        Series("old", np.ones(3), time=10.0 * np.arange(3)),
        Series("new", np.ones(2), time=np.array([0.0, 20.0]), notes=odd),
    )
    for _ in range(3):
        stream.feed(*update)
    assert [note.count for note in stream.notes if note.code == "missing_values"] == [1]
    # an arm whose points are all unusable cannot be known by their times, so it is believed every time
    for _ in range(2):
        stream.feed(Series("old", np.ones(0)), Series("new", np.ones(0), notes=odd))
    assert [note.count for note in stream.notes if note.code == "missing_values"] == [3]

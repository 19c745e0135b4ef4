"""Counters under watch: what they grew by is the same however they are cut into updates, and the same as `judge` sees."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.data import read_pairs
from canaryjudge.data.counters import CounterState

T0 = 1_700_000_000.0
EDGES = ["0.1", "0.5", "2.5", "+Inf"]
KINDS = ["ratio", "count", "histogram"]


def policy(kind, **keys):
    metric = {"name": "m", "kind": kind, "direction": "increase", "tolerance": "50%", "counter": True}
    return cj.Policy(metrics=[cj.Metric(**(metric | keys))])


def counter(kind, rng, *, name, size, reset=None):
    """The scrapes of one replica: rows of a tidy table without metric and arm."""
    width = {"ratio": 2, "count": 1, "histogram": 4}[kind]
    grown = rng.poisson(30, (size, width)).astype(float)
    if kind == "ratio":
        grown[:, 0] = rng.binomial(grown[:, 1].astype(int), 0.1)
    if kind == "histogram":
        grown = grown.cumsum(axis=1)
    values = 1000.0 + grown.cumsum(axis=0)
    if reset is not None:
        values[reset:] -= values[reset - 1]
    rows = []
    for index, row in enumerate(values.tolist()):
        common = {"time": T0 + 15 * index, "replica": name}
        if kind == "histogram":
            rows += [common | {"le": le, "value": value} for le, value in zip(EDGES, row, strict=True)]
        else:
            rows.append(common | dict(zip(("value", "total"), row, strict=False)))
    return rows


def scrapes(kind, seed, *, size=30, replicas=2, resets=(), gone=()):
    """Both arms, two replicas each; some restarted, some scrapes missing."""
    rng = np.random.default_rng(seed)
    rows = [
        row | {"metric": "m", "arm": arm}
        for arm in ("baseline", "canary")
        for index in range(replicas)
        for row in counter(
            kind, rng, name=f"{arm}-{index}", size=size, reset=resets[index] if index < len(resets) else None
        )
        if (arm, index, round((row["time"] - T0) / 15)) not in gone
    ]
    return sorted(rows, key=lambda row: row["time"])


def between(rows, first, last):
    return [row for row in rows if first <= (row["time"] - T0) / 15 < last]


def watched(kind, rows, cuts, *, overlap=0, save=False, **keys):
    told = policy(kind, **keys)
    monitor = cj.Monitor(told)
    for first, last in zip([0, *cuts], [*cuts, 10_000], strict=True):
        monitor.update(between(rows, first - overlap, last))
        if save:
            monitor = cj.Monitor.from_json(monitor.to_json(), told)
    return monitor


def remembered(monitor):
    return json.loads(monitor.to_json())["metrics"]


# ---- any cut


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_cut_into_updates_gives_the_same(kind, data):
    seed, overlap = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 40))
    cuts = sorted(data.draw(st.sets(st.integers(1, 29), max_size=12)))
    resets = data.draw(st.lists(st.integers(2, 28), max_size=2))
    silent = data.draw(
        st.sets(
            st.tuples(st.sampled_from(["baseline", "canary"]), st.integers(0, 1), st.integers(0, 29)),
            max_size=6,
        )
    )
    rows = scrapes(kind, seed, resets=resets, gone=silent)
    whole = watched(kind, rows, [])
    parts = watched(kind, rows, cuts, overlap=overlap, save=data.draw(st.booleans()))
    assert parts.verdict() == whole.verdict()
    assert remembered(parts) == remembered(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_point_by_point_gives_the_same(kind):
    rows = scrapes(kind, 3, resets=[7, 20], gone={("canary", 0, 12), ("canary", 0, 13)})
    whole, parts = watched(kind, rows, []), watched(kind, rows, range(1, 30), save=True)
    assert parts.verdict() == whole.verdict()
    assert remembered(parts) == remembered(whole)


class Recorder:
    """Keeps what a monitor's rules are given."""

    def __init__(self, monitor):
        self.arms = {"baseline": [], "canary": []}
        (metric,) = monitor._watch.metrics.values()
        feed = metric.stream.feed

        def listening(*series):
            pairs = feed(*series)
            for pair in pairs:
                for name in self.arms:
                    arm = getattr(pair, name)
                    self.arms[name] += zip(arm.time.tolist(), arm.value.tolist(), strict=True)
            return pairs

        metric.stream.feed = listening


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", [[], [1], [5, 6, 20], range(1, 30)])
def test_the_increases_are_those_of_judge(kind, cuts):
    rows = scrapes(kind, 4, resets=[9], gone={("baseline", 1, 15)})
    told = policy(kind)
    monitor = cj.Monitor(told)
    recorder = Recorder(monitor)
    for first, last in zip([0, *cuts], [*cuts, 10_000], strict=True):
        monitor.update(between(rows, first, last))
    pair = read_pairs(rows, told)["m"]
    for name, found in recorder.arms.items():
        arm = getattr(pair, name)
        assert found == list(zip(arm.time.tolist(), arm.value.tolist(), strict=True))


def test_untimed_counters_go_on_with_each_update():
    told = policy("ratio")
    monitor = cj.Monitor(told)
    value, total = np.arange(0, 40, 2), np.arange(100, 2100, 100)
    for part in (slice(0, 1), slice(1, 7), slice(7, 20)):
        columns = {"value": value[part], "total": total[part]}
        monitor.update({"m": {"baseline": columns, "canary": columns}})
    result = monitor.verdict().metrics["m"]
    assert (result.n_baseline, result.n_canary) == (19, 19)


def test_what_was_carried_knows_an_edge_in_an_empty_bucket():
    def rows(step, counts):
        common = {"metric": "m", "time": T0 + 15 * step}
        return [
            common | {"arm": arm, "le": le, "value": value}
            for arm in ("baseline", "canary")
            for le, value in counts
        ]

    first = [rows(0, [("0.1", 4), ("0.5", 4), ("+Inf", 9)]), rows(1, [("0.1", 5), ("0.5", 5), ("+Inf", 12)])]
    later = rows(2, [("0.1", 6), ("0.25", 7), ("0.5", 7), ("+Inf", 14)])
    monitor = cj.Monitor(policy("histogram"))
    monitor.update(first[0])
    monitor.update(first[1] + later)
    found = monitor._watch.metrics["m"].stream._intake.edges.tolist()
    assert found == [0.1, 0.25, 0.5, np.inf]


# ---- what comes again


def test_points_older_than_the_last_are_ignored():
    rows = scrapes("ratio", 1)
    monitor = watched("ratio", rows, [])
    before = remembered(monitor)
    monitor.update(between(rows, 3, 20))
    assert remembered(monitor) == before


@pytest.mark.parametrize("kind", ["ratio", "count"])
def test_a_point_that_has_changed_is_refused_and_the_monitor_stays_as_it_was(kind):
    rows = scrapes(kind, 1)
    monitor = watched(kind, rows, [])
    before = monitor.to_json()
    changed = [row | {"value": row["value"] + 1} for row in between(rows, 29, 30)]
    with pytest.raises(cj.DataError, match=r"row 1: the counter of 2023.* has changed since it was given"):
        monitor.update(changed)
    assert monitor.to_json() == before


def test_an_update_that_fails_elsewhere_carries_nothing_on():
    metrics = [
        cj.Metric(name=name, kind="ratio", direction="increase", counter=name == "m")
        for name in ("m", "other")
    ]
    monitor = cj.Monitor(cj.Policy(metrics=metrics))
    rows = scrapes("ratio", 1)
    other = [
        row | {"metric": "other", "value": 1, "total": 50} for row in rows if row["replica"].endswith("0")
    ]
    monitor.update(between(rows, 0, 10) + between(other, 0, 10))
    before = monitor.to_json()
    with pytest.raises(cj.DataError, match="has changed since"):
        monitor.update(between(rows, 10, 20) + [row | {"value": 2} for row in between(other, 9, 10)])
    assert monitor.to_json() == before
    monitor.update(between(rows, 10, 20) + between(other, 10, 20))
    assert monitor.verdict().metrics["m"].n_canary == 19


def test_updates_are_of_one_form():
    rows = scrapes("ratio", 1)
    monitor = watched("ratio", rows, [])
    with pytest.raises(cj.DataError, match="the points have no times, and those given before have some"):
        monitor.update([{name: row[name] for name in row if name != "time"} for row in between(rows, 1, 2)])
    counts = watched("count", scrapes("count", 1), [])
    later = [row | {"time": row["time"] + 900} for row in between(rows, 1, 2)]
    with pytest.raises(cj.DataError, match="only some of the updates have totals"):
        counts.update(later)
    histograms = cj.Monitor(policy("histogram"))
    rows = [{name: row[name] for name in row if name != "time"} for row in scrapes("histogram", 1)]
    with pytest.raises(cj.DataError, match="need times where they come in updates"):
        histograms.update(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_resets_and_gaps_are_noted_once(kind):
    rows = scrapes(kind, 2, resets=[10, 15], gone={("canary", 1, 20)})
    notes = watched(kind, rows, [4, 11, 19, 21, 26], overlap=12).verdict().metrics["m"].warnings
    found = {(note.code, note.arm): note.count for note in notes}
    assert found["counter_resets", "canary"] == found["counter_resets", "baseline"] == 2
    assert kind == "histogram" or found["gaps", "canary"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_interval_counted_is_refused_as_soon_as_it_shows(kind):
    rng = np.random.default_rng(3)
    monitor = cj.Monitor(policy(kind))

    def counted(step):
        time = [T0 + 15.0 * step]
        if kind == "histogram":
            return {"time": time, "edges": [0.1, 0.5], "buckets": [rng.poisson(50, 3).tolist()]}
        events = {"time": time, "value": [int(rng.poisson(50))]}
        return events | ({"total": [int(rng.poisson(100_000))]} if kind == "ratio" else {})

    updates = [{"m": {arm: counted(step) for arm in ("baseline", "canary")}} for step in range(25)]
    for update in updates[:8]:
        monitor.update(update)
    with pytest.raises(cj.DataError, match=r"fall at [0-9]+ of [12][0-9] steps"):
        [monitor.update(update) for update in updates[8:]]


# ---- state


def test_a_saved_state_that_was_tampered_with_is_refused():
    good = CounterState(("a", "b"), np.ones((2, 1)), np.array([1.0, 2.0]), np.full((2, 8), np.nan))
    state = json.loads(json.dumps(good.state()))
    again = CounterState.restore(state)
    assert (again.names, again.columns.tolist(), again.time.tolist()) == (("a", "b"), [[1], [1]], [1, 2])
    for change in (
        {"names": ["b", "a"]},
        {"names": ["a", 1]},
        {"names": ["a"]},
        {"columns": CounterState(("a",), np.full((2, 1), -1.0)).state()["columns"]},
        {"time": CounterState(("a",), np.full((1, 2), np.inf)).state()["columns"]},
        {"edges": CounterState(("a",), np.ones((1, 2))).state()["columns"]},
    ):
        with pytest.raises((ValueError, TypeError, KeyError)):
            CounterState.restore(state | change)


def test_replicas_that_are_gone_are_forgotten():
    told = policy("count")
    monitor = cj.Monitor(told)
    for step in range(30):
        names = [f"pod-{20 * step + index}" for index in range(40)]  # each lives for two steps
        columns = {
            "value": np.full(40, 50.0 * (step + 1)),
            "replica": names,
            "time": np.full(40, T0 + 15 * step),
        }
        monitor.update({"m": {"baseline": columns, "canary": columns}})
    counters = monitor._watch.metrics["m"].stream.counters
    assert [len(each) for each in counters] == [256, 256]
    assert counters[0].time.min() > T0 + 15 * 15
    assert monitor.verdict().metrics["m"].n_canary == 29


# ---- shards


@pytest.mark.parametrize("kind", KINDS)
def test_monitors_of_other_replicas_are_merged(kind):
    told = policy(kind)
    shards = [scrapes(kind, seed, size=20) for seed in (1, 2)]
    shards[1] = [row | {"replica": row["replica"] + "-west", "time": row["time"] + 5} for row in shards[1]]
    monitors = []
    for order in ((0, 1), (1, 0)):
        first, second = (cj.Monitor(told) for _ in order)
        for monitor, index in zip((first, second), order, strict=True):
            monitor.update(between(shards[index], 0, 12))
        first.merge(second)
        for index in order:
            first.update(between(shards[index], 12, 20))
        monitors.append(first)
    assert monitors[0].verdict() == monitors[1].verdict()
    assert monitors[0].verdict().metrics["m"].n_canary == 2 * 19
    assert len(monitors[0]._watch.metrics["m"].stream.counters[0]) == 4


def test_of_one_replica_in_both_the_later_point_is_carried():
    steps = np.full((1, 8), np.nan)
    early = CounterState(("a",), np.array([[5.0]]), np.array([10.0]), steps)
    late = CounterState(("a", "b"), np.array([[9.0], [1.0]]), np.array([20.0, 5.0]), np.full((2, 8), np.nan))
    for union in (early.union(late), late.union(early)):
        assert (union.names, union.columns.tolist(), union.time.tolist()) == (("a", "b"), [[9], [1]], [20, 5])
    assert early.union(CounterState()) is early
    assert CounterState().union(early) is early


def test_monitors_of_another_form_are_not_merged():
    named, plain, ratio = (
        cj.Monitor(policy("count")),
        cj.Monitor(policy("count")),
        cj.Monitor(policy("count")),
    )
    columns = {"value": [1, 2, 3], "time": [T0, T0 + 15, T0 + 30]}
    named.update({"m": dict.fromkeys(("baseline", "canary"), columns | {"replica": ["a"] * 3})})
    plain.update({"m": dict.fromkeys(("baseline", "canary"), columns)})
    with pytest.raises(cj.DataError, match="differ in their replicas"):
        named.merge(plain)
    # of these the first points alone are known
    first, untimed = cj.Monitor(policy("count")), cj.Monitor(policy("count"))
    first.update({"m": {"canary": {"value": [1], "time": [T0]}}})
    untimed.update({"m": {"canary": [5]}})
    ratio.update({"m": {"canary": {"value": [1], "total": [2], "time": [T0]}}})
    for other in (untimed, ratio):
        with pytest.raises(cj.DataError, match="differ in their counters"):
            first.merge(other)


# ---- exposures


def test_a_count_is_out_of_the_intervals_of_each_replica():
    told = policy("count", tolerance="30%")
    monitor = cj.Monitor(told)
    rows = scrapes("count", 5, size=80)
    monitor.update([row for row in rows if row["replica"] != "baseline-1"])
    found = monitor.verdict().metrics["m"]
    assert [note.code for note in found.warnings] == ["equal_exposure"]
    assert found.findings[0].estimate == pytest.approx(0, abs=0.1)
    one = cj.Monitor(told)
    one.update(
        [
            {name: row[name] for name in row if name != "replica"}
            for row in rows
            if row["replica"].endswith("0")
        ]
    )
    with pytest.raises(cj.DataError, match=r"the points name their replica, and those given before do not"):
        one.update([row | {"time": row["time"] + 9000} for row in rows])


# ---- levels of replicas


def levels(monitor):
    (metric,) = monitor._watch.metrics.values()
    return metric.levels()


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, 29), max_size=8), st.integers(0, 10))
def test_levels_of_replicas_are_the_same_for_any_cut(cuts, overlap):
    rows = scrapes("ratio", 6)
    whole = watched("ratio", rows, [])
    assert levels(watched("ratio", rows, sorted(cuts), overlap=overlap, save=True)) == levels(whole)
    pair = read_pairs(rows, policy("ratio"))["m"]
    for arm, found in zip((pair.baseline, pair.canary), levels(whole), strict=True):
        assert [each.points for each in found] == [len(own) for own in arm.replicas]
        assert [each.mean for each in found] == pytest.approx(
            [own.events / own.exposure for own in arm.replicas]
        )
    assert [each.name for each in levels(whole)[1]] == ["canary-0", "canary-1"]


def test_levels_of_gauges_and_of_merged_shards():
    told = cj.Policy(metrics=[cj.Metric(name="m", direction="increase")], max_points=100)
    shards = []
    for name, lag in (("a", 0), ("b", 5)):
        shard = cj.Monitor(told)
        time = T0 + lag + 15 * np.arange(4)
        columns = {"value": [1.0, 2.0, 3.0, 6.0], "time": time, "replica": [name] * 4}
        shard.update({"m": {"baseline": columns, "canary": columns}})
        shards.append(shard)
    shards[0].merge(shards[1])
    assert levels(shards[0]) == ((("a", 4, 3.0), ("b", 4, 3.0)),) * 2


def test_levels_are_bounded():
    told = cj.Policy(metrics=[cj.Metric(name="m", kind="ratio", direction="increase")])
    monitor = cj.Monitor(told)
    for step in range(10):
        columns = {
            "value": [1] * 40,
            "total": [2] * 40,
            "replica": [f"{step}-{i}" for i in range(40)],
            "time": [T0 + 15 * step] * 40,
        }
        monitor.update({"m": {"baseline": columns, "canary": columns}})
    assert [len(arm) for arm in levels(monitor)] == [256, 256]
    assert levels(monitor)[0][-1] == ("9-9", 1, 0.5)

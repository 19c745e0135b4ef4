"""Histograms of any shape become counts an interval and bucket, with one set of edges for both arms."""

import io
import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from histogram_data import COUNTS, EDGES, INF, T0, both, matrix, minutes, notes, policy, read, rows, rows_of
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data import from_wide, read_pairs
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.explain.notes import note_sentence
from canaryjudge.integrations.files.wide import WideTable, widen_table
from canaryjudge.integrations.sources import read_table
from canaryjudge.policy import Metric, Policy


def check_expected(pair):
    assert pair.edges.tolist() == EDGES
    for arm in ("baseline", "canary"):
        found = getattr(pair, arm)
        assert found.buckets.tolist() == COUNTS[arm]
        assert found.value.tolist() == [sum(row) for row in COUNTS[arm]]
        assert found.time.tolist() == minutes(3)
    assert pair.pairing == "concurrent"
    assert pair.interval == 60
    assert not pair.notes


LE = [[0.1, 0.5, INF], ["0.1", "0.5", "+Inf"], ["0.10", "5e-1", "inf"], ["0.1", 0.5, "Infinity"]]


SHAPES = [(shape, edges) for shape in (list, pd.DataFrame) for edges in LE] + [
    (shape, edges) for shape in (pl.DataFrame, pa.Table.from_pylist) for edges in LE[:3]
]


@pytest.mark.parametrize(("shape", "edges"), SHAPES)
def test_rows_of_any_library(shape, edges):
    check_expected(read(shape(rows(edges))))


def test_labels_may_be_categories():
    frame = pd.DataFrame(rows(LE[1])).astype({"le": "category", "arm": "category"})
    check_expected(read(frame))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"edges": EDGES},
        {"edges": ["0.1", "0.5", "+Inf"]},
        {"edges": np.array([0.1, 0.5])},
        {"edges": (0.1, 0.5)},
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [list, np.array, lambda rows: [np.array(row) for row in rows], pd.DataFrame])
def test_counts_per_bucket_in_a_mapping(change, make):
    series = {arm: matrix(arm, **change) for arm in COUNTS}
    for arm in COUNTS:
        series[arm]["buckets"] = make(series[arm]["buckets"])
    check_expected(read({"latency": series}))


def test_cumulative_columns_in_a_mapping():
    columns = {arm: pd.DataFrame(rows_of(arm, COUNTS[arm])).to_dict("list") for arm in COUNTS}
    check_expected(read({"latency": columns}))


def as_file(text, kind):
    return read_table(io.StringIO(text), format=kind)


def test_files():
    text = pd.DataFrame(rows(LE[1])).to_csv(index=False)
    check_expected(read(as_file(text, "csv")))
    check_expected(read(as_file(json.dumps(rows(LE[1])), "json")))
    check_expected(read(as_file("\n".join(map(json.dumps, rows(LE[1]))), "ndjson")))
    series = {"latency": {arm: matrix(arm) for arm in COUNTS}}
    check_expected(read(as_file(json.dumps(series), "json")))
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows()), stream)
    stream.seek(0)
    check_expected(read(read_table(stream, format="parquet")))


def test_a_file_may_hold_other_metrics_without_le():
    text = "metric,arm,time,le,value\n" + "".join(
        f"latency,{row['arm']},{row['time']},{row['le']},{row['value']}\ncpu,{row['arm']},{row['time']},,0.5\n"
        for row in rows(LE[1])
    )
    asked = Policy(metrics=[*policy().metrics, Metric(name="cpu", direction="increase")])
    pairs = read_pairs(as_file(text, "csv"), asked)
    check_expected(pairs["latency"])
    assert pairs["cpu"].edges is None
    assert pairs["cpu"].canary.buckets is None


def test_without_times_an_interval_begins_where_the_first_edge_comes_again():
    for order in (EDGES, EDGES[::-1]):
        data = []
        for arm, counts in COUNTS.items():
            for row in rows_of(arm, counts):
                del row["time"]
                data.append(row)
        for start in range(0, len(data), 3):
            data[start : start + 3] = sorted(data[start : start + 3], key=lambda row: order.index(row["le"]))
        pair = read(data)
        assert pair.pairing == "windows"
        assert pair.canary.time is None
        assert pair.canary.buckets.tolist() == COUNTS["canary"]
        assert pair.baseline.buckets.tolist() == COUNTS["baseline"]


def test_without_times_replicas_have_intervals_of_their_own():
    rows = [row | {"time": None} for row in rows_of("canary", COUNTS["canary"][:2], replica="a")]
    other = [row | {"time": None} for row in rows_of("canary", COUNTS["canary"][2:], replica="b")]
    mixed = [rows[0], other[0], rows[1], other[1], rows[2], other[2], *rows[3:]]
    pair = read(both(mixed))
    assert [own.buckets.tolist() for own in pair.canary.replicas] == [
        COUNTS["canary"][:2],
        COUNTS["canary"][2:],
    ]
    first = np.add(COUNTS["canary"][0], COUNTS["canary"][2]).tolist()
    assert pair.canary.buckets.tolist() == [first, COUNTS["canary"][1]]


def test_any_order_of_rows_will_do():
    by_edge = sorted(rows(), key=lambda row: (row["le"], row["time"]))
    check_expected(read(by_edge))
    backward = read(both(rows_of("canary", COUNTS["canary"][::-1], minutes(3)[::-1])))
    assert backward.canary.buckets.tolist() == COUNTS["canary"]
    assert notes(backward, "out_of_order") == [("canary", 2)]
    series = {"baseline": matrix("baseline"), "canary": matrix("canary")}
    for column in ("time", "buckets"):
        series["canary"][column] = series["canary"][column][::-1]
    pair = read({"latency": series})
    assert pair.canary.buckets.tolist() == COUNTS["canary"]
    assert notes(pair, "out_of_order") == [("canary", 2)]


def test_replicas_are_added_up():
    canary = rows_of("canary", COUNTS["canary"], replica="a") + rows_of(
        "canary", COUNTS["canary"], replica="b"
    )
    pair = read(both(canary))
    assert pair.canary.buckets.tolist() == (2 * np.array(COUNTS["canary"])).tolist()
    assert not notes(pair, "duplicate_times")
    assert not notes(pair, "identical_rows")


def test_repeated_rows_are_counted_once():
    for again in (rows_of("canary", COUNTS["canary"]), rows_of("canary", COUNTS["canary"][:1])[:2]):
        pair = read(both(rows_of("canary", COUNTS["canary"]) + again))
        assert pair.canary.buckets.tolist() == COUNTS["canary"]
        assert notes(pair, "identical_rows") == [("canary", len(again))]
        assert not notes(pair, "duplicate_times")
    twice = matrix("canary", time=minutes(3) * 2, buckets=COUNTS["canary"] * 2)
    pair = read({"latency": {"baseline": matrix("baseline"), "canary": twice}})
    assert pair.canary.buckets.tolist() == COUNTS["canary"]
    assert notes(pair, "identical_rows") == [("canary", 3)]
    pair = read({"latency": {"baseline": matrix("baseline"), "canary": twice | {"replica": list("aaabbb")}}})
    assert pair.canary.value.tolist() == [20, 20, 20]
    assert not notes(pair, "duplicate_times")


def test_different_histograms_of_one_time_are_those_of_replicas():
    """Edge by edge some counts are equal by chance; as whole histograms they differ."""
    canary = rows_of("canary", [[5, 0, 4]], [T0]) + rows_of("canary", [[3, 2, 4]], [T0])
    pair = read(both(canary))
    assert pair.canary.buckets.tolist() == [[8, 2, 8]]
    assert notes(pair, "duplicate_times") == [("canary", 2)]
    series = {"time": [T0, T0], "edges": [0.1, 0.5], "buckets": [[5, 0, 4], [3, 2, 4]]}
    assert read({"latency": {"baseline": matrix("baseline"), "canary": series}}).canary.buckets.tolist() == [
        [8, 2, 8]
    ]


def test_intervals_are_merged_by_adding_up():
    """The canary is scraped twice as often."""
    counts = [[1, 1, 1], [2, 0, 0]] * 3
    times = [T0 + 30.0 * i for i in range(6)]
    pair = read(both(rows_of("canary", counts, times)))
    assert len(pair.canary) == len(pair.baseline)
    assert pair.canary.buckets.sum(axis=1).tolist() == pair.canary.value.tolist()
    inside = pair.canary.buckets[1:-1]
    assert inside.tolist() == [[3, 1, 1]] * len(inside)


def test_what_only_one_arm_covers_is_left_out_with_its_buckets():
    pair = read(both(rows_of("canary", COUNTS["canary"], minutes(3, start=1))))
    assert pair.canary.buckets.tolist() == COUNTS["canary"][:2]
    assert pair.baseline.buckets.tolist() == COUNTS["baseline"][1:]
    assert notes(pair, "outside_overlap") == [("baseline", 1), ("canary", 1)]


def test_intervals_without_observations_are_left_out():
    pair = read(both(rows_of("canary", [[9, 1, 0], [0, 0, 0], [7, 0, 3]])))
    assert notes(pair, "no_traffic") == [("canary", 1)]
    assert pair.canary.buckets.tolist() == [[9, 1, 0], [7, 0, 3]]
    assert len(pair.baseline) == 2


@pytest.mark.parametrize(
    ("value", "code"), [(math.nan, "missing_values"), (INF, "infinite_values"), (1e300, "infinite_values")]
)
def test_an_interval_with_an_unknown_count_is_left_out(value, code):
    canary = rows_of("canary", COUNTS["canary"])
    canary[4]["value"] = value
    pair = read(both(canary))
    assert notes(pair, code) == [("canary", 1)]
    assert pair.canary.buckets.tolist() == [COUNTS["canary"][0], COUNTS["canary"][2]]
    series = matrix("canary", buckets=[[9, 1, 0], [6, value, 2], [7, 0, 3]])
    pair = read({"latency": {"baseline": matrix("baseline"), "canary": series}})
    assert notes(pair, code) == [("canary", 1)]
    assert len(pair.canary) == 2


def test_a_missing_count_beside_another_of_the_same_edge_is_no_contradiction():
    canary = rows_of("canary", COUNTS["canary"])
    again = [canary[0] | {"value": None}, canary[3] | {"value": None}, canary[3] | {"value": None}]
    pair = read(both([*canary, again[0]]))
    assert pair.canary.buckets.tolist() == COUNTS["canary"]
    pair = read(both([*canary[:3], *again[1:], *canary[4:]]))
    assert pair.canary.buckets.tolist() == [COUNTS["canary"][0], COUNTS["canary"][2]]
    assert notes(pair, "missing_values") == [("canary", 1)]


def test_rows_without_a_time_are_left_out_where_others_have_one():
    canary = rows_of("canary", [*COUNTS["canary"], [1, 1, 1]], [*minutes(3), None])
    pair = read(both(canary))
    assert pair.canary.buckets.tolist() == COUNTS["canary"]
    assert notes(pair, "missing_times") == [("canary", 3)]
    series = matrix("canary", time=[None, *minutes(2)])
    pair = read({"latency": {"baseline": matrix("baseline"), "canary": series}})
    assert notes(pair, "missing_times") == [("canary", 1)]
    assert pair.canary.buckets.tolist() == COUNTS["canary"][1:]


def test_times_in_milliseconds_are_read_and_noted():
    canary = rows_of("canary", COUNTS["canary"], [1000 * time for time in minutes(3)])
    pair = read(both(canary))
    assert pair.canary.time.tolist() == minutes(3)
    assert notes(pair, "time_unit") == [("canary", 3)]


def test_zones_must_agree():
    texts = [f"2024-05-01T12:0{i}:00" for i in range(3)]
    baseline = rows_of("baseline", COUNTS["baseline"], [f"{text}Z" for text in texts])
    with pytest.raises(DataError, match="mix"):
        read(both(rows_of("canary", COUNTS["canary"], texts), baseline))
    elsewhere = [f"2024-05-01T14:0{i}:00+02:00" for i in range(3)]
    pair = read(both(rows_of("canary", COUNTS["canary"], elsewhere), baseline))
    assert pair.canary.time.tolist() == pair.baseline.time.tolist()


def test_fractional_counts_are_rounded_and_noted():
    """As increase() of Prometheus extrapolates them; the rounding cannot make the counts fall."""
    canary = rows_of("canary", [[9, 1, 0], [6.4, 1.2, 2.3], [7, 0, 3]])
    pair = read(both(canary))
    assert pair.canary.buckets.tolist() == [[9, 1, 0], [6, 2, 2], [7, 0, 3]]
    assert notes(pair, "rounded_counts") == [("canary", 1)]
    wobbly = rows_of("canary", [[9, 1, 0]])
    wobbly[1]["value"] = 9 - 1e-9
    assert read(both(wobbly)).canary.buckets.tolist() == [[9, 0, 1]]


def test_an_interval_with_other_edges_makes_all_coarser():
    odd = rows_of("canary", [[6, 2, 1, 1]], [T0 + 60], [0.1, 0.25, 1.0, INF])
    canary = (
        rows_of("canary", COUNTS["canary"][:1]) + odd + rows_of("canary", COUNTS["canary"][2:], [T0 + 120])
    )
    pair = read(both(canary))
    assert pair.edges.tolist() == [0.1, INF]
    assert pair.canary.buckets.tolist() == [[9, 1], [6, 4], [7, 3]]
    assert pair.baseline.buckets.tolist() == [[90, 10], [85, 15], [70, 21]]
    assert notes(pair, "merged_buckets") == [("canary", 3), ("baseline", 1)]


def test_arms_with_other_edges_are_compared_by_the_common_ones():
    canary = rows_of("canary", [[5, 2, 2, 1]], [T0], [0.2, 0.5, 1.0, INF])
    pair = read(both(canary))
    assert pair.edges.tolist() == [0.5, INF]
    assert pair.canary.buckets.tolist() == [[7, 3]]
    assert pair.baseline.buckets.tolist() == [[98, 2]]
    assert notes(pair, "merged_buckets") == [("baseline", 1), ("canary", 2)]
    assert (
        note_sentence(pair.notes[0])
        == "baseline: 1 bucket edge left out that not every histogram of both arms has"
    )


def test_without_infinity_the_largest_edge_is_the_last_bucket():
    counts = {arm: np.array(COUNTS[arm]).tolist() for arm in COUNTS}
    pair = read(rows([0.1, 0.5, 2.0], counts))
    assert pair.edges.tolist() == EDGES
    assert pair.canary.buckets.tolist() == COUNTS["canary"]
    assert notes(pair, "no_infinite_bucket") == [("baseline", 3), ("canary", 3)]
    assert note_sentence(pair.notes[0]).endswith(
        "the last bucket has an end, so observations beyond 2 are unseen"
    )


def test_where_one_interval_lacks_infinity_all_do_without():
    canary = rows_of("canary", COUNTS["canary"])[:-1]
    baseline = rows_of("baseline", [row[:2] for row in COUNTS["baseline"]], edges=[0.1, 0.5])
    pair = read(both(canary, baseline))
    assert pair.canary.buckets.tolist() == [[9, 1], [6, 2], [7, 0]]
    assert pair.edges.tolist() == [0.1, INF]


def test_buckets_of_another_kind_are_refused():
    asked = Policy(metrics=[Metric(name="latency", direction="increase")])
    with pytest.raises(DataError, match="the data are buckets, and the metric's kind is gauge"):
        read_pairs({"latency": {arm: matrix(arm) for arm in COUNTS}}, asked)


def test_wide_tables_hold_no_histograms():
    table = [{"version": arm, "latency": 1.0} for arm in COUNTS]
    with pytest.raises(DataError, match="is a histogram, which no single column can hold"):
        widen_table(table, WideTable(policy(), "version"))
    data = from_wide(table, arm="version", metrics={"latency": "latency"})
    with pytest.raises(DataError, match="needs the column 'le'"):
        read(data)


@pytest.mark.parametrize(
    "nothing", [None, [], {"value": [], "le": []}, {"edges": [0.1], "buckets": []}], ids=str
)
def test_an_arm_may_be_empty(nothing):
    pair = read({"latency": {"baseline": matrix("baseline"), "canary": nothing}})
    assert (len(pair.baseline), len(pair.canary)) == (3, 0)
    assert pair.edges.tolist() == EDGES
    pair = read({"latency": {"baseline": nothing, "canary": matrix("canary")}})
    assert (len(pair.baseline), len(pair.canary)) == (0, 3)
    assert pair.edges.tolist() == EDGES


def test_the_digest_tells_buckets_and_edges():
    found = {read(rows()).digest(), read(rows(edges=[0.1, 0.6, INF])).digest()}
    moved = {arm: [[row[0] - 1, row[1] + 1, row[2]] for row in COUNTS[arm]] for arm in COUNTS}
    found.add(read(rows(counts=moved)).digest())
    assert len(found) == 3
    assert read(rows()).digest() == read({"latency": {arm: matrix(arm) for arm in COUNTS}}).digest()


def test_what_a_policy_can_say_of_a_histogram():
    metric = Metric(name="latency", kind="histogram", unit="s", direction="increase", tolerance="100ms")
    assert metric.tolerated_absolute == pytest.approx(0.1)
    assert metric.needed_points == 1
    with pytest.raises(PolicyError, match="A histogram compares by its shift, so leave effect out"):
        Metric(name="latency", kind="histogram", direction="increase", effect="ratio")
    with pytest.raises(PolicyError, match="does not fit kind: histogram"):
        Metric(name="latency", kind="histogram", direction="increase", rules=["proportion"])


counts = st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=6)


@given(st.fixed_dictionaries({"baseline": counts, "canary": counts}), st.randoms(use_true_random=False))
def test_shuffled_rows_give_the_same_pair(found, random):
    data = rows(counts=found)
    shuffled = random.sample(data, len(data))
    one, other = read(data, no_data="ignore"), read(shuffled, no_data="ignore")
    assert one.digest() == other.digest()
    assert [n for n in one.notes if n.code != "out_of_order"] == [
        n for n in other.notes if n.code != "out_of_order"
    ]


@given(counts, st.sets(st.sampled_from([0.1, 0.5]), min_size=1))
def test_coarser_edges_count_the_same_observations(found, kept):
    fine = read({"latency": {arm: {"edges": [0.1, 0.5], "buckets": found} for arm in COUNTS}})
    rows_of_canary = [
        row | {"time": None} for row in rows_of("canary", found) if row["le"] in kept or row["le"] == INF
    ]
    baseline = [row | {"time": None} for row in rows_of("baseline", found)]
    coarse = read(both(rows_of_canary, baseline))
    assert coarse.canary.value.tolist() == fine.canary.value.tolist()
    if not len(coarse.canary):
        return
    # an edge inside a bucket without observations is known as well
    inside = {0.1: [row[0] + row[1] for row in found], 0.5: [row[1] + row[2] for row in found]}
    known = [edge in kept or edge == INF or not any(inside[edge]) for edge in EDGES]
    assert coarse.edges.tolist() == [edge for edge, is_known in zip(EDGES, known, strict=True) if is_known]
    below = fine.canary.buckets.cumsum(axis=1)[:, known]
    assert coarse.canary.buckets.cumsum(axis=1).tolist() == below.tolist()
    assert coarse.baseline.buckets.tolist() == coarse.canary.buckets.tolist()

"""What cannot be histograms is told in a sentence; no rubbish gives anything else."""

import numpy as np
import pytest
from histogram_data import COUNTS, INF, T0, both, matrix, minutes, read, refused, rows, rows_of
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.errors import DataError


def changed(index, **change):
    canary = rows_of("canary", COUNTS["canary"])
    canary[index] |= change
    return both(canary)


BAD = [
    (changed(1, value=3), "row 11: 3 observations are at most 0.5, fewer than the 9 that are at most 0.1"),
    (changed(0, value=-1), "row 10: a count of the histogram is -1, and none can be negative"),
    (changed(2, le=None), "row 12: there is no le"),
    (changed(2, le="  "), "row 12: there is no le"),
    (changed(2, le="slow"), "row 12: le is the text 'slow' where a number belongs"),
    (changed(2, le="-Inf"), "an upper edge of a bucket is -Inf"),
    (changed(2, value="many"), "row 12: value is the text 'many'"),
    ([{key: row[key] for key in row if key != "le"} for row in rows()], "needs the column 'le'"),
    (both(rows_of("canary", [[3], [4], [2]], edges=[INF])), "all intervals have only the edge inf in common"),
    (
        both(
            rows_of("canary", [[3, 1]], [T0], [0.2, INF]) + rows_of("canary", [[3, 1]], [T0 + 60], [0.3, INF])
        ),
        "all intervals have only the edge inf in common",
    ),
    (
        both(
            rows_of("canary", [[3, 1]], [T0], [0.2, 0.3]) + rows_of("canary", [[3, 1]], [T0 + 60], [0.4, 0.6])
        ),
        "all intervals have no edge in common",
    ),
    (both(rows_of("canary", [[3, 1]], [T0], [0.2, INF])), "both arms have only the edge inf in common"),
    (
        both(rows_of("canary", [row[:2] for row in COUNTS["canary"]], edges=[0.1, 0.5])),
        "those of arm 'baseline' at +Inf and those of arm 'canary' at 0.5",
    ),
    (
        both(rows_of("canary", COUNTS["canary"]) + rows_of("canary", [[99, 0, 0]])[:1]),
        "row 10: le 0.1 has 2 different counts in one interval, and others have fewer",
    ),
]


@pytest.mark.parametrize(("data", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_a_mistake_in_rows_is_told_in_one_sentence(data, sentence):
    assert sentence in refused(data)


BAD_SERIES = [
    ({"edges": None}, "there are buckets, and no edges"),
    ({"edges": [0.5, 0.1]}, "the edges are [0.5, 0.1], which do not ascend"),
    ({"edges": [0.1, 0.1]}, "which do not ascend"),
    ({"edges": []}, "which do not ascend"),
    ({"edges": [0.1, None]}, "which do not ascend"),
    ({"edges": ["0.1", "x"]}, "edges is the text 'x'"),
    ({"edges": [0.1]}, "index 0: there are 3 buckets for 1 edges"),
    ({"edges": [0.1, 0.2, 0.5, INF]}, "index 0: there are 3 buckets for 4 edges"),
    ({"buckets": [[1, 2, 3], [1, 2], [1, 2, 3]]}, "index 1: there are 2 buckets for 2 edges"),
    ({"buckets": [[1, 2, 3], [1, -2, 3], [1, 2, 3]]}, "index 1: a count of the histogram is -2"),
    ({"buckets": [[1, 2, 3], [1, "x", 3], [1, 2, 3]]}, "index 1: buckets[1] is the text 'x'"),
    ({"buckets": [1, 2, 3]}, "buckets has 1 where a row of counts belongs"),
    ({"buckets": 7}, "buckets has 7 where a row of counts belongs"),
    ({"time": minutes(2)}, "buckets has 3 rows and time has 2"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD_SERIES, ids=[sentence for _, sentence in BAD_SERIES])
def test_a_mistake_in_a_mapping_is_told_in_one_sentence(change, sentence):
    series = {"baseline": matrix("baseline"), "canary": matrix("canary", **change)}
    assert sentence in refused({"latency": series})


rubbish = st.one_of(
    st.none(),
    st.integers(-2, 30),
    st.floats(),
    st.sampled_from([0.1, 0.5, INF, "+Inf", "0.5", "", "x", [1], b"x", True, 10**400, T0, T0 + 60]),
)
records = st.lists(
    st.fixed_dictionaries(
        {"metric": st.just("latency"), "arm": st.sampled_from(["baseline", "canary"]), "value": rubbish},
        optional={"le": rubbish, "time": rubbish, "replica": rubbish},
    ),
    max_size=10,
)


def check(pair):
    for arm in (pair.baseline, pair.canary):
        if len(arm):
            assert arm.buckets.shape == (len(arm), len(pair.edges))
            assert (arm.buckets >= 0).all()
            assert arm.buckets.sum(axis=1).tolist() == arm.value.tolist()
            assert (arm.value > 0).all()
            assert pair.edges[-1] == INF
            assert (np.diff(pair.edges) > 0).all()


def attempt(data):
    """Give the pair, or the DataError that is raised."""
    try:
        return read(data, no_data="ignore")
    except DataError as error:
        return error


def read_or_refuse(data):
    found = attempt(data)
    if isinstance(found, DataError):
        assert found.hint
        assert "\n" not in str(found)
    else:
        check(found)


@given(records)
def test_rubbish_in_rows_gives_a_data_error_or_a_clean_pair(data):
    read_or_refuse(data)


@given(
    st.one_of(rubbish, st.lists(rubbish, max_size=3)),
    st.one_of(rubbish, st.lists(st.one_of(rubbish, st.lists(rubbish, max_size=3)), max_size=3)),
    st.one_of(st.none(), st.lists(rubbish, max_size=3)),
)
def test_rubbish_in_mappings_gives_a_data_error_or_a_clean_pair(edges, buckets, time):
    read_or_refuse(
        {
            "latency": {
                "baseline": matrix("baseline"),
                "canary": {"edges": edges, "buckets": buckets, "time": time},
            }
        }
    )


# ---- no observations


EMPTY = {
    "exponential": [
        {"scale": 3, "zeroCount": 0},
        {"scale": 0, "positive": {"offset": 2, "bucketCounts": [0]}},
    ],
    "ranges": [[], [[1.0, 2.0, 0]]],
    "rows": [0, 0, 0, 0],
    "matrix": [[0, 0, 0], [0, 0, 0]],
}


def empty(form):
    """Two intervals without an observation."""
    times = [1.7e9, 1.7e9 + 60]
    if form == "rows":
        return {"value": EMPTY[form], "le": ["0.1", "+Inf"] * 2, "time": np.repeat(times, 2)}
    if form == "exponential":
        return {"exponential": EMPTY[form], "time": times}
    return {"buckets": EMPTY[form], "time": times} | ({"edges": [0.1, 0.5]} if form == "matrix" else {})


@pytest.mark.parametrize("counter", [False, True])
@pytest.mark.parametrize("other", [*EMPTY, "full"])
@pytest.mark.parametrize("form", EMPTY)
def test_an_arm_without_observations_is_no_data_in_every_form(form, other, counter):
    times = [1.7e9, 1.7e9 + 60, 1.7e9 + 120]
    full = {"edges": [0.1, 0.5], "buckets": [[50, 9, 1], [100, 18, 2], [150, 27, 3]], "time": times}
    baseline = full if other == "full" else empty(other)
    policy = cj.Policy(
        metrics=[cj.Metric(name="m", kind="histogram", direction="increase", counter=counter)], max_points=20
    )
    data = {"m": {"baseline": baseline, "canary": empty(form)}}
    found = cj.judge(data, policy)
    assert (found.outcome, found.metrics["m"].reason) == ("marginal", "no_data")
    codes = {note.code for note in found.metrics["m"].warnings if note.arm == "canary"}
    assert "no_traffic" in codes
    monitor = cj.Monitor(policy)
    monitor.update(data)
    assert monitor.verdict().outcome == "marginal"
    # once something is observed it counts
    later = {"edges": [0.1, 0.5], "buckets": [[50, 9, 1]], "time": [1.7e9 + 120]}
    monitor.update({"m": {"canary": later}})
    assert monitor.verdict().metrics["m"].n_canary == (other == "full")

"""Every accepted shape of the same data gives the same pairs."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from canaryjudge.data import from_wide, read_pairs
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy

START = 1_700_000_000.0
POLICY = Policy(
    metrics=[
        Metric(name="errors", kind="ratio", direction="increase"),
        Metric(name="cpu", direction="increase"),
    ]
)
CPU = {"old": [0.5, 0.25, 0.75, 0.5], "new": [0.5, None, 1.0, 0.5]}
ERRORS = {"old": [1, 0, 2, 0], "new": [0, 0, 1, 3]}
TOTALS = {"old": [100, 90, 110, 100], "new": [10, 9, 11, 10]}


def times(arm):
    return [START + 60.0 * index for index in range(len(CPU[arm]))]


def rows():
    found = []
    for arm in ("old", "new"):
        for index, time in enumerate(times(arm)):
            row = {"arm": arm, "time": time, "pod": "ignored"}
            found.append(row | {"metric": "cpu", "value": CPU[arm][index], "total": None})
            found.append(row | {"metric": "errors", "value": ERRORS[arm][index], "total": TOTALS[arm][index]})
    return found


def wide_rows():
    return [
        {"version": arm, "ts": time, "cpu": CPU[arm][i], "errs": ERRORS[arm][i], "reqs": TOTALS[arm][i]}
        for arm in ("old", "new")
        for i, time in enumerate(times(arm))
    ]


def tidy(library):
    columns = {name: [row[name] for row in rows()] for name in rows()[0]}
    return library(columns)


def mapping(make=list):
    return {
        "cpu": {arm: {"value": make(CPU[arm]), "time": times(arm)} for arm in CPU},
        "errors": {
            arm: {"value": make(ERRORS[arm]), "total": make(TOTALS[arm]), "time": times(arm)} for arm in CPU
        },
    }


def wide(library):
    spec = {"errors": {"value": "errs", "total": "reqs"}, "cpu": "cpu"}
    return from_wide(library(wide_rows()), arm="version", time="ts", metrics=spec)


def categorical_frame():
    return tidy(pd.DataFrame).astype({"metric": "category", "arm": "category"})


def indexed_series():
    def series(values, arm):
        return pd.Series(values, index=pd.to_datetime(times(arm), unit="s", utc=True), dtype="float64")

    return {
        "cpu": {arm: series(CPU[arm], arm) for arm in CPU},
        "errors": {
            arm: {"value": series(ERRORS[arm], arm), "total": series(TOTALS[arm], arm)} for arm in CPU
        },
    }


SHAPES = {
    "records": rows,
    "pandas": lambda: tidy(pd.DataFrame),
    "pandas, shuffled index": lambda: tidy(pd.DataFrame).set_index(np.arange(16)[::-1]),
    "pandas categories": categorical_frame,
    "pandas nullable": lambda: tidy(pd.DataFrame).convert_dtypes(),
    "pandas arrow": lambda: tidy(pd.DataFrame).convert_dtypes(dtype_backend="pyarrow"),
    "pandas objects": lambda: tidy(pd.DataFrame).astype(object),
    "pandas time index": lambda: (
        tidy(pd.DataFrame).assign(time=lambda f: pd.to_datetime(f["time"], unit="s")).set_index("time")
    ),
    "polars": lambda: tidy(pl.DataFrame),
    "polars categories": lambda: tidy(pl.DataFrame).with_columns(
        pl.col("metric", "arm").cast(pl.Categorical)
    ),
    "polars lazy": lambda: tidy(pl.DataFrame).lazy(),
    "pyarrow": lambda: tidy(pa.table),
    "mapping of lists": mapping,
    "mapping of arrays": lambda: mapping(lambda items: np.array(items, dtype=float)),
    "mapping of objects": lambda: mapping(lambda items: np.array(items, dtype=object)),
    "mapping of decimals": lambda: mapping(
        lambda items: [None if i is None else Decimal(str(i)) for i in items]
    ),
    "mapping of pandas": lambda: mapping(lambda items: pd.Series(items, dtype="float64")),
    "mapping of polars": lambda: mapping(pl.Series),
    "mapping of pyarrow": lambda: mapping(pa.array),
    "mapping of chunks": lambda: mapping(lambda items: pa.chunked_array([items])),
    "mapping of frames": lambda: {
        name: {arm: pd.DataFrame(columns) for arm, columns in arms.items()}
        for name, arms in mapping().items()
    },
    "mapping of indexed series": indexed_series,
    "wide records": lambda: wide(list),
    "wide pandas": lambda: wide(pd.DataFrame),
    "wide polars": lambda: wide(pl.DataFrame),
    "wide pyarrow": lambda: wide(pa.Table.from_pylist),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_the_same_data_gives_the_same_pairs(shape):
    expected = read_pairs(rows(), POLICY, baseline="old", canary="new")
    pairs = read_pairs(SHAPES[shape](), POLICY, baseline="old", canary="new")
    assert list(pairs) == ["errors", "cpu"]
    for name, pair in pairs.items():
        assert pair.digest() == expected[name].digest()
        assert pair.notes == expected[name].notes
        assert pair.interval == expected[name].interval


def test_a_pair_holds_the_values_totals_and_times_that_came_in():
    pair = read_pairs(rows(), POLICY, baseline="old", canary="new")["errors"]
    assert pair.name == "errors"
    assert pair.kind == "ratio"
    assert pair.pairing == "concurrent"
    assert pair.interval == 60.0
    assert pair.canary.value.tolist() == ERRORS["new"]
    assert pair.canary.total.tolist() == TOTALS["new"]
    assert pair.baseline.time.tolist() == times("old")


@pytest.mark.parametrize(
    "nothing",
    [
        [],
        {},
        {"cpu": {}},
        pd.DataFrame(),
        pd.DataFrame({"metric": [], "arm": [], "value": []}),
        pl.DataFrame(schema={"metric": pl.String, "arm": pl.String, "value": pl.Float64}),
        from_wide(pd.DataFrame({"v": [], "cpu": []}), arm="v", metrics={"cpu": "cpu"}),
    ],
)
def test_data_without_rows_give_empty_pairs(nothing):
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    pair = read_pairs(nothing, policy)["cpu"]
    assert len(pair.baseline) == len(pair.canary) == 0
    assert pair.pairing == "windows"


@pytest.mark.parametrize(
    "empty", [None, [], {}, {"value": []}, {"value": None}, np.array([]), pd.Series([], dtype=float)]
)
def test_a_series_without_points_is_an_empty_arm(empty):
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    pair = read_pairs({"cpu": {"baseline": [1.0, 2.0], "canary": empty}}, policy)["cpu"]
    assert len(pair.baseline) == 2
    assert len(pair.canary) == 0


def test_a_metric_in_one_arm_only_gives_an_empty_other_arm():
    data = [
        {"metric": "cpu", "arm": "baseline", "value": 1.0},
        {"metric": "other", "arm": "canary", "value": 1.0},
    ]
    pair = read_pairs(data, Policy(metrics=[Metric(name="cpu", direction="increase")]))["cpu"]
    assert (len(pair.baseline), len(pair.canary)) == (1, 0)


def test_an_absent_metric_is_an_empty_pair_where_the_policy_sets_no_data():
    policy = Policy(metrics=[Metric(name="cpu", direction="increase", no_data="marginal")])
    pair = read_pairs({"memory": {"baseline": [1.0], "canary": [1.0]}}, policy)["cpu"]
    assert len(pair.baseline) == len(pair.canary) == 0


def test_arms_that_are_not_named_are_ignored():
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    arms = {"baseline": [1.0, 2.0], "canary": [2.0], "shadow": ["rubbish"]}
    assert len(read_pairs({"cpu": arms}, policy)["cpu"].canary) == 1


def test_arms_may_be_numbers_in_the_data():
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    for arm in ([1, 2], [1.0, 2.0], [True, False]):
        frame = pd.DataFrame({"metric": "cpu", "arm": arm, "value": [3.0, 4.0]})
        names = ("True", "False") if arm[0] is True else ("1", "2")
        pair = read_pairs(frame, policy, baseline=names[0], canary=names[1])["cpu"]
        assert pair.canary.value.tolist() == [4.0]


def test_booleans_count_as_zero_and_one():
    policy = Policy(metrics=[Metric(name="up", direction="decrease")])
    for make in (list, np.array, pd.Series, pl.Series, pa.array):
        pair = read_pairs({"up": {"baseline": make([True, False]), "canary": make([True, True])}}, policy)[
            "up"
        ]
        assert pair.baseline.value.tolist() == [1.0, 0.0]


def test_a_masked_array_leaves_its_masked_points_out():
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    masked = np.ma.masked_greater(np.array([1.0, 99.0, 2.0]), 50)
    pair = read_pairs({"cpu": {"baseline": masked, "canary": [1]}}, policy)["cpu"]
    assert pair.baseline.value.tolist() == [1.0, 2.0]


def test_a_count_without_totals_has_none_and_its_points_are_the_exposure():
    policy = Policy(metrics=[Metric(name="restarts", kind="count", direction="increase")])
    frame = pd.DataFrame(
        {"metric": "restarts", "arm": ["baseline", "canary"] * 2, "value": [1, 2, 3, 4], "total": None}
    )
    pair = read_pairs(frame, policy)["restarts"]
    assert pair.canary.total is None
    assert (pair.canary.events, pair.canary.exposure) == (6.0, 2.0)


def test_gauges_and_samples_ignore_totals():
    for kind in ("gauge", "samples"):
        policy = Policy(metrics=[Metric(name="cpu", kind=kind, direction="increase")])
        arm = {"value": [1.0, 2.0], "total": [-1.0, float("nan")]}
        pair = read_pairs({"cpu": {"baseline": arm, "canary": arm}}, policy)["cpu"]
        assert pair.canary.total is None
        assert len(pair.canary) == 2


def test_what_was_read_does_not_change_with_the_callers_array():
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    mine = np.array([1.0, 2.0])
    pair = read_pairs({"cpu": {"baseline": mine, "canary": mine}}, policy)["cpu"]
    mine[0] = 99.0
    assert pair.baseline.value.tolist() == [1.0, 2.0]


def test_from_wide_keeps_all_arms_and_a_null_cell_is_a_missing_value():
    frame = pd.DataFrame({"v": ["a", "b", "c", "a"], "p99": [1.0, 2.0, 3.0, None]})
    data = from_wide(frame, arm="v", metrics={"latency": "p99"})
    assert list(data["latency"]) == ["a", "b", "c"]
    policy = Policy(metrics=[Metric(name="latency", direction="increase")])
    pair = read_pairs(data, policy, baseline="a", canary="b")["latency"]
    assert pair.baseline.value.tolist() == [1.0]
    assert [(note.arm, note.count) for note in pair.notes if note.code == "missing_values"] == [("a", 1)]


def test_from_wide_takes_the_times_of_a_pandas_index():
    index = pd.date_range("2024-01-01", periods=4, freq="min", tz="UTC")
    frame = pd.DataFrame({"v": ["a", "b"] * 2, "p99": [1.0, 2.0, 3.0, 4.0]}, index=index)
    data = from_wide(frame, arm="v", metrics={"latency": "p99"})
    policy = Policy(metrics=[Metric(name="latency", direction="increase")])
    pair = read_pairs(data, policy, baseline="a", canary="b")["latency"]
    assert pair.baseline.time.tolist() == [1704067200.0, 1704067320.0]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"frame": 5, "arm": "v", "metrics": {"a": "b"}}, ["5 is not a table", "Give a frame"]),
        ({"frame": [{"v": 1}], "arm": "v", "metrics": {}}, ["names no metric"]),
        (
            {"frame": [{"v": 1, "x": 2}], "arm": "w", "metrics": {"a": "x"}},
            ["no column 'w'", "Known columns: v, x"],
        ),
        ({"frame": [{"v": 1, "x": 2}], "arm": "v", "metrics": {"a": "xs"}}, ["no column 'xs'", "mean 'x'"]),
        ({"frame": [{"v": 1, "x": 2}], "arm": "v", "time": "t", "metrics": {"a": "x"}}, ["no column 't'"]),
        (
            {"frame": [{"v": 1, "x": 2}], "arm": "v", "metrics": {"a": {"vale": "x"}}},
            ["'a' is given as", '{"value"'],
        ),
        (
            {"frame": [{"v": "b", "x": 2}, {"v": None, "x": 2}], "arm": "v", "metrics": {"a": "x"}},
            ["row 2: there is no v"],
        ),
    ],
)
def test_from_wide_says_what_is_wrong(arguments, parts):
    frame = arguments.pop("frame")
    with pytest.raises(DataError) as caught:
        from_wide(frame, **arguments)
    for part in parts:
        assert part in str(caught.value)


def test_many_labels_of_both_kinds_cost_no_table_of_all_pairs():
    count = 50_000
    names = [f"m{number}" for number in range(count)]
    arms = [f"pod{number}" for number in range(count - 2)]
    frame = pd.DataFrame({"metric": names, "arm": [*arms, "baseline", "canary"], "value": 1.0})
    frame.loc[count - 1, "metric"] = names[-2]
    pair = read_pairs(frame, Policy(metrics=[Metric(name=names[-2], direction="increase")]))[names[-2]]
    assert (len(pair.baseline), len(pair.canary)) == (1, 1)

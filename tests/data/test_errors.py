"""Every complaint about data says where, what was found, and what to do."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from canaryjudge.data import read_pairs
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy


def policy(kind="gauge", name="errors"):
    return Policy(metrics=[Metric(name=name, kind=kind, direction="increase")])


def error(data, kind="gauge", **arms):
    with pytest.raises(DataError) as caught:
        read_pairs(data, policy(kind), **arms)
    return str(caught.value)


def rows(*values, **columns):
    return [
        {"metric": "errors", "arm": "canary" if index % 2 else "baseline", "value": value}
        | {name: column[index] for name, column in columns.items()}
        for index, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        "data.csv",
        b"x",
        [1, 2],
        ["a"],
        np.ones(3),
        pd.Series([1]),
        {1, 2},
        object(),
        iter([1]),
        Policy,
    ],
    ids=lambda data: type(data).__name__,
)
def test_other_shapes_are_refused_with_a_list_of_those_accepted(data):
    message = error(data)
    for part in (
        "the data are",
        "pandas, polars or pyarrow",
        "list of row dicts",
        "{metric: {arm: series}}",
        "from_wide",
    ):
        assert part in message


def test_a_row_that_is_no_mapping_is_named():
    assert "row 2 is 5, not a mapping" in error([{"metric": "errors"}, 5])


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, list])
def test_a_missing_column_is_named_with_those_that_are_there(make):
    message = error(make([{"metric": "errors", "arm": "canary", "vallue": 1.0}]))
    assert "no column 'value'. Did you mean 'vallue'? Known columns: metric, arm, vallue." in message


def test_two_columns_of_one_name_are_an_error():
    frame = pd.DataFrame([["errors", "canary", 1, 2]], columns=["metric", "arm", "value", "value"])
    assert "the table cannot be read" in error(frame)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, list])
@pytest.mark.parametrize("empty", [None, "", " "])
def test_a_row_without_an_arm_is_named(make, empty):
    data = [*rows(1.0, 2.0), {"metric": "errors", "arm": empty, "value": 1.0}]
    assert "row 3: there is no arm. Fill in the column 'arm', or leave out the row." in error(make(data))


def test_an_unknown_arm_is_named_with_the_nearest():
    message = error(rows(1.0, 2.0), baseline="baselin")
    assert "no arm 'baselin'. Did you mean 'baseline'? Known arms: baseline, canary." in message
    assert "Name yours with baseline and canary (--baseline, --canary)." in message
    assert "no arm 'canary'" in error({"errors": {"baseline": [1.0], "v2": [1.0]}})


def test_one_name_for_both_arms_is_an_error():
    assert "both named 'canary'. Name two different arms." in error(rows(1.0, 2.0), baseline="canary")


@pytest.mark.parametrize(
    "data",
    [
        [{"metric": "erors", "arm": arm, "value": 1.0} for arm in ("baseline", "canary")],
        {"erors": {"baseline": [1.0], "canary": [1.0]}},
    ],
)
def test_an_unknown_metric_is_named_with_the_nearest(data):
    message = error(data)
    assert "no metric 'errors'. Did you mean 'erors'? Known metrics: erors." in message
    assert "set no_data in the policy" in message


def test_a_long_list_of_known_names_is_cut():
    data = {f"metric {number}": {"baseline": [1], "canary": [1]} for number in range(50)}
    assert "and 30 more." in error(data)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, list])
def test_text_among_numbers_is_named_with_its_row(make):
    message = error(make(rows("1.5", "2.5", "n/a", "4")))
    assert "metric 'errors', arm 'baseline', row 3: value is the text 'n/a' where a number belongs" in message
    assert "leave a missing one empty" in message


def test_text_is_named_by_the_row_of_the_table_and_by_the_index_of_an_array():
    assert "arm 'canary', row 4: value is the text 'n/a'" in error(rows(1.0, 2.0, 3.0, "n/a"))
    assert "arm 'canary', index 1: value is the text 'n/a'" in error(
        {"errors": {"baseline": [1], "canary": [1, "n/a"]}}
    )
    assert "index 0: value is the text '1'" in error({"errors": {"baseline": ["1"], "canary": [1]}})
    assert "index 1: total is the text 'x'" in error(
        {"errors": {"baseline": {"value": [1, 1], "total": [1, "x"]}, "canary": [1]}}, kind="ratio"
    )


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (1j, "1j (complex)"),
        ({"a": 1}, "{'a': 1} (dict)"),
        ([1.0], "[1.0] (list)"),
        (pd.Timestamp("2024-01-01"), "(Timestamp)"),
        (object, "(type)"),
        (10**400, "no finite number"),
        (Decimal("sNaN"), "no finite number"),
    ],
)
def test_what_is_no_number_is_named(item, found):
    message = error({"errors": {"baseline": [1.0], "canary": [1.0, item]}})
    assert "metric 'errors', arm 'canary', index 1: value is " in message
    assert found in message


@pytest.mark.parametrize(
    "column",
    [
        np.ones(2, dtype=complex),
        np.array(["1", "2"]),
        np.array([b"1"]),
        np.array(["2024-01-01"], dtype="datetime64[D]"),
        np.array([5], dtype="timedelta64[s]"),
        np.zeros(2, dtype=[("a", float)]),
        pd.Series([1j]),
        pd.Series(["a"], dtype="category"),
        pd.Series(pd.to_datetime(["2024-01-01"])),
        pl.Series([[1.0]]),
        pl.Series([{"a": 1}]),
        pa.array(["x"]),
    ],
)
def test_columns_of_other_types_are_named(column):
    message = error({"errors": {"baseline": [1.0], "canary": column}})
    assert "metric 'errors', arm 'canary', index 0: value is " in message
    assert "where a number belongs" in message


@pytest.mark.parametrize(
    "column", [np.ones((2, 2)), np.array(5.0), [[1, 2], [3, 4]], [[1], [2, 3]], np.ma.ones((2, 2))]
)
def test_nested_columns_are_an_error_that_asks_for_flat_ones(column):
    message = error({"errors": {"baseline": [1.0], "canary": column}})
    assert "metric 'errors', arm 'canary'" in message
    assert "flat list or array" in message


@pytest.mark.parametrize(
    "series", [5, "12345", {1.0, 2.0}, iter([1.0]), object()], ids=lambda series: type(series).__name__
)
def test_what_is_no_series_is_an_error(series):
    assert "which is not a column" in error({"errors": {"baseline": [1.0], "canary": series}})


def test_a_series_of_columns_needs_values():
    message = error({"errors": {"baseline": [1.0], "canary": {"values": [1.0]}}})
    assert "metric 'errors', arm 'canary': there is no column 'value'. Did you mean 'values'?" in message


@pytest.mark.parametrize("name", ["time", "total"])
def test_columns_of_unequal_length_are_an_error_with_both_lengths(name):
    message = error({"errors": {"baseline": [1.0], "canary": {"value": [1.0, 2.0], name: [1.0]}}})
    assert f"metric 'errors', arm 'canary': value has 2 points and {name} has 1" in message
    assert "the same length" in message


def test_a_metric_that_is_no_mapping_of_arms_is_an_error():
    message = error({"errors": ["canary"], "cpu": {"canary": [1.0]}})
    assert "metric 'errors': ['canary'] is not a mapping of arms" in message


@pytest.mark.parametrize("data", [rows(1, 2), rows(1, 2, total=[None, None])])
def test_a_ratio_without_totals_is_an_error(data):
    message = error(data, kind="ratio")
    assert "metric 'errors', arm 'baseline': a ratio needs the column 'total'" in message
    assert "Give the number of requests" in message


def shares(values, totals):
    arm = {"value": values, "total": totals}
    return {"errors": {"baseline": {"value": [1.0] * 20, "total": [1000.0] * 20}, "canary": arm}}


def test_shares_where_counts_belong_are_an_error_that_says_so():
    values = [0.0] * 5 + [0.002, 0.0031, 0.0018] * 3 + [0.5, 1.0, 2.0]
    message = error(shares(values, [1000.0] * 17), kind="ratio")
    assert "metric 'errors', arm 'canary', index 5: value is 0.002 of a total of 1000" in message
    assert "10 of the 12 values that are not 0 lie between 0 and 1" in message
    assert "set kind: gauge" in message


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([1.02, 3.97, 0.0, 1.01] * 10, 1000.0),  # Prometheus' increase() extrapolates counts
        ([0.98] * 3 + [1.02] * 7, 1000.0),
        ([0.75] * 7 + [1.5] * 3, 1000.0),
        ([0.002] * 9, 1000.0),  # too few to be sure
        ([0.5] * 40, 1.0),
        ([0.02] * 40, 5.0),  # events and requests a second
    ],
)
def test_counts_that_are_not_whole_are_taken(values, total):
    data = shares(values, [total] * len(values))
    pair = read_pairs(data, policy(kind="ratio"))["errors"]
    assert len(pair.canary) == len(values)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("0,12", "Write decimals with a point: 0.12."),
        ("1.234,5", "Write decimals with a point: 1234.5."),
        ("-,5", "Write decimals with a point: -.5."),
        ("8,433", "Leave out what separates thousands: 8433. If the comma stands before decimals"),
        ("1,234,567.5", "Leave out what separates thousands: 1234567.5."),
        ("8 433", "Leave out what separates thousands: 8433."),
        ("12 %", "Leave out the percent sign: 12."),
        ("0,27%", "Leave out the percent sign: 0.27."),
        ("120 ms", "Give numbers without the unit 'ms', such as 120; the policy says it"),
        ("12", "without quotes"),
        ("timeout", "leave a missing one empty (null)"),
    ],
)
def test_text_where_a_number_belongs_is_told_how_to_become_one(text, hint):
    assert hint in error(rows(1.0, text))


@pytest.mark.parametrize("kind", ["ratio", "count"])
def test_negative_counts_are_an_error_with_their_row(kind):
    message = error(rows(1, 2, 3, -4, total=[9, 9, 9, 9]), kind=kind)
    assert f"metric 'errors', arm 'canary', row 4: value is -4, and a {kind} cannot be negative" in message
    message = error(rows(0, 0, 0, 0, total=[9, 9, -9, 9]), kind=kind)
    assert "arm 'baseline', row 3: total is -9" in message


def test_the_row_is_right_although_others_were_left_out_before_it():
    message = error(rows(None, 2, None, 2, float("inf"), 2, -1, 2), kind="count")
    assert "arm 'baseline', row 7: value is -1" in message


def test_more_errors_than_requests_are_an_error_with_their_row():
    message = error(rows(1, 2, 3, 10, total=[9, 9, 9, 9]), kind="ratio")
    assert "arm 'canary', row 4: value is 10 and total is 9: more errors than requests" in message
    assert "Check that 'value' counts the events" in message


@pytest.mark.parametrize(
    ("kind", "reason"), [("ratio", "more errors than requests"), ("count", "events without exposure")]
)
def test_events_where_the_total_is_zero_are_an_error(kind, reason):
    assert f"row 1: value is 1 and total is 0: {reason}" in error(rows(1, 0, total=[0, 9]), kind=kind)


def test_totals_in_one_arm_only_are_an_error():
    data = {"errors": {"baseline": {"value": [1], "total": [9]}, "canary": [1]}}
    message = error(data, kind="count")
    assert "metric 'errors', arm 'canary': there are no totals, and the arm 'baseline' has them" in message
    assert "in both arms, or in neither" in message


def test_a_failing_lazy_query_is_an_error_without_a_traceback_of_its_library():
    lazy = pl.LazyFrame({"a": [1]}).select(pl.col("missing"))
    assert "the table cannot be read" in error(lazy)


def test_a_table_that_was_cut_at_the_wrong_separator_is_said_to_be():
    frame = pd.DataFrame({"metric;arm;value": ["cpu;a;0,5"]})
    with pytest.raises(DataError) as error:
        read_pairs(frame, Policy(metrics=[Metric(name="cpu", direction="increase")]))
    assert "sep=';'" in error.value.hint

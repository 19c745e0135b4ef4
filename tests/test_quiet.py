"""A quiet library: nothing on standard error, nothing left open, no dependence on what the caller has set, no exception of another kind."""

import decimal
import json
import warnings
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.compat.kayenta import judge_kayenta

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
REQUEST = json.loads((EXAMPLES / "kayenta/request.json").read_text())
RNG = np.random.default_rng(1)
VALUES = RNG.normal(100, 5, 60)


def policy(kind="gauge", **settings):
    return cj.Policy(metrics=[cj.Metric(name="m", kind=kind, direction="increase", **settings)])


def judged(series, kind="gauge", **settings):
    """The verdict on two arms of the same series, or the refusal."""
    return outcome({"m": {"baseline": series, "canary": series}}, policy(kind, **settings))


def outcome(data, policy):
    """What is said of data: a verdict, or in one sentence why there is none."""
    try:
        return cj.judge(data, policy).outcome
    except cj.DataError as error:
        return "refused" if error.hint else "without a hint"


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, 5e-324, 1e-310, 1e-300, 1e300, 1.8e308, -1e300]
)
columns = st.lists(numbers, min_size=3, max_size=25)


@given(
    columns,
    columns,
    st.sampled_from(["gauge", "samples", "ratio", "count"]),
    st.sampled_from(["shift", "ratio"]),
)
def test_extreme_numbers_raise_nothing_else_and_warn_of_nothing(values, totals, kind, effect):
    size = min(len(values), len(totals))
    series = {"value": values[:size], "total": totals[:size], "time": [60.0 * i for i in range(size)]}
    settings = {"effect": effect} if kind in ("gauge", "samples") else {}
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        found = judged(series, kind, min_points=3, **settings)
    assert found in ("pass", "marginal", "fail", "refused")


@given(st.lists(numbers, min_size=1, max_size=6), st.lists(st.floats(0, 1e300), min_size=3, max_size=6))
def test_extreme_histograms_raise_nothing_else_and_warn_of_nothing(edges, counts):
    buckets = [(counts * len(edges))[: len(edges) + 1]] * 8
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for own in (edges, [*sorted(set(edges)), np.inf]):
            judged({"edges": own, "buckets": [row[: len(own)] for row in buckets]}, "histogram")


class Odd(np.ndarray):
    """An array that refuses to be added."""

    def __array_ufunc__(self, *_, **__):
        raise RuntimeError


SHAPES = {
    "read-only": lambda values: np.frombuffer(values.tobytes()),
    "non-contiguous": lambda values: np.stack([values, values], axis=1)[:, 0],
    "Fortran": np.asfortranarray,
    "big-endian": lambda values: values.astype(">f8"),
    "big-endian 32": lambda values: values.astype(">f4"),
    "half": lambda values: values.astype(np.float16),
    "subclass": lambda values: values.view(Odd),
    "matrix": lambda values: values.reshape(1, -1),
    "0-d": lambda values: np.array(values[0]),
    "scalar": lambda values: values[0],
    "record": lambda values: np.array([(value,) for value in values], dtype=[("value", "f8")]),
    "masked": lambda values: np.ma.masked_less(values, 98),
    "all masked": lambda values: np.ma.masked_array(values, mask=True),
    "complex": lambda values: values + 1j,
    "dates": lambda values: values.astype("datetime64[s]"),
    "spans": lambda values: values.astype("timedelta64[s]"),
    "bytes": lambda values: values.astype("S8"),
    "text": lambda values: values.astype(str),
    "categories": lambda values: pd.Series(values).astype("category"),
    "sparse": lambda values: pd.Series(pd.arrays.SparseArray(values)),
    "nullable": lambda values: pd.Series([None, *values[1:]], dtype="Float64"),
    "nullable whole": lambda values: pd.Series([None, *values[1:].astype(int)], dtype="Int64"),
    "arrow": lambda values: pd.Series([None, *values[1:]], dtype="float64[pyarrow]"),
    "index": pd.Index,
    "decimals": lambda values: pl.Series(values).cast(pl.Decimal(10, 2)),
    "nested": lambda values: pl.Series([[value] for value in values]),
    "memory": memoryview,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_odd_columns_are_read_or_refused(shape):
    values = SHAPES[shape](VALUES)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        found = {judged(values), judged({"value": values}), judged({"value": VALUES, "time": values})}
        found.add(judged({"value": VALUES, "total": values, "replica": values, "unit": values}, "ratio"))
        if np.ndim(values) == 1:
            frame = pd.DataFrame({"metric": "m", "arm": ["baseline", "canary"] * 30, "value": VALUES})
            for column in ("value", "time", "replica", "metric", "arm"):
                for odd in (frame.assign(**{column: values}), frame.assign(**{column: values}).iloc[::-1]):
                    found.add(outcome(odd, policy()))
    assert found <= {"pass", "marginal", "fail", "refused"}


@pytest.mark.parametrize("missing", [np.datetime64("NaT"), pd.NaT, None, float("nan"), pd.NA])
def test_missing_times_are_read_or_refused(missing):
    times = [datetime(2026, 1, 1, 0, minute) for minute in range(59)]  # noqa: DTZ001 - as people give them
    for some in ([*times, missing], [missing] * 60, pd.Series([*times, None])):
        assert judged({"value": VALUES, "time": some}) in ("pass", "marginal", "refused")


@pytest.mark.parametrize("byte_order", "<>")
@pytest.mark.parametrize("column", ["value", "time"])
def test_frames_of_either_byte_order_give_the_same_verdict(byte_order, column):
    frame = pd.DataFrame(
        {
            "metric": "m",
            "arm": ["baseline", "canary"] * 30,
            "value": VALUES,
            "time": 60.0 * (np.arange(60) // 2),
        }
    )
    other = frame.assign(**{column: frame[column].to_numpy().astype(f"{byte_order}f8")})
    assert cj.judge(other, policy()).to_json() == cj.judge(frame, policy()).to_json()


def test_the_callers_decimal_context_changes_nothing():
    def everything():
        metric = cj.Metric(
            name="m",
            unit="ms",
            direction="increase",
            tolerance="12.3456%",
            pass_within="33.333%",
            rules=[
                {"rule": "slo", "of": "p99.9", "op": "lte", "value": "1.23456s"},
                {"rule": "slo", "of": "within", "bound": "123.456ms", "op": "gte", "value": "99.999%"},
                {"rule": "slo", "of": "mean", "op": "lte", "change": "+12.3456%"},
            ],
        )
        whole = cj.Policy(metrics=[metric])
        verdict = cj.judge({"m": {"baseline": VALUES, "canary": VALUES}}, whole)
        exported = (
            cj.load_kayenta(EXAMPLES / "kayenta/config.json")
            if (EXAMPLES / "kayenta/config.json").exists()
            else None
        )
        answer = judge_kayenta(REQUEST)
        return (
            whole.model_dump_json(),
            verdict.to_json(),
            verdict.explain(),
            verdict.to_html(),
            str(exported),
            json.dumps(answer),
        )

    expected = everything()
    traps = [decimal.Inexact, decimal.Rounded, decimal.FloatOperation, decimal.InvalidOperation]
    for context in (
        decimal.Context(prec=3),
        decimal.Context(prec=50, rounding=decimal.ROUND_UP, traps=traps),
    ):
        with decimal.localcontext(context):
            assert everything() == expected


def nested(depth):
    found = 1
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize("depth", [60, 950, 5000])
@pytest.mark.parametrize("where", ["outliers", "values", "tags", "top"])
def test_kayenta_requests_that_are_nested_deep(depth, where):
    request = json.loads(json.dumps(REQUEST))
    deep = nested(depth)
    if where == "outliers":
        request["canaryConfig"]["metrics"][1]["analysisConfigurations"]["canary"]["outliers"] = deep
    elif where == "top":
        request = deep
    else:
        request["metricSetPairList"][0][where] = deep
    with suppress(cj.CanaryJudgeError):
        assert judge_kayenta(request)["judgeName"]

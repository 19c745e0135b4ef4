"""The same numbers give the same outcome: in another unit, of another type, in another container."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj

UNITS = {
    "ms": {
        "us": 1000,
        "ns": 10**6,
        "s": Fraction(1, 1000),
        "min": Fraction(1, 60_000),
        "h": Fraction(1, 3_600_000),
    },
    "B": {
        "KiB": Fraction(1, 1024),
        "MiB": Fraction(1, 1024**2),
        "kB": Fraction(1, 1000),
        "GB": Fraction(1, 10**9),
    },
    "": {"": Fraction(1, 7), " ": 10, "  ": 1024, "   ": Fraction(1, 60), "    ": Fraction(1, 10**6)},
}
RULES = {
    "gauge": [
        "mann_whitney",
        "exact",
        "asymptotic",
        "excursion",
        "late_shift",
        "growth",
        "slo",
        "point",
        "change",
        "mean",
    ],
    "samples": [
        "mann_whitney",
        "exact",
        "asymptotic",
        "late_shift",
        "tail",
        "slo",
        "within",
        "change",
        "scores",
        "ranks",
    ],
    "histogram": ["mann_whitney", "late_shift", "tail", "slo", "within", "change"],
}
OPS = ("lt", "lte", "gt", "gte")


def told(number, factor):
    """A number in another unit as somebody would write it: rounded once."""
    return float(Fraction(repr(float(number))) * factor)


def rule(name, draw, at):
    """One rule whose threshold is met by some points to the last digit."""
    of, op = draw(st.sampled_from(["mean", "median", "p90"])), draw(st.sampled_from(OPS))
    return {
        "exact": {"rule": "mann_whitney", "method": "exact"},
        "asymptotic": {"rule": "mann_whitney", "method": "asymptotic"},
        "tail": {"rule": "tail", "beyond": at},
        "slo": {"rule": "slo", "of": "median" if of == "mean" else of, "op": op, "value": at},
        "point": {
            "rule": "slo",
            "of": draw(st.sampled_from(["max", "min", "mean"])),
            "op": op,
            "value": at,
            "evidence": "point",
        },
        "within": {"rule": "slo", "of": "within", "bound": at, "op": "gte", "value": 0.5},
        "change": {
            "rule": "slo",
            "of": "p90",
            "op": op,
            "change": draw(st.sampled_from([{"relative": 0.1}, {"absolute": at}])),
        },
        "mean": {"rule": "sequential", "method": "mean"},
        "scores": {"rule": "sequential", "method": "scores"},
        "ranks": {"rule": "sequential", "method": "ranks", "independent": True},
    }.get(name, {"rule": name})


@st.composite
def worlds(draw, kinds=tuple(RULES)):
    """Points on a coarse grid, whose differences tie with what is tolerated."""
    kind, part = draw(st.sampled_from(kinds)), draw(st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5]))
    level, step = draw(st.sampled_from([20, 50, 80, 200])), draw(st.sampled_from([0.5, 1, 5, 10]))
    n = draw(st.sampled_from([4, 8, 12, 20, 30, 60]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    noise = draw(st.sampled_from([0, 0, 1, 3]))
    baseline = np.maximum(level + step * np.rint(noise * rng.normal(size=n)), 0.0)
    canary = draw(
        st.sampled_from(
            [
                baseline,
                baseline * (1 + part),
                baseline + level * part,
                np.maximum(level * (1 + part) + step * np.rint(noise * rng.normal(size=n)), 0.0),
                baseline + level * part * (rng.random(n) < 0.3),
                baseline + step * np.arange(n),
            ]
        )
    )
    tolerance = draw(
        st.sampled_from(
            [{"relative": part}, {"absolute": level * part}, {"relative": part, "absolute": level * part}]
        )
    )
    settings = {
        "kind": kind,
        "direction": draw(st.sampled_from(["increase", "decrease", "either"])),
        "tolerance": tolerance,
        "min_points": 4,
    }
    if "absolute" not in tolerance and kind != "histogram" and draw(st.booleans()):
        settings["effect"] = "ratio"
    settings |= draw(st.sampled_from([{}, {"assumed_spread": 0.0}]))
    names = draw(st.lists(st.sampled_from(RULES[kind]), max_size=3, unique=True))
    names = [name for name in names if name != "tail" or settings["direction"] != "either"]
    rules = [rule(name, draw, level * draw(st.sampled_from([1, 1 + part, part]))) for name in names]
    arms = [np.round(arm, 6).tolist() for arm in (baseline, canary)]
    return (
        settings | ({"rules": rules} if rules else {}),
        arms,
        draw(st.sampled_from(["same", "none", "later"])),
    )


def in_unit(settings, factor):
    """The policy with every quantity in the other unit."""
    if isinstance(settings, list):
        return [in_unit(each, factor) for each in settings]
    if not isinstance(settings, dict):
        return settings
    shares = settings.get("of") == "within"
    quantities = {"absolute", "bound", "beyond", "value"} - ({"value"} if shares else set())
    return {
        name: told(value, factor) if name in quantities else in_unit(value, factor)
        for name, value in settings.items()
    }


def arm(kind, values, times, late, seed=0):
    """One arm's series; of histograms some observations around each value."""
    series = {"value": values}
    if kind == "histogram":
        rng = np.random.default_rng(seed)
        counts = [rng.multinomial(40, [0.1, 0.2, 0.4, 0.2, 0.1]).tolist() for _ in values]
        series = {"edges": late, "buckets": counts}
    if times is not None:
        series["time"] = times
    return series


def judged(world, factor=Fraction(1), unit="", *, naive=False, convert=lambda column: column):
    """Outcome, and each finding's outcome and p-values."""
    settings, arms, clock = world
    change = (
        (lambda number: float(number) * float(factor)) if naive else (lambda number: told(number, factor))
    )
    n, level = len(arms[0]), arms[0][0] or 1.0
    times = {"same": [0, 0], "later": [0, 60 * n], "none": [None, None]}[clock]
    series = []
    for index, (values, start) in enumerate(zip(arms, times, strict=True)):
        time = None if start is None else [60.0 * i + start for i in range(n)]
        edges = [*(change(level * part) for part in (0.5, 0.9, 1.0, 1.1)), math.inf]
        series.append(arm(settings["kind"], convert([change(value) for value in values]), time, edges, index))
    policy = cj.Policy(metrics=[cj.Metric(name="m", unit=unit.strip(), **in_unit(settings, factor))])
    try:
        found = cj.judge({"m": {"baseline": series[0], "canary": series[1]}}, policy).metrics["m"]
    except cj.DataError as error:
        return str(error), []
    return found.outcome, [
        (each.rule, each.outcome, each.pvalue, each.pvalue_pass) for each in found.findings
    ]


def agree(one, other):
    assert [each[:2] for each in one[1]] == [each[:2] for each in other[1]]
    for first, second in zip(one[1], other[1], strict=True):
        numbers = [
            [math.nan if pvalue is None else pvalue for pvalue in each[2:]] for each in (first, second)
        ]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-6, abs=1e-12, nan_ok=True)


@given(worlds(), st.sampled_from(list(UNITS)), st.booleans(), st.data())
def test_another_unit(world, base, naive, data):
    unit = data.draw(st.sampled_from(list(UNITS[base])))
    one, other = judged(world, unit=base), judged(world, Fraction(UNITS[base][unit]), unit, naive=naive)
    agree(one, other)
    if base:  # of a metric without one, 1 and 100 may be all of it, and whole numbers counts
        assert one[0] == other[0]


@pytest.mark.parametrize("spread", [0.0, 0.02])
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize(("direction", "canary"), [("increase", 11), ("decrease", 10)])
def test_constants_that_differ_by_just_what_is_tolerated(spread, timed, direction, canary):
    settings = {
        "kind": "gauge",
        "direction": direction,
        "tolerance": {"relative": 0.1},
        "assumed_spread": spread,
    }
    world = settings, [[21.0 - canary] * 60, [float(canary)] * 60], "same" if timed else "none"
    found = [
        judged(world, unit="ms"),
        *(judged(world, Fraction(by), unit) for unit, by in UNITS["ms"].items()),
    ]
    assert all(each == found[0] for each in found)
    assert found[0][0] == "marginal"


@pytest.mark.parametrize("outlier", [1e15, 1e300])
def test_one_huge_number_makes_no_others_equal(outlier):
    rng = np.random.default_rng(1)
    data = {"m": {"baseline": rng.normal(100, 5, 60), "canary": rng.normal(150, 5, 60)}}
    data["m"]["baseline"][7] = outlier
    assert cj.judge(data, cj.Policy(metrics=[cj.Metric(name="m", direction="increase")])).outcome == "fail"


CONTAINERS = {
    "tuple": tuple,
    "object": lambda values: np.array(values, dtype=object),
    "Decimal": lambda values: [Decimal(repr(value)) for value in values],
    "float32": lambda values: np.array(values, dtype=np.float32),
    "float32 scalars": lambda values: [np.float32(value) for value in values],
    "big-endian": lambda values: np.array(values, dtype=">f8"),
    "every second": lambda values: np.repeat(values, 2)[::2],
    "backward": lambda values: np.array(values[::-1])[::-1],
    "masked": np.ma.masked_array,
    "pandas": pd.Series,
    "nullable": lambda values: pd.Series(values, dtype="Float64"),
    "nullable 32": lambda values: pd.Series(values, dtype="Float32"),
    "arrow": lambda values: pd.Series(values, dtype="float64[pyarrow]"),
    "polars": pl.Series,
    "polars 32": lambda values: pl.Series(values, dtype=pl.Float32),
    "long double": lambda values: np.array(values, dtype=np.longdouble),
}


@given(
    worlds(kinds=("gauge", "samples")),
    st.sampled_from(list(CONTAINERS)),
    st.sampled_from([Fraction(1), Fraction(1, 1000)]),
)
def test_another_container(world, name, factor):
    assert judged(world, factor, convert=CONTAINERS[name]) == judged(world, factor)


@pytest.mark.parametrize("unit", UNITS["ms"])
def test_data_that_say_their_unit(unit):
    rng = np.random.default_rng(3)
    values = [(100 + 5 * np.rint(rng.normal(size=40))).tolist() for _ in range(2)]
    policy = cj.Policy(metrics=[cj.Metric(name="m", unit="ms", direction="increase", assumed_spread=0.0)])
    found = []
    for factor, own in ((Fraction(1), "ms"), (Fraction(UNITS["ms"][unit]), unit)):
        arms = [{"value": [told(value, factor) for value in each], "unit": own} for each in values]
        found.append(cj.judge({"m": {"baseline": arms[0], "canary": arms[1]}}, policy).metrics["m"].findings)
    for one, other in zip(*found, strict=True):
        assert (one.outcome, one.pvalue) == (other.outcome, pytest.approx(other.pvalue))

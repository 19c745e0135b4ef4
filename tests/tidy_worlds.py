"""Drawn data of a policy, as mappings and as tidy tables: mostly clean, now and then with one thing that is odd."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from canaryjudge.policy import Metric, Policy

KINDS = ("gauge", "samples", "ratio", "count")
METRICS = ("cpu", "errors_total")
ARMS = ("baseline", "canary")


@st.composite
def columns(draw):
    """Draw the columns of an arm: mostly clean, now and then with one thing that is odd."""
    size = draw(st.integers(0, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.sampled_from(["noise", "whole", "few", "rising", "shares", "constant", "large"]))
    value = {
        "noise": lambda: rng.lognormal(3, 0.3, size),
        "whole": lambda: rng.poisson(40, size).astype(float),
        "few": lambda: rng.poisson(0.4, size).astype(float),
        "rising": lambda: rng.poisson(30, size).cumsum().astype(float),
        "shares": lambda: rng.random(size),
        "constant": lambda: np.full(size, float(rng.integers(0, 3))),
        "large": lambda: rng.lognormal(10, 3, size),
    }[shape]()
    start, step = draw(st.sampled_from([0.0, 30.0, 1.7e9])), draw(st.sampled_from([60.0, 15.0]))
    time = start + step * np.arange(size)
    if draw(st.booleans()):
        time += rng.uniform(0, step / 3, size)
    kept = rng.random(size) >= draw(st.sampled_from([0.0, 0.0, 0.05, 0.4]))
    value, time = value[kept], time[kept]
    total = np.maximum(rng.poisson(1000, len(value)), value.astype(int) + 1).astype(float)
    if len(value) and draw(st.booleans()):
        where = draw(st.integers(0, len(value) - 1))
        column, number = draw(
            st.sampled_from(
                [
                    (value, np.nan),
                    (value, np.inf),
                    (value, -1.0),
                    (value, 1e300),
                    (value, 0.0),
                    (time, np.nan),
                    (time, 1.7e12),
                    (time, time[0]),
                    (time, time[-1]),
                    (time, time[0] - 7.0),
                    (total, np.nan),
                    (total, 0.0),
                    (total, 0.25),
                    (total, -3.0),
                ]
            )
        )
        column[where] = number
    return {"value": value, "time": time, "total": total}


@st.composite
def worlds(draw):
    """Draw a policy of two metrics and the columns of their arms."""
    policy = Policy(
        metrics=[
            Metric(
                name=name,
                kind=draw(st.sampled_from(KINDS)),
                direction="increase",
                pairing=draw(st.sampled_from(["auto", "auto", "windows", "concurrent"])),
                interval=draw(st.sampled_from([None, None, "1m", "15s", "5m"])),
                warmup=draw(st.sampled_from([None, None, "2m"])),
                no_data="marginal",
            )
            for name in METRICS
        ]
    )
    data = {metric: {arm: draw(columns()) for arm in ARMS} for metric in METRICS}
    timed, with_totals = draw(st.booleans()), draw(st.booleans())
    replicas = draw(
        st.sampled_from([None, None, ["a"], ["a", "b"], ["", "a"], [1, 2], [None, 1.0], ["", None]])
    )
    for arms in data.values():
        for arm in arms.values():
            if replicas is not None:
                size, some = len(arm["value"]), draw(st.sampled_from([replicas, replicas[:1], replicas[-1:]]))
                arm["replica"] = np.array([some[index % len(some)] for index in range(size)], dtype=object)
            if not timed:
                del arm["time"]
            if not with_totals:
                del arm["total"]
    return policy, data


def table(data, order=None):
    """Put arms under each other, in any order of rows."""
    parts = [
        pd.DataFrame({"metric": metric, "arm": arm} | columns)
        for metric, arms in data.items()
        for arm, columns in arms.items()
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame if order is None else frame.iloc[order].reset_index(drop=True)


def told(pairs):
    """Give all that is said of pairs, and a digest of each."""
    if isinstance(pairs, str):
        return pairs
    return {
        name: (pair.digest(), pair.pairing, pair.interval, pair.notes, pair.reported, pair.differenced)
        for name, pair in pairs.items()
    }

"""Whatever is odd about the data of segments, there is a verdict that can be read back and told, or a sentence that says what is wrong."""

import numpy as np
import pandas as pd
import pytest
from cohorts import ARMS, START, columns, policy

import canaryjudge as cj

KINDS = ("gauge", "samples", "ratio", "count", "histogram")


def points(rng, kind, size):
    """Points of one arm of a kind, some of them none, huge or not there."""
    time = START + 60 * np.arange(size)
    if kind == "histogram":
        counts = np.cumsum(rng.poisson(rng.choice([0, 5, 100]), (size, 4)), axis=1)
        return {
            "value": counts.ravel().astype(float),
            "le": np.tile([1, 5, 10, np.inf], size),
            "time": np.repeat(time, 4),
        }
    if kind in ("ratio", "count"):
        total = rng.poisson(rng.choice([0, 3, 100, 5000]), size)
        return {"value": rng.binomial(total, rng.choice([0, 0.001, 0.3, 1])), "total": total, "time": time}
    level = rng.choice([0.0, 1e-9, 100.0, -50.0, 1e12])
    value = level + abs(level or 1) * rng.choice([0, 1e-6, 0.1, 1]) * rng.normal(size=size)
    if size and rng.random() < 0.1:
        value[rng.integers(size)] = rng.choice([np.nan, np.inf])
    return {"value": value, "time": time}


def release(rng, kind):
    """Some segments of one column or of two, of which arms may be short or not there."""
    two = rng.random() < 0.4
    names = [
        (f"r{place % 2}", f"d{place // 2}") if two else f"r{place}" for place in range(rng.integers(1, 6))
    ]
    parts = [
        columns(
            name,
            arm,
            **points(rng, kind, int(rng.choice([0, 1, 5, 9, 10, 60])) if rng.random() < 0.3 else 30),
        )
        for name in names
        for arm in ARMS
        if rng.random() > 0.07
    ]
    data = pd.concat(parts or [columns(names[0], "baseline", **points(rng, kind, 30))], ignore_index=True)
    if rng.random() < 0.15:
        data["replica"] = rng.choice(["a", "b", "c"], len(data))
    return data, ("region", "device") if two else ("region",)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("runs", [8, pytest.param(150, marks=pytest.mark.slow)])
def test_odd_segments_end_in_a_verdict_or_in_a_sentence(kind, runs):
    rng = np.random.default_rng([KINDS.index(kind), runs])
    judged = 0
    for _ in range(runs):
        data, by = release(rng, kind)
        asked = policy(by, kind=kind, direction=str(rng.choice(["increase", "decrease", "either"])))
        if rng.random() < 0.2:
            asked = asked.model_copy(update={"split": cj.Split(baseline="50%", canary="50%")})
        try:
            verdict = cj.judge(data, asked)
        except cj.DataError:
            continue
        judged += 1
        assert cj.Verdict.from_json(verdict.to_json()) == verdict
        assert len(verdict.reason) < 200
        for text in (
            verdict.explain(),
            verdict.explain(brief=True),
            verdict.to_markdown(),
            verdict.to_html(),
        ):
            assert "None" not in text
    assert judged > runs / 3

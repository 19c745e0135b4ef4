"""One broken cell is its metric's trouble, and no other's."""

import io

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.layouts import tidy_or_by_arms
from canaryjudge.integrations.sources import read_table
from canaryjudge.outcomes import conclude
from canaryjudge.reasons import Outcome, Reason

T = 60.0 * np.arange(30)
NOISE = np.random.default_rng(1).normal(100, 3, (2, 30))
FINE = {
    "baseline": {"value": NOISE[0], "time": T},
    "canary": {"value": 10 * NOISE[1], "time": T},
}
RATIO = {"kind": "ratio"}
HISTOGRAM = {"kind": "histogram"}


def columns(value=None, **more):
    return {"value": [5] * 30 if value is None else value, "time": T.tolist(), **more}


def at_ten(cell, other=5):
    return [cell if index == 10 else other for index in range(30)]


def le_rows(counts):
    return {"value": counts * 30, "le": [0.1, 0.5, "+Inf"] * 30, "time": np.repeat(T, 3).tolist()}


BROKEN = {
    "more errors than requests": (RATIO, columns(at_ten(12), total=[10] * 30)),
    "a negative count": (RATIO, columns(at_ten(-1), total=[10] * 30)),
    "a negative total": (RATIO, columns(total=at_ten(-10, 10))),
    "a share in place of a count": (RATIO, columns([0.1] * 30, total=[100] * 30)),
    "a text": ({}, columns(at_ten("n/a"))),
    "a truth value": ({}, columns(at_ten([1]))),
    "a number beyond all floats": ({}, columns(at_ten(10**400))),
    "a time that is none": ({}, {"value": [5] * 30, "time": ["yesterday"] + ["2026-01-01T00:00:00Z"] * 29}),
    "events without exposure": ({"kind": "count"}, columns(total=at_ten(0, 10))),
    "a counter that falls all the time": ({"kind": "count", "counter": True}, columns([300, 100] * 15)),
    "two values of one counter": (
        {"kind": "count", "counter": True},
        {"value": list(range(30)), "time": [0.0, *T[:-1]]},
    ),
    "counts that fall with le": (HISTOGRAM, le_rows([5, 3, 9])),
    "a bucket without an edge": (HISTOGRAM, le_rows([5, 8, 9]) | {"le": [None, 0.5, "+Inf"] * 30}),
    "a negative bucket": (HISTOGRAM, {"buckets": [[5, -1, 2]] * 30, "edges": [0.1, 0.5, np.inf], "time": T}),
    "a row of other buckets": (
        HISTOGRAM,
        {"buckets": [[5, 1, 2]] * 29 + [[1, 2]], "edges": [0.1, 0.5, np.inf], "time": T},
    ),
    "edges that do not ascend": (
        HISTOGRAM,
        {"buckets": [[5, 1, 2]] * 30, "edges": [0.5, 0.1, np.inf], "time": T},
    ),
}


def policy(settings):
    return cj.Policy(
        metrics=[
            cj.Metric(name="good", direction="increase", **settings),
            cj.Metric(name="latency", direction="increase"),
        ],
        max_points=30,
    )


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_metric_says_what_is_broken_and_the_others_are_judged(what):
    settings, broken = BROKEN[what]
    data = {"good": {"baseline": broken, "canary": broken}, "latency": FINE}
    with pytest.raises(DataError) as error:
        cj.judge({"good": data["good"]}, cj.Policy(metrics=policy(settings).metrics[:1]))
    verdict = cj.judge(data, policy(settings))
    assert (verdict.outcome, verdict.deciding_metric) == ("fail", "latency")
    result = verdict.metrics["good"]
    assert (result.outcome, result.reason, result.findings) == ("marginal", "broken", ())
    assert error.value.message in " ".join(verdict.explain().split())
    assert not verdict.lacks_data


@pytest.mark.parametrize("what", ["more errors than requests", "a text", "a negative bucket"])
def test_a_monitor_leaves_out_what_is_broken_until_it_comes_in_order(what):
    settings, broken = BROKEN[what]
    asked = policy(settings)
    monitor = cj.Monitor(asked)
    monitor.update({"good": {"canary": broken}, "latency": FINE})
    monitor = cj.Monitor.from_json(monitor.to_json(), asked)
    verdict = monitor.verdict()
    assert (verdict.outcome, verdict.metrics["good"].reason) == ("fail", "broken")
    with pytest.raises(DataError):
        monitor.update({"good": {"canary": broken}})
    if what == "more errors than requests":
        mended = columns(total=[10] * 30)
        monitor.update({"good": {"baseline": mended, "canary": mended}})
        assert monitor.verdict().metrics["good"].reason != "broken"


@pytest.mark.parametrize("role", ["required", "guard", "advisory"])
def test_nothing_broken_passes_but_for_what_is_only_advice(role):
    same = FINE | {"canary": {"value": NOISE[1], "time": T}}
    broken = BROKEN["a negative total"][1]
    metrics = [
        cj.Metric(name="good", kind="ratio", direction="increase", role=role),
        cj.Metric(name="latency", direction="increase"),
    ]
    verdict = cj.judge(
        {"good": {"baseline": broken, "canary": broken}, "latency": same}, cj.Policy(metrics=metrics)
    )
    assert verdict.outcome == ("pass" if role == "advisory" else "marginal")


@pytest.mark.parametrize(
    "data",
    [
        [{"metric": "latency", "arm": "canary", "valu": 1.0}],
        {"good": {"baseline": columns(total=[10] * 30)}, "latency": 7},
        {
            "good": {"baseline": columns(), "canary": columns()},
            "latency": {"baseline": FINE["baseline"], "canry": []},
        },
    ],
)
def test_what_is_wrong_with_the_whole_input_stays_an_error(data):
    with pytest.raises(DataError):
        cj.judge(data, policy(RATIO))


def test_a_text_in_a_file_is_told_with_its_line_and_its_metric():
    lines = ["metric,arm,time,value,total"]
    for index in range(30):
        for number, arm in enumerate(("baseline", "canary")):
            lines.append(f"latency,{arm},{60 * index},{(1 + 9 * number) * NOISE[number, index]},")
            lines.append(f"good,{arm},{60 * index},{'five' if (index, arm) == (10, 'canary') else 5},1000")
    table = read_table(
        io.BytesIO("\n".join(lines).encode()),
        format="csv",
        layout=tidy_or_by_arms([], ("baseline", "canary")),
    )
    verdict = cj.judge(table, policy(RATIO))
    assert verdict.deciding_metric == "latency"
    assert (
        "line 45: value is the text 'five' where a number belongs (metric 'good', arm 'canary')"
        in " ".join(verdict.explain().split())
    )


def test_a_guard_that_abstains_beyond_its_tolerance_does_not_pass():
    fine = {"baseline": NOISE[0], "canary": NOISE[1]}
    asked = cj.Policy(
        metrics=[
            cj.Metric(name="good", direction="increase", role="guard"),
            cj.Metric(name="latency", direction="increase"),
        ]
    )
    results = dict(cj.judge({"good": fine, "latency": fine}, asked).metrics)
    good = results["good"]
    for estimate, outcome in ((0.05, "pass"), (0.4, "marginal")):
        finding = good.findings[0].model_copy(
            update={"outcome": Outcome.MARGINAL, "reason": Reason.ABSTAINS, "estimate": estimate}
        )
        told = {"outcome": Outcome.MARGINAL, "reason": Reason.ABSTAINS, "findings": (finding,)}
        results["good"] = good.model_copy(update=told | {"deciding_rule": 0})
        release = conclude(results, asked, ("baseline", "canary"), "one_look")
        assert (release.outcome, release.deciding_metric) == (
            outcome,
            "good" if estimate > 0.1 else "latency",
        )

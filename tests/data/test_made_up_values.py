"""No pass rests on points that are what the policy's query answers where nothing is measured."""

import json

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.doctor_checks import doctor

N = 60
TIME = 1_760_000_000 + 60.0 * np.arange(N)


def metric(query, **settings):
    return cj.Metric(**({"name": "m", "direction": "increase", "query": query} | settings))


def levels(level, spread=0.02, *, seed=1, made_up=0, value=0.0):
    """Values of which every third, up to so many, is made up."""
    points = level * np.random.default_rng(seed).normal(1, spread, N)
    points[1::3][:made_up] = value
    return points


def judged(asked, baseline, canary, **columns):
    data = {
        "baseline": {"value": baseline, "time": TIME, **columns},
        "canary": {"value": canary, "time": TIME, **columns},
    }
    return cj.judge({"m": data}, cj.Policy(metrics=[asked])).metrics["m"]


QUERIES = {
    0.0: "(histogram_quantile(0.99, sum by (le) (rate(a{${selector}}[1m]))) > 0) or on() vector(0)",
    1.0: "(sum(rate(a{${selector}}[1m])) or vector(1)) / (sum(rate(b{${selector}}[1m])) or vector(1))",
    100.0: "100 * (sum(a{${selector}}) default 1) / (sum(b{${selector}}) default 1)",
}


@pytest.mark.parametrize("value", QUERIES)
@pytest.mark.parametrize("kind", ["gauge", "samples"])
@pytest.mark.parametrize("rules", [None, [cj.Slo(of="mean", op="lt", value=500)]])
def test_a_pass_that_rests_on_them_is_withheld(value, kind, rules):
    asked = metric(
        QUERIES[value],
        kind=kind,
        tolerance="50%",
        assumed_spread=0,
        **({} if rules is None else {"rules": rules}),
    )
    fine, holed = levels(120.0), levels(120.0, seed=2, made_up=6, value=value)
    assert judged(asked, fine, levels(120.0, seed=2)).outcome == "pass"
    for arms, arm in (((fine, holed), "canary"), ((holed, fine), "baseline")):
        result = judged(asked, *arms)
        (note,) = [note for note in result.warnings if note.code == "made_up_values"]
        assert (note.arm, note.count, note.facts["value"]) == (arm, 6, value)
        assert result.outcome != "pass"
    plain = metric("sum(rate(a{${selector}}[1m]))", kind=kind, tolerance="50%", assumed_spread=0)
    assert not [note for note in judged(plain, fine, holed).warnings if note.code == "made_up_values"]


def test_arms_of_nothing_else_do_not_pass_as_identical():
    zeros = np.zeros(N)
    assert judged(metric("sum(a{${selector}})"), zeros, zeros).outcome == "pass"
    result = judged(metric("sum(a{${selector}}) or vector(0)"), zeros, zeros)
    assert (result.outcome, result.reason) == ("marginal", "misread")


def test_a_fault_that_is_proven_stays_one():
    asked = metric(QUERIES[0.0], rules=[cj.Slo(of="mean", op="lt", value=500)])
    assert judged(asked, levels(100.0), levels(1500.0, made_up=6)).outcome == "fail"


def test_of_events_their_total_must_be_made_up():
    errors, total = np.full(N, 2.0), np.full(N, 1000.0)
    for column, withheld in (("value", False), ("total", True)):
        texts = {"value": "sum(a{${selector}})", "total": "sum(b{${selector}})"}
        texts[column] += " or vector(1)"
        asked = metric(texts, kind="ratio")
        holes = total.copy()
        holes[5:8] = 1.0
        events = np.minimum(errors, holes)
        result = judged(asked, events, events, total=holes)
        assert bool([note for note in result.warnings if note.code == "made_up_values"]) == withheld
        assert (result.outcome == "pass") == (not withheld)


def test_a_made_up_total_of_nothing_is_no_traffic():
    texts = {name: f"sum({name}{{${{selector}}}}) or vector(0)" for name in ("value", "total")}
    errors, total = np.full(N, 2.0), np.full(N, 1000.0)
    errors[5:8] = total[5:8] = 0
    result = judged(metric(texts, kind="ratio"), errors, errors, total=total)
    assert {note.code for note in result.warnings} >= {"no_traffic"}
    assert result.reason != "misread"


def test_a_watch_and_the_doctor_see_them_too():
    policy = cj.Policy(max_points=N, metrics=[metric(QUERIES[0.0], tolerance="50%", assumed_spread=0)])
    assert [(each.severity, each.code) for each in doctor(policy).symptoms] == [("warning", "made_up_values")]
    monitor = cj.Monitor(policy)
    for half in (slice(0, 30), slice(30, None)):
        arms = {"baseline": levels(120.0), "canary": levels(120.0, seed=2, made_up=6)}
        monitor.update(
            {"m": {arm: {"value": points[half], "time": TIME[half]} for arm, points in arms.items()}}
        )
    result = monitor.verdict().metrics["m"]
    assert result.outcome != "pass"
    assert [note.count for note in result.warnings if note.code == "made_up_values"] == [6]


def test_the_doctor_is_silent_where_no_data_stay_no_data():
    for query in ("(sum(a{${selector}}) or vector(0)) / sum(b{${selector}})", "sum(a{${selector}})"):
        assert "made_up_values" not in {
            each.code for each in doctor(cj.Policy(metrics=[metric(query)])).symptoms
        }


def test_the_command_says_so(tmp_path, capsys):
    (tmp_path / "policy.json").write_text(
        json.dumps(
            {
                "metrics": [
                    {
                        "name": "m",
                        "direction": "increase",
                        "query": QUERIES[0.0],
                        "rules": [{"rule": "slo", "of": "mean", "op": "lt", "value": 500}],
                    }
                ]
            }
        ),
        encoding="utf-8",
    )
    lines = ["metric,arm,time,value"]
    for arm, level in (("baseline", 200.0), ("canary", 1200.0)):
        for index, at in enumerate(TIME[:30]):
            lines.append(f"m,{arm},{at:.0f},{0 if arm == 'canary' and index % 3 else level + index}")
    (tmp_path / "data.csv").write_text("\n".join(lines), encoding="utf-8")
    code = main(["judge", "--policy", str(tmp_path / "policy.json"), "--data", str(tmp_path / "data.csv")])
    out = " ".join(capsys.readouterr().out.split())
    assert code == 3
    assert "20 points are 0, which the policy's query also answers where nothing is measured" in out

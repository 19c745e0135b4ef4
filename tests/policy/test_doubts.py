"""Tolerances and objectives that mean something else than they seem to."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.doctor_checks import doctor
from canaryjudge.policy.doubts import is_success, unprovable, wholes_of

T = 60.0 * np.arange(60)
RNG = np.random.default_rng(1)


def both(first, second, **columns):
    arms = zip(("baseline", "canary"), (first, second), strict=True)
    return {name: {"value": values, "time": T, **columns} for name, values in arms}


def asked(data, **settings):
    metric = cj.Metric(**settings)
    policy = cj.Policy(metrics=[metric], max_points=60)
    monitor = cj.Monitor(policy)
    monitor.update({metric.name: data})
    verdicts = cj.judge({metric.name: data}, policy), monitor.verdict()
    return [verdict.metrics[metric.name] for verdict in verdicts]


@pytest.mark.parametrize(("name", "unit"), [("success_rate", ""), ("availability", ""), ("good", "%")])
@pytest.mark.parametrize("scale", [1, 100])
def test_a_success_rate_that_loses_points_does_not_pass_by_a_part_of_it(name, unit, scale):
    def rate(level):
        return scale * (level + RNG.normal(0, 0.0002, 60))

    settings = {"name": name, "unit": unit, "direction": "decrease"}
    for level in (0.95, 0.995):
        for result in asked(both(rate(0.999), rate(level)), **settings):
            assert (result.outcome, result.reason) == ("marginal", "tolerance_too_wide")
    for result in asked(both(rate(0.999), rate(0.999)), **settings):
        assert result.outcome == "pass"
    stated = settings | {"tolerance": {"absolute": 0.01 * scale}}
    assert asked(both(rate(0.999), rate(0.995)), **stated)[0].reason != "tolerance_too_wide"


def test_a_ratio_of_successes_does_not_either():
    total = np.full(60, 1000.0)
    good, bad = (RNG.binomial(1000, share, 60).astype(float) for share in (0.999, 0.95))
    settings = {"name": "ok", "kind": "ratio", "direction": "decrease"}
    assert all(result.outcome == "marginal" for result in asked(both(good, bad, total=total), **settings))
    again = RNG.binomial(1000, 0.999, 60).astype(float)
    assert asked(both(good, again, total=total), **settings)[0].reason != "tolerance_too_wide"


SHARES = [
    # kind, name, unit, the whole
    ("gauge", "success_rate", "%", 100),
    ("gauge", "success_rate", "", 100),
    ("gauge", "availability", "", 1),
    ("gauge", "quality", "%", 100),
    ("gauge", "quality", "", 1),
    ("gauge", "cache_hit", "1", 1),
    ("ratio", "ok", "", 1),
    ("samples", "sli", "", 1),
]


@pytest.mark.parametrize("direction", ["decrease", "either"])
@pytest.mark.parametrize(("kind", "name", "unit", "whole"), SHARES)
def test_pods_differ_by_a_part_of_what_fails_where_little_does(kind, name, unit, whole, direction):
    rng = np.random.default_rng(3)

    def arm(failing):
        if kind == "ratio":
            return rng.binomial(20_000, 1 - failing, 60).astype(float)
        return whole * (1 - failing * np.exp(0.2 * rng.normal(size=60)))

    columns = {"total": np.full(60, 2e4)} if kind == "ratio" else {}
    amount = "0.1%" if kind == "ratio" else 0.001 * whole
    settings = {"name": name, "unit": unit, "kind": kind, "direction": direction}
    settings |= {"tolerance": {"absolute": amount}, "pass_within": "tolerance"}
    outcomes = {}
    for failing in (0.001, 0.004):
        outcomes[failing] = [
            result.outcome for result in asked(both(arm(0.001), arm(failing), **columns), **settings)
        ]
    judged, watched = zip(*outcomes.values(), strict=True)
    assert judged == ("pass", "fail")
    assert kind == "samples" or watched == ("pass", "fail")  # which a watch asks without floors


@pytest.mark.parametrize(
    ("settings", "level", "highest", "whole"),
    [
        ({"name": "hit_ratio"}, 0.8, 0.9, 1),
        ({"name": "hit_ratio"}, 0.8, 1.1, None),
        ({"name": "hit_ratio"}, 0.95, 1.1, 1),
        ({"name": "hit_ratio"}, 80.0, 90.0, 100),
        ({"name": "hit_ratio"}, 0.4, 0.6, None),
        ({"name": "free", "unit": "%"}, 70.0, 80.0, 100),
        ({"name": "free", "unit": "%"}, 99.0, 100.5, 100),
        ({"name": "free", "unit": "%"}, 0.8, 0.9, None),
        ({"name": "free", "unit": "%"}, 350.0, 390.0, None),
        ({"name": "free"}, 0.95, 0.99, 1),
        ({"name": "free"}, 0.8, 0.9, None),
        ({"name": "free"}, 0.95, 1.01, None),
        ({"name": "free"}, 99.9, 100.0, None),
        ({"name": "free", "unit": "GB/s"}, 0.95, 0.99, None),
        ({"name": "success", "direction": "increase"}, 0.95, 0.99, None),
        ({"name": "success", "kind": "count"}, 0.95, 0.99, None),
        ({"name": "any", "kind": "ratio"}, 0.7, 0.9, 1),
    ],
)
def test_what_is_read_as_a_share_of_a_whole(settings, level, highest, whole):
    assert wholes_of(cj.Metric(**{"direction": "decrease"} | settings)).of(level, highest) == whole


def test_a_plan_takes_pods_of_a_success_rate_to_differ_by_as_much():
    metric = cj.Metric(name="success_rate", unit="%", direction="decrease", tolerance={"absolute": 0.1})
    assumed = {"success_rate": {"level": "99.9%", "spread": "0.02%", "autocorrelation": 0.5}}
    found = cj.plan(cj.Policy(metrics=[metric]), assume=assumed, size="0.4%").metrics["success_rate"]
    assert found.shares[-1].needed_points == 10
    assert found.curve[-1].passes > 0.95


@pytest.mark.parametrize("worse", [1.25, 3.0])
def test_a_tolerance_wider_than_the_level_passes_nothing_by_itself(worse):
    seconds = RNG.normal(0.12, 0.005, (2, 60))
    settings = {"name": "p99", "unit": "ms", "direction": "increase", "tolerance": "20ms"}
    for result in asked(both(seconds[0], worse * seconds[1]), **settings):
        assert (result.outcome, result.reason) == ("marginal", "tolerance_too_wide")
    assert asked(both(*seconds), **settings)[0].outcome == "pass"
    stated = settings | {"tolerance": {"relative": "500%", "absolute": "20ms"}}
    assert asked(both(seconds[0], worse * seconds[1]), **stated)[0].outcome == "pass"


def test_levels_around_zero_are_no_yardstick():
    noise = RNG.normal(0, 5, (2, 60))
    settings = {"name": "drift", "direction": "increase", "tolerance": {"absolute": 10}}
    assert asked(both(*noise), **settings)[0].outcome == "pass"


@pytest.mark.parametrize("number", [0.1, 0.5])
@pytest.mark.parametrize("key", ["tolerance", "pass_within"])
def test_a_bare_number_of_a_ratio_that_is_many_points_is_refused_by_name(key, number):
    settings = {"tolerance": {"absolute": "0.01%"}} | {key: {"absolute": number}}
    with pytest.raises(
        cj.PolicyError,
        match=f"{key}.absolute.*percentage points.*Write {100 * number:g}% if you mean that, or {number:g}%",
    ):
        cj.Policy(metrics=[cj.Metric(name="m", kind="ratio", direction="increase", **settings)])
    written = {key: {"absolute": f"{100 * number:g}%"}} | (
        {"tolerance": {"absolute": "0.01%"}} if key == "pass_within" else {}
    )
    metric = cj.Metric(name="m", kind="ratio", direction="increase", **written)
    assert cj.Metric(**metric.model_dump()) == metric


ZERO = {"rule": "slo", "of": "pooled", "op": "lte", "value": "0%"}


@pytest.mark.parametrize(
    ("kind", "rule", "found"),
    [
        ("ratio", ZERO, ["0%"]),
        ("ratio", ZERO | {"value": 0}, ["0%"]),
        ("ratio", ZERO | {"op": "gte", "value": "100%"}, ["100%"]),
        ("ratio", ZERO | {"op": "gte", "value": 1}, ["100%"]),
        ("count", ZERO | {"value": 0}, ["0"]),
        ("samples", {"rule": "slo", "of": "within", "bound": 300, "op": "gte", "value": "100%"}, ["100%"]),
        ("ratio", {"rule": "any_of", "rules": [ZERO, "proportion"]}, ["0%"]),
        ("ratio", ZERO | {"value": "0.1%"}, []),
        ("ratio", ZERO | {"evidence": "point"}, []),
        ("gauge", {"rule": "slo", "of": "mean", "op": "lte", "value": 0}, []),
    ],
)
def test_an_objective_of_exactly_nothing_or_all_is_unprovable(kind, rule, found):
    metric = cj.Metric(name="m", kind=kind, direction="increase", rules=[rule])
    assert list(unprovable(metric)) == found
    codes = {symptom.code for symptom in doctor(cj.Policy(metrics=[metric])).symptoms}
    assert ("unprovable_objective" in codes) == bool(found)


def test_the_judge_says_so_too():
    data = both(np.zeros(60), np.zeros(60), total=np.full(60, 1e5))
    for result in asked(data, name="m", kind="ratio", direction="increase", rules=[ZERO]):
        assert result.outcome == "marginal"
        assert "unprovable_objective" in {note.code for note in result.warnings}


def test_the_doctor_says_it_before_the_release():
    success = cj.Metric(name="success_rate", direction="decrease")
    assert is_success(success)
    policy = cj.Policy(metrics=[success])
    assert [symptom.code for symptom in doctor(policy).symptoms] == ["success_tolerance"]
    rates = 99.9 + RNG.normal(0, 0.02, (2, 60))
    codes = [symptom.code for symptom in doctor(policy, {"success_rate": both(*rates)}).symptoms]
    assert codes == ["tolerance_too_wide", "success_tolerance"]
    wide = cj.Metric(name="p99", unit="ms", direction="increase", tolerance="20ms")
    seconds = RNG.normal(0.12, 0.005, (2, 60))
    found = doctor(cj.Policy(metrics=[wide]), {"p99": both(*seconds)})
    assert "tolerance_too_wide" in {symptom.code for symptom in found.symptoms}
    assert "wider than the 0.12 of the whole level" in found.explain()
    silent = {"p99": both(*seconds) | {"canary": {"value": seconds[1][:30], "time": T[:30]}}}
    assert "silent" in {symptom.code for symptom in doctor(cj.Policy(metrics=[wide]), silent).symptoms}

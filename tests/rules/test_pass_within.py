"""Beyond what a pass excludes harm: what a policy says, what the baseline tells, and in which words."""

import json
import re

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.data import question_of
from canaryjudge.rules import ErrorRates, Horizon, answered, judge_pair
from canaryjudge.rules.rows import Arm, Sizes, excluded
from canaryjudge.rules.sequential.planned_looks import looks_at

RATES = ErrorRates(0.01, 0.05)
NOISE = np.random.default_rng(20261210).normal(size=(2, 60))


def metric(**settings):
    return cj.Metric(**({"name": "m", "direction": "increase"} | settings))


def judged(data, **settings):
    return cj.judge({"m": data}, cj.Policy(metrics=[metric(**settings)]))


def gauge(factor=1.0, noise=25.0, **settings):
    baseline, canary = 100 + noise * NOISE
    return judged({"baseline": baseline, "canary": factor * canary}, **settings)


def told(verdict):
    return " ".join(verdict.explain().split())


def pair_of(kind, baseline, total=None, **settings):
    arm = Arm(np.asarray(baseline, float), None if total is None else np.full(len(baseline), float(total)))
    return question_of(metric(kind=kind, **settings), RATES).of(arm, arm)


@pytest.mark.parametrize(
    ("written", "relative", "absolute"),
    [
        ("30%", 0.3, None),
        ("25ms", None, 25.0),
        ({"relative": "30%", "absolute": "25ms"}, 0.3, 25.0),
        ("tolerance", None, None),
    ],
)
def test_it_is_written_as_a_tolerance_is_or_as_that_word(written, relative, absolute):
    stated = metric(unit="ms", pass_within=written).pass_within
    assert (stated.relative, stated.absolute and stated.absolute.number) == (relative, absolute)
    policy = cj.Policy(metrics=[metric(unit="ms", pass_within=written)])
    assert cj.Policy.model_validate_json(policy.model_dump_json()) == policy


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"pass_within": "5%"}, "relative"),
        ({"pass_within": {"absolute": 5}, "tolerance": {"absolute": 6}}, "absolute"),
        ({"pass_within": "0.01pp", "kind": "ratio"}, "absolute"),  # 0.02 points are tolerated of ratios
    ],
)
def test_less_than_the_tolerance_is_refused(settings, part):
    with pytest.raises(cj.PolicyError) as refused:
        metric(**settings)
    said = f"pass_within.{part}: a pass cannot exclude less harm than what is tolerated"
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pass_within": 5}, "could be a fraction or a number of units"),
        ({"pass_within": "5ms", "unit": "MiB", "tolerance": "1%"}, "ms"),
        ({"pass_within": "5ms", "unit": "ms", "effect": "ratio"}, "effect: ratio has no absolute part"),
        ({"pass_within": "none"}, "none"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, said):
    with pytest.raises(cj.PolicyError, match=re.escape(said)):
        metric(**settings)


def test_left_out_it_is_how_much_the_baseline_of_a_gauge_varies():
    noisy, wild, quiet = (100 + sd * NOISE[0] for sd in (20, 80, 2))
    assert excluded(pair_of("gauge", noisy)).relative == pytest.approx(0.2, abs=0.05)
    assert excluded(pair_of("gauge", wild)).relative == 0.3
    assert excluded(pair_of("gauge", quiet)).relative == 0.1
    assert excluded(pair_of("gauge", wild, tolerance="40%")).relative == 0.4
    assert excluded(pair_of("gauge", noisy, pass_within="tolerance")).relative == 0.1
    assert excluded(pair_of("gauge", noisy, pass_within="15%")).relative == 0.15


@pytest.mark.parametrize(
    ("settings", "events", "absolute"),
    [
        ({}, 10, 0.001),
        ({}, 3, 0.0006),  # twice the baseline's rate
        ({}, 0, 0.0002),  # what is tolerated
        ({"direction": "decrease"}, 9990, 0.001),  # where a fall is bad, it is what is no event
        ({"direction": "decrease"}, 9997, 0.0006),
        ({"direction": "decrease"}, 10, 0.0002),  # few conversions are no errors
        ({"direction": "either"}, 10, 0.0002),
        ({"tolerance": {"absolute": "0.5%"}}, 10, 0.005),
        ({"pass_within": "0.3pp"}, 10, 0.003),
    ],
)
def test_left_out_it_is_a_tenth_of_a_point_of_a_ratio(settings, events, absolute):
    found = excluded(pair_of("ratio", [events] * 4, total=10_000, **settings))
    assert found.absolute == pytest.approx(absolute)


@pytest.mark.parametrize("kind", ["samples", "count"])
def test_other_kinds_have_the_tolerance(kind):
    assert excluded(pair_of(kind, 100 + 20 * NOISE[0])).relative == 0.1


def test_the_direction_that_is_not_bad_makes_no_bound():
    errors = {"value": [210] * 20, "total": [100_000] * 20}
    found = (
        judged({"baseline": errors, "canary": errors}, kind="ratio", tolerance="50%").metrics["m"].findings[0]
    )
    assert (found.pass_high, found.pass_low, found.pass_by) == (0.5, None, "tolerance")


def test_the_canary_has_no_say_in_it():
    bounds = {gauge(factor).metrics["m"].findings[0].pass_high for factor in (0.5, 1.0, 3.0)}
    assert len(bounds) == 1


def test_a_pass_says_what_it_excludes_and_why_and_no_more():
    verdict = gauge()
    found = verdict.metrics["m"].findings[0]
    assert (verdict.outcome, found.pass_by) == ("pass", "usual")
    assert found.limit_high == 0.1 < found.pass_interval.high <= found.pass_high
    said = told(verdict)
    assert re.search(
        r"harm beyond \d+ % is ruled out, by which the baseline itself varies, but harm beyond .* is not",
        said,
    )
    assert re.search(r"non-inferiority by robust Mann-Whitney p = \S+ for more than \d+ %", said)
    assert "within the tolerated" not in said
    assert "within the tolerated" not in verdict.to_markdown()
    assert "lies within the tolerated" not in verdict.to_html()
    strict = gauge(pass_within="tolerance")
    assert (strict.outcome, strict.metrics["m"].findings[0].pass_by) == ("marginal", "tolerance")
    stated = gauge(pass_within="35%")
    assert (stated.outcome, stated.metrics["m"].findings[0].pass_high) == ("pass", 0.35)
    assert "which is the policy's pass_within" in told(stated)


def test_what_lies_within_the_tolerance_is_told_so_however_much_the_baseline_varies():
    verdict = gauge(0.9)
    assert verdict.metrics["m"].findings[0].pass_by == "usual"
    assert "no harm" in told(verdict) or "within the tolerated 10 %" in told(verdict)


def test_a_gauge_passes_only_with_an_estimate_that_is_tolerated():
    rng = np.random.default_rng(4)
    data = {"baseline": rng.normal(100, 30, 400), "canary": rng.normal(113, 30, 400)}
    verdict = judged(data)
    found = verdict.metrics["m"].findings[0]
    assert found.pvalue_pass <= found.beta
    assert found.held_by_estimate
    assert verdict.outcome == "marginal"
    assert "is ruled out, but the estimate itself lies beyond the tolerated 10 %" in told(verdict)


def test_the_release_promises_what_its_bounds_say():
    assert "at most 5 % of verdicts pass a release with harm beyond the bound that they print" in told(
        gauge()
    )


def looks(question):
    return looks_at(question, looks=3, spending="obrien_fleming")


def test_planned_looks_keep_what_the_baseline_was_at_the_first():
    question = question_of(metric(), RATES, horizon=Horizon(max_points=60))
    later = np.where(np.arange(60) < 20, 8.0, 40.0)
    pair = question.of(*(Arm(100 + later * noise) for noise in NOISE))
    process, bounds = looks(question), []
    for start in range(0, 60, 20):
        answered([process.taking(pair.part(slice(start, start + 20)))])
        saved = json.loads(json.dumps(process.save()))
        process = looks(question)
        process.load(saved)
        bounds.append(process.finding().pass_high)
    first = excluded(pair.part(slice(20)))
    assert bounds == [pytest.approx(first.relative)] * 3
    assert excluded(pair).relative > first.relative


def test_a_series_is_judged_by_what_there_was_at_the_looks():
    later = np.where(np.arange(60) < 12, 8.0, 40.0)
    arms = {"baseline": 100 + later * NOISE[0], "canary": 100 + later * NOISE[1]}
    data = {arm: {"time": 60.0 * np.arange(60), "value": values} for arm, values in arms.items()}
    policy = cj.Policy(max_points=60, metrics=[metric(rules=["sequential"])])
    monitor = cj.Monitor(policy)
    monitor.update({"m": data})
    at_once = cj.judge({"m": data}, policy).metrics["m"].findings[0]
    assert at_once.pass_high == monitor.verdict().metrics["m"].findings[0].pass_high


@pytest.mark.parametrize("method", ["scores", "ranks"])
def test_samples_that_are_watched_pass_sooner_where_less_is_to_be_excluded(method):
    rng = np.random.default_rng(6)
    decided = {}
    for within in ("tolerance", "50%"):
        own = {"method": method, "independent": method == "ranks"}
        asked = metric(kind="samples", interval="10s", pass_within=within, rules=[cj.Sequential(**own)])
        monitor, rng = cj.Monitor(cj.Policy(metrics=[asked])), np.random.default_rng(6)
        for start in range(200):
            times = 10.0 * start + np.sort(rng.uniform(0, 10, 60))
            monitor.update(
                {
                    "m": {
                        arm: {"time": times, "value": rng.lognormal(3, 0.5, 60)}
                        for arm in ("baseline", "canary")
                    }
                }
            )
            result = monitor.verdict().metrics["m"]
            if result.outcome == "pass":
                break
        assert result.outcome == "pass"
        found = result.findings[0]
        decided[within] = found.n_canary
        assert (found.pass_high, found.limit_high) == (0.1 if within == "tolerance" else 0.5, 0.1)
    assert decided["50%"] < decided["tolerance"]


def test_one_point_far_beyond_what_is_tolerated_holds_a_pass():
    baseline, canary = 100 + 2 * NOISE
    near, far = (np.where(np.arange(60) == 30, size, canary) for size in (600.0, 1300.0))
    assert judged({"baseline": baseline, "canary": near}).outcome == "pass"
    held = judged({"baseline": baseline, "canary": far})
    assert held.outcome == "marginal"
    assert held.metrics["m"].reason == "suspected"


def test_a_rule_that_is_asked_directly_has_it_too():
    pair = pair_of("gauge", 100 + 20 * NOISE[0])
    found = judge_pair(pair, cj.MannWhitney())
    assert found.pass_high == pytest.approx(excluded(pair).relative)
    assert isinstance(excluded(pair), Sizes)

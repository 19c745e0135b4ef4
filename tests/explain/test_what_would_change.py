"""What would change a verdict: said for every reason, and only what the facts bear out."""

import re

import numpy as np
import pytest
from releases import KINDS, looks_of_a_watch

import canaryjudge as cj
from canaryjudge.explain.what_would_change import what_would_change_metric, what_would_change_release
from canaryjudge.reasons import Reason

NOISE = np.random.default_rng(20261129).normal(0, 2, (2, 40))


def judged(factor, **settings):
    metric = cj.Metric(**({"name": "m", "direction": "increase", "unit": "ms"} | settings))
    data = {"m": {"baseline": 100 + NOISE[0], "canary": factor * (100 + NOISE[1])}}
    return cj.judge(data, cj.Policy(metrics=[metric]))


def turns(verdict):
    return " ".join(what_would_change_metric(verdict.metrics["m"], verdict))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_something_to_say(reason):
    verdict = judged(1.5)
    result = verdict.metrics["m"].model_copy(update={"reason": reason})
    said = what_would_change_metric(result, verdict)
    assert said
    assert all(re.fullmatch(r"[A-Z].*\.", sentence) for sentence in said)
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(said))


def test_a_fail_tells_the_limit_that_would_have_spared_it():
    verdict = judged(1.5, rules=["mann_whitney"])
    finding = verdict.metrics["m"].deciding
    said = turns(verdict)
    assert said.startswith("It fails because the whole interval lies beyond the tolerated 10 %")
    spared = float(re.search(r"beyond \+([\d.]+) % it would not have failed", said)[1]) / 100
    assert spared == pytest.approx(finding.interval.low, abs=0.01)
    milder = judged(1.5, rules=["mann_whitney"], tolerance=f"{100 * (finding.interval.low + 0.001):.6f}%")
    assert milder.outcome != "fail"
    mildest = judged(
        1.5, rules=["mann_whitney"], tolerance=f"{100 * (finding.pass_interval.high + 0.001):.6f}%"
    )
    assert mildest.outcome == "pass"


def test_the_limit_that_would_have_spared_it_spares_it_from_the_last_half_too():
    verdict = judged(1.5)
    assert [finding.outcome for finding in verdict.metrics["m"].findings].count("fail") == 2
    ends = [f.interval.low for f in verdict.metrics["m"].findings if f.outcome == "fail"]
    spared = float(re.search(r"beyond \+([\d.]+) % it would not have failed", turns(verdict))[1]) / 100
    assert spared == pytest.approx(max(ends), abs=0.01)
    assert judged(1.5, tolerance=f"{100 * (max(ends) + 0.001):.6f}%").outcome != "fail"


def test_no_limit_is_named_where_an_excursion_fails_it_too():
    verdict = judged(4.0)
    assert {f.rule for f in verdict.metrics["m"].findings if f.outcome == "fail"} >= {
        "mann_whitney",
        "excursion",
    }
    assert turns(verdict) == "It fails because the whole interval lies beyond the tolerated 10 %."


def test_a_pass_tells_the_tightest_limit_that_it_meets():
    verdict = judged(1.02)
    finding = verdict.metrics["m"].deciding
    assert "it would pass with any limit beyond +" in turns(verdict)
    assert judged(1.02, tolerance=f"{100 * (finding.pass_interval.high + 0.0005):.6f}%").outcome == "pass"
    assert judged(1.02, tolerance=f"{100 * (finding.pass_interval.high - 0.0005):.6f}%").outcome == "marginal"


def test_where_both_directions_are_bad_no_single_limit_is_named():
    assert turns(judged(1.5, direction="either")).startswith(
        "It fails because the whole interval lies beyond"
    )
    assert "would not have" not in turns(judged(1.5, direction="either"))
    assert turns(judged(1.0, direction="either")).startswith("It passes because")


def test_a_falling_metric_is_told_with_its_sign():
    said = turns(judged(0.5, direction="decrease"))
    assert re.search(r"beyond −\d+ % it would not have failed", said), said


def test_what_is_undecided_tells_both_ways_and_how_much_longer():
    said = turns(judged(1.1))
    assert "It is proven fine once the" in said
    assert "and fails once the" in said


def test_an_estimate_alone_claims_no_interval():
    verdict = judged(1.5, rules=[cj.Slo(of="mean", op="lte", value="120ms", evidence="point")])
    assert turns(verdict) == "The estimate alone is held against the objective <= 120 ms."


def test_a_fail_that_stays_does_not_claim_what_its_interval_no_longer_shows():
    look = looks_of_a_watch()[-1]
    result = look.metrics["errors"]
    assert result.outcome == "fail"
    faded = result.deciding.model_copy(
        update={"interval": result.deciding.interval.model_copy(update={"low": 0.0})}
    )
    result = result.model_copy(update={"findings": (faded,)})
    assert what_would_change_metric(result, look) == [
        "It was proven beyond the tolerated 50 %, and a fail stays."
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fail", "It stays a fail as long as any of errors and latency fails"),
        ("marginal", "It passes once errors"),
        ("no-data", "are proven fine, and fails as soon as a metric is proven worse"),
        ("pass", "It would fail if any metric were proven worse than tolerated"),
    ],
)
def test_the_release_as_a_whole(name, words):
    assert words in what_would_change_release(KINDS[name])


def test_an_advisory_metric_that_fails_holds_and_is_told_so():
    policy = cj.Policy(
        metrics=[
            cj.Metric(name="a", direction="increase"),
            cj.Metric(name="b", direction="increase", role="advisory"),
        ]
    )
    same, worse = ({"baseline": 100 + NOISE[0], "canary": factor * (100 + NOISE[1])} for factor in (1.0, 1.5))
    verdict = cj.judge({"a": same, "b": worse}, policy)
    assert what_would_change_release(verdict).startswith(
        "It passes once b no longer fails, and fails as soon as"
    )

"""Requests that both versions answered, judged by pairs: ranks of what is measured, shares of what is so or not."""

import numpy as np
import pytest
from scipy import stats

import canaryjudge as cj

RNG = np.random.default_rng


def data(**metrics):
    """Make data of pairs, each metric as its two columns."""
    return {
        name: {
            arm: {"request": np.arange(len(values)), "value": values}
            for arm, values in zip(("baseline", "canary"), arms, strict=True)
        }
        for name, arms in metrics.items()
    }


def judge(arms, kind="pairs", **metric):
    policy = cj.Policy(metrics=[{"name": "m", "kind": kind, "direction": "increase"} | metric])
    return cj.judge(data(m=arms), policy).metrics["m"]


def outcomes_of(n, both, only_baseline, only_canary):
    """Lay out answers of which it is so in both arms, or one."""
    arms = np.zeros((2, n))
    arms[:, :both] = 1
    arms[0, both : both + only_baseline] = 1
    arms[1, both + only_baseline : both + only_baseline + only_canary] = 1
    return arms[:, RNG(1).permutation(n)]


def latency(n, change, seed=1, noise=0.1):
    rng = RNG(seed)
    b = rng.lognormal(4, 0.6, n)
    return b * np.exp(rng.normal(0, noise, n)), (1 + change) * b * np.exp(rng.normal(0, noise, n))


class TestSignedRank:
    @pytest.mark.parametrize(
        ("change", "outcome"), [(0.0, "pass"), (0.05, "pass"), (0.3, "fail"), (0.1, "marginal")]
    )
    def test_zones(self, change, outcome):
        assert judge(latency(400, change)).outcome == outcome

    @pytest.mark.parametrize("direction", ["decrease", "either"])
    def test_other_directions(self, direction):
        assert judge(latency(400, -0.3), direction=direction).outcome == "fail"
        assert judge(latency(400, 0.0), direction=direction).outcome == "pass"

    def test_the_change_is_that_of_a_request_in_parts_of_its_own_baseline(self):
        (finding,) = judge(latency(2000, 0.2, noise=0.01)).findings
        assert finding.estimate == pytest.approx(0.2, abs=0.002)
        assert finding.scale == "relative"
        assert (finding.method, finding.n_canary) == ("signed_rank", 2000)

    def test_or_in_the_unit_or_as_a_ratio(self):
        b = latency(400, 0.0)[0]
        (finding,) = judge((b, b + 7.0 + RNG(2).normal(size=400)), tolerance={"absolute": 5}).findings
        assert (finding.scale, finding.outcome) == ("absolute", "fail")
        assert finding.estimate == pytest.approx(7, abs=0.2)
        (ratio,) = judge(latency(400, 0.2), effect="ratio").findings
        assert ratio.estimate == pytest.approx(0.2, abs=0.03)

    def test_what_cannot_be_compared_is_said(self):
        b = latency(50, 0.0)[0]
        assert judge((b, -b), effect="ratio").reason == "abstains"
        assert judge((np.zeros(50), b)).reason == "needs_absolute_tolerance"
        assert judge((b[:5], b[:5])).reason == "too_little_data"
        assert judge((b, b)).reason == "same_data"
        assert judge((np.ones(50), np.ones(50))).reason == "identical"
        assert judge(latency(30, 0.0)).findings[0].waived == ("outside_proven_range",)

    def test_units_are_converted(self):
        b, c = latency(200, 0.0)
        arms = {
            "baseline": {"request": np.arange(200), "value": b, "unit": "ms"},
            "canary": {"request": np.arange(200), "value": c / 1000, "unit": "s"},
        }
        policy = cj.Policy(metrics=[cj.Metric(name="m", kind="pairs", unit="ms", direction="increase")])
        assert cj.judge({"m": arms}, policy).outcome == "pass"


class TestMcNemar:
    @pytest.mark.parametrize(("both", "b", "c"), [(0, 0, 0), (3, 5, 12), (40, 0, 9), (0, 7, 2)])
    def test_exact_test_of_no_change(self, both, b, c):
        (finding,) = judge(outcomes_of(2000, both, b, c), "paired_ratio").findings
        expected = stats.binomtest(c, b + c).pvalue if b + c else 1.0
        assert finding.pvalue_mcnemar == pytest.approx(expected, rel=1e-6)
        assert (finding.only_baseline, finding.only_canary, finding.events_canary) == (b, c, both + c)
        assert finding.estimate == pytest.approx((c - b) / 2000)
        assert finding.baseline_level == pytest.approx((both + b) / 2000)

    @pytest.mark.parametrize(
        ("both", "b", "c", "outcome"),
        [
            (0, 0, 0, "pass"),
            (0, 0, 50, "fail"),
            (0, 200, 200, "pass"),
            (0, 200, 600, "fail"),
            (500, 0, 2, "pass"),
            (0, 10, 20, "marginal"),
        ],
    )
    def test_zones(self, both, b, c, outcome):
        assert judge(outcomes_of(10_000, both, b, c), "paired_ratio").outcome == outcome

    def test_success_that_falls(self):
        failures = outcomes_of(10_000, 100, 0, 60)
        assert judge(1 - failures, "paired_ratio", direction="decrease").outcome == "fail"
        assert (
            judge(1 - outcomes_of(10_000, 100, 0, 0), "paired_ratio", direction="decrease").outcome == "pass"
        )

    def test_interval_is_that_of_the_paired_difference(self):
        """Between Newcombe's (method 10, 1998) and the exact one: of 10 v. 40 of 5,000 pairs about .34 to .88 points."""
        (finding,) = judge(outcomes_of(5000, 0, 10, 40), "paired_ratio").findings
        wald = stats.norm.ppf(0.95) * np.sqrt(50 - 30**2 / 5000) / 5000
        assert finding.pass_interval.low == pytest.approx(0.006 - wald, abs=3e-4)
        assert finding.pass_interval.high == pytest.approx(0.006 + wald, abs=3e-4)

    def test_a_burst_counts_for_less(self):
        burst = np.zeros((2, 10_000))
        burst[1, 4000:4040] = 1
        spread = outcomes_of(10_000, 0, 0, 40)
        together, apart = (judge(arms, "paired_ratio").findings[0] for arms in (burst, spread))
        assert together.dispersion > 10 > apart.dispersion
        assert together.pvalue > apart.pvalue

    def test_a_pass_of_what_is_noisy_says_what_it_excludes(self):
        result = judge(outcomes_of(10_000, 0, 200, 200), "paired_ratio")
        (finding,) = result.findings
        assert (finding.pass_by, finding.pass_high) == ("usual", 0.01)
        strict = judge(outcomes_of(10_000, 0, 200, 200), "paired_ratio", pass_within="tolerance")
        assert strict.outcome == "marginal"


def test_what_many_did_not_answer_is_no_pass():
    b, c = latency(1000, 0.0)
    arms = {
        "baseline": {"request": np.arange(1000), "value": b},
        "canary": {"request": np.arange(920), "value": c[:920]},
    }
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="pairs", direction="increase")])
    verdict = cj.judge({"m": arms}, policy)
    assert (verdict.outcome, verdict.metrics["m"].reason) == ("marginal", "unpaired")
    assert "were not answered by the other" in verdict.explain()
    assert "80 requests (8 %) left out" in verdict.explain()


def test_verdicts_are_read_back_and_judged_many_at_once():
    rows = [
        {"service": service, "metric": "m", "arm": arm, "request": i, "value": value}
        for service, change in (("good", 0.0), ("bad", 0.5))
        for arm, values in zip(("baseline", "canary"), latency(60, change), strict=True)
        for i, value in enumerate(values)
    ]
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="pairs", direction="increase")])
    many = cj.judge_many(rows, policy, by=["service"])
    assert [many[name].outcome for name in ("good", "bad")] == ["pass", "fail"]
    alone = cj.judge([row for row in rows if row["service"] == "bad"], policy)
    assert many["bad"].metrics["m"].findings == alone.metrics["m"].findings
    assert cj.Verdict.from_json(alone.to_json()) == alone
    assert "<html" in alone.to_html()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"warmup": "5m"}, "warmup means nothing of kind: paired_ratio"),
        ({"pairing": "windows"}, "pairing means nothing"),
        ({"tolerance": "10%"}, "compared by their difference"),
        ({"rules": ["proportion"]}, "the rule proportion does not fit kind: paired_ratio"),
        ({"rules": ["sequential"]}, "the rule sequential does not fit kind: paired_ratio"),
    ],
)
def test_settings_that_say_nothing_of_pairs_are_refused(setting, said):
    with pytest.raises(cj.PolicyError, match=said):
        cj.Policy(metrics=[{"name": "m", "kind": "paired_ratio", "direction": "increase"} | setting])


def test_who_cannot_take_pairs_says_so():
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="pairs", direction="increase")])
    for ask in (cj.Monitor, cj.plan, lambda policy: cj.calibrate({"m": [1.0] * 20}, policy)):
        with pytest.raises(cj.PolicyError, match="metric 'm' is of kind: pairs"):
            ask(policy)
    with pytest.raises(cj.PolicyError, match="stages are not known of kind: pairs"):
        cj.Policy(stages=[cj.Stage(canary="5%", max_duration="1h")], metrics=policy.metrics)
    history = {"m": {"request": [1, 2], "value": [1.0, 2.0]}}
    assert cj.judge(data(m=latency(100, 0.0)), policy, history=history).outcome == "pass"
    assert cj.doctor(policy, data(m=latency(100, 0.0))).symptoms == ()

"""Growth as a policy asks for it: what leaks fails, what only ends high is held, and what the baseline does itself is none."""

import json
import re

import numpy as np
import pytest
from simulation import ar1

import canaryjudge as cj
from canaryjudge.rules import read_finding

TIMES = 1_772_632_800.0 + 60 * np.arange(240)
RNG = np.random.default_rng(20260401)
LATE = 1 + 0.12 * (np.arange(60) >= 46)
"""A canary that is worse in its last 14 of 60 minutes, which moves the level of the whole by little."""


def arms(canary, n=60, noise=0.01, level=1200.0, seed=1):
    """Give both arms on one clock; the canary is so many times as high as the baseline."""
    waves = noise * ar1(np.random.default_rng(seed), 2, n, 0.5)
    return {
        "baseline": {"time": TIMES[:n], "value": level * (1 + waves[0])},
        "canary": {"time": TIMES[:n], "value": level * canary * (1 + waves[1])},
    }


def leak(n=60, by=0.42):
    return 1 + by * np.arange(n) / (n - 1)


def judged(data, **settings):
    policy = {name: settings.pop(name) for name in ("max_points",) if name in settings}
    metric = cj.Metric(**({"name": "m", "unit": "MiB", "direction": "increase"} | settings))
    return cj.judge({"m": data}, cj.Policy(metrics=[metric], **policy))


def grown(verdict):
    (finding,) = [found for found in verdict.metrics["m"].findings if found.rule == "growth"]
    return finding


def told(verdict):
    return " ".join(verdict.explain().split())


@pytest.mark.parametrize("n", [15, 60])
def test_a_leak_fails_and_says_how_fast_and_since_when(n):
    verdict = judged(arms(leak(n), n, noise=0.003))
    finding = grown(verdict)
    assert (verdict.outcome, finding.reason) == ("fail", "proven_worse")
    assert finding.estimate == pytest.approx(0.42, abs=0.08)
    assert finding.rate == pytest.approx(0.42 / (n - 1), rel=0.1)
    assert finding.until == pytest.approx(-0.76 * n, abs=0.1 * n)
    assert finding.interval.low > 0.1
    assert verdict.reason.startswith("FAIL: m: canary grew by ")
    speed = r"3 % or 3\d(\.\d)?" if n == 15 else r"0\.7\d? % or 8\.\d+"
    assert re.search(f"{speed} MiB a minute, beyond the tolerated 10 %; in the last ", told(verdict))
    assert "the tolerance was crossed about " in told(verdict)
    assert read_finding(json.loads(finding.model_dump_json())) == finding


def test_growth_over_hours_is_told_by_the_hour_and_without_times_by_the_point():
    slow = arms(leak(), noise=0.003)
    for arm in slow.values():
        arm["time"] = TIMES[0] + 600 * np.arange(60)
    assert re.search(r"within 9\.\d hours .* 4\.\d % or \d\d(\.\d)? MiB an hour, beyond", told(judged(slow)))


def test_growth_that_will_cross_the_tolerance_says_when():
    verdict = judged(arms(leak(by=0.05), noise=0.0005), rules=["growth"])
    finding = grown(verdict)
    assert (finding.outcome, finding.reason) == ("pass", "proven_safe")
    assert finding.until == pytest.approx(60, abs=10)
    assert "at this rate the tolerance is crossed in about " in told(verdict)


@pytest.mark.parametrize("rules", [None, ["mann_whitney"], ["mann_whitney", "growth"]])
def test_a_canary_that_ends_beyond_the_tolerance_does_not_pass_whatever_the_rules_find(rules):
    verdict = judged(arms(LATE), rules=rules)
    assert verdict.metrics["m"].findings[0].outcome == "pass"
    assert (verdict.outcome, verdict.metrics["m"].reason) == ("marginal", "ends_beyond_tolerance")
    assert verdict.metrics["m"].deciding.rule == "growth"
    assert grown(verdict).end == pytest.approx(0.11, abs=0.01)
    end = "in the last 20 points canary is 11 % higher, 1.31 GiB v. 1.17 GiB, beyond the tolerated 10 %"
    assert verdict.reason.startswith(f"MARGINAL: m: {end}")
    assert "A longer window" in verdict.to_html()


def test_no_policy_lets_an_end_beyond_the_tolerance_pass():
    assert judged(arms(LATE), pass_when="not_proven_worse").outcome == "marginal"
    assert judged(arms(LATE), rules=["sequential"], max_points=60).outcome == "marginal"


def test_an_objective_alone_compares_no_arms():
    assert judged(arms(LATE), rules=[cj.Slo(of="mean", op="lte", value=2000)]).outcome == "pass"


def test_a_blip_in_the_end_is_no_end():
    blip = np.ones(60)
    blip[50] = 5.0
    verdict = judged(arms(blip), rules=["mann_whitney", "growth"])
    assert verdict.outcome == "pass"


@pytest.mark.parametrize("start", [0.5, 0.7])
def test_a_canary_that_warms_up_passes(start):
    warm = 1 - (1 - start) * np.exp(-np.arange(60) / 15)
    assert judged(arms(warm)).metrics["m"].outcome != "fail"
    assert grown(judged(arms(warm))).outcome == "pass"


def test_windows_that_follow_each_other_are_not_asked():
    data = arms(leak())
    data["baseline"]["time"] = TIMES[:60] - 86400.0
    verdict = judged(data)
    assert [found.rule for found in verdict.metrics["m"].findings] == [
        "mann_whitney",
        "excursion",
        "late_shift",
    ]
    asked = judged(data, rules=["growth"])
    assert grown(asked).reason == "nothing_found"
    assert "growth is asked of arms that share the clock only" in told(asked)


def test_what_a_replica_of_the_baseline_does_by_itself_is_no_growth():
    """Garbage collections, of ten replicas at ten times; the canary's falls into no window."""
    saws = [0.7 + 0.6 * ((np.arange(60) + phase) % 72) / 72 for phase in (0, *range(6, 72, 7))]
    rows = [
        {"metric": "m", "arm": "baseline" if k else "canary", "replica": f"r{k}", "time": t, "value": v}
        for k, saw in enumerate(saws)
        for t, v in zip(TIMES[:60], 1200 * saw * (1 + 0.001 * RNG.normal(size=60)), strict=True)
    ]
    policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase", rules=["growth"])])
    finding = grown(cj.judge(rows, policy))
    assert finding.estimate > 0.1
    assert finding.usual > finding.estimate
    assert finding.reason == "ends_beyond_tolerance"


@pytest.mark.parametrize(
    ("settings", "canary"),
    [
        ({"direction": "decrease"}, 1 / leak()),
        ({"direction": "either"}, leak()),
        ({"direction": "either"}, 1 / leak()),
        ({"effect": "ratio"}, leak()),
        ({"effect": "ratio", "direction": "decrease"}, 1 / leak()),
        ({"tolerance": {"absolute": "150MiB"}}, leak()),
    ],
)
def test_it_fails_in_the_bad_direction_on_every_scale(settings, canary):
    verdict = judged(arms(canary, noise=0.003), rules=["growth"], **settings)
    finding = grown(verdict)
    assert finding.outcome == "fail"
    assert (finding.estimate > 0) == (canary[-1] > 1)
    assert "in the last 20 points canary is " in told(verdict)
    harmless = {"increase": "decrease", "decrease": "increase"}.get(settings.get("direction", "increase"))
    if harmless:
        other = judged(arms(canary, noise=0.003), rules=["growth"], **settings | {"direction": harmless})
        assert grown(other).outcome == "pass"


def test_too_few_points_and_nothing_tolerated_are_asked_nothing():
    short = judged(arms(leak(5), 5), rules=["growth"], min_points=5)
    assert (grown(short).method, grown(short).reason) == ("none", "nothing_found")
    nothing = arms(leak())
    nothing["baseline"]["value"] = np.zeros(60)
    assert grown(judged(nothing, rules=["growth"])).method == "none"


def test_smoothed_steps_leave_too_few_blocks_and_it_says_so():
    walk = np.cumsum(np.random.default_rng(6).normal(size=(2, 19)), axis=1)
    smooth = [np.convolve(row, np.ones(5) / 5, "valid") for row in walk]
    data = arms(1.0, 15)
    for arm, wander in zip(data, smooth, strict=True):
        data[arm]["value"] = 1000 + 60 * wander
    verdict = judged(data, rules=["growth"])
    assert grown(verdict).blocks < 6
    assert grown(verdict).outcome != "fail"
    assert "too few to tell growth from wandering" in told(verdict)


class TestWatched:
    """A monitor asks it at planned looks, on its own share."""

    POLICY = cj.Policy(metrics=[cj.Metric(name="m", unit="MiB", direction="increase")], max_points=60)

    def watch(self, data, policy=POLICY, step=6):
        monitor = cj.Monitor(policy)
        outcomes = []
        for start in range(0, 60, step):
            cut = {
                arm: {k: v[start : start + step] for k, v in points.items()} for arm, points in data.items()
            }
            monitor.update({"m": cut})
            outcomes.append(monitor.verdict().outcome)
            monitor = cj.Monitor.from_json(monitor.to_json(), policy)
        return monitor.verdict(), outcomes

    def test_a_leak_fails(self):
        verdict, _ = self.watch(arms(leak(), noise=0.003))
        assert verdict.outcome == "fail"
        assert "growth" in {found.rule for found in verdict.metrics["m"].findings if found.outcome == "fail"}

    def test_a_healthy_canary_may_pass_before_the_end(self):
        verdict, outcomes = self.watch(arms(1.0, noise=0.01))
        assert verdict.outcome == "pass"
        assert outcomes.index("pass") < len(outcomes) - 1

    def test_an_end_beyond_the_tolerance_is_held(self):
        watched = cj.Policy(
            metrics=[cj.Metric(name="m", direction="increase", rules=["growth"])], max_points=60
        )
        verdict, _ = self.watch(arms(LATE), watched)
        assert verdict.metrics["m"].reason == "ends_beyond_tolerance"
        assert grown(verdict).end == pytest.approx(0.11, abs=0.01)

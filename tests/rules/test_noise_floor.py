"""A noise floor widens intervals, where it applies, and the verdict says so."""

import numpy as np
import pytest

import canaryjudge as cj

TIME = 60.0 * np.arange(60)
RNG = np.random.default_rng(1)
BASELINE, CANARY = RNG.normal(100, 2, 60), RNG.normal(115, 2, 60)
FLOOR = {"between_windows": "3%", "windows": 40, "between_replicas": "1%", "replicas": 9}


def judged(floor, *, timed=False, **settings):
    arms = {"baseline": BASELINE, "canary": CANARY}
    data = {name: {"value": value, "time": TIME} if timed else value for name, value in arms.items()}
    metric = cj.Metric(name="m", unit="ms", direction="increase", noise_floor=floor, **settings)
    verdict = cj.judge({"m": data}, cj.Policy(metrics=[metric]))
    return verdict, verdict.metrics["m"].findings[0]


def width(finding):
    return finding.interval.high - finding.interval.low


def test_windows_are_held_against_the_spread_of_windows():
    (plain, without), (verdict, found) = judged(None), judged(FLOOR)
    assert (plain.outcome, verdict.outcome) == ("fail", "marginal")
    assert width(found) > 3 * width(without)
    assert found.noise_floor.spread == pytest.approx(0.03)
    assert found.noise_floor.df == 39
    assert "allowing for healthy windows that differ by 3 %" in " ".join(verdict.explain().split())


def test_arms_on_one_clock_are_held_against_the_spread_of_replicas():
    verdict, found = judged(FLOOR, timed=True)
    assert found.noise_floor.spread == pytest.approx(0.01)
    assert found.noise_floor.df == 8
    assert "allowing for healthy replicas that differ by 1 %" in " ".join(verdict.explain().split())


def test_a_floor_of_the_other_pairing_changes_nothing():
    without = judged(None, timed=True)[1]
    assert judged({"between_windows": "3%", "windows": 40}, timed=True)[1] == without


@pytest.mark.parametrize("settings", [{"effect": "ratio"}, {"tolerance": "12ms"}])
def test_it_is_told_in_the_scale_of_the_estimate(settings):
    found = judged(FLOOR, **settings)[1]
    median = np.median(BASELINE)
    assert found.noise_floor.spread == pytest.approx(
        0.03 * median if "tolerance" in settings else 0.03, rel=1e-9
    )
    assert width(found) > 3 * width(judged(None, **settings)[1])


def test_an_absolute_spread_is_the_same_at_any_level():
    relative, absolute = (
        judged(FLOOR)[1],
        judged({"between_windows": f"{0.03 * np.median(BASELINE)}ms", "windows": 40})[1],
    )
    assert width(absolute) == pytest.approx(width(relative))


def test_a_floor_that_hides_the_limit_says_that_more_points_will_not_do():
    verdict, found = judged({"between_windows": "10%", "windows": 10})
    assert found.more_points is None
    assert "more points alone would hardly decide, because healthy arms differ as well" in " ".join(
        verdict.explain().split()
    )


def test_several_replicas_of_an_arm_have_the_less_of_it():
    def spread(count):
        arms = {
            name: {
                "time": np.tile(TIME, count),
                "value": np.concatenate([values + 0.01 * i for i in range(count)]),
                "replica": np.repeat([f"r{i}" for i in range(count)], 60),
            }
            for name, values in (("baseline", BASELINE), ("canary", CANARY))
        }
        metric = cj.Metric(
            name="m", direction="increase", noise_floor={"between_replicas": "3%", "replicas": 100}
        )
        return width(cj.judge({"m": arms}, cj.Policy(metrics=[metric])).metrics["m"].findings[0])

    assert spread(4) < 0.6 * spread(1)


@pytest.mark.parametrize("kind", ["ratio", "count"])
def test_events_are_worth_as_much_less(kind):
    rng = np.random.default_rng(2)
    data = {
        arm: {"value": rng.binomial(5000, share, 30), "total": np.full(30, 5000)}
        for arm, share in (("baseline", 0.01), ("canary", 0.013))
    }
    found = {}
    for name, floor in (("with", FLOOR | {"between_windows": "20%"}), ("without", None)):
        metric = cj.Metric(name="m", kind=kind, direction="increase", noise_floor=floor)
        found[name] = cj.judge({"m": data}, cj.Policy(metrics=[metric])).metrics["m"].findings[0]
    assert found["without"].outcome == "fail"
    assert found["with"].outcome == "marginal"
    assert found["with"].dispersion == found["without"].dispersion
    assert found["with"].events_canary == pytest.approx(found["without"].events_canary)
    assert found["with"].noise_floor.spread == pytest.approx(0.2, rel=1e-6)

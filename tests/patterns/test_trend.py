"""A leak grows and a warm-up fades over the stages of a rollout: told with the time of the crossing, and without a say in what is done."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.monitor.effect_trace import Blocks
from canaryjudge.patterns.trend import trend_of

START = 1_772_442_000
STAGES = [{"canary": share, "min_duration": "30m", "max_duration": "40m"} for share in ("5%", "25%", "50%")]


def gauge_policy(direction="increase", **settings):
    metric = {"name": "memory", "unit": "MiB", "direction": direction, "tolerance": "10%"} | settings
    return cj.Policy(metrics=[metric], stages=STAGES)


def played(policy, factor_of, minutes=90, seed=1, noise=0.01):
    """Give the verdict of each minute, while the canary's level is so many times the baseline's."""
    rng, rollout, verdicts = np.random.default_rng(seed), cj.Rollout(policy), []
    for minute in range(minutes):
        levels = 500 * np.exp(rng.normal(0, noise, 2)) * [1, factor_of(minute)]
        rollout.update(
            {
                "memory": {
                    arm: {"time": [START + 60 * minute], "value": [float(level)]}
                    for arm, level in zip(("baseline", "canary"), levels, strict=True)
                }
            }
        )
        verdicts.append(rollout.verdict())
        if verdicts[-1].action in ("complete", "rollback"):
            break
    return verdicts


def trend(verdict):
    return verdict.timeline.metrics["memory"].trend


def test_a_leak_is_told_with_the_time_at_which_it_passes_what_is_tolerated():
    """Grows by .1 % a minute, so it is at 10 % after 100 minutes, before the 120 minutes of all stages are over."""
    verdicts = played(gauge_policy(), lambda minute: 1 + 0.001 * minute, minutes=60)
    last = trend(verdicts[-1])
    assert last.told == "grows"
    assert last.warns
    assert last.limit == pytest.approx(0.1)
    assert last.rate * 60 == pytest.approx(0.001, rel=0.25)
    true = START + 60 * 100
    assert last.crosses == pytest.approx(true, abs=60 * 25)
    assert last.crosses_low < true < last.crosses_high
    assert verdicts[-1].timeline.metrics["memory"].blocks.scale == "relative"


def test_a_warm_up_is_told_with_the_time_since_when_it_is_tolerated():
    verdicts = played(gauge_policy(), lambda minute: 1 + 0.4 * np.exp(-minute / 20), minutes=70)
    last = trend(verdicts[-1])
    assert last.told == "fades"
    assert not last.warns
    true = START + 60 * 20 * np.log(4)
    assert last.crosses_low < true < last.crosses_high
    assert last.start > 0.3
    assert last.end < 0.05


def test_what_stays_is_neither_and_at_first_there_are_too_few_blocks():
    verdicts = played(gauge_policy(), lambda minute: 1.02, minutes=40)
    assert trend(verdicts[3]).told == "too_few_blocks"
    assert trend(verdicts[3]).blocks == 4
    assert trend(verdicts[-1]).told == "neither"
    assert trend(verdicts[-1]).crosses is None
    assert trend(verdicts[-1]).until == START + 60 * (
        40 if verdicts[-1].stage == "5%" else 31 + 80 if verdicts[-1].stage == "25%" else 0
    )


def test_where_less_is_worse_a_fall_grows():
    verdicts = played(gauge_policy("decrease"), lambda minute: 1 - 0.001 * minute, minutes=60)
    last = trend(verdicts[-1])
    assert last.told == "grows"
    assert last.limit == pytest.approx(-0.1 / 1.1)
    assert last.end < last.start < 0.01
    assert last.rate < 0


def test_getting_better_is_no_trend():
    verdicts = played(gauge_policy(), lambda minute: 1 - 0.004 * minute, minutes=60)
    assert trend(verdicts[-1]).told == "neither"


def test_it_changes_nothing_of_what_is_done():
    """A rollout that is ended does not warn any more."""
    verdicts = played(gauge_policy(pass_within="30%"), lambda minute: 1 + 0.0004 * minute, minutes=120)
    assert verdicts[-1].action == "complete"
    last = trend(verdicts[-1])
    assert (last.told, last.until, last.warns) == ("grows", None, False)


def test_errors_that_grow_are_told_at_any_split():
    policy = cj.Policy(
        metrics=[{"name": "errors", "kind": "ratio", "direction": "increase", "tolerance": "200%"}],
        stages=STAGES,
    )
    rng, rollout = np.random.default_rng(3), cj.Rollout(policy)
    for minute in range(80):
        share = rollout.verdict().share
        arms = {"baseline": (1 - share, 1.0), "canary": (share, 1 + 0.012 * minute)}
        rollout.update(
            {
                "errors": {
                    arm: {
                        "time": [START + 60 * minute],
                        "value": [int(rng.poisson(20_000 * part * 0.01 * times))],
                        "total": [round(20_000 * part)],
                    }
                    for arm, (part, times) in arms.items()
                }
            }
        )
    found = rollout.verdict().timeline.metrics["errors"].trend
    assert found.told == "grows"
    assert found.end == pytest.approx(0.94, abs=0.2)


@pytest.mark.parametrize("up", [1.0, -1.0])
def test_where_either_direction_is_bad_it_grows_away_from_no_change(up):
    rng, times = np.random.default_rng(2), 60.0 * np.arange(24)
    changes = up * (0.005 * np.arange(24) + rng.normal(0, 0.01, 24))
    found = trend_of(Blocks(1, "relative", 0.1, times, changes, np.ones(24)), (1, -1))
    assert found.told == "grows"
    assert found.limit == pytest.approx(0.1 * up)
    assert np.sign(found.rate) == up
    assert found.crosses == pytest.approx(60 * 20, abs=200)
    faded = trend_of(Blocks(1, "relative", 0.1, times, changes[::-1], np.ones(24)), (1, -1))
    assert faded.told == "fades"
    assert faded.crosses_low < faded.crosses < faded.crosses_high

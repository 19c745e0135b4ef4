"""What a judgement is given of the past: what it makes of it, what it leaves out, and what it says."""

import numpy as np
import pandas as pd
import pytest

import canaryjudge as cj
from canaryjudge.data import read_history, read_pairs
from canaryjudge.history import Asked, past_of, with_past

WINDOW = 30
START = 1_772_442_000.0
METRIC = cj.Metric(name="m", direction="increase", unit="ms")
TIMES = START + 60.0 * np.arange(WINDOW)


def before(count, *, gap=0):
    """The times of so many points before the release."""
    return START + 60.0 * np.arange(-count - gap, -gap)


def levels(count, seed=1, spread=0.05, noise=1.0):
    """Windows that differ by 5 %, one after the other."""
    rng = np.random.default_rng(seed)
    own = 100 * (1 + spread * rng.normal(size=count))
    return np.repeat(own, WINDOW) + noise * rng.normal(size=count * WINDOW)


def track(windows, **settings):
    return {"time": before(windows * WINDOW), "value": levels(windows, **settings)}


def pods(count, windows=10, spread=0.05, seed=2):
    """Pods side by side that differ for good."""
    rng = np.random.default_rng(seed)
    size = windows * WINDOW
    return {
        f"pod-{pod}": {
            "time": before(size),
            "value": 100 * (1 + spread * rng.normal()) + rng.normal(size=size),
        }
        for pod in range(count)
    }


def releases(count, spread=0.05, seed=3):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        time = before(WINDOW, gap=number * WINDOW)
        for arm in ("baseline", "canary"):
            value = 100 * (1 + spread * rng.normal()) + rng.normal(size=WINDOW)
            rows.append(
                pd.DataFrame(
                    {"metric": "m", "release": f"r{number}", "arm": arm, "time": time, "value": value}
                )
            )
    return pd.concat(rows)


def release(*, concurrent=True, canary=100.0, **settings):
    rng = np.random.default_rng(7)
    value = rng.normal(size=(2, WINDOW))
    later = TIMES if concurrent else TIMES + 60.0 * WINDOW
    data = {
        "m": {
            "baseline": {"time": TIMES, "value": 100 + value[0]},
            "canary": {"time": later, "value": canary + value[1]},
        }
    }
    return data, cj.Policy(metrics=[METRIC.model_copy(update=settings)])


def judged(history, **settings):
    data, policy = release(**settings)
    return cj.judge(data, policy, history=history)


def past(history, **settings):
    return judged(history, **settings).metrics["m"].history


# from what ----------------------------------------------------------------------------------------------------------------


def test_windows_of_the_canarys_length_are_cut_where_windows_are_compared():
    found = past({"m": track(40)}, concurrent=False)
    assert (found.windows, found.points, found.source) == (40, WINDOW, "neighbors")
    assert (found.start, found.end) == (before(40 * WINDOW)[0], START - 60)
    assert found.floor.between == "windows"
    assert found.floor.spread == pytest.approx(0.05, rel=0.35)


def test_windows_are_as_long_as_the_canary_whatever_the_historys_step():
    coarse = {"time": before(40 * WINDOW)[::5], "value": levels(40)[::5]}
    found = past({"m": coarse}, concurrent=False)
    assert (found.windows, found.points) == (40, WINDOW // 5)


def test_replicas_side_by_side_say_it_of_arms_on_one_clock_with_honest_degrees_of_freedom():
    found = past({"m": pods(6, windows=20)})
    assert (found.source, found.floor.between, found.floor.measured_from) == ("replicas", "replicas", 6)
    assert found.floor.spread == pytest.approx(0.05, rel=0.5)
    assert found.floor.df <= 5
    frame = pd.concat(
        [pd.DataFrame(pod).assign(metric="m", replica=name) for name, pod in pods(6, windows=20).items()]
    )
    assert past(frame).floor == found.floor
    assert past(frame.rename(columns={"replica": "arm"})).floor == found.floor


def test_the_arms_of_past_releases_say_it_too():
    found = past(releases(20))
    assert (found.source, found.windows, found.points) == ("releases", 40, WINDOW)
    assert found.floor.spread == pytest.approx(0.05, rel=0.4)
    assert found.floor.df > 10


def test_releases_that_went_wrong_say_nothing():
    frame = releases(6).assign(outcome="good")
    bad = pd.concat(
        [
            part.assign(release=f"bad-{name}")
            for name, part in releases(6, spread=2.0).assign(outcome="bad").groupby("release")
        ]
    )
    assert past(pd.concat([frame, bad])).floor == past(frame).floor


# too little ---------------------------------------------------------------------------------------------------------------


def test_fewer_than_eight_windows_give_no_floor_and_say_so():
    assert past({"m": track(8)}, concurrent=False).floor is not None
    verdict = judged({"m": track(7)}, concurrent=False)
    assert verdict.metrics["m"].history.lacks == "windows"
    told = " ".join(verdict.explain().split())
    assert (
        "- history: 7 windows of 30 points over 3.5 hours, too few to tell by how much they differ, which takes 8."
        in told
    )
    assert verdict.metrics["m"].findings == judged(None, concurrent=False).metrics["m"].findings


@pytest.mark.parametrize(
    ("history", "lacks", "says"),
    [
        ({"m": track(40)}, "arms", "no two of its series ran side by side"),
        ({"m": pods(2)}, "replicas", "two series side by side do not say"),
        (releases(3), "windows", "too few"),
        ({"m": None, "other": [1.0]}, "metric", "it has nothing of this metric"),
    ],
)
def test_what_does_not_say_by_how_much_arms_on_one_clock_differ_leaves_what_is_assumed(history, lacks, says):
    verdict = judged(history)
    assert verdict.metrics["m"].history.lacks == lacks
    assert verdict.metrics["m"].findings[0].noise_floor.assumed
    told = " ".join(verdict.explain().split())
    assert says in told
    assert "the rates of the comparison and not of your service" in told


def test_two_series_whose_differences_vary_by_more_than_is_assumed_say_so():
    both = {
        name: {"time": before(30 * WINDOW), "value": levels(30, seed=seed)} for seed, name in enumerate("ab")
    }
    found = past({"m": both})
    assert found.floor.spread == pytest.approx(0.05, rel=0.4)


def test_a_history_without_any_metric_of_the_policy_is_an_error_about_the_history():
    with pytest.raises(cj.DataError, match=r"^history: the history has no metric of the policy, such as 'm'"):
        judged({"n": [1.0, 2.0]})
    with pytest.raises(cj.DataError, match=r"^history: "):
        judged({"m": {"value": ["x"]}})
    apart = releases(9)
    apart.loc[apart.arm == "canary", "time"] -= 1e6
    with pytest.raises(cj.DataError, match=r"^history: metric 'm': pairing is concurrent"):
        judged(apart, pairing="concurrent")


# what counts --------------------------------------------------------------------------------------------------------------


def test_points_that_do_not_lie_before_the_arms_are_left_out_and_counted():
    long = {"time": before(40 * WINDOW) + 60.0 * 100, "value": levels(40)}
    verdict = judged({"m": long}, concurrent=False)
    found = verdict.metrics["m"].history
    assert (found.late, found.end, found.windows) == (100, START - 60, 36)
    assert "100 points that do not lie before the arms' first left out" in " ".join(verdict.explain().split())
    whole = {"time": before(40 * WINDOW) + 60.0 * 5000, "value": levels(40)}
    assert past({"m": whole}, concurrent=False).lacks == "metric"


def test_a_floor_of_the_policys_own_wins_part_by_part():
    own = cj.Metric(name="m", direction="increase", noise_floor={"between_windows": "1%", "windows": 30})
    data, _ = release(concurrent=False)
    verdict = cj.judge(data, cj.Policy(metrics=[own]), history={"m": track(40)})
    assert verdict.metrics["m"].history.stated == "noise_floor"
    assert verdict.metrics["m"].findings[0].noise_floor.spread == pytest.approx(0.01, rel=0.05)
    data, _ = release()
    verdict = cj.judge(data, cj.Policy(metrics=[own]), history={"m": pods(6)})
    assert verdict.metrics["m"].findings[0].noise_floor.spread > 0.02


def test_the_releases_own_replicas_are_the_yardstick_where_there_are_three():
    data, policy = release()
    data["m"]["baseline"] = {
        "time": np.tile(TIMES, 3),
        "value": np.concatenate([level + data["m"]["baseline"]["value"] for level in (-2, 0, 2)]),
        "replica": np.repeat(["a", "b", "c"], WINDOW),
    }
    data["m"]["canary"]["replica"] = ["d"] * WINDOW
    verdict = cj.judge(data, policy, history={"m": pods(6)})
    assert verdict.metrics["m"].history.stated == "replicas"
    assert verdict.metrics["m"].findings[0].replicas is not None


def test_what_a_pass_excludes_is_not_widened():
    data, policy = release()
    plain, told = (
        cj.judge(data, policy, history=history).metrics["m"].findings[0] for history in (None, {"m": pods(6)})
    )
    assert (plain.limit_high, plain.pass_by) == (told.limit_high, told.pass_by)


def test_the_floor_is_what_a_policy_would_state():
    data, policy = release(concurrent=False)
    history = {"m": track(40)}
    pair = read_pairs(data, policy)["m"]
    told = with_past(METRIC, past_of(METRIC, read_history(history, policy), Asked.of(pair)))
    stated = cj.judge(data, cj.Policy(metrics=[told]))
    assert stated.metrics["m"].findings == cj.judge(data, policy, history=history).metrics["m"].findings


def test_bursts_are_held_against_healthy_levels_as_well():
    """Pods that differ by half have their worst points apart as well."""
    rng = np.random.default_rng(5)
    apart = pods(8, spread=0.5)
    data, _ = release()
    data["m"]["canary"]["value"] = 210 + 5 * rng.normal(size=WINDOW)
    policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase", rules=["excursion"])])
    assert cj.judge(data, policy).outcome == "fail"
    assert cj.judge(data, policy, history={"m": apart}).outcome != "fail"


@pytest.mark.parametrize("kind", ["ratio", "count"])
def test_counts_take_their_dispersion_from_series_side_by_side_or_at_most_from_one(kind):
    rng = np.random.default_rng(6)
    metric = cj.Metric(name="m", kind=kind, direction="increase")
    policy = cj.Policy(metrics=[metric])

    def events(rate):
        return {"time": before(600), "value": rng.poisson(rate), "total": np.full(600, 1000.0)}

    def dispersion(history, pairing="concurrent"):
        return past_of(metric, read_history({"m": history}, policy), Asked(pairing, WINDOW)).dispersion

    calm = np.full(600, 10.0)
    load = 10 * np.exp(0.8 * rng.normal(size=600))
    assert 1 <= dispersion(events(calm)) < 1.3
    assert dispersion(events(load)) is None  # both arms may feel that
    assert 1 <= dispersion({"a": events(load), "b": events(load)}) < 1.3
    bursts = {name: events(10 * rng.gamma(1 / 0.4, 0.4, 600)) for name in "ab"}
    assert 3.5 < dispersion(bursts) < 7


# digests ------------------------------------------------------------------------------------------------------------------


def test_the_history_is_part_of_the_data():
    digests = {
        judged(history).data_digest
        for history in (None, {"m": track(40)}, {"m": track(40, seed=9)}, releases(5))
    }
    assert len(digests) == 4
    verdict = judged({"m": pods(6)})
    assert judged({"m": pods(6)}).to_json() == verdict.to_json()
    assert cj.Verdict.from_json(verdict.to_json()) == verdict

"""An arm that stops reporting is one thing, however its rows show it; and what is none."""

import json

import numpy as np
import pytest
from silent_arms import FORMS, KINDS, MINUTES, T0, arm, in_updates, settings, silenced

import canaryjudge as cj
from canaryjudge.data.series import Series
from canaryjudge.data.silence import Presence, replica_silences
from canaryjudge.kinds import KINDS as RULES_OF


def both(kind, seed, start, end, form, who="canary"):
    rng = np.random.default_rng(seed)
    arms = {name: arm(kind, rng) for name in ("baseline", "canary")}
    return arms | {who: silenced(kind, arms[who], start, end, form)}


def policy(kind, **more):
    end = {"max_points": 60}
    return cj.Policy(
        metrics=[cj.Metric(**settings(kind) | more)], split={"baseline": "50%", "canary": "50%"}, **end
    )


def judged(data, **more):
    metric = cj.Metric(**{"name": "m", "direction": "increase"} | more)
    return cj.judge({metric.name: data}, cj.Policy(metrics=[metric]))


@pytest.mark.parametrize(("who", "start"), [("baseline", 5 / 6), ("canary", 1 / 3)])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_arm_that_stops_reporting_is_silent_whatever_its_rows_are(kind, form, who, start):
    verdict = cj.judge({"m": both(kind, 5, start, 1, form, who)}, policy(kind))
    result = verdict.metrics["m"]
    assert (verdict.outcome, result.reason) == ("marginal", "silent")
    assert verdict.lacks_data
    (note,) = [note for note in result.warnings if note.code == "silent"]
    assert note.arm == who
    assert note.facts["silent_start"] == pytest.approx(T0 + 3600 * start, abs=120)
    assert note.count == pytest.approx(60 * (1 - start), abs=2) or kind == "samples"
    assert f"{who}: nothing since 2026-01-01T00:" in verdict.reason


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "count counter"])
def test_a_long_silence_inside_the_window_is_one_too(kind, form):
    """What a counter counted meanwhile, its next increase says; so of counts alone none is lost."""
    verdict = cj.judge({"m": both(kind, 6, 0.4, 0.6, form)}, policy(kind))
    assert verdict.metrics["m"].reason == "silent"
    assert "nothing between 2026-01-01T00:2" in verdict.explain()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_monitor_sees_it_too_and_after_it_was_saved(kind, form):
    asked = policy(kind, no_data="fail")
    monitor = cj.Monitor(asked)
    for number, update in enumerate(in_updates(both(kind, 7, 1 / 3, 1, form))):
        monitor.update(update)
        if number == 6:
            monitor = cj.Monitor.from_json(monitor.to_json(), asked)
            reason = monitor.verdict().metrics["m"].reason
            assert reason == "no_data_fails" if kind == "samples" else reason in ("silent", "no_data_fails")
    verdict = monitor.verdict()
    assert (verdict.outcome, verdict.metrics["m"].reason) == ("fail", "no_data_fails")


def test_a_monitor_waits_ten_intervals_before_silence_fails():
    data = both("gauge", 8, 1, 1, "absent")
    late = {key: column[:52] for key, column in data["canary"].items()}
    monitor = cj.Monitor(policy("gauge", no_data="fail"))
    monitor.update({"m": data | {"canary": late}})
    assert monitor.verdict().metrics["m"].reason == "silent"
    monitor.update({"m": {"canary": data["canary"]}})
    assert monitor.verdict().outcome == "pass"


@pytest.mark.parametrize("kind", KINDS)
def test_no_data_fail_fails_it_and_a_healthy_hour_is_not_silent(kind):
    silent = both(kind, 9, 0.5, 1, "absent")
    verdict = cj.judge({"m": silent}, policy(kind, no_data="fail"))
    assert (verdict.outcome, verdict.metrics["m"].reason) == ("fail", "no_data_fails")
    assert "which the policy fails" in verdict.reason
    healthy = cj.judge({"m": both(kind, 9, 1, 1, "absent")}, policy(kind))
    assert "silent" not in {note.code for note in healthy.metrics["m"].warnings}


@pytest.mark.parametrize("kind", ["gauge", "ratio", "count"])
@pytest.mark.parametrize("form", FORMS)
def test_all_replicas_of_an_arm_fall_silent(kind, form):
    rng, rows = np.random.default_rng(10), []
    for name in ("baseline", "canary"):
        for number in range(3):
            columns = silenced(kind, arm(kind, rng), 1 / 3 if name == "canary" else 1, 1, form)
            rows += [
                {"metric": "m", "arm": name, "replica": f"{name}-{number}"}
                | {key: column[index] for key, column in columns.items()}
                for index in range(len(columns["time"]))
            ]
    monitor = cj.Monitor(policy(kind))
    monitor.update(rows)
    for verdict in (cj.judge(rows, policy(kind)), monitor.verdict()):
        assert verdict.metrics["m"].reason == "silent"


def test_windows_and_data_without_times_fall_silent_too():
    noise = np.random.default_rng(11).normal(100, 3, (2, 60))
    noise[1, 40:] = np.nan
    verdict = judged({"baseline": noise[0], "canary": noise[1]})
    assert verdict.metrics["m"].reason == "silent"
    assert "canary: nothing after its 40th row" in verdict.reason
    after = {
        "baseline": {"value": noise[0], "time": MINUTES},
        "canary": {"value": noise[1], "time": MINUTES + 7200},
    }
    assert judged(after).metrics["m"].reason == "silent"


def watched(data, asked):
    """Judge data at once, and as they come to a monitor that is saved on the way."""
    monitor = cj.Monitor(asked)
    for number, update in enumerate(in_updates(data)):
        monitor.update(update)
        if number == 9:
            monitor = cj.Monitor.from_json(monitor.to_json(), asked)
    return cj.judge({"m": data}, asked), monitor.verdict()


def said(verdict, code, metric="m"):
    return [note for note in verdict.metrics[metric].warnings if note.code == code]


def outage(kind, start, end, form):
    """Both arms, which fall silent at once."""
    data = both(kind, 12, start, end, form)
    return data | {"baseline": silenced(kind, data["baseline"], start, end, form)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "count counter"])
def test_an_outage_of_both_arms_inside_is_said_and_what_is_there_is_judged(kind, form):
    healthy = cj.judge({"m": both(kind, 12, 1, 1, form)}, policy(kind))
    for verdict in watched(outage(kind, 1 / 3, 2 / 3, form), policy(kind)):
        (note,) = said(verdict, "both_silent")
        assert not said(verdict, "silent")
        assert note.facts["silent_start"] == pytest.approx(T0 + 1140, abs=180)
        assert note.facts["silent_end"] == pytest.approx(T0 + 2400, abs=180)
        assert "both arms were silent for a while, the canary between" in " ".join(verdict.explain().split())
    assert cj.judge({"m": outage(kind, 1 / 3, 2 / 3, "absent")}, policy(kind)).outcome == healthy.outcome


@pytest.mark.parametrize("form", ["missing", "still"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_of_both_arms_that_lasts_is_no_pass(kind, form):
    """The service may be down; that rows are absent to the end, only other metrics tell."""
    if kind == "samples" and form == "still":
        pytest.skip("samples have no rows that stand still")
    data = outage(kind, 2 / 3, 1, form)
    for verdict in watched(data, policy(kind)):
        # of buckets that are so coarse nothing passes anyway
        reasons = ("silent", "abstains") if "histogram" in kind else ("silent",)
        assert verdict.metrics["m"].reason in reasons
        told = " ".join(verdict.explain().split())
        assert "both arms fell silent, the canary since 2026-01-01T00:" in told
    assert cj.judge({"m": data}, policy(kind, no_data="fail")).outcome == "fail"


def test_what_ends_in_both_arms_before_their_other_metrics_is_silent():
    metrics = [cj.Metric(name=name, direction="increase") for name in ("m", "n")]
    rng = np.random.default_rng(20)
    data = {
        metric.name: {
            arm: {"value": rng.normal(100, 3, 60), "time": MINUTES} for arm in ("baseline", "canary")
        }
        for metric in metrics
    }
    for last, reason in ((57, "proven_safe"), (50, "proven_safe"), (30, "silent")):
        ended = {arm: {key: column[:last] for key, column in own.items()} for arm, own in data["m"].items()}
        asked = cj.Policy(metrics=metrics, max_points=60)
        monitor = cj.Monitor(asked)
        monitor.update({"n": data["n"]})
        monitor.update({"m": ended})
        for verdict in (cj.judge(data | {"m": ended}, asked), monitor.verdict()):
            assert reason in (verdict.metrics["m"].reason, "proven_safe")
            assert bool(said(verdict, "both_silent")) == (last < 57)


@pytest.mark.parametrize("name", ["error_count", "http_5xx"])
def test_faults_that_end_in_both_arms_are_no_silence(name):
    rng = np.random.default_rng(21)
    counts = rng.poisson(30, (2, 60)).astype(float)
    counts[:, 30:] = 0
    data = {
        arm: {"value": own, "time": MINUTES} for arm, own in zip(("baseline", "canary"), counts, strict=True)
    }
    verdict = judged(data, name=name, kind="count")
    assert not said(verdict, "both_silent", name)


def replicas(kind, seed, *, lost, start, end=1, form="absent", who="canary", came=None):
    """Three replicas an arm, of which some fall silent; one may come in their place."""
    rng, rows = np.random.default_rng(seed), []
    for name in ("baseline", "canary"):
        for number in range(3 + (came is not None and name == who)):
            columns = arm(kind, rng)
            if name == who and number < lost:
                columns = silenced(kind, columns, start, end, form)
            if number == 3:
                columns = silenced(kind, columns, 0, came, "absent")
            rows += [
                {"metric": "m", "arm": name, "replica": f"{name}-{number}"}
                | {key: column[index] for key, column in columns.items() if key != "edges"}
                for index in range(len(columns["time"]))
            ]
    return rows


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "histogram" not in kind])
@pytest.mark.parametrize("who", ["baseline", "canary"])
def test_a_replica_that_falls_silent_is_said_and_withholds_nothing(kind, form, who):
    rows = replicas(kind, 22, lost=1, start=1 / 3, form=form, who=who)
    monitor = cj.Monitor(policy(kind))
    monitor.update(rows)
    for verdict in (cj.judge(rows, policy(kind)), monitor.verdict()):
        if verdict.valid_for == "all_looks" and kind == "gauge" and form == "still":
            continue  # of a replica's level a watch remembers only when it came
        (note,) = said(verdict, "replica_silent")
        assert (note.arm, note.count, note.facts["replica"], note.facts["replicas"]) == (
            who,
            1,
            f"{who}-0",
            3,
        )
        assert note.facts["silent_start"] == pytest.approx(T0 + 1140, abs=120)
        assert verdict.metrics["m"].reason not in ("silent", "no_data_fails")
        told = " ".join(verdict.explain().split())
        assert (
            f"{who}: 1 of 3 replicas fell silent while others went on: {who}-0 since 2026-01-01T00:" in told
        )


@pytest.mark.parametrize("kind", ["gauge", "ratio", "count"])
def test_a_replica_that_is_replaced_or_comes_back_soon_is_not_said(kind):
    for rows in (
        replicas(kind, 23, lost=1, start=0.5, came=0.52),
        replicas(kind, 24, lost=1, start=0.5, end=0.53),
        replicas(kind, 25, lost=0, start=1, came=0.4),
    ):
        monitor = cj.Monitor(policy(kind))
        monitor.update(rows)
        for verdict in (cj.judge(rows, policy(kind)), monitor.verdict()):
            assert not said(verdict, "replica_silent")


def test_replicas_that_fall_silent_one_by_one_are_counted_and_all_of_them_are_the_arm():
    rows = replicas("gauge", 26, lost=2, start=0.5)
    monitor = cj.Monitor(policy("gauge"))
    monitor.update(rows)
    for verdict in (cj.judge(rows, policy("gauge")), monitor.verdict()):
        (note,) = said(verdict, "replica_silent")
        assert note.count == 2
    rows = replicas("gauge", 27, lost=3, start=0.5)
    verdict = cj.judge(rows, policy("gauge"))
    assert verdict.metrics["m"].reason == "silent"
    assert not said(verdict, "replica_silent")


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("form", ["missing", "absent"])
def test_a_monitor_sees_windows_that_fall_silent_as_judge_does(form, timed):
    """By their own rows, or by those of their other metrics."""
    if form == "absent" and not timed:
        pytest.skip("nothing tells it")
    metrics = [cj.Metric(name=name, direction="increase", pairing="windows") for name in ("m", "n")]
    asked = cj.Policy(metrics=metrics, max_points=60)
    rng = np.random.default_rng(28)
    data = {
        name: {
            arm: {"value": rng.normal(100, 3, 60)} | ({"time": MINUTES + lag} if timed else {})
            for arm, lag in (("baseline", 0.0), ("canary", 7200.0))
        }
        for name in ("m", "n")
    }
    canary = data["m"]["canary"]
    if form == "missing":
        canary["value"][40:] = np.nan
    else:
        data["m"]["canary"] = {key: column[:40] for key, column in canary.items()}
    monitor = cj.Monitor(asked)
    for part in (slice(0, 25), slice(25, 60)):
        monitor.update(
            {
                name: {arm: {key: column[part] for key, column in own.items()} for arm, own in arms.items()}
                for name, arms in data.items()
            }
        )
        monitor = cj.Monitor.from_json(monitor.to_json(), asked)
    for verdict in (cj.judge(data, asked), monitor.verdict()):
        assert verdict.metrics["m"].reason == "silent"
        (note,) = said(verdict, "silent")
        assert note.facts.get("after", 40) == 40
        assert not said(verdict, "silent", "n")


def test_windows_that_both_fall_silent_are_said_so():
    noise = np.random.default_rng(29).normal(100, 3, (2, 60))
    noise[:, 40:] = np.nan
    verdict = judged({"baseline": noise[0], "canary": noise[1]})
    assert verdict.metrics["m"].reason == "silent"
    assert "both arms fell silent, the canary after its 40th row" in verdict.reason
    noise[:, 50:] = 100 + noise[:, :10]
    verdict = judged({"baseline": noise[0], "canary": noise[1]})
    assert "the canary between rows 40 and 51" in " ".join(verdict.explain().split())


@pytest.mark.parametrize("rate", [0.2, 1.0, 3.0])
def test_sparse_traffic_and_zero_errors_are_no_silence(rate):
    """A canary of a few requests a minute has minutes without any, and errors are zero for an hour where all is well."""
    rng, hour = np.random.default_rng(13), np.arange(60)
    for night in (1.0, np.where(hour < 30, 1.0, 0.02)):
        for _ in range(5):
            totals = [rng.poisson(each * rate * night + 0.0 * hour).astype(float) for each in (190, 10)]
            data = {
                name: {"value": rng.binomial(total.astype(int), 0.01), "total": total, "time": MINUTES}
                for name, total in zip(("baseline", "canary"), totals, strict=True)
            }
            result = judged(data, kind="ratio", tolerance={"absolute": "5%"}).metrics["m"]
            assert "silent" not in {note.code for note in result.warnings}
            errors = {name: {"value": data[name]["value"], "time": MINUTES} for name in data}
            counted = judged(errors, kind="count").metrics["m"]
            assert "silent" not in {note.code for note in counted.warnings}


def test_what_stands_still_now_and_then_is_not_silent():
    """A queue of a few jobs, a setting, a level at its ceiling from time to time."""
    rng = np.random.default_rng(14)
    for draw in (
        lambda: rng.poisson(0.3, 60),
        lambda: np.repeat([3, 4], 30),
        lambda: np.minimum(rng.normal(99, 2, 60), 100),
    ):
        data = {name: {"value": draw().astype(float), "time": MINUTES} for name in ("baseline", "canary")}
        assert "silent" not in {note.code for note in judged(data).metrics["m"].warnings}


@pytest.mark.parametrize(
    ("name", "best", "direction"), [("availability", 100.0, "decrease"), ("error_rate", 0.0, "increase")]
)
def test_a_level_at_its_best_is_not_silent(name, best, direction):
    for index in (0, 1):
        noise = np.random.default_rng(18).normal(abs(best - 3), 0.3, (2, 60))
        noise[index, 12:] = best
        data = {
            arm: {"value": noise[index], "time": MINUTES} for index, arm in enumerate(("canary", "baseline"))
        }
        result = judged(data, name=name, direction=direction).metrics[name]
        assert "silent" not in {note.code for note in result.warnings}


def test_a_baseline_that_made_way_for_the_canary_is_not_silent():
    early, late = (
        {"value": noise, "time": MINUTES[part]}
        for noise, part in zip(
            np.random.default_rng(19).normal(100, 3, (2, 40)), (slice(40), slice(20, 60)), strict=True
        )
    )
    followed = judged({"baseline": early, "canary": late}).metrics["m"]
    assert "silent" not in {note.code for note in followed.warnings}
    assert judged({"baseline": late, "canary": early}).metrics["m"].reason == "silent"


def test_an_infinite_percentile_is_a_report():
    noise = np.random.default_rng(15).normal(100, 3, (2, 60))
    noise[1, 40:] = np.inf
    data = {
        name: {"value": noise[index], "time": MINUTES} for index, name in enumerate(("baseline", "canary"))
    }
    assert judged(data).metrics["m"].reason == "too_little_data"
    monitor = cj.Monitor(policy("gauge"))
    monitor.update({"m": data})
    assert "silent" not in {note.code for note in monitor.verdict().metrics["m"].warnings}


@pytest.mark.parametrize("kind", ["gauge", "count", "samples"])
def test_presence_is_the_same_in_whatever_order_it_came(kind):
    rng = np.random.default_rng(16)
    time, value = T0 + np.sort(7200 * rng.random(500)), rng.poisson(30, 500).astype(float)
    whole = Presence().plus(RULES_OF[kind], time, value)
    assert len(whole) <= 48
    parts = [
        Presence().plus(RULES_OF[kind], time[part], value[part])
        for part in np.array_split(rng.permutation(500), 7)
    ]
    for order in (range(7), rng.permutation(7)):
        found = Presence()
        for index in order:
            found = found.union(parts[index])
        assert json.dumps(found.state()) == json.dumps(whole.state())
    again = Presence.restore(json.loads(json.dumps(whole.state())))
    assert json.dumps(again.state()) == json.dumps(whole.state())
    with pytest.raises(ValueError, match="not in order"):
        Presence.restore([0, [2, 5, -1], None, None, None])


@pytest.mark.parametrize("role", ["required", "guard"])
def test_not_even_a_guard_passes_in_silence(role):
    rng = np.random.default_rng(17)
    data = {
        "m": both("gauge", 17, 0.5, 1, "absent"),
        "n": {"baseline": rng.normal(9, 1, 60), "canary": rng.normal(9, 1, 60)},
    }
    metrics = [
        cj.Metric(name="m", direction="increase", role=role),
        cj.Metric(name="n", direction="increase"),
    ]
    verdict = cj.judge(data, cj.Policy(metrics=metrics))
    assert (verdict.outcome, verdict.deciding_metric) == ("marginal", "m")
    ignored = [metrics[0].model_copy(update={"no_data": "ignore"}), metrics[1]]
    verdict = cj.judge(data, cj.Policy(metrics=ignored))
    assert verdict.outcome == "pass"
    assert "no_data: ignore" in verdict.explain()


def test_a_replica_without_any_point_left_is_none():
    """Warm-up and pairing may leave an arm with replicas that have no point."""
    pods = [
        Series(name, np.arange(7.0, 7 + n), time=60.0 * np.arange(n)) for name, n in (("a", 60), ("b", 0))
    ]
    whole = Series("canary", np.ones(60), replicas=tuple(pods), end=3540.0)
    assert replica_silences(cj.Metric(name="cpu", direction="increase"), whole, 60.0) == []
    single = [
        {"metric": "m", "arm": "canary", "value": 9.0, "time": 60.0 * at, "replica": name}
        for at, name in enumerate("ab")
    ]
    metric = cj.Metric(name="m", direction="increase", no_data="marginal")
    assert cj.judge(single, cj.Policy(metrics=[metric])).metrics["m"].reason == "no_data"

"""Monitor: the verdict from a stream, whatever the shape of the updates, and what it refuses."""

import contextlib
import json
import math
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import METHODS, both, policy_of, update_of

import canaryjudge as cj

ERRORS = {"name": "errors", "kind": "ratio", "direction": "increase", "tolerance": "50%"}
CPU = {"name": "cpu", "kind": "gauge", "direction": "increase"}
LATENCY = {"name": "latency", "kind": "samples", "direction": "increase", "tolerance": "20%"}


def monitor(*metrics, **policy):
    return cj.Monitor(cj.Policy(metrics=[cj.Metric(**metric) for metric in metrics], **policy))


def errors(size=40, *, harm=1.0, start=0, seed=1, **settings):
    return {"errors": both("ratio", seed, size, harm=harm, start=start, **settings)}


def looked(one, name, seed, size, **settings):
    """Update and look interval by interval."""
    for start in range(size):
        one.update(update_of(name, seed * 1000 + start, 1, start=start, **settings))
        one.verdict()
    return one.verdict()


# shapes -----------------------------------------------------------------------------------------------------------------


def tidy(data):
    return pd.concat(
        [
            pd.DataFrame({"metric": name, "arm": side, **columns})
            for name, arms in data.items()
            for side, columns in arms.items()
        ],
        ignore_index=True,
    )


SHAPES = {
    "mapping": lambda data: data,
    "pandas": tidy,
    "polars": lambda data: pl.from_pandas(tidy(data)),
    "records": lambda data: tidy(data).to_dict("records"),
    "frames in a mapping": lambda data: {
        name: {side: pd.DataFrame(columns) for side, columns in arms.items()} for name, arms in data.items()
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_that_judge_takes_is_taken(shape):
    one, other = monitor(ERRORS), monitor(ERRORS)
    for start in (0, 20):
        data = errors(20, start=start, seed=start)
        one.update(data)
        other.update(SHAPES[shape](data))
    assert one.verdict() == other.verdict()
    assert one.to_json() == other.to_json()
    assert one.verdict().metrics["errors"].n_canary == 40


def test_wide_data_are_taken():
    values = np.random.default_rng(1).normal(100, 3, 60)
    frame = pd.DataFrame(
        {
            "time": np.tile(60.0 * np.arange(30), 2),
            "arm": np.repeat(["baseline", "canary"], 30),
            "cpu": values,
        }
    )
    one = monitor(CPU, max_points=30)
    one.update(cj.from_wide(frame, arm="arm", time="time", metrics={"cpu": "cpu"}))
    assert one.verdict().metrics["cpu"].n_canary == 30


def test_arms_and_metrics_may_come_one_by_one():
    data = errors() | {"cpu": both("gauge", 2, 40)}
    whole, parts = monitor(ERRORS, CPU, max_points=60), monitor(ERRORS, CPU, max_points=60)
    whole.update(data)
    for name, arms in data.items():
        for side, columns in arms.items():
            for part in (slice(25), slice(25, None)):
                parts.update({name: {side: {key: column[part] for key, column in columns.items()}}})
    assert parts.verdict() == whole.verdict()


def test_points_that_come_again_count_once():
    once, again = monitor(ERRORS), monitor(ERRORS)
    data = errors(40)
    once.update(data)
    for end in range(5, 41, 5):
        again.update(
            {"errors": {side: {k: v[:end] for k, v in arm.items()} for side, arm in data["errors"].items()}}
        )
        again.update({})
    assert again.verdict() == once.verdict()
    assert again.to_json() == once.to_json()


def test_a_conflict_changes_nothing_in_any_metric():
    one = monitor(ERRORS, CPU, max_points=60)
    first = errors(20) | {"cpu": both("gauge", 1, 20)}
    one.update(first)
    verdict = one.verdict()
    before = one.to_json()
    changed = errors(20, start=20) | {
        "cpu": both("gauge", 9, 20)
    }  # errors are new, cpu has other values than before
    with pytest.raises(cj.DataError, match="has changed since it was given"):
        one.update(changed)
    assert one.to_json() == before
    assert one.verdict() == verdict
    one.update(errors(20, start=20))
    assert one.verdict().metrics["errors"].n_canary == 40


def test_without_data_it_waits():
    one = monitor(ERRORS, CPU, max_points=60)
    for _ in range(2):
        verdict = one.verdict()
        assert (verdict.outcome, verdict.action, verdict.lacks_data) == ("marginal", "hold", True)
        assert {result.reason for result in verdict.metrics.values()} == {"no_data"}
        assert verdict.explain()
        one.update({"errors": {"baseline": both("ratio", 1, 5)["baseline"]}})


def test_the_verdict_says_what_it_is_valid_for_and_survives_json():
    one = monitor(ERRORS)
    one.update(errors(60, harm=4.0))
    verdict = one.verdict()
    assert verdict.valid_for == "all_looks"
    again = cj.Verdict.from_json(verdict.to_json())
    assert again == verdict
    finding = again.metrics["errors"].findings[0]
    assert finding.watch.decided_after == 60
    assert finding.watch.log_e_fail > 2
    assert verdict.explain()


# roles and release ------------------------------------------------------------------------------------------------------


def release(roles, harmful, **policy):
    """A release of ratios by their roles."""
    metrics = [ERRORS | {"name": role, "role": role} for role in roles]
    one = monitor(*metrics, **policy)
    one.update(
        {role: both("ratio", i, 100, harm=4.0 if role in harmful else 1.0) for i, role in enumerate(roles)}
    )
    return one


@pytest.mark.parametrize(
    ("roles", "harmful", "outcome"),
    [
        (["required", "guard", "advisory", "muted"], [], "pass"),
        (["required", "guard"], ["guard"], "fail"),
        (["required", "advisory"], ["advisory"], "marginal"),
        (["required", "muted"], ["muted"], "pass"),
        (["required"], ["required"], "fail"),
    ],
)
def test_roles_count_as_in_judge(roles, harmful, outcome):
    assert release(roles, harmful).verdict().outcome == outcome


def test_a_release_that_failed_by_its_score_stays_failed():
    metrics = [ERRORS | {"name": name, "role": "guard"} for name in ("a", "b")]
    one = monitor(*metrics, aggregate="score")
    one.update({name: both("ratio", i, 100, harm=4.0) for i, name in enumerate(("a", "b"))})
    first = one.verdict()
    assert (first.outcome, first.score) == ("fail", 0)
    again = cj.Monitor.from_json(one.to_json(), one._policy)
    again.update({name: both("ratio", i, 900, start=100) for i, name in enumerate(("a", "b"))})
    assert again.verdict().outcome == "fail"


def test_a_failed_release_stays_failed_though_data_come_later():
    one = monitor(ERRORS | {"no_data": "fail"})
    for _ in range(10):
        assert one.verdict().outcome == "marginal"  # its data may just be late
        one.update({})
    assert one.verdict().outcome == "fail"
    one.update(errors(100))
    verdict = one.verdict()
    assert (verdict.outcome, verdict.action) == ("fail", "rollback")
    assert verdict.explain()
    assert cj.Monitor.from_json(one.to_json(), one._policy).verdict() == verdict


def test_a_step_that_is_run_again_is_not_taken_for_a_longer_wait():
    one = monitor(ERRORS | {"no_data": "fail"})
    only = {"errors": {"baseline": errors(3)["errors"]["baseline"]}}
    one.update(only)
    state = one.to_json()
    for _ in range(20):
        one = cj.Monitor.from_json(state, one._policy)
        one.update(only)
        assert one.verdict().metrics["errors"].reason == "no_data"
        assert one.to_json() == state
    for start in range(3, 12):
        one.update({"errors": {"baseline": errors(1, start=start)["errors"]["baseline"]}})
    assert one.verdict().metrics["errors"].reason == "no_data_fails"


# the end of the watch ---------------------------------------------------------------------------------------------------

END = {"max_points": 3}
SPLIT = {"split": cj.Split(baseline="50%", canary="50%")}


@pytest.mark.parametrize("on_deadline", ["marginal", "pass", "fail"])
@pytest.mark.parametrize("end", [{"max_points": 3}, {"max_duration": "2m"}])
def test_at_the_deadline_the_policy_decides_and_the_verdict_says_so(on_deadline, end):
    one = monitor(ERRORS, on_deadline=on_deadline, **end)
    for start in range(2):
        one.update(errors(1, start=start))
        assert (one.verdict().outcome, one.verdict().metrics["errors"].watch_over) == ("marginal", False)
    one.update(errors(1, start=2))
    verdict = one.verdict()
    result = verdict.metrics["errors"]
    assert (verdict.outcome, result.watch_over) == (on_deadline, True)
    expected = {"marginal": "undecided", "pass": "deadline_passes", "fail": "deadline_fails"}[on_deadline]
    assert result.reason == expected
    waived = {(waived.what, waived.metric) for waived in verdict.waived}
    assert waived == ({(expected, "errors")} if on_deadline != "marginal" else set())
    one.update(errors(50, harm=9.0, start=3))
    assert one.verdict().metrics["errors"].findings == result.findings


def test_the_deadline_passes_neither_what_is_worse_nor_what_has_no_data():
    one = monitor(ERRORS | {"tolerance": "200%"}, on_deadline="pass", max_points=12)
    one.update(errors(12, harm=2.6))
    verdict = one.verdict()
    assert (verdict.outcome, verdict.metrics["errors"].reason) == ("marginal", "worse_but_maybe_tolerable")
    one = monitor(ERRORS, CPU, on_deadline="pass", max_points=12)
    one.update(errors(12))
    assert one.verdict().metrics["cpu"].reason == "no_data"
    assert one.verdict().outcome == "marginal"


@pytest.mark.parametrize("end", [{"max_points": 30}, {"max_duration": "29m"}])
@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_what_comes_after_the_end_does_not_count(end, chunk):
    one = monitor(ERRORS | {"tolerance": "5%"}, **end)
    data = errors(30) | {}
    one.update(data)
    verdict = one.verdict()
    assert verdict.outcome == "marginal"
    for start in range(30, 130, chunk):
        one.update(errors(min(chunk, 130 - start), start=start, harm=9.0, seed=start))
    after = one.verdict().metrics["errors"]
    assert after.findings == verdict.metrics["errors"].findings
    assert after.watch_over


@pytest.mark.parametrize("end", [{"max_points": 16}, {"max_duration": "15m"}])
@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_a_short_watch_looks_at_a_gauge_at_its_end(end, outcome):
    one = monitor(CPU, **end)
    one.update({"cpu": both("gauge", 3, 16, harm=2.0 if outcome == "fail" else 1.0)})
    assert one.verdict().outcome == outcome


def test_a_gauge_needs_an_end_and_the_error_says_why():
    with pytest.raises(
        cj.PolicyError, match=r"looked at at planned times.*Give the policy max_points or max_duration"
    ):
        monitor(CPU)
    with pytest.raises(cj.PolicyError, match="the rule proportion"):
        monitor(ERRORS | {"rules": [cj.Proportion()]})
    with pytest.raises(cj.PolicyError, match="wants all requests at once"):
        monitor(LATENCY | {"rules": [cj.MannWhitney()]}, max_points=60)
    with pytest.raises(cj.PolicyError, match="the policy is a dict"):
        cj.Monitor({"metrics": []})
    with pytest.raises(cj.DataError, match="both named 'a'"):
        cj.Monitor(cj.Policy(metrics=[cj.Metric(**ERRORS)]), baseline="a", canary="a")


@pytest.mark.parametrize(
    ("metric", "rule", "kind", "harm"),
    [
        (CPU, cj.MannWhitney(), "gauge", 2.0),
        (CPU, cj.Slo(of="mean", op="lte", value=130), "gauge", 2.0),
        (ERRORS, cj.Proportion(), "ratio", 4.0),
        (ERRORS, cj.Slo(of="pooled", op="lte", value="2%"), "ratio", 4.0),
    ],
)
@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_rules_for_a_fixed_window_are_asked_at_planned_looks(metric, rule, kind, harm, outcome):
    one = monitor(metric | {"rules": [rule]}, max_points=60)
    data = both(kind, 3, 60, harm=harm if outcome == "fail" else 1.0)
    looks = []
    for i in range(60):
        one.update(
            {metric["name"]: {side: {k: v[i : i + 1] for k, v in arm.items()} for side, arm in data.items()}}
        )
        result = one.verdict().metrics[metric["name"]]
        looks.append(result.findings[0].watch.looks if result.findings else None)
    finding = result.findings[0]
    assert (finding.rule, result.outcome, finding.watch.looks_planned) == (rule.rule, outcome, 5)
    assert {look for look in looks if look is not None} <= {0, 1, 2, 3, 4, 5}
    assert finding.watch.decided_after in (12, 24, 36, 48, 60)


# the traffic's split ----------------------------------------------------------------------------------------------------


def test_a_split_that_is_not_kept_is_said_and_withholds_a_pass():
    one = monitor(ERRORS, **SPLIT)
    data = errors(100)
    data["errors"]["canary"] |= {"total": np.full(100, 700)}
    data["errors"]["canary"]["value"] = data["errors"]["baseline"]["value"] * 7 // 10
    one.update(data)
    verdict = one.verdict()
    result = verdict.metrics["errors"]
    (note,) = [note for note in result.warnings if note.code == "split_mismatch"]
    assert note.facts["found"] == pytest.approx(700 / 1700)
    assert (verdict.outcome, result.reason, result.findings[0].outcome) == (
        "marginal",
        "split_mismatch",
        "pass",
    )
    kept = monitor(ERRORS, **SPLIT)
    kept.update(errors(100))
    assert kept.verdict().outcome == "pass"


def test_the_split_is_the_exposure_of_counts_without_totals():
    count = {"name": "restarts", "kind": "count", "direction": "increase", "tolerance": "50%"}
    rng = np.random.default_rng(2)
    time = 60.0 * np.arange(150)
    data = {
        "baseline": {"time": time, "value": rng.poisson(90, 150)},
        "canary": {"time": time, "value": rng.poisson(10, 150)},
    }
    one = monitor(count, split=cj.Split(baseline="90%", canary="10%"))
    one.update({"restarts": data})
    assert one.verdict().outcome == "pass"
    even = monitor(count)
    even.update({"restarts": data})
    assert "equal_exposure" in {note.code for note in even.verdict().metrics["restarts"].warnings}
    assert even.verdict().metrics["restarts"].findings[0].estimate == pytest.approx(-8 / 9, abs=0.05)


# beside judge -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("harmful", [False, True])
def test_judge_gives_what_a_monitor_says_at_its_end(name, harmful):
    kind, _, _, harm = METHODS[name]
    policy = policy_of(name)
    rules = policy.metrics[0].rules or (cj.Sequential(),)
    policy = policy_of(name, rules=rules, min_points=1)
    data = {"m": both(kind, 5, 60, harm=harm if harmful else 1.0)}
    judged = cj.judge(data, policy)
    one = cj.Monitor(policy)
    for i in range(60):
        update = {
            side: {
                k: v[(arm["time"] == 60.0 * i) if kind != "samples" else (arm["time"] // 60 == i)]
                for k, v in arm.items()
            }
            for side, arm in data["m"].items()
        }
        one.update({"m": update})
        verdict = one.verdict()
        if verdict.outcome == "fail":
            break
    assert judged.valid_for == verdict.valid_for == "all_looks"
    mine, theirs = verdict.metrics["m"], judged.metrics["m"]
    assert (mine.outcome, mine.reason) == (theirs.outcome, theirs.reason)
    assert mine.findings == theirs.findings or (kind == "samples" and mine.outcome == "marginal")


# hostile ----------------------------------------------------------------------------------------------------------------

VALUES = [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-300, 1e18, 1e30, 1e149, 1e200, None]
KINDS = {
    "ratio": ERRORS | {"name": "m"},
    "count": {"name": "m", "kind": "count", "direction": "either"},
    "gauge": CPU | {"name": "m", "direction": "either"},
    "samples": LATENCY | {"name": "m"},
    "betting": CPU | {"name": "m", "rules": [cj.Sequential(method="betting", cap=100)]},
    "mean": CPU | {"name": "m", "rules": [cj.Sequential(method="mean")]},
    "ranks": LATENCY | {"name": "m", "rules": [cj.Sequential(independent=True)]},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("arms", ["canary", "both"])
def test_nonsense_is_a_data_error_or_an_honest_verdict(kind, value, arms):
    one = monitor(KINDS[kind], max_points=200)
    column = [value] * 40
    time = 60.0 * np.arange(40) if kind not in ("samples", "ranks") else 10.0 * np.arange(40)
    sane = {"time": time, "value": [5.0] * 40}
    mad = {"time": time, "value": column}
    if kind == "ratio":
        sane, mad = sane | {"total": [100.0] * 40}, mad | {"total": column}
    try:
        one.update({"m": {"baseline": mad if arms == "both" else sane, "canary": mad}})
    except cj.DataError:
        return
    verdict = one.verdict()
    assert verdict.explain()
    cj.Monitor.from_json(one.to_json(), one._policy)
    if value is None or math.isnan(value) or math.isinf(value) or value > 1e150:
        assert verdict.outcome != "pass"


@pytest.mark.parametrize(
    "data", [None, 5, "text", [1, 2], {"errors": 3}, {"errors": {"canary": "x"}}, pd.DataFrame()]
)
def test_what_is_no_data_is_a_data_error_or_nothing(data):
    one = monitor(ERRORS)
    with contextlib.suppress(cj.DataError):
        one.update(data)
    assert one.verdict().outcome == "marginal"
    assert one.verdict().metrics["errors"].reason == "no_data"


def test_an_arm_that_stays_silent_never_passes():
    one = monitor(ERRORS)
    for start in range(0, 2000, 100):
        one.update({"errors": {"baseline": both("ratio", start, 100, start=start)["baseline"]}})
        verdict = one.verdict()
        assert (verdict.outcome, verdict.lacks_data) == ("marginal", True)


def test_times_that_go_backwards_and_gaps_are_taken_as_they_are():
    data = errors(40)["errors"]
    order = np.random.default_rng(1).permutation(40)
    one, other = monitor(ERRORS), monitor(ERRORS)
    one.update({"errors": data})
    for index in order:  # one by one, against the clock
        other.update(
            {
                "errors": {
                    side: {k: v[index : index + 1] for k, v in arm.items()} for side, arm in data.items()
                }
            }
        )
    mine, theirs = one.verdict().metrics["errors"].findings, other.verdict().metrics["errors"].findings
    assert mine == theirs
    gap = monitor(ERRORS)
    for start in (0, 1000, 100_000):
        gap.update(errors(20, start=start, seed=start))
    assert gap.verdict().metrics["errors"].n_canary == 60


def test_max_duration_needs_times():
    one = monitor(ERRORS, max_duration="10m")
    with pytest.raises(cj.DataError, match="max_duration needs times"):
        one.update({"errors": {side: {"value": [1], "total": [10]} for side in ("baseline", "canary")}})


# any way of giving the data ---------------------------------------------------------------------------------------------


def cut(data, start, stop, sides=("baseline", "canary")):
    return {"errors": {side: {k: v[start:stop] for k, v in data[side].items()} for side in sides}}


steps = st.lists(
    st.tuples(st.sampled_from(["next", "again", "one arm", "save", "shuffle"]), st.integers(1, 9)),
    max_size=12,
)


@given(steps, st.integers(0, 30), st.booleans())
def test_overlaps_saves_shuffles_and_shards_end_in_the_evidence_of_one_update(steps, share, swap):
    data = errors(60)["errors"]
    policy = cj.Policy(metrics=[cj.Metric(**ERRORS)])
    shard = cj.Monitor(policy)
    shard.update(cut(data, 60 - share, 60))
    one, done, rng = cj.Monitor(policy), 0, np.random.default_rng(len(steps))
    for action, size in [*steps, ("next", 60)]:
        end = min(done + size, 60 - share)
        if action == "save":
            one = cj.Monitor.from_json(one.to_json(), policy)
        elif action == "again":
            one.update(cut(data, max(done - size, 0), done))
        elif action == "one arm":
            one.update(cut(data, done, end, ["canary"]))
            one.update(cut(data, done, end, ["baseline"]))
            done = end
        else:
            part = cut(data, done, end)
            if action == "shuffle":
                order = rng.permutation(end - done)
                part = {
                    "errors": {s: {k: v[order] for k, v in arm.items()} for s, arm in part["errors"].items()}
                }
            one.update(part)
            done = end
    if share:
        one, shard = (shard, one) if swap else (one, shard)
        one.merge(shard)
    whole = cj.Monitor(policy)
    whole.update(cut(data, 0, 60))
    assert one._watch.metrics["errors"].watches[0].save() == whole._watch.metrics["errors"].watches[0].save()
    assert one.verdict().metrics["errors"].findings == whole.verdict().metrics["errors"].findings
    assert (
        json.loads(one.to_json())["metrics"]["errors"]["traffic"]
        == json.loads(whole.to_json())["metrics"]["errors"]["traffic"]
    )


@pytest.mark.parametrize("kind", ["ratio", "count", "gauge"])
def test_many_points_at_once_leave_no_more_than_the_state(kind):
    rng, points = np.random.default_rng(1), 30_000
    policy = cj.Policy(
        metrics=[cj.Metric(name="m", kind=kind, direction="increase")],
        max_points=300 if kind == "gauge" else None,
    )
    columns = {"value": rng.integers(1, 30, points).astype(float), "time": 60.0 * np.arange(points)}
    if kind == "ratio":
        columns["total"] = np.full(points, 1000.0)
    warm = cj.Monitor(policy)
    warm.update(
        {
            "m": {
                arm: {name: column[:400] for name, column in columns.items()}
                for arm in ("baseline", "canary")
            }
        }
    )
    warm.verdict()
    monitor = cj.Monitor(policy)
    tracemalloc.start()
    try:
        monitor.update({"m": dict.fromkeys(("baseline", "canary"), columns)})
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    given = 2 * sum(column.nbytes for column in columns.values())
    assert kept < 200_000
    assert peak < 10 * given
    assert len(monitor.to_json()) < 25_000

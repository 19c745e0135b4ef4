"""Data that are something else: arms in other units, counters of a whole life read as levels, sums that lose a member."""

import numpy as np
import pytest
from silent_arms import KINDS, MINUTES, arm, in_updates, settings

import canaryjudge as cj

RNG = np.random.default_rng(1)


def both(first, second, time=MINUTES):
    arms = zip(("baseline", "canary"), (first, second), strict=True)
    return {name: {"value": np.asarray(values, dtype=float), "time": time} for name, values in arms}


def asked(data, **settings):
    """The same question, at one look and to a monitor."""
    metric = cj.Metric(**{"name": "m", "direction": "increase"} | settings)
    policy = cj.Policy(metrics=[metric], max_points=60)
    monitor = cj.Monitor(policy)
    for update in in_updates(data, 600):
        monitor.update({metric.name: update["m"]})
    verdicts = cj.judge({metric.name: data}, policy), monitor.verdict()
    return [verdict.metrics[metric.name] for verdict in verdicts]


@pytest.mark.parametrize("worse", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("factor", [60, 100, 1000, 1024, 3600, 86_400, 1e6, 1e9])
def test_arms_in_other_units_do_not_pass_also_where_the_canary_is_worse(factor, worse):
    slow = RNG.normal(0.2, 0.006, (2, 60))
    for result in asked(both(factor * slow[0], worse * slow[1])):
        assert (result.outcome, result.reason) == ("marginal", "misread")


def test_samples_and_histograms_in_other_units_do_not_pass():
    latencies = RNG.lognormal(4, 0.5, (2, 1200))
    time = np.sort(MINUTES[0] + 3600 * RNG.random(1200))
    for result in asked(both(1000 * latencies[0], 1.6 * latencies[1], time), kind="samples"):
        assert result.reason == "misread"
    edges = np.array([*np.geomspace(1e-4, 10, 30), np.inf])
    arms = {}
    for name, level in (("baseline", 0.6), ("canary", 0.01)):
        draws = np.searchsorted(edges, level * RNG.lognormal(0, 0.4, (60, 500)))
        buckets = np.stack([np.bincount(row, minlength=31) for row in draws])
        arms[name] = {"buckets": buckets, "edges": edges, "time": MINUTES}
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="histogram", direction="increase")])
    assert cj.judge({"m": arms}, policy).metrics["m"].reason == "misread"


def test_a_level_that_is_ten_times_better_or_of_another_shape_is_believed():
    level = RNG.normal(0.2, 0.006, (2, 60))
    assert asked(both(10 * level[0], level[1]))[0].outcome == "pass"
    queue = RNG.poisson(30, 60) + 1.0, RNG.exponential(0.5, 60)
    assert "units_apart" not in {note.code for note in asked(both(*queue))[0].warnings}


def grown(start, steps):
    return start + np.cumsum(steps)


COUNTERS = {
    "steep": (grown(1e6, RNG.poisson(100, 60)), grown(0, RNG.poisson(160, 60))),
    "mostly flat": (grown(500, RNG.random(60) < 0.15), grown(20, RNG.random(60) < 0.25)),
    "in seconds": (grown(3e4, RNG.random(60)), grown(0, 1.6 * RNG.random(60))),
    "restarted": (grown(1e6, RNG.poisson(100, 60)), np.tile(grown(0, RNG.poisson(160, 30)), 2)),
}


@pytest.mark.parametrize("which", COUNTERS)
def test_counters_of_a_whole_life_are_no_levels(which):
    judged, watched = asked(both(*COUNTERS[which]))
    assert (judged.outcome, judged.reason) == ("marginal", "misread")
    assert watched.outcome == "marginal"
    assert {"looks_like_counter", "never_falls"} & {note.code for note in watched.warnings}
    said = {note.code for note in asked(both(*COUNTERS[which]), counter=False)[0].warnings}
    assert "looks_like_counter" not in said


def test_a_name_is_enough_for_a_counter_that_hardly_moves():
    rare = both(grown(500, np.arange(60) == 20), grown(400, np.arange(60) == 40))
    assert asked(rare, name="requests_failed_total")[0].reason == "misread"
    assert asked(rare, name="replicas")[0].reason != "misread"


def test_a_leak_is_no_counter():
    memory = 1.15 + np.linspace(0, 0.5, 60) * np.array([[0.0], [1.0]]) + RNG.normal(0, 0.008, (2, 60))
    assert "looks_like_counter" not in {note.code for note in asked(both(*memory))[0].warnings}


def lacking(columns, at, until):
    """A sum of counters that lacks a fifth of its members for a while."""
    found = {name: column.copy() for name, column in columns.items()}
    for name in ("value", "total"):
        if name in found:
            found[name][at:until] *= 0.8
    return found


@pytest.mark.parametrize("kind", ["ratio", "count"])
@pytest.mark.parametrize(("at", "until"), [(20, 21), (20, 25), (20, 60)])
def test_a_sum_that_loses_a_member_has_not_counted_again_what_is_left(kind, at, until):
    arms = {}
    for name in ("baseline", "canary"):
        arms[name] = {"value": grown(1e5, RNG.poisson(5 if kind == "ratio" else 500, 60)).astype(float)}
        arms[name] |= {"total": grown(2e6, RNG.poisson(500, 60)).astype(float)} if kind == "ratio" else {}
        arms[name]["time"] = MINUTES
    settings = {"kind": kind, "counter": True, "tolerance": {"absolute": "1%"} if kind == "ratio" else "10%"}
    back = 2 if until < 60 else 1
    for result in asked(arms | {"canary": lacking(arms["canary"], at, until)}, **settings):
        assert result.outcome != "fail"
        (note,) = [note for note in result.warnings if note.code == "lost_members"]
        assert (note.arm, note.count) == ("canary", back)
        finding = result.findings[0]
        assert finding.events_canary <= 60 * 600


def test_the_doctor_says_what_it_reads_in_the_data():
    counter = grown(1e5, RNG.poisson(500, 60)).astype(float)
    arm = {"value": counter, "time": MINUTES}
    metric = cj.Metric(name="m", kind="count", counter=True, direction="increase")
    found = cj.doctor(cj.Policy(metrics=[metric]), {"m": {"baseline": arm, "canary": lacking(arm, 20, 21)}})
    assert {"lost_members", "same_data"} <= {symptom.code for symptom in found.symptoms}
    flat = both(*COUNTERS["mostly flat"])
    found = cj.doctor(cj.Policy(metrics=[cj.Metric(name="m", direction="increase")]), {"m": flat})
    assert "undeclared_counter" in {symptom.code for symptom in found.symptoms}
    slow = RNG.normal(0.2, 0.006, (2, 60))
    found = cj.doctor(
        cj.Policy(metrics=[cj.Metric(name="m", direction="increase")]), {"m": both(60 * slow[0], slow[1])}
    )
    assert "arms_in_other_units" in {symptom.code for symptom in found.symptoms}


def test_a_histogram_that_loses_a_member_has_not_either():
    buckets = 1e5 + np.cumsum(RNG.multinomial(500, [0.5, 0.3, 0.2], (2, 60)), axis=1)
    buckets[1, 20:22] = np.rint(0.8 * buckets[1, 20:22])
    edges = np.array([0.1, 0.5, np.inf])
    data = {
        name: {"buckets": buckets[index], "edges": edges, "time": MINUTES}
        for index, name in enumerate(("baseline", "canary"))
    }
    for result in asked(data, kind="histogram", counter=True):
        assert [(n.arm, n.count) for n in result.warnings if n.code == "lost_members"] == [("canary", 2)]


@pytest.mark.parametrize("hours", [1, 3])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "count with total"])
def test_points_from_before_a_watch_are_said_once_and_not_counted(kind, hours):
    """A clock that jumps back, by more than is waited for as well; what is given twice is said once."""
    rng = np.random.default_rng(31)
    policy = cj.Policy(
        metrics=[cj.Metric(**settings(kind))], max_points=60, split={"baseline": "50%", "canary": "50%"}
    )
    arms = {name: arm(kind, rng) for name in ("baseline", "canary")}
    start = arms["canary"]["time"].min()

    def part(name, first, last, back=0.0):
        columns = arms[name]
        chosen = (columns["time"] >= start + 60 * first) & (columns["time"] < start + 60 * last)
        found = {key: column if key == "edges" else column[chosen] for key, column in columns.items()}
        return found | {"time": found["time"] - back}

    monitor = cj.Monitor(policy)
    monitor.update({"m": {name: part(name, 0, 20) for name in arms}})
    monitor.update({"m": {name: part(name, 0, 20) for name in arms}})  # a step that is run again
    before = monitor.verdict()
    assert "before_watch" not in {note.code for note in before.metrics["m"].warnings}
    back = part("canary", 20, 40, 3600.0 * hours)
    monitor.update({"m": {"baseline": part("baseline", 20, 40), "canary": back}})
    monitor = cj.Monitor.from_json(monitor.to_json(), policy)
    monitor.update({"m": {"canary": back}})
    result = monitor.verdict().metrics["m"]
    assert (
        result.n_canary == before.metrics["m"].n_canary or kind == "samples"
    )  # of which the last interval was open
    (note,) = [note for note in result.warnings if note.code == "before_watch"]
    assert (note.arm, note.count) == ("canary", len(back["time"]))
    assert "too_late" not in {note.code for note in result.warnings}
    unpaired = [n for n in result.warnings if (n.code, n.arm) == ("unpaired", "canary")]
    assert not unpaired or kind == "samples"


def test_points_from_before_a_watch_are_said():
    policy = cj.Policy(
        metrics=[cj.Metric(name="m", kind="ratio", direction="increase", tolerance={"absolute": "1%"})]
    )
    monitor = cj.Monitor(policy)
    total = np.full(20, 500.0)
    arm = {"value": np.full(20, 5.0), "total": total, "time": MINUTES[:20]}
    monitor.update({"m": {"baseline": arm, "canary": arm | {"value": np.tile([4.0, 6.0], 10)}}})
    assert monitor.verdict().outcome == "pass"
    later = arm | {"time": MINUTES[20:40]}
    monitor.update(
        {"m": {"baseline": later, "canary": arm | {"value": total / 3, "time": MINUTES[:20] - 3600}}}
    )
    result = monitor.verdict().metrics["m"]
    assert (result.outcome, result.reason) == ("marginal", "silent")
    (note,) = [note for note in result.warnings if note.code == "before_watch"]
    assert (note.arm, note.count) == ("canary", 20)

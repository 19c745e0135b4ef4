"""Many releases watched together: each as its own monitor alone, to the byte, whatever it is given."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import canaryjudge as cj

ARMS = ("baseline", "canary")
T0 = 1.7e9
ERRORS = cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%")
ORDERS = cj.Metric(name="orders", kind="count", direction="decrease", tolerance="30%")
LATENCY = cj.Metric(name="latency", unit="ms", direction="increase")
CPU = cj.Metric(name="cpu", direction="increase", interval="1min", no_data="fail")
SUCCESS = cj.Metric(name="success", kind="ratio", direction="decrease")

POLICIES = {
    "a ratio": cj.Policy(metrics=[ERRORS]),
    "successes": cj.Policy(metrics=[SUCCESS]),
    "a ratio and a count": cj.Policy(metrics=[ERRORS, ORDERS], max_points=30),
    "all kinds": cj.Policy(metrics=[ERRORS, ORDERS, LATENCY], max_points=25, on_deadline="fail"),
    "gauges": cj.Policy(metrics=[LATENCY, CPU], max_duration="20min"),
    "a split": cj.Policy(metrics=[ERRORS], split={"baseline": "50%", "canary": "50%"}),
    "other methods": cj.Policy(
        metrics=[
            cj.Metric(
                name="errors", kind="ratio", direction="increase", rules=[cj.Sequential(method="looks")]
            ),
            cj.Metric(name="latency", direction="increase", rules=[cj.Sequential(method="mean")]),
        ],
        max_points=30,
    ),
}


def points_of(rng, metric, minute, harm):
    """One minute of one metric: the value and the total of each arm."""
    for arm in (0, 1):
        factor = harm if arm else 1.0
        if metric.name == "errors":
            total = int(rng.integers(800, 1200))
            yield float(rng.binomial(total, 0.01 * factor)), total
        elif metric.name == "success":
            total = int(rng.integers(800, 1200))
            yield float(rng.binomial(total, 1 - 0.01 * factor)), total
        elif metric.name == "orders":
            yield float(rng.poisson(3 / factor)), np.nan
        else:
            yield 100 * factor + float(rng.normal(0, 3)), np.nan


FAULTS = (
    "none",
    "dropped",
    "again",
    "changed",
    "missing",
    "negative",
    "late",
    "stuck",
    "silent",
    "jitter",
    "other arm",
)


def worlds(policy, releases, minutes, seed, faults=FAULTS):
    """Updates of many releases, minute by minute: mostly regular, and in each release something odd now and then."""
    rng = np.random.default_rng(seed)
    kinds = [faults[i % len(faults)] for i in range(releases)]
    harms = rng.choice([1.0, 1.0, 1.5, 3.0], releases)
    before = [[] for _ in range(releases)]
    for minute in range(minutes):
        update = []
        for number, (fault, harm) in enumerate(zip(kinds, harms, strict=True)):
            odd = rng.random() < 0.15
            rows = []
            for metric in policy.metrics:
                for arm, (drawn, total) in zip(ARMS, points_of(rng, metric, minute, harm), strict=True):
                    value = drawn
                    time = T0 + 60.0 * minute
                    if fault == "jitter":
                        time += float(rng.choice([0.0, 0.25, 5.0]))
                    if fault == "stuck" and 8 <= minute < 18 and arm == "canary":
                        value = min(42.0, value) if metric.kind == "gauge" else 0.0
                    if odd and fault == "missing" and arm == "canary":
                        value = np.nan
                    if odd and fault == "negative":
                        value = -1.0
                    if fault == "silent" and arm == "canary" and minute > 12:
                        continue
                    if odd and fault == "dropped" and arm == "baseline":
                        continue
                    row = {"metric": metric.name, "arm": arm, "time": time, "value": value, "total": total}
                    rows.append({"service": f"s{number}", **row})
            given = [*rows]
            if odd and fault == "again" and before[number]:
                given = [*before[number], *rows]
            if odd and fault == "changed" and before[number]:
                given = [{**row, "value": row["value"] + 1} for row in before[number]]
            if odd and fault == "late":
                given, rows = [], [*before[number], *rows]
            elif fault == "late":
                given = [*before[number], *rows]
                rows = []
            if odd and fault == "other arm":
                given.append({**given[0], "arm": "canary-2"})
            before[number] = rows
            update += given
        if update:
            yield (
                pd.DataFrame(update).sample(frac=1, random_state=minute)
                if minute % 2
                else pd.DataFrame(update)
            )


def alone(monitors, policy, frame, outcomes):
    """Give each release's rows to a monitor of its own, and ask it."""
    said = {}
    for service, rows in frame.groupby("service", sort=False):
        monitor = monitors.setdefault(service, cj.Monitor(policy))
        columns = rows.drop(columns="service")
        try:
            monitor.update(columns)
        except cj.DataError as error:
            said[service] = error
        outcomes[service] = monitor.verdict().outcome
    return said


def unnumbered(text):
    """Leave out the numbers of rows, which are those of the table that was given."""
    return re.sub(r"row \d+", "row", text)


def state(text):
    return {name: part for name, part in json.loads(unnumbered(text)).items() if name != "digest"}


@pytest.mark.parametrize("releases", [11, pytest.param(33, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", POLICIES)
def test_each_release_is_as_its_own_monitor_alone(name, releases):
    policy = POLICIES[name]
    together, apart, outcomes = cj.Monitors(policy, by="service"), {}, {}
    for look, frame in enumerate(worlds(policy, releases, 15 + releases // 2, seed=releases)):
        together.update(frame)
        refused = alone(apart, policy, frame, outcomes)
        verdicts = together.verdicts()
        assert verdicts.outcomes == outcomes
        # errors number the rows of the table that was given
        assert {key: error.hint for key, error in together.errors.items() if key in refused} == {
            key: error.hint for key, error in refused.items()
        }
        if look % 12 == 11:
            for key, monitor in apart.items():
                assert unnumbered(verdicts[key].to_json()) == unnumbered(monitor.verdict().to_json())
    for key, monitor in apart.items():
        assert state(together.to_json(key)) == state(monitor.to_json())


def regular(policy, releases, minutes, seed=2):
    return worlds(policy, releases, minutes, seed, faults=("none",))


def test_regular_releases_are_seldom_looked_at_by_themselves(monkeypatch):
    policy, asked = POLICIES["a ratio"], []
    together = cj.Monitors(policy, by="service")
    look = together._look
    monkeypatch.setattr(together, "_look", lambda *args: (asked.append(args), look(*args)))
    for frame in regular(policy, 20, 60):
        together.update(frame)
    assert len(asked) < 0.3 * 20 * 60


def test_points_that_wait_are_not_lost_when_a_state_is_asked_for():
    policy = POLICIES["a ratio and a count"]
    together, resumed = cj.Monitors(policy, by="service"), cj.Monitors(policy, by="service")
    for frame in regular(policy, 4, 20):
        together.update(frame)
        resumed.update(frame)
        for key in [*resumed]:
            resumed[key] = cj.Monitor.from_json(resumed.to_json(key), policy)
    for key in together:
        assert together.to_json(key) == resumed.to_json(key) == together[key].to_json()


def test_it_is_a_mapping_of_releases_to_copies_of_their_monitors():
    policy = POLICIES["a ratio"]
    together = cj.Monitors(policy, by="service")
    for frame in regular(policy, 3, 5):
        together.update(frame)
    assert list(together) == ["s0", "s1", "s2"]
    assert len(together) == 3
    assert "s1" in together
    before = together.to_json("s1")
    together["s1"].update(
        next(worlds(policy, 2, 1, 9))[lambda rows: rows.service == "s1"]
        .drop(columns="service")
        .assign(time=2e9)
    )
    assert together.to_json("s1") == before
    del together["s1"]
    assert [*together] == [*together.verdicts()] == ["s0", "s2"]
    for frame in regular(policy, 3, 6):
        together.update(frame)
    assert sorted(together) == ["s0", "s1", "s2"]
    assert json.loads(together.to_json("s1"))["metrics"]["errors"]["stream"]["tally"][0] == 6
    with pytest.raises(KeyError):
        together["s9"]


def test_a_monitor_of_another_policy_or_of_other_arms_is_not_taken_over():
    together = cj.Monitors(POLICIES["a ratio"], by="service")
    with pytest.raises(cj.DataError, match="another policy"):
        together["s"] = cj.Monitor(POLICIES["a split"])
    with pytest.raises(cj.DataError, match="arms are named 'old' and 'new'"):
        together["s"] = cj.Monitor(POLICIES["a ratio"], baseline="old", canary="new")
    with pytest.raises(cj.DataError, match="a str cannot be taken over"):
        together["s"] = "state"
    assert not together


def test_several_columns_may_tell_releases_apart():
    policy = POLICIES["a ratio"]
    together = cj.Monitors(policy, by=["service", "zone"])
    for frame in regular(policy, 2, 6):
        together.update(pd.concat([frame.assign(zone="a"), frame.assign(zone="b")]))
    assert [*together] == [("s0", "a"), ("s1", "a"), ("s0", "b"), ("s1", "b")]
    frame = together.verdicts().to_frame()
    assert frame[["service", "zone"]].to_numpy().tolist() == [list(key) for key in together]
    assert len(together.verdicts().metrics()) == 4


def test_what_is_wrong_with_one_release_is_told_while_the_others_go_on():
    policy = POLICIES["a ratio"]
    together = cj.Monitors(policy, by="service")
    frames = [*regular(policy, 3, 8)]
    for frame in frames[:7]:
        together.update(frame)
    bad = frames[7].copy()
    bad.loc[bad.service == "s1", "value"] = 5000.0
    together.update(bad)
    (wrong,) = together.errors.values()
    rows = together.verdicts().to_frame().set_index("service")
    assert rows.error.isna().tolist() == [True, False, True]
    assert str(wrong) in rows.error["s1"]
    assert rows.outcome.notna().all()
    assert together.verdicts()["s1"].outcome == rows.outcome["s1"]
    together.update(frames[7])
    assert not together.errors
    assert together.verdicts().to_frame().error.isna().all()


def test_verdicts_are_of_the_time_at_which_they_were_asked_for():
    policy = POLICIES["a ratio"]
    together = cj.Monitors(policy, by="service")
    first, second = regular(policy, 2, 2)
    together.update(first)
    verdicts = together.verdicts()
    together.update(second)
    assert len(verdicts.to_frame()) == 2
    with pytest.raises(cj.DataError, match="gone on since"):
        verdicts["s0"]


def test_what_cannot_be_watched_or_read_is_refused():
    unplanned = cj.Policy(metrics=[LATENCY])
    with pytest.raises(cj.PolicyError, match="no end is given"):
        cj.Monitors(unplanned, by="service")
    with pytest.raises(cj.PolicyError, match="the policy is a str"):
        cj.Monitors("policy", by="service")
    with pytest.raises(cj.DataError, match="both named 'a'"):
        cj.Monitors(POLICIES["a ratio"], by="service", baseline="a", canary="a")
    with pytest.raises(cj.DataError, match="by names 'metric'"):
        cj.Monitors(POLICIES["a ratio"], by="metric")
    together = cj.Monitors(POLICIES["a ratio"], by="service")
    with pytest.raises(cj.DataError, match="'service'"):
        together.update(next(regular(POLICIES["a ratio"], 2, 1)).drop(columns="service"))
    with pytest.raises(cj.DataError, match="the data are"):
        together.update(5)

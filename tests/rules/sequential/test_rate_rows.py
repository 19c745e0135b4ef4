"""Many watches of rates weighed together: none that decides is taken for undecided, and what holds each of the others is told apart."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.data import question_of
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.rows import Arm
from canaryjudge.rules.sequential.rate_rows import RateRows
from canaryjudge.rules.sequential.rates import RateProcess
from canaryjudge.stats.count_processes import at_own_ratio, at_ratio, likelihoods, pearson

WORLDS = {
    "errors": {"kind": "ratio", "direction": "increase", "tolerance": "50%"},
    "errors by the baseline": {"kind": "ratio", "direction": "increase"},
    "a stated bound": {
        "kind": "ratio",
        "direction": "increase",
        "tolerance": "10%",
        "pass_within": {"relative": "15%", "absolute": "0.5%"},
    },
    "successes": {
        "kind": "ratio",
        "direction": "decrease",
        "tolerance": {"relative": "10%", "absolute": "2%"},
    },
    "both ways": {"kind": "ratio", "direction": "either", "tolerance": "50%"},
    "an absolute part": {"kind": "ratio", "direction": "increase", "tolerance": {"absolute": "1%"}},
    "a known dispersion": {"kind": "ratio", "direction": "increase", "dispersion": 1.5},
    "counts": {"kind": "count", "direction": "increase", "tolerance": "30%"},
    "fewer orders": {"kind": "count", "direction": "decrease", "tolerance": "20%"},
}
ROWS, LOOKS = 40, 25


def world(rng, kind, direction):
    """Events and exposures of both arms, shape (looks, rows, 2); some rows harmful, some not, some with hardly an event."""
    rate = np.choose(rng.integers(0, 3, ROWS), [0.001, 0.02, 0.2])[:, None]
    change = np.stack([np.ones(ROWS), np.choose(rng.integers(0, 3, ROWS), [1.0, 1.6, 0.7])], axis=-1)
    if kind == "ratio" and direction == "decrease":
        rate = 1 - rate
        change = np.minimum(change, 1 / rate)
    total = rng.integers(200, 3000, (LOOKS, ROWS, 2)).astype(float)
    if kind == "ratio":
        return rng.binomial(total.astype(int), np.minimum(rate * change, 1.0)).astype(float), total
    return rng.poisson(200 * rate * change, total.shape).astype(float), np.ones(total.shape)


def processes_of(settings, level=0.01):
    metric = cj.Metric(name="m", **settings)
    return [RateProcess(question_of(metric, ErrorRates(level, 0.05))) for _ in range(ROWS)]


def take(process, events, exposures):
    arms = [Arm(events[arm : arm + 1], exposures[arm : arm + 1]) for arm in (0, 1)]
    process.update(process.question.of(*arms))


@pytest.mark.parametrize("name", WORLDS)
def test_no_row_that_decides_is_taken_for_undecided(name):
    settings = WORLDS[name]
    rng = np.random.default_rng(1)
    events, exposures = world(rng, settings["kind"], settings["direction"])
    processes = processes_of(settings)
    for process, own, of in zip(processes, events[0], exposures[0], strict=True):
        take(process, own, of)
    alike = [i for i, process in enumerate(processes) if process.is_like(processes[0])]
    rows = RateRows(processes[0], ROWS)
    for i in alike:
        assert rows.fits(processes[i])
        rows.put(i, processes[i])
    where = np.array(alike)
    seen, decided, undecided = {}, 0, 0
    for look in range(1, LOOKS):
        rows.add(where, events[look, where], exposures[look, where])
        standing = rows.standing(where, passes=np.ones(len(where), dtype=bool))
        for i, number in zip(alike, standing.tolist(), strict=True):
            take(processes[i], events[look, i], exposures[look, i])
            if number == 0:
                decided += 1
                continue
            found = processes[i].finding()
            assert found.outcome == "marginal"
            assert seen.setdefault(number, found.reason) is found.reason
            undecided += 1
    assert undecided > 2
    assert decided > 20
    for i in alike:
        assert (rows._sums.whole[i] == processes[i].sums.whole).all()
        assert (rows._sums.parts[i] == processes[i].sums.parts).all()


def test_few_undecided_rows_are_asked_without_need():
    settings = WORLDS["errors"]
    rng = np.random.default_rng(2)
    processes = processes_of(settings)
    rows, where = RateRows(fed(processes[0]), ROWS), np.arange(ROWS)
    for i, process in enumerate(processes):
        rows.put(i, process if i == 0 else fed(process))
    asked = decided = 0
    for _ in range(30):
        events = rng.binomial(1000, 0.01, (ROWS, 2)).astype(float)
        rows.add(where, events, np.full((ROWS, 2), 1000.0))
        may = rows.standing(where, passes=np.ones(ROWS, dtype=bool)) == 0
        for i, process in enumerate(processes):
            take(process, events[i], np.full(2, 1000.0))
            if may[i]:
                asked += 1
                decided += process.finding().outcome != "marginal"
    assert asked - decided <= 0.02 * 30 * ROWS


def fed(process):
    take(process, np.array([10.0, 10.0]), np.array([1000.0, 1000.0]))
    return process


def test_after_a_pass_only_harm_is_looked_for():
    processes = processes_of(WORLDS["errors"])
    rows = RateRows(fed(processes[0]), 2)
    rows.put(0, processes[0])
    rows.put(1, processes[0])
    where = np.arange(2)
    for _ in range(200):
        rows.add(where, np.full((2, 2), 50.0), np.full((2, 2), 1000.0))
    assert (rows.standing(where, passes=np.array([True, False])) == 0).tolist() == [True, False]


def test_rows_interpolate_as_each_does():
    rng = np.random.default_rng(3)
    events = rng.integers(0, 40, (50, 2)).astype(float)
    for sums in (likelihoods(*events.T, 100.0, 120.0), pearson(*events.T, 100.0, 120.0)):
        at = rng.uniform(-3.5, 3.5, 50)
        expected = [float(at_ratio(row, value)) for row, value in zip(sums, at, strict=True)]
        np.testing.assert_allclose(at_own_ratio(sums, at), expected, rtol=1e-9, atol=1e-9)

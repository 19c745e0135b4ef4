"""What has been decided, what is watched for after a pass, and a whole series judged as it would have been watched."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from judging import feed, judge_by
from streams import METHODS, both, policy_of

import canaryjudge as cj
from canaryjudge.data import question_of, read_pairs
from canaryjudge.data.stream import intervals
from canaryjudge.rules import ErrorRates, Horizon, start_watch

LEVEL = 0.01


def watched(name, **settings):
    policy = policy_of(name, **settings)
    metric = policy.metrics[0]
    (rule,) = metric.rules or (cj.Sequential(),)
    horizon = Horizon(policy.max_points, policy.max_duration)
    return start_watch(question_of(metric, ErrorRates(LEVEL, policy.beta), horizon=horizon), rule)


def pair_of(name, seed, size, **settings):
    return read_pairs({"m": both(METHODS[name][0], seed, size, **settings)}, policy_of(name))["m"]


def run(watch_of, pair):
    """Look after every interval; give the intervals until the first fail, or None."""
    for number, block in enumerate(intervals(pair, unfinished=True), 1):
        feed(watch_of, block)
        if watch_of.look(float(block.canary.time[-1])).outcome == "fail":
            return number
    return None


def part_of(pair, points):
    return replace(pair, baseline=pair.baseline.part(points), canary=pair.canary.part(points))


def parts(pair, each):
    """Cut a pair into parts of so many points, or samples into intervals: they come one by one."""
    if pair.kind == "samples":
        yield from intervals(pair, unfinished=True)
    else:
        yield from (part_of(pair, slice(start, start + each)) for start in range(0, len(pair.baseline), each))


def test_a_fail_stays_whatever_comes_after_it():
    one = watched("mixture")
    assert run(one, pair_of("mixture", 1, 40, harm=4.0)) < 20
    failed = one.look()
    assert (failed.watch.decided_after, failed.watch.decided_at) == (one.points, 60.0 * (one.points - 1))
    assert failed.level == pytest.approx(0.99 * LEVEL)
    feed(one, pair_of("mixture", 2, 3000, start=100))
    assert one.look() == failed


def test_a_pass_stays_until_harm_fails_it():
    one = watched("mixture")
    assert run(one, pair_of("mixture", 1, 100)) is None
    passed = one.look()
    assert (passed.outcome, passed.watch.decided_after < 100) == ("pass", True)
    feed(one, pair_of("mixture", 2, 3, harm=1.4, start=100))
    assert one.look() == passed
    assert run(one, pair_of("mixture", 3, 60, harm=5.0, start=103)) is not None
    assert one.look().outcome == "fail"


# of each method: harm after 500 good intervals, and the most intervals until it is found
LATE = {
    "mixture": (5.0, 15),
    "mixture of successes": (5.0, 15),
    "mixture of counts": (5.0, 15),
    "scores": (3.0, 60),
    "mean": (2.0, 40),
    "looks": (2.0, 70),
    "looks at shares": (5.0, 70),
    "betting": (2.0, 80),
}


@pytest.mark.parametrize("name", LATE)
def test_a_late_fault_is_found_far_sooner_than_by_the_evidence_since_the_start(name):
    harm, most = LATE[name]
    good, bad = pair_of(name, 3, 500), pair_of(name, 4, 200, harm=harm, start=500)
    one, alone = watched(name), watched(name)._first()
    each = len(good.baseline) // 500
    assert run(one, part_of(good, slice(250 * each))) is None
    assert one.look().outcome == "pass"
    for later in parts(part_of(good, slice(250 * each, None)), 50):
        feed(one, later)
        assert one.look().outcome == "pass"
    for block in parts(good, 500):
        feed(alone, block)
    delay = run(one, bad)
    assert delay is not None
    assert delay <= most
    assert one.look().watch.decided_after == 500 + delay
    for block in list(intervals(bad, unfinished=True))[:delay]:
        feed(alone, block)
    assert alone.finding().outcome != "fail"


@pytest.mark.parametrize(("method", "part"), [("mixture", 0.01), ("mean", 0.05)])
def test_all_epochs_together_have_the_part_of_the_level_that_is_kept_for_them(method, part):
    shares = []
    one = watched(method)
    start = one._start
    one._start = lambda asked: shares.append(asked.rates.level) or start(asked)
    for block in parts(pair_of(method, 5, 2000), 10):
        feed(one, block)
        one.look()
    assert len(shares) > 20
    assert one._main.finding().level + sum(shares) <= LEVEL * (1 + 1e-9)
    assert sum(shares) <= part * LEVEL
    assert sum(shares) > 0.9 * part * LEVEL


@pytest.mark.parametrize("name", ["mixture", "looks", "mean", "betting"])
def test_epochs_are_the_same_however_the_points_after_a_pass_are_divided(name):
    stepwise, at_once = watched(name), watched(name)
    start = pair_of(name, 6, 200)
    for block in parts(start, 10):
        for each in (stepwise, at_once):
            feed(each, block)
            each.look()
    assert stepwise.look().outcome == "pass"
    after = pair_of(name, 7, 333, start=200)
    for block in intervals(after):
        feed(stepwise, block)
    for points in (slice(7), slice(7, None)):
        feed(at_once, part_of(after, points))
    assert json.dumps(stepwise.save()) == json.dumps(at_once.save())


@pytest.mark.parametrize("name", METHODS)
def test_saving_forgets_nothing(name):
    one = watched(name)
    size = 250 if name == "betting" else 90
    for number, block in enumerate(intervals(pair_of(name, 8, size), unfinished=True)):
        feed(one, block)
        one.look()
        if number % 10 == 0:
            twin = watched(name)
            twin.load(json.loads(json.dumps(one.save())))
            assert json.dumps(twin.save()) == json.dumps(one.save())
            assert twin.look() == one.look()
            one = twin
    assert one.look().outcome == "pass"


def test_loading_forgets_what_was_there():
    empty, full = watched("mixture"), watched("mixture")
    before = empty.save()
    run(full, pair_of("mixture", 1, 100))
    full.load(before)
    assert full.save() == before
    assert full.points == 0


SIDES = {"good": (1, 100, {}), "bad": (2, 100, {"start": 200}), "short": (3, 2, {"start": 400})}


@cache
def saved_side(name, side):
    one, (seed, size, settings) = watched(name), SIDES[side]
    run(one, pair_of(name, seed, size, harm=METHODS[name][3] if side == "bad" else 1.0, **settings))
    return json.dumps(one.save())


def side_of(name, side):
    one = watched(name)
    one.load(json.loads(saved_side(name, side)))
    return one


@pytest.mark.parametrize("name", ["mixture", "mean", "looks"])
@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("good", "bad", "fail"),
        ("good", "short", "pass"),
        ("bad", "short", "fail"),
        ("short", "short", "marginal"),
    ],
)
def test_merging_keeps_what_either_has_decided(name, first, second, outcome):
    one, other = side_of(name, first), side_of(name, second)
    twin_one, twin_other = side_of(name, first), side_of(name, second)
    one.merge(other)
    twin_other.merge(twin_one)
    assert one.look().outcome == twin_other.look().outcome == outcome
    decided = (one.save()["decided"], twin_other.save()["decided"])
    assert decided[0] == decided[1]
    assert (one._number, one._length) == (twin_other._number, twin_other._length)


def test_a_shard_that_passed_does_not_hide_harm_in_the_others():
    one, other = watched("mixture"), watched("mixture")
    run(one, pair_of("mixture", 1, 40))
    feed(other, pair_of("mixture", 2, 200, harm=4.0, start=100))
    one.merge(other)
    assert one.look().outcome == "fail"


# whole series -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("harm", [1.0, "much"])
def test_a_series_is_judged_as_if_it_had_been_watched(name, harm):
    harm = METHODS[name][3] if harm == "much" else harm
    pair, policy = pair_of(name, 9, 80, harm=harm), policy_of(name)
    metric = policy.metrics[0]
    (rule,) = metric.rules or (cj.Sequential(),)
    horizon = Horizon(policy.max_points, policy.max_duration)
    found = judge_by(pair, metric, rule, ErrorRates(LEVEL, policy.beta), horizon)
    one = watched(name)
    for block in intervals(pair):
        feed(one, block)
        last = one.look(float(block.canary.time[-1]))
        if last.outcome == "fail":
            break
    assert found == last


@pytest.mark.parametrize("kind", ["gauge", "ratio"])
def test_the_point_at_the_end_of_the_duration_still_counts(kind):
    """Ten minutes of points every minute are eleven points."""
    rule = cj.Sequential(method="looks")
    metric = cj.Metric(name="m", kind=kind, direction="increase", rules=[rule], min_points=1)
    pair = read_pairs({"m": both(kind, 1, 60, harm=1.1)}, cj.Policy(metrics=[metric], max_points=60))["m"]
    found = judge_by(pair, metric, rule, ErrorRates(LEVEL, 0.05), Horizon(max_duration=1800.0))
    assert found.watch.looks == 5
    assert found.n_baseline == 31


def test_nothing_after_the_end_counts_unless_it_passed_before():
    bad = pair_of("mixture", 2, 100, harm=5.0)
    metric = policy_of("mixture").metrics[0]
    found = judge_by(bad, metric, cj.Sequential(), ErrorRates(LEVEL, 0.05), Horizon(max_points=2))
    assert (found.outcome, found.n_baseline) == ("marginal", 2)
    late = {
        side: {key: np.concatenate([one[key], two[key]]) for key in one}
        for side in ("baseline", "canary")
        for one, two in [(both("ratio", 1, 100)[side], both("ratio", 2, 50, harm=5.0, start=100)[side])]
    }
    pair = read_pairs({"m": late}, policy_of("mixture"))["m"]
    found = judge_by(pair, metric, cj.Sequential(), ErrorRates(LEVEL, 0.05), Horizon(max_points=80))
    assert found.outcome == "fail"
    assert found.watch.decided_after > 100

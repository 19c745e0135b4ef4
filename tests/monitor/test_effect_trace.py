"""The trace of an effect: what a block says, at any split, however the intervals come, and no larger for a longer watch."""

import math

import numpy as np
import pytest

from canaryjudge.monitor.effect_trace import EffectTrace
from canaryjudge.rules.rows import Arm, ErrorRates, Question, Sizes

RATES = ErrorRates(0.01, 0.05)


def asked(kind="gauge", sides=(1,), relative=0.1, absolute=math.nan, *, ratio=True):
    return Question(
        kind=kind,
        sides=sides,
        rates=RATES,
        minute_ratios=ratio and kind == "gauge",
        tolerance=Sizes(relative, absolute),
    )


def gauges(question, baseline, canary, start=0):
    time = 60.0 * (start + np.arange(len(baseline)))
    return question.of(Arm(np.asarray(baseline), time=time), Arm(np.asarray(canary), time=time))


def events(question, x_b, x_c, n_b, n_c):
    time = 60.0 * np.arange(len(x_b))
    arms = ((np.asarray(x, float), np.asarray(n, float)) for x, n in ((x_b, n_b), (x_c, n_c)))
    return question.of(*(Arm(x, total=n, time=time) for x, n in arms))


@pytest.mark.parametrize("n", [1, 7, 24, 25, 61, 400])
def test_blocks_are_means_of_equally_many_intervals(n):
    rng, question = np.random.default_rng(n), asked()
    baseline, canary = rng.lognormal(3, 0.1, n), rng.lognormal(3.1, 0.1, n)
    trace = EffectTrace(question)
    trace.add(gauges(question, baseline, canary))
    found = trace.blocks
    whole = n // found.length
    assert len(found.changes) == whole <= 24
    assert n <= 24 or whole >= 12
    logs = np.log(canary / baseline)[: whole * found.length].reshape(whole, -1).mean(axis=1)
    assert found.changes == pytest.approx(np.expm1(logs), abs=1e-5)
    middle = 60 * (np.arange(whole) + 0.5) * found.length - 30
    assert found.times == pytest.approx(middle)
    assert found.limit == pytest.approx(0.1)


def test_it_says_the_same_whatever_comes_together_and_is_saved_when():
    rng, question = np.random.default_rng(3), asked("ratio", relative=0.5)
    x_b, x_c = rng.poisson(90, 77), rng.poisson(10, 77)
    pair = events(question, x_b, x_c, np.full(77, 9000), np.full(77, 1000))
    whole, parts = EffectTrace(question), EffectTrace(question)
    whole.add(pair)
    for minute in range(77):
        parts.add(pair.part(slice(minute, minute + 1)))
        again = EffectTrace(question)
        again.load(parts.save())
        assert again.save() == parts.save()
        parts = again
    assert parts.save() == whole.save()
    for one, other in zip(parts.blocks, whole.blocks, strict=True):
        assert np.array_equal(one, other)


def test_events_are_compared_within_intervals_whatever_the_split_is():
    """Twice as many a request in each minute, while traffic and rate both move: pooled counts would say something else."""
    question = asked("ratio")
    n_c = np.array([100, 100, 5000, 5000] * 6)
    n_b = 10_000 - n_c
    rate = np.array([0.1, 0.1, 0.01, 0.01] * 6)
    trace = EffectTrace(question)
    trace.add(events(question, rate * n_b, 2 * rate * n_c, n_b, n_c))
    trace.add(events(question, rate[:1] * n_b[:1], 2 * rate[:1] * n_c[:1], n_b[:1], n_c[:1]))
    assert trace.blocks.changes == pytest.approx(1.0, abs=1e-5)


def test_a_block_without_events_of_the_baseline_says_nothing_and_weighs_nothing():
    question = asked("ratio")
    trace = EffectTrace(question)
    trace.add(events(question, [0, 5], [1, 0], [900, 900], [100, 100]))
    found = trace.blocks
    assert np.isnan(found.changes[0])
    assert found.changes[1] == -1
    assert found.weights[0] == 0 < found.weights[1]


@pytest.mark.parametrize(
    ("question", "limit"),
    [
        (asked(relative=0.1, absolute=10.0), 0.2),
        (asked(sides=(-1,), relative=0.25), 0.2),
        (asked(relative=0.1, absolute=1.0, ratio=False), 5.0),
    ],
    ids=["absolute", "fall", "difference"],
)
def test_what_is_tolerated_is_told_in_the_scale_of_the_changes(question, limit):
    trace = EffectTrace(question)
    trace.add(gauges(question, np.full(12, 50.0), np.full(12, 40.0)))
    assert trace.blocks.limit == pytest.approx(limit)
    fell = 10.0 if trace.blocks.scale == "absolute" else 0.2
    assert trace.blocks.changes == pytest.approx(fell if question.sides == (-1,) else -fell, abs=1e-6)


def test_a_baseline_at_0_with_nothing_tolerated_in_its_unit_has_no_scale():
    question = asked("ratio", absolute=0.01)
    trace = EffectTrace(question)
    assert trace.blocks is None
    trace.add(events(question, [0, 0], [1, 0], [900, 900], [100, 100]))
    assert trace.blocks is None


def test_intervals_of_less_than_a_second_keep_their_times():
    question = asked()
    trace, again = EffectTrace(question), EffectTrace(question)
    time = 1_772_442_000 + 0.1 * np.arange(50)
    trace.add(question.of(Arm(np.full(50, 1.0), time=time), Arm(np.full(50, 1.1), time=time)))
    again.load(trace.save())
    assert np.array_equal(again.blocks.times, trace.blocks.times)
    assert np.diff(again.blocks.times) == pytest.approx(0.1 * again.blocks.length, abs=1e-6)


def test_it_is_small_however_long_the_watch():
    question = asked("ratio")
    trace = EffectTrace(question)
    n = 10_000
    trace.add(events(question, np.full(n, 9), np.full(n, 1), np.full(n, 900), np.full(n, 100)))
    assert len(str(trace.save())) < 700

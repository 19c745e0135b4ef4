"""Sketches: exact counts in the right bucket, quantiles within the stated error, merges that change nothing, and sentences."""

import itertools
import json
import math
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.data.sketches import LogBuckets

ERRORS = [0.0001, 0.001, 0.01, 0.02, 0.05, 0.5]
positive = st.floats(1e-11, 1.7e308)
ordinary = st.floats(-1e9, 1e9) | st.floats(1e-14, 1e3) | st.just(0.0)
times = st.floats(0, 1e5)


def sketch_of(values, time=None, error=0.01, **kwargs):
    made = cj.Sketch(relative_error=error, **kwargs)
    made.add(values, time=time)
    return made


def edge(error, exponent):
    """Gamma to a power by fractions: what the library's edges round."""
    gamma = (1 + Fraction(repr(error))) / (1 - Fraction(repr(error)))
    return float(gamma**exponent)


def slow_bucket(error, value):
    """The exponent i with gamma^i < value <= gamma^(i + 1), found with Python's logarithm and exact powers."""
    guess = round(math.log(value) / math.log((1 + error) / (1 - error))) - 2
    return next(i for i in itertools.count(guess) if value <= edge(error, i + 1))


@pytest.mark.parametrize("error", ERRORS)
def test_every_value_is_in_the_bucket_that_exact_arithmetic_says(error):
    rng = np.random.default_rng(3)
    exponents = range(-20, 41, 3)  # 3 to the -20 is above what counts as zero
    edges = np.array([edge(error, i) for i in exponents])
    values = np.concatenate(
        [edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf), rng.lognormal(0, 3, 60)]
    )
    buckets = LogBuckets(error)
    keys = buckets.keys(values)
    first = buckets.keys(np.array([1.0]))[0]  # its upper edge is gamma to the 0
    assert (keys - first - 1).tolist() == [slow_bucket(error, value) for value in values]
    assert [buckets.upper(int(first) + i) for i in exponents] == edges.tolist()


@pytest.mark.parametrize("error", ERRORS)
def test_a_bucket_holds_what_is_at_most_its_edge_whatever_the_sign(error):
    buckets = LogBuckets(error)
    edges = np.array([buckets.upper(key) for key in range(5, 200, 3)])
    for values in (edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf)):
        for signed in (values, -values):
            keys = buckets.keys(signed)
            assert all(value <= buckets.upper(int(key)) for value, key in zip(signed, keys, strict=True))
            assert all(value > buckets.upper(int(key) - 1) for value, key in zip(signed, keys, strict=True))


@given(error=st.sampled_from(ERRORS), values=st.lists(st.floats(-1.7e308, 1.7e308), min_size=2, max_size=20))
def test_the_order_of_the_keys_is_that_of_the_values(error, values):
    ascending = np.sort(np.array(values))
    buckets = LogBuckets(error)
    keys = buckets.keys(ascending)
    assert (np.diff(keys) >= 0).all()
    assert np.abs(keys).max() <= buckets.largest


@given(
    values=st.lists(positive, min_size=1, max_size=50), error=st.sampled_from(ERRORS[2:]), q=st.floats(0, 1)
)
def test_a_quantile_of_positive_values_is_within_the_relative_error(values, error, q):
    true = float(np.sort(values)[math.floor(q * (len(values) - 1))])
    assume(true > max(values) / 1e12)
    assert abs(sketch_of(values, error=error).quantile(q) - true) <= error * (1 + 1e-9) * true


@given(values=st.lists(ordinary, min_size=1, max_size=50), q=st.floats(0, 1))
def test_so_is_one_of_values_of_any_sign_but_for_what_is_nearly_zero(values, q):
    true = float(np.sort(values)[math.floor(q * (len(values) - 1))])
    least = 1.03 * max(1e-12, max(map(abs, values)) / 1e12)
    assert abs(sketch_of(values).quantile(q) - true) <= max(0.01 * (1 + 1e-9) * abs(true), least)


def test_the_error_is_reached_and_not_overstated():
    values = np.random.default_rng(5).lognormal(3, 1, 20_000)
    found = [sketch_of([value]).quantile(0.5) / value - 1 for value in values[:500]]
    assert 0.0095 < max(found) <= 0.01 * (1 + 1e-9)
    assert -0.01 * (1 + 1e-9) <= min(found) < -0.0095


@pytest.mark.parametrize("q", [0, 0.25, 0.5, 0.999, 1])
def test_quantiles_are_those_of_numpy_s_lower_method(q):
    values = np.random.default_rng(6).lognormal(4, 1, 1001)
    assert sketch_of(values).quantile(q) == pytest.approx(np.quantile(values, q, method="lower"), rel=0.01)


def halves(data, values):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), min_size=2, max_size=2)))
    return values[: cuts[0]], values[cuts[0] : cuts[1]], values[cuts[1] :]


def added(parts, timed):
    made = cj.Sketch(0.02, interval=60)
    for part in parts:
        made.add([value for value, _ in part], time=[time for _, time in part] if timed else None)
    return made


@given(
    values=st.lists(st.tuples(ordinary | positive, times), max_size=40),
    timed=st.booleans(),
    data=st.data(),
)
def test_merging_is_adding_all_at_once_in_any_order_and_grouping(values, timed, data):
    parts = halves(data, values)
    whole = added([values], timed).to_json()
    shuffled = data.draw(st.permutations(values))
    assert added([shuffled], timed).to_json() == whole
    assert added(parts, timed).to_json() == whole
    for order in itertools.permutations(parts):
        left, middle, right = (added([part], timed) for part in order)
        tail = added([order[1]], timed)
        tail.merge(right)
        left.merge(middle)
        left.merge(right)  # (a b) c
        again = added([order[0]], timed)
        again.merge(tail)  # a (b c)
        assert left.to_json() == again.to_json() == whole
        assert left == again


def test_a_merge_leaves_the_other_as_it_was_and_apart():
    one, other = sketch_of([1.0, 2.0]), sketch_of([2.0, 3.0])
    before = other.to_json()
    one.merge(other)
    one.add([2.0])
    assert other.to_json() == before
    assert one.count == 5
    one.merge(one)
    assert one.count == 10


@given(values=st.lists(st.tuples(ordinary | positive, times), max_size=30), timed=st.booleans())
def test_json_reads_back_as_the_same_sketch(values, timed):
    made = added([values], timed)
    text = made.to_json()
    again = cj.Sketch.from_json(text)
    assert again == made
    assert again.to_json() == text
    assert again.columns() == made.columns()
    again.merge(made)
    assert again.count == 2 * len(values)


def test_counts_are_how_often_a_value_was_observed():
    once = sketch_of([1.0, 1.0, 5.0])
    often = cj.Sketch()
    often.add([1.0, 5.0, 7.0], counts=[2, 1, 0])
    assert often == once
    nothing = cj.Sketch()
    nothing.add([7.0], time=[3], counts=[0])
    nothing.add([], time=[])
    assert nothing == cj.Sketch()
    assert cj.Sketch.from_json(nothing.to_json()) == nothing


def test_counts_are_exact_beyond_what_floats_can_count():
    made = cj.Sketch()
    for _ in range(3):
        made.add([1.0, 1.0], counts=[2**52, 2**52 - 1])
    assert made.count == 3 * (2**53 - 1)
    assert made.quantile(1.0) == pytest.approx(1.0, rel=0.0101)


def test_columns_count_exactly_what_is_at_most_each_edge():
    rng = np.random.default_rng(7)
    values = np.concatenate([rng.lognormal(3, 1, 500), -rng.lognormal(0, 1, 200), np.zeros(5), [1e-13]])
    found = sketch_of(values).columns()
    edges = np.array(found["edges"])
    assert (np.diff(edges) > 0).all()
    assert edges[-1] == np.inf
    at_most = np.where(np.abs(values) < 1e-12, 0.0, values)
    assert np.cumsum(found["buckets"][0]).tolist() == [(at_most <= edge).sum() for edge in edges]
    assert "time" not in found


def test_edges_are_the_same_floats_whatever_was_added():
    low, high = sketch_of([1.0, 90.0]).columns(), sketch_of([20.0, 4000.0]).columns()
    shared = set(low["edges"]) & set(high["edges"])
    inside = [edge for edge in low["edges"] if edge >= high["edges"][0] and edge < math.inf]
    assert shared == {*inside, math.inf}
    assert len(inside) > 50


def test_the_desert_around_zero_has_no_edges():
    found = sketch_of([-50.0, 0.0, 100.0], error=0.05).columns()
    assert len(found["edges"]) == 6
    assert found["edges"][2] == 0.0
    assert found["buckets"] == [[0, 1, 1, 0, 1, 0]]


def test_what_is_nearly_zero_is_zero_whatever_its_sign():
    assert LogBuckets(0.01).keys(np.array([0.0, -0.0, 9e-13, -9e-13, 5e-324])).tolist() == [0] * 5


@pytest.mark.parametrize("error", np.linspace(0.02, 0.5, 13).tolist())
def test_no_quantile_is_infinite(error):
    assert math.isfinite(sketch_of([1.7976931348623157e308], error=error).quantile(0.5))


def test_values_near_the_largest_float_are_in_the_infinite_bucket():
    found = sketch_of([1.7976931348623157e308, 1.0], error=0.5).columns()
    assert found["edges"][-2] < 1.8e308
    assert sum(found["buckets"][0]) == 2


def test_times_fall_into_intervals_that_begin_at_whole_multiples():
    made = sketch_of([1.0, 1.0, 1.0, 1.0], time=[0.0, 9.999, 10.0, 35.0])
    assert made.columns()["time"] == [0.0, 10.0, 30.0]
    assert [sum(row) for row in made.columns()["buckets"]] == [2, 1, 1]


@pytest.mark.parametrize(
    "time",
    [
        [datetime(2026, 3, 1, 12, tzinfo=UTC)] * 2,
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        "2026-03-01T12:00:00Z",
        ["2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z"],
        np.array(["2026-03-01T12:00:00"] * 2, dtype="datetime64[s]"),
        pd.DatetimeIndex(["2026-03-01T12:00:00Z"] * 2),
        1772366400,
        [1772366400000.0] * 2,
    ],
    ids=["datetimes", "one", "text", "texts", "datetime64", "index", "seconds", "milliseconds"],
)
def test_times_come_in_every_spelling_that_judge_takes(time):
    assert sketch_of([1.0, 2.0], time=time).columns()["time"] == [1772366400.0]


def test_values_come_from_any_library():
    assert sketch_of(pd.Series([1.0, 2.0])) == sketch_of([1, 2]) == sketch_of(np.array([1.0, 2.0]))


def test_memory_is_bounded_and_what_it_costs_is_known():
    values = np.geomspace(1e-11, 1e11, 50_000)
    made = sketch_of(values)
    occupied = len(json.loads(made.to_json())["intervals"][0]["keys"])
    assert occupied <= 1382  # log(1e12) / log(1.01 / 0.99), as the docstring says
    for q in np.linspace(0, 1, 101):
        true = np.quantile(values, q, method="lower")
        if true > 1.03 * 0.1:  # 1e11 / 1e12
            assert made.quantile(q) == pytest.approx(true, rel=0.01 * (1 + 1e-9))
        else:
            assert made.quantile(q) <= 1.03 * 0.1
    assert sketch_of(-values).quantile(0.0) == -made.quantile(1.0)
    assert -1.03 * 0.1 <= sketch_of(-values).quantile(0.9) < 0


@given(values=st.lists(st.floats(1e-12, 1e300), min_size=1, max_size=30), data=st.data())
def test_collapsing_depends_on_the_values_only(values, data):
    parts = halves(data, values)
    made = cj.Sketch(0.05)
    for part in parts[::-1]:
        made.merge(sketch_of(part, error=0.05))
    assert made == sketch_of(values, error=0.05)


BAD = [
    (lambda: cj.Sketch(relative_error=-0.01), "sketch: relative_error is -0.01", "such as 0.01 for 1 %"),
    (lambda: cj.Sketch(relative_error=0), "relative_error is 0", "0.0001"),
    (lambda: cj.Sketch(relative_error=1), "relative_error is 1", "0.5"),
    (lambda: cj.Sketch(relative_error="1%"), "relative_error is '1%'", "0.01 for 1 %"),
    (lambda: cj.Sketch(relative_error=True), "relative_error is True", "fraction"),
    (lambda: cj.Sketch(relative_error=math.nan), "relative_error is nan", "fraction"),
    (lambda: cj.Sketch(interval=0), "interval is 0", "Give seconds"),
    (lambda: cj.Sketch(interval="10s"), "interval is '10s'", "Give seconds"),
    (lambda: cj.Sketch(interval=math.inf), "interval is inf", "Give seconds"),
    (lambda: sketch_of([1.0, math.nan]), "sketch, index 1: the value is missing", "leave out"),
    (lambda: sketch_of([1.0, None]), "sketch, index 1: the value is missing", "leave out"),
    (lambda: sketch_of([math.inf]), "sketch, index 0: the value is infinite", "finite"),
    (lambda: sketch_of(["12ms"]), "sketch, index 0: the value is the text '12ms'", "numbers"),
    (lambda: sketch_of(5.0), "values is 5.0, which is not a column", "flat"),
    (lambda: sketch_of([[1.0, 2.0]]), "the value is [1.0, 2.0]", "flat"),
    (lambda: sketch_of(np.ones((2, 2))), "values has the shape (2, 2)", "flat"),
    (lambda: sketch_of([1.0, 2.0], time=[1]), "there are 2 values and 1 of time", "same length"),
    (lambda: sketch_of([1.0], time="soon"), "sketch, index 0: 'soon' cannot be read as a time", "2024"),
    (lambda: sketch_of([1.0], time=object), "cannot be read as a time", "2024"),
    (lambda: sketch_of([1.0, 2.0], time=[5, None]), "sketch, index 1: there is no time", "none of them"),
    (lambda: sketch_of([1.0], time=math.nan), "there is no time", "none of them"),
    (lambda: cj.Sketch().add([1.0], counts=[-1]), "the count is -1", "how often"),
    (lambda: cj.Sketch().add([1.0], counts=[1.5]), "the count is 1.5", "how often"),
    (lambda: cj.Sketch().add([1.0], counts=[math.nan]), "the count is nan", "how often"),
    (lambda: cj.Sketch().add([1.0], counts=[1, 2]), "1 values and 2 of counts", "same length"),
    (lambda: cj.Sketch().add([1.0] * 2, counts=[2**53] * 2), "the counts add up to 1.8", "Check"),
    (lambda: cj.Sketch().quantile(0.5), "it is empty", "Add values first"),
    (lambda: sketch_of([1.0]).quantile(99), "the quantile is 99", "such as 0.99"),
    (lambda: sketch_of([1.0]).quantile("p99"), "the quantile is 'p99'", "such as 0.99"),
    (lambda: sketch_of([1.0]).columns(between=(5, 1)), "between is (5, 1)", "the smaller first"),
    (lambda: sketch_of([1.0]).columns(between=(0, 1)), "between is (0, 1)", "positive"),
    (lambda: sketch_of([1.0]).columns(between=5), "between is 5", "two positive"),
    (lambda: sketch_of([1.0]).columns(between=("a", 2)), "is the text 'a'", "numbers"),
    (lambda: cj.Sketch().merge([1.0]), "is not a Sketch", "Merge"),
    (
        lambda: cj.Sketch(0.01).merge(cj.Sketch(0.02)),
        "relative_error is 0.01 here and 0.02 in the other sketch",
        "the same relative_error",
    ),
    (
        lambda: cj.Sketch(interval=10).merge(cj.Sketch(interval=60)),
        "interval is 10 here and 60 in the other",
        "the same interval",
    ),
    (
        lambda: sketch_of([1.0], time=[1]).merge(sketch_of([1.0])),
        "the values counted so far have times, and those to be added have none",
        "or none of them",
    ),
    (
        lambda: sketch_of([1.0]).add([1.0], time=[1]),
        "the values counted so far have no times, and those to be added have them",
        "or none of them",
    ),
]


@pytest.mark.parametrize(("do", "words", "advice"), BAD)
def test_bad_input_is_refused_in_a_sentence_with_advice(do, words, advice):
    with pytest.raises(cj.DataError) as caught:
        do()
    assert words in caught.value.message
    assert advice in caught.value.hint
    assert "\n" not in str(caught.value)


def test_nothing_is_counted_of_what_was_refused():
    made = sketch_of([1.0], time=[1])
    before = made.to_json()
    for values, time, counts in (([1.0, math.nan], [1, 2], None), ([1.0], None, None), ([1.0], [1], [0.5])):
        with pytest.raises(cj.DataError):
            made.add(values, time=time, counts=counts)
    with pytest.raises(cj.DataError):
        made.merge(sketch_of([1.0]))
    assert made.to_json() == before


def changed(**fields):
    return json.dumps(json.loads(sketch_of([1.0, 2.0], time=[1, 20]).to_json()) | fields)


def with_interval(**fields):
    return changed(intervals=[{"interval": 0, "keys": [1], "counts": [1]} | fields])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON, or is cut short"),
        (None, "not JSON"),
        (changed()[:-5], "cut short"),
        ("[" * 100_000, "not JSON"),
        ("[]", "another format"),
        (changed(format="x"), "another format"),
        (changed(version=2), "its version is 2, and 1 is known here"),
        (json.dumps({"format": "canaryjudge.sketch", "version": 1}), "there is no relative_error"),
        (changed(relative_error="1%"), "relative_error is '1%'"),
        (changed(interval=None), "interval is None"),
        (changed(timed="yes"), "timed is no truth value"),
        (changed(timed=1), "timed is no truth value"),
        (changed(timed=None), "timed does not fit intervals"),
        (changed(intervals=[]), "timed does not fit intervals"),
        (changed(intervals={}), "intervals no list"),
        (changed(intervals=[5]), "intervals[0] has no interval"),
        (changed(timed=False), "intervals[1].interval is 2"),
        (with_interval(interval=True), "intervals[0] has no interval"),
        (with_interval(interval=10**30), "too large"),
        (with_interval(keys=[]), "keys are no ascending buckets"),
        (with_interval(keys=[2, 1], counts=[1, 1]), "keys are no ascending"),
        (with_interval(keys=[1, 1], counts=[1, 1]), "keys are no ascending"),
        (with_interval(keys=[1.0]), "has no interval with keys"),
        (with_interval(keys=[10**9]), "keys are no ascending"),
        (with_interval(counts=[0]), "a count that none can be"),
        (with_interval(counts=[-1]), "a count that none can be"),
        (with_interval(counts=[10**400]), "a count that none can be"),
        (with_interval(counts=[1, 2]), "one for each count"),
        (
            changed(intervals=[{"interval": 0, "keys": [1], "counts": [1]}] * 2),
            "intervals[1].interval is 0, which is twice there",
        ),
    ],
)
def test_text_that_is_no_sketch_is_refused_in_a_sentence(text, words):
    with pytest.raises(cj.DataError) as caught:
        cj.Sketch.from_json(text)
    assert words in caught.value.message
    assert caught.value.hint
    assert len(str(caught.value)) < 250


def test_a_sketch_shows_what_it_is_and_cannot_be_a_key():
    made = sketch_of([1.0] * 1500, time=np.arange(1500.0))
    assert repr(made) == "Sketch(relative_error=0.01, interval=10): 1,500 values in 150 intervals"
    one = cj.Sketch()
    one.add([3.0])
    assert repr(one) == "Sketch(relative_error=0.01, interval=10): 1 value in 1 interval"
    assert (made.relative_error, made.interval, made.count) == (0.01, 10.0, 1500)
    assert made != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(made)


def released(scale, seed, n, timed):
    rng = np.random.default_rng(seed)
    values = scale * rng.lognormal(4, 0.6, n)
    return sketch_of(values, time=1.7e9 + rng.uniform(0, 600, n) if timed else None).columns()


POLICY = cj.Policy(
    metrics=[
        cj.Metric(name="latency", kind="histogram", unit="ms", direction="increase", rules=["sequential"])
    ]
)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize(("scale", "outcome"), [(1.0, "pass"), (1.5, "fail"), (3.0, "fail"), (50.0, "fail")])
def test_sketches_of_both_arms_are_judged(scale, outcome, timed):
    data = {
        "latency": {"baseline": released(1.0, 1, 30_000, timed), "canary": released(scale, 2, 5_000, timed)}
    }
    assert cj.judge(data, POLICY).outcome == outcome


def test_an_arm_without_values_is_one_without_data():
    data = {"latency": {"baseline": released(1.0, 1, 1000, timed=True), "canary": cj.Sketch().columns()}}
    verdict = cj.judge(data, POLICY)
    assert verdict.outcome == "marginal"
    assert verdict.metrics["latency"].reason == "no_data"


def watched(updates):
    monitor = cj.Monitor(POLICY)
    for update in updates:
        monitor.update({"latency": update})
    return monitor.verdict()


def test_a_watch_takes_a_new_sketch_or_a_growing_one_at_every_look():
    rng = np.random.default_rng(4)
    growing = {arm: cj.Sketch(interval=60) for arm in ("baseline", "canary")}
    new, all_so_far = [], []
    for start in range(0, 300, 60):
        at = 1_700_000_040 + start + rng.uniform(0, 60, 3000)  # whole intervals of 60 s
        fresh = {}
        for arm, scale in (("baseline", 1.0), ("canary", 1.5)):
            values = scale * rng.lognormal(4, 0.6, 3000)
            growing[arm].add(values, time=at)
            fresh[arm] = sketch_of(values, time=at, interval=60).columns(between=(1, 10_000))
        new.append(fresh)
        all_so_far.append({arm: sketch.columns(between=(1, 10_000)) for arm, sketch in growing.items()})
    one, other = watched(new), watched(all_so_far)
    assert one.outcome == "fail"
    assert one.to_json() == other.to_json()


def test_a_stated_span_gives_the_same_edges_whatever_was_added():
    made = sketch_of([-3.0, 0.0, 0.5, 20.0, 1e6])
    edges = made.columns(between=(1, 100))["edges"]
    assert edges == sketch_of([5.0]).columns(between=(1, 100))["edges"]
    assert edges[0] < 1 <= edges[1]
    assert edges[-3] < 100 <= edges[-2]
    row = made.columns(between=(1, 100))["buckets"][0]
    assert (row[0], sum(row[1:-1]), row[-1]) == (3, 1, 1)
    assert cj.Sketch().columns(between=(1, 100)) == {}


def test_a_sketch_is_a_series():
    rng = np.random.default_rng(8)
    arms = {}
    for name, level in (("baseline", 0.1), ("canary", 0.13)):
        arms[name] = cj.Sketch(interval=60)
        arms[name].add(rng.lognormal(np.log(level), 0.5, 3000), time=1.7e9 + rng.uniform(0, 1800, 3000))
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="histogram", direction="increase")])
    verdict = cj.judge({"m": arms}, policy)
    assert verdict.outcome == "fail"
    assert verdict == cj.judge({"m": {name: made.columns() for name, made in arms.items()}}, policy)
    assert cj.judge({"m": arms | {"canary": cj.Sketch()}}, policy).metrics["m"].reason == "no_data"
    with pytest.raises(cj.DataError, match="the data are buckets, and the metric's kind is gauge"):
        cj.judge({"m": arms}, cj.Policy(metrics=[cj.Metric(name="m", direction="increase")]))

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.compat.kayenta.classifier import (
    JUDGE_TEST,
    JavaRandom,
    ShiftTest,
    classify,
    cles,
    iqr_fences,
    mean_ratio,
    noisy,
    percentile,
    statistics,
    transformed,
)
from canaryjudge.compat.kayenta.interval import Z
from canaryjudge.integrations.kayenta.config import MetricOptions

rng = np.random.default_rng(11)
LOW, HIGH = rng.normal(10, 1, 40), rng.normal(14, 1, 40)


def of(control, experiment, **options):
    return classify("cpu", (np.array(control, float), np.array(experiment, float)), MetricOptions(**options))


def test_the_constants_are_the_judges():
    assert ShiftTest(0.25, 2.326347874040841) == JUDGE_TEST
    assert JUDGE_TEST.z == Z


@pytest.mark.parametrize(
    ("options", "label", "reason"),
    [
        ({}, "Nodata", "Missing data for cpu"),
        ({"must_have_data": True}, "NodataFailMetric", "Missing data for cpu"),
        ({"must_have_data": True, "critical": True}, "Nodata", "Missing data for cpu"),
        ({"replace_missing": True}, "Pass", None),
    ],
)
def test_without_data(options, label, reason):
    found = of([], [1.0], **options)
    assert (found.label, found.reason, found.ratio) == (label, reason, 1.0)
    assert found.critical == (label == "Nodata" and options.get("critical", False))


@pytest.mark.parametrize(
    ("control", "experiment", "options", "label"),
    [
        (LOW, HIGH, {}, "High"),
        (HIGH, LOW, {}, "Low"),
        (LOW, HIGH, {"direction": "decrease"}, "Pass"),
        (HIGH, LOW, {"direction": "increase"}, "Pass"),
        (LOW, HIGH, {"allowed_increase": 1.5}, "Pass"),
        (HIGH, LOW, {"allowed_decrease": 0.5}, "Pass"),
        (LOW, HIGH, {"cles": True, "allowed_increase": 0.99}, "High"),
        (LOW, LOW + 0.3, {"cles": True, "allowed_increase": 0.99}, "Pass"),
    ],
)
def test_labels(control, experiment, options, label):
    assert of(control, experiment, **options).label == label


@pytest.mark.parametrize(
    ("control", "experiment", "options", "critical"),
    [
        (LOW, HIGH, {}, True),
        (LOW, HIGH, {"critical_increase": 1.5}, False),
        (HIGH, LOW, {"critical_decrease": 0.9}, True),
        (HIGH, LOW, {"critical_decrease": 0.5}, False),
        (
            np.zeros(20),
            np.arange(1.0, 21.0),
            {"critical_increase": 9.0},
            True,
        ),  # a baseline of 0 has no ratio, which counts
    ],
)
def test_a_critical_metric_is_one_from_its_critical_effect_on(control, experiment, options, critical):
    found = of(control, experiment, critical=True, **options)
    assert found.critical is critical
    name = (
        f"The metric cpu was classified as {found.label} (Critical)"
        if critical
        else f"cpu was classified as {found.label}"
    )
    assert found.reason == name


def test_bounds_are_strict_on_the_interval_and_not_on_the_effect():
    """The interval of 3 v. 3 is clamped to the range of differences: [2, 6] around 4; a quarter of 4 is 1."""
    control, experiment = [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]
    found = of(control, experiment, allowed_increase=3.0)
    assert (found.interval.lower, found.effect, found.label) == (2.0, 3.0, "High")
    arms = np.array(control), np.array(experiment)
    half = classify(
        "cpu", arms, MetricOptions(), ShiftTest(found.interval.lower / abs(found.interval.estimate))
    )
    assert half.label == "Pass"


@pytest.mark.parametrize(("sign", "label"), [(1, "High"), (-1, "Low")])
def test_a_baseline_of_zero_has_no_ratio_which_is_no_reason_to_pass(sign, label):
    found = of(np.zeros(20), sign * np.arange(1.0, 21.0), allowed_increase=9.0, allowed_decrease=0.1)
    assert math.isnan(found.effect)
    assert found.label == label


def test_the_effect_that_is_allowed_is_reached_when_it_is_equal():
    down = of([5.0, 6.0, 7.0], [1.0, 2.0, 3.0], allowed_decrease=1 / 3)
    assert (down.effect, down.label) == (1 / 3, "Low")


@pytest.mark.parametrize("far", [7.0, -7.0])
def test_outliers_lie_beyond_the_first_and_the_last_percentile_too(far):
    options = MetricOptions(outlier_factor=3.0)
    few, single = np.array([0.0] * 197 + [far] * 3), np.array([0.0] * 199 + [far])
    assert len(transformed(few, options)) == 200  # 1.5 % of all: the percentile is one of them
    assert len(transformed(single, options)) == 199


def test_equal_bags_pass_with_a_reason_and_equal_constants_without():
    same = of([1.0, 2.0], [2.0, 1.0])
    assert (same.label, same.reason) == ("Pass", "The Canary and Baseline data are identical")
    constant = of([1.0, 1.0, 1.0], [1.0])
    assert (constant.label, constant.reason, constant.noised) == ("Pass", None, False)


def test_one_against_one_is_an_error_that_is_never_critical():
    found = of([3.0], [5.0], critical=True)
    assert (found.label, found.reason, found.ratio, found.critical) == (
        "Error",
        "Metric Classification Failed",
        None,
        False,
    )


def test_noise_is_said_and_the_same_each_time():
    first, second = (of([10.0] * 9, [11.0] * 9, allowed_increase=1.1) for _ in range(2))
    assert first.noised
    assert first == second


def test_the_label_of_constant_arms_depends_on_the_seed():
    """Kayenta's own seed is nobody's: 10 v. 11 at allowedIncrease 1.1 is High in about 58 % of its runs."""
    arms = np.full(10, 10.0), np.full(10, 11.0)
    labels = [
        classify("cpu", arms, MetricOptions(allowed_increase=1.1), seed=seed).label for seed in range(60)
    ]
    assert {"High", "Pass"} == set(labels)


# java.util.Random(42).nextGaussian(), five times; documented by many
def test_javas_generator():
    random = JavaRandom(42)
    expected = [
        1.1419053154730547,
        0.9194079489827879,
        -0.9498666368908959,
        -1.1069902863993377,
        0.2809776380727795,
    ]
    assert [random.gaussian() for _ in expected] == pytest.approx(expected, rel=1e-15)


def test_noise_is_a_hundred_thousandth_of_the_value_and_the_experiments_comes_first():
    experiment, control = noisy(np.full(2, 3.0), np.full(2, -5.0), seed=42)
    drawn = JavaRandom(42).gaussians(0.0, 1.0, 4)
    assert experiment == pytest.approx(3 + 3e-5 * drawn[:2], rel=1e-15)
    assert control == pytest.approx(-5 - 5e-5 * drawn[2:], rel=1e-15)
    assert noisy(np.zeros(2), np.ones(2), seed=42)[0].tolist() == [0.0, 0.0]


def test_missing_points_and_outliers():
    values = np.array([1.0, math.nan, 2.0, 3.0, math.nan])
    assert transformed(values, MetricOptions()).tolist() == [1.0, 2.0, 3.0]
    assert transformed(values, MetricOptions(replace_missing=True)).tolist() == [1.0, 0.0, 2.0, 3.0, 0.0]
    far = np.array([*np.arange(200.0), 5_000.0])
    assert transformed(far, MetricOptions(outlier_factor=3.0)).tolist() == np.arange(200.0).tolist()
    few = np.array([1.0, 2.0, 3.0, 4.0, 100.0])  # the 99th percentile of so few leaves only what is beyond it
    assert transformed(few, MetricOptions(outlier_factor=3.0)).tolist() == [1.0, 2.0, 3.0, 4.0]
    infinite = np.array([1.0, 2.0, math.inf, -math.inf])
    assert len(transformed(infinite, MetricOptions(outlier_factor=3.0))) == 4


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.sampled_from([1, 25, 50, 75, 99]))
def test_percentiles_are_numpys_default(values, percent):
    assert percentile(np.array(values), percent) == pytest.approx(
        np.percentile(values, percent), rel=1e-9, abs=1e-6
    )


def test_fences():
    assert iqr_fences(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 1.5) == (-1.0, 7.0)
    assert math.isnan(percentile(np.array([]), 50))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_statistics_are_those_of_numpy(values):
    found = statistics(np.array(values))
    assert found["mean"] == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert found["std"] == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-3)
    assert (found["min"], found["max"], found["count"]) == (min(values), max(values), len(values))


def test_statistics_add_from_left_to_right():
    values = np.array([1e16, 1.0, -1e16, 1.0] * 8)
    total = 0.0
    for value in values:
        total += value
    middle = total / 32
    rest = 0.0
    for value in values:
        rest += value - middle
    middle += rest / 32
    first = second = 0.0
    for value in values:
        first, second = first + (value - middle), second + (value - middle) ** 2
    assert first != 0
    found = statistics(values)
    assert (found["mean"], found["std"]) == (middle, math.sqrt((second - first * first / 32) / 31))


def test_the_mean_ratio_has_no_zero():
    assert mean_ratio(np.array([2.0]), np.array([3.0])) == 1.5
    assert math.isnan(mean_ratio(np.zeros(3), np.ones(3)))
    assert math.isnan(mean_ratio(np.ones(3), np.zeros(3)))


@given(*[st.lists(st.integers(0, 5), min_size=1, max_size=20)] * 2)
def test_cles_is_the_share_of_pairs_in_which_the_experiment_is_larger(control, experiment):
    wins = np.mean([(x > y) + (x == y) / 2 for x in experiment for y in control])
    assert cles(np.array(control, float), np.array(experiment, float)) == pytest.approx(wins, abs=1e-12)


def test_cles_overflows_as_in_kayenta():
    rng = np.random.default_rng(2)
    found = cles(rng.normal(0, 1, 40_000), rng.normal(1, 1, 40_000))
    assert found < 0  # a probability
    assert (
        of(rng.normal(0, 1, 40_000), rng.normal(1, 1, 40_000), cles=True, allowed_increase=0.5).label
        == "Pass"
    )


@pytest.mark.parametrize("size", [2, 3, 4])
def test_tiny_separated_samples_are_high(size):
    assert of(np.arange(size), np.arange(size) + 10).label == "High"


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_any_infinite_point_passes(bad):
    assert of(LOW, [*HIGH, bad]).label == "Pass"
    assert of([*LOW, bad], HIGH).label == "Pass"


def test_small_values_pass():
    assert of(LOW, HIGH).label == "High"
    assert of(LOW * 1e-6, HIGH * 1e-6).label == "Pass"

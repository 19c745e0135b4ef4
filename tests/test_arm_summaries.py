"""What an arm looks like, in few numbers: bounded, finite, and with every spike still there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.arm_summaries import arm_facts, ten_digits
from canaryjudge.data import Arm, MetricPair
from canaryjudge.results import QUANTILE_LEVELS, ArmFacts

RNG = np.random.default_rng(20261126)
LEVELS = np.array(QUANTILE_LEVELS)
BUCKET_EDGES = np.array([0.1, 0.2, 0.4, np.inf])


def seen(arm, kind="gauge", edges=None):
    return arm_facts(arm, MetricPair("m", kind, arm, arm, edges=edges))


def test_few_points_are_shown_as_they_are():
    values, times = RNG.normal(100, 5, 60), 1_767_225_600.0 + 60.0 * np.arange(60)
    series = seen(Arm(values, time=times)).series
    assert series.start == times[0]
    assert series.at == tuple(60.0 * np.arange(60))
    np.testing.assert_allclose(np.array(series.value), values, rtol=1e-9)
    assert (series.low, series.high, series.band) == ((), (), None)


def test_many_points_are_thinned_and_each_spike_stays():
    values = RNG.normal(100, 1, 10_000)
    values[[137, 7_001]] = 900.0, -50.0
    series = seen(Arm(values, time=60.0 * np.arange(10_000))).series
    assert series.band == "extremes"
    assert len(series.at) == len(series.value) == len(series.low) == len(series.high) == 40
    assert max(series.high) == 900.0
    assert min(series.low) == -50.0
    assert abs(np.median(series.value) - 100) < 0.5


def test_of_raw_observations_the_band_holds_the_middle_nine_tenths():
    values = RNG.lognormal(size=50_000)
    facts = seen(Arm(values), "samples")
    part = values[:1250]
    np.testing.assert_allclose(
        [facts.series.low[0], facts.series.value[0], facts.series.high[0]],
        np.quantile(part, [0.05, 0.5, 0.95]),
        rtol=1e-9,
    )
    assert facts.series.band == "percentiles"


def test_the_level_of_a_stretch_of_ratios_is_pooled():
    total = np.tile([1.0, 99.0], 400)
    facts = seen(Arm(np.tile([1.0, 0.0], 400), total), "ratio")
    assert set(facts.series.value) == {0.01}
    assert set(facts.series.high) == {1.0}
    assert facts.quantiles[-1] == 1.0


@given(st.lists(st.floats(-1e200, 1e200), min_size=1, max_size=150))
def test_quantiles_are_numpys(values):
    facts = seen(Arm(np.array(values)))
    expected = np.quantile(values, LEVELS)
    np.testing.assert_allclose(
        facts.quantiles, expected, rtol=1e-8, atol=1e-8 * max(map(abs, values)) + 1e-290
    )
    assert len(facts.series.at) <= 100


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20))
def test_ten_digits_are_those_of_all_other_numbers(values):
    for ours, value in zip(ten_digits(np.array(values)), values, strict=True):
        assert ours == pytest.approx(float(f"{value:.10g}"), rel=2e-10, abs=1e-290)
        if value == 0 or 1e-12 < abs(value) < 1e15:
            assert len(f"{ours!r}".replace(".", "").replace("-", "").strip("0").split("e")[0]) <= 10


def test_quantiles_of_buckets_are_read_between_their_edges():
    buckets = np.array([[10.0, 20.0, 10.0, 0.0], [10.0, 20.0, 10.0, 0.0]])
    facts = seen(Arm(buckets.sum(axis=1), buckets=buckets), "histogram", BUCKET_EDGES)
    assert facts.quantiles[0] == 0.0
    assert facts.quantiles[10] == pytest.approx(0.1)
    assert facts.quantiles[20] == pytest.approx(0.15)
    assert facts.quantiles[-1] == pytest.approx(0.4)
    assert facts.series.value == pytest.approx((0.15, 0.15))


@pytest.mark.parametrize("buckets", [[0.0, 0, 0, 5], [0.0, 0, 0, 0], [5.0, 0, 0, 0]])
def test_open_and_empty_buckets_stay_finite(buckets):
    facts = seen(Arm(np.array([5.0]), buckets=np.array([buckets])), "histogram", BUCKET_EDGES)
    assert np.isfinite(facts.quantiles).all()
    assert np.isfinite(facts.series.value).all()


def test_a_gap_breaks_the_line():
    times = 60.0 * np.r_[0:20, 50:70]
    series = seen(Arm(np.ones(40), time=times)).series
    assert series.value[20] is None
    assert len(series.at) == len(series.value) == 41
    many = 60.0 * np.r_[0:400, 800:1200]
    thinned = seen(Arm(np.ones(800), time=many)).series
    assert None in thinned.value
    assert len(thinned.low) == len(thinned.at) <= 100


def test_all_at_one_time_and_one_alone():
    assert len(seen(Arm(np.ones(500), time=np.zeros(500))).series.at) == 1
    assert seen(Arm(np.array([3.0]))).series.value == (3.0,)
    assert seen(Arm(np.empty(0))) is None


def test_a_verdict_carries_both_arms_and_reads_them_back():
    policy = cj.Policy(
        metrics=[cj.Metric(name="a", direction="increase"), cj.Metric(name="b", direction="increase")]
    )
    data = {
        "a": {"baseline": RNG.normal(9, 1, 30), "canary": [*RNG.normal(9, 1, 29), np.nan]},
        "b": {"baseline": [], "canary": [1.0]},
    }
    verdict = cj.judge(data, policy)
    again = cj.Verdict.from_json(verdict.to_json())
    assert isinstance(again.metrics["a"].canary, ArmFacts)
    assert len(again.metrics["a"].canary.series.value) == 29
    assert again.metrics["b"].baseline is None
    assert again.to_json() == verdict.to_json()


def test_a_list_of_numbers_is_one_line_of_the_json():
    policy = cj.Policy(metrics=[cj.Metric(name="[1, 2]", direction="increase")])
    verdict = cj.judge({"[1, 2]": {"baseline": RNG.normal(9, 1, 30), "canary": RNG.normal(9, 1, 30)}}, policy)
    line = next(line for line in verdict.to_json().splitlines() if '"quantiles"' in line)
    assert line.count(",") == 40
    assert cj.Verdict.from_json(verdict.to_json()) == verdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulation import ar1

from canaryjudge.stats.bucket_distributions import BucketBands
from canaryjudge.stats.bucket_rank_test import bucket_shift_test
from canaryjudge.stats.rank_test import shift_test

EDGES = np.append(np.geomspace(20, 500, 19), np.inf)


def histogram(values, edges=EDGES):
    """One interval a row."""
    return np.stack(
        [np.bincount(np.searchsorted(edges, row), minlength=len(edges)) for row in values]
    ).astype(float)


def compared(baseline, canary, limits=(0.0,), edges=EDGES, **given):
    bands = BucketBands(edges, baseline.sum(axis=0), canary.sum(axis=0))
    return bucket_shift_test(bands, baseline, canary, np.asarray(limits), **given)


def fine_edges(*arms):
    ordered = np.unique(np.concatenate([np.ravel(arm) for arm in arms]))
    return np.append((ordered[1:] + ordered[:-1]) / 2, np.inf)


@pytest.mark.parametrize("concurrent", [False, True])
def test_one_observation_an_interval_in_fine_buckets_is_the_test_of_the_series(concurrent):
    rng = np.random.default_rng(4)
    load = 10 * ar1(rng, 1, 80, 0.6)[0] if concurrent else 0.0
    baseline, canary = 100 + load + rng.normal(0, 5, 80), 104 + load + rng.normal(0, 5, 80)
    edges = fine_edges(baseline, canary)
    found = compared(
        histogram(baseline[:, None], edges),
        histogram(canary[:, None], edges),
        [0.0],
        edges,
        concurrent=concurrent,
    )
    series = shift_test(baseline, canary, [0.0], concurrent=concurrent)
    assert found.estimate == pytest.approx(float(series.estimate), abs=0.3)
    assert found.probability_greater == pytest.approx(float(series.probability_greater), abs=0.005)
    assert found.rho == pytest.approx(float(series.rho), abs=0.05)
    assert found.df == pytest.approx(series.df, rel=0.15)
    assert found.standard_error == pytest.approx(series.standard_error, rel=0.15)


def test_the_noise_of_two_single_histograms_is_that_of_independent_observations():
    """DeLong's variance, from each observation's own placement: what lies within a bucket hardly matters."""
    rng = np.random.default_rng(9)
    values = [rng.lognormal(4.5, 0.5, (1, n)) for n in (600, 400)]
    counts = [histogram(arm) for arm in values]
    found = compared(*counts)
    baseline, canary = values[0][0], values[1][0] - found.estimate
    above = canary[:, None] > baseline
    expected = np.sqrt(above.mean(axis=1).var(ddof=1) / 400 + above.mean(axis=0).var(ddof=1) / 600)
    bands = BucketBands(EDGES, *(arm[0] for arm in counts))
    distance = bands.probability_greater(np.zeros(1), "least")[0] - 0.5
    assert distance / found.statistic[0] == pytest.approx(expected, rel=0.02)
    assert found.df[0] > 390


def test_what_both_arms_feel_together_cancels():
    rng = np.random.default_rng(2)
    weather = np.exp(0.3 * ar1(rng, 1, 60, 0.5).T)
    baseline, canary = (histogram(weather * rng.lognormal(4.5, 0.4, (60, 300))) for _ in range(2))
    apart, together = compared(baseline, canary), compared(baseline, canary, concurrent=True)
    assert together.standard_error[0] < apart.standard_error[0] / 3
    assert together.rho < 0.3 < apart.rho


def test_the_limit_that_follows_the_baseline_is_noisier_by_the_weather_that_cancels_elsewhere():
    rng = np.random.default_rng(2)
    weather = np.exp(0.3 * ar1(rng, 1, 60, 0.5).T)
    baseline, canary = (histogram(weather * rng.lognormal(4.5, 0.4, (60, 300))) for _ in range(2))
    found = compared(baseline, canary, [10.0, 10.0], scales=[1.0, 1.1], concurrent=True)
    own = compared(baseline, canary).standard_error[0] / np.sqrt(2)
    assert found.standard_error[1] - found.standard_error[0] == pytest.approx(0.1 * own, rel=0.3)


def test_busy_intervals_weigh_more():
    rng = np.random.default_rng(3)
    requests = np.where(np.arange(40) % 4, 20, 500)
    rows = [[rng.lognormal(4.5, 0.5, n) * rng.lognormal(0, 0.2) for n in requests] for _ in range(2)]
    counts = [np.concatenate([histogram(row[None]) for row in arm]) for arm in rows]
    even = [each / each.sum(axis=1, keepdims=True) * 140 for each in counts]
    assert compared(*counts).standard_error[0] > 1.3 * compared(*even).standard_error[0]


@given(st.integers(0, 1000), st.floats(-60, 60), st.floats(0.8, 1.6))
def test_a_limit_lies_beyond_a_bound_just_where_its_pvalue_is_below_the_level(seed, limit, factor):
    rng = np.random.default_rng(seed)
    baseline = histogram(rng.lognormal(4.5, 0.5, (20, 30)))
    canary = histogram(factor * rng.lognormal(4.5, 0.5, (20, 30)))
    levels = np.array([0.01, 0.05, 0.3])
    found = compared(baseline, canary, [limit], levels=levels)
    for i, level in enumerate(levels):
        if abs(found.low[0, i] - limit) > 1e-4:
            assert (found.low[0, i] > limit) == (found.pvalue_greater[0] < level)
        if abs(found.high[0, i] - limit) > 1e-4:
            assert (found.high[0, i] < limit) == (found.pvalue_less[0] < level)
    assert found.open_low <= found.estimate <= found.open_high
    assert (found.low[0] <= found.open_low).all()
    assert (found.high[0] >= found.open_high).all()


def test_a_limit_that_is_known_only_within_bounds_is_asked_at_both():
    rng = np.random.default_rng(8)
    baseline, canary = (
        histogram(rng.lognormal(4.5, 0.5, (20, 300))),
        histogram(rng.lognormal(4.6, 0.5, (20, 300))),
    )
    both = compared(baseline, canary, [[12.0, 8.0]])
    assert both.pvalue_greater[0] == compared(baseline, canary, [12.0]).pvalue_greater[0]
    assert both.pvalue_less[0] == compared(baseline, canary, [8.0]).pvalue_less[0]


def test_a_shift_far_beyond_all_that_was_seen_is_surer_than_one_just_beyond():
    rng = np.random.default_rng(1)
    weather = np.exp(0.3 * ar1(rng, 2, 20, 0.7))[:, :, None]
    baseline, one = (
        histogram(weather[0] * rng.lognormal(3.5, 0.2, (20, 50))),
        weather[1] * rng.lognormal(3.5, 0.2, (20, 50)),
    )
    pvalues = [
        float(compared(baseline, histogram(one + shift)).pvalue_greater[0]) for shift in (100, 200, 300)
    ]
    assert pvalues[0] > 3 * pvalues[1] > 9 * pvalues[2] > 0


def test_six_intervals_abstain_where_a_level_asks_for_too_much():
    rng = np.random.default_rng(6)
    counts = [histogram(rng.lognormal(4.5, 0.5, (6, 500))) for _ in range(2)]
    found = compared(*counts, levels=[1e-6, 0.05])
    assert found.abstains.tolist() == [[True, False]]
    assert found.low[0, 0] == -np.inf
    assert found.high[0, 0] == np.inf
    assert np.isfinite([found.low[0, 1], found.high[0, 1]]).all()


def test_everything_in_one_bucket_leaves_the_shift_open_by_the_width_of_the_bucket():
    edges = np.array([1.0, 2.0, 4.0, np.inf])
    counts = np.tile([0.0, 1000, 0, 0], (20, 1))
    found = compared(counts, counts, [0.1], edges)
    assert found.open_low == pytest.approx(-1, abs=0.01)
    assert found.open_high == pytest.approx(1, abs=0.01)
    assert found.pvalue_greater[0] > 0.5
    assert found.pvalue_less[0] > 0.5


def test_all_beyond_the_last_edge_is_never_told_apart():
    edges = np.array([1.0, 2.0, np.inf])
    counts = np.tile([0.0, 0, 100], (20, 1))
    found = compared(counts, counts, [0.1], edges)
    assert np.isfinite(found.estimate)
    assert found.low[0].tolist() == [-np.inf, -np.inf]
    assert found.high[0].tolist() == [np.inf, np.inf]


@given(st.data())
def test_no_histogram_is_too_odd(data):
    size = data.draw(st.integers(1, 6))
    steps = data.draw(st.lists(st.floats(1e-3, 1e3), min_size=size, max_size=size))
    edges = np.append(np.cumsum(steps) - data.draw(st.sampled_from([0.0, 1.0, 1000.0])), np.inf)
    arms = []
    for _ in range(2):
        rows = data.draw(st.integers(1, 8))
        row = st.lists(st.integers(0, 5), min_size=size + 1, max_size=size + 1)
        arms.append(
            np.array(
                data.draw(st.lists(row, min_size=rows, max_size=rows).filter(np.any)),
                dtype=float,
            )
        )
    found = compared(*arms, [[0.5, 0.4]], edges)
    assert np.isfinite(found.estimate)
    for numbers in (
        found.pvalue_greater,
        found.pvalue_less,
        found.standard_error,
        found.df,
        found.probability_greater,
    ):
        assert np.isfinite(numbers).all()
    assert not np.isnan([found.low, found.high]).any()
    assert (found.low <= found.high).all()

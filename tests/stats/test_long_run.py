import numpy as np
import pytest
from simulation import ar1

from canaryjudge.stats.long_run import dependence, long_run_variance, projections


def slow_dependence(series):
    n, mean = len(series), sum(series) / len(series)
    top = sum((series[t] - mean) * (series[t - 1] - mean) for t in range(1, n))
    bottom = sum((value - mean) ** 2 for value in series)
    r = top / bottom
    return min(max(r + (1 + 3 * r) / n, 0.0), 0.97)


def slow_variance(series, count):
    """Project on each cosine by hand."""
    n = len(series)
    times = (np.arange(n) + 0.5) / n
    projections = [np.sqrt(2 / n) * np.sum(series * np.cos(np.pi * j * times)) for j in range(1, count + 1)]
    return float(np.mean(np.square(projections)))


@pytest.mark.parametrize("n", [4, 15, 60, 241])
def test_the_fast_paths_agree_with_slow_ones(n):
    series = ar1(np.random.default_rng(n), 1, n, 0.4)[0]
    assert dependence(series) == pytest.approx(slow_dependence(series), rel=1e-12)
    found = long_run_variance(series)
    counts = {round(float(found.df)), round(float(found.df) / 0.8)}  # in full where none was chosen
    assert any(found.variance == pytest.approx(slow_variance(series, count), rel=1e-10) for count in counts)


@pytest.mark.parametrize(("rho", "truth"), [(0.0, 1.0), (0.5, 3.0), (0.8, 9.0)])
def test_it_estimates_the_variance_of_root_n_times_the_mean(rho, truth):
    """For AR(1), (1 + rho) / (1 - rho); the lowest waves of a finite series fall a little short of it."""
    series = ar1(np.random.default_rng(3), 3000, 400, rho)
    assert long_run_variance(series).variance.mean() == pytest.approx(truth, rel=0.12)


def test_a_batch_gives_what_single_series_give():
    series = ar1(np.random.default_rng(5), 6, 37, 0.6).reshape(2, 3, 37)
    batch = long_run_variance(series)
    for i, j in np.ndindex(2, 3):
        single = long_run_variance(series[i, j])
        assert batch.variance[i, j] == pytest.approx(single.variance, rel=1e-12)
        assert batch.df[i, j] == single.df


def test_dependence_costs_degrees_of_freedom():
    rng = np.random.default_rng(8)
    independent, dependent = (long_run_variance(ar1(rng, 200, 60, rho)).df.mean() for rho in (0.0, 0.8))
    assert independent > 14
    assert dependent < 4


def test_constant_and_tiny_series_give_finite_numbers():
    for series in ([5.0] * 20, [1.0, 2.0], [3.0, 3.0], [1.0, 2.0, 4.0]):
        found = long_run_variance(series)
        assert np.isfinite(found.variance)
        assert found.df > 0
        assert 0 <= dependence(series) <= 0.97


@pytest.mark.parametrize(("n", "rho"), [(8, 0.0), (60, 0.0), (60, 0.5), (200, 0.9), (1000, 0.3)])
def test_degrees_of_freedom_are_those_of_the_long_run_variance(n, rho):
    assert projections(n, rho) == long_run_variance(np.random.default_rng(1).normal(size=n), rho).df

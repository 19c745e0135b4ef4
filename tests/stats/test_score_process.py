"""The recursion against nested adaptive quadrature, and against itself with finer panels and other limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats

from canaryjudge.stats import score_process
from canaryjudge.stats.score_process import START, Paths, go_on, mirrored, tail, upper_limit

reproducible = settings(derandomize=True, deadline=None, max_examples=40)


def after(times, limits, drift=0.0):
    """Paths that go on from all but the last of these looks."""
    paths = START
    for k, (low, high) in enumerate(limits):
        paths = go_on(paths, times[k], low, high, following=times[k + 1], drift=drift)
    return paths


def slow_tail(times, limits, z, drift):
    """P(low_k <= Z_k < high_k before the last look, Z >= z at it), by integrals within integrals."""

    def beyond(k, score, time):
        step, center = math.sqrt(times[k] - time), score + drift * (times[k] - time)
        if k == len(limits):
            return stats.norm.sf(z * math.sqrt(times[k]), center, step)
        low, high = (limit * math.sqrt(times[k]) for limit in limits[k])
        low, high = max(low, center - 9 * step), min(high, center + 9 * step)
        return integrate.quad(
            lambda x: stats.norm.pdf(x, center, step) * beyond(k + 1, x, times[k]),
            low,
            high,
            epsabs=1e-13,
            epsrel=1e-10,
        )[0]

    return beyond(0, 0.0, 0.0)


CASES = [
    ([0.3, 1.0], [(-np.inf, 2.5)], 2.0, 0.0),
    ([0.3, 1.0], [(-0.5, 2.5)], 2.0, 2.5),
    ([0.97, 1.0], [(-np.inf, 2.0)], 2.05, 0.0),
    ([0.2, 0.5, 1.0], [(-np.inf, 3.4), (-np.inf, 2.6)], 2.0, 0.0),
    ([0.2, 0.25, 1.0], [(-1.0, 3.0), (0.0, 2.6)], 2.0, 3.0),
    ([0.01, 0.5, 0.6], [(-np.inf, np.inf), (-2.5, 2.5)], 2.5, -1.0),
]


@pytest.mark.parametrize(("times", "limits", "z", "drift"), CASES)
def test_the_tail_is_the_integral(times, limits, z, drift):
    paths = after(times, limits, drift)
    found = math.exp(tail(paths, times[-1], z, drift)[0])
    assert_allclose(found, slow_tail(times, limits, z, drift), rtol=1e-9)


@pytest.mark.parametrize(("times", "limits", "z", "drift"), CASES)
def test_the_limit_inverts_the_tail_and_the_density_is_its_slope(times, limits, z, drift):
    paths = after(times, limits, drift)
    log_tail, log_density = tail(paths, times[-1], z, drift)
    assert upper_limit(paths, times[-1], log_tail, drift) == pytest.approx(z, abs=1e-10)
    rise = 1e-4
    slope = tail(paths, times[-1], z - rise, drift)[0] - tail(paths, times[-1], z + rise, drift)[0]
    assert slope / (2 * rise) == pytest.approx(math.exp(log_density - log_tail), rel=1e-6)


@given(log_probability=st.floats(-640, -1e-3), fraction=st.floats(0.01, 1))
@reproducible
def test_the_first_look_is_a_normal_quantile_to_the_far_tail(log_probability, fraction):
    found = upper_limit(START, fraction, log_probability)
    assert stats.norm.logsf(found) == pytest.approx(log_probability, rel=1e-9, abs=1e-12)


def test_lower_limits_are_those_of_the_mirror():
    paths = after([0.4, 1.0], [(-1.0, 2.0)], 1.0)
    lowest = -upper_limit(mirrored(paths), 1.0, math.log(0.1), -1.0)
    below = paths.mass.sum() - math.exp(tail(paths, 1.0, lowest, 1.0)[0])
    assert below == pytest.approx(0.1, rel=1e-10)


def test_where_no_paths_are_left_there_is_no_limit():
    assert upper_limit(Paths(0.5, np.zeros(1), np.zeros(1)), 1.0, -3.0) == -math.inf
    assert upper_limit(Paths(0.5, np.zeros(1), np.array([0.01])), 1.0, math.log(0.02)) == -math.inf
    stopped = go_on(START, 0.5, 1.0, 0.5, following=1.0)
    assert stopped.mass.sum() == 0


def limit_after_sixty(monkeypatch, **settings_of_the_grid):
    for name, value in settings_of_the_grid.items():
        monkeypatch.setattr(score_process, name, value)
    score_process._panel.cache_clear()
    times = np.arange(1, 62) / 61
    paths = after(times, [(-np.inf, max(2.2, 12 / math.sqrt(k + 1))) for k in range(60)])
    found = upper_limit(paths, 1.0, math.log(1e-3))
    monkeypatch.undo()
    score_process._panel.cache_clear()
    return found


def test_finer_panels_and_farther_limits_change_nothing(monkeypatch):
    found = limit_after_sixty(monkeypatch)
    assert found == pytest.approx(limit_after_sixty(monkeypatch, _PANEL_WIDTH=6.0), abs=1e-11)
    assert found == pytest.approx(limit_after_sixty(monkeypatch, _LOWEST=12.0), abs=1e-11)
    assert found == pytest.approx(limit_after_sixty(monkeypatch, _NODES=48), abs=1e-11)

"""Trends of an effect: the law of the statistic against simulation, what scaling and turning change, and times of crossings by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from simulation import ar1

from canaryjudge.stats import effect_trend
from canaryjudge.stats.effect_trend import FEWEST_TREND_BLOCKS, crossing_time, trend_test


def basis_of(n):
    """A straight line and the four powers beside it, orthonormal by Gram and Schmidt, column by column."""
    u = (np.arange(n) + 0.5) / n
    found = []
    for column in (np.ones(n), u, *((u - 0.5) ** degree for degree in range(2, 6))):
        left = np.array(column, dtype=float)
        for other in found:
            left -= (left @ other) * other
        found.append(left / np.sqrt(left @ left))
    return found[1], np.array(found[2:]).T


def test_without_dependence_the_law_is_students():
    along, waves = basis_of(15)
    at = int(np.argmin(abs(effect_trend._RHOS)))
    rho = effect_trend._RHOS[at]
    assert abs(rho) < 1e-12
    for statistic in (0.5, 2.0, 6.0):
        found = effect_trend._tails(statistic, along, waves)[at]
        assert found == pytest.approx(stats.t.sf(statistic, 4), rel=1e-6)


@pytest.mark.parametrize("place", [1, 5, 9, 12])
def test_with_dependence_it_is_that_of_simulated_series(place):
    along, waves = basis_of(12)
    rho = float(effect_trend._RHOS[place])
    runs = 40_000
    if rho < 0:
        steps, series = np.random.default_rng(place).normal(size=(runs, 112)), np.zeros((runs, 112))
        for i in range(1, 112):
            series[:, i] = rho * series[:, i - 1] + steps[:, i]
        series = series[:, 100:]
    else:
        series = ar1(np.random.default_rng(place), runs, 12, rho)
    found = (series @ along) / np.sqrt(np.square(series @ waves).mean(axis=1))
    for statistic in (1.0, 3.0):
        tail = effect_trend._tails(statistic, along, waves)[place]
        seen = int((found >= statistic).sum())
        assert stats.binomtest(seen, runs, tail).pvalue > 1e-4


blocks = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=8, max_size=24)


@given(blocks, st.floats(0.1, 100), st.floats(-5, 5), st.floats(1, 1e4))
def test_neither_unit_nor_level_nor_clock_changes_it(series, times, level, clock):
    y = np.array(series)
    at = np.arange(len(y))
    found, moved = trend_test(at, y), trend_test(1e9 + clock * at, times * y + level, np.full(len(y), 7.0))
    if np.ptp(y) < 1e-3:
        return
    assert moved.pvalue_grows == pytest.approx(found.pvalue_grows, rel=1e-4, abs=1e-7)
    assert moved.pvalue_fades == pytest.approx(found.pvalue_fades, rel=1e-4, abs=1e-7)


@given(blocks)
def test_what_grows_does_not_fade(series):
    found = trend_test(np.arange(len(series)), series)
    assert 0 <= found.pvalue_grows <= 1
    assert 0 <= found.pvalue_fades <= 1
    assert min(found.pvalue_grows, found.pvalue_fades) > 0.01 or found.pvalue_grows != found.pvalue_fades


def test_a_trend_without_noise_is_certain_and_a_constant_is_none():
    at = np.arange(12)
    assert trend_test(at, 0.01 * at).pvalue_grows == 0
    assert trend_test(at, -0.01 * at).pvalue_fades == 0
    flat = trend_test(at, np.full(12, 0.3))
    assert (flat.pvalue_grows, flat.pvalue_fades) == (1, 1)
    assert trend_test(at, np.maximum(at - 6, 0) * 1.0).grows_as == "bend"
    assert trend_test(at, np.exp(-at / 2.0)).fades_as == "decay"


def test_too_few_blocks_abstain_and_unknown_ones_do_not_count():
    at, y = np.arange(9), np.r_[0.1 * np.arange(7), np.nan, np.nan]
    assert FEWEST_TREND_BLOCKS == 8
    found = trend_test(at, y)
    assert (found.blocks, found.abstains, found.pvalue_grows) == (7, True, 1)
    with pytest.raises(ValueError, match="needs 8 blocks, found 7"):
        crossing_time(at, y, 1.0)
    with pytest.raises(ValueError, match="differ in length"):
        trend_test(at, y[1:])
    weightless = trend_test(np.arange(12), np.r_[99.0, 0.1 * np.arange(11)], np.r_[0.0, np.ones(11)])
    assert weightless.blocks == 11
    assert weightless.pvalue_grows == 0


def test_blocks_that_say_little_weigh_little():
    """Noise of the first stage, with a hundredth of the events, does not hide what the others show."""
    rng = np.random.default_rng(4)
    weights = np.r_[np.full(8, 0.01), np.ones(16)]
    y = 0.01 * np.arange(24) + rng.normal(0, 0.02, 24) / np.sqrt(weights)
    assert (
        trend_test(np.arange(24), y, weights).pvalue_grows < 0.01 < trend_test(np.arange(24), y).pvalue_grows
    )


@pytest.mark.parametrize(("slope", "limit", "at"), [(0.01, 0.5, 50.0), (0.02, 0.1, 5.0), (0.01, 0.0, 0.0)])
def test_the_crossing_of_a_line_is_that_of_the_line(slope, limit, at):
    times = 60.0 * np.arange(24)
    found = crossing_time(times, slope * np.arange(24), limit)
    assert found.at == pytest.approx(60 * at, abs=0.01)
    assert found.low - 10 <= 60 * at <= found.high + 10
    assert found.rate == pytest.approx(slope / 60)
    assert (found.start, found.end) == pytest.approx((0, 23 * slope), abs=1e-9)


def test_the_crossing_of_an_exponential_is_that_of_the_exponential():
    times = np.arange(24.0)
    found = crossing_time(times, 0.5 * np.exp(-times / 8), 0.1, curve="decay")
    assert found.at == pytest.approx(8 * np.log(5), abs=0.3)
    assert found.start == pytest.approx(0.5, rel=0.02)
    assert found.rate < 0


def test_what_goes_on_from_half_way_is_met_by_its_own_slope():
    times = np.arange(24.0)
    found = crossing_time(times, 0.02 * np.maximum(times - 11.5, 0), 0.5, curve="bend")
    assert found.at == pytest.approx(36.5, abs=0.1)


@pytest.mark.parametrize("curve", ["line", "bend", "decay"])
def test_the_interval_holds_the_estimate_and_is_open_where_nothing_speaks_against(curve):
    rng = np.random.default_rng(5)
    for _ in range(40):
        y = rng.normal(0, 0.1, 24) + (0.004 if curve != "decay" else -0.004) * np.arange(24)
        found = crossing_time(np.arange(24), y, 0.2, curve=curve)
        assert found.low <= found.high
        if np.isfinite(found.at):
            assert found.low - 0.2 <= found.at <= found.high + 0.2
    level = crossing_time(np.arange(24), rng.normal(0, 0.1, 24), 5.0, curve=curve)
    if curve != "decay":
        assert level.high == np.inf


def test_a_limit_of_0_is_never_reached_by_what_fades_toward_it():
    found = crossing_time(np.arange(12), np.exp(-np.arange(12) / 3), 0.0, curve="decay")
    assert np.isnan(found.at)
    assert found.high == np.inf

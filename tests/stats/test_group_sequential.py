"""Boundaries of planned looks: published tables, integrals, seeded simulations, and what spending promises.

Power, stopping times and futility: published designs, seeded simulations, and what a design promises.

The recursion against nested adaptive quadrature, and against itself with finer panels and other limits.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats

from canaryjudge.stats import group_sequential
from canaryjudge.stats.group_sequential import (
    START,
    Boundaries,
    Paths,
    _futility,
    apart,
    boundaries,
    design,
    go_on,
    mirrored,
    operation,
    repeated_pvalue,
    spent,
    tail,
    upper_limit,
)

SPENDINGS = [
    "obrien_fleming",
    "pocock",
    "power",
]
spendings = st.sampled_from(SPENDINGS)
levels = st.floats(math.log(1e-9), math.log(0.4)).map(math.exp)
looks = st.lists(st.integers(1, 200), min_size=1, max_size=7, unique=True).map(
    lambda times: np.sort(times) / 200.0
)
FIFTHS = np.arange(1, 6) / 5


# Lan-DeMets spending, one-sided .025: gsDesign's port, r = 40
PUBLISHED = [
    ("obrien_fleming", FIFTHS, [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
]


@pytest.mark.parametrize(("spending", "fractions", "z"), PUBLISHED)
def test_boundaries_are_those_published(spending, fractions, z):
    found = boundaries(fractions, 0.025, spending)
    assert_allclose(found.z, z, atol=5e-5)
    assert_allclose(found.nominal, stats.norm.sf(found.z), rtol=1e-12)
    assert_array_equal(found.fractions, fractions)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.0005, 1e-9])
@pytest.mark.parametrize("spending", SPENDINGS)
def test_the_second_look_spends_what_is_left_by_an_integral(level, spending):
    t = np.array([0.6, 0.9])
    found, step = boundaries(t, level, spending), math.sqrt(0.3)
    second, _ = integrate.quad(
        lambda z: (
            stats.norm.pdf(z) * stats.norm.sf((found.z[1] * math.sqrt(0.9) - z * math.sqrt(0.6)) / step)
        ),
        -8,
        found.z[0],
        epsabs=0,
        epsrel=1e-11,
    )
    share = spent(t, level, spending)
    assert_allclose([stats.norm.sf(found.z[0]), second], [share[0], share[1] - share[0]], rtol=1e-8)


@pytest.mark.parametrize("spending", SPENDINGS)
def test_a_healthy_run_finds_something_exactly_as_often_as_spent(spending):
    """20,000 Brownian motions; between the 1e-6 quantiles of the binomial distribution at every look."""
    t, runs = np.array([0.02, 0.1, 0.11, 0.3, 0.5, 0.52, 0.7, 0.85, 0.99, 1.0]), 20_000
    rng = np.random.default_rng(11)
    score = np.cumsum(rng.normal(size=(runs, t.size)) * np.sqrt(np.diff(t, prepend=0)), axis=1)
    plan = boundaries(t, 0.2, spending)
    found = (np.logical_or.accumulate(score / np.sqrt(t) >= plan.z, axis=1)).sum(axis=0)
    assert (found <= stats.binom.ppf(1 - 1e-6, runs, plan.spent)).all()
    assert (found >= stats.binom.ppf(1e-6, runs, plan.spent)).all()


@given(t=looks, level=levels, spending=spendings)
def test_spending_rises_to_the_level(t, level, spending):
    found = spent(np.concatenate([[0.0], t, [1.0]]), level, spending)
    assert found[0] == 0
    assert found[-1] == pytest.approx(level, rel=1e-12)
    assert (np.diff(found) >= 0).all()
    assert (spent(t, level / 2, spending) <= found[1:-1]).all()


@given(t=looks, level=levels, spending=spendings)
def test_a_later_look_changes_no_earlier_boundary(t, level, spending):
    whole = boundaries(t, level, spending)
    for count in range(1, t.size):
        assert_array_equal(boundaries(t[:count], level, spending).z, whole.z[:count])
    assert_allclose(whole.spent, spent(t, level, spending), rtol=1e-12, atol=1e-280)


@given(t=looks, level=levels, factor=st.floats(0.1, 0.99), spending=spendings)
def test_a_smaller_level_has_higher_boundaries(t, level, factor, spending):
    with np.errstate(invalid="ignore"):
        rise = boundaries(t, level * factor, spending).z - boundaries(t, level, spending).z
    assert (np.nan_to_num(rise, nan=1.0) > 0).all()  # inf - inf: neither level finds anything there


def test_spending_by_formula():
    """At t = 1/4 and level .04, by hand: 2 - 2 Phi(2 z_.02), and .04 ln(1 + (e - 1) / 4)."""
    assert spent(0.25, 0.04) == pytest.approx(2 * stats.norm.sf(2 * stats.norm.isf(0.02)), rel=1e-12)
    assert spent(0.5, 0.04, "power") == pytest.approx(0.04 / 256, rel=1e-12)
    assert spent(0.25, 0.04, "pocock") == pytest.approx(0.04 * math.log(1 + (math.e - 1) / 4), rel=1e-12)


def test_a_tiny_level_leaves_early_looks_without_a_boundary():
    plan = boundaries(np.arange(1, 61) / 60, 1e-9)
    assert plan.z[0] == np.inf
    assert plan.nominal[0] == plan.spent[0] == 0
    assert (np.diff(plan.z[1:]) < 0).all()
    assert plan.z[-1] == pytest.approx(6.047358, abs=1e-6)
    assert plan.spent[-1] == pytest.approx(1e-9, rel=1e-12)


def test_what_an_early_look_cannot_spend_a_later_one_does():
    assert boundaries([1e-12, 1.0], 0.025).z[1] == pytest.approx(1.959963984540054, rel=1e-12)


@pytest.mark.parametrize("gap", [1e-15, 1e-7, 1e-4])
@pytest.mark.parametrize("spending", SPENDINGS)
def test_looks_next_to_each_other_spend_no_more_than_theirs(gap, spending):
    t = np.array([0.5, 0.5 + gap, 1.0])
    plan, step = boundaries(t, 0.025, spending), math.sqrt(gap)

    def crossing(y):
        """Of paths that end y standard deviations of the step below the first boundary."""
        score = plan.z[0] * math.sqrt(0.5) - y * step
        needed = plan.z[1] * math.sqrt(t[1]) - score
        return stats.norm.pdf(score / math.sqrt(0.5)) / math.sqrt(0.5) * stats.norm.sf(needed / step)

    second = step * integrate.quad(crossing, 0, 40)[0]
    assert second <= plan.spent[1] - plan.spent[0]
    assert np.isfinite(plan.z).all()
    alone = boundaries([0.5, 1.0], 0.025, spending).z[1]
    assert plan.z[2] == pytest.approx(alone, abs=2e-4)


def test_only_close_looks_are_moved_apart():
    assert_allclose(apart(FIFTHS), FIFTHS, rtol=1e-15)
    assert_allclose(np.diff(np.log(apart(np.array([0.1, 0.1 + 1e-12, 0.3])))), np.log([1.0004, 3]), rtol=1e-9)


@given(t=looks, data=st.data(), level=levels, spending=spendings)
def test_the_repeated_pvalue_is_at_most_the_level_exactly_where_a_look_found_something(
    t, data, level, spending
):
    z = np.array(data.draw(st.lists(st.floats(-2, 7), min_size=t.size, max_size=t.size)))
    pvalue, limits = repeated_pvalue(z, t, spending), boundaries(t, level, spending).z
    if abs(pvalue / level - 1) > 1e-8:
        assert (pvalue <= level) == (z >= limits).any()


@given(t=looks, data=st.data(), spending=spendings)
def test_the_repeated_pvalue_never_rises(t, data, spending):
    z = np.array(data.draw(st.lists(st.floats(-2, 5), min_size=t.size, max_size=t.size)))
    pvalues = [repeated_pvalue(z[:count], t[:count], spending) for count in range(1, t.size + 1)]
    for before, now in pairwise(pvalues):
        assert now <= before * (1 + 1e-9)
    assert repeated_pvalue(z + 0.1, t, spending) <= pvalues[-1]
    assert pvalues[0] >= stats.norm.sf(z[0]) * (1 - 1e-9)


def test_repeated_pvalues_at_the_ends():
    assert repeated_pvalue([2.0], [1.0]) == pytest.approx(stats.norm.sf(2.0), rel=1e-9)
    assert repeated_pvalue([-np.inf, 2.0], [0.5, 1.0], "pocock") > stats.norm.sf(2.0)
    assert repeated_pvalue([-np.inf, -np.inf], [0.5, 1.0]) == 1
    assert repeated_pvalue([-0.5], [1.0]) == 1
    assert repeated_pvalue([np.inf], [1.0]) == pytest.approx(stats.norm.sf(35), rel=1e-6)
    assert repeated_pvalue([9.0, 1.0], [0.3, 0.5]) == pytest.approx(repeated_pvalue([9.0], [0.3]), rel=1e-8)
    assert repeated_pvalue([2.0, -np.inf], [0.5, 1.0]) == repeated_pvalue([2.0], [0.5])


WRONG = [
    (lambda: spent(1.1, 0.05), "fractions must lie between 0 and 1"),
    (lambda: spent(np.nan, 0.05), "fractions must lie between 0 and 1"),
    (lambda: spent(0.5, [0.05, 0]), "level must lie between 0 and 1"),
    (lambda: spent(0.5, 0.05, "haybittle"), "no spending named 'haybittle'"),
    (lambda: boundaries([0.5, 0.5], 0.05), "fractions must increase"),
    (lambda: boundaries([0.0, 0.5], 0.05), "fractions must increase, from more than 0"),
    (lambda: boundaries([0.5, 1.01], 0.05), "to at most 1"),
    (lambda: boundaries([0.5, np.nan], 0.05), "fractions must increase"),
    (lambda: boundaries([], 0.05), "one or more numbers"),
    (lambda: boundaries(0.5, 0.05), "one or more numbers"),
    (lambda: boundaries([0.5], 1.0), "level must lie between 0 and 1"),
    (
        lambda: repeated_pvalue([1.0], [0.5, 1.0]),
        r"2 information fractions do not fit statistics of shape \(1,\)",
    ),
    (lambda: repeated_pvalue([np.nan], [0.5]), "a statistic is not a number"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


FIXED = stats.norm.isf(0.025) + stats.norm.isf(0.1)


@pytest.mark.parametrize(
    ("drift", "power", "fraction"),
    [(2, 0.5048437161, 0.9068975863), (3, 0.8424420831, 0.7808645561), (4, 0.9771995091, 0.6454063222)],
)
def test_power_and_expected_fraction_are_those_of_rpact(drift, power, fraction):
    """As sequential-analysis 0.4.0 gives them, which its authors compared with rpact."""
    found = operation(boundaries(FIFTHS, 0.025), drift)
    assert_allclose([found.power, found.expected_fraction], [power, fraction], rtol=1e-6)


def test_the_design_is_that_of_gsdesign(monkeypatch):
    """R's gsDesign() with its default arguments, which spend by Hwang, Shih and DeCani, prints these bounds and sample size ratios."""

    def hwang_shih_decani(fractions, level, spending):
        gamma = {"obrien_fleming": -4, "pocock": -2}[spending]
        return level * np.expm1(-gamma * np.asarray(fractions)) / np.expm1(-gamma)

    for module in (group_sequential, group_sequential):
        monkeypatch.setattr(module, "spent", hwang_shih_decani)
    found = design([1 / 3, 2 / 3, 1], 0.025, 0.9, spending="obrien_fleming", futility="pocock")
    assert_allclose(found.futility, [-0.24, 0.94, 2.00], atol=0.005)
    assert_allclose(found.boundaries.z, [3.01, 2.55, 2.00], atol=0.005)
    assert_allclose((found.drift / FIXED) ** 2 * np.array([1, 2, 3]) / 3, [0.357, 0.713, 1.070], atol=5e-4)
    assert_allclose(found.operation.given_up, [0.0148, 0.0289, 0.0563], atol=5e-5)


@pytest.mark.parametrize("drift", [0.0, 3.3])
def test_simulated_runs_stop_as_computed(drift):
    runs, rng = 20_000, np.random.default_rng(5)
    plan = design(FIFTHS, 0.05, 0.8, spending="pocock")
    z = (np.cumsum(rng.normal(size=(runs, 5)) / np.sqrt(5), axis=1) + drift * FIFTHS) / np.sqrt(FIFTHS)
    expected = operation(plan.boundaries, drift, plan.futility)
    found, given_up = z >= plan.boundaries.z, z < plan.futility
    first = np.argmax(found | given_up, axis=1)
    for stopped, chances in ((found, expected.found), (given_up, expected.given_up)):
        counts = np.bincount(first[stopped[np.arange(runs), first]], minlength=5)
        assert (counts <= stats.binom.ppf(1 - 1e-6, runs, chances)).all()
        assert (counts >= stats.binom.ppf(1e-6, runs, chances)).all()
    deviation = FIFTHS[first].std() / np.sqrt(runs)
    assert expected.expected_fraction == pytest.approx(FIFTHS[first].mean(), abs=5 * deviation)


@given(
    looks=st.integers(1, 6),
    level=st.floats(1e-6, 0.2),
    power=st.floats(0.3, 0.99),
    spending=st.sampled_from(["obrien_fleming", "pocock"]),
    futility=st.sampled_from(["obrien_fleming", "pocock", None]),
)
def test_a_design_keeps_its_promises(looks, level, power, spending, futility):
    fractions = np.arange(1, looks + 1) / looks
    found = design(fractions, level, power, spending=spending, futility=futility)
    assert found.operation.power == pytest.approx(power, rel=1e-8)
    assert found.operation.given_up.sum() == pytest.approx(1 - power, rel=1e-7)
    assert found.futility[-1] == found.boundaries.z[-1]
    assert (found.futility <= found.boundaries.z).all()
    assert found.drift >= stats.norm.isf(level) + stats.norm.ppf(power) - 1e-8
    # nobody has to keep to the futility stops
    unstopped = operation(found.boundaries, 0.0)
    assert unstopped.power == pytest.approx(level, rel=1e-9)
    assert operation(found.boundaries, 0.0, found.futility).power <= level * (1 + 1e-9)
    assert operation(found.boundaries, found.drift).power >= power * (1 - 1e-9)


def test_more_drift_finds_more_and_earlier():
    plan = boundaries(FIFTHS, 0.025)
    found = [operation(plan, drift) for drift in np.linspace(-60, 60, 61)]
    assert (np.diff([each.power for each in found]) >= -1e-12).all()
    assert (np.diff([each.expected_fraction for each in found]) <= 1e-12).all()
    assert found[0].power == pytest.approx(0, abs=1e-12)
    assert found[-1].power == pytest.approx(1, abs=1e-12)
    assert found[-1].expected_fraction == pytest.approx(0.2, abs=1e-9)


def test_futility_is_never_beyond_the_other_boundary():
    """Where the drift is so large that fewer paths are left than are to be given up."""
    plan = boundaries(FIFTHS, 0.025, "pocock")
    lower = _futility(plan, 12.0, 0.2, "pocock")
    assert (lower <= plan.z).all()
    assert (lower == plan.z).sum() > 1
    assert operation(plan, 12.0, lower).given_up.sum() < 0.2


def test_looks_without_a_boundary_find_nothing():
    fractions = np.array([0.5, 1.0])
    plan = Boundaries(fractions, np.array([np.inf, 1.0]), np.zeros(2), np.zeros(2))
    assert_allclose(operation(plan, 1.0).found, [0, 0.5], rtol=1e-9)


WRONG_DESIGNS = [
    (lambda: design([0.5, 0.9], 0.05, 0.8), "last look of a design must be at information fraction 1"),
    (lambda: design(FIFTHS, 0.05, 0.05), "power must lie between the level and 1, but is 0.05"),
    (lambda: design(FIFTHS, 0.05, 1.0), "power must lie between the level and 1, but is 1"),
    (lambda: design(FIFTHS, 1.05, 0.9), "level must lie between 0 and 1"),
    (lambda: operation(boundaries(FIFTHS, 0.05), 61), "drift must lie between -60 and 60, but is 61"),
    (lambda: operation(boundaries(FIFTHS, 0.05), np.nan), "drift must lie between -60 and 60"),
    (lambda: operation(boundaries(FIFTHS, 0.05), 1, [0.0]), r"shape \(1,\) do not fit 5 looks"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG_DESIGNS)
def test_impossible_designs_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


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
        monkeypatch.setattr(group_sequential, name, value)
    group_sequential._panel.cache_clear()
    times = np.arange(1, 62) / 61
    paths = after(times, [(-np.inf, max(2.2, 12 / math.sqrt(k + 1))) for k in range(60)])
    found = upper_limit(paths, 1.0, math.log(1e-3))
    monkeypatch.undo()
    group_sequential._panel.cache_clear()
    return found


def test_finer_panels_and_farther_limits_change_nothing(monkeypatch):
    found = limit_after_sixty(monkeypatch)
    assert found == pytest.approx(limit_after_sixty(monkeypatch, _PANEL_WIDTH=6.0), abs=1e-11)
    assert found == pytest.approx(limit_after_sixty(monkeypatch, _LOWEST=12.0), abs=1e-11)
    assert found == pytest.approx(limit_after_sixty(monkeypatch, _NODES=48), abs=1e-11)

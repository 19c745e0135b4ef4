"""Arms on one clock: the law of a dependent mean against other ways to it, and what the test must not depend on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import ar1

from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.paired_shift import (
    dependent_mean_critical,
    dependent_mean_tail,
    mean_tail,
    over_replicas,
    paired_test,
    replica_spread,
)

EFFECTS = ("ratio", "relative", "difference")
SIZES = (4, 9, 10, 19, 20, 61)


def arms(rows, n, seed=0, spread=0.05):
    rng = np.random.default_rng(seed)
    load = 100 * np.exp(0.3 * ar1(rng, rows, n, 0.8))
    return load * np.exp(spread * ar1(rng, rows, n, 0.4)), 1.15 * load * np.exp(
        spread * ar1(rng, rows, n, 0.4)
    )


def bits(found, row=...):
    return {name: getattr(found, name)[row] for name in type(found).__slots__}


# --- the law


@pytest.mark.parametrize(("n", "t"), [(4, 2.0), (10, 3.0), (20, 6.0)])
def test_without_dependence_it_is_students(n, t):
    assert_allclose(mean_tail(t, n, n - 1, 0.0), stats.t.sf(t, n - 1), rtol=1e-9)
    assert_allclose(mean_tail(t, 60, 8, 0.0), stats.t.sf(t, 8), rtol=1e-9)


def test_the_tail_of_two_points_is_that_of_a_ratio_of_normals():
    """Their mean and difference are independent with variances (1 + rho) / 2 and 2 (1 - rho), so that the ratio is a Cauchy variable."""
    rho, c = 0.6, 3.0
    scaled = c * np.sqrt((1 - rho) / (1 + rho))
    assert_allclose(mean_tail(c, 2, 1, rho), stats.cauchy.sf(scaled), rtol=1e-9)


@pytest.mark.parametrize(
    ("n", "waves", "rho", "c"), [(6, 5, 0.9, 9.0), (15, 14, 0.5, 4.0), (40, 8, 0.8, 5.0)]
)
def test_the_tail_is_that_of_a_simulation(n, waves, rho, c):
    runs = 100_000
    series = ar1(np.random.default_rng(1), runs, n, rho)
    times = np.arange(n) + 0.5
    power = sum(
        np.square((series * np.cos(np.pi * j * times / n)).sum(axis=1)) * 2 / n for j in range(1, waves + 1)
    )
    beyond = int((np.abs(series.mean(axis=1)) * np.sqrt(n) > c * np.sqrt(power / waves)).sum())
    assert stats.binomtest(beyond, runs, 2 * float(mean_tail(c, n, waves, rho))).pvalue > 1e-4


def test_the_tail_is_that_of_imhofs_integral():
    """Imhof (1961) inverts the characteristic function of the same quadratic form."""
    n, rho, c = 12, 0.7, 4.0
    covariance = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    center = np.eye(n) - 1 / n
    form = np.full((n, n), 1 / n) - c**2 * center / (n - 1)
    eigen = np.linalg.eigvals(covariance @ form).real

    def integrand(u):
        angle = 0.5 * np.arctan(eigen * u).sum()
        return np.sin(angle) / (u * np.prod((1 + (eigen * u) ** 2) ** 0.25))

    from scipy.integrate import quad

    two_sided = (
        0.5 + sum(quad(integrand, a, b, limit=400)[0] for a, b in ((0, 1), (1, 50), (50, np.inf))) / np.pi
    )
    assert_allclose(2 * mean_tail(c, n, n - 1, rho), two_sided, rtol=1e-5)


@pytest.mark.parametrize(
    ("n", "rho", "values"),
    [
        (10, 0.5, (1.66, 2.37, 3.28)),
        (15, 0.5, (1.25, 1.71, 2.23)),
        (4, 0.9, (11.7, 22.8, 45.8)),
        (9, 0.9, (5.7, 8.4, 12.1)),
    ],
)
def test_critical_values_that_were_simulated_before_are_met(n, rho, values):
    """Mean over standard deviation at 1, .16 and .02 %, from two million series each."""
    tails = mean_tail(np.array(values) * np.sqrt(n), n, n - 1, rho)
    assert_allclose(tails, [0.01, 0.0016, 0.0002], rtol=0.08)


@pytest.mark.parametrize("n", [10, 15, 19])
@pytest.mark.parametrize("rho", [-0.3, 0.0, 0.5])
def test_pvalues_of_few_points_are_that_law_about_a_half(n, rho):
    """Integrated over what may be behind the dependence that is shown, which is taken a class too strong at most."""
    series = np.random.default_rng(1).normal(size=n)
    for i in range(1, n):
        series[i] += rho * series[i - 1]
    series -= series.mean() - 0.8
    found = paired_test(np.zeros(n), series, [0.0], effect="difference")
    t = series.mean() / series.std(ddof=1) * np.sqrt(n)
    shown = np.arctanh(dependence(series, signed=True))

    def integrated(shown):
        strengths = np.linspace(0, 2, 201)
        weights = np.exp(-(((strengths - 0.375 - 1.05 / n - 0.19 * shown) / 0.13) ** 2) / 2)
        tails = [float(mean_tail(t, n, n - 1, np.tanh(strength))) for strength in strengths]
        return np.average(tails, weights=weights)

    assert integrated(shown) * 0.999 <= found.pvalue_greater[0] <= integrated(shown + 0.1) * 1.001


@pytest.mark.parametrize("n", [10, 13, 19])
def test_the_wary_hold_few_points_that_lie_below_against_a_strong_dependence(n):
    baseline, canary = arms(6, n)
    keys = {"limits": [0.3, 0.1], "effect": "difference", "levels": [0.01, 0.05]}
    usual, wary = (
        paired_test(baseline, baseline + canary / 500, **keys, wary=wary) for wary in (False, True)
    )
    assert_array_equal(usual.low, wary.low)
    assert_array_equal(usual.pvalue_greater, wary.pvalue_greater)
    below = usual.estimate < 0.3
    assert below.any()
    change = canary[below] / 500
    statistic = (0.3 - change.mean(axis=1)) / change.std(axis=1, ddof=1) * np.sqrt(n)
    assert_allclose(wary.pvalue_less[below, 0], mean_tail(statistic, n, n - 1, 0.77), rtol=1e-3, atol=1e-9)
    assert ((wary.high[:, 0, 1] <= 0.3) == (wary.pvalue_less[:, 0] <= 0.05)).all()
    assert (wary.high >= usual.high).all()


def test_the_wary_take_twenty_points_for_what_they_show():
    usual, wary = (paired_test(*arms(3, 20), [0.1, 0.3], wary=wary) for wary in (False, True))
    assert_array_equal(usual.high, wary.high)
    assert_array_equal(usual.pvalue_less, wary.pvalue_less)


@pytest.mark.parametrize("n", [12, 40])
def test_a_dependence_that_is_known_has_its_own_law(n):
    waves = n - 1 if n < 20 else 8
    tail = dependent_mean_tail([4.0], n, np.tanh(0.6 - 1e-9), known=True)
    assert_allclose(tail, mean_tail([4.0], n, waves, np.tanh(0.6)), rtol=1e-4)
    critical = dependent_mean_critical([0.01], n, np.tanh(0.6 - 1e-9), known=True)
    assert_allclose(mean_tail(critical, n, waves, np.tanh(0.6)), [0.01], rtol=1e-3)


def test_more_dependence_makes_more_of_the_same_mean_chance():
    tails = [float(mean_tail(5.0, 30, 8, rho)) for rho in (0.0, 0.3, 0.6, 0.9, 0.97)]
    assert tails == sorted(tails)


# --- estimates


@pytest.mark.parametrize("n", [15, 60])
def test_what_both_arms_feel_cancels(n):
    rng = np.random.default_rng(2)
    load = 100 * np.exp(np.cumsum(rng.normal(0, 0.3, n)))
    noise = np.exp(rng.normal(0, 0.01, (2, n)))
    for effect, truth in (("ratio", np.log(1.3)), ("relative", 0.3)):
        found = paired_test(load * noise[0], 1.3 * load * noise[1], [0.9 * truth], effect=effect)
        assert found.estimate == pytest.approx(truth, rel=0.05)
        assert found.pvalue_greater[0] < 0.01


def test_a_spike_is_drawn_in():
    rng = np.random.default_rng(3)
    baseline, canary = np.exp(rng.normal(0, 0.02, (2, 60)))
    canary[30] *= 1000
    for effect in EFFECTS:
        assert abs(paired_test(baseline, canary, [0.0], effect=effect).estimate) < 0.02


def test_a_stray_zero_does_not_change_the_effect():
    rng = np.random.default_rng(4)
    baseline, canary = np.exp(rng.normal(0, 0.02, (2, 60)))
    canary[7], baseline[9], baseline[11], canary[11] = 0, 0, 0, 0
    found = paired_test(baseline, canary, [0.1])
    assert abs(found.estimate) < 0.02
    assert found.pvalue_less[0] < 0.001


def test_a_relative_effect_of_values_below_zero_is_a_share_of_their_size():
    """Where smaller is worse both arms come with their signs turned."""
    baseline, canary = arms(1, 40)
    there = paired_test(baseline, canary, [0.1, -0.2], effect="relative")
    turned = paired_test(-baseline, -canary, [-0.1, 0.2], effect="relative")
    assert_allclose(turned.estimate, -there.estimate, rtol=1e-9)
    assert_allclose(turned.pvalue_less, there.pvalue_greater, rtol=1e-9)


def test_pods_of_which_one_arm_has_more_are_not_biased():
    rng = np.random.default_rng(5)
    baseline, canary = np.exp(0.3 * rng.normal(size=(400, 10))), np.exp(0.3 * rng.normal(size=(400, 1)))
    found = paired_test(over_replicas(baseline, "ratio"), over_replicas(canary, "ratio"), [0.0])
    assert abs(found.estimate) < 0.03
    arithmetic = paired_test(baseline.mean(axis=1), canary[:, 0], [0.0])
    assert arithmetic.estimate == pytest.approx(-0.04, abs=0.03)


def test_pairs_of_replicas_are_all_pairs():
    rng = np.random.default_rng(6)
    baseline, canary = np.exp(rng.normal(size=(30, 3))), np.exp(rng.normal(size=(30, 2)))
    every = np.mean([np.log(canary[:, j] / baseline[:, i]) for i in range(3) for j in range(2)], axis=0)
    together = np.log(over_replicas(canary, "ratio") / over_replicas(baseline, "ratio"))
    assert_allclose(together, every)


def test_the_spread_of_replicas_is_pooled_over_arms():
    rng = np.random.default_rng(7)
    baseline, canary = rng.normal(50, 5, (4, 6)), rng.normal(60, 5, (4, 2))
    spread, df = replica_spread(baseline, canary, "difference")
    found = stats.ttest_ind(canary.mean(axis=0), baseline.mean(axis=0))
    assert df == 6
    assert_allclose((canary.mean() - baseline.mean()) / spread, found.statistic)
    with pytest.raises(ValueError, match="three replicas"):
        replica_spread(baseline[:, :1], canary[:, :1], "ratio")


# --- bounds, p-values, lasting noise


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("lasting", [0.0, 0.03])
def test_bounds_and_pvalues_say_the_same(effect, n, lasting):
    baseline, canary = arms(200, n, seed=n)
    if effect == "difference":
        lasting *= 100
    limits = np.array([0.0, 0.1, 0.2]) * (100 if effect == "difference" else 1)
    levels = [0.0002, 0.01, 0.05, 0.2]
    found = paired_test(
        baseline, canary, limits, effect=effect, levels=levels, lasting=lasting, lasting_df=20
    )
    for number, level in enumerate(levels):
        low, high = found.low[..., number], found.high[..., number]
        clear = np.abs(found.pvalue_greater / level - 1) > 1e-3
        assert_array_equal((found.pvalue_greater < level)[clear], (low > limits)[clear])
        clear = np.abs(found.pvalue_less / level - 1) > 1e-3
        assert_array_equal((found.pvalue_less < level)[clear], (high < limits)[clear])


@given(st.floats(0, 1), st.floats(1, 1000), st.sampled_from(SIZES))
def test_lasting_noise_never_makes_anything_surer(lasting, df, n):
    baseline, canary = arms(3, n)
    without = paired_test(baseline, canary, [0.1, 0.3])
    found = paired_test(baseline, canary, [0.1, 0.3], lasting=lasting, lasting_df=df)
    for name in ("pvalue_greater", "pvalue_less"):
        before, after = getattr(without, name), getattr(found, name)
        assert (np.where(before < 0.5, after, 0.5) >= np.where(before < 0.5, before, 0.5) * (1 - 1e-6)).all()
    assert (found.low <= without.low).all()
    assert (found.high >= without.high).all()


def test_points_that_do_not_scatter_leave_the_lasting_noise_alone():
    baseline, canary = np.full(30, 2.0), np.full(30, 2.0 * np.exp(0.2))
    found = paired_test(baseline, canary, [0.1], lasting=0.05, lasting_df=7.0, levels=[0.01])
    assert_allclose(found.pvalue_greater, [stats.t.sf(2.0, 7)], rtol=1e-6)
    assert_allclose(found.low[0], 0.2 - 0.05 * stats.t.isf(0.01, 7), rtol=1e-6)


def test_both_noises_are_joined_by_welch_and_satterthwaite():
    rng = np.random.default_rng(8)
    change = rng.normal(0.1, 0.05, 12)
    arms_, keys = (np.zeros(12), change, [0.0]), {"effect": "difference", "levels": [0.01]}
    found = paired_test(*arms_, **keys, lasting=0.02, lasting_df=9)
    own = change.mean() - paired_test(*arms_, **keys).low[0, 0]
    student = own / stats.t.isf(0.01, 11)
    together = np.hypot(student, 0.02)
    df = together**4 / (student**4 / 11 + 0.02**4 / 9)
    assert_allclose(change.mean() - found.low[0, 0], stats.t.isf(0.01, df) * together, rtol=1e-9)
    # a spread that is hardly any does not narrow the interval, however well it is known
    slight = change.mean() - paired_test(*arms_, **keys, lasting=1e-6).low[0, 0]
    assert slight >= own * (1 - 1e-12)
    assert_allclose(slight, own, rtol=1e-6)


# --- what it may not depend on


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("n", SIZES)
def test_a_row_has_the_same_bits_alone_and_in_company(effect, n):
    baseline, canary = arms(33, n)
    limits = np.linspace(0, 0.2, 66).reshape(33, 2)
    lasting = np.linspace(0, 0.05, 33)[:, None]
    together = paired_test(baseline, canary, limits, effect=effect, lasting=lasting, lasting_df=12)
    for row in (0, 7, 32):
        alone = paired_test(
            baseline[row], canary[row], limits[row], effect=effect, lasting=lasting[row], lasting_df=12
        )
        for name, value in bits(alone).items():
            assert_array_equal(bits(together, row)[name], value, err_msg=name)


@given(st.floats(-20, 20), st.sampled_from(SIZES), st.sampled_from(("ratio", "relative")))
def test_units_do_not_matter(log_unit, n, effect):
    baseline, canary = arms(4, n)
    unit = np.exp(log_unit)
    found = paired_test(baseline, canary, [0.05, 0.1], effect=effect)
    scaled = paired_test(unit * baseline, unit * canary, [0.05, 0.1], effect=effect)
    for name, value in bits(found).items():
        assert_allclose(bits(scaled)[name], value, rtol=1e-6, atol=1e-9, err_msg=name)
    apart = paired_test(unit * baseline, unit * canary, [5 * unit], effect="difference")
    assert_allclose(apart.estimate, unit * paired_test(baseline, canary, [5.0], effect="difference").estimate)


@given(st.integers(10, 50), st.sampled_from(("ratio", "difference")), st.integers(0, 1000))
def test_arms_that_change_places_turn_the_sign(n, effect, seed):
    baseline, canary = arms(1, n, seed)
    limits = np.array([0.02, 0.1]) * (100 if effect == "difference" else 1)
    there, back = (
        paired_test(baseline, canary, limits, effect=effect),
        paired_test(canary, baseline, -limits, effect=effect),
    )
    assert_allclose(there.estimate, -back.estimate, atol=1e-9)
    assert_allclose(there.pvalue_less, back.pvalue_greater, rtol=1e-6)
    assert_allclose(there.high, -back.low, rtol=1e-6)


# --- few points, strong dependence


def test_success_that_falls_to_nothing_is_gross_from_the_fourth_point():
    success = np.array([0.99, 0.995, 0.99, 1.0])
    found = paired_test(-success, np.zeros(4), [0.1], effect="relative", levels=[0.0016])
    assert found.pvalue_greater[0] < 0.0016
    assert found.low[0, 0] > 0.1
    assert found.abstains
    assert found.pvalue_less[0] == 1


def test_few_points_do_not_fail_small_or_scattered_harm():
    noise = np.array([1.0, 1.02, 0.99, 1.01, 1.0])
    assert paired_test(noise, 1.15 * noise[::-1], [np.log(1.1)]).pvalue_greater[0] == 1
    assert paired_test(noise, noise * [9, 9, 1, 9, 9], [np.log(1.1)]).pvalue_greater[0] == 1


def test_a_memory_that_steps_up_by_half_and_stays_is_found():
    rng = np.random.default_rng(9)
    noise = np.exp(0.01 * ar1(rng, 200, 60, 0.8))
    found = paired_test(noise[:100], 1.5 * noise[100:], [np.log(1.1)])
    assert (found.pvalue_greater[:, 0] < 0.0002).all()


def test_it_abstains_from_series_that_wander():
    walk = np.exp(0.02 * np.cumsum(np.random.default_rng(10).normal(size=(200, 240)), axis=1))
    found = paired_test(np.ones_like(walk), walk, [0.1])
    assert found.abstains.mean() > 0.9
    assert (found.pvalue_less[found.abstains] == 1).all()
    assert np.isinf(found.high[found.abstains]).all()


def test_constant_arms_leave_no_doubt():
    found = paired_test(np.full(30, 5.0), np.full(30, 6.0), [0.1, 1.0], effect="difference")
    assert_allclose(found.pvalue_greater, [0, 0.5])
    same = paired_test(np.full(30, 5.0), np.full(30, 5.0), [0.1], effect="difference")
    assert_allclose([same.pvalue_greater[0], same.pvalue_less[0]], [1, 0])


@pytest.mark.parametrize(
    ("baseline", "canary", "effect", "words"),
    [
        ([1.0] * 3, [1.0] * 3, "ratio", "4 times"),
        ([1.0] * 5, [1.0] * 6, "ratio", "same"),
        ([-1.0] * 5, [1.0] * 5, "ratio", "negative"),
    ],
)
def test_what_cannot_be_compared_is_refused(baseline, canary, effect, words):
    with pytest.raises(ValueError, match=words):
        paired_test(baseline, canary, [0.0], effect=effect)

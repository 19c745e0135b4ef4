import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulation import ar1

from canaryjudge.stats.rank_test import placements, shift_test

# R: x <- c(.80,.83,1.89,1.04,1.45,1.38,1.91,1.64,.73,1.46); y <- c(1.15,.88,.90,.74,1.21)  (Hollander & Wolfe 1973, p. 69)
PERMEABILITY_TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
PERMEABILITY_EARLY = [1.15, 0.88, 0.90, 0.74, 1.21]


def test_the_exact_test_agrees_with_r():
    """R: wilcox.test(x, y, alternative="g", conf.int=TRUE, conf.level=.95): W = 35, p-value = 0.1272, estimate .305.

    R: wilcox.test(x, y, conf.int=TRUE)$conf.int is -0.15 0.76.
    """
    test = shift_test(PERMEABILITY_EARLY, PERMEABILITY_TERM, [0.0], levels=[0.025], method="exact")
    assert test.method == "exact"
    assert test.statistic[0] == 35
    assert test.pvalue_greater[0] == pytest.approx(0.1272061, abs=1e-7)
    assert test.estimate == pytest.approx(0.305)
    assert test.low[0, 0] == pytest.approx(-0.15)
    assert test.high[0, 0] == pytest.approx(0.76)


def test_the_asymptotic_test_agrees_with_r():
    """R: wilcox.test(x, y, alternative="greater", exact=FALSE, correct=FALSE)$p.value is 0.1103357."""
    test = shift_test(PERMEABILITY_EARLY, PERMEABILITY_TERM, [0.0], method="asymptotic")
    assert test.pvalue_greater[0] == pytest.approx(0.1103357, abs=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_the_exact_test_agrees_with_scipy_at_any_limit(seed):
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(seed)
    baseline, canary = rng.normal(size=7 + seed), rng.normal(0.7, 1, size=9)
    test = shift_test(baseline, canary, [0.3], method="exact")
    assert test.pvalue_greater[0] == pytest.approx(
        mannwhitneyu(canary - 0.3, baseline, alternative="greater", method="exact").pvalue
    )
    assert test.pvalue_less[0] == pytest.approx(
        mannwhitneyu(canary - 0.3, baseline, alternative="less", method="exact").pvalue
    )
    assert test.probability_greater == pytest.approx(np.mean(canary[:, None] > baseline))


def test_the_exact_test_falls_back_where_there_are_ties():
    assert shift_test([1.0, 1.0, 2.0], [2.5, 3.0, 4.0], [0.0], method="exact").method == "asymptotic"


def test_a_level_below_the_smallest_attainable_pvalue_makes_it_abstain():
    """Four against four points can give p = 1/70 at best."""
    test = shift_test(
        [1.0, 2.0, 3.0, 4.0], [11.0, 12.5, 13.1, 14.7], [0.0], levels=[0.01, 0.05], method="exact"
    )
    assert test.pvalue_greater[0] == pytest.approx(1 / 70)
    assert test.abstains[0].tolist() == [True, False]
    assert np.isneginf(test.low[0, 0])


def test_a_level_that_asks_for_too_many_standard_errors_makes_it_abstain():
    wandering = ar1(np.random.default_rng(2), 2, 60, 0.97)
    test = shift_test(wandering[0], wandering[1] + 50, [0.0], levels=[0.05, 0.00005])
    assert test.abstains[0].tolist() == [False, True]


@pytest.mark.parametrize("concurrent", [False, True])
def test_a_limit_lies_below_the_lower_bound_just_where_it_is_rejected(concurrent):
    rng = np.random.default_rng(12)
    for _ in range(40):
        rho = rng.uniform(0, 0.8)
        baseline, canary = ar1(rng, 2, 40, rho) * rng.uniform(0.5, 3)
        limit, level = rng.normal(), rng.uniform(0.001, 0.2)
        test = shift_test(baseline, canary + rng.normal(), [limit], levels=[level], concurrent=concurrent)
        if test.abstains[0, 0]:
            continue
        assert (test.low[0, 0] > limit) == (test.pvalue_greater[0] < level)
        assert (test.high[0, 0] < limit) == (test.pvalue_less[0] < level)


def slow_placements(baseline, canary):
    above = [[(c > b) + 0.5 * (c == b) for b in baseline] for c in canary]
    return np.mean(above, axis=1), 1 - np.mean(above, axis=0)


@given(
    baseline=st.lists(st.integers(0, 9), min_size=1, max_size=15),
    canary=st.lists(st.integers(0, 9), min_size=1, max_size=15),
)
def test_placements_count_ties_half(baseline, canary):
    for copies in (1, 3):
        first, second = placements(
            np.array([baseline] * copies, dtype=float), np.array([canary] * copies, dtype=float)
        )
        expected = slow_placements(baseline, canary)
        np.testing.assert_allclose(first[-1], expected[0], atol=1e-12)
        np.testing.assert_allclose(second[-1], expected[1], atol=1e-12)


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("method", ["robust", "asymptotic"])
def test_a_batch_gives_what_single_pairs_give(method, concurrent):
    rng = np.random.default_rng(6)
    baseline, canary = ar1(rng, 6, 30, 0.5), ar1(rng, 6, 30, 0.5).round(1)
    batch = shift_test(
        baseline.reshape(2, 3, 30),
        canary.reshape(2, 3, 30),
        [0.1, 0.4],
        scales=[1.1, 1.0],
        concurrent=concurrent,
        method=method,
    )
    for row in range(6):
        single = shift_test(
            baseline[row], canary[row], [0.1, 0.4], scales=[1.1, 1.0], concurrent=concurrent, method=method
        )
        for name in ("estimate", "low", "high", "pvalue_greater", "pvalue_less", "df", "probability_greater"):
            np.testing.assert_allclose(
                getattr(batch, name)[row // 3, row % 3],
                getattr(single, name),
                rtol=1e-9,
                atol=1e-12,
                err_msg=name,
            )


def test_swapping_the_arms_mirrors_everything():
    rng = np.random.default_rng(7)
    a, b = ar1(rng, 2, 45, 0.3)
    here, there = shift_test(a, b, [0.2]), shift_test(b, a, [-0.2])
    assert here.estimate == pytest.approx(-there.estimate)
    assert here.pvalue_greater[0] == pytest.approx(there.pvalue_less[0])
    np.testing.assert_allclose(here.low, -there.high, atol=1e-9)


def test_a_common_load_cancels_where_the_arms_share_the_clock():
    rng = np.random.default_rng(9)
    load = 20 * np.sin(np.linspace(0, 6, 60))
    baseline, canary = load + rng.normal(size=60), load + rng.normal(size=60) + 2
    apart, together = (
        shift_test(baseline, canary, [0.5], concurrent=concurrent) for concurrent in (False, True)
    )
    assert together.standard_error[0] < 0.1 * apart.standard_error[0]
    assert together.pvalue_greater[0] < 0.05 < apart.pvalue_greater[0]


def test_a_shift_far_beyond_both_ranges_is_told_from_one_just_beyond():
    """Ranks alone know no more than "all above"."""
    wandering = ar1(np.random.default_rng(4), 2, 60, 0.9)
    near, far = (shift_test(wandering[0], wandering[1] + gap, [2.0]).pvalue_greater[0] for gap in (2.5, 60.0))
    assert far < 0.01 < near


def test_two_constant_arms_that_differ_are_told_apart_but_not_beyond_what_permutations_allow():
    test = shift_test([5.0] * 12, [6.0] * 12, [0.5])
    assert test.pvalue_greater[0] == pytest.approx(1 / 2704156)
    assert test.low[0, 0] == test.high[0, 0] == 1.0

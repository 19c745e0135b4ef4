"""Means and ratios of means over users: against tea-tasting, statsmodels and SciPy, sums against rows, and simulated where users are few and skewed."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from simulation import assert_rate_at_most

from canaryjudge.stats.ratio_of_means import COLUMNS, SUMS, UserMoments, compare_means

# tea_tasting 1.14.0, make_users_data(seed=42, covariates=True): orders a session, and revenue a user, each with its value from before
ORDERS = (
    (
        2023,
        {
            "value": 1073.0,
            "total": 4038.0,
            "covariate": 1090.0,
            "covariate_total": 4031.0,
            "value*value": 2073.0,
            "value*total": 2648.0,
            "value*covariate": 1691.0,
            "value*covariate_total": 2692.0,
            "total*total": 10098.0,
            "total*covariate": 2715.0,
            "total*covariate_total": 9932.0,
            "covariate*covariate": 2720.0,
            "covariate*covariate_total": 3701.0,
            "covariate_total*covariate_total": 13779.0,
        },
    ),
    (
        1977,
        {
            "value": 1133.0,
            "total": 3920.0,
            "covariate": 1006.0,
            "covariate_total": 3941.0,
            "value*value": 2121.0,
            "value*total": 2730.0,
            "value*covariate": 1551.0,
            "value*covariate_total": 2721.0,
            "total*total": 9698.0,
            "total*covariate": 2407.0,
            "total*covariate_total": 9738.0,
            "covariate*covariate": 2380.0,
            "covariate*covariate_total": 3324.0,
            "covariate_total*covariate_total": 13579.0,
        },
    ),
)
REVENUE = (
    (
        2023,
        {
            "value": 10602.6,
            "covariate": 10678.43,
            "value*value": 243736.4268,
            "value*covariate": 193410.1949,
            "covariate*covariate": 405481.0443,
        },
    ),
    (
        1977,
        {
            "value": 11328.43,
            "covariate": 9331.96,
            "value*value": 278029.8889,
            "value*covariate": 172016.7183,
            "covariate*covariate": 284676.8592,
        },
    ),
)
# what tea_tasting.RatioOfMeans and tea_tasting.Mean say of them: control, treatment, effect, and the relative effect with its 95 % interval
TOLD = {
    ("orders", False): (
        0.2657256067360079,
        0.28903061224489796,
        0.02330500550889003,
        0.0877032732944063,
        -0.008944184133335975,
        0.19377576095526305,
    ),
    ("orders", True): (
        0.261558559079533,
        0.29329282211631386,
        0.03173426303678084,
        0.1213275648423009,
        0.041648832528977664,
        0.20710115387201333,
    ),
    ("revenue", False): (
        5.241028175976273,
        5.73011127971675,
        0.4890831037404775,
        0.09331815958981626,
        -0.02373770894855798,
        0.22440926894909308,
    ),
    ("revenue", True): (
        5.121453608942883,
        5.852468057212222,
        0.731014448269339,
        0.14273573561085673,
        0.03772857689110709,
        0.2583685084150027,
    ),
}


@pytest.mark.parametrize(("metric", "adjust"), TOLD)
def test_it_says_what_tea_tasting_says_of_its_own_example(metric, adjust):
    arms = [UserMoments.from_sums(*arm) for arm in {"orders": ORDERS, "revenue": REVENUE}[metric]]
    found = compare_means(*arms, adjust=adjust).without_allowance()
    known = (
        *found.levels,
        found.change(absolute=True),
        found.change(absolute=False),
        *found.bounds(0.025, absolute=False),
    )
    assert_allclose(known, TOLD[metric, adjust], rtol=1e-9)


def users(rng, size, *, shift=1.0, skewed=False):
    total = rng.integers(1, 9, size).astype(float)
    before = rng.gamma(2.0, 1.0, size)
    value = total * before * shift + rng.normal(0, 1, size) * total
    return np.exp(value / 4) if skewed else value, total, before, total + rng.integers(0, 3, size)


def sums_of(columns):
    found = {name: float(column.sum()) for name, column in zip(COLUMNS, columns, strict=True)}
    for i, j in itertools.combinations_with_replacement(range(4), 2):
        found[f"{COLUMNS[i]}*{COLUMNS[j]}"] = float((columns[i] * columns[j]).sum())
    return found


def test_sums_of_a_warehouse_are_as_good_as_the_users():
    columns = users(np.random.default_rng(1), 500)
    sums = sums_of(columns)
    assert set(sums) == set(SUMS)
    rows, summed = UserMoments.of(*columns), UserMoments.from_sums(500, sums)
    assert_allclose(summed.mean, rows.mean, rtol=1e-13)
    assert_allclose(summed.products, rows.products, rtol=1e-11)
    assert_allclose(UserMoments.unpacked(rows.packed()).products, rows.products)


def test_sums_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match=r"the sum of value\*value is missing"):
        UserMoments.from_sums(10, {"value": 3.0})
    with pytest.raises(ValueError, match="less than any 10 numbers with the sum 30 have"):
        UserMoments.from_sums(10, {"value": 30.0, "value*value": 80.0})
    sums = {"value": 0.0, "total": 10.0, "value*value": 4.0, "value*total": 9.0, "total*total": 20.0}
    with pytest.raises(ValueError, match=r"the sum of value\*total is larger, or smaller"):
        UserMoments.from_sums(10, sums)


@given(st.integers(0, 2**31), st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_users_in_parts_are_the_users_at_once(seed, sizes):
    columns = users(np.random.default_rng(seed), sum(sizes))
    ends = np.cumsum([0, *sizes])
    both = UserMoments.of([])
    for start, end in itertools.pairwise(ends):
        both = both.plus(UserMoments.of(*(column[start:end] for column in columns)))
    whole = UserMoments.of(*columns)
    assert both.n == whole.n
    assert_allclose(both.mean, whole.mean, rtol=1e-12, atol=1e-12)
    assert_allclose(both.products, whole.products, rtol=1e-9, atol=1e-9)


def test_a_difference_of_means_is_welchs():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0.0, 1.0, 40), rng.normal(0.2, 2.0, 60)  # levels about 0 are no ratio
    first -= first.mean() + 0.1
    found = compare_means(UserMoments.of(first), UserMoments.of(second))
    expected = stats.ttest_ind(second, first, equal_var=False)
    assert_allclose(found.pvalues(0.0, absolute=True).greater * 2, expected.pvalue, rtol=1e-9)
    assert_allclose(found.bounds(0.025, absolute=True), expected.confidence_interval(0.95), rtol=1e-9)


def test_what_is_known_from_before_takes_out_what_a_regression_does():
    rng = np.random.default_rng(3)
    before = rng.gamma(2.0, 5.0, (2, 2000))
    values = [own * factor + rng.normal(0, 3, 2000) for own, factor in zip(before, (1.0, 1.05), strict=True)]
    arms = [UserMoments.of(value, covariate=own) for value, own in zip(values, before, strict=True)]
    found, plain = compare_means(*arms), compare_means(*arms, adjust=False)
    both, known = np.concatenate(values), before.ravel()
    slope = np.cov(both, known)[0, 1] / known.var(ddof=1)
    rests = [value - slope * (own - known.mean()) for value, own in zip(values, before, strict=True)]
    assert_allclose(found.levels, [rest.mean() for rest in rests])
    assert_allclose(found.variances, [rest.var(ddof=1) / 2000 for rest in rests])
    # the variance is 1 - rho^2 as large, within each arm
    within = (
        np.concatenate([value - value.mean() for value in values]),
        np.concatenate([own - own.mean() for own in before]),
    )
    rho = np.corrcoef(*within)[0, 1]
    assert_allclose(sum(found.variances) / sum(plain.variances), 1 - rho**2, rtol=0.01)
    assert_allclose(found.explained, rho**2, rtol=0.01)


@given(st.integers(0, 2**31), st.booleans(), st.booleans(), st.sampled_from([0.001, 0.05, 0.3]))
def test_a_bound_meets_a_limit_where_the_pvalue_meets_the_level(seed, absolute, skewed, level):
    rng = np.random.default_rng(seed)
    arms = [UserMoments.of(*users(rng, size, skewed=skewed)) for size in (70, 40)]
    found = compare_means(*arms)
    low, high = found.bounds(level, absolute=absolute)
    assert low < found.change(absolute=absolute) < high
    for end, side in ((low, "greater"), (high, "less")):
        # a change of nearly -100 % says that nothing is known: so near to it floats tell no more
        if math.isfinite(end) and (absolute or end > -1 + 1e-6):
            assert_allclose(getattr(found.pvalues(end, absolute=absolute), side), level, rtol=1e-6)


@given(st.integers(0, 2**31), st.booleans())
def test_bounds_at_any_time_meet_the_evidence_and_are_wider(seed, absolute):
    rng = np.random.default_rng(seed)
    found = compare_means(*(UserMoments.of(*users(rng, 400)) for _ in range(2)))
    fixed, any_time = (
        found.bounds(0.01, absolute=absolute),
        found.sequence_bounds(0.01, 40.0, absolute=absolute),
    )
    assert any_time[0] < fixed[0] < fixed[1] < any_time[1]
    for end, side in zip(any_time, (0, 1), strict=True):
        assert_allclose(found.log_evidence(end, 40.0, absolute=absolute)[side], math.log(100), rtol=1e-6)


def test_no_total_is_no_ratio_and_no_spread_is_certain():
    none = UserMoments.of([1.0, 2.0], [0.0, 0.0])
    assert compare_means(none, none) is None
    same = compare_means(UserMoments.of([2.0] * 5), UserMoments.of([2.2] * 5))
    assert_allclose(same.bounds(0.01, absolute=False), (0.1, 0.1))
    assert same.pvalues(0.05, absolute=False).greater == 0
    assert same.pvalues(0.2, absolute=False).less == 0


def clicks(rng, runs, size):
    """Clicks and views of users that have 1 to 200 views each, and a rate of their own."""
    views = np.floor(np.exp(rng.uniform(0, np.log(201), (runs, size)))).clip(1, 200)
    return rng.binomial(views.astype(int), rng.beta(1, 4, (runs, size))).astype(float), views


def revenue(rng, runs, size):
    """Revenue of users of whom 5 % buy, for a log-normal amount."""
    return (rng.random((runs, size)) < 0.05) * rng.lognormal(3, 1, (runs, size)), None


@pytest.mark.parametrize(
    ("draw", "sizes", "least_naive"),
    [
        (clicks, (200, 200), 0.3),
        (clicks, (1000, 50), 0.3),
        (revenue, (2000, 2000), 0.0),
        (revenue, (1900, 100), 0.0),
    ],
)
def test_intervals_cover_where_users_have_many_events_and_few_of_them_most(draw, sizes, least_naive):
    rng, runs, level = np.random.default_rng(4), 800, 0.025
    arms = [draw(rng, runs, size) for size in sizes]
    low = high = naive = 0
    for run in range(runs):
        found = compare_means(
            *(UserMoments.of(value[run], None if total is None else total[run]) for value, total in arms)
        )
        if not found.on_logarithms:
            continue
        ends = found.bounds(level, absolute=False)
        low, high = low + (ends[0] > 0), high + (ends[1] < 0)
        if arms[0][1] is not None:
            (xb, nb), (xc, nc) = ((value[run].sum(), total[run].sum()) for value, total in arms)
            naive += abs(math.log(xc / nc / (xb / nb))) > 1.96 * math.sqrt(1 / xb - 1 / nb + 1 / xc - 1 / nc)
    assert_rate_at_most(low, runs, level)
    assert_rate_at_most(high, runs, level)
    assert naive >= least_naive * runs

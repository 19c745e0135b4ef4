"""Segments of the traffic: which one is bad is said with an error rate, and a mix that shifts is no effect."""

import numpy as np
import pytest
from simulation import ar1, assert_rate_at_most

from canaryjudge.stats.bounds import t_pvalues
from canaryjudge.stats.common_effect import common_effect, student_error
from canaryjudge.stats.culprits import culprits
from canaryjudge.stats.dispersion import Dispersion
from canaryjudge.stats.heterogeneity import log_ratios
from canaryjudge.stats.paired_shift import paired_test
from canaryjudge.stats.rates import rate_ratio_pvalues
from canaryjudge.stats.segment_split import segment_split, sequential_segment_split
from canaryjudge.stats.stratified_events import stratified_test
from canaryjudge.stats.stratified_ranks import van_elteren

ALPHA, LIMIT = 0.01, np.log(1.1)
SEGMENTS, MINUTES, WAVES = 8, 60, 8.0
ONE, ALL, NONE = (
    np.where(bad, np.log(1.6), 0.0)
    for bad in (np.arange(SEGMENTS) == 3, np.ones(SEGMENTS) > 0, np.zeros(SEGMENTS) > 0)
)
AT_LIMIT = np.full(SEGMENTS, LIMIT)
INDEPENDENT = Dispersion(np.ones(()), np.array(np.inf), np.ones(()))


def judge_gauges(rng, runs, changes, rho=0.3):
    """Sixty minutes of each segment, of noises from 5 to 20 %, tested minute by minute."""
    spread = np.geomspace(0.05, 0.2, SEGMENTS)[:, None]
    load = np.exp(0.3 * ar1(rng, runs * SEGMENTS, MINUTES, 0.9).reshape(runs, SEGMENTS, MINUTES))
    noise = [spread * ar1(rng, runs * SEGMENTS, MINUTES, rho).reshape(load.shape) for _ in range(2)]
    baseline, canary = load * np.exp(noise[0]), load * np.exp(noise[1] + changes[:, None])
    level = ALPHA / 2 / SEGMENTS
    found = paired_test(baseline, canary, [LIMIT], levels=[level])
    errors = student_error(found.estimate - found.low[..., 0, 0], level, WAVES)
    overall = common_effect(found.estimate, errors, WAVES, [LIMIT]).pvalue_greater[..., 0]
    return culprits(found.estimate, errors, WAVES, found.pvalue_greater[..., 0], overall)


def judge_events(rng, runs, changes, requests=20_000):
    """Errors of half to twice so many requests of each segment, of which 1 to 4 % fail; the canary has a third as many."""
    totals = requests * np.geomspace(0.5, 2, SEGMENTS)
    rates = np.linspace(0.04, 0.01, SEGMENTS)
    columns = (
        rng.binomial(totals.astype(int), rates, (runs, SEGMENTS)),
        np.floor(totals),
        rng.binomial((totals / 3).astype(int), np.minimum(rates * np.exp(changes), 1), (runs, SEGMENTS)),
        np.floor(totals / 3),
    )
    whole = stratified_test(*columns, [np.exp(LIMIT)], levels=[], method="exact", dispersion=INDEPENDENT)
    own = rate_ratio_pvalues(columns[2], columns[3], columns[0], columns[1], np.exp(LIMIT)).greater
    effects, errors = log_ratios(*columns)
    return culprits(effects, errors, np.inf, own, whole.pvalue_greater[..., 0])


def judge_effects(rng, runs, changes, df=WAVES):
    """Effects with errors that are known with as many degrees of freedom as those of minutes."""
    spread = np.geomspace(0.03, 0.1, SEGMENTS)
    effects = changes + spread * rng.normal(size=(runs, SEGMENTS))
    errors = spread * np.sqrt(rng.chisquare(df, (runs, SEGMENTS)) / df)
    own = t_pvalues(effects - LIMIT, errors, df).greater
    overall = common_effect(effects, errors, df, [LIMIT]).pvalue_greater[..., 0]
    return culprits(effects, errors, df, own, overall)


JUDGES = {"gauges": judge_gauges, "events": judge_events, "effects": judge_effects}


def sampled(gauges, events, effects):
    """Runs of each, sampled, and in full where tests may take long."""
    return pytest.mark.parametrize(
        ("of", "runs"),
        [
            ("gauges", gauges),
            ("events", events),
            ("effects", effects),
            pytest.param("gauges", 20_000, marks=pytest.mark.slow),
            pytest.param("events", 20_000, marks=pytest.mark.slow),
        ],
    )


def batches(of, runs, changes, seed):
    """Judge some at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, runs, 1000):
        yield JUDGES[of](rng, min(1000, runs - start), changes)


@sampled(400, 400, 2000)
def test_one_bad_cohort_of_eight_is_found_and_named(of, runs):
    named = others = failed = 0
    for found in batches(of, runs, ONE, 1):
        names = found.culprit <= ALPHA
        failed += int((found.release <= ALPHA).sum())
        named += int(names[:, 3].sum())
        others += int(np.delete(names, 3, axis=1).any(axis=1).sum())
    assert failed >= named >= 0.9 * runs
    assert_rate_at_most(others, runs, ALPHA)


@pytest.mark.parametrize("changes", [NONE, AT_LIMIT], ids=["no change", "just tolerated"])
@sampled(1000, 2000, 20_000)
def test_where_no_cohort_is_bad_any_is_named_and_the_release_fails_as_seldom_as_promised(of, runs, changes):
    named = called_worse = failed = 0
    for found in batches(of, runs, changes, 2):
        named += int((found.culprit <= ALPHA).any(axis=1).sum())
        called_worse += int((found.worse <= ALPHA).any(axis=1).sum())
        failed += int((found.release <= ALPHA).sum())
    assert failed >= called_worse >= named
    assert_rate_at_most(failed, runs, ALPHA)


@sampled(400, 400, 20_000)
def test_where_all_cohorts_are_bad_the_release_fails_and_none_is_to_blame(of, runs):
    named = failed = 0
    for found in batches(of, runs, ALL, 3):
        named += int((found.culprit <= ALPHA).any(axis=1).sum())
        failed += int((found.release <= ALPHA).sum())
    assert failed >= 0.999 * runs
    assert_rate_at_most(named, runs, ALPHA)


def shifted_events(rng, runs, ratio, times=8):
    """Segments that fail at .5 and 3 %; the canary has most of the worse one, the baseline most of the better, and both so many times 24,000 and 6,000 requests."""
    totals, rates = times * np.array([[18_000, 6000], [2000, 4000]]), np.array([0.005, 0.03])
    baseline, canary = (
        rng.binomial(n, rates * by, (runs, 2)) for n, by in zip(totals, (1, ratio), strict=True)
    )
    within = stratified_test(
        baseline, totals[0], canary, totals[1], [1.1], levels=[], method="exact", dispersion=INDEPENDENT
    ).pvalue_greater[:, 0]
    sums = canary.sum(axis=1), totals[1].sum(), baseline.sum(axis=1), totals[0].sum()
    return within <= ALPHA, rate_ratio_pvalues(*sums, 1.1).greater <= ALPHA


@pytest.mark.parametrize("runs", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_events_of_segments_whose_mix_shifts_are_compared_within_them(runs):
    rng = np.random.default_rng(4)
    for ratio in (1.0, 1.1):
        within, pooled = shifted_events(rng, runs, ratio)
        assert_rate_at_most(int(within.sum()), runs, ALPHA)
        assert pooled.mean() > 0.5
    within, _ = shifted_events(rng, runs, 1.3)
    assert within.mean() >= 0.95


def shifted_samples(rng, runs, change):
    """Latencies of two regions, one 80 % slower, on logarithms."""
    sizes, levels = ((120, 40), (40, 120)), (0.0, np.log(1.8))
    arms = [
        [level + by + 0.25 * rng.normal(size=(runs, n)) for n, level in zip(counts, levels, strict=True)]
        for counts, by in zip(sizes, (0.0, change), strict=True)
    ]
    within = van_elteren(arms[0], arms[1], [LIMIT], levels=[ALPHA]).pvalue_greater[:, 0]
    whole = [np.concatenate(arm, axis=1) for arm in arms]
    pooled = van_elteren(whole[:1], whole[1:], [LIMIT], levels=[ALPHA], method="asymptotic")
    return within <= ALPHA, pooled.pvalue_greater[:, 0] <= ALPHA


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_samples_of_segments_whose_mix_shifts_are_compared_within_them(runs):
    within, pooled = shifted_samples(np.random.default_rng(6), runs, 0.0)
    assert_rate_at_most(int(within.sum()), runs, ALPHA)
    assert pooled.mean() > 0.5
    within, _ = shifted_samples(np.random.default_rng(7), runs, LIMIT)
    assert_rate_at_most(int(within.sum()), runs, 1.1 * ALPHA)
    within, _ = shifted_samples(np.random.default_rng(8), runs, np.log(1.3))
    assert within.mean() >= 0.95


@pytest.mark.parametrize("runs", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_gauges_of_segments_are_found_worse_by_their_mean_effect(runs):
    rng = np.random.default_rng(9)
    changes = np.full((runs, 2), np.log(1.3))
    effects = changes + 0.03 * rng.normal(size=(runs, 2))
    errors = 0.03 * np.sqrt(rng.chisquare(WAVES, (runs, 2)) / WAVES)
    found = common_effect(effects, errors, WAVES, [LIMIT]).pvalue_greater[:, 0]
    assert (found <= ALPHA).mean() >= 0.95


@pytest.mark.parametrize("runs", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_split_that_is_right_in_sum_and_wrong_in_each_segment_is_found(runs):
    rng = np.random.default_rng(10)
    totals = np.full(SEGMENTS, 20_000)
    wrong = np.where(np.arange(SEGMENTS) % 2, 0.08, 0.12)
    canary = rng.binomial(totals, wrong, (runs, SEGMENTS))
    healthy = rng.binomial(totals, 0.1, (runs, SEGMENTS))
    for split in (segment_split, sequential_segment_split):
        found, fine = split(totals - canary, canary, 0.1), split(totals - healthy, healthy, 0.1)
        assert (found.pvalue <= ALPHA).mean() > 0.999
        assert (found.segments <= ALPHA).mean() > 0.99
        assert_rate_at_most(int((found.pooled <= ALPHA).sum()), runs, 2 * ALPHA)
        assert_rate_at_most(int((fine.pvalue <= ALPHA).sum()), runs, ALPHA)
        assert_rate_at_most(int((fine.segments <= ALPHA).any(axis=1).sum()), runs, ALPHA)

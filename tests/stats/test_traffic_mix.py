"""Whether a split moves is told by the traffic alone, and both arms are brought to one mix of intervals."""

import numpy as np
import pytest
from simulation import assert_rate_at_most

from canaryjudge.stats.traffic_mix import same_mix, split_moves

RAMP = np.repeat([0.05, 0.25, 0.5, 0.9], 15)


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("requests", [20, 1000, 1_000_000])
def test_independent_requests_and_a_load_that_both_arms_share_are_no_movement(share, requests):
    rng = np.random.default_rng(1)
    load = requests * np.exp(rng.normal(0, 0.5, (4000, 30)))
    moves = split_moves(rng.poisson(load * (1 - share)), rng.poisson(load * share))
    # of an arm that has less than some requests an interval, chi-squared is not the law: that some of them are compared within intervals does no harm
    assert_rate_at_most(int(moves.sum()), 4000, 0.0015 if requests * min(share, 1 - share) >= 5 else 0.05)


def test_steps_are_a_movement_however_much_traffic_there_is_and_small_ones_are_none():
    for requests in (200, 1_000_000):
        assert split_moves(requests * (1 - RAMP), requests * RAMP)
    steady = np.full(60, 0.05) + np.tile([0.001, -0.001], 30)
    assert not split_moves(1_000_000 * (1 - steady), 1_000_000 * steady)


@pytest.mark.parametrize(
    ("baseline", "canary"), [([0, 0], [5, 9]), ([5], [9]), ([0, 0], [0, 0]), ([9, 0], [9, 0])]
)
def test_what_has_no_split_has_none_that_moves(baseline, canary):
    assert not split_moves(baseline, canary)


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(2)
    baseline, canary = (
        rng.poisson(900, (5, 20)),
        rng.poisson(100 * np.linspace(1, 3, 5)[:, None] ** np.arange(20)),
    )
    rows = [split_moves(*row).item() for row in zip(baseline, canary, strict=True)]
    assert split_moves(baseline, canary).tolist() == rows


def test_at_one_mix_equal_intervals_give_equal_arms_that_are_worth_no_more_than_they_are():
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(8), 60)
    arms = 1000 * (1 - RAMP)[:, None] * shares, 1000 * RAMP[:, None] * shares
    mixed = same_mix(*arms)
    pooled = [counts.sum(axis=0) / counts.sum() for counts in mixed]
    np.testing.assert_allclose(pooled[0], pooled[1], rtol=1e-12)
    for counts, own in zip(mixed, arms, strict=True):
        weights = counts.sum(axis=1) / own.sum(axis=1)
        assert counts.sum() == pytest.approx(
            (weights * own.sum(axis=1)).sum() ** 2 / (weights**2 * own.sum(axis=1)).sum()
        )
        assert counts.sum() < own.sum()


def test_an_interval_that_one_arm_lacks_says_nothing():
    baseline, canary = same_mix([[5, 5], [0, 0], [50, 50]], [[80, 10], [7, 7], [0, 9]])
    assert baseline[1].tolist() == canary[1].tolist() == [0, 0]
    assert [counts.sum() for counts in same_mix([[5, 5], [0, 0]], [[0, 0], [3, 3]])] == [0, 0]

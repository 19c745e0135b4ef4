"""A guarantee that is broken shows in the runs that it is sampled with; one that holds is no trouble."""

import numpy as np
import pytest
from simulation import assert_rate_at_most, fewest_runs


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1])
def test_errors_five_times_as_frequent_as_promised_are_seen_nearly_always(rate):
    rng, runs = np.random.default_rng(1), fewest_runs(rate)
    for errors in rng.binomial(runs, rate, 1000):
        assert_rate_at_most(errors, runs, rate)
    seen = 0
    for errors in rng.binomial(runs, 5 * rate, 1000):
        try:
            assert_rate_at_most(errors, runs, rate)
        except AssertionError:
            seen += 1
    assert seen > 930

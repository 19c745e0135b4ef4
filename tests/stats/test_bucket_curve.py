import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from canaryjudge.stats.bucket_curve import BucketCurve

EDGES = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, np.inf])


def counts_of(distribution, edges, size=1_000_000):
    return size * np.diff(distribution.cdf(np.concatenate([[0.0], edges])))


def test_it_is_exact_for_log_logistic_values():
    values = stats.fisk(c=3.0, scale=0.2)
    curve = BucketCurve(EDGES, counts_of(values, EDGES))
    at = np.array([0.03, 0.07, 0.2, 0.4, 0.9])
    assert curve.log_odds(at) == pytest.approx(np.log(values.sf(at) / values.cdf(at)), abs=1e-9)
    assert curve.quantile(0.5) == pytest.approx(0.2, rel=1e-9)
    assert curve.quantile(0.99) == pytest.approx(values.ppf(0.99), rel=1e-9)


def test_tails_of_lognormal_values_are_read_to_a_tenth_where_a_straight_line_is_off_by_a_factor():
    values = stats.lognorm(s=0.6, scale=np.exp(-2))
    counts = counts_of(values, EDGES)
    true = values.sf(0.5 / 1.1)
    log_odds = BucketCurve(EDGES, counts).log_odds([0.5 / 1.1])[0]
    assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(true, rel=0.1)
    straight = np.interp(0.5 / 1.1, EDGES[:-1], values.sf(EDGES[:-1]))
    assert straight > 1.5 * true


def test_what_lies_outside_is_unknown():
    curve = BucketCurve([1.0, 2.0, 4.0, np.inf], [0, 3, 5, 0])
    assert np.isnan(curve.log_odds([0.5, 1.0, 1.5, 4.0, 9.0, -1.0])).all()
    assert curve.log_odds([2.0])[0] == pytest.approx(np.log(5 / 3))
    assert curve.quantile(0.9) == curve.quantile(0.1) == pytest.approx(2.0)


def test_all_in_one_bucket_gives_its_edge():
    assert BucketCurve([1.0, 2.0, 4.0, np.inf], [0, 7, 0, 0]).quantile(0.5) == pytest.approx(2.0)
    assert BucketCurve([1.0, 2.0, 4.0, np.inf], [0, 0, 0, 7]).quantile(0.5) == pytest.approx(4.0)
    assert BucketCurve([1.0, 2.0, 4.0, np.inf], [7, 0, 0, 0]).quantile(0.5) == pytest.approx(1.0)


def test_edges_of_both_signs_are_read_as_they_are():
    curve = BucketCurve([-1.0, 0.0, 1.0, np.inf], [10, 20, 20, 10])
    assert curve.quantile(0.5) == pytest.approx(0.0, abs=1e-12)
    assert curve.log_odds([-0.5])[0] == pytest.approx(np.log(5) / 2)


@settings(derandomize=True, max_examples=60)
@given(st.lists(st.integers(0, 1000), min_size=3, max_size=12).filter(any), st.floats(0.01, 0.99))
def test_odds_fall_with_the_value_and_quantiles_rise_with_the_probability(counts, probability):
    edges = np.concatenate([np.geomspace(0.1, 10, len(counts) - 1), [np.inf]])
    curve = BucketCurve(edges, counts)
    odds = curve.log_odds(np.geomspace(0.1, 10, 50))
    assert (np.diff(odds[np.isfinite(odds)]) <= 1e-9).all()
    low, high = curve.quantile(probability * 0.9), curve.quantile(probability)
    assert edges[0] - 1e-9 <= low <= high * (1 + 1e-12) <= edges[-2] * (1 + 1e-9)

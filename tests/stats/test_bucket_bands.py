import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from canaryjudge.stats.bucket_bands import BucketBands

ZERO = np.zeros(1)


def counts_of(values, edges):
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges)).astype(float)


def superiority(baseline, canary, shift=0.0):
    """P(canary - shift > baseline) + P(equal) / 2, pair by pair."""
    difference = canary[:, None] - shift - baseline
    return (difference > 0).mean() + (difference == 0).mean() / 2


@st.composite
def two_histograms(draw, positive=None):
    size = draw(st.integers(2, 9))
    edges = np.cumsum(draw(st.lists(st.floats(0.05, 3.0), min_size=size, max_size=size)))
    if not (draw(st.booleans()) if positive is None else positive):
        edges -= edges[size // 2] + 0.01
    counts = st.lists(st.integers(0, 60), min_size=size + 1, max_size=size + 1).filter(any)
    return np.append(edges, np.inf), *(np.array(draw(counts), dtype=float) for _ in range(2))


@settings(derandomize=True, max_examples=150)
@given(two_histograms())
def test_the_least_never_exceeds_the_most_and_both_fall_with_the_shift(data):
    bands = BucketBands(*data)
    shifts = np.linspace(-30, 30, 61)
    least, most = (bands.probability_greater(shifts, side) for side in ("least", "most"))
    assert (least <= most + 1e-9).all()
    assert (np.diff(least) <= 1e-9).all()
    assert (np.diff(most) <= 1e-9).all()
    assert least.min() >= -1e-9
    assert most.max() <= 1 + 1e-9


@settings(derandomize=True, max_examples=100)
@given(two_histograms(), st.floats(-2, 2))
def test_exchanging_the_arms_exchanges_the_least_and_the_most(data, shift):
    edges, baseline, canary = data
    one, other = BucketBands(edges, baseline, canary), BucketBands(edges, canary, baseline)
    at = np.array([shift])
    # sums over pieces of one arm, then of the other: alike up to the size of a piece
    assert one.probability_greater(at, "most") == pytest.approx(
        1 - other.probability_greater(-at, "least"), abs=0.03
    )


def test_with_fine_buckets_it_is_the_statistic_of_the_values():
    rng = np.random.default_rng(1)
    baseline, canary = rng.gamma(3, size=400), rng.gamma(3.3, size=500)
    ordered = np.unique(np.concatenate([baseline, canary]))
    edges = np.append((ordered[1:] + ordered[:-1]) / 2, np.inf)
    bands = BucketBands(edges, counts_of(baseline, edges), counts_of(canary, edges))
    for side in ("least", "most"):
        assert bands.probability_greater(ZERO, side)[0] == pytest.approx(
            superiority(baseline, canary), abs=1e-3
        )


def test_without_a_shift_the_ties_of_alike_arms_count_half():
    edges = np.append(np.geomspace(0.5, 4, 12), np.inf)
    counts = counts_of(np.random.default_rng(0).lognormal(0.3, 0.5, 5000), edges)
    bands = BucketBands(edges, counts, counts)
    baseline, canary = bands.middle
    assert canary.probability_greater(baseline, ZERO)[0] == pytest.approx(0.5, abs=1e-12)
    least, most = (bands.probability_greater(ZERO, side)[0] for side in ("least", "most"))
    assert 0.49 < least < 0.5 < most < 0.51
    assert least + most == pytest.approx(1, abs=1e-3)


def test_a_bucket_that_holds_more_than_half_says_nothing_of_where_in_it():
    edges = np.array([1.0, 2.0, 4.0, 8.0, np.inf])
    bands = BucketBands(edges, np.array([0.0, 5, 90, 5, 0]), np.array([0.0, 5, 90, 5, 0]))
    least, most = (bands.probability_greater(ZERO, side)[0] for side in ("least", "most"))
    # .9 squared is undecided but for what lies beside
    assert least < 0.15
    assert most > 0.85


def test_the_more_of_both_arms_one_bucket_holds_the_less_is_known():
    edges = np.array([1.0, 2.0, 4.0, 8.0, np.inf])

    def open_for(share):
        counts = np.array([0.0, 98 - share, share, 2, 0])  # beside one that is at least half as full
        bands = BucketBands(edges, counts, counts)
        return np.ptp([bands.probability_greater(ZERO, side)[0] for side in ("least", "most")])

    half, more, most = (open_for(share) for share in (50, 58, 65))
    assert half < 0.08
    assert more > 2 * half
    assert most > 1.5 * more


def test_a_peak_that_stands_out_from_both_its_neighbors_hides_as_much():
    edges = np.append(2.0 ** np.arange(7), np.inf)
    calm, peaked = np.array([0.0, 10, 30, 30, 20, 10, 0, 0]), np.array([0.0, 5, 45, 5, 0, 5, 40, 0])

    def open_for(counts):
        bands = BucketBands(edges, counts, counts)
        return np.ptp([bands.probability_greater(ZERO, side)[0] for side in ("least", "most")])

    assert open_for(calm) < 0.06
    assert open_for(peaked) > 0.25


@pytest.mark.parametrize("bucket", [0, -1])
def test_an_open_bucket_says_nothing_of_where_in_it(bucket):
    edges = np.append(np.geomspace(0.5, 4, 12), np.inf)
    counts = counts_of(np.random.default_rng(0).lognormal(0.3, 0.5, 5000), edges)
    counts[bucket] = counts.sum() / 4  # so that a fifth is there
    bands = BucketBands(edges, counts, counts)
    least, most = (bands.probability_greater(ZERO, side)[0] for side in ("least", "most"))
    assert most - least == pytest.approx(0.2**2, abs=0.02)


def test_edges_of_one_or_two_buckets_are_enough():
    bands = BucketBands(np.array([1.0, np.inf]), np.array([3.0, 1.0]), np.array([1.0, 3.0]))
    least, most = (bands.probability_greater(ZERO, side)[0] for side in ("least", "most"))
    assert least == pytest.approx(0.75**2)  # the canary above the edge, the baseline below
    assert most == pytest.approx(1 - 0.25**2)


@settings(derandomize=True, max_examples=100)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 0.9]))
def test_a_quantile_of_the_baseline_lies_between_its_bounds(seed, probability):
    rng = np.random.default_rng(seed)
    shape = stats.lognorm(rng.uniform(0.3, 1.0))
    edges = np.append(np.geomspace(0.05, 20, rng.integers(10, 20)) * rng.uniform(0.8, 1.2), np.inf)
    counts = 1e6 * np.diff(shape.cdf(edges), prepend=0)
    low, high = BucketBands(edges, counts, counts).baseline_quantile(probability)
    assert low <= shape.ppf(probability) <= high
    assert high <= low * edges[1] / edges[0] * 1.01


def test_a_quantile_in_the_last_bucket_has_no_upper_bound():
    counts = np.array([1.0, 2.0, 7.0])
    low, high = BucketBands(np.array([1.0, 2.0, np.inf]), counts, counts).baseline_quantile(0.5)
    assert (low, high) == (pytest.approx(2.0), np.inf)


def test_below_edges_that_are_not_positive_there_is_no_floor():
    counts = np.array([6.0, 2.0, 2.0])
    bands = BucketBands(np.array([0.0, 1.0, np.inf]), counts, counts)
    assert bands.baseline_quantile(0.5)[0] < -1e6
    assert BucketBands(np.array([0.5, 1.0, np.inf]), counts, counts).baseline_quantile(0.5)[
        0
    ] == pytest.approx(0, abs=1e-6)

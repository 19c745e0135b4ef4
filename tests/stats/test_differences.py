import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.stats import differences
from canaryjudge.stats.differences import all_differences

SAMPLE = st.lists(st.integers(-20, 20).map(lambda k: k / 4), min_size=1, max_size=12)


def brute(baseline, canary):
    return np.sort([c - b for c in canary for b in baseline])


@given(baseline=SAMPLE, canary=SAMPLE, share=st.floats(0, 1), at=st.integers(-40, 40).map(lambda k: k / 8))
def test_quantiles_and_shares_are_those_of_all_differences(baseline, canary, share, at):
    expected = brute(baseline, canary)
    rank = min(int(share * len(expected)), len(expected) - 1)
    for outright in (10**6, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(differences, "_OUTRIGHT", outright)
            found = all_differences(np.array([baseline]), np.array([canary]))
        assert found.quantile([[share]], "low")[0, 0] == pytest.approx(expected[rank], abs=1e-9)
        assert found.quantile([[share]], "high")[0, 0] == pytest.approx(expected[-1 - rank], abs=1e-9)
        share_below = np.mean(expected < at) + 0.5 * np.mean(expected == at)
        assert found.below(np.array([[at]]))[0, 0] == pytest.approx(share_below, abs=1e-12)


def test_the_median_is_the_hodges_lehmann_shift():
    """R: wilcox.test(c(2.1, 3.9, 4.4, 7), c(1, 2.5, 3), conf.int=TRUE)$estimate is 1.65."""
    found = all_differences(np.array([[1, 2.5, 3]]), np.array([[2.1, 3.9, 4.4, 7]]))
    assert found.median()[0] == pytest.approx(1.65)


@pytest.mark.parametrize("sizes", [(700, 600), (600, 700)], ids=["shorter", "longer"])
@pytest.mark.parametrize("decimals", [1, 2, 12])
def test_large_samples_give_the_ranks_that_counting_all_pairs_gives(decimals, sizes):
    rng = np.random.default_rng(decimals)
    baseline, canary = (
        rng.lognormal(level, size=(1, size)).round(decimals)
        for level, size in zip((0.0, 0.1), sizes, strict=True)
    )
    expected = brute(baseline[0], canary[0])
    found = all_differences(baseline, canary)
    shares = np.array([[0.0, 0.001, 0.4, 0.5, 0.93, 0.9999, 1.0]])
    for share, value in zip(shares[0], found.quantile(shares, "low")[0], strict=True):
        rank = min(int(share * len(expected)), len(expected) - 1)
        first, last = (
            np.searchsorted(expected, value - 1e-9, "left"),
            np.searchsorted(expected, value + 1e-9, "right"),
        )
        assert first - 2 <= rank <= last + 2


@pytest.mark.parametrize("decimals", [3, 12])
def test_very_large_samples_are_counted_by_stretches_as_point_by_point(decimals):
    rng = np.random.default_rng(decimals)
    whole = [
        np.sort(np.rint(rng.lognormal(level, size=300_000) * 10**decimals).astype(np.int64))
        for level in (0.0, 0.1)
    ]
    found = all_differences(*(points[None] / 10**decimals for points in whole))

    def share(value, side):
        return np.searchsorted(whole[1], whole[0] + value, side).sum() / found.pairs

    at = np.array([-0.5, 0.0, 0.1])
    exact = [np.mean([share(round(one * 10**decimals), side) for side in ("left", "right")]) for one in at]
    np.testing.assert_allclose(found.below(at[None])[0], exact, rtol=0, atol=5e-8)
    wanted = np.array([0.3, 0.5, 0.62])
    for one, value in zip(wanted, found.quantile(wanted[None], "low")[0], strict=True):
        place = value * 10**decimals
        assert share(int(np.floor(place)), "left") - 1e-6 <= one <= share(int(np.ceil(place)), "right") + 1e-6


def test_a_batch_gives_what_single_pairs_give():
    rng = np.random.default_rng(4)
    baseline, canary = rng.normal(size=(5, 9)), rng.normal(size=(5, 7)).round(1)
    at = rng.normal(size=(5, 2))
    batch = all_differences(baseline, canary)
    for row in range(5):
        single = all_differences(baseline[row : row + 1], canary[row : row + 1])
        assert batch.median()[row] == single.median()[0]
        np.testing.assert_allclose(batch.below(at)[row], single.below(at[row : row + 1])[0], atol=1e-12)
        np.testing.assert_array_equal(
            batch.quantile([[0.2, 0.7]] * 5, "low")[row], single.quantile([[0.2, 0.7]], "low")[0]
        )

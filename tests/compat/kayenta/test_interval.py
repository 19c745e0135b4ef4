import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canaryjudge.compat.kayenta.interval import AllTiedError, RankScore, Z, rank_sum, shift_interval

values = st.lists(
    st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, 0.5])),
    min_size=1,
    max_size=12,
).map(np.array)
with_infinities = st.lists(
    st.sampled_from([-math.inf, -1.0, 0.0, 2.0, math.inf]), min_size=1, max_size=8
).map(np.array)


def in_javas_order(moved):
    """Give ranks as Double.compare orders: -0.0 below 0.0, NaN as infinity; one by one."""
    keys = [(math.inf if math.isnan(x) else x, math.copysign(1, x) if x == 0 else 0) for x in moved]
    return np.array(
        [sum(k < own for k in keys) + (sum(k == own for k in keys) + 1) / 2 for own in keys]
    ), keys


def slow_score(control, experiment, shift):
    """The formula as it is written, over all pairs: None where the variance is 0."""
    m, n = len(experiment), len(control)
    with np.errstate(invalid="ignore"):
        ranks, keys = in_javas_order([*(experiment - shift), *control])
    excess = ranks[:m].sum() - m * (m + 1) / 2 - m * n / 2
    sizes = [keys.count(key) for key in set(keys)]
    ties = sum(t**3 - t for t in sizes)
    variance = m * n / 12 * ((m + n + 1) - ties / ((m + n) * (m + n - 1)))
    return None if variance == 0 else (excess - 0.5 * np.sign(excess)) / math.sqrt(variance)


def fast_score(control, experiment, shift):
    try:
        return RankScore(control, experiment)(shift)
    except AllTiedError:
        return None


def assert_same_score(control, experiment, shift):
    slow, fast = slow_score(control, experiment, shift), fast_score(control, experiment, shift)
    assert (slow is None) == (fast is None)
    assert slow is None or fast == pytest.approx(slow, rel=1e-12)


@given(values, values, st.one_of(st.integers(-6, 6).map(float), st.floats(-10, 10), st.just(-0.0)))
def test_the_score_is_that_of_the_formula_point_by_point(control, experiment, shift):
    assert_same_score(control, experiment, shift)


@given(with_infinities, with_infinities, st.sampled_from([-math.inf, -1.0, 0.0, math.inf, math.nan]))
def test_the_score_holds_with_infinite_points_and_shifts(control, experiment, shift):
    assert_same_score(control, experiment, shift)


@given(values, values)
def test_the_rank_sum_is_scipys_where_no_zero_has_a_sign(control, experiment):
    control, experiment = control + 0.0, experiment + 0.0
    whole = stats.rankdata(np.concatenate([experiment, control]))
    assert rank_sum(control, experiment) == whole[: len(experiment)].sum()


def test_the_signs_of_zeros_survive_the_sort():
    zeros = np.array(
        [0.0, 0.0, 0.0, -0.0] * 15
    )  # vectorized sorts of doubles may trade one zero for the other
    assert rank_sum(np.zeros(4), zeros) == in_javas_order([*zeros, *np.zeros(4)])[0][:60].sum()


# R 4.3: wilcox.test(x, y, conf.int=TRUE, conf.level=0.95, exact=FALSE)$conf.int; Kayenta's own tests hold themselves to them
@pytest.mark.parametrize(
    ("control", "experiment", "interval"),
    [([1, 2, 3, 4], [10, 20, 30, 40], (6.0, 39.0, 22.5))],
)
def test_intervals_of_r(control, experiment, interval):
    found = shift_interval(np.array(control, float), np.array(experiment, float), z=1.959963984540054)
    assert (found.lower, found.upper, found.estimate) == pytest.approx(interval, abs=1e-4)


WIDE = [1, 100, 4, 101, 5, 102, 6, 103, 7, 104, 8, 105, 9, 106, 17]
NARROW = [10, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 17, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6, 17.7]

SMALL_CONTROL = [
    9.938598379001789e-05,
    8.714698710110768e-05,
    9.564572373055809e-05,
    8.798096524051655e-05,
    0.00012730653122280957,
]
SMALL_EXPERIMENT = [
    0.0003502150487477243,
    0.0003009025556533129,
    0.0002762813366081283,
    0.00029713014520294987,
    0.00027175455007897025,
]


# what Kayenta's own judge computes on the JVM for pairs that its users reported (issues 426, 6278, 799, 5622 and 780)
@pytest.mark.parametrize(
    ("control", "experiment", "interval"),
    [
        ([0] * 6, [0, 1, 2, 1, 0, 0], (0.0, 2.0, 0.8127337922220947)),
        ([1] * 10, [100] * 7 + [1] * 3, (6.825022991538781e-05, 99.0, 98.99992904170193)),
        ([1] * 10, [100] * 8 + [1] * 2, (98.99993164762162, 99.0, 99.0)),
        ([0] * 25, [1, 0, 0, 0, 0, 2, 0, 0, 0, 0] * 2 + [1, 0, 0, 0, 0], (0.0, 6.566127991241891e-05, 0.0)),
        ([0] * 5, [1, 4, 2, 3, 1], (1.0, 4.0, 1.9999637977858253)),
        (
            [0] * 10,
            [0, 0.048, 0, 0.18, 0.089, 0, 0.098, 0.035, 0, 0],
            (0.0, 0.08901052813375779, 0.021553236382145693),
        ),
        (WIDE, NARROW, (-88.39996475353826, 8.699979275818809, -1.777243908246736)),
        # two generated pairs of small values, where a step of the search or an end of the range is all there is
        (
            SMALL_CONTROL,
            SMALL_EXPERIMENT,
            (0.00014444801885616068, 0.0002630680616466166, 0.00020516613019100544),
        ),
        (
            [0.00011027920858778956],
            [0.00011717098784924859, 0.00013849603795549394],
            (6.89177926145903e-06, 2.8216829367704385e-05, 6.89177926145903e-06),
        ),
    ],
)
def test_intervals_of_the_jvm_to_the_last_digit(control, experiment, interval):
    found = shift_interval(np.array(control, float), np.array(experiment, float))
    assert (found.lower, found.upper, found.estimate) == interval


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_the_ends_are_where_the_score_crosses_the_quantiles(shift):
    rng = np.random.default_rng(5)
    control, experiment = rng.normal(50, 4, 80), rng.normal(50 + shift, 4, 70)
    score, found = RankScore(control, experiment), shift_interval(control, experiment)
    for root, quantile in ((found.lower, Z), (found.upper, -Z), (found.estimate, 0.0)):
        assert score(root - 2e-4) >= quantile >= score(root + 2e-4)
    assert found.lower < found.estimate < found.upper


def test_the_tolerance_is_absolute_so_small_values_have_no_interval():
    rng = np.random.default_rng(6)
    control, experiment = rng.normal(10, 1, 40), rng.normal(14, 1, 40)
    whole = shift_interval(control, experiment)
    small = shift_interval(control * 1e-6, experiment * 1e-6)
    assert whole.lower > 3
    assert small.lower != pytest.approx(whole.lower * 1e-6, rel=0.01)


@pytest.mark.parametrize(("control", "experiment"), [([3.0], [5.0]), ([1.0, 1.0], [1.0])])
def test_all_tied_is_refused(control, experiment):
    with pytest.raises(AllTiedError, match="all observations are tied"):
        shift_interval(np.array(control), np.array(experiment))


@given(values, values, st.randoms())
def test_the_order_of_the_points_does_not_matter(control, experiment, random):
    control, experiment = control + 0.0, experiment + 0.0

    def found(control, experiment):
        try:
            return shift_interval(control, experiment)
        except AllTiedError:
            return None

    shuffled = list(experiment)
    random.shuffle(shuffled)
    assert found(control, experiment) == found(control[::-1], np.array(shuffled))


def test_the_search_ends_whatever_the_points(monkeypatch):
    """Brent's method with an absolute tolerance takes all its steps between 1e-300 and 1e300; no shift is looked at twice."""
    looks = []
    score = RankScore._score
    monkeypatch.setattr(RankScore, "_score", lambda self, shift: looks.append(shift) or score(self, shift))
    wild = np.random.default_rng(8)
    control, experiment = (wild.normal(0, 1, 300) * np.exp(wild.uniform(-700, 700, 300)) for _ in range(2))
    shift_interval(control, experiment)
    assert 1_000 < len(looks) <= 3 * 1001 + 2
    assert len(set(looks)) == len(looks)

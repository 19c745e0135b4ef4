r"""One-sided inference on event rates: one alone, and the ratio and the difference of two.

The ratio has an exact test, for events that are rare or rates that are counts. Given the number m of events in both arms, those of the canary are binomial: x_c ~ Bin(m, pi(r)) with
pi(r) = r n_c / (r n_c + n_b), whatever the baseline's rate [1]_. All functions are continuous in the events,
so that events divided by an overdispersion factor are welcome, and all broadcast over leading axes.
Worse means larger: for the other direction the caller swaps the arms.

One rate has its exact bounds [6]_, and the difference of two has bounds made of these [2]_. Bounds put together from those of each rate are never too narrow where events are few, and often far too wide. Here all tables of events that speak at
least as strongly as the one observed are added up, at the baseline rate that makes them most likely: an unconditional test [3]_. They are put
in order by the score statistic [4]_ of the difference d that is tested,

    z = (r_c - r_b - d) / sqrt(R_c / n_c + R_b / n_b),

with R the most likely rates that differ by d. Baseline rates are those that the sum of all events leaves possible, up to a chance of 1e-12, which
is added to the p-value [5]_.

Events may have been divided by an overdispersion factor: the tables are whole numbers, the observed one need not be.

References
----------
.. [1] J. Przyborowski and H. Wilenski, "Homogeneity of results in testing samples from Poisson series",
       Biometrika 31 (1940), 313-323.
.. [2] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
       Medicine 27 (2008), 1693-1702.
.. [3] G. A. Barnard, "Significance tests for 2 x 2 tables", Biometrika 34 (1947), 123-138.
.. [4] O. Miettinen and M. Nurminen, "Comparative analysis of two rates", Statistics in Medicine 4 (1985), 213-226.
.. [5] R. L. Berger and D. D. Boos, "P values maximized over a confidence set for the nuisance parameter", Journal of the American
       Statistical Association 89 (1994), 1012-1016.
.. [6] F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936), 437-442.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.bounds import Bounds, FloatArray, PValues, beta_quantile, bisect, floats

__all__ = [
    "rare_difference_pvalues",
    "rate_bounds",
    "rate_difference_bounds",
    "rate_difference_pvalues",
    "rate_pvalues",
    "rate_ratio_bounds",
    "rate_ratio_pvalues",
]


def rate_pvalues(x: ArrayLike, exposure: ArrayLike, value: ArrayLike) -> PValues:
    """Test one event rate against `value` by the tails of the Poisson distribution.

    Parameters
    ----------
    x : array_like
        Events, at least 0; a whole number or not.
    exposure : array_like
        What the rate is per (hours, requests), at least 0.
    value : array_like
        Null value of the rate, events per unit of exposure.

    Returns
    -------
    PValues
        `greater` for the null "rate <= `value`", P(X >= x), and `less` for ">= `value`", P(X <= x).

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `poisson.test(7, 20, r=.2, alternative="greater")$p.value` in R gives .110674:

    >>> round(float(rate_pvalues(7, 20, 0.2).greater), 6)
    0.110674
    """
    x, exposure, value = floats(x, exposure, value)
    expected = exposure * value
    greater, less = special.gammainc(x, expected), special.gammaincc(x + 1, expected)
    return PValues(np.where(x > 0, greater, 1.0), np.asarray(less))


def rate_bounds(x: ArrayLike, exposure: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound one event rate exactly (Garwood [6]_).

    Parameters
    ----------
    x : array_like
        Events, at least 0; a whole number or not.
    exposure : array_like
        What the rate is per (hours, requests), at least 0.
    level : array_like
        Error probability of each bound, in [0, 1].

    Returns
    -------
    Bounds
        Events per unit of exposure; `low` is 0 where there are no events, `high` is inf where there is no exposure.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `poisson.test(7, 20, conf.level=.9)$conf.int` in R gives .1642658 and .6574057:

    >>> bounds = rate_bounds(7, 20, 0.05)
    >>> round(float(bounds.low), 7), round(float(bounds.high), 7)
    (0.1642658, 0.6574057)
    """
    x, exposure, level = floats(x, exposure, level)
    known = exposure > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = special.gammaincinv(x, level) / exposure, special.gammainccinv(x + 1, level) / exposure
    return Bounds(np.where(known & (x > 0), low, 0.0), np.where(known, high, np.inf))


def rate_ratio_pvalues(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, ratio: ArrayLike
) -> PValues:
    """Test the ratio of the canary's event rate to the baseline's against `ratio`, exactly.

    The p-values are the tails of the conditional binomial, P(X >= x_c) = I_pi(x_c, x_b + 1) and
    P(X <= x_c) = I_{1 - pi}(x_b, x_c + 1), with I the regularized incomplete beta function. They are exact for
    Poisson counts (and conservative, as every test of discrete data at a fixed level is), conservative for
    proportions (whose variance is smaller) and right only where the counts are not overdispersed: divide
    events by the factor of `canaryjudge.stats.dispersion` before.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, at least 0; whole numbers or not.
    nc, nb : array_like
        Exposures (hours, requests) of the canary and of the baseline in one unit; where one is 0, nothing is known.
    ratio : array_like
        Null value of the ratio, at least 0.

    Returns
    -------
    PValues
        `greater` for the null "ratio of the rates <= `ratio`", `less` for the null ">= `ratio`"; both are 1
        where there are no events. Shape: that of the arguments, broadcast.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    Breast cancer and X-ray fluoroscopy, 41 cases in 28,010 person-years against 15 in 19,017
    (`poisson.test(c(41, 15), c(28010, 19017), alternative="greater")` in R gives .02383012):

    >>> round(float(rate_ratio_pvalues(41, 28010, 15, 19017, 1).greater), 8)
    0.02383012
    """
    xc, nc, xb, nb, ratio = floats(xc, nc, xb, nb, ratio)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        odds = ratio * nc / nb
        greater = special.betainc(xc, xb + 1, 1 / (1 + 1 / odds))
        less = special.betainc(xb, xc + 1, 1 / (1 + odds))
    known = (nc > 0) & (nb > 0)
    return PValues(np.where(known & (xc > 0), greater, 1.0), np.where(known & (xb > 0), less, 1.0))


def rate_ratio_bounds(xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound the ratio of the canary's event rate to the baseline's, exactly.

    The bounds are the Clopper-Pearson limits of pi, mapped to r = pi / (1 - pi) * n_b / n_c. They invert
    `rate_ratio_pvalues`: `low` > r exactly where the p-value `greater` of r is below `level`, and `high` < r
    where `less` is.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, at least 0; whole numbers or not.
    nc, nb : array_like
        Exposures (hours, requests) of the canary and of the baseline in one unit; where one is 0, nothing is known.
    level : array_like
        Error probability of each bound, in [0, 1); 0 gives 0 and inf.

    Returns
    -------
    Bounds
        `low` is 0 where the canary has no events, `high` is inf where the baseline has none. Shape: that of
        the arguments, broadcast.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `poisson.test(c(41, 15), c(28010, 19017), conf.level=.9)$conf.int` in R gives 1.09801 and 3.24703:

    >>> bounds = rate_ratio_bounds(41, 28010, 15, 19017, .05)
    >>> round(float(bounds.low), 5), round(float(bounds.high), 5)
    (1.09801, 3.24703)
    """
    xc, nc, xb, nb, level = floats(xc, nc, xb, nb, level)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = nb / nc
        pi, rest = beta_quantile(xc, xb + 1, level)
        low = pi / rest * scale
        rest, pi = beta_quantile(xb, xc + 1, level)
        high = pi / rest * scale
    known = (nc > 0) & (nb > 0) & (level > 0)
    return Bounds(np.where(known & (xc > 0), low, 0.0), np.where(known & (xb > 0), high, np.inf))


_LOG_SMALLEST = -690.0
"""p-values stop at 1e-300."""


def rate_difference_bounds(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, level: ArrayLike
) -> Bounds:
    """Bound the difference of the rates, canary minus baseline.

    With the rates r and exact one-sided Garwood bounds l, u of each at `level` (equation 3 of [2]_):
    low = r_c - r_b - sqrt((r_c - l_c)**2 + (u_b - r_b)**2), and high likewise with the ends swapped.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, at least 0; whole numbers or not.
    nc, nb : array_like
        Their exposures, positive.
    level : array_like
        Error probability of each bound, in (0, 0.5].

    Returns
    -------
    Bounds
        In events per exposure. Shape: that of the arguments, broadcast.

    Examples
    --------
    Without events in either arm the upper bound is the canary's own, -ln(.05) / 1000:

    >>> round(float(rate_difference_bounds(0, 1000, 0, 1000, 0.05).high), 6)
    0.002996
    """
    xc, nc, xb, nb, level = floats(xc, nc, xb, nb, level)
    return Bounds(_low(xc, nc, xb, nb, level), -_low(xb, nb, xc, nc, level))


def rate_difference_pvalues(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, difference: ArrayLike
) -> PValues:
    """Test the difference of the rates, canary minus baseline, against `difference`.

    The p-value is the level, up to one half, at which a bound of `rate_difference_bounds` equals `difference`; where the
    estimate lies on the other side it is 1 minus the p-value of the other side.

    Parameters
    ----------
    xc, xb, nc, nb : array_like
        As for the bounds.
    difference : array_like
        Null value, in events per exposure.

    Returns
    -------
    PValues
        `greater` for the null "difference <= `difference`", `less` for the null ">= `difference`".

    Examples
    --------
    >>> round(float(rate_difference_pvalues(0, 1000, 0, 1000, 0.002996).less), 3)
    0.05
    """
    xc, nc, xb, nb, difference = floats(xc, nc, xb, nb, difference)
    greater, less = _pvalue(xc, nc, xb, nb, difference), _pvalue(xb, nb, xc, nc, -difference)
    return PValues(
        np.where(greater < 0.5, greater, 1 - np.minimum(less, 0.5)),
        np.where(less < 0.5, less, 1 - np.minimum(greater, 0.5)),
    )


def _low(xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, level: FloatArray) -> FloatArray:
    below = xc / nc - rate_bounds(xc, nc, level).low
    above = rate_bounds(xb, nb, level).high - xb / nb
    return np.asarray(xc / nc - xb / nb - np.hypot(np.maximum(below, 0), np.maximum(above, 0)))


def _pvalue(xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, null: FloatArray) -> FloatArray:
    """Find the level, at most one half, at which the lower bound reaches `null`."""
    start = np.full(null.shape, _LOG_SMALLEST)
    log_level = bisect(
        lambda u: _low(xc, nc, xb, nb, np.exp(u)) <= null, start, np.full(null.shape, np.log(0.5))
    )
    return np.asarray(np.exp(log_level))


BoolArray = NDArray[np.bool_]

_LEFT_OUT = 1e-12
_RATES = 48
"""Baseline rates at which the tables are added up."""
_MOST_STEPWISE = 600.0
"""Of more events that are expected, the chance of none is no number."""
_GUESSES = 3
"""Steps to the count at which the score reaches an end."""
_CHUNK = 200_000
"""Chances that are held at once."""
_NEVER = 1e-15
"""Counts beyond one that is exceeded less often than this are left out."""


def rare_difference_pvalues(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, difference: ArrayLike
) -> PValues:
    """Test the difference of the rates, canary minus baseline, exactly.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, at least 0; whole numbers or not. Time grows with their sum.
    nc, nb : array_like
        Their exposures, positive.
    difference : array_like
        Null value, in events per exposure.

    Returns
    -------
    PValues
        `greater` for the null "difference <= `difference`", `less` for the null ">= `difference`", broadcast; at
        least 1e-12. They are exact for Poisson counts, and conservative for proportions, whose variance is smaller.

    Examples
    --------
    Three errors of 1,424 requests against none of 2,417: a difference of more than .02 percentage points is proven at 3 %, where bounds of each
    rate leave 5.8 %.

    >>> round(float(rare_difference_pvalues(3, 1424, 0, 2417, 0.0002).greater), 3)
    0.029
    """
    arrays = np.broadcast_arrays(*floats(xc, nc, xb, nb, difference))
    tables = _Tables.of(*(part.ravel() for part in arrays))
    found = np.empty((len(tables.xc), 2))
    order = np.argsort(tables.largest, kind="stable")
    while len(order):
        step = max(1, _CHUNK // (_RATES * int(tables.largest[order[0]])))
        # those of like size together, so that none is padded much
        while step > 1 and step * _RATES * int(tables.largest[order[:step][-1]]) > _CHUNK:
            step //= 2
        found[order[:step]] = tables[order[:step]].pvalues()
        order = order[step:]
    greater, less = (np.minimum(found[:, which] + _LEFT_OUT, 1.0) for which in (0, 1))
    return PValues(greater.reshape(arrays[0].shape), less.reshape(arrays[0].shape))


@dataclass(frozen=True, slots=True)
class _Tables:
    """Tables of two counts, one a row; what is added up of each is the same in any company."""

    xc: FloatArray
    nc: FloatArray
    xb: FloatArray
    nb: FloatArray
    difference: FloatArray
    canary_expected: FloatArray
    """At each rate, shape (rows, rates); ascending."""
    baseline_expected: FloatArray
    canaries: NDArray[np.intp]
    """How many counts, from 0, are all that ever come."""
    baselines: NDArray[np.intp]

    @classmethod
    def of(
        cls, xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, difference: FloatArray
    ) -> _Tables:
        """Find the rates at which tables are added up, and how far."""
        events = xc + xb
        least = np.where(events > 0, special.gammaincinv(np.maximum(events, 1e-9), _LEFT_OUT / 2), 0.0)
        most = special.gammainccinv(events + 1, _LEFT_OUT / 2)
        alone = np.abs(difference) * np.where(
            difference >= 0, nc, nb
        )  # events that the difference itself brings
        low, high = (np.sqrt(np.maximum(expected - alone, 0.0) / (nc + nb)) for expected in (least, most))
        # the rate of the arm where it is the smaller one
        smaller = (low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, _RATES)) ** 2
        means = [
            (smaller + np.maximum(sign * difference, 0.0)[:, None]) * exposure[:, None]
            for sign, exposure in ((1, nc), (-1, nb))
        ]
        counts = [
            special.pdtrik(1 - _NEVER, np.maximum(mean[:, -1], 1e-9)).astype(np.intp) + 2 for mean in means
        ]
        return cls(xc, nc, xb, nb, difference, *means, *counts)

    @property
    def largest(self) -> NDArray[np.intp]:
        """The larger number of counts of each row."""
        return np.maximum(self.canaries, self.baselines)

    def __getitem__(self, rows: NDArray[np.intp]) -> _Tables:
        return _Tables(*(getattr(self, name)[rows] for name in _Tables.__slots__))

    def pvalues(self) -> FloatArray:
        """Add up the chances of tables that speak as strongly as what was observed; the largest of all rates, shape (rows, 2)."""
        counts = np.arange(int(self.baselines.max()), dtype=float)
        canary = _chances(int(self.canaries.max()), self.canary_expected, self.canaries)
        baseline = _chances(len(counts), self.baseline_expected, self.baselines)
        observed = self._scores(self.xc[:, None], self.xb[:, None])
        slack = 1e-9 * (1 + np.abs(observed))
        # for each count of the baseline: how many of the canary speak less strongly for a larger rate than what was observed, and at most as strongly
        below, up_to = self._how_many(counts, observed - slack, np.nextafter(observed + slack, np.inf))
        shape = len(canary), canary.shape[1] + 1, _RATES
        from_below, from_above = np.zeros(shape), np.zeros(shape)
        np.cumsum(canary, axis=1, out=from_below[:, 1:])
        np.cumsum(canary[:, ::-1], axis=1, out=from_above[:, -2::-1])
        found = [
            np.einsum("rij,rij->rj", baseline, np.take_along_axis(chances, many[..., None], axis=1)).max(
                axis=1
            )
            for chances, many in ((from_above, below), (from_below, up_to))
        ]
        return np.stack(found, axis=1)

    def _how_many(
        self, counts: FloatArray, low: FloatArray, high: FloatArray
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Count, beside each count of the baseline, those of the canary whose scores are below two ends, one just above the other: the first ones, as the score rises."""
        most = np.broadcast_to(self.canaries[:, None], (len(self.xc), len(counts)))
        first = self._guess(counts, low, most)
        at = self._scores(first.astype(float), counts)
        before = self._scores(np.maximum(first - 1, 0).astype(float), counts)
        wrong = ((at < low) & (first < most)) | ((before >= low) & (first > 0))
        if wrong.any():
            rows, places = np.nonzero(wrong)
            first[wrong] = self._searched(rows, counts[places], low[rows, 0])
            at[wrong] = self._score_of(rows, first[wrong], counts[places])
        last = first.copy()
        rows, places = np.nonzero((at < high) & (first < most))
        while len(rows):  # equal scores are rare
            last[rows, places] += 1
            more = self._score_of(rows, last[rows, places], counts[places]) < high[rows, 0]
            more &= last[rows, places] < self.canaries[rows]
            rows, places = rows[more], places[more]
        return first, last

    def _guess(self, counts: FloatArray, end: FloatArray, most: NDArray[np.intp]) -> NDArray[np.intp]:
        """Solve for the count at which the score reaches an end, by putting what its variance would be there into it; nearly always right."""
        difference, nc, nb = (part[:, None] for part in (self.difference, self.nc, self.nb))
        turned, size = difference < 0, np.abs(difference)
        expected = (counts / nb + difference) * nc
        count = np.maximum(expected, 0.0)
        for _ in range(_GUESSES):
            first, second = np.where(turned, counts, count), np.where(turned, count, counts)
            smaller = _null_rate(first, np.where(turned, nb, nc), second, np.where(turned, nc, nb), size)
            rates = smaller + np.maximum(difference, 0.0), smaller + np.maximum(-difference, 0.0)
            error = np.sqrt(rates[0] / nc + rates[1] / nb)
            count = np.clip(expected + end * nc * error, 0.0, most)
        return np.ceil(count).astype(np.intp)

    def _searched(self, rows: NDArray[np.intp], counts: FloatArray, end: FloatArray) -> NDArray[np.intp]:
        """Find the same by halving, of some tables and counts."""
        low, high = np.zeros(len(rows), dtype=np.intp), self.canaries[rows]
        for _ in range(int(self.canaries.max()).bit_length()):
            middle = (low + high) // 2
            below = (self._score_of(rows, middle, counts) < end) & (middle < high)
            low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
        return low

    def _score_of(self, rows: NDArray[np.intp], canary: NDArray[np.intp], baseline: FloatArray) -> FloatArray:
        """Give the scores of some tables, each with counts of its own."""
        return _signed_score(
            canary.astype(float), self.nc[rows], baseline, self.nb[rows], self.difference[rows]
        )

    def _scores(self, canary: FloatArray, baseline: FloatArray) -> FloatArray:
        """Give the score statistic of tables, shape (rows, k); 0 where nothing is expected and nothing came."""
        return _signed_score(canary, self.nc[:, None], baseline, self.nb[:, None], self.difference[:, None])


def _chances(several: int, expected: FloatArray, own: NDArray[np.intp]) -> FloatArray:
    """Give the Poisson probability of each count, shape (rows, counts, rates); 0 beyond a row's own."""
    counts = np.arange(several, dtype=float)
    chances = np.empty((len(expected), several, expected.shape[1]))
    many = expected[:, -1] > _MOST_STEPWISE
    if many.any():
        mean = expected[many][:, None]
        logs = np.log(np.maximum(mean, np.finfo(float).tiny))  # of nothing expected, nothing comes
        chances[many] = np.exp(counts[:, None] * logs - mean - special.gammaln(counts + 1)[:, None])
    if not many.all():  # from one count to the next, which spares exponentials
        mean = expected[~many][:, None]
        steps = np.concatenate([np.exp(-mean), mean / counts[1:, None]], axis=1)
        chances[~many] = np.multiply.accumulate(steps, axis=1)
    chances[counts >= own[:, None]] = 0.0
    return chances


def _signed_score(
    canary: FloatArray, nc: FloatArray, baseline: FloatArray, nb: FloatArray, difference: FloatArray
) -> FloatArray:
    turned = difference < 0  # the likelihood is maximized over the smaller rate
    first, second = np.where(turned, baseline, canary), np.where(turned, canary, baseline)
    found = _score(first, np.where(turned, nb, nc), second, np.where(turned, nc, nb), np.abs(difference))
    return np.where(turned, -found, found)


def _score(
    canary: FloatArray, nc: FloatArray, baseline: FloatArray, nb: FloatArray, difference: FloatArray
) -> FloatArray:
    rate = _null_rate(canary, nc, baseline, nb, difference)
    variance = (rate + difference) / nc + rate / nb
    distance = canary / nc - baseline / nb - difference
    return np.asarray(np.divide(distance, np.sqrt(variance), out=np.zeros_like(distance), where=variance > 0))


def _null_rate(
    canary: FloatArray, nc: FloatArray, baseline: FloatArray, nb: FloatArray, difference: FloatArray
) -> FloatArray:
    """Give the baseline's likeliest rate where the canary's is larger by a difference."""
    # canary / (rate + difference) + baseline / rate = nc + nb: the positive root
    total = nc + nb
    half = (canary + baseline - total * difference) / 2
    return np.asarray(np.maximum(half + np.sqrt(half**2 + total * baseline * difference), 0.0) / total)

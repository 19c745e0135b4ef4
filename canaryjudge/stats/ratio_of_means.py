r"""Means and ratios of means over users: two arms compared by the delta method, with what was known of the users beforehand.

A user is what was randomized, and brings a value y (clicks, revenue) and, of a ratio metric, a total d (sessions; 1 where the metric is a mean a user).
The level of an arm is R = mean(y) / mean(d). Events of one user are alike, so that events are no independent observations, but users are: by the
delta method [1]_ the variance of R is that of the mean of

.. math:: L_i = (y_i - R d_i) / \bar d .

What is known of the users from before, x and its total z, explains part of it (CUPED [2]_): with C = mean(x) / mean(z), its linear terms K and
theta = cov(L, K) / var(K) over both arms together, the level is R - theta (C - C of both arms), and its variance that of the mean of L - theta K,
which is 1 - corr(L, K)^2 as large.

Two levels are compared by their logarithms, log R_canary - log(R_baseline changed as tolerated), whose variance is the sum of the squared relative standard
errors A and B of both, with Welch's degrees of freedom. Values of users are skewed: few buy, and some for much. Then the mean and its standard error rise
and fall together, and the studentized difference has a skewness that shows as a shift of its tails by k z^2, in which (Hall [3]_)

.. math:: k = \sum_{\rm arms} \Bigl(\frac{c}{2} - \frac{g}{3}\Bigr) \frac{s^3}{\sqrt n \, (A + B)^{3/2}}

where c is the coefficient of variation of an arm's L, s = c / sqrt(n) and g its skewness. Sums of squares do not tell g. Events and conversions have g = c, gamma
distributions g = 2 c and log-normal revenue of which most is 0 about 3 c, so that the size of c / 2 - g / 3 is at most c / 2: with this bound, on both sides and for both arms,
quantiles t of Student's distribution become t + k t^2. In large samples k vanishes.

Where a level is not positive, differences are compared as they are, without that allowance.

References
----------
.. [1] A. Deng, U. Knoblich and J. Lu, "Applying the delta method in metric analytics: a practical guide with novel ideas", KDD 2018, 233-242.
.. [2] A. Deng, Y. Xu, R. Kohavi and T. Walker, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data", WSDM 2013, 123-132.
.. [3] P. Hall, "On the removal of skewness by transformation", Journal of the Royal Statistical Society B 54 (1992), 221-228.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.bounds import PValues
from canaryjudge.stats.confidence_sequences import normal_log_mixture

__all__ = ["COLUMNS", "SUMS", "MeansComparison", "UserMoments", "compare_means"]

FloatArray = NDArray[np.float64]

COLUMNS: Final = ("value", "total", "covariate", "covariate_total")
"""What a user brings."""
_PAIRS: Final = tuple(combinations_with_replacement(range(4), 2))
SUMS: Final = (*COLUMNS, *(f"{COLUMNS[i]}*{COLUMNS[j]}" for i, j in _PAIRS))
"""The sums over users that tell all of an arm, by what is added up."""
_ROUNDING: Final = 1e-9
"""Sums contradict each other where a variance is negative by more than this part of a mean square."""
_SKEWNESS: Final = 0.5
"""The bound of c / 2 - g / 3 in units of c."""
_MOST_Z: Final = 37.0
"""Larger normal scores have a p-value that is no number."""


@dataclass(frozen=True, slots=True, eq=False)
class UserMoments:
    """All that a comparison needs to know of the users of one arm.

    Parameters
    ----------
    n : float
        How many there are.
    mean : ndarray, shape (4,)
        The means of `COLUMNS`.
    products : ndarray, shape (4, 4)
        The sums of the products of their deviations from these.

    Examples
    --------
    >>> moments = UserMoments.of([1.0, 0.0, 3.0], [2.0, 1.0, 4.0])
    >>> int(moments.n), moments.mean.round(3).tolist(), moments.products[0, 1].round(3).item()
    (3, [1.333, 2.333, 0.0, 1.0], 4.667)
    """

    n: float
    mean: FloatArray
    products: FloatArray

    @classmethod
    def of(
        cls,
        value: ArrayLike,
        total: ArrayLike | None = None,
        covariate: ArrayLike | None = None,
        covariate_total: ArrayLike | None = None,
    ) -> Self:
        """Sum up users, one an entry.

        Parameters
        ----------
        value : array_like, shape (n,)
            Finite numbers.
        total, covariate, covariate_total : array_like, shape (n,), optional
            The same; 1, 0 and 1 where they are left out.

        Returns
        -------
        UserMoments
        """
        given = [
            None if column is None else np.asarray(column, dtype=np.float64)
            for column in (value, total, covariate, covariate_total)
        ]
        n = len(np.asarray(value))
        mean, products = np.array([0.0, 1.0, 0.0, 1.0]), np.zeros((4, 4))
        if not n:
            return cls(0.0, mean, products)
        for index, column in enumerate(given):
            if column is not None:
                mean[index] = column.mean()
                given[index] = column - mean[index]
        for i, j in _PAIRS:
            first, second = given[i], given[j]
            if first is not None and second is not None:
                products[i, j] = products[j, i] = (first * second).sum()
        return cls(float(n), mean, products)

    @classmethod
    def from_sums(cls, n: float, sums: Mapping[str, float]) -> Self:
        """Take users that somebody else has summed up, as a warehouse does.

        Parameters
        ----------
        n : float
            How many users there are, at least 1.
        sums : mapping of str to float
            Sums over the users by what is added up (`SUMS`), such as ``value`` and ``value*value``: of each column that there is, and of the products of all
            that there are. `total` and `covariate_total` are 1 where they are left out.

        Returns
        -------
        UserMoments
            As of the users themselves: the differences of large sums are exact.

        Raises
        ------
        ValueError
            A sum is missing, or they are not those of any users.

        Examples
        --------
        >>> sums = {"value": 4.0, "total": 7.0, "value*value": 10.0, "value*total": 14.0, "total*total": 21.0}
        >>> moments = UserMoments.from_sums(3, sums)
        >>> bool(np.allclose(moments.products, UserMoments.of([1.0, 0.0, 3.0], [2.0, 1.0, 4.0]).products))
        True
        """
        known = [name for name in COLUMNS if name in sums]
        mean, products = np.array([0.0, 1.0, 0.0, 1.0]), np.zeros((4, 4))
        size = Fraction(n)
        for index, name in enumerate(COLUMNS):
            if name in known:
                mean[index] = float(Fraction(sums[name]) / size)
        for i, j in _PAIRS:
            if COLUMNS[i] not in known or COLUMNS[j] not in known:
                continue
            name = f"{COLUMNS[i]}*{COLUMNS[j]}"
            if name not in sums:
                raise ValueError(f"the sum of {name} is missing")
            exact = Fraction(sums[name]) - Fraction(sums[COLUMNS[i]]) * Fraction(sums[COLUMNS[j]]) / size
            products[i, j] = products[j, i] = float(exact)
            if i == j:
                if products[i, i] < -_ROUNDING * abs(sums[name]):
                    raise ValueError(
                        f"the sum of {name} is {sums[name]:g}, less than any {n:g} numbers with the sum {sums[COLUMNS[i]]:g} have"
                    )
                products[i, i] = max(products[i, i], 0.0)
        for i, j in _PAIRS:
            most = math.sqrt(products[i, i] * products[j, j])
            slack = _ROUNDING * math.sqrt(
                abs(sums.get(f"{COLUMNS[i]}*{COLUMNS[i]}", 0.0) * sums.get(f"{COLUMNS[j]}*{COLUMNS[j]}", 0.0))
            )
            if abs(products[i, j]) > most + slack:
                raise ValueError(
                    f"the sum of {COLUMNS[i]}*{COLUMNS[j]} is larger, or smaller, than sums of these squares allow"
                )
        return cls(float(n), mean, products)

    @classmethod
    def unpacked(cls, packed: FloatArray) -> Self:
        """Take what `packed` gave; shape (15,)."""
        products = np.zeros((4, 4))
        for (i, j), product in zip(_PAIRS, packed[5:].tolist(), strict=True):
            products[i, j] = products[j, i] = product
        return cls(float(packed[0]), packed[1:5].copy(), products)

    def packed(self) -> FloatArray:
        """Give all as one row of numbers; shape (15,)."""
        return np.array([self.n, *self.mean, *(self.products[pair] for pair in _PAIRS)])

    def plus(self, other: UserMoments) -> UserMoments:
        """Add other users (Chan, Golub and LeVeque's update).

        Examples
        --------
        >>> both = UserMoments.of([1.0, 2.0]).plus(UserMoments.of([6.0]))
        >>> both.n, both.mean[0].item(), both.products[0, 0].item()
        (3.0, 3.0, 14.0)
        """
        if not self.n or not other.n:
            return self if self.n else other
        n = self.n + other.n
        step = other.mean - self.mean
        products = self.products + other.products + np.outer(step, step) * (self.n * other.n / n)
        return UserMoments(n, self.mean + step * (other.n / n), products)

    def ratio(self, numerator: int) -> tuple[float, FloatArray]:
        """Give the ratio of a column's mean and the next one's, and its linear terms: what each column's deviations are multiplied by."""
        top, bottom = float(self.mean[numerator]), float(self.mean[numerator + 1])
        slopes = np.zeros(4)
        slopes[numerator], slopes[numerator + 1] = 1 / bottom, -top / bottom**2
        return top / bottom, slopes

    def covariance(self, first: FloatArray, second: FloatArray) -> float:
        """Give the covariance of two linear combinations of the columns."""
        return float((first[:, None] * second * self.products).sum()) / (self.n - 1)


@dataclass(frozen=True, slots=True)
class _Statistic:
    """A change, less what is tolerated, beside its standard error."""

    distance: float
    parts: tuple[float, float]
    """The variances of the canary's and the baseline's part."""
    df: float
    skewness: float

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(sum(self.parts))

    @property
    def score(self) -> float:
        """The number of standard errors, drawn in by as much as skewness may have stretched it."""
        if not self.error:
            return math.copysign(math.inf, self.distance) if self.distance else 0.0
        t, k = self.distance / self.error, self.skewness
        drawn_in = (math.sqrt(1 + 4 * k * abs(t)) - 1) / (2 * k) if k * abs(t) > 1e-8 else abs(t)
        return math.copysign(drawn_in, t)

    def reach(self, level: float) -> float:
        """Give how many standard errors a bound lies away at a one-sided level."""
        t = float(-special.stdtrit(self.df, level))
        return t + math.copysign(self.skewness * t * t, t)


@dataclass(frozen=True, slots=True)
class MeansComparison:
    """Two arms side by side.

    Parameters
    ----------
    levels : tuple of float
        The baseline's level and the canary's, with what was known of the users beforehand taken out.
    variances : tuple of float
        Their squared standard errors.
    sizes : tuple of float
        The numbers of users.
    theta : float
        By what the covariate is multiplied; 0 where there is none.
    explained : float
        The part of the variance that it takes out.
    allowance : float
        The bound of c / 2 - g / 3 in units of c; 0 for the textbook's intervals.
    """

    levels: tuple[float, float]
    variances: tuple[float, float]
    sizes: tuple[float, float]
    theta: float = 0.0
    explained: float = 0.0
    allowance: float = _SKEWNESS

    @property
    def on_logarithms(self) -> bool:
        """Whether the arms are compared by the logarithms of their levels."""
        return min(self.levels) > 0

    def without_allowance(self) -> MeansComparison:
        """Give the same as textbooks have it, which takes means for normal."""
        return replace(self, allowance=0.0)

    def change(self, *, absolute: bool) -> float:
        """Give the change of the level, as a part of the baseline's or in its unit."""
        difference = self.levels[1] - self.levels[0]
        return difference if absolute else difference / abs(self.levels[0])

    def standard_error(self, *, absolute: bool) -> float:
        """Give the standard error of the difference, or of the logarithm of the ratio."""
        (b, c), (vb, vc) = self.levels, self.variances
        return math.sqrt(vb + vc) if absolute else math.sqrt(vb / b**2 + vc / c**2)

    def at(self, limit: float, *, absolute: bool) -> _Statistic:
        """Hold the canary against the baseline changed by a limit, a part of its level or in its unit."""
        (b, c), (vb, vc) = self.levels, self.variances
        slope = 1.0 if absolute else 1 + limit * math.copysign(1.0, b)
        shifted = b + limit if absolute else b * slope
        if self.on_logarithms and shifted > 0:
            parts = vc / c**2, vb * (slope / shifted) ** 2
            distance, allowance = math.log(c / shifted), self.allowance
        else:
            parts, distance, allowance = (vc, vb * slope**2), c - shifted, 0.0
        whole = sum(parts)
        if not whole:
            return _Statistic(distance, parts, math.inf, 0.0)
        freedom = whole**2 / (parts[0] ** 2 / (self.sizes[1] - 1) + parts[1] ** 2 / (self.sizes[0] - 1))
        skewness = allowance * (parts[0] ** 2 + parts[1] ** 2) / whole**1.5
        return _Statistic(distance, parts, freedom, skewness)

    def pvalues(self, limit: float, *, absolute: bool) -> PValues:
        """Give the p-values of the nulls that the change is at most a limit (`greater` is small where it is more), and at least."""
        found = self.at(limit, absolute=absolute)
        score = found.score
        return PValues(
            np.asarray(special.stdtr(found.df, -score)), np.asarray(special.stdtr(found.df, score))
        )

    def bounds(self, level: float, *, absolute: bool) -> tuple[float, float]:
        """Give the change's lower and upper bound, each at a one-sided level; infinite where there is none."""
        return self._bounds(lambda found: found.reach(level), absolute=absolute)

    def log_evidence(self, limit: float, rho: float, *, absolute: bool) -> tuple[float, float]:
        """Give the logarithms of the evidence that the change is more than a limit, and that it is less, which may be looked at after any number of users.

        The score is taken for that of a sum of normal terms whose variance is the information 1 / (standard error)^2, as it is in the limit of many users [4]_.

        References
        ----------
        .. [4] I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals
               of Statistics 52 (2024), 2613-2640; with regression: M. Lindon, D. W. Ham, M. Tingley and I. Bojinov, "Anytime-valid linear models and regression adjusted
               causal inference in randomized experiments", arXiv 2210.08589.
        """
        found = self.at(limit, absolute=absolute)
        if not found.error:
            return (math.inf, -math.inf) if found.distance > 0 else (-math.inf, math.inf)
        z, root = _normal_score(found), 1 / found.error
        above, below = (
            float(normal_log_mixture(side * z * root, root**2, rho, one_sided=True)) for side in (1, -1)
        )
        return above, below

    def sequence_bounds(self, level: float, rho: float, *, absolute: bool) -> tuple[float, float]:
        """Give the change's bounds that hold after any number of users, each at a one-sided level."""

        def reach(found: _Statistic) -> float:
            root, needed = 1 / found.error, -math.log(level)

            def lacks(z: float) -> float:
                return float(normal_log_mixture(z * root, root**2, rho, one_sided=True)) - needed

            if lacks(_MOST_Z) < 0:
                return math.inf
            z = _root(lacks, 0.0, _MOST_Z) if lacks(0.0) < 0 else 0.0
            t = float(-special.stdtrit(found.df, float(special.ndtr(-z))))
            return t + found.skewness * t * t

        return self._bounds(reach, absolute=absolute)

    def _bounds(self, reach: Callable[[_Statistic], float], *, absolute: bool) -> tuple[float, float]:
        """Find the changes that lie as many standard errors away as they may."""
        here = self.change(absolute=absolute)
        known = self.at(here, absolute=absolute)
        if not known.error:
            return here, here
        if self.on_logarithms and not absolute:
            width = reach(known) * known.error
            return (1 + here) * math.exp(-width) - 1, (1 + here) * math.exp(min(width, 700.0)) - 1
        return self._end(reach, here, -1, absolute=absolute), self._end(reach, here, 1, absolute=absolute)

    def _end(self, reach: Callable[[_Statistic], float], here: float, side: int, *, absolute: bool) -> float:
        def lacks(change: float) -> float:
            found = self.at(change, absolute=absolute)
            return found.error * reach(found) + side * found.distance

        step = math.sqrt(sum(self.variances)) / (1.0 if absolute else abs(self.levels[0]))
        end = here
        for _ in range(60):
            nearer, end = end, here + side * step
            if self.on_logarithms and absolute and end <= -self.levels[0]:
                return -math.inf
            if lacks(end) <= 0:
                return _root(lacks, nearer, end)
            step *= 1.5
        return side * math.inf


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a function changes its sign between two ends (false position, the Illinois way)."""
    at_low, at_high = function(low), function(high)
    for _ in range(200):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        if min(abs(high - low), abs(middle - high)) <= 1e-14 * max(abs(low), abs(high)):
            return middle
        found = function(middle)
        if found == 0:
            return middle
        if (found > 0) != (at_high > 0):
            low, at_low = high, at_high
        else:
            at_low /= 2
        high, at_high = middle, found
    return high


def _normal_score(found: _Statistic) -> float:
    """Give the normal deviate that is as rare as a statistic is by its t distribution."""
    score = found.score
    tail = float(special.stdtr(found.df, -abs(score)))
    z = float(-special.ndtri(tail)) if tail > 0 else _MOST_Z
    return math.copysign(min(z, _MOST_Z), score)


def compare_means(
    baseline: UserMoments, canary: UserMoments, *, adjust: bool = True
) -> MeansComparison | None:
    """Compare the levels of two arms.

    Parameters
    ----------
    baseline, canary : UserMoments
        The users of each, at least two.
    adjust : bool
        Whether what is known of the users from before is taken out, where there is something.

    Returns
    -------
    MeansComparison or None
        None where the totals of an arm add up to 0, or to less, so that there is no ratio.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> before = rng.gamma(2.0, 5.0, (2, 4000))
    >>> arms = [UserMoments.of(own * factor + rng.normal(0, 3, 4000), covariate=own) for own, factor in zip(before, (1.0, 1.1))]
    >>> for adjust in (False, True):
    ...     found = compare_means(*arms, adjust=adjust)
    ...     print(round(found.change(absolute=False), 3), [round(bound, 3) for bound in found.bounds(0.025, absolute=False)])
    0.135 [0.098, 0.174]
    0.105 [0.091, 0.119]
    """
    arms = baseline, canary
    if min(arm.mean[1] for arm in arms) <= 0:
        return None
    both = baseline.plus(canary)
    theta, middle = 0.0, 0.0
    if adjust and min(arm.products[2, 2] for arm in arms) > 0 and min(arm.mean[3] for arm in arms) > 0:
        middle, known = both.ratio(2)
        spread = both.covariance(known, known)
        theta = both.covariance(both.ratio(0)[1], known) / spread if spread > 0 else 0.0
    levels, variances, plain = [], [], 0.0
    for arm in arms:
        level, terms = arm.ratio(0)
        plain += arm.covariance(terms, terms) / arm.n
        if theta:
            own, known = arm.ratio(2)
            level, terms = level - theta * (own - middle), terms - theta * known
        levels.append(level)
        variances.append(max(arm.covariance(terms, terms), 0.0) / arm.n)
    explained = 1 - sum(variances) / plain if theta and plain > 0 else 0.0
    return MeansComparison(
        (levels[0], levels[1]), (variances[0], variances[1]), (baseline.n, canary.n), theta, explained
    )

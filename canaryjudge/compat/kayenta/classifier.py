"""Kayenta's classifier: a metric's points cleaned and tested as it does, and the label that it gives them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from canaryjudge.compat.kayenta.interval import AllTiedError, ShiftInterval, Z, rank_sum, shift_interval
from canaryjudge.data.pair import FloatArray
from canaryjudge.integrations.kayenta.config import MetricOptions

__all__ = [
    "JUDGE_TEST",
    "SEED",
    "Classified",
    "JavaRandom",
    "ShiftTestSettings",
    "classify",
    "cles",
    "iqr_fences",
    "mean",
    "mean_ratio",
    "noisy",
    "percentile",
    "statistics",
    "transformed",
]

SEED: Final = 1
"""Where the noise of each metric begins. Kayenta takes it from one generator a process, without a seed."""
_NOISE: Final = 1e-5
_BITS: Final = (1 << 48) - 1


class JavaRandom:
    """``java.util.Random``: a linear congruential generator of 48 bits, and Marsaglia's polar method for normal numbers.

    Examples
    --------
    >>> round(JavaRandom(42).gaussian(), 12)
    1.141905315473
    """

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ 0x5DEECE66D) & _BITS
        self._spare: float | None = None

    def gaussian(self) -> float:
        """Return the next standard normal number."""
        if self._spare is not None:
            spare, self._spare = self._spare, None
            return spare
        while True:
            first, second = 2 * self._uniform() - 1, 2 * self._uniform() - 1
            square = first * first + second * second
            if 0 < square < 1:
                break
        scale = math.sqrt(-2 * math.log(square) / square)
        self._spare = second * scale
        return first * scale

    def gaussians(self, mean: float, deviation: float, count: int) -> FloatArray:
        """Return so many normal numbers."""
        return np.array([mean + deviation * self.gaussian() for _ in range(count)], dtype=np.float64)

    def _uniform(self) -> float:
        return float((self._next(26) << 27) + self._next(27)) / (1 << 53)

    def _next(self, bits: int) -> int:
        self._state = (self._state * 0x5DEECE66D + 0xB) & _BITS
        return self._state >> (48 - bits)


def noisy(experiment: FloatArray, control: FloatArray, seed: int = SEED) -> tuple[FloatArray, FloatArray]:
    """Add to each point of two constant arms a hundred-thousandth of its value, times a standard normal number."""
    random = JavaRandom(seed)
    # of infinite arms the noise is infinite as well, and what is left is no number; beside the largest of floats it makes them so
    with np.errstate(invalid="ignore", over="ignore"):
        first = experiment + random.gaussians(0.0, float(experiment[0]) * _NOISE, len(experiment))
        return first, control + random.gaussians(0.0, float(control[0]) * _NOISE, len(control))


@dataclass(frozen=True, slots=True)
class ShiftTestSettings:
    """The constants of the comparison; the judge's cannot be set from outside.

    Attributes
    ----------
    tolerance : float
        The part of the estimated shift that the interval has to clear.
    z : float
        The normal quantile of the interval's level.
    """

    tolerance: float = 0.25
    z: float = Z


JUDGE_TEST: Final = ShiftTestSettings()


@dataclass(frozen=True, slots=True)
class Classified:
    """What Kayenta says of one metric.

    Attributes
    ----------
    label : str
        ``Pass``, ``High``, ``Low``, ``Nodata``, ``NodataFailMetric`` or ``Error``.
    reason : str or None
        Its words.
    ratio : float or None
        Mean of the canary over that of the baseline, which it calls the deviation; None where it gives none.
    critical : bool
        Whether this fails the whole canary.
    interval : ShiftInterval or None
        The interval that decided; None where none was needed.
    effect : float
        The effect size that was held against what is allowed.
    noised : bool
        Whether both arms are constant, so that Kayenta adds noise and its label may depend on it.
    """

    label: str
    reason: str | None = None
    ratio: float | None = 1.0
    critical: bool = False
    interval: ShiftInterval | None = None
    effect: float = math.nan
    noised: bool = False


def transformed(values: FloatArray, options: MetricOptions) -> FloatArray:
    """Leave out, or replace, what Kayenta does before it looks: missing points, and outliers where asked for."""
    missing = np.isnan(values)
    kept: FloatArray = np.where(missing, 0.0, values) if options.replace_missing else values[~missing]
    if options.outlier_factor is None or not len(kept):
        return kept
    low, high = iqr_fences(kept, options.outlier_factor)
    with np.errstate(invalid="ignore"):  # NaN ends, of infinite points, keep everything
        low = float(np.minimum(percentile(kept, 1), low))
        high = float(np.maximum(percentile(kept, 99), high))
    within: FloatArray = kept[~((kept > high) | (kept < low))]
    return within


def iqr_fences(values: FloatArray, factor: float) -> tuple[float, float]:
    """Return Tukey's fences: so many interquartile ranges below the first quartile and above the third."""
    low, high = percentile(values, 25), percentile(values, 75)
    return low - factor * (high - low), high + factor * (high - low)


def percentile(values: FloatArray, percent: float) -> float:
    """Return a percentile by Hyndman and Fan's definition 7, in the order of operations of Apache commons-math.

    Examples
    --------
    >>> percentile(np.arange(10.0), 50)
    4.5
    """
    count = len(values)
    if count == 0:
        return math.nan
    position = 1 + (count - 1) * (percent / 100)
    ordered = np.sort(values)
    if count == 1 or position < 1:
        return float(ordered[0])
    if position >= count:
        return float(ordered[-1])
    below = math.floor(position)
    first, second = float(ordered[below - 1]), float(ordered[below])
    return first + (position - below) * (second - first)


def mean(values: FloatArray) -> float:
    """Return the mean, corrected once by the mean of what is left; 0 of nothing."""
    if not len(values):
        return 0.0
    first = _sum(values) / len(values)
    return first + _sum(values - first) / len(values)


def statistics(values: FloatArray) -> dict[str, float]:
    """Describe an arm: minimum, maximum, mean, standard deviation (of a sample) and count; all 0 of nothing.

    Examples
    --------
    >>> statistics(np.array([1.0, 2.0, 3.0]))
    {'min': 1.0, 'max': 3.0, 'mean': 2.0, 'std': 1.0, 'count': 3}
    """
    count = len(values)
    if not count:
        return {"min": 0.0, "max": 0.0, "mean": 0.0, "std": 0.0, "count": 0}
    with np.errstate(invalid="ignore", over="ignore"):
        middle = mean(values)
        deviations = values - middle
        variance = 0.0
        if count > 1:
            residue = _sum(deviations)
            variance = (_sum(deviations**2) - residue * residue / count) / (count - 1)
    deviation = math.sqrt(variance) if variance >= 0 else math.nan
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": middle,
        "std": deviation,
        "count": count,
    }


def mean_ratio(control: FloatArray, experiment: FloatArray) -> float:
    """Return the ratio of the means; NaN where either is 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        above, below = mean(experiment), mean(control)
    return math.nan if above == 0 or below == 0 else above / below


def cles(control: FloatArray, experiment: FloatArray) -> float:
    """Return the common language effect size: the chance that a point of the experiment is the larger one.

    Kayenta counts the pairs in integers of 32 bits, which overflow beyond 2^29 pairs or so; its number is given, not the right one.
    """
    m, n = len(experiment), len(control)
    above = 2 * rank_sum(control, experiment) - _int32(m * (m + 1))
    pairs = _int32(2 * n * m)
    if pairs == 0:
        return math.copysign(math.inf, above) if above else math.nan
    return above / pairs


def classify(
    name: str,
    arms: tuple[FloatArray, FloatArray],
    options: MetricOptions,
    comparison: ShiftTestSettings = JUDGE_TEST,
    seed: int = SEED,
) -> Classified:
    """Classify one metric.

    Parameters
    ----------
    name : str
        The metric's name, for the reason.
    arms : tuple of ndarray, shapes (n,) and (m,)
        Control and experiment, as `transformed` gives them.
    options : MetricOptions
        What the config asks for.
    comparison : ShiftTestSettings
        Tolerance and level.
    seed : int
        Where the noise begins, if it needs any.

    Returns
    -------
    Classified
        Label, reason, and the numbers behind them.

    Examples
    --------
    >>> classify("cpu", (np.arange(10.0, 20.0), np.arange(30.0, 40.0)), MetricOptions()).reason
    'cpu was classified as High'
    """
    control, experiment = arms
    if not len(control) or not len(experiment):
        return _without_data(name, options)
    if np.array_equal(np.sort(control), np.sort(experiment)):
        return Classified("Pass", "The Canary and Baseline data are identical")
    constant = all(arm.min() == arm.max() for arm in arms)
    if constant and control[0] == experiment[0]:
        return Classified("Pass")
    if constant:
        experiment, control = noisy(experiment, control, seed)
    try:
        interval = shift_interval(control, experiment, comparison.z)
    except AllTiedError:
        return Classified("Error", "Metric Classification Failed", None, noised=constant)
    ratio = mean_ratio(control, experiment)
    effect = cles(control, experiment) if options.cles else ratio
    label = _label(interval, effect, options, comparison.tolerance)
    critical = options.critical and (
        (
            label == "High" and not effect < options.critical_increase
        )  # written so that an effect of NaN counts
        or (label == "Low" and not effect > options.critical_decrease)
    )
    reason = (
        f"The metric {name} was classified as {label} (Critical)"
        if critical
        else f"{name} was classified as {label}"
    )
    return Classified(label, None if label == "Pass" else reason, ratio, critical, interval, effect, constant)


def _without_data(name: str, options: MetricOptions) -> Classified:
    if options.replace_missing:
        return Classified("Pass")
    reason = f"Missing data for {name}"
    if options.must_have_data and not options.critical:
        return Classified("NodataFailMetric", reason)
    return Classified("Nodata", reason, critical=options.critical)


def _label(interval: ShiftInterval, effect: float, options: MetricOptions, tolerance: float) -> str:
    bound = tolerance * abs(interval.estimate)
    if options.direction != "decrease" and interval.lower > bound and not effect < options.allowed_increase:
        return "High"
    if options.direction != "increase" and interval.upper < -bound and not effect > options.allowed_decrease:
        return "Low"
    return "Pass"


def _sum(values: FloatArray) -> float:
    return float(np.cumsum(values)[-1])  # from left to right, where np.sum adds in pairs


def _int32(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31

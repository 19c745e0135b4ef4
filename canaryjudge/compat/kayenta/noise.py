"""The noise that Kayenta adds where both arms are constant: Java's generator, from a seed of ours instead of none."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from canaryjudge.data.pair import FloatArray

__all__ = ["SEED", "JavaRandom", "noisy"]

SEED: Final = 1
"""Where the noise of each metric begins. Kayenta takes it from one generator a process, without a seed."""
_NOISE: Final = 1e-5
_BITS: Final = (1 << 48) - 1


class JavaRandom:
    """``java.util.Random``: a linear congruential generator of 48 bits, and Marsaglia's polar method for normal numbers.

    Parameters
    ----------
    seed : int
        Its seed.

    Examples
    --------
    >>> round(JavaRandom(42).gaussian(), 12)
    1.141905315473
    """

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ 0x5DEECE66D) & _BITS
        self._spare: float | None = None

    def gaussian(self) -> float:
        """Give the next standard normal number."""
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
        """Give so many normal numbers."""
        return np.array([mean + deviation * self.gaussian() for _ in range(count)], dtype=np.float64)

    def _uniform(self) -> float:
        return float((self._next(26) << 27) + self._next(27)) / (1 << 53)

    def _next(self, bits: int) -> int:
        self._state = (self._state * 0x5DEECE66D + 0xB) & _BITS
        return self._state >> (48 - bits)


def noisy(experiment: FloatArray, control: FloatArray, seed: int = SEED) -> tuple[FloatArray, FloatArray]:
    """Add to each point of two constant arms a hundred-thousandth of its value, times a standard normal number.

    Parameters
    ----------
    experiment, control : ndarray, shapes (m,) and (n,)
        The arms; the experiment's noise is drawn first.
    seed : int
        Where the noise begins.

    Returns
    -------
    tuple of ndarray
        Both arms with their noise; zeros stay zeros.
    """
    random = JavaRandom(seed)
    with np.errstate(
        invalid="ignore"
    ):  # of infinite arms the noise is infinite as well, and what is left is no number
        first = experiment + random.gaussians(0.0, float(experiment[0]) * _NOISE, len(experiment))
        return first, control + random.gaussians(0.0, float(control[0]) * _NOISE, len(control))

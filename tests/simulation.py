"""Series and bounds for the seeded simulations of error rates."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom


def ar1(rng: np.random.Generator, runs: int, n: int, rho: float) -> np.ndarray:
    """Stationary AR(1) series of unit variance, one a row."""
    noise = rng.normal(size=(runs, n))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for t in range(1, n):
        series[:, t] = rho * series[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return series


def assert_rate_at_most(errors: int, runs: int, rate: float) -> None:
    """Fail if so many errors would be a one-in-a-million accident at this rate."""
    chance = binom.sf(errors - 1, runs, rate)
    assert chance > 1e-6, (
        f"{errors} errors in {runs} runs ({errors / runs:.4%}) where at most {rate:.4%} are promised"
    )

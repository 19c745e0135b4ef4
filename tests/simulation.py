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


def best_rho(v_opt: float, level: float, *, one_sided: bool = False) -> float:
    """The prior at which a mixture's boundary is about as low as possible at one variance (Howard et al. 2021)."""
    surprise = -2 * np.log(2 * level if one_sided else level)
    return float(v_opt / (surprise + np.log1p(surprise)))


def assert_rate_at_most(errors: int, runs: int, rate: float) -> None:
    """Fail if so many errors would be a one-in-a-million accident at this rate."""
    chance = binom.sf(errors - 1, runs, rate)
    assert chance > 1e-6, (
        f"{errors} errors in {runs} runs ({errors / runs:.4%}) where at most {rate:.4%} are promised"
    )

"""Other ways to look at running data, for many simulated runs at once, and the packages that do so where they are installed."""

from __future__ import annotations

import importlib
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import betaln, ndtri
from sequential_engines import Decisions, Traffic, decide

from canaryjudge.stats.confidence_sequences import normal_log_mixture
from canaryjudge.stats.group_sequential import boundaries

__all__ = [
    "PACKAGES",
    "asymptotic_mean",
    "beta_mixture",
    "distribution_bands",
    "fixed_window",
    "group_sequential",
    "naive_mann_whitney",
    "naive_z",
    "runs",
    "savvi_decisions",
    "sequential_analysis_decisions",
    "ville_found",
    "wins",
]

PACKAGES = {
    "savvi": "savvi.multinomial",
    "sequential_analysis": "sequential_analysis.procedures.rates",
    "ville": "ville.means",
}
"""Packages that are run where they are installed, and what is imported of them; none is needed."""
_CONCENTRATION = 100.0
"""Lindon and Malek's default prior."""
_FEWEST_EVENTS = 10.0
_FEWEST_PAIRS = 10
_FEWEST_FOR_MEANS = 100
_PLANNED_LOOKS = 16
_QUANTILES = (0.5, 0.9, 0.95)
_TUNED_TO = 500.0

FloatArray = NDArray[np.float64]


def naive_z(
    events: tuple[FloatArray, FloatArray], traffic: Traffic, tolerance: float, level: float = 0.05
) -> Decisions:
    """Ask a z test of the split of the events at every look, as if it were the only one."""
    z = _z(events, traffic, tolerance)
    limit = -float(ndtri(level))
    return decide(z > limit, z < -limit)


def fixed_window(
    events: tuple[FloatArray, FloatArray], traffic: Traffic, tolerance: float, level: float = 0.05
) -> Decisions:
    """Ask the same test once, at the end."""
    z = _z(events, traffic, tolerance)[:, -1:]
    limit = -float(ndtri(level))
    return decide(z > limit, z < -limit, [traffic.intervals])


def _z(events: tuple[FloatArray, FloatArray], traffic: Traffic, tolerance: float) -> FloatArray:
    odds = (1 + tolerance) * traffic.canary / traffic.baseline
    share, both = odds / (1 + odds), events[0] + events[1]
    expected, variance = (both * share).cumsum(axis=1), (both * share * (1 - share)).cumsum(axis=1)
    enough = both.cumsum(axis=1) >= _FEWEST_EVENTS
    return np.where(enough, (events[1].cumsum(axis=1) - expected) / np.sqrt(np.maximum(variance, 1e-9)), 0.0)


def beta_mixture(
    events: tuple[FloatArray, FloatArray], traffic: Traffic, tolerance: float, level: float = 0.05
) -> Decisions | None:
    """Ask Lindon and Malek's two-sided beta mixture of the split of the events; None where the traffic's split changes.

    A ratio that is rejected is too large or too small by the side on which the estimate lies.
    """
    if not traffic.steady:
        return None
    odds = (1 + tolerance) * float(traffic.canary[0] / traffic.baseline[0])
    share = odds / (1 + odds)
    x, both = events[1].cumsum(axis=1), (events[0] + events[1]).cumsum(axis=1)
    prior = _CONCENTRATION * share, _CONCENTRATION * (1 - share)
    evidence = (
        betaln(prior[0] + x, prior[1] + both - x)
        - betaln(*prior)
        - x * math.log(share)
        - (both - x) * math.log1p(-share)
    )
    rejected = evidence >= -math.log(level)
    return decide(rejected & (x > share * both), rejected & (x < share * both))


def wins(baseline: FloatArray, canary: FloatArray) -> FloatArray:
    """Give z of the Mann-Whitney test after every pair of one run."""
    higher = canary[:, None] > baseline[None, :]
    rows, columns = np.tril(higher).sum(axis=1), np.triu(higher, 1).sum(axis=0)
    n = np.arange(1, len(canary) + 1, dtype=np.float64)
    return np.asarray(((rows + columns).cumsum() - n * n / 2) / np.sqrt(n * n * (2 * n + 1) / 12))


def naive_mann_whitney(z: FloatArray, level: float = 0.05) -> Decisions:
    """Ask the test after every pair, as if it were the only time."""
    limit = -float(ndtri(level))
    return decide((z > limit) & (np.arange(1, z.shape[1] + 1) >= _FEWEST_PAIRS))


def group_sequential(z: FloatArray, spending: str, level: float = 0.05) -> Decisions:
    """Ask the test at sixteen planned looks, by Lan and DeMets' boundaries."""
    looks = np.arange(1, _PLANNED_LOOKS + 1) * z.shape[1] // _PLANNED_LOOKS
    limits = boundaries(np.arange(1, _PLANNED_LOOKS + 1) / _PLANNED_LOOKS, level, spending).z
    return decide(z[:, looks - 1] > limits, looks=looks)


def asymptotic_mean(baseline: FloatArray, canary: FloatArray, level: float = 0.05) -> Decisions:
    """Ask the one-sided asymptotic confidence sequence of the mean difference after every pair, from the hundredth on."""
    n = np.arange(1, canary.shape[1] + 1, dtype=np.float64)
    difference = canary - baseline
    mean, squares = difference.cumsum(axis=1) / n, np.square(difference).cumsum(axis=1) / n
    deviation = np.sqrt(np.maximum(squares - mean**2, 0.0) * n / np.maximum(n - 1, 1.0))
    # before the first two pairs nothing is known of the deviation
    sums = np.divide(mean * n, deviation, out=np.zeros_like(mean), where=deviation > 0)
    evidence = normal_log_mixture(sums, n, _best_rho(2 * level), one_sided=True)
    return decide((evidence > -math.log(level)) & (n >= _FEWEST_FOR_MEANS))


def distribution_bands(
    baseline: FloatArray, canary: FloatArray, stride: int, level: float = 0.05
) -> tuple[Decisions, Decisions]:
    """Ask two tests of distributions every `stride` pairs.

    Parameters
    ----------
    baseline, canary : ndarray, shape (runs, n)
        Values without ties.
    stride : int
        Pairs between looks.
    level : float
        Of each test.

    Returns
    -------
    bands : Decisions
        Bands about both distribution functions (Howard and Ramdas 2022), which must not overlap somewhere.
    quantiles : Decisions
        Their two-sample test of the quantiles .5, .9 and .95, at a third of the level each, where the canary's is higher.
    """
    runs, n = canary.shape
    looks = np.arange(stride, n + 1, stride)
    apart, moved = np.zeros((2, runs, len(looks)), dtype=bool)
    reach = 2 * looks * _band(looks, level / 2)
    for run in range(runs):
        order = np.argsort(np.concatenate([baseline[run], canary[run]]))
        place = np.empty(2 * n, dtype=np.intp)
        place[order] = np.arange(2 * n)
        for j, look in enumerate(looks.tolist()):
            counts = []
            for first in (0, n):
                seen = np.zeros(2 * n, dtype=np.int64)
                seen[place[first : first + look]] = 1
                counts.append(seen.cumsum())
            below = counts[0] - counts[1]
            apart[run, j] = below.max() > reach[j]
            moved[run, j] = any(
                _quantile_evidence(counts, look, q, level) >= math.log(len(_QUANTILES) / level)
                for q in _QUANTILES
            )
    return decide(apart, looks=looks), decide(moved, looks=looks)


def _quantile_evidence(counts: list[NDArray[np.int64]], look: int, q: float, level: float) -> float:
    """Give the evidence against any common quantile; none where the canary's is not the higher."""
    rank = math.ceil(q * look)
    if np.searchsorted(counts[1], rank) <= np.searchsorted(counts[0], rank):
        return 0.0
    table = _binomial_table(look, q, level)
    return float((table[counts[0]] + table[counts[1]]).min())


@cache
def _binomial_table(look: int, q: float, level: float) -> FloatArray:
    counts = np.arange(look + 1.0)
    a, b = ((_best_rho(level) - 1) * share for share in (q, 1 - q))
    evidence = betaln(a + counts, b + look - counts) - betaln(a, b)
    return np.asarray(evidence - counts * math.log(q) - (look - counts) * math.log(1 - q))


def _best_rho(level: float) -> float:
    """Give the prior for which a mixture is tightest at the number of observations that it is tuned to."""
    surprise = -2 * math.log(level)
    return _TUNED_TO / (surprise + math.log1p(surprise))


def _band(n: NDArray[np.int64], level: float, a: float = 0.85) -> FloatArray:
    """Give the half-width of a band about a distribution function, from the first look on (Howard and Ramdas 2022, theorem 2)."""
    start = np.maximum(n, _FEWEST_FOR_MEANS)
    radius = a * np.sqrt((np.log1p(np.log(start / _FEWEST_FOR_MEANS)) + _band_constant(level, a)) / start)
    return np.where(n >= _FEWEST_FOR_MEANS, radius, np.inf)


@cache
def _band_constant(level: float, a: float) -> float:
    def log_error(constant: float) -> float:
        def gamma(eta: float) -> float:
            return math.sqrt(2 / eta) * (a - math.sqrt(2 * (eta - 1) / constant))

        def log_bound(eta: float) -> float:
            square = gamma(eta) ** 2
            return math.log(4) - square * constant + math.log1p(1 / ((square - 1) * math.log(eta)))

        # gamma falls from more than 1 to less, and the bound is infinite at both ends of that interval
        last = brentq(lambda eta: gamma(eta) - 1, 1.0, 2 * a**2, xtol=1e-14)
        inner = (1 + 1e-12 * (last - 1), last - 1e-9 * (last - 1))
        return float(minimize_scalar(log_bound, bounds=inner, method="bounded", options={"xatol": 1e-9}).fun)

    return float(brentq(lambda constant: log_error(constant) - math.log(level), 1.0, 64.0, xtol=1e-12))


def runs(name: str) -> bool:
    """Tell whether a package is there and can be imported."""
    try:
        importlib.import_module(PACKAGES[name])
    except Exception:  # noqa: BLE001 - a package that cannot be imported is skipped, whatever the reason
        return False
    return True


def savvi_decisions(
    events: tuple[FloatArray, FloatArray], traffic: Traffic, tolerance: float, level: float = 0.05
) -> Decisions:
    """Feed savvi's multinomial test interval by interval, in the sense of `beta_mixture`."""
    multinomial = importlib.import_module(PACKAGES["savvi"]).Multinomial
    odds = (1 + tolerance) * float(traffic.canary[0] / traffic.baseline[0])
    share = np.array([odds / (1 + odds), 0.0])
    share[1] = 1 - share[0]
    outcome, after = np.zeros(len(events[0]), dtype=np.int64), np.full(len(events[0]), np.inf)
    for run, (x_b, x_c) in enumerate(zip(*events, strict=True)):
        test = multinomial(level, share)
        for t, counts in enumerate(np.stack([x_c, x_b], axis=-1).astype(np.int64)):
            test.update(counts)
            if test.calculate_p_value() <= level:
                outcome[run], after[run] = (-1 if test.estimate[0] > share[0] else 1), t + 1
                break
    return Decisions(outcome, after)


def sequential_analysis_decisions(
    events: tuple[FloatArray, FloatArray], traffic: Traffic, tolerance: float, level: float = 0.05
) -> Decisions:
    """Feed the rate ratio tests of sequential-analysis, greater and less; an interval of an arm is one of its units."""
    rates = importlib.import_module(PACKAGES["sequential_analysis"]).RateRatioTest
    tests = [rates(alpha=level, rho0=1 + tolerance, alternative=side, grid=0) for side in ("greater", "less")]
    outcome, after = np.zeros(len(events[0]), dtype=np.int64), np.full(len(events[0]), np.inf)
    for run, (x_b, x_c) in enumerate(zip(*events, strict=True)):
        states = [test.initial_state() for test in tests]
        for t in range(traffic.intervals):
            units = (
                {"arm": 0, "count": int(x_b[t]), "exposure": float(traffic.baseline[t])},
                {"arm": 1, "count": int(x_c[t]), "exposure": float(traffic.canary[t])},
            )
            for unit in units:
                states = [test.step(state, unit)[0] for test, state in zip(tests, states, strict=True)]
            decided = [state.decision is not None for state in states]
            if any(decided):
                outcome[run], after[run] = (-1 if decided[0] else 1), t + 1
                break
    return Decisions(outcome, after)


def ville_found(baseline: FloatArray, canary: FloatArray, level: float = 0.05) -> Decisions:
    """Ask ville's asymptotic confidence sequence (two-sided) of the mean difference."""
    sequence = importlib.import_module(PACKAGES["ville"]).AsymptoticCS
    found = []
    for difference in canary - baseline:
        test = sequence(alpha=level, t_opt=_TUNED_TO)
        test.fit(difference)
        found.append(np.asarray(test.lower_) > 0)
    return decide(np.array(found))

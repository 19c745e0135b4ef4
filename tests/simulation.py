"""Series, verdicts of many releases, and bounds for the seeded simulations of error rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

import canaryjudge as cj
from canaryjudge.data import with_exposures
from canaryjudge.data.reading import read_pairs_or_notes
from canaryjudge.history import known_past
from canaryjudge.judging import Case, judge_cases, judge_releases, shares
from canaryjudge.results import MetricResult, ReleaseResult

ACCIDENT = 1e-6
"""A right test fails once in so many runs, by chance."""


def ar1(rng: np.random.Generator, runs: int, n: int, rho: float) -> np.ndarray:
    """Stationary AR(1) series of unit variance, one a row."""
    noise = rng.normal(size=(runs, n))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for t in range(1, n):
        series[:, t] = rho * series[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return series


def judged(releases: Iterable[Any], policy: cj.Policy) -> list[ReleaseResult]:
    """Judge releases at once, each as `judge` would."""
    arms = ("baseline", "canary")
    pairs = [read_pairs_or_notes(data, policy, baseline=arms[0], canary=arms[1]) for data in releases]
    return [release for release, _ in judge_releases(pairs, policy, [arms] * len(pairs))]


def judged_apart(
    releases: Sequence[Any], policies: Sequence[cj.Policy], histories: Sequence[Any] | None = None
) -> list[MetricResult]:
    """Judge releases of one metric at once, each by a policy of its own, which differ in that metric, and with a past of its own."""
    cases, arms = [], ("baseline", "canary")
    pasts = [None] * len(releases) if histories is None else histories
    for data, policy, told in zip(releases, policies, pasts, strict=True):
        (metric,) = policy.metrics
        pair = read_pairs_or_notes(data, policy, baseline=arms[0], canary=arms[1])[metric.name]
        history = known_past(told, policy, arms)
        cases.append(
            Case.of(with_exposures(pair, metric, policy), metric, shares(policy)[metric.name], history)
        )
    return judge_cases(cases, policies[0])


def failed(releases: Iterable[Any], policy: cj.Policy) -> int:
    """Judge releases at once, and count those that fail."""
    return sum(release.outcome == "fail" for release in judged(releases, policy))


def best_rho(v_opt: float, level: float, *, one_sided: bool = False) -> float:
    """The prior at which a mixture's boundary is about as low as possible at one variance (Howard et al. 2021)."""
    surprise = -2 * np.log(2 * level if one_sided else level)
    return float(v_opt / (surprise + np.log1p(surprise)))


def assert_rate_at_most(errors: int, runs: int, rate: float) -> None:
    """Fail if so many errors would be a one-in-a-million accident at this rate."""
    chance = binom.sf(errors - 1, runs, rate)
    assert chance > ACCIDENT, (
        f"{errors} errors in {runs} runs ({errors / runs:.4%}) where at most {rate:.4%} are promised"
    )


def fewest_runs(rate: float, times: float = 5, sure: float = 0.95) -> int:
    """The fewest runs in which `assert_rate_at_most` is so sure to fail where errors are so many times as frequent as promised."""
    runs = np.arange(1, int(60 / rate))
    too_many = binom.isf(ACCIDENT, runs, rate) + 1
    return int(runs[binom.sf(too_many - 1, runs, times * rate) >= sure][0])


def sizes(rate: float, full: int) -> pytest.MarkDecorator:
    """Run a guarantee in as few runs as show that it is broken, and in full where time does not matter."""
    few = pytest.param(fewest_runs(rate), id="sampled")
    return pytest.mark.parametrize("runs", [few, pytest.param(full, id="in full", marks=pytest.mark.slow)])

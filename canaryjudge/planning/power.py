"""The closed forms applied: a metric, what is assumed of it, a share of the traffic and a length -> power, and the chance that a healthy canary passes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from canaryjudge.data import FloatArray, question_of
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, RuleSettings
from canaryjudge.policy.doubts import wholes_of
from canaryjudge.reports import Form
from canaryjudge.rules import ErrorRates, default_rules
from canaryjudge.rules.decision import Limits, tolerated
from canaryjudge.rules.noise_floor import one_against_others
from canaryjudge.rules.rows import Question, Sizes, usual_errors
from canaryjudge.simulate.assumptions import Assumed
from canaryjudge.stats.long_run import projections
from canaryjudge.stats.paired_shift import FEWEST_FOR_A_LEVEL, dependent_mean_critical
from canaryjudge.stats.power import RANK_VARIANCE, Scatter, events_power, shift_power
from canaryjudge.stats.proportions import difference_bounds
from canaryjudge.stats.rates import rate_difference_bounds, rate_ratio_pvalues
from canaryjudge.stats.replicas import joined
from canaryjudge.stats.usual_variation import WIDEST_VARIATION

__all__ = [
    "Expected",
    "PowerDesign",
    "form_of",
    "is_per_request",
    "needed_points",
    "planned_rule",
    "visible_size",
]

_FORMS: Final[dict[str, Form]] = {"mann_whitney": "shift", "proportion": "events", "rate": "events"}
_FEW_EVENTS: Final = 300.0
"""Totals with fewer expected events than this are counted out; of more, the logarithm of the ratio is as good as normal."""
_MOST_POINTS: Final = 1_000_000
_NODES: Final = 9
_FEW_MINUTES, _MINUTES_DF = 20, 8.0
"""Fewer minutes have the standard error of independent points, more that of so many waves."""
_STRONGEST: Final = 0.97
_LARGEST, _CLOSE = 32.0, 1e-3
_PER_REQUEST: Final = (
    "latency",
    "duration",
    "p50",
    "p75",
    "p90",
    "p95",
    "p99",
    "quantile",
    "response_time",
    "rtt",
)


def planned_rule(metric: Metric) -> RuleSettings:
    """Give the rule that a plan is about: the first that has a closed form, else the first."""
    rules = metric.rules or default_rules(metric, one_clock=metric.pairing != "windows")
    return next((rule for rule in rules if rule.rule in _FORMS), rules[0])


def form_of(metric: Metric) -> Form:
    """Give the closed form of a metric's planned rule."""
    form = _FORMS.get(planned_rule(metric).rule, "none")
    fits = (form == "events") == KINDS[metric.kind].counts_events
    return form if fits else "none"


def is_per_request(metric: Metric, assumed: Assumed) -> bool:
    """Tell whether a gauge is made of requests: by what is assumed, or by its name."""
    if not KINDS[metric.kind].is_averaged:
        return KINDS[metric.kind].has_observations
    if assumed.per_request is not None:
        return assumed.per_request
    name = metric.name.lower()
    return any(word in name for word in _PER_REQUEST)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to be expected."""

    power: float
    """Probability that the regression fails."""
    passes: float
    """Probability that a healthy canary passes."""


@dataclass(frozen=True, slots=True)
class PowerDesign:
    """A metric at a share of the traffic."""

    metric: Metric
    """What it is."""
    assumed: Assumed
    """What is assumed of it."""
    share: float
    """The canary's share of the traffic."""
    alpha: float
    """Level of the rule."""
    beta: float
    """The policy's beta."""

    def expected(self, points: int, size: float) -> Expected:
        """Give what is to be expected after so many points of a regression of a size."""
        if points < self.metric.needed_points:
            return Expected(0.0, 0.0)
        parts = [self._one_way(points, size, sign) for sign, _ in self.limits.sides]
        # a regression goes one way, and a pass needs every way proven
        return Expected(parts[0].power, max(0.0, 1 - sum(1 - part.passes for part in parts)))

    @property
    def level(self) -> float:
        """The level that is assumed; 1 where none is."""
        level = self.assumed.level
        return 1.0 if level is None else self.metric.quantity(level, "level")

    @property
    def limits(self) -> Limits:
        """What is tolerated, and what a pass will exclude, at the level that is assumed."""
        question = question_of(self.metric, ErrorRates(self.alpha, self.beta))
        if question.pass_within is None:
            question = replace(question, pass_within=self._usual(question))
        return tolerated(question, self.level) or Limits(absolute=False, high=0.0, low=None)

    def _usual(self, question: Question) -> Sizes[float]:
        """Give what a pass will exclude where that is left to the baseline, which will vary as is assumed."""
        if KINDS[self.metric.kind].is_averaged:
            steps = self.spread(1 - self.share) * math.sqrt(1 - self.assumed.autocorrelation)
            usual = max(question.tolerance.relative, min(WIDEST_VARIATION, steps))
            return Sizes(usual, question.tolerance.absolute)
        if KINDS[self.metric.kind].is_share and len(question.sides) == 1:
            return usual_errors(self.level, 1.0, question.sides, question.tolerance)
        return question.tolerance

    def spread(self, share: float) -> float:
        """Give the standard deviation of a gauge's points at a share of the traffic."""
        alone = is_per_request(self.metric, self.assumed)
        return (self.assumed.spread or 0.0) / math.sqrt(share if alone else 1.0)

    def _one_way(self, points: int, size: float, sign: int) -> Expected:
        limits = self.limits
        limit, pass_limit = dict(limits.sides)[sign], dict(limits.pass_sides)[sign]
        change = size if sign > 0 else -size / (1 + size)
        level = self.alpha / len(limits.sides)
        if form_of(self.metric) == "events":
            return self._events(points, change, (limit, pass_limit), level, sign)
        relative, excluded = (at / self.level if limits.absolute else at for at in (limit, pass_limit))
        scale, safe_scale = (1.0 if limits.absolute else 1 + at for at in (relative, excluded))
        wrong = self._error(points, 1 + change, scale), self._error(points, 1.0, safe_scale)
        floors = self._floor(relative, scale), self._floor(excluded, safe_scale)
        likely = 1.0
        if limits.by_estimate:
            error = math.hypot(self._error(points, 1.0, 1.0), self._floor()[0])
            likely = float(ndtr(abs(relative) / error)) if error else 1.0
        # the judge does not know the autocorrelation, and its doubt follows what it finds
        found = _found_rhos(self.assumed.autocorrelation, points)
        return Expected(
            float(
                np.mean(
                    [
                        self._power(sign * (change - relative), wrong[0], points, rho, floors[0], level)
                        for rho in found
                    ]
                )
            ),
            float(
                np.mean(
                    [
                        min(likely, self._power(sign * excluded, wrong[1], points, rho, floors[1], self.beta))
                        for rho in found
                    ]
                )
            ),
        )

    def _power(
        self,
        excess: float,
        error: float,
        points: int,
        rho: float,
        floor: tuple[float, float],
        level: float,
    ) -> float:
        """Give the chance that a change is proven by its error and, where that is less, with what lasts as well."""
        alone, own_level = Scatter(error, projections(points, rho)), level
        if KINDS[self.metric.kind].is_averaged:  # minute by minute, as arms that share the clock are judged
            if points < FEWEST_FOR_A_LEVEL:
                return 0.0
            few = points < _FEW_MINUTES
            critical = float(dependent_mean_critical([level], points, min(rho, _STRONGEST))[0])
            true = self.assumed.autocorrelation
            critical /= math.sqrt((1 + true) / (1 - true)) if few else 1.0  # few have no long-run error
            alone = Scatter(error, points - 1.0 if few else _MINUTES_DF)
            own_level = float(stdtr(alone.df, -critical))
            error *= critical / -float(stdtrit(alone.df, level))
        together, known = joined(error, alone.df, *floor)
        both = Scatter(float(together), float(known))
        return min(shift_power(excess, alone, own_level), shift_power(excess, both, level))

    def _error(self, points: int, canary: float, scale: float) -> float:
        """Add up the noise of the canary's level, which moved by a factor, and of the baseline's at the limit."""
        metric, assumed = self.metric, self.assumed
        spread, rho = assumed.spread or 0.0, assumed.autocorrelation
        longer = (1 + rho) / (1 - rho)
        own = []
        for share in (self.share, 1 - self.share):
            if KINDS[metric.kind].is_averaged:
                own.append(self.spread(share) ** 2 * longer / points)
            else:
                seen = (assumed.traffic or 0.0) * share * points
                shared = assumed.between_intervals**2 * longer / points
                own.append(RANK_VARIANCE * spread**2 / max(seen, 1e-300) + shared)
        return math.sqrt(canary**2 * own[0] + scale**2 * own[1])

    def _floor(self, change: float = 0.0, scale: float = 1.0) -> tuple[float, float]:
        """Give by what part of the level healthy arms differ at a change, where levels are scaled so, and with which degrees of freedom that is known."""
        floor, level = self.metric.noise_floor, self.level
        stated = None if floor is None else floor.between_replicas
        if floor is not None and stated is not None:
            return scale * math.sqrt(2) * stated.size(self.metric, level) / level, floor.replicas_freedom
        whole = None if self.assumed.level is None else wholes_of(self.metric).of(level, level)
        of = scale if whole is None else whole / level - 1 + max(0.0, -change)
        return of * math.sqrt(one_against_others()) * self.metric.assumed_spread, math.inf

    def _events(
        self, points: int, change: float, limits: tuple[float, float], level: float, sign: int
    ) -> Expected:
        rate = self.level
        whole = points * (self.assumed.traffic or 1.0 if KINDS[self.metric.kind].is_share else 1.0)
        exposures = self.share * whole, (1 - self.share) * whole
        expected = [rate * exposure for exposure in exposures]
        factor = self.assumed.dispersion
        change_at = min(limits) / rate if self.limits.absolute else min(limits)
        if floor := self._floor(change_at)[0]:
            chance = 1 - rate * (1 + min(0.0, change_at)) if KINDS[self.metric.kind].is_share else 1.0
            factor += floor**2 / sum(chance / events for events in expected)
        arms = (exposures[0] / factor, exposures[1] / factor)
        few = max(expected) * (1 + change) / factor <= _FEW_EVENTS
        ask = self._counted if few else self._normal
        limit, pass_limit = limits
        power = ask(arms, rate, change, limit, level, sign)
        return Expected(power, ask(arms, rate, 0.0, pass_limit, self.beta, -sign))

    def _counted(
        self, arms: tuple[float, float], rate: float, change: float, limit: float, level: float, sign: int
    ) -> float:
        """Count out the totals that the real test rejects at."""
        share = KINDS[self.metric.kind].is_share

        def rejects(canary: FloatArray, baseline: FloatArray) -> NDArray[np.bool_]:
            if share:  # no more events than there are requests
                canary, baseline = np.minimum(canary, arms[0]), np.minimum(baseline, arms[1])
            totals = canary, arms[0], baseline, arms[1]
            if self.limits.absolute:  # a p-value is below the level where the bound lies beyond the limit, and costs a hundred times as much
                bounds = (difference_bounds if share else rate_difference_bounds)(*totals, level)
                return np.asarray(bounds.low >= limit if sign > 0 else bounds.high <= limit)
            ratio = rate_ratio_pvalues(*totals, 1 + limit)
            return np.asarray((ratio.greater if sign > 0 else ratio.less) <= level)

        return events_power(rate * (1 + change) * arms[0], rate * arms[1], rejects)

    def _normal(
        self, arms: tuple[float, float], rate: float, change: float, limit: float, level: float, sign: int
    ) -> float:
        chances = (rate * (1 + change), rate)
        left = [max(0.0, 1 - chance) if KINDS[self.metric.kind].is_share else 1.0 for chance in chances]
        if self.limits.absolute:
            excess = sign * (rate * change - limit)
            variance = sum(chance * rest / arm for chance, rest, arm in zip(chances, left, arms, strict=True))
        else:
            excess = sign * (math.log1p(change) - math.log1p(limit))
            variance = sum(
                rest / (chance * arm) for chance, rest, arm in zip(chances, left, arms, strict=True)
            )
        return shift_power(excess, Scatter(math.sqrt(variance), 1e9), level)


def _found_rhos(rho: float, points: int) -> list[float]:
    """Give autocorrelations of the ranks that so many points may show, equally likely ones: normal about the true one, with variance (1 - rho^2) / n."""
    of_ranks = 6 / math.pi * math.asin(rho / 2)
    deviates = ndtri((np.arange(_NODES) + 0.5) / _NODES)
    found = np.clip(of_ranks + deviates * math.sqrt((1 - of_ranks**2) / points), 0.0, _STRONGEST)
    return [float(one) for one in found]


def needed_points(design: PowerDesign, size: float, power: float) -> int | None:
    """Find the fewest points after which a regression is found with the power."""
    high = max(2, design.metric.needed_points)
    while design.expected(high, size).power < power:
        if high >= _MOST_POINTS:
            return None
        high *= 2
    low = high // 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if design.expected(middle, size).power >= power else (middle, high)
    return high


def visible_size(design: PowerDesign, points: int, power: float) -> float | None:
    """Find the smallest regression that is found with the power after so many points; None where none up to 32 times is."""
    if design.expected(points, _LARGEST).power < power:
        return None
    low, high = 1e-4, _LARGEST
    while high / low > 1 + _CLOSE:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if design.expected(points, middle).power >= power else (middle, high)
    return high

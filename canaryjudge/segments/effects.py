"""Each segment's effect: what the rule about a metric's level says of it, without what all segments share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy import special

from canaryjudge.data import FloatArray, MetricPair
from canaryjudge.data.segments import SegmentName
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, RuleSettings
from canaryjudge.results import (
    MetricResult,
)
from canaryjudge.rules import default_rules
from canaryjudge.rules.findings import (
    EventsFinding,
    LevelFinding,
    Scale,
)
from canaryjudge.rules.rows import BoolArray
from canaryjudge.stats.common_effect import student_error
from canaryjudge.stats.heterogeneity import log_ratios

__all__ = [
    "LEVEL_RULES",
    "OF_THE_WHOLE",
    "Effects",
    "SegmentedMetric",
    "asked_in_segments",
    "effects_of",
    "held_against_others",
    "level_rule",
    "levels_of",
    "rules_of",
]

LEVEL_RULES: Final = ("mann_whitney", "proportion", "rate")
"""Rules about the level, the first of which is asked within segments."""
OF_THE_WHOLE: Final = ("slo", "burn_rate", "any_of", "all_of", "sequential")
"""Rules that are asked of the whole: about objectives, at looks, and groups that may hold such."""
_WAVES, _POINTS_FOR_WAVES = 8.0, 20
"""Degrees of freedom of a comparison minute by minute, from so many minutes on."""
_PRIOR = 5.0
"""Information of differences of log ratios at which their boundary is as near as may be: about a fifteenth of what shows a difference of a half."""
_HALF = 0.5
_MANY_EVENTS = 50
"""With fewer events of the baseline, what is tolerated in absolute numbers cannot be told as a part of their rate."""


def level_rule(metric: Metric, pair: MetricPair) -> int | None:
    """Give the place of the rule about the level that is asked within segments; None where there is none."""
    rules = rules_of(metric, pair)
    return next((place for place, rule in enumerate(rules) if rule.rule in LEVEL_RULES), None)


def rules_of(metric: Metric, pair: MetricPair) -> tuple[RuleSettings, ...]:
    """Give a metric's rules."""
    return metric.rules or default_rules(metric, one_clock=pair.pairing == "concurrent")


def asked_in_segments(metric: Metric) -> Metric:
    """Give what is asked of a metric in each segment: not what is of the whole, nor what healthy arms differ by, which the segments share."""
    rules = metric.rules and tuple(rule for rule in metric.rules if rule.rule not in OF_THE_WHOLE)
    return metric.model_copy(update={"rules": rules or None, "assumed_spread": 0.0, "noise_floor": None})


@dataclass(frozen=True, slots=True)
class SegmentedMetric:
    """A metric, judged as a whole and in each segment.

    Attributes
    ----------
    metric : Metric
        What is asked of it, told of its past.
    pair, pairs : MetricPair, and those of the segments
        Its data.
    result, results : MetricResult, and those of the segments
        What became of the whole and of each.
    names : sequence of tuple of str
        The segments.
    level : float
        The level of its rule about the level.
    beta, in_each : float
        That of the policy, and that of the segments' own tests.
    watched : str or None
        Of a watch, the rule about the level whose findings it asks.
    """

    metric: Metric
    pair: MetricPair
    pairs: Sequence[MetricPair]
    result: MetricResult
    results: Sequence[MetricResult]
    names: Sequence[SegmentName]
    level: float
    beta: float
    in_each: float
    watched: str | None = None

    @property
    def traffic(self) -> tuple[FloatArray, FloatArray]:
        """Each segment's traffic in both arms: requests, exposure, observations or points."""
        arms = [[_amount(getattr(pair, arm), pair) for pair in self.pairs] for arm in ("baseline", "canary")]
        return np.array(arms[0], dtype=np.float64), np.array(arms[1], dtype=np.float64)

    @property
    def parts(self) -> tuple[FloatArray, FloatArray]:
        """The same as parts of each arm's."""
        baseline, canary = (own / max(own.sum(), np.finfo(float).tiny) for own in self.traffic)
        return baseline, canary


def _amount(arm: Any, pair: MetricPair) -> float:
    kind = KINDS[pair.kind]
    if kind.has_buckets or (kind.counts_events and arm.total is not None and not pair.reported):
        return float(arm.value.sum() if kind.has_buckets else arm.exposure)
    return float(len(arm))


@dataclass(frozen=True, slots=True)
class Effects:
    """Each segment's effect in one additive scale, positive being larger; NaN where a segment has none."""

    scale: Scale
    logarithmic: bool
    """Whether effects are logarithms of ratios."""
    estimate: FloatArray
    error: FloatArray
    df: FloatArray
    ends: dict[int, FloatArray]
    """What is tolerated in each bad direction."""
    pass_ends: dict[int, FloatArray]
    known: BoolArray
    """Which segments were compared."""
    findings: list[Any]

    def back(self, value: Any) -> Any:
        """Give a change in the scale of findings."""
        return np.expm1(value) if self.logarithmic else value


def effects_of(own: SegmentedMetric) -> Effects | None:
    """Lay out what the rule about the level says of each segment."""
    place = None if own.watched else level_rule(own.metric, own.pair)
    rule = own.watched if place is None else rules_of(own.metric, own.pair)[place].rule
    findings: list[LevelFinding | None] = [
        next(
            (
                each
                for each in result.findings
                if each.rule == rule and isinstance(each, LevelFinding) and each.estimate is not None
            ),
            None,
        )
        for result in own.results
    ]
    told = [each for each in findings if each is not None and each.method != "none"]
    if not told:
        return None
    of_level = [each.scale == "relative" for each in told]
    mixed = any(of_level) and all(map(_has_level, told))
    relative = all(of_level) or mixed
    logarithmic = relative and (KINDS[own.metric.kind].counts_events or _by_ratio(own))
    signs = {"increase": (1,), "decrease": (-1,), "either": (1, -1)}[own.metric.direction]
    columns = np.full((len(findings), 9), np.nan)
    for row, finding in enumerate(findings):
        if finding is None or finding.method == "none":
            continue
        unit = _unit(finding, relative=relative)
        interval, at_pass = finding.interval, finding.pass_interval
        told_ends = (
            finding.estimate,
            None if interval is None else interval.low,
            None if interval is None else interval.high,
            None if at_pass is None else at_pass.low,
            None if at_pass is None else at_pass.high,
            finding.limit_high,
            finding.limit_low,
            finding.pass_high,
            finding.pass_low,
        )
        columns[row] = [math.nan if end is None else end / unit for end in told_ends]
    if logarithmic:
        columns = np.log1p(np.where(columns > -1, columns, np.nan))
    x, low, high, pass_low, pass_high = columns[:, :5].T
    df = np.array([math.inf if each is None else _df(each) for each in findings])
    level = (
        np.array([math.nan if each is None else each.level for each in findings])
        if own.watched
        else own.results[0].alpha * own.level / own.result.alpha
    ) / len(signs)
    halves = [x - low] if signs == (1,) else [high - x] if signs == (-1,) else [x - low, high - x]
    otherwise = (
        [pass_high - x]
        if signs == (1,)
        else [x - pass_low]
        if signs == (-1,)
        else [pass_high - x, x - pass_low]
    )
    by_fail, by_pass = (
        student_error(np.max(half, axis=0), at, df)
        for half, at in ((halves, level), (otherwise, own.in_each))
    )
    # as wide as a confidence sequence is, an error is one at any time
    error = by_fail if own.watched else np.where(np.isfinite(by_fail), by_fail, by_pass)
    if KINDS[own.metric.kind].counts_events and logarithmic and not own.watched:
        x, error = _log_ratios(findings, x, error)
    ends = {sign: columns[:, 5 if sign > 0 else 6] for sign in signs}
    wide = {sign: columns[:, 7 if sign > 0 else 8] for sign in signs}
    if own.watched and KINDS[own.metric.kind].is_raw:
        sides = [
            (sign, ends[sign], np.where(np.isfinite(wide[sign]), wide[sign], ends[sign])) for sign in signs
        ]
        error = np.maximum(error, _by_pvalues(findings, x, sides))
    known = np.isfinite(x) & np.isfinite(error) & (error > 0)
    for sign in signs:
        known &= np.isfinite(ends[sign])
    return Effects(
        "relative" if relative else "absolute",
        logarithmic,
        np.where(known, x, np.nan),
        np.where(known, error, np.inf),
        df,
        ends,
        {sign: np.where(np.isfinite(wide[sign]), wide[sign], ends[sign]) for sign in signs},
        known,
        findings,
    )


def held_against_others(own: SegmentedMetric, effects: Effects, level: float) -> Effects:
    r"""Give the effects of events under watch with errors by which segments are held against each other, at any time and a level.

    The difference of two log ratios with the variance V has the information I = 1 / V and is normal: Robbins' mixture over a normal prior of the information \rho is at no time beyond
    :math:`c \sqrt V` with :math:`c^2 = (1 + \rho / I) (\log(1 / 4\alpha^2) + \log(1 + I / \rho))`, which is much nearer than what confidence sequences of both that are good for rare events leave between them.
    """
    if not (KINDS[own.metric.kind].counts_events and effects.logarithmic):
        return effects
    x, plain = _log_ratios(effects.findings, effects.estimate, np.zeros(len(effects.known)))
    error = np.where(effects.known, plain, np.inf)
    information = 1 / np.square(np.where(np.isfinite(error), error, np.inf))
    wide = np.zeros(len(error))
    for part in (
        1.0,
        0.5,
    ):  # that of the difference is less than the segment's, and more than half of it where the others have more
        less = np.maximum(part * information, np.finfo(float).tiny)
        square = (1 + _PRIOR / less) * (math.log(1 / (4 * level**2)) + np.log1p(less / _PRIOR))
        wide = np.maximum(wide, np.sqrt(square))
    factor = wide / -special.ndtri(level)
    return replace(
        effects,
        estimate=x,
        error=np.where(np.isfinite(error), error * factor, np.inf),
        df=np.full(len(error), np.inf),
    )


def _by_pvalues(
    findings: Sequence[LevelFinding | None],
    x: FloatArray,
    ends: Sequence[tuple[int, FloatArray, FloatArray]],
) -> FloatArray:
    """Give the errors at which normal tests would have the p-values of a watch: of one whose confidence sequence is known at few changes, and between them too narrow."""
    error = np.full(len(x), np.inf)
    for sign, end, wide in ends:
        for place, finding in enumerate(findings):
            if finding is None:
                continue
            beyond, within = sign * (x[place] - end[place]), sign * (wide[place] - x[place])
            for distance, pvalue in ((beyond, finding.pvalue), (within, finding.pvalue_pass)):
                if pvalue is not None and distance > 0 and 0 < pvalue < _HALF:
                    error[place] = min(error[place], distance / -float(special.ndtri(pvalue)))
    return error


def _has_level(finding: LevelFinding) -> bool:
    """Tell whether what is tolerated in the metric's unit can be told as a part of the baseline's level: of events, only where there are many."""
    if finding.scale == "relative":
        return True
    events = finding.events_baseline if isinstance(finding, EventsFinding) else math.inf
    return bool(finding.baseline_level) and (events or 0.0) >= _MANY_EVENTS


def _by_ratio(own: SegmentedMetric) -> bool:
    concurrent = own.pair.pairing == "concurrent" and KINDS[own.metric.kind].is_averaged
    return own.metric.minute_ratios if concurrent else own.metric.effect == "ratio"


def _unit(finding: LevelFinding, *, relative: bool) -> float:
    """Give what a segment's changes are divided by, so that all are in one scale."""
    level = abs(finding.baseline_level or 0.0)
    if relative == (finding.scale == "relative"):
        return 1.0
    return level if relative else 1 / level if level else math.inf


def _df(finding: LevelFinding) -> float:
    """Give the degrees of freedom with which a segment's error is known."""
    if finding.method == "pairs":
        points = min(finding.n_baseline, finding.n_canary)
        return _WAVES if points >= _POINTS_FOR_WAVES else max(points - 1.0, 1.0)
    known = getattr(finding, "df", None)
    return math.inf if known is None else max(float(known), 1.0)


def _log_ratios(
    findings: Sequence[LevelFinding | None], x: FloatArray, error: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give logarithms of the segments' ratios of rates as contrasts take them: finite also where an arm has no event."""
    events = [
        [getattr(each, name, None) or 0.0 for each in findings]
        for name in ("events_baseline", "total_baseline", "events_canary", "total_canary")
    ]
    factor = [getattr(each, "dispersion", None) or 1.0 for each in findings]
    own_x, own_error = log_ratios(events[0], events[1], events[2], events[3], dispersion=factor)
    some = np.isfinite(own_x)
    wider = np.where(np.isfinite(error), np.maximum(error, own_error), own_error)
    return np.where(some, np.where(np.isfinite(x), x, own_x), np.nan), np.where(some, wider, np.inf)


def levels_of(effects: Effects) -> tuple[FloatArray, FloatArray]:
    """Give the levels of both arms in each segment."""
    columns = [
        [
            math.nan if each is None or (level := getattr(each, name)) is None else level
            for each in effects.findings
        ]
        for name in ("baseline_level", "canary_level")
    ]
    return np.array(columns[0]), np.array(columns[1])

"""The closed test of a metric's mean effect and of its segments: what fails, which segments are to blame, and the facts of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from canaryjudge.data import FloatArray
from canaryjudge.data.segments import SegmentName
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Segments
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import (
    CulpritFacts,
    MetricSegments,
    SegmentFacts,
)
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.decision import Evidence, Limits, weigh
from canaryjudge.rules.findings import (
    EventsFinding,
    Finding,
    Interval,
    LevelFinding,
    NoiseFloorFacts,
    PassBound,
    built,
)
from canaryjudge.segments.effects import (
    LEVEL_RULES,
    Effects,
    SegmentedMetric,
    level_rule,
    levels_of,
    rules_of,
)
from canaryjudge.segments.left_out import left_out
from canaryjudge.segments.mean_effect import MeanEffect
from canaryjudge.stats.bounds import t_pvalues
from canaryjudge.stats.common_effect import weighted_mean
from canaryjudge.stats.culprits import Culprits, crossed_culprits, culprits, only_these
from canaryjudge.stats.heterogeneity import heterogeneity
from canaryjudge.stats.standardization import mix_test, standardized

__all__ = ["ClosedTest", "blamed", "in_scale"]


@dataclass(frozen=True, slots=True)
class ClosedTest:
    """The closed test of a metric's mean effect and its segments, in each bad direction the worst of which counts."""

    release: float
    """P-value for "no segment is beyond what is tolerated"."""
    worse: FloatArray
    """For each segment's "within what is tolerated"."""
    passes: FloatArray
    """For each segment's "worse than what a pass excludes", not adjusted."""
    named: tuple[CulpritFacts, ...]
    only: bool
    facts_of_mean: dict[str, Any]

    @classmethod
    def of(cls, own: SegmentedMetric, effects: Effects, mean: MeanEffect, settings: Segments) -> ClosedTest:
        """Test them."""
        sides = list(effects.ends)
        share = settings.share
        error, df = mean.with_floor(np.where(effects.known, effects.error, 1.0), effects.df)
        weighed = _weighed(own, effects, mean, share)
        release: list[float] = []
        worse: list[FloatArray] = []
        passes: list[FloatArray] = []
        named: dict[tuple[str | None, ...], CulpritFacts] = {}
        chosen = np.zeros(len(effects.known), dtype=np.bool_)
        for sign in sides:
            x = sign * effects.estimate
            end, wide = sign * effects.ends[sign], sign * effects.pass_ends[sign]
            asked = np.where(effects.known, x, 0.0)
            each = t_pvalues(asked - np.where(effects.known, end, 0.0), error, df).greater
            each = np.where(effects.known, np.minimum(1.0, len(sides) * each), np.nan)
            less = t_pvalues(asked - np.where(effects.known, wide, 0.0), error, df).less
            passes.append(np.where(effects.known, less, 1.0))
            limit = float((mean.weights * np.where(effects.known, end, 0.0)).sum())
            beyond = t_pvalues(sign * mean.estimate - limit, *mean.with_floor(mean.error, mean.df)).greater
            overall = min(1.0, len(sides) * float(beyond))
            margin = limit / 2
            if settings.apart is not None:
                margin = in_scale(settings.apart, effects)
            found = culprits(x, effects.error, effects.df, each, overall, margin=margin, share=share)
            release.append(float(found.release))
            worse.append(found.worse)
            for name, facts, places in blamed(own, effects, sign, each, overall, found, limit, margin, share):
                chosen[places] = True
                named.setdefault(name, facts)
        p_pass = np.max(passes, axis=0)
        return cls(
            min(release),
            np.min(worse, axis=0),
            p_pass,
            tuple(sorted(named.values(), key=lambda each: each.pvalue or 0.0)),
            bool(named) and float(only_these(chosen[effects.known], p_pass[effects.known])) <= own.beta,
            weighed,
        )

    def finding(self, own: SegmentedMetric, effects: Effects, mean: MeanEffect) -> Finding:
        """Give the finding of the mean effect, which fails as well where a segment is proven worse."""
        place = level_rule(own.metric, own.pair)
        rule = None if place is None else rules_of(own.metric, own.pair)[place].rule
        base = next(
            (each for each in own.result.findings if each.rule == rule),
            next(each for each in effects.findings if each is not None and each.method != "none"),
        )
        baseline, canary = own.traffic
        levels = standardized(*levels_of(effects), baseline, canary)
        facts = self.facts_of_mean | {
            "level": own.level,
            "beta": own.beta,
            "method": mean.method,
            "pvalue": self.release,
            "baseline_level": float(levels.baseline),
            "canary_level": float(levels.standardized),
            "n_baseline": own.result.n_baseline,
            "n_canary": own.result.n_canary,
            "waived": tuple(
                dict.fromkeys(what for each in effects.findings if each is not None for what in each.waived)
            ),
        }
        if self.release <= own.level and facts["outcome"] is not Outcome.FAIL:
            facts |= {"outcome": Outcome.FAIL, "reason": Reason.WORSE_IN_SEGMENT, "more_points": None}
        if facts["outcome"] is Outcome.FAIL:
            facts["more_points"] = None
        floor = mean.floor
        facts["noise_floor"] = None
        if floor is not None:
            facts["noise_floor"] = built(
                NoiseFloorFacts,
                {
                    "spread": mean.spread / math.sqrt(floor.parts),
                    "df": floor.df,
                    "assumed": floor.assumed,
                },
            )
        plain: dict[str, Any] = {"autocorrelation": None, "replicas": None, "probability_worse": None}
        if "statistic" in type(base).model_fields:
            plain |= {"statistic": None, "df": None, "fullest_bucket": None}
        if isinstance(base, EventsFinding):
            several = [each for each in effects.findings if isinstance(each, EventsFinding)]
            plain |= {
                "df": None,
                "dispersion": max((each.dispersion or 1.0 for each in several), default=1.0),
                **{
                    name: math.fsum(getattr(each, name) or 0.0 for each in several)
                    for name in ("total_baseline", "total_canary", "events_baseline", "events_canary")
                },
            }
        return built(type(base), {**dict(base), **plain, **facts})

    def facts(
        self,
        own: SegmentedMetric,
        effects: Effects,
        mean: MeanEffect,
        settings: Segments,
        found_in: dict[str, SegmentName],
    ) -> MetricSegments:
        """Say what the segments say."""
        baseline, canary = own.traffic
        parts = own.parts
        pooled = next(
            (
                each
                for each in own.result.findings
                if isinstance(each, LevelFinding) and each.estimate is not None and each.rule in LEVEL_RULES
            ),
            None,
        )
        levels = standardized(*levels_of(effects), baseline, canary)
        by_mix = levels.by_mix / abs(levels.baseline) if levels.baseline else math.nan
        mix = mix_test(baseline, canary, dispersion=_dispersion(effects))
        most, more = _most_moved(own.names, parts[1] - parts[0])
        error, df = mean.with_floor(np.where(effects.known, effects.error, 1.0), effects.df)
        sides = len(effects.ends)
        level = (1 - settings.share) * own.level / max(int(effects.known.sum()), 1) / sides
        reach = -_quantile(level, df) * error
        segments = [
            built(
                SegmentFacts,
                {
                    "name": own.names[place],
                    "part_baseline": parts[0][place],
                    "part_canary": parts[1][place],
                    "outcome": Outcome.FAIL
                    if self.worse[place] <= own.level
                    else Outcome.PASS
                    if self.passes[place] <= own.beta
                    else Outcome.MARGINAL,
                    "estimate": float(effects.back(effects.estimate[place])),
                    "interval": built(
                        Interval,
                        {
                            "low": float(effects.back(effects.estimate[place] - reach[place])),
                            "high": float(effects.back(effects.estimate[place] + reach[place])),
                            "error": level,
                        },
                    ),
                    "pvalue": float(self.worse[place]),
                    "pvalue_pass": float(self.passes[place]),
                },
            )
            for place in _by_harm(effects)
        ]
        return built(
            MetricSegments,
            {
                "scale": effects.scale,
                "pooled": None if pooled is None or pooled.scale != effects.scale else pooled.estimate,
                "within": float(effects.back(mean.estimate)),
                "by_mix": float(by_mix),
                "mix_pvalue": float(mix.pvalue),
                "most_moved": most,
                "more": more,
                "unlike": float(heterogeneity(effects.estimate, effects.error, effects.df).pvalue),
                "segments": tuple(segments),
                "culprits": self.named,
                "only": self.only,
                "level": own.level,
                **left_out(own, effects.known),
                "found_in": found_in,
            },
        )


def _quantile(level: float, df: FloatArray) -> FloatArray:
    from scipy import special  # noqa: PLC0415 - asked for here alone

    return np.asarray(special.stdtrit(df, level))


def blamed(  # noqa: PLR0913, PLR0917 - as those of `crossed_culprits`
    own: SegmentedMetric,
    effects: Effects,
    sign: int,
    pvalues: FloatArray,
    overall: float,
    found: Culprits,
    limit: float,
    margin: float,
    share: float,
) -> Iterator[tuple[tuple[str | None, ...], CulpritFacts, Any]]:
    """Name the segments to blame in a bad direction; of two columns pairs of values, or values of one: with their facts and segments."""
    if len(own.names[0]) == 1:
        for place in np.flatnonzero(found.culprit <= own.level).tolist():
            name: tuple[str | None, ...] = own.names[place]
            yield name, _culprit(name, effects.estimate[place], float(found.culprit[place]), effects), place
        return
    for name, value, pvalue, places in _crossed(own, effects, sign, pvalues, overall, limit, margin, share):
        yield name, _culprit(name, value, pvalue, effects), places


def _culprit(name: tuple[str | None, ...], value: float, pvalue: float, effects: Effects) -> CulpritFacts:
    return built(CulpritFacts, {"name": name, "estimate": float(effects.back(value)), "pvalue": pvalue})


def in_scale(part: float, effects: Effects) -> float:
    """Give the policy's `apart` in the scale of the effects."""
    if effects.scale == "absolute":
        levels = levels_of(effects)[0]
        return part * float(np.abs(np.nanmedian(levels))) if np.isfinite(levels).any() else 0.0
    return math.log1p(part) if effects.logarithmic else part


def _weighed(own: SegmentedMetric, effects: Effects, mean: MeanEffect, share: float) -> dict[str, Any]:
    """Weigh the mean effect as a rule weighs an effect."""
    sides = list(effects.ends)

    def of(ends: Mapping[int, FloatArray]) -> dict[int, float]:
        return {
            sign: float((mean.weights * np.where(effects.known, end, 0.0)).sum())
            for sign, end in ends.items()
        }

    ends, wide = of(effects.ends), of(effects.pass_ends)
    farther = any(sign * wide[sign] > sign * ends[sign] + 1e-12 for sign in sides)
    told = [each for each in effects.findings if each is not None and each.method != "none"]
    by: PassBound = next(
        (each.pass_by for each in told if each.pass_by not in (None, "tolerance")), "tolerance"
    )
    level = share * own.level
    fail_error, fail_df = mean.with_floor(mean.error, mean.df)
    pass_error, pass_df = mean.with_floor(mean.pass_error, mean.df)

    def pvalues(at: float, error: FloatArray, df: FloatArray) -> tuple[float, float]:
        found = t_pvalues(mean.estimate - at, error, df)
        return float(found.greater), float(found.less)

    def bounds(at: float, error: FloatArray, df: FloatArray) -> tuple[float, float]:
        reach = float(-_quantile(at, df) * error)
        return float(effects.back(mean.estimate - reach)), float(effects.back(mean.estimate + reach))

    fails = [pvalues(ends[sign], fail_error, fail_df) for sign in sides]
    passing = [pvalues(wide[sign], pass_error, pass_df) for sign in sides]
    limits = Limits(
        absolute=effects.scale == "absolute",
        high=_told(effects, ends.get(1)),
        low=_told(effects, ends.get(-1)),
        pass_high=_told(effects, wide.get(1)) if farther else None,
        pass_low=_told(effects, wide.get(-1)) if farther else None,
        pass_by=by if farther else "tolerance",
        by_estimate=KINDS[own.metric.kind].is_averaged,
    )
    evidence = Evidence(
        estimate=float(effects.back(mean.estimate)),
        pvalues=fails if not farther else [*fails, *passing],
        pvalues_none=pvalues(0.0, fail_error, fail_df),
        fail_bounds=[bounds(level / len(sides), fail_error, fail_df)] * len(sides),
        pass_bounds=[bounds(own.beta, pass_error, pass_df)] * len(sides),
        lasting=float(min(1.0, (mean.spread / float(fail_error)) ** 2)) if fail_error > 0 else 0.0,
    )
    points = min(own.result.n_baseline, own.result.n_canary)
    return weigh(evidence, limits, ErrorRates(level, own.beta), points)


def _told(effects: Effects, end: float | None) -> float | None:
    return None if end is None else float(effects.back(end))


def _dispersion(effects: Effects) -> float:
    """Give how many times traffic may vary more than independent requests: as little as their events are known to."""
    return max((getattr(each, "dispersion", None) or 1.0 for each in effects.findings), default=1.0)


def _most_moved(names: Sequence[SegmentName], more: FloatArray) -> tuple[tuple[str | None, ...], float]:
    """Find the segment, or the value of one of two columns, of which the canary has the most more."""
    found: dict[tuple[str | None, ...], float] = dict(zip(names, more.tolist(), strict=True))
    if len(names[0]) > 1:
        for axis in (0, 1):
            for name, part in zip(names, more.tolist(), strict=True):
                margin = tuple(text if place == axis else None for place, text in enumerate(name))
                found[margin] = found.get(margin, 0.0) + part
    most = max(found, key=lambda name: (round(found[name], 9), -sum(part is None for part in name)))
    return most, found[most]


def _by_harm(effects: Effects) -> list[int]:
    """Order the segments by how far they lie beyond what is tolerated."""
    harm = np.max([sign * (effects.estimate - end) for sign, end in effects.ends.items()], axis=0)
    order = np.argsort(-np.where(effects.known, harm, -np.inf), kind="stable")
    return [place for place in order.tolist() if effects.known[place]]


def _crossed(
    own: SegmentedMetric,
    effects: Effects,
    sign: int,
    pvalues: FloatArray,
    overall: float,
    limit: float,
    margin: float,
    share: float,
) -> Iterator[tuple[tuple[str | None, ...], float, float, FloatArray]]:
    """Name pairs of values, or values of one column, that are to blame: with their effect, p-value and segments."""
    first, second = (list(dict.fromkeys(name[axis] for name in own.names)) for axis in (0, 1))
    place_of = {name: place for place, name in enumerate(own.names)}
    places = np.array([[place_of.get((a, b), -1) for b in second] for a in first])
    there = places >= 0

    def laid(column: FloatArray, nothing: float) -> FloatArray:
        return np.where(there, column[np.maximum(places, 0)], nothing)

    x, error, df, own_p = (
        laid(column, nothing)
        for column, nothing in (
            (sign * effects.estimate, np.nan),
            (effects.error, np.inf),
            (effects.df, np.inf),
            (pvalues, np.nan),
        )
    )
    found = crossed_culprits(x, error, df, own_p, overall, limit, level=own.level, margin=margin, share=share)
    for row, column in zip(*np.nonzero(found.cells <= own.level), strict=True):
        name: tuple[str | None, ...] = (first[row], second[column])
        yield name, sign * x[row, column], float(found.cells[row, column]), places[row, [column]]
    lines = ((found.rows, first, 0), (found.columns, second, 1))
    for tests, values, axis in lines:
        for line in np.flatnonzero(tests <= own.level).tolist():
            at = (line, slice(None)) if axis == 0 else (slice(None), line)
            mean, *_ = weighted_mean(x[at], error[at], df[at])
            name = (values[line], None) if axis == 0 else (None, values[line])
            yield name, sign * float(mean), float(tests[line]), places[at][there[at]]

"""A metric that is watched within segments, at a look: the evidence within them together, and each segment's own, which say at any time what one look's closed test says once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from canaryjudge.data import FloatArray
from canaryjudge.data.segments import SegmentName
from canaryjudge.policy import Segments
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import CulpritFacts, MetricSegments
from canaryjudge.rules.findings import Finding, LevelFinding, WatchFacts, built
from canaryjudge.segments.closed_test import ClosedTest, blamed, in_scale
from canaryjudge.segments.effects import Effects, SegmentedMetric, effects_of, held_against_others
from canaryjudge.segments.left_out import facts_of_none
from canaryjudge.segments.mean_effect import MeanEffect
from canaryjudge.stats.common_effect import weighted_mean
from canaryjudge.stats.culprits import culprits, only_these

__all__ = ["at_look"]


def at_look(
    own: SegmentedMetric,
    within: Finding,
    parts: FloatArray,
    settings: Segments,
    found_in: Mapping[str, SegmentName],
    pooled: Mapping[str, float],
) -> tuple[Finding, MetricSegments]:
    """Give the finding about the level, which fails as well where a segment's own does, and what the segments say.

    P-values are of all looks: of the evidence within segments at its share of the level, and of each segment at its part of the rest, so that claims of them hold at any time. Who is to blame is told by the
    segments' confidence sequences, whose widths are errors that hold at all looks.
    """
    ways = [_level_of(own, place) for place in range(len(own.names))]
    failed = np.array([each is not None and each.outcome is Outcome.FAIL for each in ways])
    effects = effects_of(own)
    if effects is None or not effects.known.any():
        return _told(within, failed, ways, None, own), facts_of_none(own)
    mean = _mean(effects, within)
    tests = _tests(own, effects, mean, within, ways, failed, parts, settings)
    facts = tests.facts(own, effects, mean, settings, dict(found_in))
    return _told(within, failed, ways, tests.release, own), built(
        MetricSegments, {**dict(facts), "pooled": pooled.get(facts.scale)}
    )


def _level_of(own: SegmentedMetric, place: int) -> LevelFinding | None:
    """Give what the rule about the level says of a segment."""
    findings = own.results[place].findings
    return next(
        (each for each in findings if each.rule == own.watched and isinstance(each, LevelFinding)), None
    )


def _mean(effects: Effects, within: Finding) -> MeanEffect:
    """Give the segments' mean effect: what the evidence within them says, where it is told in their scale."""
    mean, error, df, weights = weighted_mean(effects.estimate, effects.error, effects.df)
    estimate = float(mean)
    if isinstance(within, LevelFinding) and within.estimate is not None and within.scale == effects.scale:
        estimate = math.log1p(within.estimate) if effects.logarithmic else within.estimate
    return MeanEffect(
        estimate, float(error), float(error), float(df), weights, within.method, None, 0.0, math.inf
    )


def _tests(
    own: SegmentedMetric,
    effects: Effects,
    mean: MeanEffect,
    within: Finding,
    ways: Sequence[LevelFinding | None],
    failed: FloatArray,
    parts: FloatArray,
    settings: Segments,
) -> ClosedTest:
    """Judge the release and its segments by p-values of all looks."""
    known = effects.known
    each = np.array([math.nan if way is None or way.pvalue is None else way.pvalue for way in ways])
    # a segment that came later has a part of its own, which Holm's procedure takes for an equal one
    each = np.where(known, np.minimum(1.0, np.nan_to_num(each, nan=1.0) / (parts * known.sum())), np.nan)
    passes = np.array([1.0 if way is None or way.pvalue_pass is None else way.pvalue_pass for way in ways])
    overall = 1.0 if within.pvalue is None else within.pvalue
    named: dict[tuple[str | None, ...], CulpritFacts] = {}
    chosen = np.zeros(len(known), dtype=np.bool_)
    release: list[float] = []
    worse: list[FloatArray] = []
    against = held_against_others(own, effects, (1 - settings.share) * own.level / known.sum())
    for sign, ends in effects.ends.items():
        x = sign * against.estimate
        # where either direction is bad, a p-value is of the worse one, which is that of the estimate
        asked = np.where(known & ~(x > 0), 1.0, each) if len(effects.ends) > 1 else each
        limit = float((mean.weights * np.where(known, sign * ends, 0.0)).sum())
        margin = limit / 2 if settings.apart is None else in_scale(settings.apart, effects)
        found = culprits(x, against.error, against.df, asked, overall, margin=margin, share=settings.share)
        release.append(float(found.release))
        # what has failed stays so
        worse.append(np.where(failed, np.minimum(found.worse, own.level), found.worse))
        for name, facts, places in blamed(
            own, against, sign, asked, overall, found, limit, margin, settings.share
        ):
            chosen[places] = True
            named.setdefault(name, facts)
    return ClosedTest(
        min(release),
        np.min(worse, axis=0),
        passes,
        tuple(sorted(named.values(), key=lambda each: each.pvalue or 0.0)),
        bool(named) and float(only_these(chosen[known], passes[known])) <= own.beta,
        {},
    )


def _told(
    within: Finding,
    failed: FloatArray,
    ways: Sequence[LevelFinding | None],
    pvalue: float | None,
    own: SegmentedMetric,
) -> Finding:
    """Give the finding within segments; a fail where a segment's own is one."""
    by_all = pvalue is not None and pvalue <= own.level
    if within.outcome is Outcome.FAIL or not (failed.any() or by_all):
        return within
    worst = [way.watch for way in ways if way is not None and way.outcome is Outcome.FAIL]
    first = min(worst, key=lambda watch: (watch and watch.decided_after) or math.inf, default=None)
    facts = {
        "outcome": Outcome.FAIL,
        "reason": Reason.WORSE_IN_SEGMENT,
        "level": own.level,
        "pvalue": min(1.0 if pvalue is None else pvalue, own.level),
        "more_points": None,
        "watch": WatchFacts(
            decided_after=first.decided_after if first else None,
            decided_at=first.decided_at if first else None,
            looks=first.looks if first else None,
            looks_planned=first.looks_planned if first else None,
        ),
    }
    return built(type(within), {**dict(within), **facts})

"""Does the canary creep away from the baseline? A leak is no level: what grows through a window is worse at its end than the whole of it shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import EvidenceRows, LimitRows, weigh_rows
from canaryjudge.rules.findings import Draft, EffectFinding, Finding, Number, build
from canaryjudge.rules.registry import Columns, rule
from canaryjudge.rules.replicas import lasting
from canaryjudge.rules.rows import BoolArray, FloatArray, Rows, Sizes
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.stats.growth import FEWEST_BLOCKS, GrowthTest, growth_test, largest_swing, seen_smoothing
from canaryjudge.stats.paired_shift import Effect, paired_changes
from canaryjudge.stats.quantiles import medians
from canaryjudge.stats.ties import snapped

__all__ = ["Growth", "GrowthFinding", "ending_beyond"]

_END = 3
"""The end of a window is its last third: of fewer points, the noise alone ends beyond a tolerance too often."""


class Growth(RuleSettings):
    """Does the canary grow away from the baseline, beyond what is tolerated by the end of the window? Leaks and creeping latencies, of arms that share the clock."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge",)
    since_the_start: ClassVar[bool] = True

    rule: Literal["growth"] = "growth"
    """The rule's name."""

    @property
    def weight(self) -> float:
        """Its part of the metric's alpha: three tenths of what a rule about the level takes."""
        return 0.3


class GrowthFinding(EffectFinding):
    """How far the canary grew away from the baseline within the window.

    The estimate is what it grew by; the levels are those at the end of the window.
    """

    rule: Literal["growth"]
    """The rule's name."""
    end: Number = None
    """How far the canary lies from the baseline at the end of the window, in the scale of the estimate."""
    end_points: int | None = None
    """Of how many points that is the median: a third of the window."""
    rate: Number = None
    """Growth from point to point, in the scale of the estimate."""
    until: Number = None
    """Points from the last one until the tolerance is crossed at this rate; negative where it was crossed before, None where it is not going to be."""
    usual: Number = None
    """How far the baseline, or one of its replicas, rises or falls by itself within the window; growth that is not larger is none."""
    blocks: int | None = None
    """How many averages of neighboring points were compared."""


@rule(Growth, GrowthFinding)
def judge(rows: Rows, _: Growth, found: Columns) -> None:
    """Judge whether canaries grew by more than the tolerance.

    It fails where that is proven and the end of the window lies beyond the tolerance as well; where only the end does, a pass is withheld. Of arms that do not share the clock nothing is
    asked: what grows may be the hour.
    """
    looked = _Looked.at(rows)
    found.settle(~looked.seen, Outcome.PASS, Reason.NOTHING_FOUND)
    if not looked.seen.any():
        return
    columns = looked.columns
    zones = zip(columns["outcome"], columns["reason"], looked.ends_beyond.tolist(), strict=True)
    told = [_with_its_end(outcome, reason, ends_beyond=beyond) for outcome, reason, beyond in zones]
    found.conclude(**columns | {"outcome": [zone[0] for zone in told], "reason": [zone[1] for zone in told]})


def _with_its_end(outcome: Outcome, reason: Reason, *, ends_beyond: bool) -> tuple[Outcome, Reason]:
    if outcome is Outcome.FAIL:
        return outcome, reason
    if ends_beyond:
        return Outcome.MARGINAL, Reason.ENDS_BEYOND_TOLERANCE
    return Outcome.PASS, Reason.NOTHING_FOUND if outcome is Outcome.MARGINAL else reason


def ending_beyond(rows: Rows) -> list[Finding | None]:
    """Find which windows end beyond the tolerance, of a kind that is asked for growth; it takes no part of alpha, and can but withhold a pass."""
    ends: list[Finding | None] = [None] * len(rows)
    if rows.kind not in Growth.kinds:
        return ends
    looked = _Looked.at(rows)
    own = {
        "rule": "growth",
        "outcome": Outcome.MARGINAL,
        "reason": Reason.ENDS_BEYOND_TOLERANCE,
        "method": "none",
        "level": 0.0,
        "beta": rows.rates.beta,
        "n_baseline": rows.baseline.points,
        "n_canary": rows.canary.points,
        "pvalue": None,
        "pvalue_pass": None,
        "interval": None,
        "pass_interval": None,
    }
    columns = [
        dict(zip(looked.columns, fields, strict=True))
        for fields in zip(*looked.columns.values(), strict=True)
    ]
    places = np.flatnonzero(looked.seen).tolist()
    told = [
        (place, row | own)
        for place, row, beyond in zip(places, columns, looked.ends_beyond, strict=True)
        if beyond
    ]
    findings = build([Draft(GrowthFinding, fields) for _, fields in told])
    for (place, _), finding in zip(told, findings, strict=True):
        ends[place] = finding
    return ends


@dataclass(frozen=True, slots=True)
class _Looked:
    """What there is to see.

    Attributes
    ----------
    seen : ndarray of bool, shape (rows,)
        Rows in which there is something to see at all.
    columns : dict of str to list
        Fields of findings, an entry for each of these.
    ends_beyond : ndarray of bool
        Whether the end of the window lies beyond what is tolerated, for each of these.
    """

    seen: BoolArray
    columns: dict[str, list[Any]]
    ends_beyond: BoolArray

    @classmethod
    def at(cls, rows: Rows) -> _Looked:
        """Look at rows."""
        nothing = cls(np.zeros(len(rows), dtype=np.bool_), {}, np.zeros(0, dtype=np.bool_))
        if not rows.concurrent or min(rows.baseline.points, rows.canary.points) < FEWEST_BLOCKS:
            return nothing
        level = medians(rows.baseline.levels)
        seen = (level != 0) | ~np.isnan(rows.tolerance.absolute)
        if rows.logarithmic:
            least = np.minimum(rows.baseline.levels.min(axis=1), rows.canary.levels.min(axis=1))
            seen &= least > 0
        if not seen.any():
            return nothing
        columns, beyond = _grown(rows[seen], level[seen])
        return cls(seen, columns, beyond)


def _grown(rows: Rows, level: FloatArray) -> tuple[dict[str, list[Any]], BoolArray]:
    """Test rows whose baselines have these medians; as the fields of findings, and whether their ends lie beyond what is tolerated."""
    # a pass finds nothing, and excludes nothing
    nothing = Sizes(np.zeros(len(rows)), np.full(len(rows), np.nan))
    limits = LimitRows.of(replace(rows, pass_within=nothing), level)
    signs, logs = limits.signs, ~limits.absolute & rows.logarithmic
    baseline, canary, changes = rows.baseline.levels, rows.canary.levels, np.empty(rows.canary.value.shape)
    scaled = [np.empty(levels.shape) for levels in (baseline, canary)]
    for effect, part in limits.effects(ratio=rows.logarithmic):
        changes[part] = paired_changes(baseline[part], canary[part], effect)
        for levels, arm in zip((baseline, canary), scaled, strict=True):
            arm[part] = _scaled(levels[part], effect)
    at = np.abs(_inner(limits.ends, logs))
    size = np.where(limits.absolute, np.abs(level), 1.0)
    smoothing = seen_smoothing(*scaled)
    usual, tests = np.empty(len(rows)), dict[int, list[GrowthTest]]()
    for length in np.unique(smoothing).tolist():
        alike = smoothing == length
        usual[alike] = _usual(rows[alike], scaled[0][alike], limits[alike], length)
        tests[length] = [
            growth_test(
                sign * changes[alike],
                at[alike, side, None],
                levels=(rows.rates.level / len(signs), rows.rates.beta),
                smoothing=length,
                usual=usual[alike],
                size=size[alike],
            )
            for side, sign in enumerate(limits.sides)
        ]

    def tested(name: str) -> Any:
        """Give what the tests found, shape (rows, sides, ...)."""
        own = {
            length: np.stack([getattr(test, name) for test in sides], axis=1)
            for length, sides in tests.items()
        }
        first = next(iter(own.values()))
        column = np.empty((len(rows), *first.shape[1:]))
        for length, found in own.items():
            column[smoothing == length] = found
        return column

    def constant(name: str) -> list[Any]:
        own = {length: getattr(sides[0], name) for length, sides in tests.items()}
        return [own[length] for length in smoothing.tolist()]

    growth, bounds = tested("growth"), np.stack([tested("low"), tested("high")], axis=-1)
    thirds = rows.canary.points // _END
    last = slice(-thirds, None)
    end = snapped(medians(changes[:, last]), signs * at, size)
    beyond = signs * end[:, None] - at
    side = beyond.argmax(axis=1)
    chosen: Any = np.arange(len(rows)), side
    # nothing speaks against a canary that ends within what is tolerated
    greater, less = np.where(beyond > 0, tested("pvalue_greater")[..., 0], 1.0), tested("pvalue_less")[..., 0]
    pvalues = np.stack([np.where(signs > 0, greater, less), np.where(signs > 0, less, greater)], axis=-1)
    ends = np.sort(signs[:, None, None] * bounds, axis=-1)
    silent = np.array(constant("abstains"))
    evidence = EvidenceRows(
        estimate=_outer(signs[0] * growth[:, 0], logs),
        pvalues=np.concatenate([pvalues, pvalues], axis=1),
        pvalues_none=np.ones((len(rows), 2)),
        fail_bounds=_outer(ends[:, :, 0], logs),
        pass_bounds=_outer(ends[:, :, 1], logs),
        abstains=silent,
        abstains_pass=silent,
        eventless=np.zeros_like(silent),
        lasting=np.zeros(len(rows)),
    )
    grown = _outer(signs[side] * growth[chosen], logs)
    until = tested("until")[..., 0][chosen]
    found = weigh_rows(evidence, limits, rows.rates, min(rows.baseline.points, rows.canary.points)) | {
        "estimate": grown,
        "method": "block_growth",
        "more_points": None,
        "baseline_level": medians(baseline[:, last]),
        "canary_level": medians(canary[:, last]),
        "end": _outer(end, logs),
        "end_points": thirds,
        "rate": grown / np.array(constant("steps")),
        "until": [None if ahead <= -rows.baseline.points else ahead for ahead in until.tolist()],
        "usual": _outer(usual, logs),
        "blocks": constant("blocks"),
    }
    return {name: _each(column, len(rows)) for name, column in found.items()}, beyond[chosen] > 0


def _each(column: Any, rows: int) -> list[Any]:
    if isinstance(column, np.ndarray):
        return list(column.tolist())
    return column if isinstance(column, list) else [column] * rows


def _usual(rows: Rows, baseline: FloatArray, limits: LimitRows, smoothing: int) -> FloatArray:
    """Tell how far the baseline moves by itself, or that of its replicas which moves farthest."""
    own = largest_swing(baseline, min(smoothing, baseline.shape[1]))
    for row, replicas in enumerate(rows.baseline.replicas):
        arms = [replica.levels for replica in lasting(replicas) if len(replica) > 1]
        effect: Effect = "difference" if limits.absolute[row] else "ratio" if rows.logarithmic else "relative"
        swings = [float(largest_swing(_scaled(arm, effect), min(smoothing, len(arm)))) for arm in arms]
        own[row] = max(swings, default=own[row])
    return own


def _scaled(levels: FloatArray, effect: Effect) -> FloatArray:
    """Put the levels of arms, or of a replica, into the scale of the changes: logarithms, parts of the baseline's level, or the metric's unit."""
    if effect == "ratio":
        return np.log(np.maximum(levels, np.finfo(float).tiny))
    if effect == "difference":
        return levels
    size = np.abs(levels.mean(axis=-1, keepdims=True))
    return levels / np.where(size > 0, size, 1.0)


def _inner(change: FloatArray, logs: BoolArray) -> FloatArray:
    """Put changes, one a row or several, from the scale of the limits into that of the series."""
    on_logs = logs.reshape(-1, *(1,) * (change.ndim - 1))
    return np.where(on_logs, np.log1p(np.where(on_logs, change, 0.0)), change)


def _outer(change: FloatArray, logs: BoolArray) -> FloatArray:
    """Put changes back."""
    on_logs = logs.reshape(-1, *(1,) * (change.ndim - 1))
    return np.where(on_logs, np.expm1(np.where(on_logs, change, 0.0)), change)

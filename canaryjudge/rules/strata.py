"""Events of arms that share the clock while the split of the traffic moves: compared within intervals, beside the pooled numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from canaryjudge.kinds import KINDS, KindName
from canaryjudge.rules.decision import EvidenceRows, LimitRows
from canaryjudge.rules.findings import Waiver
from canaryjudge.rules.registry import Columns
from canaryjudge.rules.rows import Arm, Arms, BoolArray, FloatArray, Rows
from canaryjudge.rules.totals import Totals, agreeing, burst_waivers, weigh_events
from canaryjudge.stats.dispersion import temper, tempered_level
from canaryjudge.stats.stratified_events import Method, stratified_test
from canaryjudge.stats.traffic_mix import mix_weights, split_moves

__all__ = ["asks_within", "change_within", "weigh_within"]

_PROVEN_INTERVALS = 30
"""With fewer, bursts that last for the whole window are taken for an effect more often than the level says (tests/guarantees/test_event_guarantees.py)."""
_FINEST = 1e-12
"""Ratios are no finer."""


def asks_within(kind: KindName, baseline: Arm | Arms, canary: Arm | Arms, *, concurrent: bool) -> BoolArray:
    """Tell whether events are compared within intervals: of arms that share the clock, where the split of what they are of moves; shape (...)."""
    if not concurrent:
        return np.zeros(baseline.value.shape[:-1], dtype=np.bool_)
    return split_moves(baseline.exposures, canary.exposures, requests=KINDS[kind].is_share)


def change_within(baseline: Arm, canary: Arm, kind: KindName) -> tuple[float, float]:
    """Give the logarithm of the ratio within intervals and its standard error; infinite where an arm has no event."""
    method: Method = "auto" if KINDS[kind].is_share else "exact"
    found = stratified_test(*_columns(baseline, canary), [], method=method, levels=[])
    with np.errstate(divide="ignore"):
        return float(np.log(found.estimate)), float(found.standard_error * np.sqrt(found.dispersion))


def weigh_within(rows: Rows, method: Method, found: Columns) -> None:
    """Weigh the change within intervals."""
    baseline, canary = rows.baseline, rows.canary
    weights = mix_weights(baseline.exposures, canary.exposures)
    rate = (weights * baseline.value / baseline.exposures).sum(axis=1) / weights.sum(axis=1)
    ones = np.ones(len(rows))
    pooled = Totals(
        canary=canary.value.sum(axis=1),
        canary_exposure=canary.exposures.sum(axis=1),
        baseline=baseline.value.sum(axis=1),
        baseline_exposure=baseline.exposures.sum(axis=1),
        factor=ones,
        df=np.inf * ones,
        rho=0 * ones,
        intervals=canary.points,
    )
    first: list[_Within] = []

    def ask(rows: Rows, totals: Totals, limits: LimitRows) -> tuple[list[str], EvidenceRows]:
        tested = _Within.of(rows, totals, limits, method)
        first.append(tested)
        return tested.methods, tested.evidence(rows, totals)

    weigh_events(rows, pooled, rate, ask, found)
    dispersion = first[0].dispersion
    rho = np.where(dispersion > 1, first[0].rho, 0.0)
    waived: list[tuple[Waiver, ...]] = [burst_waivers(each, rows.fewest) for each in rho.tolist()]
    few = rows.fewest < _PROVEN_INTERVALS
    found.revise(
        np.ones(len(rows), dtype=np.bool_),
        dispersion=dispersion,
        autocorrelation=rho,
        waived=[
            ("outside_proven_range",) if few and bursty and not own else own
            for bursty, own in zip((dispersion > 1).tolist(), waived, strict=True)
        ],
    )


def _columns(baseline: Arm | Arms, canary: Arm | Arms) -> tuple[Any, Any, Any, Any]:
    return baseline.value, baseline.exposures, canary.value, canary.exposures


@dataclass(frozen=True, slots=True)
class _Within:
    """What the stratified test says of rows, as `StratifiedTest`, at each of `LimitRows.asked` and last at no change."""

    limits: LimitRows
    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    dispersion: FloatArray
    rho: FloatArray
    abstains: BoolArray
    score: BoolArray

    @classmethod
    def of(cls, rows: Rows, totals: Totals, limits: LimitRows, method: Method) -> _Within:
        """Test rows: those of one measure whose bounds are asked at one level together."""
        at = np.concatenate([limits.asked, np.zeros((len(rows), 1))], axis=1)
        columns: dict[str, Any] = {}
        for absolute in (False, True):
            for df in np.unique(totals.df[limits.absolute == absolute]).tolist():
                chosen = (limits.absolute == absolute) & (totals.df == df)
                test = stratified_test(
                    *_columns(rows.baseline[chosen], rows.canary[chosen]),
                    at[chosen] if absolute else 1 + at[chosen],
                    measure="difference" if absolute else "ratio",
                    method=method,
                    levels=tempered_level([rows.rates.level / len(limits.sides), rows.rates.beta], df),
                    times=totals.factor[chosen],
                )
                for name in _Within.__slots__[1:]:
                    own = getattr(test, name)
                    column = columns.setdefault(name, np.empty((len(rows), *own.shape[1:]), own.dtype))
                    column[chosen] = own
        return cls(limits, **columns)

    @property
    def methods(self) -> list[str]:
        """The tests' codes in findings."""
        return [
            "stratified_difference" if absolute else "stratified_score" if score else "stratified_exact"
            for absolute, score in zip(self.limits.absolute.tolist(), self.score.tolist(), strict=True)
        ]

    def evidence(self, rows: Rows, totals: Totals) -> EvidenceRows:
        """Put what was found into the scale of the limits."""
        sides, none = len(self.limits.sides), np.where(self.limits.absolute, 0.0, 1.0)
        df = totals.df[:, None]
        pvalues = np.stack([temper(self.pvalue_greater, df), temper(self.pvalue_less, df)], axis=-1)
        fails, passes = (
            agreeing(
                np.stack([self.low[:, which], self.high[:, which]], axis=-1) - none[:, None],
                ends,
                pvalues[:, part],
                level,
            )
            for which, ends, part, level in (
                (0, self.limits.ends, slice(sides), rows.rates.level / sides),
                (1, self.limits.pass_ends, slice(sides, 2 * sides), rows.rates.beta),
            )
        )
        # none where neither arm has events, and where only the last digits of a ratio say something else
        unchanged = np.isnan(self.estimate) | (np.abs(self.estimate - none) < _FINEST * none)
        return EvidenceRows(
            estimate=np.where(unchanged, 0.0, self.estimate - none),
            pvalues=pvalues[:, :-1],
            pvalues_none=pvalues[:, -1],
            fail_bounds=fails,
            pass_bounds=passes,
            abstains=self.abstains,
            abstains_pass=self.abstains,
            eventless=totals.eventless,
            lasting=np.zeros(len(rows)),
        )

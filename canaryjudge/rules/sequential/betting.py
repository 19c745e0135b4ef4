"""Bets, whatever the distribution: on means of bounded values, and on the ranks of requests that are stated to be independent."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.packing import pack, unpack
from canaryjudge.reasons import Reason
from canaryjudge.rules.decision import tolerated
from canaryjudge.rules.rows import FloatArray, Pair, Question
from canaryjudge.rules.sequential.evidence import (
    AskedChanges,
    ChangeSequence,
    CountingProcess,
    LogEvidence,
    SequentialFinding,
    State,
    load_sum,
    save_sum,
)
from canaryjudge.settings import Amount
from canaryjudge.stats.confidence_sequences import quantile_interval, quantile_interval_from_counts
from canaryjudge.stats.exact_sums import ExactSum
from canaryjudge.stats.score_evidence import (
    BETS,
    MeanEvidence,
    discordance,
    log_wealth,
    wealth_terms,
)
from canaryjudge.stats.ties import about

__all__ = ["MeanBettingProcess", "RankBettingProcess"]


class MeanBettingProcess(CountingProcess):
    """Bets that the canary's mean exceeds the baseline's, changed; and that it stays below. Values count between 0 and the cap."""

    method = "betting"

    def __init__(self, question: Question, *, cap: Amount) -> None:
        super().__init__(question)
        self._cap = cap.number
        self._changes = AskedChanges.of(question, (1, -1))
        self._wealth = ExactSum((2, len(self._changes), len(BETS)))
        self._sums = ExactSum((2,))

    def update(self, pair: Pair) -> None:
        """Take new intervals; of samples, one."""
        arms = [np.clip(arm.value, 0.0, self._cap) for arm in (pair.baseline, pair.canary)]
        if not (len(arms[0]) and len(arms[1])):
            return
        if KINDS[pair.kind].is_raw:
            arms = [arm.mean(keepdims=True) for arm in arms]
        baseline, canary = arms[0][:, None], arms[1][:, None]
        relative, absolute = self._changes.relative, self._changes.absolute
        # each difference by the largest that it can be, so that no bet can lose more than its stake
        largest = self._cap * np.maximum(1.0, 1 + relative)
        scores = np.concatenate(
            [
                (canary - baseline * (1 + relative)) / largest,
                (canary - baseline - absolute) / (self._cap + abs(absolute)),
            ],
            axis=-1,
        )
        self._wealth.add_all(np.stack([wealth_terms(scores), wealth_terms(-scores)], axis=1))
        self._sums.add_all(np.stack(arms, axis=-1))
        self._points += len(baseline)

    def merge(self, other: MeanBettingProcess) -> None:
        """Add the other's bets."""
        self._wealth.merge(other._wealth)
        self._sums.merge(other._sums)
        self._points += other._points

    def save(self) -> State:
        """Give what is remembered."""
        return {
            "intervals": self._points,
            "sums": save_sum(self._sums),
            "wealth": save_sum(self._wealth),
        }

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        self._points = int(state["intervals"])
        self._sums = load_sum(state["sums"], (2,))
        self._wealth = load_sum(state["wealth"], self._wealth.whole.shape)

    def finding(self) -> SequentialFinding:
        """Say what the evidence so far says."""
        if not self._points:
            return self.cannot_say(Reason.TOO_LITTLE_DATA)
        levels = (self._sums.value / self._points).tolist()
        known = {"baseline_level": levels[0], "canary_level": levels[1]}
        limits = tolerated(self._question, levels[0])
        if limits is None:
            return self.cannot_say(Reason.NEEDS_ABSOLUTE_TOLERANCE, **known)
        places, changes = self._changes.within(limits)
        above, below = log_wealth(self._wealth.value[:, places])
        unit = 1.0 if limits.absolute else levels[0]
        mean: FloatArray = (levels[1] - levels[0]) / unit - changes
        sequence = ChangeSequence(changes, MeanEvidence(above, below, mean, np.zeros(len(changes))))
        return self._found(**known, **sequence.finding(limits, self._question.rates, self._points))


_LEARNING: Final = (16, 32, 64, 128, 256)
"""Pairs after which the reference is drawn up again from all that was seen, and at last kept."""
_PROBABILITIES = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99])
_PRIORS = np.where(_PROBABILITIES < 0.9, 10.0, 3.0)
_EVERY = 8
_PRIOR = 100.0
"""Observations at which the medians' confidence sequences are narrowest, about a tenth."""
_CELLS = 2 * _LEARNING[-1]
"""Values in the final reference; ranks are counted in halves of one."""


class RankBettingProcess(CountingProcess):
    """Each canary request beside a baseline request of its own interval.

    Two kinds of evidence are averaged: bets on the difference of their ranks in a reference (a sequential Mann-Whitney test), and, at eight
    quantiles of the reference, which of the two lies beyond (it sees tails). Before a pair is scored, the reference knows only earlier ones.
    """

    method = "ranks"

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self._signs = question.sides
        self._seen = np.zeros((0, 2))
        self._reference = np.zeros(0)
        cases = len(self._signs)
        # for each bad direction: beyond the tolerance, within what a pass excludes, and beyond no change
        self._wealth = ExactSum((cases, 3, len(BETS)))
        self._discordant = np.zeros((cases, 3, 2, len(_PROBABILITIES)), dtype=np.int64)
        self._rank_sum = 0
        # how many of each arm lie at or below every eighth value of the final reference
        self._below = np.zeros((2, _CELLS // _EVERY), dtype=np.int64)
        self._counted = 0

    def update(self, pair: Pair) -> None:
        """Take one interval's samples."""
        count = min(len(pair.baseline), len(pair.canary))
        baseline, canary = pair.baseline.value[:count], pair.canary.value[:count]
        start = 0
        while start < count:
            end = next((end for end in _LEARNING if end > self._points), None)
            stop = count if end is None else min(count, start + end - self._points)
            self._score(baseline[start:stop], canary[start:stop], final=end is None)
            if end is not None:
                both = np.stack([baseline[start:stop], canary[start:stop]], axis=-1)
                self._seen = np.concatenate([self._seen, both])
            self._points += stop - start
            if self._points == end:
                self._learn()
            start = stop

    def _learn(self) -> None:
        """Draw up the reference, if there are pairs enough; the last one is kept, and the pairs are counted by it."""
        values = np.sort(self._seen, axis=None)
        size = 2 * max((end for end in _LEARNING if end <= len(self._seen)), default=0)
        if size:
            self._reference = values[np.arange(size) * len(values) // size]
        if size == _CELLS:
            self._count(*(self._places(self._seen[:, arm]) for arm in (0, 1)))
            self._seen = np.zeros((0, 2))

    def _score(self, baseline: FloatArray, canary: FloatArray, *, final: bool) -> None:
        if not len(self._reference):
            return
        places = [self._places(values) for values in (baseline, canary)]
        if final:
            self._count(*places)
        median = float(np.median(self._reference))
        limits = tolerated(self._question, median)
        if limits is None:
            return
        ranks = self._ranks(canary, places[1]), self._ranks(baseline, places[0])
        self._rank_sum += int((ranks[0] - ranks[1]).sum()) * (_CELLS // len(self._reference))

        def changed(limit: float) -> np.ndarray:
            if not limit:
                return ranks[1]
            if limits.absolute:
                return self._ranks(baseline + limit)
            if self._reference[0] > 0:
                return self._ranks(baseline * (1 + limit))
            return self._ranks(baseline + limit * abs(median))

        for i, (sign, limit) in enumerate(limits.sides):
            tolerable = changed(limit)
            harmless = tolerable if limits.pass_by == "tolerance" else changed(limits.pass_sides[i][1])
            self._bet(i, sign, (ranks[0] - tolerable, ranks[0] - harmless, ranks[0] - ranks[1]))
            edges = 2 * np.ceil(_PROBABILITIES * len(self._reference)).astype(np.intp) - 1
            # mostly both limits are one, and counted once
            apart = ((0, tolerable), (1, harmless)) if harmless is not tolerable else ((slice(2), tolerable),)
            for j, other in (*apart, (2, ranks[1])):
                for k, edge in enumerate(edges):
                    beyond, before = (
                        (ranks[0] > edge, other > edge) if sign > 0 else (ranks[0] < edge, other < edge)
                    )
                    self._discordant[i, j, 0, k] += np.count_nonzero(beyond & ~before)
                    self._discordant[i, j, 1, k] += np.count_nonzero(before & ~beyond)

    def _bet(self, case: int, sign: int, differences_of: tuple[np.ndarray, ...]) -> None:
        """Bet on the differences of ranks; equal differences are one bet many times."""
        size = 2 * len(self._reference)
        for j, (differences, side) in enumerate(zip(differences_of, (1, -1, 1), strict=True)):
            counts = np.bincount(differences + size, minlength=2 * size + 1)
            found = np.flatnonzero(counts)
            terms = _gains(size, sign * side)
            mine = ExactSum(self._wealth.whole.shape)
            mine.whole[case, j] = counts[found] @ terms.whole[found]
            mine.parts[case, j] = counts[found] @ terms.parts[found]
            self._wealth.merge(mine)

    def _ranks(self, values: FloatArray, left: np.ndarray | None = None) -> np.ndarray:
        """Give twice the mid-ranks in the reference: whole numbers from 0 to twice its size."""
        left, high = self._places(values) if left is None else left, about(values, 0.0)[1]
        tied = self._reference[np.minimum(left, len(self._reference) - 1)] <= high
        if tied.any():
            right = left.copy()
            right[tied] = np.searchsorted(self._reference, high[tied], "right")
            return np.asarray(left + right)
        return np.asarray(2 * left)

    def _places(self, values: FloatArray) -> np.ndarray:
        """Count the values of the reference below each, by more than rounding."""
        return np.searchsorted(self._reference, about(values, 0.0)[0], "left")

    def _count(self, baseline: np.ndarray, canary: np.ndarray) -> None:
        """Count values by their places in the final reference: at or below its value i lies what is placed at i or before."""
        for arm, places in enumerate((baseline, canary)):
            cells = np.bincount(places // _EVERY, minlength=_CELLS // _EVERY + 1)
            self._below[arm] += cells.cumsum()[: _CELLS // _EVERY]
        self._counted += len(baseline)

    def merge(self, other: RankBettingProcess) -> None:
        """Add the other's bets; of two references that are final, that of the more pairs is kept."""
        seen = np.concatenate([self._seen, other._seen])
        seen = seen[np.lexsort(seen.T)]
        first = self._counted, self._points, self._reference.tobytes()
        if (other._counted, other._points, other._reference.tobytes()) > first:
            self._reference, self._counted, self._below = (
                other._reference,
                other._counted,
                other._below.copy(),
            )
        if self._counted:
            self._seen = np.zeros((0, 2))
            self._count(*(self._places(seen[:, arm]) for arm in (0, 1)))
        else:
            self._seen = seen
            self._learn()
        self._points += other._points
        self._wealth.merge(other._wealth)
        self._discordant = self._discordant + other._discordant
        self._rank_sum += other._rank_sum

    def save(self) -> State:
        """Give what is remembered."""
        return {
            "pairs": self._points,
            "seen": pack(self._seen),
            "reference": pack(self._reference),
            "wealth": save_sum(self._wealth),
            "discordant": self._discordant.ravel().tolist(),
            "rank_sum": self._rank_sum,
            "below": self._below.ravel().tolist(),
            "counted": self._counted,
        }

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        self._points, self._counted = int(state["pairs"]), int(state["counted"])
        self._seen = unpack(state["seen"], "<f8", (-1, 2))
        self._reference = unpack(state["reference"], "<f8", (-1,))
        self._wealth = load_sum(state["wealth"], self._wealth.whole.shape)
        self._discordant = np.array(state["discordant"], dtype=np.int64).reshape(self._discordant.shape)
        self._below = np.array(state["below"], dtype=np.int64).reshape(self._below.shape)
        self._rank_sum = int(state["rank_sum"])

    def finding(self) -> SequentialFinding:
        """Say what the evidence so far says."""
        if not len(self._reference):
            return self.cannot_say(Reason.TOO_LITTLE_DATA, more_points=_LEARNING[0] - self._points)
        (low_b, median_b, high_b), (low_c, median_c, high_c) = self._medians()
        limits = tolerated(self._question, float(np.median(self._reference)))
        if limits is None:
            return self.cannot_say(Reason.NEEDS_ABSOLUTE_TOLERANCE)
        unit = 1.0 if limits.absolute else abs(median_b)
        found = [self._log_evidence(i) for i in range(len(self._signs))]
        none = {sign: unchanged for sign, (_, _, unchanged) in zip(self._signs, found, strict=True)}
        times = len(limits.asked) // len(found)
        bounds = [((low_c - high_b) / unit, (high_c - low_b) / unit)] * len(found)
        evidence = LogEvidence(
            estimate=(median_c - median_b) / unit,
            found=[(worse, safe) for worse, safe, _ in found] * times,
            none=(none.get(1, 0.0), none.get(-1, 0.0)),
            fail_bounds=bounds,
            pass_bounds=bounds,
        )
        higher = 0.5 + self._rank_sum / (2 * _CELLS) / max(self._points - _LEARNING[0], 1) / 2
        return self._found(
            **evidence.weigh(limits, self._question.rates, self._points, visible=False),
            baseline_level=median_b,
            canary_level=median_c,
            probability_worse=higher if limits.high is not None else 1 - higher,
            waived=("independence_assumed",),
        )

    def _medians(self) -> list[tuple[float, float, float]]:
        """Give each arm's median between the bounds of its confidence sequence, at half the level: two of them make a change."""
        level = self._question.rates.level / 2
        found = []
        for arm in (0, 1):
            if self._counted:
                edges, counts = self._reference[_EVERY - 1 :: _EVERY], self._below[arm]
                bounds = quantile_interval_from_counts(
                    counts, self._counted, edges, 0.5, level, _PRIOR, one_sided=True
                )
                middle = float(np.interp(0.5, counts / self._counted, edges))
            else:
                bounds = quantile_interval(self._seen[:, arm], 0.5, level, _PRIOR, one_sided=True)
                middle = float(np.median(self._seen[:, arm]))
            found.append((float(bounds.low), middle, float(bounds.high)))
        return found

    def _log_evidence(self, case: int) -> tuple[float, float, float]:
        """Average bets and exceedances: beyond the tolerance, within what a pass excludes, and beyond no change."""
        bets = log_wealth(self._wealth.value[case])
        tolerable, harmless, unchanged = self._discordant[case]
        exceeded = (
            discordance(tolerable[0], tolerable[1], _PRIORS),
            discordance(harmless[1], harmless[0], _PRIORS),
            discordance(unchanged[0], unchanged[1], _PRIORS),
        )
        parts = [float(np.logaddexp.reduce(found) - math.log(len(found))) for found in exceeded]
        both = np.logaddexp(bets, parts) - math.log(2)
        return float(both[0]), float(both[1]), float(both[2])


@lru_cache(maxsize=16)
def _gains(size: int, sign: int) -> ExactSum:
    """Give what each difference of ranks, from -size to size, adds to the wealth; read only."""
    terms = ExactSum((2 * size + 1, len(BETS)))
    terms.add(wealth_terms(sign * np.arange(-size, size + 1) / size))
    return terms

"""Means of bounded values: bets on the difference of the arms, an interval at a time, whatever the distribution."""

from __future__ import annotations

import numpy as np

from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import tolerated
from canaryjudge.rules.rows import FloatArray, Pair, Question
from canaryjudge.rules.sequential.changes import CHANGES, ChangeSequence
from canaryjudge.rules.sequential.process import SequentialFinding, State, load_sum, save_sum
from canaryjudge.rules.sequential.settings import Sequential
from canaryjudge.stats.exact_sums import ExactSum
from canaryjudge.stats.score_evidence import BETS, MeanEvidence, log_wealth, wealth_terms

__all__ = ["BettingProcess"]


class BettingProcess:
    """Bets that the canary's mean exceeds the baseline's, changed; and that it stays below. Values count between 0 and the cap."""

    def __init__(self, question: Question, settings: Sequential) -> None:
        self._question = question
        assert settings.cap is not None  # noqa: S101 - the policy has been checked
        self._cap = settings.cap.number
        relative, absolute = question.tolerance.relative, question.tolerance.absolute_or_zero
        self._relative = np.array(sorted({*CHANGES, relative, -relative / (1 + relative)}))
        steps = {0.0, *(sign * times * absolute for sign in (1, -1) for times in (0.5, 1.0, 2.0, 4.0))}
        self._absolute = np.array(sorted(steps)) if absolute else np.zeros(0)
        self._wealth = ExactSum((2, len(self._relative) + len(self._absolute), len(BETS)))
        self._sums = ExactSum((2,))
        self._intervals = 0

    @property
    def points(self) -> int:
        """Intervals seen."""
        return self._intervals

    def update(self, pair: Pair) -> None:
        """Take new intervals; of samples, one."""
        arms = [np.clip(arm.value, 0.0, self._cap) for arm in (pair.baseline, pair.canary)]
        if not (len(arms[0]) and len(arms[1])):
            return
        if pair.kind == "samples":
            arms = [arm.mean(keepdims=True) for arm in arms]
        baseline, canary = arms[0][:, None], arms[1][:, None]
        # each difference by the largest that it can be, so that no bet can lose more than its stake
        largest = self._cap * np.maximum(1.0, 1 + self._relative)
        scores = np.concatenate(
            [
                (canary - baseline * (1 + self._relative)) / largest,
                (canary - baseline - self._absolute) / (self._cap + abs(self._absolute)),
            ],
            axis=-1,
        )
        self._wealth.add_all(np.stack([wealth_terms(scores), wealth_terms(-scores)], axis=1))
        self._sums.add_all(np.stack(arms, axis=-1))
        self._intervals += len(baseline)

    def merge(self, other: BettingProcess) -> None:
        """Add the other's bets."""
        self._wealth.merge(other._wealth)
        self._sums.merge(other._sums)
        self._intervals += other._intervals

    def save(self) -> State:
        """Give what is remembered."""
        return {
            "intervals": self._intervals,
            "sums": save_sum(self._sums),
            "wealth": save_sum(self._wealth),
        }

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        self._intervals = int(state["intervals"])
        self._sums = load_sum(state["sums"], (2,))
        self._wealth = load_sum(state["wealth"], self._wealth.whole.shape)

    def finding(self) -> SequentialFinding:
        """Say what the evidence so far says."""
        known = {
            "rule": "sequential",
            "method": "betting",
            "level": self._question.rates.level,
            "beta": self._question.rates.beta,
            "n_baseline": self._intervals,
            "n_canary": self._intervals,
        }
        if not self._intervals:
            return SequentialFinding(**known, outcome=Outcome.MARGINAL, reason=Reason.TOO_LITTLE_DATA)
        levels = (self._sums.value / self._intervals).tolist()
        known |= {"baseline_level": levels[0], "canary_level": levels[1]}
        limits = tolerated(self._question, levels[0])
        if limits is None:
            return SequentialFinding(
                **known, outcome=Outcome.MARGINAL, reason=Reason.NEEDS_ABSOLUTE_TOLERANCE
            )
        part = slice(len(self._relative), None) if limits.absolute else slice(len(self._relative))
        changes = self._absolute if limits.absolute else self._relative
        above, below = log_wealth(self._wealth.value[:, part])
        unit = 1.0 if limits.absolute else levels[0]
        mean: FloatArray = (levels[1] - levels[0]) / unit - changes
        sequence = ChangeSequence(changes, MeanEvidence(above, below, mean, np.zeros(len(changes))))
        return SequentialFinding(**known, **sequence.finding(limits, self._question.rates, self._intervals))

"""Users as they come: the change of their level by the delta method, with what was known of them from before taken out, at any number of users."""

from __future__ import annotations

import math
from typing import Any, Final

from canaryjudge.packing import pack, unpack
from canaryjudge.reasons import Reason
from canaryjudge.rules.decision import Limits, tolerated
from canaryjudge.rules.ratio_of_means import comparable, moments_of
from canaryjudge.rules.rows import Pair, Question
from canaryjudge.rules.sequential.evidence import (
    CountingProcess,
    LogEvidence,
    SequentialFinding,
    State,
    by_side,
)
from canaryjudge.stats.ratio_of_means import MeansComparison, UserMoments

__all__ = ["UserMeansProcess"]

_FEWEST: Final = 100
"""Of fewer users the mean is not yet normal enough for a sequence of looks."""
_ERRORS_TO_DECIDE: Final = 2.0
"""The evidence is tightest where the tolerated change is about so many standard errors wide."""
_OF_NONE: Final = 0.05
"""Where no change is tolerated, the evidence is as tight as it is of this one."""
_PACKED: Final = 15


class UserMeansProcess(CountingProcess):
    """What the users of both arms add up to, and what that says of the change."""

    method = "user_means"

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self._arms = UserMoments.of([]), UserMoments.of([])
        self._scale: float | None = None
        """How large the tolerated change is as a part of the level; fixed at the first look, as the mixture must be."""

    @property
    def points(self) -> int:
        """Users of the arm that has fewer."""
        return int(min(arm.n for arm in self._arms))

    @property
    def known(self) -> dict[str, Any]:
        """What findings say of it, whatever was found."""
        sizes = {name: int(arm.n) for name, arm in zip(("n_baseline", "n_canary"), self._arms, strict=True)}
        return super().known | sizes

    def update(self, pair: Pair) -> None:
        """Take new users."""
        baseline, canary = (arm.plus(moments_of(new)) for arm, new in zip(self._arms, pair.arms, strict=True))
        self._arms = baseline, canary

    def finding(self) -> SequentialFinding:
        """Say what the evidence so far says."""
        fewest = max(self._question.min_points, _FEWEST)
        found, facts = comparable(*self._arms, fewest)
        if found is None:
            lacks = max(int(fewest - self.points), 1)
            more = {"more_points": lacks} if facts["reason"] is Reason.TOO_LITTLE_DATA else {}
            return self._found(**facts | more)
        limits = tolerated(self._question, found.levels[0])
        if limits is None:
            return self.cannot_say(Reason.NEEDS_ABSOLUTE_TOLERANCE, **facts)
        return self._found(**facts, **self._weighed(found, limits))

    def _weighed(self, found: MeansComparison, limits: Limits) -> dict[str, Any]:
        rates, absolute, sides = self._question.rates, limits.absolute, len(limits.sides)
        if self._scale is None:
            widest = max(map(abs, limits.asked))
            part = widest / abs(found.levels[0]) if absolute and found.on_logarithms else widest
            self._scale = math.log1p(part) if found.on_logarithms else part
        by_level = {level: self._rho(level) for level in (rates.level / sides, rates.beta)}
        fail_rho, pass_rho = by_level[rates.level / sides], by_level[rates.beta]
        told = [
            found.log_evidence(limit, rho, absolute=absolute)
            for limit, rho in zip(limits.asked, self._rhos(limits, fail_rho, pass_rho), strict=True)
        ]
        evidence = LogEvidence(
            estimate=found.change(absolute=absolute),
            found=by_side(limits, told),
            none=found.log_evidence(0.0, fail_rho, absolute=absolute),
            fail_bounds=[found.sequence_bounds(rates.level / sides, fail_rho, absolute=absolute)] * sides,
            pass_bounds=[found.sequence_bounds(rates.beta, pass_rho, absolute=absolute)] * sides,
        )
        return evidence.weigh(limits, rates, self.points)

    @staticmethod
    def _rhos(limits: Limits, fail_rho: float, pass_rho: float) -> list[float]:
        """Give the mixture at each limit that is asked about."""
        found = [fail_rho] * len(limits.asked)
        found[limits.at_pass] = [pass_rho] * len(limits.sides)
        return found

    def _rho(self, level: float) -> float:
        """Give the mixture that is tightest once the tolerated change is a few standard errors wide (Howard, Ramdas, McAuliffe and Sekhon 2021)."""
        surprise = -2 * math.log(2 * level) if level < 0.5 else 1.0
        information = (_ERRORS_TO_DECIDE / (self._scale or _OF_NONE)) ** 2
        return information / (surprise + math.log1p(surprise))

    def merge(self, other: UserMeansProcess) -> None:
        """Take over the users of another shard."""
        baseline, canary = (mine.plus(theirs) for mine, theirs in zip(self._arms, other._arms, strict=True))
        self._arms = baseline, canary
        known = [scale for scale in (self._scale, other._scale) if scale is not None]
        self._scale = min(known, default=None)

    def save(self) -> State:
        """Give what is remembered."""
        return {"scale": self._scale, "users": [pack(arm.packed()) for arm in self._arms]}

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        baseline, canary = (UserMoments.unpacked(unpack(arm, "<f8", (_PACKED,))) for arm in state["users"])
        self._arms = baseline, canary
        self._scale = None if state["scale"] is None else float(state["scale"])

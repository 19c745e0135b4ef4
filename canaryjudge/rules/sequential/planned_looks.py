"""Planned looks: a fixed-window rule asked a few times, its error rates spent over the looks (Lan and DeMets)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from canaryjudge.kinds import KINDS
from canaryjudge.packing import pack, pack_times, unpack, unpack_times
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import Finding, LevelFinding, WatchFacts
from canaryjudge.rules.groups import GroupFinding, GroupSettings
from canaryjudge.rules.mann_whitney import MannWhitney
from canaryjudge.rules.minute_by_minute import FEWEST_MINUTES
from canaryjudge.rules.registry import RULES, Asking, answered, read_finding
from canaryjudge.rules.rows import Arm, ErrorRates, FloatArray, Horizon, Pair, Question, Sizes, excluded
from canaryjudge.rules.sequential.evidence import State
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.stats.group_sequential import Spending, boundaries, repeated_pvalue
from canaryjudge.stats.paired_shift import FEWEST_FOR_A_LEVEL

__all__ = ["LookPlan", "LooksProcess", "looks_at"]

_FEWEST_EFFECTIVE = 4.0
_CAUTION = 20.0
"""An arm whose points depend on each other so strongly that they are worth fewer than four says little of its own noise: it proves nothing
harmless, and harm only by a p-value twenty times smaller than the look asks for. In a rollout, which would be stuck, they prove harmless what they prove: a stage's fewer
than 20 minutes are taken to resemble each other strongly whatever they show, and more are held against what may be behind what they show."""
_FEWEST_FOR_RANKS = 20
"""The robust rank test's error rates are proven from so many points on; earlier looks are let pass unless there are no later ones. Minute by minute a few points are enough."""
_SMALLEST_PVALUE = 1e-300
_COLUMNS = ("value", "total", "time")
_LARGEST_WHOLE = 2.0**53


@dataclass(frozen=True, slots=True)
class LookPlan:
    """What is asked at the looks, and how many there are.

    Attributes
    ----------
    name : str
        The rule's name in the policy.
    settings : RuleSettings
        The fixed-window rule that is asked.
    looks : int
        How many looks are planned, evenly until the end of the watch.
    spending : {"obrien_fleming", "pocock"}
        How the error rates are spent over them.
    """

    name: str
    settings: RuleSettings
    looks: int = 5
    spending: Spending = "obrien_fleming"


@dataclass(frozen=True, slots=True)
class _Taken:
    """One look: when, and the deviates of its p-values; None of a stage's look that has too few points to find it harmless, which spends nothing of beta."""

    fraction: float
    fail: float
    safe: float | None


class LooksProcess:
    """Points in a window, looked at when planned parts of the watch are over.

    Between looks the last finding stands. A look at which the rule abstains spends nothing.
    """

    def __init__(self, question: Question, plan: LookPlan) -> None:
        self._question, self._plan = question, plan
        self._window: Pair | None = None
        self._seen = 0
        self._done = 0
        self._taken: list[_Taken] = []
        self._last: Finding | None = None
        self._pass_within: Sizes[float] | None = None
        self.goes_on = False
        """Whether looks are taken after one that failed, too."""

    @property
    def _is_over(self) -> bool:
        failed = self._last is not None and self._last.outcome is Outcome.FAIL
        return self._done >= self._plan.looks or (failed and not self.goes_on)

    @property
    def points(self) -> int:
        """Points seen."""
        return self._seen

    def taking(self, pair: Pair) -> Asking:
        """Take new points, and look where looks are due; after the last one nothing more is kept."""
        self._seen += len(pair.canary)
        if self._done < self._plan.looks:
            self._window = self._cut(pair if self._window is None else _joined(self._window, pair))
            yield from self._looking()

    def _cut(self, window: Pair) -> Pair:
        size, most = len(window.canary), self._question.horizon.max_points
        if self._window is not None and (most is None or size <= most):
            return window  # which was just put together
        # by an index, which copies: a slice would keep all of what was given
        return window.part(np.arange(size if most is None else min(size, most)))

    def _looking(self) -> Asking:
        while not self._is_over:
            size = self._due(self._done + 1)
            if size is None:
                return
            self._done += 1
            yield from self._look(size)

    def _due(self, look: int) -> int | None:
        """Give the points of a look, once they are there."""
        window, horizon = self._window, self._question.horizon
        if window is None or not len(window.canary):
            return None
        part = look / self._plan.looks
        if horizon.max_points is not None:
            size = math.ceil(part * horizon.max_points - 1e-9)
            return size if len(window.canary) >= size else None
        time = window.canary.time
        if time is None or horizon.max_duration is None:
            return None
        end = time[0] + part * horizon.max_duration
        return int(np.searchsorted(time, end + 1e-6, "right")) if time[-1] >= end - 1e-6 else None

    def until_due(self) -> tuple[float, float]:
        """Tell how many more points there may be before a look is due, that of the look among them, and when one is due by the clock; infinite where none is."""
        window, horizon = self._window, self._question.horizon
        if self._is_over:
            return math.inf, math.inf
        part = (self._done + 1) / self._plan.looks
        if horizon.max_points is not None:
            seen = 0 if window is None else len(window.canary)
            return math.ceil(part * horizon.max_points - 1e-9) - seen, math.inf
        if horizon.max_duration is None:
            return math.inf, math.inf
        if window is None or window.canary.time is None or not len(window.canary):
            return 1, math.inf  # the clock starts with it
        return math.inf, float(window.canary.time[0]) + part * horizon.max_duration - 1e-6

    def _look(self, size: int) -> Asking:
        window, plan = self._window, self._plan
        if window is None or size < self._needed:
            return
        fraction, is_stage = self._done / plan.looks, self._question.horizon.staged == "stage"
        level = _nominal([*self._looks("fail"), fraction], self._question.rates.level, plan.spending)
        beta = _nominal([*self._looks("safe"), fraction], self._question.rates.beta, self._spending_of_beta)
        asked = replace(
            self._with_replicas(window.part(slice(size))),
            rates=ErrorRates(level, beta),
            horizon=Horizon(
                staged="stage" if is_stage else None
            ),  # the rest would keep it apart from what other watches ask
        )
        # what a pass excludes is settled by what the baseline is at the first look
        self._pass_within = self._pass_within or excluded(asked)
        asked = replace(asked, pass_within=self._pass_within)
        found = yield asked, plan.settings
        facts: dict[str, Any] = {
            "rule": plan.name,
            "level": self._question.rates.level,
            "beta": self._question.rates.beta,
            "watch": WatchFacts(looks=self._done, looks_planned=plan.looks),
            "more_points": None,
        }
        if found.reason is not Reason.ABSTAINS and found.pvalue is not None and found.pvalue_pass is not None:
            cautious, staged = _hardly_known(found), self._question.horizon.staged
            fail, safe = found.pvalue, found.pvalue_pass
            if cautious:
                fail = min(1.0, fail * _CAUTION)
                safe = safe if staged else 1.0
            if cautious and fail > level and not (staged and found.outcome is Outcome.PASS):
                facts |= {"outcome": Outcome.MARGINAL, "reason": Reason.ABSTAINS}
                facts |= {"interval": None, "pass_interval": None}
            too_few = is_stage and found.reason is Reason.TOO_LITTLE_DATA
            self._taken.append(_Taken(fraction, _deviate(fail), None if too_few else _deviate(safe)))
            facts |= self._pvalues()
        elif found.reason is Reason.ABSTAINS:
            # what it says of itself counts for nothing
            facts |= self._pvalues()
        if found.reason is Reason.ABSTAINS and self._done < plan.looks:
            # an early look has next to nothing to spend, which is no fault of the points
            facts |= {"reason": Reason.UNDECIDED, "interval": None, "pass_interval": None}
        early = self._done < plan.looks and not plan.settings.since_the_start
        if found.reason is Reason.NOTHING_FOUND and early:
            facts |= {"outcome": Outcome.MARGINAL, "reason": Reason.UNDECIDED}  # there may be something yet
        own = RULES[plan.name].finding
        self._last = own(
            **{name: fact for name, fact in (dict(found) | facts).items() if name in own.model_fields}
        )

    def _with_replicas(self, window: Pair) -> Pair:
        replicas = self._question.horizon.replicas
        if replicas is None:
            return window
        baseline, canary = replicas()
        return replace(
            window,
            baseline=replace(window.baseline, replicas=baseline),
            canary=replace(window.canary, replicas=canary),
        )

    @property
    def _needed(self) -> int:
        """Points without which a look would say nothing."""
        least, is_last = self._question.min_points, self._done == self._plan.looks
        settings, window = self._plan.settings, self._window
        if (
            window is not None
            and isinstance(settings, MannWhitney)
            and settings.method == "robust"
            and window.concurrent
            and KINDS[window.kind].is_averaged
        ):
            return FEWEST_MINUTES
        if is_last or not _asks_ranks(settings):
            return least
        return max(least, _FEWEST_FOR_RANKS)

    def _pvalues(self) -> dict[str, float | None]:
        """Give the p-values of all looks that counted, together."""
        if self._question.horizon.outcome_only:
            return {}
        if not self._taken:
            return {"pvalue": None, "pvalue_pass": None}
        fails = [taken.fail for taken in self._taken]
        safes = [taken.safe for taken in self._taken if taken.safe is not None]
        return {
            "pvalue": float(repeated_pvalue(fails, self._looks("fail"), self._plan.spending)),
            "pvalue_pass": float(repeated_pvalue(safes, self._looks("safe"), self._spending_of_beta))
            if safes
            else 1.0,
        }

    def _looks(self, what: Literal["fail", "safe"]) -> list[float]:
        """Give when those looks were that have spent something of a rate."""
        return [taken.fraction for taken in self._taken if getattr(taken, what) is not None]

    @property
    def _spending_of_beta(self) -> Spending:
        """Tell how beta is spent: in a stage, whose last look alone has points to speak of, nearly all at the end."""
        by_default = self._plan.spending == "obrien_fleming"
        return "power" if by_default and self._question.horizon.staged == "stage" else self._plan.spending

    def _until_next(self) -> int | None:
        """Tell how many points are missing for the next look, where looks are planned by points."""
        most = self._question.horizon.max_points
        if most is None or self._done >= self._plan.looks:
            return None
        return math.ceil((self._done + 1) / self._plan.looks * most - 1e-9) - self.points

    def merge(self, other: LooksProcess) -> None:
        """Put the other's points among these, in order of time, and take the looks again."""
        if other._window is None:
            return
        both = other._window if self._window is None else _joined(self._window, other._window)
        failed = [last for last in (self._last, other._last) if last and last.outcome is Outcome.FAIL]
        self._seen += other._seen
        self._window, self._done, self._taken, self._last = self._cut(_in_order(both)), 0, [], None
        self._pass_within = None
        answered([self._looking()])
        if failed:
            self._last = min(failed, key=lambda last: last.model_dump_json())

    def save(self) -> State:
        """Give what is remembered."""
        if self._window is None:
            return {}
        arms = (self._window.baseline, self._window.canary)
        edges = self._window.edges
        return {
            "arms": [
                {name: _packed(column) for name in _COLUMNS if (column := getattr(arm, name)) is not None}
                | ({} if arm.buckets is None else {"buckets": _packed(arm.buckets.ravel())})
                for arm in arms
            ],
            "edges": None if edges is None else edges[:-1].tolist(),
            "seen": self._seen,
            "concurrent": self._window.concurrent,
            "interval": self._window.interval,
            "differenced": self._window.differenced,
            "done": self._done,
            "taken": [[taken.fraction, taken.fail, taken.safe] for taken in self._taken],
            "pass_within": None if self._pass_within is None else _sizes(self._pass_within),
            "last": None if self._last is None else self._last.model_dump(mode="json", exclude_defaults=True),
        }

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        if not state:
            return
        edges = None if state["edges"] is None else np.array([*state["edges"], math.inf])
        baseline, canary = (_loaded(arm, edges) for arm in state["arms"])
        self._window = self._question.of(
            baseline,
            canary,
            concurrent=state["concurrent"],
            interval=state["interval"],
            edges=edges,
            differenced=state["differenced"],
        )
        self._seen, self._done = int(state["seen"]), int(state["done"])
        self._taken = [
            _Taken(float(fraction), float(fail), None if safe is None else float(safe))
            for fraction, fail, safe in state["taken"]
        ]
        within = state["pass_within"]
        self._pass_within = within and Sizes(within[0], math.nan if within[1] is None else within[1])
        self._last = None if state["last"] is None else read_finding(state["last"])

    def finding(self) -> Finding:
        """Say what the last look said."""
        if self._last is None:
            passes = self._plan.settings.since_the_start
            return RULES[self._plan.name].finding(
                rule=self._plan.name,
                outcome=Outcome.PASS if passes else Outcome.MARGINAL,
                reason=Reason.NOTHING_FOUND if passes else Reason.TOO_LITTLE_DATA,
                method="none",
                level=self._question.rates.level,
                beta=self._question.rates.beta,
                n_baseline=self.points,
                n_canary=self.points,
                watch=WatchFacts(looks=self._done, looks_planned=self._plan.looks),
                more_points=self._until_next(),
            )
        if self._last.outcome is not Outcome.MARGINAL:
            return self._last
        return self._last.model_copy(update={"more_points": self._until_next()})


def looks_at(question: Question, *, looks: int, spending: Spending) -> LooksProcess:
    """Look at a metric by its kind's rule about the level."""
    at_a_look = RULES[KINDS[question.kind].default_rules[0]].settings()
    return LooksProcess(question, LookPlan("sequential", at_a_look, looks, spending))


def _asks_ranks(settings: RuleSettings) -> bool:
    """Tell whether the rank test is one of a group's rules."""
    if isinstance(settings, GroupSettings):
        return any(_asks_ranks(rule) for rule in settings.rules)
    return isinstance(settings, MannWhitney)


def _hardly_known(found: Finding) -> bool:
    """Tell whether the points of a rank test or of pairs, or of one in a group, depend on each other too strongly to be taken at their word."""
    if isinstance(found, GroupFinding):
        return any(_hardly_known(part) for part in found.parts)
    if not isinstance(found, LevelFinding) or found.method not in ("robust_rank", "pairs"):
        return False
    few = found.method == "pairs" and found.n_canary < FEWEST_FOR_A_LEVEL  # which prove gross harm alone
    return not few and _effective(found) < _FEWEST_EFFECTIVE


def _effective(found: LevelFinding) -> float:
    """Give how many independent points the arms' points are worth."""
    rho = found.autocorrelation or 0.0
    return 2 / (1 / found.n_baseline + 1 / found.n_canary) * (1 - rho) / (1 + rho)


def _nominal(fractions: list[float], rate: float, spending: Spending) -> float:
    """Give what the last of these looks may use."""
    return max(float(boundaries(fractions, rate, spending).nominal[-1]), _SMALLEST_PVALUE)


def _deviate(pvalue: float) -> float:
    return float(-ndtri(min(max(pvalue, _SMALLEST_PVALUE), 1 - 1e-16)))


def _joined(first: Pair, second: Pair) -> Pair:
    return replace(
        second,
        baseline=_arm_of(first.baseline, second.baseline),
        canary=_arm_of(first.canary, second.canary),
    )


def _arm_of(first: Arm, second: Arm) -> Arm:
    return Arm(
        np.concatenate([first.value, second.value]),
        _appended(first.total, second.total),
        _appended(first.time, second.time),
        _appended(first.buckets, second.buckets),
    )


def _appended(first: FloatArray | None, second: FloatArray | None) -> FloatArray | None:
    return None if first is None or second is None else np.concatenate([first, second])


def _in_order(pair: Pair) -> Pair:
    time = pair.canary.time
    return pair if time is None else pair.part(np.lexsort((pair.baseline.value, pair.canary.value, time)))


def _packed(column: FloatArray) -> str | list[Any]:
    """Write counts, and times to the microsecond, as whole numbers, which are shorter."""
    for unit in (1.0, 1e6):
        whole = np.rint(column * unit)
        if abs(whole).max(initial=0.0) < _LARGEST_WHOLE and (whole / unit == column).all():
            return [unit, *pack_times(whole.astype(np.int64))]
    return pack(column)


def _sizes(sizes: Sizes[float]) -> list[float | None]:
    return [sizes.relative, None if math.isnan(sizes.absolute) else sizes.absolute]


def _loaded(arm: State, edges: FloatArray | None) -> Arm:
    total, time = (_unpacked(arm[name]) if name in arm else None for name in ("total", "time"))
    buckets = None if edges is None else _unpacked(arm["buckets"]).reshape(-1, len(edges))
    return Arm(_unpacked(arm["value"]), total, time, buckets)


def _unpacked(column: str | list[Any]) -> FloatArray:
    if isinstance(column, str):
        return unpack(column, "<f8", (-1,))
    return np.asarray(unpack_times(column[1:]) / column[0])

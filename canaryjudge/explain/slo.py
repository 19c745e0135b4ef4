"""Words for objectives: as the user wrote them, with what was found beside them."""

from __future__ import annotations

from typing import ClassVar

from canaryjudge.explain.changes import EVENT_TESTS
from canaryjudge.explain.effects import TOO_FEW_TO_PROVE, CountedWords
from canaryjudge.explain.numbers import count, set_percent
from canaryjudge.explain.quantities import level_of, set_change, set_level, set_span, span
from canaryjudge.explain.words import words
from canaryjudge.reasons import Reason
from canaryjudge.rules.findings import EffectFinding, Interval
from canaryjudge.rules.slo import ObjectiveFacts, SloFinding

__all__ = ["LAXER", "whose_doing"]

LAXER = "a laxer objective"
_OPERATORS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def whose_doing(finding: EffectFinding) -> str:
    """Say whose doing a breach is that the baseline shares: a canary that breaches by more may add to it."""
    return f"not the canary's doing{' alone' if finding.worse_than_baseline else ''}"


@words(SloFinding)
class _SloWords(CountedWords[SloFinding]):
    methods: ClassVar = {
        "mean": "t test that allows for autocorrelation",
        "mean_difference": "t test of both means that allows for autocorrelation",
        "quantile": "distribution-free test",
        "bucket_quantile": "distribution-free test of bucket counts",
        "combined": "distribution-free test of both arms",
        "paired_shares": "distribution-free test of paired points",
        "share": "binomial test that allows for autocorrelation",
        "exact_ratio": "exact binomial test",
        "exact_rate": "exact Poisson test",
        **EVENT_TESTS,
        "point": "the estimate alone",
    }

    @property
    def _facts(self) -> ObjectiveFacts:
        return self.finding.objective or ObjectiveFacts()

    @property
    def _is_change(self) -> bool:
        """Whether it is about a change; then its limits were computed from the baseline's level."""
        return self._facts.change_relative is not None or self._facts.change_absolute is not None

    @property
    def _measured_in(self) -> tuple[str, str]:
        """Kind and unit of what is measured: a share of observations is a ratio, whatever the metric."""
        return ("ratio", "") if self.finding.of == "within" else (self.result.kind, self.unit)

    @property
    def _limit(self) -> float | None:
        high, low = self.finding.limit_high, self.finding.limit_low
        return high if high is not None else low

    def value(self, value: float) -> str:
        """Write a value in the unit of the limit."""
        return level_of(value, *self._measured_in, beside=self._limit)

    def _level(self, value: float | None) -> str:
        return "unknown" if value is None else self.value(value)

    def limit(self, value: float) -> str:
        """Write a limit as it was chosen."""
        return set_level(value, *self._measured_in)

    def span(self, interval: Interval) -> str:
        """Write from where to where an interval goes, in the unit of the limit."""
        return span(interval.low, interval.high, "objective", *self._measured_in, beside=self._limit)

    def main_number(self) -> tuple[str, str]:
        """Give the aggregate, and the baseline's."""
        finding = self.finding
        if finding.estimate is None:
            return self.result.reason.words, ""
        said = self.value(finding.estimate)
        beside = "" if finding.baseline_level is None else f"baseline {self.value(finding.baseline_level)}"
        return (said if finding.of in ("pooled", "within") else f"{finding.of} {said}"), beside

    def held_against(self) -> str:
        """Name the objective."""
        return f"objective {self._objective()}" if self._has_limit else ""

    def other_limit(self) -> str:
        """Say that the objective may be laxer."""
        return LAXER

    @property
    def fails_elsewhere(self) -> bool:
        """Whether it fails at another bound than the one at which it passes."""
        return self._facts.fail_high is not None or self._facts.fail_low is not None

    def without_percent(self) -> str:
        """Say that a change in percent means nothing beside a baseline of zero."""
        of = "" if self.finding.of == "pooled" else f" {self.finding.of}"
        return (
            f"the baseline's{of} level is {self._level(self.finding.baseline_level)} and the canary's "
            f"{self._level(self.finding.estimate)}, where a change in percent means nothing and no rise is proven: "
            f"give the change an absolute part ({self.amount()})"
        )

    def found(self) -> str:
        """Say where the canary's aggregate lies, and how that stands to the objective."""
        finding = self.finding
        baseline, objective, fails = (
            self._level(finding.baseline_level),
            f"objective {self._objective()}",
            self._fails_at(),
        )
        what = f"canary {self._aggregate()}is {self._level(finding.estimate)}{self.proof()}"
        if self._is_change:
            return f"{what}, baseline {baseline}: {objective} {self._stands(fails)}"
        if finding.reason is Reason.BREACHED:
            beyond = f" and {fails}, where it fails" if fails else ""
            return f"{what}, which breaches the {objective}{beyond} (baseline {baseline})"
        if finding.reason is Reason.ENVIRONMENT_UNHEALTHY:
            return f"{what}, which breaches the {objective}, but so does the baseline with {baseline}: {whose_doing(finding)}"
        if finding.reason is Reason.WARNING:
            return f"{what}, which breaches the {objective}, but is not proven to lie beyond {fails}, where it fails"
        if finding.reason is Reason.OBJECTIVE_MET:
            return f"{what}, which meets the {objective}"
        if finding.reason is Reason.ABSTAINS:
            return f"{what}: {TOO_FEW_TO_PROVE} {self.unprovable()} by the {objective}"
        return f"{what}: whether it meets the {objective} is not proven{self.missing()}"

    def _stands(self, fails: str) -> str:
        """Say how the canary stands to a change."""
        reason = self.finding.reason
        if reason is Reason.BREACHED:
            return "is breached" + (f", and so is {fails}, where it fails" if fails else "")
        if reason is Reason.WARNING:
            return f"is breached, but it is not proven to lie beyond {fails}, where it fails"
        if reason is Reason.OBJECTIVE_MET:
            return "is met"
        if reason is Reason.ABSTAINS:
            return f"cannot be judged; {TOO_FEW_TO_PROVE} {self.unprovable()}"
        return f"is proven neither met nor breached{self.missing()}"

    def _aggregate(self) -> str:
        """Name what is measured: of a histogram, with the bucket that it is known to lie in."""
        of, facts = self.finding.of, self._facts
        if of == "pooled":
            return ""
        bucket = ""
        if facts.bucket_low is not None or facts.bucket_high is not None:
            low = "-inf" if facts.bucket_low is None else self._edge(facts.bucket_low)
            high = "+Inf" if facts.bucket_high is None else self._edge(facts.bucket_high)
            bucket = f" inside the bucket ({low}, {high}]"
        if of == "within":
            return f"share within {self._edge(facts.bound or 0.0)}{bucket and f', a bound{bucket},'} "
        if facts.exceptions:
            n = count(facts.exceptions)
            return f"{of} without the {'farthest interval' if n == '1' else f'{n} farthest intervals'} "
        return f"{of}{bucket and f',{bucket},'} "

    def _edge(self, value: float) -> str:
        return set_level(value, self.result.kind, self.unit)

    def _objective(self) -> str:
        """Write the objective as a policy does."""
        finding, facts = self.finding, self._facts
        if finding.limit_high is not None and finding.limit_low is not None:
            return set_span(finding.limit_low, finding.limit_high, *self._measured_in)
        sign, parts = _OPERATORS[finding.op or "lte"], []
        if facts.change_relative is not None:
            parts.append(
                f"{'-' if facts.change_relative < 0 else '+'}{set_percent(abs(facts.change_relative))}"
            )
        if facts.change_absolute is not None:
            size = set_change(facts.change_absolute, "absolute", *self._measured_in)
            parts.append(f"{'-' if facts.change_absolute < 0 else '+'}{size}")
        if parts:
            return f"{sign} {' or '.join(parts)} ({self._level(self._limit)})"
        return f"{sign} {'unknown' if self._limit is None else self.limit(self._limit)}"

    def _fails_at(self) -> str:
        """Name the bounds at which it fails, where they are not those of the objective."""
        write = self.value if self._is_change else self.limit
        ends = (self._facts.fail_low, self._facts.fail_high)
        return " or ".join(write(end) for end in ends if end is not None)

"""Several rules as one: any of them may hold, or all must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from pydantic import Field

from canaryjudge.kinds import KINDS
from canaryjudge.quantities import shown
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import EffectFinding, Finding
from canaryjudge.rules.registry import Columns, find, rule
from canaryjudge.rules.rows import ErrorRates, Rows
from canaryjudge.rules.settings import AskedMetric, RuleSettings
from canaryjudge.settings import Problem

if TYPE_CHECKING:
    AnyFinding = Finding  # the union of all rules' findings, which `canaryjudge.results` makes
    AnyRule = RuleSettings  # that of their settings, which `canaryjudge.policy` makes

__all__ = ["AllOf", "AllOfFinding", "AnyOf", "AnyOfFinding", "GroupFinding", "GroupSettings"]


_MOST_LEVELS: Final = 7
"""So deep may groups be nested: a document that is nested no deeper than 20, as policies must be, has room for as many."""


class GroupSettings(RuleSettings):
    """What both kinds of group share."""

    kinds: ClassVar[tuple[str, ...]] = tuple(KINDS)

    rules: tuple[AnyRule, ...] = Field(min_length=1)
    """The rules that are asked, each with its settings; groups may hold groups, but not the rule `sequential`."""

    @property
    def levels(self) -> int:
        """How deep groups are nested in it, itself counted."""
        return 1 + max((rule.levels for rule in self.rules if isinstance(rule, GroupSettings)), default=0)

    def _contradictions(self) -> Iterator[Problem]:
        if self.levels > _MOST_LEVELS:
            deep = f"groups are nested more than {_MOST_LEVELS} deep"
            yield Problem(("rules",), deep, "Put the rules of inner groups of one kind into one group.")
        for index, member in enumerate(self.rules):
            if member.rule == "sequential":
                advice = "Take a rule for a finished window; a monitor asks groups at planned looks."
                yield Problem(("rules", index), "a group cannot hold the rule sequential", advice)
            if member in self.rules[:index]:
                twice = f"the same rule {shown(member.rule)} stands there twice"
                yield Problem(("rules", index), twice, "Leave one out.")

    def in_unit_of(self, metric: AskedMetric) -> Self:
        """Give the same settings with every quantity in the metric's unit."""
        return self.model_copy(update={"rules": tuple(rule.in_unit_of(metric) for rule in self.rules)})

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        for index, member in enumerate(self.rules):
            for problem in member.misfits(metric):
                yield problem._replace(path=("rules", index, *problem.path))


class AnyOf(GroupSettings):
    """Is any of several rules fine with the canary? It passes if one passes, and fails only if all fail."""

    rule: Literal["any_of"] = "any_of"
    """The rule's name."""


class AllOf(GroupSettings):
    """Are all of several rules fine with the canary? It fails if one fails, and passes only if all pass."""

    rule: Literal["all_of"] = "all_of"
    """The rule's name."""


class GroupFinding(Finding):
    """What a group of rules found."""

    parts: tuple[AnyFinding, ...] = ()
    """What each of its rules found, in the policy's order; none where they could not be asked yet."""
    deciding_part: int | None = None
    """Position of the one that decided."""

    @property
    def deciding(self) -> Finding | None:
        """The finding that decided."""
        return None if self.deciding_part is None else self.parts[self.deciding_part]

    @property
    def effect(self) -> EffectFinding | None:
        """The effect of the rule that decided."""
        return None if self.deciding is None else self.deciding.effect


class AnyOfFinding(GroupFinding):
    """Whether any of several rules is fine with the canary."""

    rule: Literal["any_of"]
    """The rule's name."""


class AllOfFinding(GroupFinding):
    """Whether all of several rules are fine with the canary."""

    rule: Literal["all_of"]
    """The rule's name."""


@rule(AllOf, AllOfFinding)
@rule(AnyOf, AnyOfFinding)
def judge(rows: Rows, settings: GroupSettings, found: Columns) -> None:
    """Judge rows by each rule of a group; the member that decided gives method and sizes.

    Notes
    -----
    `any_of` fails only if every member does, which is an intersection-union test: each is asked at the whole level. It passes as soon as one of k
    does, so each is asked at beta / k. `all_of` is the mirror image: level / k, and the whole beta.
    """
    any_of, count = isinstance(settings, AnyOf), len(settings.rules)
    level, beta = rows.rates.level, rows.rates.beta
    rates = ErrorRates(level, beta / count) if any_of else ErrorRates(level / count, beta)
    members = [find(replace(rows, rates=rates), each).findings() for each in settings.rules]
    found.take(
        [
            _together(list(parts), any_of=any_of) | {"level": level, "beta": beta}
            for parts in zip(*members, strict=True)
        ]
    )


def _together(parts: list[Finding], *, any_of: bool) -> dict[str, Any]:
    """Say what the members say together; without the error rates, which are the group's."""
    if any_of:
        parts = [_unproven(part) for part in parts]
    # the best of any_of decides, and the worst of all_of; of several, the one that is nearest to its level
    best: Callable[..., Outcome] = min if any_of else max
    outcome = best((part.outcome for part in parts), key=lambda found: found.badness)
    deciding = min((part for part in parts if part.outcome is outcome), key=_distance)
    fails, passes = ([_pvalue(part, which) for part in parts] for which in (Outcome.FAIL, Outcome.PASS))
    count = len(parts)
    shared = {name: getattr(deciding, name) for name in Finding.model_fields if name != "rule"}
    return shared | {
        "pvalue": max(fails) if any_of else min(1.0, count * min(fails)),
        "pvalue_pass": min(1.0, count * min(passes)) if any_of else max(passes),
        "waived": tuple(dict.fromkeys(what for part in parts for what in part.waived)),
        "parts": tuple(parts),
        "deciding_part": next(index for index, part in enumerate(parts) if part is deciding),
    }


def _unproven(part: Finding) -> Finding:
    """Take a rule that found nothing for what it is where one pass would be enough: no proof."""
    if part.reason is not Reason.NOTHING_FOUND:
        return part
    return part.model_copy(update={"outcome": Outcome.MARGINAL, "reason": Reason.UNDECIDED})


def _pvalue(part: Finding, which: Outcome) -> float:
    """Give the p-value by which a member could fail or pass; what abstains, or excuses the canary, is evidence of nothing."""
    found = part.pvalue if which is Outcome.FAIL else part.pvalue_pass
    rate = part.level if which is Outcome.FAIL else part.beta
    if part.outcome is which:
        return 0.0 if found is None or part.reason is Reason.NOTHING_FOUND else found
    if part.reason in (Reason.ABSTAINS, Reason.ENVIRONMENT_UNHEALTHY):
        return 1.0
    return 1.0 if found is None or found <= rate else found


def _distance(part: Finding) -> float:
    """How near a member is to the decision that it took, or was nearest to."""
    if part.outcome is Outcome.PASS:
        return 1.0 if part.pvalue_pass is None else part.pvalue_pass / part.beta
    return 1.0 if part.pvalue is None else part.pvalue / part.level

"""The settings of rules about rules: any of several may hold, or all must."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from pydantic import Field

from canaryjudge.policy.rule_settings import SEQUENTIAL_METHODS, AskedMetric, RuleSettings
from canaryjudge.quantities import shown
from canaryjudge.settings import Problem

if TYPE_CHECKING:
    from canaryjudge.policy.any_rule import AnyRule

__all__ = ["AllOf", "AnyOf", "GroupSettings"]

_MOST_LEVELS: Final = 7
"""So deep may groups be nested: a document that is nested no deeper than 20, as policies must be, has room for as many."""


class GroupSettings(RuleSettings):
    """What both kinds of group share."""

    kinds: ClassVar[tuple[str, ...]] = tuple(SEQUENTIAL_METHODS)

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
        for index, rule in enumerate(self.rules):
            if rule.rule == "sequential":
                advice = "Take a rule for a finished window; a monitor asks groups at planned looks."
                yield Problem(("rules", index), "a group cannot hold the rule sequential", advice)
            if rule in self.rules[:index]:
                twice = f"the same rule {shown(rule.rule)} stands there twice"
                yield Problem(("rules", index), twice, "Leave one out.")

    def in_unit_of(self, metric: AskedMetric) -> Self:
        """Give the same settings with every quantity in the metric's unit."""
        return self.model_copy(update={"rules": tuple(rule.in_unit_of(metric) for rule in self.rules)})

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        for index, rule in enumerate(self.rules):
            for problem in rule.misfits(metric):
                yield problem._replace(path=("rules", index, *problem.path))


class AnyOf(GroupSettings):
    """Is any of several rules fine with the canary? It passes if one passes, and fails only if all fail."""

    rule: Literal["any_of"] = "any_of"
    """The rule's name."""


class AllOf(GroupSettings):
    """Are all of several rules fine with the canary? It fails if one fails, and passes only if all pass."""

    rule: Literal["all_of"] = "all_of"
    """The rule's name."""

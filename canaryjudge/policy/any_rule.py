"""Any rule of a policy, told apart by the key ``rule``: the settings of every rule in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, Tag

from canaryjudge.quantities import shown
from canaryjudge.rules import RULES, groups
from canaryjudge.rules.settings import RuleSettings

__all__ = ["AnyRule"]


def _tag(value: Any) -> str | None:
    if isinstance(value, RuleSettings):
        return f"rule:{value.rule}"
    if isinstance(value, str):
        return f"rule:{value}"
    if isinstance(value, Mapping) and "rule" in value:
        return f"rule:{shown(value['rule']) if not isinstance(value['rule'], str) else value['rule']}"
    return None


if TYPE_CHECKING:
    AnyRule = RuleSettings
else:
    AnyRule = Annotated[
        Union[tuple(Annotated[rule.settings, Tag(f"rule:{name}")] for name, rule in RULES.items())],  # noqa: UP007 - as many as there are
        Discriminator(_tag),
    ]
    groups.AnyRule = AnyRule  # groups hold any rule, and are rules: their models are built when used

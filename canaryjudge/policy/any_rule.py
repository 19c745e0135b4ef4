"""Any rule of a policy, told apart by the key ``rule``: a new rule is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from canaryjudge.policy.objectives import Slo
from canaryjudge.policy.quantities import shown
from canaryjudge.policy.rule_settings import MannWhitney, Proportion, Rate, RuleSettings, Sequential

__all__ = ["AnyRule"]


def _tag(value: Any) -> str | None:
    if isinstance(value, RuleSettings):
        return f"rule:{value.rule}"
    if isinstance(value, str):
        return f"rule:{value}"
    if isinstance(value, Mapping) and "rule" in value:
        return f"rule:{shown(value['rule']) if not isinstance(value['rule'], str) else value['rule']}"
    return None


AnyRule = Annotated[
    Annotated[MannWhitney, Tag("rule:mann_whitney")]
    | Annotated[Proportion, Tag("rule:proportion")]
    | Annotated[Rate, Tag("rule:rate")]
    | Annotated[Sequential, Tag("rule:sequential")]
    | Annotated[Slo, Tag("rule:slo")],
    Discriminator(_tag),
]

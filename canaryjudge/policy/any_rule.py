"""Any rule of a policy, told apart by the key ``rule``: a new rule is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from canaryjudge.policy.burn_rate_settings import BurnRate
from canaryjudge.policy.feature_settings import Excursion, LateShift
from canaryjudge.policy.groups import AllOf, AnyOf
from canaryjudge.policy.objectives import Slo
from canaryjudge.policy.rule_settings import MannWhitney, Proportion, Rate, RuleSettings, Sequential
from canaryjudge.policy.tail_settings import Tail
from canaryjudge.quantities import shown

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
    | Annotated[Slo, Tag("rule:slo")]
    | Annotated[BurnRate, Tag("rule:burn_rate")]
    | Annotated[Tail, Tag("rule:tail")]
    | Annotated[Excursion, Tag("rule:excursion")]
    | Annotated[LateShift, Tag("rule:late_shift")]
    | Annotated[AnyOf, Tag("rule:any_of")]
    | Annotated[AllOf, Tag("rule:all_of")],
    Discriminator(_tag),
]
for _group in (AnyOf, AllOf):
    _group.model_rebuild()  # groups hold any rule, and are rules

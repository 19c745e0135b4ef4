"""The policy explained from its own models: the JSON Schema for editors, and the table of every field and its default."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from canaryjudge.policy.base import PolicyModel
from canaryjudge.policy.models import Metric, Policy, Split, Tolerance
from canaryjudge.policy.rule_settings import MannWhitney, Proportion, Rate, Slo

__all__ = ["field_table", "json_schema"]

_SECTIONS: tuple[tuple[str, type[PolicyModel]], ...] = (
    ("policy", Policy),
    ("split", Split),
    ("metric", Metric),
    ("tolerance", Tolerance),
    ("rule: mann_whitney", MannWhitney),
    ("rule: proportion", Proportion),
    ("rule: rate", Rate),
    ("rule: slo", Slo),
)


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of a policy file, for editors and for checks in a pipeline.

    Returns
    -------
    dict
        A JSON Schema, draft 2020-12.

    Examples
    --------
    >>> json_schema()["title"]
    'canaryjudge policy'
    """
    schema = Policy.model_json_schema()
    metric = schema["$defs"]["Metric"]["properties"]
    metric["tolerance"] = {
        "anyOf": [{"type": "string", "examples": ["10%", "5ms"]}, {"$ref": "#/$defs/Tolerance"}],
        "description": metric["tolerance"]["description"],
    }
    rule = next(option for option in metric["rules"]["anyOf"] if "items" in option)
    names = sorted(name.removeprefix("rule: ") for name, _ in _SECTIONS if name.startswith("rule: "))
    rule["items"] = {"anyOf": [{"type": "string", "enum": names}, *rule["items"]["oneOf"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "canaryjudge policy",
    }


def field_table() -> str:
    """Write the Markdown table of every field of a policy with its default.

    Returns
    -------
    str
        One table a section: field, default, meaning.
    """
    parts = []
    for title, model in _SECTIONS:
        rows = ["| field | default | meaning |", "|---|---|---|"]
        for name, field in model.model_fields.items():
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            rows.append(f"| `{name}` | {_default(field)} | {meaning} |")
        parts.append(f"## {title}\n\n{_first_line(model)}\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _first_line(model: type[PolicyModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or field.default == {}:
        return "none"
    if isinstance(field.default, Tolerance):
        return "`10%`"
    if isinstance(field.default, float) and field.default < 0.5:
        return f"`{field.default:.0%}`"
    return f"`{field.default}`"

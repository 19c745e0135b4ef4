"""The policy explained from its own models: the JSON Schema for editors, and the table of every field and its default."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Any

from pydantic.fields import FieldInfo

from canaryjudge.policy.models import Metric, OnDoubt, PassWithin, Policy, Segments, Split, Stage, Tolerance
from canaryjudge.policy.noise_floor import NoiseFloor, Spread
from canaryjudge.policy.query import Prometheus, Query
from canaryjudge.quantities import WITH_UNIT_PATTERN
from canaryjudge.rules import RULES
from canaryjudge.settings import PolicyModel

__all__ = ["field_table", "json_schema"]

_SECTIONS: tuple[tuple[str, type[PolicyModel]], ...] = (
    ("policy", Policy),
    ("split", Split),
    ("segments", Segments),
    ("stages", Stage),
    ("on_doubt", OnDoubt),
    ("prometheus", Prometheus),
    ("metric", Metric),
    ("tolerance", Tolerance),
    ("pass_within", PassWithin),
    ("noise_floor", NoiseFloor),
    ("spread", Spread),
    ("query", Query),
    *(
        section
        for name, rule in RULES.items()
        for section in (
            (f"rule: {name}", rule.settings),
            *((f"{name} {part}", model) for part, model in rule.settings.models.items()),
        )
    ),
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
    models = schema["$defs"]
    for _, model in _SECTIONS:
        properties = (schema if model is Policy else models[model.__name__])["properties"]
        for name, meaning in _meanings(model).items():
            properties[name]["description"] = meaning
    for title, model in _SECTIONS:
        if title.startswith("rule: "):
            models[model.__name__]["required"] = ["rule", *models[model.__name__].get("required", [])]
    metric = models["Metric"]["properties"]
    metric["tolerance"] = {
        "anyOf": [{"type": "string", "pattern": WITH_UNIT_PATTERN}, {"$ref": "#/$defs/Tolerance"}],
        "default": "10%",
        "description": metric["tolerance"]["description"],
        "examples": ["10%", "5ms"],
    }
    stated = [{"const": "tolerance"}, {"type": "string", "pattern": WITH_UNIT_PATTERN}]
    metric["pass_within"]["anyOf"] = [*stated, *metric["pass_within"]["anyOf"]]
    metric["pass_within"]["examples"] = ["30%", "5ms", "tolerance"]
    for name in ("between_windows", "between_replicas"):
        spread = models["NoiseFloor"]["properties"][name]
        spread["anyOf"].insert(0, {"type": "string", "pattern": WITH_UNIT_PATTERN})
        spread["examples"] = ["3%", "5ms"]
    promql = models["Query"]["properties"]["value"]
    metric["query"]["anyOf"].insert(0, {key: promql[key] for key in ("type", "pattern", "maxLength")})
    metric["query"]["examples"] = ["rate(process_cpu_seconds_total{${selector}}[1m])"]
    for name in ("change", "fail_change"):
        field = models["Slo"]["properties"][name]
        field["anyOf"].insert(0, {"type": "string", "pattern": WITH_UNIT_PATTERN})
        field["examples"] = ["+10%", "+5ms"]
    rules = next(option for option in metric["rules"]["anyOf"] if "items" in option)
    for listed in (rules, *(models[group]["properties"]["rules"] for group in ("AnyOf", "AllOf"))):
        listed["items"] = {"anyOf": [{"type": "string", "enum": _bare_rules()}, *listed["items"]["oneOf"]]}
    # a file that extends another may leave to it what a policy needs, and name a metric again to change one field of it
    del schema["required"]
    models["Metric"]["required"] = ["name"]
    whole = {"required": ["metrics"], "properties": {"metrics": {"items": {"required": ["direction"]}}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_on_one_line(schema),
        "title": "canaryjudge policy",
        "description": _first_line(Policy),
        "if": {"properties": {"extends": {"type": "string"}}, "required": ["extends"]},
        "else": whole,
    }


def _on_one_line(schema: Any) -> Any:
    """Join the lines of every description, as editors show them in full width."""
    if isinstance(schema, dict):
        return {
            key: " ".join(value.split())
            if key == "description" and isinstance(value, str)
            else _on_one_line(value)
            for key, value in schema.items()
        }
    return [_on_one_line(item) for item in schema] if isinstance(schema, list) else schema


def _bare_rules() -> list[str]:
    """List the rules that need no settings, so that a policy may write the name alone."""
    return [
        title.removeprefix("rule: ")
        for title, model in _SECTIONS
        if title.startswith("rule: ")
        and not any(field.is_required() for field in model.model_fields.values())
    ]


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
        meanings = _meanings(model)
        for name, field in model.model_fields.items():
            meaning = meanings[name].replace("|", "\\|")
            rows.append(f"| `{name}` | {_default(field)} | {meaning} |")
        parts.append(f"## {title}\n\n{_first_line(model)}\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _meanings(model: type[PolicyModel]) -> dict[str, str]:
    """Read what stands below each field in the source: pydantic would do so at every import, which takes long."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if not issubclass(owner, PolicyModel):
            continue
        body = ast.parse(inspect.getsource(owner)).body[0]
        assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is one
        for field, below in pairwise(body.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return {name: found[name] for name in model.model_fields}


def _first_line(model: type[PolicyModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ("", {}):
        return "none"
    if isinstance(default, Tolerance):
        return f"`{default.relative:.0%}`"
    if isinstance(default, OnDoubt):
        return "`hold` for each"
    if isinstance(default, bool):
        return f"`{default}`".lower()
    if isinstance(default, float):
        return f"`{default:.0%}`" if default < 0.5 else f"`{default:g}`"
    return f"`{default}`"

"""What every policy model shares: frozen, no unknown keys, and errors that name the nearest right key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from canaryjudge.errors import PolicyError
from canaryjudge.policy.quantities import convert, parse_duration, parse_fraction, parse_quantity

__all__ = ["Duration", "Fraction", "PolicyModel", "Problem", "Quantity", "Weight", "problems"]

_PERCENT = r"^\s*[0-9.eE+-]+\s*%?\s*$"

Fraction = Annotated[
    float,
    BeforeValidator(parse_fraction),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": _PERCENT}], "examples": ["10%"]}),
]
"""A fraction, written ``10%`` or ``0.1``."""

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9.]+\s*(ns|us|ms|s|m|h|d)\s*$", "examples": ["5m"]}),
]
"""A duration in seconds, written ``90s``, ``5m`` or ``1h``."""


Weight = Annotated[float, Field(gt=0, le=1e6)]
"""A positive weight; only ratios of weights matter."""


class Problem(NamedTuple):
    """One thing that is wrong with a policy."""

    path: tuple[str | int, ...]
    """Keys and positions that lead to it, from the root."""
    at_key: bool
    """Whether the key itself is wrong (unknown), rather than its value."""
    message: str
    hint: str


class _PolicyMeta(type(BaseModel)):  # type: ignore[misc] # the metaclass of pydantic's models has no public name
    """Turns pydantic's report into one `PolicyError` where a model is made in Python."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except ValidationError as error:
            first, *more = problems(cls, error)
            where = _dotted(first.path)
            rest = f" (and {len(more)} more)" if more else ""
            raise PolicyError(f"{cls.__name__}: {where}{first.message}{rest}", first.hint) from None


def _dotted(path: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f"{text}: " if text else ""


class PolicyModel(BaseModel, metaclass=_PolicyMeta):
    """Base of what a user writes: frozen, strict about keys, documented field by field."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, defer_build=True
    )


class Quantity(PolicyModel):
    """A number with an optional unit, written ``5ms``, ``0.1%`` or ``200``."""

    number: float
    """The number, in `unit`."""
    unit: str = ""
    """The unit, or nothing."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return value
        number, unit = parse_quantity(value)
        return {"number": number, "unit": unit}

    @model_serializer
    def _write(self) -> str | float:
        return f"{self.number!r}{self.unit}" if self.unit else self.number

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, {"type": "string"}], "examples": ["5ms", "0.1%", 200]}

    def within(self, unit: str) -> float:
        """Give the number in a metric's unit; a bare number is taken to be in it already.

        Raises
        ------
        ValueError
            If the two units measure different things.
        """
        return convert(self.number, self.unit, unit) if self.unit else self.number


def problems(model: Any, error: ValidationError) -> list[Problem]:
    """List what is wrong, each with a path that exists in what the user wrote and a hint.

    Parameters
    ----------
    model : type of PolicyModel
        The model that was being made.
    error : pydantic.ValidationError
        What pydantic found.

    Returns
    -------
    list of Problem
        In pydantic's order: at least one.
    """
    found = []
    items = error.errors(include_url=False)
    for item in items:
        path = tuple(part for part in item["loc"] if not _is_union_tag(part))
        if item["type"] == "too_short" and any(_below(path, other["loc"]) for other in items):
            continue  # what should have been in it is wrong, and is reported itself
        if item["type"] == "extra_forbidden":
            key = str(path[-1])
            right = _fields_at(model, path[:-1])
            near = difflib.get_close_matches(key, right, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(right)}."
            found.append(Problem(path, at_key=True, message=f"unknown key {key!r}", hint=hint))
        elif item["type"] == "missing":
            needed = str(path[-1])
            found.append(
                Problem(path[:-1], at_key=False, message=f"{needed!r} is missing", hint=_how_to_add(needed))
            )
        else:
            found.append(Problem(path, at_key=False, message=_sentence(item), hint=""))
    return sorted(found, key=lambda problem: not problem.at_key)  # a mistyped key explains the missing one


def _below(path: tuple[str | int, ...], other: Sequence[str | int]) -> bool:
    return len(other) > len(path) and tuple(other[: len(path)]) == path


def _how_to_add(key: str) -> str:
    if key == "direction":
        return "Add direction: increase, decrease or either: the direction that is bad."
    return f"Add {key!r}."


def _is_union_tag(part: str | int) -> bool:
    """Pydantic puts the tag of a union into the path; the user never wrote it there."""
    return isinstance(part, str) and part.startswith("rule:")


def _sentence(item: Mapping[str, Any]) -> str:
    value, kind, context = item.get("input"), item["type"], item.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        words = str(context["expected"])
        wanted = [word.strip(" '") for word in words.replace(" or ", ",").split(",")]
        near = difflib.get_close_matches(str(value), wanted, n=1)
        return f"{value!r} is not one of {words}" + (f"; did you mean {near[0]!r}?" if near else "")
    if kind == "union_tag_invalid":
        words = str(context["expected_tags"]).replace("rule:", "")
        near = difflib.get_close_matches(str(context["tag"]).removeprefix("rule:"), words.replace("'", "").split(", "), n=1)
        return f"unknown rule {str(context['tag']).removeprefix('rule:')!r}; it is one of {words}" + (
            f"; did you mean {near[0]!r}?" if near else ""
        )
    if kind == "union_tag_not_found":
        return "a rule is a name, or a mapping with the key 'rule'"
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    message = str(item["msg"])
    return f"{message[:1].lower()}{message[1:]}, found {shown}"


def _fields_at(model: Any, path: Sequence[str | int]) -> list[str]:
    """Names of the keys that are right at a path."""
    models = [model]
    for part in path:
        if isinstance(part, int):
            continue
        models = [
            inner
            for outer in models
            if part in outer.model_fields
            for inner in _models_in(outer.model_fields[part].annotation)
        ]
    names = {name: None for inner in models for name in inner.model_fields}
    return list(names)


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for argument in get_args(annotation) for inner in _models_in(argument)]


"""What users write, as models: frozen, no unknown keys, the types of their fields, and what is wrong with them in sentences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Self, cast, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from canaryjudge.errors import PolicyError
from canaryjudge.quantities import (
    DURATION_PATTERN,
    PERCENT_PATTERN,
    QUANTITY_PATTERN,
    convert,
    parse_duration,
    parse_fraction,
    parse_quantity,
    percent,
    shown,
)

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # it has no public name

__all__ = [
    "Amount",
    "Contradiction",
    "Duration",
    "ErrorRate",
    "Name",
    "Path",
    "PolicyModel",
    "Problem",
    "Quantity",
    "RelativeTolerance",
    "Score",
    "Share",
    "Unit",
    "Weight",
    "dotted",
    "listed",
    "nearest",
    "problems",
    "sentences",
]

Path = tuple[str | int, ...]
"""Keys and positions that lead to a value, from the root."""


class Problem(NamedTuple):
    """One thing that is wrong with a policy."""

    path: Path
    """Where it is."""
    message: str
    hint: str = ""
    at_key: bool = False
    """Whether the key itself is wrong (unknown), rather than its value."""


class Contradiction(ValueError):  # noqa: N818 - pydantic collects it; no user sees it
    """Settings that are each right and do not go together: raised by validators, with a place for each problem."""

    def __init__(self, found: Iterable[Problem]) -> None:
        self.problems = tuple(found)
        super().__init__("; ".join(problem.message for problem in self.problems))


_WANTED: Final = {
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_type": "a whole number",
    "string_type": "text",
    "string_unicode": "text",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "tuple_type": "a list",
}
_LIMITS: Final = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_MEANT: Final = {
    "<": "lt",
    "<=": "lte",
    ">": "gt",
    ">=": "gte",
    "up": "increase",
    "down": "decrease",
    "both": "either",
}
_SIDES: Final = {
    "down": ("lower", "smaller", "less", "fewer", "down", "minim", "low_"),
    "up": ("higher", "bigger", "larger", "greater", "more", "up", "maxim", "high_"),
}
"""Words for either side, by which some say what is good."""
_NO_VALUE: Final = ("has no value", "Give it one, or leave the key out.")
_ADVICE: Final = {
    "direction": "Add direction: increase, decrease or either: the direction that is bad.",
    "metrics": "Add a list of metrics, each with its name and direction.",
    "name": "Add the metric's name, as in the data.",
    "of": "Add of: mean, median, min, max or a percentile such as p99; of: within with a bound; of ratios and counts, of: pooled.",
}


def problems(model: type[BaseModel], error: ValidationError) -> list[Problem]:
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
    found: list[Problem] = []
    explained: set[Path] = set()
    items = error.errors(include_url=False)
    for item in items:
        if item["type"] != "extra_forbidden":
            continue
        path = _path(item["loc"])
        near, hint = _right_key(str(path[-1]), _keys_at(model, item["loc"][:-1]))
        if near:
            explained.add((*path[:-1], near))  # the right key is not missing, it is mistyped
        found.append(Problem(path, f"unknown key {shown(str(path[-1]))}", hint, at_key=True))
    for item in items:
        path = _path(item["loc"])
        if item["type"] == "extra_forbidden" or (item["type"] == "missing" and path in explained):
            continue
        if item["type"] == "too_short" and any(_below(path, _path(other["loc"])) for other in items):
            continue  # what should have been in it is wrong, and is reported itself
        found += _read(path, item)
    return found


def dotted(path: Path) -> str:
    """Write a path as in ``metrics[0].tolerance``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def sentences(message: str, hint: str) -> str:
    """Put a message and its hint on one line."""
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} {hint}".rstrip()


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant."""
    match = difflib.get_close_matches(word[:100].lower(), list(known), n=1, cutoff=0.6)
    return match[0] if match else None


def _read(path: Path, item: Mapping[str, Any]) -> list[Problem]:
    kind, value, context = item["type"], item.get("input"), item.get("ctx", {})
    if kind == "value_error":
        error = context["error"]
        if isinstance(error, Contradiction):
            return [problem._replace(path=path + problem.path) for problem in error.problems]
        return [Problem(path, *_NO_VALUE) if value is None else Problem(path, str(error))]
    if kind == "missing":
        needed = str(path[-1])
        return [Problem(path[:-1], f"{needed!r} is missing", _ADVICE.get(needed, f"Add {needed!r}."))]
    if kind.startswith("recursion"):  # where it ends is far from what the user sees
        return [Problem(path[:2], "it is nested too deep", "Put the rules of inner groups into one group.")]
    if kind == "union_tag_invalid":
        return [_unknown_rule(path, value, context)]
    if value is None and kind != "union_tag_not_found":
        return [Problem(path, *_NO_VALUE)]
    return [Problem(path, *_sentence(kind, value, context, str(item["msg"])))]


def _sentence(kind: str, value: Any, context: Mapping[str, Any], message: str) -> tuple[str, str]:
    """Say what is wrong with a value, and what to do."""
    if kind in _WANTED:
        return f"{shown(value)} is not {_WANTED[kind]}", _advice(kind, value)
    if kind in _LIMITS:
        limit, words = _LIMITS[kind]
        return f"must be {words} {context[limit]:g}, found {shown(value)}", ""
    if kind == "literal_error":
        words = str(context["expected"])
        near = _nearest_choice(value, words)
        hint = f"Did you mean {near!r}?" if near else ""
        return f"{shown(value)} is not one of {words}", _bad_direction(value, words) or hint
    if kind == "union_tag_not_found":
        return f"{shown(value)} is not a rule", "A rule is a name, or a mapping with the key 'rule'."
    if kind in ("too_short", "string_too_short"):
        return "is empty", "List at least one entry." if kind == "too_short" else "Give it a name."
    if kind == "too_long":
        return (
            f"has {context['actual_length']} entries, and {context['max_length']} at most can be judged",
            "Leave the others out.",
        )
    if kind == "string_too_long":
        return f"is longer than {context['max_length']} characters", "Shorten it."
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} has white space at an end, or a line break", "Leave that out."
    if kind == "invalid_key":
        return "a key must be text", "Put it in quotes."
    return f"{message[:1].lower()}{message[1:]}, found {shown(value)}", ""


def _advice(kind: str, value: Any) -> str:
    wanted = _WANTED[kind]
    if wanted == "text" and isinstance(value, int | float):
        return "Put it in quotes."
    if wanted.endswith("number") and isinstance(value, str):
        return "Write a number, without quotes or unit."
    if wanted == "a list" and isinstance(value, Mapping):
        return "Write each entry as an item of a list: - name: ..."
    if wanted == "a list":
        return "Write it as a list: [...]"
    return ""


def _nearest_choice(value: Any, expected: str) -> str | None:
    choices = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
    meant = _MEANT.get(value) if isinstance(value, str) else None
    if meant in choices:
        return meant
    return nearest(value, choices) if isinstance(value, str) else None


def _bad_direction(value: Any, expected: str) -> str:
    """Say how a direction is written that was told by which side is good, or otherwise; nothing of other choices."""
    if "'increase'" not in expected:
        return ""
    word = value.lower() if isinstance(value, str) else ""
    side = next((way for way, words in _SIDES.items() if any(part in word for part in words)), None)
    if side and any(part in word for part in ("better", "good", "min", "max")):
        good, bad = ("low", "increase") if side == "down" else ("high", "decrease")
        return f"direction names the bad direction: where {good} values are good, it is {bad}."
    near = _nearest_choice(value, expected)
    if near:
        return f"Did you mean {near!r}?"
    return "direction names the bad direction: increase (latency, errors), decrease (throughput) or either."


def _unknown_rule(path: Path, value: Any, context: Mapping[str, Any]) -> Problem:
    names = [name.strip(" '").removeprefix("rule:") for name in str(context["expected_tags"]).split(",")]
    written = value.get("rule") if isinstance(value, Mapping) else value
    near = nearest(written, names) if isinstance(written, str) else None
    hint = f"Did you mean {near!r}?" if near else f"Rules: {', '.join(names)}."
    at = (*path, "rule") if isinstance(value, Mapping) else path
    return Problem(at, f"unknown rule {shown(written)}", hint)


def _path(loc: Sequence[str | int]) -> Path:
    """Leave out what pydantic adds and the user never wrote: the tag of a rule, and the mark of a mapping's key."""
    return tuple(part for index, part in enumerate(loc) if part != "[key]" and not _is_tag(loc, index))


def _is_tag(loc: Sequence[str | int], index: int) -> bool:
    return index >= 2 and loc[index - 2] == "rules" and isinstance(loc[index - 1], int)


def _below(path: Path, other: Sequence[str | int]) -> bool:
    return len(other) > len(path) and tuple(other[: len(path)]) == path


def _right_key(key: str, right: Sequence[str]) -> tuple[str | None, str]:
    near = nearest(key, right)
    return near, f"Did you mean {near!r}?" if near else f"Known keys: {', '.join(right)}."


def _keys_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """List the keys that are right at a place."""
    models = [model]
    for index, part in enumerate(loc):
        if _is_tag(loc, index):
            models = [inner for inner in models if f"rule:{inner.model_fields['rule'].default}" == part]
        elif isinstance(part, str):
            for outer in models:
                outer.model_rebuild()  # knows its fields' types once it is built
            fields = [outer.model_fields[part] for outer in models if part in outer.model_fields]
            models = [inner for field in fields for inner in _models_in(field.annotation)]
    return list({name: None for inner in models for name in inner.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for argument in get_args(annotation) for inner in _models_in(argument)]


class _PolicyMeta(ModelMetaclass):
    """Turns pydantic's report into one `PolicyError` where a model is made in Python."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except ValidationError as error:
            model = cast("type[BaseModel]", self)
            found = problems(model, error)
        if len(found) == 1:
            raise PolicyError(_in_python(model, found[0]), found[0].hint)
        raise PolicyError([sentences(_in_python(model, each), each.hint) for each in found])


def _in_python(model: type, problem: Problem) -> str:
    where = dotted(problem.path[:-1] if problem.at_key else problem.path)
    return ": ".join(part for part in (model.__name__, where, problem.message) if part)


def listed(value: object) -> object:
    """Refuse a single model where a list of them is needed; pydantic would take it for a list of its fields."""
    if isinstance(value, BaseModel):
        raise Contradiction(
            [Problem((), f"one {type(value).__name__} is not a list of them", "Put it in brackets: [...].")]
        )
    return value


class PolicyModel(BaseModel, metaclass=_PolicyMeta):
    """Base of what a user writes: frozen, strict about keys, documented field by field."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if found := tuple(self._contradictions()):
            raise Contradiction(found)
        return self

    def _contradictions(self) -> Iterator[Problem]:
        """Find settings that do not go together; paths start at this model."""
        return iter(())


class Quantity(PolicyModel):
    """A number with an optional unit, written ``5ms``, ``0.1%`` or ``200``."""

    number: float
    """The number, in `unit`."""
    unit: str = ""
    """The unit, or nothing."""

    @model_serializer
    def _write(self) -> str | float:
        return f"{self.number!r}{self.unit}" if self.unit else self.number

    def within(self, unit: str) -> float:
        """Give the number in a metric's unit; a bare number is taken to be in it already.

        Raises
        ------
        ValueError
            If the two units measure different things, or its own could mean two.
        """
        return convert(self.number, self.unit, unit) if self.unit else self.number


def _quantity(value: object) -> Quantity:
    if isinstance(value, Quantity):
        return value
    number, unit = parse_quantity(value)
    return Quantity(number=number, unit=unit)


def _error_rate(value: object) -> float:
    return _between(parse_fraction(value), 0.5, value)


def _share(value: object) -> float:
    return _between(parse_fraction(value), 1, value)


def _between(fraction: float, limit: float, written: object) -> float:
    if 0 < fraction < limit:
        return fraction
    meant = (
        f"; did you mean {written}%?"
        if isinstance(written, int | float) and 0 < written < 100 * limit
        else ""
    )
    raise ValueError(f"{shown(written)} is not between 0 % and {100 * limit:g} %{meant}")


def _relative(value: object) -> float:
    fraction = parse_fraction(value)
    if fraction < 0:
        raise ValueError(
            f"a tolerance cannot be negative, found {shown(value)}; `direction` says which way is bad"
        )
    if fraction > 1 and not isinstance(value, str):
        raise ValueError(
            f"{shown(value)} would be {percent(fraction)}; write {shown(value)}%, or {percent(fraction)} if you mean it"
        )
    return fraction


def _fraction_schema(**limits: float) -> WithJsonSchema:
    number = {"type": "number", **limits}
    return WithJsonSchema(
        {"anyOf": [number, {"type": "string", "pattern": PERCENT_PATTERN}], "examples": ["10%"]}
    )


ErrorRate = Annotated[
    float, BeforeValidator(_error_rate), _fraction_schema(exclusiveMinimum=0, exclusiveMaximum=0.5)
]
"""A probability of error, written ``1%`` or ``0.01``."""

Share = Annotated[float, BeforeValidator(_share), _fraction_schema(exclusiveMinimum=0, exclusiveMaximum=1)]
"""A part of a whole, written ``10%`` or ``0.1``."""

RelativeTolerance = Annotated[
    float,
    BeforeValidator(_relative),
    PlainSerializer(lambda fraction: percent(fraction) if fraction > 1 else fraction),
    _fraction_schema(minimum=0, maximum=1),
]
"""A tolerance as a fraction, written ``10%`` or ``0.1``; above 1 only in percent, so that 10 is never taken for 1000 %."""

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(lambda seconds: seconds if isinstance(seconds, str) else f"{seconds!r}s"),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["5m"]}),
]
"""A duration in seconds, written ``90s``, ``5m`` or ``1h``."""

Amount = Annotated[
    Quantity,
    BeforeValidator(_quantity),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number"}, {"type": "string", "pattern": QUANTITY_PATTERN}],
            "examples": ["5ms", "0.1%", 200],
        }
    ),
]
"""A quantity, as users write it."""

Name = Annotated[str, Field(strict=True, min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
"""A name on one line."""

Unit = Annotated[str, Field(strict=True, max_length=40, pattern=r"^(\S(.*\S)?)?$")]
"""A unit on one line, or nothing."""

Weight = Annotated[float, Field(strict=True, gt=0, le=1e6)]
"""A positive weight; only ratios of weights matter."""

Score = Annotated[float, Field(strict=True, ge=0, le=100)]
"""A score between 0 and 100."""

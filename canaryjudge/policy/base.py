"""What every policy model shares: frozen, no unknown keys, errors in sentences; and the types of its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Self, cast

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
from canaryjudge.policy.complaints import Contradiction, Problem, dotted, problems, sentences
from canaryjudge.policy.quantities import (
    DURATION_PATTERN,
    PERCENT_PATTERN,
    QUANTITY_PATTERN,
    parse_duration,
    parse_fraction,
    parse_quantity,
    percent,
    shown,
)
from canaryjudge.policy.units import convert

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # it has no public name

__all__ = [
    "Amount",
    "Duration",
    "ErrorRate",
    "Name",
    "PolicyModel",
    "Quantity",
    "RelativeTolerance",
    "Score",
    "Share",
    "Unit",
    "Weight",
    "listed",
]


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
        raise PolicyError("\n".join(sentences(_in_python(model, each), each.hint) for each in found))


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
    PlainSerializer(lambda seconds: f"{seconds!r}s"),
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

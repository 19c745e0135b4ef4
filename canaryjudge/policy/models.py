"""The policy: which metrics, which direction is bad, how much worse is tolerated, and how sure to be."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from canaryjudge.policy.base import Duration, Fraction, PolicyModel, Quantity, Weight
from canaryjudge.policy.rule_settings import AnyRule, Kind

__all__ = ["Metric", "Policy", "Split", "Tolerance"]

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]


class Tolerance(PolicyModel):
    """The largest degradation that the owner would ship; the larger of the two parts is tolerated."""

    relative: Annotated[Fraction, Field(ge=0)] | None = None
    """Relative to the baseline's level: `10%`. 10 % where neither part is given, nothing where only `absolute` is."""
    absolute: Quantity | None = None
    """In the metric's unit: `5ms`; for a ratio `0.01%` means percentage points. Ratios have 0.02 % unless it is given."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"relative": value} if value.strip().endswith("%") else {"absolute": value}
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(f"{value!r} could be a fraction or a number of units; write 10%, or {{absolute: {value}}}")  # noqa: TRY004 - pydantic wants ValueError
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.absolute is not None and self.absolute.number < 0:
            raise ValueError("a tolerance cannot be negative")
        return self


class Metric(PolicyModel):
    """One metric of the release: what it is, which direction is bad, and what is tolerated."""

    name: Name
    """The metric's name, as in the data."""
    direction: Literal["increase", "decrease", "either"]
    """The bad direction."""
    kind: Kind = "gauge"
    """`gauge` (a number an interval: CPU, a p99), `samples` (raw observations: request latencies), `ratio` (`value` of `total` events:
    errors of requests) or `count` (events over an exposure, `total`)."""
    unit: str = ""
    """The unit, for words and for quantities with units: `ms`, `MiB`, `%`."""
    tolerance: Tolerance = Tolerance(relative=0.1)
    """The largest degradation that the owner would ship: `10%`, `5ms` or `{relative: 10%, absolute: 5ms}` (the larger counts)."""
    effect: Literal["shift", "ratio"] = "shift"
    """How gauges and samples are compared: `shift`, the Hodges-Lehmann shift over the baseline's median; `ratio`, the same on logarithms, for
    positive values. Ratios and counts always compare by their ratio."""
    role: Literal["required", "guard", "advisory", "muted"] = "required"
    """`required` must be proven fine for a pass; `guard` can fail a release but need not be proven fine; `advisory` can make it
    marginal; `muted` is judged and shown, and counts for nothing."""
    weight: Weight = 1.0
    """Its share of alpha among the metrics that can fail the release, and its weight in a score."""
    group: Name | None = None
    """The group in which a score averages it; groups are weighted by the policy's `groups`."""
    pairing: Literal["auto", "concurrent", "windows"] = "auto"
    """`concurrent`: the arms share the clock and are aligned in time. `windows`: before and after, or no times. `auto`: concurrent where the
    times overlap."""
    interval: Duration | None = None
    """The spacing of the points, for aligning the arms; found from the times where it is left out."""
    min_points: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Fewer points than this in either arm are too little data. 10 for gauges and samples, 1 interval for ratios and counts."""
    no_data: Literal["marginal", "fail", "ignore"] = "marginal"
    """What an arm without data does: `marginal`, `fail`, or `ignore` (as if the metric were not in the policy; listed as waived)."""
    pass_when: Literal["proven_safe", "not_proven_worse"] = "proven_safe"
    """`proven_safe`: a pass is a proof. `not_proven_worse`: the classic reading, in which an undecided metric passes; it waives beta."""
    rules: tuple[AnyRule, ...] | None = Field(default=None, min_length=1)
    """What is asked of the metric; left out: `mann_whitney` for gauges and samples, `proportion` for ratios, `rate` for counts."""

    @model_validator(mode="before")
    @classmethod
    def _expand_rule_names(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("rules"), list | tuple):
            return value | {"rules": [{"rule": rule} if isinstance(rule, str) else rule for rule in value["rules"]]}
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.effect == "ratio" and self.kind not in ("gauge", "samples"):
            raise ValueError(f"effect: ratio is for gauges and samples; a {self.kind} compares by its ratio already, so leave effect out")
        if self.effect == "ratio" and self.tolerance.absolute is not None:
            raise ValueError("effect: ratio has no absolute tolerance; leave out tolerance.absolute, or take effect: shift")
        for rule in self.rules or ():
            if self.kind not in rule.kinds:
                raise ValueError(f"the rule {rule.rule} is for {' and '.join(rule.kinds)}, not for kind: {self.kind}")
            if rule.rule == "slo":
                if (rule.of == "pooled") != (self.kind in ("ratio", "count")):
                    fit = "pooled" if self.kind in ("ratio", "count") else "mean, median, min, max or a percentile like p99"
                    raise ValueError(f"of: {rule.of} does not fit kind: {self.kind}; take {fit}")
                self.quantity(rule.value, "the objective's value")
        if self.rules:
            twice = [name for name, count in Counter(repr(rule) for rule in self.rules).items() if count > 1]
            if twice:
                raise ValueError("the same rule stands there twice; leave one out")
        _ = self.tolerated_absolute
        return self

    def quantity(self, quantity: Quantity, what: str) -> float:
        """Give a quantity of the policy in this metric's unit.

        Raises
        ------
        ValueError
            If the units do not fit.
        """
        if self.kind == "ratio" and quantity.unit in ("%", "pp"):
            return float(f"{quantity.number / 100:.15g}")
        if quantity.unit == "%" and self.unit != "%":
            raise ValueError(f"{what} is in % but the metric's unit is {self.unit or 'not given'!r}; give it in the metric's unit")
        try:
            return quantity.within(self.unit)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None

    @property
    def tolerated_relative(self) -> float:
        """The relative part of the tolerance, as a fraction of the baseline's level."""
        if self.tolerance.relative is not None:
            return self.tolerance.relative
        return 0.1 if self.tolerance.absolute is None else 0.0

    @property
    def tolerated_absolute(self) -> float:
        """The absolute part of the tolerance, in the metric's unit (a fraction for ratios)."""
        if self.tolerance.absolute is None:
            return 0.0002 if self.kind == "ratio" else 0.0
        return self.quantity(self.tolerance.absolute, "tolerance.absolute")

    @property
    def needed_points(self) -> int:
        """The fewest points (intervals for ratios and counts) in an arm that are judged."""
        if self.min_points is not None:
            return self.min_points
        return 10 if self.kind in ("gauge", "samples") else 1

    @property
    def can_fail(self) -> bool:
        """Whether the metric can fail the release, and so has a share of alpha."""
        return self.role in ("required", "guard")


class Split(PolicyModel):
    """The shares of the traffic that the two arms are meant to get."""

    baseline: Annotated[Fraction, Field(gt=0, lt=1)]
    """The baseline's share of the two arms' traffic."""
    canary: Annotated[Fraction, Field(gt=0, lt=1)]
    """The canary's share of the two arms' traffic."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not abs(self.baseline + self.canary - 1) < 1e-9:
            raise ValueError("the two shares must add up to 100 %")
        return self


class Policy(PolicyModel):
    """What is asked of a release.

    A policy states two error rates that hold for the verdict of one release, however many metrics it has.

    Raises
    ------
    PolicyError
        If a key is unknown, a value out of range, or settings contradict each other.

    Examples
    --------
    >>> policy = Policy(metrics=[Metric(name="latency_p99", unit="ms", direction="increase", tolerance="10%")])
    >>> policy.alpha, policy.beta, policy.metrics[0].role
    (0.01, 0.05, 'required')
    """

    version: Literal[1] = 1
    """The format's version."""
    extends: str | None = None
    """Another policy file, relative to this one, whose settings hold where this one is silent; metrics are merged by name. Files only."""
    alpha: Annotated[Fraction, Field(gt=0, lt=0.5)] = 0.01
    """At most this chance to fail a release that is fine."""
    beta: Annotated[Fraction, Field(gt=0, lt=0.5)] = 0.05
    """At most this chance to pass a release that is not."""
    aggregate: Literal["worst", "score"] = "worst"
    """`worst`: the worst metric decides. `score`: a weighted score does (a failing required metric fails there too); it waives alpha and beta."""
    pass_score: Annotated[float, Field(ge=0, le=100)] = 95.0
    """With `aggregate: score`, the least score of a pass."""
    marginal_score: Annotated[float, Field(ge=0, le=100)] = 75.0
    """With `aggregate: score`, the least score of a marginal."""
    groups: dict[Name, Weight] = {}
    """Weights of the groups in a score; 1 where left out."""
    split: Split | None = None
    """The shares of traffic that the arms are meant to get: `{baseline: 95%, canary: 5%}`. The exposures of counts without a total, and what
    the totals of ratios are checked against."""
    metrics: tuple[Metric, ...] = Field(min_length=1)
    """The metrics that are judged."""

    @model_validator(mode="before")
    @classmethod
    def _plain_version(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("version") == "1":
            return value | {"version": 1}
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.extends is not None:
            raise ValueError("extends names a file; read the policy with load_policy")
        twice = [name for name, count in Counter(metric.name for metric in self.metrics).items() if count > 1]
        if twice:
            raise ValueError(f"the metric {twice[0]!r} stands there twice; give each metric one entry")
        if not any(metric.can_fail for metric in self.metrics):
            raise ValueError("no metric can fail the release; make at least one required or guard")
        if self.marginal_score > self.pass_score:
            raise ValueError(f"marginal_score {self.marginal_score:g} is above pass_score {self.pass_score:g}")
        if self.aggregate == "worst" and {"pass_score", "marginal_score", "groups"} & self.model_fields_set:
            raise ValueError("pass_score, marginal_score and groups need aggregate: score")
        used = {metric.group for metric in self.metrics}
        for group in self.groups:
            if group not in used:
                raise ValueError(f"no metric is in the group {group!r}; known groups: {', '.join(sorted(g for g in used if g)) or 'none'}")
        return self

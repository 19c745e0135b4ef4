"""The parts of Argo Rollouts' analyses that say what is measured, how often, with which arguments, and what is put up with (pkg/apis/rollouts/v1alpha1, analysis_types.go).

Names are those of Argo Rollouts. What a provider needs to find its data is any YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.manifests import Manifest, go_duration
from canaryjudge.policy.document import plain
from canaryjudge.quantities import shown
from canaryjudge.settings import PolicyModel, Problem

__all__ = [
    "LATEST",
    "PROVIDERS",
    "STABLE",
    "ArgoMetric",
    "ArgoSpec",
    "Argument",
    "MeasurementLimits",
    "TemplateUse",
    "arguments_in",
    "doubled_in",
    "fill",
    "found_by",
    "limits_of",
    "uses_in",
    "validate_metrics",
    "without_open",
]

PROVIDERS: Final = (
    "prometheus",
    "kayenta",
    "web",
    "datadog",
    "wavefront",
    "newRelic",
    "job",
    "cloudWatch",
    "graphite",
    "influxdb",
    "skywalking",
    "plugin",
)
"""Where Argo Rollouts' metrics come from."""
_LONGEST_NAME: Final = 200
_MOST_PATTERNS: Final = 20
_MOST_REPEATS: Final = 1
_ENDS: Final = re.compile(r"^\^?(?:\.\*)+|(?:\.\*)+\$?$")
_REPEATED_GROUP: Final = re.compile(r"\)[*+?{]")
_REPEAT: Final = re.compile(r"[*+?{]")
_RETRY: Final = 10.0
_LARGEST: Final = 2**31 - 1
Text = Annotated[str, Field(strict=True)]
_PLACEHOLDER: Final = re.compile(r"\{\{\s*args\.([^{}\s]+)\s*\}\}")
LATEST: Final = "(the pod template hash of the canary)"
"""Stands for the value of an argument that is the canary's hash."""
STABLE: Final = "(the pod template hash of the stable version)"
"""Stands for that of the stable version."""
_HASHES: Final = {"Latest": LATEST, "Stable": STABLE}


@dataclass(frozen=True, slots=True)
class MeasurementLimits:
    """The counts and limits of a metric.

    Attributes
    ----------
    count : int
        How many measurements are taken; 0 where it is not said.
    failure, inconclusive, consecutive_error : int
        More failed, inconclusive or consecutive erroneous measurements than this decide; a failure limit of -1 never does.
    consecutive_success : int
        So many successful measurements in sequence decide; 0 never does.
    interval, initial_delay : float
        Seconds between two measurements (0: not said), and before the first.
    """

    count: int = 0
    failure: int = 0
    inconclusive: int = 0
    consecutive_error: int = 4
    consecutive_success: int = 0
    interval: float = 0.0
    initial_delay: float = 0.0

    @property
    def wanted(self) -> int | None:
        """How many measurements are taken in effect; None: for as long as the run lasts."""
        return self.count or (None if self.interval else 1)

    @property
    def pause(self) -> float:
        """Seconds until the next measurement; errors are retried after 10 s where no interval is given."""
        return self.interval or _RETRY


def limits_of(metric: Mapping[str, Any]) -> MeasurementLimits:
    """Read the counts and limits of a metric.

    Examples
    --------
    >>> limits_of({"interval": "5m", "failureLimit": "3"})
    MeasurementLimits(count=0, failure=3, inconclusive=0, consecutive_error=4, consecutive_success=0, interval=300.0, initial_delay=0.0)
    """
    return MeasurementLimits(
        count=_whole(metric, "count", 0),
        failure=_whole(metric, "failureLimit", 0),
        inconclusive=_whole(metric, "inconclusiveLimit", 0),
        consecutive_error=_whole(metric, "consecutiveErrorLimit", 4),
        consecutive_success=_whole(metric, "consecutiveSuccessLimit", 0),
        interval=_seconds(metric, "interval", "interval"),
        initial_delay=_seconds(metric, "initialDelay", "startDelay"),
    )


def _problem(limits: MeasurementLimits) -> str | None:
    most = limits.failure + limits.consecutive_success
    if limits.count > 0 and min(limits.failure, limits.consecutive_success) >= 0 and limits.count < most:
        parts = f"({limits.failure} + {limits.consecutive_success})"
        return (
            f"count ({limits.count}) must be >= failureLimit + consecutiveSuccessLimit {parts} if both >= 0"
        )
    if 0 < limits.count < limits.inconclusive:
        return "count must be >= inconclusiveLimit"
    if limits.count > 1 and not limits.interval:
        return "interval must be specified when count > 1"
    if limits.failure < -1:
        return "failureLimit must be >= 0, or -1 to be disabled"
    for name, limit in (
        ("inconclusiveLimit", limits.inconclusive),
        ("consecutiveErrorLimit", limits.consecutive_error),
        ("consecutiveSuccessLimit", limits.consecutive_success),
    ):
        if limit < 0:
            return f"{name} must be >= 0"
    if limits.failure == -1 and limits.consecutive_success == 0:
        return "failureLimit and consecutiveSuccessLimit cannot both be disabled"
    return None


def validate_metrics(metrics: Sequence[Mapping[str, Any]]) -> None:
    """Find what Argo Rollouts would refuse in the metrics of an analysis.

    Examples
    --------
    >>> validate_metrics([])
    Traceback (most recent call last):
    canaryjudge.errors.PolicyError: no metrics specified
    """
    if not metrics:
        raise PolicyError("no metrics specified")
    names: set[Any] = set()
    for index, metric in enumerate(metrics):
        if metric.get("name") in names:
            raise PolicyError(f"metrics[{index}]: duplicate name '{metric.get('name')}'")
        names.add(metric.get("name"))
        try:
            problem = _problem(limits_of(metric))
        except PolicyError as error:
            problem = error.message
        if problem:
            raise PolicyError(f"metrics[{index}]: {problem}")
        given = [name for name in PROVIDERS if name in (metric.get("provider") or {})]
        if len(given) != 1:
            raise PolicyError(
                f"metrics[{index}]: {'multiple providers' if given else 'no provider'} specified"
            )


def found_by(patterns: Sequence[str], name: str) -> bool:
    """Return whether one of some regular expressions finds a metric's name, anywhere in it.

    Examples
    --------
    >>> found_by(["test.*"], "my-test-1"), found_by(["^test"], "my-test-1")
    (True, False)
    """
    if len(patterns) > _MOST_PATTERNS:
        raise PolicyError(f"dryRun: more than {_MOST_PATTERNS} patterns are not followed", "Give fewer.")
    for pattern in patterns:
        inner = _ENDS.sub(
            "", pattern[:_LONGEST_NAME]
        )  # whatever stands before or behind is found in any case
        if (
            len(pattern) > _LONGEST_NAME
            or len(_REPEAT.findall(inner)) > _MOST_REPEATS
            or _REPEATED_GROUP.search(pattern)
        ):
            raise PolicyError(
                f"dryRun: {shown(pattern)} repeats too much to be followed", "Name the metrics."
            )
        try:
            if re.search(inner, name[:_LONGEST_NAME]):
                return True
        except (re.error, RecursionError, OverflowError) as error:
            raise PolicyError(f"dryRun: {shown(pattern)} is not a regular expression ({error})") from None
    return False


def _whole(metric: Mapping[str, Any], name: str, default: int) -> int:
    value = metric.get(name)
    if value is None:
        return default
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not text.lstrip("-").isdecimal():
        raise PolicyError(f"{name}: {shown(value)} is not a whole number")
    if len(text) > 12 or abs(int(text)) > _LARGEST:
        raise PolicyError(f"{name}: {shown(value)} is out of range")
    return int(text)


def _seconds(metric: Mapping[str, Any], name: str, called: str) -> float:
    value = metric.get(name)
    if value is None or value == "":
        return 0.0
    try:
        return go_duration(str(value))
    except ValueError as error:
        raise PolicyError(f"invalid {called} string: {error}") from None


def _number_or_text(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{shown(value)} is not a whole number")  # noqa: TRY004 - pydantic wants ValueError
    return value


def _argument(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, int | float) else value


Number = Annotated[int | str | None, BeforeValidator(_number_or_text)]


class Argument(PolicyModel):
    """An argument of an analysis, with its value where one is known beforehand."""

    name: Text
    value: Annotated[Text | None, BeforeValidator(_argument)] = None
    valueFrom: dict[str, Any] | None = None


class Matching(PolicyModel):
    """The metrics that a regular expression finds."""

    metricName: Text
    limit: Number = None


class ArgoMetric(PolicyModel):
    """A metric of an analysis."""

    name: Annotated[str, Field(strict=True, min_length=1)]
    interval: Text = ""
    initialDelay: Text = ""
    count: Number = None
    successCondition: Text = ""
    failureCondition: Text = ""
    failureLimit: Number = None
    inconclusiveLimit: Number = None
    consecutiveErrorLimit: Number = None
    consecutiveSuccessLimit: Number = None
    provider: dict[str, Any]

    def _contradictions(self) -> Iterator[Problem]:
        given = [name for name in self.provider if name in PROVIDERS]
        if unknown := [name for name in self.provider if name not in PROVIDERS]:
            known = f"Known: {', '.join(PROVIDERS)}."
            yield Problem(("provider", unknown[0]), f"unknown key {shown(unknown[0])}", known, at_key=True)
        elif len(given) != 1:
            what = "there are several" if given else "there is none"
            yield Problem(("provider",), f"{what}, and a metric has one", f"One of {', '.join(PROVIDERS)}.")

    @property
    def source(self) -> str:
        """The name of its provider."""
        return next(iter(self.provider))

    @property
    def settings(self) -> dict[str, Any]:
        """The provider's own settings."""
        held = self.provider[self.source]
        return held if isinstance(held, dict) else {}


class ArgoSpec(PolicyModel):
    """What an AnalysisTemplate, a ClusterAnalysisTemplate or an AnalysisRun asks for."""

    metrics: list[ArgoMetric] = Field(default_factory=list)
    args: list[Argument] = Field(default_factory=list)
    templates: list[dict[str, Any]] = Field(default_factory=list)
    dryRun: list[Matching] = Field(default_factory=list)
    measurementRetention: list[Matching] = Field(default_factory=list)
    ttlStrategy: dict[str, Any] | None = None
    terminate: bool | None = None


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """A place where a Rollout or an Experiment runs a template.

    Attributes
    ----------
    owner, place : str
        Whose, and where in it.
    template : str
        The template's name.
    cluster : bool
        Whether it is a ClusterAnalysisTemplate.
    values : dict
        The arguments that it gives.
    dry_run : tuple of str
        Regular expressions of metrics that count for nothing.
    doubled : mapping of str to tuple of str
        The arguments that it gives more than once, with their values in order.
    """

    owner: str
    place: str
    template: str
    cluster: bool
    values: Mapping[str, str] = field(default_factory=dict)
    dry_run: tuple[str, ...] = ()
    doubled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def arguments_in(value: Any) -> list[str]:
    """Name the arguments that are still to be put in, anywhere in a value.

    Examples
    --------
    >>> arguments_in({"query": "up{service='{{ args.service }}'}"})
    ['service']
    """
    if isinstance(value, str):
        return _PLACEHOLDER.findall(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return list(dict.fromkeys(name for part in parts for name in arguments_in(part)))


def fill(value: Any, values: Mapping[str, str]) -> Any:
    """Put arguments into all text of a value; those without a value stay as they stand.

    Examples
    --------
    >>> fill(["result > {{args.limit}}", "{{args.other}}"], {"limit": "5"})
    ['result > 5', '{{args.other}}']
    """
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {key: fill(each, values) for key, each in value.items()}
    return [fill(each, values) for each in value] if isinstance(value, list) else value


def without_open(metric: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a metric the counts and times whose arguments have no value yet.

    Examples
    --------
    >>> without_open({"count": "{{args.count}}", "failureLimit": 1})
    {'failureLimit': 1}
    """
    return {
        key: value for key, value in metric.items() if key in ("name", "provider") or not arguments_in(value)
    }


def uses_in(manifest: Manifest) -> Iterator[TemplateUse]:
    """Find where a Rollout or an Experiment runs a template."""
    spec = plain(manifest.node).get("spec")
    if manifest.kind == "Rollout":
        strategy = _mapping(_mapping(spec).get("strategy"))
        canary, blue_green = _mapping(strategy.get("canary")), _mapping(strategy.get("blueGreen"))
        places = {"spec.strategy.canary.analysis": canary.get("analysis")}
        for name in ("prePromotionAnalysis", "postPromotionAnalysis"):
            places[f"spec.strategy.blueGreen.{name}"] = blue_green.get(name)
        for index, step in enumerate(_list(canary.get("steps"))):
            place = f"spec.strategy.canary.steps[{index}]"
            places[f"{place}.analysis"] = _mapping(step).get("analysis")
            experiment = _mapping(_mapping(step).get("experiment"))
            yield from _experiment(manifest, f"{place}.experiment", experiment)
        for place, analysis in places.items():
            yield from _analysis(manifest, place, _mapping(analysis))
    elif manifest.kind == "Experiment":
        yield from _experiment(manifest, "spec", _mapping(spec))


def _analysis(manifest: Manifest, place: str, analysis: Mapping[str, Any]) -> Iterator[TemplateUse]:
    given, dry_run = _values(analysis.get("args")), _dry_run(analysis)
    for each in _list(analysis.get("templates")):
        template = _mapping(each)
        name, cluster = template.get("templateName"), template.get("clusterScope") is True
        if isinstance(name, str):
            yield TemplateUse(manifest.title, place, name, cluster, dict(given), dry_run, doubled_in(given))


def _experiment(manifest: Manifest, place: str, experiment: Mapping[str, Any]) -> Iterator[TemplateUse]:
    for index, each in enumerate(_list(experiment.get("analyses"))):
        analysis = _mapping(each)
        name, cluster = analysis.get("templateName"), analysis.get("clusterScope") is True
        if isinstance(name, str):
            given, dry_run = _values(analysis.get("args")), _dry_run(experiment)
            where = f"{place}.analyses[{index}]"
            yield TemplateUse(manifest.title, where, name, cluster, dict(given), dry_run, doubled_in(given))


def doubled_in(given: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Find arguments that are given more than once.

    Examples
    --------
    >>> doubled_in([("hash", "a"), ("limit", "5"), ("hash", "")])
    {'hash': ('a', '')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, value in given:
        found[name] = (*found.get(name, ()), value)
    return {name: values for name, values in found.items() if len(values) > 1}


def _values(args: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for each in _list(args):
        argument = _mapping(each)
        name, value = argument.get("name"), argument.get("value")
        if not isinstance(name, str):
            continue
        pods = _mapping(argument.get("valueFrom")).get("podTemplateHashValue")
        if isinstance(value, str | int | float):
            found.append((name, str(value)))
        elif isinstance(pods, str) and pods in _HASHES:
            found.append((name, _HASHES[pods]))
    return found


def _dry_run(holder: Mapping[str, Any]) -> tuple[str, ...]:
    names = (_mapping(each).get("metricName") for each in _list(holder.get("dryRun")))
    return tuple(name for name in names if isinstance(name, str))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

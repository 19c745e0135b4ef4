"""The arguments of an analysis: ``{{args.name}}`` in its text, and who gives them their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from canaryjudge.integrations.manifests import Manifest
from canaryjudge.policy.document import plain

__all__ = ["LATEST", "STABLE", "Use", "arguments_in", "fill", "uses_in", "without_open"]

_PLACEHOLDER: Final = re.compile(r"\{\{\s*args\.([^{}\s]+)\s*\}\}")
LATEST: Final = "(the pod template hash of the canary)"
"""Stands for the value of an argument that is the canary's hash."""
STABLE: Final = "(the pod template hash of the stable version)"
"""Stands for that of the stable version."""
_HASHES: Final = {"Latest": LATEST, "Stable": STABLE}


@dataclass(frozen=True, slots=True)
class Use:
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
    """

    owner: str
    place: str
    template: str
    cluster: bool
    values: Mapping[str, str] = field(default_factory=dict)
    dry_run: tuple[str, ...] = ()


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


def uses_in(manifest: Manifest) -> Iterator[Use]:
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


def _analysis(manifest: Manifest, place: str, analysis: Mapping[str, Any]) -> Iterator[Use]:
    values, dry_run = _values(analysis.get("args")), _dry_run(analysis)
    for each in _list(analysis.get("templates")):
        template = _mapping(each)
        name, cluster = template.get("templateName"), template.get("clusterScope") is True
        if isinstance(name, str):
            yield Use(manifest.title, place, name, cluster, values, dry_run)


def _experiment(manifest: Manifest, place: str, experiment: Mapping[str, Any]) -> Iterator[Use]:
    for index, each in enumerate(_list(experiment.get("analyses"))):
        analysis = _mapping(each)
        name, cluster = analysis.get("templateName"), analysis.get("clusterScope") is True
        if isinstance(name, str):
            values = _values(analysis.get("args"))
            yield Use(
                manifest.title, f"{place}.analyses[{index}]", name, cluster, values, _dry_run(experiment)
            )


def _values(args: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in _list(args):
        argument = _mapping(each)
        name, value = argument.get("name"), argument.get("value")
        if not isinstance(name, str):
            continue
        pods = _mapping(argument.get("valueFrom")).get("podTemplateHashValue")
        if isinstance(value, str | int | float):
            found[name] = str(value)
        elif pods in _HASHES:
            found[name] = _HASHES[str(pods)]
    return found


def _dry_run(holder: Mapping[str, Any]) -> tuple[str, ...]:
    names = (_mapping(each).get("metricName") for each in _list(holder.get("dryRun")))
    return tuple(name for name in names if isinstance(name, str))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

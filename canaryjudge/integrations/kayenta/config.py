"""A Kayenta canary config, checked: its metrics by name, and the weights of its groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.policy.complaints import Problem, dotted
from canaryjudge.policy.quantities import shown

__all__ = ["CanaryConfig", "config_problems", "read_config", "read_thresholds", "threshold_problems"]

_SHAPE: Final = "Give the whole canary config, as Kayenta stores it."


@dataclass(frozen=True, slots=True)
class CanaryConfig:
    """What a judgment takes of a canary config.

    Attributes
    ----------
    metrics : mapping of str to mapping
        The metrics by name; the first of a name counts, as it does for Kayenta.
    weights : mapping of str to float
        The groups' weights, in percent.
    """

    metrics: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, float]


def read_config(config: Any) -> CanaryConfig:
    """Read a canary config.

    Parameters
    ----------
    config : mapping
        As Kayenta stores it.

    Returns
    -------
    CanaryConfig
        Metrics and weights.

    Raises
    ------
    PolicyError
        If it is none, with the place of what is wrong first.

    Examples
    --------
    >>> config = read_config({"metrics": [{"name": "cpu", "groups": ["a"]}], "classifier": {"groupWeights": {"a": 100}}})
    >>> list(config.metrics), dict(config.weights)
    (['cpu'], {'a': 100.0})
    """
    for problem in config_problems(config):
        where = dotted(("canaryConfig", *problem.path))
        raise PolicyError(f"{where}: {problem.message}", problem.hint)
    metrics: dict[str, Mapping[str, Any]] = {}
    for metric in config["metrics"]:
        metrics.setdefault(metric["name"], metric)
    classifier = config.get("classifier") or {}
    return CanaryConfig(
        metrics, {name: float(weight) for name, weight in (classifier.get("groupWeights") or {}).items()}
    )


def config_problems(config: Any) -> Iterator[Problem]:
    """Find what keeps a canary config from being read; paths start at it."""
    if not isinstance(config, Mapping):
        yield Problem((), f"{shown(config)} is not a canary config", _SHAPE)
        return
    metrics = config.get("metrics")
    if not isinstance(metrics, list):
        yield Problem(("metrics",), f"{shown(metrics)} is not a list of metrics", _SHAPE)
        return
    for index, metric in enumerate(metrics):
        yield from (
            problem._replace(path=("metrics", index, *problem.path)) for problem in _metric_problems(metric)
        )
    classifier = config.get("classifier")
    if classifier is not None and not isinstance(classifier, Mapping):
        yield Problem(("classifier",), f"{shown(classifier)} is not a classifier", _SHAPE)
        return
    weights = (classifier or {}).get("groupWeights")
    if weights is not None and not isinstance(weights, Mapping):
        yield Problem(("classifier", "groupWeights"), f"{shown(weights)} is not a mapping of weights", _SHAPE)
        return
    for group, weight in (weights or {}).items():
        if not _is_number(weight):
            path = ("classifier", "groupWeights", str(group))
            yield Problem(
                path, f"{shown(weight)} is not a weight", "Write it in percent of the score, as a number."
            )


def _metric_problems(metric: Any) -> Iterator[Problem]:
    if not isinstance(metric, Mapping):
        yield Problem((), f"{shown(metric)} is not a metric", _SHAPE)
        return
    name, groups = metric.get("name"), metric.get("groups")
    if not isinstance(name, str) or not name:
        yield Problem(("name",), f"{shown(name)} is not a name", "Give each metric a name.")
    listed = isinstance(groups, list) and all(isinstance(group, str) for group in groups)
    if groups is not None and not listed:
        yield Problem(("groups",), f"{shown(groups)} is not a list of names", 'Write ["system"].')


def read_thresholds(thresholds: Any, where: str) -> tuple[float, float]:
    """Read the scores of a pass and of a marginal; what is null is 0.

    Raises
    ------
    PolicyError
        If they are none.
    """
    for problem in threshold_problems(thresholds):
        raise PolicyError(f"{dotted((where, *problem.path))}: {problem.message}", problem.hint)
    return float(thresholds.get("pass") or 0), float(thresholds.get("marginal") or 0)


def threshold_problems(thresholds: Any) -> Iterator[Problem]:
    """Find what keeps thresholds from being read; paths start at them."""
    if not isinstance(thresholds, Mapping):
        yield Problem((), f"{shown(thresholds)} are no thresholds", "Write {pass: 95, marginal: 75}.")
        return
    for key in ("pass", "marginal"):
        if thresholds.get(key) is not None and not _is_number(thresholds[key]):
            yield Problem((key,), f"{shown(thresholds[key])} is not a score", "Write a number from 0 to 100.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300

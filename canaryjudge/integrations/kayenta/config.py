"""A Kayenta canary config, checked: its metrics by name with their options, and the weights of its groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.quantities import shown
from canaryjudge.settings import Problem, dotted

__all__ = [
    "MISSING",
    "CanaryConfig",
    "MetricOptions",
    "config_problems",
    "lookup",
    "metric_options",
    "read_config",
    "read_thresholds",
    "threshold_problems",
]

_SHAPE: Final = "Give the whole canary config, as Kayenta stores it."
MISSING: Final = object()
"""What `lookup` gives where there is nothing."""
_EFFECTS: Final = ("allowedIncrease", "allowedDecrease", "criticalIncrease", "criticalDecrease")


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
    """Read the scores of a pass and of a marginal; what is null is 0."""
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


@dataclass(frozen=True, slots=True)
class MetricOptions:
    """How Kayenta judges one metric.

    Attributes
    ----------
    direction : str
        ``increase``, ``decrease`` or ``either``: which way is bad.
    replace_missing : bool
        Whether a missing point is a zero; it is left out otherwise.
    outlier_factor : float or None
        Points so many interquartile ranges out are left out; None keeps them.
    critical, must_have_data, muted : bool
        Whether it can fail the whole canary; whether no data counts against it; whether it does not count.
    cles : bool
        Whether the effect is the probability that a canary's point is the larger one; the ratio of the means otherwise.
    allowed_increase, allowed_decrease, critical_increase, critical_decrease : float
        The least effect of a High and the largest of a Low, and those of a critical one.
    """

    direction: str = "either"
    replace_missing: bool = False
    outlier_factor: float | None = None
    critical: bool = False
    must_have_data: bool = False
    muted: bool = False
    cles: bool = False
    allowed_increase: float = 1.0
    allowed_decrease: float = 1.0
    critical_increase: float = 1.0
    critical_decrease: float = 1.0


def lookup(data: Any, path: Sequence[str]) -> Any:
    """Find what stands at a path, as Kayenta does; a path through a list gives what its members have there.

    Examples
    --------
    >>> lookup({"list": [{"a": "1"}, {"b": "2"}, {"a": "3"}]}, ["list", "a"])
    ['1', '3']
    """
    for index, key in enumerate(path):
        if isinstance(data, list):
            found = [each for each in (lookup(item, path[index:]) for item in data) if each is not MISSING]
            return found or MISSING
        if not isinstance(data, Mapping) or key not in data:
            return MISSING
        data = data[key]
    return MISSING if data is None and not path else data


def metric_options(metric: Mapping[str, Any], where: str) -> MetricOptions:
    """Read a metric's options.

    Examples
    --------
    >>> metric_options({"analysisConfigurations": {"canary": {"direction": "increase"}}}, "cpu").direction
    'increase'
    """
    read = _Reader(metric, where)
    direction = read.word("direction")
    measure = read.word("effectSize", "measure")
    cles = measure == "cles"
    effects = [read.number(0.5 if cles else 1.0, "effectSize", name) for name in _EFFECTS]
    strategy = read.word("outliers", "strategy")
    factor = read.number(3.0, "outliers", "outlierFactor")
    if strategy == "remove" and not factor > 0:
        raise PolicyError(
            f"{where}: outliers.outlierFactor is {factor:g}, and Kayenta refuses what is not above 0",
            "Write 3, or strategy: keep.",
        )
    return MetricOptions(
        direction if direction in ("increase", "decrease") else "either",
        read.word("nanStrategy") == "replace",
        factor if strategy == "remove" else None,
        read.flag("critical"),
        read.flag("mustHaveData"),
        read.flag("muted"),
        cles,
        *effects,
    )


class _Reader:
    """Reads options of one metric, and refuses what Kayenta fails on."""

    def __init__(self, metric: Mapping[str, Any], where: str) -> None:
        self._metric = metric
        self._where = where

    def word(self, *path: str) -> str | None:
        found = self._at(path)
        if found is None:
            raise self._refusal(path, "null, and Kayenta fails on that", "Leave it out, or give its word.")
        return None if found is MISSING else str(found)

    def flag(self, *path: str) -> bool:
        found = self._at(path)
        if found is MISSING or found is None:
            return False
        if not isinstance(found, bool):
            why = f"{shown(found)}, and Kayenta fails on what is neither true nor false"
            raise self._refusal(path, why, "Write true or false, without quotes.")
        return found

    def number(self, default: float, *path: str) -> float:
        found = self._at(path)
        if found is MISSING:
            return default
        if found is None:
            return 0.0
        if isinstance(found, bool) or not isinstance(found, int | float):
            why = f"{shown(found)}, and Kayenta fails on what is not a number"
            raise self._refusal(path, why, "Write a number, without quotes.")
        try:
            return float(found)
        except OverflowError:
            raise self._refusal(path, "too large a number", "Write a ratio, such as 1.1.") from None

    def _at(self, path: tuple[str, ...]) -> Any:
        return lookup(self._metric, ("analysisConfigurations", "canary", *path))

    def _refusal(self, path: tuple[str, ...], why: str, hint: str) -> PolicyError:
        return PolicyError(f"{self._where}: analysisConfigurations.canary.{'.'.join(path)} is {why}", hint)

"""What a Kayenta canary config asks of a metric: ``analysisConfigurations.canary``, read with Kayenta's own defaults and refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.policy.quantities import shown

__all__ = ["MISSING", "MetricOptions", "lookup", "metric_options"]

MISSING: Final = object()
"""What `lookup` gives where there is nothing."""
_EFFECTS: Final = ("allowedIncrease", "allowedDecrease", "criticalIncrease", "criticalDecrease")


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

    Parameters
    ----------
    data : Any
        Mappings, lists and plain values.
    path : sequence of str
        Keys.

    Returns
    -------
    Any
        What stands there, or `MISSING`.

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

    Parameters
    ----------
    metric : mapping
        A member of the canary config's ``metrics``.
    where : str
        What to call it in errors.

    Returns
    -------
    MetricOptions
        Its options; what is left out has Kayenta's default.

    Raises
    ------
    PolicyError
        Where Kayenta itself fails: a flag that is neither true nor false, an effect size that is no number, null for a word, an
        outlier factor that is not above 0.

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

"""What Flagger makes of values: each check, the count of failed ones, the steps of traffic, and how it reads the answers of webhooks.

Nothing here is statistics: it is for seeing beside each other what Flagger says of a release, and what canaryjudge says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

from canaryjudge.errors import DataError, PolicyError
from canaryjudge.integrations.flagger.models import BUILT_IN, allowed, analysis_threshold
from canaryjudge.integrations.manifests import go_duration, shown_duration
from canaryjudge.quantities import shown

__all__ = [
    "Check",
    "FlaggerRun",
    "analysis_interval",
    "check_metric",
    "check_metrics",
    "deployment_strategy",
    "replay",
    "step_weight",
    "webhook_succeeds",
]

_DEFAULT_INTERVAL: Final = 60.0
_SHORTEST_INTERVAL: Final = 10.0
_LAST_SUCCESS: Final = 202
_FIRST_RETRIED: Final = 500


@dataclass(frozen=True, slots=True)
class Check:
    """A check, and Flagger's event where it has failed."""

    event: str = ""

    @property
    def ok(self) -> bool:
        """Whether it has passed."""
        return not self.event


@dataclass(frozen=True, slots=True)
class FlaggerRun:
    """How far a Canary has come.

    Attributes
    ----------
    phase : str
        Progressing, Succeeded (promoted) or Failed (rolled back).
    weight : int
        The canary's share of the traffic in percent; 0 where it is not split by weight.
    failed_checks : int
        How many checks have failed; it never falls within a release.
    checks : tuple of Check
        All that were made.
    """

    phase: Literal["Progressing", "Succeeded", "Failed"]
    weight: int
    failed_checks: int
    checks: tuple[Check, ...]


def check_metric(
    metric: Mapping[str, Any], value: float | str | None, *, error: str = "", canary: str = "{name}.{ns}"
) -> Check:
    """Hold one value of a metric against its range.

    Parameters
    ----------
    metric : mapping
        As for `allowed`.
    value : float, str or None
        What the query gave; of request-duration milliseconds, or a duration such as ``500ms``. None or NaN: no values.
    error : str
        Why there is no value, where the query failed.
    canary : str
        The name and namespace that the event speaks of.

    Returns
    -------
    Check
        Whether it passes.

    Examples
    --------
    >>> check_metric({"name": "request-success-rate", "thresholdRange": {"min": 99}}, 98.5, canary="podinfo.test").event
    'Halt podinfo.test advancement success rate 98.50% < 99%'
    """
    name = str(metric.get("name") or "")
    if error:
        return Check(f"Metric query failed for {name}: {error}")
    number = _value(metric, value)
    if math.isnan(number):
        return Check(
            f"Halt advancement no values found for {'' if name in BUILT_IN else 'custom '}metric: {name}: no values found",
        )
    bounds = allowed(metric)
    for mark, edge in (("<", bounds.low), (">", bounds.high)):
        if edge is not None and (number < edge.value if mark == "<" else number > edge.value):
            return Check(f"Halt {canary} advancement {_compared(name, number, mark, edge.value)}")
    return Check()


def _value(metric: Mapping[str, Any], value: float | str | None) -> float:
    if value is None:
        return math.nan
    try:
        return go_duration(value) * 1000 if isinstance(value, str) and value[-1:] in "smh" else float(value)
    except ValueError:
        told = f"{shown(value)} is not a value of the metric {shown(metric.get('name'))}"
        raise DataError(told, "Give a number, or None where there was none.") from None


def _compared(name: str, number: float, mark: str, edge: float) -> str:
    if name == "request-duration":
        return f"request duration {shown_duration(math.trunc(number) / 1000)} {mark} {shown_duration(edge / 1000)}"
    written = ("+Inf" if number > 0 else "-Inf") if math.isinf(number) else f"{number:.2f}"
    if name == "request-success-rate":
        return f"success rate {written}% {mark} {_shortest(edge)}%"
    return f"{name} {written} {mark} {_shortest(edge)}"


def _shortest(number: float) -> str:
    """Write a number as Go's ``%v`` does within its usual range."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e21 else repr(number)


def check_metrics(
    metrics: Sequence[Mapping[str, Any]],
    values: Mapping[str, float | str | None],
    *,
    canary: str = "{name}.{ns}",
) -> Check:
    """Make the check of one interval: built-in metrics first, then the others; the first that fails ends it.

    Parameters
    ----------
    metrics : sequence of mapping
        As they stand under ``spec.analysis.metrics``.
    values : mapping
        What each metric's query gave, by the metric's name, or by its template's where it has none.
    canary : str
        The name and namespace that the event speaks of.

    Returns
    -------
    Check
        Whether all pass. A metric that names no built-in, no template and no query fails.

    Examples
    --------
    >>> check_metrics([{"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 5}}], {"errors": 4}).ok
    True
    """
    ordered = sorted(metrics, key=lambda metric: metric.get("name") not in BUILT_IN)
    for metric in ordered:
        name = str(metric.get("name") or "")
        if name not in BUILT_IN and not metric.get("templateRef") and not metric.get("query"):
            return Check(
                f"Metric query failed for {name}: it names no built-in metric, no template and no query",
            )
        key = name or str((metric.get("templateRef") or {}).get("name"))
        check = check_metric(metric, values.get(key), canary=canary)
        if not check.ok:
            return check
    return Check()


def analysis_interval(text: str) -> float:
    """Return the seconds between two checks: 60 where none can be read, and never fewer than 10.

    Examples
    --------
    >>> analysis_interval(""), analysis_interval("bogus"), analysis_interval("5s"), analysis_interval("2m")
    (60.0, 60.0, 10.0, 120.0)
    """
    try:
        return max(go_duration(text), _SHORTEST_INTERVAL)
    except ValueError:
        return _DEFAULT_INTERVAL


def deployment_strategy(analysis: Mapping[str, Any] | None) -> str:
    """Return how a Canary is released: ``canary``, ``blue-green`` (by iterations) or ``ab-testing`` (and by a match)."""
    told = analysis or {}
    if not (told.get("iterations") or 0) > 0:
        return "canary"
    return "ab-testing" if told.get("match") else "blue-green"


def step_weight(analysis: Mapping[str, Any], weight: int) -> int:
    """Return by how much the canary's weight grows next.

    Examples
    --------
    >>> step_weight({"stepWeights": [1, 2, 10, 80]}, 2), step_weight({"stepWeight": 10}, 20)
    (8, 10)
    """
    steps = list(analysis.get("stepWeights") or ())
    if not steps:
        return int(analysis.get("stepWeight") or 0)
    if weight >= 100:
        return 1  # anything above 0 makes it go on to the promotion
    if weight == 0:
        return int(steps[0])
    for here, following in pairwise(steps):
        if here == weight:
            return int(following - here)
    return 100 - weight


def webhook_succeeds(statuses: Sequence[int], retries: int = 0) -> bool:
    """Return how Flagger reads a webhook's answers: only 200, 201 and 202 are a success.

    Parameters
    ----------
    statuses : sequence of int
        The status of each try; one of 500 or more is tried again.
    retries : int
        How often.

    Returns
    -------
    bool
        Whether the hook has succeeded. A rollback hook that succeeds rolls back.

    Examples
    --------
    >>> webhook_succeeds([200]), webhook_succeeds([204]), webhook_succeeds([500, 202], retries=1)
    (True, False, True)
    """
    for status in statuses[: retries + 1]:
        if status < _FIRST_RETRIED:
            return status <= _LAST_SUCCESS
    return False


def replay(
    analysis: Mapping[str, Any],
    values: Sequence[Mapping[str, float | str | None]],
    *,
    failed_checks: int = 0,
    canary: str = "{name}.{ns}",
) -> FlaggerRun:
    """Return what Flagger would have said of a release, from the values of its checks.

    Parameters
    ----------
    analysis : mapping
        As it stands under ``spec.analysis``.
    values : sequence of mapping
        Of each interval in which the canary got traffic, what each metric's query gave, by the metric's name.
    failed_checks : int
        How many checks of this release have failed before.
    canary : str
        The name and namespace that events speak of.

    Returns
    -------
    FlaggerRun
        The phase: Failed once as many checks have failed as `threshold` says, Succeeded once all weights (or iterations) have passed.

    Raises
    ------
    PolicyError
        If the weights never reach their end.

    Examples
    --------
    >>> analysis = {"threshold": 2, "stepWeight": 25, "maxWeight": 50, "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]}
    >>> rates = [{"request-success-rate": rate} for rate in (99.9, 98, 99.5)]
    >>> run = replay(analysis, rates)
    >>> run.phase, run.weight, run.failed_checks
    ('Succeeded', 50, 1)
    """
    weights = _weights(analysis)
    threshold = analysis_threshold(analysis.get("threshold"))
    at, failed, checks = 0, failed_checks, []
    for given in values:
        if failed >= threshold or at >= len(weights):
            break
        check = check_metrics(analysis.get("metrics") or [], given, canary=canary)
        checks.append(check)
        at, failed = at + check.ok, failed + (not check.ok)
    if failed >= threshold:
        return FlaggerRun("Failed", 0, failed, tuple(checks))
    if at >= len(weights):
        return FlaggerRun("Succeeded", weights[-1], failed, tuple(checks))
    return FlaggerRun("Progressing", weights[at], failed, tuple(checks))


def _weights(analysis: Mapping[str, Any]) -> list[int]:
    """List the canary's weights, each of which is checked once; zeros where traffic is not split by weight."""
    iterations = analysis.get("iterations") or 0
    if iterations > 0:
        if iterations > 1_000_000:
            raise PolicyError("iterations: more than a million are not followed", "Give fewer.")
        return [0] * int(iterations)
    steps = analysis.get("stepWeights")
    most = steps[-1] if steps else (analysis.get("maxWeight") or 100)
    weights, weight = [], 0
    while weight < most:
        step = step_weight(analysis, weight)
        if step <= 0:
            raise PolicyError("the analysis has no stepWeight, stepWeights or iterations", "Give one.")
        weight = min(weight + step, most)
        weights.append(weight)
    return weights

"""What Argo Rollouts would have made of measurements: the phase of each, of each metric and of the run, from its own rules.

Nothing here is statistics: it is for seeing beside each other what Argo Rollouts says of a release, and what canaryjudge says.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.evaluation import holds
from canaryjudge.integrations.argo.models import MeasurementLimits, found_by, limits_of, validate_metrics

__all__ = [
    "Measurement",
    "MetricPhase",
    "MetricStatus",
    "Phase",
    "RunPhase",
    "assess_metric",
    "assess_run",
    "exceeded",
    "measure",
    "replay",
]

Phase = Literal["Successful", "Running", "Pending", "Inconclusive", "Error", "Failed"]
"""From best to worst, as Argo Rollouts ranks them."""
_RANKS: Final[Mapping[str, int]] = {
    phase: rank
    for rank, phase in enumerate(("Successful", "Running", "Pending", "Inconclusive", "Error", "Failed"))
}
_COMPLETED: Final = ("Successful", "Failed", "Error", "Inconclusive")
_NO_DATA: Final = "metric result is nil or empty: no data returned from the metric provider"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement: its phase, and why where it is an error."""

    phase: Phase
    message: str = ""


@dataclass(frozen=True, slots=True)
class MetricPhase:
    """A metric of a run: its phase, why, and the measurements that were taken.

    Attributes
    ----------
    phase : str
        As Argo Rollouts calls it.
    reason : str
        Which limit was exceeded, such as ``failed (1) > failureLimit (0)``; nothing where none was.
    measurements : tuple of Measurement
        Those that were taken before the metric was decided, or the run ended.
    dry_run : bool
        Whether it counts for nothing.
    """

    phase: Phase
    reason: str
    measurements: tuple[Measurement, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RunPhase:
    """A run: its phase, the message of the metric that decided, and all metrics."""

    phase: Phase
    message: str
    metrics: Mapping[str, MetricPhase]


def measure(result: Any, success: str | None = None, failure: str | None = None) -> Measurement:
    """Hold one result against the conditions of a metric; of two, a failure wins, and where neither is true it is Inconclusive.

    Examples
    --------
    >>> measure([0.7], "result[0] >= 0.90", "result[0] < 0.50").phase
    'Inconclusive'
    >>> print(measure([], "result[0] >= 0.95").message)
    metric result is nil or empty: no data returned from the metric provider (successCondition "result[0] >= 0.95")
    """
    if isinstance(result, Measurement):
        return result
    truths: dict[str, bool] = {}
    for name, condition in (("successCondition", success), ("failureCondition", failure)):
        if condition:
            try:
                truths[name] = holds(condition, result)
            except PolicyError as error:
                return Measurement("Error", _why(name, condition, result, error))
    succeeds = truths.get("successCondition", not truths.get("failureCondition", False))
    fails = truths.get("failureCondition", not succeeds)
    return Measurement("Failed" if fails else "Successful" if succeeds else "Inconclusive")


def _why(name: str, condition: str, result: Any, error: PolicyError) -> str:
    told = condition if len(condition) <= 200 else condition[:199] + "…"
    if result is None or (isinstance(result, Sequence | Mapping) and len(result) == 0):
        return f'{_NO_DATA} ({name} "{told}")'
    return f'could not evaluate {name} "{told}": {error.message}'


@dataclass(slots=True)
class MetricStatus:
    """What Argo Rollouts keeps of a metric in the status of an AnalysisRun: its phase, its measurements and its counts."""

    phase: str = ""
    message: str = ""
    measurements: list[Measurement] = field(default_factory=list)
    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0

    def add(self, measurement: Measurement) -> None:
        """Count a measurement; errors do not count toward `count`."""
        phase = measurement.phase
        self.measurements.append(measurement)
        self.message = measurement.message
        if phase not in _COMPLETED:
            return
        self.count += phase != "Error"
        self.successful += phase == "Successful"
        self.failed += phase == "Failed"
        self.inconclusive += phase == "Inconclusive"
        self.error += phase == "Error"
        self.consecutive_error = self.consecutive_error + 1 if phase == "Error" else 0
        self.consecutive_success = self.consecutive_success + 1 if phase == "Successful" else 0


def exceeded(limits: MeasurementLimits, result: MetricStatus) -> tuple[Phase, str] | None:
    """Return which limit was exceeded: of several the last counts, error over inconclusive over failed.

    Examples
    --------
    >>> exceeded(MeasurementLimits(), MetricStatus(failed=1))
    ('Failed', 'failed (1) > failureLimit (0)')
    """
    found: tuple[Phase, str] | None = None
    if limits.failure >= 0 and result.failed > limits.failure:
        found = "Failed", f"failed ({result.failed}) > failureLimit ({limits.failure})"
    if result.inconclusive > limits.inconclusive:
        why = f"inconclusive ({result.inconclusive}) > inconclusiveLimit ({limits.inconclusive})"
        found = "Inconclusive", why
    if result.consecutive_error > limits.consecutive_error:
        why = f"consecutiveErrors ({result.consecutive_error}) > consecutiveErrorLimit ({limits.consecutive_error})"
        found = "Error", why
    return found


def assess_metric(limits: MeasurementLimits, result: MetricStatus, *, terminating: bool = False) -> Phase:
    """Return the phase of a metric.

    Examples
    --------
    >>> assess_metric(MeasurementLimits(count=3, interval=60), MetricStatus(measurements=[Measurement("Successful")], count=3))
    'Successful'
    """
    if result.phase in _COMPLETED:
        return result.phase  # type: ignore[return-value] # one of them
    if not result.measurements:
        return "Successful" if terminating else "Pending"
    if result.measurements[-1].phase not in _COMPLETED:
        return "Running"
    if found := exceeded(limits, result):
        return found[0]
    if 0 < limits.consecutive_success <= result.consecutive_success:
        return "Successful"
    if limits.wanted is not None and result.count >= limits.wanted:
        if limits.consecutive_success == 0:
            return "Successful"
        return "Failed" if limits.failure == -1 else "Inconclusive"
    return "Successful" if terminating else "Running"


def assess_run(
    metrics: Mapping[str, MeasurementLimits],
    results: Mapping[str, MetricStatus],
    *,
    dry_run: Iterable[str] = (),
    terminating: bool = False,
) -> tuple[Phase, str]:
    """Return the phase of a run, and the message of the metric that decided; each metric's own phase is brought up to date.

    Examples
    --------
    >>> assess_run({"errors": MeasurementLimits()}, {"errors": MetricStatus(measurements=[Measurement("Failed")], failed=1)})
    ('Failed', 'Metric "errors" assessed Failed due to failed (1) > failureLimit (0)')
    """
    idle = frozenset(dry_run)
    bad = [
        result.phase in ("Failed", "Error", "Inconclusive")
        for name, result in results.items()
        if name not in idle
    ]
    ending = terminating or any(bad)
    worst: Phase | None = None
    message, finished = "", True
    for name, limits in metrics.items():
        result = results.get(name)
        if result is None:
            finished = finished and ending
            continue
        phase = assess_metric(limits, result, terminating=ending)
        result.phase = phase
        if phase not in _COMPLETED:
            finished = False
        elif name not in idle and (worst is None or _RANKS[phase] > _RANKS[worst]):
            worst = phase
            if found := exceeded(limits, result):
                told = f': "Error Message: {result.message}"' if result.message else ""
                message = f'Metric "{name}" assessed {phase} due to {found[1]}{told}'
    return (worst or "Successful", message) if finished else ("Running", "")


def replay(
    metrics: Sequence[Mapping[str, Any]],
    measurements: Mapping[str, Sequence[Any]],
    *,
    dry_run: Sequence[str] = (),
    terminated: bool = False,
) -> RunPhase:
    """Return what Argo Rollouts would have said of a run, from the results of its measurements.

    Parameters
    ----------
    metrics : sequence of mapping
        As they stand under ``spec.metrics`` of an AnalysisTemplate, with their arguments put in.
    measurements : mapping of str to sequence
        Of each metric, the results in order: what the provider gave (a list for Prometheus' vectors), or a `Measurement` where the
        provider had none. They are taken at the metric's own times, until the run is decided or they are used up.
    dry_run : sequence of str
        Regular expressions; metrics that one of them matches anywhere count for nothing.
    terminated : bool
        Whether the run was ended by hand once they were used up.

    Returns
    -------
    RunPhase
        The phases of the run and of its metrics; Running where measurements are missing.

    Raises
    ------
    PolicyError
        If Argo Rollouts would refuse the metrics, in its own words, or there are results of a metric that is not there.

    Examples
    --------
    >>> metric = {"name": "success-rate", "interval": "5m", "count": 3, "failureLimit": 1, "successCondition": "result[0] >= 0.95"}
    >>> replay([metric | {"provider": {"prometheus": {}}}], {"success-rate": [[0.99], [0.91], [0.97]]}).phase
    'Successful'
    >>> run = replay([metric | {"provider": {"prometheus": {}}}], {"success-rate": [[0.91], [0.92], [0.97]]})
    >>> print(run.phase, "-", run.message)
    Failed - Metric "success-rate" assessed Failed due to failed (2) > failureLimit (1)
    """
    validate_metrics(metrics)
    limits = {str(metric["name"]): limits_of(metric) for metric in metrics}
    if unknown := [name for name in measurements if name not in limits]:
        raise PolicyError(f"there is no metric {unknown[0]!r}", f"Metrics: {', '.join(limits)}.")
    idle = [name for name in limits if found_by(dry_run, name)]
    conditions = {
        str(metric["name"]): (metric.get("successCondition"), metric.get("failureCondition"))
        for metric in metrics
    }
    order = {name: index for index, name in enumerate(limits)}
    results = {name: MetricStatus() for name in limits if measurements.get(name)}
    waiting = [(limits[name].initial_delay, order[name], name, 0) for name in results]
    heapq.heapify(waiting)
    phase, message = assess_run(limits, results, dry_run=idle)
    while waiting and phase == "Running":
        now, place, name, index = heapq.heappop(waiting)
        results[name].add(measure(measurements[name][index], *conditions[name]))
        phase, message = assess_run(limits, results, dry_run=idle)
        if any(
            results[each].phase in ("Failed", "Error", "Inconclusive") for each in results if each not in idle
        ):
            phase, message = assess_run(
                limits, results, dry_run=idle
            )  # the rest is ended, which its phases then say
            break
        if results[name].phase not in _COMPLETED and index + 1 < len(measurements[name]):
            heapq.heappush(waiting, (now + limits[name].pause, place, name, index + 1))
    if terminated and phase == "Running":
        phase, message = assess_run(limits, results, dry_run=idle, terminating=True)
    return RunPhase(
        phase,
        message,
        {name: _told(limits[name], results.get(name), dry_run=name in idle) for name in limits},
    )


def _told(limits: MeasurementLimits, result: MetricStatus | None, *, dry_run: bool) -> MetricPhase:
    if result is None:
        return MetricPhase("Pending", "", (), dry_run)
    found = exceeded(limits, result)
    phase: Phase = result.phase or "Pending"  # type: ignore[assignment] # one of them
    return MetricPhase(phase, found[1] if found else "", tuple(result.measurements), dry_run)

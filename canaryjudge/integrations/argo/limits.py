"""How often Argo Rollouts measures a metric, what it puts up with, and what it calls invalid, in its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.go_durations import go_duration
from canaryjudge.policy.quantities import shown

__all__ = ["PROVIDERS", "Limits", "found_by", "limits_of", "validate_metrics"]

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


@dataclass(frozen=True, slots=True)
class Limits:
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


def limits_of(metric: Mapping[str, Any]) -> Limits:
    """Read the counts and limits of a metric.

    Parameters
    ----------
    metric : mapping
        As it stands under ``spec.metrics``, with its arguments put in.

    Returns
    -------
    Limits
        They.

    Raises
    ------
    PolicyError
        If one cannot be read, in Argo Rollouts' own words; whether they go together is for `validate_metrics`.

    Examples
    --------
    >>> limits_of({"interval": "5m", "failureLimit": "3"})
    Limits(count=0, failure=3, inconclusive=0, consecutive_error=4, consecutive_success=0, interval=300.0, initial_delay=0.0)
    """
    return Limits(
        count=_whole(metric, "count", 0),
        failure=_whole(metric, "failureLimit", 0),
        inconclusive=_whole(metric, "inconclusiveLimit", 0),
        consecutive_error=_whole(metric, "consecutiveErrorLimit", 4),
        consecutive_success=_whole(metric, "consecutiveSuccessLimit", 0),
        interval=_seconds(metric, "interval", "interval"),
        initial_delay=_seconds(metric, "initialDelay", "startDelay"),
    )


def _problem(limits: Limits) -> str | None:
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

    Parameters
    ----------
    metrics : sequence of mapping
        As they stand under ``spec.metrics``, with their arguments put in.

    Raises
    ------
    PolicyError
        The first that is wrong, in Argo Rollouts' own words.

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
    """Tell whether one of some regular expressions finds a metric's name, anywhere in it.

    Parameters
    ----------
    patterns : sequence of str
        As in ``dryRun``. Argo Rollouts follows them in linear time and Python does not, so only simple ones are taken.
    name : str
        The name.

    Returns
    -------
    bool
        Whether one does.

    Raises
    ------
    PolicyError
        If one is no regular expression, or repeats groups, or more than one part between its ends.

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

"""What is said of evidence that is watched: how strong it is, when it decided, and how much longer it may take."""

from __future__ import annotations

from canaryjudge.explain.numbers import count, number
from canaryjudge.explain.times import moment, span_of_time
from canaryjudge.results import Finding, Outcome

__all__ = ["odds", "outlook", "taken"]

_LARGEST = 6.0
"""Evidence beyond a million to one is told as that."""
_SMALLEST = -2.0
"""Evidence below a hundredth to one is told as that."""


def odds(finding: Finding) -> str:
    """Say how strong the evidence is, and what would do."""
    harm = f"of harm {_to_one(finding.log_e_fail)} ({_to_one_of(finding.level)} fails)"
    harmlessness = f"of harmlessness {_to_one(finding.log_e_pass)} ({_to_one_of(finding.beta)} passes)"
    if finding.outcome is Outcome.FAIL:
        return f", evidence {harm}"
    if finding.outcome is Outcome.PASS:
        return f", evidence {harmlessness}"
    return f", evidence {harm}, {harmlessness}"


def _to_one(log_e: float | None) -> str:
    if log_e is None or log_e < _SMALLEST:
        return "under 0.01 to 1"
    if log_e > _LARGEST:
        return "over a million to 1"
    times = 10**log_e
    return f"{number(float(f'{times:.3g}') if times > 1 else times, 3 if times > 1 else 2)} to 1"


def _to_one_of(level: float) -> str:
    return f"{number(1 / level, 3)} to 1"


def taken(finding: Finding, counted: str) -> str:
    """Say at which planned look it is, and when it was decided."""
    looks = (
        f", look {finding.looks} of {finding.looks_planned}"
        if finding.looks and finding.looks_planned is not None
        else ""
    )
    if finding.decided_after is None:
        return looks
    at = "" if finding.decided_at is None else f", at {moment(finding.decided_at)}"
    return f"{looks}, decided after {count(finding.decided_after)} {counted}{at}"


def outlook(
    finding: Finding, interval: float | None, counted: str, visible: str | None, *, over: bool = False
) -> str:
    """Say how much longer it may take, and what could be seen by now.

    Parameters
    ----------
    finding : Finding
        An undecided one.
    interval : float or None
        Seconds between points.
    counted : str
        What the points are called.
    visible : str or None
        The smallest change that would fail by now, in words.
    over : bool
        Whether the watch has ended.

    Returns
    -------
    str
        The end of a sentence, beginning with a semicolon; nothing where there is nothing to say.
    """
    parts = []
    if finding.more_points is not None:
        parts.append(_longer(finding, interval, counted, over=over))
    elif finding.looks_planned is not None and finding.reason == "too_little_data":
        parts.append(_looks_so_far(finding.looks or 0, finding.looks_planned))
    if visible is not None:
        parts.append(f"the smallest regression visible now is {visible}")
    return "".join(f"; {part}" for part in parts)


def _looks_so_far(looks: int, planned: int) -> str:
    if looks == planned:
        return f"each of the {planned} planned looks came too early"
    if looks:
        return f"look {looks} of the {planned} that are planned came too early"
    return f"the first of {planned} planned looks is still to come"


def _longer(finding: Finding, interval: float | None, counted: str, *, over: bool) -> str:
    points = finding.more_points or 0
    about = float(f"{points:.2g}")
    size = f"{count(about)} more {counted if about > 1 else counted.removesuffix('s')}"
    known = interval is not None and counted != "samples"
    time = f" ({span_of_time(points * (interval or 0.0))})" if known else ""
    if finding.looks_planned is not None:
        return f"the next look is after {count(points)} more {counted if points > 1 else counted.removesuffix('s')}{time}"
    if finding.reason == "too_little_data":
        return f"it takes {size}{time}"
    would = "would have decided" if over else "would decide"
    return f"about {size}{time} {would} at this traffic and estimate"

"""What is said of evidence that is watched: how strong it is, when it decided, and how much longer it may take."""

from __future__ import annotations

from canaryjudge.explain.numbers import count, more, odds_against, odds_for
from canaryjudge.explain.times import moment, time_of
from canaryjudge.results import Finding, Outcome

__all__ = ["odds", "outlook", "taken"]


def odds(finding: Finding) -> str:
    """Say how strong the evidence is, and what would do."""
    harm = f"of harm {odds_for(finding.log_e_fail)} ({odds_against(finding.level)} fails)"
    harmlessness = f"of harmlessness {odds_for(finding.log_e_pass)} ({odds_against(finding.beta)} passes)"
    if finding.outcome is Outcome.FAIL:
        return f", evidence {harm}"
    if finding.outcome is Outcome.PASS:
        return f", evidence {harmlessness}"
    return f", evidence {harm}, {harmlessness}"


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
    known = interval is not None and counted != "samples"
    time = f" ({time_of(points, interval or 0.0)})" if known else ""
    if finding.looks_planned is not None:
        return f"the next look is after {more(points, counted, roughly=False)}{time}"
    size = more(points, counted)
    if finding.reason == "too_little_data":
        return f"it takes {size}{time}"
    would = "would have decided" if over else "would decide"
    return f"about {size}{time} {would} at this traffic and estimate"

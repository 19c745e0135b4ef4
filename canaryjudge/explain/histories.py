"""What is said of a service's own past, and of verdicts that know nothing of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from canaryjudge.explain.numbers import count, number, span_of_time
from canaryjudge.explain.quantities import change
from canaryjudge.history.own_past import FEWEST_WINDOWS
from canaryjudge.kinds import KINDS
from canaryjudge.results import HistoryFacts, MetricResult
from canaryjudge.rules.findings import LevelFinding

__all__ = ["history_sentence", "is_measured", "rates_of_what"]

_LACKS: Final = {
    "arms": "no two of its series ran side by side, so it does not say by how much arms on one clock differ, and assumed_spread stands in",
    "replicas": "two series side by side do not say by how much others would differ, and assumed_spread stands in",
}
_STATED: Final = {
    "noise_floor": "the policy's own noise_floor counts instead",
    "replicas": "the release's own replicas say by how much they differ",
}


def history_sentence(result: MetricResult) -> str:
    """Say from what the history tells how much healthy arms differ, and how much that is, or why it does not tell; empty where none was given."""
    past = result.history
    if past is None:
        return ""
    said = [_floor(past, result)]
    if past.dispersion is not None:
        said.append(
            f"counts of an interval vary {number(past.dispersion, 2)} times as much as chance explains"
        )
    if past.late:
        said.append(
            f"{count(past.late)} {_points(past.late, result)} that do not lie before the arms' first left out"
        )
    return f"history: {'; '.join(said)}"


def _floor(past: HistoryFacts, result: MetricResult) -> str:
    if past.stated is not None:
        return _STATED[past.stated]
    if past.lacks == "metric":
        return f"it has nothing of this metric{' from before the arms' if past.late else ''}"
    if past.lacks in _LACKS:
        return _LACKS[past.lacks]
    if past.floor is None:
        return (
            f"{_of_what(past, result)}, too few to tell by how much they differ, which takes {FEWEST_WINDOWS}"
        )
    by = f"by {change(past.floor.spread, 'absolute' if past.floor.absolute else 'relative', result.kind, result.unit)}"
    scatter = (
        "beyond the scatter of their points" if past.floor.spread else "by no more than their points explain"
    )
    return f"{_of_what(past, result)} differ {f'{by} {scatter}' if past.floor.spread else scatter}"


def _of_what(past: HistoryFacts, result: MetricResult) -> str:
    """Name the windows or the series that were compared, and from how long a time they are."""
    over = ""
    if past.start is not None and past.end is not None:
        over = f" over {span_of_time(past.end - past.start)}"
    if past.source == "releases":
        return f"the arms of {count(past.windows // 2)} past {'release' if past.windows == 2 else 'releases'}{over}"
    windows = f"{count(past.windows)} {'window' if past.windows == 1 else 'windows'} of {count(past.points)} {_points(past.points, result)}"
    if past.source != "replicas" or past.floor is None:
        return windows + over
    return f"{count(past.floor.measured_from)} series side by side, in {windows}{over},"


def _points(number: int, result: MetricResult) -> str:
    word = KINDS[result.kind].points
    return word.removesuffix("s") if number == 1 else word


def is_measured(result: MetricResult) -> bool:
    """Tell whether anything says by how much healthy arms of this metric differ, where it is compared at all."""
    if KINDS[result.kind].is_paired:  # the same requests, and a second baseline where there is noise
        return True
    known = result.history is not None and result.history.floor is not None
    return all(
        _takes_floor(finding)
        if known
        else finding.replicas is not None
        or (finding.noise_floor is not None and not finding.noise_floor.assumed)
        for finding in result.findings
        if isinstance(finding, LevelFinding)
    )


def _takes_floor(finding: LevelFinding) -> bool:
    """Tell whether a test widens its interval by a floor: those that may be asked at any time do not."""
    return finding.watch is None or finding.watch.looks_planned is not None


def rates_of_what(results: Iterable[MetricResult]) -> str:
    """Say whether the error rates are those of the service, or of a comparison that knows nothing of it."""
    judged = [result for result in results if result.findings and result.role != "muted"]
    of_users = [result for result in judged if KINDS[result.kind].has_users]
    judged = [result for result in judged if not KINDS[result.kind].has_users]
    if of_users and not judged:
        return "provided that users were given their arm at random"
    unknown = [result for result in judged if not is_measured(result)]
    proviso = "provided that nothing but the release differs between the arms' windows"
    proviso += ", and users were given their arm at random" if of_users else ""
    if not unknown:
        return f"{proviso}, beyond what healthy ones differ by anyway"
    whose = "" if len(unknown) == len(judged) else f", of {len(unknown)} of {len(judged)} metrics,"
    return (
        f"{proviso}. By how much healthy ones{whose} differ anyway is not known here, so these are the rates of the comparison and not of your service; "
        "history, replicas or a noise_floor would tell"
    )

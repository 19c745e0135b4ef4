"""Words for a release as a whole: its title, a headline, and one line for logs."""

from __future__ import annotations

from canaryjudge.explain.lines import cut, on_one_line
from canaryjudge.explain.numbers import score
from canaryjudge.explain.sentences import metric_sentence
from canaryjudge.results import MetricResult, Outcome, ReleaseResult

__all__ = ["clause", "headline", "one_line", "title"]

_ACTIONS = {"promote": "promote", "hold": "hold", "rollback": "roll back"}
_LONGEST_LINE = 199
_SHORTEST_NAME = 40


def title(release: ReleaseResult) -> str:
    """Give outcome and action: ``FAIL: roll back``."""
    return f"{release.outcome.value.upper()}: {_ACTIONS[release.action]}"


def headline(release: ReleaseResult) -> str:
    """Say in one sentence how many metrics came out how, and which decided."""
    counts = [
        f"{n} {word}"
        for outcome, word in (
            (Outcome.FAIL, "failed"),
            (Outcome.MARGINAL, "undecided"),
            (Outcome.PASS, "passed"),
        )
        if (
            n := sum(
                result.outcome is outcome and result.role != "muted" for result in release.metrics.values()
            )
        )
    ]
    muted = sum(result.role == "muted" for result in release.metrics.values())
    counts += [f"{muted} muted"] if muted else []
    if len(release.metrics) == 1:
        (only,) = release.metrics.values()
        rule = f" (rule {release.deciding_rule})" if release.deciding_rule else ""
        return f"The only metric, {only.name}, {counts[0].split(' ', 1)[1].replace('undecided', 'is undecided')}{rule}."
    parts = f"Of {len(release.metrics)} metrics {', '.join(counts)}"
    if release.aggregate == "score" and release.score is not None:
        parts += f"; score {score(release.score)} of 100"
    if release.deciding_metric is None:
        return f"{parts}."
    by = f" (rule {release.deciding_rule})" if release.deciding_rule else ""
    proven = release.metrics[release.deciding_metric].outcome is Outcome.PASS
    verb = {
        Outcome.FAIL: "decided",
        Outcome.MARGINAL: "holds it",
        Outcome.PASS: "was the hardest to prove" if proven else "is unproven",
    }[release.outcome]
    return f"{parts}; {release.deciding_metric} {verb}{by}."


def one_line(release: ReleaseResult) -> str:
    """Say it in one line of under 200 characters: outcome, deciding metric, numbers."""
    outcome = release.outcome.value.upper()
    if release.deciding_metric is None:
        return f"{outcome}: no metric was judged"
    result = release.metrics[release.deciding_metric]
    others = sum(
        other.outcome is release.outcome and other.name != result.name and other.role != "muted"
        for other in release.metrics.values()
    )
    tail = f" (and {others} more)" if others and release.outcome is not Outcome.PASS else ""
    rated = (
        f"score {score(release.score)}; "
        if release.aggregate == "score" and release.score is not None
        else ""
    )
    before, name, after = f"{outcome}: {rated}", on_one_line(result.name), f": {clause(result, release)}"
    room = _LONGEST_LINE - len(tail)
    # a long name makes way for the reason, and only then the reason's end is lost
    name = cut(name, max(room - len(before) - len(after), _SHORTEST_NAME))
    return cut(before + name + after, room) + tail


def clause(result: MetricResult, release: ReleaseResult) -> str:
    """Say the main thing about a metric: the sentence about it up to its first semicolon."""
    return on_one_line(metric_sentence(result, release).split("; ")[0])

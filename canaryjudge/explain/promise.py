"""Words for what a verdict promises: its error rates, and the guarantees that are given up."""

from __future__ import annotations

from canaryjudge.explain.numbers import set_percent
from canaryjudge.results import ReleaseResult, Waived

__all__ = ["promise", "waiver_sentence"]


def promise(release: ReleaseResult) -> str:
    """Say what the two error rates are, and for how many looks."""
    if release.aggregate == "score":
        return "Nothing but the release should differ between the arms' windows; this data alone cannot vouch for that."
    looks = "this one look at finished data" if release.valid_for == "one_look" else "all looks together"
    start = "Apart from what is waived, at most" if release.waived else "At most"
    return (
        f"{start} {set_percent(release.alpha)} of releases that are fine fail, and at most {set_percent(release.beta)} of those that are not pass, "
        f"over all metrics, for {looks}; provided that nothing but the release differs between the arms' windows, for which "
        "this data alone cannot vouch."
    )


def waiver_sentence(waived: Waived) -> str:
    """Say which guarantee is given up, and by what."""
    sentence = {
        "aggregate_score": "aggregate: score weighs metrics against each other, so neither alpha nor beta holds",
        "no_data_ignored": "no_data: ignore lets the release pass without this metric",
        "not_proven_worse_passes": "pass_when: not_proven_worse passes what is undecided, so beta does not hold",
        "point_evidence": "evidence: point compares an estimate without its interval, so neither alpha nor beta holds",
        "independence_assumed": "points or events are taken as independent; if they are not, releases fail and pass too often",
        "outside_proven_range": "so few or so dependent points lie outside the range in which the test's error rates are proven",
        "replicas_pooled": "replicas are taken together, so by as much as they differ among themselves releases fail and pass too often",
        "deadline_passes": "on_deadline: pass lets it pass undecided, so beta does not hold",
        "deadline_fails": "on_deadline: fail fails it undecided, so alpha does not hold",
        "nothing_required": "no metric is required, so a pass proves nothing",
    }[waived.what]
    return f"{waived.metric}: {sentence}" if waived.metric else sentence

"""Words for rules about what a level does not show: points far out, and the last half."""

from __future__ import annotations

from canaryjudge.explain.numbers import count, pvalue
from canaryjudge.explain.quantities import change, level_of
from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding

__all__ = ["excursion_found", "has_own_tolerance", "is_quiet", "quiet_sentence"]

_FEATURES = ("excursion", "late_shift")
_QUIET = {"excursion": "burst", "late_shift": "late shift"}
"""What rules about features look for."""


def is_quiet(finding: Finding, index: int, result: MetricResult) -> bool:
    """Tell whether a finding is of a rule about a feature that has nothing to say against the canary, and did not decide."""
    return (
        index != result.deciding_rule
        and finding.outcome is Outcome.PASS
        and (finding.rule in _FEATURES or finding.reason == "nothing_found")
    )


def quiet_sentence(result: MetricResult) -> str:
    """Name the rules that have nothing to say against the canary, in one sentence; empty where there are none.

    Parameters
    ----------
    result : MetricResult
        A metric.

    Returns
    -------
    str
        What they found, and whether that is a proof; of a metric that fails anyway, nothing.
    """
    if result.outcome is Outcome.FAIL:
        return ""
    quiet = [f for i, f in enumerate(result.findings) if is_quiet(f, i, result)]
    absent = [_QUIET.get(f.rule, f"fault by {f.rule}") for f in quiet if f.reason != "nothing_found"]
    unseen = [_QUIET.get(f.rule, f"fault by {f.rule}") for f in quiet if f.reason == "nothing_found"]
    said = [f"no {' and no '.join(absent)}"] if absent else []
    if unseen:
        them = "one" if len(unseen) == 1 else "them"
        said.append(f"no {' and no '.join(unseen)} found, which does not rule {them} out")
    return "; ".join(said)


def has_own_tolerance(finding: Finding, result: MetricResult) -> bool:
    """Tell whether a finding about a feature is held against another limit than the metric's level."""
    levels = [f for f in result.findings if f.rule not in _FEATURES and f.scale in ("relative", "absolute")]
    limits = (finding.scale, finding.limit_high, finding.limit_low)
    return bool(levels) and all(limits != (f.scale, f.limit_high, f.limit_low) for f in levels)


def excursion_found(finding: Finding, result: MetricResult) -> str:
    """Say how many points lie beyond everything that the baseline shows, and how surprising that is.

    Parameters
    ----------
    finding : Finding
        Of an excursion.
    result : MetricResult
        Its metric.

    Returns
    -------
    str
        One sentence.
    """
    margin = finding.limit_high if finding.limit_high is not None else -(finding.limit_low or 0.0)
    upward = finding.limit_high is not None
    where = "above" if upward else "below"
    bound, worst = (
        level_of(value or 0.0, result.kind, result.unit) for value in (finding.beyond, finding.baseline_level)
    )
    room = change(margin, "absolute", result.kind, result.unit)
    noun = KINDS[result.kind].point
    sizes = f"{count(finding.n_canary)} v. {count(finding.n_baseline)} {noun}s"
    if not finding.points_beyond:
        extreme = "highest" if upward else "lowest"
        return (
            f"no {noun} lies {where} {bound}, the baseline's {extreme} and a tolerated {room} more ({sizes})"
        )
    many = finding.points_beyond
    said = f"1 {noun} lies" if many == 1 else f"{count(many)} {noun}s lie"
    beyond = f"{said} {where} {bound}: beyond all of the baseline's, the worst of which is {worst}, and a tolerated {room} more"
    needs_bound = (finding.pvalue or 0.0) <= finding.level
    suspicious = (
        "only a tolerance.absolute can say whether so much matters"
        if needs_bound
        else "suspicious, but not proven"
    )
    told = {"proven_worse": "", "suspected": f"; {suspicious}"}.get(
        finding.reason, "; so few prove nothing" if many < 3 else "; not proven to be more than chance"
    )
    return f"{beyond}{told}; precedence test that allows for autocorrelation {pvalue(finding.pvalue or 0.0)}, {sizes}"

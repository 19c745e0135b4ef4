"""Words for rules about what a level does not show: points far out, and the last half."""

from __future__ import annotations

from canaryjudge.explain.numbers import count, pvalue
from canaryjudge.explain.quantities import change, level_of
from canaryjudge.kinds import KINDS
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding

__all__ = ["FEATURES", "excursion_found", "has_own_tolerance"]

FEATURES = ("excursion", "late_shift")


def has_own_tolerance(finding: Finding, result: MetricResult) -> bool:
    """Tell whether a finding about a feature is held against another limit than the metric's level."""
    levels = [f for f in result.findings if f.rule not in FEATURES and f.scale in ("relative", "absolute")]
    limits = (finding.scale, finding.limit_high, finding.limit_low)
    return bool(levels) and all(limits != (f.scale, f.limit_high, f.limit_low) for f in levels)


def excursion_found(finding: Finding, result: MetricResult) -> str:
    """Say how many points lie beyond everything that the baseline shows, and how surprising that is."""
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

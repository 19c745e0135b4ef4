"""Several rules as one: any of them may hold, or all must."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from canaryjudge.data import MetricPair
from canaryjudge.policy import AnyOf, GroupSettings, Metric
from canaryjudge.reasons import Reason
from canaryjudge.results import Finding, Outcome
from canaryjudge.rules.decision import Rule, Share

__all__ = ["judge_group"]

_Combine = Callable[[list[float]], float]


def judge_group(
    pair: MetricPair, metric: Metric, settings: GroupSettings, share: Share, rules: Mapping[str, Rule]
) -> Finding:
    """Judge a metric by a group of rules.

    Parameters
    ----------
    pair : MetricPair
        Both arms.
    metric : Metric
        Its settings.
    settings : AnyOf or AllOf
        The rules of the group.
    share : Share
        The error rates of the group.
    rules : mapping of str to callable
        Each rule by its name, groups too.

    Returns
    -------
    Finding
        What the member that decided found, with the group's outcome, p-values and error rates; every member's own under `parts`.

    Notes
    -----
    `any_of` fails only if every member does, which is an intersection-union test: each is asked at the whole level. It passes as soon as one of k
    does, so each is asked at beta / k. `all_of` is the mirror image: level / k, and the whole beta.
    """
    any_of, count = isinstance(settings, AnyOf), len(settings.rules)
    own = replace(share, beta=share.beta / count) if any_of else replace(share, level=share.level / count)
    parts = tuple(rules[rule.rule](pair, metric, rule, own) for rule in settings.rules)
    if any_of:
        parts = tuple(_unproven(part) for part in parts)
    # the best of any_of decides, and the worst of all_of; of several, the one that is nearest to its level
    best = min if any_of else max
    outcome = best((part.outcome for part in parts), key=lambda found: found.badness)
    deciding = min((part for part in parts if part.outcome is outcome), key=_distance)
    fails, passes = ([_pvalue(part, which) for part in parts] for which in (Outcome.FAIL, Outcome.PASS))
    return deciding.model_copy(
        update={
            "rule": settings.rule,
            "level": share.level,
            "beta": share.beta,
            "pvalue": max(fails) if any_of else min(1.0, count * min(fails)),
            "pvalue_pass": min(1.0, count * min(passes)) if any_of else max(passes),
            "waived": tuple(dict.fromkeys(what for part in parts for what in part.waived)),
            "parts": parts,
        }
    )


def _unproven(part: Finding) -> Finding:
    """Take a rule that found nothing for what it is where one pass would be enough: no proof."""
    if part.reason != "nothing_found":
        return part
    return part.model_copy(update={"outcome": Outcome.MARGINAL, "reason": Reason.UNDECIDED})


def _pvalue(part: Finding, which: Outcome) -> float:
    """Give the p-value by which a member could fail or pass; what abstains, or excuses the canary, is evidence of nothing."""
    found = part.pvalue if which is Outcome.FAIL else part.pvalue_pass
    rate = part.level if which is Outcome.FAIL else part.beta
    if part.outcome is which:
        return 0.0 if found is None or part.reason == "nothing_found" else found
    if part.reason in ("abstains", "environment_unhealthy"):
        return 1.0
    return 1.0 if found is None or found <= rate else found


def _distance(part: Finding) -> float:
    """How near a member is to the decision that it took, or was nearest to."""
    if part.outcome is Outcome.PASS:
        return 1.0 if part.pvalue_pass is None else part.pvalue_pass / part.beta
    return 1.0 if part.pvalue is None else part.pvalue / part.level

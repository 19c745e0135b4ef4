"""The judge: data and a policy in, a verdict with its reasons out."""

from __future__ import annotations

from canaryjudge.judging.judge import judge, judge_many
from canaryjudge.judging.metrics import Case, judge_cases, rule_levels, shares
from canaryjudge.judging.releases import (
    check_policy,
    collected_later,
    digest,
    judge_releases,
    policy_digest,
)

__all__ = [
    "Case",
    "check_policy",
    "collected_later",
    "digest",
    "judge",
    "judge_cases",
    "judge_many",
    "judge_releases",
    "policy_digest",
    "rule_levels",
    "shares",
]

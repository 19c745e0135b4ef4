"""What is found of the metrics of releases, put together to one verdict a release."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from canaryjudge._version import __version__
from canaryjudge.arm_summaries import facts_of_arms
from canaryjudge.data import (
    History,
    MetricPair,
    with_exposures,
)
from canaryjudge.errors import PolicyError
from canaryjudge.judging.metrics import Case, judge_cases, rules_of, shares
from canaryjudge.outcomes import conclude
from canaryjudge.policy import Policy
from canaryjudge.results import (
    ReleaseResult,
)
from canaryjudge.verdict import Verdict

__all__ = [
    "check_policy",
    "collected_later",
    "digest",
    "judge_releases",
    "policy_digest",
    "verdict_of",
    "written",
]


def check_policy(policy: Any) -> None:
    """Refuse what is no policy."""
    if not isinstance(policy, Policy):
        raise PolicyError(
            f"the policy is a {type(policy).__name__}",
            "Make it with Policy(...), or read it with load_policy(path).",
        )


@contextmanager
def collected_later() -> Iterator[None]:
    """Spare the collector of cycles, of which there are none here, its looks at thousands of findings again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def judge_releases(
    releases: Sequence[Mapping[str, MetricPair]],
    policy: Policy,
    arms: Sequence[tuple[str, str]],
    histories: Sequence[History | None] | None = None,
) -> Iterator[tuple[ReleaseResult, list[Case]]]:
    """Judge releases at once, each with the names of its arms, and of its past; each with what was judged of it."""
    alphas = shares(policy)
    cases = [
        [
            Case.of(
                with_exposures(pairs[metric.name], metric, policy),
                metric,
                alphas[metric.name],
                history,
                names,
                policy.control,
            )
            for metric in policy.metrics
        ]
        for pairs, names, history in zip(releases, arms, histories or [None] * len(releases), strict=True)
    ]
    found = iter(judge_cases([case for own in cases for case in own], policy))
    kinds = {(id(case.metric), case.pair.pairing): case for own in cases for case in own}
    at_looks = {
        key: all(rule.rule == "sequential" for rule in rules_of(case.metric, case.pair.pairing))
        for key, case in kinds.items()
    }
    for own, names in zip(cases, arms, strict=True):
        results = {case.pair.name: next(found) for case in own}
        sequential = all(at_looks[id(case.metric), case.pair.pairing] for case in own)
        yield conclude(results, policy, names, "all_looks" if sequential else "one_look"), own


@np.errstate(all="ignore")  # of many, a verdict is given later
def verdict_of(
    pairs: Mapping[str, MetricPair], policy: Policy, arms: tuple[str, str], history: History | None = None
) -> Verdict:
    """Give the verdict of one release."""
    ((release, cases),) = judge_releases([pairs], policy, [arms], [history])
    return written(release, cases, [pairs[name].digest() for name in release.metrics], policy, arms, history)


def written(
    release: ReleaseResult,
    cases: Sequence[Case],
    digests: Sequence[str],
    policy: Policy,
    arms: tuple[str, str],
    history: History | None,
) -> Verdict:
    """Write a verdict of what became of a release, with digests of its data."""
    from canaryjudge.explain import one_line  # noqa: PLC0415 - the words are loaded when they are wanted

    arms_of = [(arm, case.pair) for case in cases for arm in (case.pair.baseline, case.pair.canary)]
    facts = facts_of_arms(arms_of)
    drawn = {
        name: result.model_copy(update={"baseline": baseline, "canary": canary})
        for (name, result), baseline, canary in zip(
            release.metrics.items(), facts[::2], facts[1::2], strict=True
        )
    }
    return Verdict(
        **dict(release) | {"metrics": drawn},
        reason=one_line(release),
        version=__version__,
        policy_digest=policy_digest(policy),
        data_digest=digest(
            [
                *arms,
                *digests,
                *([] if history is None else [history.digest()]),
            ]
        ),
    )


def policy_digest(policy: Policy) -> str:
    """Give the SHA-256 of a policy, of whatever others it was made."""
    return digest([policy.model_dump_json(exclude={"extends"})])


def digest(parts: Iterable[str]) -> str:
    """Give the SHA-256 of texts, in hexadecimal."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()

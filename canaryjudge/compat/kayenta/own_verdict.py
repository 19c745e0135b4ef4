"""canaryjudge's own verdict beside Kayenta's: the same data and the same config, so that a team sees where they differ before it switches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge._version import __version__
from canaryjudge.errors import CanaryJudgeError
from canaryjudge.explain.sentences import metric_sentence
from canaryjudge.integrations.imports import Account
from canaryjudge.integrations.kayenta.config import CanaryConfig
from canaryjudge.integrations.kayenta.metrics import group_weights, metric_settings, score_settings
from canaryjudge.integrations.kayenta.options import metric_options
from canaryjudge.integrations.kayenta.pairs import Pair
from canaryjudge.judge import judge
from canaryjudge.policy import Metric, Policy
from canaryjudge.results import MetricResult, Outcome
from canaryjudge.verdict import Verdict

__all__ = ["Beside", "own_verdict"]

_SAME: Final = {
    "Pass": Outcome.PASS,
    "High": Outcome.FAIL,
    "Low": Outcome.FAIL,
    "NodataFailMetric": Outcome.FAIL,
    "Error": Outcome.MARGINAL,
}
_LONGEST_NAME: Final = 180


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside Kayenta's answer.

    Attributes
    ----------
    rows : tuple of dict
        For each pair, in order.
    release : dict
        For the whole canary.
    """

    rows: tuple[dict[str, Any], ...]
    release: dict[str, Any]


def own_verdict(
    config: CanaryConfig,
    thresholds: tuple[float, float],
    pairs: Sequence[Pair],
    labels: Sequence[str],
    word: str,
) -> Beside:
    """Judge the same pairs by the policy that the config imports as, and say where the two differ.

    Parameters
    ----------
    config : CanaryConfig
        The canary config.
    thresholds : tuple of float
        Scores of a pass and of a marginal.
    pairs : sequence of Pair
        The data; each pair is a metric of its own, as it is a result of its own to Kayenta.
    labels : sequence of str
        Kayenta's label of each.
    word : str
        Its verdict on the whole canary.

    Returns
    -------
    Beside
        Plain data. Where canaryjudge has no verdict, the reason says why; Kayenta's answer does not depend on it.
    """
    names = _names(pairs)
    account = Account()
    try:
        policy, judged = _policy(config, thresholds, dict(zip(names, pairs, strict=True)), account)
        verdict = judge(
            {
                name: pair.series(
                    replace_missing=metric_options(config.metrics[pair.name], name).replace_missing
                )
                for name, pair in zip(names, pairs, strict=True)
                if name in judged
            },
            policy,
        )
    except CanaryJudgeError as error:
        missing = {"outcome": None, "reason": f"canaryjudge does not judge this: {error}", "agrees": False}
        return Beside(tuple(dict(missing) for _ in pairs), missing | {"version": __version__})
    rows = tuple(_row(verdict, name, label) for name, label in zip(names, labels, strict=True))
    return Beside(rows, _release(verdict, word, names, rows, account))


def _policy(
    config: CanaryConfig, thresholds: tuple[float, float], rows: Mapping[str, Pair], account: Account
) -> tuple[Policy, set[str]]:
    """Make the policy, a metric a pair; and name those that can be judged."""
    groups = [group for pair in rows.values() for group in config.metrics[pair.name].get("groups") or ()]
    weights = group_weights(config.weights, groups)
    plain = {
        name: metric_settings(config.metrics[name], weights, account, f"metric {name}")
        for name in dict.fromkeys(pair.name for pair in rows.values())
    }
    settings = {
        name: own | {"name": name} for name, pair in rows.items() if (own := plain[pair.name]) is not None
    }
    used = [own["group"] for own in settings.values() if "group" in own]
    policy = Policy(
        metrics=tuple(Metric(**own) for own in settings.values()), **score_settings(weights, thresholds, used)
    )
    return policy, set(settings)


def _row(verdict: Verdict, name: str, label: str) -> dict[str, Any]:
    result = verdict.metrics.get(name)
    if result is None:
        return {"outcome": None, "reason": "canaryjudge does not judge this metric", "agrees": False}
    return {
        "outcome": result.outcome.value,
        "reason": result.reason,
        "explanation": f"{metric_sentence(result, verdict)}.",
        "agrees": _agrees(result, label),
        "release": verdict.outcome.value,
    }


def _agrees(result: MetricResult, label: str) -> bool:
    if label == "Nodata":
        return result.lacks_data
    return result.outcome is _SAME[label]


def _release(
    verdict: Verdict, word: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]], account: Account
) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "action": verdict.action,
        "reason": verdict.reason,
        "agrees": verdict.outcome.value == word.lower(),
        "differs": [name for name, row in zip(names, rows, strict=True) if not row["agrees"]],
        "adapted": [str(remark) for remark in account.remarks if remark.kind in ("adapted", "unjudged")],
        "version": __version__,
        "verdict": verdict.to_dict(),
    }


def _names(pairs: Sequence[Pair]) -> list[str]:
    """Give each pair a name of its own that a policy can have: the metric's, with its tags where there are several."""
    several = {
        pair.name
        for index, pair in enumerate(pairs)
        if any(pair.name == other.name for other in pairs[:index])
    }
    names: list[str] = []
    taken: set[str] = set()
    for pair in pairs:
        whole = f"{pair.name} [{pair.label}]" if pair.name in several and pair.label else pair.name
        name = base = " ".join(whole.split())[:_LONGEST_NAME].strip() or "metric"
        number = 2
        while name in taken:
            name, number = f"{base} {number}", number + 1
        taken.add(name)
        names.append(name)
    return names

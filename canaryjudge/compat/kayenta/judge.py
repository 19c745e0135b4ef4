"""Kayenta's judge as a function: the request of its remote-judge interface in, its answer out, and canaryjudge's own verdict beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from canaryjudge._version import __version__
from canaryjudge.compat.kayenta.classifier import SEED, Classified, classify, statistics, transformed
from canaryjudge.compat.kayenta.scores import Labeled, Scored, score, verdict_word
from canaryjudge.data.diagnostics import shown
from canaryjudge.errors import CanaryJudgeError, DataError, PolicyError
from canaryjudge.explain.sentences import metric_sentence
from canaryjudge.integrations.imported import Account
from canaryjudge.integrations.kayenta.config import (
    CanaryConfig,
    MetricOptions,
    metric_options,
    read_config,
    read_thresholds,
)
from canaryjudge.integrations.kayenta.importer import group_weights, metric_settings, score_settings
from canaryjudge.integrations.kayenta.pairs import MetricSetPair, read_json, read_pairs
from canaryjudge.judging import judge
from canaryjudge.policy import Metric, Policy
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult
from canaryjudge.verdict import Verdict

__all__ = ["JUDGE_NAME", "judge_kayenta"]

JUDGE_NAME: Final = "NetflixACAJudge-v1.0"
_OURS: Final = "canaryjudge"
_SAME: Final = {
    "Pass": Outcome.PASS,
    "High": Outcome.FAIL,
    "Low": Outcome.FAIL,
    "NodataFailMetric": Outcome.FAIL,
    "Error": Outcome.MARGINAL,
}
_LONGEST_NAME: Final = 180


def judge_kayenta(request: Mapping[str, Any] | str | bytes) -> dict[str, Any]:
    """Answer a request of Kayenta's remote-judge interface as its own judge does, with canaryjudge's verdict beside it.

    Parameters
    ----------
    request : mapping, str or bytes
        What Kayenta's ``RemoteJudge-v1.0`` posts to ``/judge``, or its JSON text: ``canaryConfig``, ``scoreThresholds`` and
        ``metricSetPairList``.

    Returns
    -------
    dict
        Kayenta's ``CanaryJudgeResult``, ready for ``json.dumps``; what is not finite is a word, as Kayenta writes it. Each result's
        ``resultMetadata`` has canaryjudge's verdict on the metric under ``canaryjudge``, and the answer's own ``resultMetadata`` that on
        the release; Kayenta ignores what it does not know.

    Raises
    ------
    PolicyError
        If the canary config or the thresholds cannot be read, or Kayenta itself fails on them: ``critical: "true"``, a pair whose
        metric is not in the config.
    DataError
        If the metric set pairs cannot be read, or are more than 2,000 pairs or 1,000,000 points.

    Notes
    -----
    Labels, reasons, scores and statistics are those of ``NetflixACAJudge-v1.0`` to the last digit [1]_, in its order of operations. One
    thing is random there: where both arms are constant and differ, noise is added, from a generator without a seed, and the label may
    depend on it. Here each metric's noise comes from the same generator with the seed 1, so that the same request has the same answer;
    the result says so under ``noise``.

    References
    ----------
    .. [1] spinnaker/kayenta a69573be, kayenta-judge and kayenta-mannwhitney.

    Examples
    --------
    >>> pair = {"name": "errors", "id": "1", "tags": {}, "values": {"control": [4, 5, 6, 5, 4, 6, 5, 4, 6, 5], "experiment": [9, 8, 9, 7, 9, 8, 9, 8, 7, 9]}}
    >>> metric = {"name": "errors", "groups": ["errors"], "analysisConfigurations": {"canary": {"direction": "increase"}}}
    >>> answer = judge_kayenta({
    ...     "canaryConfig": {"metrics": [metric], "classifier": {"groupWeights": {"errors": 100}}},
    ...     "scoreThresholds": {"pass": 95, "marginal": 75}, "metricSetPairList": [pair]})
    >>> answer["results"][0]["classificationReason"], answer["score"]["classification"]
    ('errors was classified as High', 'Fail')
    >>> answer["resultMetadata"]["canaryjudge"]["outcome"]
    'fail'
    """
    try:
        with np.errstate(all="ignore"):
            return _answered(read_json(request))
    except RecursionError:
        raise DataError("the request is nested too deep", "Is it what Kayenta posts?") from None


def _answered(request: Any) -> dict[str, Any]:
    """Answer a request that is read."""
    if not isinstance(request, Mapping):
        raise DataError(
            f"the request is {shown(request)}", "It has canaryConfig, scoreThresholds and metricSetPairList."
        )
    config = read_config(request.get("canaryConfig"))
    if request["canaryConfig"].get("classifier") is None:
        raise PolicyError(
            "canaryConfig.classifier is missing, and Kayenta fails on that", 'Write {"groupWeights": {...}}.'
        )
    thresholds = read_thresholds(request.get("scoreThresholds"), "scoreThresholds")
    pairs = read_pairs(request.get("metricSetPairList"), "metricSetPairList")
    results, labeled = [], []
    for index, pair in enumerate(pairs):
        metric = _metric_of(pair, config, index)
        options = metric_options(metric, f"canaryConfig: metric {shown(pair.name)}")
        groups = tuple(metric.get("groups") or ())
        result, classified = _result(pair, options, groups)
        results.append(result)
        if not options.muted:
            labeled.append(Labeled(classified.label, classified.reason, classified.critical, groups))
    scored = score(labeled, config.weights)
    word = verdict_word(scored.score, *thresholds)
    answer = _answer(results, scored, word)
    labels = [result["classification"] for result in results]
    beside = _own_verdict(config, thresholds, pairs, labels, word)
    for result, own in zip(results, beside.rows, strict=True):
        result["resultMetadata"][_OURS] = own | result["resultMetadata"].get(_OURS, {})
    return answer | {"resultMetadata": {_OURS: beside.release}}


def _metric_of(pair: MetricSetPair, config: CanaryConfig, index: int) -> Mapping[str, Any]:
    metric = config.metrics.get(pair.name)
    if metric is None:
        raise PolicyError(
            f"metricSetPairList[{index}]: the metric {shown(pair.name)} is not in the canary config, and Kayenta fails on that",
            "Add it to canaryConfig.metrics, or leave the pair out.",
        )
    return metric


def _result(
    pair: MetricSetPair, options: MetricOptions, groups: tuple[str, ...]
) -> tuple[dict[str, Any], Classified]:
    """Classify one pair, and write its result."""
    control, experiment = (transformed(side, options) for side in (pair.control, pair.experiment))
    classified = classify(pair.name, (control, experiment), options)
    result: dict[str, Any] = {"name": pair.name, "tags": dict(pair.tags)}
    result |= {} if pair.id is None else {"id": pair.id}
    result["classification"] = classified.label
    result |= {} if classified.reason is None else {"classificationReason": classified.reason}
    metadata: dict[str, Any] = {} if classified.ratio is None else {"ratio": _written(classified.ratio)}
    if classified.noised:
        metadata[_OURS] = {
            "noise": f"both arms are constant: Kayenta adds unseeded noise, here from the seed {SEED}"
        }
    result |= {
        "groups": list(groups),
        "experimentMetadata": {"stats": _stats(statistics(experiment))},
        "controlMetadata": {"stats": _stats(statistics(control))},
        "resultMetadata": metadata,
        "critical": classified.critical,
        "muted": options.muted,
    }
    return result, classified


def _answer(results: list[dict[str, Any]], scored: Scored, word: str) -> dict[str, Any]:
    return {
        "judgeName": JUDGE_NAME,
        "results": results,
        "groupScores": [
            {"name": name, "score": value, "classification": "", "classificationReason": ""}
            for name, value in scored.groups.items()
        ],
        "score": {
            "score": _written(scored.score),
            "classification": word,
            "classificationReason": scored.reason,
        },
    }


def _stats(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: _written(value) for name, value in values.items()}


def _written(number: float) -> float | str:
    """Write what is not finite as a word: JSON has no number for it."""
    if math.isnan(number):
        return "NaN"
    return number if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


@dataclass(frozen=True, slots=True)
class _OwnVerdict:
    """What stands beside Kayenta's answer."""

    rows: tuple[dict[str, Any], ...]
    release: dict[str, Any]


def _own_verdict(
    config: CanaryConfig,
    thresholds: tuple[float, float],
    pairs: Sequence[MetricSetPair],
    labels: Sequence[str],
    word: str,
) -> _OwnVerdict:
    """Judge the same pairs by the policy that the config imports as, and say where the two differ."""
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
        return _OwnVerdict(tuple(dict(missing) for _ in pairs), missing | {"version": __version__})
    rows = tuple(_row(verdict, name, label) for name, label in zip(names, labels, strict=True))
    return _OwnVerdict(rows, _release(verdict, word, names, rows, account))


def _policy(
    config: CanaryConfig, thresholds: tuple[float, float], rows: Mapping[str, MetricSetPair], account: Account
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


def _names(pairs: Sequence[MetricSetPair]) -> list[str]:
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

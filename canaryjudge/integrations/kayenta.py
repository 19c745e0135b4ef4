"""Kayenta's judge as a function: the request of its remote-judge interface in, its answer out, and canaryjudge's own verdict beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from canaryjudge.data.diagnostics import shown
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.integrations.kayenta_beside import own_verdict
from canaryjudge.integrations.kayenta_config import CanaryConfig, read_config, read_thresholds
from canaryjudge.integrations.kayenta_metrics import Classified, classify, statistics, transformed
from canaryjudge.integrations.kayenta_noise import SEED
from canaryjudge.integrations.kayenta_options import MetricOptions, metric_options
from canaryjudge.integrations.kayenta_pairs import Pair, read_json, read_pairs
from canaryjudge.integrations.kayenta_scores import Labeled, Scored, score, verdict_word

__all__ = ["JUDGE_NAME", "judge_kayenta"]

JUDGE_NAME: Final = "NetflixACAJudge-v1.0"
_OURS: Final = "canaryjudge"


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
    request = read_json(request)
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
    beside = own_verdict(config, thresholds, pairs, labels, word)
    for result, own in zip(results, beside.rows, strict=True):
        result["resultMetadata"][_OURS] = own | result["resultMetadata"].get(_OURS, {})
    return answer | {"resultMetadata": {_OURS: beside.release}}


def _metric_of(pair: Pair, config: CanaryConfig, index: int) -> Mapping[str, Any]:
    metric = config.metrics.get(pair.name)
    if metric is None:
        raise PolicyError(
            f"metricSetPairList[{index}]: the metric {shown(pair.name)} is not in the canary config, and Kayenta fails on that",
            "Add it to canaryConfig.metrics, or leave the pair out.",
        )
    return metric


def _result(pair: Pair, options: MetricOptions, groups: tuple[str, ...]) -> tuple[dict[str, Any], Classified]:
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

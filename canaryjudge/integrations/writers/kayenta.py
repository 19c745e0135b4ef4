"""A verdict as Kayenta's ``CanaryJudgeResult``: for a Spinnaker that asks canaryjudge as its remote judge, and goes by its verdict."""

from __future__ import annotations

from typing import Any, Final

from canaryjudge.errors import DataError
from canaryjudge.explain.sentences import metric_sentence
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import MetricResult
from canaryjudge.texts import as_json
from canaryjudge.verdict import Verdict

__all__ = ["kayenta_json", "kayenta_result", "kayenta_scores"]

_WORDS: Final = {Outcome.PASS: "Pass", Outcome.MARGINAL: "Marginal", Outcome.FAIL: "Fail"}
_COUNTED: Final = ("Pass", "High", "Low", "NodataFailMetric")


def kayenta_result(
    verdict: Verdict, *, pass_score: float = 95.0, marginal_score: float = 75.0
) -> dict[str, Any]:
    """Write a verdict as Kayenta's judges answer.

    Parameters
    ----------
    verdict : Verdict
        What `judge` gives.
    pass_score, marginal_score : float
        The thresholds of the pipeline, which Spinnaker holds the score against.

    Returns
    -------
    dict
        A ``CanaryJudgeResult``. The score is 100 for a pass, 0 for a fail, and for a marginal the middle between the two thresholds, so
        that whoever goes by the number alone comes to the same verdict. A failing metric is ``High`` or ``Low``; one without data ``Nodata``,
        or ``NodataFailMetric`` where that fails; one that is undecided ``Error``, the only label of Kayenta's that claims nothing, with the
        reason.

    Raises
    ------
    DataError
        If the thresholds leave no room for all three verdicts.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase", group="system")])
    >>> verdict = cj.judge({"cpu": {"baseline": [50.0] * 20, "canary": [50.0] * 20}}, policy)
    >>> answer = kayenta_result(verdict)
    >>> answer["score"]["classification"], answer["results"][0]["classification"], answer["groupScores"][0]["score"]
    ('Pass', 'Pass', 100.0)
    """
    scores = kayenta_scores(pass_score, marginal_score)
    return {
        "judgeName": "canaryjudge",
        "results": [_result(result, verdict) for result in verdict.metrics.values()],
        "groupScores": _group_scores(verdict),
        "score": {
            "score": scores[verdict.outcome.value],
            "classification": _WORDS[verdict.outcome],
            "classificationReason": verdict.reason,
        },
    }


def kayenta_scores(pass_score: float, marginal_score: float) -> dict[str, float]:
    """Give the score of each outcome that says the same by the thresholds; DataError if they leave no room for all three."""
    if not 0 < marginal_score < pass_score <= 100:  # at a marginal score of 0 Kayenta never fails
        raise DataError(
            f"the thresholds pass {pass_score:g} and marginal {marginal_score:g} leave no room for all three verdicts",
            "Give two scores above 0 and up to 100, pass the larger one.",
        )
    return {"pass": 100.0, "marginal": (pass_score + marginal_score) / 2, "fail": 0.0}


def kayenta_json(verdict: Verdict) -> str:
    """Write a verdict as the JSON of Kayenta's result, for Kayenta's usual thresholds of 95 and 75."""
    return as_json(kayenta_result(verdict)) + "\n"


def _result(result: MetricResult, verdict: Verdict) -> dict[str, Any]:
    label = _label(result)
    return {
        "name": result.name,
        "id": result.name,
        "tags": {},
        "classification": label,
        "classificationReason": f"{metric_sentence(result, verdict)}.",
        "groups": [] if result.group is None else [result.group],
        "experimentMetadata": {"stats": {"count": result.n_canary}},
        "controlMetadata": {"stats": {"count": result.n_baseline}},
        "resultMetadata": {"canaryjudge": {"outcome": result.outcome.value, "reason": result.reason}},
        "critical": result.role == "required" and result.outcome is Outcome.FAIL,
        "muted": result.role == "muted",
    }


def _label(result: MetricResult) -> str:
    if result.reason is Reason.NO_DATA_FAILS:
        return "NodataFailMetric"
    if result.lacks_data:
        return "Nodata"
    if result.outcome is Outcome.PASS:
        return "Pass"
    if result.outcome is Outcome.MARGINAL:
        return "Error"
    return "Low" if _fell(result) else "High"


def _fell(result: MetricResult) -> bool:
    """Return whether the canary failed downward: by the bad direction, and where both are, by the change that was found."""
    if result.direction != "either":
        return result.direction == "decrease"
    found = None if result.deciding is None else result.deciding.effect
    if found is None or found.estimate is None:
        return False
    if found.scale == "objective":
        return found.limit_low is not None and found.estimate < found.limit_low
    return found.estimate < 0


def _group_scores(verdict: Verdict) -> list[dict[str, Any]]:
    """Give each group the share of its metrics that pass among those with an answer, as Kayenta does; 0 where there is none."""
    labels: dict[str, list[str]] = {}
    for result in verdict.metrics.values():
        if result.group is not None and result.role != "muted":
            labels.setdefault(result.group, []).append(_label(result))
    scores = []
    for group, own in labels.items():
        counted = [label for label in own if label in _COUNTED]
        score = counted.count("Pass") / len(counted) * 100 if counted else 0.0
        scores.append({"name": group, "score": score, "classification": "", "classificationReason": ""})
    return scores

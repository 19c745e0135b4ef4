"""Argo Rollouts: what its `web` metric provider reads. Three outcomes: successful, failed, and inconclusive, which pauses the rollout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.integrations.writers.summary import JSON, PLAIN, Answer, Summary, SummaryOrError, summary
from canaryjudge.results import ArmsFacts

if TYPE_CHECKING:
    from canaryjudge.arm_verdicts import ArmVerdicts

__all__ = ["argo_answer", "argo_json"]


def argo_json(said: SummaryOrError | ArmVerdicts) -> str:
    """Write the body of an answer to Argo's `web` provider.

    With ``jsonPath: "{$.verdict}"``, ``successCondition: result.outcome == "pass"`` and ``failureCondition: result.outcome == "fail"`` a
    marginal release is inconclusive, and the measurement that Argo keeps says why.

    Parameters
    ----------
    said : Verdict, RolloutVerdict, ArmVerdicts, Summary or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        JSON: `verdict` with `outcome`, `action`, `reason`, `score` (null where there is none) and `no_data`, and of a rollout `stage` and `share` (in percent, as text); `metrics` with each metric's outcome. Several arms
        have `arms` in place of `metrics`: of each by its name a `verdict` and `metrics` of its own, so that ``{$.arms.beta.verdict}`` is one.
    """
    if isinstance(said, ArmsFacts):
        document = {
            "verdict": _told(summary(said)),
            "arms": {arm: _with_metrics(summary(verdict)) for arm, verdict in said.items()},
        }
    else:
        document = _with_metrics(summary(said))
    return json.dumps(document, allow_nan=False) + "\n"


def _told(short: Summary) -> dict[str, Any]:
    return {
        "outcome": short.outcome,
        "action": short.action,
        "reason": short.reason,
        "score": short.score,
        "no_data": short.lacks_data,
        **short.of_stage(),
    }


def _with_metrics(short: Summary) -> dict[str, Any]:
    return {"verdict": _told(short), "metrics": dict(short.metrics)}


def argo_answer(said: SummaryOrError) -> Answer:
    """Answer a measurement of Argo's `web` provider.

    Parameters
    ----------
    said : Verdict, RolloutVerdict, Summary or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    Answer
        200 with the JSON of `argo_json`, whatever the outcome; 500 with the reason where nothing was judged, which Argo takes as an error of the
        measurement and not as the release's.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> argo_answer(cj.DataError("no data")).status
    500
    """
    if isinstance(said, CanaryJudgeError):
        return Answer(500, summary(said).reason + "\n", PLAIN)
    return Answer(200, argo_json(said), JSON)

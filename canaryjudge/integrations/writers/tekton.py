"""Tekton and Argo Workflows: small results, a file each. All results of a Tekton task share 4096 bytes."""

from __future__ import annotations

import json
from typing import Final

from canaryjudge.integrations.writers.summary import AnyVerdictOrError, summary

__all__ = ["tekton_results"]

_MOST_BYTES: Final = 3072
"""Of the 4096 bytes in which the kubelet hands over a step's results; the rest is for Tekton's own entries and the task's other results."""


def tekton_results(said: AnyVerdictOrError) -> dict[str, str]:
    r"""Return a task's results: `outcome`, `action`, `reason`, `score`, and `failed` and `undecided` as JSON lists of names; of a rollout also `stage` and `share`, in percent.

    Parameters
    ----------
    said : Verdict or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    dict of str to str
        What to write to each result's file, without a line break at its end. Together they take at most 3072 of a task's 4096 bytes, as Tekton
        encodes them; names that do not fit are left out, and ``…`` stands for them.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> tekton_results(cj.DataError("no data"))["reason"]
    'ERROR: no data'
    """
    short = summary(said)
    results = {
        "outcome": short.outcome,
        "action": short.action,
        "reason": short.reason,
        "score": "" if short.score is None else f"{short.score:g}",
        "failed": "[]",
        "undecided": "[]",
        **short.of_stage(),
    }
    for result, names in (("failed", short.failed), ("undecided", short.undecided)):
        results[result] = _listed(results, result, names)
    return results


def _listed(results: dict[str, str], result: str, names: tuple[str, ...]) -> str:
    """Take as many names as there is room for."""

    def text(shown: int) -> str:
        more = ["…"] if shown < len(names) else []
        return json.dumps([*names[:shown], *more], ensure_ascii=False)

    shown = 0
    while shown < len(names) and _bytes_taken(results | {result: text(shown + 1)}) <= _MOST_BYTES:
        shown += 1
    return text(shown)


def _bytes_taken(results: dict[str, str]) -> int:
    """Count the bytes of the message that carries the results: JSON as Go writes it, which escapes what HTML would obey."""
    entries = [{"key": key, "value": value, "type": 1} for key, value in results.items()]
    written = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
    return len(written.encode()) + 5 * sum(map(written.count, "<>&\u2028\u2029"))

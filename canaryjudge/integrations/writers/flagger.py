"""Flagger: what its webhooks take as yes and no. A status up to 202 is a yes; the body of any other becomes the event's text."""

from __future__ import annotations

import difflib
from typing import Final

from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.integrations.writers.summary import PLAIN, Answer, SummaryOrError, summary

__all__ = ["FLAGGER_HOOKS", "flagger_answer", "flagger_hook"]

FLAGGER_HOOKS: Final[dict[str, frozenset[str]]] = {
    "confirm-rollout": frozenset({"pass", "marginal"}),
    "pre-rollout": frozenset({"pass", "marginal"}),
    "rollout": frozenset({"pass", "marginal"}),
    "confirm-traffic-increase": frozenset({"pass"}),
    "confirm-promotion": frozenset({"pass"}),
    "post-rollout": frozenset({"pass", "marginal", "fail", "error"}),
    "rollback": frozenset({"fail"}),
    "event": frozenset({"pass", "marginal", "fail", "error"}),
}
"""The outcomes to which each type of webhook says yes.

A no to `pre-rollout` and `rollout` counts as a failed check, of which a few roll back: only a fail is one. A no to a `confirm-` hook waits, so
there a marginal release waits; before its first traffic, at `confirm-rollout`, it would wait for data that cannot come, and only a fail is a no.
A yes to `rollback` rolls back. Nothing hangs on the answers to `post-rollout` and `event`.
"""
_YES, _NO, _BROKEN = 200, 409, 500


def flagger_answer(said: SummaryOrError, hook: str) -> Answer:
    """Answer a webhook of Flagger.

    Parameters
    ----------
    said : Verdict, RolloutVerdict, Summary or CanaryJudgeError
        What there is to tell.
    hook : str
        The webhook's `type`, a key of `FLAGGER_HOOKS`; Flagger takes an empty one as `rollout`. Its request does not carry it: let the URL do so.

    Returns
    -------
    Answer
        200 for yes. For no 409, which Flagger does not try again; where nothing was judged 500, which it does where the webhook has `retries`.
        The body is the reason, in one line.

    Raises
    ------
    DataError
        If Flagger has no such type.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> lost = cj.DataError("the server cannot be reached")
    >>> flagger_answer(lost, "rollback").status, flagger_answer(lost, "event").status
    (500, 200)
    """
    known = flagger_hook(hook)
    short = summary(said)
    no = _BROKEN if isinstance(said, CanaryJudgeError) else _NO
    return Answer(_YES if short.outcome in FLAGGER_HOOKS[known] else no, short.reason + "\n", PLAIN)


def flagger_hook(hook: str) -> str:
    """Name a type of webhooks, as `FLAGGER_HOOKS` does; DataError if Flagger has none of that name."""
    known = hook or "rollout"
    if known not in FLAGGER_HOOKS:
        near = difflib.get_close_matches(known, FLAGGER_HOOKS, 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        raise DataError(
            f"Flagger has no webhooks of type {known[:60]!r}", f"{meant}Types: {', '.join(FLAGGER_HOOKS)}."
        )
    return known

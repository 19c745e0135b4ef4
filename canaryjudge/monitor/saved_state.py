"""A watch as text, and the watch of a text: what a monitor remembers between two looks, with a digest that shows whether it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from canaryjudge._version import __version__
from canaryjudge.errors import DataError
from canaryjudge.history import known_past
from canaryjudge.monitor.release_watch import ReleaseWatch, policy_digest
from canaryjudge.policy import Policy
from canaryjudge.strict_json import read_strictly

__all__ = ["STATE_VERSION", "state_of", "watch_of"]

STATE_VERSION: Final = 1


def state_of(watch: ReleaseWatch) -> str:
    """Write a watch as one line of JSON."""
    body = {
        "format": "canaryjudge.monitor",
        "state_version": STATE_VERSION,
        "version": __version__,
        "policy_digest": policy_digest(watch.policy),
        **watch.save(),
    }
    return json.dumps(body | {"digest": _body_digest(body)}, allow_nan=False, separators=(",", ":")) + "\n"


def watch_of(text: str | bytes, policy: Policy, history: Any = None) -> ReleaseWatch:
    """Go on where a watch was saved."""
    body = _checked_body(text)
    found = body.get("policy_digest")
    if found != policy_digest(policy):
        raise DataError(
            "the state was saved under another policy",
            "Give the policy that it was saved under; a changed policy begins a new watch.",
        )
    names = body["arms"]
    known = known_past(history, policy, (names[0], names[1]))
    if known is not None and known.digest() != body["history_digest"]:
        raise DataError(
            "the state was saved with another history, or without one",
            "Leave it out: what it says is kept in the state. A new history begins a new watch.",
        )
    watch = ReleaseWatch(policy, (names[0], names[1]))
    try:
        watch.load(body)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError("the saved state cannot be read", "Begin a new watch.") from error
    return watch


def _body_digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _checked_body(text: str | bytes) -> dict[str, Any]:
    hint = "Give what to_json wrote; if it is lost, begin a new watch."
    try:
        body = read_strictly(text)
    except (ValueError, RecursionError):
        raise DataError("the state is not JSON, or is cut short", hint) from None
    if not isinstance(body, dict) or body.get("format") != "canaryjudge.monitor":
        raise DataError("this is not the state of a monitor", hint)
    if body.get("state_version") != STATE_VERSION or body.get("version") != __version__:
        raise DataError(
            f"the state was saved by canaryjudge {body.get('version')}, and this is {__version__}",
            "Finish a watch with the version that began it, or begin a new one.",
        )
    claimed = body.pop("digest", None)
    try:
        intact = claimed == _body_digest(body)
    except ValueError:
        intact = False
    if not intact:
        raise DataError("the state was changed or damaged since it was saved: its digest does not fit", hint)
    return body

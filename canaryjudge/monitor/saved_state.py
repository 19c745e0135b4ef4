"""A watch as text, and the watch of a text: what a monitor remembers between two looks, with a digest that shows whether it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pydantic import BaseModel

from canaryjudge._version import __version__
from canaryjudge.data import History
from canaryjudge.errors import DataError
from canaryjudge.history import known_past
from canaryjudge.monitor.release_watch import ReleaseWatch
from canaryjudge.policy import Policy
from canaryjudge.strict_json import read_strictly

__all__ = ["STATE_VERSION", "check_same_history", "opened", "reading", "sealed", "state_of", "watch_of"]

STATE_VERSION: Final = 3
"""The form of what is saved. A change of it comes with the way from the one before; any version of the library reads what another has saved in the same form."""
_READ: Final = (1, 2, STATE_VERSION)


def state_of(watch: ReleaseWatch) -> str:
    """Write a watch as one line of JSON."""
    return sealed("monitor", watch.policy, watch.save())


def watch_of(text: str | bytes, policy: Policy, history: Any = None) -> ReleaseWatch:
    """Go on where a watch was saved."""
    body = opened(text, "monitor", policy)
    with reading():
        names = body["arms"]
        arms, saved = (names[0], names[1]), body["history_digest"]
    check_same_history(known_past(history, policy, arms), saved)
    watch = ReleaseWatch(policy, arms)
    with reading():
        watch.load(body)
    return watch


def check_same_history(known: History | None, saved: str | None) -> None:
    """Refuse to go on with another history than that of the state, where one is given."""
    if known is not None and known.digest() != saved:
        raise DataError(
            "the state was saved with another history, or without one",
            "Leave it out: what it says is kept in the state. A new history begins a new watch.",
        )


def sealed(what: str, policy: Policy, saved: Mapping[str, Any]) -> str:
    """Write what is saved of a monitor or a rollout as one line of JSON, with a digest."""
    body = {
        "format": f"canaryjudge.{what}",
        "state_version": STATE_VERSION,
        "version": __version__,
        "policy_digest": _digest_of(policy),
        **saved,
    }
    return json.dumps(body | {"digest": _body_digest(body)}, allow_nan=False, separators=(",", ":")) + "\n"


def opened(text: str | bytes, what: str, policy: Policy) -> dict[str, Any]:
    """Give what was saved of a monitor or a rollout under the same policy, if it is whole."""
    body = _checked_body(text, what)
    if body.get("policy_digest") != _digest_of(policy):
        raise DataError(
            "the state was saved under another policy",
            "Give the policy that it was saved under; a changed policy begins a new watch.",
        )
    return body


def _digest_of(policy: Policy) -> str:
    """Give the SHA-256 of what a policy states beyond the defaults, which a version of the library that knows more settings reads as the same."""
    return _body_digest({"policy": _stated(policy)})


def _stated(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = ((name, getattr(value, name), field) for name, field in type(value).model_fields.items())
        return {
            name: _stated(own)
            for name, own, field in fields
            if name != "extends" and (name == "rule" or own != field.get_default(call_default_factory=True))
        }
    if isinstance(value, Mapping):
        return {name: _stated(own) for name, own in value.items()}
    return [_stated(own) for own in value] if isinstance(value, list | tuple) else value


@contextmanager
def reading() -> Iterator[None]:
    """Say of what cannot be made of a state that the state cannot be read."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError("the saved state cannot be read", "Begin a new watch.") from error


def _body_digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _checked_body(text: str | bytes, what: str) -> dict[str, Any]:
    hint = "Give what to_json wrote; if it is lost, begin a new watch."
    try:
        body = read_strictly(text)
    except (ValueError, RecursionError):
        raise DataError("the state is not JSON, or is cut short", hint) from None
    if not isinstance(body, dict) or body.get("format") != f"canaryjudge.{what}":
        raise DataError(f"this is not the state of a {what}", hint)
    if body.get("state_version") not in _READ:
        raise DataError(
            f"the state is of version {body.get('state_version')}, saved by canaryjudge {body.get('version')}; this is {__version__}, "
            f"which reads versions {', '.join(map(str, _READ))}",
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

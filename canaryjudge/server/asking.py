"""What a request says: of which release, by which policy, with which points."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request

from canaryjudge.data.times import LATEST
from canaryjudge.errors import DataError
from canaryjudge.server.gate import Key, Wish
from canaryjudge.server.guards import Bodies, Refused
from canaryjudge.server.looks import MEDIA, Batch

__all__ = ["WISHES", "batch_of", "key_of", "time_of", "wish_of"]

WISHES: Final = ("policy", "baseline", "canary", "baseline_selector", "canary_selector", "stable")
"""How a release is to be watched, by what it is called in queries and bodies."""
_LONGEST: Final = 1000
_LONGEST_KEY: Final = 200
_LONGEST_TIME: Final = 40
_MILLISECONDS: Final = 1e11


def key_of(request: Request) -> Key:
    """Read of which release it is, from the path."""
    return Key.of(request.path_params["service"], request.path_params["revision"])


def wish_of(request: Request, document: Mapping[str, Any] | None = None) -> Wish:
    """Read how the release is to be watched, from the query and from the body."""
    given: dict[str, Any] = {name: value for name, value in request.query_params.items() if name in WISHES}
    document = document or {}
    for name in document:
        if name not in (*WISHES, "history"):
            raise DataError(
                f"the body has {str(name)[:60]!r}", f"It may have: {', '.join((*WISHES, 'history'))}."
            )
    given |= {name: value for name, value in document.items() if name in WISHES}
    policy = given.pop("policy", None)
    for name, value in (
        *given.items(),
        ("policy", "" if isinstance(policy, dict) or policy is None else policy),
    ):
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise DataError(
                f"{name} is no text of at most {_LONGEST} characters", "Give a name or a selector."
            )
    history = document.get("history")
    return Wish(
        policy=policy if isinstance(policy, str) else None,
        document=json.dumps(policy) if isinstance(policy, dict) else None,
        history=None if history is None else Batch(json.dumps(history).encode(), "application/json"),
        **given,
    )


async def batch_of(request: Request, bodies: Bodies) -> Batch:
    """Read points, and by what the caller's next try will be known."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in MEDIA:
        raise Refused(
            415,
            f"points do not come as {media[:60]!r} here" if media else "nothing says what the points come as",
            f"Give the Content-Type: {', '.join(MEDIA)}.",
        )
    own = request.headers.get("idempotency-key")
    if own is not None and not (0 < len(own) <= _LONGEST_KEY and own.isprintable()):
        raise DataError(
            f"the Idempotency-Key has {len(own)} characters, or some that cannot be printed",
            f"Give at most {_LONGEST_KEY}.",
        )
    return Batch(await bodies.read(request), media, own)


def time_of(name: str, text: str) -> float:
    """Read a time: seconds or milliseconds since 1970, or ISO 8601."""
    try:
        at = float(text)
        at = at / 1000 if abs(at) > _MILLISECONDS else at
    except ValueError:
        try:
            written = datetime.fromisoformat(text[:_LONGEST_TIME])
            at = (written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            at = math.nan
    if not 0 <= at < LATEST:
        raise DataError(
            f"{name} is {text[:40]!r}", "Give seconds since 1970, or a time as 2026-03-02T09:10:00Z."
        )
    return at

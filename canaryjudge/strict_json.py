"""JSON that says everything once: a key that stands twice in one object is refused, where other readers keep the last and lose the rest."""

from __future__ import annotations

import json
import reprlib
from typing import Any

__all__ = ["RepeatedKeyError", "read_strictly"]


class RepeatedKeyError(ValueError):
    """An object has a key twice; the text says which, and both values."""


def read_strictly(text: str | bytes | bytearray) -> Any:
    """Read JSON, as `json.loads` does.

    Examples
    --------
    >>> read_strictly('{"canary": [1, 2]}')
    {'canary': [1, 2]}
    >>> read_strictly('{"canary": 9, "canary": 1}')
    Traceback (most recent call last):
        ...
    canaryjudge.strict_json.RepeatedKeyError: the key 'canary' stands twice in one object, with 9 and with 1
    """
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        known: dict[str, Any] = {}
        for key, value in pairs:
            if key in known:
                both = " and with ".join(" ".join(reprlib.repr(each).split()) for each in (known[key], value))
                raise RepeatedKeyError(f"the key {reprlib.repr(key)} stands twice in one object, with {both}")
            known[key] = value
    return found

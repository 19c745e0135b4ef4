"""An answer over HTTP, for any server to give."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["JSON", "PLAIN", "Answer"]

JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer over HTTP.

    Attributes
    ----------
    status : int
        The status code.
    body : str
        The body, to be sent as UTF-8.
    content_type : str
        Its media type.
    """

    status: int
    body: str
    content_type: str

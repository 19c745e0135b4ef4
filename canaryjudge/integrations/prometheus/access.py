"""How a Prometheus server is reached: its address, and credentials that no text gives away."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from canaryjudge.errors import DataError

__all__ = ["PASSWORD", "QUERY_PATH", "TOKEN", "USER", "Access"]

QUERY_PATH = "/api/v1/query_range"
"""Where questions go, below a server's address."""
TOKEN = "CANARYJUDGE_PROMETHEUS_TOKEN"
USER = "CANARYJUDGE_PROMETHEUS_USER"
PASSWORD = "CANARYJUDGE_PROMETHEUS_PASSWORD"
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """How a server is reached; what is secret in it is in no text that it gives.

    Attributes
    ----------
    url : str
        The address before ``/api/v1``, without credentials.
    headers : mapping of str to str
        What is sent with every question, credentials among it.
    secrets : tuple of str
        What must not be shown, the longest first.
    ca_file : str or None
        Certificates to trust in place of the usual ones.
    insecure : bool
        Do not check the server's certificate.
    timeout : float
        Seconds for all questions together, with their further tries.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    ca_file: str | None = None
    insecure: bool = False
    timeout: float = 60.0

    def __repr__(self) -> str:
        return f"Access({self.url!r})"

    @classmethod
    def to(
        cls,
        url: str,
        environment: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        insecure: bool = False,
        timeout: float = 60.0,
    ) -> Self:
        """Check an address and put the credentials together.

        Parameters
        ----------
        url : str
            The address before ``/api/v1``; a user and a password in it are sent as basic authentication.
        environment : mapping of str to str, optional
            Where ``CANARYJUDGE_PROMETHEUS_TOKEN`` (bearer), or ``CANARYJUDGE_PROMETHEUS_USER`` and ``...PASSWORD`` (basic) are looked up.
        token : str, optional
            A bearer token.
        headers : mapping of str to str, optional
            Further headers, such as ``X-Scope-OrgID``; their values are secrets too.
        ca_file, insecure, timeout
            See the class.

        Raises
        ------
        DataError
            If the address is none, or there are credentials of two kinds.

        Examples
        --------
        >>> Access.to("https://ada:secret@metrics.example/prometheus/")
        Access('https://metrics.example/prometheus')
        """
        given = environment or {}
        place, *in_url = _taken_apart(url)
        sent = {name: _one_line(text, f"the header {name}") for name, text in (headers or {}).items()}
        secrets = list(sent.values())
        kinds = [text for name, text in sent.items() if name.lower() == "authorization"]
        for user, password in (in_url, (given.get(USER, ""), given.get(PASSWORD, ""))):
            if user or password:
                kinds.append("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
                secrets += [password, kinds[-1]]
        bearers = filter(None, (token, given.get(TOKEN)))
        kinds += [f"Bearer {_one_line(bearer, 'the token')}" for bearer in bearers]
        if len(kinds) > 1:
            raise DataError(
                "there are credentials of two kinds for Prometheus",
                f"Give one: {TOKEN} or a token file, {USER} and {PASSWORD}, or those in the URL.",
            )
        for kind in kinds:
            sent["Authorization"] = kind
            secrets += [kind, kind.partition(" ")[2]]
        kept = sorted({text for text in secrets if len(text) >= _SHORTEST_SECRET}, key=len, reverse=True)
        return cls(place, sent, tuple(kept), ca_file, insecure, timeout)

    def redacted(self, text: str) -> str:
        """Take out what a server may have quoted of the secrets that were sent to it."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _taken_apart(url: str) -> tuple[str, str, str]:
    """Give an address without credentials, the user and the password."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = SplitResult("", "", "", "", ""), None, None
    plain = url.isascii() and url.strip().isprintable() and " " not in url.strip()
    # an @ in the path is what is left of a password with a slash in it
    if parts.scheme not in ("http", "https") or not host or not plain or "@" in parts.path:
        raise DataError("the URL of Prometheus is no web address", "Write it like http://127.0.0.1:9090.")
    if parts.query or parts.fragment:
        raise DataError(
            "the URL of Prometheus has a query string or a fragment",
            "Give the address before /api/v1, and credentials in the environment.",
        )
    place = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/").removesuffix(QUERY_PATH).removesuffix("/api/v1")
    address = urlunsplit((parts.scheme, place if port is None else f"{place}:{port}", path, "", ""))
    return address, unquote(parts.username or ""), unquote(parts.password or "")


def _one_line(text: str, what: str) -> str:
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable():
        raise DataError(
            f"{what} is empty, or has characters that no header can carry", "Check where it is from."
        )
    return text

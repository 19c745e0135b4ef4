"""Asking a Prometheus server, or one that speaks its language: bounded in time and size, and discreet about secrets."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import re
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from html.entities import codepoint2name
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from canaryjudge._version import __version__
from canaryjudge.errors import DataError, MissingExtraError
from canaryjudge.integrations.prometheus.answers import error_of, readable
from canaryjudge.limits import ANSWER_BYTES, ANSWER_MEMORY, REDIRECTS, memory_of
from canaryjudge.strict_json import RepeatedKeyError, read_strictly

if TYPE_CHECKING:
    import httpx

__all__ = ["Access", "PrometheusClient", "Span"]

_API_PATH = "/api/v1"
_QUERY_PATH = f"{_API_PATH}/query_range"
"""Where questions go, below a server's address."""
_TOKEN = "CANARYJUDGE_PROMETHEUS_TOKEN"
_USER = "CANARYJUDGE_PROMETHEUS_USER"
_PASSWORD = "CANARYJUDGE_PROMETHEUS_PASSWORD"
_SHORTEST_SECRET = 4
_FRAMING = frozenset(
    [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
"""Headers by which both sides agree where a request ends: not for others to set."""
_WAITS = (0.5, 1.0, 2.0)
"""Seconds before each further try, where the server does not say."""
_PASSING = frozenset({429, 502, 503, 504})
"""Answers that a later try may better."""
_ZLIB = 15
"""How zlib calls its own format; of gzip's it adds 16."""
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0


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
        if framing := [name for name in sent if name.lower() in _FRAMING]:
            raise DataError(f"the header {framing[0]} is set by the client itself", "Leave it out.")
        secrets = list(sent.values())
        kinds = [text for name, text in sent.items() if name.lower() == "authorization"]
        for user, password in (in_url, (given.get(_USER, ""), given.get(_PASSWORD, ""))):
            if user or password:
                kinds.append("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
                secrets += [password, kinds[-1]]
        bearers = filter(None, (token, given.get(_TOKEN)))
        kinds += [f"Bearer {_one_line(bearer, 'the token')}" for bearer in bearers]
        if len(kinds) > 1:
            raise DataError(
                "there are credentials of two kinds for Prometheus",
                f"Give one: {_TOKEN} or a token file, {_USER} and {_PASSWORD}, or those in the URL.",
            )
        for kind in kinds:
            sent["Authorization"] = kind
            secrets += [kind, kind.partition(" ")[2]]
        kept = sorted({text for text in secrets if len(text) >= _SHORTEST_SECRET}, key=len, reverse=True)
        return cls(place, sent, tuple(kept), ca_file, insecure, timeout)

    def redacted(self, text: str) -> str:
        """Take out what a server may have quoted of the secrets that were sent to it, however it escapes their letters."""
        return _spellings(self.secrets).sub("***", text) if self.secrets else text


@lru_cache(maxsize=8)
def _spellings(secrets: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join("".join(map(_spelled, secret)) for secret in secrets))


def _spelled(letter: str) -> str:
    """Match a letter as it is, or as addresses, HTML, JSON or a program's text write it."""
    itself, code = re.escape(letter), ord(letter)
    if letter.isascii() and letter.isalnum():
        return itself
    in_addresses = "".join(f"%(?:25)?{byte:02x}" for byte in letter.encode())
    name = codepoint2name.get(code, "apos" if letter == "'" else f"#{code}")
    space = r"|\+" if letter == " " else ""
    in_html, in_programs = f"&(?:{name}|#0*{code}|#x0*{code:x});", rf"\\+(?:u{code:04x}|x{code:02x})"
    return rf"(?i:{in_addresses}|{in_html}|{in_programs}|\\*{itself}{space})"


def _taken_apart(url: str) -> tuple[str, str, str]:
    """Return an address without credentials, the user and the password."""
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
    path = parts.path.rstrip("/").removesuffix(_QUERY_PATH).removesuffix("/api/v1")
    address = urlunsplit((parts.scheme, place if port is None else f"{place}:{port}", path, "", ""))
    return address, unquote(parts.username or ""), unquote(parts.password or "")


def _one_line(text: str, what: str) -> str:
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable():
        raise DataError(
            f"{what} is empty, or has characters that no header can carry", "Check where it is from."
        )
    return text


class Span(NamedTuple):
    """Times to ask for, in milliseconds since 1970: both ends, and the step between two points."""

    start: int
    end: int
    step: int


class _Answer(NamedTuple):
    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class _Unpacker:
    """Unpacks what comes in parts, and no more of it than there is room for.

    Examples
    --------
    >>> unpacker = _Unpacker.of("gzip")
    >>> len(unpacker.unpacked(zlib.compress(bytes(1000), wbits=31), 10)), _Unpacker.of("gzip, gzip")
    (10, None)
    """

    def __init__(self, bits: int | None) -> None:
        self._bits = bits
        self._stream: Any = None

    @classmethod
    def of(cls, encoding: str) -> _Unpacker | None:
        """Read the header; None where it names what is not unpacked."""
        names = [
            name for name in encoding.lower().replace(" ", "").split(",") if name not in ("", "identity")
        ]
        known = {"gzip": _ZLIB + 16, "x-gzip": _ZLIB + 16, "deflate": _ZLIB}
        if not names:
            return cls(None)
        return cls(known[names[0]]) if len(names) == 1 and names[0] in known else None

    def unpacked(self, part: bytes, most: int) -> bytes:
        """Unpack a part; what would be more than so many bytes is left."""
        if self._bits is None:
            return part
        if self._stream is None and self._bits == _ZLIB and part[:1] and part[0] & 15 != 8:
            self._bits = -_ZLIB  # some servers take deflate to have no head
        found: list[bytes] = []
        while part and most > 0:
            if self._stream is None or self._stream.eof:
                self._stream = zlib.decompressobj(self._bits)
            found.append(self._stream.decompress(part, most))
            most -= len(found[-1])
            part = self._stream.unused_data
        return b"".join(found)


class PrometheusClient:
    """Asks one server, within the time that its access allows from here on.

    Use it as ``async with PrometheusClient(access) as client``.

    Raises
    ------
    MissingExtraError
        If httpx is not installed.
    DataError
        If the certificates cannot be read.
    """

    def __init__(self, access: Access) -> None:
        try:
            import httpx  # noqa: PLC0415 - an extra
        except ImportError:
            raise MissingExtraError(
                "asking Prometheus needs httpx", "Install it with: pip install 'canaryjudge[prometheus]'."
            ) from None
        self._httpx = httpx
        self._access = access
        self._end = time.monotonic() + access.timeout
        certificates = _certificates(access)
        try:
            self._client = httpx.AsyncClient(
                headers={
                    "User-Agent": f"canaryjudge/{__version__}",
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip, deflate",
                    **access.headers,
                },
                timeout=httpx.Timeout(
                    min(_READ_SECONDS, access.timeout), connect=min(_CONNECT_SECONDS, access.timeout)
                ),
                verify=certificates,
            )
        except (ImportError, ValueError, httpx.InvalidURL):  # what it says may quote a password
            raise DataError(
                "the proxy that the environment names cannot be used",
                "Look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; SOCKS needs pip install 'httpx[socks]'.",
            ) from None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._client.aclose()

    async def query_range(self, query: str, span: Span, where: str) -> Mapping[str, Any]:
        """Ask for a query's points.

        Parameters
        ----------
        query : str
            PromQL.
        span : Span
            From when to when.
        where : str
            What it is for, in errors.

        Returns
        -------
        mapping
            The document, of the status ``success``.

        Raises
        ------
        DataError
            If the server cannot be reached in time, or what it answers is no such document.
        """
        form = {
            "query": query,
            "start": f"{span.start / 1000:.3f}",
            "end": f"{span.end / 1000:.3f}",
            "step": f"{span.step / 1000:.3f}",
        }
        found = self._read(await self._timed(_QUERY_PATH, form), f"{where}: ", f" to {readable(query)}")
        if self._left < 0:  # what is large takes time to be read, too
            raise self._late()
        return found

    async def listed(self, what: str, form: Mapping[str, str]) -> list[Any]:
        """Ask for a list of what the server has.

        Parameters
        ----------
        what : str
            Of what, below ``/api/v1``: ``series``, or ``label/__name__/values``.
        form : mapping of str to str
            Which of it.

        Raises
        ------
        DataError
            If the server cannot be reached in time, or what it answers is no list.
        """
        found = self._read(await self._timed(f"{_API_PATH}/{what}", form), "", f" to {what}").get("data")
        if not isinstance(found, list):
            raise self._error(f"{self._access.url} answered no list to {what}", "Is it Prometheus?")
        return found

    async def _timed(self, path: str, form: Mapping[str, str]) -> _Answer:
        try:
            async with asyncio.timeout(max(0.0, self._left)):
                return await self._tried(path, form)
        except TimeoutError:
            raise self._late() from None

    def _late(self) -> DataError:
        return self._error(
            f"{self._access.url} did not answer all questions within {self._access.timeout:g} s",
            "Ask for a shorter window or a longer step, or give more time with --timeout.",
        )

    @property
    def _left(self) -> float:
        return self._end - time.monotonic()

    def _error(self, message: str, hint: str) -> DataError:
        return DataError(self._access.redacted(message), hint)

    async def _tried(self, path: str, form: Mapping[str, str]) -> _Answer:
        """Ask, and ask again where that may help and there is time for it."""
        for tries, pause in enumerate((*_WAITS, None), start=1):
            try:
                answer = await self._redirected(path, form)
            except self._httpx.ReadTimeout:
                raise self._error(
                    f"{self._access.url} was silent for {min(_READ_SECONDS, self._access.timeout):g} s",
                    "Is it overloaded? Ask for a shorter window or a longer step.",
                ) from None
            except (self._httpx.HTTPError, self._httpx.InvalidURL, OSError, UnicodeError) as failure:
                untrusted = _untrusted(failure)
                if untrusted or pause is None or pause > self._left:
                    raise self._unreachable(failure, tries, untrusted=untrusted) from None
                await asyncio.sleep(pause)
                continue
            if answer.status not in _PASSING or pause is None:
                return answer
            wanted = _retry_after(answer.headers.get("retry-after"))
            wait = pause if wanted is None else wanted
            if wait > self._left:
                return answer
            await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")  # pragma: no cover

    def _unreachable(self, failure: Exception, tries: int, *, untrusted: bool) -> DataError:
        if untrusted:
            return self._error(
                f"the certificate of {self._access.url} cannot be trusted ({_reason(failure)})",
                "Give the certificate of its authority with --ca-file.",
            )
        times = f", {tries} times" if tries > 1 else ""
        httpx = self._httpx
        connecting = (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, OSError, UnicodeError)
        if isinstance(failure, connecting):
            what = f"{self._access.url} cannot be reached: {_reason(failure)}{times}"
            return self._error(what, "Is the URL right, and does the server run?")
        what = f"{self._access.url} broke off before its answer was complete{times}"
        return self._error(what, "Look at its log, and at what stands before it.")

    async def _redirected(self, path: str, form: Mapping[str, str]) -> _Answer:
        """Ask, and follow the server to another of its own addresses: credentials go nowhere else."""
        url = self._httpx.URL(self._access.url + path)
        # the values of labels are the one thing that no server answers to POST
        gets = path.endswith("/values")
        url = url.copy_merge_params(dict(form)) if gets else url
        for _ in range(REDIRECTS + 1):
            answer = await self._exchanged(url, None if gets else form)
            if answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
                return answer
            target = url.join(answer.headers["location"])
            if not _same_server(url, target):
                raise self._error(
                    f"{self._access.url} redirects to another server, {readable(target.host) or 'unnamed'}",
                    "Give the URL of that one if it is right. A login page may stand before it: set a token.",
                )
            url = target.copy_with(username="", password="")
        raise self._error(f"{self._access.url} redirects in a circle", "Check the URL.")

    async def _exchanged(self, url: httpx.URL, form: Mapping[str, str] | None) -> _Answer:
        # POST: the text of a query may be longer than what servers take in an address
        sent = (
            self._client.stream("GET", url)
            if form is None
            else self._client.stream("POST", url, data=dict(form))
        )
        async with sent as response:
            body = await self._unpacked(response)
            return _Answer(response.status_code, response.reason_phrase, dict(response.headers), body)

    async def _unpacked(self, response: httpx.Response) -> bytes:
        """Read and unpack an answer, as far as there is room and time for it."""
        encoding = response.headers.get("content-encoding", "")
        unpacker = _Unpacker.of(encoding)
        if unpacker is None:
            raise self._error(
                f"{self._access.url} sent an answer that is packed as {readable(self._access.redacted(encoding))}, and only gzip or deflate, once, is unpacked",
                "Look at what stands before it.",
            )
        parts, size, memory = [], 0, 0
        try:
            async for packed in response.aiter_raw():
                # one byte more than there is room for tells that it is too much
                parts.append(unpacker.unpacked(packed, ANSWER_BYTES + 1 - size))
                size, memory = size + len(parts[-1]), memory + memory_of(parts[-1])
                if max(size, response.num_bytes_downloaded) > ANSWER_BYTES or memory > ANSWER_MEMORY:
                    raise self._error(
                        f"{self._access.url} answers more than {ANSWER_BYTES // 1_000_000} MB, or what takes more than {ANSWER_MEMORY >> 20:,} MiB to read",
                        "Ask for fewer series, a shorter window or a longer step.",
                    )
                if self._left < 0:  # what comes as fast as it is read never waits
                    raise TimeoutError
        except zlib.error:
            raise self._error(
                f"{self._access.url} sent what cannot be unpacked", "Look at what stands before it."
            ) from None
        return b"".join(parts)

    def _read(self, answer: _Answer, where: str, question: str) -> Mapping[str, Any]:
        code = f"{answer.status} {readable(self._access.redacted(answer.reason))}".strip()
        try:
            document = read_strictly(answer.body)
        except RepeatedKeyError as twice:
            raise self._error(
                f"{where}{self._access.url} answered no JSON that can be trusted: {twice}",
                "Look at what stands before it.",
            ) from None
        except (ValueError, RecursionError):
            document = None
        if error := error_of(document, self._access.redacted):
            raise self._error(f"{where}Prometheus answered {error}{question}", _advice(answer.status, error))
        if answer.status >= 300:
            raise self._error(f"{where}{self._access.url} answered {code}", _advice(answer.status, ""))
        if isinstance(document, Mapping):
            return document
        kind = answer.headers.get("content-type", "")
        if "html" in kind or answer.body.lstrip()[:1] == b"<":
            raise self._error(
                f"{where}{self._access.url} answered a web page ({code}) where JSON belongs",
                "Give the address before /api/v1. A login page may stand before it: set a token.",
            )
        raise self._error(
            f"{where}{self._access.url} answered {len(answer.body):,} bytes ({code}) that are not JSON, or are cut off",
            "Is it Prometheus? Look at what stands before it.",
        )


@lru_cache(maxsize=1)
def _usual_certificates(*_: str | None) -> ssl.SSLContext:
    """Read what is trusted by default once, however often a watch asks: that takes longer than all else about a client."""
    import httpx  # noqa: PLC0415 - an extra

    return httpx.create_ssl_context()


def _certificates(access: Access) -> ssl.SSLContext | bool:
    if access.insecure:
        return False
    usual = access.ca_file is None
    where = "SSL_CERT_FILE, or SSL_CERT_DIR" if usual else f"--ca-file {access.ca_file}"
    try:
        if usual:
            return _usual_certificates(*map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR")))
        return ssl.create_default_context(cafile=access.ca_file)
    except ssl.SSLError:
        why = "there are no certificates in it"
    except (OSError, ValueError) as error:
        why = readable(getattr(error, "strerror", None) or "it cannot be read")
    raise DataError(f"{where}: {why}", "Give certificates in PEM.")


def _same_server(url: httpx.URL, target: httpx.URL) -> bool:
    """Return whether the host and port are the same, or only became encrypted."""
    if url.host != target.host or target.scheme not in ("http", "https"):
        return False
    upgraded = url.scheme == "http" and target.scheme == "https"
    return upgraded or (url.scheme == target.scheme and url.port == target.port)


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    while failure is not None:
        yield failure
        if isinstance(failure, BaseExceptionGroup):
            yield from _causes(failure.exceptions[0])
        failure = failure.__cause__ or failure.__context__


def _untrusted(failure: Exception) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(failure))


def _reason(failure: Exception) -> str:
    """Say why in the operating system's words; those of a library may quote what is secret."""
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return readable(cause.verify_message)
        if isinstance(cause, TimeoutError):
            return "no connection in time"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS ({readable(cause.reason or 'broken off').replace('_', ' ').lower()})"
        if (
            isinstance(cause, OSError) and cause.strerror
        ):  # asyncio puts the address into the text of a known number
            known = cause.errno in errno.errorcode
            return readable(os.strerror(cause.errno or 0) if known else cause.strerror).lower()
    return "no connection"


def _retry_after(text: str | None) -> float | None:
    """Read how many seconds a server asks to wait: a number, or a date."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _advice(status: int, error: str) -> str:
    if status in (401, 403, 407):
        return f"Set {_TOKEN}, or {_USER} and {_PASSWORD}; a tenant goes into --header."
    if "resolution" in error:
        return "Take a longer step or a shorter window."
    if status in (404, 405):
        return "Give the address before /api/v1, such as http://127.0.0.1:9090."
    if status in (400, 422) and error:
        return "Correct the query in the policy, or the selector that stands for ${selector}."
    return "Look at the server's log, and at what stands before it."

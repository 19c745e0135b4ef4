"""The command line's options for Prometheus: what they are, and what they ask."""

from __future__ import annotations

import argparse
import math
import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Never

from canaryjudge.errors import DataError
from canaryjudge.integrations.options import duration
from canaryjudge.policy import Policy

if TYPE_CHECKING:
    from canaryjudge.integrations.prometheus.client import Access
    from canaryjudge.integrations.prometheus.queries import Fetched, QueryOverrides

__all__ = [
    "access_given",
    "add_access",
    "add_options",
    "add_reaching",
    "fetch_given",
    "fetch_past",
    "refuse_options",
    "starter_given",
]

_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+)=(.*)", re.DOTALL)
_OWN = (
    "save_data",
    "at",
    "window",
    "baseline_selector",
    "canary_selector",
    "selector",
    "token_file",
    "header",
    "ca_file",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what belongs to ``--prometheus``."""
    group = _group(parser)
    for arm in ("baseline", "canary"):
        group.add_argument(
            f"--{arm}-selector",
            action="append",
            metavar="SELECTOR",
            help=f"what ${{selector}} stands for in the {arm}'s queries, in place of what the policy says; ${{arm}} in it is the arm's name; may be repeated for several",
        )
    group.add_argument("--at", type=_time, metavar="TIME", help="when the data end (default: now)")
    group.add_argument(
        "--window", type=duration, metavar="DURATION", help="how far they go back, in place of the policy's"
    )
    group.add_argument("--save-data", metavar="FILE", help="write what was fetched, as JSON for --data")
    _add_reaching(group)


def add_reaching(parser: argparse.ArgumentParser) -> None:
    """Add how the server is reached that ``--prometheus`` names, and nothing of what is asked there."""
    _add_reaching(_group(parser))


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add what belongs to ``--prometheus`` where it is only asked what it has."""
    group = _group(parser)
    group.add_argument(
        "--selector",
        metavar="SELECTOR",
        help='which series are looked at, such as job="checkout" (default: all)',
    )
    _add_reaching(group)


def _group(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    return parser.add_argument_group(
        "with --prometheus",
        "Credentials are in the environment: CANARYJUDGE_PROMETHEUS_TOKEN, or CANARYJUDGE_PROMETHEUS_USER and _PASSWORD.",
    )


def _add_reaching(group: argparse._ArgumentGroup) -> None:
    """Add how the server is reached."""
    group.add_argument("--token-file", metavar="FILE", help="a file with a bearer token")
    group.add_argument(
        "--header",
        action="append",
        type=_header,
        metavar="NAME=VALUE",
        help="a further header, such as X-Scope-OrgID=team; may be repeated",
    )
    group.add_argument("--ca-file", metavar="FILE", help="certificates to trust, in PEM")
    group.add_argument("--insecure", action="store_true", help="do not check the server's certificate")
    group.add_argument(
        "--timeout",
        type=_timeout,
        default=60.0,
        metavar="SECONDS",
        help="how long all questions may take together (default: 60)",
    )
    # argparse would take these for abbreviations, or repeat what follows them in its complaint
    group.add_argument("--token", "--password", "--user", type=_secret, help=argparse.SUPPRESS)


def refuse_options(options: argparse.Namespace) -> None:
    """Refuse what means nothing without ``--prometheus``."""
    for name in _OWN if options.prometheus is None else ():
        if getattr(options, name, None) is not None:
            option = "--" + name.replace("_", "-")
            raise DataError(f"{option} means nothing with --data", "Leave it out, or give --prometheus URL.")


def fetch_given(
    options: argparse.Namespace, policy: Policy, since: Mapping[str, float | None] | None = None
) -> Fetched:
    """Fetch what the command line asks for."""
    from canaryjudge.integrations.prometheus.queries import fetch  # noqa: PLC0415 - other sources need no client

    _refuse_formats(options)
    options.asked_at = time.time()
    fetched = fetch(
        policy,
        access_given(options),
        _wanted(options, since),
        baseline=options.baseline,
        canary=options.canary,
    )
    if options.insecure:
        fetched.remarks.insert(0, "--insecure: the server's certificate was not checked")
    return fetched


def fetch_past(options: argparse.Namespace, policy: Policy) -> Fetched:
    """Fetch the past of what the command line asks for, up to where the data begin that were fetched before."""
    from canaryjudge.integrations.prometheus.queries import fetch_history  # noqa: PLC0415 - as in fetch_given

    return fetch_history(
        policy,
        access_given(options),
        _wanted(options, None),
        baseline=options.baseline,
        canary=options.canary,
    )


def starter_given(options: argparse.Namespace) -> str:
    """Write a policy to start from by what the server has that the command line names."""
    import asyncio  # noqa: PLC0415 - as in fetch_given

    from canaryjudge.integrations.prometheus.starter import starter_of  # noqa: PLC0415 - as in fetch_given

    _refuse_formats(options)
    return asyncio.run(starter_of(access_given(options), options.selector, options.output))


def _refuse_formats(options: argparse.Namespace) -> None:
    for name in ("wide", "column", "replica", "time", "data_format"):
        if getattr(options, name):
            raise DataError(f"--{name.replace('_', '-')} is for --data", "Leave it out.")


def access_given(options: argparse.Namespace) -> Access:
    """Say how the server is reached that the command line names."""
    from canaryjudge.integrations.prometheus.client import Access  # noqa: PLC0415 - other sources need no client

    return Access.to(
        options.prometheus,
        os.environ,
        token=None if options.token_file is None else _token_in(options.token_file),
        headers=dict(options.header or ()),
        ca_file=options.ca_file,
        insecure=options.insecure,
        timeout=options.timeout,
    )


def _wanted(options: argparse.Namespace, since: Mapping[str, float | None] | None) -> QueryOverrides:
    from canaryjudge.integrations.prometheus.queries import QueryOverrides  # noqa: PLC0415 - as in fetch_given

    given = (options.baseline_selector, options.canary_selector)
    baseline, canary = (each[0] if each and len(each) == 1 else each and tuple(each) for each in given)
    return QueryOverrides(
        baseline,
        canary,
        options.window,
        options.at,
        since or {},
        getattr(options, "asked_at", None),
    )


def _token_in(path: str) -> str:
    # its name is not repeated: who writes the token itself there would see it in a log
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except OSError as error:
        raise DataError(f"--token-file: it cannot be read ({error.strerror})", "Check the path.") from None
    except ValueError:
        token = ""
    if not token:
        raise DataError("--token-file: there is no token in it", "Put the token into it, and nothing else.")
    return token


def _header(text: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("a header is written NAME=VALUE")
    return match[1], match[2]


def _secret(_: str) -> Never:
    raise argparse.ArgumentTypeError(
        "credentials do not belong on a command line; see CANARYJUDGE_PROMETHEUS_TOKEN in the help"
    )


def _time(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is not None:
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds < 253402300800:  # the year 10000
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write it like 2026-03-02T09:10:00Z, or as seconds since 1970"
        )
    return seconds


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0, and up to 3600")
    return seconds

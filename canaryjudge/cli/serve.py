"""The command `serve`: a gate that remembers releases, and answers deploy tools over HTTP."""

from __future__ import annotations

import argparse
import ipaddress
import os
from pathlib import Path
from typing import Any, Final

from canaryjudge.errors import DataError, MissingExtraError
from canaryjudge.integrations.options import duration
from canaryjudge.integrations.prometheus.options import access_given, add_reaching

__all__ = ["add_serve"]

_TOKEN: Final = "CANARYJUDGE_GATE_TOKEN"
_SHORTEST: Final = 16
_MOST_WORKERS: Final = 256
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""What this machine may be called by who asks without a token: another name is one that a site has given it."""
_KEEP: Final = 30 * 86400.0


def add_serve(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "serve",
        help="answer deploy tools over HTTP: a gate that remembers each release",
        epilog="exit codes: 0 stopped, 2 bad usage or input, 70 a bug of canaryjudge",
        description="Keep a watch for each release in a store, take points that are pushed or fetch them from Prometheus, and answer Argo Rollouts, Flagger, "
        "Spinnaker, Harness and whoever else asks, however often. Ends in good order on SIGTERM. Needs the extra canaryjudge[server].",
    )
    parser.add_argument(
        "--policies",
        required=True,
        metavar="DIR",
        help="the policies: SERVICE.yaml, and default.yaml for all other services",
    )
    parser.add_argument(
        "--store",
        default="sqlite:///gate.db",
        metavar="URL",
        help="where releases are kept: sqlite:///FILE, or postgresql://... where several gates run (default: sqlite:///gate.db)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen (default: 127.0.0.1, this machine alone)",
    )
    parser.add_argument(
        "--port", type=_port, default=8080, metavar="PORT", help="(default: 8080; 0: any that is free)"
    )
    group = parser.add_argument_group("who may ask")
    group.add_argument(
        "--auth-token-file",
        metavar="FILE",
        help=f"tokens, one a line; who asks must have one (or the environment's {_TOKEN})",
    )
    group.add_argument("--no-auth", action="store_true", help="let everybody ask who can reach the address")
    group = parser.add_argument_group("how much is taken")
    group.add_argument(
        "--workers", type=_workers, default=2, metavar="N", help="processes that judge (default: 2)"
    )
    group.add_argument(
        "--max-body",
        type=_count,
        default=8_000_000,
        metavar="BYTES",
        help="of one request, unpacked (default: 8000000)",
    )
    group.add_argument(
        "--max-points", type=_count, default=200_000, metavar="N", help="of one request (default: 200000)"
    )
    group.add_argument(
        "--judge-timeout",
        type=duration,
        default=30.0,
        metavar="DURATION",
        help="how long one look may take (default: 30s)",
    )
    group.add_argument(
        "--keep",
        type=duration,
        default=_KEEP,
        metavar="DURATION",
        help="releases that nobody has touched for so long are forgotten (default: 30d)",
    )
    parser.add_argument(
        "--prometheus",
        metavar="URL",
        help="fetch the points of policies whose metrics have queries from there",
    )
    add_reaching(parser)
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    try:
        from canaryjudge.server.app import Settings  # noqa: PLC0415 - only this command needs a server
        from canaryjudge.server.gate import Limits  # noqa: PLC0415
        from canaryjudge.server.serve import Serving, serve  # noqa: PLC0415
    except ModuleNotFoundError as error:
        needed = (error.name or "").partition(".")[0]
        if needed == "canaryjudge":
            raise
        raise MissingExtraError(
            f"the gate needs {needed}", "Install it with: pip install 'canaryjudge[server]'."
        ) from None
    tokens = _tokens(options)
    serve(
        Serving(
            policies=options.policies,
            store=options.store,
            host=options.host,
            port=options.port,
            workers=options.workers,
            timeout=options.judge_timeout,
            access=None if options.prometheus is None else access_given(options),
            limits=Limits(points=options.max_points, waiting=_together(options)),
            settings=Settings(
                hosts=None if tokens or options.no_auth else _LOOPBACK | {options.host.lower()},
                tokens=tokens,
                body=options.max_body,
                bodies=_together(options),
                keep=options.keep,
            ),
        )
    )
    return 0


def _together(options: argparse.Namespace) -> int:
    """Give the bytes of all bodies that may be there at once."""
    return max(128_000_000, 4 * int(options.max_body))


def _tokens(options: argparse.Namespace) -> list[str]:
    """Read the tokens; without any, only this machine may ask, if not told otherwise."""
    tokens = [token] if (token := os.environ.get(_TOKEN, "").strip()) else []
    if options.auth_token_file is not None:
        # its name is not repeated: who writes the token itself there would see it in a log
        try:
            tokens += Path(options.auth_token_file).read_text(encoding="ascii").split()
        except OSError as error:
            raise DataError(
                f"--auth-token-file: it cannot be read ({error.strerror})", "Check the path."
            ) from None
        except ValueError:
            raise DataError(
                "--auth-token-file: it holds more than ASCII", "Put tokens into it, one a line."
            ) from None
        if not tokens:
            raise DataError("--auth-token-file: there is no token in it", "Put tokens into it, one a line.")
    if any(len(token) < _SHORTEST for token in tokens):
        raise DataError(
            f"a token has fewer than {_SHORTEST} characters", "Make one by: openssl rand -hex 32."
        )
    if options.no_auth and tokens:
        raise DataError("--no-auth contradicts the tokens that are given", "Leave out one of them.")
    if not (tokens or options.no_auth or _is_loopback(options.host)):
        raise DataError(
            f"--host {options.host} lets others reach the gate, and nothing says who may ask",
            f"Give --auth-token-file FILE or {_TOKEN}; or --no-auth, where the network sees to it.",
        )
    return tokens


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; take 1 to 65535, or 0")
    return int(text)


def _workers(text: str) -> int:
    if (count := _count(text)) > _MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{count} processes; take at most {_MOST_WORKERS}")
    return count


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:18]) > 0 and len(text) < 13):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)

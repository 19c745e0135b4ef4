"""The standard streams, and what stands behind every command: whatever goes wrong is told in a line and a hint, and ends with a code that means it."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, Final, cast

from canaryjudge._version import __version__
from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.texts import on_one_line

__all__ = [
    "BAD_INPUT",
    "BUG",
    "INTERRUPTED",
    "complain",
    "described",
    "guarded",
    "naming",
    "standard_input",
    "write_file",
]

BAD_INPUT: Final = 2
BUG: Final = 70
INTERRUPTED: Final = 130
_MENDED: Final = (CanaryJudgeError, OSError, ImportError, MemoryError)
"""What whoever calls can do something about."""
_LONGEST: Final = 2000
_OUTPUT: Final = "standard output"


def complain(message: str | Sequence[str], hint: str) -> None:
    """Write what is wrong, a line each where a policy has several problems, and what to do about it."""
    for line in [message] if isinstance(message, str) else message:
        print(f"canaryjudge: {on_one_line(line, _LONGEST)}", file=sys.stderr)
    if hint:
        print(f"hint: {on_one_line(hint, _LONGEST)}", file=sys.stderr)


def described(error: BaseException) -> CanaryJudgeError:
    """Put whatever went wrong into a sentence and a hint."""
    if isinstance(error, CanaryJudgeError):
        return error
    if isinstance(error, OSError):
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "input or output"
        hint = "Write to a file with --output." if where == _OUTPUT else "Check the path and its permissions."
        return DataError(f"{where}: {error.strerror or error}", hint)
    if isinstance(error, ImportError):
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        return CanaryJudgeError(
            f"the installation is broken ({type(cause).__name__}: {cause})", "Install canaryjudge anew."
        )
    if isinstance(error, MemoryError):
        return DataError("there is not enough memory", "Judge fewer metrics, or a shorter window.")
    return CanaryJudgeError(
        f"this is a bug of canaryjudge {__version__}: {type(error).__name__}: {error}",
        "Please report it with the policy and data.",
    )


def guarded(arguments: Sequence[str] | None) -> int:
    """Run the command line, and give its exit code: 1 is never that of a fault."""
    if (
        arguments is None and os.getpid() == 1
    ):  # of a container, to which a signal that it has no handler for does nothing
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _standard_streams():
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        except KeyboardInterrupt:
            return INTERRUPTED
        except BaseException as error:  # noqa: BLE001 - the last line of defense: no traceback for users
            _tell(error)
            return BAD_INPUT if isinstance(error, _MENDED) else BUG


def _run(arguments: Sequence[str]) -> int:
    try:
        from canaryjudge.cli.commands import parser  # noqa: PLC0415 - with the streams in order, it may say what is missing
    except Exception as error:
        raise ImportError from error
    if any("\0" in argument or not _is_encodable(argument) for argument in arguments):
        raise DataError("an argument is a text that no file can be named by", "Check the names.")
    try:
        options = parser().parse_args(arguments)
        code = int(options.run(options))
    except SystemExit as stop:  # argparse, which has said why
        code = BAD_INPUT if stop.code else 0
    sys.stdout.flush()  # what is still in the buffer may not fit on the disk
    return code


def _is_encodable(argument: str) -> bool:
    try:
        os.fsencode(argument)
    except UnicodeEncodeError:
        return False
    return True


def _tell(error: BaseException) -> None:
    """Say what went wrong; where that goes wrong too, what kind of thing it was."""
    if isinstance(error, BrokenPipeError) and error.filename == _OUTPUT:
        return  # the reader went away, and there is nobody to tell
    with suppress(Exception):
        try:
            said = described(error)
        except Exception:  # noqa: BLE001 - an error that cannot say what it is
            said = CanaryJudgeError(type(error).__name__)
        complain(said.message.split("\n"), said.hint)


def standard_input() -> IO[bytes]:
    """Return standard input, to be read as bytes."""
    if sys.stdin is None:
        raise DataError("standard input is closed", "Name a file, or give it something to read.")
    return sys.stdin.buffer


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Say of which file it was that it could not be written: a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), path) from None


def write_file(path: str, text: str, *, append: bool = False) -> None:
    """Write a file, or what stands in its place."""
    mode = "a" if append else "w"
    with naming(path), open(path, mode, encoding="utf-8", newline="\n", opener=_opened) as file:
        file.write(text)


def _opened(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody reads from is refused, where it would be waited for for ever."""
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(number, True)
    return number


@contextmanager
def _standard_streams() -> Iterator[None]:
    """Have standard output and error as every command may use them, whatever the process was given in their place."""
    for number in range(3):  # where one is closed, the next file that is opened would be taken for it
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast("Any", (_Output(sys.stdout), _Complaints(sys.stderr)))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        sys.stdout, sys.stderr = before


class _Stream:
    """A standard stream that writes UTF-8, whatever the locale."""

    def __init__(self, stream: Any) -> None:
        self._is_closed = stream is None
        self._stream = io.StringIO() if stream is None else stream
        if hasattr(stream, "reconfigure"):
            with suppress(OSError, ValueError):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _silence(self) -> None:
        """Send to nowhere what is still in the buffer, so that it does not fail once more at exit."""
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


class _Output(_Stream):
    """Standard output, which says that it is what could not be written, and says so again at the end, for argparse does not listen."""

    _lost: OSError | None = None

    def write(self, text: str) -> int:
        if self._is_closed:
            raise self._given_up(OSError(errno.EBADF, "it is closed"))
        try:
            return int(self._stream.write(text))
        except OSError as error:
            raise self._given_up(error) from None

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise self._given_up(error) from None
        if self._lost is not None:
            raise self._lost

    def _given_up(self, error: OSError) -> OSError:
        self._silence()
        self._lost = OSError(error.errno, error.strerror, _OUTPUT)
        return self._lost


class _Complaints(_Stream):
    """Standard error, whose own trouble changes nothing: who cannot be told a warning is not told it."""

    def write(self, text: str) -> int:
        try:
            return int(self._stream.write(text))
        except (OSError, ValueError):
            self._silence()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._silence()

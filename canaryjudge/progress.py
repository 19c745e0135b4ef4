"""How far long work has come: a bar for a person who looks on, a callback for a program, or nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Progress", "progress_of"]

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many parts are done, from 0 on, and how many there are."""


def progress_of(what: str, *, wanted: Progress | bool | None) -> Progress:
    """Give what is called as the work goes on: `wanted` is a callback, False for silence, True for a bar on standard error, None for a bar where somebody looks on."""
    if callable(wanted):
        return wanted
    if wanted is False or (wanted is None and not _watched()):
        return _silent
    return _Bar(what)


def _silent(done: int, total: int) -> None:
    """Say nothing."""


def _watched() -> bool:
    """Tell whether a person looks on."""
    kernel = sys.modules.get("IPython")
    shell = None if kernel is None else kernel.get_ipython()
    return sys.stderr.isatty() or type(shell).__name__ == "ZMQInteractiveShell"


class _Bar:
    """A bar, from the first call to the last part: that of ``tqdm.auto`` where tqdm is installed (the extra ``progress``), else a line that counts."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Show how many parts are done."""
        tqdm = _tqdm()
        if tqdm is None:
            end = "\n" if done == total else ""
            sys.stderr.write(f"\r{self._what} {done} of {total}{end}")
            sys.stderr.flush()
            return
        self._bar = self._bar or tqdm(desc=self._what, total=total, leave=False)
        self._bar.update(done - self._bar.n)
        if done == total:
            self._bar.close()


def _tqdm() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that without ipywidgets a notebook gets the bar of a terminal
            from tqdm.auto import tqdm  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return tqdm

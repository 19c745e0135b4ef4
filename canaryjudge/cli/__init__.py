"""The command line: files in, a verdict on standard output, an exit code that a pipeline can act on."""

from __future__ import annotations

import gc
from collections.abc import Sequence

__all__ = ["main"]

_RARELY = 100
"""So many times as many objects are made before the garbage collector looks for what is not used: most are modules, which stay."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments, those of the process where left out.

    Returns
    -------
    int
        The exit code: for `judge`, `monitor` and `watch` 0 pass, 1 fail, 3 marginal, 4 marginal for want of data; 2 bad usage or unusable input, 70 a
        bug, 130 interrupted; for other commands 0, 2 or 70.
    """
    usual = gc.get_threshold()
    gc.set_threshold(_RARELY * usual[0], *usual[1:])
    try:
        from canaryjudge.cli.commands import run  # noqa: PLC0415 - the modules are most of what a command makes

        return run(arguments)
    finally:
        gc.set_threshold(*usual)

"""The command line: files in, a verdict on standard output, an exit code that a pipeline can act on.

Python ends with 1 where nothing catches what goes wrong, and 1 means "roll back" here; so nothing is imported before somebody does.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["main"]

_BROKEN = 70
_INTERRUPTED = 130
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
        The exit code: for `judge`, `monitor` and `watch` 0 pass, 1 fail, 3 marginal, 4 marginal for want of data; 2 bad usage, unusable input or a
        verdict that cannot be delivered, 70 a bug, 130 interrupted; for other commands 0, 2, 70 or 130.
    """
    usual = gc.get_threshold()
    gc.set_threshold(_RARELY * usual[0], *usual[1:])
    try:
        from canaryjudge.cli.streams import guarded  # noqa: PLC0415 - see above

        return guarded(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BaseException as error:  # noqa: BLE001 - an installation without its own modules
        said = f"canaryjudge: it is not installed whole ({type(error).__name__})\nhint: Install it anew.\n"
        with suppress(OSError):
            os.write(2, said.encode())
        return _BROKEN
    finally:
        gc.set_threshold(*usual)

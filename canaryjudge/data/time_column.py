"""Which column of a table holds the times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from canaryjudge.errors import DataError

__all__ = ["TIME_NAMES", "time_column"]

TIME_NAMES: Final = ("time", "timestamp", "@timestamp", "ts", "date", "datetime")
"""Names that a column of times may have, in upper or lower case."""


def time_column(
    names: Iterable[str], how: str = "Leave out or rename the one that is not meant.", where: str = ""
) -> str | None:
    """Find the column of times by its name.

    Parameters
    ----------
    names : iterable of str
        The columns that are there, and are nothing else.
    how : str, optional
        What to do where two are there.
    where : str, optional
        Whose they are, for errors: ``metrics.csv: ``.

    Returns
    -------
    str or None
        The column that is called as one of `TIME_NAMES`.

    Raises
    ------
    DataError
        If there are two: it names them.

    Examples
    --------
    >>> time_column(["version", "@Timestamp", "cpu"])
    '@Timestamp'
    """
    found = [name for name in names if name.strip().lower() in TIME_NAMES]
    if len(found) > 1:
        listed = f"{', '.join(map(repr, found[:-1]))} and {found[-1]!r}"
        which = "either" if len(found) == 2 else "any"
        raise DataError(f"{where}the columns are named {listed}, and {which} may hold the times", how)
    return found[0] if found else None

"""Two verdicts as documents: where they first differ, and what that means."""

from __future__ import annotations

import json
from typing import Any

from canaryjudge.errors import DataError

__all__ = ["difference"]

_CAUSES = ("version", "policy_digest", "data_digest")
_WHY = {
    "version": "another version of canaryjudge judged",
    "policy_digest": "this is not the policy that was judged",
    "data_digest": "these are not the data that were judged",
}


def difference(there: Any, here: Any) -> DataError:
    """Make the error that says where a verdict differs from what its policy and data give.

    Parameters
    ----------
    there, here : dict
        The verdict that was claimed, and the one that was found; they differ as files.

    Returns
    -------
    DataError
        It names the first field that differs: version and digests before what follows from them.

    Examples
    --------
    >>> print(difference({"version": "1", "outcome": "pass"}, {"version": "2", "outcome": "fail"}).message)
    another version of canaryjudge judged: version was "1", and is "2"
    """
    layout = ("layout of the file", "the same values", "written differently")
    field, said, found = _first(there, here, "") or layout
    why = _WHY.get(field, "the verdict is not what this policy and data give")
    return DataError(f"{why}: {field} was {said}, and is {found}", "Check policy, data and version.")


def _first(there: Any, here: Any, where: str) -> tuple[str, str, str] | None:
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [*(key for key in _CAUSES if key in here), *here, *there]
        pairs = [(f"{where}.{key}".lstrip("."), there.get(key), here.get(key)) for key in dict.fromkeys(keys)]
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = [(f"{where}[{index}]", *both) for index, both in enumerate(zip(there, here, strict=True))]
    else:
        same = there == here and type(there) is type(here)
        return None if same else (where, json.dumps(there)[:80], json.dumps(here)[:80])
    return next((found for field, a, b in pairs if (found := _first(a, b, field))), None)

"""Logs of answers of two versions to the same requests -> which of them differ, as paired metrics: all fields, or one at a time."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from canaryjudge.data.diagnostics import likely_name, shown
from canaryjudge.data.frames import table_columns
from canaryjudge.errors import DataError
from canaryjudge.limits import ANSWER_DEPTH, ANSWER_LINE_BYTES, ANSWER_PATHS, ANSWER_VALUES
from canaryjudge.policy import Metric
from canaryjudge.strict_json import read_strictly

__all__ = ["ComparedAnswers", "compare_answers"]

_PATH: Final = re.compile(r"\$(?:\.[^.\[\]]+|\[\*\])*")
_OTHER: Final = "(other paths)"
_ABSENT: Final = object()
_KEY, _LONGEST = 100, 500
"""So much of a key is in a path, and so long a path gets no longer: a large key over many values would fill the memory."""


class ComparedAnswers(dict[str, dict[str, dict[str, Any]]]):
    """Data that `judge` takes: `mismatch`, and a metric a field that was asked for, each with the arms `baseline` and `canary` as columns `request` and `value`.

    The value of the canary's arm is 1 where its answer differs from the baseline's, that of the baseline's arm where a second baseline's does: what both have in common is noise.

    Attributes
    ----------
    fields : list of dict
        Each path at which answers differ, most often first: `path`, in how many requests the `canary` differs there, and the second `baseline`, and a `request` as an example.
    """

    fields: list[dict[str, Any]]

    @property
    def metrics(self) -> list[Metric]:
        """A metric a field, to begin a policy with: more mismatches than noise, beyond 0.1 percentage points, are harm."""
        return [Metric(name=name, kind="paired_ratio", direction="increase") for name in self]


def compare_answers(  # noqa: PLR0913 - all but the logs have defaults
    baseline: Any,
    canary: Any,
    second_baseline: Any = None,
    *,
    fields: Sequence[str] = (),
    ignore: Sequence[str] = (),
    any_order: Sequence[str] = (),
    tolerance: float = 0.0,
    request: str = "request",
    answer: str = "answer",
) -> ComparedAnswers:
    """Compare the answers of two versions to the same requests, as of shadow traffic.

    Parameters
    ----------
    baseline, canary : str, Path, list of dict or frame
        A log each: a file with an object of JSON a line, rows as dicts, or a table; with the id of a request, and the answer as JSON (a text that begins with a brace or a bracket is read as JSON).
    second_baseline : str, Path, list of dict or frame, optional
        The log of a second copy of the old version: where it differs from the first, answers are noisy, such as in times and tokens, and as much noise of the canary is no harm.
    fields : sequence of str
        Paths that have a metric of their own, such as ``$.price`` or ``$.items[*].sku``; with all that lies below them.
    ignore : sequence of str
        Paths at which nothing counts.
    any_order : sequence of str
        Paths of lists whose order is of no account.
    tolerance : float
        Numbers that differ by no more than this part of the larger are the same.
    request, answer : str
        The names of the columns, or keys.

    Returns
    -------
    ComparedAnswers
        Data for `judge`: the metric `mismatch`, of all paths but `fields` and `ignore`, and ``mismatch $.price`` of a field.

    Raises
    ------
    DataError
        A log cannot be read, lacks a column, repeats a key within one object, or has an answer of more than 1 MB, 100 levels or 100,000 values; or a path is none.

    Notes
    -----
    Numbers are compared as numbers (1 is 1.0), anything else by type and value; an absent key is not null. The k-th items of lists are compared, all under the path ``[*]``. Of an id that repeats, the first
    answer counts. Logs are held in memory.

    Examples
    --------
    >>> old = [{"request": i, "answer": {"price": 10 + i, "at": 0.5 * i}} for i in range(3)]
    >>> new = [{"request": i, "answer": {"price": 10 + i + (i == 2), "at": 0.7 * i}} for i in range(3)]
    >>> data = compare_answers(old, new, fields=["$.at"])
    >>> data["mismatch"]["canary"]["value"].tolist(), data["mismatch $.at"]["canary"]["value"].tolist()
    ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0])
    >>> data.fields[0]
    {'path': '$.at', 'canary': 2, 'baseline': 0, 'request': '1'}
    """
    for path in (*fields, *ignore, *any_order):
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise DataError(
                f"compare_answers: {shown(path)} is no path", "Write it like $.price or $.items[*].sku."
            )
    logs = [
        None if log is None else _read(log, name, request, answer)
        for log, name in ((baseline, "baseline"), (canary, "canary"), (second_baseline, "second_baseline"))
    ]
    first, second, noise = logs[0] or {}, logs[1] or {}, logs[2]
    differ = _Differences(any_order, tolerance)
    names = {field: f"mismatch {field}" for field in fields}
    found = ComparedAnswers({"mismatch": {}, **{name: {} for name in names.values()}})
    counts: dict[str, Counter[str]] = {}
    examples: dict[str, Any] = {}
    for arm, log in (("baseline", noise), ("canary", second)):
        ids = list(first if log is None else log if arm == "canary" else (key for key in first if key in log))
        values = {name: np.zeros(len(ids)) for name in found}
        counts[arm] = Counter()
        for index, key in enumerate(ids if log is not None else ()):
            if key not in first or log is None:
                continue
            paths = {path for path in differ.paths(first[key], log[key]) if not _under(path, ignore)}
            for path in paths:
                own = next((names[field] for field in fields if _under(path, [field])), "mismatch")
                values[own][index] = 1.0
                known = path if path in examples or len(examples) < ANSWER_PATHS else _OTHER
                counts[arm][known] += 1
                examples.setdefault(known, key)
        for name, column in values.items():
            found[name][arm] = {"request": ids, "value": column}
    order = sorted(examples, key=lambda path: (-counts["canary"][path], -counts["baseline"][path], path))
    found.fields = [
        {
            "path": path,
            "canary": counts["canary"][path],
            "baseline": counts["baseline"][path],
            "request": examples[path],
        }
        for path in order
    ]
    return found


def _under(path: str, fields: Iterable[str]) -> bool:
    """Tell whether a path is one of some, or lies below."""
    return any(path == field or path.startswith((f"{field}.", f"{field}[")) for field in fields)


def _read(log: Any, name: str, request: str, answer: str) -> dict[Any, Any]:
    """Read a log as answers by their ids."""
    found: dict[Any, Any] = {}
    for place, row in _rows(log, name, (request, answer)):
        for key in (request, answer):
            if key not in row:
                raise DataError(f"{place}: there is no {key!r}", likely_name(key, map(str, row), "keys"))
        id_ = row[request]
        if isinstance(id_, bool) or not isinstance(id_, str | int | np.integer) or id_ == "":
            raise DataError(f"{place}: {shown(id_)} is no id of a request", "Give a text or a whole number.")
        if str(id_) not in found:
            found[str(id_)] = _parsed(row[answer], place)
    return found


def _rows(log: Any, name: str, wanted: tuple[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(log, str | Path):
        yield from _lines(Path(log))
        return
    if isinstance(log, Sequence):
        for number, row in enumerate(log, start=1):
            if not isinstance(row, Mapping):
                raise DataError(f"{name}: row {number} is {shown(row)}", "Give each answer as a dict.")
            yield f"{name}: row {number}", row
        return
    columns = table_columns(log)
    if columns is None:
        raise DataError(
            f"{name} is {shown(log)} ({type(log).__name__})",
            "Give the path of a file with an object of JSON a line, rows as dicts, or a frame.",
        )
    lists = {
        key: list(columns[key].tolist() if hasattr(columns[key], "tolist") else columns[key].to_list())
        for key in wanted
        if key in columns
    }
    for number in range(len(next(iter(columns.values()), ()))):
        yield f"{name}: row {number + 1}", {key: column[number] for key, column in lists.items()}


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}", "Give the path of a file with an object of JSON a line."
        ) from None
    with file:
        number = 0
        while line := file.readline(ANSWER_LINE_BYTES + 1):
            number += 1
            place = f"{path}:{number}"
            if len(line) > ANSWER_LINE_BYTES:
                raise DataError(
                    f"{place}: the line is longer than {ANSWER_LINE_BYTES:,} bytes",
                    "Leave it out of the logs.",
                )
            if not line.strip():
                continue
            row = _json(line, place)
            if not isinstance(row, dict):
                raise DataError(f"{place}: {shown(row)} is no object", "Write an object of JSON a line.")
            yield place, row


def _json(text: str | bytes, place: str) -> Any:
    try:
        return read_strictly(text)
    except RecursionError:
        raise DataError(f"{place}: it is nested too deep", "Leave it out of the logs.") from None
    except ValueError as error:
        raise DataError(
            f"{place}: it cannot be read as JSON: {error}", "Correct it, or leave it out of the logs."
        ) from None


def _parsed(answer: Any, place: str) -> Any:
    """Read an answer that is JSON as a text, and refuse one that is too large to be compared."""
    if isinstance(answer, bytes):
        answer = answer.decode("utf-8", "replace")
    if isinstance(answer, str):
        if len(answer) > ANSWER_LINE_BYTES:
            raise DataError(
                f"{place}: the answer is longer than {ANSWER_LINE_BYTES:,} characters",
                "Leave it out of the logs.",
            )
        if answer.lstrip()[:1] in ("{", "["):
            answer = _json(answer, place)
    waiting, values = [(answer, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        values += 1
        if depth > ANSWER_DEPTH or values > ANSWER_VALUES:
            most = f"{ANSWER_DEPTH} levels" if depth > ANSWER_DEPTH else f"{ANSWER_VALUES:,} values"
            raise DataError(f"{place}: the answer has more than {most}", "Leave it out of the logs.")
        if isinstance(node, Mapping):
            waiting += [(item, depth + 1) for item in node.values()]
        elif isinstance(node, list | tuple):
            waiting += [(item, depth + 1) for item in node]
    return answer


class _Differences:
    """Tells at which paths two answers differ."""

    def __init__(self, any_order: Iterable[str], tolerance: float) -> None:
        self._any_order, self._tolerance = frozenset(any_order), tolerance

    def paths(self, first: Any, second: Any) -> set[str]:
        """Give the paths of what differs, items of lists under ``[*]``."""
        found: set[str] = set()
        waiting = [("$", first, second)]
        while waiting:
            path, one, other = waiting.pop()
            if isinstance(one, Mapping) and isinstance(other, Mapping):
                for key in {**one, **other}:
                    at = f"{path}.{str(key)[:_KEY]}" if len(path) < _LONGEST else path
                    waiting.append((at, one.get(key, _ABSENT), other.get(key, _ABSENT)))
            elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
                if path in self._any_order:
                    one, other = sorted(one, key=_text), sorted(other, key=_text)
                if len(one) != len(other):
                    found.add(f"{path}[*]")
                at = f"{path}[*]" if len(path) < _LONGEST else path
                waiting += [(at, *both) for both in zip(one, other, strict=False)]
            elif not self._same(one, other):
                found.add(path)
        return found

    def _same(self, one: Any, other: Any) -> bool:
        if isinstance(one, bool) or isinstance(other, bool) or not (_is_number(one) and _is_number(other)):
            return type(one) is type(other) and bool(one == other)
        if one != one and other != other:  # noqa: PLR0124 - neither is a number
            return True
        try:
            return bool(one == other) or math.isclose(one, other, rel_tol=self._tolerance)
        except OverflowError:  # a whole number that no float holds
            return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)

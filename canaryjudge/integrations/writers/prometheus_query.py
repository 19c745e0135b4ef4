"""Prometheus' query API: a verdict to whoever can ask a Prometheus server for a number, such as Argo Rollouts and Flagger."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.integrations.writers.answers import JSON, Answer
from canaryjudge.integrations.writers.gist import Said, gist
from canaryjudge.integrations.writers.prometheus import gauges

__all__ = ["prometheus_answer"]

_LONGEST: Final = 4096
_VECTOR: Final = re.compile(r"\s*vector\s*\(\s*([0-9.eE+-]{1,40})\s*\)\s*")
_SELECTOR: Final = re.compile(r"\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_MATCHER: Final = re.compile(
    r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\\n]|\\.)*)"\s*(,|$)', re.DOTALL
)
_UNESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}

Labels = Mapping[str, str]


def prometheus_answer(said: Said, query: str, now: float) -> Answer:
    """Answer ``/api/v1/query`` as a Prometheus server would that scraped `prometheus_text`.

    Parameters
    ----------
    said : Verdict or CanaryJudgeError
        What there is to tell.
    query : str
        The parameter `query`: a gauge's name, with ``=`` and ``!=`` on labels where there is more than one sample, or ``vector(1)``, by which
        Flagger finds out whether the server is there.
    now : float
        The time of the samples, in seconds since 1970: the request's `time`, or the server's clock.

    Returns
    -------
    Answer
        200 with an instant vector; 400 where the query is something else, or names no gauge of ours, rather than an empty answer; 422 where
        nothing was judged. Argo and Flagger take both as an error of the measurement.

    Raises
    ------
    DataError
        If `now` is not a finite number.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> print(prometheus_answer(cj.DataError("no data"), "vector(1)", now=1772442000).body)
    {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1772442000, "1"]}]}}
    """
    if not math.isfinite(now):
        raise DataError(f"now is {now!r}, not a time", "Give seconds since 1970, as time.time() does.")
    if (constant := _VECTOR.fullmatch(query[:_LONGEST])) is not None:
        return _constant(constant[1], now)
    try:
        name, matches = _selected(query)
    except ValueError as error:
        return _refused(str(error))
    if isinstance(said, CanaryJudgeError) and name != "canaryjudge_judged":
        return _error(422, "execution", gist(said).reason)
    (samples,) = (gauge.samples for gauge in gauges(said) if gauge.name == name)
    return _success(
        [({"__name__": name, **labels}, value) for labels, value in samples if matches(labels)], now
    )


def _constant(written: str, now: float) -> Answer:
    try:
        value = float(written)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        return _refused(f"vector({written}) is not a finite number")
    return _success([({}, value)], now)


def _selected(query: str) -> tuple[str, Callable[[Labels], bool]]:
    """Read a selector; ValueError says why it is none."""
    parts = _SELECTOR.fullmatch(query) if len(query) <= _LONGEST else None
    if parts is None:
        raise ValueError("only a gauge's name with matchers of labels, or vector(1), is answered here")
    name, inside = parts[1], parts[2] or ""
    known = [gauge.name for gauge in gauges(DataError("nothing was judged"))]
    if name not in known:
        near = difflib.get_close_matches(name[:100], known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no {name[:100]} here: {meant}known are {', '.join(known)}")
    wanted: list[tuple[str, bool, str]] = []
    at = 0
    while inside[at:].strip():
        found = _MATCHER.match(inside, at)
        if found is None or found[2] in ("=~", "!~"):
            raise ValueError('a matcher here is label="value" or label!="value"')
        wanted.append((found[1], found[2] == "=", _unescaped(found[3])))
        at = found.end()
    return name, lambda labels: all((labels.get(label, "") == value) is same for label, same, value in wanted)


def _unescaped(text: str) -> str:
    def meant(found: re.Match[str]) -> str:
        if found[1] not in _UNESCAPED:
            raise ValueError(f"unknown escape \\{found[1]}")
        return _UNESCAPED[found[1]]

    return re.sub(r"\\(.)", meant, text, flags=re.DOTALL)


def _success(samples: list[tuple[Labels, float]], now: float) -> Answer:
    result = [{"metric": labels, "value": [now, f"{value:.10g}"]} for labels, value in samples]
    return _answer(200, {"status": "success", "data": {"resultType": "vector", "result": result}})


def _refused(error: str) -> Answer:
    return _error(400, "bad_data", error)


def _error(status: int, kind: str, error: str) -> Answer:
    return _answer(status, {"status": "error", "errorType": kind, "error": error})


def _answer(status: int, document: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(document, allow_nan=False), JSON)

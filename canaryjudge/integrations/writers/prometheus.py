"""Prometheus: the verdict as its text format, and as an answer to a query, for tools that ask a server."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.integrations.writers.summary import JSON, Answer, RolloutOrError, summary
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult, RolloutFacts
from canaryjudge.texts import visible
from canaryjudge.verdict import Verdict

if TYPE_CHECKING:
    from canaryjudge.patterns import RolloutVerdict

__all__ = ["EXPOSITION", "HELP", "Gauge", "gauges", "prometheus_answer", "prometheus_text"]

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of `prometheus_text`."""

_SCALE: Final = {"fail": 0.0, "marginal": 0.5, "pass": 1.0}
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
HELP: Final = {
    "canaryjudge_judged": "1 if the release was judged, 0 if that was not possible.",
    "canaryjudge_metric_estimate": "Change of the canary, or its value under an objective, as the deciding rule found it.",
    "canaryjudge_metric_high": "Upper end of the confidence interval of canaryjudge_metric_estimate that the outcome rests on: at beta for a pass, else at alpha.",
    "canaryjudge_metric_limit_high": "Largest value of canaryjudge_metric_estimate that is tolerated.",
    "canaryjudge_metric_limit_low": "Smallest value of canaryjudge_metric_estimate that is tolerated.",
    "canaryjudge_metric_low": "Lower end of the confidence interval of canaryjudge_metric_estimate that the outcome rests on: at beta for a pass, else at alpha.",
    "canaryjudge_metric_outcome": "What became of a metric: 1 pass, 0.5 marginal, 0 fail.",
    "canaryjudge_metric_pass_high": "Largest harm upwards that a pass leaves open, in the scale of canaryjudge_metric_estimate.",
    "canaryjudge_metric_pass_low": "The same downwards.",
    "canaryjudge_metric_points": "Points of an arm that were judged.",
    "canaryjudge_release_info": "What judged, and what was judged: always 1.",
    "canaryjudge_release_no_data": "1 if the release is marginal for want of data, else 0.",
    "canaryjudge_release_outcome": "What became of the release: 1 pass, 0.5 marginal, 0 fail.",
    "canaryjudge_release_score": "Weighted share of metrics that passed, 0 to 100, a marginal one counting half.",
    "canaryjudge_rollout_share": "Of a rollout in stages, what the canary should get of the traffic now, 0 to 1.",
}

Samples = list[tuple[Mapping[str, str], float]]
"""Labels and value of each."""
_LONGEST: Final = 4096
_VECTOR: Final = re.compile(r"\s*vector\s*\(\s*([0-9.eE+-]{1,40})\s*\)\s*")
_SELECTOR: Final = re.compile(r"\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_MATCHER: Final = re.compile(
    r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\\n]|\\.)*)"\s*(,|$)', re.DOTALL
)
_UNESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}
MetricLabels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A gauge with its samples.

    Attributes
    ----------
    name, help : str
        Its name, and what it is.
    samples : list of (mapping of str to str, float)
        Labels and value of each.
    """

    name: str
    help: str
    samples: Samples


def gauges(said: RolloutOrError) -> tuple[Gauge, ...]:
    """Return a verdict, or the lack of one, as gauges; those without a sample are there too."""
    found: dict[str, Samples] = {name: [] for name in HELP}
    found["canaryjudge_judged"].append(({}, float(not isinstance(said, CanaryJudgeError))))
    if not isinstance(said, CanaryJudgeError):
        _add_release(found, said)
        for result in said.metrics.values():
            _add_metric(found, result)
    return tuple(Gauge(name, HELP[name], samples) for name, samples in found.items())


def prometheus_text(said: RolloutOrError) -> str:
    """Write a verdict, or the lack of one, in Prometheus' text format (version 0.0.4).

    Parameters
    ----------
    said : Verdict, RolloutVerdict or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        The exposition, of the media type `EXPOSITION`: for a scrape, a push gateway or the node exporter's text files. Where nothing was judged,
        `canaryjudge_judged` is 0 and the rest is missing, so that no old verdict is taken for a new one.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> print(prometheus_text(cj.DataError("no data")), end="")
    # HELP canaryjudge_judged 1 if the release was judged, 0 if that was not possible.
    # TYPE canaryjudge_judged gauge
    canaryjudge_judged 0
    """
    lines = []
    for gauge in gauges(said):
        if gauge.samples:
            lines += [f"# HELP {gauge.name} {gauge.help}", f"# TYPE {gauge.name} gauge"]
            lines += [f"{gauge.name}{_labels(labels)} {value:.10g}" for labels, value in gauge.samples]
    return "".join(f"{line}\n" for line in lines)


def _add_release(found: dict[str, Samples], said: Verdict | RolloutVerdict) -> None:
    found["canaryjudge_release_outcome"].append(({}, _SCALE[said.outcome.value]))
    found["canaryjudge_release_no_data"].append(({}, float(said.lacks_data)))
    if said.score is not None:
        found["canaryjudge_release_score"].append(({}, said.score))
    verdict: Any = said.release if isinstance(said, RolloutFacts) else said
    facts = ("version", "valid_for", "policy_digest", "data_digest")
    found["canaryjudge_release_info"].append(({name: getattr(verdict, name) for name in facts}, 1.0))
    if isinstance(said, RolloutFacts):
        found["canaryjudge_rollout_share"].append(({}, said.share))


def _add_metric(found: dict[str, Samples], result: MetricResult) -> None:
    metric = {"metric": visible(result.name)}
    became = metric | {"role": result.role, "reason": result.reason}
    found["canaryjudge_metric_outcome"].append((became, _SCALE[result.outcome.value]))
    for arm, points in (("baseline", result.n_baseline), ("canary", result.n_canary)):
        found["canaryjudge_metric_points"].append((metric | {"arm": arm}, float(points)))
    effect = None if result.deciding is None else result.deciding.effect
    if result.deciding is None or effect is None:
        return
    labels = metric | {"rule": result.deciding.rule, "scale": effect.scale}
    # the one that the outcome rests on: at beta for a pass, at alpha for all else
    interval = effect.pass_interval if result.deciding.outcome is Outcome.PASS else effect.interval
    numbers = {
        "estimate": effect.estimate,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "limit_low": effect.limit_low,
        "limit_high": effect.limit_high,
        "pass_low": effect.pass_low,
        "pass_high": effect.pass_high,
    }
    for name, number in numbers.items():
        if number is not None:
            found[f"canaryjudge_metric_{name}"].append((labels, number))


def _labels(labels: Mapping[str, str]) -> str:
    written = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{written}}}" if written else ""


def prometheus_answer(said: RolloutOrError, query: str, now: float) -> Answer:
    """Answer ``/api/v1/query`` as a Prometheus server would that scraped `prometheus_text`.

    Parameters
    ----------
    said : Verdict, RolloutVerdict or CanaryJudgeError
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
        return _error(422, "execution", summary(said).reason)
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


def _selected(query: str) -> tuple[str, Callable[[MetricLabels], bool]]:
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


def _success(samples: list[tuple[MetricLabels, float]], now: float) -> Answer:
    result = [{"metric": labels, "value": [now, f"{value:.10g}"]} for labels, value in samples]
    return _answer(200, {"status": "success", "data": {"resultType": "vector", "result": result}})


def _refused(error: str) -> Answer:
    return _error(400, "bad_data", error)


def _error(status: int, kind: str, error: str) -> Answer:
    return _answer(status, {"status": "error", "errorType": kind, "error": error})


def _answer(status: int, document: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(document, allow_nan=False), JSON)

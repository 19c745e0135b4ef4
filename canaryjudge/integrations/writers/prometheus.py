"""Prometheus: the verdict as its text format, and as an answer to a query, for tools that ask a server."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.integrations.writers.summary import JSON, Answer, AnyVerdictOrError, RolloutOrError, summary
from canaryjudge.reasons import Outcome
from canaryjudge.results import ArmsFacts, MetricResult, RolloutFacts
from canaryjudge.texts import visible
from canaryjudge.verdict import Verdict

if TYPE_CHECKING:
    from canaryjudge.patterns import RolloutVerdict

__all__ = [
    "EXPOSITION",
    "HELP",
    "OUTCOMES",
    "Constant",
    "Gauge",
    "Selector",
    "gauges",
    "prometheus_answer",
    "prometheus_error",
    "prometheus_text",
    "query_of",
    "shown_number",
    "succeeded",
]

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of `prometheus_text`."""

OUTCOMES: Final = {"fail": 0.0, "marginal": 0.5, "pass": 1.0}
"""An outcome as a number."""
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
_SUM: Final = re.compile(r"\s*(\d{1,15})\s*(?:\+\s*(\d{1,15})\s*)?")
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


def gauges(said: AnyVerdictOrError) -> tuple[Gauge, ...]:
    """Return a verdict, or the lack of one, as gauges; those without a sample are there too. Several arms are told apart by the label `canary`."""
    found: dict[str, Samples] = {name: [] for name in HELP}
    found["canaryjudge_judged"].append(({}, float(not isinstance(said, CanaryJudgeError))))
    each: list[tuple[dict[str, str], Verdict | RolloutVerdict]] = []
    if isinstance(said, ArmsFacts):
        each = [({"canary": visible(arm)}, verdict) for arm, verdict in said.items()]
    elif not isinstance(said, CanaryJudgeError):
        each = [({}, said)]
    for arm, verdict in each:
        _add_release(found, verdict, arm)
        for result in verdict.metrics.values():
            _add_metric(found, result, arm)
    return tuple(Gauge(name, HELP[name], samples) for name, samples in found.items())


def prometheus_text(said: AnyVerdictOrError) -> str:
    """Write a verdict, or the lack of one, in Prometheus' text format (version 0.0.4).

    Parameters
    ----------
    said : Verdict, RolloutVerdict, ArmVerdicts or CanaryJudgeError
        What there is to tell. Of several arms each sample has a label `canary` with the arm's name, and the worst ``canaryjudge_release_outcome`` is that of all.

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
            lines += [
                f"{gauge.name}{_labels(labels)} {shown_number(value)}" for labels, value in gauge.samples
            ]
    return "".join(f"{line}\n" for line in lines)


def _add_release(found: dict[str, Samples], said: Verdict | RolloutVerdict, arm: Mapping[str, str]) -> None:
    found["canaryjudge_release_outcome"].append((arm, OUTCOMES[said.outcome.value]))
    found["canaryjudge_release_no_data"].append((arm, float(said.lacks_data)))
    if said.score is not None:
        found["canaryjudge_release_score"].append((arm, said.score))
    verdict: Any = said.release if isinstance(said, RolloutFacts) else said
    facts = ("version", "valid_for", "policy_digest", "data_digest")
    told = {name: getattr(verdict, name) for name in facts}
    found["canaryjudge_release_info"].append(({**arm, **told}, 1.0))
    if isinstance(said, RolloutFacts):
        found["canaryjudge_rollout_share"].append(({}, said.share))


def _add_metric(found: dict[str, Samples], result: MetricResult, arm: Mapping[str, str]) -> None:
    metric = {**arm, "metric": visible(result.name)}
    became = metric | {"role": result.role, "reason": result.reason}
    found["canaryjudge_metric_outcome"].append((became, OUTCOMES[result.outcome.value]))
    for side, points in (("baseline", result.n_baseline), ("canary", result.n_canary)):
        found["canaryjudge_metric_points"].append((metric | {"arm": side}, float(points)))
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
    try:
        asked = query_of(query)
    except ValueError as error:
        return prometheus_error(400, "bad_data", str(error))
    if isinstance(asked, Constant):
        return asked.answer(now)
    if isinstance(said, CanaryJudgeError) and asked.name != "canaryjudge_judged":
        return prometheus_error(422, "execution", summary(said).reason)
    (samples,) = (gauge.samples for gauge in gauges(said) if gauge.name == asked.name)
    result = [
        {"metric": {"__name__": asked.name} | dict(labels), "value": [now, shown_number(value)]}
        for labels, value in samples
        if asked.chooses(labels)
    ]
    return succeeded("vector", result)


@dataclass(frozen=True, slots=True)
class Constant:
    """A query that asks for a number, by which tools find out whether the server is there: ``vector(1)`` of Flagger, ``1+1`` of Grafana.

    Attributes
    ----------
    value : float
        The number.
    scalar : bool
        Whether it is asked for by itself, and not as a vector.
    """

    value: float
    scalar: bool

    def answer(self, now: float) -> Answer:
        """Answer it."""
        sample = [now, shown_number(self.value)]
        if self.scalar:
            return succeeded("scalar", sample)
        return succeeded("vector", [{"metric": {}, "value": sample}])


@dataclass(frozen=True, slots=True)
class Selector:
    """A query for a gauge.

    Attributes
    ----------
    name : str
        The gauge's.
    matchers : tuple of (str, bool, str)
        Labels, each with whether it is to be the value, or not to be it.
    """

    name: str
    matchers: tuple[tuple[str, bool, str], ...]

    def chooses(self, labels: MetricLabels) -> bool:
        """Tell whether it asks for a sample with these labels."""
        return all((labels.get(label, "") == value) is same for label, same, value in self.matchers)

    def only(self, label: str) -> str | None:
        """Give the one value that a label may have; None where it may have several, or none."""
        return next((value for name, same, value in self.matchers if name == label and same and value), None)


def query_of(query: str) -> Constant | Selector:
    """Read a query for a constant, or for a gauge of `HELP`; ValueError says why it is neither."""
    if (constant := _SUM.fullmatch(query[:_LONGEST])) is not None:
        return Constant(float(constant[1]) + float(constant[2] or 0), scalar=True)
    if (vector := _VECTOR.fullmatch(query[:_LONGEST])) is not None:
        try:
            value = float(vector[1])
        except ValueError:
            value = math.inf
        if math.isinf(value):
            raise ValueError(f"vector({vector[1]}) is not a finite number")
        return Constant(value, scalar=False)
    parts = _SELECTOR.fullmatch(query) if len(query) <= _LONGEST else None
    if parts is None:
        raise ValueError("only a gauge's name with matchers of labels, or vector(1), is answered here")
    name, inside = parts[1], parts[2] or ""
    if name not in HELP:
        near = difflib.get_close_matches(name[:100], HELP, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"there is no {name[:100]} here: {meant}known are {', '.join(HELP)}")
    wanted: list[tuple[str, bool, str]] = []
    at = 0
    while inside[at:].strip():
        found = _MATCHER.match(inside, at)
        if found is None or found[2] in ("=~", "!~"):
            raise ValueError('a matcher here is label="value" or label!="value"')
        wanted.append((found[1], found[2] == "=", _unescaped(found[3])))
        at = found.end()
    return Selector(name, tuple(wanted))


def _unescaped(text: str) -> str:
    def meant(found: re.Match[str]) -> str:
        if found[1] not in _UNESCAPED:
            raise ValueError(f"unknown escape \\{found[1]}")
        return _UNESCAPED[found[1]]

    return re.sub(r"\\(.)", meant, text, flags=re.DOTALL)


def shown_number(value: float) -> str:
    """Write a number as samples have it."""
    return f"{value:.10g}"


def succeeded(kind: Literal["vector", "matrix", "scalar"], result: Sequence[Any]) -> Answer:
    """Answer a query with what was found."""
    return _answer(200, {"status": "success", "data": {"resultType": kind, "result": result}})


def prometheus_error(status: int, kind: str, error: str) -> Answer:
    """Answer a query with what is wrong."""
    return _answer(status, {"status": "error", "errorType": kind, "error": error})


def _answer(status: int, document: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(document, allow_nan=False), JSON)

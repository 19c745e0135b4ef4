"""Prometheus: a verdict as gauges, in the text format that it scrapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from canaryjudge.integrations.writers.gist import Said
from canaryjudge.results import MetricResult, Outcome
from canaryjudge.verdict import Verdict

__all__ = ["EXPOSITION", "Gauge", "gauges", "prometheus_text"]

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of `prometheus_text`."""

_SCALE: Final = {"fail": 0.0, "marginal": 0.5, "pass": 1.0}
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP: Final = {
    "canaryjudge_judged": "1 if the release was judged, 0 if that was not possible.",
    "canaryjudge_metric_estimate": "Change of the canary, or its value under an objective, as the deciding rule found it.",
    "canaryjudge_metric_high": "Upper end of the confidence interval of canaryjudge_metric_estimate that the outcome rests on: at beta for a pass, else at alpha.",
    "canaryjudge_metric_limit_high": "Largest value of canaryjudge_metric_estimate that is tolerated.",
    "canaryjudge_metric_limit_low": "Smallest value of canaryjudge_metric_estimate that is tolerated.",
    "canaryjudge_metric_low": "Lower end of the confidence interval of canaryjudge_metric_estimate that the outcome rests on: at beta for a pass, else at alpha.",
    "canaryjudge_metric_outcome": "What became of a metric: 1 pass, 0.5 marginal, 0 fail.",
    "canaryjudge_metric_points": "Points of an arm that were judged.",
    "canaryjudge_release_info": "What judged, and what was judged: always 1.",
    "canaryjudge_release_no_data": "1 if the release is marginal for want of data, else 0.",
    "canaryjudge_release_outcome": "What became of the release: 1 pass, 0.5 marginal, 0 fail.",
    "canaryjudge_release_score": "Weighted share of metrics that passed, 0 to 100, a marginal one counting half.",
}

Samples = list[tuple[Mapping[str, str], float]]
"""Labels and value of each."""


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


def gauges(said: Said) -> tuple[Gauge, ...]:
    """Give a verdict, or the lack of one, as gauges; those without a sample are there too.

    Parameters
    ----------
    said : Verdict or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    tuple of Gauge
        In the order of their names.
    """
    found: dict[str, Samples] = {name: [] for name in _HELP}
    found["canaryjudge_judged"].append(({}, float(isinstance(said, Verdict))))
    if isinstance(said, Verdict):
        _add_release(found, said)
        for result in said.metrics.values():
            _add_metric(found, result)
    return tuple(Gauge(name, _HELP[name], samples) for name, samples in found.items())


def prometheus_text(said: Said) -> str:
    """Write a verdict, or the lack of one, in Prometheus' text format (version 0.0.4).

    Parameters
    ----------
    said : Verdict or CanaryJudgeError
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


def _add_release(found: dict[str, Samples], verdict: Verdict) -> None:
    found["canaryjudge_release_outcome"].append(({}, _SCALE[verdict.outcome.value]))
    found["canaryjudge_release_no_data"].append(({}, float(verdict.lacks_data)))
    if verdict.score is not None:
        found["canaryjudge_release_score"].append(({}, verdict.score))
    facts = ("version", "valid_for", "policy_digest", "data_digest")
    found["canaryjudge_release_info"].append(({name: getattr(verdict, name) for name in facts}, 1.0))


def _add_metric(found: dict[str, Samples], result: MetricResult) -> None:
    metric = {"metric": result.name.encode("utf-8", "replace").decode()}
    became = metric | {"role": result.role, "reason": result.reason}
    found["canaryjudge_metric_outcome"].append((became, _SCALE[result.outcome.value]))
    for arm, points in (("baseline", result.n_baseline), ("canary", result.n_canary)):
        found["canaryjudge_metric_points"].append((metric | {"arm": arm}, float(points)))
    finding = result.deciding
    if finding is None:
        return
    labels = metric | {"rule": finding.rule, "scale": finding.scale}
    # the one that the outcome rests on: at beta for a pass, at alpha for all else
    interval = finding.pass_interval if finding.outcome is Outcome.PASS else finding.interval
    numbers = {
        "estimate": finding.estimate,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "limit_low": finding.limit_low,
        "limit_high": finding.limit_high,
    }
    for name, number in numbers.items():
        if number is not None:
            found[f"canaryjudge_metric_{name}"].append((labels, number))


def _labels(labels: Mapping[str, str]) -> str:
    written = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{written}}}" if written else ""

"""A metric of a Flagger Canary as a metric of a policy, in the plain settings of a policy file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.integrations.flagger.queries import metric_query, network_of
from canaryjudge.integrations.flagger.ranges import BUILT_IN, allowed
from canaryjudge.integrations.flagger.templates import open_placeholders, template_query, with_names
from canaryjudge.integrations.imports import Account, NotJudgedError, abridged, fitting, judged
from canaryjudge.integrations.prometheus.selectors import add_selector, on_one_line
from canaryjudge.integrations.thresholds import Bounds, Edge, direction_of, slo_rule, told
from canaryjudge.policy.quantities import percent

if TYPE_CHECKING:
    from canaryjudge.integrations.flagger.models import FlaggerMetric

__all__ = ["Asked", "metric_settings"]

_MS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A metric of a Canary.

    Attributes
    ----------
    document, place : str
        Where it stands.
    name : str
        What its metric is to be called.
    metric : FlaggerMetric
        It.
    provider : str
        The mesh or ingress; nothing where it is not known.
    names : mapping
        The values of a query's placeholders.
    template : tuple of (str, str) or None
        The type of provider of its MetricTemplate, and the query.
    add_selector : bool
        Whether ``${selector}`` is to be put into a query in which nothing tells the arms apart.
    """

    document: str
    place: str
    name: str
    metric: FlaggerMetric
    provider: str
    names: Mapping[str, str]
    template: tuple[str, str] | None
    add_selector: bool


def metric_settings(asked: Asked, account: Account) -> dict[str, Any] | None:
    """Write a metric of a Canary as a metric of a policy.

    Parameters
    ----------
    asked : Asked
        The metric.
    account : Account
        What became of each part.

    Returns
    -------
    dict or None
        The settings; None where it cannot be judged, which is then said.
    """
    return judged(account, asked.document, asked.place, lambda say: _metric(asked, say))


def _metric(asked: Asked, say: Callable[..., None]) -> dict[str, Any]:
    metric = asked.metric
    known = metric.name in BUILT_IN
    if not known and metric.templateRef is None and not metric.query:
        raise NotJudgedError(
            "the metric",
            "it names no built-in metric, no template and no query, so that Flagger fails every check",
        )
    bounds = allowed(metric.model_dump())
    if bounds == Bounds():
        raise NotJudgedError("thresholdRange", "it has neither min nor max, so that everything is allowed")
    if bounds.empty or not bounds.finite:
        raise NotJudgedError("thresholdRange", f"nothing can be {told(bounds)}")
    _about_range(metric, bounds, say)
    if metric.name == "request-success-rate":
        settings = _success_rate(asked, bounds, say)
    elif metric.name == "request-duration":
        settings = _duration(asked, bounds, say)
    else:
        settings = _custom(asked, bounds, say)
    rule = {"ratio": "proportion"}.get(settings.get("kind", "gauge"), "mann_whitney")
    why = f"with the rule {rule} beside slo, and a tolerance, the canary is also tested against the primary, not only against a fixed range"
    say("note", "what canaryjudge adds", why)
    return fitting(settings, say)


def _about_range(metric: FlaggerMetric, bounds: Bounds, say: Callable[..., None]) -> None:
    if metric.thresholdRange is not None:
        ends = metric.thresholdRange.min, metric.thresholdRange.max
        if metric.name == "request-duration" and any(
            end is not None and not end.is_integer() for end in ends
        ):
            say("adapted", "thresholdRange", f"Flagger cuts it to whole milliseconds: {told(bounds)}")
        return
    if metric.threshold is None:
        say(
            "note",
            "thresholdRange",
            f"there is none, and no threshold, so that Flagger allows what is {told(bounds)}",
        )
    else:
        end = "minimum" if metric.name == "request-success-rate" else "maximum"
        say("note", "threshold", f"it is deprecated, and the {end} of this metric: {told(bounds)}")


def _success_rate(asked: Asked, bounds: Bounds, say: Callable[..., None]) -> dict[str, Any]:
    """Judge the share of failed requests, which is 100 % less the rate of success."""
    good = Bounds(_failing(bounds.high, lowest=0.0), _failing(bounds.low, lowest=None))
    if good.low is not None and good.low.value <= 0:
        good = Bounds(None, good.high)
    if good.high is not None and good.high.value >= 1:
        good = Bounds(good.low, None)
    if good == Bounds():
        raise NotJudgedError("thresholdRange", f"every rate of success is {told(bounds)} %")
    if good.empty or any(end is not None and not 0 <= end.value <= 1 for end in (good.low, good.high)):
        raise NotJudgedError("thresholdRange", f"no rate of success is {told(bounds)} %")
    settings: dict[str, Any] = {
        "name": asked.name,
        "kind": "ratio",
        "direction": direction_of(good),
        "rules": [_in_percent(slo_rule(good, good, "pooled"))],
    }
    says = f"a ratio: value = failed requests (5xx), of total; its share must be {told(good)} (a rate of success {told(bounds)} %)"
    say("taken", f"metric {asked.name}", says)
    query = _built_in(asked, say)
    return settings if query is None else settings | {"counter": True, "query": query}


def _in_percent(rule: dict[str, Any]) -> dict[str, Any]:
    """Write the shares of a rule as people do."""
    return {
        key: percent(value)
        if isinstance(value, int | float)
        else [*map(percent, value)]
        if key == "between"
        else value
        for key, value in rule.items()
    }


def _failing(end: Edge | None, *, lowest: float | None) -> Edge | None:
    """Turn an end of the rate of success in percent into one of the share of failures."""
    if end is None:
        return None
    share = float(f"{1 - end.value / 100:.12g}")
    return Edge(share if lowest is None else max(share, lowest))


def _duration(asked: Asked, bounds: Bounds, say: Callable[..., None]) -> dict[str, Any]:
    query, network = _built_in(asked, say), network_of(asked.provider)
    settings: dict[str, Any] = {"name": asked.name, "direction": direction_of(bounds), "unit": "ms"}
    if query is not None and network is not None and not network.mean:
        if network.unit == "s":
            ends = (None if end is None else Edge(end.value / _MS) for end in (bounds.low, bounds.high))
            settings["unit"], bounds = "s", Bounds(*ends)
        rule = slo_rule(bounds, bounds, "p99")
        say(
            "taken",
            f"metric {asked.name}",
            f"a histogram of durations, whose p99 must be {told(bounds)} {settings['unit']}",
        )
        return settings | {"kind": "histogram", "counter": True, "rules": [rule], "query": query}
    what = "mean duration" if network is not None and network.mean else "p99"
    say(
        "taken",
        f"metric {asked.name}",
        f"a gauge: the {what} of each interval in ms, whose mean must be {told(bounds)}",
    )
    settings["rules"] = [slo_rule(bounds, bounds, "mean")]
    return settings if query is None else settings | {"query": query}


def _built_in(asked: Asked, say: Callable[..., None]) -> dict[str, Any] | None:
    """Write the query of a built-in metric, or say what is missing."""
    network = network_of(asked.provider)
    if network is None:
        named = (
            f"{asked.provider} is not a provider that is known here"
            if asked.provider
            else "the Canary names no provider"
        )
        say(
            "note",
            "data",
            f"{named}, so there is no query: name the mesh or ingress with --provider, or give the data",
        )
        return None
    query = metric_query(network, asked.metric.name, asked.names, asked.names["interval"])
    if query is None:
        say(
            "note",
            "data",
            f"how {asked.provider} calls the primary is not known beforehand: give the data, or write a query",
        )
        return None
    say(
        "taken",
        "query",
        f"${{selector}} stands for {query['canary']}, and for the primary's {query['baseline']}",
    )
    return query


def _custom(asked: Asked, bounds: Bounds, say: Callable[..., None]) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "name": asked.name,
        "direction": direction_of(bounds),
        "rules": [slo_rule(bounds, bounds, "mean")],
    }
    say("taken", f"metric {asked.name}", f"a gauge whose mean must be {told(bounds)}")
    if asked.template is not None and asked.metric.query:
        say("adapted", "query", "Flagger checks it beside the template, and only the template is taken")
    kind, written = asked.template if asked.template is not None else ("prometheus", asked.metric.query)
    if not written.strip():
        say("note", "data", f"there is no query: give points of {asked.name} for each arm")
    elif kind != "prometheus":
        filled = abridged(with_names(written, asked.names))
        say("note", "data", f"give what {kind or 'its source'} answers to {filled}, for each arm")
    elif query := _promql(asked, written, say):
        settings["query"] = query
    return settings


def _promql(asked: Asked, written: str, say: Callable[..., None]) -> dict[str, Any] | None:
    if asked.template is not None:
        query, why = template_query(written, asked.names, add=asked.add_selector)
    else:
        added = (
            add_selector(on_one_line(written))
            if asked.add_selector and not open_placeholders(written)
            else None
        )
        query = None if added is None else {"value": added}
        why = (
            "as `query` it needs ${selector} where its series are chosen (--add-selector puts it there)"
            if query is None
            else "${selector} was put into each choice of series, as --add-selector says"
        )
    if query is None:
        filled = abridged(with_names(written, asked.names))
        say("note", "data", f"give what Prometheus answers to {filled}, for each arm; {why}")
    else:
        say("taken" if "baseline" in query else "adapted", "query", why)
    return query

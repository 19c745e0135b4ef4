"""Flagger's queries: those of its built-in metrics, network by network, and those of MetricTemplates, for the canary and for the primary.

Facts of pkg/metrics/observers in github.com/fluxcd/flagger. The primary is `<target>-primary`, and so are its pods and services.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.integrations.prometheus.promql import (
    ArmComparison,
    ArmName,
    Matcher,
    add_selector,
    arm_of,
    arms_in,
    compared_arms,
    matchers,
    on_one_line,
    replace_matchers,
)
from canaryjudge.limits import QUERY_CHARACTERS
from canaryjudge.policy.query import SELECTOR

__all__ = [
    "NETWORKS",
    "Network",
    "TemplateQuery",
    "built_in_query",
    "checked_query",
    "metric_query",
    "named_arms",
    "network_of",
    "open_placeholders",
    "with_names",
]

_PODS: Final = "-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"
_ENVOY: Final = "envoy_cluster_upstream_rq"
_SKIPPER: Final = "kube(ew)?_{namespace}__{ingress}_canary__.*__{service}_canary(_[0-9]+)?"
_OBSERVERS: Final = {"kubernetes": "http"}
_PLACEHOLDER: Final = re.compile(r"\{\{-?\s*([\w.]+)\s*-?\}\}")
_ANY_PLACEHOLDER: Final = re.compile(r"\{\{[^{}]*\}\}")
_NAMED_ARM: Final = re.compile(r"\b(target|service|name)\s*-?\}\}(-canary|-primary)?")
_TARGET: Final = "\x02target\x03"
_SERVICE: Final = "\x02service\x03"


@dataclass(frozen=True, slots=True)
class Network:
    """A mesh or an ingress, and how it counts.

    Attributes
    ----------
    requests : str
        The counter of requests.
    good : str
        The label matcher of those that did not fail.
    durations : str
        The histogram of durations, in `unit`; or the counters ``_sum`` and ``_count``, where only a mean is known.
    canary : str
        The matcher that chooses the canary.
    primary : str
        The one that chooses the primary; nothing where its name is not known beforehand.
    shared, counted, timed : tuple of str
        Further matchers: of both, of the counter of requests, of the durations.
    unit : str
        Of the durations.
    mean : bool
        Whether only their mean is known.
    words : bool
        Whether names are written with underscores for everything that is no letter or digit.
    """

    requests: str
    good: str
    durations: str
    canary: str
    primary: str = ""
    shared: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    timed: tuple[str, ...] = ()
    unit: str = "ms"
    mean: bool = False
    words: bool = False


def _envoy(canary: str, primary: str = "", label: str = "envoy_cluster_name") -> Network:
    good, durations = 'envoy_response_code!~"5.*"', f"{_ENVOY}_time_bucket"
    other = f'{label}=~"{primary}"' if primary else ""
    return Network(_ENVOY, good, durations, f'{label}=~"{canary}"', other)


NETWORKS: Final[Mapping[str, Network]] = {
    "istio": Network(
        "istio_requests_total",
        'response_code!~"5.*"',
        "istio_request_duration_milliseconds_bucket",
        'destination_workload=~"{target}"',
        'destination_workload=~"{target}-primary"',
        ('reporter="destination"', 'destination_workload_namespace="{namespace}"'),
    ),
    "linkerd": Network(
        "response_total",
        'classification!="failure"',
        "response_latency_ms_bucket",
        'deployment=~"{target}"',
        'deployment=~"{target}-primary"',
        ('namespace="{namespace}"', 'direction="inbound"'),
    ),
    "osm": Network(
        "osm_request_total",
        'response_code!~"5.*"',
        "osm_request_duration_ms_bucket",
        'destination_name="{target}"',
        'destination_name="{target}-primary"',
        ('destination_namespace="{namespace}"', 'destination_kind="Deployment"'),
    ),
    "appmesh": Network(
        _ENVOY,
        'envoy_response_code!~"5.*"',
        f"{_ENVOY}_time_bucket",
        f'kubernetes_pod_name=~"{{target}}{_PODS}"',
        f'kubernetes_pod_name=~"{{target}}-primary{_PODS}"',
        ('kubernetes_namespace="{namespace}"',),
    ),
    "http": Network(
        "http_request_duration_seconds_count",
        'status!~"5.*"',
        "http_request_duration_seconds_bucket",
        f'kubernetes_pod_name=~"{{target}}{_PODS}"',
        f'kubernetes_pod_name=~"{{target}}-primary{_PODS}"',
        ('kubernetes_namespace="{namespace}"',),
        unit="s",
    ),
    "contour": _envoy(
        "{namespace}_{service}-canary_[0-9a-zA-Z-]+", "{namespace}_{service}-primary_[0-9a-zA-Z-]+"
    ),
    "gloo": _envoy(
        "{namespace}-{target}-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+",
        "{namespace}-{target}-primaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+",
    ),
    "knative": _envoy("{namespace}/{route}"),
    "kuma": _envoy(
        "{target}-canary_{namespace}_svc_[0-9a-zA-Z-]+",
        "{target}-primary_{namespace}_svc_[0-9a-zA-Z-]+",
        "service",
    ),
    "nginx": Network(
        "nginx_ingress_controller_requests",
        'status!~"5.*"',
        "nginx_ingress_controller_response_duration_seconds",
        'canary!=""',
        'canary=""',
        ('namespace="{namespace}"', 'ingress="{ingress}"'),
        mean=True,
    ),
    "skipper": Network(
        "skipper_response_duration_seconds_bucket",
        'code!~"5.."',
        "skipper_serve_route_duration_seconds",
        f'route=~"{_SKIPPER}"',
        counted=('le="+Inf"',),
        mean=True,
        words=True,
    ),
    "traefik": Network(
        "traefik_service_request_duration_seconds_bucket",
        'code!~"5.."',
        "traefik_service_request_duration_seconds_bucket",
        'service=~"{namespace}-{target}-canary-[0-9a-zA-Z-]+@kubernetescrd"',
        'service=~"{namespace}-{target}-primary-[0-9a-zA-Z-]+@kubernetescrd"',
        counted=('le="+Inf"',),
        unit="s",
    ),
    "apisix": Network(
        "apisix_http_status",
        'code!~"5.."',
        "apisix_http_latency_bucket",
        'route=~"{namespace}_{route}-{target}-canary_.+"',
        timed=('type=~"request"',),
    ),
}
"""Each network by the name of its observer."""


def network_of(provider: str) -> Network | None:
    """Find the network of a provider, as ``spec.provider`` or Flagger's own ``-mesh-provider`` names it; None where it is not known.

    Examples
    --------
    >>> network_of("appmesh:v1beta2").durations, network_of("smi:other")
    ('envoy_cluster_upstream_rq_time_bucket', None)
    """
    name = provider.split(":", 1)[0]
    return NETWORKS.get(_OBSERVERS.get(name, name))


def _filled(network: Network, text: str, names: Mapping[str, str]) -> str:
    kept = {key: re.sub(r"\W", "_", value) for key, value in names.items()} if network.words else names
    return re.sub(r"\{(\w+)\}", lambda match: kept.get(match[1], match[0]), text)


def _chosen(metric: str, *parts: tuple[str, ...]) -> str:
    return f"{metric}{{{','.join(each for part in parts for each in part)}}}"


def _ratio(top: str, bottom: str, interval: str, factor: int) -> str:
    return f"sum(rate({top}[{interval}])) / sum(rate({bottom}[{interval}])) * {factor}"


def built_in_query(provider: str, metric: str, names: Mapping[str, str], interval: str = "1m") -> str | None:
    """Write the query that Flagger asks for a built-in metric.

    Examples
    --------
    >>> built_in_query("linkerd", "request-duration", {"namespace": "test", "target": "podinfo"})
    'histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{namespace="test",direction="inbound",deployment=~"podinfo"}[1m])) by (le))'
    """
    network = network_of(provider)
    if network is None:
        return None
    query = _asked(network, metric, interval, network.canary)
    query += " * 1000" if provider == "traefik" and metric == "request-duration" else ""
    return _filled(network, query, names)


def _asked(network: Network, metric: str, interval: str, selector: str) -> str:
    """Write what Flagger asks of the series that a selector chooses."""
    arm = (selector,)
    if metric == "request-success-rate":
        bottom = _chosen(network.requests, network.shared, arm, network.counted)
        top = _chosen(network.requests, network.shared, arm, (network.good,), network.counted)
        return _ratio(top, bottom, interval, 100)
    if network.mean:
        parts = [
            _chosen(f"{network.durations}_{each}", network.shared, arm, network.timed)
            for each in ("sum", "count")
        ]
        return _ratio(parts[0], parts[1], interval, 1000)
    buckets = _chosen(network.durations, network.shared, arm, network.timed)
    return f"histogram_quantile(0.99, sum(rate({buckets}[{interval}])) by (le))"


def checked_query(
    network: Network, metric: str, names: Mapping[str, str], interval: str
) -> dict[str, Any] | None:
    """Write what Flagger asks at each check for both arms, as a policy has it: a percentage, or milliseconds.

    Examples
    --------
    >>> checked_query(NETWORKS["http"], "request-duration", {"namespace": "test", "target": "podinfo"}, "1m")["value"][-15:]
    'by (le)) * 1000'
    """
    if not network.primary:
        return None
    query = _asked(network, metric, interval, SELECTOR)
    query += " * 1000" if metric == "request-duration" and network.unit == "s" and not network.mean else ""
    texts = {"value": query, "baseline": network.primary, "canary": network.canary}
    return {key: _filled(network, text, names) for key, text in texts.items()}


def metric_query(
    network: Network, metric: str, names: Mapping[str, str], interval: str
) -> dict[str, Any] | None:
    """Write the query of a built-in metric for both arms, as a policy has it.

    Examples
    --------
    >>> metric_query(NETWORKS["linkerd"], "request-success-rate", {"namespace": "test", "target": "podinfo"}, "1m")["canary"]
    'deployment=~"podinfo"'
    """
    if not network.primary:
        return None
    arm = (SELECTOR,)
    query: dict[str, Any]
    if metric == "request-success-rate":
        bad = network.good.replace("!~", "=~").replace("!=", "=")
        query = {
            "value": _chosen(network.requests, arm, network.shared, (bad,), network.counted),
            "total": _chosen(network.requests, arm, network.shared, network.counted),
        }
    elif network.mean:
        parts = [
            _chosen(f"{network.durations}_{each}", arm, network.shared, network.timed)
            for each in ("sum", "count")
        ]
        query = {"value": _ratio(parts[0], parts[1], interval, 1000)}
    else:
        query = {"value": _chosen(network.durations, arm, network.shared, network.timed)}
    query |= {"baseline": network.primary, "canary": network.canary}
    return {key: _filled(network, text, names) for key, text in query.items()}


def with_names(query: str, names: Mapping[str, str]) -> str:
    """Fill in a query's placeholders; those that are not known stay as they stand.

    Examples
    --------
    >>> with_names('up{ns="{{ namespace }}"}[{{interval}}]', {"namespace": "test", "interval": "1m"})
    'up{ns="test"}[1m]'
    """
    return _PLACEHOLDER.sub(lambda match: names.get(match[1], match[0]), query)


def open_placeholders(query: str) -> list[str]:
    """List what is still to be filled in."""
    return list(dict.fromkeys(_ANY_PLACEHOLDER.findall(query[:QUERY_CHARACTERS])))


def named_arms(query: str) -> set[ArmName]:
    """Return the arms that a query of any language names by its placeholders.

    Examples
    --------
    >>> sorted(named_arms("a{w:{{ target }}} / a{w:{{ target }}-primary}")), named_arms("{{ service }}")
    (['baseline', 'canary'], set())
    """
    found: set[ArmName] = set()
    for name, ending in _NAMED_ARM.findall(query[:QUERY_CHARACTERS]):
        if ending == "-primary":
            found.add("baseline")
        elif ending or name == "target":
            found.add("canary")
    return found


@dataclass(frozen=True, slots=True)
class TemplateQuery:
    """The query of a MetricTemplate, with its placeholders filled in, and how it tells the canary from the primary.

    Attributes
    ----------
    marked : str
        The query, on one line; the names of target and service are marked.
    names : mapping of str to str
        The values of its placeholders.
    network : Network or None
        The mesh or ingress of the Canary, whose built-in metrics know the arms.
    """

    marked: str
    names: Mapping[str, str]
    network: Network | None

    @classmethod
    def of(cls, query: str, names: Mapping[str, str], network: Network | None) -> TemplateQuery:
        """Fill in a query."""
        marked = with_names(query, {**names, "target": _TARGET, "service": _SERVICE})
        return cls(on_one_line(marked), names, network)

    @property
    def gap(self) -> str:
        """Why it cannot be read; nothing where it can."""
        if len(self.marked) > QUERY_CHARACTERS:
            return (
                f"it has {len(self.marked):,} characters, and a policy's query at most {QUERY_CHARACTERS:,}"
            )
        left = open_placeholders(self.marked)
        return f"it has {left[0]}, which is not filled in here" if left else ""

    def filled(self, text: str) -> str:
        """Write a part of it with the names of target and service."""
        return text.replace(_TARGET, self.names.get("target", "")).replace(
            _SERVICE, self.names.get("service", "")
        )

    def arm(self, matcher: Matcher) -> ArmName:
        """Return which arm a matcher chooses; nothing where it says nothing of arms."""
        if _TARGET in matcher.value or f"{_SERVICE}-" in matcher.value:
            chosen = matcher.operator in ("=", "=~")
            return "canary" if ("-primary" not in matcher.value) == chosen else "baseline"
        if self.network is not None:
            text = self.filled(matcher.text)
            if text == _filled(self.network, self.network.canary, self.names):
                return "canary"
            if text == _filled(self.network, self.network.primary, self.names):
                return "baseline"
        return arm_of(matcher)

    def arms(self) -> set[ArmName]:
        """Return which arms it chooses."""
        return arms_in(self.marked, self.arm)

    @property
    def of_the_primary(self) -> bool:
        """Whether it measures the primary alone, by its name."""
        named = [each for each in matchers(self.marked) if _TARGET in each.value or _SERVICE in each.value]
        return "canary" not in self.arms() and any(self.arm(each) == "baseline" for each in named)

    def comparison(self) -> ArmComparison | None:
        """Read it as a comparison of both arms."""
        return compared_arms(self.marked, self.arm)

    def settings(self, *, add: bool) -> tuple[dict[str, Any] | None, str]:
        """Write it for both arms, as a policy has it, or say why not.

        Examples
        --------
        >>> found, _ = TemplateQuery.of('up{pod=~"{{ target }}-.+"}', {"target": "podinfo"}, None).settings(add=False)
        >>> found["value"], found["baseline"]
        ('up{${selector}}', 'pod=~"podinfo-primary-.+"')
        """
        if self.gap:
            return None, self.gap
        ours = [each for each in matchers(self.marked) if self.arm(each) == "canary"]
        texts = {each.text for each in ours}
        if len(texts) == 1:
            selectors = {"canary": self.filled(texts.pop())}
            if primary := self._primary(ours[0]):
                selectors = {"baseline": self.filled(primary), **selectors}
            told = f"${{selector}} stands for {selectors['canary']}"
            told += (
                f", and for the primary's {selectors['baseline']}"
                if primary
                else "; nothing says what chooses the primary: give --baseline-selector"
            )
            return {"value": self.filled(replace_matchers(self.marked, ours)), **selectors}, told
        if texts:
            why = "it chooses the canary in several ways"
            return None, f"{why}, so as `query` it needs ${{selector}} where its series are chosen"
        added = add_selector(self.filled(self.marked)) if add else None
        if added is not None:
            return {"value": added}, "${selector} was put into each choice of series, as --add-selector says"
        why = "nothing in it tells the primary from the canary, so as `query` it needs ${selector} where its series are chosen (--add-selector puts it there)"
        return None, why

    def _primary(self, matcher: Matcher) -> str:
        """Write what chooses the primary; nothing where that is not known."""
        if _TARGET in matcher.value or f"{_SERVICE}-" in matcher.value:
            return matcher.with_value(_primary(matcher.value))
        if "canary" in matcher.label.lower():
            if matcher.operator in ("!=", "!~") or matcher.value in (".+", "^.+$"):
                return f'{matcher.label}=""'
            return "" if matcher.operator == "=~" else matcher.text.replace("=", "!=", 1)
        known = self.network is not None and self.filled(matcher.text) == _filled(
            self.network, self.network.canary, self.names
        )
        if known and self.network is not None and self.network.primary:
            return _filled(self.network, self.network.primary, self.names)
        own = {f"{self.names.get(name)}-canary" for name in ("target", "service")}
        if matcher.operator in ("=", "=~") and any(name in matcher.value for name in own):
            return matcher.with_value(matcher.value.replace("-canary", "-primary"))
        return ""


def _primary(value: str) -> str:
    """Write the canary's name as the primary's."""
    for mark in (_TARGET, _SERVICE):
        value = value.replace(f"{mark}-canary", f"{mark}-primary")
    return value if "-primary" in value else value.replace(_TARGET, f"{_TARGET}-primary")

"""Flagger's Canaries as policies: each metric with a range becomes a metric with a rule, and nothing else is left unsaid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.bounds import (
    AllowedRange,
    Edge,
    change_rules,
    direction_of,
    every_rules,
    slo_rule,
    told,
)
from canaryjudge.integrations.flagger.models import (
    BUILT_IN,
    FlaggerAnalysis,
    FlaggerMetric,
    FlaggerTemplate,
    allowed,
    analysis_threshold,
)
from canaryjudge.integrations.flagger.queries import (
    TemplateQuery,
    checked_query,
    metric_query,
    named_arms,
    network_of,
    open_placeholders,
    with_names,
)
from canaryjudge.integrations.imported import (
    Account,
    Imported,
    NotJudgedError,
    about_made_up,
    abridged,
    fitting,
    imported,
    judged,
    watched_for,
    with_own_names,
)
from canaryjudge.integrations.manifests import (
    Manifest,
    checked_model,
    go_duration,
    node_at,
    read_manifests,
    word_at,
)
from canaryjudge.integrations.prometheus.promql import arms_in_words
from canaryjudge.policy.document import Complaint, Node
from canaryjudge.policy.loading import refusal
from canaryjudge.quantities import percent, shown

__all__ = ["load_flagger"]

_WHAT: Final = "a manifest of Flagger"
_GROUP: Final = "flagger.app/"
_VERSION: Final = "flagger.app/v1beta1"
_NO_QUERY: Final = ("", "")
_TRAFFIC: Final = (
    "maxWeight",
    "stepWeight",
    "stepWeights",
    "stepWeightPromotion",
    "iterations",
    "mirror",
    "mirrorWeight",
    "match",
    "sessionAffinity",
    "primaryReadyThreshold",
    "canaryReadyThreshold",
)
_MS: Final = 1000.0


def load_flagger(
    *paths: str | Path,
    text: str | None = None,
    provider: str | None = None,
    add_selector: bool = False,
    count_failures: bool = False,
) -> Imported:
    """Read Flagger's Canaries as metrics of a policy.

    MetricTemplates are found by their names among all documents. The built-in metrics become counts of failed requests and buckets
    of durations, for the canary and for the primary beside it.

    Parameters
    ----------
    *paths : str or pathlib.Path
        Files, YAML or JSON, with one or several documents, or lists of objects.
    text : str, optional
        A document that is not in a file.
    provider : str, optional
        The mesh or ingress of Canaries that name none, as Flagger's own ``-mesh-provider`` has it: ``istio``, ``linkerd``, ``nginx``.
    add_selector : bool
        Put ``${selector}`` into each choice of series of a query in which nothing tells the arms apart.
    count_failures : bool
        Count failed checks against ``threshold``, as Flagger does (a rule `slo` with `evidence: point` and `exceptions`), where
        otherwise all data together are proven to lie in the range.

    Returns
    -------
    Imported
        `metrics`, ready for ``Policy(metrics=...)``; `unjudged`, what cannot be judged and why; `adapted`, what is judged, but not
        quite as it stands; `remarks`, what became of everything; and `text`, the policy as YAML.

    Raises
    ------
    PolicyError
        If a file cannot be read, or is not what Flagger takes: with file, line, column and what to do.

    Examples
    --------
    >>> found = load_flagger(provider="istio", text='''
    ... apiVersion: flagger.app/v1beta1
    ... kind: Canary
    ... metadata: {name: podinfo, namespace: test}
    ... spec:
    ...   targetRef: {kind: Deployment, name: podinfo}
    ...   analysis:
    ...     metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]
    ... ''')
    >>> (metric,) = found.metrics
    >>> metric.kind, metric.rules[0].op, metric.rules[0].value.within("%"), metric.query.baseline
    ('ratio', 'lte', 1.0, 'destination_workload=~"podinfo-primary"')
    """
    if not paths and text is None:
        raise PolicyError("no manifest of Flagger is given", "Give files, or text=...")
    reader = _Import(
        read_manifests(paths, text, _WHAT),
        provider or "",
        add_selector=add_selector,
        count_failures=count_failures,
    )
    return reader.done()


class _Import:
    """One walk over the documents."""

    def __init__(
        self, manifests: list[Manifest], provider: str, *, add_selector: bool, count_failures: bool
    ) -> None:
        self.manifests = manifests
        self.provider = provider
        self.add_selector = add_selector
        self.count_failures = count_failures
        self.account = Account()
        self.complaints: list[Complaint] = []
        self.used: set[tuple[str, str]] = set()
        self.lasting: list[float | None] = []
        """How long each analysis takes at least, in seconds."""
        self.servers: list[str] = []
        self.judged: list[str] = []
        """The documents of which metrics are made."""
        self.services: list[str] = []

    def done(self) -> Imported:
        """Make metrics of all Canaries, and say what becomes of the rest."""
        metrics: list[dict[str, Any]] = []
        for manifest in self.manifests:
            if manifest.version == _VERSION and manifest.kind == "Canary":
                metrics += self.canary(manifest)
            elif not manifest.version.startswith(_GROUP):
                why = f"{manifest.version} {manifest.kind} is no object of Flagger"
                self.account.say("no_effect", manifest.title, "", manifest.kind, why)
            elif manifest.version != _VERSION:
                why = f"the version {manifest.version} is not read; write {_VERSION}"
                self.account.say("unjudged", manifest.title, "apiVersion", manifest.kind, why)
            elif manifest.kind != "MetricTemplate":
                self.account.say("no_effect", manifest.title, "", manifest.kind, "no verdict depends on it")
        if self.complaints:
            raise refusal(self.complaints)
        for manifest in self.manifests:
            if manifest.version == _VERSION and manifest.kind == "MetricTemplate":
                used = (manifest.namespace, manifest.name) in self.used
                why = "no Canary among the documents refers to it, and it has no range of its own"
                told = "it is read where a Canary refers to it" if used else why
                self.account.say("note" if used else "no_effect", manifest.title, "", manifest.kind, told)
        settings = (
            watched_for(self.account, self.judged[0], self.lasting, "an analysis without a halt")
            if metrics
            else {}
        )
        service = self.services[0] if self.services else ""
        return imported(
            with_own_names(metrics), self.account.remarks, settings, service=service, servers=self.servers
        )

    def canary(self, manifest: Manifest) -> list[dict[str, Any]]:
        """Make metrics of a Canary."""
        node = node_at(manifest.node, "spec", "analysis")
        if node is None or node.value is None:
            told = f"{manifest.called}: 'spec.analysis' is missing"
            self.complaints.append(Complaint(manifest.place, told, "Give the whole Canary."))
            return []
        analysis = checked_model(FlaggerAnalysis, node, manifest.called, self.complaints)
        if analysis is None:
            return []
        self.about(manifest, analysis)
        if not analysis.metrics:
            why = "there are none, so that Flagger promotes whatever happens"
            self.account.say("unjudged", manifest.title, "spec.analysis.metrics", "metrics", why)
        self.judged.append(manifest.title)
        self.services.append(f"{manifest.name}.{manifest.namespace or 'default'}")
        self.lasting.append(_lasting(analysis))
        several = sum(each.kind == "Canary" for each in self.manifests) > 1
        made: list[dict[str, Any]] = []
        for index, metric in enumerate(analysis.metrics or ()):
            place = f"spec.analysis.metrics[{index}]"
            query, gap = self.template(manifest, metric)
            if gap:
                self.account.say("note", manifest.title, place, f"metric {shown(metric.name)}", gap)
            named = metric.name or (metric.templateRef.name if metric.templateRef else "")
            asked = _CanaryMetric(
                document=manifest.title,
                place=place,
                name=f"{manifest.name}/{named}" if several else named,
                metric=metric,
                provider=word_at(manifest.node, "spec", "provider") or self.provider,
                names=_names(manifest, metric),
                template=query,
                add_selector=self.add_selector,
                every=analysis.interval or "1m",
                bearable=analysis_threshold(analysis.threshold) - 1 if self.count_failures else None,
            )
            settings = _metric_settings(asked, self.account)
            made += [] if settings is None else [settings]
        return made

    def template(self, manifest: Manifest, metric: FlaggerMetric) -> tuple[tuple[str, str] | None, str]:
        """Find a metric's template: the type of its provider and its query, both empty where it is not there; and why it is not."""
        reference = metric.templateRef
        if reference is None:
            return None, ""
        namespace = reference.namespace or manifest.namespace
        found = [
            each
            for each in self.manifests
            if each.version == _VERSION
            and (each.kind, each.name) == ("MetricTemplate", reference.name)
            and (not namespace or not each.namespace or each.namespace == namespace)
        ]
        self.used |= {(each.namespace, each.name) for each in found}
        if not found:
            where = f" in the namespace {shown(namespace)}" if namespace else ""
            return _NO_QUERY, f"the MetricTemplate {shown(reference.name)}{where} is not among the documents"
        if len(found) > 1:
            return (
                None,
                f"there are several of the MetricTemplate {shown(reference.name)}: {found[0].place} and {found[1].place}",
            )
        node = node_at(found[0].node, "spec") or Node(found[0].place, {})
        template = checked_model(FlaggerTemplate, node, found[0].called, self.complaints)
        if template is None:
            return _NO_QUERY, ""
        kind, address = str(template.provider.get("type") or ""), template.provider.get("address")
        if kind == "prometheus" and isinstance(address, str):
            self.servers.append(address)
        return (kind, template.query or ""), ""

    def about(self, manifest: Manifest, analysis: FlaggerAnalysis) -> None:
        """Say what becomes of what is no metric."""

        def say(kind: Any, what: str, why: str) -> None:
            self.account.say(kind, manifest.title, f"spec.analysis.{what}", what, why)

        threshold = analysis_threshold(analysis.threshold)
        rolls_back = f"{threshold} failed check{'s roll' if threshold > 1 else ' rolls'} back"
        if self.count_failures:
            each = threshold > 1 and len(analysis.metrics or ()) > 1
            how = "counted over all metrics there, and metric by metric here" if each else "and so it is here"
            why = f"{rolls_back}, {how} (exceptions: {threshold - 1}, evidence: point); give a point a check"
            say("adapted" if each else "taken", "threshold", why)
        elif threshold > 1:
            why = f"{rolls_back}, counted over the whole release; here all points are held against the range together (--count-failures counts them)"
            say("adapted", "threshold", why)
        if analysis.interval:
            say(
                "note",
                "interval",
                f"Flagger checks every {analysis.interval}; canaryjudge takes a point every step of the data",
            )
        steps = [name for name in _TRAFFIC if getattr(analysis, name) is not None]
        if steps:
            say("no_effect", "traffic", f"{', '.join(steps)}: how traffic is led is for Flagger")
        for index, hook in enumerate(analysis.webhooks or ()):
            kind = hook.get("type") or "rollout"
            told = f"Flagger calls {shown(hook.get('name'))} ({kind}); no verdict depends on it"
            self.account.say(
                "no_effect", manifest.title, f"spec.analysis.webhooks[{index}]", "the webhook", told
            )
        if analysis.alerts:
            say("no_effect", "alerts", "canaryjudge tells its caller, nobody else")
        skipped = node_at(manifest.node, "spec", "skipAnalysis")
        if skipped is not None and skipped.value is True:
            told = "Flagger promotes without looking; the metrics are imported all the same"
            self.account.say("note", manifest.title, "spec.skipAnalysis", "skipAnalysis", told)


def _lasting(analysis: FlaggerAnalysis) -> float | None:
    """Return how long an analysis takes that is never halted, in seconds; None where it does not say."""
    try:
        interval = go_duration(analysis.interval or "1m")
        if analysis.stepWeights:
            return interval * len(analysis.stepWeights)
        if analysis.iterations:
            return interval * int(analysis.iterations)
        return interval * math.ceil((int(analysis.maxWeight or 0) or 100) / int(analysis.stepWeight))
    except (TypeError, ValueError, ArithmeticError, PolicyError):
        return None


def _names(manifest: Manifest, metric: FlaggerMetric) -> dict[str, str]:
    """Return the values of a query's placeholders."""
    spec = node_at(manifest.node, "spec")
    target = word_at(spec, "targetRef", "name") or manifest.name
    service = word_at(spec, "service", "name") or target
    names = {
        "name": manifest.name,
        "namespace": manifest.namespace or "default",
        "target": target,
        "service": service,
        "ingress": word_at(spec, "ingressRef", "name") or target,
        "route": word_at(spec, "routeRef", "name") or target,
        "interval": metric.interval or "1m",
    }
    return names | {f"variables.{key}": value for key, value in metric.templateVariables.items()}


@dataclass(frozen=True, slots=True)
class _CanaryMetric:
    """A metric of a Canary."""

    document: str
    place: str
    name: str  # what the policy's metric is to be called
    metric: FlaggerMetric
    provider: str  # the mesh or ingress; nothing where it is not known
    names: Mapping[str, str]  # the values of a query's placeholders
    template: tuple[str, str] | None  # the type of provider of its MetricTemplate, and the query
    add_selector: bool  # put ${selector} into a query in which nothing tells the arms apart
    every: str  # from one check to the next
    bearable: int | None  # how many checks may fail; None where they are not counted

    def rules(self, bounds: AllowedRange, of: str, say: Callable[..., None]) -> list[dict[str, Any]]:
        """Hold all data together against a range, or count checks outside of it."""
        if self.bearable is None:
            return [slo_rule(bounds, bounds, of)]
        two_sided = bounds.low is not None and bounds.high is not None
        if two_sided and self.bearable:
            why = "failed checks on both sides of a range cannot be counted together; here not one may lie outside"
            say("adapted", "thresholdRange", why)
        return every_rules(bounds, bounds, 0 if two_sided else self.bearable)

    def asked_of(self, of: str) -> str:
        """Say what is held against the range."""
        return (
            of
            if self.bearable is None
            else f"{'every' if not self.bearable else f'all but {self.bearable}'} of whose points"
        )


def _metric_settings(asked: _CanaryMetric, account: Account) -> dict[str, Any] | None:
    """Write a metric of a Canary as a metric of a policy."""
    return judged(account, asked.document, asked.place, lambda say: _metric(asked, say))


def _metric(asked: _CanaryMetric, say: Callable[..., None]) -> dict[str, Any]:
    metric = asked.metric
    known = metric.name in BUILT_IN
    if not known and metric.templateRef is None and not metric.query:
        raise NotJudgedError(
            "the metric",
            "it names no built-in metric, no template and no query, so that Flagger fails every check",
        )
    bounds = allowed(metric.model_dump())
    if bounds == AllowedRange():
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


def _about_range(metric: FlaggerMetric, bounds: AllowedRange, say: Callable[..., None]) -> None:
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


def _success_rate(asked: _CanaryMetric, bounds: AllowedRange, say: Callable[..., None]) -> dict[str, Any]:
    """Judge the share of failed requests, which is 100 % less the rate of success."""
    good = AllowedRange(_failing(bounds.high, lowest=0.0), _failing(bounds.low, lowest=None))
    if good.low is not None and good.low.value <= 0:
        good = AllowedRange(None, good.high)
    if good.high is not None and good.high.value >= 1:
        good = AllowedRange(good.low, None)
    if good == AllowedRange():
        raise NotJudgedError("thresholdRange", f"every rate of success is {told(bounds)} %")
    if good.empty or any(end is not None and not 0 <= end.value <= 1 for end in (good.low, good.high)):
        raise NotJudgedError("thresholdRange", f"no rate of success is {told(bounds)} %")
    if asked.bearable is not None:
        return _checked(asked, "%", bounds, say)
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


def _checked(
    asked: _CanaryMetric, unit: str, bounds: AllowedRange, say: Callable[..., None]
) -> dict[str, Any]:
    """Judge what Flagger's own query of a built-in metric gives at each check."""
    say("taken", f"metric {asked.name}", f"a gauge in {unit}, {asked.asked_of('')} must be {told(bounds)}")
    settings = {"name": asked.name, "direction": direction_of(bounds), "unit": unit}
    query = _built_in(asked, say)
    return (
        settings
        | {"rules": asked.rules(bounds, "mean", say)}
        | ({} if query is None else {"query": query | {"step": asked.every}})
    )


def _duration(asked: _CanaryMetric, bounds: AllowedRange, say: Callable[..., None]) -> dict[str, Any]:
    if asked.bearable is not None:
        return _checked(asked, "ms", bounds, say)
    query, network = _built_in(asked, say), network_of(asked.provider)
    settings: dict[str, Any] = {"name": asked.name, "direction": direction_of(bounds), "unit": "ms"}
    if query is not None and network is not None and not network.mean:
        if network.unit == "s":
            ends = (None if end is None else Edge(end.value / _MS) for end in (bounds.low, bounds.high))
            settings["unit"], bounds = "s", AllowedRange(*ends)
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


def _built_in(asked: _CanaryMetric, say: Callable[..., None]) -> dict[str, Any] | None:
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
    write = metric_query if asked.bearable is None else checked_query
    query = write(network, asked.metric.name, asked.names, asked.names["interval"])
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


def _custom(asked: _CanaryMetric, bounds: AllowedRange, say: Callable[..., None]) -> dict[str, Any]:
    settings: dict[str, Any] = {"name": asked.name, "direction": direction_of(bounds)}
    if asked.template is not None and asked.metric.query:
        say("adapted", "query", "Flagger checks it beside the template, and only the template is taken")
    kind, written = asked.template if asked.template is not None else ("prometheus", asked.metric.query)
    query = TemplateQuery.of(written, asked.names, network_of(asked.provider))
    about_made_up(written, say)
    arms = query.arms() | named_arms(written)
    arms |= arms_in_words(written) if kind != "prometheus" else set()
    if query.of_the_primary or named_arms(written) == {"baseline"}:
        raise NotJudgedError("query", "it measures the primary, and not the canary")
    if {"baseline", "canary"} <= arms:
        if asked.bearable:
            say("adapted", "threshold", "a comparison of both arms is not counted check by check")
        return settings | _change(query, bounds, say)
    say("taken", f"metric {asked.name}", f"a gauge {asked.asked_of('whose mean')} must be {told(bounds)}")
    settings["rules"] = asked.rules(bounds, "mean", say)
    filled = abridged(with_names(written, asked.names))
    if not written.strip():
        say("note", "data", f"there is no query: give points of {asked.name} for each arm")
    elif kind != "prometheus":
        say("note", "data", f"give what {kind or 'its source'} answers to {filled}, for each arm")
    elif asked.template is None and open_placeholders(written):
        why = "Flagger fills in nothing in a query of its own (a MetricTemplate has placeholders)"
        say("note", "data", f"give what Prometheus answers to {filled}, for each arm; {why}")
    else:
        found, why = query.settings(add=asked.add_selector)
        if found is None:
            say("note", "data", f"give what Prometheus answers to {filled}, for each arm; {why}")
        else:
            say("taken" if "canary" in found else "adapted", "query", why)
            settings["query"] = found if asked.bearable is None else found | {"step": asked.every}
    return settings


def _change(query: TemplateQuery, bounds: AllowedRange, say: Callable[..., None]) -> dict[str, Any]:
    """Hold the canary against the primary where a query compares them by itself."""
    found = None if query.gap else query.comparison()
    allowed_change = None if found is None else found.change(bounds)
    if found is None or allowed_change is None or allowed_change == AllowedRange():
        why = "it compares the canary with the primary by itself, and not as a ratio or a difference of one query asked of both; give a metric that is measured for each arm"
        raise NotJudgedError("query", why)
    selectors = {arm: query.filled(getattr(found, arm)) for arm in ("baseline", "canary")}
    why = f"it compares the canary with the primary by itself; here the mean of both arms' points is compared (change); ${{selector}} stands for {selectors['canary']}, and for the primary's {selectors['baseline']}"
    say("adapted", "query", why)
    return {
        "direction": direction_of(allowed_change),
        "rules": change_rules(allowed_change, allowed_change, relative=found.relative),
        "query": {"value": query.filled(found.query), **selectors},
    }

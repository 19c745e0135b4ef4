"""Flagger's Canaries as policies: each metric with a range becomes a metric with a rule, and nothing else is left unsaid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.flagger.metrics import Asked, metric_settings
from canaryjudge.integrations.flagger.ranges import analysis_threshold
from canaryjudge.integrations.imports import Account, Imported, imported, with_own_names
from canaryjudge.integrations.manifests import Manifest, checked_model, node_at, read_manifests, word_at
from canaryjudge.policy.document import Complaint, Node
from canaryjudge.policy.loading import refusal
from canaryjudge.policy.quantities import shown

if TYPE_CHECKING:
    from canaryjudge.integrations.flagger.models import FlaggerAnalysis, FlaggerMetric

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


def load_flagger(
    *paths: str | Path, text: str | None = None, provider: str | None = None, add_selector: bool = False
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
    reader = _Import(read_manifests(paths, text, _WHAT), provider or "", add_selector=add_selector)
    return reader.done()


class _Import:
    """One walk over the documents."""

    def __init__(self, manifests: list[Manifest], provider: str, *, add_selector: bool) -> None:
        self.manifests = manifests
        self.provider = provider
        self.add_selector = add_selector
        self.account = Account()
        self.complaints: list[Complaint] = []
        self.used: set[tuple[str, str]] = set()

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
        return imported(with_own_names(metrics), self.account.remarks)

    def canary(self, manifest: Manifest) -> list[dict[str, Any]]:
        """Make metrics of a Canary."""
        from canaryjudge.integrations.flagger.models import FlaggerAnalysis  # noqa: PLC0415 - only those who import pay for it

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
        several = sum(each.kind == "Canary" for each in self.manifests) > 1
        made: list[dict[str, Any]] = []
        for index, metric in enumerate(analysis.metrics or ()):
            place = f"spec.analysis.metrics[{index}]"
            query, gap = self.template(manifest, metric)
            if gap:
                self.account.say("note", manifest.title, place, f"metric {shown(metric.name)}", gap)
            named = metric.name or (metric.templateRef.name if metric.templateRef else "")
            asked = Asked(
                document=manifest.title,
                place=place,
                name=f"{manifest.name}/{named}" if several else named,
                metric=metric,
                provider=word_at(manifest.node, "spec", "provider") or self.provider,
                names=_names(manifest, metric),
                template=query,
                add_selector=self.add_selector,
            )
            settings = metric_settings(asked, self.account)
            made += [] if settings is None else [settings]
        return made

    def template(self, manifest: Manifest, metric: FlaggerMetric) -> tuple[tuple[str, str] | None, str]:
        """Find a metric's template: the type of its provider and its query, both empty where it is not there; and why it is not."""
        from canaryjudge.integrations.flagger.models import FlaggerTemplate  # noqa: PLC0415 - only those who import pay for it

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
        return (str(template.provider.get("type") or ""), template.query or ""), ""

    def about(self, manifest: Manifest, analysis: FlaggerAnalysis) -> None:
        """Say what becomes of what is no metric."""

        def say(kind: Any, what: str, why: str) -> None:
            self.account.say(kind, manifest.title, f"spec.analysis.{what}", what, why)

        threshold = analysis_threshold(analysis.threshold)
        if threshold > 1:
            why = f"{threshold} failed checks roll back, counted over the whole release; here all points are held against the range together"
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


def _names(manifest: Manifest, metric: FlaggerMetric) -> dict[str, str]:
    """Give the values of a query's placeholders."""
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

"""Argo Rollouts' analyses as policies: every metric that bounds a number becomes a metric with a rule, and nothing else is left unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.arguments import Use, fill, uses_in, without_open
from canaryjudge.integrations.argo.limits import found_by, validate_metrics
from canaryjudge.integrations.argo.metrics import Asked, metric_settings
from canaryjudge.integrations.imports import Account, Imported, imported, with_own_names
from canaryjudge.integrations.manifests import Manifest, checked_model, node_at, read_manifests
from canaryjudge.policy.document import Complaint, plain
from canaryjudge.policy.loading import refusal
from canaryjudge.policy.quantities import shown

__all__ = ["load_argo"]

_WHAT: Final = "a manifest of Argo Rollouts"
_VERSION: Final = "argoproj.io/v1alpha1"
_ANALYSES: Final = ("AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun")
_USERS: Final = ("Rollout", "Experiment")


def load_argo(
    *paths: str | Path,
    text: str | None = None,
    args: Mapping[str, str] | None = None,
    add_selector: bool = False,
) -> Imported:
    """Read Argo Rollouts' analyses as metrics of a policy.

    AnalysisTemplates, ClusterAnalysisTemplates and AnalysisRuns are read; Rollouts and Experiments among the documents say which
    arguments their analyses get. Each condition that bounds a number becomes a rule `slo`.

    Parameters
    ----------
    *paths : str or pathlib.Path
        Files, YAML or JSON, with one or several documents, or lists of objects.
    text : str, optional
        A document that is not in a file.
    args : mapping of str to str, optional
        Values of arguments; they win over those of Rollouts and over the defaults of templates.
    add_selector : bool
        Put ``${selector}`` into each choice of series of a Prometheus query whose arms nobody knows.

    Returns
    -------
    Imported
        `metrics`, ready for ``Policy(metrics=...)``; `unjudged`, what cannot be judged and why; `adapted`, what is judged, but not
        quite as it stands; `remarks`, what became of everything; and `text`, the policy as YAML.

    Raises
    ------
    PolicyError
        If a file cannot be read, or is not what Argo Rollouts takes: with file, line, column and what to do.

    Examples
    --------
    >>> found = load_argo(text='''
    ... apiVersion: argoproj.io/v1alpha1
    ... kind: AnalysisTemplate
    ... metadata: {name: success-rate}
    ... spec:
    ...   metrics:
    ...   - name: success-rate
    ...     interval: 1m
    ...     successCondition: result[0] >= 0.95
    ...     provider: {prometheus: {query: 'avg(success_ratio)'}}
    ... ''')
    >>> [(metric.name, metric.direction, metric.rules[0].op, str(metric.rules[0].value.number)) for metric in found.metrics]
    [('success-rate', 'decrease', 'gte', '0.95')]
    >>> found.unjudged
    ()
    """
    if not paths and text is None:
        raise PolicyError("no manifest of Argo Rollouts is given", "Give files, or text=...")
    return _Import(read_manifests(paths, text, _WHAT), dict(args or {}), add_selector=add_selector).done()


class _Import:
    """One walk over the documents."""

    def __init__(self, manifests: list[Manifest], args: dict[str, str], *, add_selector: bool) -> None:
        self.manifests = manifests
        self.args = args
        self.add_selector = add_selector
        self.account = Account()
        self.complaints: list[Complaint] = []
        self.used: set[str] = set()
        self.uses = [use for each in manifests if each.version == _VERSION for use in uses_in(each)]

    def done(self) -> Imported:
        """Make metrics of all analyses, and say what becomes of the rest."""
        metrics: list[dict[str, Any]] = []
        for manifest in self.manifests:
            if manifest.version == _VERSION and manifest.kind in _ANALYSES:
                metrics += self.analysis(manifest)
            elif manifest.version == _VERSION and manifest.kind in _USERS:
                self.about_user(manifest)
            else:
                why = f"{manifest.version} {manifest.kind} is no analysis of Argo Rollouts"
                self.account.say("no_effect", manifest.title, "", manifest.kind, why)
        if self.complaints:
            raise refusal(self.complaints)
        for name in sorted(self.args.keys() - self.used):
            self.account.say(
                "note", "the command line", "", f"the argument {name}", "no analysis asks for it"
            )
        if metrics and all(metric.get("role") == "muted" for metric in metrics):
            why = "every metric that can be judged is in dryRun, so that nothing could fail a release"
            self.account.say("unjudged", "all documents", "", "the policy", why)
            metrics = []
        return imported(with_own_names(metrics), self.account.remarks)

    def about_user(self, manifest: Manifest) -> None:
        """Say what becomes of a Rollout or an Experiment."""
        found = [use for use in self.uses if use.owner == manifest.title]
        why = "steps, weights and pauses are for Argo Rollouts; its analyses are read where their templates stand"
        self.account.say("no_effect", manifest.title, "", manifest.kind, why)
        for use in found:
            if not any(_is_of(use, each) for each in self.manifests):
                kind = "ClusterAnalysisTemplate" if use.cluster else "AnalysisTemplate"
                gap = f"the {kind} {shown(use.template)} is not among the documents"
                self.account.say("unjudged", manifest.title, use.place, "the analysis", gap)
            elif use.values:
                given = ", ".join(f"{name}={shown(value)}" for name, value in use.values.items())
                self.account.say("taken", manifest.title, use.place, f"arguments of {use.template}", given)

    def analysis(self, manifest: Manifest) -> list[dict[str, Any]]:
        """Make metrics of an analysis: of each way that it is used, where these differ."""
        from canaryjudge.integrations.argo.models import ArgoSpec  # noqa: PLC0415 - only those who import pay for it

        node = node_at(manifest.node, "spec")
        if node is None:
            missing = Complaint(
                manifest.place, f"{manifest.called}: 'spec' is missing", "Give the whole object."
            )
            self.complaints.append(missing)
            return []
        made: list[dict[str, Any]] = []
        uses = [use for use in self.uses if _is_of(use, manifest)] or [
            Use("", "", manifest.name, cluster=False)
        ]
        for number, use in enumerate(uses):
            spec = checked_model(ArgoSpec, node, manifest.called, self.complaints)
            if spec is None:
                return []
            values = self.values(spec, use)
            filled = plain(node)
            filled["metrics"] = fill(filled.get("metrics") or [], values)
            spec = checked_model(ArgoSpec, node, manifest.called, self.complaints, filled)
            if spec is None or not self.valid(manifest, spec, filled):
                return []
            account = Account(asked=self.account.asked)
            metrics = self.metrics(manifest, spec, use, account)
            self.account.asked = account.asked
            if number == 0 or [metric for metric in metrics if metric not in made]:
                self.account.remarks += account.remarks
                made += [metric for metric in metrics if metric not in made]
        return made

    def values(self, spec: Any, use: Use) -> dict[str, str]:
        """Lay the values of the arguments over each other: defaults, those of the Rollout, those of the caller."""
        defaults = {each.name: each.value for each in spec.args if each.value is not None}
        declared = {each.name for each in spec.args}
        self.used |= declared & self.args.keys()
        return defaults | dict(use.values) | self.args

    def valid(self, manifest: Manifest, spec: Any, filled: dict[str, Any]) -> bool:
        """Complain about what Argo Rollouts itself refuses, in its words."""
        if not spec.metrics and spec.templates:
            return True
        try:
            validate_metrics([without_open(metric) for metric in filled["metrics"]])
        except PolicyError as error:
            told = f"{manifest.called}: Argo Rollouts refuses it: {error.message}"
            self.complaints.append(Complaint(manifest.place, told, "Correct it there first."))
            return False
        return True

    def metrics(self, manifest: Manifest, spec: Any, use: Use, account: Account) -> list[dict[str, Any]]:
        """Make metrics of an analysis whose arguments are put in."""
        patterns = [each.metricName for each in spec.dryRun] + list(use.dry_run)
        several = len({each.name for each in self.manifests if each.kind in _ANALYSES}) > 1
        made: list[dict[str, Any]] = []
        for index, metric in enumerate(spec.metrics):
            asked = Asked(
                document=manifest.title,
                place=f"spec.metrics[{index}]",
                name=f"{manifest.name}/{metric.name}"
                if several and metric.name != manifest.name
                else metric.name,
                metric=metric,
                dry_run=found_by(patterns, metric.name),
                add_selector=self.add_selector,
            )
            settings = metric_settings(asked, account)
            made += [] if settings is None else [settings]
        for index, template in enumerate(spec.templates):
            name = template.get("templateName")
            there = any(each.name == name and each.kind in _ANALYSES for each in self.manifests)
            place, what = f"spec.templates[{index}]", f"the template {shown(name)}"
            if there:
                account.say("note", manifest.title, place, what, "its metrics are read where it stands")
            else:
                account.say("unjudged", manifest.title, place, what, "it is not among the documents")
        if spec.measurementRetention:
            why = "measurements are kept by whoever keeps the data"
            account.say("no_effect", manifest.title, "spec.measurementRetention", "measurementRetention", why)
        return made


def _is_of(use: Use, manifest: Manifest) -> bool:
    kind = "ClusterAnalysisTemplate" if use.cluster else "AnalysisTemplate"
    return (manifest.kind, manifest.name) == (kind, use.template) and manifest.version == _VERSION

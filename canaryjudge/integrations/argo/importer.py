"""Argo Rollouts' analyses as policies: every metric that bounds a number becomes a metric with a rule, and nothing else is left unsaid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.conditions import Conditions, NotBoundsError, bounds_of
from canaryjudge.integrations.argo.models import (
    LATEST,
    STABLE,
    ArgoMetric,
    ArgoSpec,
    MeasurementLimits,
    TemplateUse,
    arguments_in,
    doubled_in,
    fill,
    found_by,
    limits_of,
    uses_in,
    validate_metrics,
    without_open,
)
from canaryjudge.integrations.bounds import (
    AllowedRange,
    change_rules,
    direction_of,
    every_rules,
    slo_rule,
    told,
)
from canaryjudge.integrations.imported import (
    Account,
    Imported,
    NotJudgedError,
    RemarkKind,
    about_made_up,
    abridged,
    fitting,
    imported,
    judged,
    texts_in,
    watched_for,
    with_own_names,
)
from canaryjudge.integrations.manifests import Manifest, checked_model, node_at, read_manifests
from canaryjudge.integrations.prometheus.promql import (
    ArmComparison,
    ArmName,
    Matcher,
    add_selector,
    arm_of,
    arms_in,
    arms_in_words,
    compared_arms,
    matchers,
    on_one_line,
    replace_matchers,
)
from canaryjudge.policy.document import Complaint, plain
from canaryjudge.policy.loading import refusal
from canaryjudge.quantities import shown

__all__ = ["load_argo"]

_WHAT: Final = "a manifest of Argo Rollouts"
_VERSION: Final = "argoproj.io/v1alpha1"
_ANALYSES: Final = ("AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun")
_USERS: Final = ("Rollout", "Experiment")
_FEWEST_POINTS: Final = 10
_LOOKBACK: Final = re.compile(r"""now\(\)\s*-\s*duration\(\s*["']([0-9a-zµ.]+)["']\s*\)""")
_NUMBER: Final = re.compile(r"[-+0-9.,]+%?")
_STABLE_ARGUMENT: Final = re.compile(
    r"\{\{\s*args\.[^{}\s]*(?:stable|baseline|primary)[^{}\s]*\s*\}\}", re.IGNORECASE
)
_CANARY_ARGUMENT: Final = re.compile(
    rf"\{{\{{\s*args\.[^{{}}\s]*(?:canary|latest|preview)[^{{}}\s]*\s*\}}\}}|{re.escape(LATEST)}",
    re.IGNORECASE,
)
_NO_NUMBERS: Final = {
    "job": "a Job's exit status is no number; run canaryjudge in the Job, and let its exit code be the Job's",
    "kayenta": "its judge is another tool: canaryjudge import kayenta reads the canary configuration that it names",
    "plugin": "what a plugin measures, nobody but the plugin knows",
}


def load_argo(
    *paths: str | Path,
    text: str | None = None,
    args: Mapping[str, str] | None = None,
    add_selector: bool = False,
    count_failures: bool = False,
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
    count_failures : bool
        Count failed measurements against ``failureLimit``, as Argo Rollouts does (a rule `slo` with `evidence: point` and
        `exceptions`), where otherwise the mean of all of them is proven to meet the condition.

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
    reader = _Import(
        read_manifests(paths, text, _WHAT),
        dict(args or {}),
        add_selector=add_selector,
        count_failures=count_failures,
    )
    return reader.done()


class _Import:
    """One walk over the documents."""

    def __init__(
        self, manifests: list[Manifest], args: dict[str, str], *, add_selector: bool, count_failures: bool
    ) -> None:
        self.manifests = manifests
        self.args = args
        self.add_selector = add_selector
        self.count_failures = count_failures
        self.account = Account()
        self.complaints: list[Complaint] = []
        self.used: set[str] = set()
        self.lasting: list[float | None] = []
        """How long the measurements of each metric take, in seconds."""
        self.servers: list[str] = []
        self.judged: list[str] = []
        """The documents of which metrics are made."""
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
        settings = watched_for(self.account, self.judged[0], self.lasting, "the analysis") if metrics else {}
        return imported(
            with_own_names(metrics),
            self.account.remarks,
            settings,
            service=self.service(),
            servers=self.servers,
        )

    def service(self) -> str:
        """Name what is released: by the first Rollout, or else the first analysis."""
        ours = [each for each in self.manifests if each.version == _VERSION]
        named = [
            each.name for kinds in (_USERS, _ANALYSES) for each in ours if each.kind in kinds and each.name
        ]
        return named[0] if named else ""

    def about_user(self, manifest: Manifest) -> None:
        """Say what becomes of a Rollout or an Experiment."""
        found = [use for use in self.uses if use.owner == manifest.title]
        why = "steps, weights and pauses are for Argo Rollouts; its analyses are read where their templates stand"
        self.account.say("no_effect", manifest.title, "", manifest.kind, why)
        for use in found:
            self.about_doubled(manifest, use.place, use.doubled)
            if not any(_is_of(use, each) for each in self.manifests):
                kind = "ClusterAnalysisTemplate" if use.cluster else "AnalysisTemplate"
                gap = f"the {kind} {shown(use.template)} is not among the documents"
                self.account.say("unjudged", manifest.title, use.place, "the analysis", gap)
            elif use.values:
                given = ", ".join(f"{name}={shown(value)}" for name, value in use.values.items())
                self.account.say("taken", manifest.title, use.place, f"arguments of {use.template}", given)

    def about_doubled(self, manifest: Manifest, place: str, doubled: Mapping[str, tuple[str, ...]]) -> None:
        """Say which arguments are given more than once."""
        for name, values in doubled.items():
            last = f"the last one counts, which is {shown(values[-1]) if values[-1] else 'empty'}"
            why = f"it stands there {len(values)} times; {last}"
            kind: RemarkKind = "note" if len(set(values)) == 1 else "adapted"
            self.account.say(kind, manifest.title, place, f"the argument {name}", why)

    def analysis(self, manifest: Manifest) -> list[dict[str, Any]]:
        """Make metrics of an analysis: of each way that it is used, where these differ."""
        node = node_at(manifest.node, "spec")
        if node is None:
            missing = Complaint(
                manifest.place, f"{manifest.called}: 'spec' is missing", "Give the whole object."
            )
            self.complaints.append(missing)
            return []
        made: list[dict[str, Any]] = []
        uses = [use for use in self.uses if _is_of(use, manifest)] or [
            TemplateUse("", "", manifest.name, cluster=False)
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
            metrics = self.metrics(manifest, spec, use, account, values)
            self.account.asked = account.asked
            if number == 0:
                given = [(each.name, each.value or "") for each in spec.args]
                self.about_doubled(manifest, "spec.args", doubled_in(given))
            if number == 0 or [metric for metric in metrics if metric not in made]:
                self.account.remarks += account.remarks
                made += [metric for metric in metrics if metric not in made]
        return made

    def values(self, spec: Any, use: TemplateUse) -> dict[str, str]:
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

    def metrics(
        self, manifest: Manifest, spec: Any, use: TemplateUse, account: Account, values: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Make metrics of an analysis whose arguments are put in."""
        patterns = [each.metricName for each in spec.dryRun] + list(use.dry_run)
        several = len({each.name for each in self.manifests if each.kind in _ANALYSES}) > 1
        made: list[dict[str, Any]] = []
        for index, metric in enumerate(spec.metrics):
            asked = _AnalysisMetric(
                document=manifest.title,
                place=f"spec.metrics[{index}]",
                name=f"{manifest.name}/{metric.name}"
                if several and metric.name != manifest.name
                else metric.name,
                metric=metric,
                dry_run=found_by(patterns, metric.name),
                add_selector=self.add_selector,
                count_failures=self.count_failures,
                arms=_named_arms(values),
            )
            settings = _metric_settings(asked, account)
            if settings is not None:
                made.append(settings)
                self.judged.append(manifest.title)
                limits = limits_of(without_open(metric.model_dump()))
                taken = limits.wanted
                self.lasting.append(None if taken is None else limits.initial_delay + taken * limits.interval)
                if "query" in settings and isinstance(address := metric.settings.get("address"), str):
                    self.servers.append(address)
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


def _is_of(use: TemplateUse, manifest: Manifest) -> bool:
    kind = "ClusterAnalysisTemplate" if use.cluster else "AnalysisTemplate"
    return (manifest.kind, manifest.name) == (kind, use.template) and manifest.version == _VERSION


@dataclass(frozen=True, slots=True)
class _AnalysisMetric:
    """A metric of an analysis, with its arguments put in."""

    document: str
    place: str
    name: str  # what the policy's metric is to be called
    metric: ArgoMetric
    dry_run: bool  # it counts for nothing
    add_selector: bool  # put ${selector} into a query whose arms nobody knows
    count_failures: bool  # count measurements where their mean would be judged
    arms: Mapping[str, ArmName]  # which arm the values of arguments name, by the arguments' own names

    def arm(self, matcher: Matcher) -> ArmName:
        """Return which arm a matcher chooses."""
        found = self.named(matcher.value)
        return self.arms[max(found, key=len)] if found else arm_of(matcher)

    def named(self, text: str) -> list[str]:
        """Find values of arguments that name an arm in a text."""
        return [value for value in self.arms if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text)]


def _named_arms(values: Mapping[str, str]) -> dict[str, ArmName]:
    """Find the values of arguments such as ``canary-hash`` and ``stable-hash``."""
    found: dict[str, ArmName] = {}
    for name, value in values.items():
        if len(value) > 1 and not _NUMBER.fullmatch(value) and value not in (LATEST, STABLE):
            (as_matcher,) = matchers(f'{{a="{re.sub("[^a-zA-Z]", " ", name)}"}}')
            if arm := arm_of(as_matcher):
                found[value] = arm
    return found


def _metric_settings(asked: _AnalysisMetric, account: Account) -> dict[str, Any] | None:
    """Write a metric of an analysis as a metric of a policy."""
    return judged(account, asked.document, asked.place, lambda say: _metric(asked, say))


def _metric(asked: _AnalysisMetric, say: Callable[..., None]) -> dict[str, Any]:
    metric = asked.metric
    if metric.source in _NO_NUMBERS:
        raise NotJudgedError(f"provider {metric.source}", _NO_NUMBERS[metric.source])
    if not metric.successCondition and not metric.failureCondition:
        raise NotJudgedError("conditions", "there is none, so that every measurement is Successful")
    bounds = _bounds(metric, say)
    limits = limits_of(without_open(metric.model_dump()))
    compared = _self_comparison(asked)
    counted = bounds.every or (asked.count_failures and compared is None)
    settings: dict[str, Any] = {"name": asked.name}
    if compared is not None:
        settings |= _change_settings(compared, bounds, metric, say)
    else:
        settings |= {
            "direction": direction_of(bounds.good),
            "rules": _rules(metric, bounds, limits, counted=counted),
        }
        fails = (
            ""
            if bounds.bearable == bounds.good
            else f", and fails only where it is not {told(bounds.bearable)}"
        )
        of = "" if bounds.subject == "result" else f" ({bounds.subject})"
        what = "every point, of each replica by itself," if counted else "whose mean"
        say(
            "taken",
            f"metric {asked.name}",
            f"a gauge{of} {'of which ' * counted}{what} must be {told(bounds.good)}{fails}; {_written(metric)}",
        )
    if bounds.every:
        why = "a single point decides, as there, which is no proof (evidence: point); give each series of an answer as a replica of its own: a mean of several would hide the one that is bad"
        say("note", "every value", why)
    elif counted:
        say(
            "note",
            "measurements",
            "failed ones are counted, as there, which is no proof (evidence: point); give a point a measurement",
        )
        if limits.wanted is not None and limits.wanted < _FEWEST_POINTS:
            settings["min_points"] = limits.wanted
    if asked.dry_run:
        settings["role"] = "muted"
        say("taken", "dryRun", "role: muted: it is judged and shown, and counts for nothing")
    for name, value in metric.model_dump(
        exclude={"name", "provider", "successCondition", "failureCondition"}
    ).items():
        if missing := arguments_in(value):
            say("adapted", name, f"no value is known for args.{missing[0]}, and nothing is made of it")
    _about_limits(metric, limits, bounds, say, counted=counted, countable=compared is None)
    _about_data(asked, limits, bounds, compared, settings, say)
    if compared is None:
        say(
            "note",
            "what canaryjudge adds",
            f"with the rule mann_whitney beside slo, and a tolerance, it is also tested against the baseline, not only whether it is {told(bounds.good)}",
        )
    return fitting(settings, say)


class _Bounds(NamedTuple):
    """What both conditions of a metric say."""

    good: AllowedRange  # what meets the objective
    bearable: AllowedRange  # what does not fail
    subject: str  # of what they speak
    every: bool  # whether of every value of an answer, and not of one number


def _excepted(metric: ArgoMetric, bounds: _Bounds, limits: MeasurementLimits) -> int:
    """Return how many measurements may fail, where a rule can leave out so many: of values of one time, bounded to one side."""
    of_one_time = (metric.source == "prometheus" or not bounds.every) and "rangeQuery" not in metric.settings
    one_sided = bounds.good.low is None or bounds.good.high is None
    return max(0, limits.failure) if one_sided and of_one_time else 0


def _rules(
    metric: ArgoMetric, bounds: _Bounds, limits: MeasurementLimits, *, counted: bool
) -> list[dict[str, Any]]:
    if counted:
        return every_rules(bounds.good, bounds.bearable, _excepted(metric, bounds, limits))
    return [slo_rule(bounds.good, bounds.bearable, "mean")]


def _self_comparison(asked: _AnalysisMetric) -> ArmComparison | None:
    """Read a measurement that compares the canary with the stable version by itself; None where it is of one arm."""
    metric = asked.metric
    of_prometheus, settings = metric.source == "prometheus", metric.settings
    texts = list(
        texts_in(settings.get("query") if of_prometheus else {**settings, "address": "", "headers": ""})
    )
    arms: set[ArmName] = set().union(*(arms_in(text, asked.arm) for text in texts))
    if not of_prometheus:
        arms |= set().union(*map(arms_in_words, texts))
    values = [each.value for text in texts for each in matchers(text)] if of_prometheus else texts
    named = {asked.arms[found] for value in values for found in asked.named(value)}
    canary = "canary" in arms | named or any(map(_CANARY_ARGUMENT.search, texts))
    stable = "baseline" in named or any(STABLE in text or _STABLE_ARGUMENT.search(text) for text in texts)
    if stable and not canary:
        raise NotJudgedError(
            f"provider {metric.source}", "it measures the stable version, and not the canary"
        )
    if not canary or not (stable or "baseline" in arms):
        return None
    query = metric.settings.get("query")
    found = None
    if metric.source == "prometheus" and isinstance(query, str):
        found = compared_arms(on_one_line(query), asked.arm)
    if found is None:
        why = "it compares the canary with the stable version by itself, and not as a ratio or a difference of one query asked of both; give a metric that is measured for each arm"
        raise NotJudgedError(f"provider {metric.source}", why)
    return found


def _change_settings(
    compared: ArmComparison, bounds: _Bounds, metric: ArgoMetric, say: Callable[..., None]
) -> dict[str, Any]:
    """Hold the canary against the baseline where a measurement compares them by itself."""
    good, bearable = compared.change(bounds.good), compared.change(bounds.bearable)
    if bounds.every or good is None or bearable is None or good == AllowedRange():
        why = "it bounds a comparison of the canary with the stable version in a way that no change of the mean says"
        raise NotJudgedError(_written(metric), why)
    rules = change_rules(good, bearable, relative=compared.relative)
    asked = " and ".join(f"{rule['op']} {_change_told(rule['change'])}" for rule in rules)
    why = f"it compares the canary with the stable version by itself; here the mean of both arms' points is compared (change: {asked}); {_written(metric)}"
    say("adapted", "query", f"{why}; give what it asks of each arm as points of that arm")
    return {"direction": direction_of(good), "rules": rules}


def _change_told(change: Any) -> str:
    return change if isinstance(change, str) else f"{change['absolute']:+.12g}"


def _bounds(metric: ArgoMetric, say: Callable[..., None]) -> _Bounds:
    """Read both conditions: what meets the objective, what does not fail, and of what they speak."""
    found: dict[str, Conditions] = {}
    gaps: dict[str, str] = {}
    for name in ("successCondition", "failureCondition"):
        condition = getattr(metric, name)
        if not condition:
            continue
        if missing := arguments_in(condition):
            gaps[name] = f"no value is known for args.{missing[0]}; give it with --arg {missing[0]}=VALUE"
            continue
        try:
            found[name] = bounds_of(condition, fails=name == "failureCondition")
        except NotBoundsError as gap:
            gaps[name] = str(gap)
    if not found:
        name, why = next(iter(gaps.items()))
        raise NotJudgedError(f"{name} {abridged(getattr(metric, name))}", why)
    for name, why in gaps.items():
        say("unjudged", f"{name} {abridged(getattr(metric, name))}", why)
    for name, conditions in found.items():
        for note in conditions.notes:
            say("adapted" if "no_data" in note else "note", name, note)
    success, failure = found.get("successCondition"), found.get("failureCondition")
    if success is None or failure is None:
        only = success or failure
        assert only is not None  # noqa: S101 - one was found
        return _Bounds(only.bounds, only.bounds, only.subject, only.every)
    if success.subject != failure.subject:
        why = f"it is about {failure.subject}, and the success condition about {success.subject}"
        say("unjudged", f"failureCondition {abridged(metric.failureCondition)}", why)
        return _Bounds(success.bounds, success.bounds, success.subject, success.every)
    good, bearable = success.bounds.within(failure.bounds), failure.bounds
    if good.empty:
        raise NotJudgedError("conditions", "no value is both a success and no failure")
    for end in ("low", "high"):
        if getattr(good, end) is not None and getattr(bearable, end) is None:
            say(
                "adapted",
                "failureCondition",
                f"it does not fail what is not {told(good)}, which is inconclusive; here it fails",
            )
            return _Bounds(good, good, success.subject, success.every)
    return _Bounds(good, bearable, success.subject, success.every)


def _written(metric: ArgoMetric) -> str:
    names = ("successCondition", "failureCondition")
    return ", ".join(f"{name} {abridged(getattr(metric, name))}" for name in names if getattr(metric, name))


def _about_limits(
    metric: ArgoMetric,
    limits: MeasurementLimits,
    bounds: _Bounds,
    say: Callable[..., None],
    *,
    counted: bool,
    countable: bool,
) -> None:
    """Say what becomes of counts and limits, which an interval on the mean has no use for."""
    excepted = _excepted(metric, bounds, limits) if counted else 0
    if excepted:
        say(
            "taken",
            "failureLimit",
            f"exceptions: {excepted}: so many intervals may be beyond the bound; give a point a measurement",
        )
    elif limits.failure > 0:
        why = f"up to {limits.failure} failed measurements are put up with; here {'not one may be beyond the bound' if counted else 'all points are held against the bound together, by their mean' + (' (--count-failures counts them)' if countable else '')}"
        say("adapted", "failureLimit", why)
    if limits.failure == -1:
        what = "point" if counted else "mean"
        say(
            "adapted",
            "failureLimit",
            f"failures are never the end of it; here a {what} beyond the bound fails",
        )
    if limits.inconclusive > 0:
        say("adapted", "inconclusiveLimit", "it is not counted: what is undecided is marginal")
    elif excepted and bounds.bearable != bounds.good:
        why = "exceptions put up with these as with failures, where none is put up with there"
        say("adapted", "inconclusive measurements", why)
    if limits.consecutive_success > 0:
        why = "it is not counted: canaryjudge monitor passes as soon as the data prove it"
        say("adapted", "consecutiveSuccessLimit", why)
    if metric.consecutiveErrorLimit is not None:
        why = "data are fetched once; a source that cannot be reached ends with exit code 2"
        say("adapted", "consecutiveErrorLimit", why)
    if limits.initial_delay > 0:
        say("adapted", "initialDelay", f"give data that begin {metric.initialDelay} after the start")
    if limits.wanted is None:
        say(
            "note",
            "count",
            "it is measured for as long as the analysis runs; give as many points as there are",
        )
    elif limits.wanted < _FEWEST_POINTS and (bounds.every or not counted):
        taken = f"{limits.wanted} measurement{'s are' if limits.wanted > 1 else ' is'} taken"
        why = f"{taken}; canaryjudge wants {_FEWEST_POINTS} points an arm or more (min_points), so give finer data"
        say("note", "count", why)


def _about_data(
    asked: _AnalysisMetric,
    limits: MeasurementLimits,
    bounds: _Bounds,
    compared: ArmComparison | None,
    settings: dict[str, Any],
    say: Callable[..., None],
) -> None:
    """Say what the data must hold, and put the query into the policy where its arms are known."""
    metric = asked.metric
    for text in texts_in(metric.settings):
        about_made_up(text, say)
    if metric.source != "prometheus":
        say("note", "data", f"give what {metric.source} answers, for each arm, as points of {asked.name}")
        return
    query = metric.settings.get("query")
    if not isinstance(query, str) or not query.strip():
        say("note", "data", f"there is no query: give points of {asked.name} for each arm")
        return
    if "[" in bounds.subject:
        why = f"{abridged(query)} answers with several values, of which {bounds.subject} is bounded: give that one, for each arm"
        say("adapted", "data", why)
        return
    written = _query(asked, on_one_line(query if compared is None else compared.query), compared, say)
    if written is None:
        return
    timing: dict[str, Any] = {}
    ranged = metric.settings.get("rangeQuery")
    if isinstance(ranged, dict):
        if isinstance(ranged.get("step"), str):
            timing["step"] = ranged["step"]
        if found := _LOOKBACK.fullmatch(str(ranged.get("start", "")).strip()):
            timing["window"] = found[1]
    elif limits.interval and limits.count:
        timing["step"] = metric.interval
    settings["query"] = {**written, **timing} if timing or len(written) > 1 else written["value"]
    if isinstance(metric.settings.get("address"), str):
        say(
            "no_effect",
            "provider.prometheus.address",
            "the server is named on the command line: --prometheus URL",
        )


def _query(
    asked: _AnalysisMetric, query: str, compared: ArmComparison | None, say: Callable[..., None]
) -> dict[str, str] | None:
    """Write a query for both arms; None where it is the caller's to ask."""
    shown_query = abridged(query)
    if missing := arguments_in(query):
        why = f"give what Prometheus answers to {shown_query}; as `query` it needs a value for args.{missing[0]} (--arg {missing[0]}=VALUE)"
        say("note", "data", why)
        return None
    if compared is not None:
        return {"value": query} | _selectors({"baseline": compared.baseline, "canary": compared.canary}, say)
    ours = [each for each in matchers(query) if asked.arm(each) == "canary"]
    texts = {each.text for each in ours}
    if (
        len(texts) == 1
        and query.count(LATEST) in (0, len(ours))
        and (LATEST not in query or ours[0].value == LATEST)
    ):
        written = replace_matchers(query, ours)
        return {"value": written} | _selectors({"canary": texts.pop()}, say)
    if ours or LATEST in query:
        told_apart = (
            "the hash does not stand in a label of its own"
            if LATEST in query
            else "it chooses the canary in several ways"
        )
        say("note", "data", f"give what Prometheus answers to {shown_query}, for each arm; {told_apart}")
        return None
    if asked.add_selector:
        added = add_selector(query)
        if added is not None:
            say(
                "adapted",
                "query",
                "it asked for one arm; ${selector} was put into each choice of series, as --add-selector says",
            )
            return {"value": added}
    why = f"give what Prometheus answers to {shown_query}, for each arm; as `query` it needs ${{selector}} where its series are chosen (--add-selector puts it there)"
    say("note", "data", why)
    return None


def _selectors(arms: dict[str, str], say: Callable[..., None]) -> dict[str, str]:
    """Return the selectors that the document itself gives, and say which are still to be given."""
    if any(LATEST in text or STABLE in text or "{{" in text for text in arms.values()):
        label = next(iter(matchers(f"{{{arms['canary']}}}"))).label
        why = f"${{selector}} stands where the canary's pod template hash was: a gate knows it as ${{revision}}, and the stable version's as ${{stable}}; elsewhere give --canary-selector '{label}=\"HASH\"', and --baseline-selector with the stable version's"
        say("taken", "query", why)
        named = {
            "baseline": arms.get("baseline", arms["canary"].replace(LATEST, STABLE)),
            "canary": arms["canary"],
        }
        written = {
            arm: text.replace(LATEST, "${revision}").replace(STABLE, "${stable}")
            for arm, text in named.items()
        }
        return {} if any("{{" in text for text in written.values()) else written
    told_arms = ", and ".join(f"for the {arm}'s {text}" for arm, text in reversed(arms.items()))
    open_arm = (
        "" if "baseline" in arms else "; nothing says what chooses the baseline: give --baseline-selector"
    )
    say("taken", "query", f"${{selector}} stands {told_arms}{open_arm}")
    return arms

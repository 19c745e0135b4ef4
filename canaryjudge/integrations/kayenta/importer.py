"""Kayenta canary configs as policies: every metric that can be judged, the groups and the thresholds, and nothing else left unsaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.imported import Account, Imported, RemarkKind, about_made_up, imported, texts_in
from canaryjudge.integrations.kayenta.config import (
    MISSING,
    CanaryConfig,
    MetricOptions,
    config_problems,
    lookup,
    metric_options,
    read_config,
    threshold_problems,
)
from canaryjudge.policy.document import Complaint, Node, locate, plain, read_documents
from canaryjudge.policy.loading import read_text, refusal
from canaryjudge.quantities import shown
from canaryjudge.settings import Problem, dotted, nearest

__all__ = ["GroupWeights", "group_weights", "load_kayenta", "metric_settings", "score_settings"]

_WHAT: Final = "a Kayenta canary config"
_SILENT: Final = {
    "name": "it names the config, and no verdict depends on it",
    "description": "no verdict depends on it",
    "configVersion": "there is one format",
    "applications": "no verdict depends on it",
    "templates": "they are parts of queries, and data come from the caller",
    "services": "they say where an old format fetched its data",
    "id": "it is Kayenta's own",
    "createdTimestamp": "it is Kayenta's own",
    "createdTimestampIso": "it is Kayenta's own",
    "updatedTimestamp": "it is Kayenta's own",
    "updatedTimestampIso": "it is Kayenta's own",
}
_KNOWN: Final = (*_SILENT, "metrics", "judge", "classifier")
_RANDOM_JUDGE: Final = "dredd-v1.0"
_KNOWN_JUDGES: Final = (None, "NetflixACAJudge-v1.0", _RANDOM_JUDGE)
_READ_OF_ALL: Final = {
    "judge": ("name", "judgeConfigurations"),
    "classifier": ("groupWeights", "scoreThresholds"),
}
_MARKS: Final = ("query", "groups", "analysisConfigurations", "scopeName", "extensions")
_DEFAULT_THRESHOLDS: Final = (95.0, 75.0)
_OPTIONS: Final = (
    "direction",
    "nanStrategy",
    "outliers",
    "critical",
    "mustHaveData",
    "muted",
    "effectSize",
)
_READ: Final = {
    (): ("name", "query", "groups", "analysisConfigurations", "extensions", "scopeName"),
    ("analysisConfigurations",): ("canary",),
    ("analysisConfigurations", "canary"): _OPTIONS,
    ("analysisConfigurations", "canary", "effectSize"): (
        "measure",
        "allowedIncrease",
        "allowedDecrease",
        "criticalIncrease",
        "criticalDecrease",
    ),
    ("analysisConfigurations", "canary", "outliers"): ("strategy", "outlierFactor"),
}
_CANARY: Final = "analysisConfigurations.canary"
_LEAST_RATIO: Final = 0.001


def load_kayenta(*paths: str | Path, text: str | None = None) -> Imported:
    """Read a Kayenta canary config as a policy.

    Parameters
    ----------
    *paths : str or pathlib.Path
        One file: a canary config, or what holds one under ``canaryConfig``: a request to start a canary, or one to a remote judge.
    text : str, optional
        A document that is not in a file.

    Returns
    -------
    Imported
        `metrics`; `settings`, the score with its thresholds and groups; ``policy()``, both together; `remarks`, what became of each part;
        and `text`, the policy as YAML.

    Raises
    ------
    PolicyError
        If it cannot be read, or is not a canary config: with file, line, column and what to do.

    Notes
    -----
    The policy means what the config means, as far as it can: a metric that is not proven worse passes, a critical one that fails vetoes,
    others count by their groups. What is judged otherwise is a remark of the kind ``adapted``.

    Examples
    --------
    >>> found = load_kayenta(text='''{
    ...   "name": "checkout", "judge": {"name": "NetflixACAJudge-v1.0"},
    ...   "metrics": [{"name": "errors", "groups": ["errors"], "analysisConfigurations": {"canary": {
    ...     "direction": "increase", "critical": true, "effectSize": {"allowedIncrease": 1.2}}}}],
    ...   "classifier": {"groupWeights": {"errors": 100}, "scoreThresholds": {"pass": 90, "marginal": 50}}}''')
    >>> policy = found.policy()
    >>> policy.metrics[0].role, policy.metrics[0].tolerance.relative, policy.pass_score
    ('required', 0.2, 90.0)
    """
    root = _read(paths, text)
    node, at = _config_in(root)
    config = plain(node)
    _refuse(node, [*config_problems(config), *_own_problems(config)])
    account = Account()
    document = f"{node.place} canary config" + (f" {config['name']}" if config.get("name") else "")
    thresholds = _thresholds(root, config, account, document)
    read = read_config(config)
    weights = _weights(read, account, document)
    metrics = []
    for index, metric in enumerate(config["metrics"]):
        place = locate(node, ("metrics", index))
        where = f"{place} metric {metric['name']}"
        settings = metric_settings(metric, weights, account, where, foreign=_foreign_judge(config))
        metrics += [] if settings is None else [settings]
    _about_the_rest(config, account, document, at)
    if at:
        for key in plain(root):
            if key not in ("canaryConfig", "scoreThresholds"):
                account.say(
                    "no_effect", document, str(key), shown(key), "it is about one run, its thresholds aside"
                )
    if metrics and all(metric["role"] == "muted" for metric in metrics):
        raise PolicyError(
            f"{document}: no metric counts, since each is muted or in no group with a weight, and Kayenta fails every canary then",
            "Give a group with a metric a weight.",
        )
    used = [metric["group"] for metric in metrics if "group" in metric]
    return imported(metrics, account.remarks, score_settings(weights, thresholds, used))


def _read(paths: tuple[str | Path, ...], text: str | None) -> Node:
    """Read the one document that is given."""
    texts = [(str(path), read_text(Path(path), what=_WHAT)) for path in paths] + (
        [] if text is None else [("text", text)]
    )
    roots: list[Node] = []
    complaints: list[Complaint] = []
    for name, content in texts:
        found, wrong = read_documents(content, name, _WHAT)
        roots += found
        complaints += wrong
    if complaints:
        raise refusal(complaints)
    if not roots:
        raise PolicyError("no Kayenta canary config is given", "Give a file, or text=...")
    if len(roots) > 1:
        raise PolicyError(
            f"{roots[1].place}: this is a second document, and one canary config makes one policy",
            "Import them one by one.",
        )
    return roots[0]


def _config_in(root: Node) -> tuple[Node, str]:
    """Find the canary config in a document, and where it stands; or say what the document is instead."""
    place, value = root.place, root.value
    if isinstance(value, list):
        raise PolicyError(
            f"{place}: this is a list, and a canary config is a mapping",
            "If these are metric set pairs, they are data: judge with --data FILE --data-format kayenta.",
        )
    if not isinstance(value, dict):
        raise PolicyError(
            f"{place}: {shown(plain(root))} is not a canary config", "It has metrics and a classifier."
        )
    if "canaryConfig" in value:
        return value["canaryConfig"].node, "canaryConfig."
    if "stages" in value:
        raise PolicyError(
            f"{place}: this is a Spinnaker pipeline, which only names its canary config",
            "Import the canary config of its canaryConfigId.",
        )
    if "apiVersion" in value or "kind" in value:
        kind = plain(value["kind"].node) if "kind" in value else None
        raise PolicyError(
            f"{place}: this is an object of the kind {shown(kind)}, not a canary config",
            "Use its own importer.",
        )
    config = plain(root)
    metrics = config.get("metrics")
    listed = [each for each in metrics if isinstance(each, dict)] if isinstance(metrics, list) else []
    if not any(mark in each for each in listed for mark in _MARKS):
        raise PolicyError(
            f"{place}: this is not a canary config: there are no metrics with groups, a query or analysisConfigurations",
            "Give the JSON that Kayenta stores.",
        )
    return root, ""


def _own_problems(config: Any) -> list[Problem]:
    """Find what Kayenta itself would not store."""
    metrics = config.get("metrics") if isinstance(config, dict) else None
    problems = []
    first: dict[Any, int] = {}
    for index, metric in enumerate(metrics if isinstance(metrics, list) else []):
        name = metric.get("name") if isinstance(metric, dict) else None
        if isinstance(name, str) and first.setdefault(name, index) != index:
            twice = f"the metric {shown(name)} stands there twice, first as metrics[{first[name]}]"
            problems.append(Problem(("metrics", index, "name"), twice, "Give each metric a name of its own."))
    judge = config.get("judge") if isinstance(config, dict) else None
    if judge is not None and not isinstance(judge, dict):
        problems.append(
            Problem(("judge",), f"{shown(judge)} is not a judge", 'Write {"name": "NetflixACAJudge-v1.0"}.')
        )
    return problems


def _refuse(node: Node, problems: list[Problem]) -> None:
    if problems:
        raise refusal(
            Complaint(locate(node, path), f"{dotted(path)}: {message}" if path else message, hint)
            for path, message, hint, *_ in problems
        )


def _thresholds(root: Node, config: dict[str, Any], account: Account, document: str) -> tuple[float, float]:
    """Find the scores of a pass and of a marginal: those of a request win, as in Kayenta."""
    whole = plain(root)
    request = whole.get("executionRequest")
    held = [
        (
            ("executionRequest", "thresholds"),
            request.get("thresholds") if isinstance(request, dict) else None,
        ),
        (("scoreThresholds",), whole.get("scoreThresholds")),
        (("classifier", "scoreThresholds"), (config.get("classifier") or {}).get("scoreThresholds")),
    ]
    path, given = next(((path, given) for path, given in held if given is not None), ((), None))
    where = ".".join(path)
    if given is None:
        why = "they come from the pipeline, and there are none here: pass_score 95 and marginal_score 75 are taken"
        account.say("note", document, "classifier", "scoreThresholds", why)
        return _DEFAULT_THRESHOLDS
    _refuse(root, [problem._replace(path=(*path, *problem.path)) for problem in threshold_problems(given)])
    thresholds = (float(given.get("pass") or 0), float(given.get("marginal") or 0))
    if not 0 <= thresholds[1] <= thresholds[0] <= 100:
        wrong = (
            f"{where}: pass {thresholds[0]:g} and marginal {thresholds[1]:g} are not two scores from 0 to 100"
        )
        raise PolicyError(f"{root.place}: {wrong}", "Make pass the larger one.")
    why = f"pass_score: {thresholds[0]:g}, marginal_score: {thresholds[1]:g}"
    if path[0] == "classifier":
        why += "; in Spinnaker those of the pipeline's canary stage win"
    account.say("taken", document, where, "thresholds", why)
    return thresholds


def _weights(config: CanaryConfig, account: Account, document: str) -> GroupWeights:
    """Return the groups' weights, and say where Kayenta's score would not run to 100."""
    groups = [group for metric in config.metrics.values() for group in metric.get("groups") or ()]
    weights = group_weights(config.weights, groups)
    place = "classifier.groupWeights"
    for group, weight in config.weights.items():
        if group in weights.by_group:
            account.say("taken", document, place, f"group {shown(group)}", f"a weight of {weight:g}")
        else:
            why = f"no metric is in it; Kayenta loses its {weight:g} of 100, here the other groups share all"
            account.say("adapted", document, place, f"group {shown(group)}", why)
    for group in weights.by_group:
        if group not in config.weights:
            share = weights.by_group[group]
            why = f"it has no weight, and its share of what the others leave of 100 is {share:g}"
            account.say("taken" if share > 0 else "adapted", document, place, f"group {shown(group)}", why)
    lost = any(group not in weights.by_group for group in config.weights)
    if weights.by_group and not lost and abs(weights.total - 100) > 1e-9:
        why = f"they add up to {weights.total:g}, and so far Kayenta's score runs; here they count relative to each other"
        account.say("adapted", document, place, "the weights", why)
    return weights


def _about_the_rest(config: dict[str, Any], account: Account, document: str, at: str) -> None:
    judge = config.get("judge") or {}
    if judge.get("name") == _RANDOM_JUDGE:
        account.say(
            "note",
            document,
            f"{at}judge",
            _RANDOM_JUDGE,
            "it draws its labels at random, and tests nothing; here the metrics are judged",
        )
    if _foreign_judge(config):
        why = "this judge is not known here: it may hold the canary against something else than the baseline; the metrics are compared with the baseline all the same, so write its rules yourself (such as slo for a fixed bound)"
        account.say("unjudged", document, f"{at}judge.name", f"the judge {shown(judge.get('name'))}", why)
    else:
        why = (
            "it asks once, at 98 % a metric, and takes every point as independent; here mann_whitney allows for what neighboring points share, "
            "and alpha is shared out over the metrics"
        )
        account.say("note", document, f"{at}judge", "the test", why)
    if judge.get("judgeConfigurations"):
        why = "what a judge is told beside the config is not read"
        account.say("unjudged", document, f"{at}judge.judgeConfigurations", "judgeConfigurations", why)
    for name, known in _READ_OF_ALL.items():
        for key in config.get(name) or {}:
            if key not in known:
                why = f"Kayenta's {name} has no such key, and nothing is made of it"
                account.say("unjudged", document, f"{at}{name}.{key}", shown(key), why)
    why = "what is not proven worse passes, as in Kayenta; pass_when: proven_safe makes a pass a proof, and aggregate: worst lets alpha and beta hold"
    account.say("note", document, "", "the verdict", why)
    for key in config:
        if key in _SILENT:
            account.say("no_effect", document, f"{at}{key}", key, _SILENT[key])
        elif key not in _KNOWN:
            near = nearest(str(key), _KNOWN)
            meant = f"; did you mean {near!r}?" if near else ""
            account.say(
                "unjudged" if near or _foreign_judge(config) else "no_effect",
                document,
                f"{at}{key}",
                shown(key),
                f"Kayenta knows no such key{meant}",
            )


@dataclass(frozen=True, slots=True)
class GroupWeights:
    """What the groups of a canary count, as Kayenta reckons it.

    Attributes
    ----------
    by_group : mapping of str to float
        Of each group that a metric is in, in percent; what is not above 0 does not count.
    total : float
        Their sum.
    """

    by_group: Mapping[str, float]
    total: float

    def first_counting(self, groups: Sequence[str]) -> str | None:
        """Return the first of some groups that counts; None where none does."""
        return next((group for group in groups if self.by_group.get(group, 0.0) > 0), None)


def group_weights(given: Mapping[str, float], groups: Sequence[str]) -> GroupWeights:
    """Give each group its weight: its own, or its share of what the others leave of 100.

    Examples
    --------
    >>> group_weights({"a": 60.0}, ["a", "b", "c"]).by_group
    {'a': 60.0, 'b': 20.0, 'c': 20.0}
    """
    seen = list(dict.fromkeys(groups))
    without = [group for group in seen if group not in given]
    rest = (100 - sum(given.values())) / len(without) if without else 0.0
    by_group = {group: given.get(group, rest) for group in seen}
    return GroupWeights(by_group, sum(by_group.values()))


def _foreign_judge(config: Mapping[str, Any]) -> bool:
    """Return whether a config names a judge that is not Kayenta's own."""
    return (config.get("judge") or {}).get("name") not in _KNOWN_JUDGES


def metric_settings(
    metric: Mapping[str, Any],
    weights: GroupWeights,
    account: Account,
    document: str,
    *,
    foreign: bool = False,
) -> dict[str, Any] | None:
    """Make a metric of a policy; of a foreign judge's metric, keys that Kayenta does not read may still mean something."""
    options = metric_options(metric, document)
    about = _About(account, document, foreign=foreign)
    settings: dict[str, Any] = {"name": metric["name"]}
    direction, tolerance = _tolerated(metric, options, about)
    if direction is None:
        return None
    settings |= {
        "direction": direction,
        "tolerance": tolerance,
        "role": "required" if options.critical else "guard",
    }
    _grouped(settings, metric, weights, about)
    if options.muted:
        settings["role"] = "muted"
    if options.critical or options.must_have_data:
        settings["no_data"] = "fail"
    settings["pass_when"] = "not_proven_worse"
    _about_data(metric, options, about)
    _about_the_metric(metric, options, about)
    return settings


def score_settings(
    weights: GroupWeights, thresholds: tuple[float, float], used: Sequence[str]
) -> dict[str, Any]:
    """Return the settings of the score: thresholds and the weights of groups that metrics count in."""
    settings: dict[str, Any] = {"aggregate": "score"}
    settings |= {"pass_score": thresholds[0], "marginal_score": thresholds[1]}
    groups = {group: weights.by_group[group] for group in dict.fromkeys(used)}
    return settings | ({"groups": groups} if groups else {})


class _About:
    """Says what becomes of one metric's parts."""

    def __init__(self, account: Account, document: str, *, foreign: bool) -> None:
        self._account = account
        self._document = document
        self.foreign = foreign

    def say(self, kind: RemarkKind, place: str, what: str, why: str) -> None:
        self._account.say(kind, self._document, place, what, why)


def _tolerated(metric: Mapping[str, Any], options: MetricOptions, about: _About) -> tuple[str | None, str]:
    """Return the bad direction and what is tolerated in it."""
    place = f"{_CANARY}.effectSize"
    stated = lookup(metric, ("analysisConfigurations", "canary", "effectSize"))
    direction = options.direction
    if lookup(metric, ("analysisConfigurations", "canary", "direction")) is not MISSING:
        about.say("taken", f"{_CANARY}.direction", "direction", f"direction: {direction}")
    else:
        about.say("taken", _CANARY, "direction", "none is given, which is either")
    if options.cles:
        why = "a chance of P(canary > baseline) has no tolerance here, so 10 % of the baseline's level is tolerated; the verdict reports P beside it"
        about.say("adapted", place, "measure: cles", why)
        return direction, "10%"
    if direction != "increase" and options.allowed_decrease <= _LEAST_RATIO:
        why = f"with allowedDecrease: {options.allowed_decrease:g} next to no fall is a Low"
        if direction == "decrease":
            about.say(
                "unjudged", f"{place}.allowedDecrease", "the metric", f"{why}, so nothing is left to judge"
            )
            return None, ""
        about.say(
            "adapted", f"{place}.allowedDecrease", "direction", f"{why}, so only an increase is bad here"
        )
        direction = "increase"
    parts = _parts(options, direction)
    for name, part in parts.items():
        if part > _LARGEST:
            raise PolicyError(f"{place}.{name} tolerates any change", "Write a ratio, such as 1.1.")
    if not parts:
        kind: RemarkKind = "note" if stated is MISSING else "adapted"
        why = "it tolerates no change of the means, which nothing can be proven to have, so 10 % is tolerated here; write what you would ship"
        about.say(kind, place, "effectSize", why)
        return direction, "10%"
    tolerance = _percent(min(parts.values()))
    name = min(parts, key=lambda each: parts[each])
    if direction == "either" and (len(parts) == 1 or len(set(map(_percent, parts.values()))) > 1):
        why = f"one tolerance holds both ways here: the smaller one, {tolerance}"
        about.say("adapted", place, "effectSize", why)
    else:
        about.say("taken", f"{place}.{name}", f"{name}", f"tolerance: {tolerance}")
    return direction, tolerance


_LARGEST: Final = 10**9
"""A larger change, as a part of the baseline's level, nobody tolerates."""


def _parts(options: MetricOptions, direction: str) -> dict[str, Fraction]:
    """Return what the effect sizes tolerate, as fractions of the baseline's level."""
    parts = {}
    if direction != "decrease" and options.allowed_increase > 1:
        parts["allowedIncrease"] = Fraction(repr(options.allowed_increase)) - 1
    if direction != "increase" and options.allowed_decrease < 1:
        parts["allowedDecrease"] = 1 / Fraction(repr(options.allowed_decrease)) - 1
    return parts


def _percent(fraction: Fraction) -> str:
    return f"{float(100 * fraction):.6g}%"


def _grouped(
    settings: dict[str, Any], metric: Mapping[str, Any], weights: GroupWeights, about: _About
) -> None:
    """Put a metric into a group; what counts in none counts for nothing, unless it is critical."""
    groups: list[str] = list(metric.get("groups") or ())
    group = weights.first_counting(groups)
    if group is not None:
        settings["group"] = group
        about.say("taken", "groups", "groups", f"group: {group}")
        others = [each for each in groups if each != group]
        if others:
            why = f"a metric is in one group here, the first that counts; left out: {', '.join(map(shown, others))}"
            about.say("adapted", "groups", "groups", why)
        return
    what = "its groups have no weight" if groups else "it is in no group"
    if settings["role"] == "required":
        about.say(
            "adapted",
            "groups",
            "groups",
            f"{what}, but it is critical: here it has a weight of 1 in the score too",
        )
    else:
        settings["role"] = "muted"
        about.say(
            "adapted", "groups", "groups", f"{what}, so that Kayenta's score does not know it: role: muted"
        )


def _about_data(metric: Mapping[str, Any], options: MetricOptions, about: _About) -> None:
    def stated(*path: str) -> bool:
        return lookup(metric, ("analysisConfigurations", "canary", *path)) is not MISSING

    if options.replace_missing:
        why = "a missing point is a zero: from_kayenta makes it one, given the config; of events, kind: count judges a baseline without any too"
        about.say("adapted", f"{_CANARY}.nanStrategy", "nanStrategy: replace", why)
    elif stated("nanStrategy"):
        about.say("taken", f"{_CANARY}.nanStrategy", "nanStrategy: remove", "missing points are left out")
    if options.outlier_factor is not None:
        why = (
            "outliers are kept, for a spike may be the very fault; tests of ranks are not led astray by a few"
        )
        about.say("adapted", f"{_CANARY}.outliers", "outliers: remove", why)
    elif stated("outliers"):
        about.say("taken", f"{_CANARY}.outliers", "outliers: keep", "every point counts")
    if options.must_have_data:
        about.say("taken", f"{_CANARY}.mustHaveData", "mustHaveData", "no_data: fail")


def _about_the_metric(metric: Mapping[str, Any], options: MetricOptions, about: _About) -> None:
    if options.critical:
        about.say("taken", f"{_CANARY}.critical", "critical", "role: required, and no_data: fail")
        allowed = {"Increase": options.allowed_increase, "Decrease": options.allowed_decrease}
        critical = {"Increase": options.critical_increase, "Decrease": options.critical_decrease}
        for way, sign, other in (("Increase", 1, "decrease"), ("Decrease", -1, "increase")):
            if options.direction != other and sign * (critical[way] - allowed[way]) > 0:
                why = f"Kayenta fails the canary only from {critical[way]:g} on; here what is proven beyond the tolerance fails it"
                about.say("adapted", f"{_CANARY}.effectSize.critical{way}", f"critical{way}", why)
    if options.muted:
        about.say("taken", f"{_CANARY}.muted", "muted", "role: muted")
    if "query" in metric:
        query = metric["query"]
        for text in texts_in(query):
            about_made_up(text, lambda kind, what, why: about.say(kind, "query", what, why))
        kind = query.get("type") if isinstance(query, Mapping) else None
        why = "data come from the caller; Kayenta's own fetched points are read as metric set pairs"
        about.say("no_effect", "query", f"query of the type {shown(kind)}", why)
    if "scopeName" in metric:
        about.say(
            "no_effect",
            "scopeName",
            f"scope {shown(metric['scopeName'])}",
            "it says where Kayenta fetched the data",
        )
    _about_unread(metric, about)
    extension = lookup(metric, ("extensions", "canary"))
    if isinstance(extension, Mapping) and extension:
        why = "options of an old format, which Kayenta does not read any more; write analysisConfigurations"
        about.say("unjudged", "extensions.canary", "extensions", why)


def _about_unread(metric: Mapping[str, Any], about: _About) -> None:
    """Say of every other key that nothing is made of it."""
    for path, known in _READ.items():
        given = lookup(metric, path)
        for key in given if isinstance(given, Mapping) else ():
            if key not in known:
                near = nearest(str(key), known)
                why = "Kayenta's own judge reads no such key" + (f"; did you mean {near!r}?" if near else "")
                why += "; this config's judge may, and nothing is made of it" if about.foreign else ""
                kind: RemarkKind = "unjudged" if near or about.foreign else "no_effect"
                about.say(kind, ".".join((*path, str(key))), shown(key), why)

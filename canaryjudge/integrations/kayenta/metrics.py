"""A Kayenta canary config as the settings of a policy: groups, weights, directions, effect sizes; and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from canaryjudge.integrations.imports import Account, RemarkKind
from canaryjudge.integrations.kayenta.options import MISSING, MetricOptions, lookup, metric_options
from canaryjudge.policy.complaints import nearest
from canaryjudge.policy.quantities import shown

__all__ = ["Weights", "group_weights", "metric_settings", "score_settings"]

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


@dataclass(frozen=True, slots=True)
class Weights:
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
        """Give the first of some groups that counts; None where none does."""
        return next((group for group in groups if self.by_group.get(group, 0.0) > 0), None)


def group_weights(given: Mapping[str, float], groups: Sequence[str]) -> Weights:
    """Give each group its weight: its own, or its share of what the others leave of 100.

    Parameters
    ----------
    given : mapping of str to float
        The config's ``groupWeights``.
    groups : sequence of str
        The groups that metrics are in.

    Examples
    --------
    >>> group_weights({"a": 60.0}, ["a", "b", "c"]).by_group
    {'a': 60.0, 'b': 20.0, 'c': 20.0}
    """
    seen = list(dict.fromkeys(groups))
    without = [group for group in seen if group not in given]
    rest = (100 - sum(given.values())) / len(without) if without else 0.0
    by_group = {group: given.get(group, rest) for group in seen}
    return Weights(by_group, sum(by_group.values()))


def metric_settings(
    metric: Mapping[str, Any], weights: Weights, account: Account, document: str
) -> dict[str, Any] | None:
    """Make a metric of a policy.

    Parameters
    ----------
    metric : mapping
        A member of the config's ``metrics``, checked.
    weights : Weights
        What the groups count.
    account : Account
        What became of each part.
    document : str
        How remarks call it.

    Returns
    -------
    dict or None
        Its settings, as a policy file has them; None where it cannot be judged.
    """
    options = metric_options(metric, document)
    about = _About(account, document)
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
    _about_the_rest(metric, options, about)
    return settings


def score_settings(weights: Weights, thresholds: tuple[float, float], used: Sequence[str]) -> dict[str, Any]:
    """Give the settings of the score: thresholds and the weights of groups that metrics count in."""
    settings: dict[str, Any] = {"aggregate": "score"}
    settings |= {"pass_score": thresholds[0], "marginal_score": thresholds[1]}
    groups = {group: weights.by_group[group] for group in dict.fromkeys(used)}
    return settings | ({"groups": groups} if groups else {})


class _About:
    """Says what becomes of one metric's parts."""

    def __init__(self, account: Account, document: str) -> None:
        self._account = account
        self._document = document

    def say(self, kind: RemarkKind, place: str, what: str, why: str) -> None:
        self._account.say(kind, self._document, place, what, why)


def _tolerated(metric: Mapping[str, Any], options: MetricOptions, about: _About) -> tuple[str | None, str]:
    """Give the bad direction and what is tolerated in it."""
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


def _parts(options: MetricOptions, direction: str) -> dict[str, Decimal]:
    """Give what the effect sizes tolerate, as fractions of the baseline's level."""
    parts = {}
    if direction != "decrease" and options.allowed_increase > 1:
        parts["allowedIncrease"] = Decimal(repr(options.allowed_increase)) - 1
    if direction != "increase" and options.allowed_decrease < 1:
        parts["allowedDecrease"] = 1 / Decimal(repr(options.allowed_decrease)) - 1
    return parts


def _percent(fraction: Decimal) -> str:
    return f"{float(100 * fraction):.6g}%"


def _grouped(settings: dict[str, Any], metric: Mapping[str, Any], weights: Weights, about: _About) -> None:
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


def _about_the_rest(metric: Mapping[str, Any], options: MetricOptions, about: _About) -> None:
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
                why = "Kayenta reads no such key" + (f"; did you mean {near!r}?" if near else "")
                about.say("unjudged" if near else "no_effect", ".".join((*path, str(key))), shown(key), why)

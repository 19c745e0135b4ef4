"""OpenSLO documents as objectives: every SLO that can be judged becomes a metric with burn-rate rules, and nothing else is left unsaid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.imported import Account, Imported, imported, with_own_names
from canaryjudge.integrations.openslo.documents import Library, SloObject, read_openslo
from canaryjudge.integrations.openslo.models import AlertPolicySpec, Objective, SliSpec, SloSpec
from canaryjudge.integrations.openslo.objectives import (
    SloObjective,
    alerts_of,
    condition_gap,
    metric_settings,
)
from canaryjudge.quantities import shown

__all__ = ["load_openslo"]

_SILENT: Final = {
    "DataSource": "data come from the caller, or from --prometheus; its connection is not used",
    "Service": "it groups SLOs, and no verdict depends on it",
    "AlertNotificationTarget": "canaryjudge tells its caller, nobody else",
}


def load_openslo(*paths: str | Path, text: str | None = None) -> Imported:
    """Read OpenSLO documents as objectives.

    SLOs become metrics with rules `burn_rate`; indicators, alert policies and alert conditions are found by their names among all
    documents. Documents of openslo/v1 are read in full, those of openslo/v1alpha and openslo.com/v2alpha as far as they say the same.

    Parameters
    ----------
    *paths : str or pathlib.Path
        Files, YAML or JSON, with one or several documents, or lists of objects.
    text : str, optional
        A document that is not in a file.

    Returns
    -------
    Imported
        `metrics`, ready for ``Policy(metrics=...)``; `unjudged`, what cannot be judged and why; `adapted`, what is judged, but not
        quite as it stands; `remarks`, what became of everything; and `text`, the policy as YAML.

    Raises
    ------
    PolicyError
        If a file cannot be read, or is not what OpenSLO says: with file, line, column and what to do.

    Examples
    --------
    >>> found = load_openslo(text='''
    ... apiVersion: openslo/v1
    ... kind: SLO
    ... metadata: {name: checkout}
    ... spec:
    ...   service: shop
    ...   indicator:
    ...     metadata: {name: checkout-errors}
    ...     spec:
    ...       ratioMetric:
    ...         bad: {metricSource: {type: Prometheus, spec: {query: 'rate(errors[1m])'}}}
    ...         total: {metricSource: {type: Prometheus, spec: {query: 'rate(requests[1m])'}}}
    ...   timeWindow: [{duration: 28d, isRolling: true}]
    ...   budgetingMethod: Occurrences
    ...   objectives: [{target: 0.999}]
    ... ''')
    >>> [(metric.name, metric.kind, metric.rules[0].target) for metric in found.metrics]
    [('checkout', 'ratio', 0.999)]
    >>> found.unjudged
    ()
    """
    if not paths and text is None:
        raise PolicyError("no OpenSLO document is given", "Give files, or text=...")
    library = read_openslo(paths, text)
    account = Account()
    metrics: list[dict[str, Any]] = []
    judged: set[str] = set()
    for stated in library.objects:
        if stated.kind == "SLO":
            metrics += _slo(stated, library, account, judged)
        elif stated.kind in _SILENT:
            account.say("no_effect", stated.title, "", stated.kind, _SILENT[stated.kind])
        elif stated.kind == "AlertCondition" and (gap := condition_gap(stated.spec)):
            account.say("unjudged", stated.title, "spec.condition", *gap)
        elif stated.kind == "AlertPolicy":
            _inline_condition(stated, account)
    _about_unused(library, account)
    return imported(with_own_names(metrics), account.remarks)


def _slo(stated: SloObject, library: Library, account: Account, judged: set[str]) -> list[dict[str, Any]]:
    """Make metrics of an SLO: one of each indicator and direction, with a rule of each objective."""
    if stated.gap:
        account.say("unjudged", stated.title, "spec", "the SLO", stated.gap)
        return []
    if stated.name in judged:
        account.say(
            "unjudged",
            stated.title,
            "metadata.name",
            "the SLO",
            "another one of this name was read before it",
        )
        return []
    judged.add(stated.name)
    spec: SloSpec = stated.spec
    if spec.timeWindow is None:
        why = "there is none, so nobody knows how long the error budget has to last"
        account.say("unjudged", stated.title, "spec", "timeWindow", why)
        return []
    alerts = alerts_of(stated, library, account)
    made: list[_Made] = []
    for index, objective in enumerate(spec.objectives):
        place = f"spec.objectives[{index}]"
        indicator = _indicator(stated, objective, library, account, place)
        if indicator is None:
            continue
        name, sli = indicator
        own = objective.indicator is not None or objective.indicatorRef is not None
        asked = SloObjective(
            document=stated.title,
            place=place,
            name=f"{stated.name}/{name}" if own else stated.name,
            slo=spec,
            objective=objective,
            alerts=alerts,
            composite=own,
        )
        settings = metric_settings(asked, sli, account)
        if settings is not None:
            _merge(made, _Made(sli, settings), asked, account)
    return [each.settings for each in made]


def _indicator(
    stated: SloObject, objective: Objective, library: Library, account: Account, place: str
) -> tuple[str, SliSpec] | None:
    """Find the indicator of an objective, or of the whole SLO."""
    own = objective.indicator is not None or objective.indicatorRef is not None
    holder: Objective | SloSpec = objective if own else stated.spec
    if holder.indicator is not None:
        return holder.indicator.metadata.name, holder.indicator.spec
    reference = str(holder.indicatorRef)
    found = library.find("SLI", reference)
    if isinstance(found, str):
        where = place if own else "spec"
        account.say("unjudged", stated.title, f"{where}.indicatorRef", "the objective", found)
        return None
    return reference, found.spec


class _Made(NamedTuple):
    """A metric, and the indicator that it is of."""

    sli: SliSpec
    settings: dict[str, Any]


def _merge(made: list[_Made], new: _Made, asked: SloObjective, account: Account) -> None:
    """Add an objective's rules to the metric of the same data; another direction of the same indicator is a metric of its own, and so is another indicator."""
    settings = new.settings
    alike = [each.settings for each in made if each.sli == new.sli]
    known = next((each for each in alike if each["direction"] == settings["direction"]), None)
    if known is None:
        names = {each.settings["name"] for each in made}
        name = f"{settings['name']}-{asked.objective.op}" if alike else settings["name"]
        number = 2
        while name in names:
            name, number = f"{settings['name']}-{number}", number + 1
        if name != settings["name"] and not alike:
            why = (
                f"another objective has another indicator of this name, so this one's metric is called {name}"
            )
            account.say("note", asked.document, asked.place, f"metric {settings['name']}", why)
        made.append(new._replace(settings=settings | {"name": name}))
        return
    rules = [rule for rule in settings["rules"] if rule not in known["rules"]]
    if len(rules) < len(settings["rules"]):
        account.say(
            "note", asked.document, asked.place, "the objective", "it says what another one says already"
        )
    known["rules"] += rules
    if "weight" in settings:
        known["weight"] = max(known.get("weight", 0.0), settings["weight"])


def _inline_condition(stated: SloObject, account: Account) -> None:
    """Say what is wrong with the condition that an alert policy writes out, whoever refers to the policy."""
    spec: AlertPolicySpec = stated.spec
    written = spec.conditions[0].spec
    if written is not None and (gap := condition_gap(written)):
        account.say("unjudged", stated.title, "spec.conditions[0].spec.condition", *gap)


def _about_unused(library: Library, account: Account) -> None:
    """Say which indicators and alerts no SLO asks for."""
    for stated in library.objects:
        if (
            stated.kind in ("SLI", "AlertPolicy", "AlertCondition")
            and (stated.kind, stated.name) not in library.used
        ):
            why = f"no SLO refers to the {stated.kind} {shown(stated.name)}"
            account.say("no_effect", stated.title, "", stated.kind, why)

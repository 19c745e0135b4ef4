"""The alerts of an OpenSLO objective: burn rates over one window, as far as they say what is too fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.integrations.imports import Account
from canaryjudge.integrations.openslo.documents import Library, Stated

if TYPE_CHECKING:
    from canaryjudge.integrations.openslo.models import AlertPolicySpec, ConditionSpec, SloSpec

__all__ = ["Alert", "alerts_of", "condition_gap", "duration"]

_DAYS: Final = {"w": 7, "M": 30, "Q": 90, "Y": 365}
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400}
_LONGEST_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Alert:
    """A burn rate over one window, and where it was said."""

    window: str
    burn_rate: float
    place: str

    def written(self) -> dict[str, Any]:
        """Give it as a policy writes it: both windows are one."""
        rate = int(self.burn_rate) if self.burn_rate.is_integer() else self.burn_rate
        return {"long": self.window, "short": self.window, "burn_rate": rate}


def duration(shorthand: str) -> tuple[str, float] | None:
    """Write a duration as policies do, and give its seconds; a month is 30 days, a quarter 90, a year 365. None if it is too long.

    Examples
    --------
    >>> duration("4w"), duration("1M"), duration("9Y")
    (('28d', 2419200.0), ('30d', 2592000.0), None)
    """
    number, unit = int(shorthand[:-1]), shorthand[-1]
    seconds = number * (_SECONDS[unit] if unit in _SECONDS else 86400 * _DAYS[unit])
    if not 0 < seconds <= 86400 * _LONGEST_DAYS:
        return None
    return (f"{number}{unit}" if unit in _SECONDS else f"{number * _DAYS[unit]}d"), float(seconds)


def condition_gap(spec: ConditionSpec) -> tuple[str, str] | None:
    """Tell why a condition says nothing of what is too fast: what is wrong with it, and why; None where it does."""
    condition = spec.condition
    if condition.op in ("lt", "lte"):
        than = "at most" if condition.op == "lte" else "less than"
        meant = "gte" if condition.op == "lte" else "gt"
        why = (
            f"it alerts where the burn rate is {than} {condition.threshold:g}, which is where the budget lasts; it is not turned round, "
            f"so if {meant} was meant, write that"
        )
        return f"op: {condition.op}", why
    if condition.threshold <= 0:
        return "threshold", f"every burn rate is above {condition.threshold:g}, so it says nothing"
    if duration(condition.lookbackWindow) is None:
        return "lookbackWindow", f"{condition.lookbackWindow} is longer than {_LONGEST_DAYS} days"
    return None


def alerts_of(stated: Stated, library: Library, account: Account) -> tuple[Alert, ...]:
    """Collect the alerts of an SLO, and say what becomes of each.

    Parameters
    ----------
    stated : Stated
        The SLO.
    library : Library
        Where its references lead.
    account : Account
        What became of each part.

    Returns
    -------
    tuple of Alert
        Those that say what is too fast; none where the defaults are to be asked.
    """
    spec: SloSpec = stated.spec
    found: list[Alert] = []
    for index, entry in enumerate(spec.alertPolicies or ()):
        place = f"spec.alertPolicies[{index}]"
        policy: AlertPolicySpec | None = entry.spec
        if policy is None:
            named = library.find("AlertPolicy", str(entry.alertPolicyRef))
            if isinstance(named, str):
                account.say("unjudged", stated.title, f"{place}.alertPolicyRef", "the alert policy", named)
                continue
            policy = named.spec
        assert policy is not None  # noqa: S101 - an alert policy has a spec
        alert = _alert(policy, stated, place, library, account)
        found += [] if alert is None else [alert]
    return tuple(dict.fromkeys(found))


def _alert(
    policy: AlertPolicySpec, stated: Stated, place: str, library: Library, account: Account
) -> Alert | None:
    (entry,) = policy.conditions
    where = f"{place}.spec.conditions[0]"
    spec: ConditionSpec | None = entry.spec
    if spec is None:
        named = library.find("AlertCondition", str(entry.conditionRef))
        if isinstance(named, str):
            account.say("unjudged", stated.title, f"{where}.conditionRef", "the alert", named)
            return None
        spec = named.spec
    assert spec is not None  # noqa: S101 - an alert condition has a spec
    if policy.alertWhenNoData:
        why = "an arm without data makes a metric marginal; write no_data: fail if it is to fail the release"
        account.say("adapted", stated.title, place, "alertWhenNoData", why)
    if not policy.alertWhenBreaching:
        why = "the policy does not alert where its condition is breached, so that is not asked"
        account.say("unjudged", stated.title, place, "alertWhenBreaching", why)
        return None
    if gap := condition_gap(spec):
        account.say("unjudged", stated.title, where, *gap)
        return None
    condition = spec.condition
    if condition.alertAfter is not None and int(condition.alertAfter[:-1]):
        why = f"whether it lasts for {condition.alertAfter} is not waited for: an interval on the burn rate decides"
        account.say("adapted", stated.title, where, "alertAfter", why)
    window = duration(condition.lookbackWindow)
    assert window is not None  # noqa: S101 - a condition without a gap has a window
    return Alert(window[0], condition.threshold, where)

"""Look a policy and its data over before anything is judged by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from canaryjudge.data import with_exposures
from canaryjudge.data.cleaning import read_arm
from canaryjudge.data.pairing import align
from canaryjudge.data.reading import source_of
from canaryjudge.doctor_checks.data import DATA_CHECKS, CheckedMetric
from canaryjudge.doctor_checks.policy import POLICY_CHECKS
from canaryjudge.errors import DataError
from canaryjudge.explain.readiness import readiness_markdown, readiness_rows, readiness_text
from canaryjudge.judging import shares
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy
from canaryjudge.reports import ReadinessFacts, Report, Symptom
from canaryjudge.settings import nearest

if TYPE_CHECKING:
    import pandas as pd

    from canaryjudge.data.sources import SeriesSource

__all__ = ["Readiness", "doctor"]

_SEVERITIES = ("error", "warning", "info")


class Readiness(ReadinessFacts, Report):
    """What `doctor` gives: what keeps metrics from being judged well, each with what to do.

    Attributes
    ----------
    symptoms : tuple of Symptom
        What was found; errors first.
    """

    @property
    def ready(self) -> bool:
        """Whether nothing was found that makes a verdict wrong or impossible."""
        return not any(symptom.severity == "error" for symptom in self.symptoms)

    def explain(self) -> str:
        """Give each finding with its numbers, and what to do about it."""
        return readiness_text(self)

    def to_markdown(self) -> str:
        """Give the same as Markdown."""
        return readiness_markdown(self)

    def to_frame(self) -> pd.DataFrame:
        """Give a pandas frame with a row a finding."""
        import pandas as pd  # noqa: PLC0415 - only those who want a frame pay for it

        return pd.DataFrame(readiness_rows(self))


@np.errstate(all="ignore")
def doctor(
    policy: Policy, data: Any = None, *, baseline: str = "baseline", canary: str = "canary"
) -> Readiness:
    """Say what keeps metrics from being judged well.

    Parameters
    ----------
    policy : Policy
        What releases will be judged by. Its queries are read too: percentiles averaged over pods are found there.
    data : frame, mapping or list of dict, optional
        Data as `judge` takes them. Without them the policy alone is looked at.
    baseline, canary : str
        What the data call the two arms.

    Returns
    -------
    Readiness
        What was found, each with a severity. Data that `judge` would refuse are a finding too.

    Raises
    ------
    DataError
        If the data have none of the shapes that `judge` takes.

    Examples
    --------
    >>> import numpy as np, canaryjudge as cj
    >>> rng = np.random.default_rng(1)
    >>> policy = cj.Policy(metrics=[cj.Metric(name="latency", unit="ms", direction="increase")])
    >>> found = cj.doctor(policy, {"latency": {"baseline": rng.normal(0.12, 0.01, 60), "canary": rng.normal(120, 10, 60)}})
    >>> [(symptom.severity, symptom.code) for symptom in found.symptoms]
    [('error', 'arms_in_other_units')]
    """
    found = [
        symptom for metric in policy.metrics for check in POLICY_CHECKS for symptom in check(metric, policy)
    ]
    if data is not None:
        source = source_of(data, policy, (str(baseline), str(canary)))
        alphas = shares(policy)
        for metric in policy.metrics:
            found += _of_data(source, metric, policy, alphas[metric.name], (str(baseline), str(canary)))
    return Readiness(
        metrics=tuple(metric.name for metric in policy.metrics),
        with_data=data is not None,
        symptoms=tuple(sorted(found, key=lambda symptom: _SEVERITIES.index(symptom.severity))),
    )


def _of_data(
    source: SeriesSource, metric: Metric, policy: Policy, alpha: float, arms: tuple[str, str]
) -> Iterator[Symptom]:
    if metric.name not in source.metrics:
        near = nearest(metric.name, source.metrics)
        numbers: dict[str, float | str] = {"near": near} if near else {}
        yield Symptom(code="no_metric", severity="error", metric=metric.name, numbers=numbers)
        return
    try:
        baseline, canary = (read_arm(source, metric, arm) for arm in arms)
        pair = with_exposures(align(metric, baseline, canary), metric, policy)
    except DataError as error:
        numbers = {"said": error.message, "hint": error.hint}
        yield Symptom(code="unreadable", severity="error", metric=metric.name, numbers=numbers)
        return
    kind = KINDS[metric.kind]
    if kind.has_users or kind.is_paired:  # what is odd about points in time is not about them
        for name, arm in zip(arms, (pair.baseline, pair.canary), strict=True):
            if arm.points < metric.needed_points:
                few: dict[str, float | str] = {"points": arm.points, "needed": metric.needed_points}
                yield Symptom(
                    code="too_few_points" if arm.points else "no_arm_data",
                    severity="error",
                    metric=metric.name,
                    arm=name,
                    numbers=few,
                )
        return
    checked = CheckedMetric(metric, policy, alpha, (baseline, canary), pair)
    for check in DATA_CHECKS:
        yield from check(checked)

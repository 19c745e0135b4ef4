"""Data of any accepted shape -> one `MetricPair` for each metric of a policy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from canaryjudge.data.alignment import align
from canaryjudge.data.cleaning import clean
from canaryjudge.data.frames import table_columns
from canaryjudge.data.pair import MetricPair
from canaryjudge.data.places import likely_name, shown
from canaryjudge.data.raw import ArmMapping, Source
from canaryjudge.data.tidy import TidyTable
from canaryjudge.errors import DataError
from canaryjudge.policy import Policy

__all__ = ["read_pairs"]


def read_pairs(
    data: Any, policy: Policy, *, baseline: str = "baseline", canary: str = "canary"
) -> dict[str, MetricPair]:
    """Read both arms of every metric of a policy.

    Parameters
    ----------
    data : DataFrame, mapping or list of dict
        One of

        - a tidy table, a row a point, of pandas, polars (lazy too) or pyarrow: columns `metric`, `arm`, `value`, where
          there are any `time` and `total`, and `replica` where several instances report at one time; others are ignored;
        - the same as a list of row dicts;
        - a mapping ``{metric: {arm: series}}``, a series being array-like, a pandas Series (its DatetimeIndex gives the times), a mapping
          of columns `value`, `time`, `total`, or None;
        - what `from_wide` returns.
    policy : Policy
        Which metrics to read, and what they are.
    baseline, canary : str
        What the data call the two arms; others are ignored.

    Returns
    -------
    dict of str to MetricPair
        In the policy's order. Thin or odd data are noted, not raised.

    Raises
    ------
    DataError
        If the data cannot mean what the policy needs: it names the metric, arm and row, what was found and what to do.

    Examples
    --------
    >>> from canaryjudge.policy import Metric
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> pair = read_pairs({"cpu": {"baseline": [0.4, 0.5], "canary": [0.5, None, 0.7]}}, policy)["cpu"]
    >>> pair.canary.value.tolist(), pair.pairing, pair.notes[0].code
    ([0.5, 0.7], 'windows', 'missing_values')
    """
    baseline, canary = str(baseline), str(canary)
    if baseline == canary:
        raise DataError(f"baseline and canary are both named {baseline!r}", "Name two different arms.")
    source = _source(data)
    _check_arms(source, policy, (baseline, canary))
    _check_metrics(source, policy)
    pairs = {}
    with np.errstate(over="ignore", under="ignore"):
        for metric in policy.metrics:
            arms = (clean(source.series(metric.name, arm), metric) for arm in (baseline, canary))
            pairs[metric.name] = align(metric, *arms)
    return pairs


def _source(data: Any) -> Source:
    if isinstance(data, Mapping):
        return ArmMapping(data)
    columns = table_columns(data)
    if columns is None:
        raise DataError(
            f"the data are {shown(data)} ({type(data).__name__})",
            "Give a frame of pandas, polars or pyarrow or a list of row dicts with metric, arm and value, a mapping "
            "{metric: {arm: series}}, or what from_wide returns.",
        )
    return TidyTable(columns)


def _check_arms(source: Source, policy: Policy, wanted: tuple[str, str]) -> None:
    """Refuse an arm that is not there, unless the policy says of every metric what no data do: then it may be silent."""
    told = all("no_data" in metric.model_fields_set for metric in policy.metrics)
    may_be_silent = told and any(arm in source.arms for arm in wanted)
    for arm in wanted:
        if (
            source.arms
            and arm not in source.arms
            and not (may_be_silent and not _resembles(arm, source.arms))
        ):
            raise DataError(
                f"the data have no arm {arm!r}",
                f"{likely_name(arm, source.arms, 'arms')} Name yours with baseline and canary (--baseline, --canary). "
                "If an arm may be silent, set no_data for every metric.",
            )


def _resembles(name: str, known: Iterable[str]) -> bool:
    return bool(difflib.get_close_matches(name, list(known), n=1))


def _check_metrics(source: Source, policy: Policy) -> None:
    for metric in policy.metrics:
        if source.metrics and metric.name not in source.metrics and "no_data" not in metric.model_fields_set:
            raise DataError(
                f"the data have no metric {metric.name!r}",
                f"{likely_name(metric.name, source.metrics, 'metrics')} If it may be absent, set no_data in the policy.",
            )

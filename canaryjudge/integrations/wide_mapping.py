"""What the option --column says: which columns of a wide table are a metric's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from canaryjudge.data.diagnostics import likely_name
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy

__all__ = ["Given", "given_columns"]


@dataclass(frozen=True, slots=True)
class Given:
    """The columns of a metric that were named.

    Attributes
    ----------
    value : str
        The column of its values.
    total : str or None
        The one of what they are out of, if it was named.
    """

    value: str
    total: str | None = None


def given_columns(texts: Sequence[str], policy: Policy, names: Sequence[str]) -> dict[str, Given]:
    """Read texts like ``errors=error_count/requests``.

    Names of columns may have slashes of their own: a slash divides where what is on either side is a column.

    Parameters
    ----------
    texts : sequence of str
        One for each metric whose columns are named.
    policy : Policy
        Whose metrics.
    names : sequence of str
        The columns that are there; where there are none at all, nothing is looked for.

    Returns
    -------
    dict of str to Given
        By the metrics' names.

    Raises
    ------
    DataError
        If a text names no metric or column, or one metric is given twice, or a metric that has no total is given one.

    Examples
    --------
    >>> policy = Policy(metrics=[Metric(name="errors", kind="ratio", direction="increase")])
    >>> given_columns(["errors=5xx/s/all/s"], policy, ["version", "5xx/s", "all/s"])
    {'errors': Given(value='5xx/s', total='all/s')}
    """
    found: dict[str, Given] = {}
    for text in texts:
        metric, columns = _metric_of(text, policy)
        if metric.name in found:
            raise DataError(
                f"--column {text}: the columns of {metric.name!r} are given twice", "Give them once."
            )
        given = _split(text, columns, names) if names else Given(columns)
        if given.total is not None and metric.kind not in ("ratio", "count"):
            raise DataError(
                f"--column {text}: the metric {metric.name!r} is of kind {metric.kind}, which has no total",
                f"Give the column of its values only, or set kind: ratio: --column {metric.name}={given.value}.",
            )
        found[metric.name] = given
    return found


def _metric_of(text: str, policy: Policy) -> tuple[Metric, str]:
    known = {metric.name: metric for metric in policy.metrics}
    # a metric's name may have equals signs of its own
    fitting = [name for name in known if text.startswith(f"{name}=")]
    if fitting:
        name = max(fitting, key=len)
        if columns := text[len(name) + 1 :]:
            return known[name], columns
    name, equals, columns = text.partition("=")
    if not equals or not columns:
        raise DataError(
            f"--column {text}: this names no column",
            "Write METRIC=VALUE or METRIC=VALUE/TOTAL, such as errors=error_count/requests.",
        )
    raise DataError(
        f"--column {text}: the policy has no metric {name!r}", likely_name(name, known, "metrics")
    )


def _split(text: str, columns: str, names: Sequence[str]) -> Given:
    slashes = [index for index, mark in enumerate(columns) if mark == "/"]
    ways = [Given(columns)] if columns in names else []
    for at in slashes:
        value, total = columns[:at], columns[at + 1 :]
        if value in names and total in names:
            ways.append(Given(value, total))
    if len(ways) > 1:
        raise DataError(
            f"--column {text}: this can be read in {len(ways)} ways, because names of columns have slashes in them",
            "Rename one of the columns.",
        )
    if ways:
        return ways[0]
    parts = columns.split("/") if len(slashes) == 1 else [columns]
    missing = next(part for part in parts if part not in names)
    raise DataError(
        f"--column {text}: the table has no column {missing!r}", likely_name(missing, names, "columns")
    )

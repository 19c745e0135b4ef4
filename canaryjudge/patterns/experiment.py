"""Logs of a feature flag joined to what users did: who was shown which variant, from when on, and what each brought since; and percentiles of their requests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import Location, shown
from canaryjudge.data.frames import Column, labels, needed_column, table_columns, to_floats, user_codes
from canaryjudge.data.times import to_times
from canaryjudge.errors import DataError
from canaryjudge.quantities import parse_duration
from canaryjudge.stats.cluster_quantiles import cluster_parts

__all__ = ["Exposed", "exposed", "percentile_by_user"]

FloatArray = NDArray[np.float64]
_WHOLE: Final = "exposure log"
_EVENTS: Final = "events"


@dataclass(frozen=True, slots=True)
class Exposed:
    """Users of an experiment, and what each brought from the first exposure on.

    Attributes
    ----------
    data : dict
        ``{metric: {variant: columns}}`` as `judge` and `Monitor.update` take it: a row each user that was exposed, 0 for one who did nothing.
    users : dict of str to int
        How many users count, by variant.
    several : int
        Users who were shown several variants; they are left out.
    unfinished : int
        Users whose time after the first exposure is not over yet; they are left out until it is.
    unexposed : int
        Events of users who were shown no variant; they are left out.
    outside : int
        Events of users that count from before their first exposure, or after their time; they are left out, but for what `before` takes.
    """

    data: dict[str, dict[str, dict[str, Any]]]
    users: dict[str, int]
    several: int
    unfinished: int
    unexposed: int
    outside: int


def exposed(
    exposures: Any,
    events: Any,
    *,
    within: str | None = None,
    before: str | None = None,
    until: Any = None,
) -> Exposed:
    """Join the evaluations of a flag to the events of a product.

    The first exposure counts: what a user did before it cannot be the variant's doing. A user who was shown several variants is of no arm, and one who was shown a variant and did nothing counts as 0: to leave those out would
    compare other users in each arm.

    Parameters
    ----------
    exposures : DataFrame or list of dict
        A row an evaluation of the flag: `user`, `variant`, `time`.
    events : DataFrame or list of dict
        A row an event: `user`, `metric`, `value`, `time` and, of a ratio metric, `total`.
    within : str, optional
        Only events up to so long after a user's first exposure count, such as ``7d``: then each has the same time, and one whose time is not over is left out. All that follow by default.
    before : str, optional
        Events up to so long before the first exposure, such as ``14d``, become the user's `covariate` (and `covariate_total`). None by default.
    until : time, optional
        When the events end, to tell whose time is over; the latest time of both tables by default.

    Returns
    -------
    Exposed
        The users, and how many were left out for which reason.

    Raises
    ------
    DataError
        If a column is missing, or a row has no user, variant, metric or time.

    Examples
    --------
    >>> shown = [{"user": user, "variant": variant, "time": time} for user, variant, time in (("a", "old", 60), ("a", "old", 90), ("b", "new", 60), ("c", "new", 60), ("c", "old", 70))]
    >>> done = [{"user": user, "metric": "orders", "value": 1, "time": time} for user, time in (("a", 30), ("a", 80), ("a", 100), ("c", 80), ("d", 80))]
    >>> found = exposed(shown, done)
    >>> found.data["orders"]["old"]["value"].tolist(), found.data["orders"]["new"]["value"].tolist()
    ([2.0], [0.0])
    >>> found.users, found.several, found.unexposed, found.outside
    ({'old': 1, 'new': 1}, 1, 1, 1)
    """
    length, past = (
        (np.inf if within is None else _seconds(within)),
        (0.0 if before is None else _seconds(before)),
    )
    log, done = _table(exposures, _WHOLE), _table(events, _EVENTS)
    codes = _shared_codes(needed_column(log, "user"), needed_column(done, "user"))
    user, variant = codes[: len(codes) - _rows(done)], labels(needed_column(log, "variant"), "variant")
    time, of_event = _times(log, _WHOLE), codes[len(user) :]
    when = _times(done, _EVENTS)
    first, arm, several = _first(user, time, variant[0], int(codes.max(initial=-1)) + 1)
    end = np.inf if within is None else _end(until, time, when)
    unfinished = (arm >= 0) & (first + length > end)
    arm = np.where(unfinished, -1, arm)
    counted = np.flatnonzero(arm >= 0)
    place = np.full(len(arm), -1)
    place[counted] = np.arange(len(counted))
    since = when - first[of_event]
    known, own = place[of_event] >= 0, place[of_event]
    after = known & (since >= 0) & (since <= length)
    earlier = known & (since < 0) & (since >= -past)
    metric, names = labels(needed_column(done, "metric"), "metric")
    value = to_floats(needed_column(done, "value"), Location(_EVENTS, "all"), "value")
    total = to_floats(done["total"], Location(_EVENTS, "all"), "total") if "total" in done else None
    data: dict[str, dict[str, dict[str, Any]]] = {}
    for code, name in enumerate(names):
        of_metric = metric == code
        whole = None if total is None or np.isnan(total[of_metric]).all() else total

        def summed(
            rows: NDArray[np.bool_], column: FloatArray, of_metric: NDArray[np.bool_] = of_metric
        ) -> FloatArray:
            chosen = rows & of_metric & np.isfinite(column)
            return np.bincount(own[chosen], column[chosen], minlength=len(counted)).astype(np.float64)

        columns = {"value": summed(after, value)}
        if whole is not None:
            columns["total"] = summed(after, whole)
        if before is not None:
            columns["covariate"] = summed(earlier, value)
            if whole is not None:
                columns["covariate_total"] = summed(earlier, whole)
        arms = arm[counted]
        data[name] = {
            label: {key: column[arms == index] for key, column in columns.items()}
            for index, label in enumerate(variant[1])
        }
    sizes = np.bincount(arm[counted], minlength=len(variant[1])).tolist()
    return Exposed(
        data,
        dict(zip(variant[1], sizes, strict=True)),
        int(several.sum()),
        int(unfinished.sum()),
        int((~np.isfinite(first[of_event])).sum()),
        int((known & ~after & ~earlier).sum()),
    )


def percentile_by_user(requests: Any, of: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Turn the requests of users into each user's part in a percentile of all of them, to be judged as `kind: users`.

    The requests of a user are alike, so that they are no independent observations. A user's part is a number whose mean over the users is the percentile, and whose spread is what the user does to it (the delta method; `canaryjudge.stats.cluster_quantiles`).

    Parameters
    ----------
    requests : DataFrame or list of dict
        A row a request: `metric`, `arm`, `user`, `value`.
    of : str
        Which percentile, such as ``p95``.

    Returns
    -------
    dict
        ``{metric: {arm: {"value": ...}}}`` as `judge` takes it, one number a user: for a finished window, since the parts of an update are those in its own percentile.

    Raises
    ------
    DataError
        If a column is missing, a row has no user, metric or arm, or `of` is no percentile.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> rng = np.random.default_rng(1)
    >>> user = np.repeat(np.arange(1000), 20)
    >>> level = np.exp(rng.normal(0, 0.3, 1000))[user] * np.where(user % 2, 1.3, 1.0) * rng.gamma(5.0, 20.0, 20_000)
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"metric": "latency", "arm": np.where(user % 2, "canary", "baseline"), "user": user, "value": level})
    >>> policy = cj.Policy(metrics=[cj.Metric(name="latency", kind="users", unit="ms", direction="increase")])
    >>> verdict = cj.judge(percentile_by_user(rows, "p95"), policy)
    >>> verdict.outcome.value, verdict.metrics["latency"].n_canary
    ('fail', 500)
    """
    level = re.fullmatch(r"p([0-9]{1,2}(?:\.[0-9]+)?)", of)
    if level is None or not float(level[1]):
        raise DataError(f"{shown(of)} is no percentile", "Write p50, p95 or p99.9.")
    table = _table(requests, "requests")
    metric, arm = (labels(needed_column(table, name), name) for name in ("metric", "arm"))
    users, value = (
        user_codes(needed_column(table, "user")),
        to_floats(needed_column(table, "value"), Location("requests", "all"), "value"),
    )
    _refuse_nobody(users, "requests")
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for of_metric, name in enumerate(metric[1]):
        for of_arm, label in enumerate(arm[1]):
            own = (metric[0] == of_metric) & (arm[0] == of_arm) & np.isfinite(value)
            if own.any():
                parts = cluster_parts(value[own], users[own], float(level[1]) / 100)
                found.setdefault(name, {})[label] = {"value": parts}
    return found


def _refuse_nobody(codes: NDArray[np.int64], what: str) -> None:
    if len(without := np.flatnonzero(codes < 0)):
        raise DataError(
            f"{what}, row {without[0] + 1}: there is no user",
            "Fill in the column 'user', or leave out the row.",
        )


def _seconds(duration: str) -> float:
    try:
        return parse_duration(duration)
    except ValueError as error:
        raise DataError(str(error), "Write a number and a unit of time, such as 7d.") from None


def _table(data: Any, what: str) -> Mapping[str, Column]:
    columns = table_columns(data)
    if columns is None:
        raise DataError(f"{what}: {shown(data)} is no table", "Give a frame, or a list of row dicts.")
    if not columns:
        raise DataError(f"{what}: there are no rows", "Give the rows of the whole experiment.")
    return columns


def _rows(columns: Mapping[str, Column]) -> int:
    return len(next(iter(columns.values())))


def _shared_codes(first: Column, second: Column) -> NDArray[np.int64]:
    """Give every row of two tables the number of its user."""
    parts = [column if isinstance(column, np.ndarray) else column.to_numpy() for column in (first, second)]
    if not all(part.dtype.kind in "iu" for part in parts):
        parts = [part.astype(object) for part in parts]
    codes = user_codes(np.concatenate(parts))
    _refuse_nobody(codes[: len(parts[0])], _WHOLE)
    _refuse_nobody(codes[len(parts[0]) :], _EVENTS)
    return codes


def _times(columns: Mapping[str, Column], what: str) -> FloatArray:
    found = to_times(needed_column(columns, "time"), Location(what, "all")).seconds
    if len(without := np.flatnonzero(~np.isfinite(found))):
        raise DataError(
            f"{what}, row {without[0] + 1}: there is no time",
            "Fill in the column 'time', or leave out the row.",
        )
    return found


def _first(
    user: NDArray[np.int64], time: FloatArray, variant: NDArray[np.intp], count: int
) -> tuple[FloatArray, NDArray[np.intp], NDArray[np.bool_]]:
    """Give each user's first exposure, infinite where there is none, the variant that was shown, -1 where there is none or several, and who was shown several."""
    first = np.full(count, np.inf)
    np.minimum.at(first, user, time)
    least, most = np.full(count, np.iinfo(np.intp).max), np.full(count, -1)
    np.minimum.at(least, user, variant)
    np.maximum.at(most, user, variant)
    several = (most >= 0) & (least < most)
    return first, np.where(several, -1, most), several


def _end(until: Any, *times: FloatArray) -> float:
    if until is None:
        return max(float(time.max(initial=-np.inf)) for time in times)
    given: Sequence[Any] = [until]
    return float(_times({"time": np.array(given)}, "until")[0])

"""Data of any accepted shape -> one `MetricPair` for each metric of a policy; and what is known from before -> clean series."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_columns import from_arm_columns
from canaryjudge.data.arm_facts import ArmFacts
from canaryjudge.data.cleaning import read_arm, read_with_facts
from canaryjudge.data.counters import CounterState
from canaryjudge.data.diagnostics import likely_name, near_twins, nearest, shown
from canaryjudge.data.frames import labels, object_array, refuse_twins, table_columns, take
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import Arm, MetricPair, column_bytes
from canaryjudge.data.pairing import align
from canaryjudge.data.series import Series, pooled
from canaryjudge.data.sources import ArmMapping, SeriesSource
from canaryjudge.data.tidy import TidyTable
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.kinds import KINDS, Kind
from canaryjudge.limits import ARMS
from canaryjudge.policy import Policy

__all__ = [
    "History",
    "Release",
    "check_names",
    "check_update",
    "kinds_of",
    "named_arms",
    "pairs_of_arms",
    "pairs_or_notes",
    "read_history",
    "read_pairs",
    "read_pairs_or_notes",
    "read_series",
    "series_of",
    "source_of",
    "without_points",
]

_DIGITS = re.compile(r"[0-9]+")
_LONGEST_NAME: Final = 1000
_Known: TypeAlias = tuple[Series, ArmFacts | None]
_NO_COUNTERS: Final[Mapping[str, tuple[CounterState, CounterState] | None]] = {}


def read_pairs(
    data: Any, policy: Policy, *, baseline: str = "baseline", canary: str = "canary"
) -> dict[str, MetricPair]:
    """Read both arms of every metric of a policy.

    Parameters
    ----------
    data : DataFrame, mapping or list of dict
        One of

        - a tidy table, a row a point, of pandas, polars (lazy too) or pyarrow: columns `metric`, `arm`, `value`, where
          there are any `time` and `total`, and `replica` where an arm has several instances: they are differenced each if the metric is a
          counter, kept apart in `Arm.replicas`, and pooled to one point an interval; of histograms `le`, and as `value` the
          number of the interval's observations that are at most as large; of users `user`, of whom several rows add up, and `covariate` and
          `covariate_total`, which were known from before; of pairs `request`, the id by which the arms are joined; others are ignored;
        - the same as a list of row dicts;
        - a mapping ``{metric: {arm: series}}``, a series being array-like, a pandas Series (its DatetimeIndex gives the times), a mapping
          of columns `value`, `time`, `total`, `le`, or of a histogram's `edges`, `buckets` (a row of counts an interval, not cumulative) and
          `time`, of users `n` and their `sums`, a `Sketch`, or None; a `unit` in the mapping of columns, such as ``"s"``, is converted to the metric's, and `increases`,
          if true, says that counters have been differenced already;
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
    return _read_pairs(
        _source(data, policy, (str(baseline), str(canary))), policy, (str(baseline), str(canary)), None
    )


def read_pairs_or_notes(data: Any, policy: Policy, *, baseline: str, canary: str) -> dict[str, MetricPair]:
    """Read both arms of every metric; one whose data are broken has no points and a note that says why, unless all are."""
    arms = str(baseline), str(canary)
    return pairs_or_notes(_source(data, policy, arms), policy, arms)


def pairs_or_notes(
    source: SeriesSource, policy: Policy, arms: tuple[str, str], *, forget: bool = False
) -> dict[str, MetricPair]:
    """Read both arms of every metric as `read_pairs_or_notes` does, from data that are a source already; the series that arms are pooled of are forgotten where they are no replicas."""
    broken: dict[str, BrokenDataError] = {}
    found = _read_pairs(source, policy, arms, broken, forget=forget)
    if len(broken) == len(policy.metrics):
        raise next(iter(broken.values()))
    return found if policy.control is None else _with_control(found, source, policy, policy.control, arms)


def _with_control(
    pairs: dict[str, MetricPair], source: SeriesSource, policy: Policy, control: str, arms: tuple[str, str]
) -> dict[str, MetricPair]:
    """Give the pairs that are a before and after the points of the untouched service."""
    if control in arms:
        raise DataError(
            f"the policy's control is {control!r}, which is an arm of the release",
            "Name the arm of a service that the release does not touch.",
        )
    if control not in source.arms:
        raise DataError(
            f"the data have no arm {control!r}, which is the policy's control",
            f"{likely_name(control, source.arms, 'arms', taken=arms)} Give its points beside both arms, or leave control out.",
        )
    found = dict(pairs)
    for metric in policy.metrics:
        if metric.pairing == "before_after" and metric.name in source.metrics:
            series = pooled(read_arm(source, metric, control), KINDS[metric.kind])
            arm = Arm(series.value, None if series.reported else series.total, series.time)
            found[metric.name] = replace(found[metric.name], control=arm)
    return found


def pairs_of_arms(
    source: SeriesSource, policy: Policy, arms: Sequence[tuple[str, str]]
) -> list[dict[str, MetricPair]]:
    """Read several arms, each beside its baseline; a metric whose data are broken has no points and a note that says why, unless all are, of all arms."""
    broken: list[dict[str, BrokenDataError]] = [{} for _ in arms]
    found = [_read_pairs(source, policy, names, errors) for names, errors in zip(arms, broken, strict=True)]
    if all(len(errors) == len(policy.metrics) for errors in broken):
        raise next(iter(broken[0].values()))
    return found


def _read_pairs(
    source: SeriesSource,
    policy: Policy,
    arms: tuple[str, str],
    broken: dict[str, BrokenDataError] | None,
    *,
    forget: bool = False,
) -> dict[str, MetricPair]:
    """Read both arms of every metric; `broken` takes the errors of metrics whose own data are, if it is given."""
    series = _read_arms(source, policy, arms, broken)
    found = {}
    # where an arm's other metrics go on, one that ends before them has stopped
    ends = [
        max(
            (pair[index][0].end for pair in series.values() if pair[index][0].time is not None),
            default=-np.inf,
        )
        for index in (0, 1)
    ]
    with np.errstate(over="ignore", under="ignore"):
        for metric in policy.metrics:
            (first, known), (second, known_too) = series[metric.name]
            facts = None if known is None or known_too is None else (known, known_too)
            last = (
                first.end if first.time is None else ends[0],
                second.end if second.time is None else ends[1],
            )
            try:
                found[metric.name] = align(metric, first, second, facts=facts, ends=last, forget=forget)
            except BrokenDataError as error:
                if broken is None:
                    raise
                broken[metric.name] = error
                found[metric.name] = align(metric, *without_points(arms, error))
    return found


def without_points(arms: tuple[str, str], error: BrokenDataError | None = None) -> tuple[Series, Series]:
    """Give two empty arms, with a note that says what is wrong with them."""
    notes = () if error is None else (Note(code="broken", facts={"said": error.message, "hint": error.hint}),)
    return Series(arms[0], np.empty(0), notes=notes), Series(arms[1], np.empty(0))


def read_series(
    data: Any,
    policy: Policy,
    *,
    baseline: str = "baseline",
    canary: str = "canary",
    partial: bool = False,
    counters: Mapping[str, tuple[CounterState, CounterState] | None] | None = None,
    broken: dict[str, BrokenDataError] | None = None,
) -> dict[str, tuple[Series, Series]]:
    """Read and clean both arms of every metric of a policy, and leave them as they stand in time; `broken` takes the errors of metrics whose own data are.

    Examples
    --------
    >>> from canaryjudge.policy import Metric
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> update = read_series({"cpu": {"canary": [0.5, 0.7]}}, policy, partial=True)
    >>> [series.value.tolist() for series in update["cpu"]]
    [[], [0.5, 0.7]]
    """
    arms = str(baseline), str(canary)
    source = _source(data, policy, arms)
    return series_of(source, policy, arms, partial=partial, counters=counters, broken=broken)


def series_of(
    source: SeriesSource,
    policy: Policy,
    arms: tuple[str, str],
    *,
    partial: bool = False,
    counters: Mapping[str, tuple[CounterState, CounterState] | None] | None = None,
    broken: dict[str, BrokenDataError] | None = None,
) -> dict[str, tuple[Series, Series]]:
    """Clean both arms of every metric of what has been read, as `read_series` does."""
    found = _read_arms(source, policy, arms, broken, partial=partial, counters=counters or {})
    return {name: (first, second) for name, ((first, _), (second, _)) in found.items()}


def check_names(arms: tuple[str, str]) -> None:
    """Refuse one name for both arms, and names that nobody can read."""
    for arm in arms:
        if len(arm) > _LONGEST_NAME:
            raise DataError(f"the name of an arm is longer than {_LONGEST_NAME:,} characters", "Shorten it.")
        if any("\ud800" <= letter <= "\udfff" for letter in arm):
            raise DataError(f"the name of an arm, {arm!r}, has half a character", "Name it in UTF-8.")
    if arms[0] == arms[1]:
        raise DataError(f"baseline and canary are both named {arms[0]!r}", "Name two different arms.")


def named_arms(baseline: str | Sequence[str], canary: str | Sequence[str]) -> list[tuple[str, str]]:
    """Pair each of several canaries with its baseline, and refuse names that cannot be meant."""
    canaries = list(map(str, [canary] if isinstance(canary, str) else canary))
    baselines = list(map(str, [baseline] * len(canaries) if isinstance(baseline, str) else baseline))
    if len(canaries) < 2:
        what = f"only one canary is named, {canaries[0]!r}" if canaries else "no canary is named"
        raise DataError(
            what, "Name one as a text, not in a list, with one baseline; name several from two on."
        )
    if len(canaries) > ARMS:
        raise DataError(
            f"{len(canaries):,} canaries are named, and at most {ARMS} share one alpha",
            "Judge those that are releases of their own with judge_many, each under its own alpha.",
        )
    if twice := [name for name in canaries if canaries.count(name) > 1]:
        raise DataError(f"the canary {twice[0]!r} is named twice", "Name each arm once.")
    if len(baselines) != len(canaries):
        raise DataError(
            f"{len(canaries)} canaries and {len(baselines)} baselines are named",
            "Name one baseline for all, or one for each canary in the same order.",
        )
    if both := [name for name in baselines if name in canaries]:
        raise DataError(
            f"{both[0]!r} is named as a baseline and as a canary", "Leave it out where it is not meant."
        )
    arms = list(zip(baselines, canaries, strict=True))
    for names in arms:
        check_names(names)
    return arms


def _source(data: Any, policy: Policy, arms: tuple[str, str]) -> SeriesSource:
    check_names(arms)
    return source_of(data, policy, arms)


def _read_arms(
    source: SeriesSource,
    policy: Policy,
    arms: tuple[str, str],
    broken: dict[str, BrokenDataError] | None,
    *,
    partial: bool = False,
    counters: Mapping[str, tuple[CounterState, CounterState] | None] = _NO_COUNTERS,
) -> dict[str, tuple[_Known, _Known]]:
    """Read and clean both arms of every metric, and give what is known of their points."""
    if partial:
        check_update(source, policy, arms)
    else:
        _check_arms(source, policy, arms)
        _check_metrics(source, policy)
        _refuse_twin_arms(source, arms)
    twins = near_twins([metric.name for metric in policy.metrics], source.metrics)
    with np.errstate(over="ignore", under="ignore"):
        found: dict[str, tuple[_Known, _Known]] = {}
        for metric in policy.metrics:
            before = counters.get(metric.name) or (None, None)
            try:
                if metric.name in twins:
                    raise _twins(metric.name, twins[metric.name], "metrics", BrokenDataError)
                found[metric.name] = (
                    read_with_facts(source, metric, arms[0], before[0]),
                    read_with_facts(source, metric, arms[1], before[1]),
                )
            except BrokenDataError as error:
                if broken is None:
                    raise
                broken[metric.name] = error
                first, second = without_points(arms, None if partial else error)
                found[metric.name] = (first, None), (second, None)
        return found


def _twins(name: str, twin: str, what: str, error: type[DataError]) -> DataError:
    """Make the error for a part of the data under a name that is almost one that is asked for: it would be left out without a word."""
    return error(
        f"the data have the {what} {name!r} and {twin!r}, which differ by white space or case only",
        "Give both one name, or leave out what is not meant.",
    )


def source_of(data: Any, policy: Policy | None = None, arms: tuple[str, ...] | None = None) -> SeriesSource:
    """Take data of any shape as a source of series; a table with a column an arm where the metrics and arms are known."""
    kinds = {} if policy is None else kinds_of(policy)
    if isinstance(data, Mapping):
        return ArmMapping(data, kinds)
    columns = table_columns(data)
    if columns is None:
        raise DataError(
            f"the data are {shown(data)} ({type(data).__name__})",
            "Give a frame of pandas, polars or pyarrow or a list of row dicts with metric, arm and value, a mapping "
            "{metric: {arm: series}}, or what from_wide returns.",
        )
    if policy is not None and arms is not None:
        beside = from_arm_columns(columns, [metric.name for metric in policy.metrics], arms)
        if beside is not None:
            return ArmMapping(beside, kinds)
    return TidyTable(columns, kinds)


def kinds_of(policy: Policy) -> dict[str, Kind]:
    """Give the kind of each metric."""
    return {metric.name: KINDS[metric.kind] for metric in policy.metrics}


def _check_arms(source: SeriesSource, policy: Policy, wanted: tuple[str, str]) -> None:
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
                f"{likely_name(arm, source.arms, 'arms', taken=wanted)} Name yours with baseline and canary (--baseline, --canary). "
                "If an arm may be silent, set no_data for every metric.",
            )


def _resembles(name: str, known: Iterable[str]) -> bool:
    return nearest(name, known) is not None


def _check_metrics(source: SeriesSource, policy: Policy) -> None:
    for metric in policy.metrics:
        if source.metrics and metric.name not in source.metrics and "no_data" not in metric.model_fields_set:
            raise DataError(
                f"the data have no metric {metric.name!r}",
                f"{likely_name(metric.name, source.metrics, 'metrics')} If it may be absent, set no_data in the policy.",
            )


def _refuse_twin_arms(source: SeriesSource, wanted: tuple[str, str]) -> None:
    for arm, twin in near_twins(wanted, source.arms).items():
        raise _twins(arm, twin, "arms", DataError)


def check_update(source: SeriesSource, policy: Policy, wanted: tuple[str, str]) -> None:
    """Let an update be silent about a metric or an arm, but not because of a misspelled name."""
    if not any(arm in source.arms for arm in wanted) and source.arms:
        raise _no_arm(wanted[1], source.arms)
    others = [arm for arm in source.arms if arm not in wanted]
    for arm in wanted:
        # v1.2 beside v1.3 is another version, which data may well hold, and no misspelling
        alike = [other for other in others if not _versions_of_one(arm, other)]
        if arm not in source.arms and _resembles(arm, alike):
            raise _no_arm(arm, source.arms)
    names = [metric.name for metric in policy.metrics]
    if source.metrics and not any(name in source.metrics for name in names):
        near = next((name for name in names if _resembles(name, source.metrics)), names[0])
        raise DataError(
            f"the update has no metric of the policy, such as {near!r}",
            f"{likely_name(near, source.metrics, 'metrics')} Name them as in the policy.",
        )
    _refuse_twin_arms(source, wanted)


def _versions_of_one(first: str, second: str) -> bool:
    return bool(_DIGITS.search(first)) and _DIGITS.sub("0", first) == _DIGITS.sub("0", second)


def _no_arm(arm: str, known: list[str]) -> DataError:
    return DataError(
        f"the update has no arm {arm!r}",
        f"{likely_name(arm, known, 'arms')} Name yours with baseline and canary (--baseline, --canary).",
    )


_ONE: Final = "history"
_COLUMNS: Final = ("value", "buckets", "exponential")
"""A mapping with one of these is one series; any other names several."""
_HEALTHY: Final = {
    "good": True,
    "healthy": True,
    "pass": True,
    "ok": True,
    "bad": False,
    "faulty": False,
    "fail": False,
}


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the past."""

    name: str
    """Its name in the data."""
    healthy: bool
    """Whether it turned out well."""
    metrics: dict[str, tuple[Series, Series]]
    """Baseline and canary of each metric."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a service from before."""

    tracks: dict[str, tuple[Series, ...]]
    """Healthy series of each metric: one, or several that ran side by side (replicas, arms of one version)."""
    releases: tuple[Release, ...] = ()
    """Past releases, each with two arms."""
    arms: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    """The same series by the names of their arms, the points of all replicas side by side."""

    def digest(self) -> str:
        """Give the SHA-256 of all that is known, in hexadecimal."""
        sha = hashlib.sha256(b"history")
        for name, tracks in self.tracks.items():
            sha.update(f"{name}\0{len(tracks)}\0".encode())
            for track in tracks:
                sha.update(_digest(track))
        for release in self.releases:
            for name, arms in release.metrics.items():
                sha.update(f"{release.name}\0{release.healthy}\0{name}\0".encode(errors="surrogatepass"))
                for arm in arms:
                    sha.update(_digest(arm))
        return sha.hexdigest()


def _digest(series: Series) -> bytes:
    """Give the SHA-256 of a series' arrays."""
    sha = hashlib.sha256()
    for column in (series.value, series.total, series.time, series.edges, series.buckets):
        sha.update(column_bytes(column))
    return sha.digest()


def read_history(data: Any, policy: Policy, *, baseline: str = "baseline", canary: str = "canary") -> History:
    """Read what is known of a service from before.

    Examples
    --------
    >>> from canaryjudge.policy import Metric
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> history = read_history({"cpu": {"pod-a": [1.0, 2.0], "pod-b": [2.0, 1.0]}}, policy)
    >>> [(track.arm, track.value.tolist()) for track in history.tracks["cpu"]]
    [('pod-a', [1.0, 2.0]), ('pod-b', [2.0, 1.0])]
    """
    if isinstance(data, Mapping):
        source: SeriesSource = ArmMapping({name: _named(series) for name, series in data.items()})
        return _tracks(source, policy)
    columns = table_columns(data)
    if columns is None:
        return _tracks(source_of(data), policy)
    refuse_twins(columns, ("arm", "release", "outcome"))
    if "release" in columns:
        return _releases(columns, policy, (baseline, canary))
    if columns and "arm" not in columns:
        rows = len(next(iter(columns.values())))
        columns = columns | {"arm": object_array([_ONE] * rows)}
    return _tracks(TidyTable(columns), policy)


def _named(series: Any) -> Any:
    several = isinstance(series, Mapping) and not any(name in series for name in _COLUMNS)
    return series if several else {_ONE: series}


def _tracks(source: SeriesSource, policy: Policy) -> History:
    _check_known(source.metrics, policy)
    found: dict[str, tuple[Series, ...]] = {}
    whole: dict[str, tuple[Series, ...]] = {}
    for metric in policy.metrics:
        # which request was answered how in the past says nothing of those of today
        known = [] if KINDS[metric.kind].is_paired else source.arms
        arms = tuple(read_arm(source, metric, arm) for arm in known)
        whole[metric.name] = tuple(arm for arm in arms if len(arm))
        found[metric.name] = tuple(track for arm in arms for track in _parts(arm) if len(track))
    return History(found, arms=whole)


def _parts(arm: Series) -> tuple[Series, ...]:
    return arm.replicas if len(arm.replicas) > 1 else (arm,)


def _check_known(known: list[str], policy: Policy) -> None:
    if not any(metric.name in known for metric in policy.metrics):
        name = policy.metrics[0].name
        raise DataError(
            f"the history has no metric of the policy, such as {name!r}",
            f"{likely_name(name, known, 'metrics')} Name them as in the policy.",
        )
    for name, twin in near_twins([metric.name for metric in policy.metrics], known).items():
        raise _twins(name, twin, "metrics", DataError)


def _releases(columns: Mapping[str, Any], policy: Policy, arms: tuple[str, str]) -> History:
    codes, names = labels(columns["release"], "release")
    healthy = _outcomes(columns, codes, names)
    releases = []
    for code, name in enumerate(names):
        part = {key: take(column, np.flatnonzero(codes == code)) for key, column in columns.items()}
        source = TidyTable(part)
        missing = [arm for arm in arms if arm not in source.arms]
        if missing:
            raise DataError(
                f"release {name!r} has no arm {missing[0]!r}",
                f"{likely_name(missing[0], source.arms, 'arms')} Name yours with baseline and canary.",
            )
        metrics = {
            metric.name: (
                read_arm(source, metric, arms[0]),
                read_arm(source, metric, arms[1]),
            )
            for metric in policy.metrics
            if metric.name in source.metrics and not KINDS[metric.kind].is_paired
        }
        releases.append(Release(name, healthy[name], metrics))
    _check_known(sorted({name for release in releases for name in release.metrics}), policy)
    return History({metric.name: () for metric in policy.metrics}, tuple(releases))


def _outcomes(columns: Mapping[str, Any], codes: NDArray[np.intp], names: list[str]) -> dict[str, bool]:
    if "outcome" not in columns:
        return dict.fromkeys(names, True)
    found: dict[str, bool] = {}
    words, known = labels(columns["outcome"], "outcome")
    for row, (code, word) in enumerate(zip(codes.tolist(), words.tolist(), strict=True)):
        said = known[word].strip().lower()
        if said not in _HEALTHY:
            raise DataError(
                f"row {row + 1}: the outcome {said!r} is not known", f"Write one of {', '.join(_HEALTHY)}."
            )
        if found.setdefault(names[code], _HEALTHY[said]) != _HEALTHY[said]:
            raise DataError(
                f"release {names[code]!r} has two outcomes", "Give every row of a release the same outcome."
            )
    return found

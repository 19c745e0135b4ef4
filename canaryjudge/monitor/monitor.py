"""Monitor: the same verdict from a stream, at every look, in bounded memory, saved and resumed between two looks."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final, Self, TypeAlias

import numpy as np

from canaryjudge._version import __version__
from canaryjudge.data import History, MetricPair, Series, about_metric, read_series
from canaryjudge.data.reading import without_points
from canaryjudge.errors import BrokenDataError, DataError, PolicyError
from canaryjudge.explain import one_line, watch_html
from canaryjudge.history import Asked, known_past, past_of
from canaryjudge.judging import digest, shares
from canaryjudge.kinds import KINDS
from canaryjudge.monitor.latest_points import LatestPoints
from canaryjudge.monitor.metric_watch import PATIENCE, MetricWatch
from canaryjudge.outcomes import conclude
from canaryjudge.policy import Policy
from canaryjudge.reasons import Outcome
from canaryjudge.results import ArmFacts, HistoryFacts, Pairing
from canaryjudge.rules import check_counts
from canaryjudge.strict_json import read_strictly
from canaryjudge.verdict import Verdict

__all__ = ["Monitor"]

STATE_VERSION: Final = 1
_PAIRINGS: Final[tuple[Pairing, ...]] = ("concurrent", "windows")
_DEFAULT_POINTS: Final = 60
_Pasts: TypeAlias = Mapping[str, Mapping[Pairing, HistoryFacts]]


class Monitor:
    """Watches a release and may be asked at any time.

    Parameters
    ----------
    policy : Policy
        What is asked of the release. Metrics without rules are watched by the `sequential` rule; rules for a fixed window are asked at five
        planned looks. Both, and gauges, need the policy's `max_points` or `max_duration`.
    baseline : str
        Name of the old version's arm in the data.
    canary : str
        Name of the new version's arm in the data.
    history : frame, mapping or list of records, optional
        The same metrics at times when nothing was wrong, as `judge` takes them: what windows of the watch's length differ by, or series that ran side by side, is allowed for at
        planned looks, and ratios and counts take their dispersion from it. It is measured before the first points are taken, and kept in the state.

    Raises
    ------
    PolicyError
        If something in the policy cannot be watched; it says what fits.

    Notes
    -----
    Alpha and beta hold for all looks together, however many. A metric's fail stays. After its pass, harm is still watched for; see
    docs/sequential.md.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%")])
    >>> monitor = cj.Monitor(policy)
    >>> for minute in range(12):
    ...     monitor.update({"errors": {
    ...         "baseline": {"time": [60.0 * minute], "value": [10], "total": [1000]},
    ...         "canary": {"time": [60.0 * minute], "value": [41], "total": [1000]},
    ...     }})
    ...     if monitor.verdict().outcome != "marginal":
    ...         break
    >>> monitor.verdict().outcome.value, minute + 1
    ('fail', 6)
    """

    def __init__(
        self, policy: Policy, *, baseline: str = "baseline", canary: str = "canary", history: Any = None
    ) -> None:
        if not isinstance(policy, Policy):
            raise PolicyError(
                f"the policy is a {type(policy).__name__}",
                "Make it with Policy(...), or read it with load_policy(path).",
            )
        self._policy, self._arms = policy, (str(baseline), str(canary))
        if self._arms[0] == self._arms[1]:
            raise DataError(
                f"baseline and canary are both named {self._arms[0]!r}", "Name two different arms."
            )
        self._known = known_past(history, policy, self._arms)
        self._history_digest = None if self._known is None else self._known.digest()
        self._begin({} if self._known is None else _measured(self._known, policy))
        self._failed = False
        self._waited = 0

    def _begin(self, pasts: _Pasts) -> None:
        """Begin the watch of each metric, with what its past says."""
        policy, alphas, self._pasts = self._policy, shares(self._policy), pasts
        self._metrics = {
            metric.name: MetricWatch(
                metric, policy, alphas[metric.name], self._arms, pasts.get(metric.name, {})
            )
            for metric in policy.metrics
        }

    def _freeze(self, series: Mapping[str, tuple[Series, Series]]) -> None:
        """Settle what the history says once there are points: those of it that are not older are left out."""
        given = [arm for arms in series.values() for arm in arms if len(arm)]
        if self._known is None or not given:
            return
        known, self._known = self._known, None
        start = min((float(arm.time[0]) for arm in given if arm.time is not None), default=math.inf)
        ends = [past.end for pasts in self._pasts.values() for past in pasts.values() if past.end is not None]
        if max(ends, default=-math.inf) >= start:
            self._begin(_measured(known, self._policy, start))

    @property
    def arms(self) -> tuple[str, str]:
        """The names of baseline and canary."""
        return self._arms

    @property
    def untimed(self) -> tuple[str, ...]:
        """The metrics whose data have come without times, so that data that come again count again."""
        return tuple(name for name, watched in self._metrics.items() if watched.stream.timed is False)

    @property
    def reached(self) -> dict[str, float | None]:
        """How far each metric's complete intervals go, in seconds since 1970; None before there are any, or without times."""
        return {name: watched.stream.last_time for name, watched in self._metrics.items()}

    def keep_recent(self) -> None:
        """Keep the latest hundred points of each arm from here on, for `recent`; they are to be drawn, and no part of the state."""
        for watched in self._metrics.values():
            watched.recent = watched.recent or LatestPoints()

    @property
    def recent(self) -> dict[str, tuple[ArmFacts | None, ArmFacts | None]]:
        """What baseline and canary of each metric looked like lately; of metrics whose points are kept (`keep_recent`)."""
        return {
            name: watched.recent.facts
            for name, watched in self._metrics.items()
            if watched.recent is not None
        }

    def __repr__(self) -> str:
        points = {name: watched.stream.points for name, watched in self._metrics.items()}
        said = ", ".join(f"{name} {canary} v. {baseline}" for name, (baseline, canary) in points.items())
        return f"<Monitor of {self._arms[1]!r} v. {self._arms[0]!r}, points so far: {said}>"

    def _repr_html_(self) -> str:
        points = {name: watched.stream.points for name, watched in self._metrics.items()}
        return watch_html(self._arms, points, self.reached)

    def update(self, data: Any) -> None:
        """Take new points.

        Parameters
        ----------
        data : frame, mapping or list of records
            In the shapes that `judge` takes; metrics and arms may be missing. Points that were given before, by their time, are ignored;
            without times, every update is new data. Counters (``counter: true``) go on from the last point of each replica, so the first
            update may give no increase yet, and points older than that one are ignored. Replicas that report at one time are pooled if
            they come in one update.

        Raises
        ------
        DataError
            If the data cannot be read, or a point has other values than it had before. The monitor is then as it was. Where only some
            metrics' own data are broken, those are left out, and are `broken` until they come in order.
        """
        broken: dict[str, BrokenDataError] = {}
        series = read_series(
            data,
            self._policy,
            baseline=self._arms[0],
            canary=self._arms[1],
            partial=True,
            counters={name: watched.stream.counters for name, watched in self._metrics.items()},
            broken=broken,
        )
        with np.errstate(over="ignore", under="ignore"):
            begun = self._metrics, self._pasts, self._known
            self._freeze(series)
            before = {name: watched.mark() for name, watched in self._metrics.items()}
            known = self._given() if self._waited < PATIENCE else None
            fed: dict[str, list[MetricPair]] = {}
            try:
                for name, watched in self._metrics.items():
                    try:
                        fed[name] = watched.stream.feed(*series[name])
                    except BrokenDataError as error:
                        broken[name] = error
                        series[name] = without_points(self._arms)
                        fed[name] = watched.stream.feed(*series[name])
                    self._check_clock(name, fed[name])
                    if KINDS[watched.metric.kind].counts_events:
                        with about_metric(name):
                            for pair in fed[name]:
                                check_counts(pair.baseline, pair.canary)
                _check_not_all(broken, series)
            except DataError:
                for name, watched in self._metrics.items():
                    watched.back_to(before[name])
                self._metrics, self._pasts, self._known = begun
                raise
            for name, pairs in fed.items():
                self._metrics[name].take(series[name], pairs)
            for name, wrong in broken.items():
                self._metrics[name].leave_out(wrong)
            silent = any(min(watched.stream.points) == 0 for watched in self._metrics.values())
            if silent and known is not None and (not known or known != self._given()):
                self._waited += (
                    1  # a step that is run again brings nothing new, and does not make the wait longer
                )

    def _given(self) -> list[dict[str, Any]]:
        """Describe what the metrics were given so far; nothing of those that have not been given anything."""
        states = [
            watched.stream.state() for watched in self._metrics.values() if watched.stream.timed is not None
        ]
        return [{key: value for key, value in state.items() if key != "notes"} for state in states]

    def _check_clock(self, name: str, pairs: list[MetricPair]) -> None:
        if self._policy.max_duration is not None and any(pair.canary.time is None for pair in pairs):
            raise DataError(
                f"metric {name!r}: the policy's max_duration needs times, and the data have none",
                "Give the column 'time', or give the policy max_points instead.",
            )

    def verdict(self) -> Verdict:
        """Ask for the verdict now.

        Returns
        -------
        Verdict
            As `judge` gives it, `valid_for` all looks. What has been decided is kept.
        """
        early = self._waited < PATIENCE
        first, second = zip(*(watched.stream.ends for watched in self._metrics.values()), strict=True)
        ends = max(first), max(second)
        results = {name: watched.result(early=early, ends=ends) for name, watched in self._metrics.items()}
        release = conclude(results, self._policy, self._arms, "all_looks")
        self._failed = self._failed or release.outcome is Outcome.FAIL
        if self._failed and release.outcome is not Outcome.FAIL:
            release = release.model_copy(update={"outcome": Outcome.FAIL, "action": "rollback"})
        return Verdict(
            **dict(release),
            reason=one_line(release),
            version=__version__,
            policy_digest=_policy_digest(self._policy),
            data_digest=digest(
                [
                    *self._arms,
                    *(watched.stream.digest for watched in self._metrics.values()),
                    *([] if self._history_digest is None else [self._history_digest]),
                ]
            ),
        )

    def merge(self, other: Monitor) -> None:
        """Take over what another monitor of the same policy has seen: of another shard, region or span of time.

        Parameters
        ----------
        other : Monitor
            It stays as it is.

        Raises
        ------
        DataError
            If it is of another policy, other arms or another history, or if both were given the same data.
        """
        if not isinstance(other, Monitor):
            raise DataError(f"a {type(other).__name__} cannot be merged into a monitor", "Merge monitors.")
        for what, mine, theirs in (
            ("policy", _policy_digest(self._policy), _policy_digest(other._policy)),
            ("names of the arms", self._arms, other._arms),
            ("history", (self._history_digest, self._pasts), (other._history_digest, other._pasts)),
        ):
            if mine != theirs:
                raise DataError(f"the two monitors differ in their {what}", "Merge monitors of one release.")
        before = {name: watched.save() for name, watched in self._metrics.items()}
        try:
            for name, watched in self._metrics.items():
                watched.merge(other._metrics[name])
        except DataError:
            for name, watched in self._metrics.items():
                watched.load(before[name])
            raise
        self._failed = self._failed or other._failed
        self._waited += other._waited

    def to_json(self) -> str:
        """Give everything that `from_json` needs to go on, as one line of JSON."""
        body = {
            "format": "canaryjudge.monitor",
            "state_version": STATE_VERSION,
            "version": __version__,
            "policy_digest": _policy_digest(self._policy),
            "history_digest": self._history_digest,
            "history": {
                name: {
                    pairing: past.model_dump(mode="json", exclude_defaults=True)
                    for pairing, past in pasts.items()
                }
                for name, pasts in self._pasts.items()
            },
            "arms": list(self._arms),
            "failed": self._failed,
            "waited": self._waited,
            "metrics": {name: watched.save() for name, watched in self._metrics.items()},
        }
        return (
            json.dumps(body | {"digest": _body_digest(body)}, allow_nan=False, separators=(",", ":")) + "\n"
        )

    @classmethod
    def from_json(cls, text: str | bytes, policy: Policy, *, history: Any = None) -> Self:
        """Go on where a monitor was saved.

        Parameters
        ----------
        text : str or bytes
            What `to_json` gave.
        policy : Policy
            The same policy.
        history : frame, mapping or list of records, optional
            It is kept in the state, so it need not be given again; where it is, it must be the same.

        Returns
        -------
        Monitor
            As it was.

        Raises
        ------
        DataError
            If the text is not a monitor's state, was changed, or is of another policy, history or version.
        """
        body = _checked_body(text)
        found = body.get("policy_digest")
        if found != _policy_digest(policy):
            raise DataError(
                "the state was saved under another policy",
                "Give the policy that it was saved under; a changed policy begins a new watch.",
            )
        names = body["arms"]
        known = known_past(history, policy, (names[0], names[1]))
        if known is not None and known.digest() != body["history_digest"]:
            raise DataError(
                "the state was saved with another history, or without one",
                "Leave it out: what it says is kept in the state. A new history begins a new watch.",
            )
        monitor = cls(policy, baseline=names[0], canary=names[1])
        try:
            monitor._history_digest = body["history_digest"]
            monitor._begin(_loaded(body["history"]))
            for name, watched in monitor._metrics.items():
                watched.load(body["metrics"][name])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DataError("the saved state cannot be read", "Begin a new watch.") from error
        monitor._failed, monitor._waited = bool(body["failed"]), int(body["waited"])
        return monitor


def _check_not_all(
    broken: Mapping[str, BrokenDataError], series: Mapping[str, tuple[Series, Series]]
) -> None:
    """Refuse an update of which nothing can be read."""
    if broken and not any(len(arm) for pair in series.values() for arm in pair):
        raise next(iter(broken.values()))


def _measured(known: History, policy: Policy, before: float | None = None) -> _Pasts:
    """Measure what the past says of each metric, for arms that are paired as they may turn out to be."""
    points = policy.max_points or _DEFAULT_POINTS
    return {
        metric.name: {
            pairing: past_of(metric, known, Asked(pairing, points, policy.max_duration, before))
            for pairing in _PAIRINGS
            if metric.pairing in ("auto", pairing)
        }
        for metric in policy.metrics
    }


def _loaded(saved: Mapping[str, Mapping[Pairing, Any]]) -> _Pasts:
    return {
        name: {pairing: HistoryFacts.model_validate(past) for pairing, past in pasts.items()}
        for name, pasts in saved.items()
    }


def _policy_digest(policy: Policy) -> str:
    return digest([policy.model_dump_json(exclude={"extends"})])


def _body_digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _checked_body(text: str | bytes) -> dict[str, Any]:
    hint = "Give what to_json wrote; if it is lost, begin a new watch."
    try:
        body = read_strictly(text)
    except (ValueError, RecursionError):
        raise DataError("the state is not JSON, or is cut short", hint) from None
    if not isinstance(body, dict) or body.get("format") != "canaryjudge.monitor":
        raise DataError("this is not the state of a monitor", hint)
    if body.get("state_version") != STATE_VERSION or body.get("version") != __version__:
        raise DataError(
            f"the state was saved by canaryjudge {body.get('version')}, and this is {__version__}",
            "Finish a watch with the version that began it, or begin a new one.",
        )
    claimed = body.pop("digest", None)
    try:
        intact = claimed == _body_digest(body)
    except ValueError:
        intact = False
    if not intact:
        raise DataError("the state was changed or damaged since it was saved: its digest does not fit", hint)
    return body

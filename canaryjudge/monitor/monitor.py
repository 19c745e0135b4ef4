"""Monitor: the same verdict from a stream, at every look, in bounded memory, saved and resumed between two looks."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from canaryjudge.data.reading import check_names
from canaryjudge.errors import DataError
from canaryjudge.explain import watch_html
from canaryjudge.history import known_past
from canaryjudge.monitor.latest_points import LatestPoints
from canaryjudge.monitor.release_watch import ReleaseWatch, check_watched
from canaryjudge.monitor.saved_state import state_of, watch_of
from canaryjudge.policy import Policy
from canaryjudge.results import ArmFacts
from canaryjudge.rules import answered
from canaryjudge.texts import on_one_line
from canaryjudge.verdict import Verdict

__all__ = ["Monitor"]


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
    docs/sequential.md. Under a policy with `segments` the arms are compared within them, each of which has a part of alpha; see docs/patterns/cohorts.md.

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
        check_watched(policy)
        self._policy, self._arms = policy, (str(baseline), str(canary))
        check_names(self._arms)
        self._watch = ReleaseWatch(policy, self._arms, known_past(history, policy, self._arms))

    @property
    def arms(self) -> tuple[str, str]:
        """The names of baseline and canary."""
        return self._arms

    @property
    def untimed(self) -> tuple[str, ...]:
        """The metrics whose data have come without times, so that data that come again count again."""
        return tuple(name for name, watched in self._watch.metrics.items() if watched.stream.timed is False)

    @property
    def reached(self) -> dict[str, float | None]:
        """How far each metric's complete intervals go, in seconds since 1970; None before there are any, or without times."""
        return {name: watched.stream.last_time for name, watched in self._watch.metrics.items()}

    def keep_recent(self) -> None:
        """Keep the latest hundred points of each arm from here on, for `recent`; they are to be drawn, and no part of the state."""
        for watched in self._watch.metrics.values():
            watched.recent = watched.recent or LatestPoints()

    @property
    def recent(self) -> dict[str, tuple[ArmFacts | None, ArmFacts | None]]:
        """What baseline and canary of each metric looked like lately; of metrics whose points are kept (`keep_recent`)."""
        return {
            name: watched.recent.facts
            for name, watched in self._watch.metrics.items()
            if watched.recent is not None
        }

    def __repr__(self) -> str:
        points = {name: watched.stream.points for name, watched in self._watch.metrics.items()}
        said = ", ".join(
            f"{on_one_line(name)} {canary} v. {baseline}" for name, (baseline, canary) in points.items()
        )
        return f"<Monitor of {self._arms[1]!r} v. {self._arms[0]!r}, points so far: {said}>"

    def _repr_html_(self) -> str:
        points = {name: watched.stream.points for name, watched in self._watch.metrics.items()}
        return watch_html(self._arms, points, self.reached)

    @np.errstate(all="ignore")
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
        answered([*self._watch.taking(*self._watch.read(data))])

    @np.errstate(all="ignore")
    def verdict(self) -> Verdict:
        """Ask for the verdict now.

        Returns
        -------
        Verdict
            As `judge` gives it, `valid_for` all looks. What has been decided is kept.
        """
        return self._watch.verdict()

    @np.errstate(all="ignore")
    def merge(self, other: Monitor) -> None:
        """Take over what another monitor of the same policy has seen: of another shard, region or span of time.

        Parameters
        ----------
        other : Monitor
            It stays as it is.

        Raises
        ------
        DataError
            If it is of another policy, other arms or another history, if both were given the same data, or if the policy has segments.
        """
        if not isinstance(other, Monitor):
            raise DataError(f"a {type(other).__name__} cannot be merged into a monitor", "Merge monitors.")
        self._watch.merge(other._watch)

    def to_json(self) -> str:
        """Give everything that `from_json` needs to go on, as one line of JSON."""
        return state_of(self._watch)

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
        watch = watch_of(text, policy, history)
        monitor = cls(policy, baseline=watch.arms[0], canary=watch.arms[1])
        monitor._watch = watch
        return monitor

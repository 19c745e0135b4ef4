"""Monitors: many releases under watch by one policy, advanced together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from canaryjudge.data import ReleaseKey
from canaryjudge.data.reading import check_names, series_of
from canaryjudge.data.releases import Updates, columns_of, read_updates, release_tables
from canaryjudge.errors import BrokenDataError, CanaryJudgeError, DataError
from canaryjudge.judging import collected_later
from canaryjudge.monitor.in_step import InStep
from canaryjudge.monitor.monitor import Monitor
from canaryjudge.monitor.release_watch import ReleaseWatch, check_watched
from canaryjudge.monitor.saved_state import state_of, watch_of
from canaryjudge.policy import Policy
from canaryjudge.rules import Asking, answered
from canaryjudge.verdict import Verdict
from canaryjudge.verdicts import MetricRow, ReleaseRow, Verdicts

__all__ = ["Monitors"]


class Monitors(Mapping[ReleaseKey, Monitor]):
    """Watches many releases by one policy; each is what a `Monitor` of its own would be.

    A mapping from the releases to their monitors: ``monitors[key]`` gives a copy of one as it stands, ``monitors[key] = monitor`` takes one over, such as one that was
    saved, and ``del monitors[key]`` ends a watch.

    Parameters
    ----------
    policy : Policy
        What is asked of every release.
    by : str or sequence of str
        The column, or the columns, of the data that tell releases apart.
    baseline, canary : str
        Names of the old and the new version's arm in the data.

    Raises
    ------
    PolicyError
        If something in the policy cannot be watched; it says what fits.

    Notes
    -----
    Every update is a look at the releases that it has points of, at alpha and beta of each release. A release that reports regularly costs a twentieth of what a monitor alone does: the evidence of its points is
    added up and weighed together with that of all others, and what else its monitor remembers of them follows later, at the latest after 48 points.
    Its outcome and action are those of a monitor alone at each look; the reason and the metric named of a release that is held may be those of a few looks before, and so is what would be noted of odd data
    whose outcome does not change. ``verdicts()[key]`` is exact, to the byte.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%")])
    >>> monitors = cj.Monitors(policy, by="service")
    >>> for minute in range(12):
    ...     monitors.update([
    ...         {"service": service, "metric": "errors", "arm": arm, "time": 60.0 * minute, "value": errors, "total": 1000}
    ...         for service, canary in (("cart", 41), ("search", 10))
    ...         for arm, errors in (("baseline", 10), ("canary", canary))
    ...     ])
    >>> monitors
    <Monitors of 2 releases: 1 pass, 1 fail>
    >>> monitors.verdicts()["cart"].outcome.value
    'fail'
    """

    def __init__(
        self, policy: Policy, *, by: str | Sequence[str], baseline: str = "baseline", canary: str = "canary"
    ) -> None:
        check_watched(policy)
        self._policy, self._arms, self._by = policy, (str(baseline), str(canary)), columns_of(by)
        check_names(self._arms)
        ReleaseWatch(policy, self._arms)  # says what cannot be watched
        self._places: dict[ReleaseKey, int] = {}
        self._watches: list[ReleaseWatch] = []
        self._rows: dict[ReleaseKey, ReleaseRow] = {}
        self._free: list[int] = []
        self._errors: dict[ReleaseKey, CanaryJudgeError] = {}
        self._in_step = InStep(policy, self._arms)
        self._updates = 0

    def update(self, data: Any) -> None:
        """Take new points of some releases, and look at these.

        Parameters
        ----------
        data : frame, list of records, or iterable of such
            A tidy table of any library with the new points of any releases, in any order; or tables one after another. A release that is not known yet begins to be watched.

        Raises
        ------
        DataError
            If it is no table, or a column is missing, or a row names no release. What is wrong with one release's points leaves its monitor as it was, and is told by `errors` and in the rows of
            `verdicts` until it is given an update that can be read.
        """
        self._updates += 1
        with np.errstate(all="ignore"), collected_later():
            if self._policy.segments is not None:
                for key, columns, numbers in release_tables(data, self._by, again=True):
                    self._take_within(key, columns, numbers)
                return
            for updates in read_updates(data, self._policy, self._by, self._arms):
                self._take(updates)

    def _take_within(self, key: ReleaseKey, columns: Mapping[str, Any], numbers: Any) -> None:
        """Take the rows of a release that is watched within segments, by itself."""
        place = self._place(key)
        self._errors.pop(key, None)
        try:
            answered([*self._watches[place].taking(*self._watches[place].read_rows(columns, numbers))])
        except CanaryJudgeError as error:
            self._errors[key] = error
        self._look(key, place)

    def _take(self, updates: Updates) -> None:
        places = [self._place(key) for key in updates.keys]
        rows = np.array(places, dtype=np.intp)
        alone = np.ones(len(rows), dtype=np.bool_)
        if updates.points is not None:
            taken = self._in_step.take(rows, updates.points)
            alone[taken] = self._in_step.doubtful(rows[taken])
        else:
            taken = ~alone
        for index in np.flatnonzero(taken).tolist() if self._errors else ():
            self._errors.pop(updates.keys[index], None)
        chosen = np.flatnonzero(alone).tolist()
        self._catch_up([places[index] for index in chosen])
        asked: list[Asking] = []
        for index in chosen:
            key, watch = updates.keys[index], self._watches[places[index]]
            if not taken[index]:
                self._errors.pop(key, None)
                try:
                    asked += self._read(watch, updates, index)
                except CanaryJudgeError as error:
                    self._errors[key] = error
        answered(asked)
        for index in chosen:
            self._look(updates.keys[index], places[index])
        self._in_step.settle(rows[chosen])

    def _read(self, watch: ReleaseWatch, updates: Updates, index: int) -> Iterable[Asking]:
        broken: dict[str, BrokenDataError] = {}
        series = series_of(
            updates.source(index),
            self._policy,
            self._arms,
            partial=True,
            counters=watch.counters,
            broken=broken,
        )
        return watch.taking(series, broken)

    def _place(self, key: ReleaseKey, watch: ReleaseWatch | None = None) -> int:
        """Give a release its place, where it has none."""
        place = self._places.get(key)
        if place is None or watch is not None:
            watch = watch or ReleaseWatch(self._policy, self._arms)
            if place is None:
                place = self._free.pop() if self._free else len(self._watches)
            self._places[key] = place
            self._in_step.grow(place + 1)
            self._in_step.begin(place)
            if place == len(self._watches):
                self._watches.append(watch)
            self._watches[place] = watch
        return place

    def _catch_up(self, places: Iterable[int]) -> None:
        """Give watches the points that wait for them."""
        asked: list[Asking] = []
        for place in places:
            waiting = self._in_step.waiting(place)
            if waiting is not None:
                asked += self._watches[place].taking(waiting, {})
        answered(asked)

    def _look(self, key: ReleaseKey, place: int) -> None:
        """Ask for the outcome of a release whose watch is up to date."""
        watch = self._watches[place]
        release = watch.result()
        self._rows[key] = ReleaseRow.of(release)
        self._in_step.enter(place, watch, release)

    def verdicts(self) -> Verdicts:
        """Ask for the verdicts now.

        Returns
        -------
        Verdicts
            A row a release; ``verdicts[key]``, and the rows a metric, are built where they are asked for, before the next update.
        """
        said = self._updates
        rows = {
            key: row if key not in self._errors else row._replace(error=str(self._errors[key]))
            for key, row in self._rows.items()
        }

        def verdict_of(key: ReleaseKey) -> Verdict:
            if self._updates != said:
                raise DataError(
                    "the watch has gone on since these verdicts were asked for",
                    "Ask for verdicts() again, or for each verdict before the next update.",
                )
            place = self._places[key]
            with np.errstate(all="ignore"):
                self._catch_up([place])
                return self._watches[place].verdict()

        def metrics_of(key: ReleaseKey) -> list[MetricRow]:
            return [MetricRow.of(result) for result in verdict_of(key).metrics.values()]

        return Verdicts(self._by, rows, self._errors, verdict_of, metrics_of)

    @property
    def errors(self) -> dict[ReleaseKey, CanaryJudgeError]:
        """What is wrong with the latest update of each release whose points could not be read."""
        return dict(self._errors)

    @np.errstate(all="ignore")
    def to_json(self, key: ReleaseKey) -> str:
        """Give the state of one release's monitor, which `Monitor.from_json` reads.

        Raises
        ------
        KeyError
            If there is no such release.
        """
        place = self._places[key]
        self._catch_up([place])
        return state_of(self._watches[place])

    def __getitem__(self, key: ReleaseKey) -> Monitor:
        return Monitor.from_json(self.to_json(key), self._policy)

    @np.errstate(all="ignore")
    def __setitem__(self, key: ReleaseKey, monitor: Monitor) -> None:
        if not isinstance(monitor, Monitor):
            raise DataError(f"a {type(monitor).__name__} cannot be taken over", "Give a Monitor.")
        watch = watch_of(monitor.to_json(), self._policy)
        if watch.arms != self._arms:
            told = " and ".join(map(repr, watch.arms))
            raise DataError(
                f"the monitor's arms are named {told}", "Give one of the same arms as the others."
            )
        place = self._place(key, watch)
        self._look(key, place)
        self._in_step.settle(np.array([place]))

    def __delitem__(self, key: ReleaseKey) -> None:
        place = self._places.pop(key)
        self._in_step.begin(place)
        self._free.append(place)
        del self._rows[key]
        self._errors.pop(key, None)

    def __iter__(self) -> Iterator[ReleaseKey]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return repr(self.verdicts()).replace("Verdicts", "Monitors")

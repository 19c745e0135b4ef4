"""Calibrate a policy on the history of a service."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from canaryjudge.calibration.metric import CalibratedMetric, CalibrationTask, calibrate_metric
from canaryjudge.data import read_history
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.explain.calibrations import calibration_markdown, calibration_rows, calibration_text
from canaryjudge.judging import shares
from canaryjudge.kinds import KINDS
from canaryjudge.plots import false_fails
from canaryjudge.policy import Policy
from canaryjudge.policy.switches import refuse_before_after
from canaryjudge.progress import Progress, progress_of
from canaryjudge.quantities import parse_duration
from canaryjudge.reports import CalibrationFacts, Duplicate, Proposal, Report

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Calibration", "calibrate"]

_POWER = 0.8
_TOGETHER = 0.9
_FEWEST_TOGETHER = 10
_MARGINAL = 0.25
"""Where more of the healthy pairs of a required metric are left undecided, a longer canary is proposed."""


class Calibration(CalibrationFacts, Report):
    """What `calibrate` gives: how often this service would have failed with nothing wrong, what would be found, and what to change.

    Attributes
    ----------
    metrics : dict of str to MetricCalibration
        What was measured of each metric.
    proposals : tuple of Proposal
        What to change in the policy, and why.
    """

    def apply(self, policy: Policy) -> Policy:
        """Give the policy with the proposals in it.

        Parameters
        ----------
        policy : Policy
            The policy that was calibrated.

        Returns
        -------
        Policy
            The proposed one.
        """
        plain = policy.model_dump(mode="json", exclude_unset=True)
        by_name = {metric["name"]: metric for metric in plain["metrics"]}
        for proposal in self.proposals:
            target = plain if proposal.metric is None else by_name[proposal.metric]
            target[proposal.field] = proposal.new
        return Policy.model_validate(plain)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw how often each metric fails on healthy pairs, before and after the proposals; see `canaryjudge.plots.false_fails`."""
        return false_fails(self, ax=ax)

    def explain(self) -> str:
        """Give the tables, and each proposal with its reason."""
        return calibration_text(self)

    def to_markdown(self) -> str:
        """Give the same as Markdown."""
        return calibration_markdown(self)

    def to_frame(self) -> pd.DataFrame:
        """Give a pandas frame with a row a metric."""
        import pandas as pd  # noqa: PLC0415 - only those who want a frame pay for it

        return pd.DataFrame(calibration_rows(self))


@np.errstate(all="ignore")
def calibrate(
    history: Any,
    policy: Policy,
    *,
    length: int | str | None = None,
    pairs: int = 200,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | bool | None = None,
) -> Calibration:
    """Judge a service's own healthy past by a policy, and say what policy would keep its promise there.

    Parameters
    ----------
    history : frame, mapping or list of dict
        Metrics of a time in which nothing was wrong: a tidy frame with `metric`, `value` and, where there are any, `time`, `total`, `replica`; one series a
        metric, or several replicas (a column `replica` or `arm`). Or past releases: columns `release`, `arm` and `outcome` (good or bad) as well.
    policy : Policy
        What releases are judged by.
    length : int or str, optional
        How long a canary is: points of a window, or a duration such as ``1h``. The policy's `max_points` or `max_duration` where it is left out, or 60 points.
    pairs : int
        At most so many healthy pairs a metric.
    seed : int
        Of the random draws: the same seed gives the same calibration, with any executor.
    executor : concurrent.futures.Executor, optional
        Calibrates the metrics in parallel.
    progress : callable or bool, optional
        Called with how many metrics are done, from 0 on, and how many there are; False for silence. By default a bar on standard error, where that is a terminal
        or a notebook (`canaryjudge.progress`).

    Returns
    -------
    Calibration
        Rates, floors, the smallest faults that are found, and proposals.

    Raises
    ------
    DataError
        If the history cannot be read, or no metric has two windows of that length.
    PolicyError
        If the length is neither a number of points nor a duration.

    Examples
    --------
    >>> import numpy as np, canaryjudge as cj
    >>> rng = np.random.default_rng(1)
    >>> levels = np.repeat(100 * (1 + 0.05 * rng.normal(size=40)), 30)
    >>> policy = cj.Policy(metrics=[cj.Metric(name="latency_p99", unit="ms", direction="increase", tolerance="5%")])
    >>> found = cj.calibrate({"latency_p99": levels + rng.normal(0, 1, 1200)}, policy, length=30)
    >>> found.proposals[0].field, found.proposals[0].reason
    ('noise_floor', 'differs_anyway')
    """
    if paired := [metric for metric in policy.metrics if KINDS[metric.kind].is_paired]:
        raise PolicyError(
            f"metric {paired[0].name!r} is of kind: {paired[0].kind}, of whose requests a past has no pairs",
            "Calibrate the other metrics by a policy of their own; of pairs, a second baseline tells what is noise.",
        )
    refuse_before_after(
        policy, "a calibration", "Leave those metrics out: a judgement measures earlier days by itself."
    )
    points, seconds = _length(length)
    if of_users := [metric.name for metric in policy.metrics if KINDS[metric.kind].has_users]:
        raise PolicyError(
            f"metric {of_users[0]!r}: users are no points in time, and the windows of a past say nothing of them",
            "Calibrate the other metrics by a policy of their own.",
        )
    known = read_history(history, policy)
    alphas = shares(policy)
    tasks = [
        CalibrationTask(
            metric,
            policy,
            alphas[metric.name],
            known.tracks.get(metric.name, ()),
            tuple(
                (release.healthy, *release.metrics[metric.name])
                for release in known.releases
                if metric.name in release.metrics
            ),
            points,
            seconds,
            max(1, pairs),
            _POWER,
            seed,
        )
        for metric in policy.metrics
    ]
    done = list(
        _watched(
            executor.map(calibrate_metric, tasks) if executor else map(calibrate_metric, tasks),
            len(tasks),
            progress_of("calibrated", wanted=progress),
        )
    )
    if all(one.facts.source == "none" for one in done):
        needed = max(one.facts.points for one in done)
        raise DataError(
            f"no metric of the history has two windows of {needed} points",
            "Give a longer history, or a shorter length (--length).",
        )
    metrics = {one.facts.name: one.facts for one in done}
    own = tuple(proposal for one in done for proposal in one.proposals)
    no_gate = _no_gate(own, policy)
    if no_gate:  # a policy without a gate is none
        own = tuple(proposal for proposal in own if proposal.field != "role")
    return Calibration(
        alpha=policy.alpha,
        beta=policy.beta,
        power=_POWER,
        seed=seed,
        metrics=metrics,
        duplicates=_duplicates(done),
        pooled=() if policy.segments is None else policy.segments.by,
        no_gate=no_gate,
        proposals=(*own, *_longer(done, own, policy)),
    )


def _length(length: int | str | None) -> tuple[int | None, float | None]:
    if length is None:
        return None, None
    if isinstance(length, int) and not isinstance(length, bool):
        if length < 2:
            raise PolicyError(f"a canary of {length} points has no length", "Give at least 2 points.")
        return length, None
    try:
        return None, parse_duration(length)
    except ValueError as error:
        raise PolicyError(
            f"the length {error}", "Give a number of points, or a duration such as 1h."
        ) from None


def _watched(found: Iterable[CalibratedMetric], total: int, progress: Progress) -> Iterable[CalibratedMetric]:
    progress(0, total)
    for number, one in enumerate(found, 1):
        progress(number, total)
        yield one


def _no_gate(own: tuple[Proposal, ...], policy: Policy) -> bool:
    """Tell whether every metric that can fail a release is too noisy for that."""
    noisy = {proposal.metric for proposal in own if proposal.field == "role"}
    return all(metric.name in noisy for metric in policy.metrics if metric.can_fail)


def _duplicates(done: list[CalibratedMetric]) -> tuple[Duplicate, ...]:
    """Find metrics whose changes rank alike over the healthy pairs that they have in common."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - slow to import

    found = []
    for one, other in combinations(done, 2):
        if one.facts.source != other.facts.source or not len(one.change) or not len(other.change):
            continue
        first, second = (
            {tuple(span): change for span, change in zip(each.spans.tolist(), each.change, strict=True)}
            for each in (one, other)
        )
        both = np.array([[first[span], second[span]] for span in first if span in second]).reshape(-1, 2)
        both = both[np.isfinite(both).all(axis=1)]
        if len(both) < _FEWEST_TOGETHER or (np.ptp(both, axis=0) == 0).any():
            continue
        rank = float(spearmanr(both[:, 0], both[:, 1]).statistic)
        if abs(rank) >= _TOGETHER:
            found.append(
                Duplicate(
                    first=one.facts.name, second=other.facts.name, correlation=round(rank, 4), pairs=len(both)
                )
            )
    return tuple(found)


def _longer(done: list[CalibratedMetric], own: tuple[Proposal, ...], policy: Policy) -> tuple[Proposal, ...]:
    """Propose a longer canary, where a required metric is left undecided too often and its verdicts say that more points would do."""
    muted = {proposal.metric for proposal in own if proposal.field == "role"}
    held = [
        one.facts
        for one in done
        if one.facts.role == "required"
        and one.facts.name not in muted
        and (one.facts.marginal_proposed or 0.0) > _MARGINAL
        and one.facts.more_points is not None
    ]
    if not held:
        return ()
    longest = max(
        held, key=lambda facts: (facts.points + (facts.more_points or 0)) * (facts.interval_s or 1.0)
    )
    points = longest.points + (longest.more_points or 0)
    numbers = {"marginal": float(longest.marginal_proposed or 0.0), "points": float(points)}
    if longest.interval_s is not None and policy.max_points is None:
        seconds = float(np.ceil(points * longest.interval_s / 60) * 60)
        was = None if policy.max_duration is None else f"{policy.max_duration:g}s"
        return (_of_policy("max_duration", was, f"{seconds:g}s", numbers),)
    return (_of_policy("max_points", policy.max_points, points, numbers),)


def _of_policy(field: str, old: Any, new: Any, numbers: dict[str, float]) -> Proposal:
    return Proposal(metric=None, field=field, old=old, new=new, reason="undecided_for_long", numbers=numbers)

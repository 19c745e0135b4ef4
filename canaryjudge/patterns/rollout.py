"""Rollout: a release in stages, asked at any time what to do with the traffic; saved and resumed between two steps."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from canaryjudge._version import __version__
from canaryjudge.data.reading import check_names
from canaryjudge.explain.rollouts import rollout_reason
from canaryjudge.history import known_past
from canaryjudge.judging import policy_digest
from canaryjudge.monitor.release_watch import check_watched
from canaryjudge.monitor.saved_state import check_same_history, opened, reading, sealed
from canaryjudge.patterns.rollout_verdict import RolloutVerdict
from canaryjudge.patterns.staged_release import StagedRelease
from canaryjudge.policy import Policy
from canaryjudge.results import RolloutFacts
from canaryjudge.rules import answered

__all__ = ["Rollout"]


class Rollout:
    """Takes a release through the stages of its policy.

    Parameters
    ----------
    policy : Policy
        What is asked of the release, with its `stages`.
    baseline : str
        Name of the old version's arm in the data.
    canary : str
        Name of the new version's arm in the data.
    history : frame, mapping or list of records, optional
        The same metrics at times when nothing was wrong, as `judge` takes them: what windows as long as each stage, and as all of them, differ by, or series that ran side by side, is allowed for at planned
        looks, and ratios and counts take their dispersion from it. It is measured before the first points are taken, and kept in the state.

    Raises
    ------
    PolicyError
        If the policy has no stages, or something in it cannot be watched; it says what fits.

    Notes
    -----
    Alpha holds for all looks in all stages together: half of it is for the evidence since the start, half is shared out over the stages, whose own evidence begins anew, so that a late fault is not
    diluted by what went well before. Beta holds for completing a release with harm beyond its `pass_within`, and for leaving each stage with harm beyond the stage's bound; see docs/patterns/rollouts.md.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(
    ...     metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%", dispersion=1)],
    ...     stages=[cj.Stage(canary="5%", max_duration="1h"), cj.Stage(canary="50%", max_duration="1h")],
    ... )
    >>> rollout = cj.Rollout(policy)
    >>> for minute in range(30):
    ...     share = rollout.verdict().share
    ...     requests = {"baseline": round(10_000 * (1 - share)), "canary": round(10_000 * share)}
    ...     rollout.update({"errors": {
    ...         arm: {"time": [60.0 * minute], "value": [total // 100], "total": [total]} for arm, total in requests.items()
    ...     }})
    ...     if rollout.verdict().action != "hold":
    ...         print(minute + 1, rollout.verdict().action, rollout.verdict().share)
    ...     if rollout.verdict().action == "complete":
    ...         break
    3 advance 0.5
    6 complete 1.0
    """

    def __init__(
        self, policy: Policy, *, baseline: str = "baseline", canary: str = "canary", history: Any = None
    ) -> None:
        check_watched(policy)
        arms = str(baseline), str(canary)
        check_names(arms)
        self._policy = policy
        self._staged = StagedRelease(policy, arms, known_past(history, policy, arms))

    @property
    def arms(self) -> tuple[str, str]:
        """The names of baseline and canary."""
        return self._staged.arms

    @property
    def untimed(self) -> tuple[str, ...]:
        """The metrics whose data have come without times: none, since stages need them."""
        return ()

    @property
    def reached(self) -> dict[str, float | None]:
        """How far each metric's complete intervals go, in seconds since 1970; None before there are any."""
        return {name: watched.stream.last_time for name, watched in self._staged.whole.metrics.items()}

    def __repr__(self) -> str:
        staged = self._staged
        return f"<Rollout of {self.arms[1]!r} v. {self.arms[0]!r}: {staged.action}, {100 * staged.share:g} % of the traffic>"

    @np.errstate(all="ignore")
    def update(self, data: Any) -> None:
        """Take new points, and decide what to do.

        Parameters
        ----------
        data : frame, mapping or list of records
            In the shapes that `judge` takes, with times; metrics and arms may be missing. Points belong to the stage that the last `verdict` told: after an `advance`, those later than all before.
            Points that were given before are ignored, and an update that brings nothing new changes nothing.

        Raises
        ------
        DataError
            If the data cannot be read, or a point has other values than it had before. The rollout is then as it was.
        """
        staged = self._staged
        answered(staged.taking(*staged.whole.read(data)))
        staged.decide()

    @np.errstate(all="ignore")
    def verdict(self) -> RolloutVerdict:
        """Ask what to do now.

        Returns
        -------
        RolloutVerdict
            With `action` (`advance`, `hold`, `rollback` or `complete`), `stage`, `share` (what the canary should get of the traffic now), `next_share`, `reason`, `because`, `wait_s`, `stages` and how each went, `doubts`,
            `waived`, `release` (the `Verdict` over all data), `at_stage` (what the stage's own data say), `timeline` (what was decided when, and how each metric's effect went); `explain`, `to_json`, `to_markdown`, `to_html`,
            `to_frame` and `plot` as a `Verdict` has them.
        """
        staged = self._staged
        at_stage, found = staged.results
        release = staged.whole.verdict(found)
        doubts = () if staged.ended and staged.because != "doubt" else staged.doubts(at_stage, release)
        facts = RolloutFacts(
            action=staged.action,
            because=staged.because,
            stage=staged.stage.title,
            share=staged.share,
            next_share=staged.next_share,
            wait_s=staged.wait,
            alpha=self._policy.alpha,
            beta=self._policy.beta,
            stages=staged.facts(at_stage),
            doubts=doubts,
            waived=staged.waived(doubts),
            at_stage=at_stage,
            release=release,
            timeline=staged.timeline.facts(staged.until),
        )
        return RolloutVerdict(
            **dict(facts),
            reason=rollout_reason(facts),
            version=__version__,
            policy_digest=policy_digest(self._policy),
        )

    def to_json(self) -> str:
        """Give everything that `from_json` needs to go on, as one line of JSON."""
        return sealed("rollout", self._policy, self._staged.save())

    @classmethod
    def from_json(cls, text: str | bytes, policy: Policy, *, history: Any = None) -> Self:
        """Go on where a rollout was saved.

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
        Rollout
            As it was.

        Raises
        ------
        DataError
            If the text is not a rollout's state, was changed, or is of another policy or history.
        """
        check_watched(policy)
        body = opened(text, "rollout", policy)
        with reading():
            baseline, canary = body["arms"]
            rollout = cls(policy, baseline=baseline, canary=canary)
            rollout._staged.load(body)
        check_same_history(known_past(history, policy, rollout.arms), rollout._staged.whole.history_digest)
        return rollout

"""Users as they come, update by update."""

from __future__ import annotations

from typing import Any, Self

from canaryjudge.data.intake import Reach, Tally, block_hash
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import MetricPair, column_bytes
from canaryjudge.data.series import Series
from canaryjudge.data.stream import Stream
from canaryjudge.data.users import user_pair
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric

__all__ = ["UserStream", "stream_of"]


def stream_of(metric: Metric, baseline: str, canary: str) -> Stream:
    """Start the stream of a metric: of users or of points."""
    return (UserStream if KINDS[metric.kind].has_users else Stream)(metric, baseline, canary)


class UserStream(Stream):
    """What one metric of users has been given so far: each update has users that are new, with all their rows."""

    def __init__(self, metric: Metric, baseline: str, canary: str) -> None:
        super().__init__(metric, baseline, canary)
        self.covariate: bool | None = None
        """Whether anything is said of what was known of the users from before; None while there are none."""

    def _feed(self, arms: tuple[Series, Series]) -> list[MetricPair]:
        for arm in arms:
            for note in arm.notes:
                self._note(note)
        pair, intake = user_pair(self.metric, *arms), self._intake
        given = [arm for arm in arms if arm.moments is not None]
        for arm in given:
            intake.agreement = intake.agreement.joined(self.metric, arm)
            self._agree_on(known=arm.covariate)
        if not given:
            return []
        intake.windows = True
        sizes = pair.baseline.points, pair.canary.points
        moments = [None if arm.moments is None else arm.moments.ravel() for arm in arms]
        digest = block_hash(*map(column_bytes, moments))
        intake.tally = intake.tally.plus(Tally(points=sizes, blocks=1, digest=digest))
        intake.reach = (intake.reach[0].plus(Reach(sizes[0])), intake.reach[1].plus(Reach(sizes[1])))
        return [pair]

    def notes_until(self, ends: tuple[float, float]) -> tuple[Note, ...]:  # noqa: ARG002 - users have no times
        """Give what was odd so far."""
        return self._notes.notes

    def _agree_on(self, *, known: bool) -> None:
        """Refuse users of whom something is known from before beside others of whom nothing is."""
        if self.covariate not in (None, known):
            raise DataError(
                f"metric {self.metric.name!r}: there is a covariate in some updates or arms, and none in others",
                "Give 'covariate' in both arms and in every update, or nowhere.",
            )
        self.covariate = known

    def merge(self, other: Stream) -> None:
        """Take over what another stream of the metric was given."""
        known = other.covariate if isinstance(other, UserStream) else None
        if known is not None:
            self._agree_on(known=known)
        super().merge(other)

    def state(self) -> dict[str, Any]:
        """Give everything that `restore` needs, as JSON can hold it."""
        return super().state() | {"covariate": self.covariate}

    @classmethod
    def restore(cls, metric: Metric, baseline: str, canary: str, state: dict[str, Any]) -> Self:
        """Go on where a stream was saved."""
        stream = super().restore(metric, baseline, canary, state)
        stream.covariate = None if state.get("covariate") is None else bool(state["covariate"])
        return stream

"""Users as they come, update by update."""

from __future__ import annotations

from canaryjudge.data.intake import Reach, Tally, block_hash
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import MetricPair, column_bytes
from canaryjudge.data.series import Series
from canaryjudge.data.stream import Stream
from canaryjudge.data.users import user_pair
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric

__all__ = ["UserStream", "stream_of"]


def stream_of(metric: Metric, baseline: str, canary: str) -> Stream:
    """Start the stream of a metric: of users or of points."""
    return (UserStream if KINDS[metric.kind].has_users else Stream)(metric, baseline, canary)


class UserStream(Stream):
    """What one metric of users has been given so far: each update has users that are new, with all their rows."""

    def _feed(self, arms: tuple[Series, Series]) -> list[MetricPair]:
        for arm in arms:
            for note in arm.notes:
                self._note(note)
        pair, intake = user_pair(self.metric, *arms), self._intake
        given = [arm for arm in arms if arm.moments is not None]
        for arm in given:
            intake.agreement = intake.agreement.joined(self.metric, arm)
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

"""The outcomes, and the one table of the reasons for them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

__all__ = ["Outcome", "Reason"]


class Outcome(StrEnum):
    """What became of a rule, a metric or a release."""

    PASS = "pass"
    MARGINAL = "marginal"
    FAIL = "fail"

    @property
    def badness(self) -> int:
        """0 for pass, 1 for marginal, 2 for fail."""
        return _BADNESS[self]


_BADNESS: Final = {Outcome.PASS: 0, Outcome.MARGINAL: 1, Outcome.FAIL: 2}


class Reason(StrEnum):
    """Why something came out as it did; of results that are equally bad, the reason that stands first here is named first.

    Each has its code (which it equals as text), the outcome that it is a reason for, what it means, the same in two to six
    words, and what would change it where that does not depend on the numbers.
    """

    WORSE_IN_SEGMENT = (
        "worse_in_segment",
        Outcome.FAIL,
        "a segment of the traffic is proven worse than tolerated, though the mean of all is not",
        "a segment proven worse than tolerated",
        "It fails because of the segments that are proven worse than tolerated, whatever the mean of all is.",
    )
    PROVEN_WORSE = (
        "proven_worse",
        Outcome.FAIL,
        "the lower bound of the effect lies beyond the tolerance",
        "proven worse than tolerated",
    )
    BREACHED = (
        "breached",
        Outcome.FAIL,
        "the canary breaches an objective",
        "objective breached",
    )
    DEADLINE_FAILS = (
        "deadline_fails",
        Outcome.FAIL,
        "undecided at the end of the watch, and the policy fails that",
        "undecided at the end of the watch",
        "The watch is over, and the policy's on_deadline fails what is undecided by then.",
    )
    NO_DATA_FAILS = (
        "no_data_fails",
        Outcome.FAIL,
        "no data, and the policy says that this fails",
        "no data, which the policy fails",
        "It needs data of both arms; the policy fails this metric without them.",
    )
    WORSE_BUT_MAYBE_TOLERABLE = (
        "worse_but_maybe_tolerable",
        Outcome.MARGINAL,
        "proven worse than the baseline, not beyond the tolerance",
        "worse, maybe tolerably",
    )
    WARNING = (
        "warning",
        Outcome.MARGINAL,
        "proven beyond the objective, not beyond the bound at which it fails",
        "objective breached, not the bound that fails",
    )
    ENVIRONMENT_UNHEALTHY = (
        "environment_unhealthy",
        Outcome.MARGINAL,
        "both arms breach the objective: not the canary's doing",
        "both arms breach the objective",
        "Both arms breach the objective, so something is wrong that the release did not bring; judge again once the baseline meets it. Whether the canary adds to it, only a rule that compares the arms can tell.",
    )
    BROKEN = (
        "broken",
        Outcome.MARGINAL,
        "a part of this metric's data contradicts itself or cannot be read, so that it was not judged; the others were",
        "data broken",
        "Correct the data where the sentence above says, or leave that point out.",
    )
    SILENT = (
        "silent",
        Outcome.MARGINAL,
        "an arm stopped reporting, up to the end or for a long part of the window",
        "an arm fell silent",
        "See whether that arm runs, is scraped and gets traffic, and judge again when it reports; if it was meant to end, cut both arms to the time before.",
    )
    SAME_DATA = (
        "same_data",
        Outcome.MARGINAL,
        "both arms are the same points, or a part of them, so that nothing was compared",
        "both arms are the same points",
        "See whether both selectors, or both columns, pick the same pods.",
    )
    SPLIT_MISMATCH = (
        "split_mismatch",
        Outcome.MARGINAL,
        "it would pass, but the arms' traffic is not what the policy's split says",
        "traffic not split as planned",
        "Send the canary the share of the traffic that the policy's split says, or correct the split.",
    )
    SEGMENTS_LEFT_OUT = (
        "segments_left_out",
        Outcome.MARGINAL,
        "it would pass, but more than a tenth of the traffic is of segments that could not be compared",
        "too many segments not compared",
        "Give both arms traffic of those segments, wait for more, or name segments by a column with fewer values.",
    )
    UNPAIRED = (
        "unpaired",
        Outcome.MARGINAL,
        "it would pass, but more than a fifth of the minutes, or a twentieth of the requests, have a point of one arm alone",
        "too much of one arm alone",
        "Give points of both arms in at least four of five minutes, and of pairs answers of both to 19 of 20 requests: what the missing ones would have said, nobody knows.",
    )
    MISREAD = (
        "misread",
        Outcome.MARGINAL,
        "the data do not look like what the policy says of them, so that neither outcome can be trusted",
        "data unlike what the policy says",
        "Say in the policy what the data are (counter: true or false, the unit of each arm), or correct them; the note says what is odd.",
    )
    TOLERANCE_TOO_WIDE = (
        "tolerance_too_wide",
        Outcome.MARGINAL,
        "it would pass only because its tolerance is wider than what the metric's level, or its failures, can lose",
        "tolerance wider than the level",
        "State the tolerance in what matters: of a success rate in points (absolute: 0.1%), of anything else as a part of the level (10%).",
    )
    UNDECIDED = (
        "undecided",
        Outcome.MARGINAL,
        "proven neither beyond nor within what is tolerated",
        "undecided so far",
    )
    SUSPECTED = (
        "suspected",
        Outcome.MARGINAL,
        "a rule about a feature would prove it at beta, or were points independent; a pass is withheld",
        "suspicious, not proven",
        "Look at the points that are suspicious; more of them would prove a fault, and a longer window without them clears the canary.",
    )
    ENDS_BEYOND_TOLERANCE = (
        "ends_beyond_tolerance",
        Outcome.MARGINAL,
        "the window ends beyond the tolerance, which a level of the whole does not show and growth does not prove; a pass is withheld",
        "ends beyond the tolerance",
        "A longer window tells whether the canary stays there, goes on or comes back.",
    )
    ABSTAINS = (
        "abstains",
        Outcome.MARGINAL,
        "the test cannot be honest at the level that it is given",
        "cannot tell from so few points",
        "A longer window, or replicas that are told apart, would give it evidence enough.",
    )
    NEEDS_ABSOLUTE_TOLERANCE = (
        "needs_absolute_tolerance",
        Outcome.MARGINAL,
        "the baseline's level is zero, of which no part can be tolerated",
        "needs an absolute tolerance",
        "Give the metric an absolute tolerance: a change in percent means nothing at this baseline.",
    )
    TOO_LITTLE_DATA = (
        "too_little_data",
        Outcome.MARGINAL,
        "fewer points than the metric or its rule needs, or one arm lacks far more of its values than the other",
        "too little data",
    )
    NO_DATA = (
        "no_data",
        Outcome.MARGINAL,
        "an arm has no points",
        "no data",
        "See whether that arm runs, is scraped and gets traffic, and whether its name or selector is right.",
    )
    PROVEN_SAFE = (
        "proven_safe",
        Outcome.PASS,
        "the upper bound of the effect lies within the tolerance",
        "proven within the tolerance",
    )
    OBJECTIVE_MET = (
        "objective_met",
        Outcome.PASS,
        "the canary meets an objective",
        "objective met",
    )
    IDENTICAL = (
        "identical",
        Outcome.PASS,
        "both arms are constant and equal",
        "both arms constant and equal",
        "Nothing, as long as the arms stay constant and equal.",
    )
    DEADLINE_PASSES = (
        "deadline_passes",
        Outcome.PASS,
        "undecided at the end of the watch, and the policy passes that",
        "undecided at the end of the watch",
        "The watch is over, and the policy's on_deadline passes what is undecided by then.",
    )
    NOT_PROVEN_WORSE = (
        "not_proven_worse",
        Outcome.PASS,
        "undecided, under pass_when: not_proven_worse",
        "not proven worse",
    )
    NOTHING_FOUND = (
        "nothing_found",
        Outcome.PASS,
        "a rule about a feature has no evidence against the canary, which does not prove that there is nothing",
        "nothing found, which is no proof",
    )

    outcome: Outcome
    """What it is a reason for."""
    meaning: str
    """What it means."""
    words: str
    """The same in two to six words."""
    advice: str
    """What would change it; empty where the numbers say that."""

    def __new__(cls, code: str, outcome: Outcome, meaning: str, words: str, advice: str = "") -> Self:
        """Make a member of its row."""
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.outcome = outcome
        reason.meaning = meaning
        reason.words = words
        reason.advice = advice
        return reason

    @property
    def severity(self) -> int:
        """Its place in the table, 0 for what is named first; all passes are alike."""
        return _SEVERITY[self]

    @property
    def lacks_data(self) -> bool:
        """Whether it is for want of data, or of enough."""
        return self in _LACKS_DATA

    @property
    def holds(self) -> bool:
        """Whether the data, or the tolerance, cannot mean what a pass says: then even a guard holds the release."""
        return self in _HOLDS

    @property
    def let_through(self) -> bool:
        """Whether it passes where a policy passes what is not proven worse."""
        return self is Reason.UNDECIDED or self is Reason.SUSPECTED


_PLACES: Final = {reason: place for place, reason in enumerate(Reason)}
_SEVERITY: Final = {
    reason: _PLACES[Reason.PROVEN_SAFE if reason.outcome is Outcome.PASS else reason] for reason in Reason
}
_LACKS_DATA: Final = frozenset((Reason.NO_DATA, Reason.TOO_LITTLE_DATA, Reason.NO_DATA_FAILS, Reason.SILENT))
_HOLDS: Final = frozenset(
    (
        Reason.BROKEN,
        Reason.SILENT,
        Reason.SAME_DATA,
        Reason.SPLIT_MISMATCH,
        Reason.SEGMENTS_LEFT_OUT,
        Reason.MISREAD,
        Reason.TOLERANCE_TOO_WIDE,
    )
)

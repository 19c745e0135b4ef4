"""What every tool wants to hear, whatever it is called there: outcome, action, reason, and which metrics are to blame; and an answer over HTTP, for any server to give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.explain.layout import cut, on_one_line
from canaryjudge.reasons import Outcome
from canaryjudge.results import ArmsFacts, MetricResult, RolloutFacts
from canaryjudge.verdict import Verdict

if TYPE_CHECKING:
    from canaryjudge.arm_verdicts import ArmVerdicts
    from canaryjudge.patterns import RolloutVerdict

__all__ = [
    "JSON",
    "PLAIN",
    "Answer",
    "AnyVerdictOrError",
    "RolloutOrError",
    "Summary",
    "SummaryOrError",
    "VerdictOrError",
    "summary",
]

JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"
VerdictOrError = Verdict | CanaryJudgeError
"""What there is to tell: a verdict, or why there is none."""
RolloutOrError: TypeAlias = "VerdictOrError | RolloutVerdict"
"""The same, or what a rollout says."""
SummaryOrError: TypeAlias = "RolloutOrError | Summary"
"""The same, or that in a few words."""
AnyVerdictOrError: TypeAlias = "RolloutOrError | ArmVerdicts"
"""The same, or what several arms say."""
_LONGEST_REASON = 199


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer over HTTP.

    Attributes
    ----------
    status : int
        The status code.
    body : str
        The body, to be sent as UTF-8.
    content_type : str
        Its media type.
    """

    status: int
    body: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A verdict, or the lack of one, in a few words.

    Attributes
    ----------
    outcome : {"pass", "marginal", "fail", "error"}
        The release's outcome; `error` where nothing was judged.
    action : {"promote", "hold", "rollback"}
        What to do; `hold` where nothing was judged.
    reason : str
        One printable line of under 200 characters.
    score : float, optional
        0 to 100; None where there is none.
    failed, undecided : tuple of str
        Metrics that failed, and those that are marginal, muted ones aside; in the policy's order. Of several arms, the arms.
    lacks_data : bool
        Whether it is marginal for want of data.
    stage : str, optional
        Of a rollout: the stage that it is in; None of anything else.
    share : float, optional
        Of a rollout: what the canary should get of the traffic now.
    metrics : mapping of str to str
        Each metric's outcome; nothing of several arms.
    """

    outcome: Literal["pass", "marginal", "fail", "error"]
    action: Literal["promote", "advance", "hold", "rollback", "complete"]
    reason: str
    score: float | None
    failed: tuple[str, ...]
    undecided: tuple[str, ...]
    lacks_data: bool
    stage: str | None = None
    share: float | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)

    def of_stage(self) -> dict[str, str]:
        """Give `stage` and `share` as text, the share in percent; nothing of what is no rollout."""
        if self.stage is None or self.share is None:
            return {}
        return {"stage": self.stage, "share": f"{100 * self.share:.6g}"}


def summary(said: AnyVerdictOrError | Summary) -> Summary:
    """Say in a few words what became of a release; what is said in a few words already is given as it is.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> summary(cj.DataError("metrics.csv: there is no such file", "Check the path.")).reason
    'ERROR: metrics.csv: there is no such file. Check the path.'
    """
    if isinstance(said, Summary):
        return said
    if isinstance(said, CanaryJudgeError):
        reason = cut(f"ERROR: {on_one_line(str(said))}", _LONGEST_REASON)
        return Summary("error", "hold", reason, None, (), (), lacks_data=False)
    return Summary(
        outcome=said.outcome.value,
        action=said.action,
        reason=cut(on_one_line(said.reason), _LONGEST_REASON),
        score=None if isinstance(said, ArmsFacts) else said.score,
        failed=_named(said, Outcome.FAIL),
        undecided=_named(said, Outcome.MARGINAL),
        lacks_data=said.lacks_data,
        stage=on_one_line(said.stage) if isinstance(said, RolloutFacts) else None,
        share=said.share if isinstance(said, RolloutFacts) else None,
        metrics={}
        if isinstance(said, ArmsFacts)
        else {name: result.outcome.value for name, result in said.metrics.items()},
    )


def _named(verdict: Verdict | RolloutVerdict | ArmVerdicts, outcome: Outcome) -> tuple[str, ...]:
    if isinstance(verdict, ArmsFacts):
        return tuple(map(on_one_line, verdict.having(outcome)))

    def counts(result: MetricResult) -> bool:
        return result.outcome is outcome and result.role != "muted"

    return tuple(on_one_line(result.name) for result in verdict.metrics.values() if counts(result))

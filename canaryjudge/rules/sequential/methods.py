"""The methods of the sequential rule: each is a process, in a file that says how it works, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from canaryjudge.kinds import KindName
from canaryjudge.rules.rows import Question
from canaryjudge.rules.sequential.betting import MeanBettingProcess, RankBettingProcess
from canaryjudge.rules.sequential.evidence import Process
from canaryjudge.rules.sequential.histograms import HistogramProcess
from canaryjudge.rules.sequential.interval_scores import MeanScoreProcess, RankScoreProcess
from canaryjudge.rules.sequential.planned_looks import looks_at
from canaryjudge.rules.sequential.rates import RateProcess
from canaryjudge.rules.sequential.user_means import UserMeansProcess

__all__ = ["METHODS", "RESERVED", "Method", "methods_for"]

RESERVED: Final = 0.05
"""Part of the level that is kept for the time after a pass."""


class Method(NamedTuple):
    """What a method fits and how it starts.

    Attributes
    ----------
    kinds : tuple of str
        The kinds of metric.
    process : callable
        Makes its process of a question, and of the settings that it takes by name.
    takes : tuple of str
        Those of the rule's settings that are for this method alone.
    independent : bool
        Takes every request as independent of the others, which a policy has to state.
    reserved : float
        Part of the level that is kept for the time after a pass.
    """

    kinds: tuple[KindName, ...]
    process: Callable[..., Process]
    takes: tuple[str, ...] = ()
    independent: bool = False
    reserved: float = RESERVED

    def start(self, question: Question, settings: Any) -> Process:
        """Start to gather evidence under the rule's settings."""
        return self.process(question, **{name: getattr(settings, name) for name in self.takes})


METHODS: Final[dict[str, Method]] = {
    # evidence about rates grows fast enough to need no more for the time after a pass
    "mixture": Method(("ratio", "count"), RateProcess, reserved=0.01),
    "cmh": Method(("histogram",), HistogramProcess),
    "scores": Method(("samples",), RankScoreProcess),
    "ranks": Method(("samples",), RankBettingProcess, independent=True),
    "looks": Method(("gauge", "ratio", "count"), looks_at, takes=("looks", "spending")),
    "mean": Method(("gauge", "samples"), MeanScoreProcess),
    "betting": Method(("gauge", "samples"), MeanBettingProcess, takes=("cap",)),
    "user_means": Method(("users",), UserMeansProcess),
}
"""Each method by its name in a policy; of those that fit a kind, `auto` takes the first."""


def methods_for(kind: str) -> tuple[str, ...]:
    """Give the methods that fit a kind of metric, the one that `auto` takes first."""
    return tuple(name for name, method in METHODS.items() if kind in method.kinds)

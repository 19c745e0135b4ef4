"""Words for a tail: the share of observations beyond a bound."""

from __future__ import annotations

from canaryjudge.explain.proportion import ProportionWords
from canaryjudge.explain.quantities import set_level
from canaryjudge.explain.words import words
from canaryjudge.kinds import KINDS
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding
from canaryjudge.rules.tail import TailFinding

__all__: list[str] = []


@words(TailFinding)
class _TailWords(ProportionWords[TailFinding]):
    def __init__(self, finding: TailFinding, result: MetricResult, told: Finding) -> None:
        super().__init__(finding, result, told)
        if finding.beyond is not None:  # what changes is a share, whatever the metric's unit
            self.kind, self.unit = KINDS["ratio"], ""

    def sentence(self) -> str:
        """Say what was found of the share, and where the tail begins."""
        if self.finding.method == "no_edge":
            return f"no edge of the buckets lies near where the rule {self.rule} begins ({self.sizes()})"
        if self.finding.beyond is None:
            return super().sentence()
        where = "below" if self.result.direction == "decrease" else "above"
        bound = set_level(self.finding.beyond, self.result.kind, self.result.unit)
        return f"share of observations {where} {bound}: {super().sentence()}"

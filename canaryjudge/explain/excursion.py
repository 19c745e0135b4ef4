"""Words for points far out."""

from __future__ import annotations

from typing import ClassVar

from canaryjudge.explain.effects import EffectWords
from canaryjudge.explain.numbers import count, moment, pvalue
from canaryjudge.explain.quantities import change
from canaryjudge.explain.words import words
from canaryjudge.reasons import Reason
from canaryjudge.rules.excursion import ExcursionFinding

__all__: list[str] = []


@words(ExcursionFinding)
class _ExcursionWords(EffectWords[ExcursionFinding]):
    feature = "burst"
    methods: ClassVar = {"precedence": "precedence test that allows for autocorrelation"}

    def sentence(self) -> str:
        """Say what was found, of whatever came of it."""
        return super().sentence() if self.finding.points_beyond is None else self.found()

    def when(self) -> str:
        """Say when the points beyond were, and whether they are all at the start, as a warm-up's are."""
        finding = self.finding
        first, last = finding.beyond_from, finding.beyond_until
        said = ""
        if first is not None and last is not None:
            said = f" (at {moment(first)})" if first == last else f" ({moment(first)} to {moment(last)})"
        among = finding.among_first
        if among is None or (finding.points_beyond or 0) < 2 or 4 * among > finding.n_canary:
            return said
        return f"{said}, all among the canary's first {count(among)} (warmup leaves a start out)"

    def found(self) -> str:
        """Say how many points lie beyond everything that the baseline shows, and how surprising that is."""
        finding, upward = self.finding, self.finding.limit_high is not None
        margin = finding.limit_high if finding.limit_high is not None else -(finding.limit_low or 0.0)
        where = "above" if upward else "below"
        bound, worst = self.level(finding.beyond or 0.0), self.level(finding.baseline_level or 0.0)
        room = change(margin, "absolute", self.kind.name, self.unit)
        noun = self.kind.point
        many = finding.points_beyond
        if not many:
            extreme = "highest" if upward else "lowest"
            return f"no {noun} lies {where} {bound}, the baseline's {extreme} and a tolerated {room} more ({self.sizes()})"
        said = f"1 {noun} lies" if many == 1 else f"{count(many)} {noun}s lie"
        beyond = f"{said} {where} {bound}, the baseline's worst of {worst} and a tolerated {room} more{self.when()}"
        needs_bound = (finding.pvalue or 0.0) <= finding.level
        suspicious = (
            "give tolerance.absolute to say whether so much matters"
            if needs_bound
            else "suspicious, but not proven"
        )
        told = {Reason.PROVEN_WORSE: "", Reason.SUSPECTED: f"; {suspicious}"}.get(
            finding.reason, "; so few prove nothing" if many < 3 else "; not proven to be more than chance"
        )
        test = f"{self.methods['precedence']} {pvalue(finding.pvalue or 0.0)}, {self.sizes()}"
        return f"{beyond}{told}" if self.brief else f"{beyond}{told}; {test}"

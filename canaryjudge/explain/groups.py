"""Words for several rules as one."""

from __future__ import annotations

from canaryjudge.explain.words import Words, words, words_of
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding
from canaryjudge.rules.groups import AllOfFinding, AnyOfFinding, GroupFinding

__all__: list[str] = []

_SAYS = {Outcome.PASS: "passes", Outcome.MARGINAL: "is undecided", Outcome.FAIL: "fails"}


@words(AnyOfFinding)
@words(AllOfFinding)
class _GroupWords(Words[GroupFinding]):
    """What is said of a group: each rule's sentence, and the numbers of the one that decided."""

    def __init__(self, finding: GroupFinding, result: MetricResult, told: Finding) -> None:
        super().__init__(finding, result, told)
        self._deciding = None if finding.deciding is None else words_of(finding.deciding, result, told)

    def sentence(self) -> str:
        """Say what each rule found, the one whose outcome is the group's first."""
        finding = self.finding
        if not finding.parts:
            return self.too_little_data()
        if self.brief and finding.deciding is not None:
            return words_of(finding.deciding, self.result, self.told, brief=True).sentence()
        parts = sorted(finding.parts, key=lambda part: part.outcome is not finding.outcome)
        said = [
            f"{part.rule} {_SAYS[part.outcome]}, {words_of(part, self.result).sentence()}" for part in parts
        ]
        of, word = ("any", "or") if isinstance(finding, AnyOfFinding) else ("all", "and")
        return f"{of} of {len(parts)}: {f'; {word} '.join(said)}"

    def main_number(self) -> tuple[str, str]:
        """Give that of the rule that decided."""
        return self._deciding.main_number() if self._deciding else ("", "")

    def held_against(self) -> str:
        """Say what that is held against."""
        return self._deciding.held_against() if self._deciding else ""

    def limits(self) -> str:
        """Say that, and beyond what its pass excludes harm."""
        return self._deciding.limits() if self._deciding else ""

    def interval(self) -> str:
        """Give its interval."""
        return self._deciding.interval() if self._deciding else ""

    def limit(self, value: float) -> str:
        """Write its limit."""
        return self._deciding.limit(value) if self._deciding else ""

    def other_limit(self) -> str:
        """Say which other limit of it would do."""
        return self._deciding.other_limit() if self._deciding else ""

"""The open registry of rules: each has its settings, its finding, and its test, which takes rows and gives columns."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from canaryjudge.errors import DataError
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, EvidenceRows, LimitRows, weigh_rows, weigh_with
from canaryjudge.rules.findings import UNSAID, Finding, build_rows
from canaryjudge.rules.rows import BoolArray, Pair, Rows
from canaryjudge.rules.settings import RuleSettings

__all__ = [
    "RULES",
    "Asking",
    "Columns",
    "Rule",
    "answered",
    "find",
    "in_batches",
    "in_order",
    "judge_pair",
    "judge_pairs",
    "per_pair",
    "read_finding",
    "rule",
]

_Found = TypeVar("_Found")

Judge = Callable[[Rows, Any, "Columns"], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: the settings that a policy gives it, what it finds, and its test."""

    settings: type[RuleSettings]
    finding: type[Finding]
    judge: Judge


RULES: Final[dict[str, Rule]] = {}
"""Each rule by its name in a policy."""


def rule(settings: type[RuleSettings], finding: type[Finding]) -> Callable[[Judge], Judge]:
    """Register the test of a rule."""

    def register(judge: Judge) -> Judge:
        RULES[settings.model_fields["rule"].default] = Rule(settings, finding, judge)
        return judge

    return register


def in_order(*modules: ModuleType) -> None:
    """Put the rules into the order of their modules, in which users are told of them."""
    for module in modules:
        for name in [name for name, known in RULES.items() if known.judge.__module__ == module.__name__]:
            RULES[name] = RULES.pop(name)


class Columns:
    """What a rule finds of rows, column by column; every row is settled once.

    A column is one value for all rows, an array or a list with an entry for each row, or one with an entry for each row that is still open.

    Attributes
    ----------
    open : ndarray of bool, shape (rows,)
        Rows that are not settled yet.
    """

    def __init__(self, rows: Rows, settings: RuleSettings) -> None:
        self.columns: dict[str, list[Any]] = {}
        self._settings = settings
        self.open = np.ones(len(rows), dtype=np.bool_)
        self.put(
            rule=settings.rule,
            level=rows.rates.level,
            beta=rows.rates.beta,
            n_baseline=rows.baseline.points,
            n_canary=rows.canary.points,
        )

    def put(self, **columns: Any) -> None:
        """Note columns of the rows that are still open."""
        self._write(self.open, columns)

    def settle(self, rows: BoolArray, outcome: Outcome, reason: Reason, **columns: Any) -> None:
        """Settle those of the open rows for which something holds, given for all rows."""
        chosen = self.open & rows
        self._write(chosen, {"method": "none", "outcome": outcome, "reason": reason, **columns})
        self.open = self.open & ~chosen

    def zones(
        self,
        asked: Rows,
        limits: LimitRows,
        evidence: EvidenceRows,
        siblings: Sequence[Evidence | None],
    ) -> None:
        """Settle the open rows, one entry a row: proven worse than tolerated, proven no worse, or neither yet."""
        points = asked.fewest
        places = np.flatnonzero(self.open)
        self.conclude(**weigh_rows(evidence, limits, asked.rates, points))
        for row, (place, replicas) in enumerate(zip(places.tolist(), siblings, strict=True)):
            if replicas is not None:
                own = limits.row(row)
                self._update(place, weigh_with(replicas, evidence.row(row, own), own, asked.rates, points))

    def conclude(self, **columns: Any) -> None:
        """Settle the open rows by columns."""
        self.put(**columns)
        self.open = np.zeros_like(self.open)

    def take(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Settle the open rows, each with fields of its own."""
        for place, fields in zip(np.flatnonzero(self.open).tolist(), found, strict=True):
            self._update(place, fields)
        self.open = np.zeros_like(self.open)

    def take_from(self, others: Sequence[Columns], which: NDArray[np.intp]) -> None:
        """Settle the open rows by what was found of them in several ways, of each in one of these."""
        columns: dict[str, Any] = {}
        for name in dict.fromkeys(name for other in others for name in other.columns):
            ways = [other.columns.get(name) or [UNSAID] * len(other) for other in others]
            columns[name] = [ways[way][row] for row, way in enumerate(which.tolist())]
        self.conclude(**columns)

    def part(self, rows: BoolArray, whole: Rows, judge: Callable[[Rows, Columns], None]) -> None:
        """Let some of the rows, all of which are open, be judged in a way of their own."""
        if rows.all():
            judge(whole, self)
        elif rows.any():
            found = Columns(whole[rows], self._settings)
            judge(whole[rows], found)
            for index, place in enumerate(np.flatnonzero(rows).tolist()):
                self._update(place, found.fields(index))
            self.open = self.open & ~rows

    def are(self, outcome: Outcome) -> BoolArray:
        """Tell which rows have been settled so."""
        return np.array([found is outcome for found in self.columns.get("outcome", [None] * len(self))])

    def revise(self, rows: BoolArray, **columns: Any) -> None:
        """Change columns of rows, settled or not."""
        self._write(rows, columns)

    def __len__(self) -> int:
        return len(self.open)

    def told(self, name: str) -> list[Any]:
        """Give what a column says of each row, None where nothing."""
        return [None if value is UNSAID else value for value in self.columns.get(name, [None] * len(self))]

    def _write(self, chosen: BoolArray, columns: Mapping[str, Any]) -> None:
        places = None if chosen.all() else np.flatnonzero(chosen).tolist()
        count = len(self) if places is None else len(places)
        for name, column in columns.items():
            values = column.tolist() if isinstance(column, np.ndarray) else column
            if not isinstance(column, np.ndarray | list):
                values = [column] * count
            elif places is not None and len(values) == len(self) != count:
                values = [values[place] for place in places]
            if places is None and len(values) == count:
                self.columns[name] = values
                continue
            own = self._column(name)
            for place, value in zip(range(count) if places is None else places, values, strict=True):
                own[place] = value

    def _update(self, place: int, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            self._column(name)[place] = value

    def _column(self, name: str) -> list[Any]:
        if name not in self.columns:
            self.columns[name] = [UNSAID] * len(self)
        return self.columns[name]

    def fields(self, index: int) -> dict[str, Any]:
        """Give what was found of one row."""
        found = {name: column[index] for name, column in self.columns.items()}
        return {name: value for name, value in found.items() if value is not UNSAID}

    def findings(self) -> list[Finding]:
        """Give the findings, one a row."""
        return build_rows(RULES[self._settings.rule].finding, self.columns, len(self))


def per_pair(function: Callable[[Pair, Any], Mapping[str, Any]]) -> Judge:
    """Make a test of rows of one that takes pairs one by one and gives the fields of a finding."""

    def judge(rows: Rows, settings: Any, found: Columns) -> None:
        found.take([function(pair, settings) for pair in rows])

    judge.__doc__, judge.__module__ = function.__doc__, function.__module__
    return judge


def find(rows: Rows, settings: RuleSettings) -> Columns:
    """Judge rows by a rule."""
    found = Columns(rows, settings)
    RULES[settings.rule].judge(rows, settings, found)
    return found


def in_batches(pairs: Sequence[Pair], function: Callable[[Rows], Sequence[_Found]]) -> list[_Found]:
    """Call a function of rows, which gives one thing a row, for pairs: those of one shape of which the same is asked together."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, pair in enumerate(pairs):
        alike.setdefault(pair.likeness, []).append(index)
    found: dict[int, _Found] = {}
    for places in alike.values():
        rows = Rows.of([pairs[place] for place in places])
        found |= zip(places, function(rows), strict=True)
    return [found[index] for index in range(len(pairs))]


def judge_pairs(pairs: Sequence[Pair], settings: RuleSettings) -> list[Finding]:
    """Judge pairs by a rule."""
    return in_batches(pairs, lambda rows: find(rows, settings).findings())


def judge_pair(pair: Pair, settings: RuleSettings) -> Finding:
    """Judge one pair by a rule."""
    return judge_pairs([pair], settings)[0]


Asking: TypeAlias = Generator[tuple[Pair, RuleSettings], Finding, None]
"""Something under way that asks rules about pairs, and goes on with what they find."""


def answered(askings: Sequence[Asking]) -> None:
    """Let many that ask go on together, each to its end: what they ask of one rule at a time is judged at once.

    Raises
    ------
    DataError
        What is wrong with a pair, as the one that asked about it lets it pass.
    """
    asked: dict[int, tuple[Pair, RuleSettings]] = {}
    for place, asking in enumerate(askings):
        if (first := next(asking, None)) is not None:
            asked[place] = first
    while asked:
        by_rule: dict[RuleSettings, list[int]] = {}
        for place, (_, settings) in asked.items():
            by_rule.setdefault(settings, []).append(place)
        for settings, places in by_rule.items():
            try:
                found = judge_pairs([asked[place][0] for place in places], settings)
            except DataError:
                found = [_answered_alone(askings[place], *asked[place]) for place in places]
            for place, own in zip(places, found, strict=True):
                try:
                    asked[place] = askings[place].send(own)
                except StopIteration:
                    del asked[place]


def _answered_alone(asking: Asking, pair: Pair, settings: RuleSettings) -> Finding:
    try:
        return judge_pair(pair, settings)
    except DataError as error:
        asking.throw(error)  # who asked says of what it is
        raise


def read_finding(fields: Mapping[str, Any]) -> Finding:
    """Read a finding from its fields, by its rule."""
    return RULES[fields["rule"]].finding.model_validate(fields)

"""Where in a PromQL query the series are chosen, and those of which arm, so that one query can ask for either."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from canaryjudge.integrations.bounds import AllowedRange
from canaryjudge.policy.promql import PromqlPart, Token, number_of, parse_promql, tokens
from canaryjudge.policy.query import SELECTOR

__all__ = [
    "ArmComparison",
    "ArmName",
    "Matcher",
    "add_selector",
    "arm_of",
    "arms_in",
    "arms_in_words",
    "compared_arms",
    "matchers",
    "on_one_line",
    "replace_matchers",
]

ArmName = Literal["baseline", "canary", ""]
_WORDS: Final = frozenset(("and", "or", "unless", "offset", "bool", "inf", "nan", "atan2", "start", "end"))
_GROUPINGS: Final = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))
_ARM_WORDS: Final[dict[str, ArmName]] = {
    **dict.fromkeys(("canary", "candidate", "preview", "experiment"), "canary"),
    **dict.fromkeys(("stable", "baseline", "primary", "control", "active"), "baseline"),
}
_COMMON: Final = ("active", "control", "experiment", "preview")
"""Words that name an arm where a label chooses it, and much else elsewhere."""
_WORD: Final = re.compile(r"[a-z]+")
_OTHER: Final[dict[str, ArmName]] = {"canary": "baseline", "baseline": "canary"}
_NOTHING: Final = ("", "^$", "false", "no", "0")
_ANYTHING: Final = (".+", "^.+$", "true", "yes", "1")


@dataclass(frozen=True, slots=True)
class Matcher:
    """A label matcher: where it stands, its label, operator and quoted value."""

    start: int
    end: int
    label: str
    operator: str
    quoted: str
    choice: int = 0  # of which braces it is one, counted from the first

    @property
    def value(self) -> str:
        """What stands between the quotes."""
        return self.quoted[1:-1]

    @property
    def text(self) -> str:
        """The whole, as it is written."""
        return f"{self.label}{self.operator}{self.quoted}"

    def with_value(self, value: str) -> str:
        """Write it with another value."""
        mark = self.quoted[0]
        return f"{self.label}{self.operator}{mark}{value}{mark}"


@lru_cache(maxsize=8)
def matchers(query: str) -> tuple[Matcher, ...]:
    """Return all label matchers of a query.

    Examples
    --------
    >>> [(each.label, each.operator, each.value) for each in matchers('sum(rate(a{b="c", d=~"e.*"}[1m])) by (b)')]
    [('b', '=', 'c'), ('d', '=~', 'e.*')]
    """
    read = tokens(query)
    found: list[Matcher] = []
    inside = choice = 0
    for index, token in enumerate(read):
        if token.kind == "mark":
            choice += token.text == "{" and not inside
            inside += {"{": 1, "}": -1}.get(token.text, 0)
        if inside and token.kind == "name" and index + 2 < len(read):
            operator, value = read[index + 1 : index + 3]
            if operator.text in ("=", "!=", "=~", "!~") and value.kind == "text":
                end = value.at + len(value.text)
                found.append(Matcher(token.at, end, token.text, operator.text, value.text, choice))
    return tuple(found)


def replace_matchers(query: str, chosen: Sequence[Matcher]) -> str:
    """Put ``${selector}`` in place of some matchers.

    Examples
    --------
    >>> query = 'a{b="c",d="e"} / a{d="e"}'
    >>> replace_matchers(query, [each for each in matchers(query) if each.label == "d"])
    'a{b="c",${selector}} / a{${selector}}'
    """
    return _spliced(query, [(each.start, each.end, SELECTOR) for each in chosen])


def _spliced(query: str, pieces: Iterable[tuple[int, int, str]]) -> str:
    """Put texts in place of what stands between two places each, from the first to the last."""
    parts, done = [], 0
    for start, end, text in sorted(pieces):
        parts += [query[done:start], text]
        done = end
    return "".join([*parts, query[done:]])


def on_one_line(query: str) -> str:
    r"""Write a query on one line, where no comment and no raw text needs its lines.

    Examples
    --------
    >>> on_one_line("sum(\n  up\n)\n")
    'sum( up )'
    """
    return (
        query.strip()
        if "#" in query or "`" in query
        else " ".join(line.strip() for line in query.strip().splitlines())
    )


def add_selector(query: str) -> str | None:
    """Put ``${selector}`` into every choice of series; None where nothing is chosen, or the query cannot be read.

    Examples
    --------
    >>> add_selector('sum(rate(a{b="c"}[1m])) / sum by (le) (d)')
    'sum(rate(a{${selector},b="c"}[1m])) / sum by (le) (d{${selector}})'
    """
    read = tokens(query)
    places = [*_places(read)]
    if not places or query.count("{") != query.count("}"):
        return None
    return _spliced(query, [(at, at, text) for at, text in places])


def _places(read: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """Find where the selector goes: into braces that are there, or into new ones behind a metric's name."""
    braces, lists = 0, 0  # depths of {} and of the parentheses that hold labels
    for index, token in enumerate(read):
        before = read[index - 1].text.lower() if index else ""
        after = read[index + 1].text if index + 1 < len(read) else ""
        if token.text == "{":
            braces += 1
            yield token.at + 1, SELECTOR + ("" if after == "}" else ",")
        elif token.text == "}":
            braces -= 1
        elif token.text == "(" and (lists or before in _GROUPINGS):
            lists += 1
        elif token.text == ")" and lists:
            lists -= 1
        elif token.kind == "name" and not braces and not lists:
            word = token.text.lower()
            if (
                after not in ("(", "{")
                and word not in _WORDS
                and word not in _GROUPINGS
                and not _aggregates(read, index)
            ):
                yield token.at + len(token.text), f"{{{SELECTOR}}}"


def _aggregates(read: Sequence[Token], index: int) -> bool:
    """Return whether a name is that of an aggregation, as in ``sum by (le) (...)``."""
    after = read[index + 1].text.lower() if index + 1 < len(read) else ""
    return after in ("by", "without")


def arm_of(matcher: Matcher) -> ArmName:
    """Return which arm a matcher chooses, as far as its words say that; nothing where they do not.

    Examples
    --------
    >>> [arm_of(each) for each in matchers('a{canary!="",track="stable",version!="canary",job="shop"}')]
    ['canary', 'baseline', 'baseline', '']
    """
    value = matcher.value.lower()
    arm: ArmName = ""
    if "canary" in matcher.label.lower() and value in (*_NOTHING, *_ANYTHING):
        arm = "baseline" if value in _NOTHING else "canary"
    else:
        named = {_ARM_WORDS[word] for word in _WORD.findall(value) if word in _ARM_WORDS}
        if len(named) == 1:
            arm = "canary" if "canary" in named else "baseline"
    return _OTHER[arm] if arm and matcher.operator in ("!=", "!~") else arm


def arms_in(query: str, arm: Callable[[Matcher], ArmName]) -> set[ArmName]:
    """Return which arms a query asks for; a choice of series whose words name both says nothing of arms.

    Examples
    --------
    >>> sorted(arms_in('a{track="canary"} / a{track="stable"}', arm_of)), arms_in('a{ns="canary",role="primary"}', arm_of)
    (['baseline', 'canary'], set())
    """
    chosen: dict[int, set[ArmName]] = {}
    for each in matchers(query):
        if named := arm(each):
            chosen.setdefault(each.choice, set()).add(named)
    for choice, words in _arms_in_names(query):
        chosen.setdefault(choice, set()).update(words)
    return {next(iter(arms)) for arms in chosen.values() if len(arms) == 1}


@lru_cache(maxsize=8)
def _arms_in_names(query: str) -> tuple[tuple[int, frozenset[ArmName]], ...]:
    """Give the arms in the names of series, as a recording rule may have one, with the number of the choice; one of its own where nothing is chosen."""
    read, choice, inside = tokens(query), 0, 0
    found = []
    for index, token in enumerate(read):
        choice += token.text == "{" and not inside
        inside += {"{": 1, "}": -1}.get(token.text, 0)
        after = read[index + 1].text if index + 1 < len(read) else ""
        if token.kind == "name" and not inside and after != "(":
            of = choice + 1 if after == "{" else -index - 1
            if words := arms_in_words(token.text):
                found.append((of, frozenset(words)))
    return tuple(found)


def arms_in_words(text: str) -> set[ArmName]:
    """Return which arms a text of any language names, as ``app.canary.p99`` does.

    Examples
    --------
    >>> sorted(arms_in_words("divideSeries(app.canary.p99, app.stable.p99)")), arms_in_words("active_users")
    (['baseline', 'canary'], set())
    """
    return {
        _ARM_WORDS[word] for word in _WORD.findall(text.lower()) if word in _ARM_WORDS and word not in _COMMON
    }


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """A query that compares the arms by itself.

    Attributes
    ----------
    query : str
        What it asks of each arm, with ``${selector}``.
    canary, baseline : str
        The matchers that choose the arms.
    relative : bool
        Whether it gives a ratio of both, or the difference of both otherwise.
    inverse : bool
        Whether the ratio is that of the baseline to the canary.
    scale, offset : float
        By what that is multiplied, and what is added to it then.
    """

    query: str
    canary: str
    baseline: str
    relative: bool
    inverse: bool = False
    scale: float = 1.0
    offset: float = 0.0

    def change(self, bounds: AllowedRange) -> AllowedRange | None:
        """Turn what its answer may be into how much the canary may differ, relative to the baseline or not; None where nothing can meet it.

        Examples
        --------
            >>> from canaryjudge.integrations.bounds import Edge
        >>> found = compared_arms('a{v="canary"} / a{v="stable"}', arm_of)
            >>> found.query, found.change(AllowedRange(high=Edge(1.5)))
            ('a{${selector}}', AllowedRange(low=None, high=Edge(value=0.5, strict=False)))
        """
        low, high = bounds.low, bounds.high
        ends = [
            None if end is None else replace(end, value=(end.value - self.offset) / self.scale)
            for end in (low, high)
        ]
        low, high = ends if self.scale > 0 else reversed(ends)
        if not self.relative:
            return AllowedRange(low, high)
        if high is not None and high.value <= 0:
            return None
        low = None if low is None or low.value <= 0 else low
        if self.inverse:
            low, high = (None if end is None else replace(end, value=1 / end.value) for end in (high, low))
        return AllowedRange(
            *(None if end is None else replace(end, value=round(end.value - 1, 12)) for end in (low, high))
        )


def compared_arms(query: str, arm: Callable[[Matcher], ArmName]) -> ArmComparison | None:
    """Read a query as a ratio, a difference or a relative difference of one thing asked of both arms; None where it is none."""
    tree = parse_promql(query)
    return None if tree is None else _compared(tree, query, arm)


def _compared(tree: PromqlPart, query: str, arm: Callable[[Matcher], ArmName]) -> ArmComparison | None:
    if tree.kind != "operator" or len(tree.parts) != 2 or tree.name not in ("+", "-", "*", "/"):
        return None
    left, right = tree.parts
    for part, other, swapped in ((left, right, False), (right, left, True)):
        if other.kind == "number":
            found = _compared(part, query, arm)
            return None if found is None else _moved(found, tree.name, number_of(other.name), swapped=swapped)
    first, second = _half(left, query, arm), _half(right, query, arm)
    if tree.name == "/" and first is None and second is not None and second[1] == "baseline":
        inner = _compared(left, query, arm)  # (canary - baseline) / baseline
        if inner is None or inner.relative or inner.query != second[0] or inner.offset:
            return None
        return replace(inner, relative=True, offset=-inner.scale)
    if (
        first is None
        or second is None
        or first[0] != second[0]
        or {first[1], second[1]} != {"canary", "baseline"}
    ):
        return None
    canary, baseline = (first, second) if first[1] == "canary" else (second, first)
    found = ArmComparison(canary[0], canary[2], baseline[2], relative=tree.name == "/")
    if tree.name == "/":
        return replace(found, inverse=first is baseline)
    return replace(found, scale=1.0 if first is canary else -1.0) if tree.name == "-" else None


def _moved(found: ArmComparison, operator: str, by: float, *, swapped: bool) -> ArmComparison | None:
    """Multiply a comparison by a number, or add one to it."""
    if operator == "*" and by:
        return replace(found, scale=found.scale * by, offset=found.offset * by)
    if operator == "/" and by and not swapped:
        return replace(found, scale=found.scale / by, offset=found.offset / by)
    if operator == "+":
        return replace(found, offset=found.offset + by)
    if operator == "-" and not swapped:
        return replace(found, offset=found.offset - by)
    if operator == "-":
        return replace(found, scale=-found.scale, offset=by - found.offset)
    return None


def _half(part: PromqlPart, query: str, arm: Callable[[Matcher], ArmName]) -> tuple[str, ArmName, str] | None:
    """Return a part with ``${selector}`` where it chooses an arm, which arm that is, and by what; None where it does not choose one."""
    text = query[part.start : part.end]
    ours = [each for each in matchers(text) if arm(each)]
    if len({(each.text, arm(each)) for each in ours}) != 1:
        return None
    return " ".join(replace_matchers(text, ours).split()), arm(ours[0]), ours[0].text

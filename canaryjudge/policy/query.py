"""Where a metric's data come from: the queries of a policy, and what they have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Protocol

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS, KindName
from canaryjudge.limits import QUERY_CHARACTERS
from canaryjudge.quantities import shown
from canaryjudge.settings import Duration, Path, PolicyModel, Problem

__all__ = [
    "ARM",
    "MOST_STEPS",
    "RELEASE_NAMES",
    "SELECTOR",
    "Prometheus",
    "Query",
    "filled",
    "history_of",
    "query_problems",
    "selector_of",
    "selector_problem",
    "timing",
    "timing_problem",
]

SELECTOR: Final = "${selector}"
"""What stands in a query for the arm's selector."""
RELEASE_NAMES: Final = ("service", "revision", "stable")
"""What a selector may ask for as ${name}: a gate knows it of each release, and of the version that it is compared with."""
ARM: Final = "${arm}"
"""What stands in a selector for the arm's name."""
MOST_STEPS: Final = 11_000
"""So many steps of a series Prometheus answers at once."""
_STEP: Final = 60.0
_WINDOW: Final = 1800.0
_HISTORY: Final = 21600.0
_WINDOWS: Final = 8
"""Fewer windows do not tell by how much they differ."""
_LABEL: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"

_PLACEHOLDER: Final = re.compile(r"\$\{[^{}\"']*\}?|\$[A-Za-z_]\w*")
_TEXT: Final = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`')
_RATE: Final = re.compile(r"\b(?:rate|irate|increase|delta|idelta|deriv)\s*\(")
_COUNTER: Final = re.compile(r"\w_(?:total|bucket)\s*\{")
_AGGREGATION: Final = re.compile(r"\b(?:sum|avg|min|max|count)\s*(?:\(|by\b|without\b)")
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_BRACKET: Final = re.compile(r"[()\[\]{}]")
_NAME: Final = re.compile(r"[^\"'`\\\x00-\x1f\x7f]*")
"""What may stand in quotation marks of any kind, and stays what it is."""
_MATCHER: Final = re.compile(r"(?:\"\"|[\w.:]+)\s*(?:=~|!~|!=|=(?!=))")
_BY: Final = re.compile(r"\bby\s*\(([^()]*)\)")


class _QueriedMetric(Protocol):
    @property
    def kind(self) -> KindName: ...
    @property
    def counter(self) -> bool: ...


def _promql(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text; put it in quotes")  # noqa: TRY004 - pydantic wants ValueError
    if not value.strip():
        raise ValueError("is empty; write PromQL, or leave the key out")
    if len(value) > QUERY_CHARACTERS:
        raise ValueError(f"is longer than {QUERY_CHARACTERS:,} characters; take a recording rule")
    return value.strip()


def _label(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_LABEL, value):
        raise ValueError(f"{shown(value)} is not the name of a label; write it like instance or pod")
    return value


Promql = Annotated[
    str,
    BeforeValidator(_promql),
    WithJsonSchema({"type": "string", "pattern": r"\S", "maxLength": QUERY_CHARACTERS}),
]
"""A query or a part of one; what it means is for the server to say."""


class Prometheus(PolicyModel):
    """What the queries of all metrics have in common, unless one says otherwise."""

    baseline: Promql | None = None
    """Label selectors of the baseline, put where a query says `${selector}`: `version="1.4"`. `${arm}` in them stands for the arm's name: `version="${arm}"`. The command line may give them instead."""
    canary: Promql | None = None
    """Label selectors of the canary: `version="1.5"`; of several canaries, of each by its name: `ring="${arm}"`."""
    step: Duration | None = None
    """The time between two points: `15s`. No shorter than the scrape interval; `1m` where left out."""
    window: Duration | None = None
    """How far back the data are fetched: `1h`. `30m` where left out."""
    history: Duration | Literal["none"] | None = None
    """How much of the baseline's past before that is fetched as well, to tell how much the service differs from itself: `24h`. `6h` where left out, or eight windows if that is
    longer; `none` fetches none."""

    def _contradictions(self) -> Iterator[Problem]:
        yield from _selector_problems(self)
        if problem := timing_problem(*timing(None, self)):
            yield problem._replace(path=("step" if self.step is not None else "window",))


class Query(PolicyModel):
    """The PromQL that gives a metric's data; `${selector}` in it stands for the arm's label selectors."""

    value: Promql
    """The metric itself: the events of a ratio, the buckets of a histogram (`..._bucket`, or a native histogram)."""
    total: Promql | None = None
    """Of ratios, what `value` is a part of; of counts, their exposure."""
    baseline: Promql | None = None
    """What stands for `${selector}` in the baseline's query, in place of the policy's `prometheus.baseline`."""
    canary: Promql | None = None
    """What stands for `${selector}` in the canary's query, in place of `prometheus.canary`."""
    step: Duration | None = None
    """The time between two points of this metric, in place of `prometheus.step`."""
    window: Duration | None = None
    """How far back this metric's data are fetched, in place of `prometheus.window`."""
    replica: Annotated[
        str, BeforeValidator(_label), WithJsonSchema({"type": "string", "pattern": _LABEL})
    ] = "instance"
    """The label that tells an arm's replicas apart."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"value": value} if isinstance(value, str) else value

    def _contradictions(self) -> Iterator[Problem]:
        for name, text in self.texts().items():
            if SELECTOR not in text:
                advice = "Write ${selector} between the braces, as in requests_total{${selector}}."
                yield Problem(
                    (name,), f"the query has no {SELECTOR}: both arms would be the same data", advice
                )
            yield from _unknown_placeholders(text, (name,), (SELECTOR,))
        yield from _selector_problems(self)

    def texts(self) -> dict[str, str]:
        """Give what is asked, by the name of the column that it fills."""
        return {"value": self.value} if self.total is None else {"value": self.value, "total": self.total}

    def misfits(self, metric: _QueriedMetric) -> Iterator[Problem]:
        """Find what does not fit the metric; paths start at the query."""
        if KINDS[metric.kind].is_share and self.total is None:
            yield Problem((), "the query of a ratio needs a total", "Write {value: ..., total: ...}.")
        if self.total is not None and not KINDS[metric.kind].counts_events:
            advice = "Leave it out, or set kind: ratio."
            yield Problem(
                ("total",), f"a total is for ratios and counts, and not for a {metric.kind}", advice
            )
        for name, text in self.texts().items():
            if found := self._counting_problem(_TEXT.sub('""', text), metric):
                yield Problem((name,), *found)

    def _counting_problem(self, code: str, metric: _QueriedMetric) -> tuple[str, str] | None:
        """Find a rate that would be differenced once more, a counter that would not be, or counters added up too early."""
        if not metric.counter:
            if not KINDS[metric.kind].is_measured and _COUNTER.search(code) and not _RATE.search(code):
                what = f"the query gives counters that only grow, and a {metric.kind} is of what each interval counted"
                return what, "Add counter: true to the metric."
            return None
        if _RATE.search(code):
            what = "counter: true differences the counters, and the query has done so already"
            return what, "Ask for the counters themselves, or leave counter out."
        kept = [label.strip() for labels in _BY.findall(code) for label in labels.split(",")]
        if _AGGREGATION.search(code) and self.replica not in kept:
            what = "the query adds up the counters of several replicas, so that the restart of one is lost"
            return what, f"Ask for the counters themselves, or add them up by ({self.replica})."
        return None


def timing(query: Query | None, shared: Prometheus | None) -> tuple[float, float]:
    """Give the step and the window of a query in seconds: its own, the policy's, or 1m and 30m."""
    places = [place for place in (query, shared) if place is not None]
    step = next((place.step for place in places if place.step is not None), _STEP)
    window = next((place.window for place in places if place.window is not None), _WINDOW)
    return step, window


def history_of(shared: Prometheus | None, step: float, window: float) -> float | None:
    """Give how many seconds of the past are fetched before a window: as the policy says, or six hours, or eight windows with both their ends; None for none."""
    stated = None if shared is None else shared.history
    if stated == "none":
        return None
    return max(_HISTORY, _WINDOWS * (window + step)) if stated is None else stated


def timing_problem(step: float, window: float) -> Problem | None:
    """Find what is wrong with a step and a window, in seconds."""
    if abs(step * 1000 - round(step * 1000)) > 1e-6:
        return Problem((), f"a step of {step:g}s is not whole milliseconds", "Take a step such as 15s.")
    if step > window:
        advice = "Take a shorter step or a longer window."
        return Problem((), f"the step of {step:g}s is longer than the window of {window:g}s", advice)
    if window / step > MOST_STEPS:
        what = f"a window of {window:g}s has {window / step:,.0f} steps of {step:g}s"
        return Problem(
            (), f"{what}, and Prometheus answers {MOST_STEPS:,}", "Take a longer step or a shorter window."
        )
    return None


def query_problems(query: Query | None, shared: Prometheus | None) -> Iterator[Problem]:
    """Find what is wrong with a query beside what all queries have in common; paths start at the query."""
    if query is None or (query.step is None and query.window is None):
        return
    if problem := timing_problem(*timing(query, shared)):
        yield problem._replace(path=("step" if query.step is not None else "window",))


def _selector_problems(place: Prometheus | Query) -> Iterator[Problem]:
    for name, selector in (("baseline", place.baseline), ("canary", place.canary)):
        if selector is not None:
            if SELECTOR in selector:
                advice = "Write the label selectors that it stands for."
                yield Problem((name,), f"the selector has {SELECTOR} in it, which it replaces", advice)
            if problem := selector_problem(selector):
                yield problem._replace(path=(name,))
            yield from _unknown_placeholders(selector.replace(SELECTOR, ""), (name,), _IN_SELECTORS)
    if place.baseline is not None and place.baseline == place.canary and ARM not in place.baseline:
        advice = "Name a label that differs, such as the version."
        yield Problem(("canary",), "both arms have the same selector, so they would be the same data", advice)


def selector_problem(selector: str) -> Problem | None:
    """Find what makes more of a selector than one: the name of a release that is put into it may not end the text, or the braces, that it stands in.

    Examples
    --------
    >>> selector_problem('version="1.5"'), selector_problem("avg(new_load)")
    (None, None)
    >>> selector_problem('version="1.5"} or vector(0) or x{version=""').message
    'the selector has more in it than label matchers'
    """
    bare = _TEXT.sub('""', selector).strip()
    what = ""
    if any(mark in bare.replace('""', "") for mark in "\"'`#"):
        what = "has a quotation mark that is never closed, or a comment"
    elif bare.startswith("{") or _MATCHER.match(bare):
        inside = bare[1:-1] if bare.startswith("{") and bare.endswith("}") else bare
        what = "has more in it than label matchers" if _BRACKET.search(inside) else ""
    elif not _is_balanced(bare):
        what = "has brackets that do not belong together"
    advice = 'Write label matchers, such as version="1.5", and put no text into them that nobody checked.'
    return Problem((), f"the selector {what}", advice) if what else None


def _is_balanced(text: str) -> bool:
    opened: list[str] = []
    for mark in _BRACKET.findall(text):
        if mark in _CLOSING:
            opened.append(_CLOSING[mark])
        elif not opened or opened.pop() != mark:
            return False
    return not opened


_IN_SELECTORS: Final = (ARM, *(f"${{{name}}}" for name in RELEASE_NAMES))


def filled(selector: str, names: Mapping[str, str]) -> tuple[str, Problem | None]:
    """Put the names of a release into a selector; and find what it asks for that nobody says, or what they make of it.

    Examples
    --------
    >>> filled('app="checkout",version="${revision}"', {"revision": "1.5"})
    ('app="checkout",version="1.5"', None)
    >>> filled('version="${stable}"', {"revision": "1.5"})[1].message
    'the selector asks for ${stable}, and nothing says what that is'
    """
    for name in RELEASE_NAMES:
        mark = f"${{{name}}}"
        if mark in selector:
            if name not in names:
                advice = "A gate is told it with ?stable=REVISION; a command is given --baseline-selector and --canary-selector."
                return selector, Problem(
                    (), f"the selector asks for {mark}, and nothing says what that is", advice
                )
            selector = selector.replace(mark, names[name])
    return selector, selector_problem(selector)


def selector_of(text: str, arm: str) -> str:
    """Put the name of an arm into its label selectors, where they have a place for it.

    Examples
    --------
    >>> selector_of('ring="${arm}",job="cart"', "beta")
    'ring="beta",job="cart"'
    """
    if ARM in text and not _NAME.fullmatch(arm):
        raise DataError(
            f"the arm {arm!r} has quotation marks, a backslash or a line break in its name, which cannot stand for {ARM}",
            "Write its selector out, with --baseline-selector or --canary-selector.",
        )
    return text.replace(ARM, arm)


def _unknown_placeholders(text: str, path: Path, known: tuple[str, ...]) -> Iterator[Problem]:
    for found in dict.fromkeys(_PLACEHOLDER.findall(text)):
        if found not in known:
            advice = (
                f"{SELECTOR} is the only placeholder"
                if known == (SELECTOR,)
                else f"In a selector {ARM} is the arm's name, and a gate may be asked for {', '.join(known[1:])}"
            )
            yield Problem(
                path, f"unknown placeholder {shown(found)}", f"{advice}; write durations out, such as [1m]."
            )

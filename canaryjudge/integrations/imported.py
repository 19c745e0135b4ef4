"""What an importer gives: metrics with their rules, a policy file, and an account of what became of every part of what it read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Final, Literal

from canaryjudge.errors import PolicyError
from canaryjudge.limits import CONVERTED_METRICS, DOCUMENT_CHARACTERS
from canaryjudge.policy import Metric, Policy, parse_policy
from canaryjudge.policy.doubts import unprovable
from canaryjudge.policy.promql import made_up
from canaryjudge.texts import on_one_line, visible

__all__ = [
    "Account",
    "Imported",
    "NotJudgedError",
    "Remark",
    "RemarkKind",
    "about_made_up",
    "abridged",
    "fitting",
    "imported",
    "judged",
    "texts_in",
    "watched_for",
    "with_own_names",
]

_LONGEST: Final = 200
_SHORTEST_WATCH: Final = 1800.0
"""Seconds: a gauge with a point a minute has thirty by then, which are enough to plan looks at."""
_UNTOLD_WATCH: Final = 3600.0

RemarkKind = Literal["taken", "note", "no_effect", "adapted", "unjudged"]


@dataclass(frozen=True, slots=True)
class Remark:
    """What became of one part of what was read.

    Attributes
    ----------
    kind : {"taken", "note", "no_effect", "adapted", "unjudged"}
        Judged as it stands; something to know; understood, but without a part in a verdict; judged, but not quite as it stands; not judged.
    document : str
        The file and place, and the name of what stands there.
    place : str
        Where in it, as in ``spec.objectives[0]``.
    what : str
        What it is about.
    why : str
        What became of it, and why.
    """

    kind: RemarkKind
    document: str
    place: str
    what: str
    why: str

    def __str__(self) -> str:
        where = f"{self.document}: {self.place}" if self.place else self.document
        return on_one_line(f"{self.kind.replace('_', ' ')}: {where}: {self.what}: {self.why}")


@dataclass(slots=True)
class Account:
    """What became of every part, as it is found out."""

    remarks: list[Remark] = field(default_factory=list)
    asked: int = 0
    """How many metrics have been asked for."""

    def say(self, kind: RemarkKind, document: str, place: str, what: str, why: str) -> None:
        """Add a remark."""
        self.remarks.append(Remark(kind, document, place, what, why))


class NotJudgedError(Exception):
    """A metric cannot be judged: what about it, and why; `judged` makes a remark of it."""

    def __init__(self, what: str, why: str) -> None:
        self.what, self.why = what, why
        super().__init__(what, why)


def judged(
    account: Account, document: str, place: str, make: Callable[[Callable[..., None]], dict[str, Any]]
) -> dict[str, Any] | None:
    """Make the settings of a metric, and keep the account of it."""
    account.asked += 1
    if account.asked > CONVERTED_METRICS:
        raise PolicyError(
            f"more than {CONVERTED_METRICS:,} metrics are asked for", "Give fewer documents at once."
        )
    said: list[tuple[RemarkKind, str, str]] = []

    def say(kind: RemarkKind, what: str, why: str) -> None:
        said.append((kind, what, why))

    settings: dict[str, Any] | None
    try:
        settings = make(say)
    except NotJudgedError as gap:
        settings, said = None, [("unjudged", gap.what, gap.why)]
    for kind, what, why in said:
        account.say(kind, document, place, what, why)
    return settings


def fitting(settings: dict[str, Any], say: Callable[..., None]) -> dict[str, Any]:
    """Leave out a query that a policy refuses, and say so."""
    bare = {key: value for key, value in settings.items() if key not in ("query", "counter")}
    try:
        Metric(**settings)
    except PolicyError as error:
        why = " ".join(error.message.split())
        if "query" not in settings:
            raise NotJudgedError("the metric", f"no policy can have it: {why}") from None
        say("adapted", "query", f"it is left out: {why}")
        return fitting(bare, say)
    return settings


def texts_in(value: Any) -> Iterator[str]:
    """Give all texts of what a document says, such as the parts of a query.

    Examples
    --------
    >>> [*texts_in({"queries": [{"a": "up"}], "step": 5})]
    ['up']
    """
    if isinstance(value, str):
        yield value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for part in parts:
        yield from texts_in(part)


def about_made_up(text: str, say: Callable[..., None]) -> None:
    """Say what a query puts where nothing was measured."""
    found = made_up(text)
    if found is None:
        return
    what, value = found
    if value is None:
        why = f"{what} stands in a part of it: a number takes the place of series that are missing there"
        say("note", "query", f"{why}, and an arm without any has no data all the same")
        return
    answers = "a made-up value" if math.isnan(value) else f"{value:.12g}"
    why = f"where nothing is measured it answers {answers} ({what}), so that no traffic looks like a measurement, and no pass rests on it"
    say("adapted", "query", f"{why}; leave that out, and say with no_data what an arm without data means")


def abridged(text: str) -> str:
    r"""Show a text of any length on one line.

    Examples
    --------
    >>> abridged("sum(\n  up\n)"), len(abridged("x" * 1000))
    ('sum( up )', 200)
    """
    return on_one_line(text[: 10 * _LONGEST], _LONGEST)


@dataclass(frozen=True, slots=True)
class Imported:
    """What was made of other tools' documents.

    Attributes
    ----------
    metrics : tuple of Metric
        With their rules, ready for ``Policy(metrics=...)``.
    remarks : tuple of Remark
        What became of each part, in the order of the documents.
    text : str
        The policy as a YAML file; empty where no metric could be made.
    settings : mapping
        What the documents say of the policy beside its metrics, such as ``aggregate``.
    service : str
        What is released, as far as the documents say: a gate finds the policy by it.
    server : str
        The Prometheus server that the documents name; empty where they name none, or several.
    """

    metrics: tuple[Metric, ...]
    remarks: tuple[Remark, ...]
    text: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    service: str = ""
    server: str = ""

    def of_kind(self, *kinds: str) -> tuple[Remark, ...]:
        """Return the remarks of some kinds."""
        return tuple(remark for remark in self.remarks if remark.kind in kinds)

    @property
    def unjudged(self) -> tuple[Remark, ...]:
        """What cannot be judged, and why."""
        return self.of_kind("unjudged")

    @property
    def adapted(self) -> tuple[Remark, ...]:
        """What is judged, but not quite as it stands."""
        return self.of_kind("adapted")

    def policy(self, **settings: Any) -> Policy:
        """Make a policy of the metrics.

        Parameters
        ----------
        **settings : Any
            Further settings of the `Policy`, such as ``alpha``; they win over those of the documents.

        Returns
        -------
        Policy
            The policy.

        Raises
        ------
        PolicyError
            If there are no metrics.
        """
        ended = "max_points" in settings or "stages" in settings  # a watch has one end
        kept = {key: value for key, value in self.settings.items() if not (ended and key == "max_duration")}
        return Policy(metrics=self.metrics, **{**kept, **settings})


def watched_for(
    account: Account, document: str, lasting: Iterable[float | None], whose: str
) -> dict[str, str]:
    """Say how long a release is watched, over which looks are planned: as long as the tool takes for it, in seconds, where that is known of all that it does.

    Examples
    --------
    >>> watched_for(Account(), "", [600.0, 2700.0], "the analysis"), watched_for(Account(), "", [None], "the analysis")
    ({'max_duration': '45m'}, {'max_duration': '60m'})
    """
    known = list(lasting)
    endless = not known or None in known
    seconds = (
        _UNTOLD_WATCH if endless else max(_SHORTEST_WATCH, *(each for each in known if each is not None))
    )
    told = f"{math.ceil(seconds / 60)}m"
    why = (
        f"nothing says how long {whose} takes"
        if endless
        else f"so long {whose} takes, or half an hour where that is longer"
    )
    account.say(
        "note",
        document,
        "",
        f"max_duration: {told}",
        f"{why}; a watch plans its looks over it, so write how long your canaries run at most",
    )
    return {"max_duration": told}


def imported(
    metrics: Iterable[Mapping[str, Any]],
    remarks: Iterable[Remark],
    settings: Mapping[str, Any] | None = None,
    *,
    service: str = "",
    servers: Iterable[str] = (),
) -> Imported:
    """Write a policy of plain settings, and read it back, so that what is printed is what is given."""
    beside = dict(settings or {})
    plain = {"version": 1, **beside, "metrics": [dict(metric) for metric in metrics]}
    if not plain["metrics"]:
        return Imported((), tuple(remarks), "", beside)
    if sum(map(len, texts_in(plain))) > DOCUMENT_CHARACTERS:
        raise PolicyError(
            f"the policy would have more than {DOCUMENT_CHARACTERS:,} characters",
            "Give fewer documents at once.",
        )
    text = _yaml(plain)
    found, said = parse_policy(text, "the imported policy").metrics, tuple(remarks)
    document = said[0].document if said else ""
    unproven = [
        Remark(
            "note",
            document,
            "",
            f"metric {metric.name}: objective",
            f"no amount of data proves exactly {objective}; give the least that you would bear",
        )
        for metric in found
        for objective in dict.fromkeys(unprovable(metric))
    ]
    named = set(servers)
    server = named.pop() if len(named) == 1 else ""
    return Imported(found, (*said, *unproven), text, beside, service, server)


def with_own_names(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each metric a name of its own, by a number where two have one name.

    Examples
    --------
    >>> [metric["name"] for metric in with_own_names([{"name": "cpu"}, {"name": "cpu"}])]
    ['cpu', 'cpu-2']
    """
    names: set[str] = set()
    for metric in metrics:
        name, number = metric["name"], 2
        while metric["name"] in names:
            metric["name"] = f"{name}-{number}"
            number += 1
        names.add(metric["name"])
    return metrics


def _yaml(plain: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML  # noqa: PLC0415 - only those who import pay for it

    writer = YAML(typ="rt", pure=True)
    writer.width = 10_000
    stream = StringIO()
    writer.dump(plain, stream)
    if visible(stream.getvalue()) != stream.getvalue():  # then all that is not ASCII is written as an escape
        writer.allow_unicode = False
        stream = StringIO()
        writer.dump(plain, stream)
    return stream.getvalue()

"""YAML and JSON as they were written: plain values, and where each key and each value stands.

YAML's core schema is read, with anchors and merge keys (``<<``). Nothing else is made of the text: no dates, no ``yes`` for
true, no tags, no Python objects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from canaryjudge.errors import PolicyError
from canaryjudge.limits import (
    DOCUMENT_CHARACTERS,
    DOCUMENT_DEPTH,
    DOCUMENT_DIGITS,
    DOCUMENT_VALUES,
    UNFOLDED_CHARACTERS,
)
from canaryjudge.quantities import shown
from canaryjudge.settings import Path

__all__ = ["Complaint", "Entry", "Node", "Place", "locate", "plain", "read_document", "read_documents"]

_TEXT_TAGS: Final = (None, "!", "tag:yaml.org,2002:str")
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + dot: math.inf for sign in ("", "+") for dot in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TOML: Final = re.compile(r"(?m)^[\w.-]+[ \t]*=[ \t]*\S")
"""A key with an equals sign at the beginning of a line, which YAML does not have."""
_BASED: Final = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)")


class Place(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Complaint(NamedTuple):
    """What is wrong, and where it was written."""

    place: Place
    message: str
    hint: str = ""


class Entry(NamedTuple):
    """What stands under a key of a mapping."""

    place: Place
    """Where the key stands."""
    node: Node


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands."""

    place: Place
    value: str | float | bool | list[Node] | dict[str, Entry] | None
    size: int = 1
    """How many values it holds with itself, aliases unfolded."""
    height: int = 0
    """How deeply they are nested."""
    length: int = 0
    """How many characters their texts have together."""


def read_document(text: str, name: str) -> tuple[Node, list[Complaint]]:
    """Read the one document of a text.

    Parameters
    ----------
    text : str
        YAML or JSON.
    name : str
        What to call it.

    Returns
    -------
    tuple of (Node, list of Complaint)
        The document, which is a mapping; and what is wrong in it that does not keep it from being read: keys that stand there
        twice (the first counts), tags, keys that are not text.

    Raises
    ------
    PolicyError
        If it cannot be read.

    Examples
    --------
    >>> root, _ = read_document("alpha: 1%", "policy.yaml")
    >>> plain(root), str(locate(root, ("alpha",)))
    ({'alpha': '1%'}, 'policy.yaml:1:8')
    """
    with _in_sentences(text, name):
        reader = _Reader.of(text, name, "a policy")
        roots = reader.documents(most=1)
    root = roots[0] if roots else None
    if root is None or not isinstance(root.value, dict):
        _refuse_toml(text, name)
        where = str(root.place) if root else f"{name}:1:1"
        raise PolicyError(
            f"{where}: a policy is a mapping with the key 'metrics'", "Start from docs/examples/starter.yaml."
        )
    return root, reader.complaints


def read_documents(text: str, name: str, what: str) -> tuple[list[Node], list[Complaint]]:
    r"""Read all documents of a text.

    Parameters
    ----------
    text : str
        YAML, in which documents are separated by ``---``, or JSON.
    name : str
        What to call it.
    what : str
        What it should be, for hints.

    Returns
    -------
    tuple of (list of Node, list of Complaint)
        The documents, of any shape; and what is wrong in them that does not keep them from being read.

    Raises
    ------
    PolicyError
        If one cannot be read.

    Examples
    --------
    >>> roots, _ = read_documents("kind: SLO\n---\n[1, 2]", "slo.yaml", "OpenSLO")
    >>> [plain(root) for root in roots]
    [{'kind': 'SLO'}, [1, 2]]
    """
    with _in_sentences(text, name):
        reader = _Reader.of(text, name, what)
        return reader.documents(), reader.complaints


def _refuse_toml(text: str, name: str) -> None:
    if _TOML.search(text):
        message = f"{name}: this looks like TOML, and policies are YAML or JSON"
        raise PolicyError(message, "Write it as one of these.") from None


@contextmanager
def _in_sentences(text: str, name: str) -> Iterator[None]:
    """Say where a text is not YAML."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415 - only those who load files pay for it
    from ruamel.yaml.reader import ReaderError  # noqa: PLC0415

    try:
        yield
    except PolicyError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
        problem = " ".join(str(error.problem or error.context).split())
        _refuse_toml(text, name)
        raise PolicyError(f"{where}: this is not YAML ({problem})", _advice(problem)) from None
    except ReaderError as error:
        before = text[: error.position]
        where = f"{name}:{before.count(chr(10)) + 1}:{error.position - before.rfind(chr(10))}"
        raise PolicyError(
            f"{where}: the character U+{int(error.character):04X} cannot stand in YAML", "Leave it out."
        ) from None
    except (YAMLError, ValueError) as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise PolicyError(
            f"{name}: this is not YAML ({first_line})", "Check indentation and quotes."
        ) from None


def plain(node: Node) -> Any:
    """Give the values of a node without their places."""
    if isinstance(node.value, dict):
        return {key: plain(entry.node) for key, entry in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def locate(node: Node, path: Path, *, at_key: bool = False) -> Place:
    """Find where the value at a path stands, or its key; the nearest above it where there is none."""
    place = node.place
    for part in path:
        if isinstance(node.value, dict) and part in node.value:
            key, node = node.value[str(part)]
        elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            key = node.place
        else:
            return node.place
        place = key if at_key else node.place
    return place


def _advice(problem: str) -> str:
    if "'\\t'" in problem:
        return "Indent with spaces, not tabs."
    if "cannot start any token" in problem:
        return "Put the value in quotes."
    if "another document" in problem:
        return "Keep one policy a file."
    return "Check indentation and quotes."


def _scalar(text: str) -> str | float | bool | None:
    """Read an unquoted scalar by YAML's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= DOCUMENT_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _BASED.fullmatch(text) and len(text) <= DOCUMENT_DIGITS:
        return int(text, 0)
    return text


@dataclass
class _Reader:
    """Builds nodes from the parser's events, within bounds on size and depth."""

    name: str
    events: Iterator[Any]
    what: str
    complaints: list[Complaint] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, name: str, what: str) -> _Reader:
        """Begin to read."""
        from ruamel.yaml import YAML  # noqa: PLC0415 - as in _in_sentences

        if len(text) > DOCUMENT_CHARACTERS:
            raise PolicyError(
                f"{name}: the document has more than {DOCUMENT_CHARACTERS:,} characters", f"Is it {what}?"
            )
        return cls(name, YAML(typ="safe", pure=True).parse(text.removeprefix("\ufeff")), what)

    def documents(self, most: int | None = None) -> list[Node]:
        """Read them all; more than so many are refused."""
        from ruamel.yaml.events import DocumentStartEvent  # noqa: PLC0415 - as in _in_sentences

        roots: list[Node] = []
        next(self.events)  # the start of the stream
        while isinstance(start := next(self.events), DocumentStartEvent):
            if most is not None and len(roots) >= most:
                raise PolicyError(
                    f"{self.place(start)}: a second document begins here", "Keep one policy a file."
                )
            self.anchors = {}
            roots.append(self.node(next(self.events), depth=0))
            next(self.events)  # the end of the document
        return roots

    def place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self.name, mark.line + 1, mark.column + 1)

    def node(self, event: Any, depth: int) -> Node:
        from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent  # noqa: PLC0415 - as in _in_sentences

        place = self.place(event)
        if isinstance(event, AliasEvent):
            known = self.anchors.get(event.anchor)
            if known is None:
                raise PolicyError(
                    f"{place}: the alias *{event.anchor} has no anchor before it",
                    f"Write &{event.anchor} where its value stands.",
                )
            node = Node(place, known.value, known.size, known.height, known.length)
        else:
            self.check_tag(event, place)
            if isinstance(event, ScalarEvent):
                node = Node(place, self.scalar(event, place), length=len(event.value))
            elif depth >= DOCUMENT_DEPTH:
                raise self.too_deep(place)
            elif isinstance(event, MappingStartEvent):
                node = self.mapping(place, depth)
            else:
                node = self.sequence(place, depth)
            if event.anchor is not None:
                self.anchors[event.anchor] = node
        if depth + node.height > DOCUMENT_DEPTH:
            raise self.too_deep(place)
        return node

    def too_deep(self, place: Place) -> PolicyError:
        return PolicyError(
            f"{place}: the document is nested more than {DOCUMENT_DEPTH} deep", f"Is it {self.what}?"
        )

    def check_tag(self, event: Any, place: Place) -> None:
        if event.tag not in _TEXT_TAGS:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self.complaints.append(
                Complaint(place, f"the tag {shown(tag)} is not read in {self.what}", "Leave it out.")
            )

    def scalar(self, event: Any, place: Place) -> str | float | bool | None:
        text = str(event.value)
        if event.style is None and event.tag is None:
            return _scalar(text)
        try:  # JSON writes characters beyond the first 65,536 as two halves
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.complaints.append(
                Complaint(place, "this text has half a character", "Write the character itself.")
            )
            return text.encode("utf-8", "replace").decode()

    def sequence(self, place: Place, depth: int) -> Node:
        from ruamel.yaml.events import SequenceEndEvent  # noqa: PLC0415 - as in _in_sentences

        items: list[Node] = []
        whole = Node(place, items, height=1)
        while not isinstance(event := next(self.events), SequenceEndEvent):
            item = self.node(event, depth + 1)
            whole = self.grown(whole, item)
            items.append(item)
        return whole

    def mapping(self, place: Place, depth: int) -> Node:
        from ruamel.yaml.events import MappingEndEvent, ScalarEvent  # noqa: PLC0415 - as in _in_sentences

        entries: dict[str, Entry] = {}
        merged: Entry | None = None
        whole = Node(place, entries, height=1)
        while not isinstance(event := next(self.events), MappingEndEvent):
            key_place = self.place(event)
            written = self.node(event, depth + 1)
            key = str(event.value) if isinstance(event, ScalarEvent) else written.value
            is_merge = key == "<<" and isinstance(event, ScalarEvent) and event.style is None
            value_event = next(self.events)
            value = self.node(value_event, depth + 1)
            if isinstance(value_event, ScalarEvent) and value.value is None and not value_event.value:
                end = (
                    event.end_mark
                )  # nothing was written: its place is behind the key, not at the next token
                value = Node(Place(self.name, end.line + 1, end.column + 1), None)
            whole = self.grown(whole, value, len(key) if isinstance(key, str) else 0)
            if not isinstance(key, str):
                self.complaints.append(
                    Complaint(key_place, f"{shown(key)} cannot be a key", "A key is text.")
                )
            elif is_merge and merged is None:
                merged = Entry(key_place, value)
            elif is_merge or key in entries:
                first = merged if is_merge and merged else entries[key]
                twice = f"the key {shown(key)} stands there twice, first on line {first.place.line}"
                self.complaints.append(Complaint(key_place, twice, "Leave one out."))
            else:
                entries[key] = Entry(key_place, value)
        if merged is not None:
            entries = {**self.merged(merged.node), **entries}
        return replace(whole, value=entries)

    def merged(self, node: Node) -> dict[str, Entry]:
        """Lay together what a merge key (``<<``) names; the first of several wins."""
        sources = node.value if isinstance(node.value, list) else [node]
        entries: dict[str, Entry] = {}
        for source in reversed(sources):
            if isinstance(source.value, dict):
                entries |= source.value
            else:
                self.complaints.append(
                    Complaint(
                        source.place,
                        "<< merges mappings, and this is none",
                        "Name a mapping: <<: *its_anchor.",
                    )
                )
        return entries

    def grown(self, whole: Node, item: Node, key: int = 0) -> Node:
        """Give a list or mapping with another item, under a key of so many characters: what it unfolds to is bounded."""
        size, length = whole.size + item.size, whole.length + item.length + key
        for found, most, what in (
            (size, DOCUMENT_VALUES, "values"),
            (length, UNFOLDED_CHARACTERS, "characters"),
        ):
            if found > most:
                raise PolicyError(
                    f"{item.place}: the document unfolds to more than {most:,} {what}",
                    f"Is it {self.what}?",
                )
        return Node(whole.place, whole.value, size, max(whole.height, item.height + 1), length)

"""Objects in files as Kubernetes' tools have them, YAML or JSON: read within bounds, checked, each with its place; and durations as Go writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from canaryjudge.policy.document import Complaint, Node, Place, locate, plain, read_documents
from canaryjudge.policy.loading import read_text, refusal
from canaryjudge.quantities import shown
from canaryjudge.settings import dotted, problems

if TYPE_CHECKING:
    from canaryjudge.settings import PolicyModel

__all__ = [
    "Manifest",
    "checked_model",
    "go_duration",
    "node_at",
    "read_manifests",
    "read_objects",
    "shown_duration",
    "word_at",
]

_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_LONGEST: Final = 200
_MOST: Final = 9.2e9  # seconds: what 63 bits of nanoseconds hold


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object, as it stands.

    Attributes
    ----------
    version, kind, name, namespace : str
        What it says of itself; nothing where it says nothing.
    node : Node
        All of it.
    """

    version: str
    kind: str
    name: str
    namespace: str
    node: Node

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.node.place

    @property
    def title(self) -> str:
        """How remarks call it: ``canary.yaml:1:1 Canary podinfo``."""
        return f"{self.place} {self.called}"

    @property
    def called(self) -> str:
        """How complaints, which have its place already, call it: ``Canary podinfo``."""
        return f"{self.kind} {self.name}".strip()


def read_objects(
    paths: Sequence[str | Path], text: str | None, what: str
) -> tuple[list[Node], list[Complaint]]:
    """Read all objects of files, or of a text."""
    texts = [(str(path), read_text(Path(path), what=what)) for path in paths]
    if text is not None:
        texts.append(("text", text))
    nodes: list[Node] = []
    complaints: list[Complaint] = []
    for name, content in texts:
        roots, found = read_documents(content, name, what)
        complaints += found
        nodes += [node for root in roots for node in _items(root)]
    return nodes, complaints


def _items(root: Node) -> Iterator[Node]:
    listed = node_at(root, "items")
    if isinstance(root.value, list):
        yield from root.value
    elif word_at(root, "kind") == "List" and listed is not None and isinstance(listed.value, list):
        yield from listed.value
    elif root.value is not None:  # nothing stands between two lines of ---
        yield root


def read_manifests(paths: Sequence[str | Path], text: str | None, what: str) -> list[Manifest]:
    """Read all Kubernetes objects of files, or of a text."""
    nodes, complaints = read_objects(paths, text, what)
    found: list[Manifest] = []
    for node in nodes:
        said = word_at(node, "apiVersion"), word_at(node, "kind")
        missing = [key for key, word in zip(("apiVersion", "kind"), said, strict=True) if not word]
        if not isinstance(node.value, dict):
            told = f"{shown(plain(node))} is not an object of Kubernetes"
            complaints.append(Complaint(node.place, told, f"Is it {what}?"))
        elif missing:
            told = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, so nobody knows what this is"
            complaints.append(Complaint(node.place, told, "Give the whole object, not a part of it."))
        else:
            names = word_at(node, "metadata", "name"), word_at(node, "metadata", "namespace")
            found.append(Manifest(*said, *names, node))
    if complaints:
        raise refusal(complaints)
    return found


def checked_model(
    model: type[PolicyModel], node: Node, title: str, complaints: list[Complaint], given: Any = None
) -> Any:
    """Make a model of what stands in a node, or complain about it."""
    try:
        return model.__pydantic_validator__.validate_python(plain(node) if given is None else given)
    except ValidationError as error:
        for path, message, hint, at_key in problems(model, error):
            where = dotted(path[:-1] if at_key else path)
            said = f"{title}: {where}: {message}" if where else f"{title}: {message}"
            complaints.append(Complaint(locate(node, path, at_key=at_key), said, hint))
        return None


def node_at(node: Node | None, *keys: str) -> Node | None:
    """Return what stands at some keys, one below the other; None where nothing does."""
    for key in keys:
        entry = node.value.get(key) if node is not None and isinstance(node.value, dict) else None
        node = None if entry is None else entry.node
    return node


def word_at(node: Node | None, *keys: str) -> str:
    """Return the text that stands at some keys; nothing where there is none."""
    found = node_at(node, *keys)
    return found.value if found is not None and isinstance(found.value, str) else ""


def go_duration(text: str) -> float:
    """Read a duration.

    Examples
    --------
    >>> go_duration("1h30m"), go_duration("500ms"), go_duration("0")
    (5400.0, 0.5, 0.0)
    """
    shown = f'"{text[:_LONGEST]}"'
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    if not rest or len(rest) > _LONGEST:
        raise ValueError(f"time: invalid duration {shown}")
    seconds, at = 0.0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            raise ValueError(f"time: invalid duration {shown}")
        if not part[2]:
            raise ValueError(f"time: missing unit in duration {shown}")
        if part[2] not in _SECONDS:
            raise ValueError(f'time: unknown unit "{part[2]}" in duration {shown}')
        seconds += float(part[1]) * _SECONDS[part[2]]
        at = part.end()
    if seconds > _MOST:
        raise ValueError(f"time: invalid duration {shown}")
    return sign * seconds


def shown_duration(seconds: float) -> str:
    """Write a duration as Go does.

    Examples
    --------
    >>> shown_duration(5400), shown_duration(0.5), shown_duration(0), shown_duration(61.5)
    ('1h30m0s', '500ms', '0s', '1m1.5s')
    """
    if seconds == 0:
        return "0s"
    sign, size = "-" if seconds < 0 else "", round(abs(seconds) * 1e9)
    if size < 10**9:
        unit, scale = next((u, s) for u, s in (("ms", 10**6), ("µs", 10**3), ("ns", 1)) if size >= s)
        return f"{sign}{size / scale:.9g}{unit}"
    whole, nanos = divmod(size, 10**9)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    last = f"{second}.{nanos:09d}".rstrip("0").rstrip(".") + "s"
    return sign + (f"{hours}h" if hours else "") + (f"{minute}m" if minutes else "") + last

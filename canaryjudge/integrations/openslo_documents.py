"""OpenSLO documents, read and checked: what stands in them, in the words of v1, each object with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from canaryjudge.integrations.openslo_versions import VERSIONS
from canaryjudge.policy.complaints import dotted, nearest, problems
from canaryjudge.policy.document import Complaint, Entry, Node, Place, locate, plain, read_documents
from canaryjudge.policy.loading import read_text, refusal
from canaryjudge.policy.quantities import shown

__all__ = ["Library", "Stated", "read_openslo"]

_WHAT: Final = "an OpenSLO document"


@dataclass(frozen=True, slots=True)
class Stated:
    """An object of a document.

    Attributes
    ----------
    kind, name : str
        What it is, and what it is called.
    place : Place
        Where it stands.
    version : str
        The version of OpenSLO that it is written in.
    spec : Any
        Its spec, as a model of v1; None where it has none.
    gap : str
        What its version leaves unsaid, so that it cannot be judged.
    """

    kind: str
    name: str
    place: Place
    version: str
    spec: Any
    gap: str = ""

    @property
    def title(self) -> str:
        """How remarks call it: ``slo.yaml:1:1 SLO checkout``."""
        return f"{self.place} {self.kind} {self.name}"


class Library:
    """All objects that were given, to be found by kind and name."""

    def __init__(self, objects: Sequence[Stated]) -> None:
        self.objects = tuple(objects)
        self.used: set[tuple[str, str]] = set()
        """Kind and name of what was found by reference."""

    def find(self, kind: str, name: str) -> Stated | str:
        """Find what a reference names; a sentence that says why it cannot be found where it cannot."""
        found = [each for each in self.objects if (each.kind, each.name) == (kind, name)]
        if not found:
            return f"the {kind} {shown(name)} is not among the documents"
        if any(each.spec != found[0].spec for each in found[1:]):
            places = " and ".join(str(each.place) for each in found[:2])
            return f"there are several of the {kind} {shown(name)}, which differ: {places}"
        self.used.add((kind, name))
        return found[0]


def read_openslo(paths: Sequence[str | Path], text: str | None) -> Library:
    """Read files, or a text.

    Parameters
    ----------
    paths : sequence of path
        Files, YAML or JSON; each may hold several documents, and lists of objects.
    text : str or None
        A document that is not in a file.

    Returns
    -------
    Library
        The objects, in order.

    Raises
    ------
    PolicyError
        If a document cannot be read, or is not what OpenSLO says, with all mistakes and their places.
    """
    texts = [(str(path), read_text(Path(path), what=_WHAT)) for path in paths]
    if text is not None:
        texts.append(("text", text))
    objects: list[Stated] = []
    complaints: list[Complaint] = []
    for name, content in texts:
        roots, found = read_documents(content, name, _WHAT)
        complaints += found
        for node in (each for root in roots for each in _objects(root)):
            stated = _checked(node, complaints)
            objects += [] if stated is None else [stated]
    if complaints:
        raise refusal(complaints)
    return Library(objects)


def _objects(root: Node) -> Iterator[Node]:
    if isinstance(root.value, list):
        yield from root.value
    elif root.value is not None:  # nothing stands between two lines of ---
        yield root


def _checked(node: Node, complaints: list[Complaint]) -> Stated | None:
    """Read one object, or complain about it."""
    from canaryjudge.integrations.openslo_models import KINDS  # noqa: PLC0415 - only those who import pay for it

    if not isinstance(node.value, dict):
        complaints.append(
            Complaint(node.place, f"{shown(plain(node))} is not an object of OpenSLO", "It is a mapping.")
        )
        return None
    version, kind = _word(node.value, "apiVersion"), _word(node.value, "kind")
    for key, found, known in (("apiVersion", version, VERSIONS), ("kind", kind, KINDS)):
        if found not in known:
            near = next((word for word in known if word.lower() == found.lower()), None) or nearest(
                found, known
            )
            hint = f"Did you mean {near!r}?" if near else f"Known: {', '.join(known)}."
            what = f"{key}: {shown(found)} is not known" if found else f"{key} is missing"
            complaints.append(Complaint(locate(node, (key,)), what, hint))
            return None
    read, found_here, gap = VERSIONS[version](node, kind)
    name = _name_of(read)
    title = f"{kind} {name}" if name else kind
    complaints += [each._replace(message=f"{title}: {each.message}") for each in found_here]
    if gap and name:
        return Stated(kind, name, node.place, version, None, gap)
    try:
        model: Any = KINDS[kind].__pydantic_validator__.validate_python(plain(read))
    except ValidationError as error:
        for path, message, hint, at_key in problems(KINDS[kind], error):
            where = dotted(path[:-1] if at_key else path)
            said = f"{title}: {where}: {message}" if where else f"{title}: {message}"
            complaints.append(Complaint(locate(read, path, at_key=at_key), said, hint))
        return None
    return Stated(kind, model.metadata.name, node.place, version, model.spec)


def _word(entries: dict[str, Entry], key: str) -> str:
    entry = entries.get(key)
    return entry.node.value if entry is not None and isinstance(entry.node.value, str) else ""


def _name_of(node: Node) -> str | None:
    metadata = node.value.get("metadata") if isinstance(node.value, dict) else None
    inner = metadata.node.value if metadata is not None else None
    return _word(inner, "name") or None if isinstance(inner, dict) else None

"""OpenSLO documents, read and checked: what stands in them, in the words of v1, each object with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from canaryjudge.integrations.manifests import checked_model, read_objects, word_at
from canaryjudge.integrations.openslo.versions import VERSIONS
from canaryjudge.policy.complaints import nearest
from canaryjudge.policy.document import Complaint, Node, Place, locate, plain
from canaryjudge.policy.loading import refusal
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
    objects: list[Stated] = []
    nodes, complaints = read_objects(paths, text, _WHAT)
    for node in nodes:
        stated = _checked(node, complaints)
        objects += [] if stated is None else [stated]
    if complaints:
        raise refusal(complaints)
    return Library(objects)


def _checked(node: Node, complaints: list[Complaint]) -> Stated | None:
    """Read one object, or complain about it."""
    from canaryjudge.integrations.openslo.models import KINDS  # noqa: PLC0415 - only those who import pay for it

    if not isinstance(node.value, dict):
        complaints.append(
            Complaint(node.place, f"{shown(plain(node))} is not an object of OpenSLO", "It is a mapping.")
        )
        return None
    version, kind = word_at(node, "apiVersion"), word_at(node, "kind")
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
    model = checked_model(KINDS[kind], read, title, complaints)
    if model is None:
        return None
    return Stated(kind, model.metadata.name, node.place, version, model.spec)


def _name_of(node: Node) -> str | None:
    return word_at(node, "metadata", "name") or None

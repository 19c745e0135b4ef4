"""Objects in files as Kubernetes' tools have them, YAML or JSON: read within bounds, checked, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from canaryjudge.policy.complaints import dotted, problems
from canaryjudge.policy.document import Complaint, Node, Place, locate, plain, read_documents
from canaryjudge.policy.loading import read_text, refusal
from canaryjudge.policy.quantities import shown

if TYPE_CHECKING:
    from canaryjudge.policy.base import PolicyModel

__all__ = ["Manifest", "checked_model", "node_at", "read_manifests", "read_objects", "word_at"]


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
    """Read all objects of files, or of a text.

    Parameters
    ----------
    paths : sequence of path
        Files, YAML or JSON; each may hold several documents, and lists of objects.
    text : str or None
        A document that is not in a file.
    what : str
        What it should be, for hints.

    Returns
    -------
    tuple of (list of Node, list of Complaint)
        The objects in order, and what is wrong that does not keep them from being read.

    Raises
    ------
    PolicyError
        If one cannot be read, is too large or too deep.
    """
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
    """Read all Kubernetes objects of files, or of a text.

    Parameters
    ----------
    paths, text, what
        As for `read_objects`.

    Returns
    -------
    list of Manifest
        The objects in order.

    Raises
    ------
    PolicyError
        If one cannot be read, or does not say what it is.
    """
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
    """Make a model of what stands in a node, or complain about it.

    Parameters
    ----------
    model : type of PolicyModel
        What it should be.
    node : Node
        Where it stands.
    title : str
        What to call it.
    complaints : list of Complaint
        Where to complain.
    given : Any, optional
        Its values, where they are no longer quite those of the node.

    Returns
    -------
    PolicyModel or None
        The model; None where there were complaints.
    """
    try:
        return model.__pydantic_validator__.validate_python(plain(node) if given is None else given)
    except ValidationError as error:
        for path, message, hint, at_key in problems(model, error):
            where = dotted(path[:-1] if at_key else path)
            said = f"{title}: {where}: {message}" if where else f"{title}: {message}"
            complaints.append(Complaint(locate(node, path, at_key=at_key), said, hint))
        return None


def node_at(node: Node | None, *keys: str) -> Node | None:
    """Give what stands at some keys, one below the other; None where nothing does."""
    for key in keys:
        entry = node.value.get(key) if node is not None and isinstance(node.value, dict) else None
        node = None if entry is None else entry.node
    return node


def word_at(node: Node | None, *keys: str) -> str:
    """Give the text that stands at some keys; nothing where there is none."""
    found = node_at(node, *keys)
    return found.value if found is not None and isinstance(found.value, str) else ""

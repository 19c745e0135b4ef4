"""OpenSLO documents of all versions, read and checked: what stands in them, in the words of v1, each object with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from canaryjudge.integrations.manifests import checked_model, read_objects, word_at
from canaryjudge.integrations.openslo.models import KINDS
from canaryjudge.policy.document import Complaint, Entry, Node, Place, locate, plain
from canaryjudge.policy.loading import refusal
from canaryjudge.quantities import shown
from canaryjudge.settings import nearest

__all__ = ["VERSIONS", "Library", "SloObject", "read_openslo"]

_V2_NAMES: Final = {"sli": "indicator", "sliRef": "indicatorRef", "serviceRef": "service"}
_QUERIES: Final = ("thresholdMetric", "good", "bad", "total", "raw")
_UNITS: Final = {"Day": "d", "Week": "w", "Month": "M", "Quarter": "Q", "Year": "Y"}
_WHAT: Final = "an OpenSLO document"


class InWordsOfV1(NamedTuple):
    """An object in the words of v1."""

    node: Node
    complaints: tuple[Complaint, ...] = ()
    """What is wrong with it."""
    gap: str = ""
    """What its version does not say, so that it cannot be judged; nothing where all is said."""


def _v1(node: Node, _: str) -> InWordsOfV1:
    return InWordsOfV1(node)


def _v2alpha(node: Node, kind: str) -> InWordsOfV1:
    """Give `sli`, `serviceRef` and `dataSourceRef` their names of v1."""
    if kind not in ("SLO", "SLI"):
        return InWordsOfV1(node)
    complaints: list[Complaint] = []
    return InWordsOfV1(_renamed(node, complaints), tuple(complaints))


def _renamed(node: Node, complaints: list[Complaint]) -> Node:
    if isinstance(node.value, list):
        return replace(node, value=[_renamed(item, complaints) for item in node.value])
    if not isinstance(node.value, dict):
        return node
    entries: dict[str, Entry] = {}
    for key, entry in node.value.items():
        named = _V2_NAMES.get(key, key)
        if named in entries:
            complaints.append(
                Complaint(entry.place, f"{key} and {named} are one thing here", "Leave one out.")
            )
        elif key in _QUERIES and isinstance(entry.node.value, dict):
            entries[named] = entry._replace(node=_v2_query(entry.node))
        elif key in ("metadata", "alertPolicies"):
            entries[named] = entry
        else:
            entries[named] = entry._replace(node=_renamed(entry.node, complaints))
    return replace(node, value=entries)


def _v2_query(node: Node) -> Node:
    """Put a query's reference to its source beside its spec, as v1 does."""
    entries = node.value
    assert isinstance(entries, dict)  # noqa: S101 - the caller has seen to it
    source = {"dataSourceRef": "metricSourceRef", "spec": "spec"}
    inner = {source[key]: entry for key, entry in entries.items() if key in source}
    given = entries.get("dataSourceSpec")
    if given is not None and isinstance(given.node.value, dict) and "type" in given.node.value:
        inner["type"] = given.node.value["type"]
    unknown = {key: entry for key, entry in entries.items() if key not in (*source, "dataSourceSpec")}
    return _mapping(node, {"metricSource": _mapping(node, inner), **unknown})


def _v1alpha(node: Node, kind: str) -> InWordsOfV1:
    """Give an SLO of v1alpha the time window and the indicators of v1; only SLOs and services are of that version."""
    if kind == "Service":
        return InWordsOfV1(node)
    complaints: list[Complaint] = []
    if kind != "SLO":
        why = f"openslo/v1alpha has no {kind}"
        return InWordsOfV1(node, (Complaint(node.place, why, "Write apiVersion: openslo/v1."),))
    spec = _at(node, "spec")
    if spec is None or not isinstance(spec.value, dict):
        return InWordsOfV1(node)
    entries = dict(spec.value)
    if (windows := entries.pop("timeWindows", None)) is not None:
        entries["timeWindow"] = windows._replace(
            node=_items(windows.node, lambda item: _window(item, complaints))
        )
    name = _at(_at(node, "metadata"), "name") or node
    if (indicator := entries.get("indicator")) is not None and (
        query := _at(indicator.node, "thresholdMetric")
    ) is not None:
        threshold = _mapping(query, {"thresholdMetric": _alpha_query(query)})
        entries["indicator"] = indicator._replace(node=_inline(indicator.node, name, threshold))
    if (objectives := entries.get("objectives")) is not None:
        entries["objectives"] = objectives._replace(
            node=_items(objectives.node, lambda item: _objective(item, name))
        )
    outer = dict(node.value) if isinstance(node.value, dict) else {}
    outer["spec"] = outer["spec"]._replace(node=replace(spec, value=entries))
    method = _at(spec, "budgetingMethod")
    sliced = method is not None and method.value == "Timeslices"
    gap = (
        "openslo/v1alpha does not say how long a time slice is (openslo/v1 has timeSliceWindow)"
        if sliced
        else ""
    )
    return InWordsOfV1(replace(node, value=outer), tuple(complaints), gap)


def _window(node: Node, complaints: list[Complaint]) -> Node:
    """Write ``{unit: Week, count: 2}`` as ``{duration: 2w}``."""
    if not isinstance(node.value, dict):
        return node
    entries = dict(node.value)
    unit, count = entries.pop("unit", None), entries.pop("count", None)
    letter = _UNITS.get(str(unit.node.value)) if unit is not None else None
    if unit is None or count is None or letter is None:
        said = shown(unit.node.value) if unit is not None else "nothing"
        why = f"a time window needs count, and a unit that is one of {', '.join(_UNITS)}, found {said}"
        complaints.append(Complaint(node.place, why, "Write apiVersion: openslo/v1, with duration."))
        return node
    duration = Node(count.node.place, f"{count.node.value}{letter}")
    return replace(node, value={"duration": Entry(count.place, duration), **entries})


def _objective(node: Node, name: Node) -> Node:
    """Turn ``ratioMetrics`` of an objective into an indicator of its own; its value, which v1alpha demands, has no meaning then."""
    if not isinstance(node.value, dict) or "ratioMetrics" not in node.value:
        return node
    entries = dict(node.value)
    ratio = entries.pop("ratioMetrics")
    entries.pop("value", None)
    if not isinstance(ratio.node.value, dict):
        return node
    inner = {
        "counter" if key == "incremental" else key: entry.node
        if key == "incremental"
        else _alpha_query(entry.node)
        for key, entry in ratio.node.value.items()
    }
    spec = _mapping(ratio.node, {"ratioMetric": _mapping(ratio.node, inner)})
    return replace(node, value={**entries, "indicator": Entry(ratio.place, _inline(ratio.node, name, spec))})


def _inline(node: Node, name: Node, spec: Node) -> Node:
    return _mapping(node, {"metadata": _mapping(node, {"name": name}), "spec": spec})


def _alpha_query(node: Node) -> Node:
    """Write ``{source: s, queryType: t, query: q}`` as a metric source of v1."""
    if not isinstance(node.value, dict):
        return node
    source, spec = node.value.get("source"), node.value.get("query")
    inner: dict[str, Node] = {} if source is None else {"type": source.node}
    if spec is not None:
        inner["spec"] = _mapping(node, {"query": spec.node})
    unknown = {key: entry for key, entry in node.value.items() if key not in ("source", "queryType", "query")}
    return _mapping(node, {"metricSource": _mapping(node, inner), **unknown})


def _mapping(place: Node, entries: Mapping[str, Node | Entry]) -> Node:
    """Make a mapping that stands where another node does."""
    made = {
        key: value if isinstance(value, Entry) else Entry(value.place, value)
        for key, value in entries.items()
    }
    return Node(place.place, made)


def _items(node: Node, change: Callable[[Node], Node]) -> Node:
    return (
        replace(node, value=[change(item) for item in node.value]) if isinstance(node.value, list) else node
    )


def _at(node: Node | None, key: str) -> Node | None:
    entry = node.value.get(key) if node is not None and isinstance(node.value, dict) else None
    return None if entry is None else entry.node


VERSIONS: Final[dict[str, Callable[[Node, str], InWordsOfV1]]] = {
    "openslo/v1": _v1,
    "openslo/v1alpha": _v1alpha,
    "openslo.com/v2alpha": _v2alpha,
}
"""How each version is read."""


@dataclass(frozen=True, slots=True)
class SloObject:
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

    def __init__(self, objects: Sequence[SloObject]) -> None:
        self.objects = tuple(objects)
        self.used: set[tuple[str, str]] = set()
        """Kind and name of what was found by reference."""

    def find(self, kind: str, name: str) -> SloObject | str:
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
    """Read files, or a text."""
    objects: list[SloObject] = []
    nodes, complaints = read_objects(paths, text, _WHAT)
    for node in nodes:
        stated = _checked(node, complaints)
        objects += [] if stated is None else [stated]
    if complaints:
        raise refusal(complaints)
    return Library(objects)


def _checked(node: Node, complaints: list[Complaint]) -> SloObject | None:
    """Read one object, or complain about it."""
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
        return SloObject(kind, name, node.place, version, None, gap)
    model = checked_model(KINDS[kind], read, title, complaints)
    if model is None:
        return None
    return SloObject(kind, model.metadata.name, node.place, version, model.spec)


def _name_of(node: Node) -> str | None:
    return word_at(node, "metadata", "name") or None

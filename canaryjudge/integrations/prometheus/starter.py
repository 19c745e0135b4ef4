"""A policy to start from by what a Prometheus server has: queries of the usual metrics, and labels that may tell versions apart."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from canaryjudge.doctor_checks.starter import Suggestion, named_settings, old_to_new, policy_text, scalar
from canaryjudge.errors import DataError
from canaryjudge.integrations.prometheus.answers import readable
from canaryjudge.integrations.prometheus.client import Access, PrometheusClient
from canaryjudge.policy.query import selector_problem

__all__ = ["starter_of"]

_PAST: Final = 3600
"""So many seconds back something counts as there."""
_MOST, _LISTED = 20, 60
_REQUESTS: Final = re.compile(r"request|http|grpc|rpc|call|handled")
_STATUS: Final = re.compile(r"(?:.*_)?(?:code|status)(?:_code)?")
_VERSIONS: Final = re.compile(
    r".*(?:version|track|release|template_hash|canary|colou?r|revision|deployment|image_tag).*"
)
_USUAL: Final = {
    "process_resident_memory_bytes": "{name}{{{labels}}}",
    "process_cpu_seconds_total": "rate({name}{{{labels}}}[5m])",
    "container_memory_working_set_bytes": 'sum by (pod) ({name}{{{labels},container!=""}})',
    "container_cpu_usage_seconds_total": 'sum by (pod) (rate({name}{{{labels},container!=""}}[5m]))',
}
_PARTS: Final = re.compile(r"_(?:total|sum|count|created|info|bucket)$")
_KNOWN: Final = ("increase", "decrease")

Labels = Mapping[str, set[str]]
"""The values of each label of a metric."""


async def starter_of(access: Access, selector: str | None, output: str | None = None) -> str:
    """Ask a server what it has, and write a policy for it."""
    if problem := selector_problem(selector or ""):
        raise DataError(f"--selector: {problem.message}", problem.hint)
    narrowed = (selector or "").strip().strip("{}").strip(", ")
    now = time.time()
    span = {"start": f"{now - _PAST:.0f}", "end": f"{now:.0f}"}
    matching = {"match[]": f"{{{narrowed}}}"} if narrowed else {}
    async with PrometheusClient(access) as client:
        names = sorted(filter(_is_name, await client.listed("label/__name__/values", {**matching, **span})))
        chosen = _chosen(names)
        series: list[Any] = []
        if chosen:
            labels = ",".join(filter(None, (f'__name__=~"{"|".join(chosen)}"', narrowed)))
            series = await client.listed("series", {"match[]": f"{{{labels}}}", **span})
    found: dict[str, dict[str, set[str]]] = {}
    for each in series:
        if isinstance(each, Mapping):
            known = found.setdefault(str(each.get("__name__")), {})
            for label, value in each.items():
                known.setdefault(str(label), set()).add(str(value))
    suggestions = [one for name in chosen if name in found for one in _suggested(name, found[name], narrowed)]
    where = f"{access.url}{f' of {{{narrowed}}}' if narrowed else ''}"
    if not suggestions:
        listed = f" among {', '.join(map(readable, names[:20]))}" if names else ""
        raise DataError(
            f"{where} has nothing of the last hour that is a usual metric{listed}",
            "Look at --selector, or write the queries as docs/prometheus.md has them.",
        )
    arms = _arms(found)
    command = f"--policy {shlex.quote(output or 'policy.yaml')} --prometheus {access.url}"
    others = [readable(name) for name in names if name not in chosen and not _PARTS.search(name)]
    header = [
        "A policy to start from, written by canaryjudge init: what names and labels suggest.",
        f"{where}: {len(names):,} names of series in the last hour.",
        *(
            f"may tell versions apart: {readable(label)} ({_listed(values)})"
            for label, values in arms.items()
        ),
        *(
            [f"also there: {', '.join(others[:_LISTED])}{' ...' if len(others) > _LISTED else ''}"]
            if others
            else []
        ),
        "Look at every query, direction, role and tolerance, foremost where a comment says decide. Then:",
        f"  canaryjudge doctor {command}",
        f"  canaryjudge judge {command}",
    ]
    return policy_text(suggestions, header, *_selectors(arms))


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name) is not None


def _chosen(names: list[str]) -> list[str]:
    """Choose the metrics that a release is usually judged by; where there are none, those whose names tell the bad direction."""
    usual = [
        name
        for name in names
        if name in _USUAL or name.endswith("_bucket") or (name.endswith("_total") and _REQUESTS.search(name))
    ]
    telling = [
        name for name in names if not _PARTS.search(name) and named_settings(name)[0]["direction"] in _KNOWN
    ]
    return (usual or telling)[:_MOST]


def _suggested(name: str, labels: Labels, narrowed: str) -> Iterator[Suggestion]:
    inside = ",".join(filter(None, ("${selector}", narrowed)))
    by_instance = "instance" in labels and not name.startswith("container_")
    replica = {"replica": "pod"} if "pod" in labels and not by_instance else {}
    settings, comments = named_settings(name)
    comments["tolerance"] = "decide: how much worse is fine"
    told, value = name, f"{name}{{{inside}}}"
    tolerance: Any = "10%"
    total: dict[str, str] = {}
    if name.endswith("_bucket"):
        told, settings = name.removesuffix("_bucket"), {"kind": "histogram", "counter": True, **settings}
    elif name in _USUAL:
        value = _USUAL[name].format(name=name, labels=inside)
        settings["unit"] = "cores" if "cpu" in name else "B"
    elif name.endswith("_total"):
        failing = _failing(labels)
        if failing is None:
            return
        total, value = {"total": value}, f"{name}{{{inside},{failing}}}"
        told = name.removesuffix("_total") + "_errors"
        settings = {"kind": "ratio", "counter": True, "direction": "increase"}
        comments = {"direction": "more errors are worse", "tolerance": comments["tolerance"]}
        tolerance = {"relative": "10%", "absolute": "0.02%"}
    query: Any = {"value": value, **total, **replica} if total or replica else value
    yield Suggestion(told, {**settings, "tolerance": tolerance, "query": query}, comments)


def _failing(labels: Labels) -> str | None:
    """Give the selector of failed requests, by a label with status codes."""
    for label in filter(_STATUS.fullmatch, labels):
        if any(re.fullmatch(r"[1-5](?:\d\d|xx)", value) for value in labels[label]):
            return f'{label}=~"5.."'
        if "OK" in labels[label]:
            return f'{label}!="OK"'
    return None


def _arms(found: Mapping[str, Labels]) -> dict[str, set[str]]:
    """Find the labels that may tell versions apart: by their names, those of several values first."""
    labels: dict[str, set[str]] = {}
    for each in found.values():
        for label, values in each.items():
            if _VERSIONS.fullmatch(label):
                labels.setdefault(label, set()).update(values)
    return dict(sorted(labels.items(), key=lambda pair: (len(pair[1]) != 2, len(pair[1]) < 2, pair[0])))


def _listed(values: set[str]) -> str:
    told = [readable(value) for value in sorted(values)[:6]]
    return ", ".join(told) + (" ..." if len(values) > len(told) else "")


def _selectors(arms: Mapping[str, set[str]]) -> Iterator[str]:
    """Write which series are which arm's, as far as a label tells."""
    label, values = next(iter(arms.items()), ("version", set()))
    # of several versions those that came last
    told = sorted((value for value in values if "$" not in value), key=old_to_new)[-2:]
    yield "prometheus:"
    for arm, index in (("baseline", 0), ("canary", 1)):
        value = told[index] if len(told) > index else f"the {arm}'s"
        text = scalar(f"{label}={json.dumps(value, ensure_ascii=False)}")
        yield f"  {arm}: {text} # decide: the labels of the {arm}'s series"
    yield "  window: 30m # decide: how far the data go back; so long should the canary have run"
    yield "  step: 1m # the time between two points; no shorter than the scrape interval"

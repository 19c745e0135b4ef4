"""Watched releases: fed update by update, asked at every look, saved and read back in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np

import canaryjudge as cj
from recording.facts import Case, Fact, of_value, of_verdict
from recording.simulated import EDGES, START, arm_of, drawn

__all__ = ["cases"]

_METHODS: Final[dict[str, tuple[str, dict[str, Any], dict[str, Any], float]]] = {
    "mixture": ("ratio", {"tolerance": "50%"}, {}, 4.0),
    "mixture absolute": ("ratio", {"tolerance": {"absolute": "0.5%"}}, {}, 4.0),
    "mixture either": ("ratio", {"tolerance": "50%", "direction": "either"}, {}, 0.1),
    "mixture decrease": ("ratio", {"tolerance": "50%", "direction": "decrease"}, {}, 0.2),
    "mixture dispersion": ("ratio", {"tolerance": "50%", "dispersion": 1.5}, {}, 3.0),
    "mixture of counts": ("count", {"tolerance": "50%"}, {}, 3.0),
    "counts split": ("count", {"tolerance": "30%"}, {"split": {"baseline": "80%", "canary": "20%"}}, 3.0),
    "cmh": ("histogram", {"tolerance": "20%"}, {}, 1.8),
    "cmh either": ("histogram", {"tolerance": "20%", "direction": "either"}, {}, 0.5),
    "scores": ("samples", {"tolerance": "20%"}, {}, 1.8),
    "scores ratio": ("samples", {"tolerance": "20%", "effect": "ratio"}, {}, 1.8),
    "scores decrease": ("samples", {"tolerance": "20%", "direction": "decrease"}, {}, 0.5),
    "ranks": (
        "samples",
        {"tolerance": "20%", "rules": [{"rule": "sequential", "independent": True}]},
        {},
        1.8,
    ),
    "betting": ("gauge", {"rules": [{"rule": "sequential", "method": "betting", "cap": 300}]}, {}, 1.6),
    "betting samples": (
        "samples",
        {"rules": [{"rule": "sequential", "method": "betting", "cap": 8}]},
        {},
        1.8,
    ),
    "mean": ("gauge", {"rules": [{"rule": "sequential", "method": "mean"}]}, {}, 1.5),
    "mean samples": ("samples", {"rules": [{"rule": "sequential", "method": "mean"}]}, {}, 1.8),
    "mean either": (
        "gauge",
        {"direction": "either", "rules": [{"rule": "sequential", "method": "mean"}]},
        {},
        0.5,
    ),
    "looks": ("gauge", {}, {"max_points": 60}, 1.4),
    "looks either": (
        "gauge",
        {"direction": "either", "unit": "ms", "tolerance": "9ms"},
        {"max_points": 60},
        0.6,
    ),
    "looks floor": (
        "gauge",
        {"noise_floor": {"between_replicas": "2%", "replicas": 9}},
        {"max_points": 60},
        1.4,
    ),
    "looks pocock": (
        "gauge",
        {"rules": [{"rule": "sequential", "method": "looks", "looks": 3, "spending": "pocock"}]},
        {"max_points": 60},
        1.4,
    ),
    "looks at shares": (
        "ratio",
        {"tolerance": "50%", "rules": [{"rule": "sequential", "method": "looks"}]},
        {"max_points": 60},
        4.0,
    ),
    "looks at counts": (
        "count",
        {"tolerance": "50%", "rules": [{"rule": "sequential", "method": "looks"}]},
        {"max_duration": "1h"},
        3.0,
    ),
    "fixed rules": ("gauge", {"rules": ["mann_whitney", "late_shift", "excursion"]}, {"max_points": 60}, 1.4),
    "fixed slo": (
        "ratio",
        {"rules": ["proportion", {"rule": "slo", "of": "pooled", "op": "lte", "value": "2%"}]},
        {"max_points": 60},
        4.0,
    ),
    "fixed tail": (
        "histogram",
        {"rules": ["tail", {"rule": "slo", "of": "p90", "op": "lte", "value": 2}]},
        {"max_points": 60},
        1.8,
    ),
    "fixed burn": ("ratio", {"rules": [{"rule": "burn_rate", "target": "98%"}]}, {"max_points": 60}, 5.0),
    "fixed group": (
        "gauge",
        {
            "rules": [
                {
                    "rule": "any_of",
                    "rules": ["mann_whitney", {"rule": "slo", "of": "mean", "op": "lte", "value": 130}],
                }
            ]
        },
        {"max_points": 60},
        1.4,
    ),
    "both rules": (
        "ratio",
        {
            "tolerance": "50%",
            "rules": ["sequential", {"rule": "slo", "of": "pooled", "op": "lte", "value": "2%"}],
        },
        {"max_points": 60},
        4.0,
    ),
    "deadline passes": ("gauge", {}, {"max_points": 30, "on_deadline": "pass"}, 1.1),
    "deadline fails": ("samples", {}, {"max_points": 30, "on_deadline": "fail"}, 1.1),
    "deadline by time": ("ratio", {}, {"max_duration": "30m", "on_deadline": "pass"}, 1.2),
    "guard": ("ratio", {"role": "guard"}, {}, 4.0),
    "counter": ("ratio", {"tolerance": "50%", "counter": True}, {}, 4.0),
    "counter of counts": ("count", {"tolerance": "50%", "counter": True}, {}, 3.0),
    "counter of buckets": ("histogram", {"tolerance": "20%", "counter": True}, {}, 1.8),
}
"""Of each: the kind, the metric's settings, the policy's, and harm that it should find."""

_SIZES: Final = (3, 7, 10, 10, 15, 15)

Change = Callable[[str, dict[str, Any], int], dict[str, Any]]


def cases() -> Iterator[Case]:
    """Give every case."""
    for name in _METHODS:
        for harmful in (False, True):
            label = f"{name}/{'bad' if harmful else 'healthy'}"
            yield label, _watch(name, label, harmful=harmful)
            yield f"{label}/saved", _watch(name, label, harmful=harmful, saved=True)
    for name in (
        "mixture",
        "mixture of counts",
        "cmh",
        "scores",
        "mean",
        "looks",
        "counter",
        "counter of buckets",
    ):
        for shape, change in _CHANGES.items():
            label = f"{name}/{shape}"
            yield label, _watch(name, label, harmful=shape == "replicas", saved=True, change=change)
    for name in ("looks", "mixture", "mixture of counts"):
        yield f"{name}/history", _watch(name, f"{name}/history", harmful=True, saved=True, history=True)
    yield "merged", _merged
    yield "released", _released
    yield "refused", _refused


def _policy(name: str) -> cj.Policy:
    kind, metric, policy, _ = _METHODS[name]
    return cj.Policy(metrics=[{"name": "m", "kind": kind, "direction": "increase"} | metric], **policy)


def _whole(name: str, label: str, *, harmful: bool) -> dict[str, dict[str, Any]]:
    kind, metric, _, harm = _METHODS[name]
    rng, size = drawn(f"watched {label}"), sum(_SIZES)
    data = {
        "baseline": arm_of(kind, rng, size),
        "canary": arm_of(kind, rng, size, harm=harm if harmful else 1.0),
    }
    if metric.get("counter"):
        for of in data.values():
            for column in ("value", "total", "buckets"):
                if column in of:
                    grown = np.cumsum(np.asarray(of[column], dtype=float), axis=0)
                    grown[30:] -= grown[29]
                    of[column] = grown
    return data


def _updates(
    data: dict[str, dict[str, Any]], sizes: tuple[int, ...] = _SIZES
) -> Iterator[dict[str, dict[str, Any]]]:
    """Cut both arms at the same times."""
    ends = START + 60.0 * np.cumsum((0, *sizes))
    for low, high in pairwise(ends):
        yield {arm: _between(of, low, high) for arm, of in data.items()}


def _between(of: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    time = np.asarray(of["time"])
    chosen = (time >= low) & (time < high)
    return {name: values if name == "edges" else np.asarray(values)[chosen] for name, values in of.items()}


def _watch(
    name: str,
    label: str,
    *,
    harmful: bool,
    saved: bool = False,
    change: Change | None = None,
    history: bool = False,
) -> Callable[[], Iterator[Fact]]:
    def ask() -> Iterator[Fact]:
        policy = _policy(name)
        given = {"history": {"m": _history(name)}} if history else {}
        monitor = cj.Monitor(policy, **given)
        for look, update in enumerate(_updates(_whole(name, label, harmful=harmful))):
            data = {arm: change(arm, of, look) if change else of for arm, of in update.items()}
            try:
                monitor.update({"m": data})
            except cj.CanaryJudgeError as error:
                yield f"look {look}", "", "refused", [type(error).__name__, str(error)]
            if saved:
                monitor = cj.Monitor.from_json(monitor.to_json(), policy, **given)
            yield from of_verdict(monitor.verdict(), f"look {look}")
            yield from of_value(
                {"reached": monitor.reached, "untimed": monitor.untimed, "repr": repr(monitor)},
                f"look {look}",
            )

    return ask


def _history(name: str) -> dict[str, dict[str, Any]]:
    rng = drawn(f"history of {name}")
    return {
        arm: arm_of(_METHODS[name][0], rng, 700, start=START - 86400 * 3) for arm in ("baseline", "canary")
    }


def _replicated(_: str, of: dict[str, Any], look: int) -> dict[str, Any]:
    """Three replicas; the last is restarted now and then."""
    parts = []
    for number in range(3):
        part = {name: np.asarray(values) for name, values in of.items() if name != "edges"}
        part["replica"] = np.repeat(f"pod-{number}-{look // 3 if number == 2 else 0}", len(part["time"]))
        if number and "value" in part and "total" not in part and part["value"].dtype.kind == "f":
            part["value"] = part["value"] * (1 + 0.01 * number)
        parts.append(part)
    found: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return found | ({"edges": EDGES} if "edges" in of else {})


def _holed(_: str, of: dict[str, Any], look: int) -> dict[str, Any]:
    size = len(of["time"])
    kept = np.arange(size) % 4 != look % 4
    return {name: values if name == "edges" else np.asarray(values)[kept] for name, values in of.items()}


def _missing(arm: str, of: dict[str, Any], look: int) -> dict[str, Any]:
    if arm != "canary" or look % 2:
        return of
    name = "buckets" if "buckets" in of else "value"
    values = np.array(of[name], dtype=float)
    values[::2] = np.nan
    return of | {name: values}


def _only(which: Callable[[str, int], bool]) -> Change:
    return lambda arm, of, look: (
        of
        if which(arm, look)
        else {name: values if name == "edges" else np.asarray(values)[:0] for name, values in of.items()}
    )


_CHANGES: Final[dict[str, Change]] = {
    "replicas": _replicated,
    "holes": _holed,
    "missing": _missing,
    "canary goes silent": _only(lambda arm, look: arm == "baseline" or look < 3),
    "canary comes late": _only(lambda arm, look: arm == "baseline" or look > 2),
    "no canary": _only(lambda arm, _: arm == "baseline"),
    "no times": lambda _, of, __: {name: values for name, values in of.items() if name != "time"},
    "canary a minute late": lambda arm, of, _: of | {"time": of["time"] + (60 if arm == "canary" else 0)},
    "canary jitters": lambda arm, of, _: of | {"time": of["time"] + (11 if arm == "canary" else 0)},
    "nothing": lambda _, of, __: {
        name: values if name == "edges" else np.zeros_like(values) if name in ("value", "buckets") else values
        for name, values in of.items()
    },
    "milliseconds": lambda _, of, __: of | {"time": of["time"] * 1000},
    "clock jumps back": lambda _, of, look: of | {"time": of["time"] - (3000 if look == 3 else 0)},
}


def _merged() -> Iterator[Fact]:
    """Two shards, merged half way."""
    for name in ("mixture", "mixture of counts", "cmh", "scores", "ranks", "mean", "looks"):
        policy = _policy(name)
        one, other = cj.Monitor(policy), cj.Monitor(policy)
        first = list(_updates(_whole(name, f"merged {name} 1", harmful=True)))
        second = list(_updates(_whole(name, f"merged {name} 2", harmful=True)))
        for mine, theirs in zip(first[:3], second[3:], strict=True):
            one.update({"m": mine})
            other.update({"m": theirs})
        try:
            one.merge(other)
        except cj.CanaryJudgeError as error:
            yield name, "", "refused", str(error)
        yield from of_verdict(one.verdict(), name)
        try:
            one.merge(other)
        except cj.CanaryJudgeError as error:
            yield f"{name} again", "", "refused", str(error)


def _released() -> Iterator[Fact]:
    """Five kinds together, some of which come late or not at all."""
    kinds = {
        "cpu": "gauge",
        "latency": "samples",
        "errors": "ratio",
        "restarts": "count",
        "waits": "histogram",
    }
    metrics = [{"name": name, "kind": kind, "direction": "increase"} for name, kind in kinds.items()]
    metrics += [{"name": "gone", "direction": "increase", "no_data": "fail", "role": "guard"}]
    for harm in (1.0, 1.3):
        monitor = cj.Monitor(cj.Policy(metrics=metrics, max_points=60))
        monitor.keep_recent()
        rng = drawn(f"released {harm}")
        whole = {
            name: {
                arm: arm_of(kind, rng, 60, harm=harm if arm == "canary" else 1.0)
                for arm in ("baseline", "canary")
            }
            for name, kind in kinds.items()
        }
        parts = {name: list(_updates(data, (5,) * 12)) for name, data in whole.items()}
        for look in range(12):
            monitor.update({name: part[look] for name, part in parts.items() if (name, look) != ("cpu", 4)})
            yield from of_verdict(monitor.verdict(), f"x {harm} look {look}")
        yield from of_value(
            {
                name: [None if each is None else each for each in arms]
                for name, arms in monitor.recent.items()
            },
            f"x {harm} recent",
        )


def _refused() -> Iterator[Fact]:
    """Give what a monitor and its state refuse."""
    good = _policy("mixture")
    watched = cj.Monitor(good)
    watched.update({"m": next(_updates(_whole("mixture", "refused", harmful=False)))})
    text = watched.to_json()
    asked: dict[str, Callable[[], Any]] = {
        "no end": lambda: cj.Monitor(cj.Policy(metrics=[{"name": "m", "direction": "increase"}])),
        "no policy": lambda: cj.Monitor({"metrics": []}),
        "same arms": lambda: cj.Monitor(good, baseline="a", canary="a"),
        "other policy": lambda: cj.Monitor.from_json(text, _policy("mixture absolute")),
        "cut": lambda: cj.Monitor.from_json(text[:-50], good),
        "changed": lambda: cj.Monitor.from_json(text.replace('"waited":0', '"waited":7'), good),
        "no state": lambda: cj.Monitor.from_json("{}", good),
        "other history": lambda: cj.Monitor.from_json(text, good, history={"m": _history("mixture")}),
        "merge other": lambda: watched.merge(cj.Monitor(_policy("cmh"))),
        "merge text": lambda: watched.merge("x"),
        "unknown metric": lambda: watched.update({"n": {"baseline": [1.0], "canary": [2.0]}}),
        "no total": lambda: watched.update({"m": {"baseline": [1.0], "canary": [2.0]}}),
        "more than all": lambda: watched.update(
            {
                "m": {
                    arm: {"time": [START + 1e4], "value": [5], "total": [2]} for arm in ("baseline", "canary")
                }
            }
        ),
        "other value": lambda: watched.update(
            {"m": {arm: {"time": [START], "value": [500], "total": [1000]} for arm in ("baseline", "canary")}}
        ),
        "no times now": lambda: watched.update(
            {"m": {arm: {"value": [5], "total": [1000]} for arm in ("baseline", "canary")}}
        ),
        "nothing": lambda: watched.update({}),
        "none": lambda: watched.update(None),
        "deadline needs times": lambda: cj.Monitor(_policy("deadline by time")).update(
            {"m": {arm: {"value": [5], "total": [1000]} for arm in ("baseline", "canary")}}
        ),
    }
    for name, ask in asked.items():
        try:
            ask()
        except Exception as error:  # noqa: BLE001 - what is raised is the answer
            yield name, "", "raised", [type(error).__name__, str(error)]
        else:
            yield name, "", "raised", ["nothing"]
    yield from of_verdict(watched.verdict(), "after all")

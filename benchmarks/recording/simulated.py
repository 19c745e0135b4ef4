"""Simulated releases of every kind, role, rule and shape of data, each drawn from its own name."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

import canaryjudge as cj
from recording.facts import Case, Fact, of_value, of_verdict

__all__ = ["DIRECTIONS", "EDGES", "HARMS", "KINDS", "START", "arm_of", "cases", "drawn", "release"]

START: Final = 1_772_632_800.0
KINDS: Final = ("gauge", "samples", "ratio", "count", "histogram")
DIRECTIONS: Final = ("increase", "decrease", "either")
HARMS: Final = {"healthy": 1.0, "slight": 1.12, "bad": 1.5, "better": 0.8}
EDGES: Final = np.append(0.2 * 1.5 ** np.arange(10), np.inf)

_LATENCY: Final = {"unit": "s"}
_RULES: Final[dict[str, dict[str, list[Any]]]] = {
    "gauge": {
        "default": [],
        "robust": ["mann_whitney"],
        "exact": [{"rule": "mann_whitney", "method": "exact"}],
        "asymptotic": [{"rule": "mann_whitney", "method": "asymptotic"}],
        "excursion": ["excursion"],
        "excursion 10%": [{"rule": "excursion", "tolerance": "10%"}],
        "late_shift": ["late_shift"],
        "late_shift 5%": [{"rule": "late_shift", "tolerance": "5%"}],
        "slo mean": [{"rule": "slo", "of": "mean", "op": "lte", "value": 110}],
        "slo median": [{"rule": "slo", "of": "median", "op": "lt", "value": 105, "fail_value": 120}],
        "slo p90": [{"rule": "slo", "of": "p90", "op": "lte", "value": 115}],
        "slo gte": [{"rule": "slo", "of": "mean", "op": "gte", "value": 95}],
        "slo max point": [{"rule": "slo", "of": "max", "op": "lte", "value": 120, "evidence": "point"}],
        "slo min point": [{"rule": "slo", "of": "min", "op": "gt", "value": 80, "evidence": "point"}],
        "slo change mean": [{"rule": "slo", "of": "mean", "op": "lte", "change": "+10%"}],
        "slo change median": [
            {"rule": "slo", "of": "median", "op": "lte", "change": "+5%", "fail_change": "+20%"}
        ],
        "slo change p75 both": [
            {"rule": "slo", "of": "p75", "op": "lte", "change": {"relative": "+5%", "absolute": 3}}
        ],
        "slo between": [{"rule": "slo", "of": "mean", "between": [90, 110], "fail_between": [70, 130]}],
        "slo within": [{"rule": "slo", "of": "within", "bound": 110, "op": "gte", "value": "90%"}],
        "slo within score": [
            {"rule": "slo", "of": "within", "bound": 110, "op": "gte", "value": "90%", "method": "score"}
        ],
        "slo within change": [
            {"rule": "slo", "of": "within", "bound": 108, "op": "gte", "change": {"absolute": "-5%"}}
        ],
        "slo canary blamed": [{"rule": "slo", "of": "mean", "op": "lte", "value": 90, "blame": "canary"}],
        "slo environment": [{"rule": "slo", "of": "mean", "op": "lte", "value": 90}],
        "burn_rate": [
            {
                "rule": "burn_rate",
                "target": "90%",
                "bound": 110,
                "budgeting": "timeslices",
                "time_slice_target": "80%",
                "time_slice_window": "1m",
            }
        ],
        "any_of": [
            {
                "rule": "any_of",
                "rules": ["mann_whitney", {"rule": "slo", "of": "mean", "op": "lte", "value": 130}],
            }
        ],
        "all_of": [
            {
                "rule": "all_of",
                "rules": [
                    "mann_whitney",
                    {"rule": "slo", "of": "mean", "op": "lte", "value": 130},
                    "late_shift",
                ],
            }
        ],
        "nested": [
            {
                "rule": "any_of",
                "rules": [
                    {"rule": "all_of", "rules": ["mann_whitney", "excursion"]},
                    {"rule": "slo", "of": "p50", "op": "lte", "value": 104},
                ],
            }
        ],
        "looks": [{"rule": "sequential", "method": "looks"}],
        "looks pocock": [{"rule": "sequential", "method": "looks", "looks": 3, "spending": "pocock"}],
        "mean": [{"rule": "sequential", "method": "mean"}],
        "betting": [{"rule": "sequential", "method": "betting", "cap": 300}],
        "several": [
            "mann_whitney",
            "late_shift",
            "excursion",
            {"rule": "slo", "of": "mean", "op": "lte", "value": 115},
            {"rule": "slo", "of": "p90", "op": "lte", "value": 125},
        ],
    },
    "samples": {
        "default": [],
        "exact": [{"rule": "mann_whitney", "method": "exact"}],
        "asymptotic": [{"rule": "mann_whitney", "method": "asymptotic"}],
        "tail": ["tail"],
        "tail p99": [{"rule": "tail", "beyond": "p99", "tolerance": "100%"}],
        "tail fixed": [{"rule": "tail", "beyond": 1.8}],
        "late_shift": ["late_shift"],
        "slo p99": [{"rule": "slo", "of": "p99", "op": "lte", "value": 2.5}],
        "slo p95 fail": [{"rule": "slo", "of": "p95", "op": "lte", "value": 1.6, "fail_value": 2.4}],
        "slo change p90": [{"rule": "slo", "of": "p90", "op": "lte", "change": "+15%"}],
        "slo change mean": [{"rule": "slo", "of": "mean", "op": "lte", "change": {"absolute": 0.1}}],
        "slo mean": [{"rule": "slo", "of": "mean", "op": "lte", "value": 1.1}],
        "slo within": [
            {"rule": "slo", "of": "within", "bound": 1.5, "op": "gte", "value": "85%", "fail_value": "70%"}
        ],
        "slo within exact": [
            {"rule": "slo", "of": "within", "bound": 1.5, "op": "gte", "value": "85%", "method": "exact"}
        ],
        "slo within change": [{"rule": "slo", "of": "within", "bound": 1.5, "op": "gte", "change": "-5%"}],
        "slo within between": [{"rule": "slo", "of": "within", "bound": 1.5, "between": ["50%", "95%"]}],
        "burn_rate": [{"rule": "burn_rate", "target": "90%", "bound": 1.5}],
        "burn_rate slices": [
            {
                "rule": "burn_rate",
                "target": "95%",
                "bound": 1.5,
                "budgeting": "timeslices",
                "time_slice_target": "80%",
                "time_slice_window": "2m",
            }
        ],
        "scores": [{"rule": "sequential", "method": "scores"}],
        "ranks": [{"rule": "sequential", "method": "ranks", "independent": True}],
        "mean": [{"rule": "sequential", "method": "mean"}],
        "betting": [{"rule": "sequential", "method": "betting", "cap": 10}],
        "any_of": [{"rule": "any_of", "rules": ["mann_whitney", "tail"]}],
        "all_of": [{"rule": "all_of", "rules": ["mann_whitney", "tail"]}],
        "several": [
            "mann_whitney",
            "tail",
            "late_shift",
            {"rule": "slo", "of": "p99", "op": "lte", "value": 4},
        ],
    },
    "ratio": {
        "default": [],
        "proportion": ["proportion"],
        "exact": [{"rule": "proportion", "method": "exact"}],
        "score": [{"rule": "proportion", "method": "score"}],
        "mann_whitney": ["mann_whitney"],
        "excursion": ["excursion"],
        "excursion 10%": [{"rule": "excursion", "tolerance": "10%"}],
        "slo": [{"rule": "slo", "of": "pooled", "op": "lte", "value": "1%"}],
        "slo exact": [
            {
                "rule": "slo",
                "of": "pooled",
                "op": "lt",
                "value": "1.2%",
                "method": "exact",
                "fail_value": "2%",
            }
        ],
        "slo score": [{"rule": "slo", "of": "pooled", "op": "lte", "value": "1.2%", "method": "score"}],
        "slo change": [{"rule": "slo", "of": "pooled", "op": "lte", "change": "+20%"}],
        "slo change absolute": [
            {"rule": "slo", "of": "pooled", "op": "lte", "change": {"absolute": "+0.3%"}}
        ],
        "slo change both": [
            {
                "rule": "slo",
                "of": "pooled",
                "op": "lte",
                "change": {"relative": "+10%", "absolute": "+0.1%"},
                "fail_change": {"relative": "+50%", "absolute": "+0.5%"},
            }
        ],
        "slo between": [{"rule": "slo", "of": "pooled", "between": ["0.5%", "1.5%"]}],
        "slo point": [{"rule": "slo", "of": "pooled", "op": "lte", "value": "1.1%", "evidence": "point"}],
        "burn_rate": [{"rule": "burn_rate", "target": "99.5%"}],
        "burn_rate period": [{"rule": "burn_rate", "target": "99%", "period": "7d", "traffic": 40000000}],
        "burn_rate alerts": [
            {
                "rule": "burn_rate",
                "target": "99%",
                "alerts": [
                    {"long": "30m", "short": "5m", "burn_rate": 1.5},
                    {"long": "20m", "burn_rate": 3.0},
                ],
            }
        ],
        "burn_rate slices": [
            {
                "rule": "burn_rate",
                "target": "95%",
                "budgeting": "timeslices",
                "time_slice_target": "99%",
                "time_slice_window": "1m",
            }
        ],
        "burn_rate shares": [
            {"rule": "burn_rate", "target": "99%", "budgeting": "ratio_timeslices", "time_slice_window": "1m"}
        ],
        "burn_rate calendar": [
            {
                "rule": "burn_rate",
                "target": "99%",
                "calendar": {"duration": "1M", "start": "2026-01-01 00:00:00", "zone": "Europe/Berlin"},
            }
        ],
        "burn_rate blamed": [{"rule": "burn_rate", "target": "99.9%", "blame": "canary"}],
        "mixture": [{"rule": "sequential", "method": "mixture"}],
        "looks": [{"rule": "sequential", "method": "looks", "looks": 4}],
        "any_of": [
            {
                "rule": "any_of",
                "rules": ["proportion", {"rule": "slo", "of": "pooled", "op": "lte", "value": "1.5%"}],
            }
        ],
        "all_of": [
            {
                "rule": "all_of",
                "rules": ["proportion", {"rule": "slo", "of": "pooled", "op": "lte", "value": "1.5%"}],
            }
        ],
        "several": [
            "proportion",
            "excursion",
            {"rule": "slo", "of": "pooled", "op": "lte", "value": "2%"},
            {"rule": "burn_rate", "target": "99%"},
        ],
    },
    "count": {
        "default": [],
        "rate": ["rate"],
        "excursion": ["excursion"],
        "slo": [{"rule": "slo", "of": "pooled", "op": "lte", "value": 11}],
        "slo fail": [{"rule": "slo", "of": "pooled", "op": "lt", "value": 10, "fail_value": 14}],
        "slo change": [{"rule": "slo", "of": "pooled", "op": "lte", "change": "+20%"}],
        "slo change absolute": [{"rule": "slo", "of": "pooled", "op": "lte", "change": {"absolute": 2}}],
        "slo between": [{"rule": "slo", "of": "pooled", "between": [8, 12]}],
        "mixture": [{"rule": "sequential", "method": "mixture"}],
        "looks": [{"rule": "sequential", "method": "looks"}],
        "any_of": [
            {"rule": "any_of", "rules": ["rate", {"rule": "slo", "of": "pooled", "op": "lte", "value": 12}]}
        ],
        "several": ["rate", "excursion", {"rule": "slo", "of": "pooled", "op": "lte", "value": 15}],
    },
    "histogram": {
        "default": [],
        "mann_whitney": ["mann_whitney"],
        "tail": ["tail"],
        "tail p90": [{"rule": "tail", "beyond": "p90"}],
        "tail fixed": [{"rule": "tail", "beyond": 1.6}],
        "late_shift": ["late_shift"],
        "slo p90": [{"rule": "slo", "of": "p90", "op": "lte", "value": 1.5}],
        "slo p99": [{"rule": "slo", "of": "p99", "op": "lte", "value": 3, "fail_value": 5}],
        "slo median": [{"rule": "slo", "of": "median", "op": "lte", "value": 1.1}],
        "slo change p90": [{"rule": "slo", "of": "p90", "op": "lte", "change": "+10%"}],
        "slo within": [{"rule": "slo", "of": "within", "bound": 1.52, "op": "gte", "value": "80%"}],
        "slo within change": [
            {"rule": "slo", "of": "within", "bound": 1.52, "op": "gte", "change": {"absolute": "-3%"}}
        ],
        "burn_rate": [{"rule": "burn_rate", "target": "90%", "bound": 1.52}],
        "cmh": [{"rule": "sequential", "method": "cmh"}],
        "any_of": [{"rule": "any_of", "rules": ["mann_whitney", "tail"]}],
        "several": [
            "mann_whitney",
            "late_shift",
            "tail",
            {"rule": "slo", "of": "p90", "op": "lte", "value": 2},
        ],
    },
}

_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "relative 5%": {"tolerance": "5%"},
    "relative 50%": {"tolerance": "50%"},
    "no tolerance": {"tolerance": "0%"},
    "either": {"direction": "either"},
    "decrease": {"direction": "decrease"},
    "not proven worse": {"pass_when": "not_proven_worse"},
    "min_points": {"min_points": 45},
    "windows": {"pairing": "windows"},
    "concurrent": {"pairing": "concurrent"},
    "interval": {"interval": "1m"},
    "interval 5m": {"interval": "5m"},
    "floor windows": {"pairing": "windows", "noise_floor": {"between_windows": "4%", "windows": 30}},
    "floor df": {"pairing": "windows", "noise_floor": {"between_windows": "2%", "df": 7.5}},
    "floor replicas": {"noise_floor": {"between_replicas": "3%", "replicas": 8}},
    "floor both": {
        "noise_floor": {"between_replicas": "1%", "replicas": 8, "between_windows": "5%", "windows": 12}
    },
}
_OWN_SETTINGS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "gauge": {
        "absolute": {"unit": "ms", "tolerance": "8ms"},
        "both": {"unit": "ms", "tolerance": {"relative": "3%", "absolute": "0.01s"}},
        "ratio effect": {"effect": "ratio"},
        "ratio effect either": {"effect": "ratio", "direction": "either", "tolerance": "20%"},
        "percent unit": {"unit": "%", "tolerance": "5%"},
        "floor absolute": {
            "unit": "ms",
            "pairing": "windows",
            "noise_floor": {"between_windows": "3ms", "windows": 9},
        },
    },
    "samples": {
        "absolute": {"tolerance": {"absolute": 0.1}},
        "ratio effect": {"effect": "ratio"},
        "unit": {"unit": "s", "tolerance": "50ms"},
    },
    "ratio": {
        "absolute": {"tolerance": {"absolute": "0.3%"}},
        "both": {"tolerance": {"relative": "20%", "absolute": "0.1%"}},
        "dispersion": {"dispersion": 2.5},
        "floor points": {
            "pairing": "windows",
            "noise_floor": {"between_windows": {"absolute": "0.05%"}, "windows": 20},
        },
    },
    "count": {
        "absolute": {"tolerance": {"absolute": 2}},
        "both": {"tolerance": {"relative": "20%", "absolute": 1}},
        "dispersion": {"dispersion": 3.0},
    },
    "histogram": {"absolute": {"unit": "s", "tolerance": "100ms"}},
}


def drawn(name: str) -> np.random.Generator:
    """Give the random numbers of a case."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def arm_of(
    kind: str,
    rng: np.random.Generator,
    size: int,
    *,
    harm: float = 1.0,
    start: float = START,
    traffic: int = 1000,
) -> dict[str, Any]:
    """Draw one arm: a minute a point; `harm` multiplies values, errors or events."""
    time = start + 60.0 * np.arange(size)
    if kind == "gauge":
        return {"time": time, "value": rng.normal(100 * harm, 5, size)}
    if kind == "samples":
        each = 8
        times = np.repeat(time, each) + np.tile(np.linspace(0, 52, each), size)
        return {"time": times, "value": rng.lognormal(0, 0.3, each * size) * harm}
    if kind == "ratio":
        return {
            "time": time,
            "value": rng.binomial(traffic, min(0.01 * harm, 1), size),
            "total": np.full(size, traffic),
        }
    if kind == "count":
        return {"time": time, "value": rng.poisson(10 * harm, size)}
    below = (rng.lognormal(0, 0.4, (size, 200, 1)) * harm <= EDGES).sum(axis=1)
    counts = np.diff(below, prepend=0, axis=1)
    return {"time": time, "edges": EDGES, "buckets": counts}


def release(kind: str, name: str, size: int, harm: float) -> dict[str, dict[str, Any]]:
    """Draw both arms."""
    rng = drawn(name)
    return {"baseline": arm_of(kind, rng, size), "canary": arm_of(kind, rng, size, harm=harm)}


def cases() -> Iterator[Case]:
    """Give every case."""
    for kind in KINDS:
        for number, (rule, rules) in enumerate(_RULES[kind].items()):
            for turn, (name, harm) in enumerate(HARMS.items()):
                direction = (
                    "decrease"
                    if (number + turn) % 7 == 6 and rule not in ("tail p99", "tail fixed", "tail p90")
                    else "increase"
                )
                metric = {"direction": direction, **({"rules": rules} if rules else {})}
                policy = {"max_points": 40} if "looks" in rule else {}
                yield _case(f"rules/{kind}/{rule}/{name}", kind, harm, metric, policy, size=40)
        for setting, metric in (_SETTINGS | _OWN_SETTINGS[kind]).items():
            for name in ("healthy", "slight", "bad"):
                yield _case(f"settings/{kind}/{setting}/{name}", kind, HARMS[name], metric, {})
        for shape, change in _SHAPES.items():
            for name in ("healthy", "bad"):
                yield _case(f"shapes/{kind}/{shape}/{name}", kind, HARMS[name], {}, {}, change=change)
        for size in (0, 1, 2, 3, 4, 5, 7, 9, 10, 12, 20, 200):
            for name in ("healthy", "bad"):
                yield _case(f"sizes/{kind}/{size}/{name}", kind, HARMS[name], {}, {}, size=size)
    yield from _noted()
    yield from _releases()


def _case(
    name: str,
    kind: str,
    harm: float,
    metric: dict[str, Any],
    policy: dict[str, Any],
    *,
    size: int = 40,
    change: Callable[[str, Any, np.random.Generator], Any] | None = None,
) -> Case:
    def ask() -> list[Fact]:
        data: Any = release(kind, name, size, harm)
        if change is not None:
            data = change(kind, data, drawn(f"{name} changed"))
        given = {"name": "m", "kind": kind, "direction": "increase"} | metric
        given = {key: value for key, value in given.items() if value is not None}
        made = cj.Policy(metrics=[given], **policy)
        found = of_verdict(cj.judge({given["name"]: data}, made))
        if name.startswith(("shapes", "notes")):
            found += of_value(cj.doctor(made, {given["name"]: data}).explain().splitlines(), field="doctor")
        return found

    return name, ask


def _each(
    change: Callable[[str, dict[str, Any], np.random.Generator], dict[str, Any]], *arms: str
) -> Callable[[str, Any, np.random.Generator], Any]:
    """Change one arm or both."""
    return lambda kind, data, rng: {
        arm: change(kind, dict(of), rng) if arm in (arms or ("baseline", "canary")) else of
        for arm, of in data.items()
    }


def _counted(of: dict[str, Any]) -> str:
    return "buckets" if "buckets" in of else "value"


def _with(
    **columns: Callable[[str, dict[str, Any], np.random.Generator], Any],
) -> Callable[[str, dict[str, Any], np.random.Generator], dict[str, Any]]:
    return lambda kind, of, rng: (
        of
        | {
            ("buckets" if name == "value" and "buckets" in of else name): make(kind, of, rng)
            for name, make in columns.items()
        }
    )


def _holes(_: str, of: dict[str, Any], rng: np.random.Generator) -> Any:
    values = np.array(of[_counted(of)], dtype=float)
    values[rng.random(len(values)) < 0.15] = np.nan
    return values


def _kept(part: Callable[[int], Any]) -> Callable[[str, dict[str, Any], np.random.Generator], dict[str, Any]]:
    def keep(_: str, of: dict[str, Any], __: np.random.Generator) -> dict[str, Any]:
        chosen = part(len(of["time"]))
        return {
            name: values if name == "edges" else np.asarray(values)[chosen] for name, values in of.items()
        }

    return keep


def _replicas(
    kind: str, of: dict[str, Any], rng: np.random.Generator, *, many: int = 3, spread: float = 0.08
) -> dict[str, Any]:
    parts = []
    for number in range(many):
        part = {name: np.array(values, dtype=float) for name, values in of.items()}
        factor = 1 + spread * rng.normal()
        if kind in ("gauge", "samples"):
            part["value"] = part["value"] * factor + (
                rng.normal(0, 3, len(part["value"])) if kind == "gauge" else 0
            )
        else:
            part[_counted(of)] = np.rint(part[_counted(of)] * abs(factor))
        part["replica"] = np.repeat(f"pod-{number}", len(part["time"]))
        parts.append(part)
    return {
        name: EDGES if name == "edges" else np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }


def _growing(_: str, of: dict[str, Any], __: np.random.Generator, *, reset: bool = False) -> dict[str, Any]:
    found = dict(of)
    for name in ("value", "total", "buckets"):
        if name in of:
            grown = np.cumsum(np.asarray(of[name], dtype=float), axis=0)
            if reset:
                grown[25:] -= grown[24]
            found[name] = grown
    return found


_SHAPES: Final[dict[str, Callable[[str, Any, np.random.Generator], Any]]] = {
    "no times": _each(lambda _, of, __: {name: values for name, values in of.items() if name != "time"}),
    "later": _each(lambda _, of, __: of | {"time": of["time"] + 86400}, "canary"),
    "half overlap": _each(lambda _, of, __: of | {"time": of["time"] + 1200}, "canary"),
    "jitter": _each(lambda _, of, rng: of | {"time": of["time"] + rng.uniform(-8, 8, len(of["time"]))}),
    "offset": _each(lambda _, of, __: of | {"time": of["time"] + 17}, "canary"),
    "milliseconds": _each(lambda _, of, __: of | {"time": of["time"] * 1000}),
    "holes": _each(_with(value=_holes)),
    "holes in one": _each(_with(value=_holes), "canary"),
    "gap": _each(_kept(lambda size: np.r_[0 : size // 3, 2 * size // 3 : size]), "canary"),
    "falls silent": _each(_kept(lambda size: np.arange(size // 2)), "canary"),
    "starts late": _each(_kept(lambda size: np.arange(size // 2, size)), "baseline"),
    "coarser": _each(_kept(lambda size: np.arange(0, size, 5)), "canary"),
    "backwards": _each(_kept(lambda size: np.arange(size)[::-1])),
    "twice": _each(_kept(lambda size: np.r_[0:size, 0:5]), "canary"),
    "all missing": _each(
        _with(value=lambda _, of, __: np.full(np.shape(of[_counted(of)]), np.nan)), "canary"
    ),
    "constant": _each(
        _with(value=lambda _, of, __: np.full_like(np.asarray(of[_counted(of)], dtype=float), 7))
    ),
    "constant canary": _each(
        _with(value=lambda _, of, __: np.full_like(np.asarray(of[_counted(of)], dtype=float), 9)), "canary"
    ),
    "zeros": _each(_with(value=lambda _, of, __: np.zeros_like(np.asarray(of[_counted(of)], dtype=float)))),
    "zero baseline": _each(
        _with(value=lambda _, of, __: np.zeros_like(np.asarray(of[_counted(of)], dtype=float))), "baseline"
    ),
    "zero canary": _each(
        _with(value=lambda _, of, __: np.zeros_like(np.asarray(of[_counted(of)], dtype=float))), "canary"
    ),
    "tied": _each(_with(value=lambda _, of, __: np.rint(np.asarray(of[_counted(of)], dtype=float) / 5) * 5)),
    "scaled": _each(
        _with(value=lambda _, of, __: 1000.0 * np.asarray(of[_counted(of)], dtype=float)), "baseline"
    ),
    "negative": _each(_with(value=lambda _, of, __: -np.asarray(of[_counted(of)], dtype=float))),
    "infinite": _each(
        _with(
            value=lambda _, of, __: np.where(
                np.arange(len(of["time"])).reshape(-1, *[1] * (np.ndim(of[_counted(of)]) - 1)) == 5,
                np.inf,
                of[_counted(of)],
            )
        ),
        "canary",
    ),
    "same": lambda _, data, __: {"baseline": data["baseline"], "canary": data["baseline"]},
    "empty canary": _each(
        lambda _, of, __: {name: values[:0] if name != "edges" else values for name, values in of.items()},
        "canary",
    ),
    "no canary": lambda _, data, __: {"baseline": data["baseline"]},
    "replicas": _each(_replicas),
    "replicas alike": _each(lambda kind, of, rng: _replicas(kind, of, rng, many=4, spread=0.005)),
    "replicas and one": _each(lambda kind, of, rng: _replicas(kind, of, rng, many=5), "baseline"),
    "growing": _each(_growing),
    "one burst": _each(
        _with(
            value=lambda _, of, __: np.where(
                np.isin(np.arange(len(of["time"])), (9, 10, 11, 30)).reshape(
                    -1, *[1] * (np.ndim(of[_counted(of)]) - 1)
                ),
                6 * np.asarray(of[_counted(of)]),
                of[_counted(of)],
            )
        ),
        "canary",
    ),
    "late fault": _each(
        _with(
            value=lambda _, of, __: np.where(
                (np.arange(len(of["time"])) > 0.6 * len(of["time"])).reshape(
                    -1, *[1] * (np.ndim(of[_counted(of)]) - 1)
                ),
                2 * np.asarray(of[_counted(of)]),
                of[_counted(of)],
            )
        ),
        "canary",
    ),
    "drift": _each(
        _with(
            value=lambda kind, of, __: (
                np.asarray(of[_counted(of)])
                * np.linspace(1, 1.6, len(of["time"])).reshape(-1, *[1] * (np.ndim(of[_counted(of)]) - 1))
                if kind in ("gauge", "samples")
                else of[_counted(of)]
            )
        )
    ),
    "wavy": _each(
        _with(
            value=lambda kind, of, rng: (
                np.asarray(of[_counted(of)])
                + 8 * np.convolve(rng.normal(size=len(of["time"]) + 9), np.ones(10) / 3, "valid")
                if kind in ("gauge", "samples")
                else of[_counted(of)]
            )
        )
    ),
    "small traffic": _each(
        lambda _, of, __: (
            of
            | (
                {"total": np.full(len(of["time"]), 1), "value": (np.asarray(of["value"]) > 11).astype(int)}
                if "total" in of
                else {}
            )
        ),
        "canary",
    ),
    "exposure": _each(
        lambda kind, of, rng: (
            of | ({"total": rng.uniform(0.5, 1.5, len(of["time"]))} if kind == "count" else {})
        )
    ),
    "text times": _each(
        lambda _, of, __: (
            of | {"time": np.datetime_as_string((of["time"] * 1000).astype("datetime64[ms]")).tolist()}
        )
    ),
}


def _noted() -> Iterator[Case]:
    """Give data that each have an oddity which the verdict is to mention."""
    minutes = START + 60.0 * np.arange(40)
    for name, kind, metric, change in (
        ("repeated times", "gauge", {}, lambda _, of, __: of | {"time": np.repeat(minutes[:10], 4)}),
        (
            "repeated times of counts",
            "count",
            {},
            lambda _, of, __: of | {"time": np.repeat(minutes[:20], 2)},
        ),
        (
            "repeated times of shares",
            "ratio",
            {},
            lambda _, of, __: of | {"time": np.repeat(minutes[:20], 2)},
        ),
        (
            "times missing",
            "gauge",
            {},
            lambda _, of, __: of | {"time": np.where(np.arange(40) % 9 == 3, np.nan, minutes)},
        ),
        (
            "times missing of buckets",
            "histogram",
            {},
            lambda _, of, __: of | {"time": np.where(np.arange(40) % 9 == 3, np.nan, minutes)},
        ),
        (
            "whole numbers",
            "gauge",
            {"name": "error_count", "kind": None},
            lambda _, of, rng: of | {"value": rng.poisson(12, 40).astype(float)},
        ),
        (
            "successes",
            "ratio",
            {"direction": "decrease"},
            lambda _, of, __: of | {"value": of["total"] - of["value"]},
        ),
        ("one point of a counter", "count", {"counter": True}, _kept(lambda size: np.arange(min(size, 1)))),
        (
            "no infinite bucket",
            "histogram",
            {},
            lambda _, of, __: of | {"edges": EDGES[:-1], "buckets": of["buckets"][:, :-1]},
        ),
        ("parts of counts", "histogram", {}, lambda _, of, __: of | {"buckets": of["buckets"] * 0.37}),
        ("converted", "gauge", {"unit": "ms"}, lambda _, of, __: of | {"unit": "s"}),
        ("unknown unit", "gauge", {"unit": "ms"}, lambda _, of, __: of | {"unit": "ticks"}),
        ("wrong unit", "gauge", {"unit": "ms"}, lambda _, of, __: of | {"unit": "MiB"}),
        (
            "replicas at one time",
            "gauge",
            {},
            lambda _, of, __: (
                {key: np.concatenate([of[key], of[key]]) for key in of} | {"replica": ["a", "b"] * 40}
            ),
        ),
        (
            "clock to the second",
            "samples",
            {},
            lambda _, of, __: of | {"value": np.rint(of["value"] * 4) / 4},
        ),
        ("a counter of one falls", "ratio", {"counter": True}, _one_falls),
    ):
        for harm in ("healthy", "bad"):
            yield _case(f"notes/{name}/{harm}", kind, HARMS[harm], metric, {}, change=_each(change))
    for harm in ("healthy", "bad"):
        yield _case(
            f"notes/other edges/{harm}", "histogram", HARMS[harm], {}, {}, change=_each(_coarser, "canary")
        )
        yield _case(
            f"notes/cumulative rows/{harm}", "histogram", HARMS[harm], {}, {}, change=_each(_cumulative)
        )
        yield _case(f"notes/native buckets/{harm}", "histogram", HARMS[harm], {}, {}, change=_each(_native))
        yield _case(f"notes/exponential/{harm}", "histogram", HARMS[harm], {}, {}, change=_each(_exponential))
        yield _case(
            f"notes/no times in one/{harm}",
            "gauge",
            HARMS[harm],
            {},
            {},
            change=_each(lambda _, of, __: {"value": of["value"]}, "canary"),
        )


def _one_falls(kind: str, of: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Let what is counted begin anew while the total goes on."""
    grown = _growing(kind, of, rng)
    value = grown["value"].copy()
    value[20:] -= value[19] - 5
    return grown | {"value": value}


def _coarser(_: str, of: dict[str, Any], __: np.random.Generator) -> dict[str, Any]:
    """Leave out every third edge."""
    kept = np.flatnonzero((np.arange(len(EDGES)) % 3 != 1) | np.isinf(EDGES))
    below = np.cumsum(of["buckets"], axis=1)[:, kept]
    return of | {"edges": EDGES[kept], "buckets": np.diff(below, prepend=0, axis=1)}


def _cumulative(_: str, of: dict[str, Any], __: np.random.Generator) -> dict[str, Any]:
    """Write rows as Prometheus has them."""
    below = np.cumsum(of["buckets"], axis=1)
    return {
        "time": np.repeat(of["time"], len(EDGES)),
        "le": np.tile(EDGES, len(below)),
        "value": below.ravel(),
    }


def _native(_: str, of: dict[str, Any], __: np.random.Generator) -> dict[str, Any]:
    """Write buckets with their own ends."""
    ends = list(zip([0.0, *EDGES[:-1].tolist()], [*EDGES[:-1].tolist(), 100.0], strict=True))
    rows = [
        [[low, high, int(count)] for (low, high), count in zip(ends, row, strict=True)]
        for row in of["buckets"]
    ]
    return {"time": of["time"], "buckets": rows}


def _exponential(_: str, of: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Write OpenTelemetry's exponential buckets, of a scale that changes."""
    level = float((of["buckets"] * np.arange(len(EDGES))).sum() / of["buckets"].sum())
    rows = []
    for minute in range(len(of["time"])):
        scale = 2 + minute % 2
        index = np.ceil(np.log2(rng.lognormal(level / 10, 0.4, 150)) * 2.0**scale).astype(int) - 1
        counts = np.bincount(index - index.min()).tolist()
        rows.append(
            {
                "count": 150,
                "scale": scale,
                "zeroCount": 0,
                "positive": {"offset": int(index.min()), "bucketCounts": counts},
            }
        )
    return {"time": of["time"], "exponential": rows}


def _releases() -> Iterator[Case]:
    """Several metrics: roles, weights, groups, scores, missing ones, other error rates, splits, counters."""
    kinds = {
        "cpu": "gauge",
        "latency": "samples",
        "errors": "ratio",
        "restarts": "count",
        "waits": "histogram",
    }
    policies: dict[str, tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {
        "plain": ({}, {}),
        "alpha": ({"alpha": "5%", "beta": "10%"}, {}),
        "strict": ({"alpha": "0.1%", "beta": "0.5%"}, {}),
        "guards": ({}, {name: {"role": "guard"} for name in ("cpu", "restarts", "waits")}),
        "advisory": ({}, {"cpu": {"role": "advisory"}, "errors": {"role": "advisory"}}),
        "muted": ({}, {"errors": {"role": "muted"}, "cpu": {"role": "muted"}}),
        "all guards": ({}, {name: {"role": "guard"} for name in kinds}),
        "weights": ({}, {"errors": {"weight": 5}, "cpu": {"weight": 0.5}}),
        "score": ({"aggregate": "score"}, {}),
        "score weights": (
            {"aggregate": "score", "pass_score": 80, "marginal_score": 40, "groups": {"use": 3}},
            {
                "cpu": {"group": "use", "weight": 2},
                "latency": {"group": "use"},
                "errors": {"group": "faults"},
            },
        ),
        "score guards": (
            {"aggregate": "score"},
            {name: {"role": "guard"} for name in ("cpu", "latency", "waits")},
        ),
        "not proven worse": ({}, {name: {"pass_when": "not_proven_worse"} for name in kinds}),
        "split": ({"split": {"baseline": "90%", "canary": "10%"}}, {}),
        "even split": ({"split": {"baseline": "50%", "canary": "50%"}}, {}),
        "missing": ({}, {"gone": {"direction": "increase"}}),
        "missing fails": ({}, {"gone": {"direction": "increase", "no_data": "fail"}}),
        "missing ignored": ({}, {"gone": {"direction": "increase", "no_data": "ignore"}}),
        "missing guard": ({}, {"gone": {"direction": "increase", "role": "guard"}}),
        "sequential": ({"max_points": 40}, {name: {"rules": ["sequential"]} for name in kinds}),
        "deadline passes": (
            {"max_points": 40, "on_deadline": "pass"},
            {name: {"rules": ["sequential"]} for name in kinds},
        ),
        "deadline fails": (
            {"max_points": 40, "on_deadline": "fail"},
            {name: {"rules": ["sequential"]} for name in kinds},
        ),
        "duration": ({"max_duration": "40m"}, {name: {"rules": ["sequential"]} for name in kinds}),
        "either": ({}, {name: {"direction": "either"} for name in kinds}),
        "units": ({}, {"cpu": {"unit": "%"}, "latency": {"unit": "s"}, "waits": {"unit": "ms"}}),
    }
    harms = {
        "healthy": {},
        "one bad": {"errors": 2.5},
        "two bad": {"cpu": 1.4, "waits": 1.5},
        "all slight": dict.fromkeys(kinds, 1.12),
    }
    for name, (policy, changes) in policies.items():
        for harm, harmed in harms.items():
            yield f"releases/{name}/{harm}", _several(f"releases/{harm}", kinds, policy, changes, harmed)
    for kind in ("ratio", "count", "histogram"):
        for reset in (False, True):
            for harm in ("healthy", "bad"):
                name = f"counters/{kind}/{'reset' if reset else 'grown'}/{harm}"
                change = _each(lambda of_kind, of, rng, reset=reset: _growing(of_kind, of, rng, reset=reset))
                yield _case(name, kind, HARMS[harm], {"counter": True}, {}, change=change)
                yield _case(
                    f"{name}/replicas",
                    kind,
                    HARMS[harm],
                    {"counter": True},
                    {},
                    change=lambda of_kind, data, rng, change=change: _each(_replicas)(
                        of_kind, change(of_kind, data, rng), rng
                    ),
                )
    for harm in ("healthy", "bad"):
        yield f"sketches/{harm}", lambda harm=harm: _sketched(harm)


def _several(
    name: str,
    kinds: dict[str, str],
    policy: dict[str, Any],
    changes: dict[str, dict[str, Any]],
    harms: dict[str, float],
) -> Callable[[], list[Fact]]:
    def ask() -> list[Fact]:
        data = {
            metric: release(kind, f"{name}/{metric}", 40, harms.get(metric, 1.0))
            for metric, kind in kinds.items()
        }
        metrics = [
            {"name": metric, "kind": kind, "direction": "increase"} | changes.get(metric, {})
            for metric, kind in kinds.items()
        ]
        metrics += [
            {"name": metric} | settings for metric, settings in changes.items() if metric not in kinds
        ]
        made = cj.Policy(metrics=metrics, **policy)
        verdict = cj.judge(data, made)
        frame = verdict.to_frame()
        again = type(verdict).from_json(verdict.to_json())
        return [
            *of_verdict(verdict),
            ("", "", "read back", again == verdict),
            *of_value(sorted(frame.columns), field="columns"),
        ]

    return ask


def _sketched(harm: str) -> list[Fact]:
    rng = drawn(f"sketch {harm}")
    arms = {}
    for arm, factor in (("baseline", 1.0), ("canary", HARMS[harm])):
        sketch = cj.Sketch(interval=60)
        for minute in range(20):
            sketch.add(rng.lognormal(np.log(80 * factor), 0.5, 200), time=START + 60 * minute)
        arms[arm] = sketch
    metric = {"name": "latency", "kind": "histogram", "unit": "ms", "direction": "increase"}
    found = of_verdict(cj.judge({"latency": arms}, cj.Policy(metrics=[metric])))
    for arm, sketch in arms.items():
        again = cj.Sketch.from_json(sketch.to_json())
        found += of_value(
            {
                "repr": repr(sketch),
                "quantiles": [again.quantile(q) for q in (0, 0.1, 0.5, 0.99, 1)],
                "json": sketch.to_json(),
            },
            arm,
        )
    return found

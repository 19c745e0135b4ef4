"""Data in every format and layout, read by the command line; and what the watch, the plan and the doctor say of them."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

import canaryjudge as cj
from recording.facts import Case, Fact, of_command, of_value, of_verdict
from recording.simulated import EDGES, KINDS, START, arm_of, drawn

__all__ = ["cases"]

_SETTINGS: Final = {
    "cpu": {"kind": "gauge", "unit": "%"},
    "latency": {"kind": "samples", "unit": "s"},
    "errors": {"kind": "ratio"},
    "restarts": {"kind": "count"},
    "waits": {"kind": "histogram", "unit": "s"},
}
_ARMS: Final = ("baseline", "canary")


def _parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()


_WRITERS: Final[dict[str, Callable[[pd.DataFrame], bytes]]] = {
    "csv": lambda frame: frame.to_csv(index=False).encode(),
    "tsv": lambda frame: frame.to_csv(index=False, sep="\t").encode(),
    "json": lambda frame: frame.to_json(orient="records").encode(),
    "ndjson": lambda frame: frame.to_json(orient="records", lines=True).encode(),
    "parquet": _parquet,
    "csv.gz": lambda frame: gzip.compress(frame.to_csv(index=False).encode(), mtime=0),
    "json.gz": lambda frame: gzip.compress(frame.to_json(orient="records").encode(), mtime=0),
}


def cases() -> Iterator[Case]:
    """Give every case."""
    metrics = [{"name": name, "direction": "increase"} | settings for name, settings in _SETTINGS.items()]
    Path("policy.yaml").write_text(json.dumps({"metrics": metrics, "max_points": 40}, indent=1), "utf-8")
    for harm in (1.0, 1.3):
        for ending in _WRITERS:
            yield f"formats/{ending} x {harm}", lambda ending=ending, harm=harm: _format(ending, harm)
            for layout in ("texts", "milliseconds", "replicas", "shuffled"):
                if harm == 1.0:
                    yield (
                        f"formats/{ending} {layout}",
                        lambda ending=ending, layout=layout: _format(ending, 1.0, layout),
                    )
    for ending in ("csv", "tsv", "json", "ndjson", "parquet"):
        for options in (
            "--wide version",
            "--wide version --replica pod",
            "--wide version --time ts --column errors=bad/requests",
            "--wide version --column errors=bad/requests --column cpu=load",
            "--wide nothing --column errors=bad/requests",
            "--wide version --time gone",
        ):
            yield f"wide/{ending} {options}", lambda ending=ending, options=options: _wide(ending, options)
    for kind in ("frames", "records", "polars", "arrow"):
        yield f"api/{kind}", lambda kind=kind: _frames(kind)
    yield from _otlp()
    yield from _prometheus()
    for name in ("bad", "good", "late"):
        yield f"watch/{name}", lambda name=name: _watch(name)
    yield from _histories()
    yield from _readiness()


def _tidy(harm: float, layout: str = "") -> pd.DataFrame:
    parts = []
    for name, settings in _SETTINGS.items():
        rng = drawn(f"read {name}")
        for arm in _ARMS:
            of = arm_of(settings["kind"], rng, 40, harm=harm if arm == "canary" else 1.0)
            if "buckets" in of:
                size = len(of["time"])
                of = {
                    "time": np.repeat(of["time"], len(EDGES)),
                    "le": np.tile(EDGES, size),
                    "value": np.cumsum(of["buckets"], axis=1).ravel(),
                }
            parts.append(pd.DataFrame(of).assign(metric=name, arm=arm))
    frame = pd.concat(parts, ignore_index=True)
    frame["le"] = frame["le"].map(
        lambda edge: "" if pd.isna(edge) else "+Inf" if np.isinf(edge) else repr(float(edge))
    )
    if layout == "texts":
        frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    elif layout == "milliseconds":
        frame["time"] = (frame["time"] * 1000).round().astype("int64")
    elif layout == "replicas":
        frame = pd.concat([frame.assign(replica=f"pod-{number}") for number in range(2)], ignore_index=True)
    elif layout == "shuffled":
        frame = frame.sample(frac=1, random_state=1)[["value", "le", "total", "time", "arm", "metric"]]
    return frame


def _format(ending: str, harm: float, layout: str = "") -> list[Fact]:
    path = Path(f"data.{ending}")
    path.write_bytes(_WRITERS[ending](_tidy(harm, layout)))
    found = of_command("judge", "--policy", "policy.yaml", "--data", str(path), "--format", "json")
    state = Path("state.json")
    state.unlink(missing_ok=True)
    return found + of_command(
        "monitor",
        "--policy",
        "policy.yaml",
        "--data",
        str(path),
        "--state",
        str(state),
        "--format",
        "json",
        metric="monitor",
    )


def _wide(ending: str, options: str) -> list[Fact]:
    rng = drawn("wide")
    rows = []
    for minute in range(30):
        for version in _ARMS:
            for pod in ("a", "b"):
                row = {
                    "ts": START + 60 * minute,
                    "version": version,
                    "pod": pod,
                    "cpu": rng.normal(50, 2),
                    "load": rng.normal(3, 0.1),
                }
                rows.append(
                    row | {"bad": rng.binomial(500, 0.01), "requests": 500, "errors": rng.binomial(500, 0.01)}
                )
    path = Path(f"wide.{ending}")
    path.write_bytes(_WRITERS[ending](pd.DataFrame(rows)))
    policy = {
        "metrics": [
            {"name": "cpu", "direction": "increase"},
            {"name": "errors", "kind": "ratio", "direction": "increase"},
        ]
    }
    Path("wide.yaml").write_text(json.dumps(policy), "utf-8")
    return of_command(
        "judge", "--policy", "wide.yaml", "--data", str(path), *options.split(), "--format", "json"
    )


def _frames(kind: str) -> list[Fact]:
    frame = _tidy(1.3)
    data: Any = frame
    if kind == "records":
        data = frame.to_dict("records")
    elif kind == "polars":
        import polars as pl  # noqa: PLC0415 - one case needs it

        data = pl.DataFrame(frame.to_dict("list"))
    elif kind == "arrow":
        import pyarrow as pa  # noqa: PLC0415 - as above

        data = pa.Table.from_pandas(frame)
    return of_verdict(cj.judge(data, cj.load_policy("policy.yaml")))


def _attributes(**given: str) -> list[dict[str, Any]]:
    return [{"key": name.replace("__", "."), "value": {"stringValue": text}} for name, text in given.items()]


def _otlp() -> Iterator[Case]:
    """Give OpenTelemetry's metrics: sums, gauges, histograms and exponential ones, cumulative and not."""
    for shape in ("sum", "gauge", "histogram", "exponentialHistogram"):
        for cumulative in (True, False):
            for pods in (1, 2):
                name = f"otlp/{shape} {'cumulative' if cumulative else 'delta'} {pods}"
                yield (
                    name,
                    lambda shape=shape, cumulative=cumulative, pods=pods: _exported(
                        shape, pods, cumulative=cumulative
                    ),
                )
    for name, document in {
        "nothing": {},
        "empty": {"resourceMetrics": []},
        "no version": {"resourceMetrics": [{"resource": {"attributes": []}, "scopeMetrics": []}]},
        "list": [1, 2],
    }.items():
        yield (
            f"otlp/{name}",
            lambda document=document: of_value(cj.from_otlp(document, arm="service.version")),
        )


def _exported(shape: str, pods: int, *, cumulative: bool) -> list[Fact]:
    rng = drawn(f"otlp {shape}")
    resources = []
    for version in _ARMS:
        for pod in range(pods):
            points: list[dict[str, Any]] = []
            whole = np.zeros(6, dtype=int)
            for minute in range(20):
                cells = np.histogram(rng.lognormal(-1.5, 0.6, 100), [0, 0.05, 0.1, 0.25, 0.5, 1.0, np.inf])[0]
                whole = whole + cells if cumulative else cells
                point: dict[str, Any] = {
                    "timeUnixNano": str((int(START) + 60 * minute) * 10**9),
                    "startTimeUnixNano": str(
                        (int(START) - 60 if cumulative else int(START) + 60 * (minute - 1)) * 10**9
                    ),
                    "attributes": [],
                }
                if shape == "histogram":
                    point |= {
                        "count": str(whole.sum()),
                        "explicitBounds": [0.05, 0.1, 0.25, 0.5, 1.0],
                        "bucketCounts": [str(each) for each in whole],
                    }
                elif shape == "exponentialHistogram":
                    point |= {
                        "count": str(whole.sum()),
                        "scale": 1,
                        "zeroCount": "0",
                        "positive": {"offset": -9, "bucketCounts": [str(each) for each in whole]},
                    }
                else:
                    point |= (
                        {"asInt": str(whole.sum())}
                        if shape == "sum"
                        else {"asDouble": float(rng.normal(50, 2))}
                    )
                points.append(point)
            temporality = {} if shape == "gauge" else {"aggregationTemporality": 2 if cumulative else 1}
            body = {"dataPoints": points} | temporality | ({"isMonotonic": True} if shape == "sum" else {})
            resources.append(
                {
                    "resource": {
                        "attributes": _attributes(
                            service__version=version, service__instance__id=f"pod-{pod}"
                        )
                    },
                    "scopeMetrics": [{"scope": {"name": "app"}, "metrics": [{"name": "m", shape: body}]}],
                }
            )
    kind = {"sum": "count", "gauge": "gauge"}.get(shape, "histogram")
    counter = cumulative and kind != "gauge"
    Path("otlp.yaml").write_text(
        json.dumps({"metrics": [{"name": "m", "kind": kind, "direction": "increase", "counter": counter}]}),
        "utf-8",
    )
    Path("otlp.json").write_text(json.dumps({"resourceMetrics": resources}), "utf-8")
    found = of_command(
        "judge", "--policy", "otlp.yaml", "--data", "otlp.json", "--data-format", "otlp", "--format", "json"
    )
    return found + of_command(
        "judge",
        "--policy",
        "otlp.yaml",
        "--data",
        "otlp.json",
        "--data-format",
        "otlp",
        "--arm-attribute",
        "version",
        metric="other attribute",
    )


def _prometheus() -> Iterator[Case]:
    """Give Prometheus' answers: of the example, and small ones of each shape."""
    for name in ("errors", "requests"):
        yield (
            f"prometheus/{name}",
            lambda name=name: of_value(
                cj.from_prometheus(
                    json.loads(Path(f"examples/prometheus/{name}.json").read_text("utf-8")),
                    arm="version",
                    metric="errors",
                )
            ),
        )
    yield "prometheus/both", _answered
    for name, result in {
        "matrix": [{"metric": {"version": "a", "__name__": "m"}, "values": [[0, "1"], [60, "2"]]}],
        "NaN": [{"metric": {"version": "a"}, "values": [[0, "NaN"], [60, "+Inf"]]}],
        "no label": [{"metric": {}, "values": [[0, "1"]]}],
        "word": [{"metric": {"version": "a"}, "values": [[0, "x"]]}],
        "none": [],
        "buckets": [
            {"metric": {"version": "a", "le": le}, "values": [[0, "1"], [60, "2"]]}
            for le in ("0.1", "1", "+Inf")
        ],
        "replicas": [
            {"metric": {"version": "a", "instance": name}, "values": [[0, "1"], [60, "2"]]}
            for name in ("x", "y")
        ],
    }.items():
        answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        yield (
            f"prometheus/{name}",
            lambda answer=answer: of_value(cj.from_prometheus(answer, arm="version", metric="m")),
        )
    for name, answer in {
        "error": {"status": "error", "error": "parse error"},
        "vector": {"status": "success", "data": {"resultType": "vector", "result": []}},
        "text": "x",
    }.items():
        yield (
            f"prometheus/{name}",
            lambda answer=answer: of_value(cj.from_prometheus(answer, arm="version", metric="m")),
        )


def _answered() -> list[Fact]:
    errors, requests = (
        json.loads(Path(f"examples/prometheus/{name}.json").read_text("utf-8"))
        for name in ("errors", "requests")
    )
    data = cj.from_prometheus(errors, arm="version", metric="errors", total=requests, counter=True)
    policy = cj.Policy(
        metrics=[{"name": "errors", "kind": "ratio", "counter": True, "direction": "increase"}]
    )
    return of_value(data) + of_verdict(cj.judge(data, policy, baseline="1.4", canary="1.5"))


def _watch(name: str) -> list[Fact]:
    """Watch a whole file; what it says on the way has the time of the day in it."""
    line = f"watch --policy examples/rollout/policy.yaml --data examples/rollout/{name}.csv --interval 1s --for 1s --format json --output watched.json"
    return [
        fact
        for fact in of_command(*line.split(), outputs=("watched.json",))
        if fact[2] not in ("stdout", "stderr")
    ]


def _histories() -> Iterator[Case]:
    """Calibrate on and plan from histories of every kind."""
    for kind in KINDS:
        yield f"history/{kind}", lambda kind=kind: _calibrated(kind)
        for assume in (
            "spread=5% traffic=1000 level=1",
            "interval=30s autocorrelation=0.5 spread=10% traffic=200 level=2",
            "level=0.5 traffic=10 spread=1% between_intervals=3%",
        ):
            yield f"plan/{kind}/{assume}", lambda kind=kind, assume=assume: _planned(kind, assume)


def _calibrated(kind: str) -> list[Fact]:
    of = arm_of(kind, drawn(f"history of {kind}"), 240)
    columns = (
        {
            "time": np.repeat(of["time"], len(EDGES)),
            "le": np.tile(EDGES, 240),
            "value": np.cumsum(of["buckets"], axis=1).ravel(),
        }
        if kind == "histogram"
        else of
    )
    pd.DataFrame(columns).assign(metric="m").to_csv("history.csv", index=False)
    Path("history.yaml").write_text(
        f"max_points: 20\nmetrics:\n- name: m\n  kind: {kind}\n  direction: increase\n", "utf-8"
    )
    found = of_command(
        *[
            "calibrate",
            "--policy",
            "history.yaml",
            "--history",
            "history.csv",
            "--pairs",
            "6",
            "--jobs",
            "1",
            "--quiet",
            "--format",
            "json",
        ]
    )
    found += of_command(
        *[
            "calibrate",
            "--policy",
            "history.yaml",
            "--history",
            "history.csv",
            "--pairs",
            "4",
            "--jobs",
            "1",
            "--quiet",
            "--output",
            "calibrated.yaml",
        ],
        outputs=("calibrated.yaml",),
        metric="text",
    )
    return found + of_command(
        *[
            "plan",
            "--policy",
            "history.yaml",
            "--history",
            "history.csv",
            "--assume",
            "traffic=5000",
            "--share",
            "20%",
        ],
        metric="plan",
    )


def _planned(kind: str, assume: str) -> list[Fact]:
    Path("planned.yaml").write_text(
        f"max_points: 60\nmetrics:\n- name: m\n  kind: {kind}\n  direction: increase\n", "utf-8"
    )
    given = [f"--assume={each}" for each in assume.split()]
    found = of_command("plan", "--policy", "planned.yaml", *given, "--format", "json")
    return found + of_command(
        "plan", "--policy", "planned.yaml", *given, "--size", "10%", "--share", "5%", metric="text"
    )


def _readiness() -> Iterator[Case]:
    """Ask the doctor about queries and names."""
    queries = {
        "averaged": "avg(histogram_quantile(0.99, rate(x_bucket{${selector}}[1m])))",
        "short": "rate(x_total{${selector}}[10s])",
        "no rate": "x_total{${selector}}",
        "filled": "sum(rate(x_total{${selector}}[5m])) or vector(0)",
        "no selector": "rate(x_total[5m])",
        "good": "sum(rate(x_total{${selector}}[5m]))",
        "long": "rate(x_total{${selector}}[2h])",
    }
    for kind in KINDS:
        for name, query in queries.items():
            yield f"doctor/{kind}/{name}", lambda kind=kind, query=query: _doctored(kind, query)


def _doctored(kind: str, query: str) -> list[Fact]:
    asked: Any = {"value": query, "total": query} if kind == "ratio" else query
    policy = {
        "prometheus": {"baseline": 'version="1"', "canary": 'version="2"', "step": "15s", "window": "30m"},
        "metrics": [{"name": "x", "kind": kind, "direction": "increase", "query": asked}],
    }
    Path("asked.yaml").write_text(json.dumps(policy), "utf-8")
    return of_command("doctor", "--policy", "asked.yaml") + of_command(
        "doctor", "--policy", "asked.yaml", "--format", "json", metric="json"
    )

"""Makes the bundled export: what the OpenTelemetry collector's file exporter writes in 20 minutes of a release.

    python docs/examples/otlp/make_export.py

Two instances of each version count their requests from their start on, by route and status, and their latencies in exponential
histograms; they export every minute. One instance of the canary restarts. The canary answers 15 % more slowly.
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MINUTES = 20
START = 1_772_442_000  # 2026-03-02T09:00:00Z
INSTANCES = (("1.4", "a", 1.0), ("1.4", "b", 1.0), ("1.5", "c", 1.15), ("1.5", "d", 1.15))
RESTART = ("d", 12)  # the instance and the minute


def attributes(**given: str) -> list[dict[str, object]]:
    """Write attributes as OTLP does."""
    return [{"key": key.replace("__", "."), "value": {"stringValue": text}} for key, text in given.items()]


def exponential(values: np.ndarray) -> dict[str, object]:
    """Count values as an SDK does: at the finest scale at which 160 buckets reach."""
    scale = 20
    while True:
        index = np.ceil(np.log2(values) * 2.0**scale).astype(int) - 1
        if index.max() - index.min() < 160:
            break
        scale -= 1
    counts = [str(count) for count in np.bincount(index - index.min())]
    return {
        "count": str(len(values)),
        "sum": round(float(values.sum()), 6),
        "scale": scale,
        "zeroCount": "0",
        "positive": {"offset": int(index.min()), "bucketCounts": counts},
    }


def exported(
    version: str, instance: str, times: tuple[int, int], latencies: np.ndarray, failed: int
) -> dict[str, object]:
    """Write one instance's metrics at one time."""
    began, now = (f"{seconds}000000000" for seconds in times)
    common = {"startTimeUnixNano": began, "timeUnixNano": now}
    points = [
        common | {"attributes": attributes(http__response__status_code=status), "asInt": str(count)}
        for status, count in (("200", len(latencies) - failed), ("503", failed))
        if count
    ]
    duration = common | {"attributes": [], **exponential(latencies)}
    metrics = [
        {
            "name": "http.server.requests",
            "unit": "{request}",
            "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": points},
        },
        {
            "name": "http.server.request.duration",
            "unit": "s",
            "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [duration]},
        },
    ]
    of = attributes(service__name="checkout", service__version=version, service__instance__id=instance)
    return {"resource": {"attributes": of}, "scopeMetrics": [{"scope": {"name": "http"}, "metrics": metrics}]}


def main() -> None:
    """Write the export, a line a minute."""
    rng = np.random.default_rng(20260302)
    seen = {instance: np.empty(0) for _, instance, _ in INSTANCES}
    failed, began = dict.fromkeys(seen, 0), dict.fromkeys(seen, START - 3600)
    lines = []
    for minute in range(MINUTES):
        now = START + 60 * minute
        groups = []
        for version, instance, slower in INSTANCES:
            if (instance, minute) == RESTART:
                seen[instance], failed[instance], began[instance] = np.empty(0), 0, now - 30
            requests = int(rng.poisson(120))
            values = rng.lognormal(np.log(0.08 * slower), 0.5, requests)
            seen[instance] = np.concatenate([seen[instance], np.round(values, 6)])
            failed[instance] += int(rng.binomial(requests, 0.005))
            groups.append(
                exported(version, instance, (began[instance], now), seen[instance], failed[instance])
            )
        lines.append(json.dumps({"resourceMetrics": groups}, separators=(",", ":")))
    (HERE / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

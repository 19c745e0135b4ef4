"""OpenTelemetry metrics in OTLP's JSON form, for tests."""

import numpy as np

T0 = 1_700_000_000
BOUNDS = [0.05, 0.1, 0.25, 0.5, 1.0]


def nanos(minute):
    return str((T0 + 60 * minute) * 10**9)


def attributes(**given):
    """Attributes as OTLP writes them; two underscores stand for a dot."""
    return [{"key": name.replace("__", "."), "value": {"stringValue": text}} for name, text in given.items()]


def point(minute, *, start=None, of=None, **fields):
    found = {"timeUnixNano": nanos(minute), "attributes": attributes(**(of or {}))} | fields
    return found if start is None else found | {"startTimeUnixNano": nanos(start)}


def numbers(values, *, first=0, **more):
    return [point(first + i, asInt=str(value), **more) for i, value in enumerate(values)]


def sum_of(points, *, cumulative=True, monotonic=True):
    return {
        "sum": {
            "aggregationTemporality": 2 if cumulative else 1,
            "isMonotonic": monotonic,
            "dataPoints": points,
        }
    }


def gauge_of(points):
    return {"gauge": {"dataPoints": points}}


def histogram_of(points, *, cumulative=True, shape="histogram"):
    return {shape: {"aggregationTemporality": 2 if cumulative else 1, "dataPoints": points}}


def explicit(counts, bounds=None):
    """The fields of a histogram's data point."""
    counts = [int(count) for count in counts]
    return {
        "count": str(sum(counts)),
        "explicitBounds": BOUNDS if bounds is None else bounds,
        "bucketCounts": [str(count) for count in counts],
    }


def counted(values, bounds=None):
    """Such fields, of some values."""
    edges = [*(BOUNDS if bounds is None else bounds), np.inf]
    return explicit(np.diff((np.asarray(values)[:, None] <= edges).sum(axis=0), prepend=0), bounds)


def exponential(values, scale):
    """The fields of an exponential histogram's data point, of some positive values."""
    index = np.ceil(np.log2(values) * 2.0**scale).astype(int) - 1
    counts = np.bincount(index - index.min()).tolist() if len(index) else []
    return {
        "count": str(len(index)),
        "scale": scale,
        "zeroCount": "0",
        "positive": {"offset": int(index.min()), "bucketCounts": [str(count) for count in counts]},
    }


def resource(version, metrics, instance=None, **more):
    """One process's metrics: a mapping of names to what they are."""
    named = {} if instance is None else {"service__instance__id": instance}
    return {
        "resource": {"attributes": attributes(service__version=version, **named, **more)},
        "scopeMetrics": [
            {"scope": {"name": "app"}, "metrics": [{"name": name} | what for name, what in metrics.items()]}
        ],
    }


def document(*resources):
    return {"resourceMetrics": list(resources)}

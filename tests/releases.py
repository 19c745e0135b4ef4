"""Releases of every outcome, small and odd ones, for all who show a verdict."""

import numpy as np

import canaryjudge as cj

__all__ = ["KINDS", "NASTY", "fifty_metrics", "looks_of_a_watch", "nasty_release", "watched"]

START = 1_772_632_800.0
NASTY = "<script>alert(1)</script> <b>bold \"quoted\" 'single' &amp; \x1b[31m ü <img src=x onerror=alert(2)>"

POLICY = cj.Policy(
    metrics=[
        cj.Metric(
            name="errors",
            kind="ratio",
            direction="increase",
            tolerance={"relative": "40%", "absolute": "0.05%"},
            pass_within="tolerance",
            rules=[cj.Proportion(), cj.Slo(of="pooled", op="lte", value="0.5%")],
        ),
        cj.Metric(name="latency", unit="ms", direction="increase"),
        cj.Metric(name="memory", unit="MiB", direction="either", role="guard"),
        cj.Metric(name="waits", kind="histogram", unit="s", direction="increase", role="advisory"),
        cj.Metric(
            name="hits",
            kind="ratio",
            direction="decrease",
            rules=[cj.Slo(of="pooled", op="gte", value="90%")],
        ),
    ]
)


def _release(seed, errors=1.0, latency=1.0, minutes=60, points=None):
    rng = np.random.default_rng(seed)
    time = START + 60.0 * np.arange(minutes)
    edges = np.array([0.1, 0.2, 0.5, 1.0, np.inf])
    data = {metric.name: {} for metric in POLICY.metrics}
    for arm, worse, slower in (("baseline", 1.0, 1.0), ("canary", errors, latency)):
        keep = slice(0, points if arm == "canary" else None)
        total = np.full(minutes, 2000.0)
        values = {
            "errors": {"value": rng.binomial(2000, 0.001 * worse, minutes).astype(float), "total": total},
            "latency": {"value": rng.normal(120 * slower, 4, minutes)},
            "memory": {"value": rng.normal(800, 4, minutes)},
            "waits": {"buckets": rng.multinomial(2000, [0.4, 0.3, 0.2, 0.09, 0.01], minutes).astype(float)},
            "hits": {"value": rng.binomial(2000, 0.95, minutes).astype(float), "total": total},
        }
        for name, columns in values.items():
            kept = {column: numbers[keep] for column, numbers in columns.items()}
            data[name][arm] = {"time": time[keep], **kept, **({"edges": edges} if name == "waits" else {})}
    return data


KINDS = {
    "pass": cj.judge(_release(1), POLICY),
    "marginal": cj.judge(_release(2, errors=1.4, minutes=20), POLICY),
    "fail": cj.judge(_release(3, errors=6.0, latency=1.4), POLICY),
    "no-data": cj.judge(_release(4, points=0), POLICY),
}
assert [verdict.outcome.value for verdict in KINDS.values()] == ["pass", "marginal", "fail", "marginal"]


def nasty_release():
    """Everything that a user may name is named to do harm."""
    rng = np.random.default_rng(5)
    name = NASTY
    policy = cj.Policy(metrics=[cj.Metric(name=name, unit="<i>ms", direction="increase")])
    arms = {'"><script>': rng.normal(100, 3, 40), "</style><script>": rng.normal(150, 3, 40)}
    return cj.judge({name: arms}, policy, baseline='"><script>', canary="</style><script>")


def fifty_metrics():
    """Fifty metrics of two hundred points a side."""
    rng = np.random.default_rng(6)
    time = START + 60.0 * np.arange(200)
    names = [f"service_{number}_latency_p99" for number in range(50)]
    policy = cj.Policy(metrics=[cj.Metric(name=name, unit="ms", direction="increase") for name in names])
    data = {
        name: {
            arm: {"time": time, "value": rng.normal(100 + (arm == "canary") * rng.integers(0, 30), 5, 200)}
            for arm in ("baseline", "canary")
        }
        for name in names
    }
    return cj.judge(data, policy)


def watched(minutes=12):
    """A watch of two metrics, as it stands after the last look."""
    return looks_of_a_watch(minutes)[-1]


def looks_of_a_watch(minutes=12):
    """A watch of two metrics, a look a minute."""
    rng = np.random.default_rng(7)
    policy = cj.Policy(
        max_points=60,
        metrics=[
            cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%"),
            cj.Metric(name="cpu", unit="%", direction="increase"),
        ],
    )
    monitor, looks = cj.Monitor(policy), []
    for minute in range(minutes):
        time = [START + 60.0 * minute]
        monitor.update(
            {
                "errors": {
                    "baseline": {"time": time, "value": [rng.poisson(10)], "total": [1000]},
                    "canary": {"time": time, "value": [rng.poisson(30)], "total": [1000]},
                },
                "cpu": {arm: {"time": time, "value": [rng.normal(50, 2)]} for arm in ("baseline", "canary")},
            }
        )
        looks.append(monitor.verdict())
    return looks

"""Write request.json: what Kayenta posts to a remote judge for the canary config beside it, with half an hour of made-up data."""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SCOPE = {"startTimeIso": "2026-01-01T12:00:00Z", "startTimeMillis": 1_767_268_800_000, "stepMillis": 60_000}


def pair(name: str, control: list[object], experiment: list[object]) -> dict[str, object]:
    """Give a metric set pair."""
    return {
        "name": name,
        "id": f"{name}-1",
        "tags": {},
        "values": {"control": control, "experiment": experiment},
        "scopes": {"control": SCOPE, "experiment": SCOPE},
        "attributes": {"control": {}, "experiment": {}},
    }


def main() -> None:
    """Draw the data, and write the request."""
    rng = np.random.default_rng(26)
    errors = [[int(count) or "NaN" for count in rng.poisson(rate, 30)] for rate in (0.0, 0.5)]
    latency = [[round(value, 1) for value in rng.normal(mean, 6, 30)] for mean in (120, 121)]
    request = {
        "canaryConfig": json.loads((HERE / "canary-config.json").read_text(encoding="utf-8")),
        "scoreThresholds": {"pass": 90, "marginal": 60},
        "metricSetPairList": [pair("errors", *errors), pair("latency", *latency)],
    }
    (HERE / "request.json").write_text(json.dumps(request) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

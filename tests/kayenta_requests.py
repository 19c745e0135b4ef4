"""Requests to a remote judge, as Kayenta posts them, for the tests."""

SCOPE = {"startTimeIso": "2024-01-01T00:00:00Z", "startTimeMillis": 1_704_067_200_000, "stepMillis": 60_000}


def pair(name="cpu", control=(), experiment=(), **more):
    return {
        "name": name,
        "id": f"id of {name}",
        "tags": {},
        "values": {"control": list(control), "experiment": list(experiment)},
        "scopes": {"control": SCOPE, "experiment": SCOPE},
        "attributes": {"control": {}, "experiment": {}},
    } | more


def metric(name="cpu", groups=("system",), query=None, **canary):
    return {
        "name": name,
        "query": query or {"type": "prometheus"},
        "groups": list(groups),
        "analysisConfigurations": {"canary": canary},
        "scopeName": "default",
    }


def config(*metrics, weights=None, **more):
    return {
        "name": "checkout",
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "metrics": list(metrics) or [metric()],
        "classifier": {
            "groupWeights": {"system": 100} if weights is None else weights,
            "scoreThresholds": {"pass": 95, "marginal": 75},
        },
    } | more


def request(*pairs, metrics=(), weights=None, thresholds=(95, 75)):
    names = dict.fromkeys(each["name"] for each in pairs)
    return {
        "canaryConfig": config(*(metrics or [metric(name) for name in names]), weights=weights),
        "scoreThresholds": {"pass": thresholds[0], "marginal": thresholds[1]},
        "metricSetPairList": list(pairs),
    }

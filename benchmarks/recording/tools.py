"""Other tools' documents imported, and their own golden cases replayed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import canaryjudge as cj
from recording.facts import Case, Fact, first_of, of_command, of_value, of_verdict

__all__ = ["cases"]

REPLAYS: Final = {
    "judge_kayenta": (
        "canaryjudge.compat.kayenta:judge_kayenta",
        "canaryjudge.compat.kayenta.judge:judge_kayenta",
        "canaryjudge.integrations.kayenta:judge_kayenta",
    ),
    "kayenta_result": (
        "canaryjudge.integrations.writers.kayenta:kayenta_result",
        "canaryjudge.integrations.kayenta_result:kayenta_result",
    ),
    "argo_replay": ("canaryjudge.compat.argo:replay", "canaryjudge.integrations.argo:replay"),
    "flagger_replay": ("canaryjudge.compat.flagger:replay", "canaryjudge.integrations.flagger_checks:replay"),
}
"""What has no name at the top of the package: where each may be, the newest place first."""

_ENDINGS: Final = (".yaml", ".yml", ".json")
_OPTIONS: Final = {
    "argo": ((), ("--strict",), ("--add-selector", "--arg", "service-name=checkout", "--arg", "args=1")),
    "flagger": ((), ("--strict",), ("--add-selector", "--provider", "istio")),
    "kayenta": ((), ("--strict",)),
    "openslo": ((), ("--strict",)),
}


def cases() -> Iterator[Case]:
    """Give every case."""
    yield from _documents()
    for tool in ("argo", "flagger", "kayenta"):
        yield f"conformance/{tool}", lambda tool=tool: _conformance(tool)
    for line in Path("shared/cases/kayenta_golden_judge.jsonl").read_text("utf-8").splitlines():
        given = json.loads(line)
        yield f"kayenta/judge/{given['id']}", lambda given=given: _kayenta(given)
    for line in Path("shared/cases/kayenta_golden_metric.jsonl").read_text("utf-8").splitlines()[::4]:
        given = json.loads(line)
        yield f"kayenta/metric/{given['id']}", lambda given=given: _pair(given)
    yield from _argo_runs()
    yield from _flagger_runs()
    yield from _reports()


def _documents() -> Iterator[Case]:
    for tool, choices in _OPTIONS.items():
        folder = Path("shared/examples") / tool
        for path in sorted(folder.iterdir()):
            if path.suffix in _ENDINGS and path.name != "manifest.json":
                for options in choices:
                    yield (
                        f"import/{tool}/{path.name} {' '.join(options)}".strip(),
                        _importing(tool, path, options),
                    )
        yield f"import/{tool}/all", lambda tool=tool, folder=folder: _all(tool, folder)


def _importing(tool: str, path: Path, options: tuple[str, ...]) -> Callable[[], list[Fact]]:
    def ask() -> list[Fact]:
        found = of_command("import", tool, str(path), *options)
        made = Path("made.yaml")
        made.unlink(missing_ok=True)
        if not options:
            imported: Any = getattr(cj, f"load_{tool}")(path)
            found += of_value(imported.metrics, "api", "", "metrics") + of_value(
                imported.remarks, "api", "", "remarks"
            )
            made.write_text(imported.text, "utf-8")
            found += (
                of_command("doctor", "--policy", "made.yaml", metric="doctor") if imported.metrics else []
            )
        return found

    return ask


def _all(tool: str, folder: Path) -> list[Fact]:
    return of_command(
        "import", tool, *(str(path) for path in sorted(folder.iterdir()) if path.suffix == ".yaml")
    )


def _conformance(tool: str) -> Iterator[Fact]:
    """Ask the pages' own account of the tools' cases, as it stands beside the package."""
    docs = Path(cj.__file__).resolve().parents[1] / "docs"
    if str(docs) not in sys.path:
        sys.path.insert(0, str(docs))
    import_module("conformance_cases.frame").CASES = Path("shared/cases")  # type: ignore[attr-defined]
    for number, case in enumerate(import_module(f"conformance_cases.{tool}").cases()):
        yield f"{number} {case.kind}: {case.name}", "", "agreed", case.agreed
        yield f"{number} {case.kind}: {case.name}", "", "why", case.why


def _kayenta(case: dict[str, Any]) -> Iterator[Fact]:
    request = {key: case[key] for key in ("canaryConfig", "scoreThresholds", "metricSetPairList")}
    try:
        yield from of_value(first_of(REPLAYS["judge_kayenta"])(request), field="answer")
    except cj.CanaryJudgeError as error:
        yield "", "", "refused", str(error)
    policy = cj.load_kayenta(text=json.dumps(case["canaryConfig"])).policy()
    verdict = cj.judge(cj.from_kayenta(request), policy)
    yield from of_verdict(verdict)
    yield from of_value(first_of(REPLAYS["kayenta_result"])(verdict), field="result")


def _pair(case: dict[str, Any]) -> Iterator[Fact]:
    told = case["options"]
    canary = {
        key: value
        for key, value in told.items()
        if key in ("direction", "nanStrategy", "critical", "mustHaveData")
    }
    canary |= {
        "effectSize": {
            key: told[key]
            for key in ("allowedIncrease", "allowedDecrease", "criticalIncrease", "criticalDecrease")
            if key in told
        },
        "outliers": {
            "strategy": told.get("outliers", "keep"),
            "outlierFactor": told.get("outlierFactor", 3.0),
        },
    }
    metric = {
        "name": "a",
        "query": {"type": "prometheus"},
        "groups": ["g"],
        "analysisConfigurations": {"canary": canary},
        "scopeName": "default",
    }
    scope = {
        "startTimeIso": "2024-01-01T00:00:00Z",
        "startTimeMillis": 1_704_067_200_000,
        "stepMillis": 60_000,
    }
    request = {
        "canaryConfig": {
            "name": "t",
            "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
            "metrics": [metric],
            "classifier": {"groupWeights": {"g": 100}},
        },
        "scoreThresholds": {"pass": 95, "marginal": 75},
        "metricSetPairList": [
            {
                "name": "a",
                "id": "a",
                "tags": {},
                "values": {"control": case["control"], "experiment": case["experiment"]},
                "scopes": {"control": scope, "experiment": scope},
                "attributes": {"control": {}, "experiment": {}},
            }
        ],
    }
    yield from of_value(first_of(REPLAYS["judge_kayenta"])(request), field="answer")


def _argo_runs() -> Iterator[Case]:
    series = {
        "good": [1, 1, 1, 1, 1, 1],
        "bad": [0, 0, 0, 0, 0, 0],
        "mixed": [1, 0, 1, 0.7, 1, 0],
        "odd": [1, math.nan, None, [0.99], "x", {"a": 1}],
        "few": [1],
    }
    settings: dict[str, dict[str, Any]] = {
        "plain": {},
        "count": {"count": 4},
        "limit": {"count": 5, "failureLimit": 2},
        "consecutive": {"consecutiveSuccessLimit": 2, "failureLimit": -1},
        "both": {"failureCondition": "result < 0.5", "inconclusiveLimit": 1},
        "errors": {"consecutiveErrorLimit": 1},
        "lists": {"successCondition": "len(result) > 0 && all(result, # > 0.9)"},
        "default": {"successCondition": "default(result, 0) >= 0.9"},
        "wrong": {"successCondition": "result >"},
    }
    for name, more in settings.items():
        for shape, values in series.items():
            metric = {
                "name": "rate",
                "interval": "1m",
                "provider": {"prometheus": {"query": "up"}},
                "successCondition": "result >= 0.95",
            } | more
            yield (
                f"argo/replay/{name} {shape}",
                lambda metric=metric, values=values: of_value(
                    first_of(REPLAYS["argo_replay"])([metric], {"rate": values}), field="run"
                ),
            )


def _flagger_runs() -> Iterator[Case]:
    series = {
        "good": [99.9] * 12,
        "bad": [90.0] * 12,
        "mixed": [99.9, 90, None, 99, math.nan, 99.9, math.inf, 95, 99.9, 99.9, 99.9, 99.9],
        "few": [99.9],
    }
    settings: dict[str, dict[str, Any]] = {
        "weights": {"threshold": 3, "stepWeight": 10, "maxWeight": 50},
        "steps": {"threshold": 1, "stepWeights": [5, 20, 60]},
        "iterations": {"threshold": 2, "iterations": 4},
        "defaults": {"stepWeight": 25},
        "strict": {"threshold": 0, "stepWeight": 10},
    }
    for name, analysis in settings.items():
        for shape, values in series.items():
            for bounds in ({"min": 99}, {"max": 95}, {"min": 90, "max": 99.95}):
                metric = {"name": "m", "query": "m", "interval": "1m", "thresholdRange": bounds}
                given = {**analysis, "interval": "1m", "metrics": [metric]}
                yield (
                    f"flagger/replay/{name} {shape} {json.dumps(bounds)}",
                    lambda given=given, values=values: of_value(
                        first_of(REPLAYS["flagger_replay"])(given, [{"m": value} for value in values]),
                        field="run",
                    ),
                )


def _reports() -> Iterator[Case]:
    """Judge what users reported: each folder's tables by its policies."""
    for folder in sorted(Path("shared/cases/reports").iterdir()):
        for policy in sorted([*folder.glob("*.yaml"), *folder.glob("*.json")]):
            if policy.suffix == ".yaml":
                for data in sorted([*folder.glob("*.csv"), *folder.glob("*.jsonl")]):
                    more = (
                        ("--data-format", "otlp", "--baseline", "1", "--canary", "2")
                        if data.suffix == ".jsonl"
                        else ()
                    )
                    name = f"reports/{folder.name}/{policy.name} {data.name}"
                    yield (
                        name,
                        lambda policy=policy, data=data, more=more: of_command(
                            "judge", "--policy", str(policy), "--data", str(data), *more
                        ),
                    )
            for tool in _OPTIONS:
                yield (
                    f"reports/{folder.name}/{policy.name} {tool}",
                    lambda policy=policy, tool=tool: of_command("import", tool, str(policy)),
                )

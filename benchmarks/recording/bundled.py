"""The bundled examples, by the API and by the command line with all that writes a verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

import canaryjudge as cj
from recording.facts import Case, Fact, of_command, of_value, of_verdict

__all__ = ["cases"]

_FORMATS = (
    "text",
    "json",
    "markdown",
    "html",
    "junit",
    "github",
    "github-outputs",
    "github-summary",
    "gitlab",
    "jenkins",
    "tekton",
    "argo",
    "prometheus",
    "kayenta",
)
_WIDE = "--wide version --column errors=error_count/requests --column latency_p99=p99_ms --baseline 2.9 --canary 2.10"
_JUDGED = {
    "checkout": "--policy examples/checkout/policy.yaml --data examples/checkout/metrics.csv",
    "starter": "--policy examples/starter.yaml --data examples/checkout/metrics.csv",
    "wide": f"--policy examples/starter.yaml --data examples/checkout/export.csv {_WIDE}",
    "otlp": "--policy examples/otlp/policy.yaml --data examples/otlp/metrics.jsonl --data-format otlp "
    "--arm-attribute service.version --baseline 1.4 --canary 1.5",
    "prometheus": "--policy examples/prometheus/policy.yaml --data examples/prometheus/release.json",
    "rollout good": "--policy examples/rollout/policy.yaml --data examples/rollout/good.csv",
    "rollout bad": "--policy examples/rollout/policy.yaml --data examples/rollout/bad.csv",
    "rollout late": "--policy examples/rollout/policy.yaml --data examples/rollout/late.csv",
    "history": "--policy examples/history/policy.yaml --data examples/history/unready.csv",
    "unready": "--policy examples/history/unready.yaml --data examples/history/unready.csv",
    "planned": "--policy examples/history/planned.yaml --data examples/checkout/metrics.csv",
    "budgets": "--policy examples/budgets/policy.yaml --data examples/checkout/metrics.csv",
    "no such arm": "--policy examples/starter.yaml --data examples/checkout/metrics.csv --canary canry",
    "remapped": "--policy examples/starter.yaml --data examples/checkout/metrics.csv --exit fail=10",
    "kayenta": "--policy kayenta.yaml --data examples/kayenta/request.json --data-format kayenta",
}
_IMPORTED = {
    "argo": "examples/argo/checkout.yaml",
    "flagger": "examples/flagger/checkout.yaml",
    "kayenta": "examples/kayenta/canary-config.json",
    "openslo": "examples/openslo/checkout.yaml",
}
_OTHERS = {
    "calibrate": "calibrate --policy examples/history/policy.yaml --history examples/history/history.csv --pairs 10 --jobs 1 --quiet --output calibrated.yaml",
    "calibrate json": "calibrate --policy examples/history/policy.yaml --history examples/history/history.csv --pairs 5 --jobs 1 --quiet --format json --length 24",
    "calibrate markdown": "calibrate --policy examples/history/policy.yaml --history examples/history/history.csv --pairs 5 --jobs 1 --quiet --format markdown --length 2h",
    "plan": "plan --policy examples/history/planned.yaml --assume examples/history/assumed.yaml --share 1%",
    "plan json": "plan --policy examples/history/planned.yaml --assume examples/history/assumed.yaml --share 50% --format json",
    "plan simulated": "plan --policy examples/history/planned.yaml --assume examples/history/assumed.yaml --share 50% --simulate 5 --jobs 1 --quiet --format markdown",
    "plan history": "plan --policy examples/history/policy.yaml --history examples/history/history.csv --assume traffic=9000 --size 10% --power 90%",
    "plan without": "plan --policy examples/history/planned.yaml",
    "doctor": "doctor --policy examples/history/unready.yaml --data examples/history/unready.csv",
    "doctor policy": "doctor --policy examples/prometheus/policy.yaml",
    "doctor json": "doctor --policy examples/history/unready.yaml --data examples/history/unready.csv --format json",
    "validate": "validate examples/starter.yaml examples/checkout/policy.yaml examples/history/policy.yaml examples/budgets/policy.yaml",
    "validate wrong": "validate examples/starter.yaml examples/argo/checkout.yaml examples/nothing.yaml",
    "schema": "schema",
    "version": "--version",
    "help": "--help",
    "no command": "",
    **{
        f"help {name}": f"{name} --help"
        for name in (
            "judge",
            "monitor",
            "watch",
            "calibrate",
            "plan",
            "doctor",
            "verify",
            "validate",
            "schema",
            "import",
        )
    },
    **{f"help import {name}": f"import {name} --help" for name in _IMPORTED},
}


def cases() -> Iterator[Case]:
    """Give every case."""
    for name, line in _JUDGED.items():
        yield f"command/{name}", lambda line=line: _written(line)
        for written in ("json", "junit", "github", "html"):
            yield (
                f"command/{name}/{written}",
                lambda line=line, written=written: of_command("judge", *line.split(), "--format", written),
            )
    for name, path in _IMPORTED.items():
        for options in ((), ("--strict",)):
            yield (
                f"import/{name} {' '.join(options)}".strip(),
                lambda name=name, path=path, options=options: of_command("import", name, path, *options),
            )
    for name, line in _OTHERS.items():
        yield (
            f"command/{name}",
            lambda line=line: of_command(
                *line.split(), outputs=("calibrated.yaml",) if "calibrated.yaml" in line else ()
            ),
        )
    for name in ("good", "bad", "late"):
        yield f"monitor/{name}", lambda name=name: _monitored(name)
    yield "verify", _verified
    yield (
        "api/checkout",
        lambda: of_verdict(
            cj.judge(
                pd.read_csv("examples/checkout/metrics.csv"), cj.load_policy("examples/checkout/policy.yaml")
            )
        ),
    )
    yield "api/wide", _wide
    yield "api/policies", _policies
    yield (
        "api/doctor",
        lambda: of_value(
            cj.doctor(
                cj.load_policy("examples/history/unready.yaml"), pd.read_csv("examples/history/unready.csv")
            )
        ),
    )
    yield "api/names", lambda: of_value(sorted(cj.__all__))


def _written(line: str) -> list[Fact]:
    """Judge with every format that goes beside standard output."""
    if "kayenta.yaml" in line:
        Path("kayenta.yaml").write_text(cj.load_kayenta("examples/kayenta/canary-config.json").text, "utf-8")
    Path("tekton").mkdir(exist_ok=True)
    outputs = [f"out.{name}" for name in _FORMATS if name != "tekton"]
    for name in outputs:
        Path(name).unlink(missing_ok=True)
    for old in Path("tekton").iterdir():
        old.unlink()
    also = [f"--also={name}={'tekton' if name == 'tekton' else f'out.{name}'}" for name in _FORMATS]
    return of_command("judge", *line.split(), *also, outputs=[*outputs, "tekton"])


def _monitored(name: str) -> Iterator[Fact]:
    """Play the pipeline that the example has, a step every ten minutes."""
    state = Path(f"{name}.state")
    state.unlink(missing_ok=True)
    header, *rows = Path(f"examples/rollout/{name}.csv").read_text("utf-8").splitlines()
    for minute in range(5, 65, 10):
        now = 1_772_442_000 + 60 * minute
        kept = [row for row in rows if now - 1200 <= float(row.split(",")[2]) < now]
        Path("new.csv").write_text("\n".join([header, *kept, ""]), "utf-8")
        yield from of_command(
            *f"monitor --policy examples/rollout/policy.yaml --data new.csv --state {state}".split(),
            metric=f"minute {minute}",
        )
        yield from of_command(
            *f"monitor --policy examples/rollout/policy.yaml --data new.csv --state {state} --format json".split(),
            metric=f"minute {minute}",
        )


def _verified() -> Iterator[Fact]:
    given = _JUDGED["checkout"].split()
    of_command("judge", *given, "--format", "json", "--output", "verdict.json")
    yield from of_command("verify", *given, "--verdict", "verdict.json", metric="same")
    text = Path("verdict.json").read_text("utf-8")
    document = json.loads(text)
    document["alpha"] = 0.02
    Path("verdict.json").write_text(json.dumps(document), "utf-8")
    yield from of_command("verify", *given, "--verdict", "verdict.json", metric="changed")
    Path("verdict.json").write_text(text[:100], "utf-8")
    yield from of_command("verify", *given, "--verdict", "verdict.json", metric="cut")


def _wide() -> list[Fact]:
    frame = pd.read_csv("examples/checkout/export.csv", dtype={"version": str})
    metrics: dict[str, Any] = {
        "errors": {"value": "error_count", "total": "requests"},
        "latency_p99": "p99_ms",
    }
    data = cj.from_wide(frame, arm="version", metrics=metrics)
    return of_verdict(cj.judge(data, cj.load_policy("examples/starter.yaml"), baseline="2.9", canary="2.10"))


def _policies() -> Iterator[Fact]:
    for path in sorted(Path("examples").rglob("*.yaml")):
        try:
            policy = cj.load_policy(path)
        except cj.CanaryJudgeError as error:
            yield str(path), "", "refused", str(error)
        else:
            yield from of_value(policy, str(path))

"""A real Prometheus that scrapes real services: a fault is found and explained, health passes."""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import canaryjudge as cj

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "prometheus"
PROGRAM = shutil.which("prometheus")
SERVICES = [
    ["--version", "1.4"],
    ["--version", "1.5"],
    ["--version", "1.6", "--slow", "2", "--fail", "0.1"],
]
SECONDS = 59

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="prometheus is not installed: make system"),
]


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("prometheus_demo", EXAMPLE / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def url(demo):
    with demo.services(SERVICES) as ports, demo.prometheus(PROGRAM, ports) as address, demo.traffic(ports):
        time.sleep(SECONDS)
        yield address


def run(*arguments):
    command = [sys.executable, "-m", "canaryjudge.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def judge(url, version, *more):
    selector = ("--canary-selector", f'version="{version}"')
    return run("judge", "--policy", EXAMPLE / "policy.yaml", "--prometheus", url, *selector, *more)


def test_health_passes(url):
    done = judge(url, "1.5")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("PASS: promote")


def test_slowness_and_errors_are_found_and_explained(url, tmp_path):
    done = judge(
        url,
        "1.6",
        "--save-data",
        tmp_path / "data.json",
        "--format",
        "json",
        "--output",
        tmp_path / "verdict.json",
    )
    assert (done.returncode, done.stderr) == (1, "")
    verdict = cj.Verdict.from_json((tmp_path / "verdict.json").read_bytes())
    assert verdict.action == "rollback"
    assert [verdict.metrics[name].outcome for name in ("errors", "latency")] == ["fail", "fail"]
    said = verdict.explain()
    assert "errors FAIL: canary is " in said
    assert "latency FAIL: canary is " in said
    assert "higher" in said
    # and anyone can judge the same data again
    again = run(
        *("verify", "--verdict", tmp_path / "verdict.json"),
        *("--policy", EXAMPLE / "policy.yaml", "--data", tmp_path / "data.json"),
    )
    assert (again.returncode, again.stderr) == (0, "")


def test_the_baselines_past_comes_with_the_data(url, tmp_path):
    kept = ("--save-data", tmp_path / "data.json", "--format", "json", "--output", tmp_path / "verdict.json")
    done = judge(url, "1.5", "--window", "4s", *kept)
    assert (done.returncode in (0, 3), done.stderr) == (True, "")
    verdict = cj.Verdict.from_json((tmp_path / "verdict.json").read_bytes())
    errors = verdict.metrics["errors"].history
    assert errors.lacks == "arms"  # one instance alone
    assert 1 <= errors.dispersion < 2
    assert errors.end < json.loads((tmp_path / "data.json").read_text())["errors"]["baseline"]["time"][0]
    verify = ("verify", "--policy", EXAMPLE / "policy.yaml", "--data", tmp_path / "data.json")
    assert run(*verify, "--verdict", tmp_path / "verdict.json").returncode == 0


def test_the_injected_fault_is_measured(url, tmp_path):
    """Ten times the errors and twice the latency, as was injected."""
    judge(url, "1.6", "--format", "json", "--output", tmp_path / "verdict.json")
    metrics = json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))["metrics"]
    errors, *_ = metrics["errors"]["findings"]
    assert 0.06 < errors["canary_level"] < 0.15
    assert 0 < errors["baseline_level"] < 0.03
    latency, *_ = metrics["latency"]["findings"]
    assert 1.5 < latency["canary_level"] / latency["baseline_level"] < 3


def test_a_watch_asks_for_what_is_new(url, tmp_path):
    step = (
        "monitor",
        "--policy",
        tmp_path / "policy.yaml",
        "--prometheus",
        url,
        "--state",
        tmp_path / "state",
    )
    text = (EXAMPLE / "policy.yaml").read_text(encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(text + "max_duration: 5m\n", encoding="utf-8")
    first = run(*step)
    assert first.returncode in (0, 3), first.stderr
    reached = cj.Monitor.from_json(
        (tmp_path / "state").read_bytes(), cj.load_policy(tmp_path / "policy.yaml")
    ).reached
    time.sleep(2)
    second = run(*step)
    assert (second.returncode in (0, 3), second.stderr) == (True, "")
    later = cj.Monitor.from_json(
        (tmp_path / "state").read_bytes(), cj.load_policy(tmp_path / "policy.yaml")
    ).reached
    assert all(later[name] > reached[name] for name in reached)


def test_nothing_there_is_a_want_of_data(url):
    done = judge(url, "0.9")
    assert done.returncode == 4
    assert "Prometheus has nothing for" in done.stderr


def test_its_own_complaints_are_passed_on(url):
    broken = run(
        *("judge", "--policy", EXAMPLE / "policy.yaml", "--prometheus", url),
        *("--canary-selector", 'version=="1.5"', "--at", str(time.time())),
    )
    assert broken.returncode == 2
    assert broken.stderr.count("\n") == 2
    assert "bad_data: " in broken.stderr
    assert "Correct the query" in broken.stderr


def test_the_doctor_asks_the_same_server(url):
    selector = ("--canary-selector", 'version="1.5"')
    done = run("doctor", "--policy", EXAMPLE / "policy.yaml", "--prometheus", url, *selector)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    nobody = run(
        *("doctor", "--policy", EXAMPLE / "policy.yaml", "--prometheus", url),
        *("--canary-selector", 'version="9"'),
    )
    assert nobody.returncode == 0
    assert "ERROR" in nobody.stdout

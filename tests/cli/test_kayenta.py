"""Kayenta's documents on the command line."""

import importlib.util
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from canaryjudge.cli import main
from canaryjudge.policy import parse_policy

EXAMPLE = Path(__file__).parents[2] / "docs/examples/kayenta"
CONFIG, REQUEST = EXAMPLE / "canary-config.json", EXAMPLE / "request.json"


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.fixture
def policy(capsys, tmp_path):
    code, out, _ = run(capsys, "import", "kayenta", CONFIG)
    assert code == 0
    path = tmp_path / "policy.yaml"
    path.write_text(out)
    return path


def test_a_config_becomes_a_policy_with_an_account(capsys):
    code, out, err = run(capsys, "import", "kayenta", CONFIG)
    assert code == 0
    assert [metric.name for metric in parse_policy(out).metrics] == ["errors", "latency"]
    account, recipe = err.split("\nTo have a gate judge by it:\n")
    assert all(line.startswith("canaryjudge: ") for line in account.splitlines())
    assert "nanStrategy: replace" in account
    assert recipe.startswith(
        f"  mkdir -p policies && canaryjudge import kayenta {CONFIG} > policies/default.yaml\n  canaryjudge serve --policies policies\n"
    )
    assert "http://gate:8080/kayenta" in recipe
    assert "--prometheus" not in recipe  # Kayenta sends the data


def test_strict_refuses_what_is_judged_otherwise(capsys, tmp_path):
    code, out, err = run(capsys, "import", "kayenta", "--strict", CONFIG)
    assert (code, out) == (2, "")
    assert "2 parts are not judged as they stand" in err
    plain = json.loads(CONFIG.read_text())
    for metric in plain["metrics"]:
        canary = metric["analysisConfigurations"]["canary"]
        canary.pop("nanStrategy", None)
        canary.pop("outliers", None)
    whole = tmp_path / "config.json"
    whole.write_text(json.dumps(plain))
    assert run(capsys, "import", "kayenta", "--strict", whole)[0] == 0


def test_what_is_no_config_ends_with_2(capsys, tmp_path):
    pairs = tmp_path / "pairs.json"
    pairs.write_text(json.dumps(json.loads(REQUEST.read_text())["metricSetPairList"]))
    code, out, err = run(capsys, "import", "kayenta", pairs)
    assert (code, out) == (2, "")
    assert "--data-format kayenta" in err


def test_requests_and_pair_lists_are_data(capsys, monkeypatch, tmp_path, policy):
    written = tmp_path / "verdict.json"
    given = ["--policy", policy, "--data", REQUEST, "--data-format", "kayenta"]
    assert run(capsys, "judge", *given, "--format", "json", "--output", written)[0] == 3
    assert json.loads(written.read_text())["metrics"]["errors"]["reason"] == "needs_absolute_tolerance"
    assert run(capsys, "verify", "--verdict", written, *given)[0] == 0
    pairs = json.dumps(json.loads(REQUEST.read_text())["metricSetPairList"]).encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(pairs)))
    given[3] = "-"
    code, out, _ = run(capsys, "judge", *given)
    assert (
        code == 1
    )  # without the config missing points stay missing, and no errors are no data, which fails a critical metric
    assert "no data" in out


def test_a_watch_takes_them_too(capsys, tmp_path, policy):
    policy.write_text(policy.read_text().replace("version: 1\n", "version: 1\nmax_points: 30\n"))
    given = [
        "--policy",
        policy,
        "--data",
        REQUEST,
        "--data-format",
        "kayenta",
        "--state",
        tmp_path / "state.json",
    ]
    first, again = (run(capsys, "monitor", *given) for _ in range(2))
    assert first == again  # points that come again are known by their times
    assert first[0] == 3
    assert "errors" in first[1]


def test_data_that_are_none_end_with_2(capsys, tmp_path, policy):
    broken = tmp_path / "pairs.json"
    broken.write_text('[{"name": "errors"}]')
    code, _, err = run(capsys, "judge", "--policy", policy, "--data", broken, "--data-format", "kayenta")
    assert code == 2
    assert "values.control is None, which is not a list of numbers" in err


def test_the_bundled_request_is_what_its_script_writes(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("make_request", EXAMPLE / "make_request.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    (tmp_path / CONFIG.name).write_bytes(CONFIG.read_bytes())
    monkeypatch.setattr(script, "HERE", tmp_path)
    script.main()
    assert (tmp_path / REQUEST.name).read_bytes() == REQUEST.read_bytes()

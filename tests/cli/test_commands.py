"""The command line: exit codes, formats, and complaints of one line and a hint."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.cli import main

CHECKOUT = Path(__file__).parents[2] / "docs" / "examples" / "checkout"
EXAMPLE = ["--policy", str(CHECKOUT / "policy.yaml"), "--data", str(CHECKOUT / "metrics.csv")]
POLICY = "metrics: [{name: m, direction: increase, no_data: marginal}]"
LEVELS = {"pass": 100, "marginal": 110, "fail": 200}


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(POLICY, encoding="utf-8")
    noise = np.random.default_rng(20260305).normal(0, 3, (2, 30))
    for name, level in LEVELS.items():
        rows = [
            f"m,{arm},{x}"
            for arm, xs in (("baseline", 100 + noise[0]), ("canary", level + noise[1]))
            for x in xs
        ]
        Path(f"{name}.csv").write_text("metric,arm,value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    Path("thin.csv").write_text("metric,arm,value\nm,baseline,1\nm,canary,1\n", encoding="utf-8")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def judge(capsys, data, *more):
    return run(capsys, "judge", "--policy", "policy.yaml", "--data", data, *more)


def assert_complains(code, out, err, *, says=""):
    assert code == 2
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert lines[0].startswith("canaryjudge: ")
    assert lines[1].startswith("hint: ")
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("data", "remaps", "expected"),
    [
        ("pass", [], 0),
        ("fail", [], 1),
        ("marginal", [], 3),
        ("thin", [], 4),
        ("marginal", ["marginal=0"], 0),
        ("thin", ["marginal=0"], 0),
        ("thin", ["marginal=0", "no_data=9"], 9),
        ("thin", ["no_data=1"], 1),
        ("marginal", ["no_data=1"], 3),
        ("fail", ["marginal=0", "fail=255"], 255),
        ("pass", ["pass=7"], 7),
    ],
)
def test_the_exit_code_tells_the_outcome(capsys, data, remaps, expected):
    options = [part for remap in remaps for part in ("--exit", remap)]
    code, out, err = judge(capsys, f"{data}.csv", *options)
    assert (code, err) == (expected, "")
    assert out.startswith(("PASS: ", "MARGINAL: ", "FAIL: "))


def test_a_failing_advisory_metric_is_no_want_of_data(capsys):
    metrics = "[{name: m, direction: increase, role: advisory}, {name: none, direction: increase, no_data: marginal, role: guard}]"
    Path("policy.yaml").write_text(f"metrics: {metrics}", encoding="utf-8")
    assert judge(capsys, "fail.csv")[0] == 3


@pytest.mark.parametrize("remap", ["marginal", "marginal=", "marginal=x", "good=0", "marginal=-1"])
def test_a_remapping_that_means_nothing_is_bad_usage(capsys, remap):
    assert_complains(*judge(capsys, "pass.csv", "--exit", remap), says="marginal=0")


def test_the_formats_say_the_same(capsys):
    texts = {
        name: judge(capsys, "fail.csv", "--format", name)[1] for name in ("text", "json", "markdown", "html")
    }
    verdict = cj.Verdict.from_json(texts["json"])
    assert texts["json"] == verdict.to_json()
    assert texts["text"] == verdict.explain() + "\n"
    assert texts["markdown"].rstrip("\n") == verdict.to_markdown().rstrip("\n")
    assert texts["html"] == verdict.to_html()


def test_output_goes_to_a_file(capsys):
    code, out, _ = judge(capsys, "fail.csv", "--format", "json", "--output", "verdict.json")
    assert (code, out) == (1, "")
    assert cj.Verdict.from_json(Path("verdict.json").read_bytes()).outcome == "fail"


@pytest.mark.parametrize("kind", ["csv", "ndjson", "json"])
def test_data_come_from_standard_input(capsys, monkeypatch, kind):
    import pandas as pd

    frame = pd.read_csv("fail.csv")
    text = {
        "csv": lambda: Path("fail.csv").read_text(encoding="utf-8"),
        "json": lambda: frame.to_json(orient="records"),
        "ndjson": lambda: frame.to_json(orient="records", lines=True),
    }[kind]()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    given = [] if kind == "csv" else ["--data-format", kind]
    assert judge(capsys, "-", *given)[0] == 1


def test_every_format_of_data_gives_the_same_verdict(capsys):
    import pandas as pd

    frame = pd.read_csv("marginal.csv")
    frame.to_json("data.json", orient="records", double_precision=15)
    frame.to_json("data.ndjson", orient="records", lines=True, double_precision=15)
    frame.to_parquet("data.parquet")
    found = {judge(capsys, data)[:2] for data in ("marginal.csv", "data.json", "data.ndjson", "data.parquet")}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("arms", "hint"),
    [
        (("2.14.0", "2.16.0"), "Did you mean '2.15.0'? Known arms: 2.14.0, 2.15.0."),
        (("2.13.0", "2.15.0"), "Did you mean '2.14.0'? Known arms: 2.14.0, 2.15.0."),
    ],
)
def test_an_arm_that_is_not_there_is_never_taken_for_the_other(capsys, arms, hint):
    rows = [f"{arm},{100 + i % 5}" for arm in ("2.14.0", "2.15.0") for i in range(30)]
    Path("wide.csv").write_text("version,m\n" + "\n".join(rows), encoding="utf-8")
    given = ["--wide", "version", "--baseline", arms[0], "--canary", arms[1]]
    code, _, err = judge(capsys, "wide.csv", *given)
    assert (code, hint in err) == (2, True)


def test_where_only_the_baseline_is_there_it_is_not_taken_for_the_canary(capsys):
    rows = [f"2.14.0,{100 + i % 5}" for i in range(30)]
    Path("wide.csv").write_text("version,m\n" + "\n".join(rows), encoding="utf-8")
    code, _, err = judge(
        capsys, "wide.csv", "--wide", "version", "--baseline", "2.14.0", "--canary", "2.15.0"
    )
    assert (code, "Did you mean" in err, "Known arms: 2.14.0." in err) == (2, False, True)


def test_an_unknown_option_points_to_the_help_of_its_command(capsys):
    code, _, err = judge(capsys, "fail.csv", "--fromat", "json")
    assert code == 2
    assert "unrecognized arguments: --fromat json" in err
    assert "hint: Did you mean --format? See canaryjudge judge --help." in err


def test_a_wide_table_has_a_column_a_metric(capsys):
    rows = [f"{arm},{level + i % 5}" for arm, level in (("old", 100), ("new", 200)) for i in range(30)]
    Path("wide.csv").write_text("version,m\n" + "\n".join(rows), encoding="utf-8")
    code, out, _ = judge(capsys, "wide.csv", "--wide", "version", "--baseline", "old", "--canary", "new")
    assert (code, out[:4]) == (1, "FAIL")


# verify -----------------------------------------------------------------------------------------------------------------


def verified(capsys, policy="policy.yaml", data="fail.csv"):
    return run(capsys, "verify", "--verdict", "verdict.json", "--policy", policy, "--data", data)


@pytest.fixture
def written(capsys):
    judge(capsys, "fail.csv", "--format", "json", "--output", "verdict.json")
    return Path("verdict.json")


def test_a_verdict_is_reproduced(capsys, written):
    code, out, err = verified(capsys)
    assert (code, err) == (0, "")
    assert out.startswith("reproduced: FAIL: m: ")


def test_a_verdict_on_arms_of_other_names_is_reproduced(capsys):
    judge(
        capsys,
        "fail.csv",
        "--baseline",
        "canary",
        "--canary",
        "baseline",
        "--format",
        "json",
        "--output",
        "verdict.json",
    )
    assert verified(capsys)[0] == 0


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["outcome"], "pass", "outcome was"),
        (["reason"], "all is well", "reason was"),
        (["metrics", "m", "findings", 0, "pvalue"], 0.5, "metrics.m.findings[0].pvalue was 0.5, and is"),
        (["version"], "0.0.1", "version was"),
    ],
)
def test_a_tampered_verdict_is_found_out(capsys, written, path, value, field):
    document = json.loads(written.read_text(encoding="utf-8"))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    written.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert_complains(*verified(capsys), says=field)


def test_other_data_another_policy_and_another_layout_are_found_out(capsys, written):
    assert_complains(*verified(capsys, data="pass.csv"), says="data_digest was")
    Path("other.yaml").write_text("beta: 6%\n" + POLICY, encoding="utf-8")
    assert_complains(*verified(capsys, policy="other.yaml"), says="policy_digest was")
    written.write_text(json.dumps(json.loads(written.read_text(encoding="utf-8"))), encoding="utf-8")
    assert_complains(*verified(capsys), says="layout of the file")
    written.write_text("{}", encoding="utf-8")
    assert_complains(*verified(capsys), says="not a verdict")
    written.unlink()
    assert_complains(*verified(capsys), says="no such file")


# other commands ---------------------------------------------------------------------------------------------------------


def test_policies_are_validated(capsys):
    assert run(capsys, "validate", "policy.yaml") == (0, "policy.yaml: valid, 1 metric\n", "")
    Path("bad.yaml").write_text("metrics: [{name: m, directoin: increase}]", encoding="utf-8")
    code, _, err = run(capsys, "validate", "policy.yaml", "bad.yaml")
    assert code == 2
    assert "bad.yaml" in err
    assert "direction" in err


def test_the_schema_is_json(capsys):
    code, out, _ = run(capsys, "schema")
    assert code == 0
    assert "metrics" in json.loads(out)["properties"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["judge", "--policy", "missing.yaml", "--data", "pass.csv"], "missing.yaml"),
        (["judge", "--policy", ".", "--data", "pass.csv"], ""),
        (["judge", "--policy", "policy.yaml", "--data", "missing.csv"], "missing.csv"),
        (["judge", "--policy", "policy.yaml", "--data", "."], ""),
        (["judge", "--policy", "policy.yaml", "--data", "pass.csv", "--canary", "canray"], "canray"),
        (["judge", "--policy", "policy.yaml", "--data", "pass.csv", "--output", "."], ""),
        (
            ["judge", "--policy", "policy.yaml", "--data", "pass.csv", "--output", "no/such/file"],
            "no/such/file",
        ),
        (["judge", "--policy", "policy.yaml", "--data", "bad.csv"], "bad.csv"),
        (["judge", "--policy", "policy.yaml", "--data", "empty.csv"], "empty.csv"),
        (["judge", "--policy", "policy.yaml", "--data", "data.unknown"], "data.unknown"),
        (["judge", "--policy", "typo.yaml", "--data", "pass.csv"], "'m'"),
        (["judge", "--policy", "binary.yaml", "--data", "pass.csv"], "binary.yaml"),
        (["judge", "--policy", "policy.yaml"], "--data"),
        (["judge", "--policy", "policy.yaml", "--data", "pass.csv", "--format", "word"], "word"),
        (["verify", "--verdict", ".", "--policy", "policy.yaml", "--data", "pass.csv"], ""),
        (["validate", "missing.yaml"], "missing.yaml"),
        (["jugde"], "jugde"),
        ([], "COMMAND"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_a_hint(capsys, arguments, says):
    Path("bad.csv").write_text("metric,arm,value\nm,baseline,many\nm,canary,2\n", encoding="utf-8")
    Path("empty.csv").write_text("", encoding="utf-8")
    Path("data.unknown").write_text("?", encoding="utf-8")
    Path("typo.yaml").write_text("metrics: [{name: mm, direction: increase}]", encoding="utf-8")
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert_complains(*run(capsys, *arguments), says=says)


def test_a_bug_of_ours_is_70_and_says_so(capsys, monkeypatch):
    monkeypatch.setattr("canaryjudge.cli.judge.load_policy", lambda _: 1 / 0)
    code, out, err = judge(capsys, "pass.csv")
    assert (code, out) == (70, "")
    assert err.startswith("canaryjudge: this is a bug of canaryjudge")
    assert "ZeroDivisionError" in err


def test_help_names_the_exit_codes(capsys):
    code, out, _ = run(capsys, "judge", "--help")
    assert code == 0
    assert "4 marginal where every marginal metric" in " ".join(out.split())
    assert run(capsys, "--version")[1] == f"canaryjudge {cj.__version__}\n"


# true processes ---------------------------------------------------------------------------------------------------------


def test_the_module_runs_as_a_command():
    command = [sys.executable, "-m", "canaryjudge.cli", "judge", *EXAMPLE]
    found = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout.startswith("FAIL: roll back\n")


def test_a_reader_that_went_away_is_no_traceback():
    command = [sys.executable, "-m", "canaryjudge.cli", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert err == b""
    assert process.returncode == 2


def test_a_terminal_that_knows_no_unicode_gets_a_verdict_all_the_same():
    command = [sys.executable, "-m", "canaryjudge.cli", "judge", *EXAMPLE]
    found = subprocess.run(command, capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=False)
    assert found.returncode == 1
    assert b"errors FAIL" in found.stdout


def test_an_exit_code_is_at_most_255(capsys):
    assert_complains(*judge(capsys, "pass.csv", "--exit", "marginal=256"), says="at most 255")


@pytest.mark.parametrize("target", ["policy.yaml", "pass.csv", "./policy.yaml"])
def test_the_verdict_is_never_written_over_its_inputs(capsys, target):
    before = Path(target).read_bytes()
    assert_complains(*judge(capsys, "pass.csv", "--output", target), says="would overwrite an input")
    assert Path(target).read_bytes() == before


def test_json_on_standard_input_is_told_from_csv_by_its_first_character(capsys, monkeypatch):
    data = {"latency": {"baseline": [5.0] * 20, "canary": [5.0] * 20}}
    policy = "metrics: [{name: latency, direction: increase}]"
    Path("only.yaml").write_text(policy, encoding="utf-8")
    text = "\n " + json.dumps(data)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))
    code, out, _ = run(capsys, "judge", "--policy", "only.yaml", "--data", "-")
    assert (code, out[:4]) == (0, "PASS")

"""Wide tables on the command line: every command that reads data knows which column is which."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from canaryjudge.cli import main

POLICY = "metrics:\n- {name: errors, kind: ratio, direction: increase}\n- {name: p99, direction: increase}\n"
NAMES = ["--baseline", "2.9", "--canary", "2.10"]
COLUMNS = ["--wide", "version", "--column", "errors=error_count/requests", "--column", "p99=p99_ms"]


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(POLICY)
    Path("wide.csv").write_text(wide())


def wide(minutes=60, separator=","):
    rng = np.random.default_rng(5)
    rows = [["Time", "version", "p99_ms", "error_count", "requests", "total"]]
    for minute in range(minutes):
        for version, requests in (("2.9", 9000), ("2.10", 1000)):
            errors = int(rng.binomial(requests, 0.002))
            rows.append(
                [f"2026-07-14T09:{minute:02}:00Z", version, f"{rng.normal(200, 4):.1f}", errors, requests, 7]
            )
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def run(capsys, *arguments):
    code = main(list(arguments))
    return code, *capsys.readouterr()


def judge(capsys, data, *more, command="judge"):
    return run(capsys, command, "--policy", "policy.yaml", "--data", data, *NAMES, *more)


def test_the_columns_of_each_metric_are_said(capsys):
    code, out, err = judge(capsys, "wide.csv", *COLUMNS)
    assert (code, err) == (0, "")
    assert "of 540,000" in out
    assert "taken by its name" not in out


def test_tsv_and_gzip_give_the_same_verdict(capsys):
    Path("wide.tsv").write_text(wide(separator="\t"))
    Path("wide.csv.gz").write_bytes(gzip.compress(wide().encode()))
    verdicts = {judge(capsys, f"wide.{ending}", *COLUMNS)[1] for ending in ("csv", "tsv", "csv.gz")}
    assert len(verdicts) == 1


def test_monitor_verify_and_doctor_take_them_too(capsys):
    Path("policy.yaml").write_text(f"max_points: 60\n{POLICY}")
    _, out, _ = judge(capsys, "wide.csv", *COLUMNS, "--format", "json")
    Path("verdict.json").write_text(out)
    given = ["--policy", "policy.yaml", "--data", "wide.csv", *COLUMNS]
    assert run(capsys, "verify", "--verdict", "verdict.json", *given)[0] == 0
    assert judge(capsys, "wide.csv", *COLUMNS, command="doctor")[0] == 0
    code, out, _ = judge(capsys, "wide.csv", *COLUMNS, "--state", "state.json", command="monitor")
    assert code in (0, 3)
    assert "of 540,000" in out
    assert json.loads(Path("state.json").read_text())


@pytest.mark.parametrize("command", ["calibrate", "plan"])
@pytest.mark.parametrize("arms", ["version", None])
def test_histories_may_be_wide(command, arms, capsys):
    Path("policy.yaml").write_text("metrics:\n- {name: p99, direction: increase}\n")
    text = wide()
    if arms is None:
        lines = [line.split(",") for line in text.splitlines()]
        text = "".join(f"{line[0]},{line[2]}\n" for line in lines if line[1] != "2.10")
    Path("history.csv").write_text(text)
    more = ["--length", "10", "--pairs", "10"] if command == "calibrate" else []
    given = ["--history", "history.csv", "--column", "p99=p99_ms", "--jobs", "1", *more]
    column = [] if arms is None else [arms]
    code, out, err = run(capsys, command, "--policy", "policy.yaml", *given, "--wide", *column)
    assert (code, err) == (0, "")
    assert "p99" in out


def test_a_wide_history_of_releases_is_refused(capsys):
    Path("history.csv").write_text("version,release,p99\na,1,2\n")
    Path("policy.yaml").write_text("metrics:\n- {name: p99, direction: increase}\n")
    given = ["--policy", "policy.yaml", "--history", "history.csv", "--wide", "version"]
    code, _, err = run(capsys, "calibrate", *given)
    assert code == 2
    assert "history.csv, the column 'release'" in err
    assert "tidy" in err


def test_a_tidy_history_without_its_columns_names_the_option(capsys):
    given = ["--policy", "policy.yaml", "--history", "wide.csv"]
    code, _, err = run(capsys, "calibrate", *given)
    assert code == 2
    assert "wide.csv: there is no column 'metric'" in err
    assert "--wide" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--column", "p99=p99_ms"], "--column is about wide data"),
        (["--replica", "pod"], "--replica is about wide data"),
        (["--wide", "version", "--data-format", "otlp"], "--wide: data of the format otlp say themselves"),
        (["--wide", "version"], "the total of the metric 'errors' may be the column 'total' or 'requests'"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments, says, capsys):
    Path("policy.yaml").write_text("metrics:\n- {name: errors, kind: ratio, direction: increase}\n")
    Path("wide.csv").write_text(wide().replace("error_count", "errors"))
    code, out, err = judge(capsys, "wide.csv", *arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_plan_without_a_history_has_no_use_for_columns(capsys):
    code, _, err = run(capsys, "plan", "--policy", "policy.yaml", "--wide", "version")
    assert code == 2
    assert "there is none" in err


@pytest.mark.parametrize(
    ("text", "options"), [("metric,arm,value\n", []), ("version,p99_ms,error_count,requests\n", COLUMNS)]
)
def test_a_table_without_rows_is_an_error_tidy_or_wide(text, options, capsys):
    Path("bare.csv").write_text(text)
    code, out, err = judge(capsys, "bare.csv", *options)
    assert (code, out) == (2, "")
    assert "bare.csv: the table has no rows, so there is nothing to judge" in err


def test_a_table_without_rows_is_no_error_where_the_policy_says_what_silence_means(capsys):
    Path("policy.yaml").write_text("metrics:\n- {name: p99, direction: increase, no_data: ignore}\n")
    Path("bare.csv").write_text("metric,arm,value\n")
    assert judge(capsys, "bare.csv")[0] != 2


def test_a_directory_is_called_one(capsys):
    code, _, err = judge(capsys, ".")
    assert code == 2
    assert ".: this is a directory" in err

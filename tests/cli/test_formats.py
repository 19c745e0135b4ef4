"""The formats of `judge` and `monitor`: files beside standard output, errors in those that can tell one, nothing written over."""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.integrations.writers import tekton_results
from canaryjudge.integrations.writers.formats import FORMATS

OTHERS = sorted(set(FORMATS) - {"tekton"})


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(
        "metrics: [{name: m, direction: increase, no_data: marginal}]", encoding="utf-8"
    )
    noise = np.random.default_rng(20260305).normal(0, 3, (2, 30))
    rows = [
        f"m,{arm},{x}" for arm, xs in (("baseline", 100 + noise[0]), ("canary", 200 + noise[1])) for x in xs
    ]
    Path("fail.csv").write_text("metric,arm,value\n" + "\n".join(rows) + "\n", encoding="utf-8")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def judge(capsys, *more, data="fail.csv"):
    return run(capsys, "judge", "--policy", "policy.yaml", "--data", data, *more)


@pytest.fixture
def verdict(capsys):
    return cj.Verdict.from_json(judge(capsys, "--format", "json")[1])


@pytest.mark.parametrize("name", OTHERS)
def test_a_format_says_on_standard_output_what_its_writer_says(capsys, verdict, name):
    code, out, err = judge(capsys, "--format", name)
    assert (code, err) == (1, "")
    assert out.rstrip("\n") == FORMATS[name].write(verdict).rstrip("\n")
    assert out.endswith("\n")
    assert not out.endswith("\n\n\n")


def test_several_formats_at_once(capsys, verdict):
    Path("results").mkdir()
    alsos = [part for name in OTHERS for part in ("--also", f"{name}={name}.out")]
    code, out, err = judge(capsys, *alsos, "--also", "tekton=results")
    assert (code, out, err) == (1, verdict.explain() + "\n", "")
    for name in OTHERS:
        assert Path(f"{name}.out").read_bytes().decode().rstrip("\n") == FORMATS[name].write(verdict).rstrip(
            "\n"
        )
    assert {file.name: file.read_bytes().decode() for file in Path("results").iterdir()} == tekton_results(
        verdict
    )


def test_what_others_write_to_is_added_to(capsys):
    for name in ("github-outputs", "github-summary"):
        Path(name).write_text("before=1\n", encoding="utf-8")
    judge(capsys, "--also", "github-outputs=github-outputs", "--also", "github-summary=github-summary")
    for name in ("github-outputs", "github-summary"):
        assert Path(name).read_text(encoding="utf-8").startswith("before=1\n")
        assert "FAIL: " in Path(name).read_text(encoding="utf-8")


def test_monitor_knows_them_too(capsys):
    Path("policy.yaml").write_text(
        "{max_points: 60, metrics: [{name: m, direction: increase}]}", encoding="utf-8"
    )
    arguments = (
        "--policy",
        "policy.yaml",
        "--data",
        "fail.csv",
        "--state",
        "s.json",
        "--format",
        "junit",
        "--also",
        "argo=a.json",
    )
    code, out, _ = run(capsys, "monitor", *arguments)
    assert code in (1, 3)
    assert ET.fromstring(out).find(".//testcase[@name='m']") is not None  # noqa: S314 - our own
    assert json.loads(Path("a.json").read_text(encoding="utf-8"))["verdict"]["outcome"] in (
        "fail",
        "marginal",
    )


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda: Path("fail.csv").write_text("metric,arm,value\nm,baseline,x\n", encoding="utf-8"), "x"),
        (lambda: Path("fail.csv").unlink(), "fail.csv"),
        (
            lambda: Path("policy.yaml").write_text("metrics: [{nam: <m>, direction: up}]", encoding="utf-8"),
            "nam",
        ),
        (lambda: Path("policy.yaml").unlink(), "policy.yaml"),
    ],
)
def test_an_error_of_the_caller_is_told_in_the_formats_that_can(capsys, spoil, says):
    spoil()
    Path("results").mkdir()
    alsos = ("github-outputs=o", "prometheus=p", "tekton=results", "json=j", "text=t", "markdown=w")
    code, out, err = judge(
        capsys, "--format", "junit", *(part for also in alsos for part in ("--also", also))
    )
    assert code == 2
    assert err.startswith("canaryjudge: ")
    told = ET.fromstring(out).find(".//testcase[@name='release']/error")  # noqa: S314 - our own
    assert says in told.text
    assert "outcome=error\n" in Path("o").read_text(encoding="utf-8")
    (family,) = text_string_to_metric_families(Path("p").read_text(encoding="utf-8"))
    assert [(sample.name, sample.value) for sample in family.samples] == [("canaryjudge_judged", 0)]
    assert Path("results/outcome").read_text(encoding="utf-8") == "error"
    assert not any(Path(name).exists() for name in "jtw")


def test_a_bug_of_ours_is_an_error_too(capsys, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("at the worst moment")

    monkeypatch.setattr(sys.modules["canaryjudge.judging"], "judge", broken)
    code, out, err = judge(capsys, "--format", "junit")
    assert code == 70
    assert "this is a bug of canaryjudge" in err
    assert "at the worst moment" in ET.fromstring(out).find(".//error").text  # noqa: S314 - our own


def test_brief_is_about_every_text(capsys, verdict):
    code, out, err = judge(capsys, "--brief", "--also", "text=brief.txt", "--also", "json=verdict.json")
    assert (code, err) == (1, "")
    assert out == Path("brief.txt").read_text() == verdict.explain(brief=True) + "\n"
    assert Path("verdict.json").read_text() == verdict.to_json()
    code, out, err = judge(capsys, "--brief", "--format", "json")
    assert (code, out) == (2, "")
    assert "--brief is about text" in err


@pytest.mark.parametrize("target", ["policy.yaml", "./fail.csv"])
def test_nothing_that_the_verdict_is_made_from_is_written_over(capsys, target):
    before = Path(target).read_bytes()
    code, out, err = judge(capsys, "--also", f"junit={target}")
    assert (code, out) == (2, "")
    assert f"--also {target} would overwrite an input" in err
    assert Path(target).read_bytes() == before


def test_a_result_of_several_writes_over_no_input(capsys):
    Path("outcome").write_text(Path("policy.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    code, _, err = run(capsys, "judge", "--policy", "outcome", "--data", "fail.csv", "--also", "tekton=.")
    assert code == 2
    assert "--also outcome would overwrite an input" in err


def test_a_file_is_written_once(capsys):
    code, _, err = judge(capsys, "--output", "out", "--also", "junit=./out")
    assert code == 2
    assert "--output out would be written twice" in err
    assert not Path("out").exists()


def test_a_file_that_cannot_be_written_is_an_error_and_no_verdict_stands(capsys):
    code, out, err = judge(
        capsys, "--format", "junit", "--also", "gitlab=nowhere/canary.env", "--also", "jenkins=j"
    )
    assert code == 2
    assert "nowhere/canary.env: No such file or directory" in err
    assert ET.fromstring(out).find(".//error") is not None  # noqa: S314 - our own
    assert "OUTCOME=error" in Path("j").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--format", "tekton"), "--format tekton writes several files"),
        (("--also", "junit"), "'junit' is not like junit=report.xml"),
        (("--also", "junit="), "'junit=' is not like"),
        (("--also", "word=x"), "formats: text, json"),
        (("--format", "word"), "word"),
    ],
)
def test_bad_usage(capsys, options, says):
    code, out, err = judge(capsys, *options)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 2

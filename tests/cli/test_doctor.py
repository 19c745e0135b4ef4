"""The command `doctor`."""

import json

import pytest

from canaryjudge.cli import main

RELEASE = ["--policy", "docs/examples/checkout/policy.yaml", "--data", "docs/examples/checkout/metrics.csv"]


def test_findings_are_printed_with_exit_0(capsys):
    assert main(["doctor", *RELEASE]) == 0
    assert capsys.readouterr().out.startswith("Looked at 4 metrics of the policy and their data: ")


def test_the_policy_alone_may_be_looked_at(capsys):
    assert main(["doctor", *RELEASE[:2]]) == 0
    assert "without data" in capsys.readouterr().out


@pytest.mark.parametrize("wanted", ["json", "markdown"])
def test_other_formats(capsys, wanted):
    assert main(["doctor", *RELEASE, "--format", wanted]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["with_data"] if wanted == "json" else out.startswith("## Readiness")


def test_what_cannot_be_read_ends_with_2(capsys):
    assert main(["doctor", "--policy", RELEASE[1], "--data", "nowhere.csv"]) == 2
    assert "there is no such file" in capsys.readouterr().err

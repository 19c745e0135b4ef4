"""OpenTelemetry metrics on the command line."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from canaryjudge.cli import main

EXAMPLE = Path(__file__).parents[2] / "docs/examples/otlp"
EXPORT = EXAMPLE / "metrics.jsonl"
GIVEN = ["--policy", EXAMPLE / "policy.yaml", "--data", EXPORT, "--data-format", "otlp"]
ARMS = ["--baseline", "1.4", "--canary", "1.5"]


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_collectors_file_is_judged_and_verified(capsys, tmp_path):
    written = tmp_path / "verdict.json"
    code, *_ = run(capsys, "judge", *GIVEN, *ARMS, "--format", "json", "--output", written)
    assert code == 1
    verdict = json.loads(written.read_text())
    assert list(verdict["metrics"]) == ["http.server.request.duration"]
    code, out, _ = run(capsys, "verify", "--verdict", written, *GIVEN)
    assert (code, out.startswith("reproduced")) == (0, True)


def test_it_may_come_from_standard_input(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(EXPORT.read_bytes())))
    arguments = [*GIVEN, *ARMS]
    arguments[3] = "-"
    assert run(capsys, "judge", *arguments)[0] == 1


def test_a_watch_takes_a_growing_file(capsys, tmp_path):
    """A file that the collector goes on writing: what was there before is known by its time."""
    lines = EXPORT.read_text().splitlines(keepends=True)
    part, state = tmp_path / "metrics.jsonl", tmp_path / "state.json"
    arguments = [*GIVEN, *ARMS, "--state", state]
    arguments[3] = part
    points = []
    for end in (2, 6, 6, 14, 20):
        part.write_text("".join(lines[:end]))
        code, out, err = run(capsys, "monitor", *arguments)
        assert not err
        assert "all looks together" in out
        watched = json.loads(state.read_text())["metrics"]["http.server.request.duration"]
        points.append(watched["stream"]["tally"][:2])
    assert code == 1
    assert points == [[1, 1], [5, 5], [5, 5], [13, 13], [19, 19]]


def test_a_history_of_the_same_form_may_be_given(capsys, tmp_path):
    """Both arms ran the same version then."""
    history = tmp_path / "history.jsonl"
    lines = EXPORT.read_text().splitlines(keepends=True)
    history.write_text("".join(lines).replace('"1772', '"1771'))
    code, _, err = run(
        capsys, "monitor", *GIVEN, *ARMS, "--state", tmp_path / "state.json", "--history", history
    )
    assert (code, err) == (1, "")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--arm-attribute", "service.versoin"], "no data point has the attribute 'service.versoin'"),
        (["--wide", "version"], "--wide: data of the format otlp say themselves what is what"),
        (["--canary", "1.6"], "the data have no arm '1.6'"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(capsys, change, says):
    code, out, err = run(capsys, "judge", *GIVEN, *ARMS, *change)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 2

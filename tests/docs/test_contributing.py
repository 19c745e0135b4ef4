"""What the page for those who work on the house says is so: its pieces of code, laid into a copy of the package, do what it promises, and nothing else is touched."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from canaryjudge.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
BLOCK = re.compile(r"^```(py|diff)\n(?:# )?(\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGES = {title: BLOCK.findall(text) for title, text in SECTIONS.items() if BLOCK.search(text)}
NEW = {path for blocks in CHANGES.values() for language, path, _ in blocks if language == "py"}


def lay_in(folder, language, path, body):
    """Write a new file, or change one where its lines stand once."""
    if language == "py":
        assert not (folder / path).exists()
        (folder / path).write_text(body, encoding="utf-8")
        return
    text = (folder / path).read_text(encoding="utf-8")
    for hunk in body.split("@@\n")[1:]:
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] != "+")
        assert text.count(old) == 1, f"{path}: {old}"
        text = text.replace(old, "".join(line[1:] for line in lines if line[0] != "-"))
    (folder / path).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the package with all that the page adds."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "canaryjudge", folder / "canaryjudge")
    for blocks in CHANGES.values():
        for block in blocks:
            lay_in(folder, *block)
    return folder


USE = """
import contextlib, io, json, sqlite3, sys
from pathlib import Path

import numpy as np

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.integrations.importers import IMPORTERS
from canaryjudge.kinds import KINDS
from canaryjudge.policy import field_table, json_schema
from canaryjudge.simulate.synthetic import _ARMS

def run(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(list(arguments))
    return code, out.getvalue()

rng = np.random.default_rng(5)
levels = {"baseline": rng.normal(100, 5, 60), "canary": rng.normal(130, 5, 60)}
said = {}

Path("sign.yaml").write_text("metrics: [{name: cpu, direction: increase, rules: [sign]}]")
policy = cj.load_policy("sign.yaml")
verdict = cj.judge({"cpu": levels}, policy)
again = cj.Verdict.from_json(verdict.to_json())
try:
    cj.Metric(name="cpu", direction="decrease", rules=["sign"])
except cj.PolicyError as error:
    refused = str(error)
said["rule"] = {
    "reason": verdict.reason,
    "said": " ".join(verdict.explain().split()),
    "finding": verdict.metrics["cpu"].findings[0].model_dump(mode="json"),
    "same": again == verdict and again.to_json() == verdict.to_json(),
    "shown": [len(text) for text in (verdict.to_markdown(), verdict.to_html())],
    "frame": verdict.to_frame().rule.tolist(),
    "refused": refused,
    "schema": "Sign" in json_schema()["$defs"],
    "table": "## rule: sign" in field_table(),
}

lines = [
    f"metric=cpu arm={arm} time={60 * i} value={value}" for arm, of in levels.items() for i, value in enumerate(of)
]
Path("data.logfmt").write_text("\\n".join(lines))
said["format"] = run("judge", "--policy", "sign.yaml", "--data", "data.logfmt")
Path("bad.logfmt").write_text("metric=cpu arm=canary")
said["format refused"] = run("judge", "--policy", "sign.yaml", "--data", "bad.logfmt")
said["writer"] = run("judge", "--policy", "sign.yaml", "--data", "data.logfmt", "--format", "logfmt")

with sqlite3.connect("points.db") as database:
    database.execute("create table points (metric, arm, time, value)")
    rows = [("cpu", arm, 60 * i, value) for arm, of in levels.items() for i, value in enumerate(of)]
    database.executemany("insert into points values (?, ?, ?, ?)", rows)
database.close()
said["server"] = run("judge", "--policy", "sign.yaml", "--sqlite", "points.db")

Path("most.txt").write_text("cpu 110\\nmemory 80")
said["importer"] = run("import", "limits", "most.txt")
said["rules"] = [metric.rules[0].rule for metric in IMPORTERS["limits"].load("most.txt").metrics]

queues = cj.Metric(name="queue", kind="load", direction="increase")
replicas = [name for name in "ab" for _ in range(60)]
arms = {
    arm: {"value": np.tile(of, 2), "time": np.tile(60.0 * np.arange(60), 2), "replica": replicas}
    for arm, of in levels.items()
}
verdict = cj.judge({"queue": arms}, cj.Policy(metrics=[queues]))
found = verdict.metrics["queue"].findings
said["kind"] = {
    "rules": [each.rule for each in found],
    "level": found[0].baseline_level,
    "median": float(np.median(levels["baseline"])),
    "drawn": set(_ARMS) == {name for name, kind in KINDS.items() if not kind.is_paired},
}
said["said"] = verdict.reason

requests = np.full(40, 1000)
errors = cj.Metric(name="errors", kind="ratio", direction="increase", rules=[cj.Sequential(method="shares")])
monitor = cj.Monitor(cj.Policy(max_points=400, metrics=[errors]))
for _ in range(10):
    update = {
        "errors": {
            arm: {"value": rng.binomial(requests, share), "total": requests}
            for arm, share in (("baseline", 0.01), ("canary", 0.05))
        }
    }
    monitor.update(update)
said["method"] = monitor.verdict().reason, cj.Sequential().method_for("ratio")
said["method said"] = monitor.verdict().explain()
json.dump(said, sys.stdout)
"""


@pytest.fixture(scope="module")
def said(house):
    """What users of that copy are told, warnings being errors."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE],
        cwd=house,
        env=os.environ | {"PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_rule_is_asked_and_told(said):
    rule = said["rule"]
    assert rule["reason"] == "FAIL: cpu: canary is worse than tolerated in 60 of 60 points"
    assert "in 60 of 60 points; sign test p" in rule["said"]
    assert rule["finding"]["worse"] == 60
    assert rule["same"]
    assert all(rule["shown"])
    assert rule["frame"] == ["sign"]
    assert "the rule sign looks for a rise" in rule["refused"]
    assert rule["schema"]
    assert rule["table"]


def test_a_reason_is_given_by_its_rule(said):
    assert said["rule"]["finding"]["reason"] == "mostly_worse"


def test_a_format_of_files_is_known_by_its_ending(said):
    code, text = said["format"]
    assert (code, "60 of 60 points" in text) == (1, True)
    code, text = said["format refused"]
    assert (code, "bad.logfmt, line 1: this is no point" in text) == (2, True)


def test_a_server_is_asked(said):
    code, text = said["server"]
    assert (code, "60 of 60 points" in text) == (1, True)


def test_an_importer_makes_a_policy(said):
    code, text = said["importer"]
    assert code == 0
    assert "canaryjudge: taken: most.txt: line 2: memory: its mean is held against 80" in text
    assert "name: memory" in text
    assert said["rules"] == ["slo", "slo"]


def test_a_writer_writes(said):
    code, text = said["writer"]
    assert code == 1
    assert text.startswith('outcome=fail action=rollback reason="FAIL: cpu: ')


def test_a_kind_is_pooled_and_judged_as_it_says(said):
    kind = said["kind"]
    assert kind["rules"] == ["mann_whitney"]
    assert kind["level"] == pytest.approx(2 * kind["median"])
    assert kind["drawn"]


def test_a_sequential_method_watches(said):
    reason, auto = said["method"]
    assert reason.startswith("FAIL: errors: canary is")
    assert "sequential comparison of shares" in said["method said"]
    assert auto == "mixture"


def test_the_level_of_an_interval_is_said_otherwise(said):
    assert re.search(r"\d % confidence interval", said["said"])
    assert " CI " not in said["said"] + said["method said"]


def test_each_change_takes_as_many_files_as_the_page_says():
    rows = re.findall(r"^\| (\w[^|]*) \| (\d+) \|$", SECTIONS["How many files it takes"], re.MULTILINE)
    taken = {title: {path for _, path, _ in blocks} for title, blocks in CHANGES.items()}
    rule = taken["Add a rule"]
    counted = {title[0].lower() + title[1:]: len(paths) for title, paths in taken.items()}
    counted["add two rules"] = len(rule) + len(rule & NEW)
    assert {change.partition(",")[0]: int(files) for change, files in rows} == counted


def test_the_rooms_are_those_of_the_contract():
    listed = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", SECTIONS["The house"], re.MULTILINE)
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = (each for each in config["contracts"] if each["id"] == "one-way")
    layers = [set(layer.replace("canaryjudge.", "").split(" : ")) for layer in contract["layers"]]
    assert [set(re.findall(r"\w+", row)) for row in listed] == layers[::-1]


def test_every_file_that_is_named_is_there():
    text = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    named = {
        name for name in re.findall(r"`([\w./-]+)`", text) if re.search(r"/|\.(?:py|md|toml|csv)$", name)
    }
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / name).exists() and name not in NEW] == []


def test_a_number_walks_through_the_house_as_the_page_says(tmp_path, capsys):
    walk = re.findall(r"`(canaryjudge/[\w/]+\.py)` `([\w.]+)`", SECTIONS["The walk of one number"])
    (line,) = re.findall(r"`(latency_p99,[^`]*)` is a line of `([^`]*)`", PAGE)
    assert line[0] in (ROOT / line[1]).read_text(encoding="utf-8").splitlines()
    policy = tmp_path / "policy.yaml"
    policy.write_text("metrics: [{name: latency_p99, unit: ms, direction: increase}]", encoding="utf-8")
    called = {}

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT)):
            called.setdefault((str(Path(code.co_filename).relative_to(ROOT)), code.co_qualname))

    sys.setprofile(note)
    try:
        code = main(["judge", "--policy", str(policy), "--data", str(ROOT / line[1]), "--format", "json"])
    finally:
        sys.setprofile(None)
    assert code == 1
    assert (
        json.loads(capsys.readouterr().out)["metrics"]["latency_p99"]["findings"][0]["rule"] == "mann_whitney"
    )
    assert [step for step in called if step in walk] == walk

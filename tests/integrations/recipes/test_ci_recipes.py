"""The manifests of GitHub Actions, GitLab CI, Jenkins and Tekton: run as they stand, and read as those tools read exit codes and files."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pipelines_played import OUTCOMES, evaluated, played
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
RECIPES = ROOT / "docs/examples/integrations"
ACTIONS = {"pass": "promote", "fail": "rollback"}


def documents(name):
    return list(YAML(typ="safe").load_all((RECIPES / name).read_text(encoding="utf-8")))


@pytest.fixture(params=OUTCOMES)
def outcome(request):
    return request.param


@pytest.fixture
def pipeline(tmp_path, warm_folder, outcome):
    with played(tmp_path, warm_folder, outcome) as pipeline:
        yield pipeline


def outputs(text):
    """Read an output file as GitHub's runner does."""
    read, lines = {}, iter(text.split("\n")[:-1])
    for line in lines:
        name, sign, value = re.fullmatch(r"([^=<]+)(=|<<)(.*)", line).groups()
        read[name] = "\n".join(iter(lines.__next__, value)) if sign == "<<" else value
    return read


def test_github(pipeline, outcome):
    """A step that ends with another code than 0 fails the job, and later ones run only where their condition says always()."""
    (workflow,) = documents("github/watch.yml")
    inputs = {"inputs.stable": "1.4", "inputs.canary": "1.5"}
    assert set(workflow[True if True in workflow else "on"]["workflow_dispatch"]["inputs"]) == {
        "stable",
        "canary",
    }
    job = workflow["jobs"]["canary"]
    files = {name: pipeline.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    values, failed, uploaded, log = dict(inputs), False, False, ""

    def filled(environment):
        return {
            name: re.sub(r"\$\{\{ ([^}]+) \}\}", lambda found: values[found[1]], text)
            for name, text in environment.items()
        }

    for step in job["steps"]:
        condition = step.get("if", "true")
        runs = evaluated(condition, values) if "if" in step else True
        if not runs or (failed and "always()" not in condition):
            continue
        uploaded |= step.get("uses", "").startswith("actions/upload-artifact")
        if "run" in step:
            assert "${{" not in step["run"]
            environment = (
                filled(job["env"]) | filled(step.get("env", {})) | {k: str(v) for k, v in files.items()}
            )
            run = pipeline.run(["bash", "-e", "-c", step["run"]], environment)
            failed |= run.returncode != 0
            log += run.stdout
        if "id" in step:
            told = outputs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))
            values |= {f"steps.{step['id']}.outputs.{name}": value for name, value in told.items()}
    assert failed == (outcome in ("fail", "down"))
    assert values["steps.canary.outputs.action"] == ACTIONS.get(outcome, "hold")
    last = {"pass": ["promote 1.5"], "fail": ["roll-back 1.5"]}.get(outcome, [])
    assert pipeline.calls == ["deploy-canary 1.5", *last]
    assert {"pass": "::notice", "fail": "::error", "down": "::error"}.get(outcome, "::warning") in log
    assert files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
    assert uploaded == (outcome != "down") == (pipeline.folder / "canary.html").exists()


def test_gitlab(pipeline, outcome):
    """Lines of a script run until one fails; a job whose code is allowed is amber, and the stages after it run; variables of its report are later jobs'."""
    (config,) = documents("gitlab/gitlab-ci.yml")
    job, environment = config["canary"], dict(config["variables"])
    code = next(
        (run.returncode for line in job["script"] if (run := pipeline.run(line, environment)).returncode), 0
    )
    assert code == OUTCOMES[outcome]
    color = "green" if code == 0 else "amber" if code in job["allow_failure"]["exit_codes"] else "red"
    assert color == {"pass": "green", "fail": "red", "down": "red"}.get(outcome, "amber")
    reports = job["artifacts"]["reports"]
    told = dict(
        line.split("=", 1)
        for line in (pipeline.folder / reports["dotenv"]).read_text(encoding="utf-8").splitlines()
    )
    later = next(
        name
        for name in ("promote", "roll back")
        if (config[name].get("when") == "on_failure") == (color == "red")
    )
    for line in config[later]["script"]:
        assert pipeline.run(line, environment | told).returncode == 0
    last = {"pass": ["promote 1.5"], "fail": ["roll-back 1.5"], "down": ["roll-back 1.5"]}.get(outcome, [])
    assert pipeline.calls == ["deploy-canary 1.5", *last]
    suite = ET.fromstring((pipeline.folder / reports["junit"]).read_text(encoding="utf-8"))  # noqa: S314 - our own
    assert (suite.get("failures") != "0", suite.get("errors") != "0") == (
        outcome == "fail",
        outcome == "down",
    )
    assert {config[name]["stage"] for name in ("canary", "promote", "roll back")} == set(config["stages"])


def test_jenkins(pipeline, outcome):
    """`sh` gives the code of a script, `error` fails the build, `unstable` makes it yellow."""
    text = (RECIPES / "jenkins/Jenkinsfile").read_text(encoding="utf-8")
    parameters = dict(re.findall(r"string\(name: '(\w+)', defaultValue: '([^']*)'", text))
    written = re.search(r"def code = sh\(returnStatus: true, script: '''(.*?)'''\)", text, re.DOTALL)[1]
    script = re.sub(
        r"\\(.)", lambda found: "" if found[1] == "\n" else found[1], written, flags=re.DOTALL
    )  # as Groovy reads it
    before, after = text.split(f"'''{written}'''", 1)
    for line in re.findall(r"^ *sh '(.*)'$", before, re.MULTILINE):
        assert pipeline.run(["sh", "-xe", "-c", line], parameters).returncode == 0
    code = pipeline.run(["sh", "-xe", "-c", script], parameters).returncode
    assert code == OUTCOMES[outcome]
    branches = re.findall(r"if \((code [^{]*)\) \{\n(.*?)\n +\}|else \{\n(.*?)\n +\}", after, re.DOTALL)
    done = next(
        body or otherwise
        for condition, body, otherwise in branches
        if not condition or eval(condition.replace("||", "or"), {"code": code})  # noqa: S307 - our own
    )
    for line in re.findall(r"sh '(.*)'", done):
        assert pipeline.run(["sh", "-xe", "-c", line], parameters).returncode == 0
    result = "FAILURE" if "error(" in done else "UNSTABLE" if "unstable(" in done else "SUCCESS"
    assert result == {"pass": "SUCCESS", "fail": "FAILURE", "down": "FAILURE"}.get(outcome, "UNSTABLE")
    last = {"pass": ["promote 1.5"], "fail": ["roll-back 1.5"]}.get(outcome, [])
    assert pipeline.calls == ["deploy-canary 1.5", *last]
    files = re.findall(r"(?:testResults|artifacts|file): '([^']+)'", after)
    assert files == ["canary.xml", "canary.html", "canary.properties"]
    assert all(
        (pipeline.folder / file).exists() for file in files if file != "canary.html" or outcome != "down"
    )
    assert "CANARYJUDGE_REASON=" in (pipeline.folder / "canary.properties").read_text(encoding="utf-8")


def test_tekton(pipeline, outcome):
    """A step whose error is let pass does not fail its task; a task runs where all of its `when` hold, and not where a result is missing."""
    task, of_tasks, run = documents("tekton/canary.yaml")
    given = {each["name"]: each["value"] for each in run["spec"]["params"]}
    (step,) = task["spec"]["steps"]
    assert step["onError"] == "continue"
    values = {f"params.{name}": value for name, value in given.items()} | {
        "workspaces.policy.path": str(pipeline.folder)
    }

    def filled(text):
        return re.sub(r"\$\(([\w.-]+)\)", lambda found: values[found[1]], text)

    results = pipeline.folder / "results"
    results.mkdir()
    words = [filled(word) for word in (*step["command"], *step["args"])]
    assert pipeline.run(words, **{"/tekton/results": results}).returncode == OUTCOMES[outcome]
    declared = [each["name"] for each in task["spec"]["results"]]
    assert sorted(declared) == sorted(file.name for file in results.iterdir())
    for name in declared:
        values[f"tasks.judge-canary.results.{name}"] = (results / name).read_text(encoding="utf-8")
    assert sum(len(file.read_bytes()) for file in results.iterdir()) < 4096
    ran = [
        each["name"]
        for each in of_tasks["spec"]["tasks"]
        if all(filled(one["input"]) in one["values"] for one in each.get("when", ()))
    ]
    last = {"pass": ["promote"], "fail": ["roll-back"]}.get(outcome, [])
    assert ran == ["deploy-canary", "judge-canary", *last]
    for each in of_tasks["spec"]["tasks"]:
        assert all(filled(one["value"]) for one in each.get("params", ()))
    assert json.loads(values["tasks.judge-canary.results.failed"]) == (
        ["errors", "latency"] if outcome == "fail" else []
    )
    assert values["tasks.judge-canary.results.outcome"] == {"no data": "marginal", "down": "error"}.get(
        outcome, outcome
    )

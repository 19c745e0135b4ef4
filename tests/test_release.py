"""A release: what its workflow may do and in which order, and the packages that it publishes, built and judged with."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from canaryjudge import __version__

ROOT = Path(__file__).parents[1]
WORKFLOW = YAML(typ="safe").load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
JOBS = WORKFLOW["jobs"]
STEPS = {name: job["steps"] for name, job in JOBS.items()}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def uses(step):
    return step.get("uses", "").partition("@")[0]


def place(job, what):
    """Where in a job an action is used or a command run."""
    (found,) = [at for at, step in enumerate(STEPS[job]) if what in (uses(step), step.get("run"))]
    return found


def test_only_a_tag_of_a_version_releases():
    assert WORKFLOW["on"] == {"push": {"tags": ["v*"]}}


def test_each_job_may_do_what_it_needs_and_no_more():
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "dist": {"contents": "read"},
        "image": {
            "contents": "read",
            "packages": "write",
            "id-token": "write",
            "attestations": "write",
        },
        "pypi": {"id-token": "write"},
    }
    for steps in STEPS.values():
        assert all(
            step["with"] == {"persist-credentials": False}
            for step in steps
            if uses(step) == "actions/checkout"
        )


def test_every_action_is_one_of_a_version():
    for steps in STEPS.values():
        for step in steps:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(
                r"[\w.-]+/[\w.-]+@(v\d+|release/v\d+|[0-9a-f]{40})", step.get("uses", "a/b@v1")
            )


def test_no_expression_is_written_into_a_command():
    """A tag is a name that somebody chose: it reaches the command as a variable."""
    commands = [step for steps in STEPS.values() for step in steps if "run" in step]
    assert all("${{" not in step["run"] for step in commands)
    (made,) = (step for step in commands if "make dist" in step["run"])
    assert (made["run"], made["env"]) == ("make dist", {"TAG": "${{ github.ref_name }}"})


def test_nothing_leaves_before_it_is_checked_and_pypi_is_last():
    assert "needs" not in JOBS["dist"]
    assert JOBS["image"]["needs"] == "dist"
    assert JOBS["pypi"]["needs"] == ["dist", "image"]
    assert place("dist", "make dist") < place("dist", "make test") < place("dist", "actions/upload-artifact")
    (judged,) = [at for at, step in enumerate(STEPS["image"]) if "canaryjudge judge" in step.get("run", "")]
    pushed = [at for at, step in enumerate(STEPS["image"]) if step.get("with", {}).get("push")]
    assert [judged < place("image", "docker/login-action") < at for at in pushed] == [True]
    assert place("image", "actions/attest-build-provenance") > pushed[0]


def test_what_is_published_is_what_was_checked():
    (kept,) = (step["with"] for step in STEPS["dist"] if uses(step) == "actions/upload-artifact")
    for job in ("image", "pypi"):
        (taken,) = (step["with"] for step in STEPS[job] if uses(step) == "actions/download-artifact")
        assert taken["name"] == kept["name"]
        assert not any("make" in step.get("run", "") for step in STEPS[job])
    assert (kept["path"], STEPS["image"][1]["with"]["path"]) == ("build/dist", "build/dist")


def test_it_is_published_without_a_password_and_with_provenance():
    (step,) = (step for step in STEPS["pypi"] if uses(step) == "pypa/gh-action-pypi-publish")
    assert "with" not in step
    assert JOBS["pypi"]["environment"] == "pypi"
    (pushed,) = (step["with"] for step in STEPS["image"] if step.get("with", {}).get("push"))
    assert (pushed["provenance"], pushed["sbom"], pushed["file"]) == ("mode=max", True, "Containerfile")
    text = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    assert "secrets." not in text


def made(*arguments, **variables):
    """Call make as a checkout's user would: with no environment of Python's own."""
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize(
    "tag", ["v0.0.9", "0.1.0", f"v{__version__}.1", "v1'; touch pwned; '", "v$(shell touch pwned)"]
)
def test_a_tag_of_another_version_releases_nothing(tmp_path, tag):
    run = made("dist", f"DIST={tmp_path / 'dist'}", TAG=tag)
    assert run.returncode == 2
    assert run.stdout == f"the tag is {tag}, and canaryjudge/_version.py says {__version__}\n"
    assert list(tmp_path.iterdir()) == []
    assert not (ROOT / "pwned").exists()


def test_a_version_that_the_changelog_gives_no_date_is_not_released(tmp_path):
    if f"## {__version__} (unreleased)" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        pytest.skip(f"{__version__} has a date")
    run = made("dist", f"DIST={tmp_path / 'dist'}", TAG=f"v{__version__}")
    assert (run.returncode, run.stdout) == (2, f"CHANGELOG.md gives {__version__} no date\n")


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.search(r"^## (\S+) \((unreleased|\d{4}-\d\d-\d\d)\)$", text, re.MULTILINE)
    assert first is not None
    assert first[1] == __version__


@pytest.mark.slow
def test_wheel_and_sdist_judge_in_environments_of_their_own(tmp_path):
    """What the workflow does, in another folder."""
    run = made("dist", f"PYTHON={sys._base_executable}", f"DIST={tmp_path / 'dist'}")
    assert run.returncode == 0, run.stdout + run.stderr
    wheel, source = f"canaryjudge-{__version__}-py3-none-any.whl", f"canaryjudge-{__version__}.tar.gz"
    assert sorted(path.name for path in tmp_path.glob("*/*")) == sorted([wheel, source])
    assert run.stdout.count("PASSED") == 2
    assert run.stdout.count("FAIL: roll back") == 2
    assert re.findall(r"^\S+/(\S+) judges$", run.stdout, re.MULTILINE) == [wheel, source]
    inside = {name.partition("/")[0] for name in zipfile.ZipFile(tmp_path / "dist" / wheel).namelist()}
    assert inside == {"canaryjudge", f"canaryjudge-{__version__}.dist-info"}
    with tarfile.open(tmp_path / "dist" / source) as archive:
        folders = {name.split("/")[1] for name in archive.getnames()}
    assert {"canaryjudge", "tests", "docs", "pyproject.toml", "CHANGELOG.md", "LICENSE"} <= folders
    assert not {"benchmarks", "build", ".venv"} & folders

"""Every code block of the README and the docs runs, and prints what stands below it."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    return [
        (match[1], match[2], match.start(), match.end())
        for match in FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


def printed_below(page, found, index):
    """The ``text`` block that directly follows, if there is one."""
    if index + 1 < len(found) and found[index + 1][0] == "text":
        between = page.read_text(encoding="utf-8")[found[index][3] : found[index + 1][2]]
        if not between.strip():
            return found[index + 1][1]
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_run_and_print_what_stands_below(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    namespace = {}
    found = blocks(page)
    for index, (language, code, *_) in enumerate(found):
        if language != "python":
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, f"{page.name}, block {index}", "exec"), namespace)  # noqa: S102 - our own documents
        expected = printed_below(page, found, index)
        if expected is not None:
            assert output.getvalue().rstrip() == expected.rstrip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_console_blocks_print_what_they_show(page, warm_folder):
    """Lines after ``$`` are commands, the lines below a command its output; ``exit N`` stands for its exit code."""
    path = os.pathsep.join(map(str, (warm_folder, Path(sys.executable).parent, os.environ["PATH"])))
    environment = os.environ | {"PATH": path}
    for language, text, *_ in blocks(page):
        if language != "console":
            continue
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            run = subprocess.run(  # noqa: S602 - the commands of our own documents
                command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            shown = run.stdout + run.stderr + (f"exit {run.returncode}\n" if "exit " in expected else "")
            assert shown.rstrip() == expected.rstrip(), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_script_that_the_page_shows_is_the_bundled_one():
    script = (ROOT / "docs/examples/rollout/pipeline.sh").read_text(encoding="utf-8")
    assert f"```sh\n{script}```" in (ROOT / "docs/sequential.md").read_text(encoding="utf-8")


def test_the_policy_reference_is_what_the_models_say():
    from canaryjudge.policy import field_table

    text = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
    assert field_table() in text, "run: python docs/make_reference.py"


@pytest.mark.parametrize(
    ("script", "files"),
    [
        ("checkout/make_data.py", ["metrics.csv", "export.csv", "panel.csv"]),
        ("rollout/make_rollout.py", ["good.csv", "bad.csv", "late.csv"]),
        ("cohorts/make_cohorts.py", ["mix.csv", "android.csv"]),
        ("ab/make_users.py", ["users.csv", "sums.json"]),
        ("otlp/make_export.py", ["metrics.jsonl"]),
        ("history/make_history.py", ["history.csv"]),
        ("rings/make_rings.py", ["metrics.csv"]),
        (
            "blue-green/make_blue_green.py",
            ["history.csv", "preview.csv", "good.csv", "bad.csv", "storm.csv"],
        ),
        ("history/make_unready.py", ["unready.csv"]),
        ("shadow/make_shadow.py", ["metrics.csv", "old.ndjson", "old_2.ndjson", "new.ndjson"]),
    ],
)
def test_the_bundled_releases_are_what_their_scripts_make(tmp_path, script, files):
    source = ROOT / "docs/examples" / script
    copy = tmp_path / source.name
    copy.write_bytes(source.read_bytes())
    subprocess.run([sys.executable, copy], check=True)
    for name in files:
        assert (tmp_path / name).read_bytes() == (source.parent / name).read_bytes(), name

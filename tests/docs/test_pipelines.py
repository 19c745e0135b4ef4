"""The manifests of docs/pipelines.md and of the pages of pipelines' tools: pages show the bundled files, and they say what the code does."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from canaryjudge.integrations.writers import FLAGGER_HOOKS
from canaryjudge.integrations.writers.formats import FORMATS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "docs/examples/pipelines"
RECIPES = ROOT / "docs/examples/integrations"
TOOLS = ("github", "gitlab", "jenkins", "kubernetes", "tekton")
LANGUAGES = {".yml": "yaml", ".yaml": "yaml", "": "groovy"}


def documents(name, folder=EXAMPLES):
    return list(YAML(typ="safe").load_all((folder / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", sorted(EXAMPLES.iterdir()), ids=lambda file: file.name)
def test_the_page_shows_the_bundled_file(file):
    if file.is_file():
        assert f"`docs/examples/pipelines/{file.name}`" in PAGE
        assert f"```{LANGUAGES[file.suffix]}\n{file.read_text(encoding='utf-8')}```" in PAGE


@pytest.mark.parametrize("tool", TOOLS)
def test_the_page_of_a_tool_names_its_manifests_and_shows_the_first_to_copy(tool):
    page = (ROOT / f"docs/integrations/{tool}.md").read_text(encoding="utf-8")
    shown = 0
    for file in (RECIPES / tool).iterdir():
        assert f"`docs/examples/integrations/{tool}/{file.name}`" in page
        shown += f"```{LANGUAGES[file.suffix]}\n{file.read_text(encoding='utf-8')}```" in page
    blocks = re.findall(r"^```(?:yaml|groovy)$", page, re.MULTILINE)
    assert shown == len(blocks) > 0


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_every_manifest_parses(block):
    assert all(document for document in YAML(typ="safe").load_all(block))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_named(name):
    assert f"`{name}`" in PAGE


def test_github_gives_the_action_inputs_that_it_has():
    action = YAML(typ="safe").load((ROOT / "action.yml").read_text(encoding="utf-8"))
    steps = documents("github/judge.yml", RECIPES)[0]["jobs"]["canary"]["steps"]
    (step,) = (step for step in steps if step.get("id") == "canary")
    assert set(step["with"]) <= set(action["inputs"])
    used = re.findall(r"steps\.canary\.outputs\.([\w-]+)", str(steps))
    assert used
    assert set(used) <= set(action["outputs"])
    assert all("${{" not in step.get("run", "") for step in steps)


def test_tekton_declares_the_results_that_are_written():
    declared = [result["name"] for result in documents("tekton/canary.yaml", RECIPES)[0]["spec"]["results"]]
    assert declared == list(FORMATS["tekton"].files)


def test_argo_cannot_succeed_on_nothing_but_inconclusive_measurements():
    by_web, by_number, rollout = documents("argo.yaml")
    web, number = (document["spec"]["metrics"][0] for document in (by_web, by_number))
    assert web["inconclusiveLimit"] < web["count"]
    assert web["provider"]["web"]["jsonPath"] == "{$.verdict}"
    assert web["provider"]["web"]["url"].startswith(
        "http://gate:8080/argo/{{args.service}}/{{args.revision}}?"
    )
    given = {arg["name"] for arg in rollout["spec"]["strategy"]["canary"]["analysis"]["args"]}
    for document in (by_web, by_number):
        declared = {arg["name"] for arg in document["spec"]["args"]}
        used = set(re.findall(r"\{\{args\.(\w+)\}\}", str(document["spec"]["metrics"])))
        assert used == declared <= given
    assert web["successCondition"] == 'result.outcome == "pass"'
    assert web["failureCondition"] == 'result.outcome == "fail"'
    assert (number["successCondition"], number["failureCondition"]) == ("result[0] == 1", "result[0] == 0")


def test_flagger_asks_the_hook_that_it_is():
    canary = documents("flagger.yaml")[0]
    for hook in canary["spec"]["analysis"]["webhooks"]:
        assert hook["type"] in FLAGGER_HOOKS
        assert hook["url"].endswith(f"/flagger/{hook['type']}")
    assert {hook["type"] for hook in canary["spec"]["analysis"]["webhooks"]} == set(FLAGGER_HOOKS)
    for hook in FLAGGER_HOOKS:
        assert f"`{hook}`" in PAGE


def test_the_hook_is_of_this_version():
    from canaryjudge import __version__

    assert f"rev: {__version__}" in PAGE

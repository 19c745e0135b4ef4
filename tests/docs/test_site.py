"""The documentation's site: every page and every public name has its place, and it is built and read without a network."""

import base64
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from browser import Browser, chromium
from nbformat import v4

import canaryjudge as cj

ROOT = Path(__file__).parents[2]
API = sorted((ROOT / "docs" / "api").glob("*.md"))


def navigated(entries):
    """Every page that the navigation leads to."""
    for entry in entries:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            yield from navigated(target) if isinstance(target, list) else [target]


@pytest.fixture
def reference(monkeypatch):
    """The scripts of docs/ that write references."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("make_reference")


@pytest.fixture
def places(reference):
    """Every name that a page of the reference shows, and what it stands for."""
    shown = [pair for page in API for pair in reference.documented(page).items()]
    return [(path.rpartition(".")[2], found) for path, found in shown]


def test_the_navigation_leads_to_every_page():
    config = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    docs = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").glob("**/*.md")}
    notebooks = {f"notebooks/{page.stem}.md" for page in (ROOT / "notebooks").glob("*.py")}
    assert sorted(navigated(config["nav"])) == sorted({"changelog.md", "security.md"} | docs | notebooks), (
        "add it to zensical.toml"
    )


@pytest.mark.parametrize("name", [name for name in cj.__all__ if name not in ("__version__", "plots")])
def test_a_public_name_has_a_place_in_the_reference(places, name):
    assert (name, getattr(cj, name)) in places, "give it a line in docs/api"


@pytest.mark.parametrize("name", cj.plots.__all__)
def test_a_plot_has_a_place_in_the_reference(places, name):
    assert (name, getattr(cj.plots, name)) in places, "give it a line in docs/api/plots.md"


def test_the_reference_shows_nothing_that_is_not_public(places):
    public = [getattr(cj, name) for name in cj.__all__] + [
        getattr(cj.plots, name) for name in cj.plots.__all__
    ]
    assert [name for name, found in places if not any(found is each for each in public)] == []


def test_the_list_of_notebooks_has_them_all():
    listed = re.findall(
        r"\]\(\.\./notebooks/(\w+)\.py\)", (ROOT / "docs/notebooks.md").read_text(encoding="utf-8")
    )
    assert listed == sorted(page.stem for page in (ROOT / "notebooks").glob("*.py"))


def test_the_command_reference_is_what_the_parsers_say(reference):
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert text.endswith(reference.command_reference(reference.parser())), (
        "run: python docs/make_reference.py"
    )


def test_the_list_of_names_is_what_their_docstrings_say(reference):
    assert {page.name for page in reference.API} == {page.name for page in API} - {"index.md"}
    text = (ROOT / "docs/api/index.md").read_text(encoding="utf-8")
    assert text.endswith(reference.name_reference(reference.API)), "run: python docs/make_reference.py"


def test_the_reasons_are_what_their_table_says(reference):
    text = (ROOT / "docs/api/verdicts.md").read_text(encoding="utf-8")
    assert text.endswith(reference.reason_table()), "run: python docs/make_reference.py"


def test_the_command_reference_hides_what_the_help_hides():
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert "SUPPRESS" not in text
    assert "--password" not in text
    assert "canaryjudge judge --policy FILE (--data FILE | --prometheus URL) [options]" in text


def test_what_a_cell_gives_is_shown_in_its_richest_form(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "docs")
    site = importlib.import_module("make_site")
    shown = site._shown
    said = [v4.new_output("stream", text=text) for text in ("one ", "two\n")]
    assert [output.text for output in site._joined(said)] == ["one two\n"]
    table = {"text/plain": "a frame", "text/html": "<table>\n\n<tr></tr></table>"}
    picture = {"text/plain": "<Axes>", "image/png": base64.b64encode(b"png").decode()}
    assert "<table>\n<tr></tr></table>" in shown(v4.new_output("execute_result", data=table), tmp_path, "1")
    assert "(2.png)" in shown(v4.new_output("display_data", data=picture), tmp_path, "2")
    assert (tmp_path / "2.png").read_bytes() == b"png"
    assert (
        shown(v4.new_output("execute_result", data={"text/plain": "7"}), tmp_path, "3") == "```text\n7\n```"
    )
    assert shown(v4.new_output("stream", text="said\n"), tmp_path, "4") == "```text\nsaid\n```"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly: warnings are errors. Where Linux lets us, in a world without any network."""
    pytest.importorskip("zensical")
    folder = tmp_path_factory.mktemp("site")
    alone = ["unshare", "--map-root-user", "--net"]
    try:
        alone = (
            alone
            if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode == 0
            else []
        )
    except FileNotFoundError:
        alone = []
    command = [*alone, sys.executable, ROOT / "docs" / "make_site.py", "--unrun", "--into", folder]
    run = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"}
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "build" / "site"


@pytest.mark.slow
def test_every_page_is_built(site):
    built = {str(page.relative_to(site)) for page in site.glob("**/*.html")} - {"404.html"}
    pages = {
        str(page.relative_to(ROOT / "docs").with_suffix(".html")) for page in (ROOT / "docs").glob("**/*.md")
    }
    notebooks = {f"notebooks/{page.stem}.html" for page in (ROOT / "notebooks").glob("*.py")}
    assert built == pages | notebooks | {"changelog.html", "security.html"}


@pytest.mark.slow
def test_no_page_asks_another_server(site):
    for page in site.glob("**/*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"?(?:https?:)?//[^>]*>", text) == [], page
        assert (
            re.findall(r"<link[^>]*rel=\"?(?:stylesheet|preconnect|preload)[^>]*(?:https?:)?//[^>]*>", text)
            == []
        ), page


@pytest.mark.slow
def test_the_reference_shows_what_the_docstrings_say(site):
    text = (site / "api/judging.html").read_text(encoding="utf-8")
    assert "Judge a canary against its baseline, or several canaries under one alpha." in text
    assert 'id="canaryjudge.judge"' in text


@pytest.fixture(scope="module")
def browser():
    if chromium() is None:
        pytest.skip("Chromium is not installed (make system)")
    with Browser() as browser:
        yield browser


@pytest.mark.slow
@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize(
    "page", ["index", "policy", "cli", "statistics", "api/policies", "notebooks/01_first_verdict"]
)
def test_a_page_fits_and_complains_of_nothing(site, browser, page, width):
    browser.complaints.clear()
    browser.show(site / f"{page}.html", width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []


CUT_OFF = """
    [...document.querySelectorAll(".md-content :is(pre, code, table, .md-typeset__scrollwrap)")]
        .filter((each) => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
        .map((each) => each.textContent.trim().slice(0, 60))
"""


@pytest.mark.slow
def test_nothing_is_cut_off_on_a_laptop(site, browser):
    found = {}
    for page in sorted(site.glob("**/*.html")):
        browser.show(page, 1300)
        found[page.name] = browser.run(CUT_OFF)
    assert {name: cut for name, cut in found.items() if cut} == {}


FIELD = """
    new Promise((done) => {
        const look = () => document.activeElement.shadowRoot?.activeElement ? done(true) : setTimeout(look, 50);
        look();
    })
"""
SEARCH = """
    new Promise((done) => {
        const said = () => [...document.querySelectorAll("*")].map((each) => each.shadowRoot?.textContent ?? "").join("");
        const look = () => /\\d+ results/.test(said()) ? done(true) : setTimeout(look, 100);
        setTimeout(() => done(false), 30000);
        look();
    })
"""


@pytest.mark.slow
def test_a_search_finds_something_without_a_server(site, browser):
    browser.complaints.clear()
    browser.show(site / "index.html")
    browser.run("document.querySelector('.md-search__button').click()")
    assert browser.run(FIELD)
    browser.call("Input.insertText", text="autocorrelation")
    assert browser.run(SEARCH)
    assert browser.complaints == []

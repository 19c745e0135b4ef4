"""The report in a real Chromium: nothing in the console, nothing wider than the window, nothing that axe finds serious."""

from importlib.resources import files

import numpy as np
import pytest
from browser import Browser, chromium
from cohorts import gauges
from releases import KINDS, fifty_metrics, nasty_release, watched
from rollouts_made import ROLLOUTS

import canaryjudge as cj

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="Chromium is not installed: make system"),
]


def segments():
    """Forty segments with long names in a gauge, one of them to blame."""
    names = [f"a region with a name that goes on and on {place}" for place in range(40)]
    policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase")], segments={"by": ["region"]})
    changes = {name: 0.6 * (place == 7) for place, name in enumerate(names)}
    return cj.judge(gauges(np.random.default_rng(2), changes), policy)


def arms():
    """Twenty-four arms with long names, one of them bad and one with two points."""
    rng, times = np.random.default_rng(1), 60.0 * np.arange(60)
    names = ["stable", *(f"a ring with a name that goes on and on {place}" for place in range(24))]
    series = {
        arm: {"time": times, "value": 100 * (1 + 0.5 * (place == 3)) + 5 * rng.normal(size=60)}
        for place, arm in enumerate(names)
    }
    series[names[7]] = {"time": times[:2], "value": [100.0, 101.0]}
    policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase")])
    return cj.judge({"m": series}, policy, baseline="stable", canary=names[1:])


MADE = {
    "segments": segments,
    "arms": arms,
    "nasty": nasty_release,
    "fifty": fifty_metrics,
    "watched": watched,
    **ROLLOUTS,
}
PAGES = (*KINDS, *MADE)
WIDER = """
[...document.querySelectorAll('body *')].filter(each => {
  const box = each.getBoundingClientRect();
  return box.width && !each.closest('.scroll, .symbols') && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(each => each.outerHTML.slice(0, 120))
"""
OPEN = "document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def page(request, tmp_path):
    path = tmp_path / "report.html"
    verdict = KINDS[request.param] if request.param in KINDS else MADE[request.param]()
    path.write_text(verdict.to_html(), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [320, 375, 768, 1440])
@pytest.mark.parametrize("page", PAGES, indirect=True)
def test_nothing_is_wider_than_the_window_and_the_console_is_silent(browser, page, width):
    browser.complaints.clear()
    browser.show(page, width)
    browser.run(OPEN)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("innerWidth") == width
    assert browser.run(WIDER) == []
    assert browser.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize("page", [*KINDS, "segments", "nasty", "watched", *ROLLOUTS], indirect=True)
def test_axe_finds_nothing_serious(browser, page, width, dark):
    browser.show(page, width, dark=dark)
    browser.run(OPEN)
    browser.run(files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8") + "; true")
    found = browser.run(
        "axe.run().then(({violations, passes}) => ({passes: passes.map(each => each.id), violations: "
        "violations.map(({id, impact, nodes}) => ({id, impact, at: nodes.map(each => each.html).slice(0, 3)}))}))"
    )
    assert {"color-contrast", "landmark-one-main"} <= set(found["passes"])
    assert found["violations"] == []


@pytest.mark.parametrize("page", ["fail"], indirect=True)
def test_a_metric_opens_with_the_keyboard(browser, page):
    browser.show(page)
    count = "document.querySelectorAll('details[open]').length"
    before = browser.run(count)
    browser.run("[...document.querySelectorAll('details:not([open]) summary')][0].focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r",
        )
    assert browser.run(count) == before + 1


@pytest.mark.parametrize("page", ["fail"], indirect=True)
def test_on_paper_everything_is_open_and_the_ground_is_white(browser, page):
    browser.show(page, 800, media="print", dark=True)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "[...document.querySelectorAll('details .inside')].filter(each => !each.getBoundingClientRect().height).length"
    assert browser.run(hidden) == 0
    assert browser.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("page", ["fail"], indirect=True)
def test_the_effect_lies_where_the_facts_are(browser, page):
    """What the eye reads off the drawing: a failing canary's dot right of the limit, a passing one's left of it."""
    browser.show(page)
    found = browser.run(
        "[...document.querySelectorAll('article')].map(each => [each.classList[1], each.querySelector('.estimate')"
        ".getBoundingClientRect().x, [...each.querySelectorAll('.limit')].at(-1).getBoundingClientRect().x])"
    )
    outcomes = {outcome for outcome, *_ in found}
    assert {"fail", "pass"} <= outcomes
    assert all((dot > limit) == (outcome == "fail") for outcome, dot, limit in found if outcome != "marginal")

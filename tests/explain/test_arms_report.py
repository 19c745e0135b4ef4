"""The report of several arms: a table of them, each metric's effects side by side, and each arm's metrics, the worst first."""

import re
from functools import cache

import numpy as np
import pytest
from pages import Page
from told import NASTY

import canaryjudge as cj

LEVELS = {"pass": 100.0, "marginal": 110.0, "fail": 160.0}


@cache
def arms(outcomes, names=None):
    """Arms that end so, of which `cpu` passes in all."""
    rng, times = np.random.default_rng(1), 60.0 * np.arange(60)
    names = names or tuple(f"ring-{place}" for place in range(len(outcomes)))
    data = {
        metric: {
            arm: {
                "time": times,
                "value": LEVELS[outcome if metric == "p99" else "pass"] + 4 * rng.normal(size=60),
            }
            for arm, outcome in zip(("stable", *names), ("pass", *outcomes), strict=True)
        }
        for metric in ("p99", "cpu")
    }
    policy = cj.Policy(metrics=[{"name": metric, "direction": "increase"} for metric in data])
    return cj.judge(data, policy, baseline="stable", canary=list(names))


THREE = ("pass", "fail", "marginal")


def test_it_is_whole_and_holds_no_script_and_no_address():
    html = arms(THREE).to_html()
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert "script" not in {tag for tag, _ in page.tags}
    assert not re.search(r"https?://|url\((?!#)|@import|\son\w+=", html)
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"\b(nan|inf|None)\b", html)
    for tag, facts in page.tags:
        if tag == "svg" and facts.get("aria-hidden") != "true":
            assert (facts["role"], len(facts["aria-label"]) > 20) == ("img", True)
    targets = [facts["href"][1:] for tag, facts in page.tags if tag == "a"]
    assert len(targets) == 3
    assert set(targets) <= set(page.ids)


def test_what_to_do_stands_on_top_then_the_arms_then_the_metrics_side_by_side():
    page = Page(arms(THREE).to_html())
    text = page.words
    top = text[: text.index("Side by side")]
    assert "Fail Roll back ring-1; hold ring-2; ring-0 may go on" in top
    assert "worse than each of the other 2 arms: in p99" in top
    assert "ring-0 passes, ring-1 fails, so it goes no farther, not to ring-2" in top
    assert "1 to roll back 1 to hold 1 may go on" in top
    assert "ring-0, ring-1 and ring-2 against stable" in top
    between = text[text.index("Side by side") : text.index("Findings")]
    assert re.search(r"p99 ring-0 .* ring-1 worst .* ring-2 .* cpu ring-0", between)
    assert "With a chance of at most 1 % any arm fails that is fine, over all 3 arms" in text


def test_the_worst_arms_are_drawn_first_and_of_very_many_the_best_only_in_the_table():
    html = arms(("pass",) * 22 + ("fail",)).to_html()
    headings = re.findall(r'<h2 id="a\d+" class="(\w+)">.*?</svg>(.*?)</h2>', html)
    assert headings[0] == ("fail", "ring-22")
    assert len(headings) == 20
    assert "3 more arms are in the table above." in html
    table = html[: html.index("Side by side")]
    assert all(f">ring-{place}<" in table for place in range(23))
    assert table.count('href="#a') == 20


def test_arms_with_baselines_of_their_own_say_which_in_the_table():
    rng = np.random.default_rng(2)
    data = {"p99": {arm: 100 + rng.normal(0, 3, 30) for arm in ("old-a", "old-b", "a", "b")}}
    policy = cj.Policy(metrics=[{"name": "p99", "direction": "increase"}])
    html = cj.judge(data, policy, baseline=["old-a", "old-b"], canary=["a", "b"]).to_html()
    assert '<td data-name="Baseline">old-a</td>' in html
    assert "against <strong>" not in html


def test_it_is_the_same_when_it_was_read_back():
    found = arms(THREE)
    assert type(found).from_json(found.to_json()).to_html() == found.to_html()


@pytest.mark.parametrize("name", [name for name in NASTY if "\ud800" not in name])
def test_names_from_the_data_are_escaped(name):
    found = arms(("pass", "fail"), (name, "b"))
    for html in (found.to_html(), found._repr_html_()):
        assert "<script" not in html
        assert "\x1b" not in html
        html.encode("utf-8")


def test_a_notebook_shows_the_arms_without_the_cards_and_with_styles_of_their_own():
    html = arms(THREE)._repr_html_()
    assert html.startswith('<div class="canaryjudge"><style>')
    assert "Side by side" in html
    assert "<article" not in html
    assert not [tag for tag, _ in Page(html).tags if tag == "a"]

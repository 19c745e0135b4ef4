"""The report and a notebook's pieces of it: whole HTML that needs nothing else, escaped, its styles kept where they belong."""

import re

import numpy as np
import pytest
from cohorts import gauges
from pages import Page
from releases import KINDS, NASTY, fifty_metrics, looks_of_a_watch, nasty_release, watched

import canaryjudge as cj
from canaryjudge.explain.charts import axis_over
from canaryjudge.explain.html import page_styles, piece_styles


@pytest.mark.parametrize("name", KINDS)
def test_a_report_is_whole_and_holds_no_script_and_no_address(name):
    html = KINDS[name].to_html()
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert "script" not in {tag for tag, _ in page.tags}
    assert not re.search(r"https?://|url\((?!#)|@import|\son\w+=", html)
    assert {"header", "main", "footer", "h1", "h2"} <= {tag for tag, _ in page.tags}
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"\b(nan|inf|None)\b", html)


@pytest.mark.parametrize("name", KINDS)
def test_outcome_action_and_reason_stand_on_top(name):
    verdict = KINDS[name]
    page = Page(verdict.to_html())
    top = page.words[: page.words.index("Metrics")]
    assert verdict.outcome.value.capitalize() in top
    assert {"promote": "Promote it", "hold": "Hold it", "rollback": "Roll it back"}[verdict.action] in top
    assert verdict.deciding_metric in top


@pytest.mark.parametrize("name", KINDS)
def test_every_drawing_has_an_alternative_in_words_or_is_hidden(name):
    for tag, facts in Page(KINDS[name].to_html()).tags:
        if tag == "svg" and facts.get("aria-hidden") != "true":
            assert facts["role"] == "img"
        if facts.get("role") == "img":
            assert len(facts["aria-label"]) > 20


@pytest.mark.parametrize("name", KINDS)
def test_a_verdict_that_was_read_back_gives_the_same_bytes(name):
    verdict = KINDS[name]
    assert cj.Verdict.from_json(verdict.to_json()).to_html() == verdict.to_html()


def test_worst_metrics_come_first():
    html = KINDS["fail"].to_html()
    order = re.findall(r'<article class="metric (\w+)', html)
    badness = {"fail": 0, "marginal": 1, "pass": 2}
    assert [badness[outcome] for outcome in order] == sorted(badness[outcome] for outcome in order)
    assert len(order) == len(KINDS["fail"].metrics)


def test_each_metric_opens_to_findings_warnings_and_what_would_change_it():
    words = Page(KINDS["no-data"].to_html()).words
    assert "What would change this" in words
    assert "Warnings about the data" in words
    assert "It needs data of canary." in words
    words = Page(KINDS["fail"].to_html()).words
    assert "Held against" in words
    assert "it would not have failed" in words


def test_all_text_of_users_is_escaped():
    html = nasty_release().to_html()
    page = Page(html)
    assert "<script" not in html.lower()
    assert "onerror" not in {name for _, facts in page.tags for name in facts}
    assert {"img", "b", "i"}.isdisjoint(tag for tag, _ in page.tags)
    assert "\x1b" not in html
    for word in ("alert(1)", '"quoted"', "<b>bold", "&amp;"):
        assert word in page.words, word
    assert NASTY.startswith("<script>")


def test_fifty_metrics_stay_below_300_kilobytes():
    assert len(fifty_metrics().to_html().encode()) < 300_000


def test_outcomes_differ_in_word_and_shape_and_arms_in_line():
    html = KINDS["fail"].to_html()
    assert {'href="#mark-fail"', 'href="#mark-pass"'} <= set(re.findall(r'href="#mark-\w+"', html))
    assert re.search(r"\.line\.baseline\{[^}]*stroke-dasharray", page_styles())


def test_a_report_is_readable_in_the_dark_and_on_paper():
    assert "prefers-color-scheme:dark" in page_styles()
    assert "@media print" in page_styles()


def _luminance(color):
    full = "".join(2 * digit for digit in color) if len(color) == 3 else color
    parts = np.array([int(full[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(one, other):
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrasts_are_those_of_wcag_aa(scheme):
    blocks = re.findall(r":root\s*\{([^}]*--page[^}]*--pass[^}]*)\}", page_styles())
    colors = dict(re.findall(r"--([\w-]+):#([0-9a-f]{3,6})\b", blocks[scheme]))
    for words in ("ink", "soft"):
        for ground in ("page", "card", "pass-tint", "marginal-tint", "fail-tint"):
            assert _contrast(colors[words], colors[ground]) >= 4.5, (words, ground)
    for tone in ("pass", "marginal", "fail"):
        for ground in ("card", f"{tone}-tint"):
            assert _contrast(colors[tone], colors[ground]) >= 4.5, (tone, ground)
    for line in ("canary", "baseline", "pass", "marginal", "fail"):  # graphics need 3
        assert _contrast(colors[line], colors["card"]) >= 3, line


def test_a_watch_says_what_it_has_and_draws_its_evidence():
    html = watched().to_html()
    assert "for all looks together" in html
    assert Page(html).words.count("Findings, and what would change this") == 2


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (1, 1), (-3, 1e-300), (1e-9, 2e-9), (-1e308, 1e308), (99.99, 100.0), (1e6, 3e6)]
)
def test_an_axis_has_a_few_round_ticks_inside_it(low, high):
    axis = axis_over(low, high)
    assert 1 <= len(axis.ticks) <= 5
    assert all(0 <= axis.place(tick) <= 1 for tick in axis.ticks)
    labels = [axis.label(tick, share=False) for tick in axis.ticks]
    assert len(set(labels)) == len(labels)
    assert all(len(label) <= 12 for label in labels)


FAIL = KINDS["fail"]
MONITOR = cj.Monitor(cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase")]))
SHOWN = {
    "verdict": FAIL,
    "metric": FAIL.metrics["errors"],
    "metric without data": KINDS["no-data"].metrics["errors"],
    "finding": FAIL.metrics["errors"].findings[0],
    "interval": FAIL.metrics["errors"].findings[0].interval,
    "watched verdict": looks_of_a_watch(3)[-1],
    "monitor": MONITOR,
    "policy": cj.load_policy("docs/examples/checkout/policy.yaml"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_it_is_whole_and_harmless(name):
    html = SHOWN[name]._repr_html_()
    page = Page(html)
    assert html.startswith(("<div", "<table"))
    assert {"script", "html", "body", "link"}.isdisjoint(tag for tag, _ in page.tags)
    assert not re.search(r"\bon\w+=|https?://", html)


@pytest.mark.parametrize("name", KINDS)
def test_a_verdict_shows_its_outcome_and_every_metric(name):
    words = Page(KINDS[name]._repr_html_()).words
    assert KINDS[name].outcome.value.capitalize() in words
    assert all(metric in words for metric in KINDS[name].metrics)


def test_a_front_end_may_choose_text_markdown_or_html():
    bundle = FAIL._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {
        "text/plain": FAIL.explain(),
        "text/markdown": FAIL.to_markdown(),
        "text/html": FAIL._repr_html_(),
    }


def test_styles_touch_nothing_outside():
    before, inside = piece_styles().split("@scope", 1)
    assert not re.search(
        r"(^|[};,])(?!\.canaryjudge|@media)[^{};,]+\{", before.replace("@media (prefers", "@media(prefers")
    )
    assert ":root" not in piece_styles()
    assert not re.search(r"[};]body\{", inside)


def cohorts(changes):
    metric = cj.Metric(name="m", unit="ms", direction="increase")
    policy = cj.Policy(metrics=[metric], segments={"by": ["region"]})
    return cj.judge(gauges(np.random.default_rng(2), changes), policy)


def test_segments_are_drawn_the_worst_first_with_those_to_blame_and_told_in_words():
    verdict = cohorts({f"r{place}": 0.6 * (place == 2) for place in range(6)})
    html = verdict.to_html()
    forest = re.search(r'<figure class="forest">.*?</figure>', html)[0]
    assert re.findall(r'<g class="(\w+)">', forest) == [
        each.outcome.value for each in verdict.segments.metrics["m"].segments
    ]
    names = re.search(r'<div class="names">(.*?)</div>', forest)[1]
    assert re.findall(r'<span class="blamed">(.*?)</span>', names) == ["r2"]
    assert forest.count('class="estimate blamed"') == 1
    assert forest.count('class="diamond"') == 2
    words = Page(forest).words
    for said in ("within segments", "pooled", "to blame", "CI", "tolerated, +10 %", "right is worse"):
        assert said in words, said
    alternative = next(facts["aria-label"] for _, facts in Page(forest).tags if facts.get("role") == "img")
    assert alternative.startswith("Change of m by segment, the worst first: r2 +")
    assert cj.Verdict.from_json(verdict.to_json()).to_html() == html


def test_names_of_segments_are_escaped_and_of_many_the_worst_are_drawn():
    html = cohorts({f"{NASTY}{place}": 0.6 * (place == 7) for place in range(60)}).to_html()
    assert "<script" not in html.lower()
    assert {"img", "b", "i"}.isdisjoint(tag for tag, _ in Page(html).tags)
    forest = re.search(r'<figure class="forest">.*?</figure>', html)[0]
    assert len(re.findall(r'<g class="\w+">', forest)) == 30
    assert "And 30 more, less bad" in Page(forest).words
    assert all(0 <= float(at) <= 100 for at in re.findall(r'(?:x1|x2|cx|x)="([-\d.e]+)%"', forest))
    assert "forest" not in re.sub(r"<style>.*?</style>", "", cohorts({"alone": 0.0}).to_html())


def test_names_are_escaped_everywhere():
    verdict = nasty_release()
    policy = cj.Policy(metrics=[cj.Metric(name=NASTY, unit="<i>", direction="increase")], max_points=60)
    monitor = cj.Monitor(policy, baseline="<script>", canary="</td><script>")
    for each in (verdict, verdict.metrics[NASTY], verdict.metrics[NASTY].findings[0], policy, monitor):
        html = each._repr_html_()
        assert "<script" not in html
        assert "<img" not in html
        Page(html)


def test_a_policy_shows_its_rates_and_what_is_tolerated():
    words = Page(SHOWN["policy"]._repr_html_()).words
    for word in ("alpha 1 %", "beta 5 %", "25 % or 0.05 %", "latency_p99 (ms)", "proportion, slo", "guard"):
        assert word in words


def test_showing_a_monitor_changes_nothing():
    policy = cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase")])
    monitor = cj.Monitor(policy)
    monitor.update(
        {"errors": {arm: {"time": [60.0], "value": [1], "total": [9]} for arm in ("baseline", "canary")}}
    )
    before = monitor.to_json()
    words = Page(monitor._repr_html_()).words
    assert "points of baseline" in words
    assert "1970-01-01T00:01:00Z" in words
    assert repr(monitor) == "<Monitor of 'canary' v. 'baseline', points so far: errors 1 v. 1>"
    assert monitor.to_json() == before

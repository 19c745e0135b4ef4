"""What a notebook shows of each object: whole HTML, escaped, with the styles kept inside."""

import re

import pytest
from pages import Page
from releases import KINDS, NASTY, looks_of_a_watch, nasty_release

import canaryjudge as cj
from canaryjudge.explain.html import piece_styles

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

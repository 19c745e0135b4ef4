"""The page of a rollout, and its words: whole HTML that needs nothing else, with a timeline whose places are those of the facts."""

import re

import pytest
from pages import Page
from rollouts_made import NASTY_NAME, ROLLOUTS, bundled, leak, many

import canaryjudge as cj
from canaryjudge.explain.timelines import clock, marks, stage_spans, time_span, trend_lines
from canaryjudge.patterns import RolloutVerdict


@pytest.fixture(params=ROLLOUTS)
def verdict(request):
    return ROLLOUTS[request.param]()


def test_a_page_is_whole_and_holds_no_script_and_no_address(verdict):
    html = verdict.to_html()
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert "script" not in {tag for tag, _ in page.tags}
    assert not re.search(r"https?://|url\((?!#)|@import|\son\w+=", html)
    assert {"header", "main", "footer", "h1", "h2"} <= {tag for tag, _ in page.tags}
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"\b(nan|inf|None)\b", html)
    assert len(html.encode()) < 20_000 + 12_000 * len(verdict.release.metrics)


def test_every_drawing_has_an_alternative_in_words_or_is_hidden(verdict):
    for html in (verdict.to_html(), verdict._repr_html_()):
        for tag, facts in Page(html).tags:
            if tag == "svg" and facts.get("aria-hidden") != "true":
                assert facts["role"] == "img"
            if facts.get("role") == "img":
                assert len(facts["aria-label"]) > 20


def test_what_was_read_back_gives_the_same_bytes(verdict):
    again = RolloutVerdict.from_json(verdict.to_json())
    assert again == verdict
    assert again.to_html() == verdict.to_html()
    assert again.explain() == verdict.explain()


def test_a_notebook_gets_a_piece_that_touches_nothing_else(verdict):
    html = verdict._repr_html_()
    page = Page(html)
    assert html.startswith("<div")
    assert {"script", "html", "body", "link"}.isdisjoint(tag for tag, _ in page.tags)
    bundle = verdict._repr_mimebundle_()
    assert bundle == {
        "text/plain": verdict.explain(),
        "text/markdown": verdict.to_markdown(),
        "text/html": html,
    }


def test_what_to_do_and_why_stand_on_top(verdict):
    words = Page(verdict.to_html()).words
    top = words[: words.index("Stages")]
    word = {"advance": "Advance", "hold": "Hold", "rollback": "Roll back", "complete": "Complete"}
    assert word[verdict.action] in top
    assert f"{100 * verdict.share:g} % of the traffic to the canary" in top


def test_names_of_others_are_escaped():
    html = ROLLOUTS["nasty rollout"]().to_html()
    assert "<script" not in html.lower()
    assert "\u202e" not in html
    assert "alert(1)" in Page(html).words
    assert NASTY_NAME.startswith("<script>")


def test_the_timeline_shows_each_stage_and_each_decision_with_its_reason():
    found = bundled("late")
    assert [(span.name, span.share) for span in stage_spans(found)] == [
        ("1%", 0.01),
        ("10%", 0.1),
        ("50%", 0.5),
        ("", 0.0),
    ]
    shown = marks(found)
    assert [each.says for each in shown] == ["advance to 10 %", "advance to 50 %", "roll back"]
    assert [each.outcome.value for each in shown] == ["pass", "pass", "fail"]
    assert "beyond the tolerated 10 %" in shown[-1].why
    words = Page(found.to_html()).words
    assert "09:12 advance to 10 %" in words
    assert "09:48 roll back" in words


def test_marks_and_steps_lie_where_the_times_are():
    found = bundled("late")
    first, last = time_span(found)
    end = stage_spans(found)[-1].end
    places = [
        float(place) for place in re.findall(r'class="sign \w+" style="left:([\d.]+)%', found.to_html())
    ]
    assert places == pytest.approx(
        [100 * (each.at - first) / (end - first) for each in marks(found)], abs=0.06
    )
    assert places[-1] == pytest.approx(100 * (last - first) / (end - first), abs=0.06)
    dots = re.findall(r'class="dot"', found.to_html())
    assert len(dots) == sum(len(own.blocks.at) for own in found.timeline.metrics.values())


def test_of_many_metrics_the_worst_are_seen_first_and_the_others_are_folded():
    found = many()
    assert found.action == "rollback"
    html = found.to_html()
    tracks = re.findall(r'<h3 class="track">(\w+)</h3>|<summary>12 more metrics', html)
    assert tracks[0] == "m19"
    assert tracks.index("") == 8
    assert len(tracks) == 21
    assert [row.get_ylabel() for row in found.plot().figure.axes][:2] == ["canary", "m19"]
    assert len(found.plot().figure.axes) == 9


def test_after_an_advance_the_next_step_is_there_already():
    found = bundled(minutes=13)
    assert found.action == "advance"
    assert [span.name for span in stage_spans(found)] == ["1%", "10%"]
    assert "Advance" in found.to_html()


def test_doubts_are_marked_as_holds_with_what_is_wrong():
    found = ROLLOUTS["nasty rollout"]()
    held = [each for each in marks(found) if each.says.startswith("hold")]
    assert held
    assert any("is not split as the stage says" in each.why for each in held)


def test_a_rollout_without_points_has_no_timeline():
    found = ROLLOUTS["nothing"]()
    assert stage_spans(found) == []
    assert "Timeline" not in Page(found.to_html()).words


def test_a_leak_is_warned_of_everywhere():
    found = leak()
    (line,) = trend_lines(found)
    assert re.fullmatch(
        r"Warning: memory grows by 0\.1\d* % a minute: .* at first, .* % higher in the end \(p = \S+, 15 blocks of 4 points\); "
        r"at this rate it passes the tolerated 10 % at \d\d:\d\d UTC \(\d\d:\d\d to \d\d:\d\d, 90 % CI\), "
        r"before the remaining stages are over, which last \d+ minutes more at most\.",
        line,
    )
    for told in (found.explain(), found.to_markdown().replace("\\", ""), Page(found.to_html()).words):
        assert line in " ".join(told.split())
    assert "decides nothing" in found.explain()


@pytest.mark.parametrize("name", ["complete", "rolled back"])
def test_what_neither_grows_nor_fades_is_not_spoken_of(name):
    found = ROLLOUTS[name]()
    told = [own.trend.told for own in found.timeline.metrics.values()]
    assert ("Over the stages" in found.explain()) == any(each in ("grows", "fades") for each in told)


def test_times_are_told_with_the_day_where_it_is_another():
    assert clock(1_772_442_000, 1_772_442_060) == "09:00"
    assert clock(1_772_442_000, 1_772_342_000) == "2 Mar 09:00"
    assert clock(1e20) == "1e+20 s"


def test_every_public_way_to_look_is_there():
    assert {"to_html", "to_json", "to_markdown", "to_frame", "explain", "plot"} <= set(dir(bundled()))
    assert cj.plots.timeline

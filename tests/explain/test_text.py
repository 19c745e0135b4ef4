"""The verdict on a terminal: the same words, in color, with both arms drawn as sparklines."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.explain import as_terminal, as_text
from canaryjudge.explain.text import BLOCKS, SHORTEST, frame_over, sparkline
from canaryjudge.results import SeriesFacts

SEQUENCE = re.compile(r"\x1b\[[\d;]*m")
RNG = np.random.default_rng(20260401)
FAST = RNG.normal(120, 6, 40)


def verdict(canary=FAST * 1.4, name="latency", **metric):
    given = {"name": name, "direction": "increase", "unit": "ms"} | metric
    return cj.judge({name: {"baseline": FAST, "canary": canary}}, cj.Policy(metrics=[cj.Metric(**given)]))


def without_drawing(text):
    return "\n".join(
        line for line in SEQUENCE.sub("", text).splitlines() if not re.match(r" {4}(baseline|canary) ", line)
    )


@pytest.mark.parametrize("width", [40, 60, 80, 110])
def test_without_color_and_drawing_it_is_the_text(width):
    judged = verdict()
    assert without_drawing(as_terminal(judged, width=width)) == as_text(judged, width)
    assert max(len(SEQUENCE.sub("", line)) for line in as_terminal(judged, width=width).splitlines()) <= width


def test_the_text_itself_stays_plain():
    judged = verdict()
    assert judged.explain() == as_text(judged)
    assert not SEQUENCE.search(judged.explain())
    assert not set(judged.explain()) & set(BLOCKS)


@pytest.mark.parametrize(
    ("canary", "color", "word"),
    [(FAST * 1.01, "32", "PASS"), (FAST * 1.1, "33", "MARGINAL"), (FAST * 1.4, "31", "FAIL")],
)
def test_every_outcome_has_its_color_and_its_word(canary, color, word):
    lines = as_terminal(verdict(canary)).splitlines()
    assert lines[0].startswith(f"\x1b[1;{color}m{word}: ")
    assert f"\x1b[1m  latency \x1b[0m\x1b[1;{color}m{word}\x1b[0m: " in "\n".join(lines)


def test_both_arms_are_drawn_on_one_scale_with_what_they_reach_from_and_to():
    lines = SEQUENCE.sub("", as_terminal(verdict())).splitlines()
    baseline, canary = (
        next(line for line in lines if line.startswith(f"    {arm} ")) for arm in ("baseline", "canary")
    )
    assert re.fullmatch(rf" {{4}}baseline  [{BLOCKS[:4]}]{{40}}  \d+ to \d+ ms", baseline), baseline
    assert re.fullmatch(rf" {{4}}canary    [{BLOCKS[3:]}]{{40}}  \d+ to \d+ ms", canary), canary


def test_where_there_is_no_room_nothing_is_drawn():
    text = as_terminal(verdict(), width=40)
    assert not set(text) & set(BLOCKS)
    assert SEQUENCE.search(text)


def test_an_arm_without_data_is_not_drawn():
    lines = SEQUENCE.sub("", as_terminal(verdict(canary=[]))).splitlines()
    assert [line.split()[0] for line in lines if set(line) & set(BLOCKS)] == ["baseline"]


@pytest.mark.parametrize("name", ["p99\x1b[2J\x1b]0;owned\x07", "right\u202eleft", "long " * 39 + "name"])
def test_a_name_cannot_steer_the_terminal(name):
    for text in (
        as_terminal(verdict(name=name, unit="\x1b[31m")),
        verdict(name=name, unit="\x1b[31m").explain(),
    ):
        assert all(letter.isprintable() or letter == "\n" for letter in SEQUENCE.sub("", text)), text
    told = as_terminal(verdict(name=name, unit="\x1b[31mred"))
    assert set(SEQUENCE.findall(told)) <= {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[1;31m"}


def series(*values, start=None, at=None):
    return SeriesFacts(start=start, at=tuple(range(len(values))) if at is None else at, value=values)


def drawn(*arms, room=60, together=True):
    frame = frame_over(list(arms), room, together=together)
    return [sparkline(arm, frame) for arm in arms]


def test_eight_levels_are_the_eight_blocks():
    assert drawn(series(*range(8))) == [BLOCKS]


def test_both_arms_share_a_scale():
    assert drawn(series(1, 1, 1), series(8, 8, 8)) == ["▁▁▁", "███"]


def test_arms_that_share_a_clock_stand_below_each_other():
    late = series(1, 2, start=120.0, at=(0.0, 60.0))
    assert drawn(series(1, 1, 1, 2, start=0.0, at=(0.0, 60.0, 120.0, 180.0)), late) == ["▁▁▁█", "  ▁█"]
    assert drawn(series(1, 2, start=9e5), late, together=False)[1][0] != " "


def test_a_gap_stays_a_gap_and_is_as_wide_as_it_was_long():
    assert drawn(series(1, 2, None, 2, 1, at=(0, 1, 1, 4, 5))) == ["▁█ █▁"]


def test_uneven_times_leave_no_holes():
    assert drawn(series(1, 1, 1, 8, at=(0.0, 0.1, 0.2, 10.0))) == ["▁▁▁█"]


def test_what_shares_a_column_is_averaged():
    assert drawn(series(*[0, 0, 16, 16] * 4), room=8) == ["▁█" * 4]


def test_a_constant_is_a_line_in_the_middle():
    assert drawn(series(5, 5, 5)) == ["▄▄▄"]


def test_there_is_nothing_to_draw_without_points_or_room():
    assert frame_over([], 60, together=True) is None
    assert frame_over([series(None, None)], 60, together=True) is None
    assert frame_over([series(1, 2)], SHORTEST - 1, together=True) is None


@pytest.mark.parametrize("high", [5e-324, 1.0, 1.7e308])
def test_the_smallest_and_largest_numbers_are_drawn(high):
    (line,) = drawn(series(-high, high))
    assert len(line) == 2


@given(
    values=st.lists(st.none() | st.floats(-1e300, 1e300), min_size=1, max_size=100),
    room=st.integers(SHORTEST, 60),
    data=st.data(),
)
def test_any_series_is_blocks_within_its_room(values, room, data):
    at = sorted(data.draw(st.lists(st.floats(0, 1e9), min_size=len(values), max_size=len(values))))
    arm = series(*values, start=data.draw(st.none() | st.floats(0, 2e9)), at=tuple(at))
    frame = frame_over([arm], room, together=True)
    if frame is None:
        assert all(value is None for value in values)
        return
    line = sparkline(arm, frame)
    assert 0 < len(line) <= room
    assert set(line) <= set(BLOCKS) | {" "}

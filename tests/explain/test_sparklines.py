"""Sparklines: what is higher stands higher, gaps stay gaps, and nothing is drawn where there is nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.explain.text import BLOCKS, SHORTEST, frame_over, sparkline
from canaryjudge.results import SeriesFacts


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

"""Two arms on one clock, or each by itself."""

import numpy as np
import pytest

from canaryjudge.data import read_pairs
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy

T0 = 1_700_000_000.0  # 2023-11-14T22:13:20Z
NOISE = np.random.default_rng(1).normal(100, 3, (2, 20))


def arm(minutes, values=None, **columns):
    minutes = np.asarray(minutes, dtype=float)
    return {"value": minutes if values is None else values, "time": T0 + 60 * minutes} | columns


def read(baseline, canary, **settings):
    policy = Policy(metrics=[Metric(name="m", direction="increase", **settings)])
    return read_pairs({"m": {"baseline": baseline, "canary": canary}}, policy)["m"]


def note(pair, code, arm):
    (found,) = [note for note in pair.notes if (note.code, note.arm) == (code, arm)]
    return found


def codes(pair):
    return {note.code for note in pair.notes} - {"too_few_points"}


def test_arms_on_one_clock_are_concurrent_and_paired_point_by_point():
    pair = read(arm(range(20), NOISE[0]), arm(range(20), NOISE[1]))
    assert (pair.pairing, pair.interval, codes(pair)) == ("concurrent", 60.0, set())
    assert pair.baseline.time.tolist() == pair.canary.time.tolist()


@pytest.mark.parametrize("offset", [-0.5, -0.4, -0.1, 0.1, 0.4, 0.5])
def test_scrapes_at_an_offset_are_paired_with_their_neighbors(offset):
    pair = read(arm(np.arange(20)), arm(np.arange(20) + offset, values=np.arange(20.0)))
    assert pair.pairing == "concurrent"
    assert pair.baseline.value.tolist() == pair.canary.value.tolist() == list(range(20))


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
def test_jitter_does_not_move_points_into_other_intervals(offset):
    jitter = np.random.default_rng(1).uniform(-0.2, 0.2, 200)
    pair = read(
        arm(np.arange(200), values=np.arange(200.0)),
        arm(np.arange(200) + offset + jitter, values=np.arange(200.0)),
        interval="1m",
    )
    assert "gaps" not in codes(pair)
    assert len(pair.canary) >= 199  # at half an interval the last point may lie outside
    assert np.abs(pair.baseline.time - pair.canary.time).max() < 60


def test_gaps_leave_the_other_arms_points_unpaired():
    pair = read(arm(range(10)), arm([0, 1, 2, 5, 6, 7, 8, 9]))
    assert pair.baseline.value.tolist() == pair.canary.value.tolist() == [0, 1, 2, 5, 6, 7, 8, 9]
    assert note(pair, "unpaired", "baseline").count == 2
    assert note(pair, "gaps", "canary").count == 2
    assert "outside_overlap" not in codes(pair)


def test_points_outside_the_common_time_are_left_out_and_counted():
    pair = read(arm(range(10)), arm(range(4, 12)))
    assert pair.baseline.value.tolist() == pair.canary.value.tolist() == [4, 5, 6, 7, 8, 9]
    outside = note(pair, "outside_overlap", "baseline")
    assert outside.count == 4
    assert outside.facts == {"overlap_start": T0 + 240, "overlap_end": T0 + 540}
    assert note(pair, "outside_overlap", "canary").count == 2


def test_a_canary_that_started_late_is_concurrent_however_short():
    pair = read(arm(range(100)), arm(range(95, 100)))
    assert pair.pairing == "concurrent"
    assert len(pair.baseline) == len(pair.canary) == 5


def test_the_coarser_arm_gives_the_interval_and_the_finer_is_averaged():
    pair = read(arm(np.arange(0, 10, 0.5)), arm(np.arange(10)))
    assert pair.interval == 60.0
    assert len(pair.baseline) == len(pair.canary)
    assert pair.canary.value.tolist() == list(range(10))
    assert pair.baseline.value.tolist() == [0, *np.arange(0.75, 9)]


def test_points_of_one_interval_are_averaged_for_gauges_and_summed_for_the_others():
    twice = arm([0, 0, 1, 1, 2, 2], values=[1, 3, 5, 7, 9, 11], total=[10, 20, 30, 40, 50, 60])
    once = arm([0, 1, 2], values=[1, 2, 3], total=[10, 20, 30])
    assert read(once, twice).canary.value.tolist() == [2, 6, 10]
    for kind in ("ratio", "count"):
        canary = read(once, twice, kind=kind).canary
        assert canary.value.tolist() == [4, 12, 20]
        assert canary.total.tolist() == [30, 70, 110]
    assert read(once, twice).canary.time.tolist() == [T0, T0 + 60, T0 + 120]


def test_samples_are_cut_to_the_common_time_and_not_paired():
    pair = read(arm(np.linspace(0, 10, 101)), arm(np.linspace(5, 15, 41)), kind="samples")
    assert pair.pairing == "concurrent"
    assert len(pair.baseline) == 51
    assert len(pair.canary) == 21
    assert note(pair, "outside_overlap", "canary").count == 20
    assert "unpaired" not in codes(pair)


def test_windows_are_not_aligned_even_where_times_overlap():
    pair = read(arm(range(10)), arm(range(4, 12)), pairing="windows")
    assert (pair.pairing, len(pair.baseline), len(pair.canary)) == ("windows", 10, 8)


def test_auto_takes_windows_with_a_note_where_times_do_not_overlap():
    pair = read(arm(range(10)), arm(range(20, 30)))
    assert (pair.pairing, len(pair.baseline), len(pair.canary)) == ("windows", 10, 10)
    found = note(pair, "no_overlap", None)
    assert found.count == 0
    assert found.facts == {
        "baseline_start": T0,
        "baseline_end": T0 + 540,
        "canary_start": T0 + 1200,
        "canary_end": T0 + 1740,
    }


@pytest.mark.parametrize(("shift", "pairing"), [(5, "concurrent"), (6, "windows")])
def test_auto_needs_half_of_the_shorter_arm_to_be_paired(shift, pairing):
    pair = read(arm(range(10)), arm(range(shift, shift + 10)))
    assert pair.pairing == pairing
    assert ("no_overlap" in codes(pair)) == (pairing == "windows")
    assert len(pair.canary) == (5 if pairing == "concurrent" else 10)


def test_auto_takes_windows_for_samples_that_barely_overlap():
    pair = read(arm(range(10)), arm(range(8, 18)), kind="samples")
    assert pair.pairing == "windows"
    assert note(pair, "no_overlap", None).count == 2


def test_one_arm_without_times_means_windows_and_a_note():
    pair = read(arm(range(10)), {"value": range(10)})
    assert pair.pairing == "windows"
    assert note(pair, "no_times", "canary").count is None


def test_two_arms_without_times_are_windows_silently():
    pair = read(NOISE[0, :10].tolist(), NOISE[1, :10].tolist())
    assert (pair.pairing, pair.interval, pair.notes) == ("windows", None, ())


def test_an_empty_arm_is_no_error_under_concurrent():
    pair = read(arm(range(10)), None, pairing="concurrent")
    assert (pair.pairing, len(pair.canary)) == ("windows", 0)
    assert codes(pair) == set()


def test_two_single_points_are_paired_if_their_times_are_equal():
    assert read(arm([3]), arm([3])).pairing == "concurrent"
    assert read(arm([3]), arm([4])).pairing == "windows"
    assert read(arm([3]), arm([3.2]), interval="1m").pairing == "concurrent"


def test_concurrent_without_overlap_is_an_error_that_names_both_spans():
    with pytest.raises(DataError) as caught:
        read(arm(range(10)), arm(range(20, 30)), pairing="concurrent")
    message = str(caught.value)
    assert "metric 'm'" in message
    assert "'baseline' from 2023-11-14T22:13:20Z to 2023-11-14T22:22:20Z" in message
    assert "'canary' from 2023-11-14T22:33:20Z to 2023-11-14T22:42:20Z" in message
    assert "set pairing: windows" in message


@pytest.mark.parametrize("kind", ["gauge", "samples"])
def test_concurrent_with_interleaved_spans_but_nothing_in_common_is_an_error(kind):
    with pytest.raises(DataError, match="no time in common"):
        read(arm([0, 1, 2, 100, 101]), arm([50, 51, 52]), pairing="concurrent", kind=kind)


def test_concurrent_without_times_is_an_error_that_says_which_arm_lacks_them():
    with pytest.raises(DataError) as caught:
        read(arm(range(10)), list(range(10)), pairing="concurrent")
    assert "needs times in both arms ('baseline' from 2023-11-14T22:13:20Z" in str(caught.value)
    assert "'canary' has no times" in str(caught.value)
    assert "Give the column 'time'" in str(caught.value)

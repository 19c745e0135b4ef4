"""What is odd about one arm is left out, counted and noted."""

import numpy as np
import pandas as pd
import pytest

from canaryjudge.data import read_pairs
from canaryjudge.policy import Metric, Policy

T0 = 1_700_000_000.0


def read(canary, baseline=None, *, kind="gauge", **settings):
    policy = Policy(metrics=[Metric(name="m", kind=kind, direction="increase", **settings)])
    return read_pairs(
        {"m": {"baseline": canary if baseline is None else baseline, "canary": canary}}, policy
    )["m"]


def notes(pair, code, arm="canary"):
    return [note for note in pair.notes if note.code == code and note.arm == arm]


def count(pair, code, arm="canary"):
    (note,) = notes(pair, code, arm)
    return note.count


def minutes(*numbers):
    return [T0 + 60.0 * number for number in numbers]


def test_missing_values_are_left_out_and_counted():
    pair = read([1.0, None, float("nan"), 4.0])
    assert pair.canary.value.tolist() == [1.0, 4.0]
    assert count(pair, "missing_values") == 2


def test_a_ratio_with_a_missing_total_is_a_missing_value():
    pair = read({"value": [1, None, 2], "total": [10, 10, None]}, kind="ratio")
    assert pair.canary.total.tolist() == [10.0]
    assert count(pair, "missing_values") == 2


def test_infinities_and_the_largest_double_are_left_out_and_counted():
    pair = read([1.0, float("inf"), float("-inf"), np.finfo(float).max, 5.0])
    assert pair.canary.value.tolist() == [1.0, 5.0]
    assert count(pair, "infinite_values") == 3


def test_intervals_without_traffic_are_left_out_and_counted():
    pair = read({"value": [0, 0, 1], "total": [0, 5, 5]}, kind="ratio")
    assert pair.canary.value.tolist() == [0.0, 1.0]
    assert count(pair, "no_traffic") == 1


def test_points_without_a_time_are_left_out_where_others_have_one():
    pair = read({"value": [1.0, 2.0, 3.0], "time": [T0, None, T0 + 60]})
    assert pair.canary.value.tolist() == [1.0, 3.0]
    assert count(pair, "missing_times") == 1


def test_times_that_are_all_missing_are_no_times():
    pair = read({"value": [1.0, 2.0], "time": [None, None]})
    assert pair.canary.time is None
    assert not notes(pair, "missing_times")


def test_points_out_of_order_are_sorted_and_counted():
    pair = read({"value": [2.0, 1.0, 3.0], "time": minutes(1, 0, 2)})
    assert pair.canary.value.tolist() == [1.0, 2.0, 3.0]
    assert pair.canary.time.tolist() == minutes(0, 1, 2)
    assert count(pair, "out_of_order") == 1


@pytest.mark.parametrize("kind", ["gauge", "ratio", "count"])
def test_identical_rows_are_kept_once(kind):
    data = {"value": [1, 2, 1, 3], "total": [9, 9, 9, 9], "time": minutes(0, 1, 0, 2)}
    pair = read(data, kind=kind)
    assert pair.canary.value.tolist() == [1.0, 2.0, 3.0]
    assert count(pair, "identical_rows") == 1
    assert not notes(pair, "duplicate_times")


def test_equal_points_of_two_replicas_are_two_points():
    data = {
        "value": [0, 0, 0, 0],
        "total": [9, 9, 9, 9],
        "time": minutes(0, 0, 1, 1),
        "replica": list("abab"),
    }
    pair = read(data, kind="ratio")
    assert pair.canary.total.tolist() == [18.0, 18.0]
    assert not notes(pair, "identical_rows")
    assert not notes(pair, "duplicate_times")


def test_samples_at_one_time_are_normal():
    pair = read({"value": [1.0, 1.0, 1.0, 2.0], "time": minutes(0, 0, 0, 60)}, kind="samples")
    assert len(pair.canary) == 4
    assert {note.code for note in pair.notes} == {"too_few_points"}
    assert pair.interval is None


def test_repeated_times_of_a_gauge_are_counted_and_suggest_samples():
    pair = read({"value": [1.0, 2.0, 3.0], "time": minutes(0, 0, 1)})
    assert count(pair, "duplicate_times") == 2
    assert count(pair, "suggest_samples") == 2
    assert pair.canary.value.tolist() == [1.5, 3.0]


def test_repeated_times_of_a_ratio_are_summed_and_suggest_nothing():
    pair = read({"value": [1, 2, 3], "total": [10, 20, 30], "time": minutes(0, 0, 1)}, kind="ratio")
    assert count(pair, "duplicate_times") == 2
    assert not notes(pair, "suggest_samples")
    assert pair.canary.value.tolist() == [3.0, 3.0]
    assert pair.canary.total.tolist() == [30.0, 30.0]


def test_windows_keep_repeated_times_as_points_of_their_own():
    pair = read({"value": [1.0, 2.0, 3.0], "time": minutes(0, 0, 1)}, pairing="windows")
    assert pair.canary.value.tolist() == [1.0, 2.0, 3.0]


def test_gaps_are_counted_by_the_median_spacing_or_by_the_policys_interval():
    data = {"value": [1.0, 2.0, 3.0, 4.0], "time": minutes(0, 1, 2, 6)}
    assert count(read(data), "gaps") == 3
    assert count(read(data, interval="30s"), "gaps") == 9
    assert notes(read(data), "gaps")[0].facts == {"interval": 60.0}


def test_jitter_makes_no_gaps():
    data = {"value": [1.0, 2.0, 3.0, 4.0], "time": minutes(0, 1.3, 1.9, 3)}
    assert not notes(read(data), "gaps")


def test_unequal_lengths_are_noted_with_both_numbers():
    pair = read([1.0, 2.0], baseline=[1.0, 2.0, 3.0])
    (note,) = notes(pair, "unequal_lengths", arm=None)
    assert note.count == 1
    assert note.facts == {"baseline": 3.0, "canary": 2.0}


def test_constant_and_all_zero_arms_are_noted():
    pair = read([5.0, 5.0], baseline=[0.0, 0.0])
    assert notes(pair, "constant")[0].facts == {"value": 5.0}
    assert count(pair, "all_zero", "baseline") == 2
    assert not notes(pair, "constant", "baseline")


def test_one_point_is_not_constant():
    assert not notes(read([5.0]), "constant")


def test_too_few_points_are_judged_on_what_is_used():
    values = [float(number) for number in range(11)]
    assert not notes(read(values), "too_few_points")
    pair = read([*values[:-2], None, None])
    assert count(pair, "too_few_points") == 9
    assert notes(pair, "too_few_points")[0].facts == {"needed": 10.0}
    assert count(read([1.0], min_points=2), "too_few_points") == 1
    assert not notes(read({"value": [1], "total": [2]}, kind="ratio"), "too_few_points")


def test_constancy_is_judged_on_what_is_used():
    baseline = {"value": [1.0] * 4, "time": minutes(2, 3, 4, 5)}
    canary = {"value": [9.0, 9.0, 1.0, 1.0, 1.0, 1.0], "time": minutes(0, 1, 2, 3, 4, 5)}
    assert notes(read(canary, baseline), "constant")


def test_notes_name_the_arms_as_the_caller_does():
    policy = Policy(metrics=[Metric(name="m", direction="increase")])
    data = {"m": {"v1": [1.0, None], "v2": [1.0, 2.0]}}
    pair = read_pairs(data, policy, baseline="v1", canary="v2")["m"]
    assert count(pair, "missing_values", "v1") == 1


def test_nothing_odd_means_no_notes():
    time, values = T0 + 60 * np.arange(20.0), np.random.default_rng(1).normal(100, 3, (2, 20))
    arms = ({"value": each, "time": time} for each in values)
    assert read(*arms).notes == ()


def test_values_of_one_metric_do_not_depend_on_rubbish_in_another():
    frame = pd.DataFrame(
        {
            "metric": ["m", "m", "note"],
            "arm": ["baseline", "canary", "canary"],
            "value": [1.0, 2.0, "rubbish"],
            "time": [0, 0, "x"],
        }
    )
    pair = read_pairs(frame, Policy(metrics=[Metric(name="m", direction="increase")]))["m"]
    assert pair.canary.value.tolist() == [2.0]

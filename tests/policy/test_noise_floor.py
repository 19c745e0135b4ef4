"""The noise floor as a policy states it."""

import pytest

import canaryjudge as cj
from canaryjudge.policy import parse_policy


def metric(floor, **settings):
    return cj.Metric(**({"name": "m", "direction": "increase", "unit": "ms"} | settings), noise_floor=floor)


@pytest.mark.parametrize(
    ("written", "level", "size"),
    [("3%", 200.0, 6.0), ("3%", -200.0, 6.0), ("5ms", 200.0, 5.0), ("0.01s", 0.0, 10.0)],
)
def test_a_spread_is_relative_or_in_the_metrics_unit(written, level, size):
    asked = metric({"between_windows": written, "windows": 10})
    assert asked.noise_floor.between_windows.size(asked, level) == pytest.approx(size)


def test_the_larger_of_two_parts_counts():
    asked = metric({"between_windows": {"relative": "3%", "absolute": "5ms"}, "windows": 10})
    assert [asked.noise_floor.between_windows.size(asked, level) for level in (10, 1000)] == [5.0, 30.0]


def test_degrees_of_freedom_are_those_written_or_one_fewer_than_was_measured():
    floor = metric(
        {"between_windows": "3%", "windows": 12, "between_replicas": "1%", "replicas": 5}
    ).noise_floor
    assert (floor.windows_freedom, floor.replicas_freedom) == (11, 4)
    floor = metric({"between_windows": "3%", "windows": 12, "df": 4.5}).noise_floor
    assert floor.windows_freedom == 4.5


@pytest.mark.parametrize(
    ("floor", "settings", "said"),
    [
        ({}, {}, "needs a spread"),
        ({"between_windows": "3%"}, {}, "Give windows"),
        ({"between_windows": 0.03, "windows": 9}, {}, "write 3%"),
        ({"between_windows": "-3%", "windows": 9}, {}, "cannot be negative"),
        ({"between_windows": "3%", "windows": 1}, {}, "windows"),
        ({"between_windows": {}, "windows": 9}, {}, "a spread needs a size"),
        ({"between_windows": "3%", "windows": 9, "replicas": 3}, {}, "says nothing without between_replicas"),
        ({"between_windows": "3MiB", "windows": 9}, {}, "MiB"),
        ({"between_window": "3%", "windows": 9}, {}, "between_windows"),
        (
            {"between_windows": "3%", "windows": 9},
            {"rules": [{"rule": "mann_whitney", "method": "exact"}]},
            "no noise floor",
        ),
    ],
)
def test_mistakes_are_told(floor, settings, said):
    with pytest.raises(cj.PolicyError, match=said):
        metric(floor, **settings)


def test_it_is_read_from_a_file_and_written_so_that_it_is_read_again():
    policy = parse_policy(
        "metrics: [{name: m, direction: increase, noise_floor: {between_windows: 3%, windows: 40}}]"
    )
    assert cj.Policy.model_validate_json(policy.model_dump_json()) == policy

"""An update may be silent about a metric or an arm, but not because of a misspelled name."""

import pytest

from canaryjudge.data.reading import read_series
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy

POLICY = Policy(metrics=[Metric(name=name, direction="increase") for name in ("cpu", "latency_p99")])


def update(data, **keys):
    return read_series(data, POLICY, partial=True, **keys)


def lengths(series):
    return {name: tuple(map(len, arms)) for name, arms in series.items()}


def test_what_an_update_does_not_bring_is_empty():
    found = update({"cpu": {"canary": {"value": [1, None, 3], "time": [2, 1, 0]}}, "other": {"canary": [1]}})
    assert lengths(found) == {"cpu": (0, 2), "latency_p99": (0, 0)}
    assert found["cpu"][1].time.tolist() == [0, 2]
    assert {note.code for note in found["cpu"][1].notes} == {"missing_values", "out_of_order"} - {"gaps"}


@pytest.mark.parametrize("data", [{}, [], {"cpu": {"baseline": [], "canary": None}}])
def test_an_update_may_be_empty(data):
    assert lengths(update(data)) == {"cpu": (0, 0), "latency_p99": (0, 0)}


def test_whole_data_must_have_every_metric_and_arm():
    with pytest.raises(DataError, match=r"no arm 'canary'"):
        read_series({"cpu": {"baseline": [1]}}, POLICY)
    with pytest.raises(DataError, match=r"no metric 'latency_p99'"):
        read_series({"cpu": {"baseline": [1], "canary": [1]}}, POLICY)


def test_an_update_of_unknown_metrics_names_the_nearest():
    with pytest.raises(DataError, match=r"no metric of the policy.*'latency_p99'.*Did you mean 'latency_p9'"):
        update({"latency_p9": {"baseline": [1], "canary": [1]}, "memory": {"canary": [1]}})


def test_an_update_of_unknown_arms_names_those_it_has():
    with pytest.raises(DataError, match=r"no arm 'canary'.*Known arms: blue, green"):
        update({"cpu": {"blue": [1], "green": [1]}})


def test_a_misspelled_arm_is_an_error():
    with pytest.raises(DataError, match=r"no arm 'canary'.*Did you mean 'canry'"):
        update({"cpu": {"baseline": [1], "canry": [1]}})


def test_another_version_is_no_misspelled_arm():
    data = {"cpu": {"v1.2": [1], "v1.1": [1]}}
    assert lengths(update(data, baseline="v1.2", canary="v1.3"))["cpu"] == (1, 0)


def test_two_arms_have_two_names():
    with pytest.raises(DataError, match="both named 'a'"):
        update({}, baseline="a", canary="a")

"""Measurements replayed: what Argo Rollouts would have said of them."""

import math

import pytest

from canaryjudge.compat.argo import (
    Measurement,
    MeasurementLimits,
    MetricStatus,
    assess_metric,
    assess_run,
    measure,
    replay,
)
from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.models import found_by, limits_of, validate_metrics

PROMETHEUS = {"prometheus": {"query": "up"}}


def metric(name="rate", **settings):
    return {"name": name, "provider": PROMETHEUS, "successCondition": "result >= 0.95"} | settings


@pytest.mark.parametrize(
    ("success", "failure", "result", "phase"),
    [
        ("result >= 0.95", None, 0.95, "Successful"),
        ("result >= 0.95", None, 0.94, "Failed"),
        (None, "result > 5", 5, "Successful"),
        (None, "result > 5", 6, "Failed"),
        ("result >= 0.9", "result < 0.5", 0.7, "Inconclusive"),
        ("result >= 0.9", "result >= 0.9", 0.95, "Failed"),
        (None, None, "anything", "Successful"),
        ("", "", None, "Successful"),
        ("result >= 0.95", "result < 0.95", math.nan, "Inconclusive"),
        ("result >= 0.95", None, None, "Error"),
        ("true", "nonsense", 1, "Error"),
    ],
)
def test_conditions_decide_a_measurement(success, failure, result, phase):
    assert measure(result, success, failure).phase == phase


def test_an_error_says_which_condition_and_why_in_a_bounded_sentence():
    assert measure({}, "result.a > 0").message.startswith("metric result is nil or empty")
    message = measure(1, "x" * 10**6).message
    assert "could not evaluate successCondition" in message
    assert len(message) < 400


def test_failures_up_to_the_limit_are_put_up_with():
    steps = metric(interval="1m", count=4, failureLimit=2)
    assert replay([steps], {"rate": [1, 0, 0, 1]}).phase == "Successful"
    run = replay([steps], {"rate": [0, 0, 0, 1]})
    assert (run.phase, len(run.metrics["rate"].measurements)) == ("Failed", 3)
    assert run.metrics["rate"].reason == "failed (3) > failureLimit (2)"
    assert replay([steps], {"rate": [1, 0, 1]}).phase == "Running"


def test_errors_do_not_count_and_five_in_sequence_are_too_many():
    lost = Measurement("Error", "no answer")
    steps = metric(interval="1m", count=2)
    assert replay([steps], {"rate": [lost, lost, 1, lost, lost, 1]}).phase == "Successful"
    run = replay([steps], {"rate": [1, *[lost] * 5]})
    assert run.phase == "Error"
    assert run.message.endswith(
        'consecutiveErrors (5) > consecutiveErrorLimit (4): "Error Message: no answer"'
    )


def test_enough_successes_in_sequence_end_a_metric():
    steps = metric(interval="1m", failureLimit=-1, consecutiveSuccessLimit=2)
    run = replay([steps], {"rate": [0, 1, 0, 1, 1, 0, 0]})
    assert (run.phase, len(run.metrics["rate"].measurements)) == ("Successful", 5)
    assert replay([steps | {"count": 3}], {"rate": [0, 1, 0]}).phase == "Failed"
    both = metric(interval="1m", count=4, failureLimit=2, consecutiveSuccessLimit=2)
    assert replay([both], {"rate": [0, 1, 0, 1]}).phase == "Inconclusive"


def test_a_metric_that_fails_ends_the_others_at_its_time():
    slow = metric("slow", interval="1h", count=3)
    fast = metric("fast", interval="1m", count=3, initialDelay="90m")
    run = replay([slow, fast], {"slow": [1, 1, 1], "fast": [0]})
    assert run.phase == "Failed"
    assert run.metrics["slow"].phase == "Successful"
    assert len(run.metrics["slow"].measurements) == 2
    assert run.message == 'Metric "fast" assessed Failed due to failed (1) > failureLimit (0)'


def test_a_dry_run_counts_for_nothing():
    run = replay([metric("a"), metric("b")], {"a": [0], "b": [1]}, dry_run=["^a"])
    assert (run.phase, run.message, run.metrics["a"].phase, run.metrics["a"].dry_run) == (
        "Successful",
        "",
        "Failed",
        True,
    )


def test_the_worst_metric_decides():
    metrics = [metric("a", successCondition="result > 2", failureCondition="result < 1"), metric("b")]
    assert (
        replay(metrics, {"a": [1.5], "b": [0]}).phase == "Inconclusive"
    )  # a ends the run before b is measured
    assert replay(metrics[::-1], {"a": [1.5], "b": [0]}).phase == "Failed"


def test_a_run_that_is_ended_with_nothing_wrong_is_successful():
    endless = metric(interval="1m")
    assert replay([endless], {"rate": [1, 1]}).phase == "Running"
    assert replay([endless], {"rate": [1, 1]}, terminated=True).phase == "Successful"
    assert replay([endless], {}, terminated=True).phase == "Successful"
    assert replay([endless], {}).phase == "Running"


def test_a_metric_in_flight_is_running_and_one_without_measurements_pending():
    assert assess_metric(MeasurementLimits(), MetricStatus()) == "Pending"
    assert assess_metric(MeasurementLimits(), MetricStatus(), terminating=True) == "Successful"
    in_flight = MetricStatus(measurements=[Measurement("Successful"), Measurement("Running")])
    assert assess_metric(MeasurementLimits(), in_flight, terminating=True) == "Running"
    assert assess_run({"a": MeasurementLimits()}, {"a": in_flight}) == ("Running", "")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"count": 1, "failureLimit": 2},
            "count (1) must be >= failureLimit + consecutiveSuccessLimit (2 + 0)",
        ),
        ({"count": 2}, "interval must be specified when count > 1"),
        ({"interval": "1 minute"}, "invalid interval string: time: unknown unit"),
        ({"initialDelay": "5"}, "invalid startDelay string: time: missing unit"),
        ({"interval": "h" * 1000}, "invalid interval string: time: invalid duration"),
        ({"failureLimit": -1}, "cannot both be disabled"),
        ({"failureLimit": "many"}, "failureLimit: 'many' is not a whole number"),
        ({"count": "9" * 5000}, "out of range"),
        ({"count": True}, "not a whole number"),
        ({"provider": {}}, "no provider specified"),
        ({"provider": {"web": {}, "job": {}}}, "multiple providers specified"),
    ],
)
def test_what_argo_refuses_is_refused_in_its_words(settings, why):
    with pytest.raises(PolicyError) as caught:
        validate_metrics([metric(**settings)])
    assert why in str(caught.value)
    assert str(caught.value).startswith("metrics[0]: ")
    assert len(str(caught.value)) < 500


def test_results_of_a_metric_that_is_not_there_are_an_error():
    with pytest.raises(PolicyError, match="there is no metric 'other'"):
        replay([metric()], {"other": [1]})


@pytest.mark.parametrize("pattern", ["(a+)+$", "a*a*b", "(", "*", "x" * 201])
def test_patterns_that_could_run_for_ever_are_refused(pattern):
    with pytest.raises(PolicyError, match="dryRun"):
        found_by([pattern], "a" * 10**6)


def test_patterns_as_people_write_them_are_followed():
    assert all(
        found_by([pattern], "total-5xx-errors")
        for pattern in (".*", "total.*", "^total-.*-errors.*$", "5xx", "^.*errors$", "(4|5)xx")
    )
    assert not any(
        found_by([pattern], "total-5xx-errors") for pattern in ("^errors", "total$", "4xx.*", "x+y")
    )
    with pytest.raises(PolicyError, match="more than 20 patterns"):
        found_by(["a"] * 21, "b")


def test_limits_are_read_from_numbers_and_text():
    assert limits_of({"count": "3", "interval": "1h30m", "failureLimit": -1}) == MeasurementLimits(
        count=3, interval=5400, failure=-1
    )
    assert (
        MeasurementLimits().wanted,
        MeasurementLimits(interval=60).wanted,
        MeasurementLimits(count=3).wanted,
    ) == (1, None, 3)

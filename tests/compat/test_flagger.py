"""What Flagger makes of values, weights and webhooks."""

import math

import pytest

from canaryjudge.compat.flagger import (
    analysis_interval,
    check_metric,
    check_metrics,
    deployment_strategy,
    replay,
    step_weight,
    webhook_succeeds,
)
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.integrations.flagger.models import analysis_threshold
from canaryjudge.integrations.manifests import go_duration, shown_duration

SUCCESS = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
ERRORS = {"name": "errors", "query": "e", "thresholdRange": {"max": 5}}


@pytest.mark.parametrize(
    ("metric", "value", "event"),
    [
        (SUCCESS, 99, ""),
        (SUCCESS, 98.999, "Halt a.b advancement success rate 99.00% < 99%"),
        ({"name": "request-success-rate", "threshold": 99.5}, 99, "Halt a.b advancement success rate 99.00% < 99.5%"),
        ({"name": "request-duration", "threshold": 500}, 500.9, "Halt a.b advancement request duration 500ms > 500ms"),
        ({"name": "request-duration", "threshold": 500}, "1.5s", "Halt a.b advancement request duration 1.5s > 500ms"),
        ({"name": "request-duration"}, "0s", ""),
        (ERRORS, 5, ""),
        (ERRORS, 5.01, "Halt a.b advancement errors 5.01 > 5"),
        (ERRORS, "5.01", "Halt a.b advancement errors 5.01 > 5"),
        (ERRORS, math.inf, "Halt a.b advancement errors +Inf > 5"),
        ({"name": "errors", "thresholdRange": {"min": 1e-7}}, 0, "Halt a.b advancement errors 0.00 < 1e-07"),
        (ERRORS, None, "Halt advancement no values found for custom metric: errors: no values found"),
        (ERRORS, math.nan, "Halt advancement no values found for custom metric: errors: no values found"),
        (SUCCESS, None, "Halt advancement no values found for metric: request-success-rate: no values found"),
    ],
)  # fmt: skip
def test_values_are_held_against_ranges(metric, value, event):
    assert check_metric(metric, value, canary="a.b").event == event


def test_a_value_that_is_none_is_an_error():
    with pytest.raises(DataError, match="is not a value of the metric 'errors'"):
        check_metric(ERRORS, "many")


def test_built_in_metrics_are_checked_first_and_the_first_failure_ends_it():
    check = check_metrics([ERRORS, SUCCESS], {"errors": 9, "request-success-rate": 1}, canary="a.b")
    assert "success rate" in check.event
    assert check_metrics([], {}).ok
    assert "names no built-in metric" in check_metrics([{"name": "x"}], {"x": 1}).event


def test_failed_checks_add_up_and_successes_do_not_take_them_away():
    analysis = {"threshold": 3, "iterations": 10, "metrics": [ERRORS]}
    bad, good = {"errors": 9}, {"errors": 1}
    run = replay(analysis, [bad, good, bad, good, bad, good])
    assert (run.phase, run.failed_checks, len(run.checks)) == ("Failed", 3, 5)
    run = replay(analysis, [bad, good, bad])
    assert (run.phase, run.failed_checks) == ("Progressing", 2)
    assert replay(analysis, [good] * 10).phase == "Succeeded"
    assert replay(analysis, [], failed_checks=3).phase == "Failed"


def test_weights_are_climbed_step_by_step():
    analysis = {"stepWeights": [1, 2, 10, 80], "threshold": 2, "metrics": [ERRORS]}
    good, bad = {"errors": 1}, {"errors": 9}
    weights = [replay(analysis, [good] * number).weight for number in range(5)]
    assert weights == [1, 2, 10, 80, 80]
    assert replay(analysis, [good] * 4).phase == "Succeeded"
    assert replay(analysis, [good, bad, good]).weight == 10
    assert replay({"stepWeight": 30, "maxWeight": 50, "metrics": []}, [{}]).weight == 50


def test_an_analysis_that_leads_nowhere_is_an_error():
    with pytest.raises(PolicyError, match="no stepWeight, stepWeights or iterations"):
        replay({"metrics": [ERRORS]}, [{"errors": 1}])
    with pytest.raises(PolicyError, match="more than a million"):
        replay({"iterations": 10**12}, [])


def test_steps_end_at_the_whole_traffic():
    assert [step_weight({"stepWeights": [1, 2, 10, 80]}, weight) for weight in (0, 1, 2, 10, 80, 100)] == [
        1,
        1,
        8,
        70,
        20,
        1,
    ]
    assert step_weight({}, 10) == 0


@pytest.mark.parametrize("status", range(100, 600, 1))
def test_only_statuses_up_to_202_succeed(status):
    assert webhook_succeeds([status]) == (status <= 202)


def test_webhooks_are_tried_again_on_errors_of_the_server_only():
    assert webhook_succeeds([500, 503, 200], retries=2)
    assert not webhook_succeeds([500, 503, 200], retries=1)
    assert not webhook_succeeds([404, 200], retries=5)
    assert not webhook_succeeds([], retries=5)


def test_defaults_of_an_analysis():
    assert [analysis_threshold(given) for given in (None, 0, -1, 0.5, 5)] == [1, 1, 1, 1, 5]
    assert [analysis_interval(given) for given in ("", "bogus", "5s", "-5m", "1h")] == [60, 60, 10, 10, 3600]
    kinds = [{}, None, {"iterations": 5}, {"iterations": 5, "match": [{}]}, {"match": [{}]}]
    assert [deployment_strategy(given) for given in kinds] == [
        "canary",
        "canary",
        "blue-green",
        "ab-testing",
        "canary",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h15m30.918s", 4530.918),
        ("-1.5h", -5400),
        ("+5s", 5),
        (".5s", 0.5),
        ("100ns", 1e-7),
        ("3µs", 3e-6),
        ("0", 0),
    ],
)
def test_durations_of_go(text, seconds):
    assert go_duration(text) == pytest.approx(seconds, rel=1e-12)
    assert go_duration(shown_duration(seconds)) == pytest.approx(seconds, rel=1e-9)


@pytest.mark.parametrize(
    "text", ["", "5", "5 s", "s", "1y", ".s", "--5s", "1h 5m", "9999999999999h", "5s" * 1000]
)
def test_what_go_takes_for_no_duration(text):
    with pytest.raises(ValueError, match=r"time: (invalid duration|unknown unit|missing unit)"):
        go_duration(text)

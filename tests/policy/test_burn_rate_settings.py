"""What a policy may say of an error budget, and the alerts that follow from its period."""

import pytest
from policy_settings import metric

from canaryjudge.errors import PolicyError
from canaryjudge.policy import BudgetCalendar, BurnAlert, BurnRate, Policy, parse_policy

DAY = 86400
SLICES = {"budgeting": "timeslices", "time_slice_target": "95%", "time_slice_window": "1m"}
MONTH = {"duration": "1M", "start": "2026-01-01 00:00:00", "zone": "Europe/Berlin"}


def burn_rate(**settings):
    return BurnRate(**({"target": "99.9%"} | settings))


@pytest.mark.parametrize(
    ("days", "rates"),
    [
        (30, [14.4, 6, 3, 1]),  # Sloth's google-30d.yaml, and the workbook's own
        (28, [13.44, 5.6, 2.8, 28 / 30]),  # Sloth's google-28d.yaml
        (14, [6.72, 2.8, 1.4]),  # the fourth would leave budget over
        (7, [3.36, 1.4]),
        (90, [43.2, 18, 9, 3]),
        (1, [1]),  # none is left, so the period itself is asked
    ],
)
def test_the_default_alerts_follow_from_the_period(days, rates):
    alerts = burn_rate().alerts_in(days * DAY)
    assert [alert.burn_rate for alert in alerts] == pytest.approx(rates)
    windows = [3600, 6 * 3600, DAY, 3 * DAY] if days > 1 else [DAY]
    assert [alert.long for alert in alerts] == windows[: len(alerts)]
    assert [alert.short_s for alert in alerts] == pytest.approx([alert.long / 12 for alert in alerts])


def test_the_default_alerts_leave_out_what_a_low_target_cannot_reach():
    assert [alert.burn_rate for alert in burn_rate(target="90%").alerts_in(30 * DAY)] == [6, 3, 1]


def test_the_period_is_thirty_days_unless_it_is_said():
    assert burn_rate().nominal_s == 30 * DAY
    assert burn_rate(period="28d").nominal_s == 28 * DAY
    assert burn_rate(calendar=MONTH).nominal_s == 30 * DAY
    assert burn_rate(calendar=MONTH | {"duration": "2Q"}).nominal_s == 180 * DAY


def test_a_short_window_is_a_twelfth_unless_it_is_said():
    assert BurnAlert(long="1h", burn_rate=14.4).short_s == 300
    assert BurnAlert(long="1h", short="1h", burn_rate=2).short_s == 3600


WRONG = [
    ({"target": "100%"}, "target: '100%' is not between 0 % and 100 %"),
    ({"target": 99.9}, "did you mean 99.9%?"),
    ({"period": "30d", "calendar": MONTH}, "period and calendar are two periods of one budget"),
    ({"budgeting": "timeslices"}, "timeslices needs time_slice_window"),
    (
        {"budgeting": "timeslices", "time_slice_window": "1m"},
        "budgeting: timeslices needs time_slice_target. Write it like 95%.",
    ),
    ({"budgeting": "ratio_timeslices"}, "ratio_timeslices needs time_slice_window"),
    ({"time_slice_window": "1m"}, "occurrences have no slices"),
    ({"time_slice_target": "95%"}, "occurrences has no good and bad slices"),
    (SLICES | {"time_slice_target": "0%"}, "is not above 0 % and at most 100 %"),
    (SLICES | {"traffic": 1e6}, "timeslices counts time, not traffic"),
    ({"traffic": 0}, "must be above 0"),
    ({"alerts": []}, "is empty"),
    (
        {"alerts": [{"long": "5m", "short": "1h", "burn_rate": 2}]},
        "alerts[0].short: the short window is longer",
    ),
    (
        {"alerts": [{"long": "1h", "burn_rate": 1000}]},
        "at a target of 99.9 % nothing burns faster than 1000 times",
    ),
    ({"alerts": [{"long": "1h", "burn_rate": -1}]}, "must be above 0"),
    ({"alerts": [{"long": "1h", "burn_rat": 2}]}, "Did you mean 'burn_rate'?"),
    ({"calendar": MONTH | {"duration": "1 month"}}, "calendar.duration: '1 month' is not a whole number"),
    ({"calendar": MONTH | {"duration": "0M"}}, "calendar.duration"),
    (
        {"calendar": MONTH | {"start": "2026-02-30 00:00:00"}},
        "is not a date and time; write it like 2026-01-01",
    ),
    ({"calendar": MONTH | {"start": "2026-01-01"}}, "is not a date and time"),
    ({"calendar": MONTH | {"start": 2026}}, "is not a date and time"),
    (
        {"calendar": MONTH | {"zone": "Berlin"}},
        "'Berlin' is not a time zone; write it like Europe/Berlin or UTC",
    ),
    ({"calendar": MONTH | {"zone": "../../etc/passwd"}}, "is not a time zone"),
    ({"calendar": MONTH | {"zone": "Europe"}}, "is not a time zone"),
    ({"calendar": MONTH | {"zone": 3}}, "is not a time zone"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=str)
def test_what_does_not_go_together_is_said_at_its_place(settings, message):
    with pytest.raises(PolicyError) as caught:
        burn_rate(**settings)
    assert message in str(caught.value)


MISFITS = [
    ({"kind": "count"}, {}, "the rule burn_rate does not fit kind: count"),
    ({"kind": "ratio", "direction": "either"}, {}, "needs to know which direction is bad"),
    ({"kind": "ratio"}, {"bound": 3}, "bound is for gauges, samples and histograms"),
    ({"kind": "ratio"}, {"at_bound": "bad"}, "at_bound goes with a bound"),
    ({"kind": "gauge"}, {}, "of a gauge nobody knows what is bad"),
    ({"kind": "samples", "unit": "ms"}, {"bound": "3MiB"}, "rules[0].bound"),
    ({"kind": "histogram"}, {"bound": 3, "at_bound": "bad"}, "Write at_bound: good, or give samples."),
    ({"kind": "histogram", "direction": "decrease"}, {"bound": 3}, "Write at_bound: bad, or give samples."),
]


@pytest.mark.parametrize(("settings", "rule", "message"), MISFITS, ids=str)
def test_what_does_not_fit_the_metric_is_said_at_its_place(settings, rule, message):
    with pytest.raises(PolicyError) as caught:
        metric(**settings, rules=[{"rule": "burn_rate", "target": "99.9%"} | rule])
    assert message in str(caught.value)


def test_a_policy_file_reads_back_what_it_wrote():
    text = """
metrics:
- name: errors
  kind: ratio
  direction: increase
  rules:
  - rule: burn_rate
    target: 99.9%
    budgeting: timeslices
    time_slice_target: 95%
    time_slice_window: 1m
    calendar: {duration: 1M, start: "2026-01-01 00:00:00", zone: Europe/Berlin}
    alerts: [{long: 1h, short: 5m, burn_rate: 14.4}, {long: 6h, burn_rate: 6}]
    blame: canary
"""
    policy = parse_policy(text)
    assert Policy.model_validate(policy.model_dump()) == policy
    (rule,) = policy.metrics[0].rules
    assert (rule.time_slice_window, rule.time_slice_target) == (60, 0.95)
    assert rule.calendar == BudgetCalendar(**MONTH)
    assert (rule.calendar.count, rule.calendar.unit) == (1, "M")


def test_a_mistake_in_a_file_has_its_place():
    text = "metrics: [{name: a, kind: ratio, direction: increase, rules: [{rule: burn_rate, target: 99.9}]}]"
    with pytest.raises(PolicyError, match=r"p\.yaml:1:89: metrics\[0\]\.rules\[0\]\.target"):
        parse_policy(text, "p.yaml")

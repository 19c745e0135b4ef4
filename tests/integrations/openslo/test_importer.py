"""OpenSLO documents: what is judged, what is not and why, and that nothing is taken for something else."""

import json
from pathlib import Path

import pytest

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.integrations.imported import Imported
from canaryjudge.integrations.importers import IMPORTERS
from canaryjudge.policy import parse_policy

EXAMPLES = Path(__file__).parents[4] / "shared" / "examples" / "openslo"
FILES = sorted(path for path in EXAMPLES.glob("*") if path.name != "manifest.json")
SOURCE = {"metricSource": {"type": "Prometheus", "spec": {"query": "up"}}}
WINDOW = {"duration": "28d", "isRolling": True}
RATIO = {"ratioMetric": {"good": SOURCE, "total": SOURCE}}
THRESHOLD = {"thresholdMetric": SOURCE}


def inline(spec):
    return {"metadata": {"name": "indicator"}, "spec": spec}


def slo(measure=RATIO, *, name="checkout", version="openslo/v1", **spec):
    """An SLO with one objective; None leaves a key out."""
    whole = {
        "service": "shop",
        "indicator": inline(measure),
        "timeWindow": [WINDOW],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.999}],
    } | spec
    kept = {key: value for key, value in whole.items() if value is not None}
    return {"apiVersion": version, "kind": "SLO", "metadata": {"name": name}, "spec": kept}


def thing(kind, name, spec):
    return {"apiVersion": "openslo/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def condition(**settings):
    whole = {"kind": "burnrate", "op": "gt", "threshold": 2, "lookbackWindow": "1h"} | settings
    return {"severity": "page", "condition": whole}


def alert_policy(spec=None, *, reference=None, **settings):
    entry = {"conditionRef": reference}
    if spec is not None:
        entry = {"kind": "AlertCondition", "metadata": {"name": "c"}, "spec": spec}
    return {
        "alertWhenBreaching": True,
        "conditions": [entry],
        "notificationTargets": [{"targetRef": "mail"}],
    } | settings


def alerting(spec, **settings):
    entry = {"kind": "AlertPolicy", "metadata": {"name": "p"}, "spec": alert_policy(spec, **settings)}
    return [entry]


def load(*objects):
    return cj.load_openslo(text=json.dumps(list(objects)))


def rules(found):
    return [rule for metric in found.metrics for rule in metric.rules]


def reasons(found):
    return [f"{remark.place}: {remark.what}: {remark.why}" for remark in found.unjudged]


def test_good_of_total_is_a_ratio_that_may_not_fall():
    found = load(slo())
    (metric,) = found.metrics
    assert (metric.name, metric.kind, metric.direction, metric.counter) == (
        "checkout",
        "ratio",
        "decrease",
        False,
    )
    assert metric.rules == (cj.BurnRate(target=0.999, period="28d"),)
    assert found.unjudged == found.adapted == ()


def test_bad_of_total_is_a_ratio_that_may_not_rise():
    sli = {"ratioMetric": {"counter": True, "bad": SOURCE, "total": SOURCE}}
    (metric,) = load(slo(sli)).metrics
    assert (metric.kind, metric.direction, metric.counter) == ("ratio", "increase", True)


@pytest.mark.parametrize(
    ("op", "direction", "at_bound"),
    [
        ("lt", "increase", "bad"),
        ("lte", "increase", "good"),
        ("gt", "decrease", "bad"),
        ("gte", "decrease", "good"),
    ],
)
def test_a_threshold_is_a_gauge_with_a_bound_whose_equals_are_as_the_operator_says(op, direction, at_bound):
    (metric,) = load(slo(THRESHOLD, objectives=[{"target": 0.99, "op": op, "value": 500}])).metrics
    assert (metric.kind, metric.direction) == ("gauge", direction)
    assert metric.rules == (cj.BurnRate(target="99%", period="28d", bound=500, at_bound=at_bound),)


@pytest.mark.parametrize(
    ("raw_type", "direction", "op", "value"),
    [("success", "decrease", "gte", 0.999), ("failure", "increase", "lte", 0.001)],
)
def test_a_raw_ratio_is_held_against_the_target_by_its_mean(raw_type, direction, op, value):
    found = load(slo({"ratioMetric": {"raw": SOURCE, "rawType": raw_type}}))
    (metric,) = found.metrics
    assert (metric.kind, metric.direction) == ("gauge", direction)
    assert metric.rules == (cj.Slo(of="mean", op=op, value=value),)
    assert "its traffic is not known" in found.adapted[0].why


def test_a_raw_ratio_with_alerts_and_in_slices():
    sli = {"ratioMetric": {"raw": SOURCE, "rawType": "success"}}
    found = load(slo(sli, alertPolicies=alerting(condition(threshold=10))))
    assert rules(found) == [cj.Slo(of="mean", op="gte", value=0.99)]
    objective = {"target": 0.99, "timeSliceTarget": 0.95, "timeSliceWindow": "5m"}
    for raw_type, bound in (("success", 0.95), ("failure", 0.05)):
        sli = {"ratioMetric": {"raw": SOURCE, "rawType": raw_type}}
        found = load(slo(sli, budgetingMethod="Timeslices", objectives=[objective]))
        assert found.metrics[0].interval == 300
        assert rules(found) == [cj.BurnRate(target=0.99, period="28d", bound=bound)]


def test_the_budgeting_methods():
    sliced = {"target": 0.995, "timeSliceTarget": 0.95, "timeSliceWindow": "1m"}
    found = load(slo(budgetingMethod="Timeslices", objectives=[sliced]))
    expected = {"budgeting": "timeslices", "time_slice_target": 0.95, "time_slice_window": "1m"}
    assert rules(found) == [cj.BurnRate(target=0.995, period="28d", **expected)]
    del sliced["timeSliceTarget"]
    sliced["timeSliceWindow"] = 5  # the specification takes a bare number as minutes
    found = load(slo(budgetingMethod="RatioTimeslices", objectives=[sliced]))
    assert rules(found) == [
        cj.BurnRate(target=0.995, period="28d", budgeting="ratio_timeslices", time_slice_window="5m")
    ]


@pytest.mark.parametrize(
    ("duration", "days"), [("4w", 28), ("12h", 0.5), ("1M", 30), ("1Q", 90), ("1Y", 365)]
)
def test_a_rolling_window_is_the_period(duration, days):
    found = load(slo(timeWindow=[{"duration": duration, "isRolling": True}]))
    assert rules(found)[0].nominal_s == days * 86400
    assert len(found.adapted) == (duration[-1] in "MQY")


def test_a_calendar_is_taken_as_it_stands():
    calendar = {"startTime": "2022-01-01 12:00:00", "timeZone": "America/New_York"}
    (rule,) = rules(load(slo(timeWindow=[{"duration": "1M", "calendar": calendar}])))
    assert rule.calendar.model_dump() == {
        "duration": "1M",
        "start": "2022-01-01 12:00:00",
        "zone": "America/New_York",
    }
    assert rule.period is None


def test_percent_and_fraction_are_one_target():
    assert rules(load(slo(objectives=[{"targetPercent": 99.95}]))) == [
        cj.BurnRate(target="99.95%", period="28d")
    ]


def test_several_objectives_of_one_indicator_are_rules_of_one_metric():
    found = load(slo(objectives=[{"target": 0.99}, {"target": 0.999}, {"target": 0.99}]))
    assert [rule.target for rule in rules(found)] == [0.99, 0.999]
    assert len(found.metrics) == 1
    assert any("another one says already" in remark.why for remark in found.of_kind("note"))


def test_two_directions_of_one_indicator_are_two_metrics():
    objectives = [{"target": 0.99, "op": "lt", "value": 9}, {"target": 0.99, "op": "gt", "value": 1}]
    found = load(slo(THRESHOLD, objectives=objectives))
    assert [(metric.name, metric.direction) for metric in found.metrics] == [
        ("checkout", "increase"),
        ("checkout-gt", "decrease"),
    ]


def source(query):
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}


def ratio_of(query, counted="good"):
    return {"ratioMetric": {"counter": True, counted: source(query), "total": source("all")}}


@pytest.mark.parametrize("method", ["Occurrences", "RatioTimeslices"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ratio_of('b{le="0.4"}'), ratio_of('b{le="5"}')),
        (ratio_of("good"), ratio_of("good", counted="bad")),
        (ratio_of("good"), {"ratioMetric": {"raw": source("share"), "rawType": "success"}}),
    ],
)
def test_objectives_of_other_data_are_other_metrics_whatever_they_are_called(first, second, method):
    sliced = {"timeSliceWindow": "1h"} if method == "RatioTimeslices" else {}
    objectives = [
        {"target": target, "indicator": inline(measure), **sliced}
        for target, measure in ((0.99, first), (0.999, second), (0.9999, second))
    ]
    found = load(slo(indicator=None, budgetingMethod=method, objectives=objectives))
    assert [metric.name for metric in found.metrics] == ["checkout/indicator", "checkout/indicator-2"]
    assert [len(metric.rules) for metric in found.metrics] == [1, 2]
    assert any("is called checkout/indicator-2" in remark.why for remark in found.remarks)


def test_objectives_of_v1alpha_have_data_of_their_own():
    objectives = [
        {"target": target, "ratioMetrics": {"incremental": True, "good": query(le), "total": query("all")}}
        for target, le in ((0.99, "0.4"), (0.999, "5"))
    ]
    found = load(
        slo(
            version="openslo/v1alpha",
            indicator=None,
            timeWindow=None,
            timeWindows=[{"count": 30, "unit": "Day", "isRolling": True}],
            objectives=objectives,
        )
    )
    assert [metric.rules[0].target for metric in found.metrics] == [0.99, 0.999]


def query(le):
    return {"source": "prometheus", "queryType": "promql", "query": f"bucket_{le.replace('.', '_')}"}


def test_values_that_a_query_makes_up_are_said():
    made_up = {"ratioMetric": {"good": SOURCE, "total": source("sum(a) or vector(1)")}}
    assert any(
        "where nothing is measured it answers 1" in remark.why for remark in load(slo(made_up)).adapted
    )


def test_each_objective_of_a_composite_is_a_metric_with_its_weight():
    objectives = [
        {"target": 0.99, "indicatorRef": "latency", "op": "lte", "value": 300, "compositeWeight": 2},
        {"target": 0.999, "indicator": inline(RATIO)},
    ]
    found = load(slo(indicator=None, objectives=objectives), thing("SLI", "latency", THRESHOLD))
    assert [(metric.name, metric.weight) for metric in found.metrics] == [
        ("checkout/latency", 2),
        ("checkout/indicator", 1),
    ]
    assert len(found.adapted) == 2


def test_an_indicator_and_an_alert_are_found_by_their_names_in_other_files(tmp_path):
    files = {
        "slo.yaml": slo(indicator=None, indicatorRef="sli", alertPolicies=[{"alertPolicyRef": "policy"}]),
        "sli.json": [
            thing("SLI", "sli", RATIO),
            thing("AlertPolicy", "policy", alert_policy(reference="condition")),
        ],
        "condition.yaml": thing("AlertCondition", "condition", condition(lookbackWindow="30m")),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    found = cj.load_openslo(*(tmp_path / name for name in files))
    (rule,) = rules(found)
    assert rule.alerts[0].model_dump() == {"long": "1800.0s", "short": "1800.0s", "burn_rate": 2}
    assert found.unjudged == ()


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([slo(indicator=None, indicatorRef="sli")], "the SLI 'sli' is not among the documents"),
        (
            [
                slo(indicator=None, indicatorRef="sli"),
                thing("SLI", "sli", RATIO),
                thing("SLI", "sli", THRESHOLD),
            ],
            "there are several of the SLI 'sli', which differ: text:1:",
        ),
        ([slo(timeWindow=None)], "nobody knows how long the error budget has to last"),
        ([slo(timeWindow=[{"duration": "5m", "isRolling": True}])], "if months were meant, write 5M"),
        ([slo(timeWindow=[{"duration": "2Y", "isRolling": True}])], "2Y is longer than 366 days"),
        (
            [
                slo(
                    budgetingMethod="RatioTimeslices",
                    timeWindow=[{"duration": "1h", "isRolling": True}],
                    objectives=[{"target": 0.9, "timeSliceWindow": "1h"}],
                )
            ],
            "a slice of 1h is the whole budget period, or nearly",
        ),
        ([slo(objectives=[{"target": 0}])], "a target of 0 is met by whatever happens"),
        ([slo(), slo()], "another one of this name was read before it"),
        (
            [slo(indicator=None, indicatorRef="sli"), thing("SLI", "sli", THRESHOLD)],
            "its indicator is a thresholdMetric, so it needs op and value",
        ),
        ([slo(name="x" * 201)], "a metric's name has at most 200 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_judged_is_said_with_its_reason(objects, reason):
    found = load(*objects)
    assert any(reason in each for each in reasons(found)), reasons(found)
    expected = 1 if len(objects) == 2 and objects[0] == objects[1] else 0
    assert len(found.metrics) == expected
    for remark in found.unjudged:
        assert remark.document.startswith("text:1:")


def test_a_condition_that_alerts_where_the_burn_rate_is_low_is_never_turned_round():
    """The specification's own example says ``op: lte``."""
    for op, than, meant in (("lte", "at most 2", "gte"), ("lt", "less than 2", "gt")):
        found = load(slo(alertPolicies=alerting(condition(op=op))))
        assert rules(found)[0].alerts is None
        (remark,) = found.unjudged
        assert remark.what == f"op: {op}"
        assert than in remark.why
        assert remark.why.endswith(f"so if {meant} was meant, write that")
        assert any("so those of the SRE workbook are asked" in each.why for each in found.adapted)
    alone = load(
        thing("AlertCondition", "c", condition(op="lte")),
        thing("AlertPolicy", "p", alert_policy(condition(op="lt"))),
    )
    assert [remark.what for remark in alone.unjudged] == ["op: lte", "op: lt"]


@pytest.mark.parametrize("op", ["gt", "gte"])
def test_a_condition_that_alerts_where_it_is_high_is_an_alert_over_one_window(op):
    (rule,) = rules(load(slo(alertPolicies=alerting(condition(op=op, threshold=14.4)))))
    assert rule.alerts[0].model_dump() == {"long": "3600.0s", "short": "3600.0s", "burn_rate": 14.4}


@pytest.mark.parametrize(
    ("policies", "kind", "words"),
    [
        (alerting(condition(alertAfter="5m")), "adapted", "whether it lasts for 5m is not waited for"),
        (alerting(condition(), alertWhenNoData=True), "adapted", "write no_data: fail"),
        (
            alerting(condition(), alertWhenBreaching=False),
            "unjudged",
            "does not alert where its condition is breached",
        ),
        (alerting(condition(threshold=0)), "unjudged", "every burn rate is above 0"),
        (
            alerting(condition(threshold=5000)),
            "unjudged",
            "at this target nothing burns faster than 1000 times",
        ),
        (alerting(condition(lookbackWindow="9Y")), "unjudged", "9Y is longer than 366 days"),
        ([{"alertPolicyRef": "p"}], "unjudged", "the AlertPolicy 'p' is not among the documents"),
        (alerting(None, reference="c"), "unjudged", "the AlertCondition 'c' is not among the documents"),
    ],
)
def test_what_is_lost_of_an_alert_is_said(policies, kind, words):
    found = load(slo(alertPolicies=policies))
    assert any(words in remark.why for remark in found.of_kind(kind))
    assert len(found.metrics) == 1


def test_alerts_that_wait_for_nothing_lose_nothing():
    assert load(slo(alertPolicies=alerting(condition(alertAfter="0m")))).adapted == ()


def test_what_has_no_part_in_a_verdict_is_listed():
    found = load(
        thing("DataSource", "d", {"type": "Prometheus", "connectionDetails": [{"token": "secret"}]}),
        thing("Service", "s", {"description": "it"}),
        thing("AlertNotificationTarget", "t", {"target": "mail"}),
        thing("SLI", "i", RATIO),
    )
    assert found.metrics == ()
    assert found.text == ""
    assert {remark.what for remark in found.of_kind("no_effect")} == {
        "DataSource",
        "Service",
        "AlertNotificationTarget",
        "SLI",
    }
    assert "secret" not in str(found.remarks)


def test_what_the_data_must_hold_is_said_with_the_query():
    found = load(slo())
    notes = [remark.why for remark in found.of_kind("note") if remark.what in ("value", "total")]
    assert len(notes) == 2
    assert all("up, for each arm; as `query` of the metric it needs ${selector}" in note for note in notes)
    custom = {"metricSource": {"metricSourceRef": "my-db", "spec": {"path": ["a", 1]}}}
    found = load(slo({"ratioMetric": {"bad": custom, "total": custom}}))
    assert any("give what my-db answers, for each arm" in remark.why for remark in found.of_kind("note"))
    assert len(found.metrics) == 1


def test_op_and_value_do_nothing_with_a_ratio_and_that_is_said():
    found = load(slo(objectives=[{"target": 0.99, "op": "gt", "value": 1}]))
    assert [remark.what for remark in found.of_kind("note") if "does without" in remark.why] == [
        "op",
        "value",
    ]
    assert rules(found) == [cj.BurnRate(target=0.99, period="28d")]


def test_the_words_of_the_second_version():
    sli = {
        "ratioMetric": {
            "good": {"dataSourceRef": "d", "spec": {"query": "up"}},
            "total": {"dataSourceSpec": {"type": "Prometheus"}, "spec": {"query": "up"}},
        }
    }
    document = slo(
        version="openslo.com/v2alpha", service=None, indicator=None, serviceRef="shop", sli=inline(sli)
    )
    document["metadata"]["labels"] = {"env": "prod"}
    assert load(document).metrics == load(slo()).metrics
    both = document | {"spec": document["spec"] | {"service": "shop"}}
    with pytest.raises(cj.PolicyError, match="are one thing here"):
        load(both)


def test_the_words_of_the_first_version():
    query = {"source": "Prometheus", "queryType": "promql", "query": "up"}
    windows = [{"unit": "Week", "count": 4, "isRolling": True}]
    ratio = {
        "target": 0.999,
        "value": 1,
        "ratioMetrics": {"incremental": True, "good": query, "total": query},
    }
    old = {"version": "openslo/v1alpha", "timeWindow": None, "timeWindows": windows}
    (metric,) = load(slo(**old, indicator=None, objectives=[ratio])).metrics
    assert (metric.kind, metric.direction, metric.counter) == ("ratio", "decrease", True)
    assert metric.rules == (cj.BurnRate(target=0.999, period="28d"),)
    objective = {"target": 0.9, "op": "lte", "value": 3}
    (metric,) = load(slo(**old, indicator={"thresholdMetric": query}, objectives=[objective])).metrics
    assert metric.rules == (cj.BurnRate(target=0.9, period="28d", bound=3),)
    sliced = load(
        slo(
            **old, indicator=None, budgetingMethod="Timeslices", objectives=[ratio | {"timeSliceTarget": 0.9}]
        )
    )
    assert "does not say how long a time slice is" in reasons(sliced)[0]
    with pytest.raises(
        cj.PolicyError, match="a unit that is one of Day, Week, Month, Quarter, Year, found 'Second'"
    ):
        load(
            slo(
                **old | {"timeWindows": [{"unit": "Second", "count": 1, "isRolling": True}]},
                indicator=None,
                objectives=[ratio],
            )
        )
    with pytest.raises(cj.PolicyError, match="openslo/v1alpha has no SLI"):
        load(thing("SLI", "s", RATIO) | {"apiVersion": "openslo/v1alpha"})


SLICED = {"budgetingMethod": "Timeslices"}
WRONG = [
    (thing("Slo", "a", {}), "kind: 'Slo' is not known. Did you mean 'SLO'?"),
    (slo(version="openslo/v2"), "apiVersion: 'openslo/v2' is not known"),
    ({"kind": "SLO"}, "apiVersion is missing"),
    ([1], "a list is not an object of OpenSLO"),
    (
        slo(objectives=[{"target": 0.9, "targetPercent": 90}]),
        "objectives[0]: an objective has either target or targetPercent",
    ),
    (slo(objectives=[{}]), "an objective has either target or targetPercent"),
    (slo(objectives=[{"target": 1.0}]), "spec.objectives[0].target: must be below 1, found 1"),
    (slo(objectives=[{"targetPercent": 100}]), "must be below 100"),
    (slo(objectives=[{"target": -0.1}]), "must be at least 0"),
    (slo(objectives=[{"target": True}]), "true is not a number"),
    (slo(objectives=[{"target": "99%"}]), "'99%' is not a number"),
    (slo(objectives=[]), "spec.objectives: is empty"),
    (slo(objectives=[{"traget": 0.9}]), "unknown key 'traget'. Did you mean 'target'?"),
    (slo(THRESHOLD), "an objective of a thresholdMetric needs op"),
    (
        slo(THRESHOLD, objectives=[{"target": 0.9, "op": "lt"}]),
        "an objective of a thresholdMetric needs value",
    ),
    (slo(THRESHOLD, objectives=[{"target": 0.9, "op": "<", "value": 3}]), "Did you mean 'lt'?"),
    (slo(**SLICED), "Timeslices needs timeSliceWindow"),
    (
        slo(**SLICED, objectives=[{"target": 0.9, "timeSliceWindow": "1m"}]),
        "Timeslices needs timeSliceTarget",
    ),
    (
        slo(**SLICED, objectives=[{"target": 0.9, "timeSliceTarget": 0, "timeSliceWindow": "1m"}]),
        "must be above 0",
    ),
    (slo(budgetingMethod="RatioTimeslices"), "RatioTimeslices needs timeSliceWindow"),
    (slo(budgetingMethod="occurrences"), "'occurrences' is not one of"),
    (slo(budgetingMethod=None), "'budgetingMethod' is missing"),
    (slo(service=None), "'service' is missing"),
    (slo(indicator=None), "there is no indicator"),
    (slo(indicatorRef="sli"), "indicator and indicatorRef exclude each other"),
    (
        slo(objectives=[{"target": 0.9, "indicatorRef": "sli"}]),
        "the SLO and its objective both have an indicator",
    ),
    (
        slo(indicator=None, objectives=[{"target": 0.9, "indicatorRef": "a"}, {"target": 0.9}]),
        "objectives[1]: there is no indicator",
    ),
    (slo({}), "an indicator has either a thresholdMetric or a ratioMetric"),
    (slo(RATIO | THRESHOLD), "an indicator has either a thresholdMetric or a ratioMetric"),
    (slo({"ratioMetric": {"good": SOURCE}}), "a ratioMetric has either total or raw"),
    (slo({"ratioMetric": {"total": SOURCE}}), "total goes with either good or bad"),
    (
        slo({"ratioMetric": {"good": SOURCE, "bad": SOURCE, "total": SOURCE}}),
        "total goes with either good or bad",
    ),
    (slo({"ratioMetric": {"raw": SOURCE}}), "raw needs rawType"),
    (
        slo({"ratioMetric": {"raw": SOURCE, "rawType": "success", "good": SOURCE}}),
        "good and raw exclude each other",
    ),
    (slo({"thresholdMetric": {"metricSource": {"spec": {}}}}), "metricSource.spec: is empty"),
    (slo(timeWindow=[WINDOW, WINDOW]), "spec.timeWindow"),
    (slo(timeWindow=[{"duration": "1d"}]), "a window that does not roll needs a calendar"),
    (
        slo(timeWindow=[WINDOW | {"calendar": {"startTime": "2022-01-01 00:00:00", "timeZone": "UTC"}}]),
        "a rolling window has no calendar",
    ),
    (
        slo(timeWindow=[{"duration": "1d", "calendar": {"startTime": "2022-01-01", "timeZone": "UTC"}}]),
        "'2022-01-01' is not a date and time",
    ),
    (
        slo(
            timeWindow=[
                {"duration": "1d", "calendar": {"startTime": "2022-01-01 00:00:00", "timeZone": "Mars"}}
            ]
        ),
        "'Mars' is not a time zone",
    ),
    (slo(timeWindow=[{"duration": "1 d", "isRolling": True}]), "'1 d' is not a duration"),
    (slo(timeWindow=[{"duration": "1D", "isRolling": True}]), "'1D' is not a duration"),
    (slo(timeWindow=[{"duration": "0d", "isRolling": True}]), "'0d' is not a duration"),
    (slo(timeWindow=[{"duration": "1.5d", "isRolling": True}]), "'1.5d' is not a duration"),
    (slo(alertPolicies=[{}]), "an entry has either alertPolicyRef or a spec of its own"),
    (slo(alertPolicies=alerting(condition(op="above"))), "is not one of 'lte', 'gte', 'lt' or 'gt'"),
    (slo(alertPolicies=alerting(condition(kind="errorrate"))), "'errorrate' is not one of 'burnrate'"),
    (slo(alertPolicies=alerting(condition(lookbackWindow="1x"))), "'1x' is not a duration"),
    (thing("AlertPolicy", "p", alert_policy(condition()) | {"conditions": []}), "spec.conditions: is empty"),
    (thing("Service", "", {}), "metadata.name: is empty"),
]


@pytest.mark.parametrize(
    ("document", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_the_specification_forbids_is_an_error_with_its_place(document, message):
    with pytest.raises(cj.PolicyError) as caught:
        load(document)
    assert message in str(caught.value)
    assert str(caught.value).startswith("text:1:")


def test_an_error_names_file_line_document_and_path(tmp_path):
    path = tmp_path / "slo.yaml"
    path.write_text(
        "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: shop}\nspec: {}\n---\n"
        "apiVersion: openslo/v1\nkind: AlertNotificationTarget\nmetadata: {name: mail}\nspec: {}\n",
        encoding="utf-8",
    )
    with pytest.raises(
        cj.PolicyError, match=r"slo\.yaml:9:7: AlertNotificationTarget mail: spec: 'target' is missing"
    ):
        cj.load_openslo(path)


def test_hostile_text_is_refused_in_a_sentence():
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    deep = "[" * 5000
    for text, message in (
        (bomb, "unfolds to more than"),
        (deep, "is nested more than"),
        ("a: !!python/object:os.system x", "the tag"),
        ("kind: SLO\nkind: SLI", "the key 'kind' stands there twice"),
        ("a: [", "this is not YAML"),
        ("x" * 400_000, "Is it an OpenSLO document?"),
    ):
        with pytest.raises(cj.PolicyError) as caught:
            cj.load_openslo(text=text)
        assert message in str(caught.value)


def test_nothing_given_is_an_error_and_nothing_in_it_is_none():
    with pytest.raises(cj.PolicyError, match="no OpenSLO document is given"):
        cj.load_openslo()
    assert cj.load_openslo(text="---\n---\n") == Imported((), (), "")
    with pytest.raises(cj.PolicyError, match="there is no such file"):
        cj.load_openslo("nowhere.yaml")


def test_what_was_imported_is_a_policy_and_the_text_says_the_same():
    found = load(
        slo(alertPolicies=alerting(condition())),
        slo(THRESHOLD, name="a: b", objectives=[{"target": 0.9, "op": "gt", "value": 1e-7}]),
    )
    policy = found.policy(alpha="2%")
    assert (policy.alpha, policy.metrics) == (0.02, found.metrics)
    assert parse_policy(found.text).metrics == found.metrics


def written(tmp_path, *objects):
    path = tmp_path / "slo.json"
    path.write_text(json.dumps(list(objects)), encoding="utf-8")
    return str(path)


def test_the_command_prints_a_policy_that_is_valid_and_says_what_became_of_each_part(tmp_path, capsys):
    path = written(tmp_path, slo(alertPolicies=alerting(condition(alertAfter="5m"))))
    assert main(["import", "openslo", path]) == 0
    printed = capsys.readouterr()
    policy = tmp_path / "policy.yaml"
    policy.write_text(printed.out, encoding="utf-8")
    assert main(["validate", str(policy)]) == 0
    lines = printed.err.splitlines()
    assert all(line.startswith("canaryjudge: ") for line in lines)
    assert [line.split(": ")[1] for line in lines] == ["adapted", "taken", "note", "note"]


def test_the_command_is_strict_if_it_is_asked_to_be(tmp_path, capsys):
    lossy = written(tmp_path, slo(alertPolicies=alerting(condition(alertAfter="5m"))))
    assert main(["import", "openslo", "--strict", lossy]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "canaryjudge: one part is not judged as it stands" in printed.err
    assert main(["import", "openslo", "--strict", written(tmp_path, slo())]) == 0


def test_the_command_fails_where_nothing_can_be_judged(tmp_path, capsys):
    assert main(["import", "openslo", written(tmp_path, thing("SLI", "s\x1b[31m", RATIO))]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "nothing in these documents can be judged" in printed.err
    assert "\x1b" not in printed.err
    assert main(["import", "openslo", str(tmp_path / "nowhere")]) == 2


def test_every_importer_has_help_and_gives_the_same_shape(capsys):
    for name, importer in IMPORTERS.items():
        assert callable(importer.load)
        assert main(["import", name, "--help"]) == 0
        assert importer.reads.split(":")[0] in capsys.readouterr().out


REFUSED = {
    "doc__README__L203.yaml": "is not a duration",
    "doc__README__L355.yaml": "has no value",
    "doc__README__L443.yaml": "'budgetingMethod' is missing",
    "doc__README__L569.yaml": "an entry has either conditionRef or a spec of its own",
    "doc__README__L662.yaml": "'string' is not one of 'burnrate'",
    "doc__README__L70.yaml": "is not known",
    "doc__README__L736.yaml": "spec.target: has no value",
    "openslo2__pkg__openslosdk__test_data__decode__v2alpha_slos.yaml": "'budgetingMethod' is missing",
}
"""Skeletons of the specification, and examples that lack what it requires."""
UNJUDGED = {
    "examples__budgeting-method__timeslices-slo.yaml": "if months were meant, write 1M",
    "openslo2__pkg__openslosdk__test_data__decode__v1_slos.yaml": "nobody knows how long the error budget has to last",
    "openslo2__pkg__openslosdk__test_data__encode__v1_slo.json": "nobody knows how long the error budget has to last",
    "openslo2__pkg__openslosdk__test_data__encode__v1_slo.yaml": "nobody knows how long the error budget has to last",
    "openslo2__pkg__openslosdk__test_data__inline__inputs__custom_config.yaml": "the SLI 'my-sli' is not among the documents",
    "openslo2__pkg__openslosdk__test_data__inline__outputs__custom_config.yaml": "the SLI 'my-sli' is not among the documents",
    "openslo2__pkg__openslosdk__test_data__inline__inputs__v1_slo_invalid_policy.yaml": "needs op and value",
    "openslo2__pkg__openslosdk__test_data__inline__inputs__v1_slo_invalid_sli.yaml": "the SLI 'no-sli' is not among the documents",
    "openslo2__pkg__openslosdk__test_data__inline__inputs__v1_slo_invalid_target.yaml": "needs op and value",
}
"""Those whose SLOs cannot be judged, and why."""


@pytest.mark.skipif(not FILES, reason="the examples ../shared/examples/openslo are not beside this checkout")
def test_the_examples_are_all_there():
    manifest = json.loads((EXAMPLES / "manifest.json").read_text(encoding="utf-8"))
    assert {entry["file"] for entry in manifest} == {path.name for path in FILES}
    assert set(REFUSED) | set(UNJUDGED) <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_example_loads_or_says_why_it_cannot_be_judged(path):
    if path.name in REFUSED:
        with pytest.raises(cj.PolicyError, match=path.name) as caught:
            cj.load_openslo(path)
        assert REFUSED[path.name] in str(caught.value)
        return
    found = cj.load_openslo(path)
    kinds = [
        line.split(":")[1].strip()
        for line in path.read_text().splitlines()
        if line.strip(" -").startswith("kind:")
    ]
    slos = kinds.count("SLO") or path.read_text().count('"kind": "SLO"')
    assert bool(found.metrics) == bool(slos and path.name not in UNJUDGED)
    if path.name in UNJUDGED:
        assert any(UNJUDGED[path.name] in reason for reason in reasons(found))
    backwards = "op: lte" in path.read_text() and "burnrate" in path.read_text()
    assert backwards == any(remark.what == "op: lte" for remark in found.unjudged)
    assert all(remark.why for remark in found.remarks)
    if found.text:
        assert parse_policy(found.text).metrics == found.metrics


@pytest.mark.skipif(not FILES, reason="the examples ../shared/examples/openslo are not beside this checkout")
def test_all_examples_of_the_sdk_load_together():
    names = [path for path in FILES if "openslo__v1__examples" in path.name]
    found = cj.load_openslo(*names)
    assert [metric.name for metric in found.metrics] == ["web-availability"]


def asks_the_workbook(found):
    return [each.place for each in found.remarks if "those of the SRE workbook are asked" in each.why]


def test_the_workbooks_alerts_are_promised_only_where_they_are_asked():
    assert asks_the_workbook(load(slo())) == ["spec.objectives[0]"]
    raw = {"ratioMetric": {"raw": SOURCE, "rawType": "failure"}}
    for alerts in ({}, {"alertPolicies": alerting(condition(op="lt"))}):
        found = load(slo(raw, **alerts))
        assert [rule.rule for rule in rules(found)] == ["slo"]
        assert asks_the_workbook(found) == []
    missing = load(slo(indicator=None, indicatorRef="nowhere"))
    assert (missing.metrics, asks_the_workbook(missing)) == ((), [])


def test_two_time_windows_are_refused_in_words():
    with pytest.raises(
        cj.PolicyError, match=r"spec.timeWindow: has 2 entries, and 1 at most can be judged. Leave"
    ):
        load(slo(timeWindow=[WINDOW] * 2))

"""Answers of Prometheus become data: arms, replicas, totals, histograms, and what is missing."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_answers import matrix, native, series

import canaryjudge as cj
from canaryjudge.integrations.prometheus.answers import from_prometheus

# what a Prometheus of version 2.42 answered to a query_range, cut down to two points a series
RECORDED = (
    '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"http_requests_total","code":"200",'
    '"instance":"127.0.0.1:8001","job":"shop","version":"1.4"},"values":[[1772442000,"27"],[1772442015.5,"31"]]},{"metric":{'
    '"__name__":"http_requests_total","code":"200","instance":"127.0.0.1:8002","job":"shop","version":"1.5"},"values":[['
    '1772442000,"26"],[1772442015.5,"NaN"]]}]}}'
)


def listed(columns):
    return {name: column if isinstance(column, list) else column.tolist() for name, column in columns.items()}


def both(canary, baseline=None):
    return {"baseline": matrix() if baseline is None else baseline, "canary": canary}


def canary_of(response, **settings):
    return listed(from_prometheus(both(response), metric="m", **settings)["m"]["canary"])


# arms and names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [RECORDED, RECORDED.encode(), json.loads(RECORDED), [RECORDED]])
def test_a_recorded_answer_is_read_in_every_form(form):
    data = from_prometheus(form, arm="version")
    assert list(data) == ["http_requests_total"]
    assert list(data["http_requests_total"]) == ["1.4", "1.5"]
    old, new = (listed(data["http_requests_total"][arm]) for arm in ("1.4", "1.5"))
    assert old == {
        "value": [27.0, 31.0],
        "time": [1772442000.0, 1772442015.5],
        "replica": ["127.0.0.1:8001"] * 2,
    }
    assert new["value"][0] == 26.0
    assert np.isnan(new["value"][1])


def test_a_name_for_the_metric_stands_for_its_own():
    assert list(from_prometheus(RECORDED, arm="version", metric="requests")) == ["requests"]


def test_an_arm_without_an_answer_is_an_arm_without_data():
    data = from_prometheus(both(matrix(series({"instance": "a"}, 1, 2))), metric="m")
    assert data["m"]["baseline"] == {}
    named = from_prometheus(both(matrix(series({"__name__": "up"}, 1, 2))))
    assert named["up"]["baseline"] == {}


def test_nothing_at_all_is_two_arms_without_data():
    data = from_prometheus(both(matrix()), metric="m")
    assert data == {"m": {"baseline": {}, "canary": {}}}
    verdict = cj.judge(data, cj.Policy(metrics=[cj.Metric(name="m", direction="increase")]))
    assert verdict.lacks_data


def test_a_vector_is_one_point_a_series():
    vector = {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {"instance": "a"}, "value": [60, "2"]}]},
    }
    assert canary_of(vector) == {"value": [2.0], "time": [60.0], "replica": ["a"]}


def test_answers_to_parts_of_a_window_are_put_together():
    parts = [matrix(series({"instance": "a"}, 3, 4, start=120)), matrix(series({"instance": "a"}, 1, 2, 3))]
    assert canary_of(parts)["value"] == [1.0, 2.0, 3.0, 4.0]
    assert canary_of(parts)["time"] == [0.0, 60.0, 120.0, 180.0]


def test_missing_and_infinite_values_stay_what_they_are():
    found = canary_of(matrix(series({}, "1", "NaN", None, "+Inf", "-Inf", "1e-3")))
    assert found["time"] == [0.0, 60.0, 180.0, 240.0, 300.0]
    np.testing.assert_array_equal(found["value"], [1.0, np.nan, np.inf, -np.inf, 0.001])
    assert "replica" not in found


def test_gauges_of_several_replicas_are_points_of_their_own_in_order_of_time():
    found = canary_of(matrix(series({"instance": "a"}, 1, 2), series({"instance": "b"}, 3, 4)))
    assert found == {
        "value": [1.0, 3.0, 2.0, 4.0],
        "time": [0.0, 0.0, 60.0, 60.0],
        "replica": ["a", "b", "a", "b"],
    }


def test_gauges_that_share_a_replica_are_told_apart_by_all_their_labels():
    one, other = {"instance": "a", "mode": "user"}, {"instance": "a", "mode": "idle"}
    found = canary_of(matrix(series(one, 1), series(other, 2)))
    assert found["replica"] == ["instance=a,mode=user", "instance=a,mode=idle"]


def test_without_the_label_of_replicas_all_others_tell_them_apart():
    assert canary_of(matrix(series({"pod": "x", "zone": "1"}, 1)))["replica"] == ["pod=x,zone=1"]
    assert canary_of(matrix(series({"pod": "x", "zone": "1"}, 1)), replica="pod")["replica"] == ["x"]


# ratios -------------------------------------------------------------------------------------------------------------------

WEB = {"instance": "a"}


def ratio(errors, requests, **settings):
    settings = {"counter": True} | settings
    data = from_prometheus(both(matrix(*errors)), metric="m", total=both(matrix(*requests)), **settings)
    return listed(data["m"]["canary"])


def test_events_and_totals_are_matched_by_replica_and_time():
    errors = [series(WEB | {"code": "500"}, 1, 2, 4), series({"instance": "b", "code": "500"}, 0, 0, 1)]
    requests = [series({"instance": "b"}, 50, 60, 70), series(WEB, 100, 200, 300)]
    assert ratio(errors, requests) == {
        "value": [1.0, 0.0, 2.0, 0.0, 4.0, 1.0],
        "total": [100.0, 50.0, 200.0, 60.0, 300.0, 70.0],
        "time": [0.0, 0.0, 60.0, 60.0, 120.0, 120.0],
        "replica": ["a", "b"] * 3,
    }


def test_the_series_of_a_replica_are_added_up():
    errors = [series(WEB | {"code": "500"}, 1, 2, 4), series(WEB | {"code": "503"}, 0, 3, 3)]
    requests = [
        series(WEB | {"code": code}, *values) for code, values in (("200", (90, 95)), ("500", (1, 2)))
    ]
    found = ratio(errors, requests)
    assert found["value"] == [1.0, 5.0]  # the third time has no total
    assert found["total"] == [91.0, 97.0]


def test_errors_that_never_occurred_are_none():
    assert ratio([], [series(WEB, 100, 200)])["value"] == [0.0, 0.0]
    assert ratio([], [series(WEB, 100, 200)], counter=False)["value"] == [0.0, 0.0]


def test_a_replica_without_errors_beside_one_with_some_has_none():
    found = ratio([series(WEB, 5, 6)], [series(WEB, 10, 20), series({"instance": "b"}, 30, 40)])
    assert found["value"] == [5.0, 0.0, 6.0, 0.0]


def test_a_counter_that_appears_late_began_at_zero():
    found = ratio([series(WEB | {"code": "503"}, None, None, 2, 5)], [series(WEB, 10, 20, 30, 40)])
    assert found["value"] == [0.0, 0.0, 2.0, 5.0]


def test_a_counter_that_pauses_keeps_its_value():
    found = ratio(
        [series(WEB | {"code": "500"}, 7, None, None, 8), series(WEB | {"code": "503"}, 1, 1, 2, 2)],
        [series(WEB, 10, 20, 30, 40)],
    )
    assert found["value"] == [8.0, 8.0, 9.0, 10.0]


def test_after_a_restart_what_is_missing_is_zero():
    # the new process has had no 500 yet, and so has no series of it; its requests say that it is new
    found = ratio([series(WEB | {"code": "500"}, 7, 8, None, None, 1)], [series(WEB, 100, 200, 10, 20, 30)])
    assert found["value"] == [7.0, 8.0, 0.0, 0.0, 1.0]


def test_what_an_interval_counted_is_zero_where_it_is_missing_and_missing_where_it_is_nan():
    found = ratio(
        [series(WEB | {"code": "500"}, 7, None, "NaN")], [series(WEB, 10, 10, 10, None)], counter=False
    )
    np.testing.assert_array_equal(found["value"], [7.0, 0.0, np.nan])


def test_events_of_an_interval_without_a_total_are_a_missing_point():
    found = ratio([series(WEB, 1, 1, 1)], [series(WEB, 10, None, 10)], counter=False)
    np.testing.assert_array_equal(found["total"], [10.0, np.nan, 10.0])


def test_a_counter_whose_first_point_is_nan_is_unknown_and_not_zero():
    found = ratio([series(WEB, "NaN", 500, 501)], [series(WEB, 1000, 2000, 3000)])
    np.testing.assert_array_equal(found["value"], [np.nan, 500.0, 501.0])


def test_totals_by_another_set_of_labels_are_matched_by_what_is_common():
    errors = [
        series({"pod": "x", "code": code}, *values) for code, values in (("500", (1, 2)), ("503", (3, 4)))
    ]
    found = ratio(errors, [series({"pod": "x", "method": "GET"}, 10, 20)])
    assert found["value"] == [4.0, 6.0]
    assert found["replica"] == ["pod=x"] * 2


def test_events_without_a_total_are_refused():
    for requests in ([], [series({"instance": "b"}, 10, 20)]):
        with pytest.raises(
            cj.DataError, match=r"events for a, and no total that they are of.*the same labels, instance"
        ):
            ratio([series(WEB, 1, 2)], requests)


def test_counts_of_a_replica_are_added_up_too():
    values = [series(WEB | {"reason": "a"}, 1, 2), series(WEB | {"reason": "b"}, None, 1)]
    assert canary_of(matrix(*values), kind="count", counter=True)["value"] == [1.0, 3.0]


def test_a_late_503_counts_in_the_verdict():
    """Without its first increment, as increase() has it, this canary would have no errors at all."""
    requests = [1000 * (index + 1) for index in range(30)]
    late = [None] * 29 + [600]
    data = from_prometheus(
        both(matrix(series(WEB, *late)), matrix()),
        total=both(matrix(series(WEB, *requests)), matrix(series(WEB, *requests))),
        metric="errors",
        counter=True,
    )
    metric = cj.Metric(name="errors", kind="ratio", counter=True, direction="increase")
    finding, *_ = cj.judge(data, cj.Policy(metrics=[metric])).metrics["errors"].findings
    assert finding.canary_level == pytest.approx(600 / 29_000)
    assert finding.baseline_level == 0


# histograms ---------------------------------------------------------------------------------------------------------------


def classic(labels, *rows, edges=("0.1", "0.5", "+Inf")):
    columns = list(zip(*rows, strict=True))
    return [series(labels | {"le": edge}, *column) for edge, column in zip(edges, columns, strict=True)]


def test_buckets_become_rows_by_time_and_edge():
    found = canary_of(matrix(*classic(WEB, (1, 2, 3), (2, 4, 6))))
    assert found == {
        "value": [1.0, 2.0, 3.0, 2.0, 4.0, 6.0],
        "le": ["0.1", "0.5", "+Inf"] * 2,
        "time": [0.0] * 3 + [60.0] * 3,
        "replica": ["a"] * 6,
    }


def test_histograms_of_a_replica_are_added_up_and_a_late_one_began_at_zero():
    late = classic(WEB | {"path": "/b"}, (None, None, None), (1, 1, 1))
    found = canary_of(matrix(*classic(WEB | {"path": "/a"}, (1, 2, 3), (2, 4, 6)), *late), counter=True)
    assert found["value"] == [1.0, 2.0, 3.0, 3.0, 5.0, 7.0]


def test_histograms_with_other_edges_stay_apart():
    other = classic(WEB | {"path": "/b"}, (5, 6), edges=("0.2", "+Inf"))
    found = canary_of(matrix(*classic(WEB | {"path": "/a"}, (1, 2, 3)), *other))
    assert found["replica"] == ["a"] * 3 + ["a (2)"] * 2
    assert found["value"] == [1.0, 2.0, 3.0, 5.0, 6.0]


def test_edges_are_numbers_however_they_are_written():
    found = canary_of(
        matrix(
            *classic(WEB, (1, 2), edges=("5e-1", "Inf")),
            *classic(WEB | {"x": "y"}, (1, 2), edges=("0.50", "+Inf")),
        )
    )
    assert found["le"] == ["0.5", "+Inf"]
    assert found["value"] == [2.0, 4.0]


def test_native_histograms_are_rows_of_triples():
    row = [[-0.001, 0.001, 2], [0.001, 0.5, 7]]
    found = canary_of(matrix(native(WEB, row, None, [])))
    assert found["time"] == [0.0, 120.0]
    assert found["buckets"] == [[[-0.001, 0.001, 2.0], [0.001, 0.5, 7.0]], []]
    assert found["replica"] == ["a", "a"]


def test_a_late_native_histogram_began_empty():
    rows = [[0.0, 0.5, 3]]
    late = native(WEB | {"path": "/b"}, None, None, rows)
    found = canary_of(matrix(native(WEB | {"path": "/a"}, rows, rows, rows), late), counter=True)
    own = [row for row, name in zip(found["buckets"], found["replica"], strict=True) if "path=/b" in name]
    assert own == [[], [[0.0, 0.5, 3.0]]]
    times = [at for at, name in zip(found["time"], found["replica"], strict=True) if "path=/b" in name]
    assert times == [60.0, 120.0]


def lossy(lost, *, cumulative=False, replicas=("a",)):
    """Native histograms that count observations which no bucket holds, as they do of what is no number."""
    entries = []
    for name in replicas:
        rows = [[[0.05, 0.1, 60], [0.1, 0.2, 40]]] * 30
        if cumulative:
            rows = [[[low, high, n * (i + 1)] for low, high, n in row] for i, row in enumerate(rows)]
        entry = native({"instance": name}, *rows)
        for index, (_, histogram) in enumerate(entry["histograms"]):
            more = lost * (index + 1) if cumulative else lost
            histogram["count"] = f"{float(histogram['count']) + more:g}"
        entries.append(entry)
    return matrix(*entries)


@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize(
    ("lost", "arm", "outcome"),
    [(40, "canary", "marginal"), (40, "baseline", "marginal"), (-20, "canary", "marginal"), (0.01, "canary", "pass"), (0, "canary", "pass")],
)  # fmt: skip
def test_observations_in_no_bucket_are_said_and_withhold_a_pass(lost, arm, outcome, cumulative):
    answers = {"baseline": lossy(0, cumulative=cumulative), "canary": lossy(0, cumulative=cumulative)}
    answers[arm] = lossy(lost, cumulative=cumulative, replicas=("a", "b"))
    metric = cj.Metric(
        name="m",
        kind="histogram",
        counter=cumulative,
        direction="increase",
        tolerance="50%",
        assumed_spread=0,
    )
    data = from_prometheus(answers, metric="m", counter=cumulative)
    verdict = cj.judge(data, cj.Policy(metrics=[metric]))
    assert verdict.outcome == outcome
    (result,) = verdict.metrics.values()
    notes = [note for note in result.warnings if note.code == "uncounted"]
    assert len(notes) == (lost != 0)
    if outcome == "marginal":
        assert result.reason == "misread"
        assert notes[0].arm == arm
        assert notes[0].facts["share"] == pytest.approx(40 / 140 if lost == 40 else 20 / 100)
    watch = cj.Monitor(cj.Policy(metrics=[metric.model_copy(update={"rules": None})]))
    watch.update(data)
    assert (watch.verdict().outcome == "pass") <= (outcome == "pass")


def test_what_was_lost_before_the_window_is_not_the_releases():
    lost_before = lossy(0, cumulative=True)
    for _, histogram in lost_before["data"]["result"][0]["histograms"]:
        histogram["count"] = f"{float(histogram['count']) + 5000:g}"
    data = from_prometheus(
        {"baseline": lossy(0, cumulative=True), "canary": lost_before}, metric="m", counter=True
    )
    metric = cj.Metric(name="m", kind="histogram", counter=True, direction="increase", tolerance="50%")
    (result,) = cj.judge(data, cj.Policy(metrics=[metric])).metrics.values()
    assert not [note for note in result.warnings if note.code == "uncounted"]


def spelled(*names, counts=((1, 2, 3), (2, 4, 6), (3, 6, 9), (4, 8, 12))):
    """One histogram whose middle edge is spelled anew half way."""
    first, second = names
    middle = [
        series(WEB | {"le": first}, *(row[1] if index < 2 else None for index, row in enumerate(counts))),
        series(WEB | {"le": second}, *(row[1] if index >= 2 else None for index, row in enumerate(counts))),
    ]
    ends = [series(WEB | {"le": le}, *(row[at] for row in counts)) for le, at in (("0.5", 0), ("+Inf", 2))]
    return matrix(*middle, *ends)


@pytest.mark.parametrize("names", [("1", "1.0"), ("1.0", "1"), ("1e0", "1.00")])
@pytest.mark.parametrize("counter", [False, True])
def test_one_bucket_in_two_spellings_is_one_bucket(names, counter):
    counts = ((1, 2, 3), (2, 4, 6), (3, 6, 9), (4, 8, 12))
    plain = canary_of(matrix(*classic(WEB, *counts, edges=("0.5", "1", "+Inf"))), counter=counter)
    assert canary_of(spelled(*names), counter=counter) == plain
    # told apart replica by replica, and in several answers
    other = [
        each | {"metric": each["metric"] | {"instance": "b"}}
        for each in classic(WEB, *counts, edges=("0.5", "1", "+Inf"))
    ]
    both_replicas = canary_of(matrix(*spelled(*names)["data"]["result"], *other), counter=counter)
    assert both_replicas["value"] == [value for row in counts for value in row * 2]
    halves = [matrix(each) for each in spelled(*names)["data"]["result"]]
    assert canary_of(halves, counter=counter) == plain


def test_two_spellings_that_contradict_each_other_are_named():
    again = spelled("1", "1.0")
    again["data"]["result"].append(series(WEB | {"le": "1"}, None, None, 7, 7))
    with pytest.raises(
        cj.DataError,
        match=r"as le 1\.0 with 6 and as le 1 with 7 at the time 120|as le 1 with 7 and as le 1\.0 with 6",
    ):
        canary_of([matrix(each) for each in again["data"]["result"]], counter=True)


WARNED = {"warnings": ["partial response: a store\x1b[2J did not answer"], "infos": ["not a counter?"]}


@pytest.mark.parametrize("as_text", [False, True])
def test_what_a_server_says_of_its_answer_is_in_the_verdict(as_text):
    fine = matrix(series({"instance": "a"}, *range(50, 80)))

    def given(document):
        return json.dumps(document) if as_text else document

    for kind, of_canary in (("both", given(fine | WARNED)), ("list", [given(fine), given(fine | WARNED)])):
        data = from_prometheus({"baseline": given(fine), "canary": of_canary}, metric="m")
        verdict = cj.judge(
            data, cj.Policy(metrics=[cj.Metric(name="m", direction="increase", counter=False)])
        )
        (result,) = verdict.metrics.values()
        (note,) = [note for note in result.warnings if note.code == "source_warning"]
        assert note.arm == "canary", kind
        assert note.facts["text"] == "partial response: a store [2J did not answer; not a counter?"
        assert "partial response: a store" in verdict.explain()
    marked = from_prometheus(
        both(given(fine | {"isPartial": True}), given(fine | {"isPartial": False})), metric="m"
    )
    assert marked["m"]["canary"]["said"] == "the answer is partial"
    assert "said" not in marked["m"]["baseline"]
    by_label = from_prometheus(
        given(matrix(*(series({"v": v}, *range(30)) for v in "12")) | WARNED), arm="v", metric="m"
    )
    assert all("partial response" in arm["said"] for arm in by_label["m"].values())


def test_warnings_of_totals_and_of_answers_without_a_series_are_not_lost():
    events, requests = (matrix(series(WEB, *([n] * 30))) for n in (1, 100))
    data = from_prometheus(
        both(events, events), metric="m", total=both(requests | WARNED, requests), kind="ratio"
    )
    assert "partial response" in data["m"]["canary"]["said"]
    empty = from_prometheus(both(matrix() | WARNED, events), metric="m", kind="gauge")
    for kind in ("gauge", "histogram", "count"):
        metric = cj.Metric(name="m", kind=kind, direction="increase")
        result = cj.judge(
            {"m": {"baseline": empty["m"]["canary"], "canary": empty["m"]["canary"]}},
            cj.Policy(metrics=[metric]),
        ).metrics["m"]
        assert result.reason == "no_data"
        assert "source_warning" in {note.code for note in result.warnings}


def test_native_histograms_are_judged():
    rng = np.random.default_rng(20260309)

    def answer(factor):
        replicas, late = [], [None] * 5
        for name in ("a", "b", "c"):
            counts, rows = {}, []
            for _ in range(30):
                for exponent in (
                    np.ceil(8 * np.log2(factor * rng.lognormal(-2.5, 0.5, 200))).astype(int).tolist()
                ):
                    counts[exponent] = counts.get(exponent, 0) + 1
                rows.append(
                    [[2 ** ((k - 1) / 8), 2 ** (k / 8), count] for k, count in sorted(counts.items())]
                )
            replicas.append(native({"instance": name}, *(late + rows[5:] if name == "c" else rows)))
        return matrix(*replicas)

    metric = cj.Metric(
        name="latency", kind="histogram", counter=True, unit="s", direction="increase", tolerance="20%"
    )
    for factor, outcome in ((1, "pass"), (2, "fail")):
        data = from_prometheus(
            {"baseline": answer(1), "canary": answer(factor)}, metric="latency", counter=True
        )
        assert cj.judge(data, cj.Policy(metrics=[metric])).outcome == outcome


def test_buckets_are_judged_as_the_columns_that_they_are():
    rng = np.random.default_rng(20260306)
    edges = np.array([0.05, 0.1, 0.2, 0.4, np.inf])

    def answer(factor):
        counts = np.array([np.searchsorted(edges, factor * rng.lognormal(-2.5, 0.5, 200)) for _ in range(40)])
        cumulative = np.array([[(row <= index).sum() for index in range(5)] for row in counts]).cumsum(axis=0)
        return matrix(*classic(WEB, *cumulative.tolist(), edges=("0.05", "0.1", "0.2", "0.4", "+Inf")))

    # buckets that double cannot tell what pods may differ by from a change
    settings = {"kind": "histogram", "counter": True, "unit": "s", "assumed_spread": 0}
    policy = cj.Policy(metrics=[cj.Metric(name="latency", direction="increase", **settings)])
    for factor, outcome in ((1, "pass"), (2, "fail")):
        data = from_prometheus(
            {"baseline": answer(1), "canary": answer(factor)}, metric="latency", counter=True
        )
        assert cj.judge(data, policy).outcome == outcome


# mistakes -----------------------------------------------------------------------------------------------------------------

PART = RECORDED[: len(RECORDED) // 2]


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (PART, "not JSON, or is cut off"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("<html>", "not JSON"),
        ("5", "5 is no answer of Prometheus"),
        ({}, "is no answer of Prometheus"),
        ({"status": "success"}, "is no answer of Prometheus"),
        ({"data": {"resultType": "matrix", "result": []}}, "is no answer of Prometheus"),
        (
            {"status": "error", "errorType": "bad_data", "error": "no\x1b[31m\nway"},
            "an error: bad_data: no [31m way",
        ),
        (
            {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}},
            "the answer is a scalar",
        ),
        (
            {"status": "success", "data": {"resultType": "string", "result": [1, "2"]}},
            "the answer is a string",
        ),
        ({"status": "success", "data": {"resultType": "streams", "result": []}}, "of the type 'streams'"),
        ({"status": "success", "data": {"resultType": "matrix", "result": {}}}, "the result is {}"),
        (matrix(5), "5 is not a series with labels"),
        (matrix({"metric": {"a": 5}, "values": []}), "is not a series with labels"),
        (matrix({"metric": {}, "values": 5}), "values is 5, which is not a list of points"),
        (matrix({"metric": {}, "values": ["12"]}), "'12' is not a point"),
        (matrix({"metric": {}, "values": [[1]]}), "[1] is not a point"),
        (matrix({"metric": {}, "values": [["NaN", "1"]]}), "'NaN' is not a time"),
        (matrix({"metric": {}, "values": [[1, "fast"]]}), "'fast' is not a number"),
        (matrix({"metric": {}, "values": [[1, None]]}), "None is not a number"),
        (matrix({"metric": {}, "values": [[1, True]]}), "True is not a number"),
        (matrix({"metric": {}, "histograms": [[1, {"buckets": [[1, 2]]}]]}), "is not a native histogram"),
        (matrix({"metric": {}, "histograms": [[1, 5]]}), "5 is not a native histogram"),
        (
            matrix(series({}, 1) | {"histograms": [[60, {"count": "0", "sum": "0"}]]}),
            "some points are numbers and others are histograms",
        ),
        (
            matrix(series({}, 1), native({"a": "b"}, [])),
            "some series are native histograms and others are numbers",
        ),
        ([matrix(series({}, 1)), matrix(series({}, 2))], "two values for the time 0, 1 and 2"),
        (
            [matrix(native({}, [[1, 2, 5]])), matrix(native({}, [[1, 2, 6]]))],
            "series '': there are two histograms for the time 0",
        ),
        (
            {"status": "success", "data": {"resultType": "matrix", "result": None}},
            "the result is None where a list of series belongs",
        ),
        (matrix(series({"le": "0.1"}, 1), series({}, 2)), "has no label 'le'"),
        (matrix(series({"le": "fast"}, 1)), "le is 'fast', which is no number"),
    ],
)
def test_what_is_no_answer_is_refused_in_a_sentence(response, says):
    with pytest.raises(cj.DataError) as raised:
        from_prometheus(both(response), metric="m")
    assert says in raised.value.message
    assert raised.value.hint
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "does not tell its arms apart"),
        ({"arm": "verzion"}, "no label 'verzion' that names its arm. Did you mean 'version'?"),
        ({"arm": "version", "total": RECORDED}, "no name for their metric"),
        ({"arm": "version", "kind": "ratio"}, "a ratio needs total="),
        ({"arm": "version", "kind": "histogram"}, "no label 'le'"),
    ],
)
def test_mistakes_of_the_caller(settings, says):
    with pytest.raises(cj.DataError) as raised:
        from_prometheus(RECORDED, **settings)
    assert says in str(raised.value)


def test_series_without_a_name_need_one():
    with pytest.raises(cj.DataError, match="a series has no name"):
        from_prometheus(matrix(series({"version": "1"}, 1)), arm="version")


# properties ---------------------------------------------------------------------------------------------------------------

grown = st.lists(st.integers(0, 9), min_size=2, max_size=12)


@given(st.lists(grown, min_size=1, max_size=4), st.data())
def test_whatever_series_come_late_every_event_is_counted_once(increments, data):
    """The oracle: a process that counts events by code, and shows a code only once it has occurred."""
    length = min(map(len, increments))
    shown = []
    for code, steps in enumerate(increments):
        counts = np.cumsum(steps[:length])
        values = [None if count == 0 else int(count) for count in counts]
        shown.append(series(WEB | {"code": str(code)}, *values))
    gap = data.draw(st.integers(1, length - 1))
    paused = shown[0]["values"]
    shown[0]["values"] = [point for point in paused if point[0] != 60 * gap or point is paused[0]]
    found = ratio(
        [each for each in shown if each["values"]], [series(WEB, *range(1000, 1000 + 100 * length, 100))]
    )
    truth = np.sum([np.cumsum(steps[:length]) for steps in increments], axis=0)
    values = np.array(found["value"])
    assert (np.diff(values) >= 0).all()
    others = np.delete(np.arange(length), gap)
    assert (values[others] == truth[others]).all()


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["metric", "values", "value", "histograms", "buckets", "le"]),
                inner,
                max_size=3,
            ),
        ),
        max_leaves=12,
    )
)
def test_any_document_is_read_or_refused(item):
    for document in (
        item,
        matrix(item),
        matrix({"metric": {"le": "1"}, "values": item}),
        matrix({"metric": {}, "histograms": item}),
    ):
        try:
            from_prometheus(both(document), metric="m")
        except cj.DataError as error:
            assert "\n" not in error.message  # noqa: PT017 - either is right

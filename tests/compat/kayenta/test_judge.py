import contextlib
import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canaryjudge import CanaryJudgeError, DataError, PolicyError
from canaryjudge.compat.kayenta import judge_kayenta
from tests.kayenta_requests import config, metric, pair, request

rng = np.random.default_rng(4)
LOW, HIGH = rng.normal(10, 1, 60).tolist(), rng.normal(14, 1, 60).tolist()
NEAR = [value + 0.01 for value in LOW]


def ours(result):
    return result["resultMetadata"]["canaryjudge"]


def test_an_answer_is_whole():
    answer = judge_kayenta(
        request(
            pair("errors", LOW, HIGH, tags={"zone": "a"}),
            metrics=[metric("errors", direction="increase", critical=True)],
        )
    )
    (result,) = answer["results"]
    stats = result["experimentMetadata"]["stats"]
    ratio = np.mean(HIGH) / np.mean(LOW)
    assert result["resultMetadata"]["ratio"] == pytest.approx(ratio, rel=1e-12)
    assert stats["mean"] == pytest.approx(np.mean(HIGH), rel=1e-12)
    assert {**result, "resultMetadata": None, "experimentMetadata": None, "controlMetadata": None} == {
        "name": "errors",
        "tags": {"zone": "a"},
        "id": "id of errors",
        "classification": "High",
        "classificationReason": "The metric errors was classified as High (Critical)",
        "groups": ["system"],
        "experimentMetadata": None,
        "controlMetadata": None,
        "resultMetadata": None,
        "critical": True,
        "muted": False,
    }
    assert answer["judgeName"] == "NetflixACAJudge-v1.0"
    assert answer["groupScores"] == [
        {"name": "system", "score": 0.0, "classification": "", "classificationReason": ""}
    ]
    assert answer["score"] == {
        "score": 0.0,
        "classification": "Fail",
        "classificationReason": "Canary Failed: The metric errors was classified as High (Critical)",
    }


def test_the_text_of_a_request_has_the_same_answer():
    whole = request(pair(control=LOW, experiment=HIGH))
    assert (
        judge_kayenta(json.dumps(whole)) == judge_kayenta(json.dumps(whole).encode()) == judge_kayenta(whole)
    )


def test_our_verdict_stands_beside_and_says_where_it_differs():
    short = pair("short", [1.0, 2.0, 3.0], [11.0, 12.0, 13.0])
    answer = judge_kayenta(request(short, pair("cpu", LOW, HIGH), pair("fine", LOW, NEAR)))
    by_name = {result["name"]: ours(result) for result in answer["results"]}
    assert [result["classification"] for result in answer["results"]] == ["High", "High", "Pass"]
    assert (by_name["short"]["outcome"], by_name["short"]["reason"], by_name["short"]["agrees"]) == (
        "marginal",
        "too_little_data",
        False,
    )
    assert (by_name["cpu"]["outcome"], by_name["cpu"]["agrees"]) == ("fail", True)
    assert (by_name["fine"]["outcome"], by_name["fine"]["agrees"]) == ("pass", True)
    assert "higher" in by_name["cpu"]["explanation"]
    whole = answer["resultMetadata"]["canaryjudge"]
    assert whole["differs"] == ["short"]
    assert whole["agrees"] is (whole["outcome"] == answer["score"]["classification"].lower())
    assert whole["verdict"]["metrics"]["cpu"]["outcome"] == "fail"


def test_rows_of_one_metric_are_metrics_of_their_own():
    rows = [pair("cpu", LOW, HIGH, tags={"zone": zone}) for zone in "ab"] + [pair("cpu", LOW, NEAR)]
    answer = judge_kayenta(request(*rows))
    assert [result["classification"] for result in answer["results"]] == ["High", "High", "Pass"]
    assert [ours(result)["outcome"] for result in answer["results"]] == ["fail", "fail", "pass"]
    assert list(answer["resultMetadata"]["canaryjudge"]["verdict"]["metrics"]) == [
        "cpu [zone=a]",
        "cpu [zone=b]",
        "cpu",
    ]


def test_muted_rows_are_results_that_do_not_count():
    answer = judge_kayenta(
        request(
            pair("cpu", LOW, HIGH),
            pair("mem", LOW, NEAR),
            metrics=[metric("cpu", muted=True, critical=True), metric("mem")],
        )
    )
    assert answer["results"][0]["muted"]
    assert answer["results"][0]["critical"]
    assert answer["score"]["score"] == 100.0
    assert answer["resultMetadata"]["canaryjudge"]["outcome"] == "pass"


def test_no_data_beside_no_data_agrees():
    answer = judge_kayenta(
        request(pair("cpu", ["NaN"] * 9, HIGH), pair("mem", LOW, LOW), pair("io", LOW, LOW))
    )
    assert answer["results"][0]["classification"] == "Nodata"
    assert ours(answer["results"][0])["agrees"]


def test_noise_is_said_so():
    answer = judge_kayenta(request(pair("cpu", [10] * 20, [11] * 20), pair("mem", [10] * 20, [10] * 20)))
    noised, plain = (ours(result) for result in answer["results"])
    assert noised["noise"] == "both arms are constant: Kayenta adds unseeded noise, here from the seed 1"
    assert "noise" not in plain


def test_noise_does_not_depend_on_the_other_metrics():
    alone = judge_kayenta(request(pair("cpu", [10] * 20, [11] * 20)))
    after = judge_kayenta(request(pair("mem", [3] * 9, [5] * 9), pair("cpu", [10] * 20, [11] * 20)))
    assert alone["results"][0]["resultMetadata"]["ratio"] == after["results"][1]["resultMetadata"]["ratio"]


def test_words_and_nulls_among_the_points():
    points = [None, "NaN", 2, 3.5, "Infinity"]
    answer = judge_kayenta(request(pair("cpu", points, LOW)))
    stats = answer["results"][0]["controlMetadata"]["stats"]
    assert (stats["count"], stats["min"], stats["max"]) == (4, 0.0, "Infinity")


def test_a_canary_that_we_do_not_judge_still_has_kayentas_answer():
    answer = judge_kayenta(request(pair("cpu", LOW, HIGH), metrics=[metric("cpu", groups=())]))
    assert answer["score"]["classification"] == "Fail"  # in no group: the score is 0
    beside = answer["resultMetadata"]["canaryjudge"]
    assert beside["outcome"] is None
    assert "no metric can fail the release" in beside["reason"]
    assert judge_kayenta(request(metrics=[metric()]))["score"]["score"] == 0.0


def with_canary(**canary):
    return request(pair(control=LOW, experiment=HIGH), metrics=[metric(**canary)])


MISTAKES = [
    (7, "the request is 7"),
    ([], r"the request is \[\]"),
    ("{", "the document is not JSON"),
    ("[" * 200_000, "the document is nested too deep"),
    ({}, "canaryConfig: nothing is not a canary config"),
    ({"canaryConfig": {"metrics": {}}}, "canaryConfig.metrics: a mapping is not a list of metrics"),
    ({"canaryConfig": {"metrics": [3]}}, r"canaryConfig.metrics\[0\]: 3 is not a metric"),
    ({"canaryConfig": config(metric(name=3))}, r"canaryConfig.metrics\[0\].name: 3 is not a name"),
    (
        {"canaryConfig": config(metric() | {"groups": "system"})},
        r"metrics\[0\].groups: 'system' is not a list of names",
    ),
    (
        {"canaryConfig": config(weights={"system": "100"})},
        "classifier.groupWeights.system: '100' is not a weight",
    ),
    ({"canaryConfig": config(weights=[1])}, "classifier.groupWeights: a list is not a mapping of weights"),
    ({"canaryConfig": config(classifier=3)}, "canaryConfig.classifier: 3 is not a classifier"),
    (
        {"canaryConfig": config(classifier=None)},
        "canaryConfig.classifier is missing, and Kayenta fails on that",
    ),
    ({"canaryConfig": config()}, "scoreThresholds: nothing are no thresholds"),
    (request() | {"scoreThresholds": {"pass": "95"}}, "scoreThresholds.pass: '95' is not a score"),
    (request() | {"metricSetPairList": {}}, "metricSetPairList is {}, which is not a list"),
    (request() | {"metricSetPairList": [1]}, r"metricSetPairList\[0\] is 1, which is not a metric set pair"),
    (request() | {"metricSetPairList": [pair(name=None)]}, r"\[0\].name is None, which is no name"),
    (
        request() | {"metricSetPairList": [{"name": "cpu"}]},
        r"\[0\].values.control is None, which is not a list",
    ),
    (request(pair(control=["1.5"])), r"metric 'cpu'\): values.control\[0\] is '1.5', which is not a number"),
    (request(pair(experiment=[True])), r"values.experiment\[0\] is True"),
    (request(pair(control=[[1]])), r"values.control\[0\] is \[1\]"),
    (request(pair(tags={"a": {"b": {}}})), r"\[0\].tags is .* not a mapping of words"),
    (
        request(pair("mem"), metrics=[metric("cpu")]),
        "the metric 'mem' is not in the canary config, and Kayenta fails on that",
    ),
    (
        with_canary(critical="true"),
        "metric 'cpu': analysisConfigurations.canary.critical is 'true', and Kayenta fails",
    ),
    (with_canary(mustHaveData=1), "mustHaveData is 1, and Kayenta fails"),
    (with_canary(muted="no"), "muted is 'no', and Kayenta fails"),
    (with_canary(direction=None), "direction is null, and Kayenta fails on that"),
    (with_canary(nanStrategy=None), "nanStrategy is null, and Kayenta fails on that"),
    (
        with_canary(effectSize={"allowedIncrease": "1.1"}),
        "effectSize.allowedIncrease is '1.1', and Kayenta fails",
    ),
    (
        with_canary(effectSize={"allowedIncrease": True}),
        "effectSize.allowedIncrease is true, and Kayenta fails",
    ),
    (
        with_canary(outliers={"strategy": "remove", "outlierFactor": 0}),
        "outliers.outlierFactor is 0, and Kayenta refuses",
    ),
]


@pytest.mark.parametrize(("wrong", "says"), MISTAKES)
def test_mistakes_are_refused_with_a_sentence(wrong, says):
    with pytest.raises((DataError, PolicyError), match=says) as caught:
        judge_kayenta(wrong)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_defaults_where_kayenta_has_them():
    plain = judge_kayenta(with_canary())
    odd = judge_kayenta(
        with_canary(
            direction="UP",
            nanStrategy="drop",
            critical=None,
            outliers={"strategy": "drop"},
            effectSize={"measure": "x"},
        )
    )
    assert odd["results"][0]["classification"] == plain["results"][0]["classification"] == "High"
    nulls = judge_kayenta(with_canary(effectSize={"allowedIncrease": None}))
    assert nulls["results"][0]["classification"] == "High"  # null is 0.0


HOSTILE = {
    "10^7 points": lambda: request(pair(control=[1.0] * 5_000_000, experiment=[2.0] * 5_000_000)),
    "10^7 points in 1000 pairs": lambda: request(*[pair(control=[1.0] * 10_000)] * 1_000),
    "10^5 pairs": lambda: request(*[pair(control=[1.0])] * 100_000),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_too_much_is_refused_before_anything_is_made_of_it(make):
    given = make()
    tracemalloc.start()
    with pytest.raises(DataError, match=r"at most (1,000,000|2,000) are judged"):
        judge_kayenta(given)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
points = st.lists(
    st.one_of(
        st.floats(), st.integers(-5, 5), st.sampled_from(["NaN", None, math.inf, 1e308, -1e308, 5e-324])
    ),
    max_size=14,
)
directions = st.sampled_from(["increase", "decrease", "either"])
options = st.fixed_dictionaries(
    {},
    optional={
        "direction": directions,
        "nanStrategy": st.sampled_from(["remove", "replace"]),
        "critical": st.booleans(),
        "mustHaveData": st.booleans(),
        "muted": st.booleans(),
        "outliers": st.fixed_dictionaries({"strategy": st.sampled_from(["remove", "keep"])}),
        "effectSize": st.fixed_dictionaries(
            {},
            optional={
                "measure": st.sampled_from(["cles", "meanRatio"]),
                "allowedIncrease": st.floats(0, 3),
                "allowedDecrease": st.floats(0, 3),
                "criticalIncrease": st.floats(0, 3),
            },
        ),
    },
)


@given(st.lists(st.tuples(points, points, options), min_size=1, max_size=3), st.floats(-50, 150))
@example([([np.inf], [0.0], {}), ([np.inf, np.inf], [np.inf], {})], 0.0)
@example([([0.0], [1.797665062865528e308], {})], 0.0)
@example([([1.0], [5e-324], {})], 1.0)
def test_whatever_is_well_formed_has_an_answer_that_json_can_hold(rows, weight):
    pairs = [pair(f"m{i}", control, experiment) for i, (control, experiment, _) in enumerate(rows)]
    metrics = [metric(f"m{i}", **canary) for i, (*_, canary) in enumerate(rows)]
    asked = request(*pairs, metrics=metrics, weights={"system": weight})
    answer = judge_kayenta(asked)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert judge_kayenta(asked) == answer
    assert all("canaryjudge" in result["resultMetadata"] for result in answer["results"])


@given(
    anything,
    st.sampled_from(["canaryConfig", "scoreThresholds", "metricSetPairList", "pair", "canary", "metric"]),
)
def test_whatever_is_not_is_refused_or_answered(junk, where):
    asked = request(pair(control=[1, 2], experiment=[2, 3]))
    if where == "pair":
        asked["metricSetPairList"] = [junk]
    elif where == "canary":
        asked["canaryConfig"]["metrics"][0]["analysisConfigurations"] = {"canary": junk}
    elif where == "metric":
        asked["canaryConfig"]["metrics"] = [junk]
    else:
        asked[where] = junk
    with contextlib.suppress(CanaryJudgeError):
        json.dumps(judge_kayenta(asked), allow_nan=False)

import json

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.compat.kayenta.scores import verdict_word
from canaryjudge.integrations.writers.kayenta import kayenta_json, kayenta_result

rng = np.random.default_rng(3)
LOW, SAME, HIGH = rng.normal(100, 5, 60), rng.normal(100, 5, 60), rng.normal(150, 5, 60)


def answer(canary, baseline=LOW, thresholds=(95.0, 75.0), **settings):
    given = {"direction": "increase", "group": "system"} | settings
    metrics = [
        cj.Metric(name="cpu", **given),
        cj.Metric(name="other", direction="increase", role="guard", group="system"),
    ]
    data = {"cpu": {"baseline": baseline, "canary": canary}, "other": {"baseline": LOW, "canary": SAME}}
    verdict = cj.judge(data, cj.Policy(metrics=metrics))
    return verdict, kayenta_result(verdict, pass_score=thresholds[0], marginal_score=thresholds[1])


@pytest.mark.parametrize(
    ("canary", "settings", "label", "word"),
    [
        (SAME, {}, "Pass", "Pass"),
        (HIGH, {}, "High", "Fail"),
        (LOW - 40, {"direction": "decrease"}, "Low", "Fail"),
        (LOW - 40, {"direction": "either"}, "Low", "Fail"),
        (HIGH, {"direction": "either"}, "High", "Fail"),
        (
            LOW - 40,
            {"direction": "either", "rules": (cj.Slo(of="median", between=[80, 120]),)},
            "Low",
            "Fail",
        ),
        (HIGH, {"direction": "either", "rules": (cj.Slo(of="median", between=[80, 120]),)}, "High", "Fail"),
        (SAME[:12], {"tolerance": "0.1%", "pass_within": "tolerance"}, "Error", "Marginal"),
        (SAME[:3], {}, "Nodata", "Marginal"),
        ([], {}, "Nodata", "Marginal"),
        ([], {"no_data": "fail"}, "NodataFailMetric", "Fail"),
    ],
)
@pytest.mark.parametrize("thresholds", [(95.0, 75.0), (60.0, 20.0), (100.0, 0.5), (75.0, 74.0)])
def test_labels_and_score(canary, settings, label, word, thresholds):
    verdict, found = answer(canary, thresholds=thresholds, **settings)
    result = found["results"][0]
    assert (result["classification"], found["score"]["classification"]) == (label, word)
    assert (
        verdict_word(found["score"]["score"], *thresholds) == word
    )  # who goes by the number comes to the same
    assert (
        word != "Marginal" or found["score"]["score"] > thresholds[1]
    )  # a repeated analysis stops at the marginal score
    assert found["score"]["classificationReason"] == verdict.reason
    assert result["critical"] is (word == "Fail")
    assert result["classificationReason"].endswith(".")


def test_groups_and_roles():
    _, found = answer(HIGH, role="guard")
    assert not found["results"][0]["critical"]
    assert found["groupScores"] == [
        {"name": "system", "score": 50.0, "classification": "", "classificationReason": ""}
    ]
    _, found = answer(HIGH, role="muted")
    assert found["results"][0]["muted"]
    assert found["groupScores"][0]["score"] == 100.0


def test_it_is_json():
    verdict, found = answer([])
    assert json.loads(kayenta_json(verdict)) == found


@pytest.mark.parametrize("thresholds", [(75.0, 75.0), (50.0, 75.0), (101.0, 75.0), (95.0, 0.0)])
def test_thresholds_without_room_are_refused(thresholds):
    with pytest.raises(cj.DataError, match="leave no room for all three"):
        answer(SAME, thresholds=thresholds)

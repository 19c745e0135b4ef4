import json
from pathlib import Path

import pytest

import canaryjudge as cj
from canaryjudge.policy import parse_policy
from tests.kayenta_requests import config, metric

EXAMPLES = Path(__file__).parents[4] / "shared" / "examples" / "kayenta"


def load(document):
    return cj.load_kayenta(text=json.dumps(document))


def one(groups=("system",), **canary):
    """Import a metric beside another that counts in any case."""
    found = load(config(metric("cpu", groups, **canary), metric("other")))
    return found, found.metrics[0]


def said(found, kind):
    return " | ".join(str(remark) for remark in found.of_kind(kind))


def test_the_policy_is_the_score_of_the_config():
    found = load(
        config(
            metric("cpu"), metric("errors", ["errors"], critical=True), weights={"system": 70, "errors": 30}
        )
    )
    policy = found.policy()
    assert (policy.aggregate, policy.pass_score, policy.marginal_score) == ("score", 95.0, 75.0)
    assert policy.groups == {"system": 70.0, "errors": 30.0}
    assert [(each.group, each.role, each.no_data) for each in policy.metrics] == [
        ("system", "guard", "marginal"),
        ("errors", "required", "fail"),
    ]
    assert parse_policy(found.text) == policy
    assert found.policy(alpha=0.05).alpha == 0.05


@pytest.mark.parametrize(
    ("canary", "expected", "kind"),
    [
        ({"direction": "increase"}, {"direction": "increase"}, "taken"),
        ({}, {"direction": "either"}, "taken"),
        ({"muted": True}, {"role": "muted"}, "taken"),
        ({"critical": True}, {"role": "required", "no_data": "fail"}, "taken"),
        ({"mustHaveData": True}, {"role": "guard", "no_data": "fail"}, "taken"),
        ({"nanStrategy": "remove"}, {}, "taken"),
        ({"nanStrategy": "replace"}, {}, "adapted"),
        ({"outliers": {"strategy": "keep"}}, {}, "taken"),
        ({"outliers": {"strategy": "remove"}}, {}, "adapted"),
    ],
)
def test_options(canary, expected, kind):
    found, imported = one(**canary)
    assert {key: getattr(imported, key) for key in expected} == expected
    option = next(iter(canary), "direction")
    assert option in said(found, kind)


@pytest.mark.parametrize(
    ("direction", "effect", "tolerance", "kind"),
    [
        ("increase", {"allowedIncrease": 1.2}, 0.2, "taken"),
        ("increase", {"allowedIncrease": 3.5}, 2.5, "taken"),
        ("decrease", {"allowedDecrease": 0.8}, 0.25, "taken"),
        ("decrease", {"allowedDecrease": 0.8, "allowedIncrease": 1.1}, 0.25, "taken"),
        ("either", {"allowedDecrease": 0.8, "allowedIncrease": 1.25}, 0.25, "taken"),
        ("either", {"allowedDecrease": 0.5, "allowedIncrease": 1.25}, 0.25, "adapted"),
        ("either", {"allowedIncrease": 1.25}, 0.25, "adapted"),
        ("increase", {"allowedIncrease": 1.0}, 0.1, "adapted"),
        ("increase", {"measure": "cles", "allowedIncrease": 0.8}, 0.1, "adapted"),
        ("increase", None, 0.1, "note"),
    ],
)
def test_effect_sizes_become_tolerances(direction, effect, tolerance, kind):
    found, imported = one(direction=direction, **({} if effect is None else {"effectSize": effect}))
    assert imported.tolerance.relative == pytest.approx(tolerance)
    places = [
        remark.kind for remark in found.remarks if "effectSize" in remark.place and "cpu" in remark.document
    ]
    assert places == [kind]


def test_a_fall_that_can_never_be_a_low():
    found, imported = one(direction="either", effectSize={"allowedDecrease": 0.0, "allowedIncrease": 1.2})
    assert (imported.direction, imported.tolerance.relative) == ("increase", 0.2)
    assert "only an increase is bad here" in said(found, "adapted")
    gone, other = one(direction="decrease", effectSize={"allowedDecrease": 0.0})
    assert other.name == "other"
    assert "nothing is left to judge" in said(gone, "unjudged")


@pytest.mark.parametrize("effect", [{"criticalIncrease": 1.5}, {"criticalDecrease": 0.5}])
def test_a_critical_effect_beyond_the_allowed_one_is_said(effect):
    found, _ = one(critical=True, effectSize={"allowedIncrease": 1.2, "allowedDecrease": 0.9, **effect})
    assert "Kayenta fails the canary only from" in said(found, "adapted")


def test_groups():
    found, imported = one(groups=["nameless", "system", "more"])
    assert imported.group == "system"
    assert "left out: 'nameless', 'more'" in said(found, "adapted")
    found, imported = one(groups=[])
    assert (imported.group, imported.role) == (None, "muted")
    assert "it is in no group" in said(found, "adapted")
    found, imported = one(groups=["nameless"], critical=True)
    assert (imported.group, imported.role) == (None, "required")
    found, imported = one(groups=["nameless"])
    assert imported.role == "muted"


def test_weights_that_do_not_add_up_are_said():
    found = load(config(metric("cpu"), metric("mem", ["memory"]), weights={"system": 80}))
    assert found.policy().groups == {"system": 80.0, "memory": 20.0}
    assert not found.adapted
    assert "add up to 150" in said(
        load(config(metric("cpu"), metric("mem", ["memory"]), weights={"system": 80, "memory": 70})),
        "adapted",
    )
    assert "Kayenta loses its 60 of 100" in said(
        load(config(metric("cpu"), weights={"system": 40, "gone": 60})), "adapted"
    )


def test_thresholds():
    given = {"canaryConfig": config(), "scoreThresholds": {"pass": 80, "marginal": 40}}
    assert load(given).settings["pass_score"] == 80.0
    run = {
        "canaryConfig": config(),
        "executionRequest": {"thresholds": {"pass": 70, "marginal": 30}, "scopes": {}},
    }
    assert load(run).settings["marginal_score"] == 30.0
    assert "executionRequest" in said(load(run), "no_effect")
    without = config()
    del without["classifier"]["scoreThresholds"]
    assert load(without).settings["pass_score"] == 95.0
    assert "they come from the pipeline" in said(load(without), "note")


def test_nothing_is_left_unsaid():
    odd = metric(
        "cpu", direction="increase", nanStratgy="replace", something=1, effectSize={"allowedIncrese": 2}
    )
    odd["service"] = "atlas"
    odd["extensions"] = {"canary": {"direction": "increase"}}
    document = config(odd, description="d", applications=["a"], templates={}, metricz=[], other=1)
    found = load(document)
    assert all(
        word in said(found, "unjudged")
        for word in ("nanStrategy'?", "allowedIncrease'?", "'metrics'?", "extensions")
    )
    assert all(
        word in said(found, "no_effect")
        for word in (
            "something",
            "service",
            "description",
            "applications",
            "templates",
            "'other'",
            "query",
            "scopeName",
        )
    )
    places = " ".join(remark.place for remark in found.remarks)
    assert all(key in places for key in document if key not in ("metrics", "metricz"))


def test_a_judge_that_draws_lots_is_said():
    assert "it draws its labels at random" in said(load(config(judge={"name": "dredd-v1.0"})), "note")


REFUSED = [
    ([], "a list, and a canary config is a mapping"),
    (3, "3 is not a canary config"),
    ({"stages": []}, "this is a Spinnaker pipeline, which only names its canary config"),
    (
        {"apiVersion": "v1", "kind": "AnalysisTemplate"},
        "an object of the kind 'AnalysisTemplate', not a canary config",
    ),
    ({"version": 1, "metrics": [{"name": "cpu", "direction": "increase"}]}, "this is not a canary config"),
    ({"canaryConfig": 3}, "3 is not a canary config"),
    (config(metric("cpu"), metric("cpu")), r"metrics\[1\].name: the metric 'cpu' stands there twice"),
    (config(metric(critical="true")), "critical is 'true', and Kayenta fails"),
    (config(metric(groups=())), "no metric counts"),
    (config(metric(muted=True)), "no metric counts"),
    (config(judge=3), "judge: 3 is not a judge"),
    (config() | {"classifier": {"scoreThresholds": {"pass": 50, "marginal": 75}}}, "are not two scores"),
    (
        config() | {"classifier": {"scoreThresholds": {"pass": "50"}}},
        "classifier.scoreThresholds.pass: '50' is not a score",
    ),
]


@pytest.mark.parametrize(("document", "says"), REFUSED)
def test_what_is_no_config_is_refused_with_its_place(document, says):
    with pytest.raises(cj.PolicyError, match=says) as caught:
        load(document)
    assert caught.value.message.startswith(("text:", "canaryConfig"))
    assert caught.value.hint


def test_one_config_makes_one_policy(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config()))
    with pytest.raises(cj.PolicyError, match="this is a second document"):
        cj.load_kayenta(file, file)
    with pytest.raises(cj.PolicyError, match="no Kayenta canary config is given"):
        cj.load_kayenta()


@pytest.mark.parametrize(
    "text",
    [
        '{"metrics": ' + "[" * 10_000 + "]" * 10_000 + "}",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
        ),
        '{"metrics": [' + "1," * 400_000 + "1]}",
        '{"name": "\x00"}',
        '{"metrics": [{"name": "a\\u0007b", "groups": ["g"]}], "classifier": {"groupWeights": {"g": 1e999}}}',
    ],
    ids=["deep", "bomb", "long", "control", "infinite weight"],
)
def test_hostile_documents_are_refused_in_a_sentence(text):
    with pytest.raises(cj.PolicyError) as caught:
        cj.load_kayenta(text=text)
    assert len(caught.value.message) < 2_000


REASONS = {
    "json-formats.md__metric-set-pair-list.json": "a list, and a canary config is a mapping",
    "kayenta-web__src__test__resources__canary-configs__duplicated-metric-name.json": "the metric 'mem' stands there twice",
    "scratch__atlas_pipeline.json": "this is a Spinnaker pipeline",
    "scratch__stackdriver_pipeline.json": "this is a Spinnaker pipeline",
}


@pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason=f"no {EXAMPLES}: Kayenta's own documents are not beside the repository"
)
def test_kayentas_own_documents_import_or_say_why_not():
    files = sorted(EXAMPLES.glob("*"))
    assert len(files) >= 25
    for file in files:
        if file.name in REASONS:
            with pytest.raises(cj.PolicyError, match=REASONS[file.name]):
                cj.load_kayenta(file)
            continue
        found = cj.load_kayenta(file)
        document = json.loads(file.read_text(encoding="utf-8"))
        document = document.get("canaryConfig", document)
        assert [each.name for each in found.metrics] == [each["name"] for each in document["metrics"]]
        assert parse_policy(found.text) == found.policy()
        assert not found.unjudged


@pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason=f"no {EXAMPLES}: Kayenta's own documents are not beside the repository"
)
def test_kayentas_own_metric_set_pairs_are_data():
    data = cj.from_kayenta(
        (EXAMPLES / "json-formats.md__metric-set-pair-list.json").read_text(encoding="utf-8")
    )
    assert data["cpu"]["canary"]["value"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert data["cpu"]["canary"]["time"][1] - data["cpu"]["canary"]["time"][0] == 3600.0


@pytest.mark.parametrize(
    "judge",
    ["StaticBaselineJudge-v1.0", "RemoteJudge-v1.0", "NetflixACAJudge-v2.0", "netflixacajudge-v1.0", ""],
)
def test_another_judge_is_named_and_not_described_as_kayentas(judge):
    asked = config(metric("cpu"))
    asked["judge"] = {"name": judge}
    asked["metrics"][0]["analysisConfigurations"]["extendedProperties"] = {"staticBaseline": 300}
    found = load(asked)
    assert "is not known here" in said(found, "unjudged")
    assert "'extendedProperties'" in said(found, "unjudged")
    assert "98 % a metric" not in said(found, "note")
    for known in ("NetflixACAJudge-v1.0", "dredd-v1.0"):
        asked["judge"] = {"name": known}
        assert load(asked).unjudged == ()
        assert "98 % a metric" in said(load(asked), "note")
        assert "'extendedProperties'" in said(load(asked), "no_effect")


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (("judge", "judgeConfigurations"), "judgeConfigurations"),
        (("judge", "threshold"), "threshold"),
        (("classifier", "name"), "name"),
        (("classifier", "classifierName"), "classifierName"),
    ],
)
def test_what_a_judge_or_a_classifier_is_told_beside_is_not_lost_in_silence(path, what):
    asked = config(metric("cpu"))
    asked.setdefault(path[0], {})[path[1]] = {"tail": "left"}
    (remark,) = load(asked).unjudged
    assert remark.place == ".".join(path)
    assert what in remark.what


def test_values_that_a_query_makes_up_are_said():
    asked = config(metric("cpu"))
    asked["metrics"][0]["query"] = {
        "type": "prometheus",
        "customInlineTemplate": "PromQL:sum(a) or vector(0)",
    }
    assert "where nothing is measured it answers" in said(load(asked), "adapted")


@pytest.mark.parametrize("size", [1e308, 1e10])
def test_ratios_that_nobody_means_are_refused(size):
    with pytest.raises(cj.PolicyError, match="allowedIncrease tolerates any change"):
        one(direction="increase", effectSize={"allowedIncrease": size})

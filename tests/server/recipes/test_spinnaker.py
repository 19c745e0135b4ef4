"""Spinnaker, played by its pipelines: what orca's webhook stage and Kayenta's remote judge make of each answer, and what the pipeline then does."""

import json
import re

import numpy as np
import pytest
from kayenta_requests import pair
from server.gates import asking
from server.recipes.playing import TOKEN, documents, kinds, world

HOUR = 3600.0


def filled(text, parameters):
    return re.sub(r"\$\{parameters\.(\w+)\}", lambda found: parameters[found[1]], text)


def read(body, path):
    for name in path.removeprefix("$.").split("."):
        body = body[name]
    return body


def webhook(stage, net, parameters, events):
    """CreateWebhookTask, every 10 s for five minutes; then MonitorWebhookTask, every second, and every 15 s after a minute, until the stage's time is over."""
    url = filled(stage["url"], parameters)
    spent, monitoring = 0.0, False
    assert (stage["waitForCompletion"], stage["statusUrlResolution"]) == (True, "getMethod")
    while spent < (stage["stageTimeoutMs"] / 1000 if monitoring else 300.0):
        for at in sorted(events):
            if at <= spent:
                events.pop(at)()
        try:
            answer = net.ask(stage["method"], url, stage["customHeaders"])
        except TimeoutError:
            answer = None
        except OSError:
            return "TERMINAL"  # of what fails without an answer, names that are not found and timeouts alone are tried again
        wait = 10.0 if not monitoring else 1.0 if spent <= 60 else 15.0
        if answer is None or answer.status_code >= 500 or answer.status_code == 429:
            spent += wait
            net.clock.now += wait
            continue
        if answer.status_code >= 400:
            return "TERMINAL"
        if not monitoring:
            monitoring = True
            continue
        outcome, progress = (
            read(answer.json(), stage[name]) for name in ("statusJsonPath", "progressJsonPath")
        )
        assert isinstance(progress, str)
        if outcome in stage["successStatuses"].split(","):
            return "SUCCEEDED"
        if outcome in stage["terminalStatuses"].split(","):
            return "TERMINAL"
        spent += wait
        net.clock.now += wait
    return "TERMINAL"


def stages_after(pipeline, judged):
    """Name the stages that run once the judging stage has ended so."""
    stage = next(one for one in pipeline["stages"] if one["name"] == "Judge the canary")
    status = judged if judged == "SUCCEEDED" else "FAILED_CONTINUE"
    assert (stage["failPipeline"], stage["continuePipeline"]) == (False, True)
    found = []
    for one in pipeline["stages"]:
        if stage["refId"] in one["requisiteStageRefIds"]:
            said = re.fullmatch(
                r"\$\{#stage\('Judge the canary'\)\['status'\]\.toString\(\) (==|!=) '(\w+)'\}",
                one["stageEnabled"]["expression"],
            )
            if (status == said[2]) == (said[1] == "=="):
                found.append(one["name"])
    return found


def judged_by_webhook(tmp_path, outcome, *, away=""):
    """Play the pipeline; data come after half a minute, and the gate is away from the start, or from and to the seconds that are given."""
    (pipeline,) = documents("spinnaker/pipeline-webhook.json")
    stage = next(one for one in pipeline["stages"] if one["type"] == "webhook")
    with world(tmp_path) as net:
        how, begins, ends = (away, 0.0, None) if isinstance(away, str) else away
        events = {begins: lambda: setattr(net, "away", how)}
        events[30.0] = lambda: net.feed("checkout", "1.5", "checkout", outcome)
        if ends is not None:
            events[ends] = lambda: setattr(net, "away", "")
        status = webhook(stage, net, {"revision": "1.5", "stable": "1.4"}, events)
        return stages_after(pipeline, status), net


@pytest.mark.parametrize(
    ("outcome", "then"),
    [("pass", "Promote"), ("fail", "Roll back"), ("marginal", "Roll back"), ("no_data", "Roll back")],
)
def test_the_webhook_stage_waits_for_a_verdict_and_promotes_by_a_pass_alone(tmp_path, outcome, then):
    stages, net = judged_by_webhook(tmp_path, outcome)
    assert stages == [then]
    assert (net.questions < 40) == (outcome in ("pass", "fail"))


def test_a_gate_that_refuses_connections_ends_the_stage_and_one_that_is_late_or_answers_503_is_asked_again(
    tmp_path,
):
    stages, net = judged_by_webhook(tmp_path / "a", "pass", away="refused")
    assert (stages, net.questions) == (["Roll back"], 1)
    for how in ("store", "slow"):
        stages, net = judged_by_webhook(tmp_path / how / "b", "pass", away=how)
        assert (stages, net.questions) == (["Roll back"], 30)
        assert judged_by_webhook(tmp_path / how / "c", "pass", away=(how, 0.0, 200.0))[0] == ["Promote"]
        assert judged_by_webhook(tmp_path / how / "d", "pass", away=(how, 20.0, 3600.0))[0] == ["Promote"]


@pytest.mark.parametrize("name", ["pipeline-webhook.json", "pipeline-kayenta.json"])
def test_the_pipelines_are_whole(name):
    (pipeline,) = documents(f"spinnaker/{name}")
    known = {stage["refId"] for stage in pipeline["stages"]}
    assert all(set(stage["requisiteStageRefIds"]) <= known for stage in pipeline["stages"])
    declared = {one["name"] for one in pipeline["parameterConfig"]}
    assert set(re.findall(r"\$\{parameters\.(\w+)\}", json.dumps(pipeline))) == declared
    for stage in pipeline["stages"]:
        if stage["type"] == "webhook":
            assert stage["customHeaders"] == {"Authorization": f"Bearer {TOKEN}"}


def judged_by_kayenta(tmp_path, pairs, *, away=False):
    """CanaryJudgeTask and RemoteJudge: POST to the base URL and /judge, without credentials; then the thresholds, as the monitor and the last task hold them."""
    (config,) = documents("spinnaker/canary-config.json")
    (pipeline,) = documents("spinnaker/pipeline-kayenta.json")
    stage = next(one for one in pipeline["stages"] if one["type"] == "kayentaCanary")
    thresholds = {name: float(one) for name, one in stage["canaryConfig"]["scoreThresholds"].items()}
    assert thresholds == config["classifier"]["scoreThresholds"]
    settings = documents("spinnaker/kayenta.yml")[0]["kayenta"]["remote-judge"]
    assert (settings["enabled"], config["judge"]["name"]) == (True, "RemoteJudge-v1.0")
    (service,) = kinds(documents("spinnaker/kayenta-judge.yaml"), "Service").values()
    base = settings["endpoint"]["baseUrl"]
    assert base == f"http://{service['metadata']['name']}.{service['metadata']['namespace']}:8080/kayenta"
    if away:
        return "TERMINAL", None
    asked = {"canaryConfig": config, "scoreThresholds": thresholds, "metricSetPairList": pairs}
    with asking(tmp_path) as ask:
        answer = ask("POST", "/kayenta/judge", json=asked)
        assert answer.status_code == 200
        found = answer.json()
    score = found["score"]["score"]
    if score <= thresholds["marginal"] or score < thresholds["pass"]:
        return "TERMINAL", found
    return "SUCCEEDED", found


NOISE = np.random.default_rng(3).normal(0, 5, (2, 60)).round(3)
CONTROL, STEADY, WORSE = (100 + NOISE[0]).tolist(), (100 + NOISE[1]).tolist(), (160 + NOISE[1]).tolist()


@pytest.mark.parametrize(
    ("errors", "latency", "classified", "then", "own"),
    [
        (STEADY, STEADY, "Pass", "Promote", "pass"),
        (WORSE, STEADY, "Fail", "Roll back", "fail"),
        (STEADY, WORSE, "Marginal", "Roll back", "marginal"),
        (["NaN"] * 60, STEADY, "Fail", "Roll back", "fail"),
    ],
    ids=["pass", "fail", "marginal", "no data"],
)
def test_kayenta_asks_and_gets_both_verdicts(tmp_path, errors, latency, classified, then, own):
    (pipeline,) = documents("spinnaker/pipeline-kayenta.json")
    status, found = judged_by_kayenta(
        tmp_path, [pair("errors", CONTROL, errors), pair("latency", CONTROL, latency)]
    )
    assert found["score"]["classification"] == classified
    assert found["resultMetadata"]["canaryjudge"]["outcome"] == own
    assert stages_after(pipeline, status) == [then]


def test_kayenta_without_its_judge_promotes_nothing(tmp_path):
    (pipeline,) = documents("spinnaker/pipeline-kayenta.json")
    status, _ = judged_by_kayenta(tmp_path, [], away=True)
    assert stages_after(pipeline, status) == ["Roll back"]

"""A custom health source of Harness; Spinnaker's remote judge; and Argo's `kayenta` provider, asked as each asks."""

import json

import pytest
from kayenta_requests import metric, pair, request
from server.faces.calling import START, released, staged_minutes, tools
from server.gates import Clock

from canaryjudge.compat.kayenta import judge_kayenta


def test_harness_reads_values_times_and_instances_by_their_paths(tmp_path):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        path, ask = "/v1/releases/cart/v1", "/harness/cart/v1?policy=staged"
        first = asked("GET", f"{ask}&start={START - 60:.0f}&end={START:.0f}").json()
        assert first == {"series": [{"instance": "v1", "points": [{"timestamp": 1000 * START, "value": 50}]}]}
        clock.now += 90
        asked("POST", path, json=staged_minutes(0.05, 0, 15))
        clock.now += 60
        asked("POST", path, json=staged_minutes(0.5, 15, 15))
        clock.now += 600
        milliseconds = f"start={1000 * START:.0f}&end={1000 * (START + 300):.0f}"
        answer = asked("POST", f"{ask}&{milliseconds}&instance=pod-1&instance=pod-2", content=b"any").json()
        assert [one["instance"] for one in answer["series"]] == ["pod-1", "pod-2"]
        points = [
            ((point["timestamp"] / 1000) - START, point["value"]) for point in answer["series"][1]["points"]
        ]
        assert points == [(0, 50), (90, 50), (150, 100), (300, 100)]
        quiet = asked("GET", f"{ask}&start={START + 300:.0f}&end={START + 360:.0f}").json()
        assert [point["value"] for point in quiet["series"][0]["points"]] == [100]
        for start, end in ((START - 200, START - 100), (START + 9000, START + 9060)):
            assert asked("GET", f"{ask}&start={start:.0f}&end={end:.0f}").json()["series"][0]["points"] == []


def test_a_failed_release_is_0_for_harness(tmp_path):
    with tools(tmp_path) as asked:
        released(asked, "fail")
        answer = asked("GET", "/harness/podinfo.test/fail?start=2026-11-29T00:00:00Z&end=2026-12-01T00:00:00")
        assert answer.json()["series"][0]["points"][-1]["value"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "",
        "start=0",
        "start=x&end=9",
        "start=9&end=0",
        "start=0&end=nan",
        "start=0&end=9&instance=a" + "&instance=a" * 100,
    ],
)
def test_harness_is_told_what_is_wrong(tmp_path, query):
    with tools(tmp_path) as asked:
        answer = asked("GET", f"/harness/cart/v1?{query}")
        assert (answer.status_code, bool(answer.json()["detail"])) == (422, True)
        assert asked("GET", "/v1/releases").json()["releases"] == []


def test_spinnaker_is_answered_as_by_its_own_judge(tmp_path):
    posted = request(
        pair("errors", [4, 5, 6, 5, 4, 6, 5, 4, 6, 5], [9, 8, 9, 7, 9, 8, 9, 8, 7, 9]),
        pair("gaps", ["NaN"] * 10, [1.0] * 10),
        metrics=[metric("errors", direction="increase"), metric("gaps", direction="increase")],
    )
    with tools(tmp_path) as asked:
        answer = asked("POST", "/kayenta/judge", json=posted)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == json.loads(json.dumps(judge_kayenta(posted)))
        assert answer.json()["score"]["classification"] == "Fail"
        for wrong in (b"", b"{}", b"[", b"[" * 100_000, b"null"):
            assert asked("POST", "/kayenta/judge", content=wrong).status_code == 422
        assert asked("GET", "/v1/releases").json()["releases"] == []


class Argo:
    """metricproviders/kayenta/kayenta.go: looks the config up by its name, begins, and reads the score."""

    def __init__(self, asked, config, passes=90, marginal=75):
        self.asked, self.passes, self.marginal = asked, passes, marginal
        listed = asked("GET", "/kayenta/canaryConfig?application=cart&configurationAccountName=s3")
        (self.id,) = [one["id"] for one in listed.json() if one["name"] == config]

    def run(self, revision):
        scopes = f'"default":{{"controlScope": {{"scope": "v1", "region": "eu"}}, "experimentScope": {{"scope": "{revision}"}}}}'
        thresholds = f'"pass": {self.passes}, "marginal": {self.marginal}'
        body = f'\n{{\n"scopes": {{{scopes}}},\n"thresholds" : {{{thresholds}}}}}'
        path = f"/kayenta/canary/{self.id}?application=cart&metricsAccountName=p&configurationAccountName=s3&storageAccountName=s3"
        answer = self.asked("POST", path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        return answer.json()["canaryExecutionId"]

    def resumed(self, execution):
        answer = self.asked("GET", f"/kayenta/canary/{execution}")
        if answer.status_code != 200 or answer.json()["complete"] is not True:
            return "Error"
        score = answer.json()["result"]["judgeResult"]["score"]["score"]
        assert isinstance(score, float)  # NestedFloat64 takes nothing else
        score = int(score)
        return (
            "Successful" if score >= self.passes else "Inconclusive" if score >= self.marginal else "Failed"
        )


@pytest.mark.parametrize("thresholds", [(90, 75), (100, 99), (2, 1), (95, 1)])
def test_argo_finds_the_outcome_by_its_own_thresholds(tmp_path, thresholds):
    with tools(tmp_path) as asked:
        argo = Argo(asked, "default", *thresholds)
        for outcome, phase in (
            ("pass", "Successful"),
            ("marginal", "Inconclusive"),
            ("no_data", "Inconclusive"),
            ("fail", "Failed"),
        ):
            execution = argo.run(outcome)
            assert argo.run(outcome) == execution
            released(asked, outcome, service="cart")
            assert argo.resumed(execution) == phase
        assert argo.resumed("cart/gone/90/75") == "Error"
        assert argo.resumed("cart/pass/75/90") == "Error"
        execution = Argo(asked, "staged").run("v9")
        assert asked("GET", "/v1/releases/cart/v9").json()["policy"] == "staged"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("default?application=cart", {}),
        ("default?application=cart", {"scopes": {}, "thresholds": {"pass": 90, "marginal": 75}}),
        (
            "default",
            {
                "scopes": {"d": {"experimentScope": {"scope": "v1"}}},
                "thresholds": {"pass": 90, "marginal": 75},
            },
        ),
        (
            "default?application=cart",
            {
                "scopes": {"d": {"experimentScope": {"scope": "v1"}}},
                "thresholds": {"pass": 75, "marginal": 90},
            },
        ),
        (
            "default?application=cart",
            {
                "scopes": {"d": {"experimentScope": {"scope": "v1"}}},
                "thresholds": {"pass": "a", "marginal": 90},
            },
        ),
        (
            "default?application=cart",
            {
                "scopes": {"d": {"experimentScope": {"scope": "a b"}}},
                "thresholds": {"pass": 90, "marginal": 75},
            },
        ),
        (
            "none?application=cart",
            {
                "scopes": {"d": {"experimentScope": {"scope": "v1"}}},
                "thresholds": {"pass": 90, "marginal": 75},
            },
        ),
        ("default?application=cart", [1]),
    ],
)
def test_argo_is_told_what_is_wrong(tmp_path, path, body):
    with tools(tmp_path) as asked:
        answer = asked("POST", f"/kayenta/canary/{path}", json=body)
        assert answer.status_code in (404, 422), answer.text
        assert asked("GET", "/v1/releases").json()["releases"] == []

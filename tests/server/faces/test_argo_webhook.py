"""What Argo Rollouts and anything that reads a status are answered."""

import json

import pytest
from server.faces.calling import released, staged_minutes, tools

from canaryjudge.integrations.writers import argo_json


def phase(answer):
    """As metricproviders/webmetric/webmetric.go judges it, by the template of docs/examples/pipelines/argo.yaml."""
    if not 200 <= answer.status_code < 300:
        return "Error"
    try:
        result = json.loads(answer.text)["verdict"]  # jsonPath: {$.verdict}
    except ValueError:
        return "Successful"  # whatever the text is: so Argo up to 1.10
    except KeyError:
        return "Error"
    return {"pass": "Successful", "fail": "Failed"}.get(result["outcome"], "Inconclusive")


@pytest.mark.parametrize(
    ("outcome", "expected", "status"),
    [
        ("pass", "Successful", 200),
        ("marginal", "Inconclusive", 503),
        ("no_data", "Inconclusive", 503),
        ("fail", "Failed", 409),
    ],
)
def test_every_outcome_as_argo_and_as_a_status(tmp_path, outcome, expected, status):
    with tools(tmp_path) as asked:
        revision = released(asked, outcome)
        for method in ("GET", "POST", "PUT"):
            for query in ("", "?format=text"):
                answer = asked(method, f"/argo/podinfo.test/{revision}{query}")
                assert phase(answer) == expected
            answer = asked(method, f"/webhook/podinfo.test/{revision}")
            assert answer.status_code == status
            assert ("retry-after" in answer.headers) == (status == 503)
            assert answer.json() == asked("GET", f"/argo/podinfo.test/{revision}").json()
        told = asked("GET", f"/v1/releases/podinfo.test/{revision}").json()
        assert answer.json()["verdict"]["reason"] == told["reason"]
        assert answer.json()["metrics"] == {name: one["outcome"] for name, one in told["metrics"].items()}
        changed = {
            "marginal": {"ok": 200, "wait": 503, "fail": 409},
            "no_data": {"ok": 503, "wait": 503, "fail": 409},
        }
        for marginal in ("ok", "wait", "fail"):
            expected_status = changed.get(outcome, {}).get(marginal, status)
            answer = asked("GET", f"/webhook/podinfo.test/{revision}?marginal={marginal}")
            assert answer.status_code == expected_status


@pytest.mark.parametrize("face", ["argo", "webhook"])
def test_the_first_question_begins_a_release(tmp_path, face):
    with tools(tmp_path) as asked:
        answer = asked("POST", f"/{face}/checkout/v2?policy=staged&stable=v1", content=b"any body" * 100_000)
        assert answer.json()["verdict"]["outcome"] == "marginal"
        assert (answer.json()["verdict"]["stage"], answer.json()["verdict"]["share"]) == ("5%", "5")
        assert asked("GET", "/v1/releases/checkout/v2").json()["policy"] == "staged"
        points = staged_minutes(0.05, 0, 15)
        assert asked("POST", "/v1/releases/checkout/v2", json=points).json()["action"] == "advance"
        assert asked("GET", f"/{face}/checkout/v2").json()["verdict"]["share"] == "50"


def test_an_answer_is_what_the_writer_writes_of_a_verdict(tmp_path):
    from canaryjudge import Verdict

    with tools(tmp_path) as asked:
        revision = released(asked, "fail")
        verdict = Verdict.from_json(asked("GET", f"/v1/releases/podinfo.test/{revision}/verdict").text)
        assert asked("GET", f"/argo/podinfo.test/{revision}").text == argo_json(verdict)


@pytest.mark.parametrize(
    "path", ["/argo/a b/c", "/argo/a/b?policy=none", "/argo/a/" + "x" * 201, "/argo/a%00b/c", "/argo/a"]
)
def test_what_cannot_be_judged_is_an_error_of_the_measurement(tmp_path, path):
    with tools(tmp_path) as asked:
        for one in (path, path.replace("/argo", "/webhook")):
            answer = asked("GET", one)
            assert phase(answer) == "Error"
            assert answer.json()["detail"]
        assert asked("GET", "/webhook/a/b?marginal=perhaps").status_code == 422
        assert asked("GET", "/v1/releases").json()["releases"] == []


def test_another_policy_than_it_began_with_is_no_verdict(tmp_path):
    with tools(tmp_path) as asked:
        asked("PUT", "/v1/releases/cart/v1")
        answer = asked("GET", "/webhook/cart/v1?policy=other")
        assert (answer.status_code, answer.json()["status"]) == (422, 422)

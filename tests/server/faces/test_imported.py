"""Manifests of Argo Rollouts and Flagger, imported, run on the gate by the two commands of the report: a good release is promoted, a bad one is not."""

import json
import re
import shlex
from pathlib import Path

import pytest
from fake_prometheus import body, serving
from ruamel.yaml import YAML
from server.gates import Client, Clock, gate

from canaryjudge.cli import main
from canaryjudge.integrations.prometheus.client import Access
from canaryjudge.server.app import app_of
from canaryjudge.server.gate import Key
from canaryjudge.server.policies import PolicyFolder

ROOT = Path(__file__).parents[3]
START = 1_796_000_040.0
BOUNDS = (100, 300, 500, 700, 1000)


def answering(bad):
    """A Prometheus server of a service whose canary is well or not, by what its queries ask for."""

    def value(query, time, le=None):
        harm = bad and not re.search(r'="(?:stable-1|checkout-primary)"|~"checkout-primary"', query)
        minutes, wiggle = time / 60.0, (int(time) // 60 * 7) % 5
        if le is not None:
            return 1000 * minutes * (1.0 if le == "+Inf" else min(1.0, float(le) / (2000 if harm else 400)))
        if "404" in query:
            return (20.0 if harm else 1.0) + 0.1 * wiggle
        if "istio_requests_total" in query:
            return minutes * ((60 if harm else 2) if "response_code" in query else 1000)
        return (0.80 if harm else 0.999) + 0.0001 * wiggle

    def reply(handler, question):
        query = question["query"]
        start, end, step = (float(question[name]) for name in ("start", "end", "step"))
        times = [start + step * number for number in range(int((end - start) / step) + 1)]
        labels = [{"le": str(le)} for le in (*BOUNDS, "+Inf")] if "_bucket" in query else [{}]
        result = [
            {"metric": one, "values": [[time, f"{value(query, time, one.get('le')):.12g}"] for time in times]}
            for one in labels
        ]
        body(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))(
            handler, question
        )

    return reply


def recipe(capsys, tool, file):
    """Import a file, and give what the report says: the first command's file, and the second one's words, and what the tool is given."""
    assert main(["import", tool, str(file)]) == 0
    policy, report = capsys.readouterr()
    first, second, *asks = report.partition("To have a gate judge by it:\n")[2].splitlines()
    words = shlex.split(first)
    assert words[:-2] == ["mkdir", "-p", "policies", "&&", "canaryjudge", "import", tool, str(file)]
    Path("policies").mkdir()
    Path(words[-1]).write_text(policy, encoding="utf-8")
    serve = shlex.split(second)
    assert serve[:4] == ["canaryjudge", "serve", "--policies", "policies"]
    return dict(zip(serve[4::2], serve[5::2], strict=True)), asks


class Playing:
    """A gate and a server, minute by minute."""

    def __init__(self, tmp_path, server, monkeypatch):
        self.clock = Clock(START)
        monkeypatch.setattr("time.time_ns", lambda: int(self.clock.now * 1e9))
        self.gate = gate(
            tmp_path, folder=PolicyFolder("policies"), now=self.clock, access=Access.to(server.url, {})
        )
        self.ask = Client(app_of(self.gate))

    def minute(self, key):
        self.clock.now += 60
        self.ask._loop.run_until_complete(self.gate.pull(key))


@pytest.fixture
def playing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []

    def make(server):
        made.append(Playing(tmp_path, server, monkeypatch))
        return made[-1]

    yield make
    for each in made:
        each.ask.close()


@pytest.mark.parametrize(("bad", "ends"), [(False, "Successful"), (True, "Failed")])
def test_an_analysis_of_argo_rollouts_runs_on_the_gate(playing, capsys, bad, ends):
    with serving(answering(bad)) as server:
        options, asks = recipe(capsys, "argo", ROOT / "docs/examples/argo/success-rate.yaml")
        assert options == {"--prometheus": "http://prometheus.monitoring:9090"}
        (metric,) = YAML(typ="safe").load("\n".join(asks).partition("in place of its metrics:\n")[2])
        hashes = YAML(typ="safe").load("\n".join(asks[1:3]))
        assert [each["valueFrom"]["podTemplateHashValue"] for each in hashes] == ["Latest", "Stable"]
        url = metric["provider"]["web"]["url"]
        for each, value in zip(hashes, ("canary-2", "stable-1"), strict=True):
            url = url.replace(f"{{{{args.{each['name']}}}}}", value)
        played = playing(server)
        phases = []
        for _ in range(metric["count"]):
            answer = played.ask("GET", url.removeprefix("http://gate:8080"))
            assert answer.status_code == 200, answer.text
            outcome = answer.json()["verdict"]["outcome"]
            phases.append({"pass": "Successful", "fail": "Failed"}.get(outcome, "Inconclusive"))
            if phases[-1] == "Failed":
                break
            played.minute(Key("checkout", "canary-2"))
    assert phases[0] == "Inconclusive"
    assert phases[-1] == ends
    assert phases.count("Inconclusive") <= metric["inconclusiveLimit"]
    assert "Failed" not in phases[:-1]


@pytest.mark.parametrize(("bad", "ends"), [(False, "promoted"), (True, "rolled back")])
def test_a_canary_of_flagger_runs_on_the_gate(playing, capsys, bad, ends):
    with serving(answering(bad)) as server:
        options, asks = recipe(capsys, "flagger", ROOT / "docs/examples/flagger/checkout.yaml")
        assert options == {"--prometheus": "http://prometheus.istio-system:9090"}
        hooks = {hook["type"]: hook["url"] for hook in YAML(typ="safe").load("\n".join(asks[1:]))["webhooks"]}
        played = playing(server)

        def says(hook, weight):
            sent = {
                "name": "checkout",
                "namespace": "shop",
                "phase": "Progressing",
                "checksum": "5d9c",
                "canaryWeight": weight,
                "metadata": {},
            }
            answer = played.ask("POST", hooks[hook].removeprefix("http://gate:8080"), json=sent)
            assert answer.status_code in (200, 409), answer.text
            return answer.status_code == 200

        weight, failed, end = 0, 0, None
        assert says("pre-rollout", weight)
        for _ in range(60):
            if says("rollback", weight):
                end = "rolled back"
            elif not says("rollout", weight):
                failed += 1
            elif weight < 50:
                weight += 10 * says("confirm-traffic-increase", weight)
            elif says("confirm-promotion", weight):
                end = "promoted"
            if end:
                break
            played.minute(Key("checkout.shop", "5d9c"))
    assert (end, failed) == (ends, 0)
    assert weight == (10 if bad else 50)

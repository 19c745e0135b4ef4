"""The manifests as Kubernetes sees them; the gate's own as the gate sees it: its arguments start one, and its policies ask Prometheus for the right arms."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from fake_prometheus import by_question, serving
from ruamel.yaml import YAML
from server.gates import Clock, gate
from server.recipes.playing import ADDRESS, EXAMPLES, GATE, TOKEN, documents, kinds, mounted

from canaryjudge import __version__
from canaryjudge.integrations.prometheus.client import Access
from canaryjudge.server.gate import Key, Wish
from canaryjudge.server.policies import PolicyFolder

PAGES = EXAMPLES.parents[1] / "integrations"
FOLDERS = [EXAMPLES / name for name in ("argo-rollouts", "flagger", "gate", "harness", "spinnaker")]
"""Those that ask a gate; what runs a command is played in tests/integrations/recipes."""
FILES = [file for folder in FOLDERS for file in sorted(folder.iterdir())]
MANIFESTS = [
    str(file.relative_to(EXAMPLES))
    for file in FILES
    if file.suffix == ".yaml" and file.parent.name != "harness"
]
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
CONTAINERS = ("gate/gate.yaml", "gate/gate-postgresql.yaml", "spinnaker/kayenta-judge.yaml")


def pods(found):
    for document in found:
        if document["kind"] == "Deployment":
            yield document["spec"]["template"]["spec"]
        for metric in (
            document.get("spec", {}).get("metrics", ()) if document["kind"] == "AnalysisTemplate" else ()
        ):
            if "job" in metric["provider"]:
                yield metric["provider"]["job"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_each_document_can_be_applied(name):
    seen = set()
    for document in documents(name):
        assert set(document) <= {"apiVersion", "kind", "metadata", "spec", "data", "stringData"}
        assert NAME.fullmatch(document["metadata"]["name"])
        assert document["kind"] == "Namespace" or NAME.fullmatch(document["metadata"]["namespace"])
        key = (document["kind"], document["metadata"]["name"])
        assert key not in seen
        seen.add(key)


@pytest.mark.parametrize("name", [*CONTAINERS, "argo-rollouts/job.yaml"])
def test_pods_may_do_as_little_as_they_need(name):
    found = documents(name)
    for pod in pods(found):
        (container,) = pod["containers"]
        assert container["image"] == f"registry.example/canaryjudge:{__version__}"
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == 65532
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes.pop(mount["name"])
            if "configMap" in volume and name != "gate/gate-postgresql.yaml":
                assert volume["configMap"]["name"] in kinds(found, "ConfigMap")
        assert volumes == {}


@pytest.mark.parametrize("name", CONTAINERS)
def test_selectors_ports_and_probes_meet(name):
    found = documents(name)
    if name == "gate/gate-postgresql.yaml":
        found += [one for one in GATE if one["kind"] in ("Service", "NetworkPolicy", "ConfigMap", "Secret")]
    (deployment,) = kinds(found, "Deployment").values()
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    (service,) = kinds(found, "Service").values()
    assert service["spec"]["selector"] == labels
    (policy,) = kinds(found, "NetworkPolicy").values()
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    (container,) = template["spec"]["containers"]
    (port,) = container["ports"]
    assert f"--port={port['containerPort']}" in container["args"]
    assert service["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": port["name"]}]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    secrets = kinds(found, "Secret")
    for variable in container.get("env", ()):
        reference = variable["valueFrom"]["secretKeyRef"]
        assert reference["key"] in secrets[reference["name"]]["stringData"]
    assert ("--no-auth" in container["args"]) == ("env" not in container)


def test_what_is_yours_is_marked_and_all_tokens_are_one():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        for line in text.splitlines():
            if re.search(r"registry\.example|example\.com|prometheus\.monitoring|\bPASSWORD\b", line):
                assert "yours" in line, f"{file.name}: {line}"
        assert set(re.findall(r"yours-of-[\w-]+", text)) <= {TOKEN}
        assert set(re.findall(r"gate\.canaryjudge:\d+", text)) <= {ADDRESS}


def test_every_file_has_its_page():
    for folder in FOLDERS:
        page = PAGES / ("index.md" if folder.name == "gate" else f"{folder.name}.md")
        text = page.read_text(encoding="utf-8")
        for file in folder.iterdir():
            assert f"`{file.name}`" in text, file


def unindented(text):
    """Give the lines of a text without what stands before and behind them."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_a_page_shows_is_in_its_files(folder):
    page = PAGES / ("index.md" if folder.name == "gate" else f"{folder.name}.md")
    files = [unindented(file.read_text(encoding="utf-8")) for file in folder.iterdir()]
    shown = re.findall(
        r"^```(?:yaml|json)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert shown
    for block in shown:
        assert any(unindented(block) in text for text in files), block


def answered(question):
    """A server whose counters grow, of any arm."""
    start, end, step = (float(question[name]) for name in ("start", "end", "step"))
    times = [start + step * number for number in range(int((end - start) / step) + 1)]
    values = [[time, str(int(time - 1_700_000_000))] for time in times]
    return {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {"instance": "a"}, "values": values}]},
    }


@pytest.mark.parametrize(
    ("policy", "arms"),
    [
        ("checkout", ('rollouts_pod_template_hash="v1"', 'rollouts_pod_template_hash="v2"')),
        ("checkout-live", ("[1m] offset 1h", "[1m] offset 0s")),
        ("checkout.shop", ('destination_workload="checkout-primary"', 'destination_workload="checkout"')),
    ],
)
def test_the_policies_fetch_both_arms(tmp_path, policy, arms):
    clock = Clock(time.time() - 600)
    with serving(by_question(answered)) as server:
        one = gate(
            tmp_path,
            folder=PolicyFolder(str(mounted(tmp_path / "policies"))),
            now=clock,
            access=Access.to(server.url, {}),
        )

        async def run():
            key = Key(policy, "v2")
            await one.begin(key, Wish(stable="v1"))
            clock.now += 300
            await one.pull(key)
            return await one.told(key)

        told = asyncio.run(run())
        asked = {question["query"] for question in server.questions}
        for part in arms:
            assert any(part in query for query in asked), asked
        assert told.facts["points"]["errors"][0] > 0, told.facts
        assert told.facts["points"]["errors"][1] > 0


def asked_at(port, path, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=30)
    return answer.status_code, answer.text


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTAINERS)
def test_the_container_is_a_gate(tmp_path, name, request):
    """The Deployment's own arguments and variables, with addresses and folders of this machine; nothing answers at Prometheus' address, and the gate is there all the same."""
    found = documents(name)
    configs = kinds([*found, *GATE], "ConfigMap")
    (container,) = next(pods(found))["containers"]
    (volume, *_) = next(pods(found))["volumes"]
    folder = mounted(tmp_path / "policies", configs[volume["configMap"]["name"]]["data"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = {
        "policies": str(folder),
        "port": str(port),
        "prometheus": "http://127.0.0.1:9",
        "host": "127.0.0.1",
    }
    secrets = kinds([*found, *GATE], "Secret")
    environment = dict(os.environ)
    for variable in container.get("env", ()):
        chosen = variable["valueFrom"]["secretKeyRef"]
        environment[variable["name"]] = secrets[chosen["name"]]["stringData"][chosen["key"]]
    if "PGPASSWORD" in environment:
        address = urlsplit(request.getfixturevalue("new_database")())
        environment["PGPASSWORD"] = unquote(address.password)
        here["store"] = f"postgresql://{address.username}@{address.hostname}:{address.port}{address.path}"
    arguments = []
    for one in container["args"]:
        name_, _, value = one.removeprefix("--").partition("=")
        value = here.get(name_, value.replace("//data/", f"/{tmp_path}/"))
        arguments.append(f"--{name_}={value}" if value else one)
    token = environment.get("CANARYJUDGE_GATE_TOKEN")
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "canaryjudge.cli", *arguments], env=environment, stderr=stream
        )
    try:
        for _ in range(300):
            with contextlib.suppress(httpx.TransportError):
                if asked_at(port, container["readinessProbe"]["httpGet"]["path"])[0] == 200:
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        assert asked_at(port, container["livenessProbe"]["httpGet"]["path"])[0] == 200
        path = "/argo/checkout/v2?stable=v1"
        assert asked_at(port, path)[0] == (200 if token is None else 401)
        status, body = asked_at(port, path, token)
        assert (status, json.loads(body)["verdict"]["outcome"]) == (200, "marginal")
    finally:
        process.terminate()
        assert process.wait(30) == 0


VALIDATE = """
import * as models from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1";
import { readFileSync } from "node:fs";
for (const document of JSON.parse(readFileSync(0, "utf8"))) {
  try { new models[document.kind](document).validate(); console.log("ok"); } catch (error) { console.log(error.message); }
}
"""


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="node and npm are not installed"
)
def test_argo_rollouts_own_schemas_take_its_manifests(tmp_path):
    install = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "@kubernetes-models/argo-rollouts@2.0.0",
    ]
    got = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"npm cannot install @kubernetes-models/argo-rollouts: {got.stderr[-200:]}")
    (tmp_path / "validate.mjs").write_text(VALIDATE, encoding="utf-8")
    found = [
        document
        for file in sorted((EXAMPLES / "argo-rollouts").iterdir())
        for document in documents(f"argo-rollouts/{file.name}")
        if document["apiVersion"].startswith("argoproj.io/")
    ]
    broken = json.loads(json.dumps(next(one for one in found if one["kind"] == "AnalysisTemplate")))
    broken["spec"]["metrics"][0]["count"] = 1.5
    told = subprocess.run(
        ["node", "validate.mjs"],
        cwd=tmp_path,
        input=json.dumps([*found, broken]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert told[:-1] == ["ok"] * len(found)
    assert told[-1] != "ok"
    types = "".join(
        file.read_text(encoding="utf-8")
        for file in Path(tmp_path, "node_modules/@kubernetes-models/argo-rollouts").rglob("*.d.ts")
    )
    known = set(re.findall(r'"?(\w+)"?\??:', types))
    for document in found:
        spec = {name: part for name, part in document["spec"].items() if name not in ("template", "selector")}
        for metric in spec.get("metrics", ()):
            metric["provider"].pop("job", None)
        assert names(spec) <= known, document["kind"]


def names(value):
    """Give all keys of a document."""
    if isinstance(value, dict):
        return set(value) | {key for one in value.values() for key in names(one)}
    return {key for one in value for key in names(one)} if isinstance(value, list) else set()


def test_flaggers_and_spinnakers_files_are_read():
    for file in sorted(EXAMPLES.rglob("*.y*ml")):
        assert all(YAML(typ="safe").load_all(file.read_text(encoding="utf-8")))

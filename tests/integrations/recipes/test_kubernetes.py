"""The Jobs of Kubernetes: run as their containers would, and read as a Job reads an exit code, and the kubelet a termination message."""

import json
import re
import sys
from pathlib import Path

import pytest
from pipelines_played import OUTCOMES, played
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
RECIPES = ROOT / "docs/examples/integrations"
JOB, ROLLOUT = (
    {
        each["kind"]: each
        for each in YAML(typ="safe").load_all(
            (RECIPES / f"kubernetes/{name}.yaml").read_text(encoding="utf-8")
        )
    }
    for name in ("job", "rollout")
)
KUBECTL = """#!{python} -IS
import json, pathlib, sys
folder, words = pathlib.Path({folder!r}), sys.argv[1:]
(folder / "asked").open("a").write(" ".join(words[:2]) + "\\n")
kept = folder / "configmap"
if words[:2] == ["get", "configmap"]:
    sys.stdout.write(kept.read_text() if kept.exists() else "")
elif words[:2] == ["create", "configmap"]:
    (given,) = (word for word in words if word.startswith("--from-file=state="))
    sys.stdout.write(pathlib.Path(given.removeprefix("--from-file=state=")).read_text())
elif words[0] == "apply":
    kept.write_text(pathlib.Path(words[words.index("-f") + 1]).read_text())
elif words[:3] == ["patch", "httproute", "checkout"]:
    left = folder / "patches-that-fail"
    if left.exists() and left.read_text():
        left.write_text(left.read_text()[1:])
        sys.exit("the API server is away")
    weights = [one["value"] for one in json.loads(words[-1])]
    (folder / "weights").open("a").write(json.dumps([float((folder / "clock").read_text()), *weights]) + "\\n")
else:
    sys.exit(f"what is {{words}}?")
"""


def container(job):
    (only,) = job["spec"]["template"]["spec"]["containers"]
    return only


def laid_out(pipeline, manifests, name):
    """Mount the ConfigMap of the manifests, and give where its parts are."""
    assert manifests["ConfigMap"]["metadata"]["name"] == name
    mount = pipeline.folder / "mounted"
    mount.mkdir()
    for file, text in manifests["ConfigMap"]["data"].items():
        (mount / file).write_text(
            text.replace("http://prometheus.monitoring:9090", pipeline.server.url), encoding="utf-8"
        )
    volumes = manifests["Job"]["spec"]["template"]["spec"]["volumes"]
    assert {"name": "policy", "configMap": {"name": name}} in volumes
    return mount


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_job_watches_and_ends(tmp_path, warm_folder, outcome):
    """Complete at 0, and failed at anything else, with nothing tried again; the kubelet takes the last 4096 bytes of the message."""
    spec = JOB["Job"]["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    with played(tmp_path, warm_folder, outcome) as pipeline:
        mount, message = laid_out(pipeline, JOB, "canary-policy"), tmp_path / "termination-log"
        message.touch()
        words = ["canaryjudge", *container(JOB["Job"])["args"]]
        run = pipeline.run(words, **{"/policy/": f"{mount}/", "/dev/termination-log": message})
    assert run.returncode == OUTCOMES[outcome]
    said = message.read_bytes()
    assert len(said) <= 4096
    told = {"pass": "PASS: promote", "fail": "FAIL: roll back", "down": "ERROR: ", "no data": "MARGINAL: "}
    assert said.decode().startswith(told.get(outcome, "MARGINAL: "))


def test_the_policy_of_the_job_is_that_of_all_recipes():
    assert JOB["ConfigMap"]["data"]["policy.yaml"] == (RECIPES / "policy.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("manifests", [JOB, ROLLOUT], ids=["job", "rollout"])
def test_containers_need_no_rights(manifests):
    pod = manifests["Job"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True}
    assert container(manifests["Job"])["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {each["name"] for each in container(manifests["Job"])["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}


class Cluster:
    """What a rollout's Job finds: its ConfigMaps, kubectl, and a clock that its pauses move."""

    def __init__(self, pipeline):
        self.pipeline, self.folder = pipeline, pipeline.folder
        self.begun = int(pipeline.service.shares[0][0]) // 60 * 60 + 86400
        self.mount, self.tmp = laid_out(pipeline, ROLLOUT, "rollout-policy"), self.folder / "tmp"
        (self.folder / "clock").write_text(str(self.begun))
        pipeline.service.shares = [(self.begun - 86400.0, 0.0)]
        # a tenth of the deadline is long enough for whoever would go beyond it
        deadline = ROLLOUT["Job"]["spec"]["activeDeadlineSeconds"]
        # a twentieth of it is long enough for a rollout that would go on
        limit = self.begun + (deadline // 20 if pipeline.service.outcome == "no data" else deadline)
        pipeline.program(
            "sleep",
            f"now=$(($(cat '{self.folder}/clock') + $1))\necho $now > '{self.folder}/clock'\n[ $now -lt {limit} ] || kill -TERM $PPID",
        )
        (pipeline.programs / "kubectl").write_text(
            KUBECTL.format(python=sys.executable, folder=str(self.folder)), encoding="utf-8"
        )
        (pipeline.programs / "kubectl").chmod(0o700)
        answered = pipeline.service.reply

        def reply(handler, question):
            shares = [(at, canary / 10_000) for at, _, canary in self.weights]
            pipeline.service.shares = [(self.begun - 86400.0, 0.0), *shares]
            answered(handler, question)

        pipeline.server.replies = [reply]

    @property
    def weights(self):
        file = self.folder / "weights"
        return (
            [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            if file.exists()
            else []
        )

    def shares(self):
        """List the canary's shares, in percent, each once where it stays."""
        told = [canary / 100 for _, stable, canary in self.weights if stable + canary == 10_000]
        assert len(told) == len(self.weights)
        return [share for share, before in zip(told, [None, *told], strict=False) if share != before]

    def pod(self):
        """Run a pod of the Job, whose volume is empty."""
        self.tmp = Path(str(self.tmp) + "x")
        self.tmp.mkdir()
        script = self.mount / "rollout.sh"
        places = {
            "http://prometheus.monitoring:9090": self.pipeline.server.url,
            "/policy/": f"{self.mount}/",
            "/tmp/": f"{self.tmp}/",  # noqa: S108 - the container's own
            "/dev/termination-log": str(self.folder / "termination-log"),
        }
        there = re.compile("|".join(map(re.escape, places)))
        text = there.sub(lambda found: places[found[0]], ROLLOUT["ConfigMap"]["data"]["rollout.sh"])
        assert '"$failures" -lt 10' in text
        text = text.replace("-lt 10", "-lt 3")  # each takes some seconds, in which the server is asked again
        script.write_text(text, encoding="utf-8")
        (only,) = ROLLOUT["Job"]["spec"]["template"]["spec"]["containers"]
        assert only["command"] == ["sh", "/policy/rollout.sh"]
        return self.pipeline.run(["sh", str(script)], {each["name"]: each["value"] for each in only["env"]})

    def said(self):
        return (self.folder / "termination-log").read_text(encoding="utf-8")


@pytest.fixture
def cluster(tmp_path, warm_folder, request):
    with played(tmp_path, warm_folder, request.param, share=0.0) as pipeline:
        yield Cluster(pipeline)


@pytest.mark.parametrize("cluster", ["fail"], indirect=True)
def test_a_fault_that_begins_late_takes_all_traffic_away(cluster):
    cluster.pipeline.service.bad_from = cluster.begun + 840.0
    assert cluster.pod().returncode == 1
    assert cluster.shares() == [5, 25, 0]
    assert cluster.said().startswith("ROLL BACK")


@pytest.mark.parametrize("cluster", ["no data"], indirect=True)
def test_a_canary_without_data_keeps_its_share_until_the_deadline(cluster):
    assert cluster.pod().returncode not in (0, 1)
    assert cluster.shares() == [5]
    assert cluster.said().startswith("HOLD at 5 %")


@pytest.mark.parametrize("cluster", ["down"], indirect=True)
def test_without_prometheus_nothing_is_set_and_the_job_fails(cluster):
    assert cluster.pod().returncode == 2
    assert cluster.weights == []
    assert not (cluster.folder / "configmap").exists()
    assert cluster.said().startswith("ERROR: ")


@pytest.mark.parametrize("cluster", ["pass"], indirect=True)
@pytest.mark.slow
def test_a_rollout_that_is_fine_gets_all_the_traffic_even_if_pods_are_lost_before_they_set_the_share(cluster):
    failing = ROLLOUT["Job"]["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
    (cluster.folder / "patches-that-fail").write_text("x" * ROLLOUT["Job"]["spec"]["backoffLimit"])
    codes = [cluster.pod().returncode]
    while codes[-1] not in (0, *failing):
        codes.append(cluster.pod().returncode)
    assert codes == [75] * (len(codes) - 1) + [0]
    assert len(codes) == 4
    assert cluster.shares() == [5, 25, 50, 100]
    assert cluster.said().startswith("COMPLETE")
    assert cluster.weights[-1][0] - cluster.begun >= 1800  # three stages of ten minutes at least
    assert set((cluster.folder / "asked").read_text(encoding="utf-8").splitlines()) == {
        "get configmap",
        "create configmap",
        "apply --server-side",
        "patch httproute",
    }

"""Argo Rollouts, played by its manifests: what the rollout does on each outcome, and while the gate is away."""

import json

import pytest
from fake_prometheus import answer, by_question, serving
from server.recipes.playing import TOKEN, documents, kinds, mounted, world

from canaryjudge.cli import main
from canaryjudge.compat.argo import Measurement, MetricStatus, assess_run, measure
from canaryjudge.integrations.argo.models import arguments_in, fill, limits_of, validate_metrics
from canaryjudge.integrations.manifests import go_duration

HASHES = {"Stable": "v1", "Latest": "v2"}
TEMPLATES = documents("argo-rollouts/templates.yaml")


def measured(spec, ask):
    """As metricproviders/webmetric/webmetric.go up to 1.10 asks and reads: the result, or the error of the measurement."""
    assert 0 < spec.get("timeoutSeconds", 10) <= 10
    headers = {header["key"]: header["value"] for header in spec["headers"]}
    try:
        found = ask(spec.get("method", "GET"), spec["url"], headers)
    except OSError as lost:
        return Measurement("Error", str(lost))
    if not 200 <= found.status_code < 300:
        return Measurement("Error", f"received non 2xx response code: {found.status_code}")
    assert spec["jsonPath"] == "{$.verdict}"
    try:
        return json.loads(found.text)["verdict"]
    except (ValueError, KeyError) as wrong:
        return Measurement("Error", f"Could not find JSONPath in body: {wrong!r}")


class Run:
    """An AnalysisRun: of one metric, a measurement a tick of its interval, by Argo Rollouts' own counts."""

    def __init__(self, analysis, templates, secrets, take):
        (use,) = analysis["templates"]
        spec = templates[use["templateName"]]["spec"]
        given = {one["name"]: one for one in analysis["args"]}
        assert set(given) <= {one["name"] for one in spec["args"]}
        values = {}
        for declared in spec["args"]:
            one = given.get(declared["name"], declared)
            chosen = one.get("valueFrom", {})
            if "secretKeyRef" in chosen:
                reference = chosen["secretKeyRef"]
                values[one["name"]] = secrets[reference["name"]]["stringData"][reference["key"]]
            else:
                values[one["name"]] = one.get("value") or HASHES[chosen["podTemplateHashValue"]]
        (self.metric,) = metrics = fill(spec["metrics"], values)
        assert not arguments_in(metrics)
        validate_metrics(metrics)
        self.limits, self.status, self._take = limits_of(self.metric), MetricStatus(), take
        assert self.limits.interval in (0, 60)

    def step(self):
        """Take a measurement."""
        conditions = self.metric.get("successCondition"), self.metric.get("failureCondition")
        self.status.add(measure(self._take(self.metric["provider"]), *conditions))
        return self.phase()

    def phase(self, *, terminating=False):
        name = self.metric["name"]
        return assess_run({name: self.limits}, {name: self.status}, terminating=terminating)[0]


class Rollout:
    """A Rollout of a new version, a tick a minute."""

    def __init__(self, name, take, templates=TEMPLATES):
        found = documents(f"argo-rollouts/{name}")
        (self.manifest,) = kinds(found, "Rollout").values()
        own = [*templates, *found]
        self._sources = (kinds(own, "AnalysisTemplate"), kinds(own, "Secret"), take)
        strategy = self.manifest["spec"]["strategy"]
        self.canary, self.blue_green = strategy.get("canary", {}), strategy.get("blueGreen", {})
        self.services = kinds(found, "Service")
        self.weight, self.minute, self.outcome = 0, 0, ""

    def run(self, analysis):
        return Run(analysis, *self._sources)

    def canary_ticks(self):
        """Go through the steps; the background analysis runs beside them from its starting step on, and is ended with them."""
        background, current, waited, index = None, None, 0, 0
        steps = self.canary["steps"]
        analysis = self.canary.get("analysis")
        while not self.outcome:
            while index < len(steps) and "setWeight" in steps[index]:
                self.weight, index = steps[index]["setWeight"], index + 1
            if analysis and background is None and index >= analysis["startingStep"]:
                background = self.run(analysis)
            if index == len(steps):
                self.weight, self.outcome = 100, "promoted"
                assert background is None or background.phase(terminating=True) == "Successful"
                return
            self.minute += 1
            yield self.minute
            if background is not None and self._stops(background.step()):
                return
            if "pause" in steps[index]:
                waited += 60
                if waited >= go_duration(steps[index]["pause"]["duration"]):
                    index, waited = index + 1, 0
                continue
            current = current or self.run(steps[index]["analysis"])
            phase = current.step()
            if self._stops(phase):
                return
            if phase == "Successful":
                index, current = index + 1, None

    def blue_green_ticks(self):
        """Analyse before the switch, and after it; a fail before it keeps the old version, one after it switches back."""
        assert {self.blue_green["activeService"], self.blue_green["previewService"]} == set(self.services)
        assert "scaleDownDelaySeconds" not in self.blue_green  # it would end the analysis after the switch
        for analysis, weight in (("prePromotionAnalysis", 0), ("postPromotionAnalysis", 100)):
            run, self.weight = self.run(self.blue_green[analysis]), weight
            while True:
                self.minute += 1
                yield self.minute
                phase = run.step()
                if self._stops(phase):
                    return
                if phase == "Successful":
                    break
        self.outcome = "promoted"

    def _stops(self, phase):
        if phase in ("Failed", "Error"):
            self.outcome, self.weight = "aborted", 0
        elif phase == "Inconclusive":
            self.outcome = "paused"
        return bool(self.outcome)


def played(tmp_path, name, events, *, most=120):
    """Play a rollout: at the minutes named, data come or the gate is away."""
    with world(tmp_path) as net:

        def take(provider):
            return measured(provider["web"], net.ask)

        rollout = Rollout(name, take)
        ticks = rollout.blue_green_ticks() if rollout.blue_green else rollout.canary_ticks()
        for minute in ticks:
            net.clock.now += 60
            for event in events.get(minute, ()):
                if isinstance(event, str):
                    net.away = event
                else:
                    net.feed(*event)
            assert minute < most, "it never ends"
        for release in net.releases():
            assert release[1] == HASHES["Latest"]
        return rollout


CANARY = ("checkout", "v2", "checkout")


@pytest.mark.parametrize(
    ("outcome", "becomes", "weight"),
    [
        ("pass", "promoted", 100),
        ("fail", "aborted", 0),
        ("marginal", "paused", 30),
        ("no_data", "paused", 30),
    ],
)
def test_a_canary_is_promoted_by_proof_aborted_by_a_fail_and_pauses_in_doubt(
    tmp_path, outcome, becomes, weight
):
    rollout = played(tmp_path, "canary.yaml", {3: [(*CANARY, outcome)]})
    assert (rollout.outcome, rollout.weight) == (becomes, weight)
    assert rollout.minute == {"pass": 11, "fail": 3}.get(outcome, 40)


@pytest.mark.parametrize("away", ["refused", "slow", "store"])
def test_a_gate_that_is_away_promotes_nothing_and_aborts_after_half_an_hour(tmp_path, away):
    rollout = played(tmp_path, "canary.yaml", {1: [away]})
    assert (rollout.outcome, rollout.weight, rollout.minute) == ("aborted", 0, 31)


@pytest.mark.parametrize("away", ["refused", "slow", "store"])
def test_a_gate_that_comes_back_in_time_has_cost_nothing(tmp_path, away):
    rollout = played(tmp_path, "canary.yaml", {4: [(*CANARY, "pass"), away], 30: [""]})
    assert (rollout.outcome, rollout.minute) == ("promoted", 30)


def test_the_proof_is_by_older_controllers_too(tmp_path, monkeypatch):
    """Argo Rollouts before 1.8 does not know consecutiveSuccessLimit: it takes all measurements, and doubt still pauses."""
    for template in TEMPLATES:
        for metric in template.get("spec", {}).get("metrics", ()):
            monkeypatch.delitem(metric, "consecutiveSuccessLimit", raising=False)
    assert played(tmp_path / "a", "canary.yaml", {3: [(*CANARY, "pass")]}).outcome == "promoted"
    assert played(tmp_path / "b", "canary.yaml", {3: [(*CANARY, "marginal")]}).outcome == "paused"


@pytest.mark.parametrize(
    ("before", "after", "becomes", "weight"),
    [
        ("pass", "pass", "promoted", 100),
        ("pass", "fail", "aborted", 0),
        ("pass", "marginal", "paused", 100),
        ("pass", "no_data", "paused", 100),
        ("fail", None, "aborted", 0),
        ("marginal", None, "paused", 0),
        ("no_data", None, "paused", 0),
    ],
)
def test_blue_green_switches_on_proof_and_back_on_a_fail(tmp_path, before, after, becomes, weight):
    events = {2: [("checkout-preview", "v2", "checkout", before)]}
    if after:
        events[4] = [("checkout-live", "v2", "checkout-live", after)]
    rollout = played(tmp_path, "blue-green.yaml", events)
    assert (rollout.outcome, rollout.weight) == (becomes, weight)


@pytest.mark.parametrize("away", ["refused", "slow", "store"])
def test_blue_green_without_a_gate_does_not_switch_and_switches_back(tmp_path, away):
    rollout = played(tmp_path / "a", "blue-green.yaml", {1: [away]})
    assert (rollout.outcome, rollout.weight, rollout.minute) == ("aborted", 0, 31)
    events = {2: [("checkout-preview", "v2", "checkout", "pass")], 3: [away]}
    rollout = played(tmp_path / "b", "blue-green.yaml", events)
    assert (rollout.outcome, rollout.weight, rollout.minute) == ("aborted", 0, 33)


def jobbed(spec, folder, url, codes):
    """Run a Job as Kubernetes does: a pod, again while its failures are to be counted, and failed at once for what its policy says."""
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # else podFailurePolicy is refused
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["operator"]) == ("FailJob", "In")
    arguments = [
        f"--prometheus={url}" if one.startswith("--prometheus=") else one.replace("/policies", str(folder))
        for one in pod["containers"][0]["args"]
    ]
    for _ in range(1 + spec["backoffLimit"]):
        codes.append(main([*arguments, "--output", "/dev/null"]))
        if codes[-1] == 0:
            return Measurement("Successful")
        if codes[-1] in rule["onExitCodes"]["values"]:
            break
    return Measurement("Failed")


@pytest.mark.parametrize(
    ("errors", "becomes", "codes"),
    [
        (10, "promoted", [0]),
        (60, "aborted", [1]),
        (12, "aborted", [3]),
        ("no data", "aborted", [4]),
        ("away", "aborted", [2, 2, 2, 2]),
    ],
)
def test_a_job_promotes_by_proof_alone_and_tries_again_what_was_not_judged(
    tmp_path, capsys, errors, becomes, codes
):
    found = documents("argo-rollouts/job.yaml")
    folder = mounted(tmp_path / "policies", kinds(found, "ConfigMap")["canaryjudge-policies"]["data"])
    reply = answer({}, status=503, Retry_After="0") if errors == "away" else counters(errors)
    ended = []
    with serving(reply) as server:
        rollout = Rollout(
            "job.yaml",
            lambda provider: jobbed(provider["job"]["spec"], folder, server.url, ended),
            templates=(),
        )
        for _ in rollout.canary_ticks():
            pass
    assert (rollout.outcome, ended) == (becomes, codes)


def counters(errors):
    """A server whose counters grow by 1,000 requests a minute and arm, 10 of them the baseline's errors and so many the canary's."""

    def told(question):
        start, end, step = (float(question[name]) for name in ("start", "end", "step"))
        canary = 'rollouts_pod_template_hash="v2"' in question["query"]
        assert canary or 'rollouts_pod_template_hash="v1"' in question["query"]
        if errors == "no data" and canary:
            return {"status": "success", "data": {"resultType": "matrix", "result": []}}
        rate = (errors if canary else 10) if 'code=~"5.."' in question["query"] else 1000
        times = [start + step * number for number in range(int((end - start) / step) + 1)]
        values = [[time, str(round(rate * (time - 1_700_000_000) / 60))] for time in times]
        result = [{"metric": {"instance": "a"}, "values": values}]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    return by_question(told)


def test_names_fit_each_other():
    secrets = kinds(TEMPLATES, "Secret")
    assert secrets["gate-token"]["stringData"]["token"] == TOKEN
    for name in ("templates", "canary", "blue-green", "job"):
        spaces = {one["metadata"]["namespace"] for one in documents(f"argo-rollouts/{name}.yaml")}
        assert spaces == {"shop"}
    for name in ("canary", "blue-green", "job"):
        found = documents(f"argo-rollouts/{name}.yaml")
        (rollout,) = kinds(found, "Rollout").values()
        pods = rollout["spec"]["template"]["metadata"]["labels"]
        assert rollout["spec"]["selector"]["matchLabels"].items() <= pods.items()
        for service in kinds(found, "Service").values():
            assert service["spec"]["selector"].items() <= pods.items()

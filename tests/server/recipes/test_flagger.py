"""Flagger, played by its manifests: what the scheduler does on each outcome, and while the gate is away, by every strategy."""

import pytest
from server.recipes.playing import ADDRESS, TOKEN, documents, kinds, world

from canaryjudge.compat.flagger import (
    analysis_interval,
    check_metrics,
    deployment_strategy,
    step_weight,
    webhook_succeeds,
)
from canaryjudge.integrations.manifests import go_duration
from canaryjudge.integrations.writers import FLAGGER_HOOKS


class Flagger:
    """pkg/controller/scheduler.go and scheduler_hooks.go, of a Canary whose target has a new checksum: a tick an interval."""

    def __init__(self, name, net, checksum="5d9c7b8f64"):
        found = documents(f"flagger/{name}")
        (self.canary,) = kinds(found, "Canary").values()
        self.templates, self.secrets = kinds(found, "MetricTemplate"), kinds(found, "Secret")
        self.net, self.checksum = net, checksum
        self.analysis = self.canary["spec"]["analysis"]
        self.strategy = deployment_strategy(self.analysis)
        self.phase, self.weight, self.iterations, self.failed = "Initialized", 0, 0, 0
        self.mirrored = False
        self.events = []
        self.interval = analysis_interval(self.analysis["interval"])
        waits = [self._longest(hook) for hook in self.analysis["webhooks"] if hook["type"] == "rollout"]
        assert sum(waits) < self.interval

    @staticmethod
    def _longest(hook):
        return go_duration(hook.get("timeout", "10s")) * (1 + hook.get("retries", 0))

    def hooks(self, kind, phase="Progressing", metadata=None):
        """Call the webhooks of a type until one says no; of `rollback`, until one says yes."""
        for hook in self.analysis["webhooks"]:
            if hook["type"] != kind:
                continue
            body = {
                "name": self.canary["metadata"]["name"],
                "namespace": self.canary["metadata"]["namespace"],
                "phase": phase,
                "checksum": self.checksum,
                "metadata": {**(metadata or {}), **hook.get("metadata", {})},
            }
            statuses = []
            for _ in range(1 + hook.get("retries", 0)):
                try:
                    answer = self.net.ask("POST", hook["url"], json=body)
                    statuses.append(answer.status_code)
                except OSError:
                    statuses.append(
                        599
                    )  # a connection that fails is tried again, as a status of 500 or more is
                if statuses[-1] < 500:
                    break
            yes = webhook_succeeds(statuses, hook.get("retries", 0))
            if yes == (kind == "rollback"):
                return yes
        return kind != "rollback"

    def event(self, message):
        self.events.append(message)
        told = {
            "eventMessage": message,
            "eventType": "Normal",
            "timestamp": str(int(1000 * self.net.clock.now)),
        }
        self.hooks("event", self.phase, told)

    def metrics(self):
        """Ask for each metric's value as pkg/metrics/providers/prometheus.go does, and hold it against its range."""
        values = {}
        for metric in self.analysis.get("metrics", ()):
            template = self.templates[metric["templateRef"]["name"]]["spec"]
            secret = self.secrets[template["provider"]["secretRef"]["name"]]["stringData"]
            query = template["query"]
            for name in ("name", "namespace"):
                query = query.replace(f"{{{{ {name} }}}}", self.canary["metadata"][name])
            address = template["provider"]["address"].replace(
                "://", f"://{secret['username']}:{secret['password']}@"
            )
            try:
                answer = self.net.ask("GET", f"{address}/api/v1/query?query={query}")
            except OSError:
                values[metric["name"]] = None
                continue
            found = answer.json()["data"]["result"] if answer.status_code < 400 else []
            values[metric["name"]] = float(found[-1]["value"][1]) if found else None
        return check_metrics(self.analysis.get("metrics", ()), values).ok

    def tick(self):
        self.net.clock.now += self.interval
        if self.phase in ("Initialized", "Waiting", "Succeeded", "Failed"):
            if not self.hooks("confirm-rollout", self.phase):
                self.phase = "Waiting"
                return
            self.phase, self.weight, self.iterations, self.failed = "Progressing", 0, 0, 0
            self.event("New revision detected! Scaling up checkout.shop")
            return
        if self.phase in ("Progressing", "WaitingPromotion") and self.hooks("rollback", self.phase):
            self._over("Failed")
            return
        if self.phase == "Promoting":
            self.weight, self.phase = 0, "Finalising"
            return
        if self.phase == "Finalising":
            self._over("Succeeded")
            return
        if self.failed >= self.analysis["threshold"]:
            self._over("Failed")
            return
        if self.weight == 0 and self.iterations == 0 and not (self.analysis.get("mirror") and self.mirrored):
            fine = self.hooks("pre-rollout")
        else:
            fine = self.hooks("rollout") and self.metrics()
        if not fine:
            self.failed += 1
        elif self.strategy == "canary":
            self._canary()
        else:
            self._iterations()

    def _canary(self):
        if self.phase != "WaitingPromotion" and not self.hooks("confirm-traffic-increase"):
            return
        if self.weight < self.analysis["maxWeight"]:
            self.weight += step_weight(self.analysis, self.weight)
            self.event(f"Advance checkout.shop canary weight {self.weight}")
        elif self._confirmed():
            self._promote()

    def _iterations(self):
        most = self.analysis["iterations"]
        if self.iterations < most:
            if self.strategy == "ab-testing":
                self.weight = 100
            self.mirrored = self.mirrored or bool(self.analysis.get("mirror"))
            self.iterations += 1
            self.event(f"Advance checkout.shop canary iteration {self.iterations}/{most}")
        elif self._confirmed():
            if self.strategy == "blue-green" and self.iterations == most:
                self.weight, self.iterations = 100, self.iterations + 1
                return
            self._promote()

    def _confirmed(self):
        if self.hooks("confirm-promotion"):
            return True
        if self.phase == "WaitingPromotion" and self.strategy != "canary":
            self.iterations = self.analysis["iterations"] - 1
        self.phase = "WaitingPromotion"
        return False

    def _promote(self):
        self.event("Copying checkout.shop template spec to checkout-primary.shop")
        self.phase = "Promoting"

    def _over(self, phase):
        self.phase, self.weight = phase, 0
        self.hooks("post-rollout", phase)

    def run(self, ticks):
        for _ in range(ticks):
            if self.phase in ("Succeeded", "Failed"):
                return self
            self.tick()
        return self


BY_WEBHOOKS = ("canary.yaml", "blue-green.yaml", "ab-testing.yaml")
RELEASE = ("checkout.shop", "5d9c7b8f64", "checkout.shop")


def weighed(flagger):
    """Tell how much of the users the canary has got while nothing is proven: by the first step, none as its answers are mirrored, those of the match."""
    return {"canary": 10, "blue-green": 0, "ab-testing": 100}[flagger.strategy]


@pytest.mark.parametrize("name", BY_WEBHOOKS)
def test_a_pass_is_promoted_and_a_fail_rolled_back_at_once(tmp_path, name):
    with world(tmp_path) as net:
        flagger = Flagger(name, net).run(3)
        assert (flagger.phase, flagger.weight) == ("Progressing", weighed(flagger))
        net.feed(*RELEASE, "pass")
        assert flagger.run(40).phase == "Succeeded"
        assert flagger.failed == 0
        flagger = Flagger(name, net, "77f8b6c9d4").run(3)
        net.feed("checkout.shop", "77f8b6c9d4", "checkout.shop", "fail")
        flagger.tick()
        assert (flagger.phase, flagger.weight) == ("Failed", 0)
        again = Flagger(name, net, "77f8b6c9d4").run(10)
        assert again.phase == "Waiting"


@pytest.mark.parametrize("name", BY_WEBHOOKS)
@pytest.mark.parametrize("outcome", ["marginal", "no_data"])
def test_doubt_waits_and_is_neither_promoted_nor_rolled_back(tmp_path, name, outcome):
    with world(tmp_path) as net:
        flagger = Flagger(name, net).run(3)
        net.feed(*RELEASE, outcome)
        flagger.run(60)
        assert flagger.phase in ("Progressing", "WaitingPromotion")
        assert (flagger.weight, flagger.failed) == (weighed(flagger), 0)
        if outcome == "no_data":
            net.feed(*RELEASE, "pass")
            assert flagger.run(40).phase == "Succeeded"


@pytest.mark.parametrize("name", BY_WEBHOOKS)
@pytest.mark.parametrize("away", ["refused", "slow", "store"])
def test_a_gate_that_is_away_waits_and_moves_nothing(tmp_path, name, away):
    with world(tmp_path) as net:
        flagger = Flagger(name, net).run(3)
        net.feed(*RELEASE, "pass")
        net.away = away
        flagger.run(60)
        assert flagger.phase in ("Progressing", "WaitingPromotion")
        assert (flagger.weight, flagger.failed) == (weighed(flagger), 0)
        net.away = ""
        assert flagger.run(40).phase == "Succeeded"


@pytest.mark.parametrize("name", BY_WEBHOOKS)
def test_a_gate_that_is_away_from_the_start_begins_nothing(tmp_path, name):
    with world(tmp_path) as net:
        net.away = "refused"
        flagger = Flagger(name, net).run(60)
        assert (flagger.phase, flagger.weight) == ("Waiting", 0)
        net.away = ""
        flagger.tick()
        assert flagger.phase == "Progressing"
        net.away = "refused"
        flagger.run(60)
        assert (flagger.phase, flagger.failed) == ("Failed", 5)  # by pre-rollout, before any traffic


@pytest.mark.parametrize(
    ("outcome", "phase"),
    [
        ("pass", "Succeeded"),
        ("fail", "Failed"),
        ("marginal", "WaitingPromotion"),
        ("no_data", "WaitingPromotion"),
    ],
)
def test_by_its_metric_a_fail_is_a_failed_check_and_doubt_gets_all_steps(tmp_path, outcome, phase):
    with world(tmp_path) as net:
        flagger = Flagger("by-metric.yaml", net).run(3)
        net.feed(*RELEASE, outcome)
        flagger.run(60)
        assert flagger.phase == phase
        assert flagger.failed == (5 if outcome == "fail" else 0)
        assert flagger.weight == (50 if phase == "WaitingPromotion" else 0)
        if outcome == "fail":
            assert Flagger("by-metric.yaml", net).run(60).phase == "Failed"


@pytest.mark.parametrize("away", ["refused", "slow", "store"])
def test_by_its_metric_a_gate_that_is_away_is_a_failed_check(tmp_path, away):
    with world(tmp_path) as net:
        flagger = Flagger("by-metric.yaml", net).run(3)
        net.feed(*RELEASE, "pass")
        net.away = away
        assert flagger.run(60).phase == "Failed"
        assert flagger.failed == 5


@pytest.mark.parametrize("name", [*BY_WEBHOOKS, "by-metric.yaml"])
def test_names_fit_each_other(name):
    found = documents(f"flagger/{name}")
    (canary,) = kinds(found, "Canary").values()
    hooks = canary["spec"]["analysis"]["webhooks"]
    for hook in hooks:
        assert hook["type"] in FLAGGER_HOOKS
        assert hook["url"] == f"http://flagger:{TOKEN}@{ADDRESS}/flagger/{hook['type']}"
        assert hook.get("metadata", {}).get("policy", "checkout.shop") == "checkout.shop"
    assert len({hook["name"] for hook in hooks}) == len(hooks)
    assert {one["metadata"]["namespace"] for one in found} == {"shop"}
    for secret in kinds(found, "Secret").values():
        assert secret["stringData"]["password"] == TOKEN

"""Flagger's webhooks, asked as its scheduler asks them: what is a yes, what waits, and how far the traffic goes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server.faces.calling import START, minutes, released, staged_minutes, tools
from server.gates import Clock

from canaryjudge.integrations.writers import FLAGGER_HOOKS
from canaryjudge.server.store import Store, StoreError

OUTCOMES = ("pass", "marginal", "no_data", "fail")


def posted(checksum, phase="Progressing", **more):
    return {"name": "podinfo", "namespace": "test", "phase": phase, "checksum": checksum, **more}


def is_yes(answer):
    """As pkg/controller/webhook.go reads it: r.StatusCode > 202 is an error, and the body its text."""
    if answer.status_code > 202:
        assert answer.text.count("\n") == 1
        assert answer.text.endswith("\n")
        assert 0 < len(answer.text) <= 200
        assert answer.text[:-1].isprintable()
    return answer.status_code <= 202


class Flagger:
    """The part of pkg/controller/scheduler.go that calls webhooks: one tick an interval, of a canary with step weights."""

    def __init__(
        self,
        asked,
        clock,
        checksum="a",
        *,
        steps=(10, 20, 30, 40, 50),
        metadata=None,
        hooks=(),
        says_weight=False,
    ):
        self.asked, self.clock, self.checksum = asked, clock, checksum
        self.steps, self.metadata, self.hooks, self.says_weight = steps, metadata, hooks, says_weight
        self.phase, self.weight, self.failed_checks = "Initialized", 0, 0
        self.loses = set()

    def call(self, hook, phase=None, metadata=None):
        if hook not in self.hooks:
            return hook != "rollback"
        body = posted(self.checksum, phase or self.phase)
        if self.says_weight:
            body["canaryWeight"] = self.weight
        if metadata or self.metadata:
            body["metadata"] = {**(metadata or {}), **(self.metadata or {})}
        found = is_yes(self.asked("POST", f"/flagger/{hook}", json=body))
        return found and hook not in self.loses

    def event(self, message):
        told = {"eventMessage": message, "eventType": "Normal", "timestamp": str(int(1000 * self.clock.now))}
        self.call("event", metadata=told)

    def ends(self, phase):
        self.phase, self.weight = phase, 0
        self.call("post-rollout", phase)

    def tick(self):
        self.clock.now += 60
        if self.phase in ("Initialized", "Waiting", "Succeeded", "Failed"):
            if not self.call("confirm-rollout", "Progressing" if self.phase == "Initialized" else "Waiting"):
                self.phase = "Waiting"
                return
            self.phase, self.weight, self.failed_checks = "Progressing", 0, 0
            self.event("New revision detected! Scaling up podinfo.test")
            return
        if self.call("rollback"):
            self.ends("Failed")
            return
        if self.failed_checks >= 3:
            self.ends("Failed")
            return
        if not self.call("pre-rollout" if self.weight == 0 else "rollout"):
            self.failed_checks += 1
            return
        if self.phase != "WaitingPromotion" and not self.call("confirm-traffic-increase"):
            self.event("Halt podinfo.test advancement waiting for traffic increase approval gate")
            return
        if self.weight < self.steps[-1]:
            self.weight = next(step for step in self.steps if step > self.weight)
            self.event(f"Advance podinfo.test canary weight {self.weight}")
        elif self.call("confirm-promotion"):
            self.event("Copying podinfo.test template spec to podinfo-primary.test")
            self.ends("Succeeded")
        else:
            self.phase = "WaitingPromotion"

    def run(self, ticks):
        """Let it go on for so long, or until it has ended."""
        for _ in range(ticks):
            self.tick()
            if self.phase in {"Succeeded", "Failed"}:
                return


ALL = tuple(FLAGGER_HOOKS)


def pushed(asked, points, checksum="a"):
    answer = asked("POST", f"/v1/releases/podinfo.test/{checksum}", json=points)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_outcome_at_every_hook_is_as_the_table_has_it(tmp_path):
    with tools(tmp_path) as asked:
        for outcome in OUTCOMES:
            checksum = released(asked, outcome)
            for hook, yes in FLAGGER_HOOKS.items():
                if hook == "confirm-traffic-increase" and outcome in ("marginal", "no_data"):
                    continue  # the first step is to be made, see below
                answer = asked("POST", f"/flagger/{hook}", json=posted(checksum))
                meant = outcome.replace("no_data", "marginal") in yes
                assert is_yes(answer) == meant, (hook, outcome, answer.text)
                assert answer.status_code in (200, 409)
                if not meant:
                    assert answer.text.startswith(outcome.replace("no_data", "marginal").upper())


def test_a_good_release_is_promoted_and_a_bad_one_rolled_back(tmp_path):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        flagger = Flagger(asked, clock, hooks=ALL)
        flagger.tick()
        assert flagger.phase == "Progressing"
        assert (
            asked("GET", "/v1/releases/podinfo.test/a").status_code == 404
        )  # the watch begins with the traffic
        flagger.run(5)
        assert (flagger.phase, flagger.weight, flagger.failed_checks) == (
            "Progressing",
            10,
            0,
        )  # a first step, and no more
        pushed(asked, minutes(60))
        flagger.run(6)
        assert flagger.phase == "Succeeded"

        flagger = Flagger(asked, clock, "b", hooks=ALL)
        flagger.run(3)
        pushed(asked, minutes(12, errors=60), "b")
        flagger.tick()
        assert (flagger.phase, flagger.weight) == ("Failed", 0)
        flagger.phase = "Initialized"
        flagger.tick()
        assert flagger.phase == "Waiting"  # what has failed is not begun again


def test_a_version_that_was_promoted_and_comes_again_is_judged_anew(tmp_path):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        flagger = Flagger(asked, clock, hooks=ALL)
        flagger.run(3)
        pushed(asked, minutes(60))
        flagger.run(8)
        assert flagger.phase == "Succeeded"
        flagger.run(6)
        assert (flagger.phase, flagger.weight) == ("Progressing", 10)
        assert asked("GET", "/v1/releases/podinfo.test/a").json()["no_data"]


HOOKS = [
    ("confirm-traffic-increase",),
    ("pre-rollout", "confirm-traffic-increase"),
    ("confirm-traffic-increase", "event"),
    ALL,
]


@pytest.mark.parametrize("hooks", HOOKS, ids=len)
@pytest.mark.parametrize("says_weight", [False, True])
def test_without_data_the_canary_gets_the_first_step_alone(tmp_path, hooks, says_weight):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        flagger = Flagger(asked, clock, hooks=hooks, says_weight=says_weight)
        flagger.run(8)
        assert (flagger.phase, flagger.weight) == ("Progressing", 10)


@pytest.mark.parametrize("hooks", HOOKS, ids=len)
@pytest.mark.parametrize("says_weight", [False, True])
def test_a_rollout_gets_what_its_stage_says(tmp_path, hooks, says_weight):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        metadata = {"policy": "staged", "cmd": "of another tool"}
        flagger = Flagger(
            asked, clock, hooks=hooks, says_weight=says_weight, steps=(5, 50), metadata=metadata
        )
        flagger.run(4)
        assert flagger.weight == 5
        told = pushed(asked, staged_minutes(0.05, 0, 15))
        assert (told["action"], told["share"]) == ("advance", 0.5)
        flagger.tick()
        assert flagger.weight == 50
        flagger.run(3)
        assert (flagger.phase, flagger.weight) == ("Progressing", 50)
        assert pushed(asked, staged_minutes(0.5, 15, 15))["action"] == "complete"
        flagger.tick()
        assert flagger.phase == "Succeeded"


@pytest.mark.parametrize("hooks", [("pre-rollout", "confirm-traffic-increase"), ALL])
def test_a_yes_that_is_lost_is_said_again(tmp_path, hooks):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        flagger = Flagger(asked, clock, hooks=hooks)
        flagger.tick()
        flagger.loses = {"confirm-traffic-increase"}
        flagger.tick()
        assert flagger.weight == 0
        flagger.loses = set()
        flagger.run(5)
        assert flagger.weight == 10


def test_a_question_that_is_tried_again_has_the_same_answer(tmp_path):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        answers = []
        for wait in (0, 1, 3, 10, 1):
            clock.now += wait
            answers.append(asked("POST", "/flagger/confirm-traffic-increase", json=posted("a")).status_code)
        assert answers == [200, 200, 200, 409, 409]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_traffic_never_goes_beyond_the_stage_whatever_is_lost(data, tmp_path_factory):
    """Steps of Flagger that are finer than the stages; answers and events are lost at will, and still it gets there."""
    clock = Clock(START)
    hooks = data.draw(
        st.sampled_from(
            [(*pair, "confirm-traffic-increase") for pair in ((), ("pre-rollout",), ("pre-rollout", "event"))]
        )
    )
    with tools(tmp_path_factory.mktemp("gate"), now=clock) as asked:
        flagger = Flagger(asked, clock, hooks=hooks, steps=(5, 20, 35, 50), metadata={"policy": "staged"})
        for tick in range(20):
            if flagger.phase == "Succeeded":
                return
            flagger.loses = data.draw(st.sets(st.sampled_from(["confirm-traffic-increase"])))
            flagger.hooks = [hook for hook in hooks if hook != "event" or data.draw(st.booleans())]
            flagger.run(1)
            told = asked("GET", "/v1/releases/podinfo.test/a")
            if told.status_code == 200 and told.json()["action"] != "complete":
                assert flagger.weight <= 100 * told.json()["share"] + 1e-9
            if tick in (8, 14):
                pushed(asked, staged_minutes(0.05 if tick == 8 else 0.5, 15 * (tick == 14), 15))
        flagger.loses, flagger.hooks = set(), hooks
        flagger.run(6)
        if "pre-rollout" in hooks or flagger.weight:
            assert flagger.phase == "Succeeded"


def test_what_only_tells_begins_no_release(tmp_path):
    with tools(tmp_path) as asked:
        for hook in ("confirm-rollout", "post-rollout", "event"):
            assert asked("POST", f"/flagger/{hook}", json=posted("a")).status_code == 200
        waiting = asked("POST", "/flagger/rollback", json=posted("a", "Waiting"))
        assert not is_yes(waiting)
        assert asked("GET", "/v1/releases").json()["releases"] == []
        for hook in ("rollback", "confirm-promotion"):
            assert not is_yes(asked("POST", f"/flagger/{hook}", json=posted(hook)))
            assert asked("GET", f"/v1/releases/podinfo.test/{hook}").status_code == 200


def test_the_release_and_its_policy_are_named_by_metadata_or_the_address(tmp_path):
    with tools(tmp_path) as asked:
        own = {"service": "checkout", "policy": "staged", "revision": "v2"}
        assert is_yes(asked("POST", "/flagger/pre-rollout", json=posted("a", metadata=own)))
        assert asked("GET", "/v1/releases/checkout/v2").json()["policy"] == "staged"
        assert is_yes(
            asked("POST", "/flagger/pre-rollout?service=cart&policy=staged", json=posted("a", metadata=None))
        )
        assert asked("GET", "/v1/releases/cart/a").json()["policy"] == "staged"


@pytest.mark.parametrize("hook", FLAGGER_HOOKS)
def test_a_gate_that_cannot_judge_moves_nothing(tmp_path, monkeypatch, hook):
    def away(*_):
        raise StoreError("postgresql://gate@db/gate: the server is away", "See that it runs.")

    with tools(tmp_path) as asked:
        unknown = asked("POST", f"/flagger/{hook}", json=posted("a", metadata={"policy": "none"}))
        assert unknown.status_code == (200 if hook in ("confirm-rollout", "post-rollout", "event") else 500)
        for name in ("answer", "read"):
            monkeypatch.setattr(Store, name, away)
        answer = asked("POST", f"/flagger/{hook}", json=posted("a"))
        assert is_yes(answer) == ("error" in FLAGGER_HOOKS[hook])
        assert answer.status_code in (200, 500)
        assert answer.text.startswith("ERROR: postgresql")


HOSTILE = [
    b"",
    b"{}",
    b"not json",
    b"[" * 60_000,
    b"null",
    b"\xff\xfe",
    b'{"name": "a", "name": "b"}',
    json.dumps(posted("a") | {"metadata": [1]}).encode(),
    json.dumps(posted("a") | {"metadata": {"policy": 3}}).encode(),
    json.dumps(posted("a") | {"metadata": {"service": "../etc/passwd"}}).encode(),
    json.dumps(posted("a") | {"name": 3}).encode(),
    json.dumps(posted("a b")).encode(),
    json.dumps(posted("x" * 201)).encode(),
    json.dumps(posted("a") | {"name": "pod\n\x1b[2J"}).encode(),
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_bodies_that_are_not_flaggers_are_told_so_in_a_line(tmp_path, body):
    with tools(tmp_path) as asked:
        for hook in ("rollback", "rollout", "confirm-promotion"):
            answer = asked("POST", f"/flagger/{hook}", content=body)
            assert answer.status_code == 500
            assert not is_yes(answer)
            assert answer.text.startswith("ERROR: ")
        assert asked("GET", "/v1/releases").json()["releases"] == []


def test_weights_that_are_none_are_not_believed(tmp_path):
    with tools(tmp_path) as asked:
        for number, weight in enumerate((-1, 101, True, "10", None, [3], 1e999)):
            body = posted(f"r{number}", metadata={"eventMessage": "Advance canary weight 999999999"})
            body["canaryWeight"] = weight
            content = json.dumps(body)
            assert asked("POST", "/flagger/event", content=content).status_code == 200
            answers = [
                asked("POST", "/flagger/confirm-traffic-increase", content=content).status_code
                for _ in range(2)
            ]
            assert answers == [200, 200]


def test_huge_bodies_and_unknown_hooks_are_refused(tmp_path):
    with tools(tmp_path) as asked:
        huge = asked("POST", "/flagger/rollback", content=b" " * 70_000)
        assert (huge.status_code, is_yes(huge)) == (413, False)
        unknown = asked("POST", "/flagger/rollbak", json=posted("a"))
        assert (unknown.status_code, "rollback" in unknown.text) == (404, True)
        assert asked("GET", "/flagger/rollback").status_code == 405
        assert asked("POST", "/flagger/" + "x" * 3000, json=posted("a")).status_code == 404

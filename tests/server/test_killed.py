"""A gate that is killed again and again while callers push points: each acknowledged point is in the state, once."""

import itertools
import json
import random
import signal
import threading
import time

import httpx
import pytest
from gate_process import PATIENCE, GateProcess, until
from server.gates import policies

import canaryjudge as cj
from canaryjudge.server.store import Store

POLICY = """
version: 1
max_duration: 30d
metrics:
- {name: latency, unit: ms, direction: increase}
- {name: errors, kind: ratio, direction: increase, dispersion: 1}
- {name: retries, kind: ratio, direction: increase, dispersion: 1}
"""
COUNTED = POLICY.replace("max_duration: 30d", "max_points: 100000")
START = 1_795_990_000.0
PAUSE = 0.05


def points(number, metrics, *, timed=True):
    """Points of one minute, no two of which are alike."""
    noise = random.Random(number)  # noqa: S311 - the same points whenever they are sent
    found = {}
    for metric in metrics:
        found[metric] = {}
        for arm in ("baseline", "canary"):
            kind = (
                {"value": [noise.gauss(100, 5)]}
                if metric == "latency"
                else {"value": [noise.randrange(5, 15)], "total": [1000 + number]}
            )
            found[metric][arm] = kind | ({"time": [START + 60.0 * number]} if timed else {})
    return found


class Caller(threading.Thread):
    """Pushes minute after minute to one gate or another, each until it is acknowledged."""

    def __init__(self, addresses, revision, metrics, *, keyed, timed=True):
        super().__init__()
        self.revision, self.metrics, self.timed = revision, metrics, timed
        self.acknowledged = self.tries = 0
        self.stop = threading.Event()
        self.refused = []
        self._addresses, self._keyed = itertools.cycle(addresses), keyed

    def run(self):
        with httpx.Client(timeout=PATIENCE) as client:
            while not self.stop.is_set():
                self._push(client, self.acknowledged)
                self.acknowledged += 1
                time.sleep(PAUSE)

    def _push(self, client, number):
        headers = {"Content-Type": "application/json"}
        if self._keyed:
            headers["Idempotency-Key"] = f"{'+'.join(self.metrics)} {number}"
        content = json.dumps(points(number, self.metrics, timed=self.timed))
        while True:
            self.tries += 1
            path = f"{next(self._addresses)}/v1/releases/checkout/{self.revision}"
            try:
                answer = client.post(path, content=content, headers=headers)
            except httpx.TransportError:
                time.sleep(PAUSE)
                continue
            if answer.status_code == 200:
                return
            if answer.status_code != 503:
                self.refused.append(answer.text)
            time.sleep(PAUSE)


def killed(folder, store, times, gates):
    """Kill gates in turn while callers push, and hold what is stored against monitors that were fed each minute once."""
    policies(folder / "policies", default=POLICY, counted=COUNTED)
    running = [GateProcess(folder, "--workers", 1, store=store) for _ in range(gates)]
    addresses = [one.address for one in running]
    every = ["latency", "errors", "retries"]
    callers = [
        Caller(addresses, "by-time", every, keyed=False),
        Caller(addresses, "by-time-and-key", every, keyed=True),
        Caller(addresses, "by-key?", every, keyed=True, timed=False),
        *(Caller(addresses, "by-several", [metric], keyed=True) for metric in every),
    ]
    with httpx.Client(timeout=PATIENCE) as client:
        begun = client.put(f"{addresses[0]}/v1/releases/checkout/by-key", json={"policy": "counted"})
        assert begun.status_code == 201, begun.text
    callers[2].revision = "by-key"
    for caller in callers:
        caller.start()
    moments = random.Random(7)  # noqa: S311 - no secret
    try:
        for number in range(times):
            place = number % gates
            before = [caller.acknowledged for caller in callers]
            until(
                lambda before=before: all(
                    caller.acknowledged > one for caller, one in zip(callers, before, strict=True)
                ),
                "every caller is heard",
            )
            time.sleep(moments.uniform(0, 0.2))
            assert running[place].end(signal.SIGKILL) == -signal.SIGKILL
            port = int(addresses[place].rpartition(":")[2])
            running[place] = GateProcess(folder, "--workers", 1, store=store, port=port)
            assert running[place].address == addresses[place]
    finally:
        for caller in callers:
            caller.stop.set()
        for caller in callers:
            caller.join()
        ended = [one.end() for one in running]
    assert ended == [0] * gates
    assert [caller.refused for caller in callers] == [[]] * len(callers)
    assert sum(caller.tries for caller in callers) > sum(caller.acknowledged for caller in callers)
    stored = Store(store or f"sqlite:///{folder}/gate.db")
    try:
        for revision in ("by-time", "by-time-and-key", "by-key", "by-several"):
            own = [caller for caller in callers if caller.revision == revision]
            monitor = cj.Monitor(
                cj.load_policy(folder / f"policies/{'default' if own[0].timed else 'counted'}.yaml")
            )
            for number in range(max(caller.acknowledged for caller in own)):
                for caller in own:
                    if number < caller.acknowledged:
                        monitor.update(points(number, caller.metrics, timed=caller.timed))
                        expected = monitor.verdict()
            release = stored.read("checkout", revision)
            told = json.loads(release.answer)["points"]
            assert told == {
                metric: [caller.acknowledged] * 2 for caller in own for metric in caller.metrics
            }, revision
            if len(own) == 1:  # with several, a look may have come after each of their points, in any order
                assert release.verdict == expected.to_json(), revision
                assert release.state == monitor.to_json(), revision
    finally:
        stored.close()


@pytest.mark.parametrize("times", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_a_gate_that_is_killed_loses_nothing_and_counts_nothing_twice(tmp_path, times):
    killed(tmp_path, None, times, 1)


@pytest.mark.parametrize("times", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_two_gates_on_postgresql_that_are_killed_lose_nothing(tmp_path, new_database, times):
    killed(tmp_path, new_database(), times, 2)

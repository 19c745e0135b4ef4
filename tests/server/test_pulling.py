"""Points that the gate fetches by itself: of several gates one does it, and a pass does not outlive the points that it rests on."""

import asyncio
import json

import pytest
from fake_prometheus import body, serving
from server.gates import Clock, gate, policies

from canaryjudge.errors import DataError, PolicyError
from canaryjudge.integrations.prometheus.client import Access
from canaryjudge.server.gate import Key, UnknownReleaseError, Wish

KEY = Key("checkout", "v2")
START = 1_796_000_000.0
POLICY = """
version: 1
max_duration: 1h
prometheus: {baseline: 'version="${stable}"', canary: 'version="${revision}",app="${service}"', step: 30s, history: none}
metrics:
- {name: errors, kind: ratio, direction: increase, dispersion: 1, query: {value: 'increase(errors{${selector}}[30s])', total: 'increase(requests{${selector}}[30s])'}}
"""


def answering(errors):
    """A server that has ten errors in a thousand requests every step, of the canary as many as told."""

    def reply(handler, question):
        start, end, step = (float(question[name]) for name in ("start", "end", "step"))
        value = (
            "1000"
            if "requests" in question["query"]
            else str(errors if 'version="v2"' in question["query"] else 10)
        )
        times = [start + step * number for number in range(int((end - start) / step) + 1)]
        result = [{"metric": {}, "values": [[time, value] for time in times]}]
        body(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))(
            handler, question
        )

    return reply


@pytest.fixture
def clock(monkeypatch):
    """The time of day, for the gate and for what it asks."""
    clock = Clock(START)
    monkeypatch.setattr("time.time_ns", lambda: int(clock.now * 1e9))
    return clock


def pulled(tmp_path, server, clock, minutes, between=None):
    folder = policies(tmp_path / "policies", default=POLICY)
    one = gate(tmp_path, folder=folder, now=clock, access=Access.to(server.url, {}))

    async def run():
        await one.begin(KEY, Wish(stable="v1"))
        for _ in range(minutes):
            clock.now += 60
            await one.pull(KEY)
        return await one.told(KEY)

    return one, asyncio.run(run())


def test_points_are_fetched_until_the_release_is_decided(tmp_path, clock):
    with serving(answering(60)) as server:
        one, told = pulled(tmp_path, server, clock, 12)
    assert told.facts["outcome"] == "fail"
    asked = {question["query"] for question in server.questions}
    assert 'increase(errors{version="v2",app="checkout"}[30s])' in asked
    assert 'increase(errors{version="v1"}[30s])' in asked
    assert min(float(question["start"]) for question in server.questions) >= START - 21 * 30
    assert one.store.read(*KEY).next_pull is None
    assert one.store.due(clock.now + 1e9, 10) == []


def test_of_two_gates_one_fetches(tmp_path, clock):
    folder = policies(tmp_path / "policies", default=POLICY)
    with serving(answering(10)) as server:
        gates = [gate(tmp_path, folder=folder, now=clock, access=Access.to(server.url, {})) for _ in range(2)]

        async def run():
            await gates[0].begin(KEY, Wish(stable="v1"))
            clock.now += 60
            assert gates[1].store.due(clock.now, 10)[0][:2] == KEY
            await asyncio.gather(*(one.pull(KEY) for one in gates))
            assert gates[0].store.due(clock.now, 10) == []

        asyncio.run(run())
    assert len(server.questions) == 4  # errors and requests of two arms, once


def test_a_pass_does_not_outlive_its_points(tmp_path, clock):
    with serving(answering(2)) as server:
        one, told = pulled(tmp_path, server, clock, 30)
    assert told.facts["outcome"] == "pass"
    clock.now += 600  # the server is away now
    held = asyncio.run(one.told(KEY)).facts
    assert (held["outcome"], held["action"], held["no_data"]) == ("marginal", "hold", True)
    assert held["reason"].startswith("MARGINAL: no new points for 10")
    assert "before that it was PASS" in held["reason"]
    assert held["score"] is None
    assert {metric["outcome"] for metric in held["metrics"].values()} == {"marginal"}
    assert "canaryjudge_release_score" not in {name for name, _, _ in held["gauges"]}
    told_in_numbers = {name: value for name, _, value in held["gauges"]}
    assert (
        told_in_numbers["canaryjudge_release_outcome"],
        told_in_numbers["canaryjudge_release_no_data"],
    ) == (0.5, 1)
    (last, silent) = held["looks"][-2:]
    assert (last[1], silent[1], silent[2], silent[3]) == ("pass", "marginal", "hold", None)
    assert last[0] <= silent[0] <= clock.now - 300 + 30  # five minutes after the last point


def test_what_cannot_be_fetched_is_said_and_tried_again(tmp_path, clock):
    folder = policies(tmp_path / "policies", default=POLICY)
    with serving(body("no", status=400)) as server:
        one = gate(tmp_path, folder=folder, now=clock, access=Access.to(server.url, {}))

        async def run():
            await one.begin(KEY, Wish(stable="v1"))
            clock.now += 60
            with pytest.raises(DataError, match="400"):
                await one.pull(KEY)
            assert one.store.due(clock.now, 10) == []
            assert one.store.due(clock.now + 60, 10)[0][:2] == KEY

        asyncio.run(run())


def test_a_selector_that_asks_for_what_nobody_says_is_refused(tmp_path):
    one = gate(
        tmp_path,
        folder=policies(tmp_path / "policies", default=POLICY),
        access=Access.to("http://127.0.0.1:1", {}),
    )
    with pytest.raises(PolicyError, match="asks for \\$\\{stable\\}"):
        asyncio.run(one.begin(KEY))
    with pytest.raises(PolicyError, match="more in it than label matchers"):
        asyncio.run(one.begin(KEY, Wish(stable="v1", canary_selector='a="1"}) or (b{')))


def test_a_pass_that_has_outlived_its_points_stays_one_of_the_past_when_fetching_ends(tmp_path, clock):
    with serving(answering(2)) as server:
        one, told = pulled(tmp_path, server, clock, 30)
    assert told.facts["outcome"] == "pass"
    clock.now = START + 3661  # the server is away, and the hour of the watch is over
    with pytest.raises(DataError):
        asyncio.run(one.pull(KEY))
    assert one.store.read(*KEY).next_pull is None
    held = asyncio.run(one.told(KEY)).facts
    assert (held["outcome"], held["no_data"]) == ("marginal", True)


def test_what_came_until_the_end_is_fetched_at_the_end(tmp_path, clock):
    with serving(answering(2)) as server:
        one, _ = pulled(tmp_path, server, clock, 30)
        clock.now = START + 7200
        asyncio.run(one.pull(KEY))
    facts = asyncio.run(one.told(KEY)).facts
    assert facts["outcome"] == "pass"
    assert START + 3500 < facts["reached"]["errors"] <= START + 3600


def test_what_was_fetched_of_a_release_is_of_no_other(tmp_path, clock):
    folder = policies(tmp_path / "policies", default=POLICY)
    with serving(answering(2)) as server:
        one = gate(tmp_path, folder=folder, now=clock, access=Access.to(server.url, {}))

        async def run():
            await one.begin(KEY, Wish(stable="v1"))
            clock.now += 60
            fetch, pulls = one.pullers.run, []

            async def slow(*arguments):
                pulls.append(await fetch(*arguments))
                await one.delete(KEY)
                return pulls[-1]

            one.pullers.run = slow
            with pytest.raises(UnknownReleaseError):
                await one.pull(KEY)
            assert await one.told(KEY) is None

        asyncio.run(run())

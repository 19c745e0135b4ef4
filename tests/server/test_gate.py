"""The gate's core: points are taken once, whoever sends them again, and whatever another gate does meanwhile."""

import asyncio
import json
import threading

import pytest
from server.gates import POLICY, Clock, gate, minute, policies

import canaryjudge as cj
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.server.gate import ConflictError, Key, Limits, Told, UnknownReleaseError, Wish
from canaryjudge.server.looks import Batch
from canaryjudge.server.policies import PolicyFolder, UnknownPolicyError
from canaryjudge.server.store import Store
from canaryjudge.server.workers import BusyError

KEY = Key("checkout", "v2")


def batch(points, own=None, media="application/json"):
    return Batch(json.dumps(points).encode(), media, own)


def pushed(tmp_path, batches, **how):
    async def run():
        one = gate(tmp_path, **how)
        return [await one.push(KEY, each) for each in batches]

    return asyncio.run(run())


def test_a_gate_says_what_a_monitor_says(tmp_path):
    told = pushed(tmp_path, [batch(minute(number, errors=40)) for number in range(12)])
    monitor = cj.Monitor(cj.load_policy(tmp_path / "policies/default.yaml"))
    for number in range(12):
        monitor.update(minute(number, errors=40))
        verdict = monitor.verdict()
        assert told[number].facts["outcome"] == verdict.outcome
        assert told[number].facts["reason"] == verdict.reason
        assert told[number].version == number + 2  # the beginning is a version too
    store = Store(f"sqlite:///{tmp_path}/gate.db")
    assert store.read(*KEY).verdict == verdict.to_json()
    assert store.read(*KEY).state == monitor.to_json()
    assert told[-1].facts["outcome"] == "fail"


def test_points_that_come_again_count_once(tmp_path):
    first, again, keyed, retried = pushed(
        tmp_path,
        [batch(minute(0)), batch(minute(0)), batch(minute(1), "a"), batch(minute(1), "a")],
    )
    assert first.facts["points"] == again.facts["points"] == {"latency": [1, 1], "errors": [1, 1]}
    assert keyed.facts["points"] == retried.facts["points"] == {"latency": [2, 2], "errors": [2, 2]}
    assert retried.version == keyed.version  # it was not even looked at


def without_times(points):
    return {
        name: {arm: {k: v for k, v in own.items() if k != "time"} for arm, own in arms.items()}
        for name, arms in points.items()
    }


def test_points_without_times_need_a_key(tmp_path):
    folder = policies(tmp_path / "policies", default=POLICY.replace("max_duration: 2h", "max_points: 400"))
    points = without_times(minute(0))
    with pytest.raises(DataError, match="no times and no Idempotency-Key"):
        pushed(tmp_path, [batch(points)], folder=folder)
    three = [batch(points, own) for own in ("a", "a", "b")]
    first, again, other = pushed(tmp_path, three, folder=folder)
    assert first.facts["points"]["errors"] == again.facts["points"]["errors"] == [1, 1]
    assert other.facts["points"]["errors"] == [2, 2]


def test_what_is_refused_changes_nothing(tmp_path):
    one = gate(tmp_path)

    async def run():
        before = await one.push(KEY, batch(minute(0)))
        for wrong in (
            {"latencyy": {"canary": {"value": [1.0]}}},
            {"latency": {"canary": {"time": ["soon"], "value": [1.0]}}},
            [{"metric": "latency"}],
            minute(0, latency=3.0),
            "words",
        ):
            with pytest.raises(DataError):
                await one.push(KEY, batch(wrong))
        with pytest.raises(DataError):
            await one.push(KEY, Batch(b"[" * 100_000, "application/json"))
        assert await one.told(KEY) == before

    asyncio.run(run())


def test_of_batches_that_are_taken_together_the_good_ones_are_kept(tmp_path):
    one = gate(tmp_path)

    async def run():
        await one.begin(KEY)
        wrong = {"nothing": {"canary": {"value": [1.0]}}}
        batches = [
            batch(minute(0)),
            batch(wrong),
            batch(minute(1)),
            batch(minute(2), "a"),
            batch(minute(2), "a"),
        ]
        found = await asyncio.gather(*(one.push(KEY, each) for each in batches), return_exceptions=True)
        return found, await one.told(KEY)

    (_, bad, *_), told = asyncio.run(run())
    assert isinstance(bad, DataError)
    assert told.facts["points"]["errors"] == [3, 3]
    assert one.looks <= 2  # what waits is taken at once


def test_many_who_push_at_once_cost_few_looks(tmp_path):
    one = gate(tmp_path)

    async def run():
        await one.begin(KEY)
        await asyncio.gather(*(one.push(KEY, batch(minute(number))) for number in range(60)))
        return await one.told(KEY)

    assert asyncio.run(run()).facts["points"]["errors"] == [60, 60]
    assert one.looks <= 4


def test_two_gates_on_one_store_lose_nothing(tmp_path):
    folder = policies(tmp_path / "policies")
    gates = [gate(tmp_path, folder=folder) for _ in range(2)]

    async def pushing(one, numbers):
        for number in numbers:
            # both push every third minute, as who tries again at another gate
            await one.push(KEY, batch(minute(number), f"minute {number}"))

    async def run():
        await gates[0].begin(KEY)
        await asyncio.gather(
            *(
                pushing(one, [number for number in range(40) if number % 3 == 0 or number % 2 == place])
                for place, one in enumerate(gates)
            )
        )
        return await gates[0].told(KEY)

    assert asyncio.run(run()).facts["points"] == {"latency": [40, 40], "errors": [40, 40]}
    assert sum(one.conflicts for one in gates) > 0
    assert sum(one.repeated for one in gates) > 0


def test_who_asks_again_costs_no_look(tmp_path):
    one = gate(tmp_path)

    async def run():
        await one.push(KEY, batch(minute(0)))
        told = await asyncio.gather(*(one.asked(KEY) for _ in range(50)))
        assert len({each.version for each in told}) == 1

    asyncio.run(run())
    assert one.looks == 1


def test_who_asks_at_once_costs_one_question_and_hears_of_all_that_was_acknowledged(tmp_path, monkeypatch):
    one = gate(tmp_path)
    asked = []
    answer, begun, opened = one.store.answer, threading.Event(), threading.Event()

    def slow(*key):
        found = answer(*key)  # as it was before what is pushed meanwhile
        asked.append(found)
        begun.set()
        assert len(asked) > 1 or opened.wait(30)
        return found

    async def run():
        before = await one.push(KEY, batch(minute(0)))
        monkeypatch.setattr(one.store, "answer", slow)
        first = asyncio.create_task(one.told(KEY))
        await asyncio.to_thread(begun.wait, 30)
        release = one.store.read(*KEY)
        assert one.store.write(release)  # by another gate, which acknowledges it
        later = [asyncio.create_task(one.told(KEY)) for _ in range(100)]
        await asyncio.sleep(0.01)
        opened.set()
        assert (await first).version == before.version
        assert {told.version for told in await asyncio.gather(*later)} == {before.version + 1}
        assert len(asked) == 2
        monkeypatch.setattr(one.store, "answer", lambda *_: 1 / 0)
        found = await asyncio.gather(*(one.told(KEY) for _ in range(9)), return_exceptions=True)
        assert {type(each) for each in found} == {ZeroDivisionError}
        assert not one._next

    asyncio.run(run())


def test_the_first_question_begins_a_release(tmp_path):
    one = gate(tmp_path)
    told = asyncio.run(one.asked(KEY))
    assert (told.facts["outcome"], told.facts["no_data"]) == ("marginal", True)


def test_a_release_keeps_the_policy_that_it_began_with(tmp_path):
    folder = policies(tmp_path / "policies")
    one = gate(tmp_path, folder=folder)

    async def run():
        await one.push(KEY, batch(minute(0)))
        policies(tmp_path / "policies", default=POLICY.replace("latency", "duration"))
        return await one.push(KEY, batch(minute(1)))

    assert asyncio.run(run()).facts["points"]["latency"] == [2, 2]


def test_policies_are_found_by_service_and_by_name(tmp_path):
    strict = POLICY.replace("version: 1", "version: 1\nalpha: 0.1%")
    one = gate(
        tmp_path, folder=policies(tmp_path / "policies", default=POLICY, checkout=strict, other=POLICY)
    )

    async def run():
        return [
            (await one.begin(Key("checkout", "1"))).policy_name,
            (await one.begin(Key("cart", "1"))).policy_name,
            (await one.begin(Key("cart", "2"), Wish(policy="other"))).policy_name,
            (await one.begin(Key("cart", "3"), Wish(document=POLICY))).policy_name,
        ]

    assert asyncio.run(run()) == ["checkout", "default", "other", "(given)"]
    with pytest.raises(UnknownPolicyError, match="'othr'"):
        asyncio.run(one.begin(Key("cart", "4"), Wish(policy="othr")))
    with pytest.raises(PolicyError, match="extends"):
        asyncio.run(one.begin(Key("cart", "4"), Wish(document="extends: /etc/passwd\n" + POLICY)))
    with pytest.raises(UnknownPolicyError):
        asyncio.run(one.begin(Key("cart", "4"), Wish(policy="../policies/other")))


def test_a_folder_of_policies_is_looked_at_before_anybody_asks(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        PolicyFolder(str(tmp_path / "none"))
    with pytest.raises(DataError, match="no policy in it"):
        PolicyFolder(str(tmp_path))
    with pytest.raises(PolicyError, match="broken"):
        policies(tmp_path / "policies", broken="metrics: 3")
    finished = "metrics: [{name: cpu, direction: increase, rules: [late_shift]}]"
    folder = policies(tmp_path / "others", finished=finished, default=POLICY)
    assert list(folder.unwatched()) == ["finished"]


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 201, "a/b", "é", "-x", "a\n"])
def test_names_of_releases(name):
    with pytest.raises(DataError, match="is no name"):
        Key.of(name, "1")
    with pytest.raises(DataError, match="is no name"):
        Key.of("checkout", name)


def test_a_deleted_release_begins_anew(tmp_path):
    one = gate(tmp_path)

    async def run():
        await one.push(KEY, batch(minute(0), "a"))
        assert await one.delete(KEY)
        assert not await one.delete(KEY)
        with pytest.raises(UnknownReleaseError):
            await one.verdict(KEY)
        return await one.push(KEY, batch(minute(0), "a"))

    assert asyncio.run(run()).facts["points"]["errors"] == [1, 1]


def test_a_history_is_kept_in_the_state(tmp_path):
    past = [{"metric": "latency", "value": 100.0 + i % 7, "time": 60 * i} for i in range(400)]
    one = gate(tmp_path)

    async def run():
        await one.begin(KEY, Wish(history=batch(past)))
        return await one.push(KEY, batch(minute(0)))

    asyncio.run(run())
    monitor = cj.Monitor(cj.load_policy(tmp_path / "policies/default.yaml"), history=past)
    monitor.update(minute(0))
    assert one.store.read(*KEY).state == monitor.to_json()


STAGED = """
version: 1
stages: [{canary: 5%, max_duration: 1h}, {canary: 50%, max_duration: 1h}]
metrics: [{name: errors, kind: ratio, direction: increase, tolerance: 50%, dispersion: 1}]
"""


def test_a_policy_with_stages_is_a_rollout(tmp_path):
    one = gate(tmp_path, folder=policies(tmp_path / "policies", default=STAGED))

    async def run():
        found = []
        share = 0.05
        for number in range(30):
            points = {"errors": minute(number)["errors"]}
            for arm, part in (("baseline", 1 - share), ("canary", share)):
                points["errors"][arm] |= {"value": [round(100 * part)], "total": [round(10_000 * part)]}
            told = await one.push(KEY, batch(points))
            share = told.facts["share"]
            found.append((told.facts["action"], told.facts["share"]))
        return found, await one.report(KEY), await one.explanation(KEY)

    found, report, explanation = asyncio.run(run())
    assert found[0] == ("hold", 0.05)
    assert ("advance", 0.5) in found
    assert found[-1] == ("complete", 1.0)
    assert report.startswith("<!DOCTYPE html>")
    assert "complete" in explanation.lower()


def test_the_looks_are_remembered_within_bounds(tmp_path):
    told = pushed(tmp_path, [batch({"errors": minute(number)["errors"]}) for number in range(300)])
    looks = told[-1].facts["looks"]
    assert len(looks) <= 240
    assert looks[-1][1] == told[-1].facts["outcome"]
    assert [look[0] for look in looks] == sorted(look[0] for look in looks)


def test_a_store_that_is_always_written_to_by_others_is_given_up_on(tmp_path, monkeypatch):
    one = gate(tmp_path)
    monkeypatch.setattr("canaryjudge.server.gate._TRIES", 3)
    monkeypatch.setattr(one.store, "write", lambda *_: False)
    with pytest.raises(ConflictError, match="faster than it can be judged"):
        asyncio.run(one.push(KEY, batch(minute(0))))


def test_a_clock_is_what_looks_are_told_by(tmp_path):
    clock = Clock(1_796_000_000.0)
    told = pushed(tmp_path, [batch(minute(0))], now=clock)
    assert told[0].facts["looked"] == "2026-11-30T00:53:20Z"
    assert told[0].updated == clock.now


def test_an_idempotency_key_belongs_to_its_points(tmp_path):
    one = gate(tmp_path)

    async def run():
        await one.push(KEY, batch(minute(0), "a"))
        with pytest.raises(DataError, match="that of other points"):
            await one.push(KEY, batch(minute(1), "a"))
        found = await asyncio.gather(
            one.push(KEY, batch(minute(2), "b")), one.push(KEY, batch(minute(3), "b")), return_exceptions=True
        )
        return found, await one.told(KEY)

    found, told = asyncio.run(run())
    assert sorted(type(each).__name__ for each in found) == ["DataError", "Told"]
    assert told.facts["points"]["errors"] == [2, 2]


@pytest.mark.parametrize("time", [None, [None], ""])
def test_times_that_are_empty_are_none(tmp_path, time):
    folder = policies(tmp_path / "policies", default=POLICY.replace("max_duration: 2h", "max_points: 400"))
    points = without_times(minute(0))
    if time == "":
        rows = [
            ["metric", "arm", "value", "total", "time"],
            *(
                [name, arm, own["value"][0], own.get("total", [""])[0], ""]
                for name, arms in points.items()
                for arm, own in arms.items()
            ),
        ]
        sent = Batch("\n".join(",".join(map(str, row)) for row in rows).encode(), "text/csv")
    else:
        sent = batch(
            {name: {arm: own | {"time": time} for arm, own in arms.items()} for name, arms in points.items()}
        )
    one = gate(tmp_path, folder=folder)

    async def run():
        with pytest.raises(DataError):
            await one.push(KEY, sent)
        return await one.told(KEY)

    assert asyncio.run(run()).facts["points"]["errors"] == [0, 0]


@pytest.mark.parametrize(
    "wish", [Wish(policy="other"), Wish(document=POLICY), Wish(baseline="old"), Wish(canary="new")]
)
def test_a_release_is_not_told_to_who_wants_it_watched_otherwise(tmp_path, wish):
    one = gate(tmp_path, folder=policies(tmp_path / "policies", default=POLICY, other=POLICY))

    async def run():
        await one.begin(KEY)
        for asking in (one.asked(KEY, wish), one.begin(KEY, wish), one.push(KEY, batch(minute(0)), wish)):
            with pytest.raises(ConflictError, match="is watched with"):
                await asking
        assert await one.asked(KEY, Wish(policy="default")) == await one.told(KEY)
        assert await one.asked(KEY, Wish(stable="v1")) == await one.told(KEY)  # nothing is fetched by it

    asyncio.run(run())


def test_more_than_can_wait_is_refused(tmp_path):
    one = gate(tmp_path, limits=Limits(waiting=2000))

    async def run():
        await one.begin(KEY)
        found = await asyncio.gather(
            *(one.push(KEY, batch(minute(number))) for number in range(20)), return_exceptions=True
        )
        assert {type(each) for each in found} == {BusyError, Told}
        assert one._held == 0
        return await one.push(KEY, batch(minute(30)))

    asyncio.run(run())


def test_points_of_a_release_that_was_begun_anew_are_of_the_old_one(tmp_path):
    one = gate(tmp_path)

    async def run():
        old = await one.begin(KEY)
        await one.delete(KEY)
        one.now.now += 1
        with pytest.raises(UnknownReleaseError):
            await one.push(KEY, batch(minute(0)), started=old.started)
        await one.begin(KEY)
        with pytest.raises(UnknownReleaseError, match="began anew"):
            await one.push(KEY, batch(minute(0)), started=old.started)
        assert not await one.delete(KEY, old.started)
        return await one.told(KEY)

    assert asyncio.run(run()).facts["points"]["errors"] == [0, 0]


def test_whatever_breaks_within_an_update_leaves_no_part_of_it(tmp_path, monkeypatch):
    one = gate(tmp_path)
    feed, calls = cj.Monitor.update, []

    def short(self, data):
        feed(self, data)
        calls.append(data)
        if len(calls) == 2:
            raise MemoryError

    async def run():
        await one.push(KEY, batch(minute(0)))
        monkeypatch.setattr(cj.Monitor, "update", short)
        found = await asyncio.gather(
            *(one.push(KEY, batch(minute(number))) for number in (1, 2, 3)), return_exceptions=True
        )
        return found, await one.told(KEY)

    found, told = asyncio.run(run())
    assert [type(each).__name__ for each in found].count("DataError") == 1
    assert told.facts["points"]["errors"] == [3, 3]

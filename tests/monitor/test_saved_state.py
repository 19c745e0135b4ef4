"""What a monitor saves: everything, in little, and nothing that another policy or hand may change; and merging."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from streams import METHODS, arm, both, policy_of, update_of

import canaryjudge as cj
from canaryjudge.monitor import saved_state

LARGEST = 20_000


@pytest.mark.parametrize("name", METHODS)
def test_a_monitor_goes_on_exactly_where_it_was_saved(name):
    policy = policy_of(name)
    straight, resumed = cj.Monitor(policy), cj.Monitor(policy)
    for start in range(45):
        update = update_of(name, start, 1, start=start)
        straight.update(update)
        resumed.update(update)
        if start % 3 == 0:
            assert resumed.verdict() == straight.verdict()
        text = resumed.to_json()
        resumed = cj.Monitor.from_json(text, policy)
        assert resumed.to_json() == text == straight.to_json()
    assert cj.Monitor.from_json(text.encode(), policy).verdict() == straight.verdict()


def state(**settings):
    one = cj.Monitor(policy_of("mixture", **settings))
    one.update(update_of("mixture", 1, 10))
    return one.to_json()


def edited(**changes):
    return json.dumps(json.loads(state()) | changes)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (state()[:-40], "not JSON, or is cut short"),
        ("", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[1]", "not the state of a monitor"),
        ("{}", "not the state of a monitor"),
        (edited(format="other"), "not the state of a monitor"),
        (edited(state_version=99), "is of version 99, saved by canaryjudge"),
        (edited(version="0.0.0"), "its digest does not fit"),
        (edited(failed=True), "its digest does not fit"),
        (edited(digest="0" * 64), "its digest does not fit"),
        (edited(digest=None), "its digest does not fit"),
        (edited(extra=float("nan")), "its digest does not fit"),
        (state().replace('"intervals":10', '"intervals":11'), "its digest does not fit"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_not_a_state_of_this_watch_is_refused(text, match):
    with pytest.raises(cj.DataError, match=match):
        cj.Monitor.from_json(text, policy_of("mixture"))


def test_a_state_of_the_same_form_is_read_whichever_version_saved_it():
    """An upgrade ends no watch: neither another version nor settings that it knows besides are another policy."""
    body = json.loads(state())
    body.pop("digest")
    other = body | {"version": "0.0.9"}
    text = json.dumps(other | {"digest": saved_state._body_digest(other)})
    assert cj.Monitor.from_json(text, policy_of("mixture")).to_json() == state()


@pytest.mark.parametrize("kept", ["saved.json", "saved-3.json"])
def test_a_state_that_was_saved_long_ago_is_still_read(kept):
    """These files are never written again: whoever changes what is saved raises STATE_VERSION, brings along the way from there, and keeps a further one."""
    kept = json.loads((Path(__file__).parent / kept).read_text(encoding="utf-8"))
    for name, text in kept.items():
        resumed = cj.Monitor.from_json(text, policy_of(name))
        straight = cj.Monitor(policy_of(name))
        straight.update(update_of(name, 1, 40))
        assert resumed.verdict() == straight.verdict()


def test_policies_differ_by_what_they_state():
    policies = [
        policy_of("mixture"),
        policy_of("mixture", rules=[cj.Sequential()]),
        policy_of("mixture", rules=[cj.Proportion()]),
        policy_of("mixture", tolerance="51%"),
        policy_of("looks"),
        policy_of("looks").model_copy(update={"max_points": 61}),
    ]
    assert len({saved_state._digest_of(policy) for policy in policies}) == len(policies)
    assert saved_state._digest_of(policy_of("mixture", role="required")) == saved_state._digest_of(
        policies[0]
    )


def test_another_policy_or_history_is_refused():
    with pytest.raises(cj.DataError, match="under another policy"):
        cj.Monitor.from_json(state(tolerance="20%"), policy_of("mixture"))
    history = update_of("mixture", 5, 100)
    one = cj.Monitor(policy_of("mixture"), history=history)
    for again in (history, None):
        resumed = cj.Monitor.from_json(one.to_json(), policy_of("mixture"), history=again)
        assert resumed.to_json() == one.to_json()
    with pytest.raises(cj.DataError, match="another history"):
        cj.Monitor.from_json(one.to_json(), policy_of("mixture"), history=update_of("mixture", 6, 100))
    with pytest.raises(cj.DataError, match="another history"):
        cj.Monitor.from_json(state(), policy_of("mixture"), history=history)


def earlier(seed, count, series=2):
    rng = np.random.default_rng(seed)
    times = 60.0 * np.arange(-count, 0)
    return {f"pod-{pod}": {"time": times, "value": rng.gamma(2, 5, count).round()} for pod in range(series)}


def test_the_history_is_the_yardstick():
    """Bursts that the history knows of weaken the first look; a gauge at planned looks is held against what its series differed by."""
    bursty = earlier(1, 200)
    policy = policy_of("mixture of counts")
    one, calm = cj.Monitor(policy, history={"m": bursty}), cj.Monitor(policy)
    for each in (one, calm):
        each.update(update_of("mixture of counts", 2, 5, harmful=True))
    assert one.verdict().metrics["m"].findings[0].dispersion == pytest.approx(5.5, abs=2.5)
    assert calm.verdict().metrics["m"].findings[0].dispersion == 4
    gauge = cj.Monitor(policy_of("looks"), history={"m": earlier(3, 700, 3)})
    gauge.update(update_of("looks", 4, 60))
    result = cj.Monitor.from_json(gauge.to_json(), policy_of("looks")).verdict().metrics["m"]
    assert result.history.floor.between == "replicas"
    assert (result.history.windows, result.history.late) == (11, 0)
    found = result.findings[0].noise_floor
    assert not found or (not found.assumed and found.df == result.history.floor.df)


def test_what_the_history_has_of_the_release_is_left_out():
    history = {"m": earlier(3, 700, 3)}
    start = -60.0 * 100
    late = {
        side: {"time": start + 60.0 * np.arange(20), "value": np.arange(20.0) + 10}
        for side in ("baseline", "canary")
    }
    one, other = (cj.Monitor(policy_of("looks"), history=history) for _ in range(2))
    with pytest.raises(cj.DataError):
        one.update({"m": {"baseline": {"time": [start], "value": ["x"]}}})
    assert one.to_json() == other.to_json()
    one.update({"m": late})
    result = one.verdict().metrics["m"]
    assert result.history.late == 300
    assert result.history.end < start


# size -------------------------------------------------------------------------------------------------------------------

WIDE = {
    "ratio either way": (
        "ratio",
        {"direction": "either", "tolerance": {"relative": "50%", "absolute": "0.3%"}},
    ),
    "successes either way": (
        "success",
        {"direction": "either", "tolerance": {"relative": "10%", "absolute": "0.5%"}},
    ),
    "count": ("count", {"tolerance": "50%"}),
    "betting": (
        "gauge",
        {
            "direction": "either",
            "tolerance": {"relative": "10%", "absolute": 5},
            "rules": [cj.Sequential(method="betting", cap=200)],
        },
    ),
    "mean": (
        "gauge",
        {
            "direction": "either",
            "tolerance": {"relative": "10%", "absolute": 5},
            "rules": [cj.Sequential(method="mean")],
        },
    ),
    "histogram": ("histogram", {"tolerance": "20%"}),
    "samples": ("samples", {"direction": "either", "tolerance": {"relative": "20%", "absolute": 0.1}}),
    "ranks": (
        "samples",
        {"direction": "either", "tolerance": "20%", "rules": [cj.Sequential(independent=True)]},
    ),
    "gauge": ("gauge", {"direction": "either"}),
    "shares at looks": ("ratio", {"rules": [cj.Sequential(method="looks")]}),
}


@pytest.mark.parametrize("updates", [40, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", WIDE)
def test_a_saved_state_stays_small(name, updates):
    """Hundreds of intervals, most of them after a pass, when two processes are watched."""
    kind, metric = WIDE[name]
    given = {"name": "m", "kind": "ratio" if kind == "success" else kind, "direction": "increase"} | metric
    end = {"max_points": 360} if name in ("gauge", "shares at looks") else {}
    one = cj.Monitor(cj.Policy(metrics=[cj.Metric(**given)], **end))
    sizes = []
    for start in range(0, 20 * updates, 20):
        one.update({"m": both(kind, start, 20, start=start, **({"each": 6} if kind == "samples" else {}))})
        one.verdict()
        sizes.append(len(one.to_json()))
    assert one.verdict().outcome == "pass"
    assert max(sizes) <= LARGEST
    assert max(sizes[updates // 2 :]) <= 1.5 * max(sizes[: updates // 2])


# merging ----------------------------------------------------------------------------------------------------------------


def shards(name, count=3):
    found = []
    for seed in range(count):
        one = cj.Monitor(policy_of(name))
        one.update(update_of(name, seed, 20, start=100 * seed))
        found.append(one)
    return found


@pytest.mark.parametrize("name", ["mixture", "mixture of successes", "mixture of counts", "betting", "cmh"])
def test_shards_merge_in_any_order_into_the_same_state(name):
    texts, digests = set(), set()
    for order in permutations(range(3)):
        parts = shards(name)
        one = cj.Monitor(policy_of(name))
        for index in order:
            one.merge(parts[index])
        texts.add(json.dumps(json.loads(one.to_json())["metrics"]["m"]["watches"]))
        digests.add(one.verdict().data_digest)
    assert len(texts) == len(digests) == 1


@pytest.mark.parametrize("name", METHODS)
def test_merging_gives_one_verdict_either_way(name):
    (a, b), (c, d) = shards(name, 2), shards(name, 2)
    before = b.to_json()
    a.merge(b)
    d.merge(c)
    assert b.to_json() == before
    mine, theirs = a.verdict(), d.verdict()
    assert (mine.outcome, mine.metrics["m"].findings) == (theirs.outcome, theirs.metrics["m"].findings)


def test_what_does_not_belong_together_is_not_merged():
    one, other = shards("mixture", 2)
    with pytest.raises(cj.DataError, match="a str cannot be merged"):
        one.merge("other")
    for wrong, match in (
        (cj.Monitor(policy_of("mixture", tolerance="20%")), "policy"),
        (cj.Monitor(policy_of("mixture"), canary="green"), "names of the arms"),
        (cj.Monitor(policy_of("mixture"), history=update_of("mixture", 5, 100)), "history"),
    ):
        with pytest.raises(cj.DataError, match=f"differ in their {match}"):
            one.merge(wrong)
    with pytest.raises(cj.DataError, match="the same data are in both"):
        one.merge(cj.Monitor.from_json(one.to_json(), one._policy))
    one.merge(other)


def test_a_merge_that_is_refused_changes_nothing_in_any_metric():
    def made(second, seed):
        settings = {"kind": "ratio", "direction": "either", "tolerance": {"absolute": "1%"}}
        policy = cj.Policy(metrics=[cj.Metric(name=name, **settings) for name in ("a", "b")])
        one = cj.Monitor(policy)
        one.update(
            {"a": both("ratio", seed, 30, start=seed * 100), "b": both(second, seed, 30, start=seed * 100)}
        )
        return one

    one, other = made("ratio", 1), made("success", 2)
    verdict, before = one.verdict(), one.to_json()
    with pytest.raises(cj.DataError, match="mostly successes in one shard"):
        one.merge(other)
    assert one.to_json() == before
    empty = cj.Monitor(one._policy)
    empty.update({"b": both("ratio", 1, 30)})
    before = empty.to_json()
    with pytest.raises(cj.DataError, match="mostly successes in one shard"):
        empty.merge(other)
    assert empty.to_json() == before
    assert one.verdict() == verdict


def test_points_whose_partner_is_in_the_other_shard_count_after_the_next_update():
    policy = policy_of("mixture")
    data = update_of("mixture", 1, 30)["m"]
    parts = [cj.Monitor(policy), cj.Monitor(policy)]
    for part, side in zip(parts, data, strict=True):
        part.update({"m": {side: data[side]}})
    parts[0].merge(parts[1])
    parts[0].update({})
    whole = cj.Monitor(policy)
    whole.update({"m": data})
    assert parts[0].verdict().metrics["m"].findings == whole.verdict().metrics["m"].findings


def test_a_fail_of_one_shard_is_a_fail_of_all():
    one, other = shards("mixture", 2)
    other.update(update_of("mixture", 9, 60, harmful=True, start=5000))
    assert other.verdict().outcome == "fail"
    one.merge(other)
    assert one.verdict().outcome == "fail"
    assert cj.Monitor.from_json(one.to_json(), one._policy).verdict().outcome == "fail"


def test_histograms_of_many_edges_merge_by_those_that_all_have_tested():
    edges = np.append(0.1 * 1.2 ** np.arange(25), np.inf)

    def made(seed, median):
        one = cj.Monitor(policy_of("cmh"))
        rng = np.random.default_rng(seed)
        columns = {}
        for side in ("baseline", "canary"):
            values = rng.lognormal(np.log(median), 0.5, (30, 300))
            counts = (values[:, :, None] <= edges).sum(axis=1)
            columns[side] = {
                "time": np.repeat(60.0 * np.arange(30) + seed * 1e5, len(edges)),
                "le": np.tile(edges, 30),
                "value": counts.ravel(),
            }
        one.update({"m": columns})
        return one

    one, other = made(1, 1.0), made(2, 2.0)
    twin, back = made(1, 1.0), made(2, 2.0)
    one.merge(other)
    back.merge(twin)
    assert one.verdict().metrics["m"].findings == back.verdict().metrics["m"].findings
    assert one.verdict().metrics["m"].findings[0].n_canary == 60


def test_arms_keep_the_names_that_the_caller_gave():
    one = cj.Monitor(policy_of("mixture"), baseline="v1", canary="v2")
    rng = np.random.default_rng(1)
    one.update({"m": {name: arm("ratio", rng, 20) for name in ("v1", "v2")}})
    again = cj.Monitor.from_json(one.to_json(), policy_of("mixture"))
    assert (again.verdict().baseline_arm, again.verdict().canary_arm) == ("v1", "v2")

"""A rollout: which stage, what to do, why; saved between steps, and nothing that comes twice counts twice."""

import json
from pathlib import Path

import numpy as np
import pytest
from streams import EDGES, arm

import canaryjudge as cj
from canaryjudge.patterns import RolloutVerdict

REQUESTS = 20_000
STAGES = [{"canary": share, "max_duration": "30m"} for share in ("5%", "25%", "50%")]


def errors_policy(stages=STAGES, metric=None, **settings):
    given = {"name": "errors", "kind": "ratio", "direction": "increase", "tolerance": "50%", "dispersion": 1}
    return cj.Policy(metrics=[given | (metric or {})], stages=stages, **settings)


def minute_of(minute, share, ratio=1.0, *, rate=0.01, requests=REQUESTS, **told):
    """One minute of errors; `got` is the share that the canary gets in truth."""
    got = told.get("got", share)
    arms = {"baseline": round(requests * (1 - got)), "canary": round(requests * got)}
    update = {
        name: {
            "time": [60.0 * minute],
            "value": [round(total * rate * (ratio if name == "canary" else 1))],
            "total": [total],
        }
        for name, total in arms.items()
    }
    return {"errors": {name: update[name] for name in told.get("arms", arms)}}


def played(policy, ratio_of=lambda minute, verdict: 1.0, minutes=90, **told):
    """Give the verdict of each minute, from a fresh process each time."""
    state, verdicts = cj.Rollout(policy).to_json(), []
    for minute in range(minutes):
        rollout = cj.Rollout.from_json(state, policy)
        before = rollout.verdict()
        update = minute_of(minute, before.share, ratio_of(minute, before), **told)
        rollout.update(update)
        verdicts.append(rollout.verdict())
        state = rollout.to_json()
        again = cj.Rollout.from_json(state, policy)
        again.update(update)
        assert again.to_json() == state
        assert again.verdict() == verdicts[-1]
        if verdicts[-1].action in ("complete", "rollback"):
            break
    return verdicts


def shape(verdicts):
    """Give what was done, without the holds."""
    return [(v.action, v.stage, v.share) for v in verdicts if v.action != "hold"]


def test_a_release_without_harm_goes_through_its_stages_and_is_complete():
    verdicts = played(errors_policy())
    assert shape(verdicts) == [("advance", "25%", 0.25), ("advance", "50%", 0.5), ("complete", "50%", 1.0)]
    last = verdicts[-1]
    assert (last.outcome, last.next_share, last.lacks_data) == ("pass", None, False)
    assert [stage.status for stage in last.stages] == ["left"] * 3
    assert last.reason.startswith("COMPLETE: stage 50% excludes what harm it must; PASS: errors")
    assert last.release.outcome == "pass"
    assert (last.waived, last.doubts) == ((), ())


@pytest.mark.parametrize("ends_early", [False, True])
def test_a_warm_up_is_left_out_at_the_start_of_every_stage(ends_early):
    """A canary whose caches are cold for three minutes after each share is not rolled back, in what is known since the start either; one that is worse for longer is."""
    policy = errors_policy(metric={"warmup": "3m"})
    began, lasts = {}, 3 if ends_early else 8

    def ratio_of(minute, verdict):
        first = began.setdefault(verdict.stage, minute)
        return 20.0 if minute - first < lasts else 1.0

    verdicts = played(policy, ratio_of)
    last = verdicts[-1]
    assert last.action == ("complete" if ends_early else "rollback")
    if ends_early:
        kept = len(verdicts) - 3 * len(STAGES)
        assert last.release.metrics["errors"].findings[0].n_canary == kept
        (note,) = [
            note
            for note in last.release.metrics["errors"].warnings
            if note.code == "warmup" and note.arm == "canary"
        ]
        assert note.count == 3 * len(STAGES)


def test_what_is_complete_or_rolled_back_stays_so():
    policy = errors_policy()
    for ratio, action in ((1.0, "complete"), (10.0, "rollback")):
        rollout, minute = cj.Rollout(policy), 0
        while rollout.verdict().action not in ("complete", "rollback"):
            rollout.update(minute_of(minute, rollout.verdict().share, ratio))
            minute += 1
        before = rollout.to_json()
        rollout.update(minute_of(minute, 0.5, 3.0))
        assert rollout.verdict().action == action
        assert rollout.to_json() == before


def test_a_fault_ends_it_in_the_first_stage():
    verdicts = played(errors_policy(), lambda *_: 5.0)
    assert shape(verdicts) == [("rollback", "5%", 0.0)]
    assert verdicts[-1].outcome == "fail"
    assert [stage.status for stage in verdicts[-1].stages] == ["failed", "ahead", "ahead"]
    assert verdicts[-1].reason.startswith("ROLL BACK: stage 5%; FAIL: errors: canary is 5 times")
    with pytest.raises(cj.ReleaseFailed, match="ROLL BACK"):
        verdicts[-1].raise_for_outcome()


def test_a_fault_that_begins_in_a_later_stage_is_found_by_that_stage():
    verdicts = played(errors_policy(), lambda _, verdict: 2.0 if verdict.stage == "50%" else 1.0)
    assert shape(verdicts)[-1] == ("rollback", "50%", 0.0)


def test_harm_within_a_stage_bound_leaves_the_stage_and_not_the_last_one():
    """Half as many again is no more than tolerated, so nothing fails; 50 % is what the last stage must exclude."""
    verdicts = played(errors_policy(metric={"pass_within": "50%"}), lambda *_: 1.5)
    assert [stage.bound_times for stage in verdicts[0].stages] == pytest.approx(
        [10**0.5, 2**0.5, 1.0], rel=1e-9
    )
    assert ("advance", "25%", 0.25) in shape(verdicts)
    assert verdicts[-1].action == "hold"


def test_a_stage_asks_its_data_to_exclude_its_own_bound():
    policy = errors_policy(
        stages=[*STAGES[:2], STAGES[2] | {"advance": "proven"}], metric={"pass_within": "60%"}
    )
    rollout = cj.Rollout(policy)
    rollout.update(minute_of(0, 0.05))
    (finding,) = rollout.verdict().at_stage.metrics["errors"].findings
    assert finding.pass_high == pytest.approx(1.0)
    assert rollout.verdict().release.metrics["errors"].findings[0].pass_high == pytest.approx(0.6)


@pytest.mark.parametrize(("rate", "most"), [(0.01, 1.0), (0.0001, 2.0)])
def test_what_is_left_to_the_baseline_grows_to_all_of_its_errors_at_most(rate, most):
    metric = {"tolerance": {"relative": "10%", "absolute": "0%"}}
    rollout = cj.Rollout(
        errors_policy(stages=[{"canary": "1%", "max_duration": "1h"}, STAGES[2]], metric=metric)
    )
    rollout.update(minute_of(0, 0.01, rate=rate, requests=200 / rate))
    (finding,) = rollout.verdict().at_stage.metrics["errors"].findings
    assert finding.scale == "relative"
    assert 0.7 * most < finding.pass_high <= most * 1.001


def test_alpha_is_shared_out_over_the_release_and_its_stages():
    rollout = cj.Rollout(errors_policy(alpha="2%"))
    rollout.update(minute_of(0, 0.05))
    verdict = rollout.verdict()
    assert verdict.alpha == 0.02
    assert verdict.release.alpha + 3 * verdict.at_stage.alpha == pytest.approx(0.02)


def test_min_duration_holds_a_stage_and_says_for_how_long():
    stages = [STAGES[0] | {"min_duration": "20m"}, STAGES[2]]
    verdicts = played(errors_policy(stages=stages))
    young = [v for v in verdicts if v.because == "young"]
    assert len(young) > 5
    assert young[-1].wait_s == 60.0
    assert shape(verdicts)[0] == ("advance", "50%", 0.5)
    assert [v.action for v in verdicts].index("advance") == 20
    assert "lasts longer, about 60 seconds more" in young[-1].reason


def test_time_alone_leaves_a_stage_where_the_policy_says_so_and_waives_beta():
    stages = [{"canary": "1%", "min_duration": "5m", "max_duration": "30m", "advance": "time"}, STAGES[2]]
    verdicts = played(errors_policy(stages=stages), requests=200)
    assert [v.action for v in verdicts].index("advance") == 5
    (waived,) = verdicts[5].waived
    assert (waived.what, waived.stage) == ("by_time", "1%")
    assert "has had its time" in verdicts[5].reason
    assert "Waived in stage 1%: time alone" in " ".join(verdicts[5].explain().split())


def test_proof_takes_longer_than_no_harm():
    def minutes(advance):
        verdicts = played(errors_policy(stages=[STAGES[0] | {"advance": advance}, STAGES[2]]))
        return [v.action for v in verdicts].index("advance")

    assert minutes("proven") > minutes("no_harm")


@pytest.mark.parametrize(
    ("on_deadline", "action", "what"),
    [
        ("marginal", "hold", None),
        ("pass", "advance", "left_at_deadline"),
        ("fail", "rollback", "failed_at_deadline"),
    ],
)
def test_a_stage_that_is_over_undecided_is_the_policys_to_decide(on_deadline, action, what):
    stages = [STAGES[0] | {"max_duration": "10m"}, STAGES[2]]
    verdicts = played(errors_policy(stages=stages, on_deadline=on_deadline), minutes=12, requests=200)
    assert [v.action for v in verdicts[:10]] == ["hold"] * 10
    over = verdicts[10]
    assert (over.action, over.because) == (action, "deadline")
    assert "is over" in over.reason
    assert [waived.what for waived in over.waived] == ([what] if what else [])


@pytest.mark.parametrize(("does", "action"), [("hold", "hold"), ("rollback", "rollback"), ("warn", "hold")])
def test_traffic_that_is_not_split_as_the_stage_says_is_told_with_its_place(does, action):
    """Where it warns, nothing is left that could be proven fine."""
    verdicts = played(errors_policy(on_doubt={"split_mismatch": does}), minutes=25, got=0.10)
    (doubt,) = verdicts[-1].doubts
    assert (doubt.cause, doubt.metric, doubt.stage, doubt.does) == ("split_mismatch", "errors", "5%", does)
    assert (doubt.expected, round(doubt.found, 3)) == (0.05, 0.1)
    assert verdicts[-1].action == action
    assert not any(v.action == "advance" for v in verdicts)
    if does != "warn":
        said = "in stage 5% the canary got 10 % of the traffic of errors, where the stage gives it 5 %"
        assert said in verdicts[-1].reason


def test_a_split_that_is_wrong_vetoes_even_a_stage_of_time_alone():
    stages = [{"canary": "5%", "min_duration": "5m", "max_duration": "30m", "advance": "time"}, STAGES[2]]
    verdicts = played(errors_policy(stages=stages), minutes=20, got=0.10)
    assert not any(v.action == "advance" for v in verdicts)


def both(minute, share, **changes):
    """Errors, and a gauge beside them."""
    update = minute_of(minute, share)
    levels = {"baseline": 100 + minute % 3, "canary": 100 + minute % 2} | changes
    update["cpu"] = {
        name: {"time": [60.0 * minute], "value": [level]}
        for name, level in levels.items()
        if level is not None
    }
    return update


def with_gauge(**settings):
    cpu = {"name": "cpu", "direction": "increase", "pass_within": "30%"}
    return cj.Policy(metrics=[*errors_policy().metrics, cpu], stages=STAGES, **settings)


@pytest.mark.parametrize(
    ("does", "action"), [("hold", "hold"), ("rollback", "rollback"), ("warn", "advance")]
)
def test_a_metric_without_traffic_does_what_the_policy_says(does, action):
    rollout = cj.Rollout(with_gauge(on_doubt={"no_traffic": does}))
    actions = []
    for minute in range(25):
        rollout.update(both(minute, rollout.verdict().share, canary=None))
        actions.append(rollout.verdict().action)
    assert "advance" not in actions[:9]  # it might have been late
    assert action in actions
    if does == "hold":
        assert set(actions) == {"hold"}
        assert "cpu has an arm without traffic" in rollout.verdict().reason
    if does == "warn":
        assert ("warned", "5%") in [(each.what, each.stage) for each in rollout.verdict().waived]
        assert "on_doubt: warn goes on without metrics" in " ".join(rollout.verdict().explain().split())


def test_a_broken_metric_holds_and_the_others_go_on():
    rollout = cj.Rollout(with_gauge())
    for minute in range(14):
        rollout.update(both(minute, 0.05, canary="not a number" if minute > 4 else 100))
    verdict = rollout.verdict()
    assert (verdict.action, verdict.because) == ("hold", "doubt")
    assert "cpu is not what the policy says" in verdict.reason


def test_gauges_are_looked_at_at_planned_times_within_a_stage():
    rollout = cj.Rollout(with_gauge())
    for minute in range(3):
        rollout.update(both(minute, 0.05))
    verdict = rollout.verdict()
    assert verdict.action == "hold"
    assert verdict.wait_s == 240.0  # the first of five looks within half an hour is after six minutes


def test_counts_without_totals_are_out_of_what_each_stage_gives():
    """As many errors a request, at 5 % and then at 25 % of the traffic."""
    metric = {"kind": "count", "dispersion": None}
    rollout = cj.Rollout(errors_policy(metric=metric))
    for minute in range(80):
        share = rollout.verdict().share
        rollout.update(
            {
                "errors": {
                    name: {"time": [60.0 * minute], "value": [round(400 * part)]}
                    for name, part in (("baseline", 1 - share), ("canary", share))
                }
            }
        )
        if rollout.verdict().action == "complete":
            break
    verdict = rollout.verdict()
    assert verdict.action == "complete"
    (finding,) = verdict.release.metrics["errors"].findings
    assert abs(finding.estimate) < 0.02


@pytest.mark.parametrize("kind", ["samples", "histogram", "counter"])
def test_every_kind_goes_through_stages(kind):
    metric = {
        "name": "m",
        "kind": "ratio" if kind == "counter" else kind,
        "direction": "increase",
        "tolerance": "50%",
    }
    if kind == "counter":
        metric |= {"counter": True, "dispersion": 1}
    policy = cj.Policy(metrics=[metric], stages=[STAGES[0], STAGES[2]])
    rollout, rng, grown = cj.Rollout(policy), np.random.default_rng(5), np.zeros((2, 2))
    for minute in range(60):
        share = rollout.verdict().share
        update = {}
        for index, name in enumerate(("baseline", "canary")):
            requests = round(20_000 * (share if index else 1 - share))
            if kind == "counter":
                grown[index] += requests // 100, requests
                value, total = grown[index]
                update[name] = {"time": [60.0 * minute], "value": [value], "total": [total]}
            else:
                update[name] = arm(kind, rng, 1, start=minute)
        rollout.update({"m": update})
        assert cj.Rollout.from_json(rollout.to_json(), policy).to_json() == rollout.to_json()
        if rollout.verdict().action == "complete":
            break
    assert rollout.verdict().action == "complete"
    assert rollout.verdict().at_stage.metrics["m"].n_canary < rollout.verdict().release.metrics["m"].n_canary
    assert len(EDGES) > 5


def test_points_from_before_a_stage_are_not_the_stages():
    rollout = cj.Rollout(errors_policy())
    minute = 0
    while rollout.verdict().action != "advance":
        rollout.update(minute_of(minute, 0.05, requests=2000))
        minute += 1
    late = minute_of(minute - 1, 0.05, requests=2000)
    rollout.update({"errors": {"canary": late["errors"]["canary"]}})
    assert rollout.verdict().action == "advance"
    rollout.update(minute_of(minute, 0.25, requests=2000))
    assert rollout.verdict().at_stage.metrics["errors"].n_canary == 1
    assert rollout.verdict().release.metrics["errors"].n_canary == minute + 1


def test_points_that_have_changed_leave_it_as_it_was():
    rollout = cj.Rollout(errors_policy())
    rollout.update(minute_of(0, 0.05))
    before = rollout.to_json()
    with pytest.raises(cj.DataError, match="errors"):
        rollout.update(minute_of(0, 0.05, 3.0))
    assert rollout.to_json() == before


def test_data_without_times_are_refused():
    rollout = cj.Rollout(errors_policy())
    before = rollout.to_json()
    with pytest.raises(cj.DataError, match="times"):
        rollout.update({"errors": {arm: {"value": [1], "total": [100]} for arm in ("baseline", "canary")}})
    assert rollout.to_json() == before


def test_what_cannot_be_rolled_out_is_refused():
    with pytest.raises(cj.PolicyError, match="has no stages"):
        cj.Rollout(cj.Policy(metrics=errors_policy().metrics))
    with pytest.raises(cj.PolicyError, match="side by side"):
        cj.Rollout(errors_policy(metric={"pairing": "windows"}))
    with pytest.raises(cj.PolicyError, match="policy is a dict"):
        cj.Rollout({"stages": STAGES})


def state():
    rollout = cj.Rollout(errors_policy())
    rollout.update(minute_of(0, 0.05))
    return rollout.to_json()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (state()[:-40], "cut short"),
        ("{}", "not the state of a rollout"),
        (cj.Monitor(errors_policy()).to_json(), "not the state of a rollout"),
        (state().replace('"began":0.0', '"began":60.0'), "digest does not fit"),
        (json.dumps(json.loads(state()) | {"state_version": 99}), "is of version 99"),
    ],
)
def test_what_is_no_state_of_a_rollout_is_refused(text, match):
    with pytest.raises(cj.DataError, match=match):
        cj.Rollout.from_json(text, errors_policy())


def test_a_state_of_another_policy_is_refused():
    with pytest.raises(cj.DataError, match="another policy"):
        cj.Rollout.from_json(state(), errors_policy(stages=STAGES[:2]))


@pytest.mark.parametrize("kept", ["saved.json", "saved-2.json", "saved-3.json"])
def test_a_state_that_was_saved_long_ago_is_still_read(kept):
    """These files are never written again: whoever changes what is saved raises STATE_VERSION, brings along the way from there, and keeps a further one."""
    kept = (Path(__file__).parent / kept).read_text(encoding="utf-8")
    resumed, straight = cj.Rollout.from_json(kept, with_gauge()), cj.Rollout(with_gauge())
    for minute in range(30):
        straight.update(both(minute, straight.verdict().share))
    assert what_it_says(resumed) == what_it_says(straight)
    for each in (resumed, straight):
        each.update(both(30, each.verdict().share))
    assert what_it_says(resumed) == what_it_says(straight)


def what_it_says(rollout):
    """What is said to do, and of each metric; a stage of version 1 had spent beta in another way."""
    verdict = rollout.verdict()
    metrics = [
        (name, each.outcome)
        for part in (verdict.at_stage, verdict.release)
        for name, each in part.metrics.items()
    ]
    return (
        verdict.action,
        verdict.because,
        verdict.stage,
        verdict.share,
        [stage.status for stage in verdict.stages],
        metrics,
    )


def test_its_verdict_is_read_back_and_told_in_every_way():
    verdict = played(errors_policy())[-1]
    again = RolloutVerdict.from_json(verdict.to_json())
    assert again == verdict
    assert again.to_json() == verdict.to_json()
    assert verdict.explain(brief=True).replace("\n ", "") == verdict.reason
    assert max(map(len, verdict.explain(brief=True).splitlines())) <= 110
    assert verdict.to_markdown().startswith("## COMPLETE")
    assert verdict.to_frame()[["name", "status"]].values.tolist() == [
        ["5%", "left"],
        ["25%", "left"],
        ["50%", "left"],
    ]
    assert len(verdict.reason) < 200
    assert "COMPLETE" in repr(verdict)
    assert set(verdict._repr_mimebundle_()) == {"text/plain", "text/markdown", "text/html"}
    with pytest.raises(cj.DataError, match="not a rolloutverdict"):
        RolloutVerdict.from_json("{}")


def test_a_verdict_that_contradicts_itself_is_refused():
    text = played(errors_policy())[0].to_json()
    with pytest.raises(cj.DataError, match="contradicts itself"):
        RolloutVerdict.from_json(text.replace('"stage": "5%",\n  "share"', '"stage": "7%",\n  "share"'))


def test_names_that_others_wrote_cannot_steer_a_terminal():
    policy = errors_policy(stages=[STAGES[0] | {"name": "a\u202eb"}], metric={"name": "x|y\u202e"})
    verdict = cj.Rollout(policy).verdict()
    assert "\u202e" not in verdict.explain() + verdict.to_markdown() + verdict.reason + repr(
        cj.Rollout(policy)
    )


def test_it_is_quiet_whatever_the_caller_has_set():
    rollout = cj.Rollout(errors_policy())
    with np.errstate(all="raise"):
        for minute in range(40):
            share = rollout.verdict().share
            rollout.update(minute_of(minute, share, rate=0.1, requests=20_000_000))
            if rollout.verdict().action == "complete":
                break
    assert rollout.verdict().action == "complete"


def test_it_remembers_what_was_decided_when():
    timeline = played(errors_policy())[-1].timeline
    assert [(each.action, each.stage) for each in timeline.decisions if each.action != "hold"] == [
        ("advance", "5%"),
        ("advance", "25%"),
        ("complete", "50%"),
    ]
    times = [each.at for each in timeline.decisions]
    assert times == sorted(times)
    assert timeline.decisions[0].because == "undecided"


def test_it_remembers_which_data_were_in_doubt():
    rollout = cj.Rollout(with_gauge())
    for minute in range(14):
        rollout.update(both(minute, 0.05, canary="not a number" if minute > 4 else 100))
    last = rollout.verdict().timeline.decisions[-1]
    assert (last.action, last.because, last.cause, last.metric) == ("hold", "doubt", "misread", "cpu")


def test_it_remembers_what_each_stage_said_of_a_metric_in_parts_of_what_is_tolerated():
    verdict = played(errors_policy(), lambda *_: 1.2)[-1]
    looks = verdict.timeline.metrics["errors"].looks
    assert [own.stage for own in looks] == [stage.name for stage in verdict.stages if stage.began is not None]
    assert [own.bound for own in looks] == pytest.approx([2.0, 2**0.5, 1.0][: len(looks)], rel=1e-6)
    for own in looks:
        assert own.estimate[-1] == pytest.approx(0.4, abs=0.05)
        known = [(low, high) for low, high in zip(own.low, own.high, strict=True) if None not in (low, high)]
        assert all(low <= high for low, high in known)
        assert len(known) > 1
    (finding,) = verdict.at_stage.metrics["errors"].findings
    assert looks[-1].high[-1] == pytest.approx(finding.pass_interval.high / finding.limit_high, rel=2e-3)


@pytest.mark.parametrize(("minutes", "kept"), [(24, 24), (25, 13), (40, 21), (75, 19)])
def test_of_many_looks_some_are_kept_evenly_and_the_latest(minutes, kept):
    policy = errors_policy(stages=[STAGES[0] | {"max_duration": "9h", "min_duration": "8h"}, STAGES[2]])
    rng, rollout = np.random.default_rng(1), cj.Rollout(policy)
    for minute in range(minutes):
        rollout.update(minute_of(minute, 0.05, float(rng.uniform(0.8, 1.2))))
    (looks,) = rollout.verdict().timeline.metrics["errors"].looks
    steps = set(np.diff(looks.at[:-1]))
    assert len(steps) == 1
    assert looks.at[0] == 0
    assert looks.at[-1] == 60 * (minutes - 1)
    assert len(looks.at) <= kept + 1


def test_what_is_remembered_to_be_drawn_is_small_whatever_happens():
    stages = [stage | {"max_duration": "9h", "min_duration": "1h"} for stage in STAGES]
    policy, rng = errors_policy(stages=stages), np.random.default_rng(2)
    rollout = cj.Rollout(policy)
    for minute in range(200):
        rollout.update(minute_of(minute, rollout.verdict().share, float(rng.uniform(0.8, 1.2))))
    timeline = json.loads(rollout.to_json())["timeline"]
    assert rollout.verdict().stage == "50%"
    assert len(json.dumps(timeline)) < 2500


def test_a_state_goes_on_with_its_timeline_and_one_of_the_first_version_begins_one():
    """`timeline.json` is never written again, as the others are not."""
    straight = cj.Rollout(with_gauge())
    for minute in range(30):
        straight.update(both(minute, straight.verdict().share))
    kept, first = (
        cj.Rollout.from_json((Path(__file__).parent / name).read_text(encoding="utf-8"), with_gauge())
        for name in ("timeline.json", "saved.json")
    )
    assert remembered(kept) == remembered(straight)
    for each in (kept, straight, first):
        each.update(both(30, each.verdict().share))
    assert remembered(kept) == remembered(straight)
    assert [each.action for each in first.verdict().timeline.decisions] == ["advance", "advance", "hold"]
    assert first.verdict().timeline.metrics["cpu"].blocks.length == 1


def remembered(rollout):
    """What a rollout remembers to be drawn, whatever its rules make of the data."""
    timeline = rollout.verdict().timeline
    metrics = [
        (name, own.blocks, own.trend, [look.stage for look in own.looks])
        for name, own in timeline.metrics.items()
    ]
    return [(each.at, each.action, each.stage) for each in timeline.decisions], metrics


def test_a_state_is_small_however_different_the_metrics():
    """Two watches of a metric, each with the points that it would know again, in a few thousand bytes."""
    rng = np.random.default_rng(1)
    stages = [{"canary": "5%", "max_duration": "2h"}, {"canary": "50%", "max_duration": "2h"}]
    sizes = {"ratio": [], "gauge": []}
    for kind, found in sizes.items():
        metrics = [
            cj.Metric(name=f"m{number}", kind=kind, direction="increase", tolerance=f"{10 + number}%")
            for number in range(6)
        ]
        rollout = cj.Rollout(cj.Policy(metrics=metrics, stages=stages))
        for minute in range(80):
            update = {}
            for number in range(6):
                totals = {"baseline": 9500 + 40 * number + minute, "canary": 500 + 7 * number + minute % 5}
                update[f"m{number}"] = {
                    arm: {
                        "time": [60.0 * minute],
                        "value": [int(rng.binomial(total, 0.02))],
                        "total": [total],
                    }
                    if kind == "ratio"
                    else {"time": [60.0 * minute], "value": [rng.normal(100, 5)]}
                    for arm, total in totals.items()
                }
            rollout.update(update)
            if minute % 10 == 9:
                found.append(len(rollout.to_json()) / 6)
    assert max(sizes["ratio"]) < 7000
    assert max(sizes["gauge"]) < 9000


def healthy_past(seed=3, count=1500, series=3):
    """Replicas that lie apart by some percent, and errors that come in bursts, up to a minute before the first point."""
    rng, times = np.random.default_rng(seed), 60.0 * np.arange(-count, 0)
    pods = {
        f"pod-{pod}": {"time": times, "value": rng.normal(100 + 3 * pod, 2, count)} for pod in range(series)
    }
    bursty = {
        f"pod-{pod}": {"time": times, "value": rng.gamma(2, 5, count).round(), "total": np.full(count, 1000)}
        for pod in range(series)
    }
    return {"cpu": pods, "errors": bursty}


def watched_with_history(history):
    metrics = [
        {"name": "errors", "kind": "ratio", "direction": "increase", "tolerance": "50%"},
        {"name": "cpu", "direction": "increase", "pass_within": "30%"},
    ]
    policy = cj.Policy(metrics=metrics, stages=STAGES)
    return policy, cj.Rollout(policy, history=history)


def test_the_history_is_allowed_for_in_every_stage_and_kept_in_the_state():
    policy, straight = watched_with_history(healthy_past())
    state, stages = straight.to_json(), set()
    for minute in range(100):
        resumed = cj.Rollout.from_json(state, policy)
        share = straight.verdict().share
        for each in (straight, resumed):
            each.update(both(minute, share))
        verdict = straight.verdict()
        assert resumed.verdict() == verdict
        state = resumed.to_json()
        assert state == straight.to_json()
        if minute % 10 == 9 and verdict.action == "hold":
            stages.add(verdict.stage)
            for part in (verdict.at_stage, verdict.release):
                assert part.metrics["cpu"].history.floor.between == "replicas"
                assert part.metrics["errors"].findings[0].dispersion > 2
        if verdict.action == "complete":
            break
    assert len(stages) > 1
    assert verdict.release.data_digest != watched_with_history(None)[1].verdict().release.data_digest


def test_what_the_history_has_of_the_release_is_left_out_of_every_stage():
    _, rollout = watched_with_history(healthy_past())
    shifted = {
        name: {side: each | {"time": [each["time"][0] - 60.0 * 100]} for side, each in arms.items()}
        for name, arms in both(0, 0.05).items()
    }
    before = rollout.to_json()
    with pytest.raises(cj.DataError):
        rollout.update({"cpu": {"baseline": {"time": [-6000.0], "value": ["x"]}}})
    assert rollout.to_json() == before
    rollout.update(shifted)
    assert rollout.to_json() != before
    for part in (rollout.verdict().at_stage, rollout.verdict().release):
        assert part.metrics["cpu"].history.late > 0
    assert all(past["cpu"]["concurrent"]["late"] > 0 for past in json.loads(rollout.to_json())["pasts"])


def test_a_state_of_another_history_is_refused():
    policy, rollout = watched_with_history(healthy_past())
    assert (
        cj.Rollout.from_json(rollout.to_json(), policy, history=healthy_past()).to_json() == rollout.to_json()
    )
    with pytest.raises(cj.DataError, match="another history"):
        cj.Rollout.from_json(rollout.to_json(), policy, history=healthy_past(seed=4))

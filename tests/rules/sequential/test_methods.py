"""Every sequential method: the same evidence however it is given, saved or merged, and the outcome that the data call for."""

import json
import math
from itertools import permutations
from typing import get_args

import numpy as np
import pytest
from judging import feed, process_by
from streams import METHODS, both, policy_of

import canaryjudge as cj
from canaryjudge.data import read_pairs
from canaryjudge.data.stream import intervals
from canaryjudge.kinds import KINDS
from canaryjudge.rules import ErrorRates, Horizon
from canaryjudge.rules.sequential.methods import METHODS as TABLE

EXACT = ("mixture", "mixture of successes", "mixture of counts", "cmh", "betting")
SIZE = 45
SIZES = {"betting": 200}
"""Intervals after which harm and harmlessness are proven, where it is not 60."""


def process_of(name, *, level=0.01, **settings):
    policy = policy_of(name, **settings)
    metric = policy.metrics[0]
    (rule,) = metric.rules or (cj.Sequential(),)
    rates = ErrorRates(level, policy.beta)
    return process_by(metric, rule, rates, Horizon(policy.max_points, policy.max_duration))


def pair_of(name, seed=1, size=SIZE, **settings):
    kind = METHODS[name][0]
    return read_pairs({"m": both(kind, seed, size, **settings)}, policy_of(name))["m"]


def blocks_of(pair):
    return list(intervals(pair, unfinished=True))


def fed(process, pair):
    """Give all at once, samples interval by interval: that is how they come."""
    for part in blocks_of(pair) if pair.kind == "samples" else [pair]:
        feed(process, part)
    return process


def saved(process):
    return json.dumps(process.save(), sort_keys=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TABLE)
def test_a_policy_may_name_the_methods_that_the_table_says_fit(name, kind):
    settings = {"ranks": {"independent": True}, "betting": {"cap": 1}}.get(name, {})
    metric = {"name": "m", "kind": kind, "direction": "increase"}
    rules = [cj.Sequential(method=name, **settings)]
    if kind in TABLE[name].kinds:
        assert cj.Metric(**metric, rules=rules).rules == tuple(rules)
    else:
        with pytest.raises(cj.PolicyError, match=f"does not fit kind: {kind}"):
            cj.Metric(**metric, rules=rules)


def test_a_policy_may_name_the_methods_of_the_table_or_leave_the_choice_to_auto():
    assert set(get_args(cj.Sequential.model_fields["method"].annotation)) == {"auto", *TABLE}
    auto = {kind: cj.Sequential().method_for(kind) for kind in KINDS}
    assert auto == {
        "gauge": "looks",
        "samples": "scores",
        "ratio": "mixture",
        "count": "mixture",
        "histogram": "cmh",
        "users": "user_means",
        "pairs": "none",
        "paired_ratio": "none",
    }
    assert cj.Sequential(independent=True).method_for("samples") == "ranks"


@pytest.mark.parametrize("case", METHODS)
def test_at_once_and_interval_by_interval_and_across_saving_are_the_same_to_the_bit(case):
    pair = pair_of(case)
    at_once, stepwise, resumed = fed(process_of(case), pair), process_of(case), process_of(case)
    for block in blocks_of(pair):
        feed(stepwise, block)
        feed(resumed, block)
        text = json.dumps(resumed.save())
        resumed = process_of(case)
        resumed.load(json.loads(text))
        assert saved(resumed) == saved(stepwise)
        assert resumed.finding() == stepwise.finding()
        assert resumed.points == stepwise.points
    assert saved(at_once) == saved(stepwise)
    assert at_once.finding() == stepwise.finding()


def shards_of(name, count=3):
    return [fed(process_of(name), pair_of(name, seed, 20)) for seed in range(count)]


def merged(name, order):
    shards = shards_of(name)
    first = process_of(name)
    for index in order:
        first.merge(shards[index])
    return first


@pytest.mark.parametrize("name", EXACT)
def test_shards_merged_in_any_order_have_the_same_state_and_that_of_one_stream(name):
    states = {saved(merged(name, order)) for order in permutations(range(3))}
    assert len(states) == 1
    (first, second, third) = shards_of(name)
    second.merge(third)
    first.merge(second)
    assert {saved(first)} == states
    whole = process_of(name)
    for seed in range(3):
        fed(whole, pair_of(name, seed, 20))
    assert {saved(whole)} == states


@pytest.mark.parametrize("name", METHODS)
def test_merging_two_commutes_and_leaves_the_other_as_it_is(name):
    def shards():
        return [fed(process_of(name), pair_of(name, seed, 25, start=30 * seed)) for seed in (1, 2)]

    (a, b), (c, d) = shards(), shards()
    before = saved(b)
    a.merge(b)
    d.merge(c)
    assert saved(b) == before
    assert a.points == d.points
    assert a.finding() == d.finding()
    fed(a, pair_of(name, 3, 10, start=100))
    assert saved(b) == before


@pytest.mark.parametrize("name", METHODS)
def test_merging_with_one_that_has_seen_nothing_changes_nothing(name):
    full = fed(process_of(name), pair_of(name))
    before, finding = saved(full), full.finding()
    full.merge(process_of(name))
    empty = process_of(name)
    empty.merge(full)
    assert full.finding() == empty.finding() == finding
    if name != "scores":
        assert saved(full) == before


@pytest.mark.parametrize("size", [3, 10, 17, 40])
def test_shards_that_still_learn_their_ranks_merge_into_one_that_goes_on(size):
    """Of few pairs in each shard, however many come together."""
    shards = [fed(process_of("ranks"), pair_of("ranks", seed, size)) for seed in range(4)]
    for other in shards[1:]:
        shards[0].merge(other)
        shards[0].finding()
    fed(shards[0], pair_of("ranks", 9, 60, harm=2.0, start=500))
    assert shards[0].points == 12 * (4 * size + 60)
    assert shards[0].finding().outcome == "fail"


@pytest.mark.parametrize("name", METHODS)
def test_harm_fails_and_harmlessness_passes(name):
    for harmful, outcome, reason in ((True, "fail", "proven_worse"), (False, "pass", "proven_safe")):
        harm = METHODS[name][3] if harmful else 1.0
        found = fed(process_of(name), pair_of(name, size=SIZES.get(name, 60), harm=harm)).finding()
        assert (found.outcome, found.reason) == (outcome, reason)
        if harmful:
            assert (found.estimate > 0) == (name != "mixture of successes")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("harm", [1.0, 1.15, 1.5, "much"])
def test_findings_are_consistent_at_every_look(name, harm):
    harm = METHODS[name][3] if harm == "much" else harm
    process = process_of(name)
    for block in blocks_of(pair_of(name, 5, 40, harm=harm)):
        feed(process, block)
        found = process.finding()
        if found.pvalue is None:
            assert found.outcome == "marginal"
            continue
        assert 0 <= found.pvalue <= 1
        assert 0 <= found.pvalue_pass <= 1
        assert (found.outcome == "fail") == (found.pvalue <= found.level) or found.reason == "abstains"
        if found.outcome == "pass":
            assert found.pvalue_pass <= found.beta
        assert found.more_points is None or (found.outcome == "marginal" and found.more_points > 0)
        for log_e, pvalue in (
            (found.watch.log_e_fail, found.pvalue),
            (found.watch.log_e_pass, found.pvalue_pass),
        ):
            if log_e is not None:
                assert math.isfinite(log_e)
                assert pvalue == pytest.approx(min(1.0, 10**-log_e), rel=1e-6)
        interval = found.interval
        if found.outcome == "fail" and name in ("mixture", "mixture of counts", "scores", "mean", "betting"):
            assert interval.low >= found.limit_high - 1e-6
        if interval is not None and None not in (interval.low, interval.high):
            assert interval.low <= interval.high
        visible = found.watch.smallest_visible
        if visible is not None and found.limit_high is not None:
            assert visible >= found.limit_high - 1e-9


def mirrored(finding):
    return finding.outcome, finding.reason, finding.pvalue, finding.pvalue_pass, finding.watch.log_e_fail


@pytest.mark.parametrize("name", ["scores", "mean", "ranks", "looks"])
@pytest.mark.parametrize("harm", [1.0, 2.0])
def test_negated_values_and_the_other_direction_give_the_mirrored_finding(name, harm):
    up = pair_of(name, size=60, harm=harm)
    tolerance = {"relative": "0%", "absolute": 0.3 if name in ("scores", "ranks") else 20}
    kind = METHODS[name][0]
    data = {
        side: {"time": a.time, "value": -a.value}
        for side, a in (("baseline", up.baseline), ("canary", up.canary))
    }
    given = {"tolerance": tolerance}
    down = read_pairs({"m": data}, policy_of(name))["m"]
    found = fed(process_of(name, **given), up).finding()
    negative = fed(process_of(name, **given, direction="decrease"), down).finding()
    assert kind == down.kind
    assert found.outcome == negative.outcome == ("fail" if harm > 1 else "pass")
    if name == "looks":
        assert mirrored(found)[:2] == mirrored(negative)[:2]
        assert found.pvalue == pytest.approx(negative.pvalue, rel=1e-6)
    else:
        assert found.pvalue == pytest.approx(negative.pvalue, rel=1e-3, abs=1e-12)
    if name in ("ranks", "looks"):  # the others' estimates end with the last change that is asked about
        assert found.estimate == pytest.approx(-negative.estimate, rel=1e-2, abs=0.05)


@pytest.mark.parametrize("harm", [0.25, 1.0, 4.0])
def test_swapped_arms_and_the_other_direction_mirror_rates_at_no_tolerance(harm):
    pair = pair_of("mixture", harm=harm)
    data = {
        "baseline": {"time": pair.canary.time, "value": pair.canary.value, "total": pair.canary.total},
        "canary": {"time": pair.baseline.time, "value": pair.baseline.value, "total": pair.baseline.total},
    }
    swapped = read_pairs({"m": data}, policy_of("mixture"))["m"]
    strict = {"tolerance": {"relative": "0%", "absolute": "0%"}, "pass_within": "tolerance"}
    up = fed(process_of("mixture", **strict), pair).finding()
    down = fed(process_of("mixture", **strict, direction="decrease"), swapped).finding()
    assert mirrored(up) == mirrored(down)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("times", "outcome"), [("more", "fail"), ("less", "fail"), ("same", "pass")])
def test_either_direction_can_be_bad(name, times, outcome):
    harm = METHODS[name][3]
    harm = {"more": harm, "less": 1 / harm, "same": 1.0}[times]
    found = fed(
        process_of(name, direction="either"), pair_of(name, size=SIZES.get(name, 60), harm=harm)
    ).finding()
    assert found.outcome == outcome
    if name != "mixture of successes" and times != "same":
        assert (found.estimate > 0) == (times == "more")


@pytest.mark.parametrize("name", METHODS)
def test_improvement_never_fails_however_large(name):
    bad = ("decrease", "increase") if name == "mixture of successes" else ("increase", "decrease")
    for direction, harm in zip(bad, (0.1, 8.0), strict=True):
        found = fed(
            process_of(name, direction=direction), pair_of(name, size=SIZES.get(name, 60), harm=harm)
        ).finding()
        assert found.outcome == "pass"


# rates ------------------------------------------------------------------------------------------------------------------


def rates(size, baseline, canary, *, totals=(1000, 1000), **settings):
    """Constant counts."""
    given = {"name": "m", "kind": "ratio", "direction": "increase"} | settings
    policy = cj.Policy(metrics=[cj.Metric(**given)])
    time = 60.0 * np.arange(size)
    arms = {
        side: {"time": time, "value": np.full(size, x), "total": np.full(size, n)}
        for side, x, n in (("baseline", baseline, totals[0]), ("canary", canary, totals[1]))
    }
    metric = policy.metrics[0]
    process = process_by(metric, cj.Sequential(), ErrorRates(0.01, 0.05))
    feed(process, read_pairs({"m": arms}, policy)["m"])
    return process.finding()


def test_a_fall_of_a_success_share_near_one_is_found_by_its_failures():
    given = {"direction": "decrease", "tolerance": {"relative": "0%", "absolute": "0.5%"}}
    fallen = rates(60, 9950, 9850, totals=(10_000, 10_000), **given)
    assert (fallen.outcome, fallen.scale) == ("fail", "absolute")
    assert fallen.estimate == pytest.approx(-0.01)
    assert fallen.interval.high <= fallen.limit_low == -0.005
    unchanged = rates(60, 9950, 9950, totals=(10_000, 10_000), **given)
    assert unchanged.outcome == "pass"
    assert (unchanged.events_baseline, unchanged.baseline_level) == (597_000, 0.995)
    assert rates(3, 995, 995, **given).outcome == "marginal"


def test_a_success_share_may_fall_relatively_and_a_failure_share_rise():
    relative = {"direction": "decrease", "tolerance": "1%"}
    assert rates(30, 9950, 9700, totals=(10_000, 10_000), **relative).outcome == "fail"
    assert rates(30, 9950, 9945, totals=(10_000, 10_000), **relative).outcome == "pass"


@pytest.mark.parametrize(("dispersion", "most"), [(1.0, 45), (None, 45)])
def test_zero_events_pass_after_some_ten_thousand_requests(dispersion, most):
    """Of each arm, at the default tolerance of .02 percentage points; where nothing is known of bursts too, because none were seen."""
    found = {n: rates(n, 0, 0, dispersion=dispersion) for n in (10, 20, most, 2 * most)}
    assert [one.outcome for one in found.values()] == ["marginal", "marginal", "pass", "pass"]
    assert found[most].estimate == pytest.approx(0.0, abs=1e-6)


def test_zero_events_say_nothing_where_only_a_ratio_is_tolerated():
    found = rates(500, 0, 0, kind="count", tolerance="50%")
    assert (found.outcome, found.reason) == ("marginal", "needs_absolute_tolerance")
    # and nothing passes where nothing is tolerated
    assert rates(500, 0, 0, tolerance={"relative": "50%", "absolute": "0%"}).outcome == "marginal"


def test_errors_against_none_at_all_fail():
    assert rates(20, 0, 20).outcome == "fail"
    assert rates(20, 0, 20, direction="either").outcome == "fail"


@pytest.mark.parametrize(("harm", "outcome"), [(1.0, "pass"), (3.0, "fail")])
def test_a_ramp_of_the_traffic_is_no_change_of_the_rate(harm, outcome):
    rng = np.random.default_rng(4)
    shares = np.repeat([0.01, 0.05, 0.25, 0.5], 30)
    totals = np.round(4000 * (1 - shares)), np.round(4000 * shares)
    level = 0.01 * np.linspace(0.5, 3, 120)  # errors of both arms grow at the same time
    arms = {
        side: {"time": 60.0 * np.arange(120), "value": rng.binomial(n.astype(int), p), "total": n}
        for side, n, p in (("baseline", totals[0], level), ("canary", totals[1], harm * level))
    }
    policy = policy_of("mixture")
    process = fed(process_of("mixture"), read_pairs({"m": arms}, policy)["m"])
    found = process.finding()
    assert found.outcome == outcome
    assert found.estimate + 1 == pytest.approx(harm, rel=0.15)


def test_bursts_weaken_the_evidence_and_a_stated_dispersion_does_so_from_the_start():
    rng = np.random.default_rng(6)
    calm, bursty = rng.poisson(30, (2, 60)), rng.gamma(30 / 6, 6, (2, 60)).round()
    found = []
    for counts in (calm, bursty):
        arms = {
            side: {"time": 60.0 * np.arange(60), "value": row}
            for side, row in zip(("baseline", "canary"), counts, strict=True)
        }
        found.append(
            fed(
                process_of("mixture of counts"), read_pairs({"m": arms}, policy_of("mixture of counts"))["m"]
            ).finding()
        )
    assert found[0].dispersion < 2
    assert found[1].dispersion > 4
    assert found[0].watch.log_e_pass > found[1].watch.log_e_pass
    early = [
        rates(5, 10, 40, tolerance="50%", **given)
        for given in ({}, {"dispersion": 1.0}, {"dispersion": 10.0})
    ]
    assert [one.dispersion for one in early] == [4.0, 1.0, 10.0]
    assert early[1].watch.log_e_fail > early[0].watch.log_e_fail > early[2].watch.log_e_fail


# values -----------------------------------------------------------------------------------------------------------------


def samples(values, **settings):
    """Sixty intervals of samples."""
    policy = cj.Policy(
        metrics=[cj.Metric(**({"name": "m", "kind": "samples", "direction": "increase"} | settings))]
    )
    time = np.repeat(10.0 * np.arange(60), 20)
    arms = {
        side: {"time": time, "value": row} for side, row in zip(("baseline", "canary"), values, strict=True)
    }
    metric = policy.metrics[0]
    (rule,) = metric.rules or (cj.Sequential(),)
    process = process_by(metric, rule, ErrorRates(0.01, 0.05))
    return fed(process, read_pairs({"m": arms}, policy)["m"]).finding()


@pytest.mark.parametrize(
    "rule", [cj.Sequential(), cj.Sequential(independent=True), cj.Sequential(method="mean")]
)
def test_samples_of_both_signs_are_compared_by_a_shift(rule):
    noise = np.random.default_rng(8).normal(0, 1, (2, 1200))
    given = {"rules": [rule], "tolerance": {"absolute": 1}}
    assert samples([noise[0], noise[1]], **given).outcome == "pass"
    assert samples([noise[0], noise[1] + 2], **given).outcome == "fail"
    assert samples([noise[0], noise[1] - 2], **given).outcome == "pass"
    assert samples([noise[0] - 5, noise[1] - 5], rules=[rule]).outcome == "pass"
    assert samples([noise[0] - 5, noise[1] - 2], rules=[rule]).outcome == "fail"


@pytest.mark.parametrize("rule", [cj.Sequential(), cj.Sequential(method="mean")])
def test_an_absolute_tolerance_is_in_the_unit_of_the_metric(rule):
    noise = np.random.default_rng(9).normal(100, 5, (2, 1200))
    given = {"unit": "ms", "rules": [rule]}
    found = samples([noise[0], noise[1] + 30], tolerance={"absolute": "0.1s", "relative": "0%"}, **given)
    assert (found.outcome, found.scale, found.limit_high) == ("pass", "absolute", 100)
    found = samples([noise[0], noise[1] + 30], tolerance={"absolute": "10ms", "relative": "0%"}, **given)
    assert (found.outcome, found.limit_high) == ("fail", 10)
    assert found.estimate == pytest.approx(30, abs=5)
    assert found.interval.low >= 10


@pytest.mark.parametrize(
    "rule", [cj.Sequential(), cj.Sequential(independent=True), cj.Sequential(method="mean")]
)
def test_constant_equal_arms_pass_and_constant_unequal_ones_fail(rule):
    same, more = np.full(1200, 5.0), np.full(1200, 8.0)
    assert samples([same, same], rules=[rule]).outcome == "pass"
    assert samples([same, more], rules=[rule]).outcome == "fail"
    assert samples([same, same], rules=[rule], tolerance="0%").outcome == "marginal"


def test_a_level_of_zero_needs_an_absolute_tolerance():
    for rule in (cj.Sequential(), cj.Sequential(independent=True), cj.Sequential(method="mean")):
        found = samples([np.zeros(1200), np.zeros(1200)], rules=[rule])
        assert (found.outcome, found.reason) == ("marginal", "needs_absolute_tolerance")
        given = {"rules": [rule], "tolerance": {"absolute": 1}}
        assert samples([np.zeros(1200), np.zeros(1200)], **given).outcome == "pass"


@pytest.mark.parametrize("name", ["betting", "mean", "looks"])
def test_constant_equal_gauges_pass(name):
    time = 60.0 * np.arange(200)
    arms = {side: {"time": time, "value": np.full(200, 5.0)} for side in ("baseline", "canary")}
    rules = [cj.Sequential(method="betting", cap=10)] if name == "betting" else None
    settings = {"tolerance": "50%"} | ({"rules": rules} if rules else {})
    pair = read_pairs({"m": arms}, policy_of(name))["m"]
    found = fed(process_of(name, **settings), pair).finding()
    assert found.outcome == "pass"


def test_small_differences_of_large_means_are_not_lost():
    """A gigabyte beside a tolerance of fifty bytes."""
    rng = np.random.default_rng(3)
    time = 60.0 * np.arange(60)
    level = 1e9 + rng.normal(0, 1, 60)
    for shift, outcome in ((0.0, "pass"), (100.0, "fail")):
        arms = {
            "baseline": {"time": time, "value": level},
            "canary": {"time": time, "value": level + shift + rng.normal(0, 1, 60)},
        }
        pair = read_pairs({"m": arms}, policy_of("mean"))["m"]
        given = {"tolerance": {"absolute": 50, "relative": "0%"}}
        assert fed(process_of("mean", **given), pair).finding().outcome == outcome


def test_the_edges_of_histograms_stay():
    process = fed(process_of("cmh"), pair_of("cmh"))
    other = pair_of("cmh")
    with pytest.raises(cj.DataError, match="other edges"):
        feed(process, next(intervals(_with_edges(other))))


def _with_edges(pair):
    from dataclasses import replace

    return replace(pair, edges=pair.edges * 2)


def test_shards_of_successes_and_of_failures_do_not_merge():
    given = {"direction": "either", "tolerance": {"absolute": "1%"}}
    first = process_of("mixture", **given)
    second = process_of("mixture", **given)
    feed(first, pair_of("mixture"))
    feed(second, pair_of("mixture of successes"))
    with pytest.raises(cj.DataError, match="mostly successes in one shard"):
        first.merge(second)

"""Groups of rules: who decides, at which error rates, and what is said."""

import json

import numpy as np
import pytest
from objective_worlds import EDGES, histograms, judged, metric_of, pair_of

import canaryjudge as cj
from canaryjudge.policy import AllOf, AnyOf, MannWhitney, Slo, parse_policy
from canaryjudge.rules import read_finding

NOISE = np.random.default_rng(21).normal(0, 2, (2, 60))
PAIR = pair_of("gauge", 100 + NOISE[0], 100 + NOISE[1])


def objective(outcome, of="mean"):
    """An objective that this canary at 100 passes, fails or leaves open."""
    return Slo(
        of=of,
        op="lte",
        value={"pass": 120, "marginal": float(100 + NOISE[1].mean()), "fail": 80}[outcome],
        blame="canary",
    )


def outcomes(*names):
    return tuple(objective(name, of) for name, of in zip(names, ("mean", "median", "p40"), strict=False))


@pytest.mark.parametrize(
    ("members", "any_of", "all_of"),
    [
        (("pass", "fail"), "pass", "fail"),
        (("pass", "marginal"), "pass", "marginal"),
        (("marginal", "fail"), "marginal", "fail"),
        (("fail", "fail"), "fail", "fail"),
        (("pass", "pass"), "pass", "pass"),
        (("marginal", "pass", "fail"), "pass", "fail"),
    ],
)
def test_any_of_takes_the_best_and_all_of_the_worst(members, any_of, all_of):
    for group, outcome in ((AnyOf, any_of), (AllOf, all_of)):
        found = judged(PAIR, group(rules=outcomes(*members)))
        assert found.outcome == outcome
        assert found.rule == {AnyOf: "any_of", AllOf: "all_of"}[group]
        assert [part.outcome for part in found.parts] == list(members)
        deciding = next(part for part in found.parts if part.effect == found.effect)
        assert (deciding.outcome, deciding.reason) == (outcome, found.reason)


def test_members_share_the_rate_that_any_of_them_may_spend():
    rules = outcomes("pass", "pass", "pass")
    for group, level, beta in ((AnyOf, 0.03, 0.02), (AllOf, 0.01, 0.06)):
        found = judged(PAIR, group(rules=rules), level=0.03, beta=0.06)
        assert (found.level, found.beta) == (0.03, 0.06)
        assert [(part.level, part.beta) for part in found.parts] == [
            (pytest.approx(level), pytest.approx(beta))
        ] * 3


def test_the_pvalues_of_a_group_are_those_of_its_tests_together():
    rules = outcomes("marginal", "pass")
    parts = [judged(PAIR, rule) for rule in rules]
    fails, passes = [part.pvalue for part in parts], [part.pvalue_pass for part in parts]
    any_of, all_of = (judged(PAIR, group(rules=rules)) for group in (AnyOf, AllOf))
    assert (any_of.pvalue, any_of.pvalue_pass) == (max(fails), pytest.approx(2 * min(passes)))
    assert (all_of.pvalue, all_of.pvalue_pass) == (min(1, 2 * min(fails)), max(passes))


def test_nested_groups_share_again():
    nested = AllOf(rules=[objective("pass"), AnyOf(rules=outcomes("fail", "pass"))])
    found = judged(PAIR, nested, level=0.04, beta=0.04)
    inner = found.parts[1]
    assert (found.outcome, inner.outcome, inner.rule) == ("pass", "pass", "any_of")
    assert (inner.level, inner.beta) == (0.02, 0.04)
    assert [(part.level, part.beta) for part in inner.parts] == [(0.02, 0.02)] * 2


def test_a_member_that_excuses_the_canary_or_abstains_is_no_evidence():
    excused = Slo(of="mean", op="lte", value=80)
    found = judged(PAIR, AllOf(rules=[excused, objective("pass", "median")]))
    assert (found.outcome, found.reason, found.pvalue) == ("marginal", "environment_unhealthy", 1.0)
    waves = pair_of("ratio", [1] * 16, [0] * 8 + [900] * 8, totals=([10_000] * 16, [10_000] * 16))
    both = AnyOf(rules=[Slo(of="pooled", op="lte", value="0.1%"), "proportion"])
    found = judged(waves, both)
    assert (found.outcome, found.reason) == ("marginal", "abstains")
    assert (found.pvalue, found.pvalue_pass) == (1.0, 1.0)


def test_members_without_pvalues_count_by_their_outcome():
    point = Slo(of="max", op="lte", value=200, evidence="point")
    found = judged(PAIR, AnyOf(rules=[point, objective("fail")]))
    assert (found.outcome, found.pvalue, found.pvalue_pass, found.waived) == (
        "pass",
        1.0,
        0.0,
        ("point_evidence",),
    )


def test_any_rule_for_a_finished_window_may_be_a_member():
    group = AllOf(rules=[MannWhitney(), objective("pass")])
    assert judged(PAIR, group).outcome == "pass"
    events = pair_of("ratio", [10] * 20, [10] * 20, totals=([10_000] * 20, [10_000] * 20))
    group = AllOf(rules=["proportion", Slo(of="pooled", op="lte", value="1%")])
    assert judged(events, group).outcome == "pass"


def test_a_group_s_finding_reads_back_as_it_was_written():
    nested = AnyOf(rules=[objective("fail"), AllOf(rules=outcomes("fail", "marginal"))])
    found = judged(PAIR, nested)
    assert read_finding(json.loads(found.model_dump_json())) == found


def release(rule, **policy):
    return cj.Policy(metrics=[metric_of("gauge", rule)], **policy)


def test_a_verdict_with_a_group_reads_back_and_says_every_part():
    data = {"m": {"baseline": 100 + NOISE[0], "canary": 100 + NOISE[1]}}
    verdict = cj.judge(data, release(AnyOf(rules=outcomes("fail", "pass"))))
    assert cj.Verdict.from_json(verdict.to_json()) == verdict
    said = " ".join(verdict.explain().split())
    assert "any of 2: slo passes, canary median is" in said
    assert "; or slo fails, canary mean is" in said
    assert verdict.reason.startswith("PASS: m: any of 2: slo passes, canary median is")
    said = " ".join(cj.judge(data, release(AllOf(rules=outcomes("fail", "pass")))).explain().split())
    assert "all of 2: slo fails" in said
    assert "; and slo passes" in said


def points(values, kind="gauge"):
    return [
        {"metric": "m", "arm": arm, "time": 60.0 * i, "value": value}
        for arm, column in zip(("baseline", "canary"), values, strict=True)
        for i, value in enumerate(column)
    ]


@pytest.mark.parametrize(("level", "outcome"), [(100, "pass"), (140, "fail")])
def test_a_monitor_asks_groups_at_planned_looks_and_saves_them(level, outcome):
    group = AllOf(rules=[MannWhitney(), Slo(of="mean", op="lte", change="+20%")])
    policy = release(group, max_points=60)
    monitor = cj.Monitor(policy)
    rows = points((100 + NOISE[0], level + NOISE[1]))
    for start in range(0, 60, 10):
        monitor.update([row for row in rows if start <= row["time"] / 60 < start + 10])
        monitor = cj.Monitor.from_json(monitor.to_json(), policy)
        assert cj.Verdict.from_json(monitor.verdict().to_json()) == monitor.verdict()
    found = monitor.verdict().metrics["m"].findings[0]
    assert (found.outcome, found.rule, len(found.parts)) == (outcome, "all_of", 2)
    # each look's part of alpha reaches the members
    assert found.parts[0].level < found.level / 2


def test_a_group_with_ranks_waits_until_ranks_mean_something():
    policy = release(AnyOf(rules=[MannWhitney(), objective("fail")]), max_points=50)
    monitor = cj.Monitor(policy)
    monitor.update(points((100 + NOISE[0, :15], 200 + NOISE[1, :15])))
    assert monitor.verdict().metrics["m"].findings[0].reason == "too_little_data"


def test_a_monitor_asks_objectives_of_histograms_and_resumes_in_between():
    rng = np.random.default_rng(5)
    arms = [histograms(rng, 40, 200, median=median) for median in (0.08, 0.4)]
    metric = metric_of("histogram", Slo(of="p95", op="lte", value=0.5))
    policy = cj.Policy(metrics=[metric], max_points=40)
    whole, resumed = cj.Monitor(policy), cj.Monitor(policy)
    for start in range(0, 40, 8):
        update = {
            "m": {
                arm: {
                    "buckets": rows[start : start + 8].tolist(),
                    "edges": EDGES[:-1].tolist(),
                    "time": 60.0 * np.arange(start, start + 8),
                }
                for arm, rows in zip(("baseline", "canary"), arms, strict=True)
            }
        }
        whole.update(update)
        resumed.update(update)
        resumed = cj.Monitor.from_json(json.dumps(json.loads(resumed.to_json())), policy)
    found = whole.verdict().metrics["m"].findings[0]
    assert (found.outcome, found.method) == ("fail", "bucket_quantile")
    assert resumed.verdict() == whole.verdict()


def test_samples_in_a_group_are_for_judge():
    rule = AnyOf(rules=[Slo(of="p99", op="lte", value=1)])
    with pytest.raises(cj.PolicyError, match="the rule any_of wants all requests at once"):
        cj.Monitor(cj.Policy(metrics=[metric_of("samples", rule)], max_points=50))


def nested(levels, make):
    rule = objective("pass") if make is AnyOf else objective("pass").model_dump()
    for _ in range(levels):
        rule = AnyOf(rules=[rule]) if make is AnyOf else {"rule": "any_of", "rules": [rule]}
    return rule


@pytest.mark.parametrize("make", [AnyOf, dict])
def test_groups_are_nested_as_deep_in_python_as_in_documents(make):
    metric = {"name": "m", "direction": "increase"}
    policy = cj.Policy(metrics=[cj.Metric(**metric, rules=[nested(7, make)])])
    assert parse_policy(policy.model_dump_json(), "policy.json") == policy
    for levels in (8, 200, 3000):
        with pytest.raises(cj.PolicyError, match="nested"):
            cj.Metric(**metric, rules=[nested(levels, make)])
    with pytest.raises(cj.PolicyError, match="nested more than 20 deep"):
        parse_policy(json.dumps({"metrics": [metric | {"rules": [nested(8, dict)]}]}), "policy.json")

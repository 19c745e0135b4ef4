"""A group is told rule by rule, whichever of them decided."""

import re

import numpy as np
import pytest

import canaryjudge as cj

RNG = np.random.default_rng(20270101)
NOISE = RNG.normal(size=(2, 40))


def told(kind, rules, baseline, canary, **settings):
    metric = cj.Metric(name="m", kind=kind, direction="increase", rules=rules, **settings)
    return cj.judge({"m": {"baseline": baseline, "canary": canary}}, cj.Policy(metrics=[metric]))


@pytest.mark.parametrize("group", ["any_of", "all_of"])
def test_a_group_that_an_excursion_decided_names_all_its_rules(group):
    burst = 100 + 3 * NOISE[1] + np.repeat([0, 300, 0], [20, 8, 12])
    verdict = told(
        "gauge", [{"rule": group, "rules": ["excursion", "mann_whitney"]}], 100 + 3 * NOISE[0], burst
    )
    said = " ".join(verdict.explain().split())
    assert f"{group.removesuffix('_of')} of 2: " in said
    assert "8 points lie above" in said
    assert "mann_whitney passes, canary is" in said


def test_a_group_that_a_tail_decided_tells_each_rule_in_its_own_unit():
    rng = np.random.default_rng(3)
    arms = rng.lognormal(4.6, 0.2, 400), rng.lognormal(4.6, 0.2, 400) * np.where(rng.random(400) < 0.2, 4, 1)
    verdict = told("samples", [{"rule": "all_of", "rules": ["tail", "mann_whitney"]}], *arms, unit="ms")
    assert verdict.outcome == "fail"
    said = " ".join(verdict.explain().split())
    assert "all of 2: tail fails, share of observations above" in said
    assert "mann_whitney is undecided, canary is" in said
    assert "ms v. " in said


@pytest.mark.parametrize(
    ("kind", "rules", "points"),
    [("count", ["rate", "excursion"], "intervals"), ("gauge", ["mann_whitney", "late_shift"], "points")],
)
def test_a_group_of_which_a_rule_could_not_be_asked_says_so(kind, rules, points):
    verdict = told(kind, [{"rule": "any_of", "rules": rules}], [1, 2, 1, 2], [2, 1, 2, 1], min_points=1)
    assert re.search(
        rf"is undecided, .*too few points to look \(\d v. 4 {points}\)", " ".join(verdict.explain().split())
    )

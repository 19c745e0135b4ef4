"""Rows: many pairs judged at once say what each says alone, to the bit."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.kinds import KINDS
from canaryjudge.rules import RULES, ErrorRates, judge_pair, judge_pairs

RATES = ErrorRates(0.01, 0.05)
POINTS = 40
EDGES = np.array([90.0, 100.0, 110.0, 125.0, np.inf])
SETTINGS = {
    "slo": {"of": "p90", "op": "lte", "value": "110"},
    "burn_rate": {"target": "95%", "bound": 115},
    "any_of": {"rules": ["mann_whitney"]},
    "all_of": {"rules": ["mann_whitney", "late_shift"]},
}
OF_EVENTS = {
    "slo": {"of": "pooled", "op": "lte", "value": "10%"},
    "burn_rate": {"target": "95%"},
    "any_of": {"rules": ["proportion"]},
    "all_of": {"rules": ["proportion", "excursion"]},
}


def arm_of(kind, rng, change, replicas=()):
    if kind in ("ratio", "count"):
        total = rng.integers(50, 80, POINTS).astype(float)
        share = 0.03 * change**6
        events = rng.binomial(total.astype(int), share) if kind == "ratio" else rng.poisson(total * share)
        return Arm(events.astype(float), total, replicas=replicas)
    if kind == "histogram":
        seen = np.digitize(rng.normal(100 * change, 8, (POINTS, 30)), EDGES[:-1])
        buckets = np.stack([(seen == bucket).sum(axis=1) for bucket in range(len(EDGES))], axis=1)
        return Arm(buckets.sum(axis=1).astype(float), buckets=buckets.astype(float), replicas=replicas)
    return Arm(np.round(rng.normal(100 * change, 8, POINTS), 1), replicas=replicas)


def pairs_of(kind, metric, rows=7, pairing="windows"):
    """Pairs that differ in everything that is a row's own: points, level, replicas, and one whose arms are constant."""
    rng = np.random.default_rng(5)
    found = []
    for row in range(rows):
        parts = tuple(arm_of(kind, rng, 1 + 0.02 * part) for part in range(2 if row % 2 else 0))
        arms = (arm_of(kind, rng, 1.0, parts), arm_of(kind, rng, 1 + 0.05 * row, parts))
        edges = EDGES if kind == "histogram" else None
        pair = MetricPair("m", kind, *arms, pairing=pairing, edges=edges)
        found.append(row_of(pair, metric, RATES))
    if kind in ("gauge", "samples"):
        constant = Arm(np.full(POINTS, 5.0))
        nothing = Arm(np.zeros(POINTS))
        found += [
            row_of(MetricPair("m", kind, *both, pairing=pairing), metric, RATES)
            for both in ((constant, constant), (nothing, constant))
        ]
    return found


def cases():
    for kind in ("gauge", "samples", "ratio", "count", "histogram"):
        for name, rule in RULES.items():
            given = (OF_EVENTS if kind in ("ratio", "count") else SETTINGS).get(name, {})
            if name == "slo" and kind == "count":
                given = given | {"value": 0.1}
            if name in ("any_of", "all_of") and kind == "count":
                given = {"rules": ["rate"]}
            settings = rule.settings.model_validate({"rule": name} | given)
            metric = cj.Metric(name="m", kind=kind, direction="increase")
            if name != "sequential" and not list(settings.misfits(metric)):
                yield pytest.param(kind, settings, id=f"{kind}-{name}")


@pytest.mark.parametrize(("kind", "settings"), [*cases()])
def test_rows_say_together_what_each_says_alone(kind, settings):
    metric = cj.Metric(
        name="m", kind=kind, direction="increase", noise_floor={"between_windows": "1%", "windows": 9}
    )
    on_one_clock = settings.rule in KINDS[kind].rules_on_one_clock
    pairs = pairs_of(kind, metric, pairing="concurrent" if on_one_clock else "windows")
    together = judge_pairs(pairs, settings.in_unit_of(metric))
    alone = [judge_pair(pair, settings.in_unit_of(metric)) for pair in pairs]
    assert together == alone
    assert len({found.model_dump_json() for found in alone}) > len(alone) / 2


def test_pairs_of_several_shapes_keep_their_order():
    metric = cj.Metric(name="m", direction="increase")
    rng = np.random.default_rng(1)
    sizes = [20, 40, 20, 30, 40]
    pairs = [
        row_of(MetricPair("m", "gauge", *(Arm(rng.normal(100, 5, size)) for _ in range(2))), metric, RATES)
        for size in sizes
    ]
    assert [found.n_canary for found in judge_pairs(pairs, cj.MannWhitney())] == sizes

"""Findings that are built column by column are those that are built one by one, and those that a model would make."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.policy import Metric
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules import ErrorRates, Rows
from canaryjudge.rules.findings import UNSAID, Draft, Interval, NoiseFloorFacts, build, build_rows, built
from canaryjudge.rules.mann_whitney import MannWhitney, ShiftFinding
from canaryjudge.rules.registry import Columns

PAIR = row_of(
    MetricPair("cpu", "gauge", Arm(np.ones(5)), Arm(np.ones(5))),
    Metric(name="cpu", direction="increase"),
    ErrorRates(0.01, 0.05),
)
numbers = st.none() | st.floats() | st.sampled_from([0.1 + 0.2, 1e-300, 123456789.05, -0.0, 2.5])


@st.composite
def rows(draw):
    """Draw the fields of some findings, some of which say nothing of a field."""
    names = draw(st.lists(st.sampled_from(["pvalue", "estimate", "statistic", "limit_low"]), unique=True))
    found = []
    for _ in range(draw(st.integers(0, 4))):
        fields = {
            "rule": "mann_whitney",
            "outcome": draw(st.sampled_from(Outcome)),
            "reason": draw(st.sampled_from(Reason)),
            "method": "pairs",
            "level": 0.01,
            "beta": 0.05,
        }
        fields |= {name: value for name in names if (value := draw(numbers | st.just(UNSAID))) is not UNSAID}
        if draw(st.booleans()):
            fields["interval"] = draw(st.tuples(numbers, numbers, st.just(0.01)))
        if draw(st.booleans()):
            fields["noise_floor"] = Draft(NoiseFloorFacts, {"spread": draw(numbers), "df": math.inf})
        found.append(fields)
    return found


@given(rows())
def test_columns_are_built_as_rows_are(found):
    names = dict.fromkeys(name for fields in found for name in fields)
    columns = {name: [fields.get(name, UNSAID) for fields in found] for name in names}
    alone = [
        {
            name: Draft(Interval, dict(zip(("low", "high", "error"), value, strict=True)))
            if name == "interval"
            else value
            for name, value in fields.items()
        }
        for fields in found
    ]
    expected = build([Draft(ShiftFinding, fields) for fields in alone])
    made = build_rows(ShiftFinding, columns, len(found))
    assert [each.model_dump_json() for each in made] == [each.model_dump_json() for each in expected]
    for each in made:
        assert ShiftFinding.model_validate_json(each.model_dump_json()) == each


@given(numbers, numbers)
def test_facts_are_built_as_their_model_would(low, high):
    assert built(Interval, {"low": low, "high": high, "error": 0.01}) == Interval(
        low=low, high=high, error=0.01
    )


def test_what_is_said_of_rows_in_turn():
    found = Columns(Rows.of([PAIR] * 4), MannWhitney())
    found.put(estimate=np.array([1.0, 2.0, 3.0, 4.0]))
    found.settle(np.array([True, False, False, True]), Outcome.PASS, Reason.IDENTICAL, estimate=0.0)
    found.put(pvalue=[0.1, 0.2])
    found.revise(np.array([True, True, False, False]), statistic=7.0)
    assert found.told("estimate") == [0.0, 2.0, 3.0, 0.0]
    assert found.told("pvalue") == [None, 0.1, 0.2, None]
    assert found.told("df") == [None] * 4
    assert found.are(Outcome.PASS).tolist() == [True, False, False, True]
    assert "pvalue" not in found.fields(0)
    found.conclude(outcome=Outcome.MARGINAL, reason=Reason.UNDECIDED, method="none")
    assert [each.statistic for each in found.findings()] == [7.0, 7.0, None, None]


def test_of_several_ways_each_row_takes_one():
    ways = []
    for value in (1.0, 2.0):
        way = Columns(Rows.of([PAIR] * 3), MannWhitney())
        way.conclude(outcome=Outcome.PASS, reason=Reason.IDENTICAL, method="none", estimate=value)
        ways.append(way)
    ways[1].revise(np.array([False, True, True]), df=5.0)
    found = Columns(Rows.of([PAIR] * 3), MannWhitney())
    found.take_from(ways, np.array([0, 1, 0]))
    assert [(each.estimate, each.df) for each in found.findings()] == [(1.0, None), (2.0, 5.0), (1.0, None)]
    assert not found.open.any()

"""What a query answers where nothing is measured, and that any text is read or left alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.policy.promql import made_up, parse_promql, value_of_nothing

NAN = math.nan


@pytest.mark.parametrize(
    ("query", "what", "value"),
    [
        ("sum(a) or vector(0)", "or vector()", 0.0),
        ("sum(a) OR Vector(1)", "or vector()", 1.0),
        ("a or on() vector(0)", "or vector()", 0.0),
        ("a or ignoring (b) (vector(2))", "or vector()", 2.0),
        ("(histogram_quantile(0.99, sum by (le) (rate(a[1m]))) * 1000) > 0 or on() vector(0)", "or vector()", 0.0),
        ("(sum(a) or vector(1)) / (sum(b) or vector(1))", "or vector()", 1.0),
        ("100 * (1 - (sum(a) or vector(0)) / (sum(b) or vector(1)))", "or vector()", 100.0),
        ("a or label_replace(vector(0), 'x', 'y', '', '')", "or vector()", 0.0),
        ("sum by (x) (a or vector(0))", "or vector()", 0.0),
        ("sum(a or vector(0)) by (x)", "or vector()", 0.0),
        ("avg_over_time((sum(a) or vector(0))[5m:1m] offset 1h)", "or vector()", 0.0),
        ("clamp_max(a or vector(7), 5)", "or vector()", NAN),
        ("a or scalar(b) * vector(1)", "a constant", NAN),
        ("sum(a) or sum(up) * 0", "a constant", 0.0),
        ("sum(a) or 0 * up", "a constant", 0.0),
        ("sum(a) or absent(sum(a)) - 1", "a constant", 0.0),
        ("sum(a) default 0", "default", 0.0),
        ("(sum(a) default 1) / (sum(b) default 1)", "default", 1.0),
        # only in a part, so that no data stays no data
        ("(sum(a) or vector(0)) / sum(b)", "or vector()", None),
        ("(sum(a) or vector(0)) / (sum(b) > 0)", "or vector()", None),
        ("default_zero(sum:a{*})", "default_zero()", NAN),
        ("SELECT a FROM b GROUP BY time(1m) FILL(previous)", "fill()", NAN),
        ("FILL(m1, REPEAT)", "fill()", NAN),
        ("df.fillna(0)", "fillna()", NAN),
        ("COALESCE(a, 0)", "coalesce()", NAN),
        ("keep_last_value(a)", "keep_last_value()", NAN),
        ("a:default(0)", "default()", NAN),
    ],
)  # fmt: skip
def test_what_a_query_makes_up_is_found_with_what_it_answers_then(query, what, value):
    found = made_up(query)
    assert found is not None
    assert found[0] == what
    assert (found[1] is None) == (value is None)
    assert value is None or found[1] == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(a[5m])) by (x) / on (x) group_left (y) sum(b offset 5m)",
        'a{b="or vector(0)"} or c',
        "a or b * 5",
        "absent(up)",
        "vector(1)",
        "vector(1) - a",
        "a > bool 0",
        "a unless b",
        "fill(null)",
        "b.fill(none)",
        "my_default_value + 1",
        "a # or vector(0)\n",
    ],
)
def test_other_queries_make_nothing_up(query):
    assert made_up(query) is None


@pytest.mark.parametrize("query", ["sum(", "a b", "a{", "[5m]", "", "a + ", "'" * 9, "(" * 500 + "a" + ")" * 500, "a" + " or a" * 5000])  # fmt: skip
def test_what_is_not_understood_is_left_alone(query):
    assert made_up(query) is None


@given(st.lists(st.sampled_from(["a", "(", ")", "{", "}", "[5m]", "or", "vector(0)", "+", "/", "by", "sum", ",", "1", "'", "offset", "@"]), max_size=30))  # fmt: skip
def test_any_text_is_read_or_not(parts):
    query = " ".join(parts)
    tree = parse_promql(query)
    assert tree is None or value_of_nothing(tree) is None or isinstance(value_of_nothing(tree), float)
    made_up(query)

"""Conditions: what is read and what is refused, and that every value is what Go would have worked out."""

import math
import operator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.evaluation import evaluate, holds
from canaryjudge.integrations.argo.expressions import FUNCTIONS, parse_expression


@pytest.mark.parametrize(
    ("expression", "result", "value"),
    [
        ("result[0] >= 0.95", [0.95], True),
        ("result[-1]", [1, 2, 3], 3.0),
        ("1 < result < 5", 3, True),
        ("1 < result < 5", 7, False),
        ("result.a.b == 'x'", {"a": {"b": "x"}}, True),
        ("result['a.b'] < 15.0", {"a.b": 12.34}, True),
        ("result.missing == nil", {}, True),
        ("result.missing?.deeper", {}, None),
        ("2 in result && 3 not in result", [2.0, 4], True),
        ("'a' in result", {"a": 1}, True),
        ("all(result, # > 10)", [11, 12], True),
        ("all(result, {# > 10})", [], True),
        ("any(result, {#.value > 5})", [{"value": 6}, {"value": 1}], True),
        ("all(result, {asFloat(.value) >= 9900})", [{"value": "9901"}], True),
        ("none(result, # > 10) and one(result, # > 1)", [1, 2], True),
        ("count(result, # > 1)", [1, 2, 3], 2),
        ("filter(result, # > 1)", [1, 2, 3], [2.0, 3.0]),
        ("map(result, # * 2)", [1, 2], [2.0, 4.0]),
        ("max(result) < 0.05", [0.01, 0.087], False),
        ("min(result, 3)", [4, 5], 3),
        ("sum(result) + mean(result) + median(result)", [1, 2, 6], 14.0),
        ("len(result) == 0 || result[0] >= 0.95", [], True),
        ("default(result, 0) < 0.05", None, True),
        ("default(1, 2)", 5, 5.0),
        ("isNil(5)", None, True),
        ("isNaN(result)", math.nan, True),
        ("isInf(result)", -math.inf, True),
        ("asInt(result)", "-12", -12),
        ("asInt(result)", 1.9, 1),
        ("asFloat(result)", "1e3", 1000.0),
        ("result ? 'yes' : 'no'", True, "yes"),
        ("result ?? 7", None, 7),
        ("not result or false", False, True),
        ("!(result == 'a') ", "b", True),
        ("-2 ** 2", None, -4.0),
        ("2 + 3 * 4 - 6 / 4", None, 12.5),
        ("-7 % 3", None, -1),
        ("9223372036854775807 + 1", None, -(2**63)),
        ("1 / 0", None, math.inf),
        ("result matches 'x'", None, PolicyError),
        ('\'It worked!\' + " \\"so\\" \\u0041"', None, 'It worked! "so" A'),
        ("`raw \\n`", None, "raw \\n"),
        ("result contains 'ok' && result startsWith 'all' && result endsWith 'ok'", "all ok", True),
        ("'b' not in {}", None, PolicyError),
        ("[1, 2,] == [1, 2.0]", None, True),
        ("1_000 /* thousand */ // and no more", None, 1000),
    ],
)
def test_expressions_have_the_values_of_go(expression, result, value):
    if value is PolicyError:
        with pytest.raises(PolicyError):
            evaluate(expression, result)
    else:
        found = evaluate(expression, result)
        assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("expression", "result", "why"),
    [
        ("other == 1", 1, "unknown name other"),
        ("true || other", 1, "unknown name other"),
        ("result == '1'", 1, "mismatched types float64 and string"),
        ("false && result < 'a'", 1, "mismatched types float64 and string"),
        ("result[3] > 1", [1], "index out of range: 3 (list length is 1)"),
        ("result.a > 1", {}, "nil > int"),
        ("result.a", 1, "type float64 has no field"),
        ("result[0]", None, "type nil has no field"),
        ("asFloat(result) == '1'", "1", "mismatched types float64 and string"),
        ("asInt(result)", "1.1", "strconv.ParseInt"),
        ("asInt(result)", "1" * 1000, "strconv.ParseInt"),
        ("asFloat(result)", "1_0", "strconv.ParseFloat"),
        ("asInt(result)", math.nan, "no whole number"),
        ("isNaN('x')", 1, "isNaN takes number"),
        ("result && true", 1, "&& takes bool"),
        ("all(result, # > 1)", 5, "all takes list"),
        ("all(result, #)", [1], "all takes bool"),
        ("max(result)", [], "not enough arguments"),
        ("1 % 0", None, "integer divide by zero"),
        ("1.5 % 2", None, "whole numbers"),
        ("result.Name() == 'hi'", True, "methods are not called"),
        ("exec('rm')", 1, "the function 'exec' is not known"),
        ("__import__('os')", 1, "is not known"),
        ("result[0] 10.000000", [10], "unexpected '10.000000'"),
        ("result >", 1, "unexpected the end"),
        ("", 1, "unexpected the end"),
        ("# > 1", 1, "unexpected '#'"),
        ("'open", 1, "is not understood"),
        ("result == 1\n  && ~", 1, "line 2, column 6"),
        ("len()", 1, "len takes 1 arguments, found 0"),
        ("result > {{args.limit}}", 1, "unexpected '{'"),
    ],
)
def test_what_has_no_value_is_an_error_that_says_why(expression, result, why):
    with pytest.raises(PolicyError) as caught:
        evaluate(expression, result)
    assert why in str(caught.value)


def test_a_condition_is_true_or_false_and_nothing_else():
    assert holds("true", None) is True
    with pytest.raises(PolicyError, match="expected bool, but got int"):
        holds("1", None)


@pytest.mark.parametrize(
    "expression",
    [
        "x" * 10**6,
        "(" * 10**4 + "1" + ")" * 10**4,
        "(" * 4000 + "1" + ")" * 4000,
        "!" * 5000 + "true",
        "-" * 5000 + "1",
        "1 ? " * 2000 + "1" + " : 1" * 2000,
        "[" * 4000 + "]" * 4000,
        "2 ** " * 1900 + "2",
        "all(result, " * 800 + "true" + ")" * 800,
        "result" + "[result" * 1400 + "]" * 1400,
    ],
    ids=lambda text: text[:12],
)
def test_expressions_of_any_size_are_refused_in_one_sentence(expression):
    with pytest.raises(PolicyError) as caught:
        evaluate(expression, [1.0])
    assert len(str(caught.value)) < 300


def test_chains_are_read_up_to_a_length_at_which_no_stack_ends():
    assert holds(" && ".join(["result < 2"] * 120), 1.0)
    assert evaluate("result" + ".a" * 60, _nested(60)) == {}
    assert evaluate("+".join(["1"] * 251), None) == 251
    for chain in ("+".join(["1"] * 252), "1 < " * 300 + "1", "result" + ".a" * 3000, "result" + "?.a" * 3000):
        with pytest.raises(PolicyError, match="more than 250 operators and fields"):
            evaluate(chain, None)


def _nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "expression",
    [
        "all(result, all(result, all(result, # >= 0)))",
        "all(result, # in result)",
        "len(" + " + ".join(["string(1)"] * 20) + ") > 0 && count(result, sum(result) > 0) > 0",
    ],
)
def test_the_work_on_a_long_result_is_bounded(expression):
    with pytest.raises(PolicyError, match="more than 1,000,000 steps"):
        evaluate(expression, [float(number) for number in range(20_000)])


def test_results_are_numbers_texts_truths_lists_and_mappings():
    assert evaluate("result", 10**400) == math.inf
    assert evaluate("result", (1, 2)) == [1.0, 2.0]
    with pytest.raises(PolicyError, match="is no result"):
        evaluate("result", object())
    with pytest.raises(PolicyError, match="nested more than 100 deep"):
        evaluate("result", _nested(200))


@given(st.text(max_size=60))
def test_no_text_does_anything_but_parse_or_be_refused(text):
    with suppress(PolicyError):
        parse_expression(text)


PIECES = [*FUNCTIONS, "result", "#", ".", "(", ")", "[", "]", "{", "}", ",", "0", "1.5", "'a'", "nil", "true", "&&", "||", "!", "not",
          "in", "==", "<", ">=", "+", "-", "*", "/", "%", "**", "?", ":", "??", "?.", "and", "or", "contains"]  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=14),
    st.sampled_from([None, 1.5, "a", True, [1.0, 2.0], {"a": [1]}, math.nan]),
)
def test_whatever_the_pieces_say_there_is_a_value_or_one_sentence(pieces, result):
    with suppress(PolicyError):
        evaluate(" ".join(pieces), result)


OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "<": operator.lt, "<=": operator.le, ">": operator.gt,
             ">=": operator.ge, "==": operator.eq, "!=": operator.ne}  # fmt: skip
ARITHMETIC = ("+", "-", "*")


@st.composite
def trees(draw, depth=3):
    """A text with all its parentheses, and the number that it is."""
    if depth == 0 or draw(st.booleans()):
        number = draw(st.integers(-20, 20)) / 4
        return (f"({number!r})" if number < 0 else repr(number)), number
    left, right = draw(trees(depth - 1)), draw(trees(depth - 1))
    sign = draw(st.sampled_from(ARITHMETIC))
    return f"({left[0]} {sign} {right[0]})", OPERATORS[sign](left[1], right[1])


@given(trees(), trees(), st.sampled_from([name for name in OPERATORS if name not in ARITHMETIC]))
def test_comparisons_of_sums_and_products_are_those_of_python(left, right, sign):
    assert holds(f"{left[0]} {sign} {right[0]}", None) == OPERATORS[sign](left[1], right[1])
    assert holds(f"result {sign} {right[0]}", left[1]) == OPERATORS[sign](left[1], right[1])


@given(st.lists(st.sampled_from(["+", "-", "*"]), min_size=1, max_size=8), st.data())
def test_signs_bind_as_in_arithmetic(signs, data):
    numbers = data.draw(st.lists(st.integers(0, 9), min_size=len(signs) + 1, max_size=len(signs) + 1))
    text = str(numbers[0]) + "".join(
        f" {sign} {number}" for sign, number in zip(signs, numbers[1:], strict=True)
    )
    assert evaluate(text, None) == eval(text)  # noqa: S307 - digits and signs that the test itself has written


@given(st.lists(st.booleans(), min_size=2, max_size=7), st.data())
def test_and_binds_more_strongly_than_or_and_not_than_both(truths, data):
    words = data.draw(
        st.lists(st.sampled_from(["and", "or"]), min_size=len(truths) - 1, max_size=len(truths) - 1)
    )
    nots = data.draw(st.lists(st.booleans(), min_size=len(truths), max_size=len(truths)))
    parts = [("not " if no else "") + str(truth) for no, truth in zip(nots, truths, strict=True)]
    text = parts[0] + "".join(f" {word} {part}" for word, part in zip(words, parts[1:], strict=True))
    ours = text.replace("True", "true").replace("False", "false").replace("and", "&&").replace(" or ", " || ")
    assert holds(ours, None) == eval(text)  # noqa: S307 - words that the test itself has written


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20), st.floats(allow_nan=False))
def test_closures_ask_every_element(values, bound):
    written = f"({bound!r})" if math.isfinite(bound) else f"({'-' if bound < 0 else ''}1e999)"
    assert holds(f"all(result, # <= {written})", values) == all(value <= bound for value in values)
    assert holds(f"any(result, # > {written})", values) == any(value > bound for value in values)
    assert evaluate(f"count(result, # < {written})", values) == sum(value < bound for value in values)
    assert evaluate("max(result)", values) == max(values)
    assert evaluate("min(result)", values) == min(values)

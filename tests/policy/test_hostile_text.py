"""Any text gives a policy or a PolicyError, soon, and in little memory."""

import contextlib
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canaryjudge.errors import PolicyError
from canaryjudge.policy import Metric, Policy, Slo, Split, Tolerance, load_policy, parse_policy

CHECKOUT = Path("docs/examples/checkout/policy.yaml").read_text(encoding="utf-8")
RICH = """\
version: 1
aggregate: score
pass_score: 90
marginal_score: 60
groups: {latency: 2}
split: {baseline: 95%, canary: 5%}
metrics:
- &one {name: a, unit: ms, direction: increase, tolerance: {relative: 10%, absolute: 5ms}, group: latency, interval: 1m, min_points: 5}
- {<<: *one, name: b, rules: [mann_whitney, {rule: slo, of: p99, op: lte, value: 1s, evidence: point, blame: canary}]}
- {name: c, kind: ratio, direction: either, role: guard, weight: 2, no_data: ignore, pass_when: not_proven_worse, pairing: windows}
"""

KEYS = sorted(
    {
        *Policy.model_fields,
        *Metric.model_fields,
        *Tolerance.model_fields,
        *Slo.model_fields,
        *Split.model_fields,
    }
)
WORDS = [
    *(
        "1",
        "10%",
        "5ms",
        "5m",
        "p99",
        "lte",
        "slo",
        "proportion",
        "increase",
        "score",
        "muted",
        "ratio",
        "a",
        "",
        "%",
        "worst",
    ),
    *("NaN", "1e999", "\ud800", "\0", "é", "rule:slo"),
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=5),
)
structures = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), inner, max_size=4),
    ),
    max_leaves=12,
)
fragments = st.sampled_from(
    [
        *(
            "metrics",
            "name",
            "direction",
            "tolerance",
            "rules",
            "alpha",
            "increase",
            "a",
            "10%",
            "5ms",
            "null",
            "~",
            "1",
            "-1",
            ".nan",
            "0o8",
        ),
        *(
            ":",
            ": ",
            "- ",
            "\n",
            "\n  ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "&a ",
            "*a",
            "<<",
            "? ",
            "!!set ",
            "!x ",
            "!!python/object:os.system ",
            "| ",
            "> ",
        ),
        *(
            "'",
            '"',
            "\\",
            "#",
            "%YAML 1.1\n",
            "---\n",
            "...\n",
            "\t",
            "\0",
            "\ufeff",
            "\u2028",
            "\x85",
            "@",
            "`",
            "1e",
            "=",
            "2024-01-01",
            "é",
            "\ud800",
        ),
    ]
)


def read(text):
    """Give the policy, or None where a PolicyError said why not."""
    told = "nothing"
    try:
        return parse_policy(text)
    except PolicyError as error:
        told = str(error)
    assert 0 < len(told) < 20_000
    return None


@given(text=st.text())
@example(text="%YAML 9.9\n---\na: 1")
@example(text="%TAG ! tag:x,2000:\n---\n!y a: 1")
@example(text="&a a: &a b\n*a : 1")
@example(text="? \n? \n")
def test_any_text_is_read_or_refused(text):
    read(text)


@given(text=st.lists(fragments, max_size=25).map("".join))
def test_any_jumble_of_yaml_is_read_or_refused(text):
    read(text)


@given(value=structures, path=st.lists(st.sampled_from(KEYS), max_size=2))
def test_any_structure_is_read_or_refused_as_json_and_in_python(value, path):
    document = {"metrics": [{"name": "a", "direction": "increase"}]}
    target = document["metrics"][0] if len(path) == 2 else document
    for key in path[-1:]:
        target[key] = value
    read(json.dumps(document if path else value, allow_nan=True))
    if isinstance(document, dict):
        try:
            made = Policy(**document)
        except PolicyError:
            return
        assert Policy(**json.loads(made.model_dump_json())) == made


@given(values=st.dictionaries(st.sampled_from(sorted(Metric.model_fields)), structures, max_size=5))
def test_a_metric_of_any_values_is_made_or_refused(values):
    try:
        made = Metric(**({"name": "a", "direction": "increase"} | values))
    except PolicyError:
        return
    assert Metric(**json.loads(made.model_dump_json())) == made


@pytest.mark.parametrize("text", [CHECKOUT, RICH], ids=["checkout", "rich"])
def test_a_file_cut_off_anywhere_is_read_or_refused(text):
    assert read(text) is not None
    for end in range(0, len(text), 3):
        read(text[:end])


@pytest.mark.parametrize("text", [CHECKOUT, RICH], ids=["checkout", "rich"])
def test_a_file_with_one_line_left_out_or_indented_otherwise_is_read_or_refused(text):
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        for other in ("", " " + line, line.lstrip(), line.rstrip(), line * 2, line.upper(), "\t" + line):
            read("".join([*lines[:index], other, *lines[index + 1 :]]))


@pytest.mark.parametrize("kind", [Policy, Metric, Tolerance, Slo, Split])
@pytest.mark.parametrize(
    "value",
    [None, "", [], {}, True, float("nan"), b"x", object(), {1: 2}, [None]],
    ids=lambda value: type(value).__name__,
)
def test_no_value_of_any_key_escapes_as_another_error(kind, value):
    for key in kind.model_fields:
        with contextlib.suppress(PolicyError):
            kind(**{key: value})


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 15)
)
BOMBS = {
    "billion-laughs": (LAUGHS, "unfolds to more than 100,000 values"),
    "merged-laughs": (
        "a0: &a0 {x: 1, y: 2}\n"
        + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 15)),
        "unfolds to more than 100,000 values",
    ),
    "long-laughs": (
        f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 40)}]\n",
        "unfolds to more than 1,000,000 characters",
    ),
    "long-keys": (
        f"a: &a {{{'x' * 1000}: 1}}\nb: [{', '.join(['*a'] * 2000)}]\n",
        "unfolds to more than 1,000,000 characters",
    ),
    "tower-of-aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2000)),
        "nested more than 20 deep",
    ),
    "brackets": ("[" * 100_000, "nested more than 20 deep"),
    "braces": ("a: " + "{a: " * 50_000, "nested more than 20 deep"),
    "dashes": ("- " * 100_000, "nested more than 20 deep"),
    "questions": ("? " * 100_000, "nested more than 20 deep"),
    "long": ("# " + "x" * 400_000, "more than 300,000 characters"),
    "open-quote": ('a: "' + "x" * 50_000, "this is not YAML"),
    "digits": ("alpha: " + "9" * 50_000, "is not finite"),
    "exponent": ("alpha: 1e" + "9" * 50_000, "is not finite"),
    "long-key": ("k" * 1000 + ": 1", "unknown key"),
    "many-keys": ("".join(f"k{i}: 1\n" for i in range(1500)), "more problems"),
    "many-anchors": ("".join(f"k{i}: &b{i} 1\n" for i in range(1500)), "more problems"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(name):
    text, words = BOMBS[name]
    tracemalloc.start()
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words in str(caught.value)
    assert len(str(caught.value)) < 10_000
    assert peak < 100e6


def test_a_file_without_an_end_is_refused():
    with pytest.raises(PolicyError, match="bytes or more"):
        load_policy("/dev/zero")


def test_text_never_runs(tmp_path):
    touched = tmp_path / "touched"
    for tag in (
        "!!python/object/apply:os.system",
        "!!python/object/new:os.system",
        "!!python/object/apply:subprocess.check_call",
    ):
        with pytest.raises(PolicyError, match="is not read in a policy"):
            parse_policy(f"metrics: [{{name: a, direction: increase, unit: {tag} ['touch {touched}']}}]")
    assert not touched.exists()

"""What YAML and JSON mean in a policy: the core schema, anchors and merge keys, and nothing that runs or guesses."""

import json

import pytest

from canaryjudge.policy import load_policy, parse_policy
from canaryjudge.policy.document import plain, read_document

METRIC = '{"name": "a", "direction": "increase"}'


def values(text):
    root, complaints = read_document(text, "p")
    assert complaints == []
    return plain(root)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("+1", 1),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('""', ""),
        ("!!str 1", "1"),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("10%", "10%"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("[1, [2]]", [1, [2]]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_scalars_follow_the_core_schema(written, value):
    read = values(f"key: {written}")["key"]
    assert read == value
    assert type(read) is type(value)


def test_anchors_and_merge_keys_save_repetition_and_the_nearer_wins():
    text = (
        "metrics:\n"
        "- &p99 {name: a, direction: increase, unit: ms, tolerance: &much 20%}\n"
        "- {<<: *p99, name: b, tolerance: 5ms}\n"
        "- {<<: [{unit: s}, *p99], name: c, tolerance: *much}\n"
    )
    made = parse_policy(text)
    assert [(m.name, m.unit, m.tolerated_relative, m.tolerated_absolute) for m in made.metrics] == [
        ("a", "ms", 0.2, 0.0),
        ("b", "ms", 0.0, 5.0),
        ("c", "s", 0.2, 0.0),
    ]


def test_a_quoted_merge_key_is_a_key():
    assert values("'<<': {a: 1}") == {"<<": {"a": 1}}


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_means_in_a_policy_what_it_means_to_json(indent, ascii_only):
    document = {
        "metrics": [
            {"name": 'é 😀 / \\ \t "', "direction": "increase", "weight": 1.5, "rules": None},
            {"name": "b", "direction": "decrease", "tolerance": {"relative": 0.2}, "group": None},
        ]
    }
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assert values(text) == document
    assert parse_policy(text).metrics[0].name == document["metrics"][0]["name"]


def test_the_examples_are_valid():
    assert [m.name for m in load_policy("docs/examples/checkout/policy.yaml").metrics] == [
        "errors",
        "latency_p99",
        "cpu",
        "requests",
    ]
    assert [m.kind for m in load_policy("docs/examples/starter.yaml").metrics] == ["gauge", "ratio"]


@pytest.mark.parametrize("name", ["yes", "2024-01-01", "1:30", "on", "null_rate", "p99 (ms)", "a.b{c='d'}"])
def test_words_that_other_readers_turn_into_something_else_are_names(name):
    assert (
        parse_policy(f"metrics: [{{name: {json.dumps(name)}, direction: increase}}]").metrics[0].name == name
    )


def test_optional_settings_may_be_null():
    made = parse_policy(
        "extends: ~\nsplit: ~\nmetrics: [{name: a, direction: increase, group: ~, interval: ~, min_points: ~, rules: ~}]"
    )
    assert made == parse_policy(f"metrics: [{METRIC}]")
    made = parse_policy("metrics: [{name: a, direction: increase, tolerance: {relative: ~, absolute: ~}}]")
    assert (made.metrics[0].tolerated_relative, made.metrics[0].tolerated_absolute) == (0.1, 0.0)

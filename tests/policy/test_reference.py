"""The JSON Schema and the table of fields say what the loader does."""

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from canaryjudge.errors import PolicyError
from canaryjudge.policy import (
    Metric,
    NoiseFloor,
    OnDoubt,
    PassWithin,
    Policy,
    Prometheus,
    Query,
    Segments,
    Split,
    Spread,
    Stage,
    Tolerance,
    field_table,
    json_schema,
    parse_policy,
)
from canaryjudge.policy.document import plain, read_document
from canaryjudge.rules import RULES

MODELS = [
    Policy,
    Split,
    Segments,
    Stage,
    OnDoubt,
    Prometheus,
    Metric,
    Tolerance,
    PassWithin,
    NoiseFloor,
    Spread,
    Query,
]
MODELS += [model for rule in RULES.values() for model in (rule.settings, *rule.settings.models.values())]
VALIDATOR = Draft202012Validator(json_schema())
A = {"name": "a", "direction": "increase"}
SLO = {"rule": "slo", "of": "pooled", "op": "lte", "value": "0.1%"}


def with_metric(**settings):
    return {"metrics": [A | settings]}


def loads(document):
    try:
        parse_policy(json.dumps(document))
    except PolicyError:
        return False
    return True


def test_the_schema_is_a_valid_one_and_plain_json():
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema
    assert json_schema() == schema


@pytest.mark.parametrize("path", ["docs/examples/checkout/policy.yaml", "docs/examples/starter.yaml"])
def test_the_examples_fit_the_schema(path):
    root, _ = read_document(Path(path).read_text(encoding="utf-8"), path)
    VALIDATOR.validate(plain(root))


BOTH_ACCEPT = [
    with_metric(),
    with_metric(tolerance="10%"),
    with_metric(tolerance="5 ms", unit="ms"),
    with_metric(tolerance={"relative": 0.1, "absolute": 5}),
    with_metric(tolerance={"relative": "1000%"}),
    with_metric(tolerance={"absolute": "5"}),
    with_metric(tolerance={}),
    with_metric(interval="5min"),
    with_metric(interval="1h30m"),
    with_metric(tolerance="10Mi", unit="bytes"),
    with_metric(interval="1.5 h", min_points=3, weight=2, group="g", unit="req/s"),
    with_metric(interval=None, min_points=None, group=None, rules=None),
    with_metric(rules=["mann_whitney"]),
    with_metric(
        kind="samples", unit="ms", rules=["tail", {"rule": "tail", "beyond": "300ms", "tolerance": "25%"}]
    ),
    with_metric(kind="samples", rules=[{"rule": "tail", "beyond": "p99.9"}, {"rule": "tail", "beyond": 300}]),
    with_metric(kind="ratio", rules=["proportion", {"rule": "mann_whitney", "method": "exact"}, SLO]),
    with_metric(
        kind="count", rules=[{"rule": "rate"}, SLO | {"value": 0.5, "evidence": "point", "blame": "canary"}]
    ),
    with_metric()
    | {
        "version": 1,
        "alpha": "1%",
        "beta": 0.05,
        "extends": None,
        "split": {"baseline": 0.95, "canary": "5%"},
    },
    with_metric(group="g")
    | {"aggregate": "score", "groups": {"g": 2}, "pass_score": 90, "marginal_score": 60},
    json.loads(
        parse_policy(
            json.dumps(
                with_metric(
                    kind="ratio",
                    interval="5m",
                    tolerance={"relative": "250%", "absolute": "0.1%"},
                    rules=[SLO],
                )
            )
        ).model_dump_json()
    ),
]
BOTH_REFUSE = [
    {},
    [],
    with_metric(weigth=1),
    with_metric() | {"alhpa": 0.01},
    with_metric() | {"alpha": 5},
    with_metric() | {"alpha": "0.05"},
    with_metric() | {"alpha": None},
    with_metric() | {"beta": 0.5},
    with_metric() | {"version": 2},
    with_metric() | {"version": "1"},
    with_metric() | {"version": True},
    with_metric() | {"groups": {"g": 0}},
    with_metric() | {"split": {"baseline": 95, "canary": 5}},
    with_metric() | {"split": {"baseline": "95%"}},
    with_metric() | {"pass_score": "95"},
    {"metrics": []},
    {"metrics": ["a"]},
    {"metrics": {"a": {"direction": "increase"}}},
    {"metrics": [{"name": "a"}]},
    {"metrics": [{"direction": "increase"}]},
    with_metric(name=5),
    with_metric(name=" a"),
    with_metric(direction="up"),
    with_metric(tolerance=10),
    with_metric(tolerance="10"),
    with_metric(tolerance="5 e3"),
    with_metric(tolerance=None),
    with_metric(tolerance={"relative": 10}),
    with_metric(tolerance={"relative": "10"}),
    with_metric(tolerance={"absolut": 10}),
    with_metric(tolerance={"absolute": {"number": 5, "unit": "ms"}}),
    with_metric(interval=60),
    with_metric(interval="60"),
    with_metric(interval="30m1h"),
    with_metric(weight="1"),
    with_metric(weight=True),
    with_metric(min_points=2.5),
    with_metric(min_points=0),
    with_metric(rules=[]),
    with_metric(rules="mann_whitney"),
    with_metric(rules=["slo"]),
    with_metric(rules=["manwhitney"]),
    with_metric(rules=[{}]),
    with_metric(rules=[{"method": "exact"}]),
    with_metric(rules=[{"rule": "mann_whitney", "metod": "exact"}]),
    with_metric(rules=[{"rule": "mann_whitney", "of": "p99"}]),
    with_metric(kind="ratio", rules=[{"of": "pooled", "op": "lte", "value": "0.1%"}]),
    with_metric(kind="ratio", rules=[SLO | {"op": "<="}]),
    with_metric(kind="ratio", rules=[SLO | {"value": "x"}]),
]


@pytest.mark.parametrize("document", BOTH_ACCEPT)
def test_what_the_loader_takes_the_schema_takes(document):
    assert loads(document)
    VALIDATOR.validate(document)


@pytest.mark.parametrize("document", BOTH_REFUSE)
def test_what_the_schema_refuses_the_loader_refuses(document):
    assert not loads(document)
    assert not VALIDATOR.is_valid(document)


def test_a_file_that_extends_another_may_leave_the_rest_to_it():
    VALIDATOR.validate({"extends": "base.yaml"})
    VALIDATOR.validate({"extends": "base.yaml", "metrics": [{"name": "a", "tolerance": "20%"}]})
    assert not VALIDATOR.is_valid({"extends": "base.yaml", "metrics": [{"tolerance": "20%"}]})
    assert not VALIDATOR.is_valid({"extends": None, "metrics": [{"name": "a"}]})


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 200),
    st.floats(0, 2),
    st.sampled_from(
        ["10%", "0.1", "5ms", "5m", "5", "worst", "score", "increase", "ratio", "p99", "slo", "", "x"]
    ),
    st.sampled_from(
        [
            [],
            {},
            ["mann_whitney"],
            ["proportion"],
            [SLO],
            {"relative": "1%"},
            {"absolute": 1},
            {"baseline": 0.5, "canary": 0.5},
        ]
    ),
)


@given(
    top=st.dictionaries(
        st.sampled_from([f for f in Policy.model_fields if f not in ("metrics", "extends")]),
        values,
        max_size=2,
    ),
    metric=st.dictionaries(st.sampled_from(list(Metric.model_fields)), values, max_size=3),
)
def test_whatever_the_loader_takes_fits_the_schema(top, metric):
    document = with_metric(**metric) | top
    assert VALIDATOR.is_valid(document) or not loads(document)


def described(schema, path="policy"):
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
    for name, inner in schema.get("$defs", {}).items():
        yield from described(inner, name)


def test_every_field_of_the_schema_is_described_in_one_line():
    fields = dict(described(json_schema()))
    assert len(fields) == sum(len(model.model_fields) for model in MODELS)
    for name, field in fields.items():
        assert field.get("description"), name
        assert "\n" not in field["description"], name
    assert json_schema()["description"] == "What is asked of a release."


def test_every_object_of_the_schema_refuses_unknown_keys():
    schema = json_schema()
    objects = [schema, *schema["$defs"].values()]
    assert [thing["additionalProperties"] for thing in objects] == [False] * len(MODELS)


@cache
def rows():
    found, section = {}, ""
    for line in field_table().splitlines():
        if line.startswith("## "):
            section = line[3:]
            found[section] = {}
        elif line.startswith("| `"):
            name, default, meaning = (cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|"))
            found[section][name.strip("`")] = (default, meaning)
    return found


def test_the_table_has_every_field_of_every_model_with_its_meaning():
    tables = rows()
    assert [list(table) for table in tables.values()] == [list(model.model_fields) for model in MODELS]
    for table in tables.values():
        assert all(meaning for _, meaning in table.values())


@pytest.mark.parametrize(
    ("section", "field", "default"),
    [
        ("policy", "version", "`1`"),
        ("policy", "alpha", "`1%`"),
        ("policy", "beta", "`5%`"),
        ("policy", "aggregate", "`worst`"),
        ("policy", "pass_score", "`95`"),
        ("policy", "marginal_score", "`75`"),
        ("policy", "groups", "none"),
        ("policy", "split", "none"),
        ("policy", "metrics", "required"),
        ("split", "canary", "required"),
        ("metric", "name", "required"),
        ("metric", "direction", "required"),
        ("metric", "kind", "`gauge`"),
        ("metric", "unit", "none"),
        ("metric", "tolerance", "`10%`"),
        ("metric", "weight", "`1`"),
        ("metric", "role", "`required`"),
        ("metric", "rules", "none"),
        ("tolerance", "relative", "none"),
        ("rule: mann_whitney", "method", "`robust`"),
        ("rule: slo", "of", "required"),
        ("rule: slo", "evidence", "`interval`"),
    ],
)
def test_the_table_shows_defaults_as_a_policy_writes_them(section, field, default):
    assert rows()[section][field][0] == default


def test_every_default_of_the_table_is_what_leaving_the_field_out_means():
    made = parse_policy("metrics: [{name: a, direction: increase}]")
    again = {
        "alpha": "1%",
        "beta": "5%",
        "aggregate": "worst",
        "pass_score": 95,
        "marginal_score": 75,
        "version": 1,
    }
    metric = A | {
        "kind": "gauge",
        "tolerance": "10%",
        "effect": "auto",
        "role": "required",
        "weight": 1,
        "pairing": "auto",
        "no_data": "marginal",
        "pass_when": "proven_safe",
    }
    for table, written in ((rows()["policy"], again), (rows()["metric"], metric)):
        for name, value in written.items():
            assert table[name][0] in ("required", f"`{value}`")
    assert parse_policy(json.dumps(again | {"metrics": [metric]})) == made

"""Manifests that nobody wrote in good faith: one sentence, soon, and in little memory."""

import json
import resource

import pytest

import canaryjudge as cj
from canaryjudge.cli import main

BOMB = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)),
    ]
)
LOADERS = pytest.mark.parametrize("load", [cj.load_argo, cj.load_flagger], ids=["argo", "flagger"])


@LOADERS
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "unfolds to more than 100,000 values"),
        ("[" * 10_000 + "]" * 10_000, "nested more than 20 deep"),
        ("- " * 10_000 + "x", "nested more than 20 deep"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "nested more than 20 deep"),
        ("x: " + "y" * 1_000_000, "more than 300,000 characters"),
        ("a: \x07", "cannot stand in YAML"),
        ("a: !!python/object/apply:os.system [ls]", "is not read in"),
        ("apiVersion: v1\nkind: [x]\n", "kind is missing"),
        ("kind: List\nitems: 5", "apiVersion is missing"),
    ],
    ids=["bomb", "brackets", "dashes", "braces", "long", "control", "tag", "kind", "items"],
)
def test_hostile_yaml_is_refused_in_one_bounded_sentence(load, text, why):
    with pytest.raises(cj.PolicyError, match=why) as caught:
        load(text=text)
    assert len(str(caught.value)) < 1000


@LOADERS
def test_a_file_of_100_mb_is_refused_unread(load, tmp_path):
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(cj.PolicyError, match="the file has 2,000,000 bytes or more"):
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # in KiB


def argo(**settings):
    metric = {
        "name": "m",
        "provider": {"prometheus": {"query": "up"}},
        "successCondition": "result > 1",
    } | settings
    spec = {"metrics": [metric]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "t"},
        "spec": spec,
    }


def flagger(**settings):
    metric = {"name": "m", "query": "up", "thresholdRange": {"max": 1}} | settings
    spec = {"targetRef": {"name": "x"}, "analysis": {"metrics": [metric]}}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "c"}, "spec": spec}


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("result > 1 " + "&& true " * 30_000, "at most 10,000 are read"),
        ("(" * 9_000, "nested more than 50 deep"),
        ("result > " + "1" * 9_000, "does not fit 64 bits"),
        ("result > " + "-" * 9_000 + "1", "nested more than 50 deep"),
        ("\x1b[31mresult > 1", "is not understood"),
        ("result > 1\x00", "is not understood"),
    ],
)
def test_hostile_conditions_are_reported_and_not_imported(condition, why):
    found = cj.load_argo(text=json.dumps(argo(successCondition=condition)))
    assert found.metrics == ()
    assert why in found.unjudged[0].why


@pytest.mark.parametrize(
    "name",
    ["x" * 201, "a\nb", " a", "a\u2028b", "\x1b[31m", "é" * 200, "a: {b", "- x", "#", "*x", "null", "1e9"],
)
def test_names_of_any_kind_are_kept_or_refused_by_name(name):
    for found in (
        cj.load_argo(text=json.dumps(argo(name=name))),
        cj.load_flagger(text=json.dumps(flagger(name=name))),
    ):
        assert len(found.metrics) + len(found.unjudged) == 1
        assert all(metric.name == name for metric in found.metrics)


@pytest.mark.parametrize(
    "query",
    ["${x}", "up{", '"', "up" * 5_001, "{" * 1_000, "{{ target }}", "\x02target\x03", "(" * 5_000, "`"],
)
def test_queries_of_any_kind_are_kept_valid_or_left_out(query):
    document = argo(provider={"prometheus": {"query": query}})
    assert len(cj.load_argo(text=json.dumps(document), add_selector=True).metrics) == 1
    assert len(cj.load_flagger(text=json.dumps(flagger(query=query)), add_selector=True).metrics) == 1


@pytest.mark.parametrize("number", [1e308, -1e308, 1e-320, 10**18, 10**300])
def test_numbers_of_any_size_are_kept_or_refused_by_name(number):
    found = cj.load_flagger(text=json.dumps(flagger(thresholdRange={"max": number})))
    assert len(found.metrics) + len(found.unjudged) == 1
    found = cj.load_argo(text=json.dumps(argo(successCondition=f"result < {number!r}")))
    assert len(found.metrics) + len(found.unjudged) == 1


def test_a_few_lines_cannot_ask_for_millions_of_metrics():
    asked = argo(successCondition="result > {{args.x}}") | {
        "spec": {"metrics": [argo(name=f"m{n}")["spec"]["metrics"][0] for n in range(300)]}
    }
    steps = [
        {"analysis": {"templates": [{"templateName": "t"}], "args": [{"name": "x", "value": str(n)}]}}
        for n in range(300)
    ]
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "r"},
        "spec": {"strategy": {"canary": {"steps": steps}}},
    }
    with pytest.raises(cj.PolicyError, match="more than 1,000 metrics are asked for"):
        cj.load_argo(text=json.dumps([rollout, asked]))
    metric = flagger()["spec"]["analysis"]["metrics"][0]
    many = flagger() | {"spec": {"targetRef": {"name": "x"}, "analysis": {"metrics": [metric] * 1_001}}}
    with pytest.raises(cj.PolicyError, match="more than 1,000 metrics are asked for"):
        cj.load_flagger(text=json.dumps(many))


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 40_000,
        "{{" * 40_000,
        "{{args." * 30_000,
        "{{ " + " " * 200_000,
        "'" * 100_001,
        "#" * 200_000,
    ],
)
def test_texts_that_invite_looking_again_and_again_are_read_once(text):
    assert (
        len(
            cj.load_argo(
                text=json.dumps(argo(provider={"prometheus": {"query": text}})), add_selector=True
            ).metrics
        )
        == 1
    )
    assert len(cj.load_flagger(text=json.dumps(flagger(query=text)), add_selector=True).metrics) == 1
    template = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": "t"},
        "spec": {"provider": {"type": "prometheus"}, "query": text},
    }
    assert (
        len(
            cj.load_flagger(text=json.dumps([flagger(query="", templateRef={"name": "t"}), template])).metrics
        )
        == 1
    )
    assert cj.load_argo(text=json.dumps(argo(successCondition=text))).metrics == ()


@pytest.mark.parametrize(
    "condition", ["/*" * 4_900, "'" * 9_999, "result > " + "(1 + " * 49 + "1" + ")" * 49 + " " * 9_000]
)
def test_conditions_that_invite_it_too(condition):
    found = cj.load_argo(text=json.dumps(argo(successCondition=condition)))
    assert len(found.metrics) + len(found.unjudged) == 1


def test_what_a_terminal_would_obey_does_not_reach_it(tmp_path, capsys):
    path = tmp_path / "t.json"
    path.write_text(
        json.dumps(argo(name="\x1b[31mred", successCondition="'\x1b[2J' == result")), encoding="utf-8"
    )
    assert main(["import", "argo", str(path)]) == 2
    printed = capsys.readouterr()
    assert "\x1b" not in printed.err
    assert "Traceback" not in printed.err

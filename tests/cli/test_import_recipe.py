"""The end of an import's report: the two commands by which a gate judges by it, and how the tool asks that gate."""

import shlex
from pathlib import Path

import pytest

import canaryjudge as cj
from canaryjudge.cli import main

ANALYSIS = """
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: NAME}
spec:
  args: [{name: least, value: "0.9"}]
  metrics:
  - name: ok
    successCondition: result[0] >= {{args.least}}
    provider: {prometheus: {QUERY}}
"""
LABELLED = "query: 'avg(ok{track=\"canary\"})', address: 'http://one:9090'"
UNTOLD = "query: 'avg(ok{job=\"a\"})'"


@pytest.fixture
def report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def told(*more, name="shop", query=LABELLED):
        Path("analysis.yaml").write_text(ANALYSIS.replace("NAME", name).replace("QUERY", query))
        assert main(["import", "argo", "analysis.yaml", *more]) == 0
        return capsys.readouterr().err.partition("To have a gate judge by it:\n")[2].splitlines()

    return told


def test_the_first_command_is_the_one_that_was_given(report):
    first = shlex.split(report("--arg", "least=0.8", "--count-failures")[0])
    assert first == shlex.split(
        "mkdir -p policies && canaryjudge import argo --arg least=0.8 --count-failures analysis.yaml > policies/shop.yaml"
    )
    del first[0 : first.index("&&") + 2], first[-2:]
    assert main(first) == 0


def test_the_server_is_the_one_that_the_documents_name(report):
    assert report()[1] == "  canaryjudge serve --policies policies --prometheus http://one:9090"
    assert (
        report("--add-selector", query=UNTOLD)[1]
        == "  canaryjudge serve --policies policies --prometheus URL"
    )


def test_what_is_missing_is_said(report):
    unasked = report(query=UNTOLD)
    assert unasked[1] == "  canaryjudge serve --policies policies"
    assert unasked[2].startswith("No query is known of ok, so the gate fetches nothing")
    assert report()[2].startswith("Say in the policy what ${selector} is")  # of the baseline nothing is known
    assert report("--add-selector", query=UNTOLD)[2].startswith("Say in the policy what ${selector} is")


@pytest.mark.parametrize("name", ['"$(reboot)"', '"a b"', '"../x"', '"{{x}}"', '"é"'])
def test_a_name_that_is_none_in_a_shell_or_an_address_is_not_written_there(report, name):
    told = report(name=name)
    assert told[0].endswith("> policies/default.yaml")
    assert any("/argo/default/{{args.revision}}" in line for line in told)


def test_a_server_of_any_name_is_one_word(report):
    line = report(query=LABELLED.replace("http://one:9090", "http://one $(reboot)"))[1]
    assert shlex.split(line)[-2:] == ["--prometheus", "http://one $(reboot)"]


def test_a_tool_that_asks_no_gate_is_told_none(tmp_path, capsys):
    slo = Path(__file__).parents[2] / "docs/examples/openslo/checkout.yaml"
    assert main(["import", "openslo", str(slo)]) == 0
    assert "gate" not in capsys.readouterr().err


def test_the_end_of_the_watch_is_the_tools_own_unless_another_is_given():
    argo = "docs/examples/argo/success-rate.yaml"
    found = cj.load_argo(Path(__file__).parents[2] / argo)
    assert found.policy().max_duration == 1800
    assert found.policy(max_points=30).max_duration is None
    assert found.policy(max_duration="2h").max_duration == 7200
    assert found.policy(stages=[cj.Stage(canary="5%", max_duration="1h")]).max_duration is None
    (query,) = (metric.query for metric in found.metrics)
    assert query.baseline == 'rollouts_pod_template_hash="${stable}"'
    assert query.canary == 'rollouts_pod_template_hash="${revision}"'


@pytest.mark.parametrize(
    ("timing", "told"),
    [
        ("interval: 5m, count: 12, initialDelay: 10m", 4200),
        ("interval: 1m, count: 3", 1800),
        ("interval: 1m", 3600),  # for as long as the analysis runs
    ],
)
def test_an_analysis_is_watched_for_as_long_as_it_takes(timing, told):
    text = ANALYSIS.replace("NAME", "shop").replace("  - name: ok", f"  - {{{timing}, name: ok, METRIC}}")
    text = (
        text.partition("METRIC")[0]
        + 'successCondition: "result[0] > 1", provider: {prometheus: {query: up}}}\n'
    )
    assert cj.load_argo(text=text).policy().max_duration == told


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        ("interval: 10m, maxWeight: 50, stepWeight: 10", 3000),
        ("interval: 10m, stepWeights: [1, 10, 20, 50]", 2400),
        ("interval: 10m, iterations: 7", 4200),
        ("interval: 10m, stepWeight: 25", 2400),
        ("interval: 1m, maxWeight: 50, stepWeight: 10", 1800),
        ("interval: 10m", 3600),
        ("interval: soon, iterations: 7", 3600),
        ("interval: 10m, stepWeight: 0", 3600),
    ],
)
def test_a_canary_is_watched_for_as_long_as_it_takes_without_a_halt(analysis, told):
    text = f"""
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {{name: shop, namespace: web}}
spec:
  provider: istio
  targetRef: {{kind: Deployment, name: shop}}
  analysis: {{{analysis}, metrics: [{{name: request-success-rate, thresholdRange: {{min: 99}}}}]}}
"""
    found = cj.load_flagger(text=text)
    assert (found.policy().max_duration, found.service) == (told, "shop.web")


ROLLOUT = """
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  strategy:
    canary:
      analysis:
        templates: [{templateName: compared}]
        args:
        - {name: new, valueFrom: {podTemplateHashValue: Latest}}
        - {name: old, valueFrom: {podTemplateHashValue: Stable}}
"""


def test_a_comparison_of_both_hashes_is_asked_of_each_by_the_gates_own_names():
    query = """'avg(lag{hash="{{args.new}}"}) / avg(lag{hash="{{args.old}}"})'"""
    analysis = ANALYSIS.replace("NAME", "compared").replace("QUERY", f"query: {query}")
    analysis = analysis.replace('[{name: least, value: "0.9"}]', "[{name: new}, {name: old}]")
    analysis = analysis.replace("result[0] >= {{args.least}}", "result[0] <= 1.5")
    (metric,) = cj.load_argo(text=analysis + ROLLOUT).metrics
    assert metric.query.value == "avg(lag{${selector}})"
    assert (metric.query.baseline, metric.query.canary) == ('hash="${stable}"', 'hash="${revision}"')

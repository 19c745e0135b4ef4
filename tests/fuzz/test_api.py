"""Whatever is given to the library: a result, or an error of its own in one sentence."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangled import CELLS, EXAMPLES, TOKENS, bytes_of, trees_of, yaml_tree

import canaryjudge as cj
from canaryjudge.compat.kayenta import judge_kayenta

CHECKOUT = EXAMPLES / "checkout"
POLICY = cj.load_policy(CHECKOUT / "policy.yaml")
POLICY_TREE = json.loads(POLICY.model_dump_json(exclude_defaults=True))
FRAME = pd.read_csv(CHECKOUT / "metrics.csv")
SHORT = FRAME.groupby(["metric", "arm"]).head(12).reset_index(drop=True)
MAPPING = {
    metric: {
        arm: {name: own[name].tolist() for name in ("time", "value", "total") if own[name].notna().all()}
        for arm, own in rows.groupby("arm")
    }
    for metric, rows in SHORT.groupby("metric")
}
VERDICT = cj.judge(MAPPING, cj.Policy(metrics=POLICY.metrics[:2])).to_dict()
WATCHED = POLICY.model_copy(update={"max_points": 60})
REQUEST = json.loads((EXAMPLES / "kayenta/request.json").read_text())
KINDS = ("gauge", "samples", "ratio", "count", "histogram")


def tried(function, *arguments, **options):
    """What a function gives, or None where it refuses; nothing else may come of it, and no warning, whatever the caller wants of numpy."""
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        try:
            return function(*arguments, **options)
        except cj.CanaryJudgeError as error:
            said = str(error)
    assert all(said.split("\n"))
    return None


def shown(verdict):
    """Every form of a verdict."""
    for form in (
        verdict.explain,
        verdict.to_markdown,
        verdict.to_html,
        verdict.to_frame,
        verdict.to_json,
        verdict._repr_html_,
    ):
        form()
    verdict.explain(brief=True)


@given(trees_of(MAPPING), st.sampled_from(KINDS))
def test_mappings(tree, kind):
    metrics = [
        cj.Metric(name=name, kind=kind, direction="increase", min_points=3)
        for name in ("latency_p99", "errors")
    ]
    verdict = tried(cj.judge, tree, cj.Policy(metrics=metrics))
    if verdict is not None:
        shown(verdict)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(FRAME.columns)), st.integers(0, len(SHORT) - 1), st.sampled_from(CELLS)
        ),
        max_size=8,
    ),
    st.data(),
)
def test_frames(cells, data):
    frame = SHORT.astype(object)
    for column, row, cell in cells:
        frame[column] = [cell if place == row else old for place, old in enumerate(frame[column])]
    if data.draw(st.booleans()):
        frame = frame.rename(
            columns={
                data.draw(st.sampled_from(list(frame.columns))): data.draw(
                    st.sampled_from([*(token for token in TOKENS if token.isprintable()), 1, None])
                )
            }
        )
    verdict = tried(cj.judge, frame, POLICY)
    if verdict is not None:
        shown(verdict)
    tried(cj.judge_many, frame, POLICY, by=data.draw(st.sampled_from(["arm", "metric", "replica", "no"])))


@given(trees_of(POLICY_TREE, most=4))
def test_policies(tree):
    policy = tried(
        lambda: (
            cj.Policy(**{str(key): value for key, value in tree.items()}) if isinstance(tree, dict) else None
        )
    )
    if policy is not None:
        verdict = tried(cj.judge, SHORT, policy)
        if verdict is not None:
            shown(verdict)


@given(trees_of(VERDICT, most=2))
def test_verdicts_that_somebody_changed(tree):
    with_nan = json.dumps(tree)
    verdict = tried(cj.Verdict.from_json, with_nan)
    if verdict is not None:
        shown(verdict)


@given(trees_of(REQUEST))
def test_requests_of_kayenta(tree):
    answer = tried(judge_kayenta, tree)
    if answer is not None:
        json.dumps(answer, allow_nan=False)


@given(trees_of(MAPPING), st.data())
def test_monitors_and_their_states(tree, data):
    monitor = cj.Monitor(WATCHED)
    tried(monitor.update, MAPPING)
    tried(monitor.update, tree)
    state = json.loads(monitor.to_json())
    other = tried(cj.Monitor.from_json, json.dumps(data.draw(trees_of(state, most=2))), WATCHED)
    if other is not None:
        tried(other.update, MAPPING)
        verdict = tried(other.verdict)
        if verdict is not None:
            shown(verdict)
        tried(monitor.merge, other)


IMPORTERS = {
    "argo": (cj.load_argo, EXAMPLES / "argo/checkout.yaml"),
    "flagger": (cj.load_flagger, EXAMPLES / "flagger/checkout.yaml"),
    "kayenta": (cj.load_kayenta, EXAMPLES / "kayenta/canary-config.json"),
    "openslo": (cj.load_openslo, EXAMPLES / "openslo/checkout.yaml"),
    "policy": (cj.load_policy, CHECKOUT / "policy.yaml"),
}


@pytest.mark.parametrize("name", IMPORTERS)
@given(data=st.data())
def test_documents_of_others(name, data, tmp_path_factory):
    load, source = IMPORTERS[name]
    file = tmp_path_factory.getbasetemp() / f"mangled{source.suffix}"
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(bytes_of(source.read_bytes())))
    else:
        file.write_text(json.dumps(data.draw(trees_of(yaml_tree(source)))))
    tried(load, file)

"""The verdict as a document: written, read back, shown, and never taken for a yes or no."""

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj

NASTY = "<script>alert(1)</script> | `x` *y* \\ \r & “ü” \u2028 \x1b[31m end"
NOISE = np.random.default_rng(20260303).normal(0, 5, (2, 40))


def judged(canary, name="latency", role="required", **settings):
    policy = cj.Policy(
        metrics=[cj.Metric(**({"name": name, "direction": "increase", "unit": "ms"} | settings), role=role)]
    )
    return cj.judge({name: {"baseline": 100 + NOISE[0], "canary": canary}}, policy)


def mixed():
    metrics = [
        cj.Metric(name="gauge", direction="either", unit="ms"),
        cj.Metric(
            name="ratio",
            kind="ratio",
            direction="increase",
            rules=["proportion", cj.Slo(of="pooled", op="lte", value="1%")],
        ),
        cj.Metric(name="count", kind="count", direction="decrease", role="guard"),
        cj.Metric(name="none", direction="increase", no_data="ignore"),
        cj.Metric(name="zero", direction="increase", no_data="fail", role="advisory"),
    ]
    data = {
        "gauge": {"baseline": 100 + NOISE[0], "canary": [*(100 + NOISE[1, 1:]), math.nan]},
        "ratio": {
            "baseline": {"value": [0] * 9, "total": [100] * 9},
            "canary": {"value": [9] * 9, "total": [100] * 9},
        },
        "count": {"baseline": [0] * 9, "canary": [4] * 9},
        "zero": {"baseline": np.zeros(20), "canary": NOISE[1, :20]},
    }
    return cj.judge(data, cj.Policy(metrics=metrics))


FAIL, MARGINAL, PASS = (judged(level + NOISE[1]) for level in (150, 109, 100))
ALL = [FAIL, MARGINAL, PASS, mixed()]


@pytest.mark.parametrize("verdict", ALL, ids=lambda verdict: verdict.outcome.value)
def test_json_reads_back_to_the_same_verdict_and_the_same_bytes(verdict):
    text = verdict.to_json()
    again = cj.Verdict.from_json(text)
    assert again == verdict
    assert again.to_json() == text
    assert cj.Verdict.from_json(text.encode()) == verdict
    assert again.explain() == verdict.explain()
    assert json.loads(text) == verdict.to_dict()


@pytest.mark.parametrize("verdict", ALL, ids=lambda verdict: verdict.outcome.value)
def test_json_has_no_nan_and_numbers_that_are_numbers(verdict):
    def refuse(word):
        raise AssertionError(word)

    document = json.loads(verdict.to_json(), parse_constant=refuse)
    assert document["schema_version"] == 2
    assert document["version"] == cj.__version__
    assert len(document["policy_digest"]) == len(document["data_digest"]) == 64
    finding = document["metrics"][verdict.deciding_metric]["findings"][0]
    assert all(isinstance(finding[name], float) for name in ("pvalue", "level", "beta"))


def test_a_tiny_p_value_stays_a_number_in_json():
    assert 0 < json.loads(FAIL.to_json())["metrics"]["latency"]["findings"][0]["pvalue"] < 1e-10


def with_field(path, value):
    document = json.loads(FAIL.to_json())
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(document)


FINDING = ["metrics", "latency", "findings", 0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "no json",
        b"\xff\xfe",
        with_field(["schema_version"], 3),
        with_field(["outcome"], "great"),
        with_field(["surprise"], 1),
        with_field(["alpha"], math.nan),
        with_field([*FINDING, "level"], math.inf),
        with_field([*FINDING, "estimate"], []),
        with_field([*FINDING, "estimate"], {"a": 1}),
        with_field(path=[*FINDING, "estimate"], value=True),
        with_field([*FINDING, "pvalue"], "0.000000"),
    ],
)
def test_what_is_no_verdict_is_a_data_error(text):
    with pytest.raises(cj.DataError, match="not a verdict of schema version 2"):
        cj.Verdict.from_json(text)


def test_a_verdict_of_an_older_version_is_refused_in_one_sentence():
    with pytest.raises(cj.DataError, match=r"was written by an older canaryjudge \(schema version 1\)"):
        cj.Verdict.from_json(with_field(["schema_version"], 1))


@given(st.text(max_size=50) | st.binary(max_size=50))
def test_garbage_is_a_data_error(text):
    with pytest.raises(cj.DataError):
        cj.Verdict.from_json(text)


def test_a_number_too_large_for_a_float_is_unbounded():
    assert (
        cj.Verdict.from_json(with_field([*FINDING, "estimate"], 10**400))
        .metrics["latency"]
        .findings[0]
        .estimate
        is None
    )


def test_three_outcomes_are_no_truth_value():
    with pytest.raises(TypeError, match=r"verdict\.outcome"):
        bool(PASS)


def test_it_raises_for_what_is_no_pass_and_says_what_and_why():
    PASS.raise_for_outcome()
    PASS.raise_for_outcome(allow_marginal=True)
    MARGINAL.raise_for_outcome(allow_marginal=True)
    with pytest.raises(
        cj.ReleaseUndecided, match=r"^MARGINAL: latency: canary is .* ms v\. .* ms \(.*% CI .*\)"
    ):
        MARGINAL.raise_for_outcome()
    for allow in (True, False):
        with pytest.raises(
            cj.ReleaseFailed, match=r"^FAIL: latency: canary is .*, beyond the tolerated 10 %$"
        ):
            FAIL.raise_for_outcome(allow_marginal=allow)


@pytest.mark.parametrize("level", [150, 110, 100])
@pytest.mark.parametrize("name", ["n" * 200, "ü " * 99 + "ü", NASTY, "a; b: c"])
def test_the_reason_is_one_short_line_whatever_the_names(level, name):
    verdict = judged(level + NOISE[1], name, unit="u" * 40)
    assert len(verdict.reason) < 200
    assert len(verdict.reason.splitlines()) == 1
    assert verdict.reason.isprintable()
    assert "canary is" in verdict.reason  # a long name does not push out the reason


def test_the_reason_counts_what_else_came_out_alike():
    metrics = [cj.Metric(name="n" * 195 + str(i), direction="increase") for i in range(12)]
    data = {metric.name: {"baseline": 100 + NOISE[0], "canary": 150 + NOISE[1]} for metric in metrics}
    reason = cj.judge(data, cj.Policy(metrics=metrics)).reason
    assert reason.endswith(" (and 11 more)")
    assert len(reason) < 200


def test_long_arm_names_stay_in_the_line():
    arms = "b" * 300, "c" * 300
    policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase")])
    verdict = cj.judge({"m": {arms[0]: [1.0] * 20, arms[1]: []}}, policy, baseline=arms[0], canary=arms[1])
    assert len(verdict.reason) < 200


def test_the_frame_has_a_row_a_metric_and_rule():
    frame = mixed().to_frame()
    assert frame[["metric", "rule"]].fillna("").to_numpy().tolist() == [
        ["gauge", "mann_whitney"],
        ["gauge", "excursion"],
        ["gauge", "late_shift"],
        ["ratio", "proportion"],
        ["ratio", "slo"],
        ["count", "rate"],
        ["count", "excursion"],
        ["none", ""],
        ["zero", "mann_whitney"],
        ["zero", "excursion"],
        ["zero", "late_shift"],
    ]
    row = PASS.to_frame().iloc[0]
    finding = PASS.metrics["latency"].findings[0]
    assert (row.outcome, row.low, row.high) == ("pass", finding.interval.low, finding.interval.high)
    assert (row.estimate, row.pvalue) == (finding.estimate, finding.pvalue)


def test_html_and_markdown_escape_names():
    verdict = judged(150 + NOISE[1], NASTY, unit="<b>")
    html = verdict._repr_html_()
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    markdown = verdict.to_markdown()
    assert "\\<script\\>" in markdown
    row = next(line for line in markdown.splitlines() if line.startswith("| \\<script"))
    assert row.replace("\\|", "").count("|") == 5  # four cells
    assert "<script" not in verdict.metrics[NASTY]._repr_html_()


def test_it_survives_pickling():
    for verdict in ALL:
        assert pickle.loads(pickle.dumps(verdict)) == verdict  # noqa: S301 - our own bytes


def test_it_is_frozen_and_prints_its_reason():
    with pytest.raises(ValueError, match="frozen"):
        PASS.outcome = "fail"
    assert repr(PASS) == str(PASS) == f"<Verdict {PASS.reason}>"

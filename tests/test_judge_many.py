"""Many releases at once: each verdict is, to the byte, that of its own rows alone."""

import gc
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from tests.tidy_worlds import table, worlds

SERVICES = ("cart", "search", "pay", "mail")
STATS = Path(cj.__file__).parent / "stats"


def policy():
    return cj.Policy(
        metrics=[
            cj.Metric(name="p99", unit="ms", direction="increase"),
            cj.Metric(name="p50", unit="ms", direction="increase", tolerance="5%"),
            cj.Metric(name="memory", direction="either", pass_within="15%", role="guard"),
            cj.Metric(name="errors", kind="ratio", direction="increase"),
            cj.Metric(name="requests", kind="count", direction="either", role="guard"),
        ]
    )


def release(seed, points=30, change=1.0, gaps=0.0, replicas=1):
    """Make up a release's rows: gauges, errors of requests, and counts."""
    rng = np.random.default_rng(seed)
    parts = []
    for arm in ("baseline", "canary"):
        by = change if arm == "canary" else 1.0
        total = rng.poisson(1000, points).astype(float)
        for part in range(replicas):
            columns = {
                "p99": rng.normal(200, 10, points) * by,
                "p50": rng.normal(20, 0.5, points) * by,
                "memory": 500 + np.cumsum(rng.normal(0, 1, points)) * by,
                "errors": rng.binomial(total.astype(int), min(1.0, 0.002 * by**8)).astype(float),
                "requests": rng.poisson(300, points).astype(float),
            }
            for name, value in columns.items():
                kept = rng.random(points) >= gaps
                frame = pd.DataFrame({"metric": name, "arm": arm, "time": 60.0 * np.arange(points)[kept]})
                frame["value"] = value[kept]
                frame["total"] = total[kept] if name == "errors" else np.nan
                if replicas > 1:
                    frame["replica"] = f"{arm}-{part}"
                parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def many(releases, column="service"):
    return pd.concat([rows.assign(**{column: key}) for key, rows in releases.items()], ignore_index=True)


RELEASES = {
    "cart": release(1),
    "search": release(2, change=1.4),
    "pay": release(3, gaps=0.1),
    "mail": release(4, points=15),
    "maps": release(5, points=8, change=3.0),
    "ads": release(6),
    "tail": release(7, change=1.08),
}


def alone(rows):
    return cj.judge(rows.dropna(axis=1, how="all"), policy())


def test_each_verdict_is_that_of_its_own_rows():
    verdicts = cj.judge_many(many(RELEASES), policy(), by="service")
    assert list(verdicts) == list(RELEASES)
    for key, rows in RELEASES.items():
        assert verdicts[key].to_json() == alone(rows).to_json()
    assert {outcome.value for outcome in verdicts.outcomes.values()} == {"pass", "marginal", "fail"}


def test_rows_say_what_the_verdicts_say():
    verdicts = cj.judge_many(many(RELEASES), policy(), by="service")
    releases, metrics = verdicts.to_frame().set_index("service"), verdicts.metrics()
    for key in RELEASES:
        verdict = verdicts[key]
        row = releases.loc[key]
        assert (row.outcome, row.action) == (verdict.outcome, verdict.action)
        assert row.reason == verdict.metrics[verdict.deciding_metric].reason
        assert row.deciding_metric == verdict.deciding_metric
        for own in metrics[metrics.service == key].itertuples():
            result = verdict.metrics[own.metric]
            assert (own.outcome, own.reason, own.n_canary) == (result.outcome, result.reason, result.n_canary)
            if result.deciding is not None and result.deciding.effect is not None:
                assert own.estimate == pytest.approx(result.deciding.effect.estimate, nan_ok=True)
                assert own.rule == result.deciding.rule
    assert len(metrics) == 5 * len(RELEASES)


@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_the_size_of_a_batch_changes_nothing(monkeypatch, at_once):
    whole = cj.judge_many(many(RELEASES), policy(), by="service")
    monkeypatch.setattr(sys.modules["canaryjudge.judging.judge"], "_AT_ONCE", at_once)
    order = list(RELEASES)[::-1]
    turned = cj.judge_many(many({key: RELEASES[key] for key in order}), policy(), by="service")
    assert list(turned) == order
    both = [each.metrics().sort_values(["service", "metric"], ignore_index=True) for each in (whole, turned)]
    pd.testing.assert_frame_equal(*both, check_exact=True)
    lines = [each.to_frame().sort_values("service", ignore_index=True) for each in (whole, turned)]
    pd.testing.assert_frame_equal(*lines, check_exact=True)


@given(st.lists(worlds(), min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_odd_data_are_judged_in_company_as_alone(drawn, shuffle):
    policy, first = drawn[0]
    releases = {"a": table(first), "b": table(drawn[1][1]), "c": table(drawn[-1][1])}
    shared = [name for name in releases["a"] if all(name in rows for rows in releases.values())]
    releases = {key: rows[shared] for key, rows in releases.items() if len(rows)}
    if not releases:
        return
    keys = list(releases)
    shuffle.shuffle(keys)
    verdicts = cj.judge_many(many({key: releases[key] for key in keys}), policy, by="service")
    lines = verdicts.to_frame().set_index("service")
    for key, rows in releases.items():
        try:
            expected = cj.judge(rows, policy)
        except cj.CanaryJudgeError as error:
            assert key not in verdicts
            with pytest.raises(type(error)):
                verdicts[key]
            assert lines.loc[key].outcome is None or pd.isna(lines.loc[key].outcome)
        else:
            assert lines.loc[key].outcome == expected.outcome
            assert verdicts[key].outcome == expected.outcome


def test_replicas_in_company():
    releases = {"a": release(1, replicas=3), "b": release(2, change=1.3, replicas=3)}
    verdicts = cj.judge_many(many(releases), policy(), by="service")
    for key, rows in releases.items():
        assert verdicts[key].to_json() == alone(rows).to_json()


def test_tables_one_after_another_are_those_of_one():
    whole = cj.judge_many(many(RELEASES), policy(), by="service").to_frame()
    parts = (rows.assign(service=key) for key, rows in RELEASES.items())
    pd.testing.assert_frame_equal(cj.judge_many(parts, policy(), by="service").to_frame(), whole)


def test_several_columns_tell_releases_apart():
    frame = many(RELEASES).assign(region="eu")
    verdicts = cj.judge_many(frame, policy(), by=["service", "region"])
    assert next(iter(verdicts)) == ("cart", "eu")
    assert verdicts.to_frame().columns[:2].tolist() == ["service", "region"]
    assert verdicts["cart", "eu"].outcome == alone(RELEASES["cart"]).outcome


def test_a_broken_release_is_a_row_and_the_others_are_judged():
    broken = RELEASES["ads"][RELEASES["ads"].arm == "baseline"]
    frame = many({"cart": RELEASES["cart"], "ads": broken, "search": RELEASES["search"]})
    verdicts = cj.judge_many(frame, policy(), by="service")
    assert repr(verdicts).endswith("1 not judged>")
    assert list(verdicts) == ["cart", "search"]
    assert "ads" not in verdicts
    assert list(verdicts.errors) == ["ads"]
    row = verdicts.to_frame().set_index("service").loc["ads"]
    assert row.action == "hold"
    assert "canary" in row.error
    with pytest.raises(cj.DataError, match="canary"):
        verdicts["ads"]
    with pytest.raises(KeyError):
        verdicts["nobody"]


def test_a_rule_that_a_release_breaks_is_that_release_s_alone():
    """Sequential counts must be whole: what a rule refuses is said of the release whose data it refuses."""
    metric = cj.Metric(name="requests", kind="count", direction="increase", rules=["sequential"])
    rows = {}
    for key, extra in (("good", 0.0), ("bad", 0.5)):
        rng = np.random.default_rng(1)
        rows[key] = pd.concat(
            [
                pd.DataFrame({"metric": "requests", "arm": arm, "value": rng.poisson(50, 20) + extra})
                for arm in ("baseline", "canary")
            ]
        )
    verdicts = cj.judge_many(many(rows), cj.Policy(metrics=[metric]), by="service")
    lines = verdicts.to_frame().set_index("service")
    for key, own in rows.items():
        alone = cj.judge_many(own.assign(service=key), cj.Policy(metrics=[metric]), by="service").to_frame()
        assert lines.loc[key].to_dict() == alone.set_index("service").loc[key].to_dict()


def test_progress_is_told_to_its_end():
    told = []
    cj.judge_many(many(RELEASES), policy(), by="service", progress=lambda *done: told.append(done))
    assert told[0] == (0, len(RELEASES))
    assert told[-1] == (len(RELEASES), len(RELEASES))


def test_a_column_of_the_frame_s_own_is_refused_in_one_sentence():
    frame = many(RELEASES, column="reason")
    verdicts = cj.judge_many(frame, policy(), by="reason")
    with pytest.raises(cj.DataError, match="the column 'reason' that tells releases apart is also"):
        verdicts.to_frame()


def test_the_collector_of_cycles_is_as_it_was():
    assert gc.isenabled()
    cj.judge_many(many(RELEASES), policy(), by="service")
    with pytest.raises(cj.DataError):
        cj.judge_many([{"service": "a"}], policy(), by="nothing")
    assert gc.isenabled()
    gc.disable()
    try:
        cj.judge_many(many(RELEASES), policy(), by="service")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_policy_must_be_one():
    with pytest.raises(cj.PolicyError, match="the policy is a dict"):
        cj.judge_many(many(RELEASES), {"metrics": []}, by="service")


_SUMS_OF_ONE_ROW = {
    # matrices of one row at a time, of what every row shares, or of a whole (rows, 1, n)
    "long_run.py": 2,
    "paired_shift.py": 1,
    "group_sequential.py": 2,
    "count_processes.py": 4,
    "power.py": 1,
    "bucket_rank_test.py": 3,
    "stratified_tables.py": 3,
    "bucket_distributions.py": 1,
    "effect_trend.py": 13,
}
"""Products of matrices in `stats/`, by file: none has the rows of a batch for one of the axes of a matrix."""


def test_no_product_of_matrices_runs_over_a_batch():
    product = re.compile(r"[\w)\]] @ |\.dot\(|matmul\(|tensordot\(|np\.inner\(")
    found = {}
    for path in sorted(STATS.glob("*.py")):
        lines = [line for line in path.read_text().splitlines() if product.search(line)]
        if lines:
            found[path.name] = len(lines)
    assert found == _SUMS_OF_ONE_ROW, (
        "its bits depend on how many rows there are: take einsum, or count it here if it has none"
    )

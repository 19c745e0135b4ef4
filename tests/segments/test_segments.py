"""A look within segments: the mean decides, those to blame are named, and what cannot be compared is told."""

import json

import numpy as np
import pandas as pd
import pytest
from cohorts import ARMS, MINUTES, START, columns, errors, gauges, policy, samples, shifted_errors

import canaryjudge as cj
from canaryjudge.stats.common_effect import common_effect, student_error
from canaryjudge.stats.dispersion import Dispersion
from canaryjudge.stats.paired_shift import paired_test
from canaryjudge.stats.segment_split import segment_split
from canaryjudge.stats.stratified_events import stratified_test
from canaryjudge.stats.stratified_ranks import van_elteren

REGIONS = ("eu-west", "us-east", "us-west", "asia", "africa", "oceania", "nordics", "latam")
DEVICES = ("Android", "iOS", "web")
LATENCY = {"unit": "ms"}
ERRORS = {"kind": "ratio", "rules": ["proportion"]}


def judged(data, asked):
    verdict = cj.judge(data, asked)
    assert cj.Verdict.from_json(verdict.to_json()) == verdict
    for text in (verdict.explain(), verdict.explain(brief=True), verdict.to_markdown(), verdict.to_html()):
        assert "None" not in text
        assert "nan" not in text.replace("finance", "")
    return verdict


def said(verdict):
    return " ".join(verdict.explain().split())


def crossed(rng, bad, regions=REGIONS[:3], without=(), minutes=MINUTES):
    changes = {
        (region, device): 0.6 * bad(region, device)
        for region in regions
        for device in DEVICES
        if (region, device) not in without
    }
    data = gauges(rng, changes)
    return data[data["time"] < START + 60 * minutes]


# what decides


def test_a_mix_that_shifts_is_no_effect_and_a_rise_within_segments_is_one_and_the_sentence_says_which():
    rng = np.random.default_rng(4)
    asked, pooled = policy(**ERRORS), cj.Policy(metrics=policy(**ERRORS).metrics)
    healthy, worse = shifted_errors(rng, 0.0), shifted_errors(rng, 0.3)
    assert cj.judge(healthy.drop(columns="region"), pooled).outcome == "fail"
    verdict = judged(healthy, asked)
    assert verdict.outcome == "pass"
    facts = verdict.segments.metrics["m"]
    assert facts.most_moved == ("eu-west",)
    assert facts.more == pytest.approx(0.6, abs=1e-3)
    assert facts.mix_pvalue < 1e-6
    assert facts.pooled > 1.3
    assert abs(facts.within) < 0.06
    sentence = (
        f"pooled +{100 * facts.pooled:.0f} %, but the canary has 60 points more of eu-west; within segments "
    )
    assert sentence in said(verdict)
    assert judged(worse, asked).outcome == "fail"
    assert "it would not have failed" not in judged(worse, asked).to_html()
    # what was hidden: a healthy mix outweighs a fault
    hidden = errors(
        rng,
        {"us": 0.3, "eu-west": 0.3},
        {"us": (40_000, 60_000), "eu-west": (60_000, 40_000)},
        {"us": 0.01, "eu-west": 0.02},
    )
    assert cj.judge(hidden.drop(columns="region"), pooled).outcome != "fail"
    assert judged(hidden, asked).outcome == "fail"


def test_one_bad_region_is_named_and_that_only_it_is():
    rng = np.random.default_rng(5)
    verdict = judged(
        gauges(rng, {region: 0.6 * (region == "us-west") for region in REGIONS}), policy(**LATENCY)
    )
    (culprit,) = verdict.segments.metrics["m"].culprits
    assert culprit.name == ("us-west",)
    assert verdict.segments.metrics["m"].only
    assert verdict.outcome == "fail"
    assert verdict.metrics["m"].reason == "worse_in_segment"
    assert verdict.reason.startswith(
        f"FAIL: m: worse only in us-west: +{100 * culprit.estimate:.0f} %, all others within "
    )
    worst = verdict.segments.metrics["m"].segments[0]
    assert (worst.name, worst.outcome) == (("us-west",), "fail")
    page = verdict.to_html()
    assert (
        "It fails because of the segments that are proven worse than tolerated, whatever the mean of all is."
        in page
    )
    table = page[page.index('aria-label="Segments of m"') :]
    assert table.index("us-west") < min(table.index(region) for region in REGIONS if region != "us-west")
    assert "of 8 segments by themselves 1 worse than tolerated, 7 fine; the worst is us-west, +" in said(
        verdict
    )


@pytest.mark.parametrize(("kind", "draw"), [("gauge", gauges), ("samples", samples)])
def test_where_all_are_worse_alike_the_release_fails_and_none_is_to_blame(kind, draw):
    rng = np.random.default_rng(6)
    changes = dict.fromkeys(REGIONS[:4], 0.6)
    data = draw(rng, changes) if kind == "gauge" else draw(rng, changes, dict.fromkeys(changes, (200, 100)))
    verdict = judged(data, policy(kind=kind, **LATENCY))
    assert verdict.outcome == "fail"
    assert verdict.segments.metrics["m"].culprits == ()
    assert verdict.reason.startswith("FAIL: m: worse in all segments alike, none stands out: +")


@pytest.mark.parametrize(
    ("bad", "named", "words"),
    [
        (
            lambda region, device: region == "eu-west" and device == "Android",
            ("eu-west", "Android"),
            "eu-west / Android",
        ),
        (lambda region, _: region == "eu-west", ("eu-west", None), "eu-west"),
        (lambda _, device: device == "Android", (None, "Android"), "Android"),
    ],
    ids=["cell", "row", "column"],
)
def test_of_two_columns_a_pair_of_values_is_named_or_a_value_of_one(bad, named, words):
    verdict = judged(crossed(np.random.default_rng(7), bad), policy(("region", "device"), **LATENCY))
    assert [each.name for each in verdict.segments.metrics["m"].culprits] == [named]
    assert f"worse only in {words}: +" in verdict.reason


def test_where_pairs_of_values_are_thin_the_first_column_is_taken_alone_and_the_verdict_says_so():
    rng = np.random.default_rng(8)
    data = crossed(rng, lambda region, _: region == "eu-west", minutes=8)
    hours = [
        data.assign(time=data["time"] + 480 * place, device=data["device"] + str(place)) for place in range(6)
    ]
    verdict = judged(pd.concat(hours), policy(("region", "device"), **LATENCY))
    assert verdict.segments.by == ("region",)
    assert [each.name for each in verdict.segments.metrics["m"].culprits] == [("eu-west",)]
    assert (
        "By region and device together more than a tenth of the traffic is of segments with too little data, so segments are those by region alone."
        in said(verdict)
    )
    assert "repeat another's time" not in said(verdict)


@pytest.mark.parametrize(("direction", "change"), [("decrease", -0.4), ("either", -0.4), ("either", 0.6)])
def test_the_bad_direction_is_that_of_the_metric(direction, change):
    rng = np.random.default_rng(9)
    changes = {region: change * (region == "asia") for region in REGIONS}
    verdict = judged(gauges(rng, changes), policy(direction=direction, unit="req/s", effect="shift"))
    assert verdict.outcome == "fail"
    assert [each.name for each in verdict.segments.metrics["m"].culprits] == [("asia",)]
    other = {"decrease": "increase"}.get(direction)
    if other:
        assert judged(gauges(rng, changes), policy(direction=other, **LATENCY)).outcome == "pass"


def test_how_far_apart_a_culprit_must_be_is_the_policys():
    changes = {region: 0.6 if region == "asia" else 0.3 for region in REGIONS}
    data = gauges(np.random.default_rng(10), changes, noise=0.05)
    named = [
        len(judged(data, policy(segments={"apart": apart}, **LATENCY)).segments.metrics["m"].culprits)
        for apart in ("5%", "60%")
    ]
    assert named == [1, 0]


# the same as the statistics by themselves


def test_the_mean_of_gauges_is_that_of_their_own_tests_minute_by_minute():
    rng = np.random.default_rng(11)
    data = gauges(rng, dict.fromkeys(REGIONS, 0.05))
    verdict = judged(data, policy(assumed_spread="0%", rules=["mann_whitney"], **LATENCY))
    arms = [
        np.stack([data[(data.region == region) & (data.arm == arm)]["value"] for region in REGIONS])
        for arm in ARMS
    ]
    level = 0.01 / 2 / len(REGIONS)
    found = paired_test(arms[0], arms[1], [np.log(1.1)], levels=[level], effect="ratio")
    error = student_error(found.estimate - found.low[..., 0, 0], level, 8)
    mean = common_effect(found.estimate, error, 8, [np.log(1.1)], levels=[0.005])
    finding = verdict.metrics["m"].findings[0]
    assert finding.method == "common_effect"
    assert finding.estimate == pytest.approx(np.expm1(float(mean.estimate)), rel=1e-6)
    assert finding.interval.low == pytest.approx(np.expm1(float(mean.low[0])), rel=1e-6)


def test_samples_are_compared_by_van_elterens_ranks():
    rng = np.random.default_rng(12)
    data = samples(rng, {"us": 0.2, "eu": 0.2}, {"us": (120, 40), "eu": (60, 150)})
    finding = judged(data, policy(kind="samples", rules=["mann_whitney"], **LATENCY)).metrics["m"].findings[0]
    values = {key: rows["value"].to_numpy() for key, rows in data.groupby(["region", "arm"])}
    units = {region: np.median(values[region, "baseline"]) for region in ("us", "eu")}
    arms = [[values[region, arm] / units[region] for region in ("us", "eu")] for arm in ARMS]
    found = van_elteren(arms[0], arms[1], [0.1], levels=[0.005, 0.05], scales=[1.1])
    assert finding.method == "van_elteren"
    assert finding.estimate == pytest.approx(float(found.estimate), rel=1e-9)
    assert finding.interval.low == pytest.approx(float(found.low[0, 0]), rel=1e-6)
    assert finding.pass_interval.high == pytest.approx(float(found.high[0, 1]), rel=1e-6)


def test_events_are_compared_by_the_stratified_score():
    rng = np.random.default_rng(13)
    data = shifted_errors(rng, 0.2)
    finding = judged(data, policy(assumed_spread="0%", **ERRORS)).metrics["m"].findings[0]
    sums = data.groupby(["region", "arm"], sort=False)[["value", "total"]].sum()
    cells = [
        sums.loc[(slice(None), arm), name].to_numpy(float) for arm in ARMS for name in ("value", "total")
    ]
    ones = np.ones(2)
    found = stratified_test(*cells, [1.1], levels=[0.005], dispersion=Dispersion(ones, np.inf * ones, ones))
    assert finding.method == "segment_score"
    assert 1 + finding.estimate == pytest.approx(float(found.estimate), rel=1e-9)
    assert 1 + finding.interval.low == pytest.approx(float(found.low[0]), rel=1e-6)


def test_what_healthy_arms_differ_by_is_shared_by_the_segments_and_does_not_average_out():
    data = gauges(np.random.default_rng(14), dict.fromkeys(map(str, range(40)), 0.0), noise=0.02)
    interval = judged(data, policy(assumed_spread="5%", **LATENCY)).metrics["m"].findings[0].pass_interval
    assert (interval.high - interval.low) / 2 == pytest.approx(1.645 * 0.05 * np.sqrt(1.1), rel=0.1)


# what the whole is asked, and what each segment


def test_features_are_looked_for_in_each_segment_and_the_sentence_says_in_which():
    rng = np.random.default_rng(15)
    data = gauges(rng, dict.fromkeys(REGIONS[:4], 0.0), noise=0.05)
    late = (data.region == "us-east") & (data.arm == "canary") & (data.time >= START + 60 * 30)
    data.loc[late, "value"] *= 1.5
    verdict = judged(data, policy(rules=["mann_whitney", "late_shift"], tolerance="30%", **LATENCY))
    assert verdict.outcome == "fail"
    assert verdict.segments.metrics["m"].found_in["late_shift"] == ("us-east",)
    assert verdict.reason.startswith("FAIL: m: in us-east: last half: canary is ")


def test_objectives_are_about_the_whole():
    data = shifted_errors(np.random.default_rng(16), 0.0)
    rules = [{"rule": "proportion"}, {"rule": "slo", "of": "pooled", "op": "lte", "value": "4%"}]
    verdict = judged(data, policy(kind="ratio", rules=rules))
    level, objective = verdict.metrics["m"].findings
    assert level.outcome == "pass"
    assert objective.outcome == "fail"
    total = data[data.arm == "canary"]
    assert objective.estimate == pytest.approx(total["value"].sum() / total["total"].sum(), rel=1e-6)


def test_a_metric_that_names_no_segment_is_judged_as_ever_beside_the_others():
    rng = np.random.default_rng(17)
    data = gauges(rng, {"eu": 0.0, "us": 0.0})
    queue = pd.concat(
        [columns("x", arm, time=START + 60 * np.arange(60), value=rng.normal(50, 2, 60)) for arm in ARMS]
    ).assign(metric="queue", region=None)
    asked = [{"name": "queue", "direction": "increase"}, {"name": "m", "direction": "increase", "unit": "ms"}]
    verdict = judged(pd.concat([data, queue]), cj.Policy(metrics=asked, segments={"by": ["region"]}))
    alone = cj.judge(queue, cj.Policy(metrics=asked[:1]))
    assert verdict.metrics["queue"].findings[0].estimate == alone.metrics["queue"].findings[0].estimate
    assert verdict.segments.unnamed == ("queue",)
    assert list(verdict.metrics) == ["queue", "m"]
    assert list(verdict.segments.metrics) == ["m"]


def test_counters_are_differenced_segment_by_segment():
    rng = np.random.default_rng(18)
    parts = []
    for region, level in (("eu", 10.0), ("us", 1000.0)):
        for arm in ARMS:
            grown = level + np.cumsum(rng.poisson(20, MINUTES))
            total = 50 * level + np.cumsum(np.full(MINUTES, 1000))
            parts.append(columns(region, arm, time=START + 60 * np.arange(MINUTES), value=grown, total=total))
    verdict = judged(pd.concat(parts), policy(kind="ratio", counter=True))
    assert verdict.outcome == "pass"
    assert verdict.metrics["m"].findings[0].total_baseline == pytest.approx(2 * 59 * 1000)


# doubts


def test_a_split_that_is_right_in_sum_and_wrong_in_a_segment_is_found_named_and_withholds_the_pass():
    rng = np.random.default_rng(19)
    requests = {"eu-west": (88_000, 12_000), "us": (92_000, 8_000), "asia": (90_000, 10_000)}
    data = errors(rng, dict.fromkeys(requests, 0.0), requests, dict.fromkeys(requests, 0.05))
    asked = policy(kind="ratio", tolerance="30%").model_copy(
        update={"split": cj.Split(baseline="90%", canary="10%")}
    )
    verdict = judged(data, asked)
    assert verdict.outcome == "marginal"
    assert verdict.metrics["m"].reason == "split_mismatch"
    assert [(each.name, each.right_in_sum) for each in verdict.segments.splits] == [
        (("eu-west",), True),
        (("us",), True),
    ]
    assert "The split is right in sum and wrong in eu-west (12 %, not 10 %)." in said(verdict)
    assert verdict.reason.startswith(
        "MARGINAL: m: in eu-west the canary got 12 % of the traffic where the policy's split gives it 10 %"
    )
    sums = data.groupby(["arm", "region"], sort=False)["total"].sum()
    found = segment_split(sums["baseline"], sums["canary"], 0.1)
    assert found.pooled > 0.05
    assert (found.segments < 0.001).tolist() == [True, True, False]
    alone = data[(data.region != "asia") | (data.time < 0)]
    assert len(judged(alone, asked).segments.splits) == 2
    none = pd.concat([data, data[data.region == "asia"].assign(region="moon", value=0, total=0)])
    assert len(judged(none, asked).segments.splits) == 2
    right = errors(
        rng,
        dict.fromkeys(requests, 0.0),
        dict.fromkeys(requests, (90_000, 10_000)),
        dict.fromkeys(requests, 0.05),
    )
    assert judged(right, asked).outcome == "pass"


def test_a_segment_that_falls_silent_withholds_the_pass_and_is_named():
    data = gauges(np.random.default_rng(20), dict.fromkeys(REGIONS[:4], 0.0), noise=0.05)
    silent = (data.region == "asia") & (data.arm == "canary") & (data.time >= START + 60 * 35)
    verdict = judged(data[~silent], policy(**LATENCY))
    assert verdict.metrics["m"].reason == "silent"
    assert verdict.reason.startswith("MARGINAL: m: in asia: canary: nothing since 2026-03-02T09:34:00")


def test_a_segment_of_one_arm_is_left_out_told_and_holds_a_pass_where_it_is_much_of_the_traffic():
    rng = np.random.default_rng(21)
    data = gauges(rng, dict.fromkeys(REGIONS[:4], 0.0), noise=0.05)
    verdict = judged(data[(data.region != "asia") | (data.arm == "baseline")], policy(**LATENCY))
    assert verdict.outcome == "marginal"
    assert verdict.metrics["m"].reason == "segments_left_out"
    assert (
        "1 segment with 25 % of an arm's traffic could not be compared (without points of the canary: asia); otherwise: canary is "
        in said(verdict)
    )
    many = gauges(rng, dict.fromkeys(map(str, range(20)), 0.0), noise=0.05)
    verdict = judged(many[(many.region != "7") | (many.arm == "canary")], policy(**LATENCY))
    assert verdict.outcome == "pass"
    assert (
        "1 segment with 5 % of an arm's traffic could not be compared (without points of the baseline: 7)."
        in said(verdict)
    )


def test_segments_with_too_little_data_are_left_out_and_told():
    rng = np.random.default_rng(22)
    data = gauges(rng, dict.fromkeys(REGIONS, 0.0), noise=0.05)
    thin = data.region.isin(["asia", "latam"]) & (data.time >= START + 60 * 5)
    verdict = judged(data[~thin], policy(**LATENCY))
    facts = verdict.segments.metrics["m"]
    assert [(each.name, each.why) for each in facts.left_out] == [
        (("asia",), "too_little_data"),
        (("latam",), "too_little_data"),
    ]
    assert facts.left_out_part == pytest.approx(10 / 370)
    assert (
        "2 segments with 2.7 % of an arm's traffic could not be compared (with too little data for a test of their own: asia, latam)."
        in said(verdict)
    )


def test_where_no_segment_can_be_compared_there_is_no_pass():
    data = gauges(np.random.default_rng(23), dict.fromkeys(map(str, range(30)), 0.0), noise=0.05)
    verdict = judged(data[data.time < START + 60 * 4], policy(**LATENCY))
    assert verdict.outcome == "marginal"
    apart = gauges(np.random.default_rng(24), {"eu": 0.0, "us": 0.0})
    apart = apart[(apart.region == "eu") == (apart.arm == "baseline")]
    verdict = judged(apart, policy(**LATENCY))
    assert verdict.outcome == "marginal"
    assert verdict.metrics["m"].reason == "segments_left_out"


def test_one_segment_alone_is_judged_and_told():
    data = gauges(np.random.default_rng(25), {"eu-west": 0.0}, noise=0.05)
    verdict = judged(data, policy(**LATENCY))
    assert verdict.outcome == "pass"
    assert "All data are of one segment by region, eu-west, so there was nothing to tell apart." in said(
        verdict
    )
    assert judged(gauges(np.random.default_rng(26), {"eu-west": 0.6}), policy(**LATENCY)).outcome == "fail"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data.drop(columns="region"), "the table has no column 'region'. "),
        (
            lambda data: data.assign(region=data["region"].where(data.index != 7)),
            "row 8: metric 'm' names no region here, though other rows of it do. Fill them in, for instance with 'other', or leave those rows out.",
        ),
        (
            lambda data: data.assign(region=data.index.astype(str)),
            "the data have 2,400 segments by region, more than 1,000. Take a column with fewer values, such as a region; of an identifier each value is a segment.",
        ),
        (
            lambda data: data.assign(region=None),
            "no row of the policy's metrics names its region. Fill in the column 'region', or leave segments out of the policy.",
        ),
        (
            lambda data: {"m": {arm: data[data.arm == arm]["value"].to_numpy() for arm in ARMS}},
            "the policy compares within segments, which a mapping of series does not name. ",
        ),
        (
            lambda data: data.pivot_table(
                index=["region", "time"], columns="arm", values="value"
            ).reset_index(),
            "the policy compares within segments, which no row of a table with a column an arm is of alone. ",
        ),
    ],
    ids=["no column", "unnamed row", "too many", "all unnamed", "mapping", "a column an arm"],
)
def test_data_that_name_no_segments_are_refused_in_a_sentence(change, sentence):
    data = gauges(np.random.default_rng(27), dict.fromkeys(map(str, range(20)), 0.0))
    with pytest.raises(cj.DataError) as refused:
        cj.judge(change(data), policy(**LATENCY))
    assert str(refused.value).startswith(sentence)


def test_a_metric_that_is_not_there_is_no_silent_pass():
    data = gauges(np.random.default_rng(31), {"eu": 0.0, "us": 0.0})
    asked = [{"name": name, "direction": "increase", "unit": "ms"} for name in ("m", "latency")]
    with pytest.raises(cj.DataError, match="the data have no metric 'latency'"):
        cj.judge(data, cj.Policy(metrics=asked, segments={"by": ["region"]}))
    asked[1]["no_data"] = "marginal"
    assert judged(data, cj.Policy(metrics=asked, segments={"by": ["region"]})).outcome == "marginal"


# forms


def test_series_that_have_columns_of_segments_are_judged_as_the_same_in_a_table():
    data = gauges(np.random.default_rng(32), {"eu": 0.6, "us": 0.0, "asia": 0.0})
    queue = {arm: np.random.default_rng(place).normal(50, 2, 60) for place, arm in enumerate(ARMS)}
    series = {
        "m": {arm: rows[["region", "time", "value"]].to_dict("list") for arm, rows in data.groupby("arm")},
        "queue": queue,
    }
    metrics = [*policy(**LATENCY).metrics, cj.Metric(name="queue", direction="increase")]
    verdict = judged(series, cj.Policy(metrics=metrics, segments={"by": ["region"]}))
    alone = judged(data, cj.Policy(alpha=0.005, metrics=metrics[:1], segments={"by": ["region"]}))
    assert verdict.metrics["m"].findings == alone.metrics["m"].findings
    assert verdict.metrics["queue"].outcome == "pass"


@pytest.mark.parametrize("kind", ["gauge", "ratio"])
def test_labels_of_prometheus_name_segments(kind):
    rng = np.random.default_rng(33)
    changes = {region: 0.8 * (region == "asia") for region in REGIONS[:4]}
    requests = dict.fromkeys(changes, (60_000, 60_000))
    data = (
        gauges(rng, changes)
        if kind == "gauge"
        else errors(rng, changes, requests, dict.fromkeys(changes, 0.05))
    )

    def answer(column):
        result = [
            {
                "metric": {"region": region, "version": arm, "instance": f"{region}-{arm}"},
                "values": [
                    [time, str(value)] for time, value in zip(rows["time"], rows[column], strict=True)
                ],
            }
            for (region, arm), rows in data.groupby(["region", "arm"], sort=False)
        ]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    total = answer("total") if kind == "ratio" else None
    series = cj.from_prometheus(
        answer("value"), arm="version", metric="m", total=total, kind=kind, segments=["region"]
    )
    asked = policy(**(LATENCY if kind == "gauge" else ERRORS))
    verdict = judged(series, asked)
    assert [each.name for each in verdict.segments.metrics["m"].culprits] == [("asia",)]
    assert verdict.metrics["m"].findings[0].estimate == judged(data, asked).metrics["m"].findings[0].estimate


def test_a_release_among_many_has_the_same_bytes_as_alone():
    rng = np.random.default_rng(28)
    releases = {name: gauges(rng, {"eu": change, "us": 0.0}) for name, change in (("a", 0.0), ("b", 0.6))}
    releases["broken"] = releases["a"].assign(region=releases["a"]["region"].where(releases["a"].index != 3))
    frame = pd.concat([data.assign(service=name) for name, data in releases.items()], ignore_index=True)
    verdicts = cj.judge_many(frame, policy(**LATENCY), by="service")
    for name in ("a", "b"):
        assert verdicts[name].to_json() == cj.judge(releases[name], policy(**LATENCY)).to_json()
    rows = verdicts.to_frame()
    assert rows["outcome"].tolist()[:2] == ["pass", "fail"]
    assert f"row {2 * len(releases['a']) + 4}: metric 'm' names no region here" in rows["error"].tolist()[2]


def test_a_policy_without_segments_says_nothing_of_them():
    asked = cj.Policy(metrics=policy(**LATENCY).metrics)
    verdict = cj.judge(gauges(np.random.default_rng(29), {"eu": 0.0}).drop(columns="region"), asked)
    assert verdict.segments is None
    assert "segments" not in json.loads(verdict.to_json())
    assert "segments" not in json.loads(asked.model_dump_json())
    assert cj.Verdict.from_json(verdict.to_json()) == verdict


def test_the_order_of_the_rows_of_different_segments_changes_nothing_but_the_order_of_equals():
    rng = np.random.default_rng(30)
    data = gauges(rng, {"eu": 0.6, "us": 0.0, "asia": 0.0})
    turned = pd.concat([data[data.region == region] for region in ("asia", "us", "eu")])
    first, second = (cj.judge(each, policy(**LATENCY)) for each in (data, turned))
    assert [each.name for each in first.segments.metrics["m"].segments] == [
        each.name for each in second.segments.metrics["m"].segments
    ]
    assert second.segments.metrics["m"].within == pytest.approx(first.segments.metrics["m"].within, rel=1e-8)
    assert first.reason == second.reason


@pytest.mark.parametrize(
    ("segments", "sentence"),
    [
        ({"by": []}, "by"),
        ({"by": ["a", "b", "c"]}, "by"),
        ({"by": ["a", "a"]}, "the column 'a' stands there twice"),
        ({"by": ["arm"]}, "'arm' is a column of the points"),
        ({"by": ["a"], "share": "100%"}, "is not between 0 % and 100 %"),
        ({"by": ["a"], "apart": "-5%"}, "apart"),
        ({"by": ["a"], "shares": "50%"}, "shares"),
    ],
)
def test_a_policy_is_strict_about_segments(segments, sentence):
    with pytest.raises(cj.PolicyError) as refused:
        policy(segments["by"], segments=segments, **LATENCY)
    assert sentence in str(refused.value)

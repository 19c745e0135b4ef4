"""A watch within segments: a mix that shifts is no effect, a segment that is bad fails the release and is named, and a watch that was saved goes on as if it had not been."""

import json

import numpy as np
import pandas as pd
import pytest
from cohorts import ARMS, START, columns, errors, gauges, policy, shifted_errors

import canaryjudge as cj
from canaryjudge.monitor.segmented_watch import SegmentedWatch

HOUR = 3600.0
END = HOUR - 60
RNG = np.random.default_rng
REGIONS = ("ap", "eu-west", "us")
LATENCY = {"kind": "gauge", "unit": "ms", "assumed_spread": "0%"}
BAD = {region: 0.8 * (region == "eu-west") for region in REGIONS}
FINE = dict.fromkeys(REGIONS, 0.0)
REQUESTS = dict.fromkeys(REGIONS, (60_000, 20_000))
RATES = {"ap": 0.01, "eu-west": 0.03, "us": 0.02}


def watched(**settings):
    asked = policy(**settings)
    return asked.model_copy(update={"max_duration": END})


RATIO, GAUGE, SAMPLES = (
    watched(kind="ratio", dispersion=1),
    watched(**LATENCY),
    watched(kind="samples", unit="ms", effect="ratio"),
)


def requests(rng, changes, sizes):
    """Latencies of an hour, of so many requests of each segment's two arms, whose segments have levels of their own."""
    found = []
    for place, (segment, change) in enumerate(changes.items()):
        for arm, factor, size in zip(ARMS, (1.0, 1 + change), sizes[segment], strict=True):
            time = START + np.sort(rng.uniform(0, HOUR, size))
            value = rng.lognormal(np.log(100 * (1 + place)), 0.3, size) * factor
            found.append(columns(segment, arm, time=time, value=value))
    return pd.concat(found, ignore_index=True)


def minutes(data):
    return [part for _, part in data.groupby((data.time - START) // 60)]


def watch(asked, updates, *, stop=True):
    monitor = cj.Monitor(asked)
    for update in updates:
        monitor.update(update)
        if monitor.verdict().outcome != "marginal" and stop:
            break
    return monitor


def facts(verdict):
    return verdict.segments.metrics["m"]


def named(verdict):
    return [each.name for each in facts(verdict).culprits]


def test_a_mix_that_shifts_passes_where_the_pooled_number_fails_and_is_said_to_mislead():
    data = shifted_errors(RNG(1), 0.0)
    pooled = data.groupby(["metric", "arm", "time"], as_index=False)[["value", "total"]].sum()
    alone = RATIO.model_copy(update={"segments": None})
    assert watch(alone, minutes(pooled)).verdict().outcome == "fail"
    verdict = watch(RATIO, minutes(data)).verdict()
    assert verdict.outcome == "pass"
    assert verdict.valid_for == "all_looks"
    assert facts(verdict).pooled > 1
    assert "but the canary has 60 points more of eu-west; within segments" in " ".join(
        verdict.explain().split()
    )


def test_what_is_worse_within_each_segment_is_found_though_the_mix_hides_it():
    data = errors(
        RNG(2),
        {"us": 0.5, "eu-west": 0.5},
        {"us": (20_000, 80_000), "eu-west": (80_000, 20_000)},
        {"us": 0.01, "eu-west": 0.06},
    )
    verdict = watch(RATIO, minutes(data)).verdict()
    assert verdict.outcome == "fail"
    assert facts(verdict).pooled < 0 < facts(verdict).within


@pytest.mark.parametrize(
    ("asked", "data"),
    [
        (RATIO, errors(RNG(3), BAD, REQUESTS, RATES)),
        (GAUGE, gauges(RNG(3), BAD)),
        (SAMPLES, requests(RNG(3), BAD, dict.fromkeys(REGIONS, (6000, 3000)))),
    ],
    ids=["ratio", "gauge", "samples"],
)
def test_one_bad_segment_fails_the_release_and_is_named(asked, data):
    verdict = watch(asked, minutes(data), stop=False).verdict()
    assert verdict.outcome == "fail"
    assert named(verdict) == [("eu-west",)]
    assert ": worse in eu-west" in verdict.reason or ": worse only in eu-west" in verdict.reason
    assert "eu-west" in verdict.to_markdown()
    assert "eu-west" in verdict.to_html()
    assert cj.Verdict.from_json(verdict.to_json()).to_json() == verdict.to_json()
    worst = facts(verdict).segments[0]
    assert worst.name == ("eu-west",)
    assert worst.outcome == "fail"


def test_of_samples_a_mix_that_shifts_is_no_effect():
    data = requests(RNG(4), FINE, {"ap": (9000, 500), "eu-west": (3000, 1000), "us": (500, 4000)})
    verdict = watch(SAMPLES, minutes(data)).verdict()
    assert verdict.outcome == "pass"
    assert facts(verdict).more > 0.5


def test_where_all_are_bad_alike_none_is_to_blame():
    verdict = watch(RATIO, minutes(errors(RNG(5), dict.fromkeys(REGIONS, 0.8), REQUESTS, RATES))).verdict()
    assert verdict.outcome == "fail"
    assert named(verdict) == []


def test_two_columns_cross():
    cells = {
        (region, device): 1.5 * (region == "eu") for region in ("eu", "us") for device in ("a", "b", "c")
    }
    rates, sizes = dict.fromkeys(cells, 0.03), dict.fromkeys(cells, (200_000, 100_000))
    asked = watched(by=("region", "device"), kind="ratio", dispersion=1)
    verdict = watch(asked, minutes(errors(RNG(6), cells, sizes, rates))).verdict()
    assert verdict.outcome == "fail"
    assert verdict.segments.by == ("region", "device")
    assert verdict.segments.count == 6


@pytest.mark.parametrize(
    ("asked", "data"),
    [
        (RATIO, errors(RNG(7), FINE, REQUESTS, RATES)),
        (GAUGE, gauges(RNG(7), FINE)),
        (SAMPLES, requests(RNG(7), FINE, dict.fromkeys(REGIONS, (600, 300)))),
        (watched(kind="count", dispersion=1), errors(RNG(7), FINE, REQUESTS, RATES).drop(columns="total")),
    ],
    ids=["ratio", "gauge", "samples", "count"],
)
def test_a_watch_that_is_saved_and_resumed_goes_on_as_if_it_had_not_been(asked, data):
    whole, resumed = cj.Monitor(asked), cj.Monitor(asked)
    for number, update in enumerate(minutes(data)):
        whole.update(update)
        resumed.update(update)
        if number % 7 == 3:
            resumed = cj.Monitor.from_json(resumed.to_json(), asked)
            resumed.update(update)  # what comes again is nothing new
            whole.update(update)
    assert resumed.to_json() == whole.to_json()
    assert resumed.verdict() == whole.verdict()


@pytest.mark.parametrize(
    ("asked", "data"),
    [
        (RATIO, errors(RNG(8), BAD, REQUESTS, RATES)),
        (GAUGE, gauges(RNG(8), BAD)),
        (SAMPLES, requests(RNG(8), FINE, dict.fromkeys(REGIONS, (600, 300)))),
    ],
    ids=["ratio", "gauge", "samples"],
)
def test_neither_the_order_of_rows_nor_how_they_are_divided_into_updates_matters(asked, data):
    by_minutes = watch(asked, minutes(data), stop=False).verdict()
    mixed = watch(
        asked, [part.sample(frac=1, random_state=1) for part in minutes(data)], stop=False
    ).verdict()
    blocks = [part for _, part in data.groupby((data.time - START) // 600)]
    by_blocks = watch(asked, blocks, stop=False).verdict()
    assert mixed == by_minutes
    assert by_blocks.data_digest == by_minutes.data_digest
    assert by_blocks.outcome == by_minutes.outcome
    assert facts(by_blocks).culprits == facts(by_minutes).culprits or asked is RATIO


def test_segments_of_one_interval_may_come_in_updates_of_their_own():
    data = gauges(RNG(9), FINE)
    apart = [rows for part in minutes(data) for _, rows in part.groupby("region")]
    first, rest = minutes(data)[0], [part for part in apart if part.time.min() > START]
    assert (
        watch(GAUGE, [first, *rest], stop=False).verdict()
        == watch(GAUGE, minutes(data), stop=False).verdict()
    )


def test_segments_that_come_later_have_a_part_of_what_was_kept_for_them():
    names = [f"r{place}" for place in range(30)]
    data = errors(
        RNG(10), dict.fromkeys(names, 0.0), dict.fromkeys(names, (900, 900)), dict.fromkeys(names, 0.1)
    )
    monitor = cj.Monitor(RATIO)
    for number, update in enumerate(minutes(data)):
        monitor.update(update[update.region.isin(names[: max(3, number)])])
    parts = monitor._watch.metrics["m"]._parts
    assert len(parts) == 29
    assert [parts[("r0",)], parts[("r3",)], parts[("r4",)]] == pytest.approx([0.25, 0.125, 0.25 / 6])
    assert sum(parts.values()) <= 1


def test_a_segment_of_one_arm_alone_is_left_out_and_withholds_a_pass():
    data = errors(RNG(11), FINE, REQUESTS, RATES)
    data = data[(data.region != "us") | (data.arm == "baseline")]
    verdict = watch(RATIO, minutes(data), stop=False).verdict()
    assert verdict.outcome == "marginal"
    assert verdict.metrics["m"].reason == "segments_left_out"
    assert [(each.name, each.why) for each in facts(verdict).left_out] == [(("us",), "no_canary")]


def test_a_segment_that_falls_silent_withholds_a_pass_and_is_named():
    data = gauges(RNG(12), FINE, noise=0.02)
    data = data[(data.region != "us") | (data.arm == "baseline") | (data.time < START + 1800)]
    verdict = watch(GAUGE, minutes(data), stop=False).verdict()
    assert verdict.outcome == "marginal"
    assert verdict.metrics["m"].reason == "silent"
    assert "us" in [note.facts.get("segment") for note in verdict.metrics["m"].warnings]


def test_a_split_that_is_wrong_in_a_segment_alone_withholds_a_pass():
    requests = {"ap": (9000, 1000), "eu-west": (8000, 2000), "us": (10_000, 0.1)} | {"us": (9990, 10)}
    data = errors(
        RNG(13),
        FINE,
        {name: tuple(30 * each for each in sizes) for name, sizes in requests.items()},
        dict.fromkeys(FINE, 0.05),
    )
    asked = RATIO.model_copy(update={"split": cj.Split(baseline=0.9, canary=0.1)})
    verdict = watch(asked, minutes(data), stop=False).verdict()
    assert {each.name for each in verdict.segments.splits} == {("eu-west",), ("us",)}
    assert verdict.outcome != "pass"


def test_metrics_that_name_no_segments_are_watched_as_a_whole_beside_the_others():
    asked = cj.Policy(
        metrics=[
            cj.Metric(name="m", kind="ratio", direction="increase", dispersion=1),
            cj.Metric(name="cpu", direction="increase", assumed_spread="0%"),
        ],
        segments={"by": ["region"]},
        max_duration="59m",
    )
    rng = RNG(14)
    whole = [
        {"metric": "cpu", "arm": arm, "time": START + 60 * minute, "value": rng.normal(50, 1)}
        for minute in range(60)
        for arm in ARMS
    ]
    data = pd.concat([errors(rng, FINE, REQUESTS, RATES, minutes=60), pd.DataFrame(whole)])
    monitor = watch(asked, minutes(data), stop=False)
    verdict = monitor.verdict()
    assert verdict.segments.unnamed == ("cpu",)
    assert verdict.outcome == "pass"
    assert cj.Monitor.from_json(monitor.to_json(), asked).verdict() == verdict
    odd = pd.DataFrame(whole[-1:]).assign(time=START + HOUR, region="us")
    with pytest.raises(cj.DataError, match="name some of the segments by region, and named none before"):
        monitor.update(odd)
    assert monitor.verdict() == verdict


def test_counters_go_on_in_each_segment():
    rows = [
        {
            "metric": "m",
            "region": region,
            "arm": arm,
            "time": START + 60.0 * minute,
            "value": (base + 3) * minute,
            "total": 100 * minute,
        }
        for minute in range(20)
        for base, region in enumerate(REGIONS)
        for arm in ARMS
    ]
    asked = watched(kind="ratio", dispersion=1, counter=True)
    verdict = watch(asked, minutes(pd.DataFrame(rows)), stop=False).verdict()
    finding = verdict.metrics["m"].findings[0]
    assert (finding.events_canary, finding.total_canary) == (12 * 19, 300 * 19)


def test_objectives_are_about_the_whole():
    data = errors(RNG(15), FINE, REQUESTS, RATES)
    asked = watched(
        kind="ratio", dispersion=1, rules=["sequential", cj.Slo(of="pooled", op="lte", value="0.5%")]
    )
    verdict = watch(asked, minutes(data)).verdict()
    assert verdict.deciding_rule == "slo"
    assert verdict.outcome != "pass"


def test_features_are_asked_in_each_segment():
    data = gauges(RNG(16), FINE, noise=0.02)
    late = (data.region == "us") & (data.arm == "canary") & (data.time >= START + 2400)
    data.loc[late, "value"] *= 1.6
    asked = watched(**LATENCY, rules=["mann_whitney", "late_shift"])
    verdict = watch(asked, minutes(data), stop=False).verdict()
    assert facts(verdict).found_in["late_shift"] == ("us",)
    assert verdict.outcome == "fail"


def test_many_monitors_are_each_what_one_alone_is():
    data = pd.concat(
        [
            errors(RNG(17), BAD, REQUESTS, RATES).assign(service="cart"),
            errors(RNG(18), FINE, REQUESTS, RATES).assign(service="search"),
        ]
    )
    monitors = cj.Monitors(RATIO, by="service")
    alone = {service: cj.Monitor(RATIO) for service in ("cart", "search")}
    for update in minutes(data):
        monitors.update(update)
        for service, monitor in alone.items():
            monitor.update(update[update.service == service].drop(columns="service"))
            monitor.verdict()
    for service, monitor in alone.items():
        assert monitors.verdicts()[service] == monitor.verdict()
        assert monitors.to_json(service) == monitor.to_json()
    monitors.update(
        [{"service": "cart", "metric": "m", "region": "us", "arm": "canary", "time": "soon", "value": 1}]
    )
    assert "cart" in monitors.errors


def test_a_state_grows_with_the_segments_and_not_with_time():
    data = errors(RNG(19), FINE, dict.fromkeys(REGIONS, (900_000, 300_000)), RATES, minutes=300)
    monitor, sizes = cj.Monitor(RATIO.model_copy(update={"max_duration": None})), []
    for number, update in enumerate(minutes(data)):
        monitor.update(update)
        if number in (99, 299):
            sizes.append(len(monitor.to_json()))
    assert sizes[1] < 1.2 * sizes[0]
    assert len(json.loads(monitor.to_json())["metrics"]["m"]["segments"]) == 3


def test_monitors_within_segments_are_not_merged():
    first, second = (watch(RATIO, minutes(errors(RNG(seed), FINE, REQUESTS, RATES))[:3]) for seed in (1, 2))
    with pytest.raises(cj.DataError, match="compare within segments cannot be merged"):
        first.merge(second)


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ({"kind": "histogram"}, "does not compare histograms within segments"),
        ({"kind": "gauge", "pairing": "windows"}, "arms that run side by side"),
        ({"kind": "ratio", "rules": ["proportion"]}, "the rule proportion is not asked within segments"),
        (
            {"kind": "ratio", "rules": [cj.Sequential(method="looks")]},
            "the method: looks is not asked within segments",
        ),
        (
            {"kind": "samples", "rules": [cj.Sequential(method="mean")]},
            "the method: mean is not asked within segments",
        ),
    ],
)
@pytest.mark.parametrize(
    "begin",
    [cj.Monitor, lambda asked: cj.Monitors(asked, by="service"), cj.Rollout],
    ids=["one", "many", "stages"],
)
def test_what_is_not_watched_within_segments_is_refused(metric, sentence, begin):
    asked = cj.Policy(
        metrics=[cj.Metric(**{"name": "m", "direction": "increase"} | metric)],
        segments={"by": ["region"]},
        max_duration="1h",
    )
    asked = asked.model_copy(update={"stages": (cj.Stage(canary="10%", max_duration="1h"),)})
    with pytest.raises(cj.PolicyError, match=sentence):
        begin(asked)


def test_one_look_leaves_the_sequential_rule_to_a_watch():
    with pytest.raises(cj.PolicyError, match="sequential is asked within segments by a watch alone"):
        cj.judge(errors(RNG(1), FINE, REQUESTS, RATES), policy(kind="ratio", rules=["sequential"]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data.drop(columns="region"), "the table has no column 'region'"),
        (lambda data: data.assign(region=data.region.where(data.region != "us")), "names no region here"),
        (lambda data: data.drop(columns="time"), "needs times in both arms"),
        (lambda data: data.assign(arm="other"), "the update has no arm"),
        (lambda data: data.assign(region=[f"user{place}" for place in range(len(data))]), "more than 1,000"),
    ],
)
def test_an_update_that_cannot_be_read_leaves_the_monitor_as_it_was(change, sentence):
    few = pd.concat([errors(RNG(20), FINE, REQUESTS, RATES)] * 6, ignore_index=True)
    monitor = cj.Monitor(RATIO)
    before = monitor.to_json()
    with pytest.raises(cj.DataError, match=sentence):
        monitor.update(change(few))
    assert monitor.to_json() == before


def test_what_is_broken_in_one_segment_is_left_out_of_it_alone():
    data = errors(RNG(21), FINE, REQUESTS, RATES)
    monitor = cj.Monitor(RATIO)
    for number, update in enumerate(minutes(data)):
        broken = update.copy()
        if number == 29:
            broken.loc[broken.region == "us", "value"] = -1
        monitor.update(broken)
    verdict = monitor.verdict()
    assert isinstance(monitor._watch.metrics["m"], SegmentedWatch)
    assert verdict.metrics["m"].reason == "broken"
    assert [note.facts["segment"] for note in verdict.metrics["m"].warnings if note.code == "broken"] == [
        "us"
    ]


def staged(bad, seed):
    """A rollout in two stages whose errors may be twice as many in one region, resumed at every step."""
    rng = RNG(seed)
    asked = cj.Policy(
        metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="30%", dispersion=1)],
        stages=[cj.Stage(canary="5%", max_duration="1h"), cj.Stage(canary="50%", max_duration="1h")],
        segments={"by": ["region"]},
    )
    rollout = cj.Rollout(asked)
    for minute in range(60):
        share = rollout.verdict().share
        rows = []
        for region, rate in RATES.items():
            for arm, part in zip(ARMS, (1 - share, share), strict=True):
                total = round(20_000 * part)
                factor = 2.0 if bad and region == "us" and arm == "canary" else 1.0
                events = rng.binomial(total, rate * factor)
                rows.append(
                    {
                        "metric": "errors",
                        "region": region,
                        "arm": arm,
                        "time": START + 60 * minute,
                        "value": events,
                        "total": total,
                    }
                )
        rollout.update(rows)
        rollout = cj.Rollout.from_json(rollout.to_json(), asked)
        if rollout.verdict().action in ("complete", "rollback"):
            break
    return rollout.verdict()


def test_a_rollout_that_is_bad_in_one_region_is_rolled_back_and_says_where():
    verdict = staged(bad=True, seed=1)
    assert verdict.action == "rollback"
    assert "us" in verdict.reason
    assert [each.name for each in verdict.at_stage.segments.metrics["errors"].culprits] == [("us",)]
    assert "us" in verdict.to_markdown()
    assert "us" in verdict.to_html()


def test_a_rollout_that_is_fine_in_all_regions_is_completed():
    verdict = staged(bad=False, seed=2)
    assert verdict.action == "complete"
    assert verdict.release.segments.count == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"direction": "decrease"},
        {"direction": "either"},
        {"direction": "either", "tolerance": {"absolute": "5%"}},
    ],
)
def test_either_direction_and_tolerances_in_units_are_told_within_segments(settings):
    data = errors(
        RNG(22),
        {region: -0.3 * (region == "us") for region in REGIONS},
        REQUESTS,
        dict.fromkeys(REGIONS, 0.9),
    )
    verdict = watch(watched(kind="ratio", dispersion=1, **settings), minutes(data), stop=False).verdict()
    assert named(verdict) == [("us",)]
    assert facts(verdict).only
    assert facts(verdict).scale == ("absolute" if "tolerance" in settings else "relative")
    assert facts(verdict).pooled == pytest.approx(facts(verdict).within, abs=0.02)


def test_a_point_that_has_changed_is_refused_and_its_segment_named():
    data = errors(RNG(23), FINE, REQUESTS, RATES)
    monitor = watch(RATIO, minutes(data)[:5], stop=False)
    before = monitor.to_json()
    with pytest.raises(cj.DataError, match="segment 'us'"):
        monitor.update(
            data[data.time <= START + 300].assign(value=lambda rows: rows.value + (rows.region == "us"))
        )
    assert monitor.to_json() == before


def test_a_mapping_whose_series_name_segments_is_what_a_table_is():
    data = errors(RNG(24), FINE, REQUESTS, RATES)
    both = cj.Monitor(RATIO), cj.Monitor(RATIO)
    for part in minutes(data):
        both[0].update(part)
        named = {
            arm: {name: rows[name].tolist() for name in ("region", "time", "value", "total")}
            for arm, rows in part.groupby("arm")
        }
        both[1].update({"m": named})
    assert both[0].to_json() == both[1].to_json()

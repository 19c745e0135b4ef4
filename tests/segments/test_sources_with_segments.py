"""Segments named by attributes of OpenTelemetry, labels of Prometheus, columns of wide tables and of series of any shape: the verdict of the tidy table."""

import json

import numpy as np
import otlp_data as otlp
import pandas as pd
import pytest
from cohorts import ARMS, errors, gauges, policy

import canaryjudge as cj
from canaryjudge.cli import main

LATENCY = {"unit": "ms", "direction": "increase", "tolerance": "15%"}
ERRORS = {"kind": "ratio", "direction": "increase"}
CHANGES = {"eu": 0.0, "us": 0.0, "asia": 0.8}
EDGES = [0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8, 1.1, 1.6, 2.2, 3.2, 6.4]


def histograms(rng, minutes=40, size=400):
    """Buckets of each region, arm and minute, not cumulative; the last is open."""
    return {
        (region, arm): [
            np.histogram(
                rng.lognormal(np.log(0.15 * (1 + place)), 0.4, size) * (1 + change * (arm == "canary")),
                [0, *EDGES, np.inf],
            )[0]
            for _ in range(minutes)
        ]
        for place, (region, change) in enumerate(CHANGES.items())
        for arm in ARMS
    }


def found_in(verdict):
    """Those to blame, and each segment's estimate."""
    assert verdict == cj.Verdict.from_json(verdict.to_json())
    facts = verdict.segments.metrics["m"]
    return [each.name for each in facts.culprits], {
        each.name: pytest.approx(each.estimate, rel=1e-9) for each in facts.segments
    }


# OpenTelemetry


def exported(data, column, *, where):
    """A document of one metric, whose regions are attributes of data points or of the resource."""
    resources = []
    for (region, arm), rows in data.groupby(["region", "arm"], sort=False):
        of = {"cloud__region": region}
        own = of if where == "points" else {}
        kept = {} if where == "points" else of
        if column == "latency":
            points = [
                otlp.point(minute, of=own, asDouble=value)
                for minute, value in enumerate(rows["value"].tolist())
            ]
            metrics = {"m": {"unit": "ms"} | otlp.gauge_of(points)}
        else:
            metrics = {}
            for name in ("value", "total"):
                grown = np.cumsum([0, *rows[name].astype(int)])
                points = [
                    otlp.point(minute, start=-1, of=own, asInt=str(count))
                    for minute, count in enumerate(grown.tolist())
                ]
                metrics["errors" if name == "value" else "requests"] = otlp.sum_of(points)
        resources.append(
            otlp.resource(arm, metrics, f"{arm}-1" if where == "points" else f"{arm}-{region}", **kept)
        )
    return otlp.document(*resources)


@pytest.mark.parametrize("where", ["points", "resource"])
@pytest.mark.parametrize("kind", ["gauge", "ratio"])
def test_attributes_of_opentelemetry_name_segments(kind, where):
    rng = np.random.default_rng(1)
    if kind == "gauge":
        data = gauges(rng, CHANGES)
        document, asked = exported(data, "latency", where=where), policy(**LATENCY)
    else:
        requests = dict.fromkeys(CHANGES, (60_000, 60_000))
        data = errors(rng, CHANGES, requests, dict.fromkeys(CHANGES, 0.05))
        document, asked = exported(data, "errors", where=where), policy(**ERRORS)
    metrics = {"m": "m" if kind == "gauge" else {"value": "errors", "total": "requests"}}
    series = cj.from_otlp(document, arm="service.version", metrics=metrics, segments=["cloud.region"])
    data = data.rename(columns={"region": "cloud.region"})
    asked = cj.Policy(metrics=asked.metrics, segments={"by": ["cloud.region"]})
    verdict = cj.judge(series, asked)
    assert found_in(verdict) == found_in(cj.judge(data, asked))
    assert found_in(verdict)[0] == [("asia",)]


@pytest.mark.parametrize("shape", ["histogram", "exponentialHistogram"])
def test_histograms_of_opentelemetry_are_told_apart_by_segments(shape):
    rng = np.random.default_rng(2)
    resources = []
    for arm in ARMS:
        points = []
        for place, (region, change) in enumerate(CHANGES.items()):
            for minute in range(30):
                values = rng.lognormal(np.log(0.15 * (1 + place)), 0.4, 300) * (
                    1 + change * (arm == "canary")
                )
                fields = otlp.counted(values, EDGES) if shape == "histogram" else otlp.exponential(values, 3)
                points.append(otlp.point(minute, of={"region": region}, **fields))
        metrics = {"m": {"unit": "s"} | otlp.histogram_of(points, cumulative=False, shape=shape)}
        resources.append(otlp.resource(arm, metrics, f"{arm}-1"))
    series = cj.from_otlp(otlp.document(*resources), arm="service.version", segments=["region"])
    verdict = cj.judge(series, policy(kind="histogram", **LATENCY))
    culprits, estimates = found_in(verdict)
    assert culprits == [("asia",)]
    assert estimates[("asia",)] == pytest.approx(0.8, abs=0.15)
    assert estimates[("eu",)] == pytest.approx(0.0, abs=0.1)


def test_an_attribute_that_nothing_has_and_points_without_one_are_told():
    points = [otlp.point(minute, of={"region": "eu"}, asDouble=1.0) for minute in range(12)]
    resources = [otlp.resource(arm, {"m": otlp.gauge_of(points)}) for arm in ARMS]
    with pytest.raises(
        cj.DataError, match=r"no data point has the attribute 'regoin'\. Did you mean 'region'\?"
    ):
        cj.from_otlp(otlp.document(*resources), arm="service.version", segments=["regoin"])
    bare = otlp.gauge_of([*points, otlp.point(12, asDouble=1.0)])
    resources[1] = otlp.resource("canary", {"m": bare})
    series = cj.from_otlp(otlp.document(*resources), arm="service.version", segments=["region"])
    with pytest.raises(
        cj.DataError,
        match="arm 'canary', index 12 names no region, though other points of the metric do",
    ):
        cj.judge(series, policy(**LATENCY))


def test_a_metric_without_the_attribute_is_judged_as_a_whole():
    rng = np.random.default_rng(3)
    data = gauges(rng, CHANGES)
    document = exported(data, "latency", where="points")
    for resource, arm in zip(document["resourceMetrics"], ARMS, strict=False):
        queue = [otlp.point(minute, asDouble=value) for minute, value in enumerate(rng.normal(50, 2, 60))]
        resource["scopeMetrics"] += otlp.resource(arm, {"queue": otlp.gauge_of(queue)})["scopeMetrics"]
    series = cj.from_otlp(document, arm="service.version", segments=["cloud.region"])
    assert "cloud.region" not in series["queue"]["baseline"]
    metrics = [*policy(**LATENCY).metrics, cj.Metric(name="queue", direction="increase")]
    verdict = cj.judge(series, cj.Policy(metrics=metrics, segments={"by": ["cloud.region"]}))
    assert verdict.segments.unnamed == ("queue",)
    assert verdict.metrics["queue"].outcome == "pass"


def test_the_command_line_takes_the_attributes_that_the_policy_names(capsys, tmp_path):
    data = exported(gauges(np.random.default_rng(4), CHANGES), "latency", where="resource")
    document, asked, said = tmp_path / "metrics.json", tmp_path / "policy.yaml", tmp_path / "verdict.json"
    document.write_text(json.dumps(data))
    asked.write_text(
        "segments: {by: [cloud.region]}\nmetrics: [{name: m, unit: ms, direction: increase, tolerance: 15%}]"
    )
    given = ["--policy", str(asked), "--data", str(document), "--data-format", "otlp"]
    assert main(["judge", *given, "--format", "json", "--output", str(said)]) == 1
    assert "worse only in asia" in json.loads(said.read_text())["reason"]
    assert main(["verify", "--verdict", str(said), *given]) == 0
    assert capsys.readouterr().out.startswith("reproduced")


# Prometheus


def native(counts):
    """What Prometheus says of one native histogram."""
    bounds = [0.0, *EDGES, 2 * EDGES[-1]]
    buckets = [
        [0, str(low), str(high), str(count)]
        for low, high, count in zip(bounds[:-1], bounds[1:], counts, strict=True)
        if count
    ]
    return {"count": str(sum(counts)), "sum": "0", "buckets": buckets}


@pytest.mark.parametrize("form", ["native", "classic"])
def test_histograms_of_prometheus_are_told_apart_by_segments(form):
    made = histograms(np.random.default_rng(5))
    result, rows = [], []
    for (region, arm), counts in made.items():
        labels = {"region": region, "version": arm, "instance": f"{region}-{arm}"}
        if form == "native":
            each = [[60 * minute, native(own.tolist())] for minute, own in enumerate(counts)]
            result.append({"metric": labels, "histograms": each})
        for place, edge in enumerate([*EDGES, np.inf]):
            sums = [int(own[: place + 1].sum()) for own in counts]
            values = [[60 * minute, str(count)] for minute, count in enumerate(sums)]
            le = str(edge) if edge < np.inf else "+Inf" if form == "classic" else str(2 * EDGES[-1])
            if form == "classic":
                result.append({"metric": labels | {"le": le}, "values": values})
            rows += [
                {"metric": "m", "region": region, "arm": arm, "time": time, "le": le, "value": float(count)}
                for time, count in values
            ]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    series = cj.from_prometheus(answer, arm="version", metric="m", kind="histogram", segments=["region"])
    asked = policy(kind="histogram", **(LATENCY | {"unit": "s"}))
    verdict = cj.judge(series, asked)
    assert found_in(verdict)[0] == [("asia",)]
    assert found_in(verdict) == found_in(cj.judge(pd.DataFrame(rows), asked))


def test_what_a_segment_of_prometheus_lacks_is_filled_in_and_mixed_forms_are_refused():
    def answer(*results):
        return {"status": "success", "data": {"resultType": "matrix", "result": list(results)}}

    times = range(0, 1800, 60)
    plain = [[time, "1.5"] for time in times]
    named = {"metric": {"region": "eu", "version": "a", "instance": "x"}, "values": plain}
    alone = {"metric": {"region": "us", "version": "a"}, "values": plain}
    columns = cj.from_prometheus(answer(named, alone), arm="version", metric="m", segments=["region"])["m"][
        "a"
    ]
    assert columns["replica"] == ["x"] * 30 + [""] * 30
    assert {len(column) for column in columns.values()} == {60}
    counts = [[time, native([1] * 13)] for time in times]
    other = {"metric": {"region": "us", "version": "a"}, "histograms": counts}
    with pytest.raises(
        cj.DataError, match="arm 'a': some series are native histograms and others are numbers"
    ):
        cj.from_prometheus(answer(named, other), arm="version", metric="m", segments=["region"])


# wide tables


def wide_rows(rng):
    """A column a metric, and in a column the region of a row."""
    data = gauges(rng, CHANGES)
    return data, data.rename(columns={"value": "p99", "arm": "version"}).drop(columns="metric")


def test_columns_of_a_wide_table_name_segments():
    data, wide = wide_rows(np.random.default_rng(6))
    series = cj.from_wide(wide, arm="version", metrics={"m": "p99"}, segments=["region"])
    assert "apart" not in series["m"]["canary"]
    verdict = cj.judge(series, policy(**LATENCY))
    assert found_in(verdict) == found_in(cj.judge(data, policy(**LATENCY)))


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_the_command_line_takes_the_columns_of_a_wide_table(capsys, tmp_path, ending):
    data, wide = wide_rows(np.random.default_rng(7))
    table, asked, said = tmp_path / f"metrics.{ending}", tmp_path / "policy.yaml", tmp_path / "verdict.json"
    if ending == "csv":
        wide.to_csv(table, index=False)
    else:
        wide.to_json(table, orient="records", double_precision=15)
    asked.write_text(
        "segments: {by: [region]}\nmetrics: [{name: m, unit: ms, direction: increase, tolerance: 15%}]"
    )
    given = ["judge", "--policy", str(asked), "--data", str(table), "--wide", "version", "--column", "m=p99"]
    assert main([*given, "--format", "json", "--output", str(said)]) == 1
    assert found_in(cj.Verdict.from_json(said.read_text())) == found_in(cj.judge(data, policy(**LATENCY)))
    asked.write_text(asked.read_text().replace("[region]", "[regoin]"))
    assert main(given) == 2
    assert "the table has no column 'regoin' hint: Did you mean 'region'?" in " ".join(
        capsys.readouterr().err.split()
    )


# series of any shape


def test_histograms_with_edges_and_units_of_their_own_may_have_columns_of_segments():
    made = histograms(np.random.default_rng(8))
    series = {
        arm: {
            "edges": [*(1000 * edge for edge in EDGES), np.inf],
            "buckets": [own.tolist() for region in CHANGES for own in made[region, arm]],
            "time": [60.0 * minute for _ in CHANGES for minute in range(40)],
            "region": [region for region in CHANGES for _ in range(40)],
            "unit": "ms",
        }
        for arm in ARMS
    }
    asked = policy(kind="histogram", **(LATENCY | {"unit": "s"}))
    verdict = cj.judge({"m": series}, asked)
    assert found_in(verdict)[0] == [("asia",)]
    assert verdict.metrics["m"].findings[0].canary_level < 1  # in seconds
    series["canary"]["region"] = series["canary"]["region"][1:]
    with pytest.raises(cj.DataError, match="arm 'canary': there are 120 points and region has 119"):
        cj.judge({"m": series}, asked)


def test_the_first_of_two_columns_of_series_is_taken_where_pairs_are_too_thin():
    data = gauges(np.random.default_rng(9), {("eu", "a"): 0.8, ("us", "a"): 0.0})
    thin = gauges(np.random.default_rng(10), {("eu", "b"): 0.8, ("us", "b"): 0.0}).groupby(
        ["region", "arm"], sort=False
    )
    data = pd.concat([data, thin.head(4)], ignore_index=True)
    asked = policy(by=("region", "device"), **LATENCY)
    series = {
        "m": {
            arm: rows[["region", "device", "time", "value"]].to_dict("list")
            for arm, rows in data.groupby("arm")
        }
    }
    table, mapped = cj.judge(data, asked), cj.judge(series, asked)
    assert found_in(mapped) == found_in(table)
    assert mapped.segments.by == table.segments.by


def test_segments_that_neither_arm_has_are_none_of_theirs():
    data = gauges(np.random.default_rng(11), CHANGES)
    more = gauges(np.random.default_rng(12), {"mars": 0.0}).assign(arm="older")
    both = pd.concat([data, more], ignore_index=True)
    alone, beside = (cj.judge(each, policy(**LATENCY)) for each in (data, both))
    assert beside.segments == alone.segments
    series = {
        "m": {arm: rows[["region", "time", "value"]].to_dict("list") for arm, rows in both.groupby("arm")}
    }
    assert found_in(cj.judge(series, policy(**LATENCY))) == found_in(alone)

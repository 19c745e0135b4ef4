"""Every reader is given the same table, and gives the same digest; and what one refuses, all do."""

import gzip
import io
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import canaryjudge as cj
from canaryjudge.data import read_pairs
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.wide import WideTable, widen_table
from canaryjudge.integrations.sources import read_table
from canaryjudge.policy import parse_policy

START = 1_767_225_600
POLICY = cj.Policy(
    metrics=[
        cj.Metric(name="latency", direction="increase", tolerance="10%"),
        cj.Metric(name="errors", kind="ratio", direction="increase", counter=False),
    ]
)
COUNTERS = cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", counter=True)])


def table(seed):
    """Make rows of both metrics: awkward decimals, a missing value, and counts."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm in ("baseline", "canary"):
        level = rng.lognormal(3, 0.3, 30)
        for index in range(30):
            time = START + 60 * index
            value = None if index == 7 else float(f"{level[index]:.{rng.integers(0, 15)}f}")
            rows.append({"metric": "latency", "arm": arm, "time": time, "value": value, "total": None})
        total = rng.integers(900, 1100, 30)
        events = rng.binomial(total, 0.01)
        rows += [
            {"metric": "errors", "arm": arm, "time": START + 60 * i, "value": int(e), "total": int(t)}
            for i, (e, t) in enumerate(zip(events, total, strict=True))
        ]
    return rows


def counters(first):
    """Make rows of counters that start at a number."""
    rng = np.random.default_rng(1)
    rows = []
    for arm, share in (("baseline", 0.01), ("canary", 0.05)):
        total = np.cumsum(rng.integers(900, 1100, 40))
        events = np.cumsum(rng.binomial(1000, share, 40))
        for index in range(40):
            value, whole = int(events[index]) + first, int(total[index]) + 2 * first
            rows.append(
                {"metric": "errors", "arm": arm, "time": START + 60 * index, "value": value, "total": whole}
            )
    return rows


def columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def csv_text(rows, separator=","):
    lines = [separator.join(rows[0])]
    lines += [separator.join("" if cell is None else str(cell) for cell in row.values()) for row in rows]
    return "\n".join([*lines, ""]).encode()


def read(content, kind, **options):
    return read_table(io.BytesIO(content), format=kind, **options)


def parquet(frame, **options):
    file = io.BytesIO()
    pq.write_table(frame, file, **options)
    return read(file.getvalue(), "parquet")


def arrow(rows, **types):
    made = pa.table(columns(rows))
    for name, kind in types.items():
        column = made.column(name)
        column = column.dictionary_encode() if kind == "dictionary" else column.cast(kind)
        made = made.set_column(made.schema.get_field_index(name), name, column)
    return made


def series(rows):
    """Give the mapping of metrics and arms to columns."""
    found = {}
    for row in rows:
        arm = found.setdefault(row["metric"], {}).setdefault(row["arm"], {"value": [], "time": []})
        if row["total"] is not None:
            arm.setdefault("total", []).append(row["total"])
        arm["value"].append(row["value"])
        arm["time"].append(row["time"])
    return found


def wide_rows(rows):
    """Give the same table with a column a metric."""
    found = {}
    for row in rows:
        made = found.setdefault((row["arm"], row["time"]), {"version": row["arm"], "ts": row["time"]})
        made[row["metric"]] = row["value"]
        if row["total"] is not None:
            made["errors_total"] = row["total"]
    return [*found.values()]


def wide_csv(rows):
    wide = WideTable(POLICY, "version")
    return widen_table(read(csv_text(wide_rows(rows)), "csv", layout=wide.layout), wide)


def packed(rows, path, kind):
    content = csv_text(rows) if kind == "csv" else json.dumps(rows).encode()
    file = path / f"data.{kind}.gz"
    file.write_bytes(gzip.compress(content))
    return read_table(file)


def prometheus(rows):
    found = {}
    for metric, arms in series(rows).items():
        texts = {
            key: {
                arm: {
                    "status": "success",
                    "data": {
                        "resultType": "matrix",
                        "result": [
                            {
                                "metric": {},
                                "values": [
                                    [time, "NaN" if value is None else repr(value)]
                                    for time, value in zip(part["time"], part[key], strict=True)
                                ],
                            }
                        ],
                    },
                }
                for arm, part in arms.items()
            }
            for key in ("value", "total")
            if key in arms["canary"]
        }
        found |= cj.from_prometheus(texts["value"], metric=metric, total=texts.get("total"))
    return found


def otlp(rows):
    def points(part, key):
        return [
            {"timeUnixNano": str(time * 10**9)}
            | (
                {"flags": 1}
                if value is None
                else {"asInt": str(value)}
                if isinstance(value, int)
                else {"asDouble": value}
            )
            for time, value in zip(part["time"], part[key], strict=True)
        ]

    def exported(arm):
        made = []
        for metric, arms in series(rows).items():
            made.append(
                {
                    "name": metric,
                    "sum": {
                        "aggregationTemporality": 1,
                        "isMonotonic": True,
                        "dataPoints": points(arms[arm], "value"),
                    },
                }
            )
            if "total" in arms[arm]:
                made.append(
                    {
                        "name": "all",
                        "sum": {
                            "aggregationTemporality": 1,
                            "isMonotonic": True,
                            "dataPoints": points(arms[arm], "total"),
                        },
                    }
                )
            else:
                made[-1] = {"name": metric, "gauge": {"dataPoints": points(arms[arm], "value")}}
        resource = {"attributes": [{"key": "service.version", "value": {"stringValue": arm}}]}
        return {"resource": resource, "scopeMetrics": [{"metrics": made}]}

    text = json.dumps({"resourceMetrics": [exported(arm) for arm in ("baseline", "canary")]})
    return cj.from_otlp(
        text,
        arm="service.version",
        metrics={"latency": "latency", "errors": {"value": "errors", "total": "all"}},
    )


FILES = {
    "csv": lambda rows, _: read(csv_text(rows), "csv"),
    "tsv": lambda rows, _: read(csv_text(rows, "\t"), "tsv"),
    "semicolons": lambda rows, _: read(csv_text(rows, ";"), "csv"),
    "csv in UTF-16": lambda rows, _: read(csv_text(rows).decode().encode("utf-16"), "csv"),
    "csv.gz": lambda rows, path: packed(rows, path, "csv"),
    "json rows": lambda rows, _: read(json.dumps(rows).encode(), "json"),
    "json mapping": lambda rows, _: read(json.dumps(series(rows)).encode(), "json"),
    "json.gz": lambda rows, path: packed(rows, path, "json"),
    "ndjson": lambda rows, _: read("\n".join(map(json.dumps, rows)).encode(), "ndjson"),
    "parquet": lambda rows, _: parquet(arrow(rows)),
    "parquet without dictionaries": lambda rows, _: parquet(arrow(rows), use_dictionary=False),
}
IN_MEMORY = {
    "rows": lambda rows, _: rows,
    "mapping": lambda rows, _: series(rows),
    "times as text": lambda rows, _: [row | {"time": str(row["time"])} for row in rows],
    "pandas": lambda rows, _: pd.DataFrame(rows),
    "pandas objects": lambda rows, _: pd.DataFrame(rows).astype(object),
    "pandas of pyarrow": lambda rows, _: pd.DataFrame(columns(rows)).convert_dtypes(dtype_backend="pyarrow"),
    "pandas Int64": lambda rows, _: pd.DataFrame(columns(rows)).convert_dtypes(),
    "polars": lambda rows, _: pl.DataFrame(columns(rows)),
    "polars, lazy": lambda rows, _: pl.LazyFrame(columns(rows)),
    "pyarrow": lambda rows, _: arrow(rows),
    "large_string": lambda rows, _: arrow(rows, metric="large_string", arm="large_string"),
    "string_view": lambda rows, _: arrow(rows, metric="string_view", arm="string_view"),
    "binary": lambda rows, _: arrow(rows, metric="binary", arm="large_binary"),
    "dictionary": lambda rows, _: arrow(rows, metric="dictionary", arm="dictionary"),
    "chunks": lambda rows, _: pa.concat_tables([arrow(rows).slice(0, 50), arrow(rows).slice(50)]),
}
OTHERS = {
    "wide csv": lambda rows, _: wide_csv(rows),
    "wide rows": lambda rows, _: widen_table(wide_rows(rows), WideTable(POLICY, "version")),
    "prometheus": lambda rows, _: prometheus(rows),
    "otlp": lambda rows, _: otlp(rows),
}
READERS = FILES | IN_MEMORY | OTHERS


def judged(data, policy):
    """Give what is judged, and what was odd about it."""
    pairs = read_pairs(data, policy)
    return {name: (pair.digest(), [note.code for note in pair.notes]) for name, pair in pairs.items()}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_gives_the_digest_of_the_table(reader, seed, tmp_path):
    rows = table(seed)
    found, wanted = judged(READERS[reader](rows, tmp_path), POLICY), judged(rows, POLICY)
    if reader in OTHERS:  # these say of themselves what is missing, and what was guessed
        found, wanted = ({name: digest for name, (digest, _) in each.items()} for each in (found, wanted))
    assert found == wanted


@pytest.mark.parametrize("first", [2**53, 2**60, 2**61 - 1])
@pytest.mark.parametrize("reader", FILES | IN_MEMORY)
def test_every_reader_differences_counters_beyond_floats(reader, first, tmp_path):
    assert judged((FILES | IN_MEMORY)[reader](counters(first), tmp_path), COUNTERS) == judged(
        counters(0), COUNTERS
    )


def test_cumulative_sums_of_otlp_are_differenced_as_whole_numbers():
    def document(first):
        def exported(arm):
            mine = [row for row in counters(first) if row["arm"] == arm]
            made = [
                {
                    "name": key,
                    "sum": {
                        "aggregationTemporality": 2,
                        "isMonotonic": True,
                        "dataPoints": [
                            {"timeUnixNano": str(row["time"] * 10**9), "asInt": str(row[key])} for row in mine
                        ],
                    },
                }
                for key in ("value", "total")
            ]
            resource = {"attributes": [{"key": "service.version", "value": {"stringValue": arm}}]}
            return {"resource": resource, "scopeMetrics": [{"metrics": made}]}

        return json.dumps({"resourceMetrics": [exported(arm) for arm in ("baseline", "canary")]})

    wanted = {"errors": {"value": "value", "total": "total"}}
    found = [cj.from_otlp(document(first), arm="service.version", metrics=wanted) for first in (0, 2**60)]
    assert judged(found[0], COUNTERS) == judged(found[1], COUNTERS)


@pytest.mark.parametrize("kind", ["decimal128", "uint64", "run-end"])
def test_numbers_of_arrow_are_those_of_csv(kind):
    if kind == "uint64":
        rows = counters(2**63)
        made = pa.table(
            columns(rows)
            | {
                "value": pa.array([row["value"] for row in rows], pa.uint64()),
                "total": pa.array([row["total"] - 2**63 for row in rows], pa.uint64()),
            }
        )
        assert judged(made, COUNTERS) == judged(parquet(made), COUNTERS) == judged(counters(0), COUNTERS)
        return
    rows = [row for row in table(4) if row["metric"] == "latency"]
    policy = cj.Policy(metrics=POLICY.metrics[:1])
    if kind == "decimal128":
        numbers = [None if row["value"] is None else Decimal(repr(row["value"])) for row in rows]
        made = pa.table(columns(rows) | {"value": pa.array(numbers, pa.decimal128(30, 15))})
        assert judged(pl.from_arrow(made), policy) == judged(made, policy) == judged(parquet(made), policy)
    else:
        arms = pa.RunEndEncodedArray.from_arrays(pa.array([30, 60]), pa.array(["baseline", "canary"]))
        made = pa.table(columns(rows) | {"arm": arms})
    assert judged(made, policy) == judged(rows, policy)


def test_a_watch_goes_on_from_counters_beyond_floats():
    verdicts = []
    for first in (0, 2**60):
        monitor = cj.Monitor(COUNTERS)
        rows = counters(first)
        for start in range(0, 40, 8):
            minutes = range(START + 60 * start, START + 60 * (start + 8))
            monitor.update([row for row in rows if row["time"] in minutes])
            monitor = cj.Monitor.from_json(monitor.to_json(), COUNTERS)
        verdicts.append(monitor.verdict())
    assert verdicts[0].metrics["errors"].n_canary == 39
    assert verdicts[0].outcome == verdicts[1].outcome == "fail"
    assert verdicts[0].data_digest == verdicts[1].data_digest


# what one refuses, all do -------------------------------------------------------------------------------------------------


def refusal(reader, rows, path, policy=POLICY):
    with pytest.raises(DataError) as caught:
        cj.judge(READERS[reader](rows, path), policy)
    return str(caught.value)


@pytest.mark.parametrize("reader", [*FILES, "rows", "pandas", "polars", "pyarrow"])
def test_every_reader_refuses_names_that_are_almost_the_same(reader, tmp_path):
    rows = table(0)
    if reader != "json mapping":
        named = [{("Total" if name == "total" else name): cell for name, cell in row.items()} for row in rows]
        assert "'Total' differs from 'total' by white space or case only" in refusal(reader, named, tmp_path)
    arms = [
        row | {"arm": "Canary"} if index % 3 == 0 and row["arm"] == "canary" else row
        for index, row in enumerate(rows)
    ]
    assert "the arms 'canary' and 'Canary', which differ by white space or case" in refusal(
        reader, arms, tmp_path
    )
    split = [
        row | {"metric": "errors "} if row["metric"] == "errors" and row["time"] % 120 else row
        for row in rows
    ]
    verdict = cj.judge(READERS[reader](split, tmp_path), POLICY)
    assert verdict.metrics["errors"].reason == "broken"
    assert "'errors' and 'errors '" in verdict.explain()


@pytest.mark.parametrize(
    "reader", ["csv", "tsv", "json rows", "ndjson", "parquet", "rows", "pandas", "polars", "pyarrow"]
)
@pytest.mark.parametrize("what", ["arm", "replica", "time", "column"])
def test_every_reader_refuses_columns_that_do_not_exist_with_the_nearest_name(reader, what):
    rows = wide_rows(table(0))
    named = {"arm": "version"} | (
        {} if what == "column" else {what: {"arm": "versoin", "replica": "errors_totl", "time": "tss"}[what]}
    )
    wide = WideTable(
        POLICY,
        named["arm"],
        ["latency=latncy"] if what == "column" else (),
        named.get("replica"),
        named.get("time"),
    )
    made = {
        "csv": lambda: read(csv_text(rows), "csv", layout=wide.layout),
        "tsv": lambda: read(csv_text(rows, "\t"), "tsv", layout=wide.layout),
        "json rows": lambda: read(json.dumps(rows).encode(), "json"),
        "ndjson": lambda: read("\n".join(map(json.dumps, rows)).encode(), "ndjson"),
        "parquet": lambda: parquet_of(rows, wide),
        "rows": lambda: rows,
        "pandas": lambda: pd.DataFrame(rows),
        "polars": lambda: pl.DataFrame(rows),
        "pyarrow": lambda: pa.Table.from_pylist(rows),
    }
    with pytest.raises(DataError) as caught:
        widen_table(made[reader](), wide)
    nearest = {"arm": "version", "replica": "errors_total", "time": "ts", "column": "latency"}[what]
    assert "the table has no column " in str(caught.value)
    assert f"Did you mean '{nearest}'?" in str(caught.value)


def parquet_of(rows, wide):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return read(file.getvalue(), "parquet", layout=wide.layout)


@pytest.mark.parametrize("reader", ["rows", "pandas", "polars", "pyarrow"])
def test_every_table_of_many_releases_refuses_a_column_that_does_not_exist(reader):
    rows = [row | {"service": "cart"} for row in table(0)]
    with pytest.raises(DataError, match=r"no column 'servcie'\. Did you mean 'service'"):
        [*cj.judge_many(READERS[reader](rows, None), POLICY, by="servcie")]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("json", '{"cpu": {"baseline": [1], "canary": [9], "canary": [1]}}'),
        ("json", '[{"metric": "cpu", "arm": "canary", "value": 9, "value": 1}]'),
        ("ndjson", '{"metric": "cpu", "arm": "canary", "value": 9, "value": 1}'),
    ],
)
def test_a_key_that_stands_twice_is_refused(kind, text):
    with pytest.raises(
        DataError,
        match=r"the key '(canary|value)' stands twice in one object, with .*9.* and with .*1.*\. Leave one out\.",
    ):
        read(text.encode(), kind)


@pytest.mark.parametrize(
    "reading",
    [
        lambda: cj.from_otlp('{"resourceMetrics": [], "resourceMetrics": []}', arm="v"),
        lambda: cj.from_kayenta('[{"name": "a", "name": "b"}]'),
        lambda: cj.from_prometheus('{"status": "success", "status": "success"}', arm="v"),
        lambda: cj.Monitor.from_json('{"format": "a", "format": "canaryjudge.monitor"}', POLICY),
        lambda: cj.Sketch.from_json('{"format": "a", "format": "b"}'),
        lambda: parse_policy('{"metrics": [], "metrics": []}'),
    ],
    ids=["otlp", "kayenta", "prometheus", "state", "sketch", "policy"],
)
def test_documents_and_states_are_refused_that_say_something_twice(reading):
    with pytest.raises(cj.CanaryJudgeError):
        reading()

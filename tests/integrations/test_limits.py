"""Small things that would grow: each is refused in a sentence, and what is long takes time that grows with its length."""

import gzip
import io
import json
import re
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import canaryjudge as cj
from canaryjudge import limits
from canaryjudge.data import read_pairs
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.layouts import history
from canaryjudge.integrations.files.scan import scan_parquet
from canaryjudge.integrations.files.wide import WideTable
from canaryjudge.integrations.prometheus.promql import add_selector, arm_of, arms_in, compared_arms, matchers
from canaryjudge.integrations.sources import read_table
from canaryjudge.policy.promql import made_up, parse_promql

POLICY = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")])
TOO_MUCH = "the file unpacks to what takes more than 1,024 MiB to read"


def packed(folder, name, start, unit, size=1 << 20, times=40, end=b""):
    path = folder / name
    with gzip.open(path, "wb", 1) as file:
        file.write(start)
        piece = unit * (size // len(unit))
        for _ in range(times):
            file.write(piece)
        file.write(end)
    return path


@pytest.mark.parametrize(
    ("name", "start", "unit"),
    [
        ("rows.ndjson.gz", b"", b"{}\n"),
        ("lists.json.gz", b"[", b"[],"),
        ("numbers.json.gz", b'{"cpu": {"canary": [', b"1,"),
        ("deep.json.gz", b"", b"["),
        ("rows.csv.gz", b"metric,arm,value\n", b"a,b,\n"),
        ("blank.tsv.gz", b"metric\tarm\tvalue\n", b"\n"),
    ],
)
def test_packed_rows_are_refused_by_what_they_would_take(name, start, unit, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED_MEMORY", 64 << 20)
    path = packed(tmp_path, name, start, unit, times=8)
    tracemalloc.start()
    with pytest.raises(DataError, match="unpacks to what takes more than 64 MiB to read"):
        read_table(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_a_large_file_may_unpack_to_a_hundred_times_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED_MEMORY", 1000)
    rng = np.random.default_rng(1)
    lines = [
        f"cpu,{arm},{value}"
        for arm, value in zip(["baseline", "canary"] * 500, rng.random(1000), strict=True)
    ]
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress("\n".join(["metric,arm,value", *lines]).encode()))
    assert len(read_table(path)) == 1000


def table(**columns):
    return pa.table({"metric": ["cpu", "cpu"], "arm": ["baseline", "canary"], "value": [1.0, 2.0]} | columns)


def test_long_texts_of_parquet_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED_MEMORY", 32 << 20)
    path = tmp_path / "long.parquet"
    long = pa.array(["x" * (1 << 23)], pa.large_string())
    made = table(metric=pa.chunked_array([long, long]), service=["a", "a"])
    pq.write_table(made, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    readings = (
        lambda: read_table(path),
        lambda: read_table(path, layout=history),
        lambda: [*scan_parquet(path, by="service")],
    )
    for reading in readings:
        with pytest.raises(DataError, match="unpacks to what takes more than 32 MiB to read"):
            reading()


def test_many_rows_of_one_value_are_refused_unread(tmp_path):
    path, rows = tmp_path / "rows.parquet", 16_000_000
    codes = pa.array(np.zeros(rows, dtype=np.int8))
    columns = {name: pa.DictionaryArray.from_arrays(codes, pa.array([name])) for name in ("metric", "arm")}
    pq.write_table(pa.table(columns | {"value": pa.array(np.ones(rows, dtype=np.float32))}), path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match=TOO_MUCH):
        read_table(path)


def test_a_name_that_repeats_is_held_once(tmp_path):
    path, rows = tmp_path / "names.parquet", 20_000
    name = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, dtype=np.int32)), pa.array(["x" * 1_000_000])
    )
    arms = pa.array(["baseline", "canary"] * (rows // 2))
    pq.write_table(pa.table({"metric": name, "arm": arms, "value": np.ones(rows)}), path)
    found = read_table(path)
    assert found.nbytes < 10_000_000
    with pytest.raises(DataError, match="the data have no metric 'cpu'"):
        read_pairs(found, POLICY)


def test_rows_that_each_name_a_column_of_their_own_are_refused():
    rows = [{"metric": "cpu", "arm": "canary", f"k{index}": 1} for index in range(25_000)]
    with pytest.raises(DataError, match="the 25,000 rows have 1,001 different columns"):
        cj.judge(rows, POLICY)
    few = [
        {"metric": "cpu", "arm": arm, "value": 1} | {f"k{i}": 1 for i in range(1500)}
        for arm in ("baseline", "canary")
    ]
    assert cj.judge(few, POLICY).metrics["cpu"].n_canary == 1


def test_histograms_with_other_edges_each_are_refused():
    rows = [
        {"metric": "h", "arm": arm, "time": index, "le": str(index), "value": 1}
        for arm in ("baseline", "canary")
        for index in range(5000)
    ]
    policy = cj.Policy(metrics=[cj.Metric(name="h", kind="histogram", direction="increase")])
    with pytest.raises(DataError, match="has 5000 different edges over 5000 histograms"):
        read_pairs(rows, policy)


def answer(entries):
    return {"status": "success", "data": {"resultType": "matrix", "result": entries}}


def test_series_of_prometheus_at_other_times_each_are_refused():
    entries = [
        {"metric": {"instance": "a", "n": str(each)}, "values": [[each + 1000 * i, "1"] for i in range(50)]}
        for each in range(700)
    ]
    with pytest.raises(DataError, match="there are 700 series with 35,000 different times"):
        cj.from_prometheus({"canary": answer(entries)}, metric="errors", kind="count")


def test_bounds_of_otlp_that_differ_in_each_point_are_refused():
    points = [
        {
            "timeUnixNano": str((index + 1) * 10**9),
            "count": 1,
            "bucketCounts": [0, 1],
            "explicitBounds": [index],
        }
        for index in range(5000)
    ]
    histogram = {"aggregationTemporality": 1, "dataPoints": points}
    resource = {"attributes": [{"key": "service.version", "value": {"stringValue": "1"}}]}
    scopes = [{"metrics": [{"name": "h", "histogram": histogram}]}]
    document = {"resourceMetrics": [{"resource": resource, "scopeMetrics": scopes}]}
    with pytest.raises(DataError, match="the 5,000 histograms of 'h' have 5,001 different bounds"):
        cj.from_otlp(document, arm="service.version")


def seconds(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def test_long_selectors_and_many_buckets_take_time_that_grows_with_their_number():
    """A hundred times as much takes a few hundred times as long, where its square would be ten thousand times; on a busy machine."""
    assert seconds(lambda: add_selector("a+" * 50_000 + "a")) < 10
    assert add_selector("a+a") == "a{${selector}}+a{${selector}}"
    for labels in (lambda i: {"instance": "a", "le": str(i)}, lambda i: {"instance": str(i)}):
        entries = [
            {"metric": labels(i), "values": [[60 * j, str(i + j)] for j in range(2)]} for i in range(5000)
        ]
        whole = answer(entries)
        assert (
            seconds(
                lambda whole=whole: cj.from_prometheus(
                    {"canary": whole}, metric="m", counter=True, kind="count"
                )
            )
            < 10
        )
        kind = "histogram" if "le" in labels(0) else "count"
        assert (
            seconds(
                lambda whole=whole, kind=kind: cj.from_prometheus({"canary": whole}, metric="m", kind=kind)
            )
            < 10
        )
    names = ["metric", "arm", "value", *(f"c{index}" for index in range(50_000))]
    text = ",".join(names) + "\n" + "".join(f"cpu,{arm},1{',' * 50_000}\n" for arm in ("baseline", "canary"))
    assert seconds(lambda: read_table(io.BytesIO(text.encode()), format="csv")) < 10
    wide = WideTable(POLICY, "arm", ["cpu=value"])
    assert seconds(lambda: read_table(io.BytesIO(text.encode()), format="csv", layout=wide.layout)) < 10


@pytest.mark.parametrize(
    "query",
    [
        "a+" * 4999 + "a",
        "a or " * 1900 + "a",
        "-" * 9999 + "a",
        "(" * 4999 + "a" + ")" * 4999,
        "a{v='canary'}" + "/a{v='stable'}" * 600,
        "a^" * 4999 + "a",
        "'" + "\\'" * 4900,
        "or label_replace ( " * 500,
    ],
    ids=["sums", "alternatives", "signs", "parentheses", "ratios", "powers", "quotes", "calls"],
)
def test_chains_of_any_length_are_read_or_not_understood(query):
    for read in (made_up, parse_promql, add_selector, matchers):
        assert seconds(lambda read=read: read(query)) < 5
    assert seconds(lambda: (compared_arms(query, arm_of), arms_in(query, arm_of))) < 5


def test_a_chain_that_people_write_is_understood():
    assert parse_promql(" + ".join(["a"] * 100)) is not None
    assert made_up("+".join(["a"] * 100) + " or vector(0)") == ("or vector()", 0.0)


def test_every_limit_stands_in_the_docs_with_its_reason():
    page = Path("docs/reliability.md").read_text(encoding="utf-8")
    for name in limits.__all__:
        value = getattr(limits, name)
        if callable(value) or name.startswith("MEMORY_") or name == "WHOLE":
            continue
        told = (
            f"{value >> 20:,} MiB"
            if name.endswith("_MEMORY")
            else f"{value // 1_000_000} MB"
            if name.endswith("_BYTES")
            else f"{value:,}"
        )
        assert re.search(rf"(?m)^\| .*\| {re.escape(told)}\b.*\|", page), (name, told)


def test_a_plain_file_is_read_whatever_its_size_is(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED_MEMORY", 1000)
    rows = [
        {"metric": "cpu", "arm": arm, "value": index}
        for arm in ("baseline", "canary")
        for index in range(500)
    ]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert len(read_table(path)) == 1000
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "data.csv", index=False)
    assert len(read_table(tmp_path / "data.csv")) == 1000


def test_a_damaged_parquet_file_is_an_error_in_a_sentence(tmp_path):
    """pyarrow ends the process where the account of a column lies; so that is not asked."""
    rng = np.random.default_rng(1)
    file = io.BytesIO()
    pq.write_table(table(), file, use_dictionary=False)
    refused = 0
    for _ in range(150):
        content = bytearray(file.getvalue())
        for place in rng.integers(0, len(content), 3).tolist():
            content[place] = int(rng.integers(0, 256))
        try:
            read_pairs(read_table(io.BytesIO(bytes(content)), format="parquet"), POLICY)
        except cj.CanaryJudgeError:
            refused += 1
    assert refused > 50
    texts = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    file = io.BytesIO()
    pq.write_table(table(metric=pa.chunked_array([texts, pa.array(["cpu"])])), file)
    with pytest.raises(DataError, match="this is not a Parquet file"):
        read_table(file, format="parquet")


def test_lists_in_the_cells_of_parquet_are_refused_before_they_are_read(tmp_path):
    file = io.BytesIO()
    pq.write_table(table(value=[[1.0] * 1000, [2.0]], other=[[1], [2]]), file)
    with pytest.raises(DataError, match="the column 'value' holds 'list<"):
        read_table(file, format="parquet")

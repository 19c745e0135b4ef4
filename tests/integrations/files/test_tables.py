"""Tables in files: every format gives the same pairs, and what is wrong is named with file and line."""

import builtins
import contextlib
import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge import limits
from canaryjudge.data import read_pairs
from canaryjudge.errors import DataError, MissingExtraError
from canaryjudge.integrations.files import csv_files
from canaryjudge.integrations.files.layouts import tidy_or_by_arms
from canaryjudge.integrations.files.wide import WideTable
from canaryjudge.integrations.sources import read_table
from canaryjudge.judging import judge
from canaryjudge.policy import Metric, Policy

POLICY = Policy(
    metrics=[
        Metric(name="errors", kind="ratio", direction="increase"),
        Metric(name="cpu", direction="increase"),
    ]
)
HEADER = "metric,arm,time,value,total,pod\n"
BODY = """\
cpu,baseline,2024-05-01T12:00:00Z,0.5,,a
cpu,baseline,2024-05-01T12:01:00Z,,,a
cpu,baseline,2024-05-01T12:02:00Z,1,,a
cpu,canary,2024-05-01T12:00:00Z,0.25,,b
cpu,canary,2024-05-01T12:01:00Z,NaN,,b
cpu,canary,2024-05-01T12:02:00Z,0.75,,"b, c"
errors,baseline,2024-05-01T12:00:00Z,1,100,a
errors,baseline,2024-05-01T12:01:00Z,0,90,a
errors,canary,2024-05-01T12:00:00Z,0,10,b
errors,canary,2024-05-01T12:01:00Z,2,11,b
"""
TEXT = HEADER + BODY


def records():
    frame = pd.read_csv(io.StringIO(TEXT)).astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(folder):
    path = folder / "data.parquet"
    pd.read_csv(io.StringIO(TEXT)).to_parquet(path)
    return path


WRITERS = {
    "csv": lambda folder: write(folder, "data.csv", TEXT),
    "csv with BOM": lambda folder: write(folder, "data.csv", "\ufeff" + TEXT),
    "csv with CRLF": lambda folder: write(folder, "data.csv", TEXT.replace("\n", "\r\n")),
    "csv without a last line end": lambda folder: write(folder, "data.csv", TEXT.rstrip("\n")),
    "csv with blank lines": lambda folder: write(
        folder, "data.CSV", "\n" + TEXT.replace("\ncpu", "\n\n  \ncpu") + "\n \n"
    ),
    "csv with spaces": lambda folder: write(
        folder, "data.csv", TEXT.replace(",", ", ").replace("b,  c", "b c")
    ),
    "csv with quotes": lambda folder: write(
        folder, "data.csv", TEXT.replace("cpu", '"cpu"').replace("b, c", 'b ""\n c')
    ),
    "json": lambda folder: write(folder, "data.json", json.dumps(records())),
    "json with BOM": lambda folder: write(folder, "data.json", "\ufeff" + json.dumps(records())),
    "ndjson": lambda folder: write(folder, "data.ndjson", "\n\n".join(map(json.dumps, records()))),
    "jsonl": lambda folder: write(folder, "data.jsonl", "\r\n".join(map(json.dumps, records()))),
    "parquet": parquet,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_pairs(kind, tmp_path):
    expected = read_pairs(records(), POLICY)
    pairs = read_pairs(read_table(WRITERS[kind](tmp_path)), POLICY)
    for name, pair in pairs.items():
        assert pair.digest() == expected[name].digest()
        assert pair.notes == expected[name].notes


@pytest.mark.parametrize("block", [64, 100, 200, 1000])
def test_the_size_of_the_blocks_changes_nothing(block, monkeypatch):
    whole = read_pairs(read_table(io.StringIO(TEXT), format="csv"), POLICY)
    monkeypatch.setattr(csv_files, "_BLOCK", block)
    pairs = read_pairs(read_table(io.StringIO(TEXT), format="csv"), POLICY)
    assert {name: pair.digest() for name, pair in pairs.items()} == {
        name: pair.digest() for name, pair in whole.items()
    }


def test_streams_of_bytes_and_of_text_are_read(tmp_path):
    content = parquet(tmp_path).read_bytes()
    streams = [
        (io.BytesIO(TEXT.encode()), "csv"),
        (io.StringIO(TEXT), "csv"),
        (io.StringIO(json.dumps(records())), "json"),
        (io.BytesIO(content), "parquet"),
    ]
    digests = {
        read_pairs(read_table(stream, format=kind), POLICY)["cpu"].digest() for stream, kind in streams
    }
    assert len(digests) == 1


def test_a_given_format_wins_over_the_ending(tmp_path):
    path = write(tmp_path, "data.txt", TEXT)
    assert len(read_table(str(path), format="csv")) == 10


def test_json_may_hold_the_mapping_of_arms(tmp_path):
    path = write(tmp_path, "data.json", '{"cpu": {"baseline": [1, 2], "canary": {"value": [3, null]}}}')
    pair = read_pairs(read_table(path), Policy(metrics=[Metric(name="cpu", direction="increase")]))["cpu"]
    assert pair.canary.value.tolist() == [3.0]


def test_a_csv_is_read_as_floats_and_categories_and_without_needless_columns(tmp_path):
    frame = read_table(write(tmp_path, "data.csv", TEXT))
    assert list(frame.columns) == ["metric", "arm", "time", "value", "total"]
    assert frame["value"].dtype == frame["total"].dtype == np.float64
    assert isinstance(frame["metric"].dtype, pd.CategoricalDtype)


def test_numeric_times_stay_numbers(tmp_path):
    frame = read_table(write(tmp_path, "data.csv", "metric,arm,value,time\ncpu,a,1,1700000000\ncpu,a,2,\n"))
    assert frame["time"].dtype == np.float64


def test_a_metric_may_be_named_like_a_missing_value(tmp_path):
    frame = read_table(write(tmp_path, "data.csv", "metric,arm,value\nNA,null,1\n"))
    assert frame.iloc[0].tolist() == ["NA", "null", 1.0]


@pytest.mark.parametrize("content", ["metric,arm,value\n", "metric,arm,value", "metric,arm,value\r\n\r\n"])
def test_a_header_only_is_a_table_without_rows(content, tmp_path):
    frame = read_table(write(tmp_path, "data.csv", content))
    assert list(frame.columns) == ["metric", "arm", "value"]
    assert len(read_pairs(frame, POLICY)["cpu"].canary) == 0


def error(source, **options):
    with pytest.raises(DataError) as caught:
        read_table(source, **options)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lines(*changes):
    """Give the CSV with some lines replaced."""
    text = TEXT.split("\n")
    for number, line in changes:
        text[number - 1] = line
    return "\n".join(text)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["data.csv: the file is empty"]),
        (" \n\r\n", ["data.csv: the file is empty"]),
        (
            lines((4, "cpu,baseline,2024-05-01T12:00:00Z,fast,,a")),
            ["data.csv, line 4: value is the text 'fast'"],
        ),
        (
            lines((9, "errors,baseline,2024-05-01T12:00:00Z,1,x,a")),
            ["data.csv, line 9: total is the text 'x'"],
        ),
        ("\n\n" + lines((4, "cpu,baseline,,fast,,a")), ["line 6: value is the text 'fast'"]),
        (
            lines((7, 'cpu,canary,,0.75,,"b\n\nc"'), (9, "errors,baseline,,many,1,a")),
            ["line 11: value is the text 'many'"],
        ),
        ("metric,arm,value\ncpu,a,True\ncpu,a,maybe\n", ["line 2: value is the text 'True'"]),
        (
            lines((5, "cpu,canary,2024-05-01T12:00:00Z")),
            ["line 5: the line has 3 fields where the header has 6"],
        ),
        (lines((5, "cpu,canary,2024-05-01T12:00:00Z,1,2,3,4")), ["line 5: the line has 7 fields"]),
        ("metric;arm;value\ncpu;a;1,234\ncpu;a;5\n", ["'1,234' may be 1.234 or 1234"]),
        ("metric;arm;value\ncpu;a;1.234\ncpu;a;55.678\n", ["'1.234' may be 1.234 or 1234"]),
        ("metric;arm;value\ncpu;a;0,5\ncpu;a;1.5\n", ["line 2: value is the text '0,5'", "a point: 0.5"]),
        ("metric;arm;value\ncpu;a;0,5\ncpu;a;1.234,5\n", ["line 3: value is the text '1.234,5'"]),
        (
            "metric,arm,value\ncpu,a,1,5\n",
            ["line 2: the line has 4 fields", "semicolons between the columns"],
        ),
        ('metric,arm,value\ncpu,a,"1,5"\n', ["line 2: value is the text '1,5'", "with a point: 1.5"]),
        ("metric|arm|value\ncpu|a|1\n", ["separated by '|'"]),
        ("metric,arm,vallue\ncpu,a,1\n", ["no column 'value'. Did you mean 'vallue'?", "--wide"]),
        ("metric,arm,value,value\ncpu,a,1,2\n", ["column 'value' stands there twice"]),
        (
            lines((3, 'cpu,baseline,2024-05-01T12:01:00Z,1,,"a')),
            ["quotation mark from here on is never closed"],
        ),
        ('metric,arm,value\ncpu,a"b,1\ncpu,a"b,2\n', ["from line 2 on: the 1 lines have 2 rows"]),
        ("metric,arm,value\rcpu,a,1\r", ["the header cannot be read"]),
        ("metric,arm,value\ncpu,a,1\rcpu,a,2\n", ["line 2: the line has 5 fields"]),
        ("metric,arm,value\ncpu,a\r,1\n", ["from line 2 on: this is not CSV"]),
        (b"\x00\x01\x02\xff" * 100, ["binary data, not CSV"]),
        (b"PAR1\x15\x04\x15\x00", ["binary data, not CSV"]),
        (TEXT.encode("utf-16")[:-1], ["this is not UTF-16 text"]),
        (
            b"\xff\xfe" + "metric,arm,value\n".encode("utf-16-le") + b"\x00\xd8a\x00",
            ["this is not UTF-16 text"],
        ),
        (lines((4, "cpu,baseline,,1,,caf\xe9")).encode("latin-1"), ["line 4: this is not UTF-8 text"]),
    ],
)
def test_a_csv_that_cannot_be_read_is_one_error_with_its_line(content, parts, tmp_path):
    message = error(write(tmp_path, "data.csv", content))
    for part in parts:
        assert part in message


@pytest.mark.parametrize("block", [61, 1 << 23])
def test_what_was_saved_for_a_spreadsheet_is_read_as_it_is(monkeypatch, tmp_path, block):
    monkeypatch.setattr(csv_files, "_BLOCK", block)
    plain = read_table(write(tmp_path, "plain.csv", TEXT))
    tabs = TEXT.replace(" ", "").replace(",", "\t").replace("\n", "\r\n")
    for content in (
        TEXT.encode("utf-16"),
        b"\xfe\xff" + tabs.encode("utf-16-be"),
        "\ufeff" + tabs,
        "sep=\t\r\n" + tabs,
        "sep=,\n" + TEXT,
    ):
        told = read_table(write(tmp_path, "data.csv", content))
        pd.testing.assert_frame_equal(told, plain)


def european(separator):
    """The table as a spreadsheet writes it where decimals have a comma."""
    out = io.StringIO()
    pd.read_csv(io.StringIO(TEXT)).to_csv(out, sep=separator, decimal=",", index=False)
    return out.getvalue()


@pytest.mark.parametrize(("name", "separator"), [("data.csv", ";"), ("data.tsv", "\t")])
@pytest.mark.parametrize("block", [60, 1 << 23])
def test_decimal_commas_are_read_where_commas_part_no_columns(monkeypatch, tmp_path, name, separator, block):
    monkeypatch.setattr(csv_files, "_BLOCK", block)
    text = european(separator)
    assert "0,25" in text
    plain, told = (read_table(write(tmp_path, *file)) for file in (("plain.csv", TEXT), (name, text)))
    for column in ("metric", "arm", "time", "value", "total"):
        assert (
            plain[column].astype("object").fillna("").tolist()
            == told[column].astype("object").fillna("").tolist()
        )


def test_points_are_read_between_semicolons_too(tmp_path):
    path = write(tmp_path, "data.csv", TEXT.replace('"b, c"', "b").replace(",", ";"))
    assert read_table(path)["value"].dropna().tolist() == [0.5, 1, 0.25, 0.75, 1, 0, 0, 2]


@given(
    st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, 6)), min_size=1, max_size=5),
    st.sampled_from(";\t"),
)
def test_a_decimal_comma_is_never_read_as_anything_else(values, separator):
    lines = [separator.join(("cpu", "a", repr(value).replace(".", ","))) for value in values]
    text = "\n".join([separator.join(("metric", "arm", "value")), *lines])
    form = "csv" if separator == ";" else "tsv"
    try:
        assert read_table(io.StringIO(text), format=form)["value"].tolist() == values
    except DataError as refused:
        assert "may be" in refused.message  # noqa: PT017 - either is right


def test_one_broken_cell_among_decimal_commas_breaks_its_metric_only(tmp_path):
    rows = [
        f"{name};{arm};{value},5"
        for name in ("cpu", "p99")
        for arm in ("baseline", "canary")
        for value in range(20)
    ]
    path = write(tmp_path, "data.csv", "\n".join(["metric;arm;value", *rows, "cpu;canary;n.a."]) + "\n")
    data = read_table(path, layout=tidy_or_by_arms(["cpu", "p99"], ("baseline", "canary")))
    policy = Policy(metrics=[Metric(name=name, direction="increase") for name in ("cpu", "p99")])
    verdict = judge(data, policy)
    assert [result.reason for result in verdict.metrics.values()] == ["broken", "same_data"]
    assert verdict.metrics["p99"].baseline.series.value[1] == 1.5


def test_lines_are_counted_across_blocks(monkeypatch, tmp_path):
    monkeypatch.setattr(csv_files, "_BLOCK", 50)
    path = write(tmp_path, "data.csv", "metric,arm,value\n" + "cpu,canary,1\n" * 1000 + "cpu,canary,one\n")
    assert "line 1002: value is the text 'one'" in error(path)


def test_times_that_turn_into_text_are_an_error_with_their_line(monkeypatch, tmp_path):
    monkeypatch.setattr(csv_files, "_BLOCK", 50)
    path = write(
        tmp_path, "data.csv", "metric,arm,value,time\n" + "cpu,canary,1,5\n" * 10 + "cpu,canary,1,noon\n"
    )
    assert "line 12: time is the text 'noon'" in error(path)


def test_times_may_begin_empty(monkeypatch):
    monkeypatch.setattr(csv_files, "_BLOCK", 40)
    text = "metric,arm,value,time\n" + "cpu,a,1,\n" * 20 + "cpu,a,1,2024-05-01T12:00:00Z\n"
    frame = read_table(io.StringIO(text), format="csv")
    assert frame["time"].isna().sum() == 20
    assert frame["time"].iloc[20] == "2024-05-01T12:00:00Z"


def test_a_line_that_never_ends_is_an_error_and_not_a_full_memory(monkeypatch):
    monkeypatch.setattr(csv_files, "_BLOCK", 1000)
    text = 'metric,arm,value\n"' + "cpu,a,1\n" * 10_000
    assert "the stream, line 2: the line does not end" in error(io.StringIO(text), format="csv")


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("data.json", "", ["data.json: the file is empty"]),
        ("data.json", "[1,\n2,", ["data.json, line 2, column 3: this is not JSON"]),
        ("data.json", "5", ["data.json: the document is 5", "list of rows"]),
        ("data.json", "[" * 100_000, ["cannot be read"]),
        ("data.json", b"\xff\xfe", ["line 1: this is not UTF-8 text"]),
        (
            "data.ndjson",
            '{"metric": 1}\n\n{"metric": }\n',
            ["data.ndjson, line 3, column 12: this is not JSON"],
        ),
        ("data.ndjson", "{}\n5\n", ["data.ndjson, line 2: 5 is not a row"]),
        ("data.parquet", b"rubbish" * 10, ["data.parquet: this is not a Parquet file"]),
        ("data.parquet", b"", ["data.parquet: this is not a Parquet file"]),
        ("data.xlsx", b"", ["the ending '.xlsx' tells no format", "csv, tsv, json, ndjson, parquet"]),
        ("data", b"", ["nothing tells the format"]),
    ],
)
def test_other_files_that_cannot_be_read_are_one_error(name, content, parts, tmp_path):
    message = error(write(tmp_path, name, content))
    for part in parts:
        assert part in message


@pytest.mark.parametrize("kind", ["csv", "json", "ndjson", "parquet"])
def test_what_gzip_has_packed_is_read(kind, tmp_path):
    plain = WRITERS[kind](tmp_path)
    packed = write(tmp_path, f"{plain.name}.GZ", gzip.compress(plain.read_bytes()))
    pairs = read_pairs(read_table(packed), POLICY)
    assert pairs["errors"].digest() == read_pairs(records(), POLICY)["errors"].digest()
    misnamed = write(tmp_path, "packed.csv", packed.read_bytes())
    assert len(read_pairs(read_table(misnamed, format=kind), POLICY)["cpu"].canary)


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "UNPACKED_MEMORY", 30 << 20)
    for name, start in (("data.csv.gz", HEADER), ("data.json.gz", "[")):
        bomb = write(tmp_path, name, gzip.compress(start.encode() + b"\n" * (4 << 20)))
        assert (
            f"{name}: the file unpacks to what takes more than 30 MiB to read. Decompress it first"
            in error(bomb)
        )


@pytest.mark.parametrize("content", [gzip.compress(TEXT.encode())[:-9], b"\x1f\x8b" + b"rubbish" * 9])
def test_what_cannot_be_unpacked_is_an_error(content, tmp_path):
    message = error(write(tmp_path, "data.csv.gz", content))
    assert "data.csv.gz: what gzip has packed cannot be unpacked" in message
    assert "decompress it first" in message


def test_tabs_separate_the_fields_of_tsv(tmp_path):
    text = TEXT.replace('"b, c"', "b c").replace(",", "\t")
    pairs = read_pairs(read_table(write(tmp_path, "data.tsv", text)), POLICY)
    assert pairs["errors"].digest() == read_pairs(records(), POLICY)["errors"].digest()
    indexed = "\tmetric\tarm\tvalue\n0\tcpu\tcanary\t1\n"
    assert read_table(io.StringIO(indexed), format="tsv")["value"].tolist() == [1.0]
    assert "separated by ',', not by tabs" in error(write(tmp_path, "other.tsv", TEXT.replace(" ", "")))
    assert "line 2: value is the text 'x'" in error(
        io.StringIO("metric\tarm\tvalue\na\tb\tx\n"), format="tsv"
    )


@pytest.mark.parametrize(
    ("kind", "what"), [("otlp", "an OTLP document"), ("kayenta", "Kayenta's metric set pairs")]
)
def test_csv_given_as_a_document_is_an_error_that_says_what_was_found(kind, what, tmp_path):
    message = error(write(tmp_path, "data.csv", TEXT), format=kind)
    assert what in message
    assert "is JSON, and the file begins with 'metric,arm,time,value,total,pod'" in message
    assert "Leave out --data-format" in message


def test_a_column_of_times_is_kept_of_parquet_whatever_it_is_called(tmp_path):
    path = tmp_path / "data.parquet"
    pd.DataFrame({"metric": ["cpu"], "arm": ["a"], "Timestamp": [60], "value": [1.0]}).to_parquet(path)
    assert read_table(path).column_names == ["metric", "arm", "Timestamp", "value"]


def test_missing_files_directories_and_unknown_formats_are_errors(tmp_path):
    assert "there is no such file. Check the path" in error(tmp_path / "none.csv")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert "this is a directory. Name a file in it" in error(folder)
    assert "this is a directory. Name a file in it" in error(tmp_path)
    assert "there is no such file. Check the path" in error(tmp_path / "none")
    assert "'cvs' is not a format of tables. Did you mean 'csv'?" in error(tmp_path / "x", format="cvs")
    assert "nothing tells the format" in error(io.StringIO(""))
    assert "5 is neither a path nor a stream" in error(5, format="csv")


def test_parquet_without_a_needed_column_is_an_error(tmp_path):
    path = tmp_path / "data.parquet"
    pd.DataFrame({"metric": ["cpu"], "arms": ["a"], "value": [1.0]}).to_parquet(path)
    assert "no column 'arm'. Did you mean 'arms'?" in error(path)
    wide = WideTable(Policy(metrics=[Metric(name="value", direction="increase")]), "arms")
    assert read_table(path, layout=wide.layout).column_names == ["arms", "value"]


def test_parquet_without_pyarrow_names_the_extra(monkeypatch, tmp_path):
    path = parquet(tmp_path)
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"Parquet needs pyarrow. .*canaryjudge\[parquet\]"):
        read_table(path)


def test_a_whole_number_beyond_all_floats_beside_a_text_is_infinite(tmp_path):
    policy = Policy(
        metrics=[Metric(name="cpu", direction="increase"), Metric(name="rss", direction="increase")]
    )
    rows = [f"cpu,{arm},{value}" for arm in ("baseline", "canary") for value in (1, "9" * 400, 2)]
    text = "\n".join(["metric,arm,value", *rows, "rss,baseline,1", "rss,canary,fast", ""])
    layout = tidy_or_by_arms(["cpu", "rss"], ("baseline", "canary"))
    verdict = judge(read_table(io.StringIO(text), format="csv", layout=layout), policy)
    assert {note.code for note in verdict.metrics["cpu"].warnings} >= {"infinite_values"}
    assert verdict.metrics["rss"].reason == "broken"


@pytest.mark.parametrize("row", ["a\rb,c,1", 'a,"b\r",1', "\r\r,,", "\r,,"])
def test_bare_carriage_returns_are_an_error_in_a_sentence(row, tmp_path):
    for text in (f"metric,arm,value\n{row}\na,b,1\n", f"metric,arm,value\na,b,1\n{row}\n"):
        with contextlib.suppress(DataError):  # and no error of another kind
            read_table(write(tmp_path, "data.csv", text))

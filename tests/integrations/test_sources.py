"""The lists of sources and importers: what they name is there, and the command line knows it from them."""

import inspect
from pkgutil import resolve_name

import pytest

from canaryjudge.cli import main
from canaryjudge.integrations.importers import IMPORTERS
from canaryjudge.integrations.sources import (
    FILE_FORMATS,
    SERVERS,
    begins_like,
    ending_format,
    history_format,
    read_table,
)


@pytest.mark.parametrize("each", FILE_FORMATS.values(), ids=FILE_FORMATS)
def test_what_reads_a_format_is_there_and_takes_its_options(each):
    assert len(inspect.signature(resolve_name(each.reader)).parameters) >= 3
    if each.document:
        taken = inspect.signature(resolve_name(each.document)).parameters
        assert [name for name, one in taken.items() if one.kind is one.KEYWORD_ONLY] == [
            option.name for option in each.options
        ]
    else:
        assert each.endings
        assert not each.options


@pytest.mark.parametrize("each", IMPORTERS.values(), ids=IMPORTERS)
def test_what_imports_is_there_and_takes_its_options(each):
    assert {option.name for option in each.options} <= set(inspect.signature(each.load).parameters)


def test_an_ending_is_of_one_format():
    endings = [ending for each in FILE_FORMATS.values() for ending in each.endings]
    assert len(endings) == len(set(endings))
    for name, each in FILE_FORMATS.items():
        assert all(ending_format(f"data{ending}.gz") == name for ending in each.endings)


@pytest.mark.parametrize(
    ("start", "name"), [(b"", "csv"), (b"metric,arm", "csv"), (b'\n {"a"', "json"), (b"[", "json")]
)
def test_standard_input_is_told_by_how_it_begins(start, name):
    assert begins_like(start) == name


@pytest.mark.parametrize(
    ("path", "given", "name"),
    [
        ("past.csv", "otlp", "csv"),
        ("past.csv", None, "csv"),
        ("past.json", "otlp", "otlp"),
        ("past.jsonl", "kayenta", "kayenta"),
        ("past.json", "csv", "json"),
        ("past.txt", "tsv", "tsv"),
        ("past.parquet", "otlp", "parquet"),
        ("past", None, None),
    ],
)
def test_a_history_is_read_by_its_ending_unless_that_fits_the_document_that_the_data_are(path, given, name):
    assert history_format(path, given) == name


def test_the_command_line_has_every_format_and_server(capsys):
    assert main(["judge", "--help"]) == 0
    told = capsys.readouterr().out
    assert f"--data-format {{{','.join(FILE_FORMATS)}}}" in told
    for name in SERVERS:
        assert f"--{name} URL" in told
    for each in FILE_FORMATS.values():
        assert all(f"--{option.name.replace('_', '-')} {option.takes}" in told for option in each.options)


def test_the_formats_of_tables_are_documented():
    assert all(f'"{name}"' in read_table.__doc__ for name in FILE_FORMATS)

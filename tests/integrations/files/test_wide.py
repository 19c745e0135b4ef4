"""Wide tables: which column is which is said, or found by names, and never guessed silently."""

import io

import pandas as pd
import polars as pl
import pytest

from canaryjudge.data import from_wide, read_pairs
from canaryjudge.errors import DataError
from canaryjudge.explain.notes import note_sentence
from canaryjudge.integrations.files import csv_files
from canaryjudge.integrations.files.wide import WideTable, widen_table
from canaryjudge.integrations.sources import read_table
from canaryjudge.policy import Metric, Policy

ERRORS = Metric(name="errors", kind="ratio", direction="increase")
CPU = Metric(name="cpu", direction="increase")
POLICY = Policy(metrics=[ERRORS, CPU])
WIDE = """\
version,ts,cpu,errors,requests,note
baseline,2024-05-01T12:00:00Z,0.5,1,100,x
canary,2024-05-01T12:00:00Z,0.25,0,10,
baseline,2024-05-01T12:01:00Z,,0,90,
canary,2024-05-01T12:01:00Z,0.75,2,11,
"""


def read(text, policy=POLICY, arm="version", **options):
    wide = WideTable(policy, arm, **options)
    table = read_table(io.StringIO(text), format="csv", layout=wide.layout)
    return widen_table(table, wide, "export.csv")


def rows(**columns):
    return [{"version": arm} | columns for arm in ("baseline", "canary")]


def widen(table, policy=POLICY, arm="version", **options):
    return widen_table(table, WideTable(policy, arm, **options))


def error(action, *arguments, **options):
    with pytest.raises(DataError) as caught:
        action(*arguments, **options)
    assert caught.value.hint
    return str(caught.value)


def notes(pair, code):
    return [(note.arm, note.facts) for note in pair.notes if note.code == code]


def test_a_wide_table_gives_the_metrics_of_the_policy_by_name():
    pairs = read_pairs(read(WIDE), POLICY)
    assert pairs["errors"].canary.value.tolist() == [0.0, 2.0]
    assert pairs["errors"].canary.total.tolist() == [10.0, 11.0]
    assert pairs["cpu"].canary.value.tolist() == [0.25]
    assert pairs["cpu"].baseline.time.tolist() == [1714564800.0]


@pytest.mark.parametrize("library", [lambda table: table, pl.DataFrame, pd.DataFrame])
@pytest.mark.parametrize("total", ["errors_total", "total", "requests"])
def test_a_total_that_is_found_by_its_name_is_noted_in_both_arms(total, library):
    table = library(rows(errors=1, cpu=1.0, **{total: 100}))
    pair = read_pairs(widen(table), POLICY)["errors"]
    assert pair.canary.total.tolist() == [100.0]
    assert notes(pair, "total_by_name") == [(arm, {"column": total}) for arm in ("baseline", "canary")]
    assert f"the total is the column {total}, taken by its name" in note_sentence(
        next(note for note in pair.notes if note.code == "total_by_name")
    )


def test_the_metric_s_own_total_is_taken_before_all_others():
    table = rows(errors=1, cpu=1, errors_total=50, total=60, requests=70)
    assert read_pairs(widen(table), POLICY)["errors"].canary.total.tolist() == [50.0]


def test_two_columns_that_could_be_the_total_are_an_error_that_names_both():
    message = error(widen, rows(errors=1, cpu=1, total=60, requests=70))
    assert "the total of the metric 'errors' may be the column 'total' or 'requests'" in message
    assert "--column errors=errors/total or --column errors=errors/requests" in message


def test_the_total_that_is_named_is_taken_without_a_note():
    table = rows(failed=1, cpu=1, total=60, requests=70)
    pair = read_pairs(widen(table, columns=["errors=failed/requests"]), POLICY)["errors"]
    assert (pair.canary.value.tolist(), pair.canary.total.tolist()) == ([1.0], [70.0])
    assert not notes(pair, "total_by_name")


def test_requests_are_no_exposure_of_a_count_unless_somebody_says_so():
    policy = Policy(metrics=[Metric(name="restarts", kind="count", direction="increase")])
    table = rows(restarts=5, requests=100, total=7)
    assert read_pairs(widen(table, policy), policy)["restarts"].canary.total is None
    said = widen(table, policy, columns=["restarts=restarts/requests"])
    assert read_pairs(said, policy)["restarts"].canary.total.tolist() == [100.0]
    own = read_pairs(widen(rows(restarts=5, restarts_total=9), policy), policy)["restarts"]
    assert own.canary.total.tolist() == [9.0]
    assert notes(own, "total_by_name")


@pytest.mark.parametrize("read_as", ["rows", "csv"])
def test_without_a_total_the_error_lists_what_it_could_be(read_as):
    policy = Policy(metrics=[Metric(name="errors", kind="ratio", direction="increase"), CPU])
    text = "version,ts,pod,note,failed,cpu,served,hits\nbaseline,1,7,x,1,1,100,5\ncanary,1,8,y,2,1,90,5\n"
    options = {"columns": ["errors=failed"]}
    if read_as == "csv":
        message = error(read, text, policy, **options)
    else:
        message = error(widen, pd.read_csv(io.StringIO(text)).to_dict("records"), policy, **options)
    assert (
        "no column for the total of the metric 'errors'; looked for errors_total, total, requests" in message
    )
    assert "Say what the events are of: --column errors=failed/COLUMN." in message
    assert message.endswith("Other columns of numbers: served, hits.")


def test_a_single_candidate_is_put_into_the_option_and_none_is_said():
    assert "--column errors=errors/served. Other columns" in error(widen, rows(errors=1, cpu=1, served=5))
    assert "There is no other column of numbers" in error(widen, rows(errors=1, cpu=1))


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        (["errors"], ["--column errors: this names no column", "METRIC=VALUE/TOTAL"]),
        (["errors="], ["this names no column"]),
        (["erors=errors"], ["the policy has no metric 'erors'. Did you mean 'errors'?"]),
        (["errors=failed"], ["the table has no column 'failed'", "errors"]),
        (["errors=errors/served"], ["the table has no column 'served'"]),
        (["cpu=cpu/total"], ["'cpu' is of kind gauge, which has no total", "--column cpu=cpu"]),
        (["cpu=cpu", "cpu=errors"], ["the columns of 'cpu' are given twice"]),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_an_error(columns, parts):
    message = error(widen, rows(errors=1, cpu=1, total=9), columns=columns)
    for part in parts:
        assert part in message


def test_names_of_columns_may_have_slashes_and_names_of_metrics_equals_signs():
    policy = Policy(metrics=[ERRORS.model_copy(update={"name": "errors{code=5}"})])
    columns = {"5xx/s": 1, "all/s": 50}
    pair = read_pairs(widen(rows(**columns), policy, columns=["errors{code=5}=5xx/s/all/s"]), policy)[
        "errors{code=5}"
    ]
    assert pair.canary.total.tolist() == [50.0]
    message = error(widen, rows(**{"a": 1, "b": 2, "a/b": 3}), policy, columns=["errors{code=5}=a/b"])
    assert "can be read in 2 ways" in message


def test_widening_says_what_is_missing():
    message = error(widen, [{"version": "a", "errors": 1, "total": 1, "cpus": 1}])
    assert "no column for the metric 'cpu'. Did you mean 'cpus'?" in message
    assert "--column cpu=COLUMN" in message
    assert "set no_data in the policy" in message
    message = error(widen, [{"version": "a", "errors": 1, "total": 1, "cpu": 1}], arm="versoin")
    assert "no column 'versoin'. Did you mean 'version'?" in message
    assert "no column 'gone'" in error(read, WIDE, time="gone")
    assert "not a table" in error(widen, {"cpu": {}})
    assert "not a table" in error(widen, 5)


@pytest.mark.parametrize(
    "table",
    [
        {"timestamp": ["2024-05-01"], "version": ["a"], "cpu": [1]},
        {"timestamp": {"0": "2024-05-01"}, "version": {"0": "a"}, "cpu": {"0": 1}},
    ],
)
def test_columns_where_rows_belong_are_named(table):
    for action in (widen, lambda data: read_pairs(data, POLICY)):
        message = error(action, table)
        assert "the data are columns (timestamp, version, cpu) where rows or arms belong" in message
        assert "Give a list of rows" in message


def test_a_metric_without_a_column_may_be_absent_where_the_policy_sets_no_data():
    metrics = [
        Metric(name="cpu", direction="increase", no_data="ignore"),
        Metric(name="load", direction="increase"),
    ]
    policy = Policy(metrics=metrics)
    pairs = read_pairs(widen(rows(load=1.0), policy), policy)
    assert (len(pairs["cpu"].canary), len(pairs["load"].canary)) == (0, 1)
    assert widen(rows(load=1.0), Policy(metrics=metrics[:1])) == {}


def test_a_wide_table_without_rows_gives_empty_pairs():
    pairs = read_pairs(read("version,cpu,errors,total\n"), POLICY)
    assert len(pairs["cpu"].canary) == 0


@pytest.mark.parametrize(
    "names", [("2.9", "2.10", "2.1"), ("0012345", "12e45678"), ("True", "False"), ("1", "2"), ("NA", "nan")]
)
@pytest.mark.parametrize("block", [16, 1 << 20])
def test_arms_and_replicas_are_read_as_the_text_that_stands_there(names, block, monkeypatch):
    monkeypatch.setattr(csv_files, "_BLOCK", block)
    policy = Policy(metrics=[CPU])
    text = "version,replica,cpu\n" + "".join(f"{name},{name},{index}\n" for index, name in enumerate(names))
    arms = read(text, policy)["cpu"]
    assert list(arms) == list(names)
    assert [list(arms[name]["replica"]) for name in names] == [[name] for name in names]
    tidy = read_table(
        io.StringIO("metric,arm,value\n" + "".join(f"{name},{name},1\n" for name in names)), format="csv"
    )
    assert tidy["arm"].tolist() == tidy["metric"].tolist() == list(names)


@pytest.mark.parametrize("text", ["hot", "0,5", "12 %"])
def test_text_in_a_wide_column_is_named_with_its_file_and_line(text, monkeypatch):
    monkeypatch.setattr(csv_files, "_BLOCK", 20)
    message = error(
        read, "version,cpu\n" + "baseline,0.5\n\ncanary,1\n" * 5 + f'canary,"{text}"\n', Policy(metrics=[CPU])
    )
    assert f"line 17: cpu is the text '{text}' where a number belongs" in message


def test_text_in_rows_is_named_with_its_file_and_row():
    table = [*rows(cpu=1.0), {"version": "canary", "cpu": "8,433"}]
    with pytest.raises(DataError, match=r"export.json, row 3: cpu is the text '8,433'.*thousands: 8433"):
        widen_table(table, WideTable(Policy(metrics=[CPU]), "version"), "export.json")


@pytest.mark.parametrize("name", ["Time", "timestamp", "TIMESTAMP", "@timestamp", "ts", "date", "datetime"])
def test_the_column_of_times_is_found_by_each_of_its_names_everywhere(name):
    policy, moment = Policy(metrics=[CPU]), "2024-05-01T12:00:00Z"
    wide = f"version,{name},cpu\nbaseline,{moment},1\ncanary,{moment},2\n"
    tidy = f"metric,arm,{name},value\ncpu,baseline,{moment},1\ncpu,canary,{moment},2\n"
    frame = pd.read_csv(io.StringIO(wide))
    given = {
        "wide": read(wide, policy),
        "from_wide": from_wide(frame, arm="version", metrics={"cpu": "cpu"}),
        "tidy file": read_table(io.StringIO(tidy), format="csv"),
        "tidy frame": pd.read_csv(io.StringIO(tidy)),
        "tidy rows": pd.read_csv(io.StringIO(tidy)).to_dict("records"),
        "columns": {"cpu": {arm: {"value": [1.0], name: [moment]} for arm in ("baseline", "canary")}},
    }
    for shape, data in given.items():
        pair = read_pairs(data, policy)["cpu"]
        assert pair.canary.time.tolist() == [1714564800.0], shape


def test_two_columns_of_times_are_an_error_and_one_can_be_chosen():
    policy = Policy(metrics=[CPU])
    text = "version,Time,date,cpu\nbaseline,60,2024-05-01,1\ncanary,60,2024-05-01,2\n"
    message = error(read, text, policy)
    assert "the columns are named 'Time' and 'date', and either may hold the times" in message
    assert "--time COLUMN" in message
    assert read_pairs(read(text, policy, time="Time"), policy)["cpu"].canary.time.tolist() == [60.0]
    frame = pd.read_csv(io.StringIO(text))
    assert "'Time' and 'date'" in error(from_wide, frame, arm="version", metrics={"cpu": "cpu"})
    assert len(from_wide(frame, arm="version", time="date", metrics={"cpu": "cpu"})["cpu"]) == 2
    tidy = (
        text.replace("version", "metric,arm")
        .replace("baseline", "cpu,baseline")
        .replace("canary", "cpu,canary")
    )
    message = error(read_table, io.StringIO(tidy.replace(",cpu\n", ",value\n")), format="csv")
    assert "the stream: the columns are named 'Time' and 'date'" in message


def test_a_metric_may_be_named_like_a_column_of_times():
    policy = Policy(metrics=[Metric(name="date", direction="increase")])
    pair = read_pairs(read("version,date\nbaseline,1\ncanary,2\n", policy), policy)["date"]
    assert pair.canary.time is None


REPLICAS = "version,time,{},cpu,errors,requests\n" + "".join(
    f"{arm},{60 * minute},{name},1,2,50\n"
    for arm in ("baseline", "canary")
    for minute in range(3)
    for name in ("a", "b")
)


@pytest.mark.parametrize(("name", "options"), [("replica", {}), ("pod", {"replica": "pod"})])
def test_replicas_of_a_wide_table_are_kept_apart(name, options):
    text = REPLICAS.format(name)
    frame = pd.read_csv(io.StringIO(text))
    metrics = {"cpu": "cpu", "errors": {"value": "errors", "total": "requests"}}
    for data in (read(text, **options), from_wide(frame, arm="version", metrics=metrics, **options)):
        pair = read_pairs(data, POLICY)["errors"]
        assert len(pair.canary.replicas) == 2
        assert pair.canary.total.tolist() == [100.0] * 3
        assert not notes(pair, "duplicate_times")


@pytest.mark.parametrize("name", ["pod", "instance", "Host", "region", "zone"])
def test_what_may_tell_replicas_apart_is_named_and_no_row_of_it_is_dropped(name):
    pairs = read_pairs(read(REPLICAS.format(name)), POLICY)
    pair = pairs["errors"]
    assert not notes(pair, "identical_rows")
    assert pair.canary.total.sum() == 300
    assert notes(pair, "duplicate_times") == [(arm, {"column": name}) for arm in ("baseline", "canary")]
    sentence = note_sentence(next(note for note in pair.notes if note.code == "duplicate_times"))
    assert (
        f"if the column {name} tells replicas apart, rename it to replica, or give --replica {name}"
        in sentence
    )
    assert not notes(pairs["cpu"], "suggest_samples")


def test_counters_of_several_pods_are_an_error_that_names_the_column():
    policy = Policy(metrics=[Metric(name="errors", kind="ratio", direction="increase", counter=True)])
    message = error(read_pairs, read(REPLICAS.format("pod"), policy), policy)
    assert "a counter has several values at 1970-01-01T00:00:00Z" in message
    assert "rename 'pod' to 'replica', or give --replica pod" in message


def test_rows_that_repeat_in_every_column_are_still_dropped():
    text = REPLICAS.format("pod")
    repeated = text + text.split("\n", 1)[1]
    pair = read_pairs(read(repeated), POLICY)["errors"]
    assert [note.count for note in pair.notes if note.code == "identical_rows"] == [6, 6]
    assert pair.canary.total.sum() == 300


def test_all_rows_may_be_of_one_arm():
    arms = read("ts,cpu\n0,1\n60,2\n", Policy(metrics=[CPU]), arm=None)["cpu"]
    assert list(arms) == ["history"]
    assert list(arms["history"]["value"]) == [1.0, 2.0]

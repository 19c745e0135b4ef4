"""Tables with a column an arm: what is read as one, in every library and by every command, and what is not."""

import io

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.data.arm_columns import arm_columns
from canaryjudge.doctor_checks import doctor
from canaryjudge.integrations.files.layouts import tidy_or_by_arms
from canaryjudge.integrations.sources import read_table

ARMS = ("baseline", "canary")
N = 40
TIMES = [f"2026-01-01 00:{minute:02d}:00" for minute in range(N)]
RNG = np.random.default_rng(7)
OLD, NEW = (RNG.normal(100, 3, N).round(2).tolist() for _ in range(2))


def policy(*names):
    return cj.Policy(metrics=[cj.Metric(name=name, direction="increase") for name in names or ("latency",)])


def tidied(**metrics):
    return [
        {"metric": name, "arm": arm, "time": at, "value": value}
        for name, arms in metrics.items()
        for arm, values in zip(ARMS, arms, strict=True)
        for at, value in zip(TIMES, values, strict=True)
    ]


def same(table, wanted, asked=None, **arms):
    asked = asked or policy()
    assert cj.judge(table, asked, **arms).metrics == cj.judge(wanted, asked, **arms).metrics


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table, lambda columns: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]])  # fmt: skip
def test_the_points_are_those_of_a_tidy_table_in_every_library(library):
    table = library({"Time": TIMES, "canary": NEW, "baseline": OLD, "Notes": [""] * N})
    same(table, tidied(latency=(OLD, NEW)))


def test_a_pandas_index_of_times_counts():
    table = pd.DataFrame({"baseline": OLD, "canary": NEW}, index=pd.to_datetime(TIMES))
    same(table, tidied(latency=(OLD, NEW)))


def test_a_column_of_metrics_beside_the_arms_tells_several_apart():
    table = pd.DataFrame(
        {"metric": ["cpu"] * N + ["rss"] * N, "time": TIMES * 2, "baseline": OLD + NEW, "canary": NEW + OLD}
    )
    same(table, tidied(cpu=(OLD, NEW), rss=(NEW, OLD)), policy("cpu", "rss"))


def test_replicas_stay_apart():
    table = pd.DataFrame(
        {"time": TIMES * 2, "replica": ["a"] * N + ["b"] * N, "baseline": OLD + NEW, "canary": NEW + OLD}
    )
    wanted = [
        row | {"replica": name}
        for name, arms in (("a", (OLD, NEW)), ("b", (NEW, OLD)))
        for row in tidied(latency=arms)
    ]
    same(table, wanted)


@pytest.mark.parametrize(
    ("names", "metrics", "arms", "found"),
    [
        (["Time", "baseline", "canary"], ["m"], ARMS, {"m": ("baseline", "canary")}),
        (["canary", "t", "baseline", "x"], ["m"], ARMS, {"m": ("baseline", "canary")}),
        (["Time", "1.4", "1.5"], ["m"], ("1.4", "1.5"), {"m": ("1.4", "1.5")}),
        (["m baseline", "m canary", "k_baseline", "k_canary"], ["m", "k"], ARMS, {"m": ("m baseline", "m canary"), "k": ("k_baseline", "k_canary")}),
        (["baseline.m", "canary.m"], ["m", "k"], ARMS, {"m": ("baseline.m", "canary.m")}),
        (["m (baseline)", "m [canary]"], ["m", "k"], ARMS, {"m": ("m (baseline)", "m [canary]")}),
        (['{version="1.4"}', '{version="1.5"}'], ["m"], ("1.4", "1.5"), {"m": ('{version="1.4"}', '{version="1.5"}')}),
        (['m{pod="a", version="1.4"}', 'm{version="1.5"}'], ["m", "k"], ("1.4", "1.5"), {"m": ('m{pod="a", version="1.4"}', 'm{version="1.5"}')}),
        # one arm alone, several columns of an arm, several metrics under bare arms, and tables of rows of points are none
        (["Time", "baseline"], ["m"], ARMS, {}),
        (['{v="1.4",pod="a"}', '{v="1.4",pod="b"}', '{v="1.5"}'], ["m"], ("1.4", "1.5"), {}),
        (["Time", "baseline", "canary"], ["m", "k"], ARMS, {}),
        (["metric", "arm", "value", "baseline", "canary"], ["m"], ARMS, {}),
        (["baselines", "canaries"], ["m"], ARMS, {}),
        (["k baseline", "k canary"], ["m"], ARMS, {}),
        (['k{v="baseline"}', 'k{v="canary"}'], ["m"], ARMS, {}),
    ],
)  # fmt: skip
def test_columns_are_known_by_their_names_alone(names, metrics, arms, found):
    assert arm_columns(names, metrics, arms) == found


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def written(names=("Time", *ARMS), rows=None):
    lines = [",".join(map(quoted, names))] + [
        ",".join(map(str, row)) for row in rows or zip(TIMES, OLD, NEW, strict=True)
    ]
    return "\n".join(lines) + "\n"


def test_files_are_read_alike_and_a_word_is_named_with_its_line(tmp_path):
    layout = tidy_or_by_arms(["latency"], ARMS)
    for kind, text in (("csv", written()), ("tsv", written().replace(",", "\t"))):
        same(read_table(io.StringIO(text), format=kind, layout=layout), tidied(latency=(OLD, NEW)))
    path = tmp_path / "data.parquet"
    pd.DataFrame({"Time": TIMES, "more": OLD, "baseline": OLD, "canary": NEW}).to_parquet(path)
    table = read_table(path, layout=layout)
    assert table.column_names == ["Time", "baseline", "canary"]
    same(table, tidied(latency=(OLD, NEW)))
    with pytest.raises(
        cj.DataError,
        match=r"there is no column 'metric'. For a column an arm, name the arms: --baseline old --canary new",
    ):
        read_table(io.StringIO(written(("Time", "old", "new"))), format="csv", layout=layout)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["Time", 'p99{version="1.4"}', 'p99{version="1.5"}'], "--baseline 1.4 --canary 1.5."),
        (["Time", '{pod="a",v="old one"}', '{pod="a",v="new"}'], "--baseline 'old one' --canary new."),
        (["ts", "version", "p99_ms"], "--wide version, or from_wide."),
        (["Time", "p99 v1", "p99 v2", "error rate v1", "error rate v2"], "--baseline v1 --canary v2."),
        (["Time", "p99 v1", "p99 v2", "error rate v1", "error rate v3"], "with the metric before them"),
        (["Time", "p99 v1", "p99 v2", "cpu v1"], "with the metric before them"),
        (["Time", 'p99{version="1.4"}'], "in Grafana: Inspect, Data, Series joined by time"),
        # two labels differ, or three columns: anything may be meant
        (["Time", '{pod="a",v="1"}', '{pod="b",v="2"}'], "with the metric before them"),
        (["Time", "a", "b", "c"], "with the metric before them"),
        (["Time", "a", '{v="1"}'], "with the metric before them"),
    ],
)  # fmt: skip
def test_a_table_that_is_none_yet_is_told_how_it_may_become_one(names, told):
    text = written(names, [[TIMES[0], *range(len(names) - 1)]])
    for read in (
        lambda: read_table(io.StringIO(text), format="csv", layout=tidy_or_by_arms(["m"], ARMS)),
        lambda: cj.judge(pd.read_csv(io.StringIO(",".join(map(quoted, names)) + "\n")), policy()),
    ):
        with pytest.raises(cj.DataError, match="no column 'metric'") as caught:
            read()
        assert told in str(caught.value)


def formatted(values):
    """As Grafana shows milliseconds, a thousand of which are a second."""
    return [f"{value * 10:.0f} ms" if value < 100 else f"{value / 100:.4f} s" for value in values]


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table, lambda columns: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]])  # fmt: skip
@pytest.mark.parametrize("unit", ["ms", "s", None])
def test_cells_with_units_are_numbers_of_the_metrics_unit(library, unit):
    shown = formatted(OLD), formatted(NEW)
    assert {text.split()[1] for text in shown[0]} == {"ms", "s"}
    asked = cj.Policy(
        metrics=[cj.Metric(name="latency", direction="increase", **({"unit": unit} if unit else {}))]
    )
    judged = cj.judge(library({"Time": TIMES, "baseline": shown[0], "canary": shown[1]}), asked)
    each = {
        "ms": lambda text: float(text.split()[0]) * (1000 if text.endswith(" s") else 1),
        "s": lambda text: float(text.split()[0]) * (1 if text.endswith(" s") else 0.001),
    }
    as_first = each[unit or shown[0][0].split()[1]]
    wanted = cj.judge(tidied(latency=tuple([as_first(text) for text in arm] for arm in shown)), asked)
    assert judged.reason == wanted.reason


def test_a_download_from_grafana_is_read_as_it_is(tmp_path, capsys):
    policy_file, data = tmp_path / "policy.yaml", tmp_path / "panel-data-as-joinbyfield.csv"
    shown = formatted(OLD), formatted(NEW), ["0.4%"] * N, [""] + ["0.4%"] * (N - 1)
    names = [
        "Time",
        *(f'{name}{{job="shop", version="{arm}"}}' for name in ("p99", "errors") for arm in ("1.4", "1.5")),
    ]
    lines = [",".join(map(quoted, names)), *map(",".join, zip(TIMES, *shown, strict=True))]
    arms = ["--baseline", "1.4", "--canary", "1.5"]
    outputs = set()
    for content in (
        "\r\n".join(lines).encode(),
        (
            "\ufeff"
            + "\r\n".join(
                line if line.startswith('"Time') else line.replace(",", "\t")
                for line in [lines[0].replace('","', '"\t"'), *lines[1:]]
            )
        ).encode("utf-16-le"),
    ):
        policy_file.unlink(missing_ok=True)
        data.write_bytes(content)
        assert main(["init", "--data", str(data), *arms, "--output", str(policy_file)]) == 0
        written_policy = policy_file.read_text(encoding="utf-8")
        assert "unit: '%'" in written_policy
        assert main(["judge", "--policy", str(policy_file), "--data", str(data), *arms]) == 0
        outputs.add(written_policy + capsys.readouterr().out)
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["1 ms"] * (N - 1) + ["soon"], "line 41: latency baseline is the text 'soon'"),
        (["1 ms"] * (N - 1) + ["3 MiB"], "where a number belongs|cannot be read as a number|'1 ms'"),
        (["1 ms"] * (N - 1) + ["3"], "'1 ms'"),
        (["12 apples"] * N, "line 2: .*'12 apples'.*without the unit 'apples'"),
    ],
)
def test_units_that_are_none_or_not_alike_are_told(cells, told):
    text = written(("Time", "latency baseline", "latency canary"), zip(TIMES, cells, NEW, strict=True))
    with pytest.raises(cj.DataError, match=told):
        cj.judge(
            read_table(io.StringIO(text), format="csv", layout=tidy_or_by_arms(["latency"], ARMS)), policy()
        )


def test_the_commands_read_them(tmp_path, capsys):
    (tmp_path / "policy.yaml").write_text(
        "max_points: 40\nmetrics: [{name: latency, direction: increase, tolerance: 20%}]", encoding="utf-8"
    )
    data = tmp_path / "grafana.csv"
    data.write_text(written(), encoding="utf-8")
    given = ["--policy", str(tmp_path / "policy.yaml"), "--data", str(data)]
    assert main(["judge", *given]) == 0
    assert main(["doctor", *given]) == 0
    assert main(["monitor", *given, "--state", str(tmp_path / "state.json")]) in (0, 3)
    capsys.readouterr()
    data.write_text(written(("Time", "v1", "v2")), encoding="utf-8")
    arms = ["--baseline", "v1", "--canary", "v2"]
    assert main(["judge", *given, *arms, "--format", "json", "--output", str(tmp_path / "verdict.json")]) == 0
    assert main(["verify", "--verdict", str(tmp_path / "verdict.json"), *given]) == 0
    assert main(["judge", *given]) == 2
    assert "name the arms: --baseline v1 --canary v2." in capsys.readouterr().err


def test_the_doctor_and_a_watch_take_them():
    table = pd.DataFrame({"time": TIMES, "baseline": OLD, "canary": NEW})
    assert "no_metric" not in {each.code for each in doctor(policy(), table).symptoms}
    monitor = cj.Monitor(cj.Policy(max_points=N, metrics=policy().metrics))
    monitor.update(table.iloc[:20])
    monitor.update(table.iloc[20:])
    assert monitor.verdict().metrics["latency"].n_canary == N


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_cells_with_units_are_read_in_a_column_a_metric_too(library):
    columns = {"Time": TIMES * 2, "version": ["baseline"] * N + ["canary"] * N}
    shown = cj.from_wide(
        library(columns | {"p99": formatted(OLD + NEW)}), arm="version", metrics={"latency": "p99"}
    )
    plain = [float(text.split()[0]) * (1000 if text.endswith(" s") else 1) for text in formatted(OLD + NEW)]
    wanted = cj.from_wide(library(columns | {"p99": plain}), arm="version", metrics={"latency": "p99"})
    asked = cj.Policy(metrics=[cj.Metric(name="latency", unit="ms", direction="increase")])
    assert cj.judge(shown, asked).reason == cj.judge(wanted, asked).reason


def test_a_table_panel_is_judged_as_it_was_downloaded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [
        (at, arm, text, "0.3%")
        for arm, values in zip(ARMS, (OLD, NEW), strict=True)
        for at, text in zip(TIMES, formatted(values), strict=True)
    ]
    (tmp_path / "table.csv").write_text(written(("Time", "version", "p99", "errors"), rows), encoding="utf-8")
    given = ["--data", "table.csv", "--wide", "version"]
    assert main(["init", *given, "--output", "policy.yaml"]) == 0
    assert {metric.name: metric.unit for metric in cj.load_policy("policy.yaml").metrics} == {
        "p99": formatted(OLD)[0].split()[1],
        "errors": "%",
    }
    assert main(["judge", "--policy", "policy.yaml", *given]) == 0
    (tmp_path / "table.csv").write_text(
        written(("Time", "version", "p99", "errors"), [*rows, (TIMES[0], "canary", "soon", "1%")]),
        encoding="utf-8",
    )
    capsys.readouterr()
    assert main(["judge", "--policy", "policy.yaml", *given]) == 2
    assert f"line {2 * N + 2}: p99 is the text 'soon' where a number belongs" in capsys.readouterr().err

"""Parquet files of many releases: parts with whole releases, in bounded memory, and one sentence where the rows stand apart."""

import builtins
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.data import read_releases
from canaryjudge.errors import DataError, MissingExtraError
from canaryjudge.integrations.files import scan
from canaryjudge.policy import Metric, Policy
from tests.cohorts import gauges
from tests.tidy_worlds import told

POLICY = Policy(metrics=[Metric(name="cpu", direction="increase")])


def fleet(sizes):
    """Give a table of releases of so many points an arm."""
    rng = np.random.default_rng(1)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "service": f"s{index}",
                    "metric": "cpu",
                    "arm": np.repeat(["baseline", "canary"], size),
                    "time": np.tile(1.7e9 + 60 * np.arange(size), 2),
                    "value": rng.normal(9, 1, 2 * size),
                    "pod": "a",
                }
            )
            for index, size in enumerate(sizes)
        ],
        ignore_index=True,
    )


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 60), st.sampled_from([7, 50, 10_000])
)
def test_parts_have_whole_releases_and_all_rows(tmp_path_factory, sizes, rows, group):
    path = tmp_path_factory.mktemp("fleet") / "fleet.parquet"
    frame = fleet(sizes)
    frame.to_parquet(path, row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_ROWS", rows)
        parts = list(cj.scan_parquet(path, by="service"))
    assert [part.column_names for part in parts] == [["service", "metric", "arm", "time", "value"]] * len(
        parts
    )
    whole = pd.concat([part.to_pandas() for part in parts], ignore_index=True)
    assert whole["value"].tolist() == frame["value"].tolist()
    assert whole["service"].tolist() == frame["service"].tolist()
    seen = [set(part["service"].to_pylist()) for part in parts]
    assert sum(map(len, seen)) == len(sizes)
    assert max(part.num_rows for part in parts) <= rows + 2 * max(sizes)
    read = list(read_releases(parts, POLICY, by="service"))
    once = list(read_releases(frame, POLICY, by="service"))
    assert [(key, told(pairs)) for key, pairs in read] == [(key, told(pairs)) for key, pairs in once]


def test_releases_may_be_told_apart_by_several_columns_and_by_numbers(tmp_path, monkeypatch):
    frame = pd.concat([fleet([3, 4]).assign(run=run) for run in (1, 2)], ignore_index=True)
    frame.sort_values(["run", "service"]).to_parquet(tmp_path / "fleet.parquet")
    monkeypatch.setattr(scan, "_ROWS", 5)
    parts = cj.scan_parquet(tmp_path / "fleet.parquet", by=["service", "run"])
    keys = [key for key, _ in read_releases(parts, POLICY, by=["service", "run"])]
    assert keys == [("s0", "1"), ("s1", "1"), ("s0", "2"), ("s1", "2")]


@pytest.mark.parametrize("rows", [4, 10, 1000])
def test_rows_that_stand_apart_are_one_sentence_that_sorts_the_file(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(scan, "_ROWS", rows)
    monkeypatch.chdir(tmp_path)
    fleet([4, 4, 4]).sort_values("time", kind="stable").to_parquet("fleet.parquet")
    with pytest.raises(DataError) as error:
        list(cj.scan_parquet("fleet.parquet", by="service"))
    assert error.value.message == "fleet.parquet: the rows of the release 's0' do not stand side by side"
    assert error.value.hint.startswith("Sort the file: pq.write_table(")
    exec(re.search(r"pq\.write_table\(.*\)(?=, with)", error.value.hint)[0], {"pq": pq})  # noqa: S102 - the advice is followed
    assert sum(part.num_rows for part in cj.scan_parquet("sorted-fleet.parquet", by="service")) == 24
    fleet([4, 4]).assign(zone="a").sort_values("time", kind="stable").to_parquet("fleet.parquet")
    with pytest.raises(
        DataError, match=r"sort_by\(\[\('service', 'ascending'\), \('zone', 'ascending'\)\]\)"
    ):
        list(cj.scan_parquet("fleet.parquet", by=["service", "zone"]))


@pytest.mark.parametrize("columns", [["region"], ["region", "device"]])
def test_columns_of_segments_are_kept_and_judged_as_those_of_the_table_at_once(
    tmp_path, monkeypatch, columns
):
    rng = np.random.default_rng(4)
    changes = {
        (region, device): 0.6 * (region == "eu") for region in ("eu", "us") for device in ("tv", "web")
    }
    frame = pd.concat(
        [
            gauges(rng, changes).assign(service=service, metric="cpu", pod="a")
            for service in ("cart", "search")
        ],
        ignore_index=True,
    )
    path = tmp_path / "fleet.parquet"
    frame.to_parquet(path, row_group_size=100)
    monkeypatch.setattr(scan, "_ROWS", 50)
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")], segments={"by": columns})
    read = cj.judge_many(cj.scan_parquet(path, by="service", segments=columns), policy, by="service")
    once = cj.judge_many(frame, policy, by="service")
    for service in ("cart", "search"):
        assert read[service].to_json() == once[service].to_json()
        assert read[service].segments.metrics["cpu"].culprits
    (first, *_) = cj.scan_parquet(path, by="service", segments=columns[0])
    assert first.column_names == ["service", "region", "metric", "arm", "time", "value"]
    with pytest.raises(DataError, match=r"there is no column 'regon'\. Did you mean 'region'\?"):
        cj.scan_parquet(path, by="service", segments=["regon"])


def test_a_table_with_a_column_an_arm_keeps_its_columns(tmp_path):
    path = tmp_path / "fleet.parquet"
    pd.DataFrame({"service": ["a", "a"], "time": [0, 60], "old": [1.0, 2.0], "new": [1.5, 2.5]}).to_parquet(
        path
    )
    ((key, pairs),) = read_releases(
        cj.scan_parquet(path, by="service"), POLICY, by="service", baseline="old", canary="new"
    )
    assert key == "a"
    assert pairs["cpu"].canary.value.tolist() == [1.5, 2.5]


def test_what_cannot_be_read_is_one_error(tmp_path):
    path = tmp_path / "fleet.parquet"
    fleet([3]).to_parquet(path)
    with pytest.raises(DataError, match=r"there is no column 'sevice'\. Did you mean 'service'\?"):
        cj.scan_parquet(path, by="sevice")
    with pytest.raises(DataError, match="by names no column"):
        cj.scan_parquet(path, by=[])
    with pytest.raises(DataError, match="there is no such file"):
        cj.scan_parquet(tmp_path / "none.parquet", by="service")
    with pytest.raises(DataError, match="this is a directory"):
        cj.scan_parquet(tmp_path, by="service")
    (tmp_path / "rubbish.parquet").write_bytes(b"rubbish" * 10)
    with pytest.raises(DataError, match=r"rubbish.parquet: this is not a Parquet file"):
        cj.scan_parquet(tmp_path / "rubbish.parquet", by="service")
    fleet([3, 3]).assign(service=["a"] * 7 + [None] * 5).to_parquet(path)
    with pytest.raises(DataError, match="row 8: there is no service"):
        list(cj.scan_parquet(path, by="service"))


def test_an_empty_file_has_no_parts(tmp_path):
    fleet([3]).iloc[:0].to_parquet(tmp_path / "fleet.parquet")
    assert list(cj.scan_parquet(tmp_path / "fleet.parquet", by="service")) == []


def test_without_pyarrow_the_extra_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"canaryjudge\[parquet\]"):
        cj.scan_parquet(tmp_path / "fleet.parquet", by="service")

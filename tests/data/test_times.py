"""Times in every spelling become seconds since 1970; what cannot be compared is an error."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import canaryjudge as cj
from canaryjudge.data import read_pairs
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy

POLICY = Policy(metrics=[Metric(name="m", direction="increase")])
SECONDS = [1714564800.0, 1714564860.5]
MOMENTS = [datetime(2024, 5, 1, 12, 0, tzinfo=UTC), datetime(2024, 5, 1, 12, 1, 0, 500_000, tzinfo=UTC)]
NAIVE = [moment.replace(tzinfo=None) for moment in MOMENTS]
TEXT = ["2024-05-01T12:00:00Z", "2024-05-01 12:01:00.500+00:00"]


def read(canary_times, baseline_times=None, policy=POLICY):
    def arm(times):
        return {"value": [1.0] * len(times), "time": times}

    baseline = canary_times if baseline_times is None else baseline_times
    return read_pairs({"m": {"baseline": arm(baseline), "canary": arm(canary_times)}}, policy)["m"]


@pytest.mark.parametrize(
    "times",
    [
        SECONDS,
        np.array(SECONDS),
        MOMENTS,
        NAIVE,
        TEXT,
        ["2024-05-01T14:00:00+02:00", "2024-05-01T14:01:00.5+0200"],
        ["20240501T120000Z", "20240501T120100.5Z"],
        ["2024-05-01T12:00:00", "2024-05-01T12:01:00.500"],
        np.array(TEXT),
        np.array(TEXT, dtype=object),
        np.array(NAIVE, dtype="datetime64[ms]"),
        list(np.array(NAIVE, dtype="datetime64[ns]")),
        [moment.astimezone(timezone(timedelta(hours=-5))) for moment in MOMENTS],
        [moment.astimezone(ZoneInfo("Europe/Berlin")) for moment in MOMENTS],
        [pd.Timestamp(moment) for moment in MOMENTS],
        pd.Series(MOMENTS),
        pd.Series(NAIVE),
        pd.Series(TEXT),
        pd.Series(TEXT, dtype="category"),
        pd.Series(MOMENTS).dt.tz_convert("Asia/Tokyo"),
        pd.Series(MOMENTS, dtype=object),
        pd.DatetimeIndex(MOMENTS),
        pl.Series(MOMENTS),
        pl.Series(NAIVE),
        pl.Series(TEXT),
        pa.chunked_array([MOMENTS]),
        pa.chunked_array([TEXT]),
        pa.array(SECONDS),
    ],
)
def test_every_spelling_gives_the_same_seconds(times):
    pair = read(times)
    assert pair.canary.time.tolist() == SECONDS
    assert not [note for note in pair.notes if note.code == "time_unit"]


def test_dates_are_their_midnights():
    for dates in (
        [date(2024, 5, 1)],
        ["2024-05-01"],
        pl.Series([date(2024, 5, 1)]),
        [np.datetime64("2024-05-01")],
    ):
        assert read(dates).canary.time.tolist() == [1714521600.0]


@pytest.mark.parametrize(
    ("per_second", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")]
)
def test_large_numbers_are_read_in_smaller_units_with_a_note(per_second, unit):
    pair = read([int(second * per_second) for second in SECONDS])
    assert pair.canary.time.tolist() == SECONDS
    found = [note for note in pair.notes if note.code == "time_unit"]
    assert [(note.arm, note.count, note.facts) for note in found] == [
        ("baseline", 2, {"unit": unit}),
        ("canary", 2, {"unit": unit}),
    ]


@pytest.mark.parametrize(
    "missing",
    [
        [TEXT[0], None],
        [TEXT[0], ""],
        [TEXT[0], float("nan")],
        [MOMENTS[0], None],
        [MOMENTS[0], pd.NaT],
        [SECONDS[0], float("inf")],
        pd.Series([MOMENTS[0], None]),
        pl.Series([MOMENTS[0], None]),
        np.array(["2024-05-01T12:00:00", "NaT"], dtype="datetime64[s]"),
    ],
)
def test_a_time_may_be_missing(missing):
    pair = read(missing)
    assert pair.canary.time.tolist() == SECONDS[:1]
    assert [note.count for note in pair.notes if note.code == "missing_times"] == [1, 1]


def error(*arguments, **settings):
    with pytest.raises(DataError) as caught:
        read(*arguments, **settings)
    return str(caught.value)


@pytest.mark.parametrize("text", ["01.05.2024 12:00", "1.5.2024, 12:00:00", " 01.05.2024 12:00:00.000 "])
@pytest.mark.parametrize("make", [list, np.array, pd.Series, pl.Series])
def test_days_come_first_where_dots_part_them(text, make):
    assert read(make([text, "2024-05-01 12:01:00.500"])).canary.time.tolist() == SECONDS
    day = read(make(["01.05.2024", "02.05.2024"])).canary.time
    assert day.tolist() == [SECONDS[0] - 43200, SECONDS[0] + 43200]


@pytest.mark.parametrize(
    "bad",
    ["yesterday", "now", "today", "12:30", "2024-13-01T00:00:00Z", "NaT", "01/05/2024", "31.02.2024", "1.5.24", "01.05.2024 12:00Z"],
)  # fmt: skip
@pytest.mark.parametrize("make", [list, np.array, pd.Series, pl.Series])
def test_text_that_is_no_time_is_named_with_its_place(bad, make):
    message = error(make([TEXT[0], bad]), TEXT)
    assert f"metric 'm', arm 'canary', index 1: '{bad}' cannot be read as a time" in message
    assert "Write times like 2024-05-01T12:00:00Z" in message


@pytest.mark.parametrize(
    ("bad", "index"),
    [
        ([SECONDS[0], "2024-05-01"], 1),
        ([1j], 0),
        ([{}], 0),
        ([1e15, 1e15, 1e300], 2),
        ([None, timedelta(1)], 1),
        (pl.Series([timedelta(1)]), 0),
    ],
)
def test_what_is_no_time_is_named_with_its_place(bad, index):
    message = error(bad, TEXT)
    assert f"metric 'm', arm 'canary', index {index}: " in message
    assert "cannot be read as a time" in message


def test_a_bad_time_in_a_table_is_named_by_its_row():
    rows = [
        {"metric": "m", "arm": arm, "value": 1.0, "time": time}
        for arm, time in (("baseline", TEXT[0]), ("canary", "soon"))
    ]
    with pytest.raises(DataError, match="arm 'canary', row 2: 'soon' cannot be read"):
        read_pairs(rows, POLICY)


@pytest.mark.parametrize(
    ("times", "zones"),
    [
        ([TEXT[0], "2024-05-01T12:01:00"], "UTC and no time zone"),
        (
            [TEXT[0], TEXT[0], "2024-05-01T12:01:00", "2024-05-01T12:01:00+01:00"],
            r"\+01:00 and UTC and no time zone",
        ),
        ([MOMENTS[0], NAIVE[1]], "UTC and no time zone"),
    ],
)
def test_time_zones_mixed_within_an_arm_are_an_error_with_its_row(times, zones):
    with pytest.raises(
        DataError,
        match=rf"arm 'baseline', index {len(times) // 2}: the times mix {zones}. Convert all times to UTC",
    ):
        read(times)


@pytest.mark.parametrize(
    ("canary", "baseline"),
    [
        (MOMENTS, NAIVE),
        (TEXT, ["2024-05-01T12:00:00"]),
        (pd.Series(MOMENTS), pd.Series(NAIVE)),
    ],
)
def test_time_zones_that_differ_between_the_arms_are_an_error(canary, baseline):
    message = error(canary, baseline)
    assert "metric 'm'" in message
    assert "arm 'canary' has UTC" in message
    assert "Convert all times to UTC" in message


@pytest.mark.parametrize(
    "baseline",
    [
        ["2024-05-01T14:00:00+02:00", "2024-05-01T12:01:00.5Z"],
        ["2024-05-01T12:00:00Z", "2024-05-01T06:01:00.5-0600"],
        pd.Series(MOMENTS).dt.tz_convert("Asia/Tokyo"),
        [MOMENTS[0], MOMENTS[1].astimezone(timezone(timedelta(hours=-3)))],
    ],
)
def test_instants_may_be_written_with_any_offsets(baseline):
    pair = read(TEXT, baseline)
    assert pair.baseline.time.tolist() == pair.canary.time.tolist() == SECONDS[:2]


def test_a_change_of_the_clocks_within_one_zone_is_no_mixture():
    berlin = pd.date_range("2024-03-30", periods=3, freq="D", tz="Europe/Berlin")
    assert len(read(pd.Series(berlin)).canary) == 3
    assert len(read([moment.to_pydatetime() for moment in berlin]).canary) == 3


def test_many_texts_are_read_across_chunks_and_the_right_row_is_named():
    texts = np.array(["2024-05-01T12:00:00Z"] * 250_001, dtype=object)
    texts[250_000] = "soon"
    with pytest.raises(DataError, match="index 250000: 'soon'"):
        read(texts)
    texts[250_000] = "2024-05-01T12:00:00"
    with pytest.raises(DataError, match="index 250000: the times mix"):
        read(texts)


@pytest.mark.parametrize(
    "make", [list, np.array, pd.Series, pl.Series, lambda texts: np.array(texts, dtype=object)]
)
def test_seconds_that_are_written_as_text_are_seconds(make):
    assert read(make([f"{SECONDS[0]:.1f}", str(SECONDS[1])])).canary.time.tolist() == SECONDS
    milliseconds = read(make([f"{1000 * second:.0f}" for second in SECONDS]))
    assert milliseconds.canary.time.tolist() == SECONDS
    assert [note.code for note in milliseconds.notes][:2] == ["time_unit"] * 2
    spaced = read(make([f" {SECONDS[0]} ", "", f"{SECONDS[1]}"]), make([str(second) for second in SECONDS]))
    assert spaced.canary.time.tolist() == SECONDS


@pytest.mark.parametrize(
    "dates", [[20240501, 20240502], [20240501120000, 20240501120100], ["20240501", "20240502"]]
)
def test_dates_without_what_parts_them_are_refused_in_every_form(dates):
    for times in (dates, pd.Series(dates), pl.Series(dates)):
        assert f"index 0: {dates[0]} may be a date or seconds since 1970. Write times like 2024" in error(
            times
        )
    rows = [
        {"metric": "m", "arm": arm, "value": 1, "time": time}
        for arm in ("baseline", "canary")
        for time in dates
    ]
    for table in (rows, pd.DataFrame(rows), pl.DataFrame(rows)):
        with pytest.raises(DataError, match="may be a date or seconds since 1970"):
            read_pairs(table, POLICY)


@pytest.mark.parametrize(
    "times", [[20240501, 20240599], [0, 60], [19691231, 19691232], [1_767_225_600, 1_767_225_660]]
)
def test_other_numbers_are_seconds(times):
    assert read(times).canary.time.tolist() == times


def test_numbers_among_texts_are_refused_in_a_sentence_wherever_they_stand():
    texts = ["2026-01-01T00:00:00Z"] * 300
    frame = pd.DataFrame({"metric": "m", "arm": ["baseline", "canary"] * 150, "value": 1.0})
    frame["time"] = pd.Series([*texts[:-1], 1772445540.0], dtype=object)
    policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase")])
    with pytest.raises(cj.DataError, match="1772445540"):
        cj.judge(frame, policy)

"""Logs of a flag joined to events: against going through them user by user, and judged."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import canaryjudge as cj
from canaryjudge.patterns import exposed, percentile_by_user

DAY = 86_400


def logs(seed=1, users=120):
    rng = np.random.default_rng(seed)
    shown, done = [], []
    for user in range(users):
        variant = "new" if user % 2 else "old"
        for _ in range(rng.integers(0, 4)):
            other = rng.random() < 0.03
            shown.append(
                {
                    "user": user,
                    "variant": "old" if other else variant,
                    "time": float(rng.integers(0, 10 * DAY)),
                }
            )
        for _ in range(rng.integers(0, 9)):
            metric = "orders" if rng.random() < 0.5 else "clicks"
            sessions = float(rng.integers(1, 5)) if metric == "clicks" else np.nan
            done.append(
                {
                    "user": user,
                    "metric": metric,
                    "value": float(rng.integers(1, 9)),
                    "total": sessions,
                    "time": float(rng.integers(-20 * DAY, 13 * DAY)),
                }
            )
    return shown, done


def one_by_one(shown, done, within, before):
    """What each user brought, in the order of the users."""
    end = max(row["time"] for row in (*shown, *done))
    found = {}
    for user in sorted({row["user"] for row in shown}):
        own = [row for row in shown if row["user"] == user]
        first = min(row["time"] for row in own)
        if len({row["variant"] for row in own}) > 1 or first + within > end:
            continue
        for metric in ("orders", "clicks"):
            sums = dict.fromkeys(("value", "total", "covariate", "covariate_total"), 0.0)
            for row in done:
                if row["user"] != user or row["metric"] != metric:
                    continue
                since = row["time"] - first
                names = (
                    ("value", "total")
                    if 0 <= since <= within
                    else ("covariate", "covariate_total")
                    if -before <= since < 0
                    else ()
                )
                for name, column in zip(names, ("value", "total"), strict=False):
                    sums[name] += row[column]
            rows = found.setdefault(metric, {}).setdefault(own[0]["variant"], [])
            rows.append(
                list(sums.values())[: 4 if metric == "clicks" else 3 : 1 if metric == "clicks" else 2]
            )
    return found


@pytest.mark.parametrize("table", [list, pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("names", [int, "u{}".format])
def test_users_are_summed_up_as_one_by_one(table, names):
    shown, done = logs()
    expected = one_by_one(shown, done, 5 * DAY, 10 * DAY)
    told = [[row | {"user": names(row["user"])} for row in rows] for rows in (shown, done)]
    found = exposed(table(told[0]), table(told[1]), within="5d", before="10d")
    for metric, arms in expected.items():
        for arm, rows in arms.items():
            columns = np.stack(list(found.data[metric][arm].values()), axis=1)
            assert sorted(map(tuple, columns.tolist())) == sorted(map(tuple, rows))
    assert sum(found.users.values()) == sum(len(rows) for rows in expected["orders"].values())
    assert found.several == len(
        [u for u in {r["user"] for r in shown} if len({r["variant"] for r in shown if r["user"] == u}) > 1]
    )
    assert found.unexposed == sum(row["user"] not in {each["user"] for each in shown} for row in done)
    assert found.unfinished > 0
    assert found.outside > 0


def test_who_did_nothing_counts_as_0_and_the_data_are_judged():
    rng = np.random.default_rng(1)
    count = 4000
    time = pd.Timestamp("2026-03-04", tz="UTC") + pd.to_timedelta(rng.integers(0, DAY, count), unit="s")
    shown = pd.DataFrame(
        {"user": np.arange(count), "variant": np.where(np.arange(count) % 2, "new", "old"), "time": time}
    )
    buys = rng.random(count) < np.where(shown["variant"] == "new", 0.05, 0.15)
    done = shown[buys].assign(
        metric="orders", value=1.0, time=lambda rows: rows["time"] + pd.Timedelta(minutes=5)
    )
    found = exposed(shown, done)
    assert found.users == {"old": 2000, "new": 2000}
    policy = cj.Policy(metrics=[cj.Metric(name="orders", kind="users", direction="decrease")])
    verdict = cj.judge(found.data, policy, baseline="old", canary="new")
    assert (verdict.outcome, verdict.metrics["orders"].n_canary) == ("fail", 2000)


SHOWN = [{"user": "a", "variant": "old", "time": 0}]
DONE = [{"user": "a", "metric": "orders", "value": 1, "time": 5}]


@pytest.mark.parametrize(
    ("shown", "done", "settings", "said"),
    [
        ([{"user": "a", "time": 0}], DONE, {}, "the table has no column 'variant'"),
        (
            SHOWN,
            [{"user": None, "metric": "orders", "value": 1, "time": 5}],
            {},
            "events, row 1: there is no user",
        ),
        ([SHOWN[0] | {"time": None}], DONE, {}, "exposure log, row 1: there is no time"),
        (SHOWN, DONE, {"within": "7"}, "Write a number and a unit of time, such as 7d"),
        ([], DONE, {}, "exposure log: there are no rows"),
        (3, DONE, {}, "exposure log: 3 is no table"),
    ],
)
def test_logs_that_cannot_be_meant(shown, done, settings, said):
    with pytest.raises(cj.DataError, match=said):
        exposed(shown, done, **settings)


def test_percentiles_are_those_of_all_requests_and_told_in_their_unit():
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(600), rng.integers(1, 40, 600))
    arms = np.where(user % 2, "canary", "baseline")
    value = rng.gamma(2, 50, 600)[user] * rng.gamma(5, 0.2, len(user)) * np.where(user % 2, 1.6, 1.0)
    rows = pd.DataFrame({"metric": "latency", "arm": arms, "user": user, "value": value})
    parts = percentile_by_user(rows.sample(frac=1, random_state=1), "p90")
    policy = cj.Policy(metrics=[cj.Metric(name="latency", kind="users", unit="ms", direction="increase")])
    finding = cj.judge(parts, policy).metrics["latency"].findings[0]
    assert finding.outcome == "fail"
    assert finding.baseline_level == pytest.approx(
        rows[rows["arm"] == "baseline"]["value"].quantile(0.9), rel=0.01
    )
    for of in ("95", "p100", "p0", "median"):
        with pytest.raises(cj.DataError, match="is no percentile"):
            percentile_by_user(rows, of)
    with pytest.raises(cj.DataError, match="requests, row 3: there is no user"):
        percentile_by_user(
            rows.astype({"user": object}).assign(user=lambda own: own["user"].where(own.index != 2)), "p90"
        )

# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Calibrate on your own history
#
# "Your judge has rolled back two releases this month, and both were fine." The team of a booking service has ten days of metrics in which nothing was wrong. What
# would their policy have said about those ten days? And what should it say?

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import canaryjudge as cj

rng = np.random.default_rng(62)
STEP, DAYS, HOUR = 120, 10, 30  # seconds a point, days, points an hour
points = DAYS * 86400 // STEP
time = 1_770_000_000 + STEP * np.arange(points)


def wander(memory):
    """Make up a series of unit variance that remembers a part of the point before."""
    series = rng.normal(size=points)
    for t in range(1, points):
        series[t] = memory * series[t - 1] + np.sqrt(1 - memory**2) * series[t]
    return series


day = np.sin(2 * np.pi * time / 86400)
hourly = np.repeat(
    rng.normal(size=points // HOUR), HOUR
)  # batch jobs, neighbors, caches: every hour is a little different
requests = rng.poisson(6000 * (1 + 0.4 * day))
history = pd.concat(
    pd.DataFrame({"metric": name, "time": time, "value": value, "total": total})
    for name, value, total in (
        ("latency_p99", 180 * (1 + 0.05 * hourly + 0.02 * wander(0.5)), np.nan),
        ("cpu", 42 + 9 * day + 1.5 * wander(0.4), np.nan),
        ("errors", rng.binomial(requests, 0.0015), requests),
    )
)
history.groupby("metric")["value"].describe().round(2)

# %% [markdown]
# ## What the policy says of healthy hours
#
# Take neighboring hours, call the first the baseline and the second the canary. Nothing has changed, so what fails is a false alarm.

# %%
policy = cj.Policy(
    max_duration="1h",
    metrics=[
        cj.Metric(name="latency_p99", unit="ms", direction="increase", tolerance="5%"),
        cj.Metric(
            name="errors",
            kind="ratio",
            direction="increase",
            tolerance={"relative": "50%", "absolute": "0.02%"},
        ),
        cj.Metric(name="cpu", unit="%", direction="increase", tolerance="10%", role="advisory"),
    ],
)
by_hour = [
    dict(list(hour.groupby("metric"))) for _, hour in history.groupby((history["time"] - time[0]) // 3600)
]


def judge_hours(judged_by, hours):
    """Judge each hour as the canary of the hour before; count the outcomes."""
    outcomes = []
    for before, after in pairwise(hours):
        arms = {
            name: {
                arm: hour[name][["value", "total"]].dropna(axis=1)
                for arm, hour in (("baseline", before), ("canary", after))
            }
            for name in before
        }
        data = {
            name: {arm: frame.to_dict("list") for arm, frame in pair.items()} for name, pair in arms.items()
        }
        outcomes.append(cj.judge(data, judged_by).outcome.value)
    return {outcome: outcomes.count(outcome) for outcome in ("fail", "marginal", "pass")}


last_days = by_hour[7 * 24 :]
print(judge_hours(policy, last_days))

# %% [markdown]
# Of 71 healthy hours some fail, where alpha says less than one. The picture shows why: the hours themselves differ, by more than the scatter of their
# points explains. No number of points within an hour tells that; only other hours do.

# %%
levels = history[history["metric"] == "latency_p99"]["value"].to_numpy().reshape(-1, HOUR)
medians = np.median(levels, axis=1)
changes = medians[1:] / medians[:-1] - 1
within = np.median(np.std(levels, axis=1)) / np.median(medians)
worth = HOUR * (1 - 0.5) / (1 + 0.5)  # each point remembers half of the last
scatter = within * np.sqrt(2 * np.pi / 2 / worth)  # of the difference of two medians

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.axvspan(-2 * scatter, 2 * scatter, color="#f0c9a0", label="what the points of an hour explain (2 sd)")
ax.hist(changes, bins=30, color="#5b84b1", label="neighboring healthy hours")
ax.axvline(0.05, color="black", linewidth=1.5, label="tolerated")
ax.set(xlabel="change of the median from one hour to the next", ylabel="pairs", ylim=(0, 36))
ax.xaxis.set_major_formatter("{x:.0%}")
legend = ax.legend(frameon=False)

# %% [markdown]
# ## Calibrate
#
# `calibrate` cuts the first week into such pairs, judges them, and measures the *noise floor*: how much healthy windows differ anyway. Its proposals put that into the
# policy, and every interval grows by it. The last three days are left out, to try the result on hours that it has not seen.

# %%
week = history[history["time"] < time[0] + 7 * 86400]
found = cj.calibrate(week, policy, pairs=80, progress=False)
print(found.explain())

# %% [markdown]
# The errors are proposed to be muted: at this traffic an hour would find nothing below a doubling, and a gate that finds nothing only takes its part of alpha. That is for the
# team to decide; a wider canary would be the better answer ([notebook 07](07_planning_a_canary.py)).
#
# ## Does it hold on hours that it has not seen?

# %%
proposed = found.apply(policy)
before, after = judge_hours(policy, last_days), judge_hours(proposed, last_days)
print("before", before)
print("after ", after)
assert after["fail"] < before["fail"]

# %% [markdown]
# The false alarms are gone. Many of them are marginal now, which is the honest word: an hour that is 7 % slower than the hour before proves nothing, in a service whose
# hours differ by that much anyway.
#
# ## The price
#
# Wider intervals find less. What would 80 % of the pairs fail with?

# %%
for name, metric in found.metrics.items():
    smallest = {fault.fault: fault.size for fault in metric.faults}
    print(name, {fault: None if size is None else f"{size:.0%}" for fault, size in smallest.items()})

# %% [markdown]
# If that is more than you can live with, it is not the policy that is wrong: before-and-after comparisons of single hours cannot carry the question. Run both arms *at the
# same time*, so that both feel the same hour. The floor is then that between replicas, which is far smaller.

# %%
worst = int(np.argmax(changes[:-1]))
hour = levels[worst + 1]  # both arms live in the hour that failed above
together = {"latency_p99": {"baseline": hour, "canary": hour * (1 + 0.01 * rng.normal(size=HOUR))}}
print(cj.judge(together, cj.Policy(metrics=policy.metrics[:1])).reason)

# %% [markdown]
# ## Your turn
#
# 1. Export ten quiet days of your own service as CSV (`metric`, `time`, `value`, `total`), and run `canaryjudge calibrate --policy P --history H.csv`.
# 2. Which of your metrics would never have found anything? Why are they in the policy?
# 3. Set `max_duration` to `3h`. What becomes of the floor, and of what is found? ([Calibrating a policy](../docs/calibrate.md))

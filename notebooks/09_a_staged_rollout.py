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
# # A staged rollout
#
# A shop gives its new version 1 % of the traffic, then 10 %, then half. At each step somebody must say: go on, wait, or back. Three verdicts would be
# three chances to be wrong; a `Rollout` keeps the two error rates of its policy over all of them together. This notebook plays three releases through
# the same stages: a good one, one that is slow only once it has half of the traffic, and one that leaks.

# %%
from pathlib import Path

import numpy as np
import pandas as pd

import canaryjudge as cj

here = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "docs/examples").exists())
example = here / "docs/examples/stages"
print((example / "policy.yaml").read_text())

# %% [markdown]
# Each file of the example has what a pipeline would fetch at one share of the traffic, a point a minute. The loop asks the rollout for the share, gives it
# the minute that came of that share, and stops at the end.

# %%
policy = cj.load_policy(example / "policy.yaml")
START = 1_772_442_000  # 2026-03-02 09:00 UTC


def play(**files):
    """Take a release through its stages; give the verdict of each minute."""
    recorded = {share: pd.read_csv(example / f"{name}.csv") for share, name in files.items()}
    rollout, verdicts = cj.Rollout(policy), []
    for minute in range(90):
        points = recorded[f"at_{100 * rollout.verdict().share:g}"]
        rollout.update(points[points["time"] == START + 60 * minute])
        verdicts.append(rollout.verdict())
        if verdicts[-1].action != "hold":
            print(
                f"minute {minute + 1:2}: {verdicts[-1].action}, {100 * verdicts[-1].share:g} % of the traffic"
            )
        if verdicts[-1].action in ("complete", "rollback"):
            break
    return verdicts


good = play(at_1="good-1", at_10="good-10", at_50="good-50")
assert good[-1].action == "complete"

# %% [markdown]
# ## What it says, and what it looks like
#
# The last value of a cell shows itself: what to do, the timeline, and how each stage went.

# %%
good[-1]

# %% [markdown]
# On top the canary's share: a step a stage, and a mark where something was decided. Below it the effect on each metric that can hold the rollout. The
# dots are blocks of minutes; the line with its band is what *the stage's own data* said at each look, with the interval that proves a pass. A stage is left
# when the band's upper end is below the dashed line, which is what it must exclude: at 1 % of the traffic that errors double, at half of it what the
# release's own pass excludes.
#
# `plot` draws the same with matplotlib, for a report of your own.

# %%
ax = good[-1].plot()

# %% [markdown]
# ## A fault that begins late
#
# This one is fine at 1 and at 10 %. At half of the traffic its latency is 40 % higher: a pool of connections that is too small, say. What went well before
# must not hide it, so each stage is judged by its own data.

# %%
late = play(at_1="good-1", at_10="good-10", at_50="late-50")
print(late[-1].reason)
assert late[-1].action == "rollback"

# %%
ax = late[-1].plot("latency_p99")

# %% [markdown]
# ## A leak, and a warm-up
#
# Memory that grows by a thousandth a minute is within the tolerated 10 % for an hour and a half. No stage fails it, and it would go to everybody. The trend of the
# effect over the stages tells what the level cannot: that it *grows*, and when it will cross what is tolerated.

# %%
stages = [cj.Stage(canary=share, min_duration="30m", max_duration="40m") for share in ("5%", "25%", "50%")]
memory = cj.Policy(
    metrics=[cj.Metric(name="memory", unit="MiB", direction="increase", tolerance="10%")], stages=stages
)


def watch(times_as_much, minutes, seed=1):
    """Watch a canary that takes so many times the baseline's memory, minute by minute."""
    rng, rollout = np.random.default_rng(seed), cj.Rollout(memory)
    for minute in range(minutes):
        levels = 500 * np.exp(rng.normal(0, 0.01, 2)) * [1, times_as_much(minute)]
        rollout.update(
            {
                "memory": {
                    arm: {"time": [START + 60 * minute], "value": [float(level)]}
                    for arm, level in zip(("baseline", "canary"), levels, strict=True)
                }
            }
        )
    return rollout.verdict()


leaking = watch(lambda minute: 1 + 0.001 * minute, 60)
print(leaking.explain().split("\n\n")[2])
ax = leaking.plot("memory")
assert leaking.timeline.metrics["memory"].trend.warns

# %% [markdown]
# The rollout goes on: a trend decides nothing, since a canary may level off, and the promised error rates are about what was seen. But whoever reads the
# warning looks at the heap now and not tonight.
#
# A cold cache is the opposite. The canary begins 40 % higher, and the effect fades.

# %%
warming = watch(lambda minute: 1 + 0.4 * np.exp(-minute / 20), 70)
print(warming.explain().split("\n\n")[2])
assert warming.timeline.metrics["memory"].trend.told == "fades"

# %% [markdown]
# Is noise called a trend? In about one metric of a hundred: here are forty canaries that only differ by chance.

# %%
told = [watch(lambda _: 1.02, 40, seed).timeline.metrics["memory"].trend.told for seed in range(2, 42)]
print({word: told.count(word) for word in sorted(set(told))})
assert told.count("neither") >= 36

# %% [markdown]
# ## Your turn
#
# 1. Give the first stage `bad-1.csv`, in which five times as many requests fail. After how many minutes is it rolled back?
# 2. Let the memory grow half as fast. After how long is the leak told, and when does the rollout say that it crosses the tolerance?
# 3. In a pipeline the same is `canaryjudge rollout --policy P --data NEW --state S.json --also html=report.html`: [staged rollouts](../docs/patterns/rollouts.md).

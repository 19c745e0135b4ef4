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
# # Blue-green
#
# All traffic is switched from the old version to the new one. There is no canary beside the old version: before and after are different times, and services do different things at
# different times. This notebook judges the same switch three times: as if the clock did not matter, against earlier days, and beside a service that was not touched.

# %%
from pathlib import Path

import numpy as np
import pandas as pd

import canaryjudge as cj

here = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "docs/examples").exists())
example = here / "docs/examples/blue-green"
history = pd.read_csv(example / "history.csv")
good, bad, storm = (pd.read_csv(example / f"{name}.csv") for name in ("good", "bad", "storm"))
policy = cj.load_policy(example / "switch.yaml")
arms = {"baseline": "blue", "canary": "green"}

# %% [markdown]
# ## What the morning does
#
# The level of the p99 in the two hours before ten, and in the two hours after, on each of the seven days before the release:

# %%
switch = good.loc[good["arm"] == "green", "time"].min()
blue = history[(history["metric"] == "latency_p99") & (history["arm"] == "blue")].copy()
away = (blue["time"] - switch) / 3600
blue["day"] = np.floor((away + 2) / 24).astype(int)
blue["hour"] = away - 24 * blue["day"]
blue["window"] = np.where(blue["hour"] < 0, "before", "after")
levels = blue[blue["hour"] < 2].pivot_table(index="day", columns="window", values="value")[
    ["before", "after"]
]
levels["change"] = levels["after"] / levels["before"] - 1
levels.round(3)

# %% [markdown]
# It rises by a fifth each morning, with nothing wrong. Without the clock, that is what a release did:

# %%
plain = cj.Policy(
    metrics=[
        cj.Metric(
            name="latency_p99",
            unit="ms",
            direction="increase",
            pairing="windows",
            rules=[{"rule": "mann_whitney", "method": "exact"}],
        )
    ]
)
print(cj.judge(good, plain, **arms).explain(brief=True))

# %% [markdown]
# ## Against earlier days
#
# `pairing: before_after` asks by how much the level after the switch departs from what these hours did on earlier days. The good release passes, and the bad one, which is 25 % slower, fails:

# %%
verdicts = {
    name: cj.judge(data, policy, history=history, **arms) for name, data in (("good", good), ("bad", bad))
}
for verdict in verdicts.values():
    print(verdict.explain(brief=True), "\n")
assert verdicts["good"].outcome == "pass"
assert verdicts["bad"].outcome == "fail"

# %% [markdown]
# How sure it can be depends on how many days there are, and on how much they differ. Of fewer than three days nothing is known of that: then nothing passes, and the verdict says so.

# %%
rows = []
for days in (0, 2, 3, 5, 7):
    part = history[history["time"] >= switch - 7200 - 86400 * days]
    verdict = cj.judge(bad, policy, history=part if days else None, **arms)
    found = verdict.metrics["latency_p99"].findings[0]
    rows.append(
        (days, found.method, verdict.outcome.value, found.estimate, found.interval.low, found.interval.high)
    )
pd.DataFrame(rows, columns=["days", "method", "outcome", "estimate", "low", "high"]).round(3)

# %% [markdown]
# ## Beside an untouched service
#
# In the third release the database is slow from the switch on. Earlier days cannot know that, and the release fails; `payments`, which was not touched, feels the same. `control: payments` in the policy takes off what it felt (difference in differences):

# %%
alone = cj.judge(storm, policy, history=history, **arms)
beside = cj.judge(storm, cj.load_policy(example / "control.yaml"), history=history, **arms)
print(alone.explain(brief=True), "\n")
print(beside.explain(brief=True))
assert (alone.outcome, beside.outcome) == ("fail", "pass")

# %% [markdown]
# ## Your turn
#
# 1. Give the metrics of `switch.yaml` a tolerance of 2 %. What does the good release say now, and what would decide it?
# 2. Take every day but the last three out of the history. By how much do days differ then, and how wide is the interval?
# 3. Multiply the errors of green in `good.csv` by 3. With which history does that fail?
#
# [Blue-green](../docs/patterns/blue-green.md) has what is asked before the promotion, how it is computed, and what was measured.

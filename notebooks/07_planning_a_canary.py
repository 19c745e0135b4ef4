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
# # Planning a canary
#
# The release train of a streaming service allows a canary of one hour at 5 % of the traffic. "We want to catch anything that makes errors a quarter worse." Can that canary do
# that at all? Better to know before the release than after.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import canaryjudge as cj

policy = cj.Policy(
    max_duration="1h",
    split={"baseline": "95%", "canary": "5%"},
    metrics=[
        cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="10%"),
        cj.Metric(name="start_p95", unit="ms", direction="increase", tolerance="10%"),
        cj.Metric(name="cpu", unit="%", direction="increase", tolerance="10%", role="guard"),
    ],
)

# %% [markdown]
# ## What one has to assume
#
# How much there is of everything, and how noisy it is, when nothing is wrong: from a history, or by hand. Errors are counted, so their noise follows
# from their number. A percentile scatters the more the fewer requests it is made of. CPU does not care about the share of the traffic.

# %%
assumed = {
    "errors": {"level": "0.3%", "traffic": 20_000},
    "start_p95": {"spread": "3%", "autocorrelation": 0.4},
    "cpu": {"spread": "4%", "autocorrelation": 0.5},
}
planned = cj.plan(policy, assume=assumed, size="25%")
print(planned.explain())

# %% [markdown]
# Read the first table as: *after how long is 25 % found in four canaries of five, and what is the smallest that an hour shows?* At 5 % of the traffic an hour of errors shows far
# less than was hoped for. That is no weakness of the test: there are simply too few errors.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", sharey=True)
for ax, name in zip(axes, ("errors", "start_p95"), strict=True):
    planned.plot(name, ax=ax).set_title(name)

# %% [markdown]
# ## What helps
#
# More traffic, more time, or a coarser question. All three in one picture: what an hour shows, by the canary's share.

# %%
visible = pd.DataFrame(
    {
        f"{minutes} minutes": {
            each.share: each.visible
            for each in cj.plan(
                cj.Policy(max_duration=f"{minutes}m", metrics=policy.metrics), assume=assumed, size="25%"
            )
            .metrics["errors"]
            .shares
        }
        for minutes in (30, 60, 240)
    }
)
ax = visible.plot(marker="o", figsize=(7, 3.6), logx=True)
ax.axhline(0.25, color="black", linestyle="--", linewidth=1)
ax.set(xlabel="canary's share of the traffic", ylabel="smallest regression that is found")
ax.set_xticks(visible.index, [f"{share:.0%}" for share in visible.index])
ax.yaxis.set_major_formatter("{x:.0%}")
visible.map("{:.0%}".format)

# %% [markdown]
# The dashed line is what was asked for. The train can be made longer, or the canary wider; or the team agrees that a canary of an hour at 5 % catches a doubling, and that
# smaller things are for the days after.
#
# ## Is the plan right?
#
# Closed forms are quick. The same can be tried: make up a hundred releases with 25 % more errors at half of the traffic, and judge them.

# %%
rng = np.random.default_rng(7)
errors = cj.Policy(max_duration="1h", metrics=policy.metrics[:1])
half = cj.plan(errors, assume={"errors": assumed["errors"]}, size="25%", share="50%")
needed = next(each.needed_points for each in half.metrics["errors"].shares if each.share == 0.5)
failed = 0
for _ in range(100):
    arms = {}
    for arm, rate in (("baseline", 0.003), ("canary", 0.003 * 1.25)):
        total = rng.poisson(10_000, needed)
        arms[arm] = {"time": 60 * np.arange(needed), "value": rng.binomial(total, rate), "total": total}
    failed += cj.judge({"errors": arms}, errors).outcome == "fail"
print(f"planned: {needed} minutes for 80 %; tried: {failed} of 100 found")
assert 65 <= failed <= 93

# %% [markdown]
# ## From history instead
#
# Where the service exists, its past knows level, noise and traffic better than anyone's guess.

# %%
minutes = 2 * 1440
past_requests = rng.poisson(20_000, minutes)
history = pd.concat(
    [
        pd.DataFrame(
            {
                "metric": "errors",
                "time": 60.0 * np.arange(minutes),
                "value": rng.binomial(past_requests, 0.003),
                "total": past_requests,
            }
        ),
        pd.DataFrame(
            {"metric": "cpu", "time": 60.0 * np.arange(minutes), "value": rng.normal(55, 2, minutes)}
        ),
    ]
)
known = cj.Policy(max_duration="1h", metrics=[policy.metrics[0], policy.metrics[2]])
from_history = cj.plan(known, history, size="25%")
for name, metric in from_history.metrics.items():
    own = next(each for each in metric.shares if each.share == 0.05)
    print(f"{name:8}an hour at 5 % shows {own.visible:.0%}")

# %% [markdown]
# ## Your turn
#
# 1. What share would find 25 % more errors within an hour? Read it off the picture, then ask `cj.plan(..., share=...)`.
# 2. Errors of 0.3 % are few. Find a metric that moves earlier (retries, timeouts of one endpoint, slow starts) and plan for that one.
# 3. `canaryjudge plan --policy P --history H` prints the same: [planning a canary](../docs/plan.md).

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
# # Objectives, budgets and burn rates
#
# A booking service promises its users 99.9 % of requests answered without error, and 99 % within 300 ms. A new version is out on 5 % of the traffic. The
# question is no longer "worse than before?" but "may we afford it?".

# %%
import matplotlib.pyplot as plt
import numpy as np

import canaryjudge as cj

rng = np.random.default_rng(5)
time = 1_772_442_000 + 60 * np.arange(60)


def errors(share, requests):
    """Count failed requests in each minute of an hour; `share` may change from minute to minute."""
    total = rng.poisson(requests, 60)
    return {"time": time, "value": rng.binomial(total, share), "total": total}


# %% [markdown]
# ## An objective
#
# The rule `slo` holds a share, a percentile or a mean against a number. It fails where a breach is *proven*, passes where it is proven that the objective is
# met, and is marginal until then: three failed requests of a thousand are not a breach of 99.9 %.

# %%
objective = cj.Policy(
    metrics=[
        cj.Metric(
            name="errors",
            kind="ratio",
            direction="increase",
            rules=[cj.Slo(of="pooled", op="lte", value="0.1%", fail_value="0.5%")],
        )
    ]
)
for name, share in (("fine", 0.0004), ("in between", 0.002), ("bad", 0.012)):
    verdict = cj.judge(
        {"errors": {"baseline": errors(0.0004, 9500), "canary": errors(share, 500)}}, objective
    )
    print(f"{name:11}{verdict.reason}")

# %% [markdown]
# `fail_value` leaves room between "good" and "bad enough to roll back": in between it warns.
#
# ## Not the canary's fault
#
# A database slows everything down. Both arms breach the objective; rolling back would help nobody.

# %%
both = cj.judge({"errors": {"baseline": errors(0.02, 9500), "canary": errors(0.02, 500)}}, objective)
print(both.outcome.value, "-", both.metrics["errors"].reason)
print(both.explain().split("\n\n")[1])

# %% [markdown]
# ## Latency: a percentile, or a share?
#
# "p99 below 300 ms" and "99 % within 300 ms" are the same promise. Raw latencies or a histogram answer both; a dashboard's p99 answers neither
# properly, because the percentiles of minutes cannot be put together again.

# %%
latencies = {"baseline": rng.lognormal(4.3, 0.45, 20_000), "canary": rng.lognormal(4.35, 0.47, 3000)}
speed = cj.Policy(
    metrics=[
        cj.Metric(
            name="latency",
            kind="samples",
            unit="ms",
            direction="increase",
            rules=[
                {"rule": "slo", "of": "within", "bound": "300ms", "op": "gte", "value": "99%"},
                {"rule": "slo", "of": "p99", "op": "lte", "change": {"relative": "+25%"}},
            ],
        )
    ]
)
print(cj.judge({"latency": latencies}, speed).explain().split("\n\n")[1])

# %%
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax = cj.plots.ecdf(latencies["baseline"], latencies["canary"], unit="ms", ax=ax)
ax.axvline(300, color="black", linestyle="--", linewidth=1)
ax.set_xscale("log")

# %% [markdown]
# ## A budget
#
# 99.9 % in a month allows 0.1 % of the requests to fail: the *error budget*. A *burn rate* is how many times faster than that it is being used: at 1 it lasts the
# month, at 14.4 two days. The rule `burn_rate` asks pairs of windows: a long one, so that enough was burned to matter, and a short one, so that it
# is still burning.

# %%
budget = cj.Policy(
    metrics=[
        cj.Metric(
            name="errors",
            kind="ratio",
            direction="increase",
            rules=[cj.BurnRate(target="99.9%", period="30d", traffic=400_000_000)],
        )
    ]
)
slow_leak = {"errors": {"baseline": errors(0.0003, 9500), "canary": errors(0.016, 500)}}
leaking = cj.judge(slow_leak, budget)
print(leaking.explain().split("\n\n")[1])

# %% [markdown]
# Of the canary's own requests 1.6 % fail. On 5 % of the traffic that is hardly to be seen in the service's error rate; on all of it, the month's budget would be
# gone in two days. That is what a canary is for.

# %%
ax = cj.plots.burn_rates(leaking.metrics["errors"])

# %% [markdown]
# ## A blip, and a fault that stays
#
# Five bad minutes at the beginning, long over, against a fault that has just begun. The average of the hour is the same.

# %%
minutes = np.arange(60)
for name, when in (("over", minutes < 5), ("still there", minutes >= 55)):
    verdict = cj.judge(
        {"errors": {"baseline": errors(0.0003, 9500), "canary": errors(np.where(when, 0.4, 0.0003), 500)}},
        budget,
    )
    print(f"{name:12}{verdict.reason}")

# %% [markdown]
# The first passes, because the short window is quiet again: rolling back now would not give the budget back. The second fails within minutes.
#
# ## Documents that you have already
#
# Objectives written as OpenSLO become a policy by `canaryjudge import openslo slo.yaml`, or in Python by `cj.load_openslo`.

# %%
from pathlib import Path

here = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "docs/examples").exists())
found = cj.load_openslo(*sorted((here / "docs/examples/openslo").glob("*.yaml")))
print(
    [
        (metric.name, metric.kind, [rule.rule for rule in metric.rules or ()])
        for metric in found.policy().metrics
    ]
)

# %% [markdown]
# ## Your turn
#
# 1. What share of errors may the canary have so that the budget alert stays silent? Find it by trying, then by arithmetic: 6 times 0.1 %.
# 2. Give the canary half of the traffic. What changes in the sentence about the budget, and what does not?
# 3. Take your own objective and hold last week's hours against it, each as a canary of the hour before. How often would it have failed you?

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
# # Shadow traffic
#
# The new version answers a copy of the requests, and nobody is served by it. Each request is compared with itself: this notebook shows what that is worth, how noise in the answers is told from
# mismatches, and what a migration that changes one field in fifty looks like.

# %%
import numpy as np
import pandas as pd

import canaryjudge as cj

rng = np.random.default_rng(12)

# %% [markdown]
# ## The same requests, or others?
#
# Requests vary by 60 %, and two answers to the same one by 10 %. The new version is 5 % slower. Of 300 requests an arm, other ones leave it open:

# %%
n = 300
work = rng.lognormal(4, 0.6, n)
took = {
    "baseline": work * np.exp(0.07 * rng.normal(size=n)),
    "canary": 1.05 * work * np.exp(0.07 * rng.normal(size=n)),
}
samples = cj.Metric(name="latency", kind="samples", unit="ms", direction="increase", tolerance="1%")
print(cj.judge({"latency": took}, cj.Policy(metrics=[samples])).explain(brief=True))

# %% [markdown]
# The same numbers, joined by the ids of their requests:

# %%
paired = {arm: {"request": [f"r{i}" for i in range(n)], "value": values} for arm, values in took.items()}
pairs = cj.Metric(name="latency", kind="pairs", unit="ms", direction="increase", tolerance="1%")
verdict = cj.judge({"latency": paired}, cj.Policy(metrics=[pairs]))
print(verdict.explain())

# %% [markdown]
# ## Answers
#
# Orders are read by two copies of the old version and by a new one, which rounds the totals of 1 % of them. Two percent of all answers differ in `read_at` anyway.

# %%
orders = 5000
totals = rng.integers(500, 20_000, orders) / 100
discounted = rng.random(orders) < 0.01


def answers(rounds):
    """Answer all orders."""
    late = rng.random(orders) < 0.02
    return [
        {
            "request": f"r{i}",
            "answer": {
                "order": i,
                "total": round(totals[i]) if rounds and discounted[i] else totals[i],
                "read_at": i + int(late[i]),
            },
        }
        for i in range(orders)
    ]


old, second, new = answers(rounds=False), answers(rounds=False), answers(rounds=True)

# %% [markdown]
# Where do they differ, and does the second copy of the old version as well?

# %%
pd.DataFrame(cj.compare_answers(old, new, second).fields)

# %% [markdown]
# `read_at` is noise: as a field of its own it hides nothing, and the other fields stay clean.

# %%
data = cj.compare_answers(old, new, second, fields=["$.read_at"])
verdict = cj.judge(data, cj.Policy(metrics=data.metrics))
print(verdict.explain())

# %% [markdown]
# The corrected version:

# %%
data = cj.compare_answers(old, answers(rounds=False), second, fields=["$.read_at"])
print(cj.judge(data, cj.Policy(metrics=data.metrics)).explain(brief=True))

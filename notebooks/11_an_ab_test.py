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
# # An A/B test
#
# A flag shows a new checkout to half of 2,000 users. What is compared are users, not clicks: this notebook shows what goes wrong otherwise, what a user's past is worth,
# and how to look every day without fooling oneself.

# %%
from pathlib import Path

import numpy as np
import pandas as pd

import canaryjudge as cj
from canaryjudge.patterns import exposed

here = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "docs/examples").exists())
example = here / "docs/examples/ab"
print((example / "policy.yaml").read_text())

# %%
users = pd.read_csv(example / "users.csv")
users.groupby("metric").head(2)

# %% [markdown]
# ## Clicks of one user are alike
#
# Two arms without any difference, again and again: 300 users each, with 1 to 200 views and a taste of their own. As if every view were a user, a test at 5 % fails most of them.

# %%
rng = np.random.default_rng(1)


def clicks(size):
    """Clicks of users, and their views."""
    views = np.floor(np.exp(rng.uniform(0, np.log(201), size))).clip(1, 200)
    return pd.DataFrame({"value": rng.binomial(views.astype(int), rng.beta(1, 4, size)), "total": views})


policy = cj.Policy(
    alpha=0.05, metrics=[cj.Metric(name="clicks", kind="users", direction="either", tolerance="0%")]
)
runs, naive, by_user = 200, 0, 0
for _ in range(runs):
    arms = {"baseline": clicks(300), "canary": clicks(300)}
    (b, of_b), (c, of_c) = (arm.sum() for arm in arms.values())
    spread = np.sqrt(1 / b - 1 / of_b + 1 / c - 1 / of_c)
    naive += abs(np.log(c / of_c / (b / of_b))) > 1.96 * spread
    by_user += cj.judge({"clicks": arms}, policy).outcome == "fail"
print(f"{naive / runs:.0%} by views, {by_user / runs:.0%} by users")

# %% [markdown]
# ## The verdict
#
# The bundled test: clicks a session are as before, and users of the new checkout spend less.

# %%
policy = cj.load_policy(example / "policy.yaml")
arms = {"baseline": "control", "canary": "checkout-v2"}
verdict = cj.judge(users, policy, **arms)
verdict

# %% [markdown]
# ## What the past of a user is worth
#
# Who spent much before spends much now. That is known of both arms, and no doing of the checkout: taken out, the interval of the change of revenue is about half as wide.

# %%
plain = cj.judge(users.drop(columns=["covariate", "covariate_total"]), policy, **arms)
for name, told in (("without", plain), ("with", verdict)):
    found = told.metrics["revenue"].findings[0]
    print(
        f"{name:>7} the past: {found.interval.low:+.1%} to {found.interval.high:+.1%}, {told.metrics['revenue'].outcome}"
    )

# %% [markdown]
# ## Looking every day
#
# A `Monitor` is given the users whose week is over. Its evidence holds at every look, however often one looks, for which it wants more users than a single look at the end.

# %%
day = users["user"].str.removeprefix("u").astype(int) // 200
monitor = cj.Monitor(policy, **arms)
for number, own in users.groupby(day):
    monitor.update(own)
    print(number + 1, {name: result.outcome.value for name, result in monitor.verdict().metrics.items()})

# %% [markdown]
# ## From the log of the flag
#
# Users come from the log of evaluations, not from the events: who was shown a variant and did nothing counts as 0, and who was shown both counts nowhere.

# %%
count = 3000
start = pd.Timestamp("2026-03-02", tz="UTC")
shown = pd.DataFrame(
    {
        "user": np.arange(count),
        "variant": np.where(rng.random(count) < 0.5, "control", "checkout-v2"),
        "time": start + pd.to_timedelta(rng.integers(0, 7 * 86_400, count), unit="s"),
    }
)
again = shown.sample(60, random_state=1).assign(variant="control")  # a flag that does not stick
events = shown.sample(400, random_state=2).assign(metric="orders", value=1)
events["time"] += pd.Timedelta(hours=1)
found = exposed(pd.concat([shown, again]), events)
print(found.users, "several variants:", found.several)

# %%
orders = cj.Policy(metrics=[cj.Metric(name="orders", kind="users", direction="decrease", tolerance="20%")])
print(cj.judge(found.data, orders, **arms).explain(brief=True))

# %% [markdown]
# [Feature flags and A/B tests](../docs/patterns/ab.md) has what is asked, sums of a warehouse in place of rows, and what was measured.

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
# # Reading a verdict
#
# A search service has a new ranking library. Its canary took a fifth of the traffic for an hour and a half, and the on-call engineer has a verdict
# with six metrics in front of her. What does it say, what does it not say, and what should she do?
#
# The data is made up, with a seed, so that we know what is true: p99 is 17 % slower, memory 8 % higher, the rest has not changed.

# %%
import json

import matplotlib.pyplot as plt
import numpy as np

import canaryjudge as cj

rng = np.random.default_rng(2026)
minutes = 1_772_460_000 + 60 * np.arange(90)
load = 1 + 0.25 * np.sin(np.arange(90) / 25)  # both arms feel the afternoon


def gauge(level, noise):
    """Give a minute's value for each minute: the load, and noise that lasts a while."""
    wander = np.zeros(90)
    for minute in range(1, 90):
        wander[minute] = 0.5 * wander[minute - 1] + rng.normal(0, noise)
    return {"time": minutes, "value": level * (0.7 + 0.3 * load) * (1 + wander)}


def share(rate, requests):
    """Give a minute's failed requests, and all of its requests."""
    total = rng.poisson(requests * load)
    return {"time": minutes, "value": rng.binomial(total, rate), "total": total}


data = {
    "latency_p99": {"baseline": gauge(210, 0.03), "canary": gauge(245, 0.03)},
    "memory": {"baseline": gauge(3.1, 0.02), "canary": gauge(3.35, 0.02)},
    "errors": {"baseline": share(0.002, 4000), "canary": share(0.002, 1000)},
    "empty_answers": {"baseline": share(0.03, 4000), "canary": share(0.03, 1000)},
    "queue": {
        "baseline": {"time": minutes, "value": np.zeros(90)},
        "canary": {"time": minutes, "value": np.where(np.arange(90) % 40 == 7, 1.0, 0.0)},
    },
    "cache_age": {"baseline": gauge(40, 0.05), "canary": {"time": minutes, "value": np.full(90, np.nan)}},
}

# %% [markdown]
# ## The question
#
# A verdict answers a policy. Four things in it decide how the answer reads: which direction is bad, how much worse would still be shipped (the
# *tolerance*), who has a say (the *role*), and how sure to be (`alpha` and `beta`, here the default 1 % and 5 %).

# %%
policy = cj.Policy(
    metrics=[
        cj.Metric(name="latency_p99", unit="ms", direction="increase", tolerance="10%"),
        cj.Metric(name="memory", unit="GiB", direction="increase", tolerance="10%", role="guard"),
        cj.Metric(
            name="errors",
            kind="ratio",
            direction="increase",
            tolerance={"relative": "50%", "absolute": "0.05%"},
        ),
        cj.Metric(name="empty_answers", kind="ratio", direction="increase", tolerance="10%"),
        cj.Metric(name="queue", direction="increase", role="advisory"),
        cj.Metric(name="cache_age", unit="s", direction="increase", role="advisory"),
    ]
)
verdict = cj.judge(data, policy)
verdict

# %% [markdown]
# ## The three outcomes
#
# - **fail**: proven worse than tolerated. Roll back.
# - **pass**: harm is excluded beyond what is tolerated or, where that is more, beyond what the baseline's own variation hides (`pass_within`). Promote.
# - **marginal**: neither is proven. Hold, and go on collecting. It is not a polite fail, and not a pass in waiting.
#
# The worst metric decides. One line says it all, for logs and chat messages:

# %%
print(verdict.outcome.value, "->", verdict.action)
print(verdict.reason)

# %% [markdown]
# ## The picture
#
# Every effect on one scale: 0 is no change, 1 is what is tolerated, right is worse. The thick bar proves a pass if it ends left of the limit, or of the dashed
# mark where a pass need not exclude so much; the thin bar proves a fail if it begins right of the limit. A bar across it is what marginal looks like.

# %%
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ax = cj.plots.effects(verdict, ax=ax)

# %% [markdown]
# ## Metric by metric
#
# `reason` of each metric is a code that programs can rely on; the sentences are for people.

# %%
for name, result in verdict.metrics.items():
    print(f"{name:14} {result.outcome.value:9} {result.role:9} {result.reason}")

# %%
print(verdict.explain())

# %% [markdown]
# Read `latency_p99` aloud: *the canary is about 17 % higher; the interval lies beyond the tolerated 10 %; a difference like that would hardly come
# about by chance; so many points stand behind it.* The interval belongs to the question that decided: a fail shows it at the metric's part
# of alpha, a pass at beta (90 %).
#
# - `memory` is a *guard*: it may stop a release, and need not be proven fine. The estimate is 8 %, and 10 % would be shipped.
# - `queue` had nothing in the baseline. Percent of nothing mean nothing, so the verdict asks for an absolute tolerance.
# - `cache_age` has no data in the canary, and says so, instead of passing.

# %% [markdown]
# ## One metric over time
#
# A number can be right for the wrong reason. Look whether the canary differs from the beginning, or from a certain minute on.

# %%
ax = verdict.plot("latency_p99")

# %% [markdown]
# ## The numbers behind a sentence
#
# Each rule leaves a *finding*: nothing in the sentences is computed anywhere else.

# %%
finding = verdict.metrics["latency_p99"].findings[0]
print(f"rule      {finding.rule}, {finding.method}")
print(
    f"estimate  {finding.estimate:+.1%}, at least {finding.interval.low:+.1%}, at most {finding.interval.high:+.1%}"
)
print(f"tolerated {finding.limit_high:+.0%}")
print(f"p-value   {finding.pvalue:.1g} for 'no worse than tolerated', held against {finding.level:.2g}")
verdict.to_frame()[["metric", "rule", "outcome", "estimate", "low", "high", "pvalue"]]

# %% [markdown]
# ## What it does not say
#
# The last sentences are part of the verdict. The promise is for one look at finished data, and it holds if nothing but the release differs between
# the arms: were they in the same zone, and warm? What the policy itself gives up stands under *Waived*. With `pass_when: not_proven_worse`, which
# some are used to, more would pass, and the verdict says what that costs:

# %%
lax = cj.Policy(
    metrics=[
        cj.Metric(
            name="errors",
            kind="ratio",
            direction="increase",
            tolerance="1%",
            pass_within="tolerance",
            pass_when="not_proven_worse",
        )
    ]
)
print(cj.judge({"errors": data["errors"]}, lax).explain())

# %% [markdown]
# ## Keep it
#
# JSON holds everything, reads back to the same verdict, and `canaryjudge verify` reproduces it from data and policy. `to_html()` is the report to
# attach to the release.

# %%
text = verdict.to_json()
assert cj.Verdict.from_json(text) == verdict
print(f"{len(text) / 1000:.0f} kB of JSON, {len(verdict.to_html()) / 1000:.0f} kB of HTML; it begins with")
print(
    json.dumps(
        {key: value for key, value in json.loads(text).items() if isinstance(value, str | float)}, indent=1
    )[:400]
)

# %% [markdown]
# ## Your turn
#
# 1. Give `queue` the tolerance `{absolute: 2}`. What does it say now, and is that what you would want to hear at night?
# 2. What tolerance would `latency_p99` have needed to pass? Read it off the interval first, then try.
# 3. Make the canary's window the last 20 minutes only. Which metrics lose their proof first, and why those?

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
# # Why plain Mann-Whitney cries wolf
#
# A team compares a minute of p99 with a minute of p99, sixty of each, by the Mann-Whitney test, and rolls back where p < 5 %. By the book that
# should stop one fine release in twenty. It stops every third. Nobody has made a mistake in the arithmetic. What is wrong?

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import mannwhitneyu

import canaryjudge as cj

rng = np.random.default_rng(11)


def service(minutes, memory, runs=1):
    """Make up minutes of latency, each of which remembers a part of the one before. Nothing is ever wrong."""
    shocks = rng.normal(0, np.sqrt(1 - memory**2), (runs, minutes + 50))
    level = np.zeros((runs, minutes + 50))
    for minute in range(1, minutes + 50):
        level[:, minute] = memory * level[:, minute - 1] + shocks[:, minute]
    return 120 + 6 * level[:, 50:]


# %% [markdown]
# ## Two healthy hours
#
# Left: minutes that know nothing of each other, as the textbook has them. Right: minutes of a real service. A full cache, a busy neighbor, a long
# garbage collection outlast a minute, so a minute resembles the one before. Both have the same level and the same spread.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for ax, memory in zip(axes, (0.0, 0.8), strict=True):
    for name, series in zip(("baseline", "canary"), service(60, memory, 2), strict=True):
        ax.plot(series, label=name)
    ax.set(title=f"each minute remembers {memory:.0%} of the last", xlabel="minute", ylabel="p99, ms")
axes[0].legend()
axes[0].grid(visible=True, alpha=0.3)

# %% [markdown]
# On the right, one arm lies above the other for a quarter of an hour at a time. By eye, one would say that they differ. They do not: it is the same process
# twice.
#
# ## Count the wolves
#
# Two thousand pairs of healthy hours, for each strength of memory. How often is p below 5 %?

# %%
memories = (0.0, 0.3, 0.5, 0.7, 0.9)
plain = {}
for memory in memories:
    pvalues = mannwhitneyu(service(60, memory, 2000), service(60, memory, 2000), axis=1).pvalue
    plain[memory] = float(np.mean(pvalues < 0.05))
    print(f"memory {memory:.1f}: {plain[memory]:6.1%} of healthy pairs alarm")
assert plain[0.0] < 0.08
assert plain[0.9] > 0.5

# %% [markdown]
# With no memory the test keeps its word. Where a minute remembers half of the last, it is wrong five times too often; with nine tenths it is mostly wrong.
#
# ## Where the reasoning breaks
#
# The test compares the difference of the ranks with how much that would vary *if all 120 minutes were independent*. They are not: sixty minutes
# that remember 80 % carry about as much news as seven independent ones. So the difference varies far more than the test believes.

# %%
for memory in memories:
    worth = 60 * (1 - memory) / (1 + memory)
    spread = np.std(service(60, memory, 2000).mean(axis=1))
    print(
        f"memory {memory:.1f}: 60 minutes are worth about {worth:4.1f}; their mean varies by {spread:.2f} ms, not by {6 / np.sqrt(60):.2f} ms"
    )

# %% [markdown]
# ## What canaryjudge does about it
#
# The rule `mann_whitney` asks the same question of the same ranks, and takes the variance from the series themselves: from slow waves that are laid
# over them, with as many degrees of freedom as there is news. (The formulas and sources are in
# [the statistics](../docs/statistics.md#mann_whitney-gauges-and-samples).) At alpha 5 %, tolerance 0, so that it has the same question to
# answer:

# %%
policy = cj.Policy(
    alpha="5%",
    metrics=[cj.Metric(name="p99", unit="ms", direction="increase", tolerance="0%", rules=["mann_whitney"])],
)


def fails(memory, *, slower=1.0, runs=300):
    """Judge pairs of hours; give the share that fails."""
    pairs = zip(service(60, memory, runs), slower * service(60, memory, runs), strict=True)
    return np.mean(
        [cj.judge({"p99": {"baseline": old, "canary": new}}, policy).outcome == "fail" for old, new in pairs]
    )


robust = {memory: fails(memory) for memory in (0.0, 0.5, 0.9)}
print({memory: f"{share:.1%}" for memory, share in robust.items()})
assert max(robust.values()) < 0.1  # 5 % promised, of 300 pairs

# %%
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot(list(plain), list(plain.values()), marker="o", label="plain Mann-Whitney, p < 5 %")
ax.plot(list(robust), list(robust.values()), marker="s", label="canaryjudge, alpha = 5 %")
ax.axhline(0.05, color="black", linestyle="--", linewidth=1, label="promised")
ax.set(xlabel="what a minute remembers of the last", ylabel="healthy releases that fail", ylim=(0, 0.8))
ax.yaxis.set_major_formatter("{x:.0%}")
legend = ax.legend(frameon=False)

# %% [markdown]
# ## The price
#
# Nothing is free: seven independent minutes show less than sixty. The plain test "finds" more, because it finds things that are not there. What does the
# honest one still see? A canary 5 % slower, and 10 %:

# %%
for slower in (1.05, 1.10):
    found = {memory: fails(memory, slower=slower, runs=40) for memory in (0.0, 0.5, 0.9)}
    print(f"{slower - 1:.0%} slower:", {memory: f"{share:.0%} found" for memory, share in found.items()})

# %% [markdown]
# Where minutes remember nine tenths, an hour does not tell 5 % from chance, and no test could: the verdict is marginal and says so. A longer window,
# replicas, or a metric nearer to the requests would.
#
# ## And the other way to cry wolf
#
# Keep the plain test, and look again every few minutes? That multiplies the alarms once more: [notebook 04](04_when_may_i_look.py).
#
# ## Your turn
#
# 1. Take a quiet day of one of your own metrics. Cut it into neighboring hours and give each pair to `mannwhitneyu`. How many alarm?
# 2. What does a minute of it remember? `np.corrcoef(series[:-1], series[1:])[0, 1]` tells roughly.
# 3. Judge the same pairs with the policy above, and with the tolerance that you would really ship.

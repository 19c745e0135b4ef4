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
# # A first verdict
#
# A new version of a checkout service has run beside the old one for an hour, with a tenth of the traffic. Is it fit to ship?

# %%
from pathlib import Path

import pandas as pd

import canaryjudge as cj

here = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "docs/examples").exists())
example = here / "docs/examples/checkout"
frame = pd.read_csv(example / "metrics.csv")
frame.groupby(["metric", "arm"])["value"].describe().round(2)

# %% [markdown]
# ## Ask
#
# The policy names the metrics, the direction in which each is bad, and how much worse we would still ship.

# %%
policy = cj.load_policy(example / "policy.yaml")
verdict = cj.judge(frame, policy)
verdict

# %% [markdown]
# Two metrics are proven worse than tolerated, so the release fails. `explain()` gives it in sentences, each with its numbers.

# %%
print(verdict.explain())

# %% [markdown]
# ## Look closer
#
# Each rule leaves a finding: estimate, interval, limits, p-values, counts.

# %%
finding = verdict.metrics["latency_p99"].findings[0]
print(
    f"p99 moved by {finding.estimate:+.1%}, at least {finding.interval.low:+.1%}, where {finding.limit_high:+.0%} is tolerated"
)
verdict.to_frame()[["metric", "rule", "outcome", "estimate", "low", "high", "pvalue"]]

# %% [markdown]
# ## Half the evidence
#
# With the first ten minutes alone, less is proven. What is not proven either way is *marginal*, and the verdict says about how much longer it
# would take.

# %%
early = frame[frame["time"] < "2026-03-04T14:10:00Z"]
print(cj.judge(early, policy).explain())

# %% [markdown]
# ## The old version against itself
#
# Split the baseline's hour in two, and call the second half the canary. Nothing changed, so nothing should fail.

# %%
halves = frame[frame["arm"] == "baseline"].copy()
halves["arm"] = halves["time"].lt("2026-03-04T14:30:00Z").map({True: "first half", False: "second half"})
healthy = cj.judge(halves, policy, baseline="first half", canary="second half")
assert healthy.outcome != "fail"
print(healthy.reason)

# %% [markdown]
# ## Your turn
#
# Change `tolerance` of `latency_p99` to `60%` and of `errors` to `{relative: 500%}`. What becomes of the verdict, and of its `waived`?
# Then bring your own frame: columns `metric`, `arm`, `value`, and `time` and `total` where you have them.

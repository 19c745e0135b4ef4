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
# # Cohorts
#
# Traffic comes in segments: regions, kinds of device, rings of users. Where they are pooled, two things go wrong: a different mix looks like a bad release
# (or hides one), and one bad segment drowns in the others. This notebook judges two releases of the same service, in six segments each; the first is fine
# and looks bad, the second is bad and looks nearly fine. At the end, three rings of users are judged at once.

# %%
from pathlib import Path

import pandas as pd

import canaryjudge as cj

here = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "docs/examples").exists())
example = here / "docs/examples/cohorts"
print((example / "policy.yaml").read_text())

# %%
policy = cj.load_policy(example / "policy.yaml")
mix = pd.read_csv(example / "mix.csv")
mix.head(3)

# %% [markdown]
# ## Simpson's paradox
#
# First the share of requests that fail, all segments added up, as a dashboard would show it.

# %%
errors = mix[mix["metric"] == "errors"]
sums = errors.groupby("arm")[["value", "total"]].sum()
(sums["value"] / sums["total"]).map("{:.2%}".format)

# %% [markdown]
# The canary fails half as often again. Now the same requests, region by region, beside the part of its traffic that each arm has there.

# %%
regions = errors.groupby(["region", "arm"])[["value", "total"]].sum()
regions["fails"] = regions["value"] / regions["total"]
regions["of the traffic"] = regions["total"] / regions.groupby("arm")["total"].transform("sum")
regions[["fails", "of the traffic"]].map("{:.2%}".format)

# %% [markdown]
# In no region is it much worse. It only has more of eu-west, where requests fail more often anyway, and has had before the release. A policy without
# `segments` cannot know that, and fails it:

# %%
added_up = errors.groupby(["metric", "arm", "time"], as_index=False)[["value", "total"]].sum()
pooled = cj.judge(added_up, cj.Policy(metrics=[policy.metrics[0]]))
print(pooled.explain(brief=True))
assert pooled.outcome == "fail"

# %% [markdown]
# With them, the arms are compared *within* segments. It passes, and the verdict says what the mix alone would have made of it.

# %%
verdict = cj.judge(mix, policy)
print(verdict.explain().split("\n\n")[1])
assert verdict.outcome == "pass"

# %% [markdown]
# A forest plot has a row a segment, the worst on top. Below the line stand the mean within segments (the black diamond), which decides, and the pooled
# change (the white one), far to the right of every segment: that is the paradox in a picture.

# %%
ax = cj.plots.segments(verdict, "errors")

# %% [markdown]
# Some of the segments are undecided by themselves; too few of their requests fail. The mean is better known than each of them.
#
# ## One bad segment
#
# In this release the mix differs as in the first, and eu-west on Android is 60 % worse in both metrics. Over everything, latency is some 10 % higher, of
# which 15 % are tolerated.

# %%
android = cj.judge(pd.read_csv(example / "android.csv"), policy)
print(android.explain(brief=True))
assert android.outcome == "fail"

# %%
ax = cj.plots.segments(android, "latency_p99")

# %% [markdown]
# Red and bold is who is to blame: proven worse than tolerated, *and* worse than the others. "Only" means that all others are proven to be fine. Each segment
# has its own small part of alpha, so that six of them are not six chances to be wrong; the whiskers are as wide as that takes.
#
# The facts behind it:

# %%
found = android.segments.metrics["latency_p99"]
print(f"within segments {found.within:+.1%}, pooled {found.pooled:+.1%}")
for segment in found.segments:
    print(f"{' / '.join(segment.name):18} {segment.outcome.value:5} {segment.estimate:+6.1%}")
assert [culprit.name for culprit in found.culprits] == [("eu-west", "Android")]

# %% [markdown]
# ## Rings
#
# Segments part the traffic of one canary. Rings are several canaries, one after the other: the own people, a beta, early customers, each beside the version
# in production. `canary` takes a list of them, and alpha holds over all.

# %%
rings = here / "docs/examples/rings"
arms = cj.judge(
    pd.read_csv(rings / "metrics.csv"),
    cj.load_policy(rings / "policy.yaml"),
    baseline="stable",
    canary=["internal", "beta", "early"],
)
print(arms)
print("worst:", arms.worst)
print(arms["beta"].explain(brief=True))
assert arms.may_go_on == ("internal", "early")

# %% [markdown]
# ## Your turn
#
# 1. Give `android.csv` a policy with `by: [device]`. Who is to blame now, and why are its errors so much worse than 60 %?
# 2. Leave the baseline's rows of us-east on the web out of `mix.csv`. What does the verdict say of them?
# 3. Multiply the canary's latency by 1.4 in *every* segment of `mix.csv`. It fails; is anybody named?
#
# [Cohorts](../docs/patterns/cohorts.md) has what is asked within segments and what was measured, and [rings](../docs/patterns/rings.md) the same of several canaries.

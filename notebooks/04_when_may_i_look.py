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
# # When may I look?
#
# A payment service ships at noon. The dashboard refreshes every minute, and everybody looks at it. May one stop at the first red number? May one
# promote at the first green one? With an ordinary test neither. This notebook shows why, and what to use instead.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

import canaryjudge as cj

rng = np.random.default_rng(4)
MINUTES = 60
NOON = 1_772_625_600  # 2026-03-04 12:00 UTC


def minute_by_minute(canary_rate, runs=1, requests=(9000, 1000), rate=0.004):
    """Count failed payments of both arms in each minute."""
    return rng.binomial(requests[0], rate, (runs, MINUTES)), rng.binomial(
        requests[1], canary_rate, (runs, MINUTES)
    )


# %% [markdown]
# ## A test that is asked again and again
#
# Two thousand healthy releases. After each minute, a two-proportion z test at 5 % on everything so far.

# %%
old, new = (np.cumsum(arm, axis=1) for arm in minute_by_minute(0.004, 2000))
n_old, n_new = 9000 * np.arange(1, MINUTES + 1), 1000 * np.arange(1, MINUTES + 1)
pooled = (old + new) / (n_old + n_new)
z = (new / n_new - old / n_old) / np.sqrt(pooled * (1 - pooled) * (1 / n_old + 1 / n_new))
alarm = norm.sf(z) < 0.05
ever = np.maximum.accumulate(alarm, axis=1).mean(axis=0)

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.plot(np.arange(1, MINUTES + 1), ever, label="has alarmed by now, at least once")
ax.plot(np.arange(1, MINUTES + 1), alarm.mean(axis=0), label="alarms at this very look")
ax.axhline(0.05, color="black", linestyle="--", linewidth=1, label="promised")
ax.set(xlabel="minute", ylabel="healthy releases", ylim=(0, None))
ax.yaxis.set_major_formatter("{x:.0%}")
legend = ax.legend(frameon=False)
print(f"at the end alone: {alarm[:, -1].mean():.1%}; at some look: {ever[-1]:.1%}")
assert ever[-1] > 4 * alarm[:, -1].mean()

# %% [markdown]
# Each look by itself is right, one time in twenty wrong. But a release that is stopped is not started again, so every look is another chance to be
# unlucky. Waiting for the end is honest, and leaves a bad release in production for an hour.
#
# ## Evidence that may be read at any time
#
# A `Monitor` keeps, beside the counts, how many times better harm explains them than chance does. If nothing is wrong, that number seldom gets large
# *at any time*: at most one release in 200 ever reaches 200 to 1. So it may be read after every minute.

# %%
policy = cj.Policy(
    split={"baseline": "90%", "canary": "10%"},
    metrics=[
        cj.Metric(
            name="failed_payments",
            kind="ratio",
            direction="increase",
            tolerance={"relative": "40%", "absolute": "0.05%"},
            dispersion=1.1,
        )
    ],
)


def points(minute, failed):
    """Give what both arms did in one minute."""
    return {
        "failed_payments": {
            arm: {"time": [NOON + 60 * minute], "value": [failed[arm]], "total": [total]}
            for arm, total in (("baseline", 9000), ("canary", 1000))
        }
    }


def watch(canary_rate, *, stop=True):
    """Watch a release, and give the verdict of every look; stop at the first decision."""
    before, after = minute_by_minute(canary_rate)
    monitor, looks = cj.Monitor(policy), []
    for minute in range(MINUTES):
        monitor.update(points(minute, {"baseline": before[0, minute], "canary": after[0, minute]}))
        looks.append(monitor.verdict())
        if stop and looks[-1].outcome != "marginal":
            break
    return looks


# %% [markdown]
# ### A bad release
#
# One payment in a hundred fails instead of one in 250.

# %%
bad = watch(0.010)
print(bad[-1].explain())

# %%
ax = cj.plots.evidence(bad, "failed_payments")

# %% [markdown]
# ### A good one
#
# Harmlessness is proven in the same way, and the release need not wait for the end of the hour either.

# %%
good = watch(0.004)
print(good[-1].reason)
print("after", len(good), "minutes")

# %%
ax = cj.plots.evidence(good, "failed_payments")

# %% [markdown]
# ### One right at the border
#
# Errors 40 % higher are just tolerated. Nothing will ever prove that either way, and the verdict stays marginal; it says what would be visible by now.
# Give such a watch an end (`max_duration`), and say what undecided metrics mean then (`on_deadline`).

# %%
border = watch(0.0056)
print(border[-1].metrics["failed_payments"].outcome.value, "after", len(border), "minutes")
print(border[-1].explain().split("\n\n")[1])

# %% [markdown]
# ## Does it keep its promise?
#
# Eighty healthy releases, asked after every single minute of the first half hour. At most one in a hundred may fail.

# %%
MINUTES = 30
outcomes = [{look.outcome.value for look in watch(0.004)} for _ in range(80)]
print(
    sum("fail" in each for each in outcomes),
    "of 80 failed;",
    sum("pass" in each for each in outcomes),
    "passed within half an hour",
)
assert sum("fail" in each for each in outcomes) <= 4

# %% [markdown]
# ## What about gauges?
#
# A minute of CPU resembles the minute before ([notebook 03](03_why_mann_whitney_cries_wolf.py)), so there is little news in a single minute. Gauges are
# looked at five times, at planned moments, with the error rate spent over them: little early, most at the end. For that the policy needs an end.

# %%
timed = cj.Policy(
    max_points=60, metrics=[cj.Metric(name="cpu", unit="%", direction="increase", tolerance="10%")]
)
monitor = cj.Monitor(timed)
known = None
for minute in range(60):
    monitor.update(
        {
            "cpu": {
                arm: {"time": [NOON + 60 * minute], "value": [rng.normal(level, 2)]}
                for arm, level in (("baseline", 50), ("canary", 62))
            }
        }
    )
    now = monitor.verdict()
    if now.outcome != known:
        print(f"minute {minute + 1:2}: {now.reason}")
        known = now.outcome

# %% [markdown]
# ## Your turn
#
# 1. How long does a watch take that must find 50 % more errors rather than 150 %? Try `watch(0.0075)` a few times.
# 2. Give the canary a tenth of its traffic. What becomes of the time to a decision, and of the smallest visible regression?
# 3. In a pipeline the same is `canaryjudge monitor --policy P --data NEW --state S.json`: [watching a release](../docs/sequential.md#in-a-pipeline).

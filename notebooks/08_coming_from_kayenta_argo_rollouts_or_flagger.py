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
# # Coming from Kayenta, Argo Rollouts or Flagger
#
# Nobody changes the judge of their releases on a promise. This notebook takes the configuration that you have, asks your present judge and canaryjudge about the *same
# data*, and shows where they differ and who is right. The data is made up, so that here we know.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import canaryjudge as cj
from canaryjudge.compat.argo import replay as replay_argo
from canaryjudge.compat.flagger import replay as replay_flagger
from canaryjudge.compat.kayenta import judge_kayenta

examples = Path("docs/examples") if Path("docs/examples").exists() else Path("../docs/examples")
rng = np.random.default_rng(8)

# %% [markdown]
# ## Kayenta
#
# Kayenta asks the Mann-Whitney test once, at 98 %, and takes each minute as independent. `judge_kayenta` answers like Kayenta's own judge, digit by digit, and
# puts canaryjudge's verdict beside it.


# %%
def config(**analysis):
    """Write a canary config with one metric."""
    return {
        "name": "checkout",
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "metrics": [
            {
                "name": "metric",
                "groups": ["all"],
                "analysisConfigurations": {"canary": {"direction": "increase", **analysis}},
            }
        ],
        "classifier": {"groupWeights": {"all": 100}, "scoreThresholds": {"pass": 90, "marginal": 60}},
    }


def both(control, experiment, **analysis):
    """Ask both judges about one metric; give Kayenta's classification and canaryjudge's outcome."""
    scope = {
        "startTimeIso": "2026-03-04T14:00:00Z",
        "startTimeMillis": 1_772_632_800_000,
        "stepMillis": 60_000,
    }
    pair = {
        "name": "metric",
        "id": "1",
        "tags": {},
        "values": {"control": list(map(float, control)), "experiment": list(map(float, experiment))},
        "scopes": {"control": scope, "experiment": scope},
        "attributes": {"control": {}, "experiment": {}},
    }
    request = {
        "canaryConfig": config(**analysis),
        "scoreThresholds": {"pass": 90, "marginal": 60},
        "metricSetPairList": [pair],
    }
    (result,) = judge_kayenta(request)["results"]
    return result["classification"], result["resultMetadata"]["canaryjudge"]["outcome"]


def healthy(minutes=60, memory=0.9):
    """Make up a quiet hour, whose minutes remember those before."""
    level = np.zeros(minutes + 30)
    for minute in range(1, minutes + 30):
        level[minute] = memory * level[minute - 1] + rng.normal(0, 3)
    return 120 + level[30:]


# %% [markdown]
# ### A hundred healthy hours
#
# Twice the same version, `allowedIncrease: 1.0`, as many configs have it. How often does either of them stop the release?

# %%
answers = [both(healthy(), healthy()) for _ in range(100)]
kayenta = sum(theirs == "High" for theirs, _ in answers)
ours = sum(outcome == "fail" for _, outcome in answers)
print(f"Kayenta: {kayenta} of 100 healthy hours are High; canaryjudge: {ours} fail")
assert kayenta > 10 > ours

# %% [markdown]
# ([Notebook 03](03_why_mann_whitney_cries_wolf.py) explains why.)
#
# ### Errors where there were none
#
# A baseline without a single error, a canary with some in every third minute. By ranks that is not enough to call, at any length, for most minutes tie at zero.

# %%
none, some = np.zeros(60), np.where(np.arange(60) % 3 == 0, 2.0, 0.0)
print("Kayenta:", both(none, some)[0])
errors = cj.Metric(name="errors", kind="count", direction="increase", tolerance="20%")
print(
    "as a count:",
    cj.judge({"errors": {"baseline": none, "canary": some}}, cj.Policy(metrics=[errors])).reason,
)

# %% [markdown]
# The second answer is not a better test of the same thing: it takes errors as what they are, events that are counted. That is the most useful change after an import.
#
# ### Bring the config along

# %%
imported = cj.load_kayenta(examples / "kayenta/canary-config.json")
print(imported.text)
for remark in imported.adapted:
    print(remark)

# %% [markdown]
# ## Argo Rollouts
#
# An AnalysisTemplate compares each measurement with a number: `successCondition: result[0] >= 0.99`, and a few may fail. `replay` gives the phase that Argo Rollouts itself would have
# ended in.

# %%
metric = {
    "name": "success-rate",
    "interval": "1m",
    "count": 30,
    "failureLimit": 3,
    "successCondition": "result[0] >= 0.99",
    "provider": {"prometheus": {"query": "..."}},
}


def success(rate, requests=250, minutes=30):
    """Give the measured share of successes in each minute."""
    return rng.binomial(requests, rate, minutes) / requests


def argo(measured):
    """Say how Argo Rollouts ends."""
    return replay_argo([metric], {"success-rate": [[float(value)] for value in measured]}).phase


policy = cj.load_argo(examples / "argo/checkout.yaml", args={"slowest": "0.5"}).policy(alpha="1%")
held = policy.model_copy(update={"metrics": policy.metrics[:1]})


def ask(measured):
    """Ask canaryjudge by the imported objective, the baseline at 99.8 %."""
    return cj.judge({"success-rate": {"baseline": success(0.998), "canary": measured}}, held)


# %% [markdown]
# ### The same service, minute by minute
#
# 99.4 % of requests succeed, which is more than the 99 % that were asked for. But at 250 requests a minute a single minute is easily below, and 30 minutes are 30
# chances. What becomes of 200 such releases?

# %%
fine = [success(0.994) for _ in range(200)]
theirs = sum(argo(measured) == "Failed" for measured in fine)
ours = [ask(measured).outcome.value for measured in fine[:60]]
print(
    f"Argo Rollouts fails {theirs / 2:.0f} % of them; canaryjudge fails {ours.count('fail')} of the first 60, passes {ours.count('pass')}"
)

# %%
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
shown = next(measured for measured in fine if argo(measured) == "Failed")
ax.plot(shown, marker="o", linewidth=1)
ax.axhline(0.99, color="black", linestyle="--", linewidth=1, label="successCondition")
ax.axhline(shown.mean(), color="#2b6cb0", linewidth=1, label=f"mean of the half hour, {shown.mean():.2%}")
ax.set(xlabel="minute", ylabel="success rate", title="failed by single minutes")
ax.yaxis.set_major_formatter("{x:.1%}")
legend = ax.legend(frameon=False)
print(ask(shown).reason)

# %% [markdown]
# ### Compare with the version beside it
#
# A fixed number cannot see that the old version did better. 99.3 % is above 99 %, and seven times the failures of the version before. As a share of requests, with the
# baseline in the data, that is one rule more:

# %%
requests = np.full(30, 1000)
data = {
    "failures": {
        "baseline": {"value": rng.binomial(9000, 0.001, 30), "total": np.full(30, 9000)},
        "canary": {"value": rng.binomial(requests, 0.007), "total": requests},
    }
}
fixed = cj.Metric(
    name="failures", kind="ratio", direction="increase", rules=[cj.Slo(of="pooled", op="lte", value="1%")]
)
beside = cj.Metric(name="failures", kind="ratio", direction="increase", tolerance="50%", rules=["proportion"])
for name, each in (("a fixed number", fixed), ("the version beside it", beside)):
    print(f"{name}: {cj.judge(data, cj.Policy(metrics=[each])).reason}")

# %% [markdown]
# ## Flagger
#
# Flagger counts failed checks over the whole release and never takes one back: with `threshold: 5`, the fifth rolls back. Here
# 99.75 % of the requests succeed, minute for minute, and a check asks for 99 %. A long release gets there by patience alone.

# %%
metrics = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
for minutes in (10, 60, 240):
    runs = [
        replay_flagger(
            {"threshold": 5, "iterations": minutes, "metrics": metrics},
            [{"request-success-rate": 100 * float(rate)} for rate in success(0.9975, minutes=minutes)],
            canary="checkout.shop",
        )
        for _ in range(40)
    ]
    print(
        f"{minutes:4} minutes: {sum(run.phase == 'Failed' for run in runs)} of 40 healthy releases roll back"
    )

# %%
found = cj.load_flagger(examples / "flagger/checkout.yaml")
print([(each.name, each.kind) for each in found.policy().metrics])

# %% [markdown]
# The import asks for the primary beside the canary, which Flagger has running anyway and never asks.
#
# ## How to go over
#
# 1. Import what you have: `canaryjudge import kayenta|argo|flagger FILE > policy.yaml`, and read what it says on standard error.
# 2. Judge beside your present judge, without a say: `--exit fail=0 --exit marginal=0`, and keep the JSON.
# 3. After some weeks, look at the releases on which the two differ. Who was right?
# 4. Write the tolerances that you would ship, `kind: ratio` where there are events, and let it decide.
#
# ## Your turn
#
# 1. Find a release that was rolled back last month and should not have been. Export its metrics, and do step 2 with them.
# 2. Give the hundred healthy hours `effectSize={"allowedIncrease": 1.1}`. How many wolves are left, and what does Kayenta no longer find?
# 3. The pages: [Kayenta](../docs/kayenta.md), [Argo Rollouts](../docs/argo.md), [Flagger](../docs/flagger.md), and how closely they are followed:
#    [conformance](../docs/conformance.md).

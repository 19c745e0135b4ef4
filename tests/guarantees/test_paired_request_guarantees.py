"""Rules about paired requests keep their error rates at the very edge of what is tolerated, and find what they are for."""

import numpy as np
import pytest
from judging import judge_all_by
from simulation import ar1, assert_rate_at_most, sizes

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.mcnemar import McNemar
from canaryjudge.rules.signed_rank import SignedRank
from canaryjudge.stats.signed_rank import signed_rank_test

RATES = ErrorRates(0.01, 0.05)
LATENCY = cj.Metric(name="m", kind="pairs", direction="increase", tolerance="5%", pass_within="tolerance")
MISMATCH = cj.Metric(
    name="m",
    kind="paired_ratio",
    direction="increase",
    tolerance={"absolute": 0.002},
    pass_within="tolerance",
)


def outcomes(metric, rule, baseline, canary):
    pairs = []
    for b, c in zip(baseline, canary, strict=True):
        total = np.ones(len(b)) if metric is MISMATCH else None
        pairs.append(MetricPair("m", metric.kind, Arm(b, total), Arm(c, total), "concurrent"))
    found = [finding.outcome for finding in judge_all_by(pairs, metric, rule, RATES)]
    return found.count("fail"), found.count("pass")


def requests(rng, runs, n, rho, shape, change):
    """Answers that both arms give equally late but for the change, whether a request is slow or fast, and whatever the shape of the noise."""
    slow = rng.lognormal(4, 0.8, (runs, n))
    noise = ar1(rng, 2 * runs, n, rho)
    noise = np.exp(0.1 * (np.expm1(0.8 * noise) if shape == "skewed" else noise))
    return slow * noise[:runs], (1 + change) * slow * noise[runs:]


@sizes(0.01, 5000)
@pytest.mark.parametrize("shape", ["symmetric", "skewed"])
@pytest.mark.parametrize(
    ("n", "rho"),
    [(50, 0.5), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((50, 0.0), (300, 0.8)))],
)
def test_latency_keeps_alpha_and_beta(n, rho, shape, runs):
    failed, passed = outcomes(
        LATENCY, SignedRank(), *requests(np.random.default_rng(n), runs, n, rho, shape, 0.05)
    )
    assert_rate_at_most(failed, runs, 0.01)
    assert_rate_at_most(passed, runs, 0.05)


def flags(rng, runs, n, baseline, canary, burst):
    """Draw what is so or not of each request, in bursts of so many requests."""
    return [
        np.repeat(rng.random((runs, n // burst)) < share, burst, axis=1).astype(float)
        for share in (baseline, canary)
    ]


@sizes(0.01, 5000)
@pytest.mark.parametrize(
    ("share", "burst"),
    [
        (0.005, 5),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((0.0, 1), (0.005, 1), (0.05, 1))),
    ],
)
def test_shares_keep_alpha_and_beta(share, burst, runs):
    arms = flags(np.random.default_rng(7), runs, 10_000, share, share + 0.002, burst)
    failed, passed = outcomes(MISMATCH, McNemar(), *arms)
    assert_rate_at_most(failed, runs, 0.01)
    assert_rate_at_most(passed, runs, 0.05)


@pytest.mark.parametrize("real", [False, True])
def test_shadow_traffic_with_noisy_fields(real):
    """Of 10,000 requests 2 % differ in noisy fields, between two baselines as well; .5 % of mismatches in the other fields are found."""
    rng = np.random.default_rng(11)
    policy = cj.Policy(
        metrics=[
            cj.Metric(name=name, kind="paired_ratio", direction="increase") for name in ("mismatch", "noisy")
        ]
    )
    runs, found = 40, []
    for _ in range(runs):
        columns = {
            "noisy": [rng.random(10_000) < 0.02 for _ in range(2)],
            "mismatch": [np.zeros(10_000), rng.random(10_000) < (0.005 if real else 0.0)],
        }
        data = {
            name: {
                arm: {"request": np.arange(10_000), "value": values.astype(float)}
                for arm, values in zip(("baseline", "canary"), arms, strict=True)
            }
            for name, arms in columns.items()
        }
        found.append(cj.judge(data, policy).outcome)
    wanted = "fail" if real else "pass"
    assert_rate_at_most(runs - found.count(wanted), runs, 0.05)


def test_a_shift_is_found_with_a_tenth_of_the_requests_that_other_requests_take():
    """Of 5 % where requests vary by 60 % and answers to the same one by 10 %: 200 pairs do what 2,000 requests an arm do not."""
    rng = np.random.default_rng(3)
    runs = 100
    pairs = requests(rng, runs, 200, 0.0, "symmetric", 0.05)
    found = sum(
        signed_rank_test(c - b, [0.0], units=b).pvalue_greater[0] <= 0.01 for b, c in zip(*pairs, strict=True)
    )
    metric = cj.Metric(
        name="m", kind="samples", direction="increase", tolerance={"relative": 0.0, "absolute": 0.0}
    )
    others = [
        MetricPair("m", "samples", Arm(rng.lognormal(4, 0.8, 2000)), Arm(1.05 * rng.lognormal(4, 0.8, 2000)))
        for _ in range(runs)
    ]
    unpaired = [one.outcome for one in judge_all_by(others, metric, cj.MannWhitney(), RATES)].count("fail")
    assert found > 0.8 * runs
    assert unpaired < 0.6 * runs

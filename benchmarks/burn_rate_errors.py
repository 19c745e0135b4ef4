"""How often the rule burn_rate is wrong about a canary that burns exactly as fast as its only alert allows: python benchmarks/burn_rate_errors.py."""

import argparse

import numpy as np

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.rules import ErrorRates, judge_pair

RATES = ErrorRates(level=0.05, beta=0.05)
FACTOR, MINUTES = 14.4, 60


def bursty(
    rng: np.random.Generator, n: int, share: float, dispersion: float, size: tuple[int, int]
) -> np.ndarray:
    """Draw beta-binomial counts whose variance is `dispersion` times the binomial one."""
    if dispersion == 1:
        return rng.binomial(n, share, size)
    strength = (n - dispersion) / (dispersion - 1)
    return rng.binomial(n, rng.beta(share * strength, (1 - share) * strength, size))


def wrong(target: float, requests: int, dispersion: float, runs: int) -> tuple[float, float, float]:
    """Give the shares of runs that fail, that pass, and that pass without a waiver."""
    rule = cj.BurnRate(target=target, alerts=[{"long": "1h", "short": "5m", "burn_rate": FACTOR}])
    metric = cj.Metric(name="m", kind="ratio", direction="increase", rules=[rule])
    time, each = 60.0 * np.arange(MINUTES), requests // MINUTES
    totals = np.full(MINUTES, float(each))
    rng = np.random.default_rng(20260510)
    events = bursty(rng, each, FACTOR * (1 - target), dispersion, (runs, MINUTES)).astype(float)
    fine = Arm(np.zeros(MINUTES), totals, time)
    pairs = (MetricPair("m", "ratio", fine, Arm(run, totals, time), "concurrent", 60.0) for run in events)
    found = [judge_pair(row_of(pair, metric, RATES), rule.in_unit_of(metric)) for pair in pairs]
    fails = sum(finding.outcome == "fail" for finding in found)
    passes = [finding.waived for finding in found if finding.outcome == "pass"]
    return fails / runs, len(passes) / runs, passes.count(()) / runs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    print(
        "| target | requests | dispersion | wrong fails | wrong passes | of them not waived |\n|---|---|---|---|---|---|"
    )
    for target in (0.99, 0.999, 0.9999):
        for requests in (3_000, 30_000, 1_000_000):
            for dispersion in (1.0, 3.0):
                rates = " | ".join(
                    f"{100 * rate:.1f} %" for rate in wrong(target, requests, dispersion, runs)
                )
                print(f"| {100 * target:g} % | {requests:,} | {dispersion:g} | {rates} |", flush=True)

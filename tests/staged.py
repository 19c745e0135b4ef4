"""Rollouts of many gauges at once: the engine, asked as `Rollout` asks it. That they agree is tested beside the guarantees.

A point a minute; stages of twelve minutes, so that looks see 3, 5, 8, 10 and 13 points of a stage.
"""

import numpy as np
from simulation import ar1
from watches import LOOKS, nominal

import canaryjudge as cj
from canaryjudge.data import Series
from canaryjudge.patterns.staged_release import StagedRelease
from canaryjudge.rules import answered
from canaryjudge.rules.sequential.planned_looks import _CAUTION, _FEWEST_EFFECTIVE
from canaryjudge.stats.paired_shift import FEWEST_FOR_GROSS_HARM, paired_test

SHARES = (0.01, 0.05, 0.25, 0.5)
MINUTES = 12
NEEDED = 10
TOLERANCE = 0.1
ALPHA, BETA = 0.01, 0.05
LAST = 80
"""Minutes after which nothing is looked at any more."""


def policy_of(metrics, within, alpha=ALPHA):
    """The policy that the engine plays."""
    return cj.Policy(
        alpha=alpha,
        beta=BETA,
        metrics=[
            cj.Metric(
                name=f"m{number}",
                direction="increase",
                pass_within={"relative": within},
                assumed_spread=0,
                rules=[cj.Sequential()],
            )
            for number in range(metrics)
        ],
        stages=[cj.Stage(canary=share, max_duration=f"{MINUTES}m") for share in SHARES],
    )


def bounds_of(within):
    """What each stage excludes."""
    return [max(within, min(1.0, within * (SHARES[-1] / share) ** 0.5)) for share in SHARES]


def looks_of(minutes):
    """Points of each look within so many minutes, and how many points there are when it is due."""
    parts = [look / LOOKS * minutes for look in range(1, LOOKS + 1)]
    return [int(part + 1e-6) + 1 for part in parts], [int(np.ceil(part - 1e-6)) + 1 for part in parts]


def watch(baseline, canary, sizes, rates, bound, *, by_estimate, stage=False):
    """Look at gauges, one a row, of a stage or of the whole; give which failed by each look, and which pass as it stands."""
    failed, passes, taken, safe = (np.zeros((len(baseline), LOOKS), dtype=bool) for _ in range(4))
    for look, size in enumerate(sizes):
        if look:
            failed[:, look], passes[:, look] = failed[:, look - 1], passes[:, look - 1]
        if size < FEWEST_FOR_GROSS_HARM:
            continue
        code = np.concatenate([taken, safe], axis=1) @ (1 << np.arange(2 * LOOKS))
        for one in np.unique(code):
            part = np.flatnonzero((code == one) & ~failed[:, look])
            if not len(part):
                continue
            level = nominal(taken[part[0]], look + 1, rates[0])
            beta = nominal(safe[part[0]], look + 1, rates[1], "power" if stage else "obrien_fleming")
            arms = baseline[part, :size], canary[part, :size]
            test = paired_test(*arms, [TOLERANCE, bound], effect="relative", levels=[level, beta], wary=stage)
            cautious = size * (1 - test.rho) / (1 + test.rho) < _FEWEST_EFFECTIVE if size >= NEEDED else False
            caution = np.where(cautious, _CAUTION, 1.0)
            worse = caution * test.pvalue_greater[:, 0] <= level
            better = (test.pvalue_less[:, 1] <= beta) & ~test.abstains
            better &= (
                test.pvalue_greater[:, 0] > level
            )  # what would fail without the caution does not pass with it
            if by_estimate:
                better &= test.estimate <= TOLERANCE
            failed[part, look] = worse
            passes[part, look] = better & ~worse & (size >= NEEDED)
            taken[part, look] = worse | ~test.abstains | (size < NEEDED)
            safe[part, look] = taken[part, look] & ~(stage and size < NEEDED)
    return failed, passes


def play(
    rng, runs, metrics=5, *, within=0.2, noise=0.05, rho=0.0, fault=None, size=0.5, alpha=ALPHA, keep=None
):
    """Play rollouts, of which the first metric is worse from a stage on; give what became of them, the last minute, and the stage at the end.

    The number of stages is that of those left. `keep` takes the noise, of shape (runs, metrics, arms, minutes).
    """
    series = 100 * (1 + noise * ar1(rng, runs * metrics * 2, LAST, rho).reshape(runs, metrics, 2, LAST))
    if keep is not None:
        keep.append(series)
    sizes, due = looks_of(MINUTES)
    rates = alpha / (2 * len(SHARES) * metrics), BETA
    start, stage = np.zeros(runs, dtype=int), np.zeros(runs, dtype=int)
    rolled_back = np.full(runs, LAST)
    harmed = np.full(runs, LAST)
    last_stage = np.zeros((runs, LAST), dtype=bool)
    for number, bound in enumerate(bounds_of(within)):
        on = np.flatnonzero((stage == number) & (rolled_back == LAST))
        if not len(on):
            break
        if fault is not None and number == fault:
            harmed[on] = start[on]
        window = start[on][:, None] + np.arange(sizes[-1])
        own = np.take_along_axis(series[on], window[:, None, None, :].clip(max=LAST - 1), axis=3).copy()
        if fault is not None and number >= fault:
            own[:, 0, 1] *= 1 + size
        flat = own.reshape(-1, 2, sizes[-1])
        by_estimate = number == len(SHARES) - 1 and bound > TOLERANCE
        found = watch(flat[:, 0], flat[:, 1], sizes, rates, bound, by_estimate=by_estimate, stage=True)
        fails, passes = (each.reshape(len(on), metrics, LOOKS) for each in found)
        fails, passes = fails.any(axis=1), passes.all(axis=1)
        for place, run in enumerate(on):
            fail = int(fails[place].argmax()) if fails[place].any() else LOOKS
            good = int(passes[place].argmax()) if passes[place].any() else LOOKS
            if number == len(SHARES) - 1:
                for look in range(LOOKS):
                    until = due[look + 1] if look + 1 < LOOKS else LAST
                    minutes = start[run] + np.arange(due[look] - 1, until - 1)
                    last_stage[run, minutes[minutes < LAST]] = passes[place, look] and look < fail
                good = LOOKS
            if fail < good:
                rolled_back[run] = start[run] + due[fail] - 1
            elif good < LOOKS:
                start[run], stage[run] = start[run] + due[good], number + 1
    return _with_the_whole(
        series, (start, stage, rolled_back, harmed, last_stage), within, size, alpha / (2 * metrics)
    )


def _with_the_whole(series, found, within, size, level):
    """Join what the watch over all stages says."""
    start, stage, rolled_back, harmed, last_stage = found
    runs, metrics = series.shape[:2]
    sizes, due = looks_of(MINUTES * len(SHARES))
    whole = series.copy()
    whole[:, 0, 1] *= np.where(np.arange(LAST) >= harmed[:, None], 1 + size, 1.0)
    flat = whole.reshape(-1, 2, LAST)
    looked = watch(flat[:, 0], flat[:, 1], sizes, (level, BETA), within, by_estimate=within > TOLERANCE)
    fails, passes = (each.reshape(runs, metrics, LOOKS) for each in looked)
    fails, passes = fails.any(axis=1), passes.all(axis=1)
    for look in range(LOOKS):
        late = fails[:, look] & (rolled_back > due[look] - 1)
        rolled_back[late] = due[look] - 1
    passing = np.zeros((runs, LAST), dtype=bool)
    for look in range(LOOKS):
        until = due[look + 1] if look + 1 < LOOKS else LAST
        passing[:, due[look] - 1 : until - 1] = passes[:, look, None]
    both = passing & last_stage
    complete = np.where(both.any(axis=1), both.argmax(axis=1), LAST)
    by_deadline = complete <= start + MINUTES
    became = np.where(complete < rolled_back, "complete", np.where(rolled_back < LAST, "rollback", "hold"))
    ended = np.minimum(complete, rolled_back)
    # a rollback by the whole may come before a stage was left
    return became, ended, stage, by_deadline & (became == "complete")


def left_with_harm(runs, seed, stage, rho, noise=0.05):
    """Stages that are left though the canary is worse by all of the stage's bound."""
    bound, (sizes, _) = bounds_of(0.2)[stage], looks_of(MINUTES)
    arms = 100 * (1 + noise * ar1(np.random.default_rng(seed), runs * 2, sizes[-1], rho).reshape(runs, 2, -1))
    rates = ALPHA / (2 * len(SHARES)), BETA
    _, passes = watch(
        arms[:, 0], (1 + bound) * arms[:, 1], sizes, rates, bound, by_estimate=False, stage=True
    )
    return int(passes.any(axis=1).sum())


def errors_of(rate, requests=20_000, share=0.01, times=5.0):
    """Policy and data of errors at 1 % of the traffic, five times as many in the canary."""
    metric = cj.Metric(name="errors", kind="ratio", direction="increase", dispersion=1, interval="60s")
    stages = [cj.Stage(canary=part, max_duration="1h") for part in SHARES]
    totals = np.array([(1 - share) * requests, share * requests])
    return cj.Policy(metrics=[metric], stages=stages), totals, rate * np.array([1.0, times])


def minutes_to_stop(runs, seed, rate, most):
    """Minutes until errors at 1 % of the traffic are stopped, by the package; `most + 1` where they are not by then."""
    policy, totals, rates = errors_of(rate)
    rng, zones = np.random.default_rng(seed), frozenset({"UTC"})
    releases = [StagedRelease(policy, ("baseline", "canary")) for _ in range(runs)]
    ended = np.full(runs, most + 1)
    for minute in range(most):
        asked = []
        on = [run for run in range(runs) if not releases[run].ended]
        for run in on:
            points = tuple(
                Series(
                    arm,
                    np.array([float(rng.binomial(int(total), rate_of_arm))]),
                    np.array([total]),
                    np.array([60.0 * minute]),
                    zones,
                    start=60.0 * minute,
                    end=60.0 * minute,
                )
                for arm, total, rate_of_arm in zip(("baseline", "canary"), totals, rates, strict=True)
            )
            asked += releases[run].taking({"errors": points}, {})
        answered(asked)
        for run in on:
            releases[run].decide()
            if releases[run].action == "rollback":
                ended[run] = minute + 1
    return ended

"""How far from the possible the verdicts are: what the best of many statistics, and a classifier trained on the labels, get from the same cases.

    python benchmarks/verdict_bounds.py --corpus FOLDER

Each statistic of `evidence` ranks the cases by how much worse the canary looks. Its threshold is set with the labels in hand, so that 1.5 % of
the healthy cases lie beyond it: no judge may do that, so that what is found then is more than the same statistic can find with a level
that it knows beforehand. The other way round, its pass is drawn where 5 % of the shifts of 10 %, the tolerance itself, pass: what is left between
both thresholds is marginal, whoever judges. The classifiers see all statistics at once and learn from the labels themselves, cross-validated
over cases drawn at random, and over sources that they have not seen (``pip install scikit-learn``; left out, saying so, where it is missing).

"Power" is what a test gets that knows each case's true noise: the standard error of the shift, by the long-run variance of the rank test, and nothing that
drifts or differs between windows. It fails where that standard error leaves no doubt at 1.5 %, and passes where it leaves none at 5 %.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from corpus import Case, load_cases
from numpy.typing import NDArray
from scipy import stats
from tables import grid

from canaryjudge.stats.rank_test import shift_test

FloatArray = NDArray[np.float64]

_FALSE_FAILS, _WRONG_PASSES = 0.015, 0.05
_TOLERANCE = 0.1
_FEWEST = 10
_FOUND = ("shift25", "shift50", "tail2x", "fault")
_AT_TOLERANCE = "shift10"
_FOLDS = 5


def evidence(baseline: FloatArray, canary: FloatArray) -> dict[str, float]:
    """Say in many ways how much higher the canary is: its level, its spread, its tail, its shape, its bursts and its end.

    Parameters
    ----------
    baseline, canary : ndarray, shapes (n,) and (m,)
        Finite points in order of time.

    Returns
    -------
    dict of str to float
        A number a statistic; larger is worse.
    """
    median = float(np.median(baseline))
    unit = abs(median) or float(np.abs(baseline).mean()) or 1.0
    noise = (stats.median_abs_deviation(baseline) * 1.4826 or baseline.std() or 1e-9 * unit) + 1e-3 * unit
    low, middle, high = np.quantile(baseline, [0.1, 0.5, 0.9])
    of_low, of_middle, of_high = np.quantile(canary, [0.1, 0.5, 0.9])
    half = len(canary) // 2
    test = shift_test(baseline, canary, [_TOLERANCE * unit], levels=[0.01])
    plain = stats.mannwhitneyu(canary, baseline)
    size = len(baseline) * len(canary)
    aligned = canary - np.median(canary) + median
    return {
        "change of the median": (of_middle - middle) / unit,
        "change of the mean": (canary.mean() - baseline.mean()) / unit,
        "change of the median, in the baseline's spread": (of_middle - middle) / noise,
        "Welch's t": float(np.nan_to_num(stats.ttest_ind(canary, baseline, equal_var=False).statistic)),
        "Mann-Whitney's z": (plain.statistic - size / 2) / np.sqrt(size * (len(baseline) + len(canary) + 1) / 12),
        "rank test in use, at the tolerance": float(np.ravel(test.statistic)[0]),
        "change of the 90 % quantile": (of_high - high) / unit,
        "change of the maximum, in the baseline's spread": (canary.max() - baseline.max()) / noise,
        "third largest over the maximum": (np.sort(canary)[-min(3, len(canary))] - baseline.max()) / noise,
        "spread (10 to 90 %) over the baseline's": (of_high - of_low) / (high - low + 1e-3 * unit),
        "standard deviation over the baseline's": canary.std() / (baseline.std() + 1e-3 * unit),
        "Kolmogorov-Smirnov distance": float(stats.ks_2samp(baseline, canary, alternative="greater").statistic),
        "distance once the levels agree": float(stats.ks_2samp(baseline, aligned).statistic),
        "points beyond the baseline's maximum": float((canary > baseline.max()).mean()),
        "change of the last half": (np.median(canary[half:]) - middle) / unit,
        "change of the last quarter": (np.median(canary[-max(1, half // 2) :]) - middle) / unit,
    }  # fmt: skip


def of_case(case: Case) -> dict[str, float]:
    """Give the statistics in the case's bad direction; the larger ones of both where either is bad."""
    baseline, canary = (arm[np.isfinite(arm).all(axis=1)][:, 0] for arm in (case.baseline, case.canary))
    signs = {"increase": (1,), "decrease": (-1,), "either": (1, -1)}[case.bad_direction]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # constant arms
        found = [evidence(sign * baseline, sign * canary) for sign in signs]
        error = _standard_error(baseline, canary)
    worst = {name: float(np.nan_to_num(max(each[name] for each in found))) for name in found[0]}
    return worst | {"standard error": error}


def _standard_error(baseline: FloatArray, canary: FloatArray) -> float:
    """Give that of the shift, as a share of the baseline's median."""
    test = shift_test(baseline, canary, [0.0], levels=[0.05])
    level = abs(float(np.median(baseline)))
    return float(np.ravel(test.standard_error)[0]) / level if level else np.inf


def shares(scores: dict[str, FloatArray]) -> list[float]:
    """Give what a ranking finds of each effect, what it passes of the healthy, and what is left between, in percent."""
    limit = np.quantile(scores["none"], 1 - _FALSE_FAILS)
    passing = np.quantile(scores[_AT_TOLERANCE], _WRONG_PASSES)
    passed = (scores["none"] < min(passing, limit)).mean()
    found = [(scores[effect] > limit).mean() for effect in _FOUND]
    return [100 * float(share) for share in (*found, passed, 1 - passed - _FALSE_FAILS)]


def power(errors: dict[str, FloatArray]) -> list[float]:
    """Give what a test finds and passes that knows the noise of each case, which nothing but that noise disturbs."""
    fails, passes = stats.norm.isf(_FALSE_FAILS), stats.norm.isf(_WRONG_PASSES)
    errors = {effect: np.maximum(each, 1e-12) for effect, each in errors.items()}
    found: list[float] = []
    for effect, size in (("shift25", 0.25), ("shift50", 0.5)):
        found.append(float(stats.norm.cdf((size - _TOLERANCE) / errors[effect] - fails).mean()))
    passed = float(stats.norm.cdf(_TOLERANCE / errors["none"] - passes).mean())
    failed = float(stats.norm.cdf(-_TOLERANCE / errors["none"] - fails).mean())
    return [100 * share for share in (*found, np.nan, np.nan, passed, 1 - passed - failed)]


def learned(table: FloatArray, labels: Sequence[str], sources: Sequence[str]) -> dict[str, list[float]]:
    """Train a classifier for each effect against the healthy, and give what it finds of what it was not trained on."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - not everybody has it
    from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict  # noqa: PLC0415

    effects, groups = np.array(labels), np.array(sources)
    rows: dict[str, list[float]] = {}
    for name, folds in (
        ("cases drawn at random", StratifiedKFold(_FOLDS, shuffle=True, random_state=0)),
        ("other sources", GroupKFold(_FOLDS)),
    ):
        scores = {}
        for effect in (*_FOUND, _AT_TOLERANCE):
            chosen = np.isin(effects, ["none", effect])
            guess = cross_val_predict(
                HistGradientBoostingClassifier(random_state=0),
                table[chosen],
                effects[chosen] == effect,
                groups=groups[chosen] if name == "other sources" else None,
                cv=folds,
                method="predict_proba",
            )[:, 1]
            scores[effect] = guess[effects[chosen] == "none"], guess[effects[chosen] == effect]
        found = [
            float((ill > np.quantile(healthy, 1 - _FALSE_FAILS)).mean())
            for healthy, ill in (scores[effect] for effect in _FOUND)
        ]
        healthy, at_tolerance = scores[_AT_TOLERANCE]
        passed = float((healthy < np.quantile(at_tolerance, _WRONG_PASSES)).mean())
        rows[f"trained on {name}"] = [100 * share for share in (*found, passed, 1 - passed - _FALSE_FAILS)]
    return rows


def bounds(cases: Sequence[Case]) -> tuple[str, list[str], list[list[str]], list[str]]:
    """Give the table of all rankings: what it is of, its heads, its rows, and notes."""
    cases = [
        case
        for case in cases
        if case.kind == "gauge" and np.isfinite(case.canary).all(axis=1).sum() >= _FEWEST
    ]
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(of_case, cases, chunksize=32))
    labels = [case.effect for case in cases]
    effects = {
        effect: np.array([label == effect for label in labels]) for effect in ("none", _AT_TOLERANCE, *_FOUND)
    }
    names = [name for name in rows[0] if name != "standard error"]
    table = np.array([[row[name] for name in names] for row in rows])
    errors = np.array([row["standard error"] for row in rows])
    results: dict[str, list[float]] = {
        name: shares({effect: column[where] for effect, where in effects.items()})
        for name, column in zip(names, table.T, strict=True)
    }
    results["power, were the noise known and nothing else"] = power(
        {effect: errors[where] for effect, where in effects.items()}
    )
    notes = []
    if importlib.util.find_spec("sklearn"):
        results |= learned(table, labels, [case.source for case in cases])
    else:
        notes.append("No classifier was trained: pip install scikit-learn")
    sizes = ", ".join(f"{effect} {int(where.sum())}" for effect, where in effects.items())
    title = f"Percent of cases, thresholds set with the labels in hand: 1.5 % of the healthy fail, 5 % of the shifts of 10 % pass ({sizes})"
    heads = ["ranked by", "+25 %", "+50 %", "doubled tail", "faults", "healthy passed", "healthy left"]
    return (
        title,
        heads,
        [[name, *(_cell(share) for share in found)] for name, found in results.items()],
        notes,
    )


def main() -> int:
    """Print the table; 2 where there is nothing to judge."""
    parser = argparse.ArgumentParser(description="How far from the possible the verdicts are.")
    parser.add_argument("--corpus", required=True, type=Path, metavar="FOLDER")
    options = parser.parse_args()
    cases = load_cases(options.corpus, ("aa", "ab", "abinj"))[0] if options.corpus.is_dir() else []
    if not cases:
        print(f"{options.corpus}: there are no cases of aa, ab and abinj", file=sys.stderr)
        return 2
    print(grid(*bounds(cases)))
    return 0


def _cell(share: Any) -> str:
    return "" if np.isnan(share) else f"{share:.1f}"


if __name__ == "__main__":
    sys.exit(main())

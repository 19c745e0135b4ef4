"""Kayenta's unit tests, and what its judge answered on the JVM to generated pairs and requests."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import ndtri

from canaryjudge.compat.kayenta import classifier as metrics
from canaryjudge.compat.kayenta import judge_kayenta
from canaryjudge.compat.kayenta.classifier import SEED, JavaRandom
from canaryjudge.compat.kayenta.interval import RankScore, Z, shift_interval
from canaryjudge.compat.kayenta.scores import Labeled, score
from canaryjudge.errors import CanaryJudgeError
from canaryjudge.integrations.kayenta.config import MISSING, MetricOptions, lookup
from conformance_cases.frame import Case, read_cases

__all__ = ["cases"]

_RELATIVE = 1e-9
"""Within which intervals agree; labels, reasons, scores and statistics agree exactly."""
_MIX = "Kayenta pairs metric sets before its judge is asked, which gets pairs"
_OUTSIDE = {
    "analysis_window": "the windows of repeated analyses are the caller's, not the judge's",
    "aggregate_judgement": "the verdict over repeated analyses is the caller's; a Monitor has one that holds at all looks",
    "metric_set_mix": _MIX,
    "metric_set_mix_one_error": _MIX,
    "classify_mean_inequality": "a classifier of Kayenta's benchmarks, which no judge uses",
    "effect_size_cohenD": "Cohen's d is in Kayenta's code, and no judge uses it",
}
_KSIGMA = "the k-sigma detector is in Kayenta's code, and no judge uses it"


def cases() -> Iterator[Case]:
    """Give every case with its outcome."""
    for case in read_cases("kayenta.json"):
        kind, name = case["kind"], case["name"]
        why = _OUTSIDE.get(kind) or (_KSIGMA if case.get("options", {}).get("detector") == "ksigma" else "")
        yield Case(f"unit tests: {kind}", name, not why and _CHECKS[kind](case), why)
    for case in read_cases("kayenta_golden_metric.jsonl"):
        yield Case("metric pairs judged on the JVM", case["id"], _metric(case))
    for case in read_cases("kayenta_user_reported.json"):
        yield Case("pairs that users reported, judged on the JVM", case["name"], _metric(case))
    for case in read_cases("kayenta_golden_judge.jsonl"):
        yield Case("whole requests judged on the JVM", case["id"], _request(case))


def _points(values: list[Any]) -> np.ndarray:
    return np.array([float(value) for value in values])


def _options(given: dict[str, Any]) -> MetricOptions:
    cles = given.get("measure") == "cles"
    default = 0.5 if cles else 1.0
    return MetricOptions(
        direction=given.get("direction", "either"),
        replace_missing=given.get("nanStrategy") == "replace",
        outlier_factor=given.get("outlierFactor", 3.0) if given.get("outliers") == "remove" else None,
        critical=given.get("critical", False),
        must_have_data=given.get("mustHaveData", False),
        cles=cles,
        allowed_increase=given.get("allowedIncrease", default),
        allowed_decrease=given.get("allowedDecrease", default),
        critical_increase=given.get("criticalIncrease", default),
        critical_decrease=given.get("criticalDecrease", default),
    )


def _z(level: float) -> float:
    return Z if level == 0.98 else float(-ndtri((1 - level) / 2))


def _comparison(options: dict[str, Any]) -> metrics.ShiftTest:
    return metrics.ShiftTest(options.get("tolerance", 0.25), _z(options.get("confLevel", 0.98)))


def _arms(case: dict[str, Any], options: MetricOptions) -> tuple[np.ndarray, np.ndarray]:
    control, experiment = (
        metrics.transformed(_points(case[side]), options) for side in ("control", "experiment")
    )
    return control, experiment


def _same(found: float | None, expected: Any, absolute: float = 0.0, relative: float = 0.0) -> bool:
    if found is None or expected is None:
        return found is expected
    wanted = float(expected)
    both_nan = math.isnan(found) and math.isnan(wanted)
    return both_nan or found == wanted or abs(found - wanted) <= max(absolute, relative * abs(wanted))


def _metric(case: dict[str, Any]) -> bool:
    told, expected = case["options"], case["kayenta"]
    options = _options(told)
    control, experiment = _arms(case, options)
    found = metrics.classify(
        "metric", (control, experiment), options, _comparison(told), told.get("seed", SEED)
    )
    good = found.label == expected["classification"]
    for side, values in (("controlStats", control), ("experimentStats", experiment)):
        stats = metrics.statistics(values)
        good &= all(_same(stats[name], expected[side][name]) for name in expected[side])
    if found.label == "Error":
        return good
    good &= (found.reason, found.critical) == (expected["reason"], expected["critical"])
    good &= _same(found.ratio, expected["deviation"])
    if found.interval is None:
        return good
    ends = [(getattr(found.interval, name), expected[name]) for name in ("lower", "upper", "estimate")]
    return (
        good
        and _same(found.effect, expected["effectSize"])
        and all(_same(*end, relative=_RELATIVE) for end in ends)
    )


def _request(case: dict[str, Any]) -> bool:
    request = {key: case[key] for key in ("canaryConfig", "scoreThresholds", "metricSetPairList")}
    expected = case["kayenta"]
    try:
        answer = judge_kayenta(request)
    except CanaryJudgeError:
        return "fatal" in expected
    return "fatal" not in expected and _plain(answer) == _plain(expected)


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Leave out what canaryjudge adds, and the order of the groups, which Kayenta does not promise."""
    plain: dict[str, Any] = json.loads(json.dumps(answer, allow_nan=False))
    plain.pop("resultMetadata", None)
    for result in plain["results"]:
        result.get("resultMetadata", {}).pop("canaryjudge", None)
        if not result.get("resultMetadata"):
            result.pop("resultMetadata", None)
    plain["groupScores"].sort(key=lambda group: group["name"])
    return plain


def _classified(case: dict[str, Any]) -> bool:
    told, expected = case["options"], case["expected"]
    options = _options(told)
    found = metrics.classify(told["name"], _arms(case, options), options, _comparison(told))
    good = found.label == expected.get("classification", found.label)
    good &= found.critical == expected.get("critical", found.critical)
    good &= "deviation" not in expected or _same(found.ratio, expected["deviation"])
    return good and (not expected.get("reason_nonempty") or bool(found.reason))


def _interval(case: dict[str, Any]) -> bool:
    found = shift_interval(_points(case["y"]), _points(case["x"]), _z(case["confLevel"]))
    expected, within = case["expected"], case["tolerance"]
    return all(_same(getattr(found, name), expected[name], within[name]) for name in expected)


def _intermediate(case: dict[str, Any]) -> bool:
    control, experiment, z = _points(case["y"]), _points(case["x"]), _z(case["confLevel"])
    at = RankScore(control, experiment)
    low, high = at.ends
    interval = shift_interval(control, experiment, z)
    found = {
        "rMumin": low,
        "rMumax": high,
        "rZqLower": z,
        "rZqUpper": -z,
        "rFlower1": at(low) - z,
        "rFupper1": at(high) - z,
        "rFlower2": at(low) + z,
        "rFupper2": at(high) + z,
        "rCil": interval.lower,
        "rCiu": interval.upper,
        "rEst": interval.estimate,
    }
    return all(_same(found[name], value, case["tolerance"]) for name, value in case["expected"].items())


def _scored(case: dict[str, Any]) -> bool:
    results = [
        Labeled(each["classification"], None, each["critical"], tuple(each["groups"]))
        for each in case["results"]
    ]
    found, expected = score(results, case["groupWeights"]), case["expected"]
    shown = list(found.groups.values())
    good = found.score == expected["summaryScore"]
    good &= "groupScores_first" not in expected or shown[0] == expected["groupScores_first"]
    return good and ("groupScores_sorted" not in expected or sorted(shown) == expected["groupScores_sorted"])


def _looked_up(case: dict[str, Any]) -> bool:
    found, expected = lookup(case["data"], case["path"]), case["expected"]
    return found == expected["value"] if expected["found"] else found is MISSING


def _outliers(case: dict[str, Any]) -> bool:
    values, expected = _points(case["data"]), case["expected"]
    low, high = metrics.iqr_fences(values, case["options"]["factor"])
    mask = (values > high) | (values < low)
    return (
        mask.tolist() == expected["outlier_mask"]
        if "outlier_mask" in expected
        else values[~mask].tolist() == expected["values"]
    )


def _cleaned(case: dict[str, Any]) -> bool:
    options = MetricOptions(replace_missing=case["kind"] == "replace_nans")
    return metrics.transformed(_points(case["data"]), options).tolist() == case["expected"]["values"]


def _drawn(case: dict[str, Any]) -> bool:
    told, expected = case["options"], case["expected"]
    count = expected.get("n") or expected["length"]
    drawn = JavaRandom(told["seed"] or 0).gaussians(told["mean"], told["stdev"], count)
    drawn = drawn + (_points(case["data"]) if "data" in case else 0)
    stats = metrics.statistics(drawn)
    within = case["tolerance"]
    return _same(stats["mean"], expected["mean"], within) and _same(stats["std"], expected["stdev"], within)


def _effect(case: dict[str, Any]) -> bool:
    measure = metrics.cles if case["kind"].endswith("cles") else metrics.mean_ratio
    found = measure(_points(case["control"]), _points(case["experiment"]))
    return _same(found, case["expected"]["value"], case["tolerance"])


def _described(case: dict[str, Any]) -> bool:
    found = metrics.statistics(_points(case["data"]))
    return all(
        _same(found[name], value, case["tolerance"].get(name, 0.0))
        for name, value in case["expected"].items()
    )


_CHECKS = {
    "classify_mann_whitney": _classified,
    "outlier_detect": _outliers,
    "remove_outliers": _outliers,
    "weighted_sum_score": _scored,
    "summary_stats": _described,
    "percentile_r7": lambda case: _same(
        metrics.percentile(_points(case["data"]), case["p"]), case["expected"]["value"], case["tolerance"]
    ),
    "effect_size_meanRatio": _effect,
    "effect_size_cles": _effect,
    "remove_nans": _cleaned,
    "replace_nans": _cleaned,
    "random_normal": _drawn,
    "add_gaussian_noise": _drawn,
    "map_get": _looked_up,
    "map_get_double": lambda case: float(lookup(case["data"], case["path"])) == case["expected"]["value"],
    "wilcoxon_diff": lambda case: _same(
        RankScore(_points(case["y"]), _points(case["x"]))(case["mu"]) - case["quantile"],
        case["expected"]["value"],
        case["tolerance"],
    ),
    "z_quantile": lambda case: _same(-Z, case["expected"]["value"], case["tolerance"]),
    "mann_whitney_ci": _interval,
    "mw_intermediate": _intermediate,
}

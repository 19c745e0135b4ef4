"""A policy to start from, as names and numbers suggest: kinds, units, bad directions, roles; what they do not tell is asked for in a comment."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from canaryjudge.data import MetricPair, Series
from canaryjudge.data.cleaning import read_arm
from canaryjudge.data.frames import is_missing, to_floats
from canaryjudge.data.pairing import align
from canaryjudge.data.sources import RawSeries, SeriesSource
from canaryjudge.data.times import iso, median_step, to_times
from canaryjudge.doctor_checks.policy import FAILURES, named_unit, names_failures
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.explain.layout import on_one_line
from canaryjudge.explain.numbers import percent
from canaryjudge.explain.quantities import level_of
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric
from canaryjudge.policy.doubts import is_success
from canaryjudge.quantities import factor, is_share, written

__all__ = [
    "Suggestion",
    "counts_failures",
    "is_traffic",
    "looked_over",
    "looks_new",
    "named_settings",
    "old_to_new",
    "policy_text",
    "scalar",
    "suggested",
]

_LESS: Final = ("decrease", "required", "less of it is worse")
_MORE, _SLOWER, _TRAFFIC = "more of it is worse", "slower is worse", "more and less of it are odd: decide"
_UNKNOWN: Final = (
    "either",
    "guard",
    "decide: increase, decrease or either; the name does not tell which is bad",
)
_SUCCESS: Final = "success"
_NAMES: Final = (
    # words of names, the bad direction, the role, what is to be said; the first line that fits counts
    ("non_errors?|non_err|error_free", *_LESS),
    (
        FAILURES,
        *("increase", "required", _MORE),
    ),
    (
        r"latenc\w*|durations?|rtt|ttfb|delays?|lag|p(?:50|75|90|95|98|99|999)|times?|elapsed",
        *("increase", "required", _SLOWER),
    ),
    ("free|idle|remaining|headroom|available", "decrease", "guard", "less of it is worse"),
    (_SUCCESS, *_LESS),
    (
        r"cpus?|mem\w*|rss|heap|gc|disk|fds?|threads?|goroutines?|connections?|queue\w*|pool|load|saturat\w*|usage|util\w*|backlog|swap",
        *("increase", "guard", _MORE),
    ),
    (
        "requests?|reqs?|rps|qps|tps|throughput|traffic|calls|messages|events|queries|transactions|hits",
        *("either", "guard", _TRAFFIC),
    ),
)
_ROLES: Final = {
    "guard": "can fail a release, and need not be proven fine for a pass",
    "muted": "the arms get other amounts of it: decide, is it to be the same?",
}
_KINDS: Final = {
    "samples": "a row an observation: decide, or is each the number of an interval (kind: gauge)?",
    "ratio": "value = events, total = what they are of",
    "count": "events an interval; without a split both arms count as alike",
    "histogram": "value = observations up to le",
}
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*|[0-9.]+[%s]")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_COUNTERS: Final = re.compile(r"_(?:total|count)$")
_LONG, _MANY_UNTIMED = 20, 300
"""From so many points on, irregular times, or none at all, are those of observations rather than of intervals."""
_NEW: Final = re.compile(r"canary|new|candidate|experiment|treatment|green", re.IGNORECASE)
_OLD: Final = re.compile(r"base|stable|primary|old|control|prod|current|blue", re.IGNORECASE)
_CODES: Final = re.compile(r"(?:^|_|\.)(?:status|code|status_?code)$", re.IGNORECASE)
_STEPS: Final = (1, 5, 10, 15, 30, 60, 300, 600, 1800, 3600)
"""Seconds that single events are counted together in."""
_MANY: Final = 5000
_EQUAL: Final = 0.05
"""Shares this near to a half are halves."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A metric of a starter policy; without settings, why there are none."""

    name: str
    settings: Mapping[str, Any]
    comments: Mapping[str, str]
    """What is said behind a setting, by its key; of the key `name`, above all of them."""
    traffic: tuple[float, float] | None = None
    """What both arms got, where the metric tells."""
    perhaps: str = ""
    """The unit that is to be asked for; nothing where it is known, or there need be none."""


def named_settings(name: str, *, shares: bool = True) -> tuple[dict[str, Any], dict[str, str]]:
    """Give what a name alone suggests of a metric, whose values may be shares or not, and what to say of it.

    Examples
    --------
    >>> named_settings("http.latencyP99Ms")[0]
    {'direction': 'increase', 'unit': 'ms'}
    >>> named_settings("signups")[0]
    {'direction': 'either', 'role': 'guard'}
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = re.sub(r"[^a-z0-9]+", "_", parted).strip("_")[:200] or "metric"
    success = shares and is_success(Metric(name=words, direction="decrease"))
    fitting = (
        found
        for pattern, *found in _NAMES
        if (success if pattern == _SUCCESS else re.search(rf"(?:^|_)(?:{pattern})(?:_|$)", words))
    )
    direction, role, said = next(fitting, _UNKNOWN)
    settings = {"direction": direction}
    comments = {"direction": said}
    if role != "required":
        settings["role"], comments["role"] = role, _ROLES[role]
    if unit := named_unit(words):
        settings["unit"] = unit
    return settings, comments


def looks_new(arm: str) -> bool:
    """Tell whether a name is one that canaries have."""
    return _NEW.search(arm) is not None


def old_to_new(arm: str) -> tuple[bool, bool, list[tuple[bool, int, str]]]:
    """Give what sorts a baseline's name before a canary's, and 2.10 behind 2.9.

    Examples
    --------
    >>> sorted(["2.10", "2.9"], key=old_to_new), sorted(["canary", "stable"], key=old_to_new)
    (['2.9', '2.10'], ['stable', 'canary'])
    """
    version = [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.findall(r"\d+|\D+", arm)
    ]
    return looks_new(arm), not _OLD.search(arm), version


def counts_failures(name: str) -> bool:
    """Tell whether a name is that of a number of events that are bad.

    Examples
    --------
    >>> [counts_failures(name) for name in ("error_count", "http_5xx", "error_rate", "requests")]
    [True, True, False, False]
    """
    lower = name.lower()
    rate = re.search(r"rate|ratio|percent|pct|share|latency|duration|budget", lower)
    return not rate and names_failures(name)


def is_traffic(name: str) -> bool:
    """Tell whether a name is that of what is neither good nor bad, such as requests."""
    return named_settings(name)[1]["direction"] == _TRAFFIC


def suggested(source: SeriesSource, arms: tuple[str, str]) -> list[Suggestion]:
    """Suggest the settings of every metric of data, by which these data can be judged.

    Examples
    --------
    >>> from canaryjudge.data.sources import ArmMapping
    >>> data = {"p99_ms": {"baseline": [118.0, 122.5] * 9, "canary": [121.0, 117.5] * 9}}
    >>> print(policy_text(suggested(ArmMapping(data), ("baseline", "canary")), ["Made of p99.csv."]))
    # Made of p99.csv.
    version: 1
    metrics:
    - name: p99_ms
      direction: increase        # slower is worse
      unit: ms
      tolerance: 10%             # decide: how much worse is fine; the baseline: 120 ms
    <BLANKLINE>
    """
    return [_suggested(source, name, arms) for name in source.metrics]


def looked_over(source: SeriesSource, arms: tuple[str, str]) -> Iterator[str]:
    """Say what data are there: points, times and steps of each arm."""
    for arm in arms:
        series = [source.series(name, arm) for name in source.metrics]
        sizes = [size for each in series if (size := each.histograms or len(each.value))]
        if not sizes:
            yield f"arm {arm}: no points; a verdict needs both arms"
            continue
        told = f"arm {arm}: {sum(sizes):,} points of {len(sizes)} metric{'s' if len(sizes) > 1 else ''}"
        times = []
        for each in series:
            if each.time is not None and len(each.time):
                seconds = to_times(each.time, each.place).seconds
                times += [np.unique(seconds[np.isfinite(seconds)])]
        ends = np.concatenate([*times, np.empty(0)])
        step = median_step(times)
        told += f", {iso(ends.min())} to {iso(ends.max())}" if len(ends) else ", without times"
        yield told + ("" if step is None else f", a step of {step:.12g} s")


def policy_text(suggestions: Sequence[Suggestion], header: Iterable[str], *between: str) -> str:
    """Write a policy as YAML, each metric with its comments."""
    used = [one for one in suggestions if one.settings]
    if not used:
        why = "; ".join(f"{one.name}: {one.comments['name']}" for one in suggestions[:3])
        raise DataError(
            f"there is no metric that can be judged{f' ({on_one_line(why)})' if why else ''}",
            "Give two arms of at least one metric, as numbers.",
        )
    lines = [f"# {'  ' if line.startswith(' ') else ''}{on_one_line(line)}" for line in header]
    lines += ["version: 1", *between, *_split_lines(used), "metrics:"]
    roles = {one.settings.get("role", "required") for one in used}
    told: set[str] = set()
    # something is to be proven fine for a pass
    spared = "" if "required" in roles else "guard" if "guard" in roles else "muted"
    for one in suggestions:
        above = on_one_line(one.comments.get("name", ""))
        if not one.settings:
            lines.append(f"# left out: {on_one_line(one.name)}: {above}")
            continue
        lines += [f"# {above}"] if above else []
        lines.append(f"- name: {scalar(one.name)}")
        for key, value in one.settings.items():
            if key == "role" and value == spared:
                continue
            if key == "query" and isinstance(value, Mapping):
                lines += ["  query:", *(f"    {column}: {scalar(text)}" for column, text in value.items())]
                continue
            line, comment = f"  {key}: {scalar(value)}", one.comments.get(key, "")
            # what a role or a kind means is said once
            once = key in ("kind", "role") and comment in told
            told.add(comment)
            lines.append(f"{line:<28} # {on_one_line(comment)}" if comment and not once else line)
        if one.perhaps:
            asked = f"  # unit: {one.perhaps}"
            lines.append(
                f"{asked:<28} # decide: the name tells none; with it, a tolerance may be 5{one.perhaps}"
            )
    return "\n".join(lines) + "\n"


def _split_lines(used: Sequence[Suggestion]) -> Iterator[str]:
    """Say how the traffic is shared: as a setting, where counts would not compare without."""
    counts = any(one.settings.get("kind") == "count" for one in used)
    traffic = max((one.traffic for one in used if one.traffic is not None), key=sum, default=None)
    if traffic is None or min(traffic) <= 0:
        if counts:
            yield "# split: {baseline: 90%, canary: 10%} # decide: counts want it, unless both arms get the same traffic"
        return
    part = traffic[1] / sum(traffic)
    even = abs(part - 0.5) <= _EQUAL
    canary = 50.0 if even else 100 * part
    digits = next(digits for digits in range(12) if abs(round(canary, digits) / canary - 1) < 0.01)
    canary = round(canary, digits)
    told = f"decide: what is the balancer told? The canary got {percent(part)}"
    mark = "" if counts and not even else "# "
    yield f"{mark}split: {{baseline: {100 - canary:.12g}%, canary: {canary:.12g}%}} # {told}"


def scalar(value: Any) -> str:
    r"""Write a value as YAML reads it back, whatever is in it.

    Examples
    --------
    >>> [scalar(value) for value in ("p99", "no", 'version="1.4"', "it's\x1b")]
    ['p99', "'no'", '\'version="1.4"\'', '"it\'s\\u001b"']
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {scalar(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(scalar, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if value.isprintable() and "'" not in value:
        return f"'{value}'"
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08X}" for each in quoted)


def _suggested(source: SeriesSource, name: str, arms: tuple[str, str]) -> Suggestion:
    """Suggest the settings of one metric, as far as the judge can read its data by them."""
    try:
        return _of_data(source, name, arms)
    except (DataError, PolicyError) as error:
        return Suggestion(name, {}, {"name": " ".join(filter(None, (f"{error.message}.", error.hint)))})


def _of_data(source: SeriesSource, name: str, arms: tuple[str, str]) -> Suggestion:
    kind, pair = _kind(source, name, arms)
    _refuse_no_amounts(name, pair)
    form = KINDS[kind.get("kind", "gauge")]
    arm = pair.baseline if len(pair.baseline) else pair.canary
    level = math.nan
    if len(arm) and not form.has_buckets:
        level = arm.events / arm.exposure if form.counts_events else float(np.median(arm.value))
    by_name, comments = named_settings(name, shares=not form.is_rate and 0 <= level <= 100)
    settings = {**kind, **by_name}
    unit = next((raw.unit for raw in _raw(source, name, arms) if raw.unit), "")
    if form.counts_events:
        settings.pop("unit", None)
    elif unit:
        settings["unit"] = written(unit)
    elif is_share(settings.get("unit", "")) and len(arm) and arm.value.max() <= 1 and not _fails(comments):
        del settings[
            "unit"
        ]  # these are parts, not percent; less than 1 % of failures is what there should be
    elif form.is_averaged and 90 < level <= 100 and is_success(Metric(name=name, **settings)):
        settings.setdefault("unit", "%")
    if comments["direction"] == _UNKNOWN[2] and unit and factor(unit, "s") is not None:
        settings["direction"], comments["direction"] = "increase", _SLOWER
        settings.pop("role", None)
    comments |= {
        "kind": _KINDS.get(form.name, ""),
        "interval": "a row an event: so long are they counted together",
    }
    if kind.get("counter") is False:
        comments["counter"] = "decide: it never falls here; is it a level that grows, or a counter?"
    if form.has_buckets and not settings.get("unit"):
        comments["name"] = "decide: in which unit are the edges of the buckets? Such as unit: s"
    traffic = _traffic(pair, settings, form.name)
    levels = [float(np.median(each.value)) for each in (pair.baseline, pair.canary) if len(each)]
    if comments["direction"] == _TRAFFIC and form.is_measured and _apart(levels):
        settings["role"], comments["role"] = "muted", _ROLES["muted"]
    failures = _fails(comments) and form.is_averaged
    settings["tolerance"] = _tolerance(Metric(name=name, **settings), level, arm.value, failures=failures)
    at = level_of(level, form.name, settings.get("unit", "")) if not math.isnan(level) else ""
    comments["tolerance"] = f"decide: how much worse is fine{f'; the baseline: {at}' if at else ''}"
    if comments["direction"] == _SLOWER and form.name in ("samples", "histogram") and _many(pair):
        settings["rules"] = ["mann_whitney", "late_shift", "tail"]
        comments["rules"] = "the middle, the last half, and the slowest 5 %, which may get slower alone"
    order = ("kind", "interval", "counter", "direction", "role", "unit", "tolerance", "rules")
    settings = {key: settings[key] for key in order if key in settings}
    slow, large = comments["direction"] == _SLOWER, re.search(r"mem|heap|rss", name.lower())
    perhaps = "ms" if slow else "MiB" if large and settings["direction"] == "increase" else ""
    known = "unit" in settings or not form.is_measured
    if unit:  # it is converted
        _read(source, Metric(name=name, **settings), arms)
    return Suggestion(name, settings, comments, traffic, "" if known else perhaps)


def _fails(comments: Mapping[str, str]) -> bool:
    """Tell whether a metric's name is that of failures."""
    return comments["direction"] == _MORE and "role" not in comments


def _many(pair: MetricPair) -> bool:
    """Tell whether there are so many observations that a healthy release can be proven to have no heavier tail."""
    arms = pair.baseline, pair.canary
    return min(len(arm) if arm.buckets is None else arm.buckets.sum() for arm in arms) >= _MANY


def _apart(levels: Sequence[float]) -> bool:
    return len(levels) > 1 and min(levels) > 0 and max(levels) > 1.25 * min(levels)


def _tolerance(metric: Metric, level: float, values: np.ndarray[Any, Any], *, failures: bool) -> Any:
    """Suggest what to tolerate: a part of the level; of shares that should be near their best, and where the level is 0, an amount."""
    kind = KINDS[metric.kind]
    success = is_success(metric)
    if kind.is_share:
        lost = _near(1 - level, 0.001, 0.01)
        return {"absolute": f"{100 * lost:.1g}%"} if success else {"relative": "10%", "absolute": "0.02%"}
    if success and not math.isnan(level):
        best = next((best for best in (1.0, 100.0) if 0.9 * best < level <= best), None)
        amount = 0.1 * abs(level) or 0.1
        if best is not None:
            amount = _near(best - level, best / 1000, best / 100)
        return {"absolute": f"{amount:.1g}%" if is_share(metric.unit) else float(f"{amount:.1g}")}
    if failures and is_share(metric.unit) and level < 1:
        # a tenth of next to nothing is less than anybody can prove; as much is asked of ratios for a pass
        return {"relative": "10%", "absolute": "0.1%"}
    if level == 0 and kind.is_measured:
        largest = float(np.abs(values).max(initial=0.0))
        return {"relative": "10%", "absolute": float(f"{largest / 10:.1g}") or 1}
    return "10%"


def _near(amount: float, least: float, most: float) -> float:
    return least if math.isnan(amount) else min(max(amount, least), most)


def _traffic(pair: MetricPair, settings: Mapping[str, Any], kind: str) -> tuple[float, float] | None:
    """Give what both arms got of the traffic, where a metric tells: totals, or counts of what is neither good nor bad."""
    arms = pair.baseline, pair.canary
    if not all(map(len, arms)):
        return None
    if KINDS[kind].is_share:
        return arms[0].exposure, arms[1].exposure
    untold = pair.reported or arms[0].total is None
    if KINDS[kind].is_rate and settings["direction"] == "either" and untold:
        return arms[0].events, arms[1].events
    return None


def _raw(source: SeriesSource, name: str, arms: tuple[str, str]) -> list[RawSeries]:
    return [source.series(name, arm) for arm in arms]


def _read(source: SeriesSource, metric: Metric, arms: tuple[str, str]) -> tuple[MetricPair, list[Series]]:
    series = [read_arm(source, metric, arm) for arm in arms]
    return align(metric, *series), series


def _kind(source: SeriesSource, name: str, arms: tuple[str, str]) -> tuple[dict[str, Any], MetricPair]:
    """Find of which kind a metric is, by what its data have, and what the judge would note of them."""
    raw = _raw(source, name, arms)
    guesses: list[dict[str, Any]] = [{}]
    if any(_filled(each.le) or each.buckets is not None for each in raw):
        guesses = [{"kind": "histogram"}]
    elif any(_filled(each.total) for each in raw):
        guesses = [{"kind": "ratio", **_together(raw)}, {"kind": "count"}, {}]
    elif any(each.increases for each in raw):
        guesses = [{"kind": "count"}, {}]
    failure: DataError | PolicyError | None = None
    for guess in guesses:
        try:
            pair, series = _read(source, Metric(name=name, direction="increase", **guess), arms)
        except (DataError, PolicyError) as error:
            failure = failure or error
            continue
        if not any(map(len, series)):
            raise DataError("it has no numbers", "")
        for better in _better(guess, name, pair, series):
            try:
                return better, _read(source, Metric(name=name, direction="increase", **better), arms)[0]
            except (DataError, PolicyError):
                continue
        return guess, pair
    raise failure or DataError("it has no numbers", "")


def _together(raw: Sequence[RawSeries]) -> dict[str, Any]:
    """Give the interval in which single events are to be counted together, of which each row is one; nothing where rows are intervals."""
    times = []
    for each in raw:
        if each.time is None or each.total is None or len(each.total) < _MANY_UNTIMED:
            return {}
        if not bool((to_floats(each.total, each.place, "total") == 1).all()):
            return {}
        times.append(to_times(each.time, each.place).seconds)
    ends = np.concatenate(times)
    span = float(np.nanmax(ends) - np.nanmin(ends))
    wanted = max(span / 60, 5 * span / min(map(len, times)))
    seconds = next((step for step in _STEPS if step >= wanted), None)
    return {} if seconds is None else {"interval": f"{seconds}s"}


def _refuse_no_amounts(name: str, pair: MetricPair) -> None:
    """Refuse what is no amount: codes, and the 1 that stands for each row."""
    values = np.concatenate([pair.baseline.value, pair.canary.value])
    if pair.kind not in ("gauge", "samples") or len(values) < _LONG:
        return
    whole = bool((values == np.rint(values)).all())
    if whole and _CODES.search(name) and values.min() >= 100 and values.max() < 600:
        raise DataError(
            "these are codes, of which there is no more or less",
            "Give a column that is 1 where a request failed and 0 elsewhere, such as errors, and one that is 1 everywhere, requests.",
        )
    if pair.kind == "samples" and bool((values == 1).all()):
        raise DataError("it is 1 in every row", "")


def _filled(column: Any) -> bool:
    items = [] if column is None else column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    return any(not is_missing(item) and item != "" for item in items)


def _better(
    guess: dict[str, Any], name: str, pair: MetricPair, series: Sequence[Series]
) -> Iterator[dict[str, Any]]:
    """Give what fits the data better than a guess, the best first."""
    codes = {note.code for note in pair.notes}
    if guess:
        if "looks_like_counter" in codes:
            yield from ({**guess, "counter": True}, {**guess, "counter": False})
        return
    by_name = named_settings(name)[0]
    whole = all(bool((each.value == np.rint(each.value)).all()) for each in series)
    saturation = by_name["direction"] == "increase" and by_name.get("role") == "guard"
    named = bool(_COUNTERS.search(name)) and all(
        (np.diff(part.value) >= 0).all() for each in series for part in each.replicas or (each,)
    )
    grows = any(np.ptp(each.value) > 0 for each in series if len(each))
    if (
        "looks_like_counter" in codes
        or (named and grows)
        or ("never_falls" in codes and whole and not saturation)
    ):
        yield {"kind": "count", "counter": True}
    if codes & {"looks_like_counter", "never_falls"}:
        yield {"counter": False}
    elif "suggest_samples" in codes or any(map(_irregular, series)):
        yield {"kind": "samples"}
    elif "looks_like_count" in codes:
        yield {"kind": "count"}


def _irregular(series: Series) -> bool:
    """Tell whether points come as observations do: at no steady intervals, or as many as no intervals are without times."""
    if series.time is None:
        return len(series) >= _MANY_UNTIMED
    parts = series.replicas or (series,)
    steps = np.concatenate([np.diff(each.time) for each in parts if each.time is not None])
    if len(steps) < _LONG:
        return False
    usual = float(np.median(steps))
    return bool((np.abs(steps - usual) <= 0.1 * usual).mean() < 0.5)

"""Kayenta's metric set pairs -> data that can be judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from canaryjudge.data.diagnostics import shown
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import DataError
from canaryjudge.integrations.kayenta.config import metric_options, read_config
from canaryjudge.limits import KAYENTA_CHARACTERS, KAYENTA_PAIRS, KAYENTA_POINTS
from canaryjudge.policy import Policy
from canaryjudge.strict_json import RepeatedKeyError, read_strictly

__all__ = [
    "MetricSetPair",
    "document_data",
    "from_kayenta",
    "read_json",
    "read_pairs",
]

_WORDS: Final = {
    "NaN": math.nan,
    "Infinity": math.inf,
    "INF": math.inf,
    "-Infinity": -math.inf,
    "-INF": -math.inf,
}
_SIDES: Final = {"control": "baseline", "experiment": "canary"}
_SHAPE: Final = "A metric set pair has name, id, tags, values.control and values.experiment."


@dataclass(frozen=True, slots=True)
class MetricSetPair:
    """One metric and tag set, both sides.

    Attributes
    ----------
    name, id : str
        The metric's name, and what Kayenta tells pairs apart by; None where it has none.
    tags : mapping of str to str
        What the rows of one metric differ in.
    control, experiment : ndarray, shapes (n,) and (m,)
        The points of baseline and canary; NaN is missing.
    times : tuple of two arrays, or None
        Seconds since 1970 of the points of both, where the pair says them.
    """

    name: str
    id: str | None
    tags: Mapping[str, str]
    control: FloatArray
    experiment: FloatArray
    times: tuple[FloatArray, FloatArray] | None

    @property
    def label(self) -> str:
        """The tags on one line: ``status=500,zone=a``."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.tags.items()))

    def series(self, *, replace_missing: bool) -> dict[str, dict[str, FloatArray]]:
        """Return both arms as `judge` takes them, under the names that it has for them."""
        arms: dict[str, dict[str, FloatArray]] = {}
        for index, (values, arm) in enumerate(((self.control, "baseline"), (self.experiment, "canary"))):
            arms[arm] = {"value": np.where(np.isnan(values), 0.0, values) if replace_missing else values}
            if self.times is not None:
                arms[arm]["time"] = self.times[index]
        return arms


def from_kayenta(
    document: Any, *, config: Mapping[str, Any] | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Turn Kayenta's metric set pairs into data that can be judged.

    Parameters
    ----------
    document : list of mapping, mapping, str or bytes
        A metric set pair list; or a request to a remote judge, which holds one and its canary config; or the JSON text of either.
    config : mapping, optional
        The canary config, whose ``nanStrategy: replace`` makes zeros of missing points. That of a request is taken by default; without
        one missing points stay missing.

    Returns
    -------
    dict
        ``{metric: {"baseline": columns, "canary": columns}}`` as `judge` takes it: the control is the baseline, the experiment the canary.

    Raises
    ------
    DataError
        If the document is not what Kayenta writes (it names the place), or has more than 1,000,000 points or 2,000 pairs.
    PolicyError
        If the canary config is not one.

    Notes
    -----
    Times are those of the first points (``startTimeMillis``) and the steps; Kayenta itself never looks at them. The tag sets of one
    metric become its replicas.

    Examples
    --------
    >>> scope = {"startTimeMillis": 60_000, "stepMillis": 60_000}
    >>> pair = {"name": "cpu", "id": "1", "tags": {}, "values": {"control": [1, 2, "NaN"], "experiment": [3, 4, 5]},
    ...         "scopes": {"control": scope, "experiment": scope}}
    >>> data = from_kayenta([pair])
    >>> data["cpu"]["baseline"]["value"].tolist(), data["cpu"]["baseline"]["time"].tolist()
    ([1.0, 2.0, nan], [60.0, 120.0, 180.0])
    """
    document = read_json(document)
    pairs = document
    if isinstance(document, Mapping):
        pairs = document.get("metricSetPairList")
        config = config if config is not None else document.get("canaryConfig")
    found = read_pairs(
        pairs, "metricSetPairList" if isinstance(document, Mapping) else "the metric set pairs"
    )
    known = {} if config is None else read_config(config).metrics
    rows: dict[str, list[MetricSetPair]] = {}
    for pair in found:
        rows.setdefault(pair.name, []).append(pair)
    data = {}
    for name, of_metric in rows.items():
        replace = name in known and metric_options(known[name], f"metric {shown(name)}").replace_missing
        data[name] = _joined(of_metric, replace_missing=replace)
    return data


def document_data(text: str, _: Policy | None) -> dict[str, dict[str, dict[str, Any]]]:
    """Take all metrics from a list of pairs, as the command line does."""
    return from_kayenta(text)


def _joined(rows: list[MetricSetPair], *, replace_missing: bool) -> dict[str, dict[str, Any]]:
    """Put the tag sets of a metric together, each a replica."""
    if len(rows) == 1:
        return dict(rows[0].series(replace_missing=replace_missing))
    timed = all(row.times is not None for row in rows)
    labels = [row.label for row in rows]
    labels = [label if labels.count(label) == 1 else f"{label}/{index}" for index, label in enumerate(labels)]
    arms: dict[str, dict[str, Any]] = {}
    for arm in _SIDES.values():
        series = [row.series(replace_missing=replace_missing)[arm] for row in rows]
        arms[arm] = {
            "value": np.concatenate([each["value"] for each in series]),
            "replica": np.repeat(np.array(labels, dtype=object), [len(each["value"]) for each in series]),
        }
        if timed:
            arms[arm]["time"] = np.concatenate([each["time"] for each in series])
    return arms


def read_json(document: Any) -> Any:
    """Read a document where it is text."""
    if not isinstance(document, str | bytes):
        return document
    if len(document) > KAYENTA_CHARACTERS:
        raise DataError(
            f"the document has {len(document):,} characters, and at most {KAYENTA_CHARACTERS:,} are read",
            "Split it.",
        )
    try:
        return read_strictly(document)
    except RecursionError:
        raise DataError("the document is nested too deep", "Is it what Kayenta writes?") from None
    except RepeatedKeyError as error:
        raise DataError(f"the document: {error}", "Leave one out.") from None
    except ValueError as error:
        raise DataError(f"the document is not JSON ({error})", "Give it whole.") from None


def read_pairs(pairs: Any, where: str) -> tuple[MetricSetPair, ...]:
    """Read a metric set pair list."""
    if not isinstance(pairs, list):
        raise DataError(f"{where} is {shown(pairs)}, which is not a list of metric set pairs", _SHAPE)
    if len(pairs) > KAYENTA_PAIRS:
        raise DataError(
            f"{where}: there are {len(pairs):,} pairs, and at most {KAYENTA_PAIRS:,} are judged", "Split it."
        )
    points = 0
    found = []
    for index, pair in enumerate(pairs):
        place = f"{where}[{index}]"
        name, sides = _checked(pair, place)
        points += sum(map(len, sides))
        if points > KAYENTA_POINTS:
            raise DataError(
                f"{place}: up to here there are {points:,} points, and at most {KAYENTA_POINTS:,} are judged",
                "Take a longer step, or fewer metrics.",
            )
        control, experiment = (
            _numbers(side, f"{place} (metric {shown(name)}): values.{key}")
            for side, key in zip(sides, _SIDES, strict=True)
        )
        given = pair.get("id")
        found.append(
            MetricSetPair(
                name,
                None if given is None else str(given),
                _tags(pair.get("tags"), place),
                control,
                experiment,
                _times(pair, (len(control), len(experiment))),
            )
        )
    return tuple(found)


def _checked(pair: Any, place: str) -> tuple[str, tuple[list[Any], list[Any]]]:
    if not isinstance(pair, Mapping):
        raise DataError(f"{place} is {shown(pair)}, which is not a metric set pair", _SHAPE)
    name, values = pair.get("name"), pair.get("values")
    if not isinstance(name, str):
        raise DataError(f"{place}.name is {shown(name)}, which is no name", _SHAPE)
    sides = []
    for key in _SIDES:
        side = values.get(key) if isinstance(values, Mapping) else None
        if not isinstance(side, list):
            raise DataError(f"{place}.values.{key} is {shown(side)}, which is not a list of numbers", _SHAPE)
        sides.append(side)
    return name, (sides[0], sides[1])


def _numbers(side: list[Any], where: str) -> FloatArray:
    """Read a list of points: null is 0, as Kayenta takes it, and NaN is the word."""
    if set(map(type, side)) <= {int, float}:
        try:
            return np.array(side, dtype=np.float64)
        except OverflowError:
            pass  # an integer beyond all doubles; one by one it becomes infinite
    return np.array([_number(item, where, index) for index, item in enumerate(side)], dtype=np.float64)


def _number(item: Any, where: str, index: int) -> float:
    if item is None:
        return 0.0
    if isinstance(item, str) and item in _WORDS:
        return _WORDS[item]
    if isinstance(item, int | float) and not isinstance(item, bool):
        try:
            return float(item)
        except OverflowError:
            return math.inf if item > 0 else -math.inf
    raise DataError(
        f"{where}[{index}] is {shown(item)}, which is not a number", 'Write a missing point as "NaN".'
    )


def _tags(tags: Any, place: str) -> dict[str, str]:
    if tags is None:
        return {}
    plain = isinstance(tags, Mapping) and all(isinstance(value, str | int | float) for value in tags.values())
    if not plain:
        raise DataError(f"{place}.tags is {shown(tags)}, which is not a mapping of words", _SHAPE)
    return {str(key): str(value) for key, value in tags.items()}


def _times(pair: Mapping[str, Any], counts: tuple[int, int]) -> tuple[FloatArray, FloatArray] | None:
    """Return the times of both sides; None unless both have them, under ``scopes`` or, as before it, beside the values."""
    scopes = pair.get("scopes")
    found = []
    for side, count in zip(_SIDES, counts, strict=True):
        scope = scopes.get(side) if isinstance(scopes, Mapping) else pair
        start, step = (_whole(scope, key) for key in ("startTimeMillis", "stepMillis"))
        if start is None or step is None or not (abs(start) < 1e15 and 0 < step < 1e12):
            return None
        found.append((start + step * np.arange(count, dtype=np.float64)) / 1000)
    return found[0], found[1]


def _whole(scope: Any, key: str) -> float | None:
    given = scope.get(key) if isinstance(scope, Mapping) else None
    return given if isinstance(given, int | float) and not isinstance(given, bool) else None

"""How much healthy arms differ beyond the scatter of their points, measured from healthy pairs: the noise floor of a policy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from canaryjudge.calibration.measures import Changes
from canaryjudge.policy import NoiseFloor, Spread
from canaryjudge.simulate import HealthyPairs
from canaryjudge.stats.replicas import excess
from canaryjudge.studies import FloorFacts

__all__ = ["as_floor", "floor_facts", "floors_without_own", "is_notable", "spread_of"]

_LASTING = 0.25
"""Where so much of the differences is the same in every window, it is the replicas that differ, and few replicas know little."""
_NOTABLE = 0.3
"""A spread that is less than this part of what the points' scatter explains widens no interval by a twentieth."""


def floor_facts(
    found: HealthyPairs, changes: Changes, kept: NDArray[np.bool_] | None = None
) -> FloorFacts | None:
    """Measure the floor.

    Parameters
    ----------
    found : HealthyPairs
        Healthy pairs.
    changes : Changes
        Their changes.
    kept : ndarray of bool, shape (n,), optional
        Which of them to use.

    Returns
    -------
    FloorFacts or None
        None where no pair has a change. A spread of 0 says that the points explain all.
    """
    used = changes.known if kept is None else changes.known & kept
    count = int(used.sum())
    if count == 0:
        return None
    change, error = changes.change[used], changes.error[used]
    part = count / max(1, int(changes.known.sum()))
    spread, df = excess(change, error, max(1.0, _independent(found, change, found.groups[used]) * part))
    concurrent = found.pairs[0].pairing == "concurrent"
    return FloorFacts(
        between="replicas" if concurrent else "windows",
        spread=float(f"{spread:.4g}"),
        absolute=changes.absolute,
        measured_from=max(2, round(part * (found.replicas if concurrent else found.windows))),
        df=float(f"{df:.3g}"),
    )


def _independent(
    found: HealthyPairs, change: np.ndarray[tuple[int], np.dtype[np.float64]], groups: NDArray[np.intp]
) -> float:
    """Tell what the differences are worth: W windows' neighbors as 2 (W - 1)^2 / (3 W - 4), replicas that differ for good as many as they are, less one."""
    if found.source == "releases":
        return float(found.independent)
    if found.source != "replicas":
        windows = max(2, found.windows)
        return 2 * (windows - 1) ** 2 / (3 * windows - 4)
    means = [change[groups == group].mean() ** 2 for group in np.unique(groups)]
    lasting = float(np.mean(means)) / max(float(np.square(change).mean()), 1e-300)
    return float(found.replicas - 1) if lasting > _LASTING else float(found.independent)


def as_floor(facts: Sequence[FloorFacts]) -> NoiseFloor | None:
    """Write floors as a policy states them; None where none is worth stating."""
    settings: dict[str, object] = {}
    for floor in facts:
        if floor.spread > 0:
            between, freedom = (
                f"between_{floor.between}",
                "df" if floor.between == "windows" else "replicas_df",
            )
            settings |= {
                between: spread_of(floor),
                floor.between: floor.measured_from,
                freedom: max(1.0, floor.df),
            }
    return NoiseFloor(**settings) if settings else None


def spread_of(floor: FloorFacts) -> Spread:
    """Write a spread as a policy states it."""
    if floor.absolute:
        return Spread(absolute=floor.spread)
    return Spread(relative=f"{100 * floor.spread:.4g}%")


def floors_without_own(found: HealthyPairs, changes: Changes) -> list[NoiseFloor | None]:
    """Measure for each pair the floor from those that share no data with it, so that none is judged by what it said of itself."""
    floors = []
    for index in range(len(found.pairs)):
        facts = floor_facts(found, changes, found.apart_from(index))
        floors.append(None if facts is None else as_floor([facts]))
    return floors


def is_notable(floor: FloorFacts, changes: Changes) -> bool:
    """Tell whether a floor would widen intervals visibly."""
    typical = float(np.median(changes.error[changes.known])) if changes.known.any() else 0.0
    return floor.spread > 0 and floor.spread * np.sqrt(2) >= _NOTABLE * typical

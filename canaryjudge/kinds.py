"""What each kind of metric is: what its points carry, how they align, pool and are counted, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["KINDS", "Fault", "Kind", "KindName"]

KindName = Literal["gauge", "samples", "ratio", "count", "histogram", "users", "pairs", "paired_ratio"]
"""The name of a kind, as a policy writes it."""

Fault = Literal["shift", "tail", "burst"]
"""What can go wrong with a metric: its level moves, or some of its observations do, or it does for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of metric; whatever depends on the kind asks one of these and never for the name."""

    name: KindName
    """The name, as in a policy."""
    total: Literal["whole", "exposure"] | None = None
    """What stands beside the value: the whole that its events are a part of, or the exposure that they happened in."""
    has_buckets: bool = False
    """Whether a point is a row of counts by bucket, and its value their sum."""
    is_raw: bool = False
    """Whether a point is one observation, which comes when it comes: no interval has one of it, and none is missing."""
    has_users: bool = False
    """Whether a point is a user, of whom several rows may tell, and an arm is known by what its users add up to: who they are and when they came is of no account."""
    pools: Literal["mean", "sum"] | None = "sum"
    """What becomes of several points of one interval; None where each stays by itself."""
    is_paired: bool = False
    """Whether a point is the answer to one request, which both arms have answered: they are joined by its id."""
    has_observations: bool = False
    """Whether a point is, or holds, single observations such as requests, so that its percentiles can be drawn."""
    point: str
    """What a point is called."""
    min_points: int = 1
    """Fewer points in an arm are too little data, unless the policy says otherwise."""
    absolute_tolerance: float = 0.0
    """The absolute part of the tolerance where a policy gives none."""
    default_rules: tuple[str, ...]
    """The rules that are asked where a policy names none, the one about the level first."""
    rules_on_one_clock: tuple[str, ...] = ()
    """Those that are asked as well where the arms share the clock."""
    faults: tuple[Fault, ...] = ("shift", "tail", "burst")
    """What can go wrong with it, and is put into healthy data by a calibration."""
    assumes: tuple[str, ...]
    """What a plan must know of its noise, by the names of `Assumed`."""

    @property
    def counts_events(self) -> bool:
        """Whether its values count events of a total, so that levels are value over total."""
        return self.total is not None

    @property
    def is_share(self) -> bool:
        """Whether its level is a share of a whole: between 0 and 1, and told in percent."""
        return self.total == "whole"

    @property
    def is_rate(self) -> bool:
        """Whether its level is events per exposure; where no exposure is given, an interval is one."""
        return self.total == "exposure"

    @property
    def is_measured(self) -> bool:
        """Whether its values are levels themselves, in the metric's unit, rather than counts of something."""
        return self.total is None and not self.has_buckets

    @property
    def is_averaged(self) -> bool:
        """Whether several points of an interval become their mean."""
        return self.pools == "mean"

    @property
    def family(self) -> Literal["binomial", "poisson"]:
        """How independent events of it are distributed."""
        return "binomial" if self.is_share else "poisson"

    @property
    def points(self) -> str:
        """What several points are called."""
        return f"{self.point}s"


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(
            name="gauge",
            pools="mean",
            point="point",
            min_points=10,
            default_rules=("mann_whitney", "excursion", "late_shift"),
            rules_on_one_clock=("growth",),
            assumes=("spread",),
        ),
        Kind(
            name="samples",
            is_raw=True,
            pools=None,
            has_observations=True,
            point="sample",
            min_points=10,
            default_rules=("mann_whitney", "late_shift"),
            assumes=("spread", "traffic"),
        ),
        Kind(
            name="ratio",
            total="whole",
            point="interval",
            absolute_tolerance=0.0002,
            default_rules=("proportion", "excursion"),
            faults=("shift", "burst"),
            assumes=("level", "traffic"),
        ),
        Kind(
            name="count",
            total="exposure",
            point="interval",
            default_rules=("rate", "excursion"),
            faults=("shift", "burst"),
            assumes=("level",),
        ),
        Kind(
            name="histogram",
            has_buckets=True,
            has_observations=True,
            point="interval",
            default_rules=("mann_whitney", "late_shift"),
            assumes=("spread", "traffic"),
        ),
        Kind(
            name="users",
            is_raw=True,
            has_users=True,
            pools=None,
            point="user",
            min_points=20,
            default_rules=("ratio_of_means",),
            faults=("shift",),
            assumes=("spread", "traffic"),
        ),
        Kind(
            name="pairs",
            is_raw=True,
            is_paired=True,
            pools=None,
            has_observations=True,
            point="pair",
            min_points=10,
            default_rules=("signed_rank",),
            assumes=("spread", "traffic"),
        ),
        Kind(
            name="paired_ratio",
            total="whole",
            is_raw=True,
            is_paired=True,
            pools=None,
            point="pair",
            min_points=10,
            absolute_tolerance=0.001,
            default_rules=("mcnemar",),
            faults=("shift", "burst"),
            assumes=("level",),
        ),
    )
}
"""Every kind by its name; a further one is an entry here."""

"""Plots of verdicts, data and evidence with matplotlib (extra `canaryjudge[plot]`).

Every function takes `ax=`, the axes to draw on (new ones where it is left out), and gives the axes. Baselines are gray and dashed,
canaries blue and solid, limits black: nothing is told by color alone.
"""

from canaryjudge.plots.distributions import ecdf, quantile_difference
from canaryjudge.plots.error_rates import calibration, false_fails, power
from canaryjudge.plots.exposure import exposure
from canaryjudge.plots.rollouts import rollout_effect, timeline
from canaryjudge.plots.segments import segments
from canaryjudge.plots.verdicts import burn_rates, effects, evidence, series

__all__ = [
    "burn_rates",
    "calibration",
    "ecdf",
    "effects",
    "evidence",
    "exposure",
    "false_fails",
    "power",
    "quantile_difference",
    "rollout_effect",
    "segments",
    "series",
    "timeline",
]

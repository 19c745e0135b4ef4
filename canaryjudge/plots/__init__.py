"""Plots of verdicts, data and evidence with matplotlib (extra `canaryjudge[plot]`).

Every function takes `ax=`, the axes to draw on (new ones where it is left out), and gives the axes. Baselines are gray and dashed,
canaries blue and solid, limits black: nothing is told by color alone.
"""

from canaryjudge.plots.burning import burn_rates
from canaryjudge.plots.distributions import ecdf, quantile_difference
from canaryjudge.plots.effects import effects
from canaryjudge.plots.false_fails import false_fails
from canaryjudge.plots.over_time import evidence, series
from canaryjudge.plots.planning import calibration, power

__all__ = [
    "burn_rates",
    "calibration",
    "ecdf",
    "effects",
    "evidence",
    "false_fails",
    "power",
    "quantile_difference",
    "series",
]

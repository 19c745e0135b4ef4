"""The rules: data and settings of one metric in, one finding out. A rule is one file and one line here."""

from __future__ import annotations

from typing import Final

from canaryjudge.policy import AnyRule, Kind, MannWhitney, Proportion, Rate, Sequential
from canaryjudge.rules.decision import Horizon, Rule, Share
from canaryjudge.rules.mann_whitney import judge_shift
from canaryjudge.rules.proportion import judge_proportion
from canaryjudge.rules.rate import judge_rate
from canaryjudge.rules.sequential import Watch, before_the_end, check_counts, judge_sequential, start_watch
from canaryjudge.rules.slo import judge_objective

__all__ = [
    "DEFAULT_RULES",
    "RULES",
    "Horizon",
    "Rule",
    "Share",
    "Watch",
    "before_the_end",
    "check_counts",
    "start_watch",
]

RULES: Final[dict[str, Rule]] = {
    "mann_whitney": judge_shift,
    "proportion": judge_proportion,
    "rate": judge_rate,
    "sequential": judge_sequential,
    "slo": judge_objective,
}
"""Each rule by its name in a policy."""

DEFAULT_RULES: Final[dict[Kind, tuple[AnyRule, ...]]] = {
    "gauge": (MannWhitney(),),
    "samples": (MannWhitney(),),
    "ratio": (Proportion(),),
    "count": (Rate(),),
    "histogram": (Sequential(),),
}
"""What is asked of a kind of metric where its policy names no rules: the best fixed-window test."""

"""canaryjudge: metrics of a canary and its baseline in, a pass / marginal / fail verdict with its reasons out."""

from canaryjudge._version import __version__
from canaryjudge.data import from_wide
from canaryjudge.errors import (
    CanaryJudgeError,
    DataError,
    MissingExtraError,
    PolicyError,
    ReleaseFailed,
    ReleaseUndecided,
)
from canaryjudge.judge import judge
from canaryjudge.monitor import Monitor
from canaryjudge.policy import (
    MannWhitney,
    Metric,
    Policy,
    Proportion,
    Rate,
    Sequential,
    Slo,
    Split,
    Tolerance,
    load_policy,
)
from canaryjudge.results import Finding, MetricResult, Outcome
from canaryjudge.verdict import Verdict

__all__ = [
    "CanaryJudgeError",
    "DataError",
    "Finding",
    "MannWhitney",
    "Metric",
    "MetricResult",
    "MissingExtraError",
    "Monitor",
    "Outcome",
    "Policy",
    "PolicyError",
    "Proportion",
    "Rate",
    "ReleaseFailed",
    "ReleaseUndecided",
    "Sequential",
    "Slo",
    "Split",
    "Tolerance",
    "Verdict",
    "__version__",
    "from_wide",
    "judge",
    "load_policy",
]

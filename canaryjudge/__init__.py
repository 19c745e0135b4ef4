"""canaryjudge: metrics of a canary and its baseline in, a pass / marginal / fail verdict with its reasons out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from canaryjudge import plots
from canaryjudge._version import __version__
from canaryjudge.data import Sketch, from_wide
from canaryjudge.errors import (
    CanaryJudgeError,
    DataError,
    MissingExtraError,
    PolicyError,
    ReleaseFailed,
    ReleaseUndecided,
)
from canaryjudge.judging import judge
from canaryjudge.monitor import Monitor
from canaryjudge.policy import (
    AllOf,
    AnyOf,
    BurnRate,
    Excursion,
    LateShift,
    MannWhitney,
    Metric,
    Policy,
    Proportion,
    Rate,
    Sequential,
    Slo,
    Split,
    Tail,
    Tolerance,
    load_policy,
)
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding
from canaryjudge.verdict import Verdict

if TYPE_CHECKING:
    from canaryjudge.calibration import calibrate
    from canaryjudge.doctor_checks import doctor
    from canaryjudge.integrations.argo.importer import load_argo
    from canaryjudge.integrations.flagger.importer import load_flagger
    from canaryjudge.integrations.kayenta.importer import load_kayenta
    from canaryjudge.integrations.kayenta.pairs import from_kayenta
    from canaryjudge.integrations.openslo.importer import load_openslo
    from canaryjudge.integrations.otlp.reader import from_otlp
    from canaryjudge.integrations.prometheus.answers import from_prometheus
    from canaryjudge.planning import plan

_LATER = {
    "calibrate": "canaryjudge.calibration",
    "doctor": "canaryjudge.doctor_checks",
    "from_kayenta": "canaryjudge.integrations.kayenta.pairs",
    "from_otlp": "canaryjudge.integrations.otlp.reader",
    "from_prometheus": "canaryjudge.integrations.prometheus.answers",
    "load_argo": "canaryjudge.integrations.argo.importer",
    "load_flagger": "canaryjudge.integrations.flagger.importer",
    "load_kayenta": "canaryjudge.integrations.kayenta.importer",
    "load_openslo": "canaryjudge.integrations.openslo.importer",
    "plan": "canaryjudge.planning",
}
"""Names that few programs use, and the modules that are imported once they do."""

__all__ = [
    "AllOf",
    "AnyOf",
    "BurnRate",
    "CanaryJudgeError",
    "DataError",
    "Excursion",
    "Finding",
    "LateShift",
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
    "Sketch",
    "Slo",
    "Split",
    "Tail",
    "Tolerance",
    "Verdict",
    "__version__",
    "calibrate",
    "doctor",
    "from_kayenta",
    "from_otlp",
    "from_prometheus",
    "from_wide",
    "judge",
    "load_argo",
    "load_flagger",
    "load_kayenta",
    "load_openslo",
    "load_policy",
    "plan",
    "plots",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as the modules themselves

    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})

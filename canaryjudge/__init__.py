"""canaryjudge: metrics of a canary and its baseline in, a pass / marginal / fail verdict with its reasons out."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from canaryjudge._version import __version__ as __version__

if TYPE_CHECKING:  # the names of the table once more, for type checkers and editors
    from canaryjudge import plots as plots
    from canaryjudge.calibration import calibrate as calibrate
    from canaryjudge.data import Sketch as Sketch
    from canaryjudge.data import from_wide as from_wide
    from canaryjudge.doctor_checks import doctor as doctor
    from canaryjudge.errors import CanaryJudgeError as CanaryJudgeError
    from canaryjudge.errors import DataError as DataError
    from canaryjudge.errors import MissingExtraError as MissingExtraError
    from canaryjudge.errors import PolicyError as PolicyError
    from canaryjudge.errors import ReleaseFailed as ReleaseFailed
    from canaryjudge.errors import ReleaseUndecided as ReleaseUndecided
    from canaryjudge.integrations.answers import compare_answers as compare_answers
    from canaryjudge.integrations.argo.importer import load_argo as load_argo
    from canaryjudge.integrations.files.scan import scan_parquet as scan_parquet
    from canaryjudge.integrations.flagger.importer import load_flagger as load_flagger
    from canaryjudge.integrations.kayenta.importer import load_kayenta as load_kayenta
    from canaryjudge.integrations.kayenta.pairs import from_kayenta as from_kayenta
    from canaryjudge.integrations.openslo.importer import load_openslo as load_openslo
    from canaryjudge.integrations.otlp.reader import from_otlp as from_otlp
    from canaryjudge.integrations.prometheus.answers import from_prometheus as from_prometheus
    from canaryjudge.judging import judge as judge
    from canaryjudge.judging import judge_many as judge_many
    from canaryjudge.monitor import Monitor as Monitor
    from canaryjudge.monitor import Monitors as Monitors
    from canaryjudge.patterns import Rollout as Rollout
    from canaryjudge.planning import plan as plan
    from canaryjudge.policy import AllOf as AllOf
    from canaryjudge.policy import AnyOf as AnyOf
    from canaryjudge.policy import BurnRate as BurnRate
    from canaryjudge.policy import Excursion as Excursion
    from canaryjudge.policy import Growth as Growth
    from canaryjudge.policy import LateShift as LateShift
    from canaryjudge.policy import MannWhitney as MannWhitney
    from canaryjudge.policy import Metric as Metric
    from canaryjudge.policy import Policy as Policy
    from canaryjudge.policy import Proportion as Proportion
    from canaryjudge.policy import Rate as Rate
    from canaryjudge.policy import Sequential as Sequential
    from canaryjudge.policy import Slo as Slo
    from canaryjudge.policy import Split as Split
    from canaryjudge.policy import Stage as Stage
    from canaryjudge.policy import Tail as Tail
    from canaryjudge.policy import Tolerance as Tolerance
    from canaryjudge.policy import load_policy as load_policy
    from canaryjudge.reasons import Outcome as Outcome
    from canaryjudge.results import MetricResult as MetricResult
    from canaryjudge.rules.findings import Finding as Finding
    from canaryjudge.verdict import Verdict as Verdict
    from canaryjudge.verdicts import Verdicts as Verdicts

_MODULES: Final = {
    "calibration": "calibrate",
    "data": "Sketch from_wide",
    "doctor_checks": "doctor",
    "errors": "CanaryJudgeError DataError MissingExtraError PolicyError ReleaseFailed ReleaseUndecided",
    "integrations.answers": "compare_answers",
    "integrations.argo.importer": "load_argo",
    "integrations.files.scan": "scan_parquet",
    "integrations.flagger.importer": "load_flagger",
    "integrations.kayenta.importer": "load_kayenta",
    "integrations.kayenta.pairs": "from_kayenta",
    "integrations.openslo.importer": "load_openslo",
    "integrations.otlp.reader": "from_otlp",
    "integrations.prometheus.answers": "from_prometheus",
    "judging": "judge judge_many",
    "monitor": "Monitor Monitors",
    "patterns": "Rollout",
    "planning": "plan",
    "plots": "plots",
    "policy": "AllOf AnyOf BurnRate Excursion Growth LateShift MannWhitney Metric Policy Proportion Rate Sequential Slo Split Stage Tail Tolerance load_policy",
    "reasons": "Outcome",
    "results": "MetricResult",
    "rules.findings": "Finding",
    "verdict": "Verdict",
    "verdicts": "Verdicts",
}
"""The public names, by the module that is imported once one of them is used: `import canaryjudge` alone costs next to nothing."""

_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted([*_MODULE_OF, "__version__"])  # noqa: PLE0605 - the table has the names


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    collecting = gc.isenabled()
    gc.disable()  # what modules make stays
    try:
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
    finally:
        if collecting:
            gc.enable()
    found = globals()[name] = module if name == _MODULE_OF[name] else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

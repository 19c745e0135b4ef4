"""Every importer by its name: what it reads, and what makes a policy of it. A new one is a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.integrations.options import Option

if TYPE_CHECKING:
    from canaryjudge.integrations.imported import Imported

__all__ = ["IMPORTERS", "Importer"]

_ADD_SELECTOR: Final = Option(
    "add_selector", "put ${selector} into each choice of series of a query whose arms nobody knows"
)
_COUNT_FAILURES: Final = Option(
    "count_failures",
    "count failed measurements as the tool does, in place of proving what all of them say together",
)
_ARGUMENT: Final = Option(
    "args", "the value of an argument of the analyses; may be given several times", "NAME=VALUE", "--arg"
)
_PROVIDER: Final = Option(
    "provider", "the mesh or ingress of Canaries that name none: istio, linkerd, nginx, ...", "NAME"
)


@dataclass(frozen=True, slots=True)
class Importer:
    """A way to read other tools' documents.

    Attributes
    ----------
    loader : str
        ``module:function``, imported once it is used: paths -> what was made of them.
    reads : str
        What it reads, for the help.
    options : tuple of Option
        What it takes beside files.
    asks : tuple of str
        How the tool is to ask a gate that judges by the policy, a line each; ``SERVICE`` stands for what is released. Nothing of what asks no gate.
    sends_data : bool
        Whether the tool sends the data with every question, so that a gate has none to fetch.
    """

    loader: str
    reads: str
    options: tuple[Option, ...] = ()
    asks: tuple[str, ...] = ()
    sends_data: bool = False

    @property
    def load(self) -> Callable[..., Imported]:
        """The function itself."""
        function: Any = resolve_name(self.loader)
        return function  # type: ignore[no-any-return] # a name tells no type


IMPORTERS: Final[dict[str, Importer]] = {
    "argo": Importer(
        "canaryjudge.integrations.argo.importer:load_argo",
        "Argo Rollouts' manifests: AnalysisTemplates, and the Rollouts and Experiments that use them",
        (_ARGUMENT, _ADD_SELECTOR, _COUNT_FAILURES),
        (
            "in the Rollout, as arguments of the analysis:",
            "  - {name: revision, valueFrom: {podTemplateHashValue: Latest}}",
            "  - {name: stable, valueFrom: {podTemplateHashValue: Stable}}",
            "in the AnalysisTemplate, in place of its metrics:",
            "  - name: canaryjudge",
            "    interval: 1m",
            "    count: 30",
            "    inconclusiveLimit: 29",
            """    successCondition: result.outcome == "pass\"""",
            """    failureCondition: result.outcome == "fail\"""",
            "    provider:",
            "      web:",
            "        url: http://gate:8080/argo/SERVICE/{{args.revision}}?stable={{args.stable}}",
            """        jsonPath: "{$.verdict}\"""",
        ),
    ),
    "flagger": Importer(
        "canaryjudge.integrations.flagger.importer:load_flagger",
        "Flagger's manifests: Canaries and their MetricTemplates",
        (_PROVIDER, _ADD_SELECTOR, _COUNT_FAILURES),
        (
            "in the Canary's spec.analysis, in place of its metrics:",
            "  webhooks:",
            *(
                f"  - {{name: {name}, type: {hook}, url: http://gate:8080/flagger/{hook}}}"
                for name, hook in (
                    ("not failed yet", "pre-rollout"),
                    ("not proven worse", "rollout"),
                    ("as far as is proven", "confirm-traffic-increase"),
                    ("proven fine", "confirm-promotion"),
                    ("proven worse", "rollback"),
                    ("it is over", "post-rollout"),
                    ("where it is", "event"),
                )
            ),
        ),
    ),
    "kayenta": Importer(
        "canaryjudge.integrations.kayenta.importer:load_kayenta",
        "a Kayenta canary config: metrics, groups, directions, effect sizes and thresholds",
        asks=(
            "in Kayenta's settings, which then sends the config and the data with every request:",
            "  kayenta.remote-judge: {enabled: true, endpoint: {baseUrl: 'http://gate:8080/kayenta'}}",
            "in the canary config:",
            """  "judge": {"name": "RemoteJudge-v1.0", "judgeConfigurations": {}}""",
        ),
        sends_data=True,
    ),
    "openslo": Importer(
        "canaryjudge.integrations.openslo.importer:load_openslo",
        "OpenSLO documents: SLOs with their indicators and alert policies",
    ),
}

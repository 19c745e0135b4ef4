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
    """

    loader: str
    reads: str
    options: tuple[Option, ...] = ()

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
    ),
    "flagger": Importer(
        "canaryjudge.integrations.flagger.importer:load_flagger",
        "Flagger's manifests: Canaries and their MetricTemplates",
        (_PROVIDER, _ADD_SELECTOR, _COUNT_FAILURES),
    ),
    "kayenta": Importer(
        "canaryjudge.integrations.kayenta.importer:load_kayenta",
        "a Kayenta canary config: metrics, groups, directions, effect sizes and thresholds",
    ),
    "openslo": Importer(
        "canaryjudge.integrations.openslo.importer:load_openslo",
        "OpenSLO documents: SLOs with their indicators and alert policies",
    ),
}

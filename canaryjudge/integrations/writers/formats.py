"""The formats that a verdict is written in, by the names that the command line knows them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.integrations import writers
from canaryjudge.integrations.writers.kayenta import kayenta_json

__all__ = ["FORMATS", "VerdictFormat"]


@dataclass(frozen=True, slots=True)
class VerdictFormat:
    """A way to write a verdict.

    Attributes
    ----------
    write : callable
        Verdict -> text, or the text of each file by its name where the tool wants several.
    tells : str
        What it is, for the help.
    of_errors : bool
        Whether it can tell a CanaryJudgeError too: why nothing was judged.
    appends : bool
        Whether it goes to the end of a file that others write to as well.
    files : tuple of str
        Names of the files, where the tool wants several.
    of_rollouts : bool
        Whether it can tell a rollout's verdict too.
    of_arms : bool
        Whether it can tell those of several arms too.
    """

    write: Callable[[Any], str | Mapping[str, str]]
    tells: str
    of_errors: bool = True
    appends: bool = False
    files: tuple[str, ...] = ()
    of_rollouts: bool = False
    of_arms: bool = False


def _text(said: Any) -> str:
    return str(said.explain())


def _json(said: Any) -> str:
    return str(said.to_json())


def _markdown(said: Any) -> str:
    return str(said.to_markdown())


def _html(said: Any) -> str:
    return str(said.to_html())


FORMATS: Final[dict[str, VerdictFormat]] = {
    "text": VerdictFormat(_text, "sentences", of_errors=False, of_rollouts=True, of_arms=True),
    "json": VerdictFormat(_json, "everything that is known", of_errors=False, of_rollouts=True, of_arms=True),
    "markdown": VerdictFormat(_markdown, "a table", of_errors=False, of_rollouts=True, of_arms=True),
    "html": VerdictFormat(_html, "a page with charts", of_errors=False, of_rollouts=True, of_arms=True),
    "junit": VerdictFormat(writers.junit_xml, "JUnit XML: a test a metric", of_rollouts=True, of_arms=True),
    "github": VerdictFormat(
        writers.github_annotations,
        "GitHub's annotations, for a step's standard output",
        of_rollouts=True,
        of_arms=True,
    ),
    "github-outputs": VerdictFormat(
        writers.github_outputs, "for the file $GITHUB_OUTPUT", appends=True, of_rollouts=True, of_arms=True
    ),
    "github-summary": VerdictFormat(
        writers.github_summary,
        "for the file $GITHUB_STEP_SUMMARY",
        appends=True,
        of_rollouts=True,
        of_arms=True,
    ),
    "gitlab": VerdictFormat(writers.gitlab_dotenv, "GitLab's dotenv report", of_rollouts=True, of_arms=True),
    "jenkins": VerdictFormat(writers.jenkins_properties, "a properties file", of_rollouts=True, of_arms=True),
    "tekton": VerdictFormat(
        writers.tekton_results,
        "Tekton's results, in a directory",
        files=tuple(writers.tekton_results(CanaryJudgeError(""))),
        of_rollouts=True,
        of_arms=True,
    ),
    "termination": VerdictFormat(
        writers.termination_message,
        "the brief text in 4096 bytes, for Kubernetes' /dev/termination-log",
        of_rollouts=True,
        of_arms=True,
    ),
    "argo": VerdictFormat(
        writers.argo_json, "JSON for Argo Rollouts' web provider", of_rollouts=True, of_arms=True
    ),
    "prometheus": VerdictFormat(
        writers.prometheus_text, "Prometheus' text format", of_rollouts=True, of_arms=True
    ),
    "kayenta": VerdictFormat(kayenta_json, "the result of a judge of Kayenta's", of_errors=False),
}
"""Each format by its name: a new one is a line here."""

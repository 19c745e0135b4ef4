"""What other tools want back: a verdict, or why there is none, as the text that each of them reads. One file a tool; none reads or writes anything."""

from canaryjudge.integrations.writers.argo import argo_answer, argo_json
from canaryjudge.integrations.writers.flagger import FLAGGER_HOOKS, flagger_answer
from canaryjudge.integrations.writers.github import github_annotations, github_outputs, github_summary
from canaryjudge.integrations.writers.gitlab import gitlab_dotenv
from canaryjudge.integrations.writers.jenkins import jenkins_properties
from canaryjudge.integrations.writers.junit import junit_xml
from canaryjudge.integrations.writers.kubernetes import termination_message
from canaryjudge.integrations.writers.prometheus import EXPOSITION, prometheus_answer, prometheus_text
from canaryjudge.integrations.writers.summary import Answer
from canaryjudge.integrations.writers.tekton import tekton_results

__all__ = [
    "EXPOSITION",
    "FLAGGER_HOOKS",
    "Answer",
    "argo_answer",
    "argo_json",
    "flagger_answer",
    "github_annotations",
    "github_outputs",
    "github_summary",
    "gitlab_dotenv",
    "jenkins_properties",
    "junit_xml",
    "prometheus_answer",
    "prometheus_text",
    "tekton_results",
    "termination_message",
]

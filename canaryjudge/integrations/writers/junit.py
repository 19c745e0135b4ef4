"""JUnit XML, which Jenkins, GitLab, Azure DevOps, CircleCI and others show as tests: a test case a metric, and one for the release; a suite an arm where there are several."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.explain.layout import on_one_line
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.sentences import metric_sentence, rule_sentence
from canaryjudge.explain.text import by_badness
from canaryjudge.integrations.writers.summary import AnyVerdictOrError, RolloutOrError, summary
from canaryjudge.reasons import Outcome
from canaryjudge.results import ArmsFacts, MetricResult
from canaryjudge.texts import visible
from canaryjudge.verdict import Verdict

if TYPE_CHECKING:
    from canaryjudge.arm_verdicts import ArmVerdicts
    from canaryjudge.patterns import RolloutVerdict

__all__ = ["junit_xml"]

_SUITE = "canaryjudge"
_RELEASE = "release"
_ARMS = "arms"
_KIND: Final = {Outcome.FAIL: "failure", Outcome.MARGINAL: "skipped", Outcome.PASS: None}


def junit_xml(said: AnyVerdictOrError) -> str:
    """Write a verdict, or why there is none, as JUnit XML.

    The test case `release` of the class `canaryjudge` is the release: a failure where it fails, skipped with the reason where it is marginal,
    an error where nothing was judged. Those of the class `canaryjudge.metrics` are the metrics: a failure where a metric fails a release,
    skipped where it is marginal, lacks data, is muted, or fails without failing the release. So the document holds a failure if and only
    if the release fails, or the rollout is rolled back. Several arms are a suite each, with classes that begin with `canaryjudge.` and the arm's name, behind one whose only test case, `arms`, is all of them.
    It is plain ASCII, and the same verdict gives the same bytes: no times are in it.

    Parameters
    ----------
    said : Verdict, RolloutVerdict, ArmVerdicts or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        The document, in the shape that the schemas of Jenkins and GitLab's reader take.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", unit="%", direction="increase")])
    >>> verdict = cj.judge({"cpu": {"baseline": [50.0] * 20, "canary": [50.0] * 20}}, policy)
    >>> print(junit_xml(verdict).splitlines()[1])
    <testsuites name="canaryjudge" tests="2" failures="0" errors="0" time="0">
    """
    if isinstance(said, ArmsFacts):
        suites = [_suite_of_arms(said)]
        suites += [_suite(verdict, f"{_SUITE}.{arm}") for arm, verdict in said.items()]
    else:
        suites = [_suite(said, _SUITE)]
    root = ET.Element("testsuites", {**_totals(suites, _SUITE), "time": "0"})
    root.extend(suites)
    ET.indent(root)
    # in ASCII, so that it is what it says whatever encoding a console has
    written = ET.tostring(root, encoding="us-ascii", xml_declaration=False).decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{written}\n'


def _suite(said: RolloutOrError, name: str) -> ET.Element:
    """Write a release, or why there is none, under a name that all of its classes begin with."""
    suite = ET.Element("testsuite")
    _add_properties(suite, said)
    if isinstance(said, CanaryJudgeError):
        _add_case(suite, name, _RELEASE, "error", type(said).__name__, summary(said).reason, str(said))
    else:
        _add_release(suite, said, name)
        for result in _by_badness(said):
            _add_metric(suite, result, said, name)
    return _counted(suite, name)


def _suite_of_arms(said: ArmVerdicts) -> ET.Element:
    """Write what is true of several arms."""
    suite = ET.Element("testsuite")
    _add_properties(suite, said)
    worst = max(said.values(), key=lambda verdict: verdict.outcome.badness)
    _add_case(
        suite,
        _SUITE,
        _ARMS,
        _KIND[said.outcome],
        _code(worst),
        summary(said).reason,
        said.explain(brief=True),
    )
    return _counted(suite, _SUITE)


def _counted(suite: ET.Element, name: str) -> ET.Element:
    # Jenkins' schema knows "skipped" of a suite only
    skipped = str(len(suite.findall("testcase/skipped")))
    suite.attrib |= {**_totals([suite], name), "skipped": skipped, "time": "0"}
    return suite


def _totals(suites: Sequence[ET.Element], name: str) -> dict[str, str]:
    def count(path: str) -> str:
        return str(sum(len(suite.findall(path)) for suite in suites))

    kinds = {"tests": "", "failures": "/failure", "errors": "/error"}
    return {"name": _distinct(name)} | {kind: count(f"testcase{path}") for kind, path in kinds.items()}


def _by_badness(verdict: Verdict | RolloutVerdict) -> list[MetricResult]:
    if isinstance(verdict, Verdict):
        return by_badness(verdict)
    return sorted(
        verdict.metrics.values(), key=lambda result: (result.role == "muted", -result.outcome.badness)
    )


def _add_properties(suite: ET.Element, said: AnyVerdictOrError) -> None:
    short = summary(said)
    facts = {"outcome": short.outcome, "action": short.action, "reason": short.reason, **short.of_stage()}
    if isinstance(said, ArmsFacts):
        named = {"best": said.best, "worst": said.worst}
        facts |= {"alpha": f"{said.alpha:g}", "beta": f"{said.beta:g}", "version": said.version}
        facts |= {"policy_digest": said.policy_digest} | {word: arm for word, arm in named.items() if arm}
    if isinstance(said, Verdict):
        facts |= {
            "alpha": f"{said.alpha:g}",
            "beta": f"{said.beta:g}",
            "valid_for": said.valid_for,
            "policy_digest": said.policy_digest,
            "data_digest": said.data_digest,
            "version": said.version,
        }
        if said.score is not None:
            facts["score"] = f"{said.score:g}"
    properties = ET.SubElement(suite, "properties")
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": name, "value": _legal(value)})


def _add_release(suite: ET.Element, verdict: Verdict | RolloutVerdict, name: str) -> None:
    code = _code(verdict) if isinstance(verdict, Verdict) else verdict.because
    _add_case(suite, name, _RELEASE, _KIND[verdict.outcome], code, summary(verdict).reason, verdict.explain())


def _code(verdict: Verdict) -> str:
    """Give the reason that decided, as a code."""
    decided = verdict.metrics.get(verdict.deciding_metric or "")
    return decided.reason if decided else "no_data"


def _add_metric(
    suite: ET.Element, result: MetricResult, verdict: Verdict | RolloutVerdict, name: str
) -> None:
    release = verdict if isinstance(verdict, Verdict) else verdict.release
    sentence = on_one_line(metric_sentence(result, release))
    lines = [f"{result.outcome.value.upper()} ({result.role}): {sentence}"]
    lines += [
        f"rule {finding.rule}, {finding.outcome.value}: {on_one_line(rule_sentence(finding, result))}"
        for index, finding in enumerate(result.findings)
        if index != result.deciding_rule
    ]
    lines += [on_one_line(note_sentence(note)) for note in result.warnings]
    kind, why = _metric_kind(result, verdict)
    _add_case(
        suite, f"{name}.metrics", result.name, kind, result.reason, f"{why}{sentence}", "\n".join(lines)
    )


def _metric_kind(result: MetricResult, verdict: Verdict | RolloutVerdict) -> tuple[str | None, str]:
    """Say how a metric is shown, and what its outcome alone does not explain."""
    if result.role == "muted":
        return "skipped", f"muted, {result.outcome.value}: "
    if result.outcome is Outcome.FAIL:
        if result.role == "advisory":
            return "skipped", "fails, but as an advisory metric it cannot fail the release: "
        if verdict.outcome is not Outcome.FAIL:
            return "skipped", "fails, but the score does not fail the release: "
        return "failure", ""
    return ("skipped", "") if result.outcome is Outcome.MARGINAL else (None, "")


def _add_case(
    suite: ET.Element, classname: str, name: str, kind: str | None, code: str, message: str, text: str
) -> None:
    case = ET.SubElement(
        suite, "testcase", {"classname": _distinct(classname), "name": _distinct(name), "time": "0"}
    )
    if kind is not None:
        told = ET.SubElement(case, kind, {"message": _legal(message), "type": code})
        told.text = _legal(text)
    else:
        ET.SubElement(case, "system-out").text = _legal(text)


def _distinct(name: str) -> str:
    """Keep two names two, and each on one line: readers turn white space of an attribute into spaces."""
    for letter, written in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
        name = name.replace(letter, written)
    return _legal(name)


def _legal(text: str) -> str:
    """Leave what XML cannot hold, not even as a reference, and what steers a terminal, as escapes."""
    return visible(text)

"""The verdict: what became of a release, why, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, Never, Protocol, Self, TypeVar

from pydantic import ValidationError

from canaryjudge.errors import DataError, ReleaseFailed, ReleaseUndecided
from canaryjudge.reasons import Outcome
from canaryjudge.results import ReleaseResult
from canaryjudge.rules.findings import Facts, Finding, NoiseFloorFacts, ReplicaFacts, WatchFacts
from canaryjudge.texts import as_json, on_one_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SCHEMA_VERSION", "Verdict", "consistent", "raise_for", "short_json"]

SCHEMA_VERSION: Final = 2
_NUMBERS: Final = re.compile(r"\[\n[-+.,\se\d]*(?:null[-+.,\se\d]*)*\]")
"""A list of numbers, which is easier to read on one line; no text in JSON has a line break in it."""

_PARTS: Final[dict[str, tuple[type[Facts], str]]] = {
    "watch": (WatchFacts, ""),
    "replicas": (ReplicaFacts, "replicas_"),
    "noise_floor": (NoiseFloorFacts, "noise_floor_"),
}
"""Parts of findings that are laid flat in a frame, with what is put before the names of their facts."""


def short_json(document: Any) -> str:
    """Write a document as JSON, each list of numbers on a line."""
    text = as_json(document)
    return _NUMBERS.sub(lambda numbers: f"[{' '.join(numbers[0][1:-1].split())}]", text) + "\n"


class Verdict(ReleaseResult):
    """What `judge` gives: an outcome with its reasons, in numbers and in words.

    Attributes
    ----------
    outcome : Outcome
        `pass`, `marginal` or `fail`.
    action : {"promote", "hold", "rollback"}
        What to do about it.
    reason : str
        One line of under 200 characters, for logs and events.
    metrics : dict of str to MetricResult
        Each metric's result, with the findings of its rules.
    segments : SegmentsFacts or None
        What the segments of the traffic say, where the policy names some.

    Raises
    ------
    TypeError
        If it is used as a truth value: three outcomes do not fit into two.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", unit="%", direction="increase")])
    >>> verdict = cj.judge({"cpu": {"baseline": [50.0] * 20, "canary": [50.0] * 20}}, policy)
    >>> print(verdict.reason)
    PASS: cpu: both arms are 50 % throughout (20 v. 20 points)
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    """Version of this document's shape."""
    version: str
    """Version of canaryjudge that judged."""
    reason: str
    """One line: outcome, deciding metric, numbers."""
    policy_digest: str
    """SHA-256 of the policy."""
    data_digest: str
    """SHA-256 of the arrays that were judged."""

    def __bool__(self) -> Never:
        raise TypeError(
            "a verdict has three outcomes; ask verdict.outcome, or call verdict.raise_for_outcome() (marginal is neither true nor false)"
        )

    def explain(self, *, brief: bool = False) -> str:
        """Give the verdict in sentences, with numbers, units, intervals and counts.

        Parameters
        ----------
        brief : bool
            Say it in a handful of lines: what to do, the metrics that decided with their numbers, and what is undecided and why.

        Returns
        -------
        str
            Lines of at most 110 characters.

        Examples
        --------
        >>> import canaryjudge as cj
        >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", unit="%", direction="increase")])
        >>> verdict = cj.judge({"cpu": {"baseline": [50.0] * 20, "canary": [50.0] * 20}}, policy)
        >>> print(verdict.explain(brief=True))
        PASS: promote
          cpu PASS: both arms are 50 % throughout (20 v. 20 points).
        """
        from canaryjudge.explain import as_text  # noqa: PLC0415 - the words are loaded when they are wanted

        return as_text(self, brief=brief)

    def to_markdown(self) -> str:
        """Give the verdict as Markdown, for a pull request or a pipeline's summary."""
        from canaryjudge.explain import as_markdown  # noqa: PLC0415 - as in `explain`

        return as_markdown(self)

    def to_html(self) -> str:
        """Give the verdict as a report: one HTML page that needs no script and no network, for a phone, a desktop and print.

        Returns
        -------
        str
            The document. The same verdict gives the same bytes, also when it was read back from JSON.

        Examples
        --------
        >>> import canaryjudge as cj
        >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")])
        >>> verdict = cj.judge({"cpu": {"baseline": [50.0] * 20, "canary": [50.0] * 20}}, policy)
        >>> verdict.to_html()[:15]
        '<!DOCTYPE html>'
        """
        from canaryjudge.explain import as_report  # noqa: PLC0415 - as in `explain`

        return as_report(
            self,
            {
                "judged by": f"canaryjudge {self.version}",
                "policy SHA-256": self.policy_digest,
                "data SHA-256": self.data_digest,
            },
        )

    def plot(self, metric: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw the verdict with matplotlib: every metric's effect against its limit, or one metric over time.

        Parameters
        ----------
        metric : str, optional
            The metric to draw over time; all effects where it is left out.
        ax : matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.

        Raises
        ------
        DataError
            If there is no such metric, or it has no points.
        MissingExtraError
            If matplotlib is not installed.
        """
        from canaryjudge.plots import effects, series  # noqa: PLC0415 - as in `explain`

        if metric is None:
            return effects(self, ax=ax)
        if metric not in self.metrics:
            raise DataError(f"the verdict has no metric {metric!r}", f"It has: {', '.join(self.metrics)}.")
        return series(self.metrics[metric], ax=ax)

    def to_dict(self) -> dict[str, Any]:
        """Give the verdict as plain data, as `to_json` writes it."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """Give the verdict as JSON; the same data and policy give the same bytes, and `from_json` reads it back."""
        return short_json(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a verdict that `to_json` wrote.

        Raises
        ------
        DataError
            If the text is not a verdict of this schema version.
        """
        try:
            return consistent(cls.model_validate_json(text))
        except ValidationError as error:
            versions = [each["input"] for each in error.errors() if each["loc"] == ("schema_version",)]
        if versions == [1]:
            raise DataError(
                "this verdict was written by an older canaryjudge (schema version 1)",
                "Judge its data again with this one.",
            )
        from canaryjudge.reports import read_json  # noqa: PLC0415 - judging needs no other reports

        return read_json(cls, text, f"verdict of schema version {SCHEMA_VERSION}")

    def to_frame(self) -> pd.DataFrame:
        """Give a pandas frame with a row a metric and rule."""
        import pandas as pd  # noqa: PLC0415 - only those who want a frame pay for it

        rows: list[dict[str, Any]] = []
        for result in self.metrics.values():
            facts: dict[str, Any] = {
                "metric": result.name,
                "kind": result.kind,
                "role": result.role,
                "metric_outcome": result.outcome.value,
                "metric_reason": result.reason.value,
            }
            rows += [facts | _numbers(finding) for finding in result.findings]
            if not result.findings:
                rows.append(facts | {"n_baseline": result.n_baseline, "n_canary": result.n_canary})
        return pd.DataFrame(rows)

    def raise_for_outcome(self, *, allow_marginal: bool = False) -> None:
        """Raise unless the release passed.

        Parameters
        ----------
        allow_marginal : bool
            Let a marginal release through.

        Raises
        ------
        ReleaseFailed
            If it failed.
        ReleaseUndecided
            If it is marginal.
        """
        raise_for(self.outcome, self.reason, allow_marginal=allow_marginal)

    def _repr_html_(self) -> str:
        from canaryjudge.explain import as_html  # noqa: PLC0415 - as in `explain`

        return as_html(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {
            "text/plain": self.explain(),
            "text/markdown": self.to_markdown(),
            "text/html": self._repr_html_(),
        }

    def __repr__(self) -> str:
        return f"<Verdict {on_one_line(self.reason)}>"

    __str__ = __repr__


class _Told(Protocol):
    def explain(self) -> str: ...

    def to_html(self) -> str: ...


_AnyVerdict = TypeVar("_AnyVerdict", bound=_Told)


def consistent(verdict: _AnyVerdict) -> _AnyVerdict:
    """Refuse a verdict that somebody changed until its facts contradict each other: it cannot be told."""
    try:
        verdict.explain()
        verdict.to_html()
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"this verdict contradicts itself ({type(error).__name__})",
            "Give the JSON that canaryjudge wrote.",
        ) from error
    return verdict


def _numbers(finding: Finding) -> dict[str, Any]:
    """Give a finding's facts flat, each under one name, and of its interval the ends."""
    facts = finding.model_dump(exclude={"pass_interval", "waived"}, mode="json")
    ends = facts.pop("interval", None) or {}
    for part, (model, prefix) in _PARTS.items():
        known = facts.pop(part, None) or {}
        facts |= {f"{prefix}{name}": known.get(name) for name in model.model_fields}
    return facts | {"low": ends.get("low"), "high": ends.get("high")}


def _shown(facts: Facts) -> str:
    """Show one piece of a verdict in a notebook."""
    from canaryjudge.explain.html import facts_html  # noqa: PLC0415 - as in `Verdict.explain`

    return facts_html(facts)


Facts.show = staticmethod(_shown)


def raise_for(outcome: Outcome, reason: str, *, allow_marginal: bool) -> None:
    """Raise what an outcome asks for that is no pass."""
    if outcome is Outcome.FAIL:
        raise ReleaseFailed(reason)
    if outcome is Outcome.MARGINAL and not allow_marginal:
        raise ReleaseUndecided(reason)

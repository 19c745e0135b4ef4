"""What users get of several arms that were judged under one alpha: a verdict an arm, the best and the worst of them, and which may go on."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, Literal, Self

from canaryjudge.errors import DataError
from canaryjudge.reasons import Outcome
from canaryjudge.reports import Report, read_json
from canaryjudge.results import ArmsFacts
from canaryjudge.verdict import Verdict, raise_for

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ArmVerdicts"]


class ArmVerdicts(ArmsFacts, Report):
    """What `judge` gives of several canaries: a mapping of the arms to their verdicts, with what is true of all.

    Attributes
    ----------
    outcome : Outcome
        `fail` if any arm fails, `pass` if all pass, else `marginal`.
    reason : str
        One line of under 200 characters.
    best, worst : str or None
        The arm that is proven better, or worse, than all others; None where none is.
    ranking : tuple of ArmRanking
        The same of each metric.
    arms : mapping of str to Verdict
        Each arm's verdict, judged at its share of alpha.

    Examples
    --------
    >>> import numpy as np, canaryjudge as cj
    >>> rng = np.random.default_rng(1)
    >>> levels = {"stable": 100, "internal": 100, "beta": 160, "all": 100}
    >>> data = {"p99": {arm: rng.normal(level, 5, 60) for arm, level in levels.items()}}
    >>> policy = cj.Policy(metrics=[cj.Metric(name="p99", unit="ms", direction="increase")])
    >>> found = cj.judge(data, policy, baseline="stable", canary=["internal", "beta", "all"])
    >>> found
    <ArmVerdicts FAIL: roll back beta; internal and all may go on>
    >>> found.worst, found.best, found["internal"].outcome.value
    ('beta', None, 'pass')
    """

    schema_version: Literal[1] = 1
    """Version of this document's shape."""
    version: str
    """Version of canaryjudge that judged."""
    reason: str
    """One line: what to do with which arm."""
    policy_digest: str
    """SHA-256 of the policy."""
    arms: Mapping[str, Verdict]
    """Each arm's verdict, in the order in which they were named."""

    def __getitem__(self, arm: str) -> Verdict:
        return self.arms[arm]

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # a mapping of arms, not of fields
        return iter(self.arms)

    def __len__(self) -> int:
        return len(self.arms)

    def __contains__(self, arm: object) -> bool:
        return arm in self.arms

    def keys(self) -> KeysView[str]:
        """Give the arms' names."""
        return self.arms.keys()

    def values(self) -> ValuesView[Verdict]:
        """Give the arms' verdicts."""
        return self.arms.values()

    def items(self) -> ItemsView[str, Verdict]:
        """Give the arms with their verdicts."""
        return self.arms.items()

    @property
    def may_go_on(self) -> tuple[str, ...]:
        """The arms that pass."""
        return tuple(self.having(Outcome.PASS))

    @property
    def lacks_data(self) -> bool:
        """Whether no arm fails, and those that do not pass do so for want of data alone."""
        held = [verdict for verdict in self.arms.values() if verdict.outcome is not Outcome.PASS]
        return self.outcome is Outcome.MARGINAL and all(verdict.lacks_data for verdict in held)

    def explain(self, *, brief: bool = False) -> str:
        """Give it in sentences: what to do, a table of the arms, the best and the worst, and what each arm's verdict says that does not pass; briefly, without these verdicts."""
        from canaryjudge.explain.arms import arms_text  # noqa: PLC0415 - the words are loaded when they are wanted

        return arms_text(self, self.reason, brief=brief)

    def to_markdown(self) -> str:
        """Give it as Markdown, for a pull request or a pipeline's summary."""
        from canaryjudge.explain.arms import arms_markdown  # noqa: PLC0415 - as in `explain`

        return arms_markdown(self, self.reason)

    def to_html(self) -> str:
        """Give it as a report: one HTML page that needs no script and no network, with a table of the arms, each metric's effects side by side, and each arm's metrics, the worst arms first.

        Returns
        -------
        str
            The document. The same verdicts give the same bytes, also when they were read back from JSON.
        """
        from canaryjudge.explain.arms_report import arms_page  # noqa: PLC0415 - as in `explain`

        digests = {f"data of {arm}, SHA-256": verdict.data_digest for arm, verdict in self.arms.items()}
        judged = {"judged by": f"canaryjudge {self.version}", "policy SHA-256": self.policy_digest}
        return arms_page(self, self.reason, judged | digests)

    def to_frame(self) -> pd.DataFrame:
        """Give a pandas frame with a row an arm: `arm`, `baseline`, `outcome`, `action`, the `reason` in a line, `deciding_metric`, and `alpha`, the level at which it was judged."""
        import pandas as pd  # noqa: PLC0415 - only those who want a frame pay for it

        return pd.DataFrame(
            {
                "arm": arm,
                "baseline": verdict.baseline_arm,
                "outcome": verdict.outcome.value,
                "action": verdict.action,
                "reason": verdict.reason,
                "deciding_metric": verdict.deciding_metric,
                "alpha": verdict.alpha,
            }
            for arm, verdict in self.arms.items()
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        DataError
            If the text is something else, or was changed until its facts contradict each other.
        """
        found = read_json(cls, text, "judgement of several arms")
        try:
            found.explain()
            for verdict in found.arms.values():
                verdict.explain()
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"this judgement of several arms contradicts itself ({type(error).__name__})",
                "Give the JSON that canaryjudge wrote.",
            ) from error
        return found

    def raise_for_outcome(self, *, allow_marginal: bool = False) -> None:
        """Raise unless all arms passed.

        Parameters
        ----------
        allow_marginal : bool
            Let arms through that are marginal.

        Raises
        ------
        ReleaseFailed
            If any failed.
        ReleaseUndecided
            If any is marginal.
        """
        raise_for(self.outcome, self.reason, allow_marginal=allow_marginal)

    def _repr_html_(self) -> str:
        from canaryjudge.explain.arms_report import arms_html  # noqa: PLC0415 - as in `explain`

        return arms_html(self, self.reason)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            "text/plain": self.explain(),
            "text/markdown": self.to_markdown(),
            "text/html": self._repr_html_(),
        }

    def __repr__(self) -> str:
        return f"<ArmVerdicts {self.reason}>"

    __str__ = __repr__

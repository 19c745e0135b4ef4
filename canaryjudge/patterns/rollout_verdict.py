"""What a rollout says: what to do now, why, and how each stage went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from canaryjudge.explain.rollouts import rollout_markdown, rollout_text
from canaryjudge.reasons import Outcome
from canaryjudge.reports import Report
from canaryjudge.results import MetricResult, RolloutFacts
from canaryjudge.verdict import Verdict, consistent, raise_for, short_json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["RolloutVerdict"]


class RolloutVerdict(RolloutFacts, Report):
    """What `Rollout.verdict` gives: what to do with the traffic, and why.

    Attributes
    ----------
    action : {"advance", "hold", "rollback", "complete"}
        What to do. `share` says the same as a number, so that a step that is run again sets what is already set.
    stage : str
        The stage that it is in: after `advance`, the one that begins.
    share : float
        What the canary should get of the traffic now.
    reason : str
        One line of under 200 characters.
    release : Verdict
        What all data since the start say of the release.
    stages : tuple of StageFacts
        Each stage, and how it went.
    """

    schema_version: Literal[1] = 1
    """Version of this document's shape."""
    version: str
    """Version of canaryjudge that judged."""
    reason: str
    """One line: what to do, and why."""
    policy_digest: str
    """SHA-256 of the policy."""
    release: Verdict
    """What all data since the start say of the release."""

    @property
    def outcome(self) -> Outcome:
        """`pass` once it is complete, `fail` once it is rolled back, else `marginal`."""
        ends = {"complete": Outcome.PASS, "rollback": Outcome.FAIL}
        return ends.get(self.action, Outcome.MARGINAL)

    @property
    def metrics(self) -> dict[str, MetricResult]:
        """Each metric's result that matters: of all data, or where that is worse or the release is fine so far, of the present stage's own."""
        return {
            name: max(result, self.at_stage.metrics[name], key=lambda found: found.outcome.badness)
            for name, result in self.release.metrics.items()
        }

    @property
    def score(self) -> float | None:
        """The release's score, under `aggregate: score`."""
        return self.release.score

    @property
    def lacks_data(self) -> bool:
        """Whether it is held, and the present stage is undecided for want of data alone."""
        return self.action == "hold" and self.at_stage.lacks_data

    def explain(self, *, brief: bool = False) -> str:
        """Give it in sentences: what to do, each stage, and what the metrics say; briefly, what to do and why."""
        return rollout_text(self, self.reason, brief=brief)

    def to_json(self) -> str:
        """Give it as JSON; the same data and policy give the same bytes, and `from_json` reads it back."""
        return short_json(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        DataError
            If the text is something else, or contradicts itself.
        """
        return consistent(super().from_json(text))

    def to_markdown(self) -> str:
        """Give it as Markdown, for a pull request or a pipeline's summary."""
        return rollout_markdown(self, self.reason)

    def to_html(self) -> str:
        """Give it as a report: one HTML page with its timeline, which needs no script and no network, for a phone, a desktop and print.

        Returns
        -------
        str
            The document. The same rollout gives the same bytes, also when it was read back from JSON.
        """
        from canaryjudge.explain.rollout_report import rollout_page  # noqa: PLC0415 - loaded when it is wanted

        return rollout_page(
            self,
            self.reason,
            {"judged by": f"canaryjudge {self.version}", "policy SHA-256": self.policy_digest},
        )

    def plot(self, metric: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw it with matplotlib: the share of the traffic over time with what was decided, and below it the effect of each metric that can hold it; or one metric's effect alone.

        Parameters
        ----------
        metric : str, optional
            The metric to draw; the whole timeline where it is left out.
        ax : matplotlib.axes.Axes, optional
            Where to draw; of a whole timeline the share alone.

        Returns
        -------
        matplotlib.axes.Axes
            The axes; of a whole timeline the topmost.

        Raises
        ------
        DataError
            If there is no such metric, or nothing to draw yet.
        MissingExtraError
            If matplotlib is not installed.
        """
        from canaryjudge.plots import rollout_effect, timeline  # noqa: PLC0415 - as in `to_html`

        return timeline(self, ax=ax) if metric is None else rollout_effect(self, metric, ax=ax)

    def to_frame(self) -> pd.DataFrame:
        """Give a pandas frame with a row a stage."""
        import pandas as pd  # noqa: PLC0415 - only those who want a frame pay for it

        return pd.DataFrame([stage.model_dump(mode="json") for stage in self.stages])

    def raise_for_outcome(self, *, allow_marginal: bool = True) -> None:
        """Raise if it is rolled back.

        Parameters
        ----------
        allow_marginal : bool
            Let a rollout through that is on its way.

        Raises
        ------
        ReleaseFailed
            If it is rolled back.
        ReleaseUndecided
            If it is not complete, and that is not allowed.
        """
        raise_for(self.outcome, self.reason, allow_marginal=allow_marginal)

    def _repr_html_(self) -> str:
        from canaryjudge.explain.rollout_report import rollout_html  # noqa: PLC0415 - as in `to_html`

        return rollout_html(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            "text/plain": self.explain(),
            "text/markdown": self.to_markdown(),
            "text/html": self._repr_html_(),
        }

    def __repr__(self) -> str:
        return f"<RolloutVerdict {self.reason}>"

    __str__ = __repr__

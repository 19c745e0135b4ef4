"""What became of many releases: a row a release, a row a metric, and the whole verdict of one where it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from canaryjudge.data import ReleaseKey
from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult, ReleaseResult
from canaryjudge.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MetricRow", "ReleaseRow", "Verdicts"]


class MetricRow(NamedTuple):
    """What became of one metric of one release."""

    metric: str
    kind: str
    role: str
    outcome: str
    reason: str
    rule: str | None
    """The rule that decided."""
    scale: str | None
    estimate: float | None
    low: float | None
    """The interval that the outcome rests on: at beta for a pass, at alpha for all else."""
    high: float | None
    limit_low: float | None
    limit_high: float | None
    pvalue: float | None
    pvalue_pass: float | None
    n_baseline: int
    n_canary: int

    @classmethod
    def of(cls, result: MetricResult) -> MetricRow:
        """Lay a result flat."""
        deciding = result.deciding
        effect = None if deciding is None else deciding.effect
        rests = deciding is not None and deciding.outcome is Outcome.PASS
        interval = None if effect is None else effect.pass_interval if rests else effect.interval
        return cls(
            result.name,
            result.kind,
            result.role,
            result.outcome.value,
            result.reason.value,
            None if deciding is None else deciding.rule,
            None if effect is None else effect.scale,
            None if effect is None else effect.estimate,
            None if interval is None else interval.low,
            None if interval is None else interval.high,
            None if effect is None else effect.limit_low,
            None if effect is None else effect.limit_high,
            None if deciding is None else deciding.pvalue,
            None if deciding is None else deciding.pvalue_pass,
            result.n_baseline,
            result.n_canary,
        )


class ReleaseRow(NamedTuple):
    """What became of one release."""

    outcome: str | None
    """None where it could not be judged."""
    action: str
    reason: str | None
    """Why, of the metric that decided."""
    deciding_metric: str | None
    deciding_rule: str | None
    score: float | None
    error: str | None = None
    """What is wrong with a release that could not be judged, and what to do."""

    @classmethod
    def of(cls, release: ReleaseResult) -> ReleaseRow:
        """Lay a release flat."""
        metric, rule = release.deciding_metric, release.deciding_rule
        reason = None if metric is None else release.metrics[metric].reason.value
        return cls(release.outcome.value, release.action, reason, metric, rule, release.score)

    @classmethod
    def broken(cls, error: CanaryJudgeError) -> ReleaseRow:
        """Say what is wrong with a release."""
        return cls(None, "hold", None, None, None, None, str(error))


class Verdicts(Mapping[ReleaseKey, Verdict]):
    """What `judge_many` and `Monitors` give: the verdicts of many releases, each built where it is asked for.

    A mapping from the releases that could be judged to their verdicts, in the order of the data. Those that could not be are rows of `to_frame` as well, and
    to ask for one raises its error.

    Attributes
    ----------
    errors : dict
        What is wrong with each release that could not be judged; of a watch, with the latest update of a release, whose verdict is that before it.

    Examples
    --------
    >>> import numpy as np, pandas as pd, canaryjudge as cj
    >>> rng = np.random.default_rng(1)
    >>> arms = {"baseline": rng.normal(100, 3, 30), "canary": rng.normal(100, 3, 30)}
    >>> rows = [
    ...     {"service": service, "metric": "cpu", "arm": arm, "value": value * (1.5 if arm == "canary" and service == "cart" else 1)}
    ...     for service in ("cart", "search")
    ...     for arm, values in arms.items()
    ...     for value in values
    ... ]
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", unit="%", direction="increase")])
    >>> verdicts = cj.judge_many(rows, policy, by="service")
    >>> verdicts
    <Verdicts of 2 releases: 1 pass, 1 fail>
    >>> verdicts.to_frame()[["service", "outcome", "action"]].values.tolist()
    [['cart', 'fail', 'rollback'], ['search', 'pass', 'promote']]
    >>> verdicts["cart"].outcome.value
    'fail'
    """

    def __init__(
        self,
        by: Sequence[str],
        rows: Mapping[ReleaseKey, ReleaseRow],
        errors: Mapping[ReleaseKey, CanaryJudgeError],
        build: Callable[[ReleaseKey], Verdict],
        metrics: Callable[[ReleaseKey], Sequence[MetricRow]],
    ) -> None:
        self.errors = dict(errors)
        self._by, self._rows, self._build, self._metrics = tuple(by), rows, build, metrics

    def __getitem__(self, key: ReleaseKey) -> Verdict:
        """Build the verdict of one release: that which `judge` gives for its rows alone.

        Raises
        ------
        CanaryJudgeError
            What is wrong with it, if it could not be judged.
        KeyError
            If there is no such release.
        """
        if self._rows[key].outcome is None:
            raise self.errors[key]
        return self._build(key)

    def __contains__(self, key: object) -> bool:
        return key in self._rows and self._rows[key].outcome is not None  # type: ignore[index]

    def __iter__(self) -> Iterator[ReleaseKey]:
        return (key for key, row in self._rows.items() if row.outcome is not None)

    def __len__(self) -> int:
        return sum(row.outcome is not None for row in self._rows.values())

    @property
    def outcomes(self) -> dict[ReleaseKey, Outcome]:
        """The outcome of each release that could be judged."""
        return {key: Outcome(str(self._rows[key].outcome)) for key in self}

    def to_frame(self) -> pd.DataFrame:
        """Give a pandas frame with a row a release.

        Returns
        -------
        pandas.DataFrame
            The columns that tell releases apart, `outcome` (missing where a release could not be judged), `action` (`hold` there), the `reason` of the metric that decided,
            `deciding_metric`, `deciding_rule`, `score`, and `error`: what is wrong with a release that could not be judged.
        """
        return self._frame(((key, [row]) for key, row in self._rows.items()), ReleaseRow._fields)

    def metrics(self) -> pd.DataFrame:
        """Give a pandas frame with a row a metric, of the releases that could be judged.

        Returns
        -------
        pandas.DataFrame
            The columns that tell releases apart; `metric`, `kind`, `role`, `outcome`, `reason`; of the finding that decided `rule`, `scale`, `estimate`, `low` and `high` (the
            interval that the outcome rests on: at beta for a pass, at alpha for all else), `limit_low`, `limit_high`, `pvalue`, `pvalue_pass`; `n_baseline` and `n_canary`.
        """
        return self._frame(((key, self._metrics(key)) for key in self), MetricRow._fields)

    def _frame(self, rows: Iterator[tuple[ReleaseKey, Sequence[Any]]], names: Sequence[str]) -> pd.DataFrame:
        import pandas as pd  # noqa: PLC0415 - only those who want a frame pay for it

        twice = sorted(set(self._by) & set(names))
        if twice:
            raise DataError(
                f"the column {twice[0]!r} that tells releases apart is also one of the frame's own",
                "Rename it in the data.",
            )
        found = [(*(key if isinstance(key, tuple) else (key,)), *row) for key, own in rows for row in own]
        return pd.DataFrame(found, columns=[*self._by, *names])

    def __repr__(self) -> str:
        counts = Counter(row.outcome for row in self._rows.values())
        told = [f"{counts[outcome.value]} {outcome.value}" for outcome in Outcome if counts[outcome.value]]
        if counts[None]:
            told.append(f"{counts[None]} not judged")
        releases = f"{len(self._rows)} release{'' if len(self._rows) == 1 else 's'}"
        return f"<Verdicts of {releases}{': ' if told else ''}{', '.join(told)}>"

"""Evidence is told as odds, without false precision."""

import pytest

from canaryjudge.explain.evidence import odds
from canaryjudge.rules.findings import Finding, WatchFacts


@pytest.mark.parametrize(
    ("log_e", "told"),
    [
        (None, "under 0.01 to 1"),
        (-3.0, "under 0.01 to 1"),
        (-1.5, "0.032 to 1"),
        (1.31, "20.4 to 1"),
        (4.7108, "51,400 to 1"),
        (6.5, "over a million to 1"),
    ],
)
def test_evidence_is_told_as_odds_without_false_precision(log_e, told):
    finding = Finding(
        rule="sequential", outcome="fail", reason="proven_worse", method="mixture", level=0.05, beta=0.05
    )
    assert odds(finding, WatchFacts(log_e_fail=log_e)) == f", evidence of harm {told} (20 to 1 fails)"

"""What the page of releases shows."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from canaryjudge._version import __version__
from canaryjudge.explain.releases import ReleaseLine, releases_page
from canaryjudge.reasons import Outcome
from canaryjudge.server.gate import Told

__all__ = ["page_of"]


def page_of(releases: Sequence[Told], now: float, before: str | None) -> str:
    """Write the page; `before` is where older releases begin."""
    lines = [
        ReleaseLine(
            service=told.key.service,
            revision=told.key.revision,
            policy=told.policy_name,
            outcome=Outcome(told.facts["outcome"]),
            action=told.facts["action"],
            reason=told.facts["reason"],
            updated=told.updated,
            looks=[Outcome(look[1]) for look in told.facts["looks"]],
            link=f"v1/releases/{quote(told.key.service, safe='')}/{quote(told.key.revision, safe='')}/report",
            share=told.facts.get("share"),
        )
        for told in releases
    ]
    return releases_page(
        lines, now, None if before is None else f"?before={quote(before, safe='')}", __version__
    )

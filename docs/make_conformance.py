"""Write docs/conformance.md: how other tools' own cases come out here. Run: ``python docs/make_conformance.py``.

The cases lie beside the repository (``../shared/cases``). A tool is a file in ``conformance_cases`` and a line in TOOLS.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from conformance_cases import argo, flagger, kayenta
from conformance_cases.frame import Case

PAGE = Path(__file__).parent / "conformance.md"
HEAD = """# Conformance: other tools' own cases

What the compatibility modes make of the cases by which the tools test themselves, and of what the tools themselves answered to generated
input. *Agreed*: the same outcome, and where the case has numbers the same numbers. *Different on purpose*: named below each table, with
the reason. Written by `python docs/make_conformance.py` from the case files; a test writes it again and compares.
"""
TOOLS: dict[str, Callable[[], Iterable[Case]]] = {
    "Argo Rollouts": argo.cases,
    "Flagger": flagger.cases,
    "Kayenta": kayenta.cases,
}
"""Each tool's cases: a new one is a line here."""


def page() -> str:
    """Write the page.

    Raises
    ------
    ValueError
        If a case neither agrees nor says why it does not.
    """
    parts = [HEAD]
    for tool, cases in TOOLS.items():
        found = list(cases())
        if lost := [f"{case.kind}: {case.name}" for case in found if not case.agreed and not case.why]:
            raise ValueError(f"{tool}: not agreed, and nobody says why: {'; '.join(lost)}")
        parts.append(_section(tool, found))
    return "\n".join(parts)


def _section(tool: str, cases: list[Case]) -> str:
    agreed = sum(case.agreed for case in cases)
    lines = [
        f"## {tool}",
        "",
        f"{len(cases)} cases tried, {agreed} agreed, {len(cases) - agreed} different on purpose.",
        "",
    ]
    lines += ["| cases | tried | agreed | different on purpose |", "| --- | ---: | ---: | ---: |"]
    for kind in dict.fromkeys(case.kind for case in cases):
        own = [case for case in cases if case.kind == kind]
        good = sum(case.agreed for case in own)
        lines.append(f"| {kind} | {len(own)} | {good} | {len(own) - good} |")
    reasons: dict[str, list[str]] = {}
    for case in cases:
        if not case.agreed:
            reasons.setdefault(case.why, []).append(f"`{case.name}`")
    if reasons:
        lines += ["", "Different on purpose:", ""]
        lines += [f"- {why} ({len(names)}): {', '.join(_counted(names))}." for why, names in reasons.items()]
    return "\n".join(lines) + "\n"


def _counted(names: list[str]) -> list[str]:
    """Write a name once, with how many cases have it."""
    return [
        name if names.count(name) == 1 else f"{name} × {names.count(name)}" for name in dict.fromkeys(names)
    ]


if __name__ == "__main__":
    try:
        PAGE.write_text(page(), encoding="utf-8")
    except (ValueError, OSError) as error:
        sys.exit(f"docs/conformance.md is left as it is: {error}")

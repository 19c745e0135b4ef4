"""One case of another tool, and what it came to here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CASES", "Case", "read_cases"]

CASES = Path(__file__).parents[3] / "shared" / "cases"
"""Where the case files are, beside the repository; they are not part of it."""


@dataclass(frozen=True)
class Case:
    """A case.

    Attributes
    ----------
    kind : str
        What it is about; a row of the table.
    name : str
        What its file calls it.
    agreed : bool
        Whether the outcome here is the one that the tool has.
    why : str
        Where it is not: why that is so on purpose. Empty where nobody meant it, which the script refuses to write down.
    """

    kind: str
    name: str
    agreed: bool
    why: str = ""


def read_cases(name: str) -> list[Any]:
    """Read a file of cases: JSON with a list under ``cases``, or JSON lines."""
    text = (CASES / name).read_text(encoding="utf-8")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    document = json.loads(text)
    return list(document if isinstance(document, list) else document["cases"])

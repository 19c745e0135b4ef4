"""The list of public names: each page of docs/api with what it shows, and the first line of its docstring."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

__all__ = ["documented", "name_reference"]


def documented(page: Path) -> dict[str, object]:
    """Give what a page of the reference shows, by its path in the package."""
    paths = re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        path: getattr(importlib.import_module(path.rpartition(".")[0]), path.rpartition(".")[2])
        for path in paths
    }


def name_reference(pages: list[Path]) -> str:
    """Give a table a page."""
    parts = []
    for page in pages:
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        rows = [
            f"| [`{path.rpartition('.')[2]}`]({page.name}#{path}) | {_first_line(shown)} |"
            for path, shown in documented(page).items()
        ]
        parts.append("\n".join([f"## {title}", "", "| name | what it is |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def _first_line(shown: object) -> str:
    return (inspect.getdoc(shown) or "").partition("\n")[0].replace("|", "\\|")

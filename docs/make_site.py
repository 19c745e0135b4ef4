"""Build the documentation's site into build/site: python docs/make_site.py (`make docs`).

The pages of docs/ are laid out in build/pages beside what lies elsewhere: the changelog, and the notebooks with what they print and draw. Links
that lead out of docs/ on GitHub are led to these pages.
"""

from __future__ import annotations

import argparse
import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import jupytext
from nbclient import NotebookClient

ROOT: Final = Path(__file__).resolve().parent.parent
MOVED: Final = (
    (re.compile(r"\]\(\.\./CHANGELOG\.md"), "](changelog.md"),
    (re.compile(r"\]\(\.\./SECURITY\.md"), "](security.md"),
    (re.compile(r"\]\(((?:\.\./)*)\.\./notebooks/(\w+)\.py"), r"](\1notebooks/\2.md"),
)
"""Links of docs/ to files beside it, and where these are in the site."""
NOTEBOOK_LINK: Final = re.compile(r"\]\((\w+)\.py")
FRAME_STYLE: Final = (
    "<style>.dataframe { border: 0; border-collapse: collapse; font-size: .8em } "
    ".dataframe :is(th, td) { border: 0; border-bottom: 1px solid #8884; padding: .3em .7em; text-align: right }</style>"
)
"""How pandas' tables look in a tree of their own."""
SHIM: Final = "https://unpkg.com/iframe-worker/shim"
"""What every page would fetch to search from disk; `worker.js` does the same without a network."""


def build(folder: Path, *, run: bool) -> None:
    """Lay out the pages in a folder, and build the site there; `run` says whether notebooks are run."""
    lay_out(folder / "build" / "pages", run=run)
    if folder != ROOT:
        shutil.copy(ROOT / "zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - a fixed command
    site = folder / "build" / "site"
    for page in site.glob("**/*.html"):
        up = "../" * (len(page.relative_to(site).parts) - 1)
        page.write_text(page.read_text(encoding="utf-8").replace(SHIM, f"{up}worker.js"), encoding="utf-8")


def lay_out(pages: Path, *, run: bool) -> None:
    """Write all pages of the site, and what they show."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages, ignore=_only_pages)
    for page in pages.glob("**/*.md"):
        text = page.read_text(encoding="utf-8")
        for link, place in MOVED:
            text = link.sub(place, text)
        page.write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "CHANGELOG.md", pages / "changelog.md")
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8").replace("](docs/", "](")
    (pages / "security.md").write_text(security, encoding="utf-8")
    (pages / "notebooks").mkdir()
    for notebook in sorted((ROOT / "notebooks").glob("*.py")):
        _write_notebook(notebook, pages / "notebooks", run=run)


def _only_pages(folder: str, names: list[str]) -> set[str]:
    """Tell what is no part of the site: scripts and examples."""
    return {
        name
        for name in names
        if name in ("examples", "__pycache__")
        or (
            (Path(folder) / name).is_file()
            and Path(name).suffix not in (".md", ".css", ".js", ".png", ".svg")
        )
    }


def _write_notebook(source: Path, folder: Path, *, run: bool) -> None:
    notebook = jupytext.read(source)
    if run:
        place = {"metadata": {"path": str(ROOT)}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
    parts: list[str] = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            parts.append(NOTEBOOK_LINK.sub(r"](\1.md", cell.source.replace("](../docs/", "](../")))
            continue
        parts.append(f"```python\n{cell.source}\n```")
        outputs = _joined(cell.get("outputs", ()))
        parts += [
            _shown(output, folder, f"{source.stem}-{number}-{index}") for index, output in enumerate(outputs)
        ]
    text = "\n\n".join(part for part in parts if part)
    (folder / f"{source.stem}.md").write_text(f"{text}\n", encoding="utf-8")


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """Put together what was printed in pieces."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _shown(output: Any, folder: Path, name: str) -> str:
    """Give a cell's output as Markdown: the richest form that a page can hold."""
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```"
    data = output.get("data", {})
    if "text/html" in data:
        # a tree of its own keeps the site's styles out; a line without anything would end the HTML for Markdown
        html = re.sub(r"\n\s*\n", "\n", data["text/html"])
        return f'<div class="output">\n<template shadowrootmode="open">\n{FRAME_STYLE}\n{html}\n</template>\n</div>'
    if "image/png" in data:
        (folder / f"{name}.png").write_bytes(base64.b64decode(data["image/png"]))
        return f"![What the cell above draws]({name}.png)"
    return f"```text\n{data['text/plain']}\n```" if "text/plain" in data else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the documentation's site.")
    parser.add_argument(
        "--into", type=Path, default=ROOT, metavar="FOLDER", help="build build/site in this folder"
    )
    parser.add_argument(
        "--unrun", action="store_true", help="leave the notebooks' outputs out, which is faster"
    )
    options = parser.parse_args()
    build(options.into, run=not options.unrun)

"""Every notebook runs from top to bottom, where Jupyter starts it: in its own folder."""

import re
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("folder", ["notebooks", "."])
def test_the_examples_are_found_from_there_and_from_the_checkout(folder, monkeypatch):
    root = NOTEBOOKS[0].parents[1]
    monkeypatch.chdir(root / folder)
    texts = "\n".join(path.read_text(encoding="utf-8") for path in NOTEBOOKS)
    lines = re.findall(r"^here = .*", texts, re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        names = {"Path": Path}
        exec(line, names)  # noqa: S102 - a line of our own notebooks
        assert names["here"] == root


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own, none of ours
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    notebook = jupytext.read(path)
    assert notebook.cells
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    assert all(
        not cell.get("outputs") or cell.outputs[0].output_type != "error"
        for cell in notebook.cells
        if cell.cell_type == "code"
    )

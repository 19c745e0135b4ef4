"""The table of other tools' own cases is what the cases come to."""

import importlib.util
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
CASES = DOCS.parents[1] / "shared" / "cases"


@pytest.fixture
def conformance(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    spec = importlib.util.spec_from_file_location("make_conformance", DOCS / "make_conformance.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in [each for each in sys.modules if each.split(".")[0] == "conformance_cases"]:
        del sys.modules[name]


@pytest.mark.skipif(
    not CASES.is_dir(), reason=f"no {CASES}: the tools' own cases are not beside the repository"
)
def test_the_page_is_what_the_cases_come_to(conformance):
    assert conformance.PAGE.read_text(encoding="utf-8") == conformance.page(), (
        "run: python docs/make_conformance.py"
    )


def test_a_case_that_nobody_meant_to_differ_is_not_written_down(conformance, monkeypatch):
    case = conformance.Case
    monkeypatch.setattr(
        conformance,
        "TOOLS",
        {"Tool": lambda: [case("kind", "good", agreed=True), case("kind", "bad", agreed=False)]},
    )
    with pytest.raises(ValueError, match="Tool: not agreed, and nobody says why: kind: bad"):
        conformance.page()
    monkeypatch.setattr(
        conformance, "TOOLS", {"Tool": lambda: [case("kind", "bad", agreed=False, why="so it is meant")] * 2}
    )
    assert "- so it is meant (2): `bad` × 2." in conformance.page()

"""The tools' own cases (`../shared/cases`), as `docs/conformance.md` counts them: agreed, or different with the reason."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases"


@pytest.mark.parametrize(("tool", "tried", "agreed"), [("argo", 247, 219), ("flagger", 111, 87)])
def test_every_case_agrees_or_says_why_not(tool, tried, agreed, monkeypatch):
    if not (CASES / f"{tool}.json").exists():
        pytest.skip(f"the cases ../shared/cases/{tool}.json are not beside this checkout")
    monkeypatch.syspath_prepend(ROOT / "docs")
    from conformance_cases import argo, flagger

    found = list({"argo": argo, "flagger": flagger}[tool].cases())
    assert [case for case in found if not case.agreed and not case.why] == []
    assert (len(found), sum(case.agreed for case in found)) == (tried, agreed)
    evaluation = (
        "eval_condition",
        "evaluate_result",
        "assess_",
        "func_",
        "threshold_check",
        "webhook_status",
    )
    assert all(case.agreed for case in found if case.kind.startswith(evaluation))


def test_every_condition_that_was_found_is_read_or_refused_in_one_sentence():
    path = CASES / "argo_conditions.tsv"
    if not path.exists():
        pytest.skip("the cases ../shared/cases/argo_conditions.tsv are not beside this checkout")
    from canaryjudge.errors import PolicyError
    from canaryjudge.integrations.argo.expressions import parse_expression

    refused = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("\t", 1)[1].split(":", 1)[1].strip().rstrip("},")
        quoted = text[:1] in ('"', "`") and text[:1] == text[-1:]
        text = text[1:-1] if quoted else text.split(" # ")[0]
        try:
            parse_expression(text)
        except PolicyError:
            refused.add(text)
    # placeholders, prose, Go code that the search has found, and a condition that is wrong on purpose
    known = {"", "{", "result < X` style of expression. A", "result[0] 10.000000"}
    assert {text for text in refused if "{{" not in text and "args." not in text} == known

"""The figures on recorded metrics, where the corpus stands beside the checkout; a few cases of leeway for other machines' rounding."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "data" / "dev"


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    if not CORPUS.is_dir():
        pytest.skip("the corpus ../shared/data/dev is not beside this checkout")
    path = tmp_path_factory.mktemp("quality") / "quality.json"
    script = ROOT / "benchmarks" / "verdict_quality.py"
    subprocess.run(
        [sys.executable, script, "--corpus", CORPUS, "--json", path],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    return json.loads(path.read_text(encoding="utf-8"))


def percent(figures, corpus, effect):
    whole = [
        group
        for group in figures["groups"]
        if (group["corpus"], group["effect"], group["pairing"], group["source"])
        == (corpus, effect, None, None)
    ]
    return whole[0]["percent"]


def test_no_case_raises(figures):
    assert figures["raised"] == []


def test_healthy_pairs_rarely_fail(figures):
    assert percent(figures, "aa", "none")["fail"] <= 3
    assert percent(figures, "err", "null_0.1pct")["fail"] <= 0.5


@pytest.mark.parametrize(
    ("corpus", "effect", "least"),
    [("abinj", "shift25", 72), ("abinj", "shift50", 90), ("err", "0.1_to_0.5pct", 80)],
)
def test_true_changes_are_found(figures, corpus, effect, least):
    assert percent(figures, corpus, effect)["fail"] >= least


def test_few_faults_pass(figures):
    assert figures["ab_with_at_least_10_canary_points"]["percent"]["pass"] <= 12

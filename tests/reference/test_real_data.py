"""The figures on recorded metrics, where the corpus stands beside the checkout; a few cases of leeway for other machines' rounding."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "data" / "dev"

pytestmark = pytest.mark.slow


def judged(folder, *options):
    if not CORPUS.is_dir():
        pytest.skip("the corpus ../shared/data/dev is not beside this checkout")
    path = folder / "quality.json"
    script = ROOT / "benchmarks" / "verdict_quality.py"
    subprocess.run(
        [sys.executable, script, "--corpus", CORPUS, "--json", path, *options],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return judged(tmp_path_factory.mktemp("quality"))


@pytest.fixture(scope="module")
def level_alone(tmp_path_factory):
    """The level's rule with all of alpha, which the default policy's other rules take a sixth of."""
    return judged(tmp_path_factory.mktemp("level"), "--level-only")


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
    assert percent(figures, "aa", "none")["fail"] <= 2
    assert percent(figures, "err", "null_0.1pct")["fail"] <= 0.5


@pytest.mark.parametrize(
    ("corpus", "effect", "least"),
    [("abinj", "shift25", 72), ("abinj", "shift50", 90), ("err", "0.1_to_0.5pct", 80)],
)
def test_true_changes_are_found(level_alone, corpus, effect, least):
    assert percent(level_alone, corpus, effect)["fail"] >= least


@pytest.mark.parametrize(
    ("corpus", "effect", "least"),
    [
        ("abinj", "shift25", 70),
        ("abinj", "shift50", 90),
        ("abinj", "tail2x", 18),
        ("err", "0.1_to_0.5pct", 84),
    ],
)
def test_the_default_policy_finds_changes_of_the_level_and_of_what_a_level_does_not_show(
    figures, corpus, effect, least
):
    assert percent(figures, corpus, effect)["fail"] >= least


def test_faults_fail_and_few_pass(figures):
    found = figures["ab_with_at_least_10_canary_points"]["percent"]
    assert found["fail"] >= 20
    # two of them, on coarse grids, pass since values that tie with the tolerance count half wherever rounding puts them
    assert found["pass"] <= 11

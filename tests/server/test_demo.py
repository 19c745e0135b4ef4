"""Two releases from end to end on this machine, by one command: services, Prometheus, the gate, Flagger's loop and Argo's analysis."""

import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from browser import Browser, chromium
from pages import Page

EXAMPLE = Path(__file__).parents[2] / "docs/examples/gate"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """What the command prints, and the page that it leaves."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: make system")
    page = tmp_path_factory.mktemp("demo") / "page.html"
    command = [sys.executable, str(EXAMPLE / "demo.py"), "--page", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=420)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, page


def test_the_bad_release_is_rolled_back_and_the_good_one_promoted(played):
    said, _ = played
    assert "Flagger: version 1.5 is rolled back\n" in said
    assert "Argo Rollouts: version 1.6 is promoted\n" in said
    assert re.search(r"Flagger, weight \d+: 409 FAIL: errors: canary is \d+ percentage points higher", said)
    assert "Argo Rollouts: successful, PASS: errors" in said


def test_the_page_shows_both(played):
    words = Page(played[1].read_text(encoding="utf-8")).words
    assert re.search(
        r"1 failed\b.*1 passed\b.*shop\.demo 1\.6 pass promote .*shop\.demo 1\.5 fail roll back", words
    )


@pytest.mark.skipif(chromium() is None, reason="chromium is not installed: make system")
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_in_a_browser(played, dark):
    with Browser() as browser:
        for width in (390, 1440):
            browser.show(played[1], width=width, dark=dark)
            assert browser.run("document.documentElement.scrollWidth <= innerWidth")
            browser.run(
                files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8") + "; true"
            )
            found = browser.run(
                "axe.run().then(({violations}) => violations.filter(({impact}) => ['serious', 'critical'].includes(impact)).map(({id}) => id))"
            )
            assert found == []
        assert browser.complaints == []

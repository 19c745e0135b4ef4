"""What importing the policy room costs: nothing that reads files or draws in heavy libraries."""

import subprocess
import sys

PROGRAM = """
import sys
import canaryjudge.policy
heavy = [name for name in ("ruamel.yaml", "pandas", "scipy.stats", "statsmodels", "matplotlib") if name in sys.modules]
assert not heavy, heavy
"""


def test_importing_the_policy_draws_in_no_heavy_library():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr

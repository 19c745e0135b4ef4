"""Killed at any moment, a writer leaves the file that was there or the one that it wrote, whole."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

WRITER = """
import sys
from canaryjudge.integrations.files.state_files import write_state

path, size = sys.argv[1], int(sys.argv[2])
print(flush=True)
while True:
    for letter in "ab":
        write_state(path, letter * size)
"""
SIZE = 3_000_000


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("kills", [5, pytest.param(300, marks=pytest.mark.slow)])
def test_a_kill_leaves_one_text_or_the_other(tmp_path, kills):
    path, rng = tmp_path / "state.json", np.random.default_rng(kills)
    path.write_text("a" * SIZE)
    for _ in range(kills):
        command = [sys.executable, "-c", WRITER, str(path), str(SIZE)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
        assert path.read_text() in ("a" * SIZE, "b" * SIZE)
        assert {file.name for file in tmp_path.iterdir()} <= {"state.json", ".state.json.tmp"}

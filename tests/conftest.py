"""The same examples of hypothesis in every run, so that a failure is there again: few in `make test`, all in `make test-slow`.

`pytest -m hypothesis --hypothesis-profile=random` draws new ones, and `make fuzz RUNS=20000` as many as it says, each within ten seconds.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from warm_command import warm_command

settings.register_profile("few", derandomize=True, deadline=None, max_examples=20)
settings.register_profile("full", derandomize=True, deadline=None, max_examples=200)
settings.register_profile("random", deadline=None)
settings.register_profile(
    "fuzz",
    deadline=10_000,
    max_examples=int(os.environ.get("RUNS", "2000")),
    suppress_health_check=list(HealthCheck),
    database=None,
)
settings.load_profile("few")


@pytest.fixture(scope="session")
def warm_folder(tmp_path_factory):
    """A folder for the front of PATH whose `canaryjudge` has imported everything."""
    with warm_command(tmp_path_factory.mktemp("bin")) as folder:
        yield folder

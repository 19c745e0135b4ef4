"""The same examples of hypothesis in every run, so that a failure is there again: few in `make test`, all in `make test-slow`.

`pytest -m hypothesis --hypothesis-profile=random` draws new ones.
"""

from hypothesis import settings

settings.register_profile("few", derandomize=True, deadline=None, max_examples=25)
settings.register_profile("full", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile("few")

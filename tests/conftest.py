"""The same examples of hypothesis in every run, so that a failure is there again; `make test-all` draws new ones."""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile("fixed")

"""Prints what the speed benchmarks compare, below pytest-benchmark's own table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_LINES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start an empty comparison."""
    config.stash[_LINES] = []


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Give a function that adds a line to the comparison."""
    return pytestconfig.stash[_LINES].append


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the comparison."""
    if config.stash[_LINES]:
        terminalreporter.section("canaryjudge beside its peers")
        for line in config.stash[_LINES]:
            terminalreporter.write_line(line)

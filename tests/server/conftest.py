"""An empty store of either kind, by its address."""

import itertools

import psycopg
import pytest
from postgresql import cluster, programs

DATABASES = itertools.count()


@pytest.fixture(scope="session")
def postgresql():
    if programs() is None:
        pytest.skip("PostgreSQL is not installed: make system")
    with cluster() as server:
        yield server


@pytest.fixture
def new_database(postgresql):
    """What makes a database and gives its address."""

    def made(options=""):
        name = f"gate{next(DATABASES)}"
        with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as connection:
            connection.execute(f"create database {name} {options}")
        return f"{postgresql}/{name}"

    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gate.db"
    return request.getfixturevalue("new_database")()

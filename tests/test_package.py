"""The package as a whole: what it exports, and what importing it costs."""

import ast
import inspect
import subprocess
import sys

import pytest

import canaryjudge as cj

HEAVY = (
    "pandas",
    "scipy.stats",
    "statsmodels",
    "matplotlib",
    "ruamel",
    "ruamel.yaml",
    "narwhals",
    "pyarrow",
    "polars",
)

JUDGE_ARRAYS = """
import canaryjudge as cj
policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase")])
verdict = cj.judge({"m": {"baseline": list(range(20)), "canary": list(range(20))}}, policy)
assert verdict.explain()
"""


def loaded_by(code):
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import canaryjudge",
        JUDGE_ARRAYS,
    ],
    ids=["import", "judge arrays"],
)
def test_what_is_heavy_is_not_loaded_until_it_is_needed(code):
    assert loaded_by(code).isdisjoint(HEAVY)


@pytest.mark.parametrize("name", [name for name in cj.__all__ if not name.startswith("__")])
def test_every_public_name_is_there_and_documented(name):
    assert (getattr(cj, name).__doc__ or "").strip()


def test_type_checkers_are_told_of_the_same_names_as_the_interpreter():
    (told,) = (node for node in ast.parse(inspect.getsource(cj)).body if isinstance(node, ast.If))
    imports = {alias.asname: node.module for node in told.body for alias in node.names}
    modules = {name: f"canaryjudge.{module}" for name, module in cj._MODULE_OF.items()}
    assert imports == modules | {"plots": "canaryjudge"}


def test_the_import_alone_loads_nothing():
    assert loaded_by("import canaryjudge").isdisjoint({"numpy", "pydantic", "scipy", "canaryjudge.policy"})


def test_no_module_takes_the_place_of_a_public_name():
    every = "import canaryjudge as cj, pkgutil, importlib\nfor each in pkgutil.iter_modules(cj.__path__): importlib.import_module(f'canaryjudge.{each.name}')"
    loaded_by(
        f"{every}\nassert all(callable(getattr(cj, name)) for name in cj.__all__ if name not in ('plots', '__version__'))"
    )


def test_the_public_names_are_sorted_once_and_few():
    assert cj.__all__ == sorted(set(cj.__all__))
    assert len({*cj.__all__} - {"__version__"}) < 50


def test_errors_are_told_apart_by_type():
    assert issubclass(cj.PolicyError, ValueError)
    assert issubclass(cj.DataError, ValueError)
    assert issubclass(cj.MissingExtraError, ImportError)
    for error in (cj.PolicyError, cj.DataError, cj.MissingExtraError, cj.ReleaseFailed, cj.ReleaseUndecided):
        assert issubclass(error, cj.CanaryJudgeError)
    assert str(cj.DataError("what is wrong", "What to do.")) == "what is wrong. What to do."

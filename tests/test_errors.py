"""What canaryjudge raises: the kinds that callers catch, and what their messages carry."""

import copy
import pickle

import pytest

from canaryjudge import errors
from canaryjudge.errors import (
    CanaryJudgeError,
    DataError,
    MissingExtraError,
    PolicyError,
    ReleaseFailed,
    ReleaseUndecided,
)

ALL = [CanaryJudgeError, DataError, MissingExtraError, PolicyError, ReleaseFailed, ReleaseUndecided]


def test_every_error_of_the_module_is_listed_here():
    assert {kind.__name__ for kind in ALL} == set(errors.__all__)


@pytest.mark.parametrize("kind", ALL)
def test_message_and_hint_are_kept_apart_and_shown_together(kind):
    error = kind("the file is empty", "Write something into it.")
    assert (error.message, error.hint) == ("the file is empty", "Write something into it.")
    assert str(error) == "the file is empty. Write something into it."
    assert str(kind("the file is empty")) == "the file is empty"


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])  # noqa: S301 - our own bytes
def test_errors_survive_copying_and_pickling(kind, again):
    error = again(kind("what", "How."))
    assert type(error) is kind
    assert (error.message, error.hint, str(error)) == ("what", "How.", "what. How.")


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        (PolicyError, (CanaryJudgeError, ValueError)),
        (DataError, (CanaryJudgeError, ValueError)),
        (MissingExtraError, (CanaryJudgeError, ImportError)),
        (ReleaseFailed, (CanaryJudgeError,)),
        (ReleaseUndecided, (CanaryJudgeError,)),
    ],
)
def test_errors_can_be_caught_by_their_usual_python_kind(kind, bases):
    assert all(issubclass(kind, base) for base in bases)


@pytest.mark.parametrize("kind", [ReleaseFailed, ReleaseUndecided])
def test_a_verdict_is_not_a_mistake_of_the_caller(kind):
    assert not issubclass(kind, ValueError)

"""One table of reasons, in the order in which they are named."""

import pickle

import pytest

from canaryjudge.reasons import Outcome, Reason


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_its_code_and_knows_its_row(reason):
    assert reason == reason.name.lower() == f"{reason}"
    assert Reason(str(reason)) is reason
    assert pickle.loads(pickle.dumps(reason)) is reason  # noqa: S301 - our own
    assert isinstance(reason.outcome, Outcome)
    assert len(reason.meaning.split()) >= 2
    assert 2 <= len(reason.words.split()) <= 8


def test_no_two_reasons_share_a_row():
    assert len({reason.meaning for reason in Reason}) == len(Reason)


def test_the_table_goes_from_what_is_named_first_to_what_passes():
    assert [reason.severity for reason in Reason if reason.outcome is not Outcome.PASS] == list(range(23))
    assert {reason.severity for reason in Reason if reason.outcome is Outcome.PASS} == {23}
    badness = [reason.outcome.badness for reason in Reason]
    assert badness == sorted(badness, reverse=True)

"""A container's termination message: at most 4096 bytes, whole lines, what matters most first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from told import many_names, renamed, verdict

import canaryjudge as cj
from canaryjudge.integrations.writers import termination_message
from canaryjudge.integrations.writers.tekton import tekton_results


@pytest.mark.parametrize("outcome", ["pass", "marginal", "fail", "no_data"])
def test_what_fits_is_the_brief_text(outcome):
    assert termination_message(verdict(outcome)) == verdict(outcome).explain(brief=True).rstrip("\n") + "\n"


@given(
    many_names,
    st.sampled_from(["fail", "marginal"]),
)
def test_it_is_whole_lines_of_it_and_fits(names, outcome):
    said = renamed(names, outcome)
    message, text = termination_message(said), said.explain(brief=True).rstrip("\n").split("\n")
    assert len(message.encode()) <= 4096
    lines = message.rstrip("\n").split("\n")
    if lines != text:
        left = lines.pop()
        assert left == f"... {len(text) - len(lines):d} more line{'s' * (len(text) - len(lines) > 1)}"
        assert (
            len("\n".join([*lines, text[len(lines)], left, ""]).encode()) > 4096 - 4
        )  # one more would not have fitted
    assert lines == text[: len(lines)]
    assert lines


@given(st.text(st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), min_size=1000, max_size=3000))
def test_an_error_is_told_and_a_line_is_cut_between_characters(text):
    message = termination_message(cj.DataError(text, text))
    assert message.startswith("ERROR: ")
    assert len(message.encode()) <= 4096


def test_it_says_no_less_than_the_results_of_a_task():
    said = renamed([f"{'中' * 60}{number}" for number in range(40)])
    assert tekton_results(said)["outcome"].upper() in termination_message(said).split("\n")[0]

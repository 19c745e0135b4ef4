"""Each rule has its words, and each test that a rule may name."""

import re
from pathlib import Path

import pytest

import canaryjudge
from canaryjudge.explain.effects import EffectWords
from canaryjudge.explain.words import _WORDS
from canaryjudge.rules import RULES

SOURCES = Path(canaryjudge.__file__).parent / "rules"
SPOKEN_OF_OTHERWISE = {"", "none", "no_edge", "not_positive", "inverted_cdf"}
"""No test at all, sentences of their own, and a way to take quantiles."""


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_words(name):
    assert RULES[name].finding in _WORDS


def test_every_test_that_rules_name_has_words():
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py"))
    named = set(re.findall(r"""\bmethod"?(?:=|: | = )"(\w*)\"""", text))
    told = {code for words in _WORDS.values() if issubclass(words, EffectWords) for code in words.methods}
    assert named - told <= SPOKEN_OF_OTHERWISE
    assert {"mixture", "exact_ratio", "precedence"} <= named & told

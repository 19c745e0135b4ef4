"""Mistakes in policy files: each is told with file, line and column, what is wrong and what to do."""

import pytest

from canaryjudge.errors import PolicyError
from canaryjudge.policy import load_policy, parse_policy

HEAD = "metrics:\n- name: a\n  direction: increase\n"

# (text, place as line:column, words)
MISTAKES = [
    # keys
    (HEAD + "alhpa: 1%\n", "4:1", "unknown key 'alhpa'. Did you mean 'alpha'?"),
    (HEAD + "  wieght: 2\n", "4:3", "metrics[0]: unknown key 'wieght'. Did you mean 'weight'?"),
    (HEAD + "zzz: 1\n", "4:1", "Known keys: version, extends, alpha"),
    (
        HEAD + "alpha: 1%\nbeta: 5%\nalpha: 2%\n",
        "6:1",
        "the key 'alpha' stands there twice, first on line 4. Leave one out",
    ),
    (HEAD + "  name: b\n", "4:3", "the key 'name' stands there twice, first on line 2"),
    ("metrics: [{name: a, direction: increase, name: b}]", "1:42", "the key 'name' stands there twice"),
    (
        '{"metrics": [{"name": "a",\n "direction": "increase", "name": "b"}]}',
        "2:27",
        "the key 'name' stands there twice, first on line 1",
    ),
    (HEAD + "  tolerance: {relative: 5%, relative: 6%}\n", "4:29", "the key 'relative' stands there twice"),
    (HEAD + "1: 2\n", "4:1", "unknown key '1'"),
    (HEAD + "~: 2\n", "4:1", "unknown key '~'"),
    (HEAD + "? [x]\n: 1\n", "4:3", "a list cannot be a key"),
    (HEAD + "rule:slo: 1\n", "4:1", "unknown key 'rule:slo'"),
    (
        "metrics:\n- name: a\n",
        "2:3",
        "metrics[0]: 'direction' is missing. Add direction: increase, decrease or either",
    ),
    ("metrics:\n- name: a\n  directoin: increase\n", "3:3", "Did you mean 'direction'?"),
    ("alpha: 1%\n", "1:1", "'metrics' is missing. Add a list of metrics"),
    # values
    (HEAD + "alpha: 5\n", "4:8", "alpha: 5 is not between 0 % and 50 %; did you mean 5%?"),
    (HEAD + "alpha: .nan\n", "4:8", "nan is not finite"),
    (HEAD + "alpha: .inf\n", "4:8", "inf is not finite"),
    (HEAD + f"alpha: 1{'0' * 400}\n", "4:8", "inf is not finite"),
    (HEAD + "alpha: 2024-01-01\n", "4:8", "'2024-01-01' is not a fraction"),
    (HEAD + "alpha: yes\n", "4:8", "'yes' is not a fraction"),
    (HEAD + "alpha:\n", "4:6", "alpha: has no value. Give it one, or leave the key out"),
    (HEAD + "alpha:   # to do\nbeta: 5%\n", "4:6", "alpha: has no value"),
    (HEAD + "alpha: ~\n", "4:8", "alpha: has no value"),
    (HEAD + "version: '1'\n", "4:10", "write version: 1, without quotes"),
    (HEAD + "version: 2\n", "4:10", "2 is not a version that is known here"),
    (HEAD + "  weight: '1'\n", "4:11", "'1' is not a number. Write a number, without quotes"),
    (HEAD + "  weight: true\n", "4:11", "true is not a number"),
    (HEAD + "  weight: -1\n", "4:11", "must be above 0, found -1"),
    (HEAD + "  min_points: 10.5\n", "4:15", "10.5 is not a whole number"),
    (HEAD + "  tolerance: 10\n", "4:14", "write 10%, or {absolute: 10}"),
    (HEAD + "  tolerance: '10'\n", "4:14", "could be a fraction or a number of units"),
    (HEAD + "  tolerance: {relative: 10}\n", "4:25", "10 would be 1000%; write 10%"),
    (HEAD + "  tolerance: 5ms\n", "4:14", "add unit: ms to the metric"),
    (
        HEAD + "  unit: ms\n  tolerance: {relative: 1%, absolute: 5MB}\n",
        "5:39",
        "'MB' cannot be converted to the metric's unit 'ms'",
    ),
    (
        HEAD + "  unit: ms\n  tolerance:\n    absolute: 5%\n",
        "6:15",
        "5% is in %, but the metric's unit is 'ms'",
    ),
    (HEAD + "  interval: 60\n", "4:13", "60 is a duration without a unit; write it like 90s, 5m or 1h"),
    (HEAD + "  interval: 1:30\n", "4:13", "'1:30' is not a duration"),
    (
        HEAD + "  kind: guage\n",
        "4:9",
        "'guage' is not one of 'gauge', 'samples', 'ratio', 'count', 'histogram', 'users', 'pairs' or 'paired_ratio'. Did you mean 'gauge'?",
    ),
    (HEAD + "  group: 5\n", "4:10", "group: 5 is not text. Put it in quotes"),
    (
        "metrics: [{name: 404, direction: increase}]",
        "1:18",
        "metrics[0].name: 404 is not text. Put it in quotes",
    ),
    ("metrics: [{name: true, direction: increase}]", "1:18", "true is not text. Put it in quotes"),
    ("metrics: [{name: a, direction: <}]", "1:32", "'<' is not one of"),
    # shapes
    ("metrics: []\n", "1:10", "metrics: is empty"),
    ("metrics:\n", "1:8", "metrics: has no value"),
    (
        "metrics:\n  a: {direction: increase}\n",
        "2:3",
        "metrics: a mapping is not a list. Write each entry as an item of a list: - name",
    ),
    ("metrics: [latency]\n", "1:11", "metrics[0]: 'latency' is not a mapping"),
    ("metrics: latency\n", "1:10", "metrics: 'latency' is not a list"),
    (
        "- name: a\n  direction: increase\n",
        "1:1",
        "a policy is a mapping with the key 'metrics'. Start from docs/examples/starter.yaml",
    ),
    ("just words", "1:1", "a policy is a mapping"),
    ("", "1:1", "a policy is a mapping"),
    ("# nothing\n", "1:1", "a policy is a mapping"),
    ("null", "1:1", "a policy is a mapping"),
    (HEAD + "split: 95/5\n", "4:8", "split: '95/5' is not a mapping"),
    (HEAD + "split: {baseline: 90%, canary: 20%}\n", "4:8", "must add up to 100 %, found 110 %"),
    (
        HEAD + "split:\n  baseline: 95\n  canary: 5%\n",
        "5:13",
        "95 is not between 0 % and 100 %; did you mean 95%?",
    ),
    # rules
    (
        HEAD + "  rules: [manwhitney]\n",
        "4:11",
        "metrics[0].rules[0]: unknown rule 'manwhitney'. Did you mean 'mann_whitney'?",
    ),
    (
        HEAD + "  rules:\n  - mann_whitney\n  - rule: slow\n    of: p99\n",
        "6:11",
        "metrics[0].rules[1].rule: unknown rule 'slow'. Did you mean 'slo'?",
    ),
    (
        HEAD + "  rules:\n  - rule: mann_whitney\n    metod: exact\n",
        "6:5",
        "metrics[0].rules[0]: unknown key 'metod'. Did you mean 'method'?",
    ),
    (
        HEAD + "  rules:\n  - rule: mann_whitney\n    of: p99\n",
        "6:5",
        "unknown key 'of'. Known keys: rule, method.",
    ),
    (
        HEAD + "  rules: [{of: p99, op: lt, value: 1}]\n",
        "4:11",
        "A rule is a name, or a mapping with the key 'rule'",
    ),
    (HEAD + "  rules: [{rule:slo, of: p99}]\n", "4:11", "a mapping is not a rule"),
    (HEAD + "  rules: [{rule: slo, of: p101, op: lt, value: 1}]\n", "4:27", "'p101' is not an aggregate"),
    (
        HEAD + "  rules: [{rule: slo, of: max, op: lt, value: 1}]\n",
        "4:27",
        "an observed max has no confidence interval",
    ),
    (HEAD + "  rules: [{rule: slo, of: p99, op: <, value: 1}]\n", "4:36", "Did you mean 'lt'?"),
    (HEAD + "  rules: [{rule: slo, of: p99, op: lt, value: x}]\n", "4:47", "'x' is not a quantity"),
    (
        HEAD + "  rules:\n  - mann_whitney\n  - mann_whitney\n",
        "6:5",
        "the same rule mann_whitney stands there twice",
    ),
    (HEAD + "  rules: [proportion]\n", "4:11", "does not fit kind: gauge. Take another rule, or kind: ratio"),
    (HEAD + "  kind: ratio\n  effect: ratio\n", "5:11", "effect: ratio is for gauges and samples"),
    (HEAD + "  rules: proportion\n", "4:10", "rules: 'proportion' is not a list"),
    # the whole
    (
        HEAD + "- name: a\n  direction: decrease\n",
        "4:9",
        "the metric 'a' stands there twice, first as metrics[0]",
    ),
    (HEAD + "  role: muted\n", "2:1", "no metric can fail the release. Make at least one required or guard"),
    (HEAD + "pass_score: 80\n", "4:1", "pass_score means nothing with aggregate: worst"),
    (HEAD + "aggregate: score\ngroups: {x: 1}\n", "5:10", "no metric is in the group 'x'"),
    (HEAD + "aggregate: score\nmarginal_score: 96\n", "5:17", "marginal_score 96 is above pass_score 95"),
    (HEAD + "extends: base.yaml\n", "4:10", "extends works in policy files only"),
    # YAML
    ("a:\n\t- b\n", "2:1", "Indent with spaces, not tabs"),
    (HEAD + "  unit: %\n", "4:9", "Put the value in quotes"),
    (HEAD + "  unit: 'ms\n", "5:1", "this is not YAML"),
    ("metrics: [\n", "2:1", "this is not YAML"),
    (HEAD + "---\nalpha: 1%\n", "4:1", "a second document begins here. Keep one policy a file"),
    ("alpha: *nowhere\n", "1:8", "the alias *nowhere has no anchor before it"),
    ("metrics: &a [*a]\n", "1:14", "the alias *a has no anchor before it"),
    (
        HEAD + "alpha: !!python/object/apply:os.system [ls]\n",
        "4:8",
        "the tag '!!python/object/apply:os.system' is not read in a policy",
    ),
    (HEAD + "alpha: !!float 0.01\n", "4:8", "the tag '!!float' is not read"),
    (HEAD + "<<: {}\n<<: {}\n", "5:1", "the key '<<' stands there twice, first on line 4"),
    (HEAD + "<<: 5\n", "4:5", "<< merges mappings, and this is none"),
    (HEAD + "a\0b: 1\n", "4:2", "the character U+0000 cannot stand in YAML"),
    ('{"metrics": [{"name": "\\ud83d", "direction": "increase"}]}', "1:23", "half a character"),
]


@pytest.mark.parametrize(("text", "place", "words"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text, place, words, tmp_path):
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "deploy/policy.yaml")
    told = str(caught.value)
    assert told.startswith(f"deploy/policy.yaml:{place}: ")
    assert words in told
    assert len(told.splitlines()) == 1
    path = tmp_path / "policy.yaml"
    path.write_bytes(text.encode())
    if not text.endswith("base.yaml\n"):
        with pytest.raises(PolicyError) as caught:
            load_policy(path)
        assert str(caught.value) == told.replace("deploy/policy.yaml", str(path))


@pytest.mark.parametrize(("text", "place", "words"), MISTAKES)
def test_no_mistake_is_told_in_the_words_of_pydantic_or_python(text, place, words):
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    for jargon in (
        "input should",
        "validation",
        "tuple",
        "dict",
        "None",
        "instance",
        "True",
        "pydantic",
        "Traceback",
        "NoneType",
    ):
        assert jargon not in str(caught.value)
    assert caught.value.__cause__ is None


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file():
    text = (
        "alpha: 5\n"
        "metrics:\n"
        "- name: a\n"
        "  direction: up\n"
        "  name: b\n"
        "  tolerance: !!str 10\n"
        "- nmae: c\n"
        "  direction: increase\n"
        "  rules: [{rule: slo}]\n"
        "beta: 6\n"
    )
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "p.yaml")
    lines = str(caught.value).splitlines()
    places = [tuple(map(int, line.split(":")[1:3])) for line in lines]
    assert places == [(1, 8), (4, 14), (5, 3), (6, 14), (7, 3), (9, 11), (10, 7)]
    assert all(line.endswith((".", "?", "}")) or ". " in line for line in lines)


def test_a_file_that_is_wrong_everywhere_gives_a_page_and_not_a_book():
    with pytest.raises(PolicyError) as caught:
        parse_policy("metrics:\n" + "- {name: a}\n" * 500)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "... and 480 more problems"


def test_one_mistake_keeps_its_hint_apart_for_callers_who_lay_it_out():
    with pytest.raises(PolicyError) as caught:
        parse_policy(HEAD + "alhpa: 1%\n", "p.yaml")
    assert caught.value.message == "p.yaml:4:1: unknown key 'alhpa'"
    assert caught.value.hint == "Did you mean 'alpha'?"


def test_lines_are_counted_as_editors_count_them():
    for text in (
        "\ufeff" + HEAD,
        HEAD.replace("\n", "\r\n"),
        "# é 😀\n" + HEAD[:-1].replace("a\n", "é 😀\n") + "\n",
    ):
        with pytest.raises(PolicyError, match=rf":{text.count(chr(10)) + 1}:3: .*weihgt"):
            parse_policy(text + "  weihgt: 1\n")


def test_json_is_told_by_line_and_column_too():
    with pytest.raises(PolicyError, match=r"^p\.json:4:5: metrics\[0\]: unknown key 'wieght'"):
        parse_policy(
            '{\n  "metrics": [{"name": "a",\n    "direction": "increase",\n    "wieght": 2}]\n}', "p.json"
        )


def test_missing_file_and_folder_are_told_without_traceback(tmp_path):
    with pytest.raises(PolicyError, match=r"nowhere\.yaml: there is no such file. Check the path"):
        load_policy(tmp_path / "nowhere.yaml")
    with pytest.raises(PolicyError, match="the file cannot be read"):
        load_policy(tmp_path)
    with pytest.raises(PolicyError, match="this cannot be the name of a file"):
        load_policy("a\0b")
    with pytest.raises(PolicyError, match="the file cannot be read"):
        load_policy("a" * 5000)


def test_a_file_that_is_not_utf8_is_told_with_its_line(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_bytes(b"alpha: 1%\n# caf\xe9\n")
    with pytest.raises(PolicyError, match=r"policy\.yaml:2: the file is not UTF-8 text. Save it as UTF-8"):
        load_policy(path)
    path.write_text(HEAD, encoding="utf-16")
    with pytest.raises(PolicyError, match="not UTF-8"):
        load_policy(path)


def test_a_path_may_be_a_string_and_the_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(HEAD, encoding="utf-8-sig")
    assert load_policy(str(path)) == load_policy(path) == parse_policy(HEAD)


@pytest.mark.parametrize(
    "text",
    ['[[metrics]]\nname = "p99"\ndirection = "increase"\n', 'alpha = "1%"\n[[metrics]]\nname = "p99"\n'],
)
def test_toml_is_told_that_it_is_not_read(text):
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "policy.toml")
    assert caught.value.message == "policy.toml: this looks like TOML, and policies are YAML or JSON"

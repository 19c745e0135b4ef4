"""`extends`: a platform's defaults, merged by metric name, with every complaint at its place in the right file."""

import re

import pytest

from canaryjudge.errors import PolicyError
from canaryjudge.policy import load_policy


@pytest.fixture
def files(tmp_path):
    """Write files and give the path of the first."""

    def write(**texts):
        for name, text in texts.items():
            path = tmp_path / (name.replace("__", "/") + ".yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path / (next(iter(texts)).replace("__", "/") + ".yaml")

    return write


BASE = (
    "alpha: 2%\n"
    "beta: 10%\n"
    "metrics:\n"
    "- name: p99\n"
    "  unit: ms\n"
    "  direction: increase\n"
    "  tolerance: {relative: 20%, absolute: 5ms}\n"
    "- name: errors\n"
    "  kind: ratio\n"
    "  direction: increase\n"
)


def told(path):
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    return str(caught.value).replace(str(path.parent) + "/", "")


def test_settings_hold_where_the_file_is_silent(files):
    made = load_policy(files(team="extends: base.yaml\nalpha: 1%\n", base=BASE))
    assert (made.alpha, made.beta) == (0.01, 0.1)
    assert [m.name for m in made.metrics] == ["p99", "errors"]
    assert made.extends is None


def test_metrics_are_merged_by_name_field_by_field_and_new_ones_follow(files):
    team = (
        "extends: base.yaml\n"
        "metrics:\n"
        "- {name: queue, direction: increase}\n"
        "- {name: p99, role: guard, tolerance: 30%}\n"
    )
    made = load_policy(files(team=team, base=BASE))
    assert [m.name for m in made.metrics] == ["p99", "errors", "queue"]
    p99 = made.metrics[0]
    assert (p99.unit, p99.role, p99.tolerated_relative, p99.tolerated_absolute) == ("ms", "guard", 0.3, 0.0)


def test_a_chain_of_three_in_three_folders_is_followed_from_each_file(files):
    made = load_policy(
        files(
            team__service="extends: ../team.yaml\nmetrics: [{name: p99, weight: 3}]\n",
            team="extends: platform/base.yaml\nbeta: 7%\nmetrics: [{name: p99, weight: 2, role: guard}]\n",
            platform__base=BASE,
        )
    )
    assert (made.alpha, made.beta) == (0.02, 0.07)
    assert (made.metrics[0].weight, made.metrics[0].role, made.metrics[0].unit) == (3.0, "guard", "ms")


def test_defaults_may_lack_metrics_and_a_setting_may_be_unset(files):
    made = load_policy(
        files(
            team="extends: base.yaml\nsplit: ~\nmetrics: [{name: a, direction: increase}]\n",
            base="alpha: 2%\nsplit: {baseline: 1%, canary: 99%}\n",
        )
    )
    assert (made.alpha, made.split) == (0.02, None)


def test_a_json_file_may_extend_a_yaml_file(files, tmp_path):
    files(base=BASE)
    path = tmp_path / "team.json"
    path.write_text('{"extends": "base.yaml", "alpha": 0.03}')
    assert load_policy(path).alpha == 0.03


# (files, the first being loaded; place; words)
MISTAKES = [
    (
        {"team": "alpha: 1%\nextends: nowhere.yaml\n"},
        "team.yaml:2:10",
        "extends 'nowhere.yaml': there is no such file. Check the path",
    ),
    ({"team": "extends: .\n"}, "team.yaml:1:10", "the file cannot be read"),
    (
        {"team": "extends: [base.yaml]\n", "base": BASE},
        "team.yaml:1:10",
        "extends is not a path. Name one policy file",
    ),
    ({"team": "extends: 5\n"}, "team.yaml:1:10", "extends is not a path"),
    ({"team": "extends: ''\n"}, "team.yaml:1:10", "extends is not a path"),
    ({"team": 'extends: "a\\0b"\n'}, "team.yaml:1:10", "Check the path"),
    (
        {"team": "extends: team.yaml\n"},
        "team.yaml:1:10",
        "'team.yaml' extends itself in a circle. Break the circle",
    ),
    ({"team": "extends: ./x/../team.yaml\n", "x__y": ""}, "team.yaml:1:10", "in a circle"),
    (
        {"a": "extends: b.yaml\n", "b": "extends: c.yaml\n", "c": "alpha: 1%\nextends: a.yaml\n"},
        "c.yaml:2:10",
        "'a.yaml' extends itself in a circle",
    ),
    (
        {"team": "extends: base.yaml\n", "base": BASE + "  wieght: 1\n"},
        "base.yaml:11:3",
        "metrics[1]: unknown key 'wieght'. Did you mean 'weight'?",
    ),
    (
        {"team": "extends: base.yaml\nmetrics:\n- name: errors\n  wieght: 1\n", "base": BASE},
        "team.yaml:4:3",
        "metrics[1]: unknown key 'wieght'",
    ),
    (
        {"team": "extends: base.yaml\n", "base": BASE + "alpha: 3%\n"},
        "base.yaml:11:1",
        "the key 'alpha' stands there twice, first on line 1",
    ),
    ({"team": "extends: base.yaml\nalpha: 5\n", "base": BASE}, "team.yaml:2:8", "did you mean 5%?"),
    (
        {"team": "extends: base.yaml\nbeta: 1%\n", "base": BASE.replace("2%", "2")},
        "base.yaml:1:8",
        "alpha: 2 is not between",
    ),
    (
        {"team": "extends: base.yaml\nmetrics: [{name: p99, unit: MB}]\n", "base": BASE},
        "base.yaml:7:40",
        "'ms' cannot be converted to the metric's unit 'MB'",
    ),
    (
        {"team": "extends: base.yaml\nmetrics: [{name: p99, tolerance: 5MB}]\n", "base": BASE},
        "team.yaml:2:34",
        "'MB' cannot be converted to the metric's unit 'ms'",
    ),
    (
        {"team": "extends: base.yaml\nmetrics: [{name: p98, role: guard}]\n", "base": BASE},
        "team.yaml:2:11",
        "metrics[2]: 'direction' is missing",
    ),
    (
        {
            "team": "extends: base.yaml\nmetrics:\n- {name: p99, weight: 2}\n- {name: p99, weight: 3, direction: either}\n",
            "base": BASE,
        },
        "team.yaml:4:10",
        "the metric 'p99' stands there twice",
    ),
    (
        {"team": "extends: base.yaml\n", "base": BASE + "- {name: p99, direction: either}\n"},
        "base.yaml:11:10",
        "the metric 'p99' stands there twice, first as metrics[0]",
    ),
    (
        {"team": "extends: base.yaml\nmetrics: p99\n", "base": BASE},
        "team.yaml:2:10",
        "metrics: 'p99' is not a list",
    ),
    ({"team": "extends: base.yaml\nmetrics:\n", "base": BASE}, "team.yaml:2:8", "metrics: has no value"),
    (
        {"team": "extends: base.yaml\nmetrics: [p99]\n", "base": BASE},
        "team.yaml:2:11",
        "metrics[2]: 'p99' is not a mapping",
    ),
    (
        {
            "team": "extends: base.yaml\nmetrics: [{name: a, direction: increase}]\n",
            "base": "metrics: {a: 1}\n",
        },
        "base.yaml:1:10",
        "metrics: a mapping is not a list",
    ),
    (
        {"team": "extends: base.yaml\nmetrics: [{name: a, direction: increase}]\n", "base": "metrics: abc\n"},
        "base.yaml:1:10",
        "metrics: 'abc' is not a list",
    ),
    (
        {"team": "extends: base.yaml\nmetrics: [{name: [a], direction: increase}]\n", "base": BASE},
        "team.yaml:2:18",
        "metrics[2].name: a list is not text",
    ),
    ({"team": "extends: base.yaml\n", "base": "- 1\n"}, "base.yaml:1:1", "a policy is a mapping"),
    ({"team": "extends: base.yaml\n", "base": "alpha: 1%\n"}, "team.yaml:1:1", "'metrics' is missing"),
    (
        {
            "team": "extends: base.yaml\naggregate: worst\n",
            "base": BASE + "aggregate: score\npass_score: 80\n",
        },
        "base.yaml:12:1",
        "pass_score means nothing with aggregate: worst",
    ),
]


@pytest.mark.parametrize(("texts", "place", "words"), MISTAKES)
def test_a_mistake_is_told_in_the_file_where_it_was_made(files, texts, place, words):
    message = told(files(**texts))
    assert message.startswith(place + ": ")
    assert words in message
    assert len(message.splitlines()) == 1


def test_mistakes_in_several_files_are_told_together(files):
    message = told(
        files(
            team="extends: base.yaml\nmetrics: [{name: p99, role: gard}]\n",
            base=BASE.replace("alpha", "alhpa"),
        )
    )
    assert [line.split(": ")[0] for line in message.splitlines()] == ["base.yaml:1:1", "team.yaml:2:29"]


def test_an_endless_chain_ends(files):
    chain = {f"p{i}": f"extends: p{i + 1}.yaml\n" for i in range(40)}
    assert re.match(r"p19\.yaml:1:10: more than 20 files extend each other", told(files(**chain)))


def test_twenty_files_are_a_chain_that_is_followed(files):
    chain = {f"p{i}": f"extends: p{i + 1}.yaml\n" for i in range(19)}
    assert load_policy(files(**chain, p19=BASE)).alpha == 0.02


def test_a_link_that_leads_to_itself_is_told(tmp_path):
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    path = tmp_path / "team.yaml"
    path.write_text("extends: loop.yaml\n")
    assert told(path).startswith("team.yaml:1:10: ")

"""Proposals go into a policy's text, and nothing else of it changes."""

import json

import pytest

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.files.policy_edits import as_diff, edited
from canaryjudge.policy import parse_policy
from canaryjudge.reports import Proposal

TEXT = """\
# Ours.
version: 1
metrics:
  # the slow one
  - name: cpu          # busy
    unit: "%"
    direction: increase
    tolerance: {relative: 10%, absolute: 2}

  - name: errors
    kind: ratio
    direction: increase
"""


def proposal(field, new, metric="cpu", old=None):
    return Proposal(metric=metric, field=field, old=old, new=new, reason="too_noisy", numbers={})


def test_comments_quotes_blank_lines_and_order_stay():
    changed = edited(TEXT, [proposal("role", "muted"), proposal("min_points", 30, "errors")], "p.yaml")
    assert [line for line in changed.splitlines() if line not in TEXT.splitlines()] == [
        "    role: muted",
        "    min_points: 30",
    ]
    assert set(TEXT.splitlines()) <= set(changed.splitlines())


def test_nothing_to_change_changes_nothing():
    assert edited(TEXT, [], "p.yaml") == TEXT
    assert as_diff(TEXT, TEXT, "p.yaml") == ""


def test_mappings_are_written_on_one_line_and_read_back():
    floor = {"between_windows": "3%", "windows": 40, "df": 12.5}
    changed = edited(
        TEXT, [proposal("noise_floor", floor), proposal("max_duration", "5400s", None)], "p.yaml"
    )
    assert "    noise_floor: {between_windows: 3%, windows: 40, df: 12.5}\n" in changed
    policy = parse_policy(changed)
    assert policy.metrics[0].noise_floor.df == 12.5
    assert policy.max_duration == 5400


def test_a_key_is_taken_out_and_one_replaced():
    changed = edited(TEXT, [proposal("unit", None), proposal("tolerance", "25%")], "p.yaml")
    assert "unit" not in changed
    assert "    tolerance: 25%\n" in changed


def test_a_metric_of_an_extended_file_is_added_by_name():
    changed = edited("extends: base.yaml\n", [proposal("role", "muted")], "p.yaml")
    assert changed == "extends: base.yaml\nmetrics:\n- name: cpu\n  role: muted\n"


def test_json_stays_json():
    text = json.dumps({"metrics": [{"name": "cpu", "direction": "increase"}]})
    assert json.loads(edited(text, [proposal("role", "guard")], "p.json"))["metrics"][0]["role"] == "guard"


def test_a_diff_shows_the_file_and_the_lines():
    lines = as_diff(TEXT, edited(TEXT, [proposal("role", "muted")], "p.yaml"), "p.yaml").splitlines()
    assert lines[:2] == ["--- p.yaml", "+++ p.yaml, proposed"]
    assert [line for line in lines[2:] if line.startswith(("+", "-"))] == ["+    role: muted"]


def test_what_is_no_policy_is_told():
    with pytest.raises(PolicyError, match=r"p\.yaml:1"):
        edited("metrics: [", [], "p.yaml")

"""Logs of answers become mismatches: what counts as a difference, of which field it is, and what hostile logs are refused for."""

import json

import numpy as np
import pandas as pd
import pytest

import canaryjudge as cj


def log(*answers):
    return [{"request": f"r{index}", "answer": answer} for index, answer in enumerate(answers)]


def differs(one, other, **settings):
    return cj.compare_answers(log(one), log(other), **settings)["mismatch"]["canary"]["value"].tolist() == [
        1.0
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, False),
        ({"a": 1}, {"a": True}, True),
        ({"a": 1}, {"a": "1"}, True),
        ({"a": None}, {}, True),
        ([1, 2], [1, 2, 3], True),
        ([1, 2], [2, 1], True),
        ({"a": [{}]}, {"a": {}}, True),
        ("plain", "plain", False),
        ('{"a": [1]}', {"a": [1]}, False),
        ({"a": 10**400}, {"a": 1.5}, True),
        ({"a": float("nan")}, {"a": float("nan")}, False),
        ({}, {}, False),
    ],
)
def test_what_differs(one, other, expected):
    assert differs(one, other) is expected
    assert differs(other, one) is expected


def test_settings_of_what_differs():
    assert not differs({"a": 100.0}, {"a": 100.4}, tolerance=0.01)
    assert not differs({"a": [3, 1, {"b": 2}]}, {"a": [{"b": 2}, 3, 1]}, any_order=["$.a"])
    assert not differs({"a": {"at": 1}, "b": 2}, {"a": {"at": 3}, "b": 2}, ignore=["$.a"])
    assert differs({"ab": 1}, {"ab": 2}, ignore=["$.a"])


def test_fields_have_metrics_of_their_own_and_noise_is_the_second_baselines():
    old = log(*({"price": 1, "items": [{"sku": 1}], "at": 1} for _ in range(3)))
    again = log(*({"price": 1, "items": [{"sku": 1}], "at": at} for at in (1, 2, 2)))
    new = log(
        {"price": 2, "items": [{"sku": 1}], "at": 9},
        {"price": 1, "items": [{"sku": 7}], "at": 1},
        {"price": 1, "items": [{"sku": 1}], "at": 1},
    )
    data = cj.compare_answers(old, new, again, fields=["$.at", "$.items"])
    values = {
        name: {arm: column["value"].tolist() for arm, column in arms.items()} for name, arms in data.items()
    }
    assert values == {
        "mismatch": {"baseline": [0, 0, 0], "canary": [1, 0, 0]},
        "mismatch $.at": {"baseline": [0, 1, 1], "canary": [1, 0, 0]},
        "mismatch $.items": {"baseline": [0, 0, 0], "canary": [0, 1, 0]},
    }
    assert data.fields[0] == {"path": "$.at", "canary": 1, "baseline": 2, "request": "r1"}
    assert [field["path"] for field in data.fields] == ["$.at", "$.items[*].sku", "$.price"]
    assert [metric.name for metric in data.metrics] == list(values)


def test_files_and_frames_say_the_same(tmp_path):
    rows = {"old": log({"a": 1}, {"a": 2}), "new": log({"a": 1}, {"a": 3})}
    for name, own in rows.items():
        lines = "\n".join(map(json.dumps, own))
        (tmp_path / f"{name}.ndjson").write_text(f"{lines}\n\n", encoding="utf-8")
    expected = [0.0, 1.0]
    files = [str(tmp_path / f"{name}.ndjson") for name in rows]
    frames = [pd.DataFrame(own) for own in rows.values()]
    for logs in (rows.values(), files, frames):
        assert cj.compare_answers(*logs)["mismatch"]["canary"]["value"].tolist() == expected


def test_requests_that_one_log_lacks_are_counted_by_the_judge():
    rng = np.random.default_rng(1)
    old = log(*({"a": int(value)} for value in rng.integers(0, 9, 300)))
    data = cj.compare_answers(old, [*old[:200], {"request": "odd", "answer": 1}], old[:250])
    verdict = cj.judge(data, cj.Policy(metrics=data.metrics))
    notes = {(note.code, note.arm): note.count for note in verdict.metrics["mismatch"].warnings}
    assert notes["unmatched_requests", "baseline"] == 50
    assert notes["unmatched_requests", "canary"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"request": "a"}', "log.ndjson:1: there is no 'answer'"),
        ('{"request": null, "answer": 1}', "None is no id of a request"),
        ('{"request": "a", "answer": {"b": 1, "b": 2}}', "the key 'b' stands twice"),
        ("[1]", "is no object"),
        ("{", "cannot be read as JSON"),
        ('{"request": "a", "answer": ' + "[" * 200 + "]" * 200 + "}", "more than 100 levels"),
        ('{"request": "a", "answer": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
        ('{"request": "a", "answer": [' + "0," * 200_000 + "0]}", "more than 100,000 values"),
        ('{"request": "a", "answer": "' + "x" * 1_000_000 + '"}', "longer than 1,000,000"),
    ],
)
def test_hostile_logs_are_refused_in_a_sentence(tmp_path, text, said):
    path = tmp_path / "log.ndjson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(cj.DataError, match=said):
        cj.compare_answers(path, path)


def test_long_keys_over_many_values_take_no_memory():
    answer = {"k" * 10_000: {str(index): 0 for index in range(2000)}}
    other = {"k" * 10_000: {str(index): 1 for index in range(2000)}}
    found = cj.compare_answers(log(answer), log(other)).fields
    assert len(found) <= 1001
    assert max(len(field["path"]) for field in found) < 700


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: cj.compare_answers("nowhere.ndjson", []), "No such file"),
        (lambda: cj.compare_answers([1], []), "row 1 is 1"),
        (lambda: cj.compare_answers(7, []), "baseline is 7"),
        (lambda: cj.compare_answers([], [], fields=["price"]), "'price' is no path"),
    ],
)
def test_what_is_no_log_is_said(ask, said):
    with pytest.raises(cj.DataError, match=said):
        ask()

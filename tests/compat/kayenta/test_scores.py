import pytest

from canaryjudge.compat.kayenta.scores import Labeled, score, verdict_word


def labeled(label, *groups, critical=False):
    return Labeled(label, f"because of {label}", critical, groups)


@pytest.mark.parametrize(
    ("results", "weights", "expected"),
    [
        ([], {}, 0.0),
        ([labeled("Pass", "a")], {}, 100.0),
        ([labeled("Pass")], {}, 0.0),  # in no group: nobody counts it
        ([labeled("Pass", "a"), labeled("High", "a"), labeled("Low", "a")], {}, 33.33),
        ([labeled("Pass", "a"), labeled("NodataFailMetric", "a")], {}, 50.0),
        ([labeled("Error", "a")], {}, 100.0),
        ([labeled("Pass", "a"), labeled("High", "b")], {"a": 60.0}, 60.0),
        ([labeled("Pass", "a"), labeled("Pass", "b")], {"a": 100.0}, 100.0),
        ([labeled("Pass", "a"), labeled("Pass", "b"), labeled("High", "c")], {"a": 60.0}, 80.0),
        ([labeled("Pass", "a")], {"a": 50.0, "unseen": 50.0}, 50.0),
        ([labeled("Pass", "a")], {"a": 130.0}, 130.0),
        ([labeled("Pass", "a"), labeled("Pass", "b")], {"a": 130.0}, 100.0),
        ([labeled("Pass", "a", "b"), labeled("High", "b")], {"a": 50.0, "b": 50.0}, 75.0),
    ],
)
def test_scores(results, weights, expected):
    assert score(results, weights).score == expected


def test_a_group_without_data_is_shown_as_nothing_and_counted_as_all():
    found = score([labeled("Pass", "a"), labeled("Pass", "a"), labeled("Nodata", "b")], {})
    assert (found.score, dict(found.groups)) == (100.0, {"a": 100.0, "b": 0.0})


def test_a_critical_failure_comes_before_missing_data():
    results = [
        labeled("Nodata", "a"),
        labeled("High", "a", critical=True),
        labeled("Low", "a", critical=True),
    ]
    found = score(results, {})
    assert (found.score, found.reason) == (0.0, "Canary Failed: because of High")


@pytest.mark.parametrize(("lacking", "gated"), [(1, False), (2, True), (3, True)])
def test_half_without_data_fails(lacking, gated):
    found = score([labeled("Nodata", "a")] * lacking + [labeled("Pass", "b")] * (4 - lacking), {})
    assert (found.score == 0.0) is gated
    assert found.reason == ("Canary Failed: 50% or more metrics returned NODATA" if gated else "")


def test_a_critical_pass_is_a_pass():
    assert score([labeled("Pass", "a", critical=True)], {}).score == 100.0


def test_scores_are_rounded_half_up_on_their_decimal_text():
    two_thirds = [labeled("Pass", "a"), labeled("Pass", "a"), labeled("High", "a")]
    assert score(two_thirds, {}).score == 66.67
    assert (
        score([labeled("Pass", "a")], {"a": 1.005}).score == 1.01
    )  # the double lies below 1.005, and reads 1.005
    assert score([labeled("Pass", "a")], {"a": 12.345}).score == 12.35


@pytest.mark.parametrize(
    ("total", "word"),
    [(95.0, "Pass"), (94.99, "Marginal"), (75.0, "Marginal"), (74.99, "Fail"), (0.0, "Fail")],
)
def test_words(total, word):
    assert verdict_word(total, 95.0, 75.0) == word

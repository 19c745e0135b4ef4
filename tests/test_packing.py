"""Arrays come back from text as they were, and nonsense is an error."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.packing import (
    pack,
    pack_document,
    pack_smooth,
    pack_times,
    unpack,
    unpack_document,
    unpack_smooth,
    unpack_times,
)


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint8", ">f8"])
def test_arrays_come_back(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    back = unpack(pack(array.T), dtype, (3, -1))
    assert back.tolist() == array.T.tolist()
    back[0, 0] = 1  # it is the reader's own


def test_text_is_the_same_on_every_machine():
    assert pack(np.array([1.0], dtype=">f8")) == pack(np.array([1.0], dtype="<f8")) == "AAAAAAAA8D8="


@pytest.mark.parametrize("text", ["x", "AAAA", "é", "AAAAAAAA8D8=\n", None, 3, ["AAAAAAAA8D8="]])
def test_nonsense_is_an_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are those of whatever notices
        unpack(text)


def test_another_shape_is_an_error():
    with pytest.raises(ValueError, match="reshape"):
        unpack(pack(np.ones(3)), shape=(2, -1))


@given(st.lists(st.integers(-(2**58), 2**58), max_size=8))
def test_times_come_back(times):
    assert unpack_times(pack_times(np.array(times, dtype=np.int64))).tolist() == times


def test_a_steady_beat_is_short():
    assert pack_times(5 + 60 * np.arange(100)) == [100, 5, 60]
    jittered = 60_000_000 * np.arange(100) + np.arange(100) % 2
    assert len(pack_times(jittered)[-1]) == 132  # a byte each


@pytest.mark.parametrize(
    "packed",
    [
        None,
        [],
        "x",
        [2, 1],
        [-1],
        [1e9],
        [10**9, 0, 0],
        [1, 2**63],
        [3, 0, 1, 3, "AA=="],
        [3, 0, 1, 2, "AA=="],
        [True, 1],
    ],
)
def test_nonsense_is_no_times(packed):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are those of whatever notices
        unpack_times(packed)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=30), st.integers(0, 3))
def test_smooth_numbers_come_back(numbers, order):
    array = np.array(numbers, dtype=np.int64)
    assert unpack_smooth(pack_smooth(array, order), order, len(array)).tolist() == numbers


def test_of_smooth_numbers_little_is_left():
    curve = np.rint(1e12 * np.exp(np.linspace(-3, 3, 121))).astype(np.int64)
    assert len(pack_smooth(curve, 12)) < len(pack(curve)) / 3


@pytest.mark.parametrize(
    "text", ["x", "AAAA", None, 3, pack_document([1])[:-8], pack_smooth(np.arange(9), 0)]
)
def test_nonsense_is_no_document(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are those of whatever notices
        unpack_document(text)
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        unpack_smooth(text, 1, 5)


def test_documents_come_back():
    document = {"a": [1, None, "é"], "b": {"c": 0.1}}
    assert unpack_document(pack_document(document)) == document
    with pytest.raises(ValueError, match="nested too deeply"):
        unpack_document(base64.b64encode(zlib.compress(b"[" * 200_000)).decode())

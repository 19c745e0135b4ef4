"""What cannot be compared is refused by one look and by a stream, whether it comes in the other arm or later."""

import numpy as np
import pytest

from canaryjudge.data.agreement import Agreement
from canaryjudge.data.notes import Note
from canaryjudge.data.pairing import align
from canaryjudge.data.series import Series
from canaryjudge.data.stream import Stream
from canaryjudge.data.times import NAIVE
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric

TIMES = 60.0 * np.arange(4)
BUCKETS = {"buckets": np.ones((4, 2)), "edges": np.array([1.0, np.inf])}
CUT_OFF = (Note(code="no_infinite_bucket", arm="canary", count=4, facts={"edge": 5.0}),)
MISMATCHES = {
    "zones": ("gauge", {"zones": frozenset(["UTC"])}, {"zones": frozenset([NAIVE])}, "the times mix"),
    "units": ("gauge", {"unit": "ms"}, {"unit": "GB"}, "the data are in"),
    "totals": ("count", {"total": np.ones(4)}, {}, "no totals"),
    "ends": ("histogram", BUCKETS, BUCKETS | {"notes": CUT_OFF}, "end at different edges"),
}


def arms_of(name):
    kind, one, other, said = MISMATCHES[name]
    metric = Metric(name="m", kind=kind, direction="increase")
    first = Series("baseline", np.ones(4), time=TIMES, **one)
    return metric, first, Series("canary", np.ones(4), time=TIMES, **other), said


@pytest.mark.parametrize("name", MISMATCHES)
def test_one_look_refuses_it(name):
    metric, baseline, canary, said = arms_of(name)
    with pytest.raises(DataError, match=said):
        align(metric, baseline, canary)


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_stream_refuses_it_in_one_update_and_in_the_next(name):
    metric, baseline, canary, said = arms_of(name)
    nothing = np.empty(0)
    with pytest.raises(DataError, match=said):
        Stream(metric, "baseline", "canary").feed(baseline, canary)
    stream = Stream(metric, "baseline", "canary")
    stream.feed(baseline, Series("canary", nothing))
    with pytest.raises(DataError, match=said):
        stream.feed(Series("baseline", nothing), canary)
    stream.feed(Series("baseline", nothing), Series("canary", nothing))


def test_what_is_agreed_is_what_was_saved():
    agreement = Agreement(timed=True, zones=frozenset(["UTC"]), units=frozenset(["ms"]), reported=True)
    assert Agreement.restore(agreement.state()) == agreement
    for change in ({"timed": 1}, {"zones": "UTC"}, {"units": [1]}):
        with pytest.raises(TypeError):
            Agreement.restore(agreement.state() | change)

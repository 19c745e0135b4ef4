"""What comes in, as arrays: every shape of data becomes one `MetricPair` a metric."""

from canaryjudge.data.exposures import by_split, with_exposures
from canaryjudge.data.notes import Note, NoteCode
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.reading import History, Release, read_history, read_pairs, read_series
from canaryjudge.data.releases import ReleaseKey, read_releases
from canaryjudge.data.rows import AskedPair, about_metric, asked_pairs, question_of, row_of, rows_of
from canaryjudge.data.series import Series
from canaryjudge.data.sketches import Sketch
from canaryjudge.data.wide import from_wide

__all__ = [
    "Arm",
    "AskedPair",
    "FloatArray",
    "History",
    "MetricPair",
    "Note",
    "NoteCode",
    "Release",
    "ReleaseKey",
    "Series",
    "Sketch",
    "about_metric",
    "asked_pairs",
    "by_split",
    "from_wide",
    "question_of",
    "read_history",
    "read_pairs",
    "read_releases",
    "read_series",
    "row_of",
    "rows_of",
    "with_exposures",
]

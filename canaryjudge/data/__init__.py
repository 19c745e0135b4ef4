"""What comes in, as arrays: every shape of data becomes one `MetricPair` a metric."""

from canaryjudge.data.exposure import with_exposures
from canaryjudge.data.notes import Note, NoteCode
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.reading import read_pairs
from canaryjudge.data.wide import from_wide

__all__ = ["Arm", "FloatArray", "MetricPair", "Note", "NoteCode", "from_wide", "read_pairs", "with_exposures"]

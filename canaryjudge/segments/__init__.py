"""Segments of the traffic: each metric compared within them, and those to blame named, under one alpha.

What a metric's rule about the level says of each segment, without what all segments share (by how much healthy arms differ), is joined to one mean effect, which decides in place of the pooled one, together with the segments' own
tests. Rules about a feature are asked in each segment. Objectives are about the whole, and stay as they are. A watch has evidence of the segments together and of each, of which `at_looks` makes the same.
"""

from canaryjudge.segments.at_looks import at_look
from canaryjudge.segments.effects import SegmentedMetric, asked_in_segments, level_rule
from canaryjudge.segments.within import (
    judge_within,
    mean_pvalue,
    segment_notes,
    splits_at_look,
    splits_of_segments,
    too_much_left_out,
    too_thin,
    worst_of_segments,
)

__all__ = [
    "SegmentedMetric",
    "asked_in_segments",
    "at_look",
    "judge_within",
    "level_rule",
    "mean_pvalue",
    "segment_notes",
    "splits_at_look",
    "splits_of_segments",
    "too_much_left_out",
    "too_thin",
    "worst_of_segments",
]

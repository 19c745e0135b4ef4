"""Words for what is odd about a metric's data."""

from __future__ import annotations

from datetime import UTC, datetime

from canaryjudge.data import Note
from canaryjudge.explain.numbers import count, percent, set_number

__all__ = ["note_sentence"]

_SENTENCES = {
    "missing_values": "{n} missing {values} left out",
    "infinite_values": "{n} infinite {values} left out",
    "missing_times": "{n} {points} without a time left out",
    "no_traffic": "{n} {intervals} without traffic left out",
    "out_of_order": "{n} {points} out of order, sorted by time",
    "duplicate_times": "{n} {points} that repeat another's time",
    "identical_rows": "{n} repeated {rows} counted once",
    "total_by_name": "the total is the column {column}, taken by its name (--column says which it is)",
    "gaps": "{n} {intervals} without a point",
    "outside_overlap": "{n} {points} outside the time that both arms cover left out",
    "unpaired": "{n} {points} left out whose interval the other arm lacks",
    "missing_requests": "{n} {rows} without the id of a request left out",
    "repeated_requests": "{n} {rows} left out of requests that have one already, such as retries",
    "unmatched_requests": "{n} {requests} ({part}) left out that the other arm did not answer",
    "broken": "{said}",
    "same_data": "both arms are the same points{these}, so that nothing was compared",
    "tolerance_too_wide": "the tolerated {tolerated} are more than the whole level of {level}, so a pass also wants the canary worse by no more than {allowed}",
    "unprovable_objective": "no amount of data proves an objective of exactly {objective}; give the least that you would bear, such as {perhaps}",
    "silent": "nothing since {silent_start}: {n} {intervals} without a report, {part} of the window, unlike the other arm",
    "both_silent": "both arms fell silent, the canary since {silent_start}: {n} {intervals} without a report, {part} of the window",
    "replica_silent": "{n} of {replicas} replicas fell silent while others went on: {replica} since {silent_start}, {part} of the window",
    "warmup": "{n} {points} of the warm-up left out",
    "before_watch": "{n} {points} from before the watch began, without a partner in the other arm, not counted; does a clock jump?",
    "too_late": "{n} {points} older than what is remembered ignored",
    "no_overlap": "the arms share too little of their times, so their windows are compared as before and after",
    "no_times": "only one arm has times, so the order of the points is taken as time",
    "unequal_lengths": "the arms have different numbers of points ({canary} v. {baseline})",
    "constant": "all {n} {points} have the same value",
    "all_zero": "all {n} {points} are zero",
    "too_few_points": "{n} {points}, fewer than needed",
    "suggest_samples": "several values at one time are averaged; if these are raw observations, kind: samples fits better, and if they are of several replicas or series, a column replica tells them apart",
    "unknown_unit": "the data are in {unit}, which is taken to be the policy's unit {expected}",
    "time_unit": "times read as {unit}",
    "merged_buckets": "{n} bucket {edges} left out that not every histogram of both arms has",
    "counter_resets": "{n} counter {resets}: what was counted just before is lost",
    "unclear_resets": "{n} {intervals} left out in which one counter fell and another went on, so that they counted different times",
    "lost_members": "{n} {steps} left out at which a sum of counters lost a member or got it back, so that it counted nothing new",
    "first_of_counter": "only {n} {points} of counters, one of each, so no increase is known",
    "looks_like_count": "whole numbers of a metric that is named like a count are judged as a gauge, whatever the arms' traffic; kind: ratio or count compares them per request (kind: gauge says that this is meant)",
    "units_apart": "the level is {factor} times the other arm's, as where the arms are in different units",
    "looks_like_counter": "all {n} values are at least as large as the one before, as those of counters (set counter: true if they are, counter: false if they are not)",
    "never_falls": "all {n} values are at least as large as the one before, as those of counters (set counter: false if they are levels that do grow)",
    "no_infinite_bucket": "the last bucket has an end, so observations beyond {edge} are unseen",
    "rounded_counts": "{n} {histograms} with counts that are not whole, rounded; give counts of an interval, not rates",
    "equal_exposure": "no total and no split are given, so an interval of each replica counts as the same exposure in both arms",
    "success_ratio": "the share of failures may grow {times} times before this counts as a fall beyond the tolerance; give tolerance.absolute, or judge the failures",
    "source_warning": "the server said of these data: {text}",
    "uncounted": "{share} of the observations are counted in no bucket, as those are that were no number, so nobody knows their size",
    "made_up_values": "{n} {points} are {value}, which the policy's query also answers where nothing is measured; leave that out of the query, and no traffic is no data",
    "split_mismatch": "the canary got {found} of the traffic where the policy's split expects {expected}; are the arms comparable?",
}
_WITH_COLUMN = {
    "duplicate_times": "{n} {points} that repeat another's time; if the column {column} tells replicas apart, rename it to replica, or give --replica {column}",
}
"""Sentences of notes that know which column is to blame."""
_BY_FACT = {
    (
        "silent",
        "silent_end",
    ): "nothing between {silent_start} and {silent_end}: {n} {intervals} without a report, {part} of the window, unlike the other arm",
    (
        "silent",
        "before",
    ): "nothing between rows {after} and {before}: {n} {intervals} without a report, {part} of the window, unlike the other arm",
    (
        "silent",
        "after",
    ): "nothing after its {after}th row: {n} {intervals} without a report, {part} of the window, unlike the other arm",
    (
        "both_silent",
        "silent_end",
    ): "both arms were silent for a while, the canary between {silent_start} and {silent_end}: {n} {intervals} without a report, {part} of the window, of which nothing is known",
    (
        "both_silent",
        "before",
    ): "both arms were silent for a while, the canary between rows {after} and {before}: {n} {intervals} without a report, {part} of the window, of which nothing is known",
    (
        "both_silent",
        "after",
    ): "both arms fell silent, the canary after its {after}th row: {n} {intervals} without a report, {part} of the window",
    (
        "replica_silent",
        "silent_end",
    ): "{n} of {replicas} replicas fell silent while others went on: {replica} between {silent_start} and {silent_end}, {part} of the window",
    (
        "tolerance_too_wide",
        "best",
    ): "near {best} the tolerated fall of {tolerated} is many times the distance of {level} that is left, so a pass also wants the canary lower by no more than {allowed}",
}
"""Sentences of notes that have such a fact: a silence that ended, or in data without times; a tolerance near 100 %."""
_PLURALS = {
    "values": "value",
    "points": "point",
    "intervals": "interval",
    "rows": "row",
    "edges": "edge",
    "resets": "reset",
    "requests": "request",
    "steps": "step",
    "histograms": "histogram",
}


def note_sentence(note: Note) -> str:
    """Say what a note is about, with its count."""
    n = note.count or 0
    words = {plural: (singular if n == 1 else plural) for plural, singular in _PLURALS.items()}
    facts = {
        name: value if isinstance(value, str) else _fact(name, value) for name, value in note.facts.items()
    }
    sentences = _SENTENCES | _WITH_COLUMN if "column" in note.facts else _SENTENCES
    if note.code == "same_data":
        facts["these"] = (
            ""
            if not n
            else f" ({facts['part']} of them, {count(n)})"
            if "part" in facts
            else f", all {count(n)}"
        )
    special = next(
        (text for (code, fact), text in _BY_FACT.items() if code == note.code and fact in note.facts), None
    )
    sentence = (special or sentences[note.code]).format_map(_Known(words | facts | {"n": count(n)}))
    where = f"in {note.facts['segment']}: " if "segment" in note.facts else ""
    where += f"{note.arm}: " if note.arm else ""
    return where + sentence


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key


def _fact(name: str, value: float) -> str:
    if name in ("expected", "found", "share", "part"):
        return percent(value)
    if name.endswith(("_start", "_end")):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return set_number(value)

"""Words for what keeps metrics from being judged well, and for what to do about it."""

from __future__ import annotations

from typing import Any, Final

from canaryjudge.explain.layout import markdown_text, wrapped
from canaryjudge.explain.numbers import count, number, percent
from canaryjudge.reports import ReadinessFacts, Symptom

__all__ = ["readiness_markdown", "readiness_rows", "readiness_text"]

_MARKS = {"error": "❌", "warning": "⚠️", "info": "✅"}
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "averaged_percentile": (
        "the query takes the {by} of percentiles, and of the pods' percentiles nothing gives that of the service",
        "Add up the buckets first, histogram_quantile(0.99, sum by (le) (rate(..._bucket[1m]))), or better, judge the histogram itself (kind: histogram).",
    ),
    "made_up_values": (
        "where nothing is measured the query answers {value} ({what}), so that no traffic looks like a measurement; no pass rests on such points",
        "Leave that out of the query, and say with no_data what an arm without data means.",
    ),
    "uncounted": (
        "{share} of the observations are counted in no bucket, as those are that were no number",
        "See what the service observes; a pass is withheld while nobody knows how large they are.",
    ),
    "pooled_percentiles": (
        "percentiles of {replicas} replicas are averaged, and the mean of percentiles is no percentile of the service",
        "Give the histogram (kind: histogram) or raw observations (kind: samples); or read the metric as the typical replica's percentile.",
    ),
    "short_rate_window": (
        "a rate over [{range}] leaves out what happens between two points {step} s apart",
        "Take a range of at least the step.",
    ),
    "unit_and_name": (
        "the name says {named} and the policy says {unit}",
        "Set the unit to what the data are in, or convert in the query.",
    ),
    "success_tolerance": (
        "{tolerated} of a success rate near 100 % are about {left} points: the failures may grow many times before it counts as worse",
        "Give tolerance: {{absolute: 0.1%}} (of a gauge in its own unit), or judge the failures.",
    ),
    "unprovable_objective": (
        "no amount of data proves an objective of exactly {objective}",
        "Give the least that you would bear, such as {perhaps}.",
    ),
    "tolerance_too_wide": (
        "the tolerated {tolerated} are wider than the {level} {what}",
        "State the tolerance in what matters: of a success rate in points, of anything else as a part of the level; and see whether the data are in the policy's unit.",
    ),
    "silent": (
        "{said}",
        "See whether that arm runs, is scraped and gets traffic; if it was meant to end, cut both arms to the time before.",
    ),
    "no_metric": (
        "the data do not have it{near}",
        "Name it as the data do, or see why nothing is recorded; no_data says what silence means.",
    ),
    "no_arm_data": (
        "this arm has no data",
        "See whether its pods are scraped, and whether the selector or the arm's name is right.",
    ),
    "unreadable": ("{said}", "{hint}"),
    "too_few_points": ("{points} points where {needed} are needed", "Run longer, or record more often."),
    "few_points": (
        "{points} points: the error rates are proven from {needed} on, and little can be shown by fewer",
        "Run longer, or record more often.",
    ),
    "coarse_resolution": (
        "a point every {interval} s makes {points} by the deadline of {deadline} s, and {needed} are wanted",
        "Record more often, run longer, or take counts and histograms, which need fewer intervals.",
    ),
    "gaps": (
        "{part} of the intervals have no point ({count})",
        "See whether scrapes time out; what is missing may be the fault itself. Where each row is one event, set the metric's interval, such as 30s.",
    ),
    "bad_values": (
        "{part} of the values are missing or infinite ({count})",
        "Guard the query against a division by 0, and see what writes NaN.",
    ),
    "duplicate_times": (
        "{part} of the points share their time with another ({count})",
        "Name the replicas in a column replica, add them up in the query, or take kind: samples for raw observations.",
    ),
    "undeclared_counter": (
        "all {count} values are at least as large as the one before, as a counter's are",
        "Set counter: true (kind: count, ratio or histogram), or ask for a rate.",
    ),
    "lost_members": (
        "a sum of counters lost a member or got it back, at {count} steps, which are left out",
        "Name the replicas in a column replica, so that each is differenced by itself, or ask for the increases.",
    ),
    "counter_resets": (
        "{count} counter resets: pods restarted, and what was counted just before is lost",
        "Fine after a deployment; if it goes on, judge the restarts themselves.",
    ),
    "clocks_apart": (
        "the canary's data begin {begins} and end {ends} the baseline's",
        "Only the time that both cover is judged: start both windows together.",
    ),
    "time_zone": (
        "the canary's times are {hours} h {side} of the baseline's",
        "Write times with their zone, or in UTC.",
    ),
    "no_overlap": (
        "the arms share no time, so they can only be compared as before and after, which cancels nothing that both feel",
        "Run the baseline beside the canary, or state a noise floor (canaryjudge calibrate).",
    ),
    "same_data": (
        "both arms have the same points ({points})",
        "See whether both selectors pick the same pods.",
    ),
    "constant": (
        "all {points} points are {value}",
        "See whether the exporter is stuck, or the metric is a setting; a constant proves nothing.",
    ),
    "arms_in_other_units": (
        "this arm's level is {factor} times the other's, as if it were in another unit",
        "Bring both versions to one unit in the query.",
    ),
    "unit_and_level": (
        "a level of {level} {unit} is unlikely; is it {perhaps}?",
        "Set the unit to what the data are in: tolerances in units depend on it.",
    ),
    "coarse_buckets": (
        "the median lies in a bucket{bucket}, wider than the tolerated {tolerated}",
        "Add bucket edges around the usual latency, or take native histograms; wider tolerances work too.",
    ),
    "no_infinite_bucket": (
        "there is no bucket +Inf, so larger observations are unseen",
        'Ask for all buckets, with le="+Inf".',
    ),
    "split_mismatch": (
        "the canary got {found} of the traffic where the policy's split says {expected}",
        "See whether routing is sticky or retries go elsewhere: the arms may not be alike.",
    ),
    "little_traffic": (
        "in {points} intervals it would not see {visible} with 80 % power at its share of alpha",
        "{longer}",
    ),
}
_IN_PERCENT = ("part", "found", "expected", "share", "left")


def readiness_text(facts: ReadinessFacts) -> str:
    """Explain what was found, errors first, each with what to do."""
    blocks = [_headline(facts)]
    for symptom in facts.symptoms:
        where = symptom.metric if symptom.arm is None else f"{symptom.metric}, {symptom.arm}"
        what, advice = _said(symptom)
        blocks.append(
            wrapped(f"{symptom.severity.upper()} {where}: {what}.") + "\n" + wrapped(advice, "    ")
        )
    return "\n\n".join(blocks)


def readiness_markdown(facts: ReadinessFacts) -> str:
    """Explain it in Markdown; names from the data are markdown_text."""
    lines = ["## Readiness", "", markdown_text(_headline(facts)), ""]
    if facts.symptoms:
        lines += ["| metric | finding | what to do |", "|---|---|---|"]
    for symptom in facts.symptoms:
        what, advice = _said(symptom)
        where = symptom.metric if symptom.arm is None else f"{symptom.metric}, {symptom.arm}"
        lines.append(
            f"| {markdown_text(where)} | {_MARKS[symptom.severity]} {markdown_text(what)} | {markdown_text(advice)} |"
        )
    return "\n".join([*lines, ""])


def readiness_rows(facts: ReadinessFacts) -> list[dict[str, Any]]:
    """Give a flat row a finding."""
    rows = []
    for symptom in facts.symptoms:
        what, advice = _said(symptom)
        rows.append(symptom.model_dump(exclude={"numbers"}) | {"finding": what, "advice": advice})
    return rows


def _headline(facts: ReadinessFacts) -> str:
    looked = f"{count(len(facts.metrics))} metric{'s' if len(facts.metrics) != 1 else ''} of the policy"
    looked += " and their data" if facts.with_data else ", without data"
    found = [
        f"{number_of} {word}{'s' if number_of != 1 and word != 'info' else ''}"
        for word in ("error", "warning", "info")
        if (number_of := sum(symptom.severity == word for symptom in facts.symptoms))
    ]
    return f"Looked at {looked}: {', '.join(found) or 'nothing to complain of'}."


def _said(symptom: Symptom) -> tuple[str, str]:
    facts = {name: _fact(name, value) for name, value in symptom.numbers.items()}
    facts |= _derived(symptom)
    what, advice = _WORDS[symptom.code]
    return what.format_map(_Known(facts)), advice.format_map(_Known(facts))


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def _derived(symptom: Symptom) -> dict[str, str]:
    facts = symptom.numbers
    if symptom.code == "no_metric":
        return {"near": f"; is it {facts['near']!r}?" if "near" in facts else ""}
    if symptom.code == "tolerance_too_wide":
        best = facts.get("best")
        return {"what": "of the whole level" if best is None else f"that are left to {number(float(best))}"}
    if symptom.code == "clocks_apart":
        return {name: _beside(float(facts[name])) for name in ("begins", "ends")}
    if symptom.code == "time_zone":
        hours = float(facts["hours"])
        return {"hours": number(abs(hours)), "side": "ahead" if hours > 0 else "behind"}
    if symptom.code == "coarse_buckets":
        ends = (f" from {_fact('', facts['low'])}" if "low" in facts else "") + (
            f" to {_fact('', facts['high'])}" if "high" in facts else ""
        )
        return {"bucket": ends}
    if symptom.code == "little_traffic":
        seen = f"less than +{percent(float(facts['visible']))}" if "visible" in facts else "any regression"
        more = (
            f"{count(float(facts['needed']))} intervals would tell a doubling; or "
            if "needed" in facts
            else ""
        )
        advice = f"{more}give the canary more traffic, take a wider tolerance, or make it advisory."
        return {"visible": seen, "longer": advice[0].upper() + advice[1:]}
    return {}


def _beside(seconds: float) -> str:
    return "with" if seconds == 0 else f"{number(abs(seconds))} s {'after' if seconds > 0 else 'before'}"


def _fact(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return percent(value) if name in _IN_PERCENT else number(value)

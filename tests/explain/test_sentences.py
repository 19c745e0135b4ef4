"""Every fact has words, and every sentence its numbers."""

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from told import verdict as told_verdict

import canaryjudge as cj
from canaryjudge.data import Note, NoteCode
from canaryjudge.explain import note_sentence
from canaryjudge.explain.numbers import number, percent, pvalue
from canaryjudge.explain.quantities import change, span
from canaryjudge.explain.sentences import waivers
from canaryjudge.reasons import Reason
from canaryjudge.results import Waived
from canaryjudge.rules.findings import Waiver

NOISE = np.random.default_rng(20260304).normal(0, 5, (2, 40))
NONSENSE = re.compile(r"\b(nan|none|inf|infinity|unknown)\b|p = 0\.0+\b(?!\d)|[{}]", re.IGNORECASE)
CHECKOUT = Path(__file__).parents[2] / "docs" / "examples" / "checkout"

GOLDEN = """\
FAIL: roll back
Of 4 metrics 2 failed, 2 passed; errors decided (rule proportion).

  errors FAIL: canary is 0.33 percentage points higher, 0.439 % v. 0.107 % (99.75 % CI 0.25 to 0.42 percentage
    points), beyond the tolerated 0.05 percentage points; test of the difference p = 3e-39, 253 of 57,620
    v. 561 of 522,851.
    - rule slo, pass: canary is 0.439 % (90 % CI 0.39 to 0.49 %), which meets the objective <= 0.5 %; exact
      binomial test p = 0.019, 253 of 57,620 v. 561 of 522,851.

  latency_p99 FAIL: canary is 31 % higher, 180 ms v. 138 ms (99.67 % CI 21 to 43 %), beyond the tolerated
    10 %; comparison minute by minute p = 5e-6 (worse in 100 % of minutes, assuming that pods differ by 2 %,
    lag-1 autocorrelation 0.53), 60 v. 60 points.
    - rule late_shift, marginal: last half, by late_shift's own tolerance: canary is 34 % higher, 181 ms
      v. 136 ms (99.97 % CI 9.3 to 63 %): suspicious, but not proven beyond the tolerated 25 %; comparison
      minute by minute p = 0.034 for more than tolerated (worse in 100 % of minutes, assuming that pods differ
      by 2 %, lag-1 autocorrelation 0.5), 30 v. 30 points.

  cpu PASS: canary is 1 % higher, 43.5 % v. 43.1 % (90 % CI -3.1 to 5.1 %), within the tolerated 10 %;
    non-inferiority by comparison minute by minute p = 3e-4 (worse in 60 % of minutes, assuming that pods
    differ by 2 %, lag-1 autocorrelation 0.61), 60 v. 60 points.
    - no late shift; no burst and no growth seen, though small ones may have been missed.

  requests PASS (guard): canary is 0.82 % lower, 9,603 v. 9,682 (90 % CI -4.3 to 2.8 %), within the tolerated
    10 % up or 9.1 % down; non-inferiority by exact conditional test p = 3e-5 (assuming that pods differ by
    2 %), 57,620 v. 522,851 events in 60 v. 60 intervals.
    - no burst seen, though a small one may have been missed.

At most 1 % of releases that are fine fail, and at most 5 % of verdicts pass a release with harm beyond the
bound that they print, over all metrics, for this one look at finished data; provided that nothing but the
release differs between the arms' windows. By how much healthy ones differ anyway is not known here, so these
are the rates of the comparison and not of your service; history, replicas or a noise_floor would tell."""


def test_the_bundled_release_is_explained_to_the_letter():
    import pandas as pd

    frame = pd.read_csv(CHECKOUT / "metrics.csv")
    assert cj.judge(frame, cj.load_policy(CHECKOUT / "policy.yaml")).explain() == GOLDEN


def judged(data, **settings):
    metric = cj.Metric(**({"name": "m", "direction": "increase"} | settings))
    return cj.judge({"m": data}, cj.Policy(metrics=[metric]))


def gauge(level, **settings):
    data = {"baseline": 100 + NOISE[0], "canary": level + NOISE[1]}
    return judged(data, **({"unit": "ms"} | settings))


def total(errors, **settings):
    arms = {
        arm: {"value": [n] * 10, "total": [1000] * 10}
        for arm, n in zip(("baseline", "canary"), errors, strict=True)
    }
    return judged(arms, **({"kind": "ratio"} | settings))


def slo(level, **settings):
    return gauge(level, rules=[cj.Slo(**({"of": "mean", "op": "lte", "value": 120} | settings))])


def watched(errors, *, split=None, requests=1000, **settings):
    """A monitor's verdict on eight intervals of errors, at a deadline."""
    metric = cj.Metric(name="m", direction="increase", kind="ratio", tolerance="50%", dispersion=1.0)
    monitor = cj.Monitor(cj.Policy(metrics=[metric], max_points=8, split=split, **settings))
    arms = {
        arm: {"value": [n] * 8, "total": [size] * 8, "time": 10.0 * np.arange(8)}
        for arm, n, size in zip(("baseline", "canary"), errors, (1000, requests), strict=True)
    }
    monitor.update({"m": arms})
    return monitor.verdict()


walk = np.cumsum(np.random.default_rng(3).normal(size=(2, 8)), axis=1)


def segmented(changes, without=None):
    """Sixty minutes of a gauge in each of some regions, of which one may be without a canary."""
    rows = [
        {"metric": "m", "region": f"r{place}", "arm": arm, "time": 60.0 * minute, "value": value * factor}
        for place, change in enumerate(changes)
        for arm, factor in (("baseline", 1.0), ("canary", 1 + change))
        if not (arm == "canary" and place == without)
        for minute, value in enumerate(REGIONAL[place, int(arm == "canary")])
    ]
    asked = cj.Metric(name="m", unit="ms", direction="increase")
    return cj.judge(rows, cj.Policy(metrics=[asked], segments={"by": ["region"]}))


REGIONAL = np.random.default_rng(8).normal(100, 5, (8, 2, 60))

EVERY_REASON = {
    "worse_in_segment": segmented([0.6] + 7 * [0.0]),
    "segments_left_out": segmented(4 * [0.0], without=2),
    "proven_worse": gauge(150),
    "breached": slo(150),
    "no_data_fails": judged({"baseline": [], "canary": [1.0]}, no_data="fail"),
    "proven_safe": gauge(100),
    "objective_met": slo(100),
    "identical": judged({"baseline": [5] * 20, "canary": [5] * 20}),
    "not_proven_worse": total((1, 1), pass_when="not_proven_worse", tolerance="0%", pass_within="tolerance"),
    "undecided": total((1, 1), tolerance="0%", pass_within="tolerance"),
    "worse_but_maybe_tolerable": gauge(110 + NOISE[0].mean() - NOISE[1].mean()),
    "too_little_data": judged({"baseline": [1, 2, 3], "canary": [1, 2, 3]}),
    "no_data": judged({"baseline": [1, 2, 3], "canary": []}),
    "abstains": judged(
        {"baseline": 100 + walk[0], "canary": 99 + walk[1]}, min_points=1, effect="ratio", tolerance="0.1%"
    ),
    "ends_beyond_tolerance": judged(
        {
            arm: {"time": 60.0 * np.arange(40), "value": 100 + noise / 20}
            for arm, noise in (("baseline", NOISE[0]), ("canary", NOISE[1] + 220 * (np.arange(40) >= 30)))
        }
    ),
    "needs_absolute_tolerance": judged({"baseline": [0] * 20, "canary": [0] * 19 + [1]}),
    "suspected": judged(
        {"baseline": 100 + NOISE[0], "canary": 100 + NOISE[1] + np.repeat([0, 75, 0], [20, 5, 15])}, unit="ms"
    ),
    "warning": slo(125, fail_value=150),
    "deadline_passes": watched((10, 10), on_deadline="pass"),
    "deadline_fails": watched((10, 12), on_deadline="fail"),
    "split_mismatch": watched((30, 5), requests=400, split={"baseline": 0.5, "canary": 0.5}),
    "unpaired": judged(
        {
            arm: {"value": (120 + NOISE[i])[kept], "time": 60.0 * np.arange(len(NOISE[i]))[kept]}
            for i, (arm, kept) in enumerate((("baseline", slice(None)), ("canary", np.arange(40) % 4 > 0)))
        },
        unit="ms",
    ),
    "misread": judged({"baseline": 120 + NOISE[0], "canary": (120 + NOISE[1]) / 1000}, unit="ms"),
    "broken": cj.judge(
        {
            "m": {
                "baseline": {"value": [1, 2], "total": [9, 9]},
                "canary": {"value": [1, 11], "total": [9, 9]},
            },
            "n": {"baseline": 100 + NOISE[0], "canary": 100 + NOISE[1]},
        },
        cj.Policy(
            metrics=[
                cj.Metric(name="m", kind="ratio", direction="increase"),
                cj.Metric(name="n", direction="increase"),
            ]
        ),
    ),
    "silent": judged(
        {
            arm: {"value": (120 + NOISE[i])[:points], "time": 60.0 * np.arange(40)[:points]}
            for i, (arm, points) in enumerate((("baseline", 40), ("canary", 25)))
        },
        unit="ms",
    ),
    "same_data": judged({"baseline": 120 + NOISE[0], "canary": 120 + NOISE[0]}, unit="ms"),
    "tolerance_too_wide": judged(
        {"baseline": (120 + NOISE[0]) / 1000, "canary": (360 + NOISE[1]) / 1000}, unit="ms", tolerance="20ms"
    ),
    "environment_unhealthy": judged(
        {"baseline": 150 + NOISE[0], "canary": 150 + NOISE[1]},
        rules=[cj.Slo(of="mean", op="lte", value=120)],
    ),
}


def words_of(page):
    """What is read of a page: its text and its alternatives, without styles and tags."""
    labels = re.findall(r'aria-label="([^"]*)"', page)
    return re.sub(r"<style>.*?</style>|<[^>]*>", " ", page) + " ".join(labels)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason != "nothing_found"])
def test_every_reason_has_a_sentence_with_numbers(reason):
    verdict = EVERY_REASON[reason]
    if reason == "abstains" and verdict.metrics["m"].reason != "abstains":
        data = {"baseline": [0.0, *(100 + NOISE[0])], "canary": [1.0, *(100 + NOISE[1])]}
        verdict = judged(data, effect="ratio")
    assert verdict.metrics["m"].reason == reason
    for text in (verdict.reason, verdict.explain(), verdict.to_markdown(), words_of(verdict._repr_html_())):
        assert not NONSENSE.search(text), text
    sentence = " ".join(verdict.explain().split("\n\n")[1].split())
    assert re.search(r"\d", verdict.reason)
    assert re.search(r"\d+ v\. \d+|of [\d,]+ v\. ", sentence), sentence


RNG = np.random.default_rng(20260306)
TIMES = 10.0 * np.arange(60)
ARMS = ("baseline", "canary")


def requests(factor):
    values = RNG.lognormal(4, 0.6, 6000) * factor
    return {"value": values, "time": np.repeat(TIMES, 100) + 0.01}


def histograms(factor):
    edges = [*np.geomspace(5, 1000, 12), np.inf]
    buckets = [np.histogram(RNG.lognormal(4, 0.6, 200) * factor, [0, *edges])[0] for _ in TIMES]
    return {"time": TIMES, "edges": edges, "buckets": np.array(buckets)}


def gauges(factor):
    return {"value": RNG.normal(100, 4, 60) * factor, "time": TIMES}


def events(factor):
    return {"value": RNG.poisson(50 * factor, 60), "time": TIMES}


def bounded(factor):
    return {"value": RNG.uniform(20, 40, 60) * factor, "time": TIMES}


WATCHED = {
    "mixture": (events, {"kind": "count", "tolerance": "25%"}, {}),
    "cmh": (histograms, {"kind": "histogram", "unit": "ms"}, {}),
    "scores": (requests, {"kind": "samples", "interval": "10s"}, {}),
    "ranks": (requests, {"kind": "samples", "interval": "10s"}, {"independent": True}),
    "betting": (bounded, {"tolerance": "60%"}, {"method": "betting", "cap": 60}),
    "mean_sequence": (gauges, {}, {"method": "mean"}),
    "pairs": (gauges, {"unit": "%"}, {"method": "looks"}),
    "robust_rank": (gauges, {"unit": "%", "pairing": "windows"}, {"method": "looks"}),
}


@pytest.mark.parametrize(("shift", "outcome"), [(0, "pass"), (5, "marginal"), (20, "fail")])
def test_a_gauge_that_is_watched_with_a_history_says_what_that_says(shift, outcome):
    noise = np.random.default_rng(20260307).normal(50, 3, (4, 700))
    others = np.random.default_rng(20260308).normal(50, 3, (3, 700))
    past = {
        f"pod-{i}": {"value": pod, "time": TIMES[0] + 10.0 * np.arange(700)} for i, pod in enumerate(others)
    }
    new = {arm: {"value": noise[2 + i, :60] + i * shift, "time": 1e6 + TIMES} for i, arm in enumerate(ARMS)}
    metric = cj.Metric(name="m", direction="increase", unit="%")
    monitor = cj.Monitor(cj.Policy(metrics=[metric], max_points=60), history={"m": past})
    monitor.update({"m": {arm: {key: column[:30] for key, column in new[arm].items()} for arm in ARMS}})
    early = " ".join(monitor.verdict().explain().split())
    monitor.update({"m": new})
    verdict = monitor.verdict()
    assert (verdict.outcome, verdict.metrics["m"].findings[0].method) == (outcome, "pairs")
    told = " ".join(verdict.explain().split())
    assert "- history: 3 series side by side, in 11 windows of 60 points over 116 minutes, differ" in told
    assert "beyond what healthy ones differ by anyway." in told
    assert "100 % CI" not in told + early
    if outcome == "marginal":
        assert "the next look is after 6 more points (60 seconds)" in early


def test_what_is_watched_for_too_short_a_time_says_what_is_missing():
    unplanned = cj.Monitor(cj.Policy(metrics=[cj.Metric(name="m", direction="increase", kind="samples")]))
    planned = [
        cj.Monitor(cj.Policy(metrics=[cj.Metric(name="m", direction="increase", pairing="windows")], **end))
        for end in ({"max_points": 60}, {"max_duration": "10m"}, {"max_duration": "600s"})
    ]
    told = []
    for monitor, size in zip((unplanned, *planned), (5, 5, 11, 14), strict=True):
        arm = {"value": NOISE[0, :size], "time": 10.0 * np.arange(size)}
        monitor.update({"m": {"baseline": arm, "canary": arm}})
        told.append(" ".join(monitor.verdict().explain().split()))
    assert "too little data: 4 v. 4 samples where 10 a side are needed" in told[0]
    assert "too little data: 5 v. 5 points where 10 a side are needed" in told[1]
    assert "too little data for the rule sequential: 11 v. 11 points; the first of 5 planned looks" in told[2]
    assert "14 v. 14 points; 1 of 5 planned looks is used up, and none had points enough" in told[3]


def test_a_one_line_reason_says_first_that_the_policy_decided_at_the_deadline():
    assert EVERY_REASON["deadline_passes"].reason.startswith(
        "PASS: m: the watch is over, and the policy passes what is undecided by then: canary is "
    )
    assert EVERY_REASON["deadline_fails"].reason.startswith(
        "FAIL: m: the watch is over, and the policy fails what is undecided by then: canary is "
    )
    over = watched((10, 12))
    assert over.reason.startswith("MARGINAL: m: the watch is over, and nothing was decided: canary is ")
    assert "would have decided" in over.explain()


@pytest.mark.parametrize("factor", [1.0, 1.12, 2.0])
@pytest.mark.parametrize("method", WATCHED)
def test_every_method_of_a_watch_says_how_strong_the_evidence_is_and_of_how_much(method, factor):
    draw, metric, rule = WATCHED[method]
    asked = cj.Metric(**({"name": "m", "direction": "increase", "rules": [cj.Sequential(**rule)]} | metric))
    verdict = cj.judge(
        {"m": {"baseline": draw(1.0), "canary": draw(factor)}},
        cj.Policy(metrics=[asked], max_points=60_000 if method == "ranks" else 60),
    )
    finding = verdict.metrics["m"].findings[0]
    assert finding.method == method
    for text in (verdict.reason, verdict.explain(), verdict.to_markdown(), words_of(verdict._repr_html_())):
        assert not NONSENSE.search(text), text
    sentence = " ".join(verdict.explain().split())
    assert re.search(r"evidence .* to 1|look \d of 5", sentence), sentence
    assert ("decided after" in sentence) == (finding.watch.decided_after is not None)


def test_a_watch_that_goes_on_says_how_long_it_may_take_and_what_would_be_seen_by_now():
    monitor = cj.Monitor(cj.Policy(metrics=[cj.Metric(name="m", direction="increase", kind="ratio")]))
    arm = {"value": [10] * 20, "total": [1000] * 20, "time": 10.0 * np.arange(20)}
    monitor.update({"m": {"baseline": arm, "canary": arm}})
    sentence = " ".join(monitor.verdict().explain().split())
    assert re.search(r"about \d+ more intervals \(\d+ minutes\) would decide", sentence), sentence
    assert re.search(r"the smallest regression visible now is \d+ %", sentence), sentence


def test_a_finding_is_told_with_unit_interval_tolerance_method_p_value_and_size():
    sentence = " ".join(gauge(150).explain().split())
    assert re.search(
        r"canary is \d+ % higher, [\d.]+ ms v\. [\d.]+ ms \(98\.33 % CI \d+ to \d+ %\), beyond the tolerated 10 %; "
        r"robust Mann-Whitney p = \de-\d+ \(worse in \d+ % of pairs, lag-1 autocorrelation 0\.\d\d\), 40 v\. 40 points\.",
        sentence,
    )


def test_an_absolute_tolerance_is_told_in_the_unit():
    assert re.search(
        r"ms higher, .*% CI [\d.]+ to [\d.]+ ms\), beyond the tolerated 5 ms",
        gauge(150, tolerance="5ms").reason,
    )
    assert re.search(r"percentage points higher, 5 % v\. 0\.1 %", total((1, 50)).reason)


def test_many_times_as_much_is_told_in_times_with_its_interval():
    verdict = judged({"baseline": [5] * 20, "canary": [40] * 20}, kind="count")
    assert (
        "canary is 8 times as high, 40 v. 5 (98.18 % CI 6.24 to 10.4 times), beyond the tolerated 10 %"
        in verdict.reason
    )
    verdict = judged({"baseline": [0] * 20, "canary": [4] * 20}, kind="count")
    assert (
        "canary is higher, 4 v. 0, of which no percentage can be told (98.18 % CI 16.5 times or more)"
        in verdict.reason
    )


def test_what_is_undecided_says_how_much_more_it_would_take():
    assert "about 5 more intervals a side would decide at the present noise" in " ".join(
        total((0, 0)).explain().split()
    )


def test_a_test_that_abstains_says_what_it_cannot_prove():
    finding = {"baseline": 100 + walk[0], "canary": 150 + walk[1]}
    metric = cj.Metric(name="m", direction="increase", min_points=1)
    verdict = cj.judge({"m": finding}, cj.Policy(alpha=1e-9, beta=1e-9, metrics=[metric]))
    assert "to prove a fail at the level of" in verdict.explain().replace("\n    ", " ")
    assert verdict.metrics["m"].reason == "abstains"


def test_an_objective_that_abstains_says_so():
    waves = {"value": [0] * 8 + [900] * 8, "total": [10_000] * 16}
    rules = [cj.Slo(of="pooled", op="lte", value="1%")]
    verdict = judged({"baseline": waves, "canary": waves}, kind="ratio", rules=rules)
    told = " ".join(verdict.explain().split())
    assert "to prove a fail at the level of 1 % or a pass at the level of 5 % by the objective <= 1 %" in told


def test_both_tolerances_of_either_direction_are_told():
    assert "the tolerated 10 % up or 9.1 % down" in gauge(150, direction="either").reason


@pytest.mark.parametrize("code", get_args(NoteCode))
def test_every_note_has_words(code):
    facts = {
        "needed": 10.0,
        "unit": "milliseconds",
        "expected": 0.1,
        "found": 0.25,
        "baseline": 3.0,
        "canary": 4.0,
        "value": 0.0,
        "edge": 2.5,
    }
    for count in (1, 1234):
        sentence = note_sentence(Note(code=code, arm="canary", count=count, facts=facts))
        assert sentence.startswith("canary: ")
        assert not NONSENSE.search(sentence)
    assert note_sentence(Note(code="gaps", count=1)) == "1 interval without a point"
    assert note_sentence(Note(code="gaps", count=1234)) == "1,234 intervals without a point"
    assert "(4 v. 3)" in note_sentence(Note(code="unequal_lengths", facts=facts))


@pytest.mark.parametrize("what", get_args(Waiver))
def test_every_waiver_has_words(what):
    (said,) = waivers(told_verdict().model_copy(update={"waived": (Waived(what=what, metric="m"),)}))
    assert said.startswith("m: ")
    assert len(said) > 20


def test_a_waiver_of_many_metrics_is_said_once():
    waived = tuple(Waived(what=what, metric=f"m{i}") for i in range(7) for what in get_args(Waiver)[:2])
    verdict = told_verdict().model_copy(update={"waived": waived})
    assert [said.partition(":")[0] for said in waivers(verdict)] == ["m0, m1, m2, m3 and 3 more"] * 2
    for text in (verdict.explain(), verdict.to_markdown(), verdict.to_html()):
        assert text.count("Waived") == 2


@given(value=st.floats(0, 1))
def test_no_p_value_is_told_as_zero(value):
    text = pvalue(value)
    assert float(text.split()[-1]) > 0
    assert not NONSENSE.search(text)


@given(value=st.floats(-1e300, 1e300))
def test_numbers_are_told_to_three_digits(value):
    text = number(value)
    told = float(text.replace("-", "-").replace(",", ""))
    assert told == pytest.approx(value, rel=0.006, abs=0)


def test_numbers_as_people_write_them():
    assert (number(999.6), number(0.0001), number(1e20), number(-1234.5)) == (
        "1,000",
        "0.0001",
        "1.00e20",
        "-1,234",
    )
    assert (percent(0.0), percent(0.994), percent(0.9996), percent(-0.5)) == ("0 %", "99 %", "100 %", "-50 %")
    assert change(-0.0002, "absolute", "ratio", "") == "0.02 percentage points"
    assert span(None, None, "relative", "gauge", "") == "unbounded"
    assert span(None, 0.5, "relative", "gauge", "") == "50 % or less"


KINDS = {
    "gauge": [None, [cj.MannWhitney(method="exact")], ["mann_whitney", cj.Slo(of="p90", op="lt", value=50)]],
    "samples": [
        None,
        [cj.MannWhitney(method="asymptotic")],
        [cj.Slo(of="max", op="lte", value=9, evidence="point")],
    ],
    "ratio": [None, ["proportion", "mann_whitney"], [cj.Slo(of="pooled", op="lte", value="1%")]],
    "count": [None, ["rate", cj.Slo(of="pooled", op="gte", value=5)]],
}


@given(data=st.data(), kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 2**32 - 1))
def test_no_explanation_holds_what_is_no_word_or_number(data, kind, seed):
    draw = np.random.default_rng(seed)
    arms = {}
    for arm in ("baseline", "canary"):
        n = data.draw(st.integers(0, 30))
        shape = data.draw(st.sampled_from(["zero", "constant", "noise", "rare", "negative"]))
        values = {
            "zero": np.zeros(n),
            "constant": np.full(n, 7.0),
            "noise": draw.integers(0, 100, n).astype(float),
            "rare": (draw.random(n) < 0.1) * 1.0,
            "negative": draw.normal(0, 1e-9, n),
        }[shape]
        if kind in ("ratio", "count"):
            values = np.abs(values).round()
            arms[arm] = {"value": values, "total": values + draw.integers(1, 1000, n)}
        else:
            arms[arm] = values
    relative = {"tolerance": "10%"}
    tolerance = data.draw(st.sampled_from([relative, {"tolerance": {"absolute": 0.01}}, {"tolerance": "0%"}]))
    verdict = judged(
        arms,
        kind=kind,
        direction=data.draw(st.sampled_from(["increase", "decrease", "either"])),
        rules=data.draw(st.sampled_from(KINDS[kind])),
        pass_when=data.draw(st.sampled_from(["proven_safe", "not_proven_worse"])),
        min_points=1,
        **tolerance,
    )
    for text in (verdict.reason, verdict.explain(), verdict.to_markdown(), words_of(verdict._repr_html_())):
        assert not NONSENSE.search(text), text
    assert max(len(line) for line in verdict.explain().splitlines()) <= 110
    assert cj.Verdict.from_json(verdict.to_json()) == verdict

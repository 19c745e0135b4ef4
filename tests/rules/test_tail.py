"""The rule about a tail, on pairs made by hand."""

import json

import numpy as np
import pytest
from judging import judge_by

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates, read_finding

RATES = ErrorRates(level=0.01, beta=0.05)
EDGES = np.append(np.geomspace(20, 800, 19), np.inf)
RNG = np.random.default_rng(20260610)
BASELINE, SAME = RNG.lognormal(np.log(100), 0.5, (2, 6000))
SLOW = np.where(RNG.random(6000) < 0.08, 3 * SAME, SAME)


def samples(
    baseline, canary, *, times=None, pairing="windows", share=RATES, direction="increase", **settings
):
    at = (None, None) if times is None else times
    arms = (
        Arm(np.asarray(values, dtype=float), time=time)
        for values, time in zip((baseline, canary), at, strict=True)
    )
    pair = MetricPair("m", "samples", *arms, pairing)
    metric = cj.Metric(name="m", kind="samples", unit="ms", direction=direction)
    return judge_by(pair, metric, cj.Tail(**settings), share)


def histogram(values, edges=EDGES, intervals=30):
    parts = np.array_split(np.asarray(values, dtype=float), intervals)
    counts = np.stack(
        [np.bincount(np.searchsorted(edges, part), minlength=len(edges)) for part in parts]
    ).astype(float)
    return Arm(counts.sum(axis=1), buckets=counts)


def histograms(baseline, canary, *, edges=EDGES, pairing="windows", direction="increase", **settings):
    pair = MetricPair(
        "m", "histogram", histogram(baseline, edges), histogram(canary, edges), pairing, edges=edges
    )
    metric = cj.Metric(name="m", kind="histogram", unit="ms", direction=direction)
    return judge_by(pair, metric, cj.Tail(**settings), RATES)


@pytest.mark.parametrize("judged", [samples, histograms])
def test_a_grown_tail_fails_where_the_median_stays_and_an_equal_one_passes(judged):
    grown, equal = judged(BASELINE, SLOW), judged(BASELINE, SAME)
    assert (grown.outcome, equal.outcome) == ("fail", "pass")
    assert grown.baseline_level == pytest.approx(0.05, abs=0.015)
    assert grown.canary_level == pytest.approx((grown.beyond < SLOW).mean())
    assert grown.estimate == pytest.approx(grown.canary_level / grown.baseline_level - 1)
    assert (grown.rule, grown.limit_high, grown.waived) == ("tail", 0.5, ())


def test_the_bound_is_the_percentile_of_the_baseline_alone():
    finding = samples(BASELINE, SLOW, beyond="p99")
    assert finding.beyond == pytest.approx(np.quantile(BASELINE, 0.99, method="inverted_cdf"))
    assert (finding.events_baseline, finding.total_baseline) == (60, 6000)
    assert finding.events_canary == (finding.beyond < SLOW).sum()


def test_a_fixed_bound_is_read_in_the_unit_of_the_metric():
    assert samples(BASELINE, SLOW, beyond="0.3s").beyond == 300
    assert samples(BASELINE, SLOW, beyond=300) == samples(BASELINE, SLOW, beyond="300ms")


def test_where_a_decrease_is_bad_the_tail_lies_below():
    finding = samples(-BASELINE, -SLOW, direction="decrease")
    mirrored = samples(BASELINE, SLOW)
    assert finding.beyond == pytest.approx(-mirrored.beyond, rel=0.01)
    assert finding.events_canary == (-finding.beyond < SLOW).sum()
    assert (finding.outcome, finding.limit_high) == ("fail", 0.5)
    below = histograms(
        1000 / BASELINE, 1000 / SLOW, direction="decrease", edges=np.append(np.geomspace(1, 60, 19), np.inf)
    )
    assert (below.outcome, below.canary_level > 1.7 * below.baseline_level) == ("fail", True)
    assert below.canary_level == pytest.approx((below.beyond >= 1000 / SLOW).mean())


def test_of_a_histogram_the_edge_with_the_most_similar_share_is_taken_and_named():
    finding = histograms(BASELINE, SAME)
    shares = [(edge, (edge < BASELINE).mean()) for edge in EDGES[:-1]]
    edge, share = min(shares, key=lambda each: abs(np.log(max(each[1], 1e-9) / 0.05)))
    assert (finding.beyond, finding.baseline_level) == (pytest.approx(edge), pytest.approx(share))


def test_a_fixed_bound_between_edges_moves_to_the_next_edge_beyond_it():
    assert histograms(BASELINE, SAME, beyond="300ms").beyond == pytest.approx(EDGES[EDGES > 300][0])
    assert histograms(BASELINE, SAME, beyond=float(EDGES[14])).beyond == pytest.approx(EDGES[14])
    down = histograms(BASELINE, SAME, beyond="30ms", direction="decrease")
    assert down.beyond == pytest.approx(EDGES[EDGES < 30][-1])


@pytest.mark.parametrize(
    ("edges", "settings"),
    [
        ([20.0, 90.0, 2000.0, np.inf], {}),  # 60 % or nothing beyond
        ([20.0, 90.0, 200.0, np.inf], {"beyond": "p99.9"}),
        ([20.0, 90.0, 200.0, np.inf], {"beyond": "300ms"}),
    ],
)
def test_without_an_edge_near_the_tail_it_abstains(edges, settings):
    finding = histograms(BASELINE, SLOW, edges=np.array(edges), **settings)
    assert (finding.outcome, finding.reason, finding.method) == ("marginal", "abstains", "no_edge")


def test_slow_spells_make_a_tail_less_sure():
    """The same share of slow requests, spread evenly or in three spells."""
    far = np.zeros(6000, dtype=bool)
    far[::12] = True
    in_spells = np.zeros(6000, dtype=bool)
    for start in (500, 2500, 4500):
        in_spells[start : start + 167] = True
    steady, bursty = (
        samples(BASELINE, np.where(slow, 400, np.minimum(SAME, 200)), beyond=300) for slow in (far, in_spells)
    )
    assert steady.outcome == "fail"
    assert bursty.dispersion > 10
    assert bursty.pvalue > 100 * steady.pvalue


def test_samples_with_times_are_counted_by_ten_seconds_and_shared_spells_cancel():
    times = np.sort(RNG.uniform(0, 1200, 6000))
    spell = np.where((times // 10) % 20 < 3, 4, 1)
    canary = spell * np.where(RNG.random(6000) < 0.02, 3 * SAME, SAME)
    together = samples(spell * BASELINE, canary, times=(times, times), pairing="concurrent", beyond=300)
    apart = samples(spell * BASELINE, canary, times=(times, times), beyond=300)
    assert together.dispersion < 2
    assert apart.dispersion > 10


def test_intervals_that_one_arm_lacks_say_nothing_of_shared_spells():
    times = np.sort(RNG.uniform(0, 1200, 6000))
    spell = np.where((times // 10) % 20 < 3, 4, 1)
    finding = samples(
        spell * BASELINE, (spell * SAME)[3000:], times=(times, times[3000:]), pairing="concurrent", beyond=300
    )
    assert finding.dispersion < 2
    assert finding.total_canary == 3000
    assert 2500 < finding.total_baseline < 3500
    assert (finding.n_baseline, finding.n_canary) == (6000, 3000)


def test_long_windows_are_cut_into_a_few_hundred_intervals():
    """A slow day in a month of a sample every two hours or so: by ten seconds no two samples would meet."""
    times = np.sort(RNG.uniform(0, 30 * 86_400, 400))
    values = np.where((times > 10 * 86_400) & (times < 11 * 86_400), 400, 100)
    finding = samples(values, values, times=(times, times), beyond=300)
    assert finding.dispersion > 3


def test_windows_apart_in_time_are_each_cut_from_their_own_start():
    times = np.sort(RNG.uniform(0, 1200, 6000))
    finding = samples(BASELINE, SAME, times=(times, times + 1e6))
    assert (finding.total_baseline, finding.total_canary, finding.outcome) == (6000, 6000, "pass")


def test_a_handful_of_samples_is_taken_as_independent_and_says_so():
    finding = samples(BASELINE[:30], SLOW[:30])
    assert (finding.outcome, finding.waived, finding.more_points) == (
        "marginal",
        ("independence_assumed",),
        None,
    )


def test_no_tail_in_either_arm_passes_once_there_is_enough():
    few, many = (samples(np.full(n, 5.0), np.full(n, 5.0)) for n in (100, 40_000))
    assert (few.outcome, many.outcome) == ("marginal", "pass")
    assert (many.scale, many.limit_high) == ("absolute", 0.0002)


def test_the_tolerance_is_its_own():
    assert samples(BASELINE, SLOW, tolerance="400%").outcome == "pass"
    assert samples(BASELINE, SLOW, tolerance="10%").pvalue < samples(BASELINE, SLOW).pvalue


def test_the_words_say_which_share_was_compared():
    policy = cj.Policy(
        metrics=[
            cj.Metric(
                name="m", kind="samples", unit="ms", direction="increase", rules=["mann_whitney", "tail"]
            )
        ]
    )
    verdict = cj.judge({"m": {"baseline": BASELINE, "canary": SLOW}}, policy)
    assert verdict.outcome == "fail"
    said = " ".join(verdict.explain().split())
    assert "share of observations above 226 ms: canary is" in said
    assert "5 % (" in said
    finding = verdict.metrics["m"].findings[1]
    assert read_finding(json.loads(finding.model_dump_json())) == finding
    lower = cj.Policy(metrics=[cj.Metric(name="m", kind="samples", direction="decrease", rules=["tail"])])
    assert (
        "share of observations below" in cj.judge({"m": {"baseline": BASELINE, "canary": SLOW}}, lower).reason
    )
    coarse = {"edges": [20.0, 90.0], "buckets": [[100, 200, 300]] * 4}
    edgeless = cj.Policy(
        metrics=[cj.Metric(name="m", kind="histogram", direction="increase", rules=["tail"])]
    )
    verdict = cj.judge({"m": {"baseline": coarse, "canary": coarse}}, edgeless)
    assert "no edge of the buckets lies near where the rule tail begins" in verdict.reason


@pytest.mark.parametrize(
    ("metric", "settings", "message"),
    [
        ({"direction": "either"}, {}, "a tail needs one bad direction"),
        (
            {"direction": "increase"},
            {"beyond": "p5"},
            "p5 does not begin a tail of bad values, which lie above",
        ),
        (
            {"direction": "decrease"},
            {"beyond": "p95"},
            "p95 does not begin a tail of bad values, which lie below",
        ),
        ({"direction": "decrease"}, {"beyond": "p0"}, "p0 does not begin a tail"),
        ({"direction": "increase", "unit": "ms"}, {"beyond": "3MB"}, "MB"),
        ({"direction": "increase", "kind": "gauge"}, {}, "the rule tail does not fit kind: gauge"),
    ],
)
def test_what_does_not_fit_is_refused(metric, settings, message):
    with pytest.raises(cj.PolicyError, match=message):
        cj.Metric(**({"name": "m", "kind": "samples"} | metric), rules=[cj.Tail(**settings)])


@pytest.mark.parametrize("beyond", ["p99.9", "300ms", 300, None])
def test_the_settings_read_back_what_they_wrote(beyond):
    rule = cj.Tail(beyond=beyond, tolerance="150%")
    assert cj.Tail.model_validate_json(rule.model_dump_json()) == rule


@pytest.mark.parametrize("beyond", ["p100", "x", True, [1]])
def test_a_bound_that_is_none_is_refused(beyond):
    with pytest.raises(cj.PolicyError):
        cj.Tail(beyond=beyond)

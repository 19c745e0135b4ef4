"""How much of the traffic meets a regression before a rollout is stopped, and how long its stages must last."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import poisson

import canaryjudge as cj
from canaryjudge.planning import Plan, Simulation, plan
from canaryjudge.planning.exposure import Traffic, _design, _exposure, _oracle, stated_traffic
from canaryjudge.simulate.assumptions import Assumed
from canaryjudge.simulate.rollouts import Played
from canaryjudge.stats.power import wald_information

ERRORS = {"name": "errors", "kind": "ratio", "direction": "increase", "tolerance": "50%", "dispersion": 1}
LATENCY = {"name": "p99", "unit": "ms", "direction": "increase", "pass_within": "20%", "assumed_spread": 0}
STAGES = [{"canary": "5%", "max_duration": "20m"}, {"canary": "50%", "max_duration": "20m"}]
POLICY = cj.Policy(metrics=[ERRORS, LATENCY], stages=STAGES)
ASSUME = {"errors": {"level": "1%", "traffic": 20_000}, "p99": {"spread": "4%", "per_request": False}}
RUNS = 40


@pytest.fixture(scope="module")
def planned():
    return plan(POLICY, assume=ASSUME, simulation=Simulation(RUNS))


def of(found, metric):
    return [one for one in found.rollout.exposures if one.metric == metric]


# --- what is counted


def test_exposure_is_the_share_of_the_traffic_added_up_over_the_stages():
    played = Played(
        np.array(["rollback", "rollback", "hold", "complete"]),
        np.array([0, 1, 1, 1]),
        np.array([[3, 0], [10, 4], [10, 32], [10, 20]]),
    )
    found = _exposure(POLICY, ("errors", 1.0), played, 0, 60.0, Traffic(100.0, "requests", None), None)
    minutes = [3 * 0.05, 10 * 0.05 + 4 * 0.5, 10 * 0.05 + 32 * 0.5]
    assert found.mean_s == pytest.approx(60 * np.mean(minutes))  # without the one that is completed
    assert found.median_s == pytest.approx(60 * minutes[1])  # of all, of which it has met the most
    assert (found.p95_s, found.p95) == (None, None)
    assert found.mean == pytest.approx(100 * found.mean_s)
    assert found.stopped_in == (0.25, 0.25)
    assert (found.stopped.rate, found.held, found.complete.rate) == (0.5, 0.25, 0.25)
    assert found.stopped_after_s == 14 * 60


def test_what_begins_late_is_counted_from_there_on_where_it_begins():
    played = Played(np.array(["rollback", "hold"]), np.array([1, 0]), np.array([[10, 4], [42, 0]]))
    found = _exposure(POLICY, ("errors", 1.0), played, 1, 60.0, Traffic(None, "requests", None), None)
    assert found.stopped.trials == 1
    assert found.mean_s == pytest.approx(4 * 60 * 0.5)
    assert found.stopped_after_s == 4 * 60
    assert found.mean is None


def test_where_nothing_is_served_by_the_canary_nobody_meets_it():
    played = Played(np.array(["hold"] * 5), np.zeros(5, dtype=int), np.zeros((5, 2), dtype=int))
    found = _exposure(POLICY, ("errors", 1.0), played, 0, 60.0, Traffic(100.0, "requests", None), None)
    assert (found.mean, found.median, found.p95) == (0, 0, 0)


def test_parts_add_up_and_larger_regressions_are_met_by_fewer(planned):
    for metric in ("errors", "p99"):
        own = of(planned, metric)
        for one in own:
            assert one.stopped.rate + one.held + one.complete.rate == pytest.approx(1)
            assert sum(one.stopped_in) == pytest.approx(one.stopped.rate)
        stopped = [one for one in own if one.stopped.rate > 0.95]
        assert len(stopped) >= 2
        for name in ("mean_s", "median_s", "p95_s"):
            met = [getattr(one, name) for one in stopped]
            assert met == sorted(met, reverse=True)
        assert own[-1].p95_s < own[0].p95_s


def test_what_is_found_at_once_is_met_by_the_traffic_of_one_look():
    crash = cj.Policy(metrics=[ERRORS], stages=STAGES)
    found = plan(
        crash,
        assume={"errors": {"level": "1%", "traffic": 10_000_000}},
        size="5000%",
        simulation=Simulation(20),
    ).rollout.exposures[-1]
    assert found.size == 50
    one_look = 0.05 * 10_000_000
    assert [found.mean, found.median, found.p95, found.oracle] == pytest.approx([one_look] * 4)


def test_no_size_is_asked_about_that_is_tolerated(planned):
    assert [one.size for one in of(planned, "errors")] == pytest.approx([0.625, 0.75, 1.0, 1.5, 2.5])
    assert [one.size for one in of(planned, "p99")] == pytest.approx([0.25, 0.3, 0.4, 0.6, 1.0])


# --- the oracle


def test_the_oracle_is_walds():
    size, alpha, beta = 1.0, POLICY.alpha, POLICY.beta
    design = _design(POLICY, POLICY.metrics[0], Assumed(level="1%", traffic=20_000))
    found = _oracle(POLICY, design, size, 0, 60.0)
    null, true = 0.015, 0.02  # tolerated, and twice the level
    events = np.arange(60)
    divergence = (
        poisson.pmf(events, 100 * true)
        * (poisson.logpmf(events, 100 * true) - poisson.logpmf(events, 100 * null))
    ).sum()  # of 100 requests
    needed = (1 - beta) * math.log((1 - beta) / alpha) + beta * math.log(beta / (1 - alpha))
    assert found * 20_000 / 60 == pytest.approx(100 * needed / divergence, rel=1e-6)


def test_a_sequential_probability_ratio_test_needs_hardly_more_than_the_oracle():
    rng, alpha, beta, null, true = np.random.default_rng(1), 0.01, 0.05, 15.0, 20.0
    low, high = math.log(beta / (1 - alpha)), math.log((1 - beta) / alpha)
    events = rng.poisson(true / 10, (4000, 1000))
    walk = (events * math.log(true / null) - (true - null) / 10).cumsum(axis=1)
    ended = ((walk <= low) | (walk >= high)).argmax(axis=1) + 1
    least = wald_information(alpha, beta) / ((true * math.log(true / null) - true + null) / 10)
    assert least < ended.mean() < 1.1 * least


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_events_need_the_same_requests_at_any_share(share):
    stages = [{"canary": share, "max_duration": "1h"}]
    policy = cj.Policy(metrics=[ERRORS], stages=stages)
    design = _design(policy, policy.metrics[0], Assumed(level="1%", traffic=20_000))
    assert _oracle(policy, design, 0.6, 0, 1.0) == pytest.approx(
        _oracle(POLICY, _design(POLICY, POLICY.metrics[0], design.assumed), 0.6, 0, 1.0)
    )


def test_none_that_is_stopped_every_time_beats_the_oracle(planned):
    sure = [one for one in planned.rollout.exposures if one.stopped.count == RUNS]
    assert len(sure) >= 4
    assert all(one.mean_s >= one.oracle_s for one in sure)


# --- against whole rollouts


@pytest.mark.slow
@pytest.mark.parametrize(("size", "runs"), [(1.0, 120), (2.5, 120)])
def test_exposure_is_that_of_whole_rollouts(size, runs):
    """Errors drawn by NumPy alone, given to `Rollout` minute by minute."""
    policy = cj.Policy(metrics=[ERRORS], stages=STAGES)
    found = plan(
        policy, assume={"errors": ASSUME["errors"]}, size=f"{100 * size}%", simulation=Simulation(400)
    )
    expected = next(one for one in found.rollout.exposures if one.size == size)
    rng, met, stopped = np.random.default_rng(1), [], 0
    for _ in range(runs):
        rollout, exposed = cj.Rollout(policy), 0.0
        share, minute = rollout.verdict().share, 0
        while 0 < share < 1 and minute < 42:
            arms = {}
            for arm, part, rate in (("baseline", 1 - share, 0.01), ("canary", share, 0.01 * (1 + size))):
                total = rng.poisson(20_000 * part)
                arms[arm] = {"time": [60.0 * minute], "value": [rng.binomial(total, rate)], "total": [total]}
            rollout.update({"errors": arms})
            exposed += 20_000 * share
            share, minute = rollout.verdict().share, minute + 1
        if share < 1:
            met.append(exposed)
        stopped += share == 0
    spread = np.std(met) / math.sqrt(len(met))
    assert expected.mean == pytest.approx(np.mean(met), abs=4 * spread)
    assert expected.stopped.rate == pytest.approx(stopped / runs, abs=4 * 0.5 / math.sqrt(runs))
    assert expected.p95 == pytest.approx(np.quantile(met, 0.95), rel=0.5)


# --- durations of stages


def test_a_stage_of_the_proposed_length_is_left_by_healthy_rollouts(planned):
    stages = planned.rollout.stages
    assert [round(stage.excludes["p99"], 3) for stage in stages] == [0.632, 0.2]
    proposed = [stage.proposed_s for stage in stages]
    assert all(proposed)
    asked = [
        {"canary": stage.share, "max_duration": f"{seconds}s"}
        for stage, seconds in zip(stages, proposed, strict=True)
    ]
    again = plan(
        cj.Policy(metrics=[ERRORS, LATENCY], stages=asked), assume=ASSUME, simulation=Simulation(RUNS, 1)
    ).rollout
    for stage in again.stages:
        assert stage.left.high > 0.8
    half = [
        {**stage, "max_duration": f"{seconds / 2}s"} for stage, seconds in zip(asked, proposed, strict=True)
    ]
    less = plan(
        cj.Policy(metrics=[ERRORS, LATENCY], stages=half), assume=ASSUME, simulation=Simulation(RUNS, 1)
    ).rollout
    assert less.complete.rate < again.complete.rate


def test_where_no_duration_would_do_it_says_so():
    noisy = {"p99": {"spread": "80%", "per_request": False}}
    stages = [{"canary": "40%", "max_duration": "15m"}, {"canary": "50%", "max_duration": "15m"}]
    found = plan(cj.Policy(metrics=[LATENCY], stages=stages), assume=noisy, simulation=Simulation(20))
    assert found.rollout.stages[1].left is None
    assert found.rollout.stages[0].proposed_s is None
    said = " ".join(found.explain().split())
    assert "no max_duration up to eight times as long would let 80 % leave; take a wider pass_within" in said
    assert "stage 50%: no healthy rollout comes to it, and no max_duration" in said
    assert "in time of all of the traffic; how much that is, --traffic would say" in said


# --- a plan with stages


def test_it_is_the_same_with_any_executor_and_reads_back(planned):
    seen = []
    with ThreadPoolExecutor(2) as pool:
        together = plan(
            POLICY, assume=ASSUME, simulation=Simulation(RUNS, 0, pool, lambda *at: seen.append(at))
        )
    assert together.to_json() == planned.to_json()
    assert seen[0] == (0, 5)
    assert seen[-1] == (5, 5)  # two metrics, one part of the rollouts, two stages
    assert Plan.from_json(planned.to_json()) == planned


def test_it_is_told_in_words_tables_and_a_frame(planned):
    said = " ".join(planned.explain().split())
    assert "Healthy rollouts, 40 simulated: " in said
    assert "of 20,000 requests a minute, by the totals of errors" in said
    assert (
        "to be found with 80 % power at one look at a stage's own data; the stages last 40 min at most"
        in said
    )
    assert "| an oracle needs |" in planned.to_markdown()
    frame = planned.to_frame()
    assert list(frame["metric"].unique()) == ["errors", "p99"]
    assert {"size", "stopped", "stopped in 5%", "held", "complete", "mean", "p95", "oracle"} <= set(
        frame.columns
    )


def test_by_stage_each_has_its_own_deadline_and_part_of_alpha(planned):
    shares = planned.metrics["p99"].shares
    assert [one.share for one in shares] == [0.05, 0.5]
    assert planned.metrics["p99"].alpha < POLICY.alpha / 4
    assert planned.deadline_s == 2400


def test_without_simulation_it_is_what_the_formulas_say():
    found = plan(POLICY, assume=ASSUME, simulation=Simulation(0))
    assert found.rollout is None
    assert found.staged
    assert "By stage: after how long" in found.explain()


def test_a_regression_may_begin_in_a_later_stage():
    planned = plan(POLICY, assume=ASSUME, from_stage="50%", simulation=Simulation(10))
    assert planned.rollout.since == "50%"
    for one in planned.rollout.exposures:
        assert one.stopped_in[0] == 0
        assert one.mean_s is None or one.mean_s >= 0.5 * 60
    assert "With a regression of one metric from stage 50% on" in " ".join(planned.explain().split())


def test_metrics_of_which_too_little_is_known_are_left_out_and_named():
    found = plan(POLICY, assume={"errors": ASSUME["errors"]}, simulation=Simulation(5))
    assert found.rollout.left_out == ("p99",)
    assert {one.metric for one in found.rollout.exposures} == {"errors"}
    assert "Rollouts are simulated without p99" in found.explain()


def test_traffic_may_be_stated_and_serves_metrics_of_which_none_is_known():
    found = plan(
        POLICY,
        assume={"errors": {"level": "1%"}, "p99": ASSUME["p99"]},
        traffic="900 users/min",
        simulation=Simulation(5),
    )
    assert found.metrics["errors"].traffic == 900
    assert (found.rollout.traffic_per_s, found.rollout.traffic_unit) == (15, "users")
    assert "How many users meet the regression, of 900 users a minute, as stated" in " ".join(
        found.explain().split()
    )


@pytest.mark.parametrize(
    ("text", "per_s", "unit"),
    [
        ("20000/min", 20_000 / 60, "requests"),
        ("1,200 users/h", 1 / 3, "users"),
        ("5e3 page views / s", 5000, "page views"),
    ],
)
def test_traffic_is_read(text, per_s, unit):
    assert stated_traffic(text) == Traffic(pytest.approx(per_s), unit, None)


@pytest.mark.parametrize("text", ["20000", "many/min", "-5/s", "0/s", "5/fortnight", "/min"])
def test_other_traffic_is_refused(text):
    with pytest.raises(cj.PolicyError, match="does not say how much there is in which time"):
        stated_traffic(text)


def test_arms_of_one_time_are_together_what_the_service_serves():
    time = 60.0 * np.arange(40)
    arms = {
        "baseline": {"time": time, "value": np.full(40, 190), "total": np.full(40, 19_000)},
        "canary": {"time": time, "value": np.full(40, 10), "total": np.full(40, 1000)},
    }
    policy = cj.Policy(metrics=[ERRORS], stages=STAGES)
    assert plan(policy, {"errors": arms}, simulation=Simulation(0)).metrics["errors"].traffic == 20_000
    orders = cj.Policy(metrics=[{"name": "orders", "kind": "count", "direction": "increase"}])
    counts = {"orders": {arm: {"time": time, "value": np.full(40, 30)} for arm in ("pod-a", "pod-b")}}
    assert plan(orders, counts).metrics["orders"].level == 60


@pytest.mark.parametrize(
    ("policy", "settings", "said"),
    [
        (POLICY, {"share": "10%"}, "the policy's stages say what share"),
        (POLICY, {"from_stage": "5"}, "no stage '5'"),
        (POLICY, {"traffic": "lots"}, "the traffic: 'lots'"),
        (
            cj.Policy(metrics=[LATENCY]),
            {"from_stage": "5%"},
            "the policy has no stages, and so none named '5%'",
        ),
    ],
)
def test_mistakes_are_told(policy, settings, said):
    with pytest.raises(cj.PolicyError, match=said):
        plan(policy, assume=ASSUME if policy is POLICY else {"p99": ASSUME["p99"]}, **settings)


def test_exposure_is_drawn(planned):
    pytest.importorskip("matplotlib")
    drawn = planned.plot("errors")
    labels = [line.get_label() for line in drawn.get_lines()]
    assert labels == [
        "at most so many in 95 % of rollouts",
        "mean of those not completed",
        "at most so many in half of rollouts",
        "an oracle needs to stop it",
    ]
    assert drawn.get_ylabel() == "requests that meet it"
    assert [text.get_text() for text in drawn.texts][-1] == "50% ends"
    mean = next(line for line in drawn.get_lines() if line.get_label().startswith("mean"))
    assert mean.get_ydata() == pytest.approx([one.mean for one in of(planned, "errors")])
    with pytest.raises(cj.DataError, match="no exposure of 'cpu'"):
        planned.plot("cpu")

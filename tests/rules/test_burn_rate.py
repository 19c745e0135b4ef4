"""The rule about error budgets: windows, alerts, slices, calendars, and what a budget has left."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from judging import judge_by
from streams import EDGES, both

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.policy import BurnRate, Metric
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.budgets import count_bad, current_period, in_slices

RATES = ErrorRates(level=0.01, beta=0.05)
HOUR, DAY = 3600.0, 86400.0
START = 1_770_000_000.0


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def judged(baseline, canary, totals=(1000, 1000), *, step=60.0, start=START, share=RATES, **settings):
    """Judge bad events a minute; None in place of a start leaves the times out."""
    rule = BurnRate(**({"target": "99.9%"} | settings))
    metric = Metric(name="m", kind="ratio", direction="increase", rules=[rule])
    arms = []
    for events, total in zip((baseline, canary), totals, strict=True):
        values = np.asarray(events, dtype=float)
        time = None if start is None else start + step * np.arange(len(values))
        arms.append(Arm(values, np.full(len(values), float(total)), time))
    pair = MetricPair("m", "ratio", *arms, "concurrent", None if start is None else step)
    return judge_by(pair, metric, rule, share)


def steady(share, minutes=60, total=1000):
    return np.full(minutes, share * total)


def alerts_of(finding):
    return {alert.burn_rate: alert for alert in finding.burn.alerts}


@pytest.mark.parametrize(
    ("burn", "outcome", "reason"),
    [
        (40, "fail", "breached"),
        (14.4, "fail", "breached"),
        (6, "marginal", "undecided"),
        (1, "pass", "objective_met"),
    ],
)
def test_the_three_zones(burn, outcome, reason):
    finding = judged(steady(0), steady(burn / 1000))
    assert (finding.outcome, finding.reason) == (outcome, reason)
    assert finding.burn.burn_rate == pytest.approx(burn)
    assert finding.scale == "objective"
    assert finding.interval.low <= finding.estimate <= finding.interval.high


def test_a_fail_names_the_fastest_alert_that_is_exceeded():
    assert judged(steady(0), steady(0.04)).limit_high == 14.4
    assert judged(steady(0), steady(0.01)).limit_high == 6
    assert judged(steady(0), steady(0.01)).pvalue <= RATES.level


def test_an_alert_needs_both_windows():
    """What is over burns the long window, and not the short one."""
    over = np.random.default_rng(6).negative_binomial(2, 0.05, 60).astype(float)
    over[55:] = 0
    fast = alerts_of(judged(steady(0), over))[14.4]
    assert fast.long.interval.low > 14.4
    assert fast.short.burn_rate == 0
    assert fast.exceeded is None  # nor is it proven not to: five minutes show too little of such bursts
    ongoing = np.zeros(60)
    ongoing[40:] = 100
    assert alerts_of(judged(steady(0), ongoing))[14.4].exceeded is True


def test_the_short_window_is_taken_as_it_was():
    """It burned in its third minute only, and that is enough to say that it still burns."""
    bursts = np.full(60, 40.0)
    bursts[55:] = [0, 0, 400, 0, 0]
    fast = alerts_of(judged(steady(0), bursts))[14.4]
    assert fast.short.burn_rate == pytest.approx(80)
    assert fast.short.interval.low > 60
    assert fast.exceeded is True


def test_a_fault_that_set_in_ten_minutes_ago_fails():
    late = np.r_[np.zeros(50), np.full(10, 500.0)]
    assert judged(steady(0.0005), late).outcome == "fail"


def test_windows_end_with_the_data_and_are_cut_where_there_is_less():
    finding = judged(steady(0), steady(0.001, 30))
    alerts = alerts_of(finding)
    assert [(rate, alert.asked) for rate, alert in alerts.items()] == [
        (14.4, True),
        (6, True),
        (3, False),
        (1, False),
    ]
    assert (alerts[14.4].long.window_s, alerts[14.4].long.covered_s) == (HOUR, 1800)
    assert (alerts[14.4].short.covered_s, alerts[14.4].short.points) == (300, 5)
    assert alerts[6].short is None  # half an hour of half an hour
    assert sum(alert.decides for alert in finding.burn.alerts) == 1


def test_data_shorter_than_every_short_window_are_held_against_the_fastest_alert():
    finding = judged(steady(0, 3), steady(0.2, 3))
    assert [alert.asked for alert in finding.burn.alerts] == [True, False, False, False]
    assert (finding.outcome, finding.limit_high) == ("fail", 14.4)


def test_without_times_a_fail_is_held_against_the_fastest_alert_and_a_pass_against_the_slowest():
    for share, outcome in ((0.04, "fail"), (0.005, "marginal"), (0.0001, "pass")):
        finding = judged(steady(0), steady(share), start=None)
        assert finding.outcome == outcome
        assert finding.burn.span_s is None
        assert finding.burn.budget_at_full_traffic is None
        assert finding.burn.traffic is None
    assert judged(steady(0), steady(0.04), start=None).limit_high == 14.4
    assert judged(steady(0), steady(0.0001), start=None).limit_high == 1


def test_the_level_is_shared_out_over_the_alerts_and_beta_over_the_windows():
    few = np.zeros(60)
    few[::6] = 4  # 40 of 6,000: 6.7 times
    one = judged(steady(0), few, (1000, 100), alerts=[{"long": "1h", "short": "1h", "burn_rate": 3}])
    two = judged(
        steady(0),
        few,
        (1000, 100),
        alerts=[
            {"long": "1h", "short": "1h", "burn_rate": 3},
            {"long": "1h", "short": "1h", "burn_rate": 900},
        ],
    )
    assert two.pvalue == pytest.approx(2 * one.pvalue)
    between = ErrorRates(level=1.5 * one.pvalue, beta=0.05)
    for alerts, outcome in ((1, "fail"), (2, "marginal")):
        written = [{"long": "1h", "short": "1h", "burn_rate": rate} for rate in (3, 900)][:alerts]
        assert judged(steady(0), few, (1000, 100), alerts=written, share=between).outcome == outcome
    assert (one.interval.error, two.interval.error) == (0.01, 0.005)
    calm = judged(steady(0), steady(0.0001), alerts=[{"long": "1h", "short": "5m", "burn_rate": 3}])
    assert calm.pass_interval.error == 0.025


def test_where_both_arms_burn_the_environment_is_to_blame_unless_the_policy_says_otherwise():
    finding = judged(steady(0.02), steady(0.02))
    assert (finding.outcome, finding.reason) == ("marginal", "environment_unhealthy")
    assert judged(steady(0.02), steady(0.02), blame="canary").outcome == "fail"
    # the baseline exceeds 6, the canary 14.4 too
    assert judged(steady(0.009), steady(0.04)).outcome == "fail"


def test_low_traffic_decides_nothing_by_its_point():
    """Two bad requests of a hundred burn twenty times too fast, and prove nothing."""
    bad = np.zeros(60)
    bad[[3, 57]] = 1
    finding = judged(steady(0), bad, (1000, 100 / 60))
    assert finding.estimate == pytest.approx(20)
    assert finding.outcome == "marginal"
    assert judged(steady(0), np.zeros(60), (1000, 1)).outcome == "marginal"


def test_the_budget_that_is_used():
    """An hour at 18 times uses 18 / 720 of a budget of thirty days, and a tenth of the traffic a tenth of that."""
    finding = judged(steady(0), steady(0.018, total=100), (900, 100))
    burn = finding.burn
    assert burn.budget_at_full_traffic == pytest.approx(18 / 720)
    assert burn.traffic == pytest.approx(1000 * 60 * 720)
    assert burn.traffic_extrapolated
    assert burn.budget_used == pytest.approx(18 / 7200)
    assert burn.hours_to_exhaustion == pytest.approx(40)
    stated = judged(steady(0), steady(0.018, total=100), (900, 100), traffic=1e8).burn
    assert stated.budget_used == pytest.approx(108 / 1e5)
    assert (stated.traffic, stated.traffic_extrapolated) == (1e8, False)
    assert stated.budget_at_full_traffic == burn.budget_at_full_traffic


@pytest.mark.parametrize(
    ("duration", "start", "zone", "moment", "days", "left"),
    [
        ("1M", "2026-01-01 00:00:00", "UTC", "2026-02-15 00:00:00", 28, 14),
        ("1M", "2024-01-01 00:00:00", "UTC", "2024-02-15 00:00:00", 29, 15),
        ("1M", "2026-01-01 00:00:00", "Europe/Berlin", "2026-03-31 00:00:00", 31 - 1 / 24, 1),
        ("1M", "2025-01-31 00:00:00", "UTC", "2026-02-10 00:00:00", 28, 18),
        ("1M", "2026-01-01 00:00:00", "UTC", "2025-12-31 12:00:00", 31, 0.5),
        ("1Q", "2026-01-01 00:00:00", "UTC", "2026-05-01 00:00:00", 91, 61),
        ("1Y", "2024-02-29 00:00:00", "UTC", "2027-01-01 00:00:00", 365, 58),
        ("1w", "2022-01-01 12:00:00", "America/New_York", "2026-02-03 12:00:00", 7, 4),
        ("2d", "2026-01-01 00:00:00", "UTC", "2026-01-04 06:00:00", 2, 0.75),
        ("12h", "2026-01-01 00:00:00", "UTC", "2026-01-04 06:00:00", 0.5, 0.25),
        ("1M", "2026-01-01 00:00:00", "UTC", "2026-02-01 00:00:00", 31, 0),
    ],
)
def test_the_calendars_period(duration, start, zone, moment, days, left):
    rule = BurnRate(target=0.999, calendar={"duration": duration, "start": start, "zone": zone})
    period = current_period(rule, at(moment, zone))
    assert period.seconds / DAY == pytest.approx(days)
    assert period.left / DAY == pytest.approx(left)


def test_every_moment_lies_in_one_period_of_the_calendar():
    rule = BurnRate(
        target=0.999, calendar={"duration": "1M", "start": "2026-01-31 02:30:00", "zone": "Europe/Berlin"}
    )
    for hour in range(0, 24 * 800, 7):
        end = at("2025-01-01 00:00:00") + HOUR * hour
        period = current_period(rule, end)
        assert 0 <= period.left <= period.seconds
        assert 27.9 < period.seconds / DAY < 31.1


@pytest.mark.parametrize("start", [0.0, 1e15])
def test_a_time_that_no_calendar_has_is_an_error(start):
    rule = {"calendar": {"duration": "1M", "start": "2026-01-01 00:00:00"}}
    with pytest.raises(cj.DataError, match="where the period of a budget by the calendar cannot lie"):
        judged(steady(0), steady(0), start=start, **rule)


def test_what_was_used_before_the_period_began_is_not_of_its_budget():
    calendar = {"duration": "1M", "start": "2026-01-01 00:00:00"}
    april = at("2026-04-01")
    bad = np.where(np.arange(60) < 30, 200.0, 1.0)  # of 1,000 a minute; March ends in the middle
    both = judged(steady(0), bad, start=april - 1800, calendar=calendar).burn
    alone = judged(steady(0, 30), bad[30:], start=april, calendar=calendar).burn
    assert both.budget_at_full_traffic == pytest.approx(alone.budget_at_full_traffic)
    assert both.budget_by_period_end == pytest.approx(alone.budget_by_period_end)
    assert both.budget_used == pytest.approx(alone.budget_used)
    assert both.burn_rate > 50 * alone.burn_rate
    # a period that rolls along, shorter than the data: all of its budget, at a burn rate of 1
    assert judged(steady(0), bad, period="30m").burn.budget_at_full_traffic == pytest.approx(1.0)


def test_a_calendar_says_what_would_be_used_until_its_end():
    calendar = {"duration": "1M", "start": "2026-01-01 00:00:00"}
    start = at("2026-02-14 23:00:00")
    burn = judged(steady(0), steady(0.002), start=start, calendar=calendar).burn
    assert (burn.period_s, burn.period_left_s) == (28 * DAY, 14 * DAY)
    assert burn.budget_by_period_end == pytest.approx(2 / 2)
    assert [round(alert.burn_rate, 2) for alert in burn.alerts] == [13.44, 5.6, 2.8, 0.93]
    untimed = judged(steady(0), steady(0.002), start=None, calendar=calendar).burn
    assert (untimed.period_s, untimed.period_left_s) == (30 * DAY, None)


SLICES = {"budgeting": "timeslices", "time_slice_target": "95%", "time_slice_window": "5m"}


def test_slices_are_good_or_bad():
    bad = np.zeros(60)
    bad[5:10], bad[10:15] = 50, 51  # 5 % bad is 95 % good, and good
    finding = judged(steady(0), bad, start=0.0, **SLICES)
    assert (finding.events_canary, finding.total_canary) == (1, 12)
    assert finding.burn.burn_rate == pytest.approx(1 / 12 / 0.001)


def test_busy_and_quiet_slices_count_alike_in_the_mean_of_their_shares():
    rule = BurnRate(target=0.9, budgeting="ratio_timeslices", time_slice_window="1m")
    metric = Metric(name="m", kind="ratio", direction="increase", rules=[rule])
    arm = Arm(np.array([1.0, 0.0]), np.array([10.0, 990.0]), np.array([0.0, 60.0]))
    pair = MetricPair("m", "ratio", arm, arm, "concurrent", 60.0)
    finding = judge_by(pair, metric, rule, RATES)
    assert finding.burn.burn_rate == pytest.approx(0.05 / 0.1)
    assert (finding.events_canary, finding.total_canary) == (pytest.approx(0.1), 2)
    counts = in_slices(count_bad(row_of(pair, metric, RATES), arm, rule.in_unit_of(metric)), rule)
    # two slices of 10 and 990 requests say as much as two of their harmonic mean
    assert counts.total.tolist() == pytest.approx([2 / (1 / 10 + 1 / 990)] * 2)
    assert (counts.least / counts.total).tolist() == pytest.approx([0.1, 0.0])


def test_slices_use_the_part_of_the_budget_that_is_the_canarys_doing():
    """Alone the baseline's slices are good; with the canary's bad events one of twelve is bad."""
    canary = np.zeros(60)
    canary[30:35] = 1000
    finding = judged(steady(0), canary, (1000, 1000), start=0.0, **SLICES)
    assert finding.burn.budget_used == pytest.approx(1 / (30 * 288 * 0.001))
    small = judged(steady(0), canary / 1000, (1000, 1), start=0.0, **SLICES)
    assert small.burn.budget_used == 0
    ratio = {"budgeting": "ratio_timeslices", "time_slice_window": "5m"}
    part = judged(steady(0), canary, (1000, 1000), start=0.0, **ratio)
    assert part.burn.budget_used == pytest.approx(0.5 / (30 * 288 * 0.001))


@pytest.mark.parametrize("counter", [False, True])
def test_what_a_counter_grew_by_lies_before_its_time(counter):
    """The five bad minutes fill one slice of five; the counter tells of each at the minute's end."""
    bad, total = np.zeros(61), np.full(61, 1000.0)
    bad[5:10] = 51
    columns = {"value": bad, "total": total, "time": 60.0 * np.arange(61)}
    if counter:
        columns = {name: np.cumsum(np.append(0, columns[name])) for name in ("value", "total")} | {
            "time": 60.0 * np.arange(62)
        }
    good = columns | {"value": 0 * columns["value"]}
    metric = {"name": "m", "kind": "ratio", "direction": "increase", "counter": counter}
    rule = BurnRate(target="99.9%", **SLICES)
    policy = cj.Policy(metrics=[Metric(**metric, rules=[rule])])
    verdict = cj.judge({"m": {"baseline": good, "canary": columns}}, policy)
    found = verdict.metrics["m"].findings[0]
    assert (found.events_canary, found.total_canary) == (1, 13)


def test_slices_need_times_and_data_that_are_fine_enough():
    with pytest.raises(cj.DataError, match="counts slices of 300 s, and the data have no times"):
        judged(steady(0), steady(0), start=None, **SLICES)
    with pytest.raises(cj.DataError, match="counts slices of 300 s, and the data have a point every 600 s"):
        judged(steady(0), steady(0), step=600.0, **SLICES)


def test_what_is_good_counts_as_well_as_what_is_bad():
    rule = BurnRate(target="99.9%")
    bad, totals, time = steady(0.02), np.full(60, 1000.0), START + 60 * np.arange(60)
    findings = []
    for direction, canary, fine in (("increase", bad, 0 * bad), ("decrease", totals - bad, totals)):
        metric = Metric(name="m", kind="ratio", direction=direction, rules=[rule])
        arms = Arm(fine, totals, time), Arm(canary, totals, time)
        pair = MetricPair("m", "ratio", *arms, "concurrent", 60.0)
        findings.append(judge_by(pair, metric, rule, RATES))
    assert findings[0] == findings[1]


def gauge(values, direction="increase", kind="gauge", **settings):
    rule = BurnRate(**({"target": "90%", "bound": 10, "alerts": [{"long": "1h", "burn_rate": 2}]} | settings))
    metric = Metric(name="m", kind=kind, direction=direction, rules=[rule])
    arm = Arm(np.asarray(values, dtype=float), time=60.0 * np.arange(len(values)))
    pair = MetricPair(
        "m",
        kind,
        Arm(np.full(len(values), 9.0 if direction == "increase" else 11.0), time=arm.time),
        arm,
        "concurrent",
        60.0,
    )
    return judge_by(pair, metric, rule, RATES)


def test_a_bound_makes_points_good_or_bad():
    values = [9.0, 10.0, 11.0, 11.0] * 15
    assert gauge(values).burn.burn_rate == pytest.approx(5)
    assert gauge(values, at_bound="bad").burn.burn_rate == pytest.approx(7.5)
    assert gauge(values, direction="decrease").burn.burn_rate == pytest.approx(2.5)
    assert gauge(values, direction="decrease", at_bound="bad").burn.burn_rate == pytest.approx(5)
    assert gauge([11.0] * 60).outcome == "fail"
    assert gauge([9.0] * 60).outcome == "pass"
    assert gauge(values).burn.budget_used is None  # a point of a gauge has no traffic


def test_samples_are_counted_in_the_intervals_that_they_share():
    rng = np.random.default_rng(5)
    time = np.sort(rng.uniform(0, 3600, 3000))
    rule = BurnRate(target="99%", bound="120ms")
    metric = Metric(name="m", kind="samples", unit="ms", direction="increase", interval="30s", rules=[rule])
    arm = Arm(rng.lognormal(4, 0.3, 3000), time=time)
    pair = MetricPair("m", "samples", arm, arm, "concurrent", None)
    counts = count_bad(row_of(pair, metric, RATES), arm, rule.in_unit_of(metric))
    assert (len(counts), counts.length, counts.total.sum()) == (120, 30.0, 3000)
    assert counts.least.sum() == (arm.value > 120).sum()


@pytest.mark.parametrize("edge", [2.278125, 2.2781])
def test_a_bound_inside_a_bucket_leaves_open_what_is_bad(edge):
    data = {"h": both("histogram", 1, 60)}
    rule = cj.BurnRate(target="99%", bound=edge)
    metric = cj.Metric(name="h", kind="histogram", direction="increase", rules=[rule])
    finding = cj.judge(data, cj.Policy(metrics=[metric])).metrics["h"].findings[0]
    exact = edge in EDGES
    alert = finding.burn.alerts[0].long
    # an exact bound has one interval; another is judged by what is known to be bad, and what may be
    width = alert.pass_interval.high - alert.burn_rate
    assert (width < 1) == exact
    low = data["h"]["canary"]["value"].reshape(60, -1)
    above = (
        low[:, -1] - low[:, np.searchsorted(EDGES, edge, "right" if exact else "left") - (1 if exact else 0)]
    )
    assert alert.bad == above.sum()


def test_bursts_that_outlast_the_data_abstain():
    rng = np.random.default_rng(8)
    weather = np.repeat(rng.permutation([0, 0, 0, 1, 2, 30]), 10)
    finding = judged(steady(0), 1.0 * weather)
    assert finding.autocorrelation > 0.5
    assert finding.reason in ("abstains", "undecided")
    assert "outside_proven_range" in finding.waived


def test_few_points_are_taken_as_independent_and_that_is_said():
    assert judged(steady(0, 2), steady(0.2, 2)).waived == ("independence_assumed",)
    # no slice was bad, so nobody knows how long bad ones would last
    calm = judged(steady(0, 1200), steady(0, 1200), target="90%", **SLICES)
    assert (calm.outcome, calm.waived) == ("pass", ("independence_assumed",))
    assert judged(steady(0), steady(0)).waived == ()


def test_about_how_many_more_intervals_would_decide():
    finding = judged(steady(0), np.zeros(60), (1000, 10))
    assert finding.reason == "undecided"
    assert finding.more_points is not None
    longer = judged(steady(0, 60 + finding.more_points), np.zeros(60 + finding.more_points), (1000, 10))
    assert longer.outcome == "pass"
    # a window that is full has no more to come
    alerts = [{"long": "1h", "short": "1h", "burn_rate": 1}]
    assert judged(steady(0), np.zeros(60), (1000, 10), alerts=alerts).more_points is None


def test_an_arm_whose_buckets_are_empty_says_nothing():
    rule = BurnRate(target="99%", bound=1)
    metric = Metric(name="m", kind="histogram", direction="increase", rules=[rule])
    empty = Arm(np.zeros(5), time=60.0 * np.arange(5), buckets=np.zeros((5, 2)))
    pair = MetricPair("m", "histogram", empty, empty, "concurrent", 60.0, edges=np.array([1.0, np.inf]))
    finding = judge_by(pair, metric, rule, RATES)
    assert (finding.outcome, finding.reason, finding.burn) == ("marginal", "too_little_data", None)


def policy_of(**settings):
    rule = cj.BurnRate(**({"target": "99.9%"} | settings))
    metric = cj.Metric(name="errors", kind="ratio", direction="increase", rules=[rule])
    return cj.Policy(max_points=60, metrics=[metric])


def stream(share, minutes=60):
    time, rng = START + 60.0 * np.arange(minutes), np.random.default_rng(4)
    columns = {
        "baseline": {
            "time": time,
            "value": rng.binomial(1000, 0.0005, minutes),
            "total": np.full(minutes, 1000),
        },
        "canary": {"time": time, "value": rng.binomial(200, share, minutes), "total": np.full(minutes, 200)},
    }
    return {"errors": columns}


def parts_of(data, size):
    length = len(data["errors"]["canary"]["time"])
    for start in range(0, length, size):
        yield {
            "errors": {
                arm: {name: column[start : start + size] for name, column in columns.items()}
                for arm, columns in data["errors"].items()
            }
        }


@pytest.mark.parametrize(("share", "outcome"), [(0.05, "fail"), (0.0, "pass")])
def test_a_monitor_asks_at_planned_looks_and_carries_them_over(share, outcome):
    policy = policy_of()
    monitor, data = cj.Monitor(policy), stream(share)
    whole = cj.Monitor(policy)
    whole.update(data)
    for part in parts_of(data, 7):
        monitor.update(part)
        monitor = cj.Monitor.from_json(monitor.to_json(), policy)
    verdict = monitor.verdict()
    assert verdict.outcome == outcome
    finding = verdict.metrics["errors"].findings[0]
    assert finding.watch.looks_planned == 5
    assert finding.burn is not None
    assert whole.verdict().outcome == outcome
    assert cj.Verdict.from_json(verdict.to_json()) == verdict


def test_the_words_say_windows_budget_and_what_was_not_asked():
    said = " ".join(cj.judge(stream(0.05), policy_of()).explain().split())
    for words in (
        "times the allowed rate over 60 minutes and at",
        "over 5 minutes, beyond 14.4 (baseline",
        "not asked of so short data: 3 over 24 hours, 1 over 3 days",
        "of the budget of 30 days (for the traffic of both arms)",
        "at 100 % of the traffic it would have used",
        "the whole budget would be gone in",
        "exact binomial test",
    ):
        assert words in said, words
    calendar = {"duration": "1M", "start": "2026-01-01 00:00:00"}
    monthly = " ".join(cj.judge(stream(0.0005), policy_of(calendar=calendar)).explain().split())
    assert "until the period ends in 27 days it would use" in monthly
    untimed = {
        "errors": {
            arm: {k: v for k, v in c.items() if k != "time"} for arm, c in stream(0.005)["errors"].items()
        }
    }
    said = " ".join(cj.judge(untimed, policy_of()).explain().split())
    assert "a fail is held against 14.4 and a pass against 1" in said

"""Arms that are the same points compare nothing: in whatever order, in part, under other names; and what is the same by chance."""

import json

import numpy as np
import pytest
from silent_arms import MINUTES, T0

import canaryjudge as cj
from canaryjudge.data.sameness import Sample, same_points

NOISE = np.random.default_rng(1).normal(100, 3, (2, 60))
OTHER = NOISE[1]
SAME = {
    "all of them": NOISE[0],
    "rounded": None,
    "later by five": np.roll(NOISE[0], 5),
    "in another order": np.random.default_rng(2).permutation(NOISE[0]),
    "the first half": np.r_[NOISE[0][:30], OTHER[30:]],
    "every fourth": np.where(np.arange(60) % 4 == 0, NOISE[0], OTHER),
}


def both(first, second, **columns):
    arms = zip(("baseline", "canary"), (first, second), strict=True)
    return {
        name: {"value": np.asarray(values, dtype=float), "time": MINUTES} | columns for name, values in arms
    }


def asked(data, **settings):
    """The same question, at one look and to a monitor."""
    policy = cj.Policy(
        metrics=[cj.Metric(**{"name": "m", "direction": "increase"} | settings)], max_points=60
    )
    monitor = cj.Monitor(policy)
    times = data["baseline"]["time"]
    for start in range(0, len(times), len(times) // 4):
        part = slice(start, start + len(times) // 4)
        monitor.update(
            {
                "m": {
                    arm: {key: column[part] for key, column in columns.items()}
                    for arm, columns in data.items()
                }
            }
        )
    return [verdict.metrics["m"] for verdict in (cj.judge({"m": data}, policy), monitor.verdict())]


@pytest.mark.parametrize("how", SAME)
def test_the_same_points_are_no_comparison(how):
    first = np.round(NOISE[0]) if how == "rounded" else NOISE[0]
    data = both(first, first if how == "rounded" else SAME[how])
    for result in asked(data):
        assert (result.outcome, result.reason) == ("marginal", "same_data")
    after = data | {"canary": data["canary"] | {"time": MINUTES + 7200}}
    assert (
        cj.judge({"m": after}, cj.Policy(metrics=[cj.Metric(name="m", direction="increase")])).outcome
        != "pass"
    )


def test_events_samples_and_histograms_are_known_again():
    rng = np.random.default_rng(3)
    total = rng.poisson(1000, 60).astype(float)
    errors = both(*[rng.binomial(1000, 0.004, 60)] * 2, total=total)
    for result in asked(errors, kind="ratio", tolerance={"absolute": "1%"}):
        assert result.reason == "same_data"
    for result in asked(both(*[rng.poisson(300, 60)] * 2), kind="count"):
        assert result.reason == "same_data"
    arm = {"buckets": rng.multinomial(2000, [0.5, 0.3, 0.2], 60).astype(float), "time": MINUTES}
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="histogram", direction="increase")])
    edges = np.array([0.1, 0.5, np.inf])
    verdict = cj.judge({"m": dict.fromkeys(("baseline", "canary"), arm | {"edges": edges})}, policy)
    assert verdict.metrics["m"].reason == "same_data"
    time = np.sort(T0 + 3600 * rng.random(1200))
    for values in (rng.lognormal(4, 0.5, 1200), np.round(rng.lognormal(4, 0.5, 1200))):
        arm = {"value": values, "time": time}
        policy = cj.Policy(metrics=[cj.Metric(name="m", kind="samples", direction="increase")])
        assert cj.judge({"m": {"baseline": arm, "canary": arm}}, policy).metrics["m"].reason == "same_data"


def test_a_pod_that_both_selectors_pick_is_found_among_the_replicas():
    rng = np.random.default_rng(4)
    rows = [
        {"metric": "m", "arm": name, "replica": f"{name}-{number}", "time": time, "value": value}
        for name, seeds in (("baseline", (0, 1, 2)), ("canary", (2,)))
        for number, seed in enumerate(seeds)
        for time, value in zip(MINUTES, np.random.default_rng(seed).normal(100, 3, 60), strict=True)
    ]
    policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase")])
    assert cj.judge([rows[i] for i in rng.permutation(len(rows))], policy).metrics["m"].reason == "same_data"


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(100, 3, 60),
        lambda rng: np.round(rng.normal(100, 3, 60)),
        lambda rng: np.round(rng.normal(100, 30, 60)),
        lambda rng: rng.poisson(0.1, 60),
        lambda rng: rng.poisson(2.0, 60),
        lambda rng: rng.poisson(300, 60) / 60,
        lambda rng: 4096.0 * rng.poisson(50, 60),
        lambda rng: np.full(60, 5.0),
        lambda rng: np.repeat([3.0, 4.0], 30),
    ],
)
def test_healthy_arms_are_not_the_same_however_coarse_they_are(draw):
    rng = np.random.default_rng(5)
    for _ in range(20):
        data = both(draw(rng), draw(rng))
        policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase", counter=False)])
        assert "same_data" not in {note.code for note in cj.judge({"m": data}, policy).metrics["m"].warnings}
    samples = [Sample().plus(np.asarray(draw(rng), dtype=float)) for _ in range(2)]
    assert same_points((samples[0], samples[1])) is None


def test_constant_arms_that_are_equal_still_pass():
    for result in asked(both(np.full(60, 5.0), np.full(60, 5.0))):
        assert (result.outcome, result.reason) == ("pass", "identical")


def test_a_sample_is_the_same_in_whatever_order_it_came():
    rng = np.random.default_rng(6)
    values = np.round(rng.normal(100, 30, 500))
    whole = Sample().plus(values)
    parts = [Sample().plus(part) for part in np.array_split(rng.permutation(values), 5)]
    for order in (range(5), rng.permutation(5)):
        found = Sample()
        for index in order:
            found = found.union(parts[index])
        assert json.dumps(found.state()) == json.dumps(whole.state())
    assert json.dumps(Sample.restore(json.loads(json.dumps(whole.state()))).state()) == json.dumps(
        whole.state()
    )


def test_arms_of_which_only_a_sample_is_kept_are_known_again():
    rng = np.random.default_rng(7)
    values = rng.lognormal(4, 0.5, (2, 20_000))
    one, again, other = (Sample().plus(each) for each in (values[0], rng.permutation(values[0]), values[1]))
    assert same_points((one, again)) is not None
    assert same_points((one, other)) is None

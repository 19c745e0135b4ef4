"""Plots: what they show, at one point and at a million, and that they look as they did.

The pictures in references/ are small and gray. After a change that is meant, write them anew and look at them:

    python tests/plots/test_plots.py
"""

import io
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cohorts import gauges
from releases import KINDS, START, looks_of_a_watch, watched
from rollouts_made import ROLLOUTS, bundled, leak

import canaryjudge as cj
from canaryjudge import plots

matplotlib = pytest.importorskip(
    "matplotlib", reason="matplotlib is not installed: pip install 'canaryjudge[plot]'"
)
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from PIL import Image  # noqa: E402

REFERENCES = Path(__file__).parent / "references"
DPI = 50
BLOCK = 8
RNG = np.random.default_rng(20261127)
BASELINE, CANARY = RNG.lognormal(4.6, 0.3, 400), RNG.lognormal(4.75, 0.35, 300)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def burning():
    rng = np.random.default_rng(8)
    policy = cj.load_policy(Path(__file__).parents[2] / "docs/examples/budgets/policy.yaml")
    total = np.full(120, 5000.0)
    time = START + 60.0 * np.arange(120)
    arms = {
        arm: {"time": time, "value": rng.binomial(5000, share, 120).astype(float), "total": total}
        for arm, share in (("baseline", 0.0008), ("canary", 0.02))
    }
    return cj.judge({"errors": arms}, policy).metrics["errors"]


def cohorts(changes, direction="increase", **tolerance):
    """A release of a gauge that changed so in each of these segments."""
    metric = cj.Metric(name="m", unit="ms", direction=direction, **tolerance)
    policy = cj.Policy(metrics=[metric], segments={"by": ["region"]})
    return cj.judge(gauges(np.random.default_rng(2), changes), policy)


ONE_BAD = cohorts({f"r{place}": 0.6 * (place == 2) for place in range(6)})

BESIDE = cj.Policy(
    metrics=[cj.Metric(name=name, direction="increase") for name in ("cpu", "m")], segments={"by": ["region"]}
)
WHOLE = cj.judge(
    [
        {"metric": name, "arm": arm, "value": 100.0 + minute % 5}
        | ({"region": region} if name == "m" else {})
        for name, region in (("cpu", ""), ("m", "eu"), ("m", "us"))
        for arm in ("baseline", "canary")
        for minute in range(40)
    ],
    BESIDE,
)


DRAWN = {
    "effects": lambda: plots.effects(KINDS["fail"]),
    "series": lambda: plots.series(KINDS["fail"].metrics["errors"]),
    "series_in_a_band": lambda: plots.series(KINDS["pass"].metrics["waits"]),
    "ecdf": lambda: plots.ecdf(BASELINE, CANARY, unit="ms"),
    "quantile_difference": lambda: plots.quantile_difference(BASELINE, CANARY, unit="ms"),
    "evidence": lambda: plots.evidence(looks_of_a_watch(), "errors"),
    "burn_rates": lambda: plots.burn_rates(burning()),
    "timeline": lambda: plots.timeline(bundled("late")),
    "rollout_effect": lambda: plots.rollout_effect(leak(), "memory"),
    "segments": lambda: plots.segments(ONE_BAD),
    "power": lambda: plots.power(
        [15, 30, 60, 120], [[0.1, 0.2, 0.5, 0.8], [0.4, 0.8, 1.0, 1.0]], labels=["+10 %", "+20 %"], target=0.8
    ),
    "calibration": lambda: plots.calibration(
        [0.01, 0.05, 0.1], [0.008, 0.051, 0.07], low=[0.004, 0.04, 0.06], high=[0.015, 0.06, 0.09]
    ),
}


def picture(name):
    """Draw it, as a gray array."""
    buffer = io.BytesIO()
    DRAWN[name]().figure.savefig(buffer, dpi=DPI, format="png", metadata={"Software": None})
    plt.close("all")
    return Image.open(buffer).convert("L")


def blocks(image):
    """Give the mean gray of each block, which a letter moved by a fraction of a pixel hardly changes."""
    gray = np.asarray(image, dtype=float)
    rows, columns = (size // BLOCK * BLOCK for size in gray.shape)
    return gray[:rows, :columns].reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK).mean(axis=(1, 3))


@pytest.mark.parametrize("name", DRAWN)
def test_a_plot_looks_as_it_did(name):
    found, expected = blocks(picture(name)), blocks(Image.open(REFERENCES / f"{name}.png").convert("L"))
    assert found.shape == expected.shape
    apart = np.abs(found - expected)
    assert apart.mean() < 2
    assert np.quantile(apart, 0.99) < 40


def crowded(ax):
    """Labels that run into each other: of ticks on one axis, and of an axis and what stands beside it."""
    ax.figure.canvas.draw()
    found = []
    for axis in (ax.xaxis, ax.yaxis):
        texts = [*axis.get_ticklabels(), axis.get_offset_text(), axis.label]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
        found += [
            (one, other)
            for (one, box), (other, beside) in itertools.combinations(boxes, 2)
            if box.overlaps(beside)
        ]
    return found


@pytest.mark.parametrize("name", DRAWN)
def test_no_words_of_an_axis_run_together(name):
    assert crowded(DRAWN[name]()) == []


def changed(*factors, direction="increase"):
    """A release whose metrics changed by these factors."""
    rng = np.random.default_rng(4)
    data = {
        f"m{index}": {arm: rng.normal(100, 3, 40) for arm in ("baseline", "canary")}
        for index in range(len(factors))
    }
    for (name, arms), factor in zip(data.items(), factors, strict=True):
        data[name] = arms | {"canary": arms["canary"] * factor}
    return cj.judge(data, cj.Policy(metrics=[cj.Metric(name=name, direction=direction) for name in data]))


@pytest.mark.parametrize("size", [(6.4, 2.4), (3.6, 2.4)])
@pytest.mark.parametrize("factors", [(1,), (1.3,), (5, 1), (0.1,), (0.01, 30)])
def test_the_marks_of_effects_have_room_however_far_they_reach(factors, size):
    _, ax = plt.subplots(figsize=size, layout="constrained")
    plots.effects(changed(*factors, direction="either"), ax=ax)
    assert crowded(ax) == []
    assert "limit" in [label.get_text() for label in ax.get_xticklabels()]


@pytest.mark.parametrize("width", [6.4, 3.2])
@pytest.mark.parametrize("minutes", [0.03, 1, 1.7, 7, 25, 47, 100, 1500, 17000])
def test_times_have_room_however_long_it_took(minutes, width):
    result = KINDS["fail"].metrics["errors"]
    arms = {}
    for name in ("baseline", "canary"):
        part = getattr(result, name).series
        later = part.model_copy(update={"at": tuple(minutes * at for at in part.at)})
        arms[name] = getattr(result, name).model_copy(update={"series": later})
    _, ax = plt.subplots(figsize=(width, 2.4), layout="constrained")
    plots.series(result.model_copy(update=arms), ax=ax)
    assert crowded(ax) == []
    assert len([label for label in ax.get_xticklabels() if label.get_text()]) >= 2


def test_the_comparison_sees_another_picture():
    pictures = {name: blocks(picture(name)) for name in ("series", "ecdf", "evidence", "quantile_difference")}
    for name, mine in pictures.items():
        for other, theirs in pictures.items():
            if name != other:
                assert np.abs(mine - theirs).mean() > 2, (name, other)


def test_references_are_small():
    assert sum(file.stat().st_size for file in REFERENCES.glob("*.png")) < 200_000


@pytest.mark.parametrize("name", DRAWN)
def test_a_plot_takes_axes_and_gives_them_back(name):
    _, ax = plt.subplots()
    drawn = {
        "effects": lambda: plots.effects(KINDS["fail"], ax=ax),
        "series": lambda: plots.series(KINDS["fail"].metrics["errors"], ax=ax),
        "series_in_a_band": lambda: plots.series(KINDS["pass"].metrics["waits"], ax=ax),
        "ecdf": lambda: plots.ecdf([1], [2], ax=ax),
        "quantile_difference": lambda: plots.quantile_difference([1], [2], ax=ax),
        "evidence": lambda: plots.evidence([watched()], "errors", ax=ax),
        "burn_rates": lambda: plots.burn_rates(burning(), ax=ax),
        "timeline": lambda: plots.timeline(bundled(), ax=ax),
        "rollout_effect": lambda: plots.rollout_effect(bundled(), "errors", ax=ax),
        "segments": lambda: plots.segments(ONE_BAD, ax=ax),
        "power": lambda: plots.power([1], [0.5], ax=ax),
        "calibration": lambda: plots.calibration([0.1], [0.1], ax=ax),
    }[name]()
    assert drawn is ax


@pytest.mark.parametrize("size", [1, 2, 1_000_000])
def test_distributions_of_one_point_and_of_a_million(size):
    values = RNG.normal(size=size)
    for draw in (plots.ecdf, plots.quantile_difference):
        ax = draw(values, values + 1)
        ax.figure.canvas.draw()
        assert all(len(line.get_xdata()) <= 2001 for line in ax.lines)


def test_missing_and_infinite_values_are_left_out():
    holed = np.r_[BASELINE, np.nan, np.inf, -np.inf]
    (whole,), (left,) = (
        [line.get_ydata() for line in plots.ecdf(values, CANARY).lines[:1]] for values in (BASELINE, holed)
    )
    np.testing.assert_array_equal(whole, left)
    plots.quantile_difference(holed, CANARY).figure.canvas.draw()
    plots.power([1, 2], [[0.5, np.nan]]).figure.canvas.draw()
    plots.calibration([0.1, np.nan], [0.1, 0.2]).figure.canvas.draw()


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_series_of_one_point_and_of_a_million(size):
    policy = cj.Policy(metrics=[cj.Metric(name="$m_1$", kind="samples", direction="increase")])
    values = RNG.normal(100, 3, size)
    verdict = cj.judge({"$m_1$": {"baseline": values, "canary": values}}, policy)
    ax = verdict.plot("$m_1$")
    ax.figure.canvas.draw()
    assert all(len(line.get_xdata()) <= 100 for line in ax.lines)
    verdict.plot().figure.canvas.draw()


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_verdict_can_be_drawn(name):
    verdict = KINDS[name]
    verdict.plot().figure.canvas.draw()
    for metric in verdict.metrics:
        verdict.plot(metric).figure.canvas.draw()
        plt.close("all")


def test_effects_stand_in_the_order_of_the_report_and_beyond_the_limit_where_they_failed():
    ax = plots.effects(KINDS["fail"])
    names = [label.get_text() for label in ax.get_yticklabels()]
    dots = {int(line.get_ydata()[0]): line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1}
    for row, name in enumerate(names):
        result = KINDS["fail"].metrics[name]
        if result.outcome != "marginal":
            assert (dots[row] > 1) == (result.outcome == "fail"), name


def test_effects_lie_where_their_size_says_and_the_axis_says_that_it_is_squeezed():
    rng = np.random.default_rng(1)

    def arms(factor):
        return {
            "baseline": 100 + 3 * rng.normal(size=60),
            "canary": factor * (100 + 3 * rng.normal(size=60)),
        }

    policy = cj.Policy(
        metrics=[cj.Metric(name=name, direction="increase") for name in ("near", "far", "beyond")]
    )
    verdict = cj.judge({"near": arms(1.29), "far": arms(2.8), "beyond": arms(12.0)}, policy)
    ax = plots.effects(verdict)
    names = [label.get_text() for label in ax.get_yticklabels()]
    dots = {
        names[int(line.get_ydata()[0])]: line.get_xdata()[0]
        for line in ax.lines
        if len(line.get_xdata()) == 1
    }
    for name in ("near", "far"):
        assert dots[name] == pytest.approx(10 * verdict.metrics[name].deciding.estimate)
    assert dots["beyond"] == 40
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert {"limit", "10 ×", "≥ 40 ×"} <= set(labels)
    assert "closer together" in ax.get_xlabel()
    calm = plots.effects(cj.judge({"near": arms(1.02)}, cj.Policy(metrics=[policy.metrics[0]])))
    assert "closer together" not in calm.get_xlabel()


def test_evidence_rises_to_its_boundary_where_it_decided():
    looks = looks_of_a_watch()
    ax = plots.evidence(looks, "errors")
    finding = looks[-1].metrics["errors"].findings[0]
    harm = next(line for line in ax.lines if line.get_label() == "evidence of harm")
    assert harm.get_ydata()[-1] == finding.watch.log_e_fail
    assert finding.watch.log_e_fail >= -np.log10(finding.level)
    decided = next(line for line in ax.lines if str(line.get_label()).startswith("decided after"))
    assert decided.get_xdata()[0] == finding.watch.decided_after


def test_evidence_of_planned_looks_is_that_of_their_pvalues_a_step_a_look():
    rng = np.random.default_rng(1)
    policy = cj.Policy(
        metrics=[cj.Metric(name="cpu", direction="increase", rules=[cj.MannWhitney()])], max_points=120
    )
    monitor, looks = cj.Monitor(policy), []
    for minute in range(120):
        arms = {"baseline": 50 + rng.normal(), "canary": 55.2 + rng.normal()}
        monitor.update(
            {"cpu": {arm: {"time": [60.0 * minute], "value": [value]} for arm, value in arms.items()}}
        )
        looks.append(monitor.verdict())
    finding = looks[-1].metrics["cpu"].findings[0]
    ax = plots.evidence(looks, "cpu")
    harm = next(line for line in ax.lines if line.get_label() == "evidence of harm")
    assert 1 < len(harm.get_xdata()) <= finding.watch.looks_planned
    assert harm.get_ydata()[-1] == pytest.approx(-np.log10(finding.pvalue))


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: plots.ecdf([], [1.0]), "baseline: 0 finite values"),
        (lambda: plots.ecdf([1.0], ["a"]), "canary: these are not numbers"),
        (lambda: plots.quantile_difference([np.nan], [1.0]), "baseline: 0 finite values"),
        (lambda: plots.power([1, 2], [0.5]), "do not fit together"),
        (lambda: plots.calibration([0.1], [0.1, 0.2]), "different lengths"),
        (lambda: plots.calibration([np.nan], [0.1]), "no point has both rates"),
        (lambda: plots.evidence([], "errors"), "no verdict here has a metric 'errors'"),
        (lambda: plots.evidence([KINDS["fail"]], "errors"), "weighs no evidence"),
        (lambda: plots.burn_rates(KINDS["fail"].metrics["errors"]), "none of its rules is a burn rate"),
        (lambda: plots.segments(KINDS["fail"]), "the verdict has no segments"),
        (lambda: plots.segments(ONE_BAD, "eror"), "has no metric 'eror'"),
        (
            lambda: plots.segments(WHOLE, "cpu"),
            "metric 'cpu': there are no segments in which it was compared",
        ),
        (lambda: KINDS["fail"].plot("eror"), "has no metric 'eror'"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_sentence(draw, words):
    with pytest.raises(cj.DataError, match=words):
        draw()


@pytest.mark.parametrize("name", DRAWN)
def test_no_figure_is_left_open(name):
    ax = DRAWN[name]()
    assert not plt.get_fignums()
    assert ax.figure.axes


def test_where_somebody_looks_on_pyplot_shows_the_figure():
    with plt.ion():
        ax = plots.ecdf([1], [2])
    assert [plt.figure(number) for number in plt.get_fignums()] == [ax.figure]


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(cj.MissingExtraError, match=r"canaryjudge\[plot\]"):
        plots.ecdf([1], [2])


def test_a_timeline_has_a_row_for_the_share_and_one_for_each_metric_that_can_hold_it():
    top = bundled("late").plot()
    rows = top.figure.axes
    assert rows[0] is top
    assert [row.get_ylabel() for row in rows] == ["canary", "errors", "latency_p99"]
    assert [label.get_text() for label in top.get_yticklabels()] == ["0 %", "1 %", "10 %", "50 %"]
    assert {text.get_text() for text in top.texts} == {"1%", "10%", "50%", "roll back"}
    assert [label.get_text() for label in rows[2].get_yticklabels()][:2] == ["0", "+10 %"]
    for row in rows:
        assert crowded(row) == []


@pytest.mark.parametrize("name", ROLLOUTS)
def test_every_rollout_with_points_is_drawn_and_no_words_run_together(name):
    found = ROLLOUTS[name]()
    if name == "nothing":
        with pytest.raises(cj.DataError, match="no points to draw"):
            found.plot()
        return
    for row in found.plot().figure.axes:
        assert crowded(row) == []
    for metric in found.timeline.metrics:
        assert crowded(found.plot(metric)) == []


def test_the_share_alone_is_drawn_where_the_caller_says():
    ax = bundled().plot(ax=plt.subplots()[1])
    assert len(ax.figure.axes) == 1
    assert bundled().plot("errors", ax=plt.subplots()[1]).get_ylabel() == "errors"


def test_a_metric_that_a_rollout_has_not_is_named():
    with pytest.raises(cj.DataError, match=r"no metric 'cpu'"):
        bundled().plot("cpu")


def labels_of(axis_labels):
    return [label.get_text() for label in axis_labels]


def test_segments_stand_the_worst_first_those_to_blame_in_the_color_of_a_fail_and_the_means_below():
    ax = plots.segments(ONE_BAD)
    facts = ONE_BAD.segments.metrics["m"]
    assert labels_of(ax.get_yticklabels()) == [
        *(each.name[0] for each in facts.segments), "within segments", "pooled",
    ]  # fmt: skip
    assert [label.get_text() for label in ax.get_yticklabels() if label.get_fontweight() == "bold"] == ["r2"]
    points = {
        line.get_ydata()[0]: line.get_xdata()[0]
        for line in ax.lines
        if line.get_marker() in ("o", "D", "X", "d")
    }
    assert [points[place] for place in range(8)] == [
        *(each.estimate for each in facts.segments),
        facts.within,
        facts.pooled,
    ]
    uprights = {line.get_xdata()[0] for line in ax.lines if list(line.get_ydata()) == [0, 1]}
    finding = ONE_BAD.metrics["m"].findings[0].effect
    assert {0, finding.limit_high, finding.pass_high} == uprights
    assert "to blame" in ax.texts[0].get_text()


def test_less_is_on_the_right_where_it_is_worse_and_of_two_bad_sides_none_is():
    less = plots.segments(cohorts({"a": -0.4, "b": 0.0, "c": 0.0}, "decrease"))
    assert less.xaxis_inverted()
    assert "right is worse" in less.get_xlabel()
    both = plots.segments(cohorts({"a": -0.4, "b": 0.0, "c": 0.0}, "either"))
    assert not both.xaxis_inverted()
    assert "right is worse" not in both.get_xlabel()


def test_of_two_hundred_segments_with_long_names_the_thirty_worst_are_drawn_and_the_rest_is_told():
    names = [f"a-region-whose-$name_1$ goes on and on {place}" for place in range(200)]
    ax = plots.segments(cohorts({name: 0.6 * (place in (7, 50)) for place, name in enumerate(names)}))
    labels = labels_of(ax.get_yticklabels())
    assert len(labels) == len(set(labels)) == 32
    assert max(map(len, labels)) <= 35
    assert "and 170 more, less bad" in ax.get_xlabel()
    assert crowded(ax) == []
    box = ax.figure.bbox
    assert all(
        box.x0 <= text.get_window_extent().x0 and text.get_window_extent().x1 <= box.x1 for text in ax.texts
    )


if __name__ == "__main__":
    for each in DRAWN:
        picture(each).quantize(16).save(REFERENCES / f"{each}.png", optimize=True)

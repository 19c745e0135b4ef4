"""Power, stopping times and futility: published designs, seeded simulations, and what a design promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from canaryjudge.stats import group_sequential, sequential_design
from canaryjudge.stats.group_sequential import Boundaries, boundaries
from canaryjudge.stats.sequential_design import _futility, design, operation

reproducible = settings(derandomize=True, deadline=None, max_examples=25)
FIFTHS = np.arange(1, 6) / 5
FIXED = stats.norm.isf(0.025) + stats.norm.isf(0.1)


@pytest.mark.parametrize(
    ("drift", "power", "fraction"),
    [(2, 0.5048437161, 0.9068975863), (3, 0.8424420831, 0.7808645561), (4, 0.9771995091, 0.6454063222)],
)
def test_power_and_expected_fraction_are_those_of_rpact(drift, power, fraction):
    """As sequential-analysis 0.4.0 gives them, which its authors compared with rpact."""
    found = operation(boundaries(FIFTHS, 0.025), drift)
    assert_allclose([found.power, found.expected_fraction], [power, fraction], rtol=1e-6)


def test_the_design_is_that_of_gsdesign(monkeypatch):
    """R's gsDesign() with its default arguments, which spend by Hwang, Shih and DeCani, prints these bounds and sample size ratios."""

    def hwang_shih_decani(fractions, level, spending):
        gamma = {"obrien_fleming": -4, "pocock": -2}[spending]
        return level * np.expm1(-gamma * np.asarray(fractions)) / np.expm1(-gamma)

    for module in (group_sequential, sequential_design):
        monkeypatch.setattr(module, "spent", hwang_shih_decani)
    found = design([1 / 3, 2 / 3, 1], 0.025, 0.9, spending="obrien_fleming", futility="pocock")
    assert_allclose(found.futility, [-0.24, 0.94, 2.00], atol=0.005)
    assert_allclose(found.boundaries.z, [3.01, 2.55, 2.00], atol=0.005)
    assert_allclose((found.drift / FIXED) ** 2 * np.array([1, 2, 3]) / 3, [0.357, 0.713, 1.070], atol=5e-4)
    assert_allclose(found.operation.given_up, [0.0148, 0.0289, 0.0563], atol=5e-5)


@pytest.mark.parametrize("drift", [0.0, 3.3])
def test_simulated_runs_stop_as_computed(drift):
    runs, rng = 20_000, np.random.default_rng(5)
    plan = design(FIFTHS, 0.05, 0.8, spending="pocock")
    z = (np.cumsum(rng.normal(size=(runs, 5)) / np.sqrt(5), axis=1) + drift * FIFTHS) / np.sqrt(FIFTHS)
    expected = operation(plan.boundaries, drift, plan.futility)
    found, given_up = z >= plan.boundaries.z, z < plan.futility
    first = np.argmax(found | given_up, axis=1)
    for stopped, chances in ((found, expected.found), (given_up, expected.given_up)):
        counts = np.bincount(first[stopped[np.arange(runs), first]], minlength=5)
        assert (counts <= stats.binom.ppf(1 - 1e-6, runs, chances)).all()
        assert (counts >= stats.binom.ppf(1e-6, runs, chances)).all()
    deviation = FIFTHS[first].std() / np.sqrt(runs)
    assert expected.expected_fraction == pytest.approx(FIFTHS[first].mean(), abs=5 * deviation)


@given(
    looks=st.integers(1, 6),
    level=st.floats(1e-6, 0.2),
    power=st.floats(0.3, 0.99),
    spending=st.sampled_from(["obrien_fleming", "pocock"]),
    futility=st.sampled_from(["obrien_fleming", "pocock", None]),
)
@reproducible
def test_a_design_keeps_its_promises(looks, level, power, spending, futility):
    fractions = np.arange(1, looks + 1) / looks
    found = design(fractions, level, power, spending=spending, futility=futility)
    assert found.operation.power == pytest.approx(power, rel=1e-8)
    assert found.operation.given_up.sum() == pytest.approx(1 - power, rel=1e-7)
    assert found.futility[-1] == found.boundaries.z[-1]
    assert (found.futility <= found.boundaries.z).all()
    assert found.drift >= stats.norm.isf(level) + stats.norm.ppf(power) - 1e-8
    # nobody has to keep to the futility stops
    unstopped = operation(found.boundaries, 0.0)
    assert unstopped.power == pytest.approx(level, rel=1e-9)
    assert operation(found.boundaries, 0.0, found.futility).power <= level * (1 + 1e-9)
    assert operation(found.boundaries, found.drift).power >= power * (1 - 1e-9)


def test_more_drift_finds_more_and_earlier():
    plan = boundaries(FIFTHS, 0.025)
    found = [operation(plan, drift) for drift in np.linspace(-60, 60, 61)]
    assert (np.diff([each.power for each in found]) >= -1e-12).all()
    assert (np.diff([each.expected_fraction for each in found]) <= 1e-12).all()
    assert found[0].power == pytest.approx(0, abs=1e-12)
    assert found[-1].power == pytest.approx(1, abs=1e-12)
    assert found[-1].expected_fraction == pytest.approx(0.2, abs=1e-9)


def test_futility_is_never_beyond_the_other_boundary():
    """Where the drift is so large that fewer paths are left than are to be given up."""
    plan = boundaries(FIFTHS, 0.025, "pocock")
    lower = _futility(plan, 12.0, 0.2, "pocock")
    assert (lower <= plan.z).all()
    assert (lower == plan.z).sum() > 1
    assert operation(plan, 12.0, lower).given_up.sum() < 0.2


def test_looks_without_a_boundary_find_nothing():
    fractions = np.array([0.5, 1.0])
    plan = Boundaries(fractions, np.array([np.inf, 1.0]), np.zeros(2), np.zeros(2))
    assert_allclose(operation(plan, 1.0).found, [0, 0.5], rtol=1e-9)


WRONG = [
    (lambda: design([0.5, 0.9], 0.05, 0.8), "last look of a design must be at information fraction 1"),
    (lambda: design(FIFTHS, 0.05, 0.05), "power must lie between the level and 1, but is 0.05"),
    (lambda: design(FIFTHS, 0.05, 1.0), "power must lie between the level and 1, but is 1"),
    (lambda: design(FIFTHS, 1.05, 0.9), "level must lie between 0 and 1"),
    (lambda: operation(boundaries(FIFTHS, 0.05), 61), "drift must lie between -60 and 60, but is 61"),
    (lambda: operation(boundaries(FIFTHS, 0.05), np.nan), "drift must lie between -60 and 60"),
    (lambda: operation(boundaries(FIFTHS, 0.05), 1, [0.0]), r"shape \(1,\) do not fit 5 looks"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()

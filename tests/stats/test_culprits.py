"""Which segment is to blame: against the definitions, one claim after the other, and simulated effects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import assert_rate_at_most

from canaryjudge.stats.closed_testing import holm
from canaryjudge.stats.common_effect import weighted_mean
from canaryjudge.stats.culprits import against_rest, crossed_culprits, culprits, only_these

LIMIT, ALPHA = 0.1, 0.01


def asked(rng, truth, error, df=np.inf):
    """Effects with errors of so many degrees of freedom, their own p-values, and that of their mean."""
    truth = np.asarray(truth)
    x = truth + error * rng.normal(size=truth.shape)
    shape = truth.shape
    e = np.full(shape, error) if np.isinf(df) else error * np.sqrt(rng.chisquare(df, shape) / df)
    own = stats.t.sf((x - LIMIT) / e, df)
    flat = [part.reshape(len(truth), -1) for part in (x, e)]
    mean, its_error, known, _ = weighted_mean(*flat, df)
    return x, e, df, own, stats.t.sf((mean - LIMIT) / its_error, known)


def test_the_rest_is_the_weighted_mean_of_the_others():
    x, e, f = np.array([0.5, 0.1, 0.3, 0.2]), np.array([0.3, 0.4, 0.1, 0.2]), np.array([8.0, 20, 8, 40])
    difference, error, df = against_rest(x, e, f)
    for segment in range(4):
        others = np.delete(np.arange(4), segment)
        mean, own, known, _ = weighted_mean(x[others], e[others], f[others])
        assert_allclose(difference[segment], x[segment] - mean)
        assert_allclose(error[segment] ** 2, e[segment] ** 2 + own**2)
        freedom = error[segment] ** 4 / (e[segment] ** 4 / f[segment] + own**4 / known)
        assert_allclose(df[segment], freedom)


def test_segments_without_an_effect_are_no_claims():
    rng = np.random.default_rng(1)
    x, e, df, own, overall = asked(rng, [[0.0, 0.6, 0.0, 0.0]], 0.05)
    alone = culprits(x, e, df, own, overall)
    more = [np.append(part, [[np.nan]], axis=1) for part in (x, e, own)]
    with_none = culprits(more[0], more[1], df, more[2], overall)
    assert_allclose(with_none.culprit[:, :4], alone.culprit)
    assert np.isnan(with_none.culprit[:, 4]).all()
    single = culprits([0.6], [0.05], df, [1e-9], 1e-9)
    assert single.worse < 1e-6
    assert single.culprit == 1, "there is nothing that it differs from"


@given(st.integers(0, 10_000))
def test_a_culprit_is_worse_than_tolerated_and_so_is_its_release(seed):
    rng = np.random.default_rng(seed)
    found = culprits(*asked(rng, rng.normal(0.1, 0.3, (5, 6)), 0.1, 8))
    assert (found.culprit >= found.worse - 1e-12).all()
    assert (found.release <= found.worse.min(axis=1) + 1e-12).all()


def test_segments_that_differ_by_next_to_nothing_have_no_culprit_beyond_a_margin():
    truth = np.full((50, 8), 0.6)
    truth[:, 3] = 0.62
    args = asked(np.random.default_rng(2), truth, 0.001)
    assert (culprits(*args).culprit[:, 3] < ALPHA).all()
    assert (culprits(*args, margin=0.05).culprit > ALPHA).all()


def test_only_these_wants_all_others_to_be_proven_fine():
    assert_allclose(only_these([[True, False, False]] * 2, [[1, 0.01, 0.02], [1, np.nan, 0.01]]), [0.04, 1])
    assert only_these([False, False], [0.01, 0.03]) == 0.03


@pytest.mark.parametrize("bad", [1, 2, 4])
def test_only_these_is_seldom_said_where_another_is_worse(bad):
    rng, runs, beta = np.random.default_rng(3), 20_000, 0.05
    truth = np.where(np.arange(4) < bad, 2.5, -4.0)
    z = truth + rng.normal(size=(runs, 4))
    named = holm(stats.norm.sf(z)) <= 0.05
    # what is worse lies just at what a pass excludes, so that the test of it is the least favorable
    pvalues = stats.norm.cdf(z - np.where(np.arange(4) < bad, truth, 0))
    wrong = (only_these(named, pvalues) <= beta) & ~named[:, :bad].all(axis=1)
    assert_rate_at_most(int(wrong.sum()), runs, beta)


def crossed(truth, seed, runs=400, error=0.05, level=ALPHA):
    cells = np.broadcast_to(truth, (runs, *np.shape(truth)))
    x, e, df, own, overall = asked(np.random.default_rng(seed), cells, error)
    found = crossed_culprits(x, e, df, own, overall, LIMIT, level=level)
    return [part <= level for part in (found.rows, found.columns, found.cells)]


def test_a_bad_cell_is_named_and_its_margins_are_not():
    truth = np.zeros((4, 3))
    truth[2, 1] = 0.47
    rows, columns, cells = crossed(truth, 4)
    assert cells[:, 2, 1].mean() > 0.9
    named = cells[:, 2, 1]
    assert_rate_at_most(
        int((rows[named].any(axis=1) | columns[named].any(axis=1)).sum()), int(named.sum()), ALPHA
    )


def test_a_bad_row_is_named_as_a_row():
    truth = np.zeros((4, 3))
    truth[2] = 0.47
    rows, columns, cells = crossed(truth, 5)
    assert rows[:, 2].mean() > 0.99
    for other in (np.delete(rows, 2, axis=1), columns, cells.reshape(len(rows), -1)):
        assert_rate_at_most(int(other.any(axis=1).sum()), len(rows), ALPHA)
    turned = crossed(truth.T, 5)
    assert turned[1][:, 2].mean() > 0.99


def test_a_bad_row_and_a_bad_column_explain_their_cell():
    truth = np.zeros((4, 4))
    truth[2] += 0.47
    truth[:, 1] += 0.47
    rows, columns, cells = crossed(truth, 6)
    assert (rows[:, 2] & columns[:, 1]).mean() > 0.99
    assert_rate_at_most(int(cells.reshape(len(rows), -1).any(axis=1).sum()), len(rows), ALPHA)


@pytest.mark.parametrize("truth", [np.full((3, 3), LIMIT), np.full((3, 3), 0.6)], ids=["none", "all"])
def test_where_all_cells_are_alike_none_and_no_margin_is_named(truth):
    runs, level = 4000, 0.05
    named = crossed(truth, 7, runs, level=level)
    any_named = np.logical_or.reduce([part.reshape(runs, -1).any(axis=1) for part in named])
    assert_rate_at_most(int(any_named.sum()), runs, level)


def test_cells_that_the_data_do_not_carry_are_left_out():
    x = np.array([[0.0, 0.6, 0.0], [np.nan, 0.6, 0.0], [0.0, 0.6, np.nan]])
    own = np.where(np.isnan(x), np.nan, np.where(x > LIMIT, 1e-12, 0.9))
    found = crossed_culprits(x, 0.05, np.inf, own, 1e-6, LIMIT)
    assert_array_equal(found.columns <= ALPHA, [False, True, False])
    assert_array_equal(np.isnan(found.cells), np.isnan(x))
    assert not (found.cells <= ALPHA).any()
    one_column = crossed_culprits([[0.0], [0.6], [0.0]], 0.05, np.inf, [[0.9], [1e-12], [0.9]], 1e-6, LIMIT)
    assert np.isnan(one_column.cells).all()
    assert np.isnan(one_column.columns).all()
    assert_array_equal(one_column.rows <= ALPHA, [False, True, False])


def test_rows_are_each_as_alone():
    rng = np.random.default_rng(8)
    args = asked(rng, rng.normal(0.1, 0.3, (9, 50)), 0.1, 8)
    part = [each[4:5] if np.ndim(each) else each for each in args]
    for name in ("release", "worse", "culprit", "apart"):
        assert_array_equal(getattr(culprits(*args), name)[4:5], getattr(culprits(*part), name))
    args = asked(rng, rng.normal(0.1, 0.3, (9, 4, 3)), 0.1, 8)
    part = [each[4:5] if np.ndim(each) else each for each in args]
    for name in ("rows", "columns", "cells"):
        whole, alone = crossed_culprits(*args, LIMIT), crossed_culprits(*part, LIMIT)
        assert_array_equal(getattr(whole, name)[4:5], getattr(alone, name))

r"""Which segment of the traffic is to blame: one that is worse than tolerated, and worse than the others.

A segment is a culprit if its own effect lies beyond the limit and beyond the mean effect of the rest. The null hypothesis "it is none" is the union of two, "it is within the limit" and "it is like the rest", and is tested by
the larger of their p-values (an intersection-union test [1]_). Over the segments these p-values depend on each other, because each is part of the others' rest; so they are adjusted by Holm's procedure, which holds all the same,
together with that of the release (`canaryjudge.stats.closed_testing.release_first`). Where all segments are equally bad, the release fails, and one is called a culprit with at most the chance alpha.

Of two columns, such as region and device, a cell is named only if it is worse than the rest of its row, than the rest of its column, and than both together explain; otherwise the row or the column that is worse than the other ones,
each compared within the other column's values.

References
----------
.. [1] R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24 (1982), 295-300.
.. [2] Y. Hochberg, "A sharper Bonferroni procedure for multiple tests of significance", Biometrika 75 (1988), 800-802.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canaryjudge.stats.bounds import FloatArray, floats, t_pvalues
from canaryjudge.stats.closed_testing import release_first
from canaryjudge.stats.common_effect import weighted_mean
from canaryjudge.stats.replicas import joined

__all__ = ["CrossedCulprits", "Culprits", "against_rest", "crossed_culprits", "culprits", "only_these"]

BoolArray = NDArray[np.bool_]


def against_rest(
    estimates: ArrayLike, errors: ArrayLike, df: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Hold each segment's effect against the mean effect of the others.

    Parameters
    ----------
    estimates, errors, df
        Effects, their standard errors and the degrees of freedom of these, shape (..., S), as `canaryjudge.stats.common_effect.common_effect` takes them.

    Returns
    -------
    tuple of ndarray, shape (..., S)
        The differences, their standard errors and the degrees of freedom of these; NaN and infinite where a segment, or all of the others, have no effect. The others are weighted by the reciprocals of their squared errors.

    Examples
    --------
    >>> difference, error, _ = against_rest([0.5, 0.1, 0.2], [0.3, 0.4, 0.4], np.inf)
    >>> difference.round(3).tolist(), error.round(3).tolist()
    ([0.35, -0.292, -0.156], [0.412, 0.466, 0.466])
    """
    x, e, f = floats(estimates, errors, df)
    count = x.shape[-1]
    difference, error, freedom = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    for segment in range(count):
        others = np.arange(count) != segment
        mean, own, known, _ = weighted_mean(x[..., others], e[..., others], f[..., others])
        difference[..., segment] = x[..., segment] - mean
        error[..., segment], freedom[..., segment] = joined(e[..., segment], f[..., segment], own, known)
    there = np.isfinite(difference) & np.isfinite(error)
    return (
        np.where(there, difference, np.nan),
        np.where(there, error, np.inf),
        np.where(there, freedom, np.inf),
    )


@dataclass(frozen=True, slots=True)
class Culprits:
    """What is proven of a release and its segments; all p-values are adjusted, so that what lies below alpha is claimed.

    Attributes
    ----------
    release : ndarray, shape (...)
        P-value for "no segment is beyond the limit": the release fails where it, or that of any segment, is at most alpha; it is the least of them.
    worse : ndarray, shape (..., S)
        P-values for "this segment is within the limit"; NaN where one has no effect.
    culprit : ndarray, shape (..., S)
        P-values for "this segment is within the limit, or like the rest"; NaN where one has no effect.
    apart : ndarray, shape (..., S)
        Each segment's effect minus the mean effect of the others.
    """

    release: FloatArray
    worse: FloatArray
    culprit: FloatArray
    apart: FloatArray


def culprits(
    estimates: ArrayLike,
    errors: ArrayLike,
    df: ArrayLike,
    pvalues: ArrayLike,
    overall: ArrayLike,
    *,
    margin: ArrayLike = 0.0,
    share: float = 0.5,
) -> Culprits:
    """Judge a release and its segments under one alpha, and tell which of these are to blame.

    Parameters
    ----------
    estimates, errors, df
        Each segment's effect, larger being worse, with its standard error and the degrees of freedom of that, shape (..., S); NaN where a segment has none.
    pvalues : array_like, shape (..., S)
        P-values for "this segment's effect is within the limit", of whatever test fits it; NaN where a segment has none.
    overall : array_like, shape (...)
        P-value for "the segments' mean effect is within the limit".
    margin : array_like, shape (...)
        By how much a culprit must be worse than the rest, at least 0: with many data the worst of segments that differ by next to nothing is proven worse than the rest, too.
    share : float
        The part of alpha that the mean effect has, in (0, 1]; with 1 the segments are only asked once the mean effect has failed the release.

    Returns
    -------
    Culprits
        Adjusted p-values. If no segment is beyond the limit, the release fails, any segment is called worse or any culprit is named with at most the chance alpha; so it is for any false name among the culprits, and for any
        segment that is falsely called worse.

    Examples
    --------
    >>> found = culprits([0.0, 0.6, 0.1], [0.1, 0.1, 0.1], np.inf, [0.8, 1e-7, 0.5], 0.01)
    >>> found.release.round(7).item(), found.culprit.round(5).tolist()
    (6e-07, [1.0, 2e-05, 1.0])
    """
    x, e, f, own = floats(estimates, errors, df, pvalues)
    difference, error, freedom = against_rest(x, e, f)
    more = np.asarray(margin, dtype=np.float64)[..., None]
    there = np.isfinite(difference)
    unlike = t_pvalues(np.where(there, difference - more, 0.0), error, freedom).greater
    whole = np.broadcast_to(np.asarray(overall, dtype=np.float64), x.shape[:-1])
    release, worse = release_first(whole, own, share=share)
    blame = np.where(np.isnan(own), np.nan, np.maximum(own, np.where(there, unlike, 1.0)))
    _, culprit = release_first(whole, blame, share=share)
    least = np.where(np.isnan(worse), 1.0, worse).min(axis=-1, initial=1.0)
    return Culprits(np.minimum(release, least), worse, culprit, difference)


def only_these(named: ArrayLike, pvalues: ArrayLike) -> FloatArray:
    r"""Test whether all that are not named are fine, so that "only these" may be said.

    Parameters
    ----------
    named : array_like of bool, shape (..., S)
        The segments that are named.
    pvalues : array_like, shape (..., S)
        P-values for "this segment's effect is at least what a pass excludes"; NaN counts as 1.

    Returns
    -------
    ndarray, shape (...)
        P-value for "some segment that is not named is worse than that": the largest of those not named, times 1 + the number of those named.

    Notes
    -----
    Which segments are named depends on the data. Let v segments be worse, with the ascending p-values :math:`q_{(1)} \ldots q_{(v)}`. Where k are named, at least v - k of them, and at least one, are not; so a false claim at beta needs
    :math:`q_{(j)} \le \beta / (v - j + 1)` for some j, whose chance is at most beta for independent and positively dependent p-values, by the inequality behind Hochberg's procedure [2]_.

    Examples
    --------
    >>> only_these([False, True, False], [0.01, 0.9, 0.02]).item()
    0.04
    """
    chosen = np.asarray(named, dtype=np.bool_)
    p = np.asarray(pvalues, dtype=np.float64)
    rest = np.where(chosen, 0.0, np.where(np.isnan(p), 1.0, p)).max(axis=-1, initial=0.0)
    return np.asarray(np.minimum(rest * (1 + chosen.sum(axis=-1)), 1.0))


@dataclass(frozen=True, slots=True)
class CrossedCulprits:
    """What is proven of the values of two columns and of their cells; p-values are adjusted, so that what lies below alpha is named.

    Attributes
    ----------
    rows, columns : ndarray, shapes (..., R) and (..., C)
        P-values for "this value's mean effect is within the limit, or like that of the column's other values", what the named cells explain left out; NaN where there is none.
    cells : ndarray, shape (..., R, C)
        P-values for "this cell is within the limit, or no worse than its row and its column explain"; NaN where the data do not carry it.
    """

    rows: FloatArray
    columns: FloatArray
    cells: FloatArray


def crossed_culprits(  # noqa: PLR0913 - as those of `culprits`, and what is asked of rows and columns
    estimates: ArrayLike,
    errors: ArrayLike,
    df: ArrayLike,
    pvalues: ArrayLike,
    overall: ArrayLike,
    limit: ArrayLike,
    *,
    level: ArrayLike = 0.01,
    margin: ArrayLike = 0.0,
    share: float = 0.5,
) -> CrossedCulprits:
    """Tell which values of two columns are to blame, or which pairs of values.

    Parameters
    ----------
    estimates, errors, df
        Each cell's effect, larger being worse, with its standard error and the degrees of freedom of that, shape (..., R, C); NaN where a cell has none.
    pvalues : array_like, shape (..., R, C)
        P-values for "this cell's effect is within the limit"; NaN where a cell has none.
    overall : array_like, shape (...)
        P-value for "the cells' mean effect is within the limit".
    limit : array_like, shape (...)
        The limit, for the mean effects of rows and columns.
    level : array_like, shape (...)
        Alpha: at which cells are named, and left out of their row and column.
    margin, share
        As `culprits` takes them.

    Returns
    -------
    CrossedCulprits
        Adjusted p-values: rows and columns share one half of the segments' part of alpha, cells the other.

    Notes
    -----
    A cell's three contrasts are with the mean of its row's other cells, of its column's, and with what both add up to (its interaction); it needs others of all three kinds. A row's is the mean over the columns of its cell minus the
    column's other cells. All are means weighted by the reciprocals of squared errors. Leaving out what named cells explain only makes p-values larger.

    Examples
    --------
    >>> effects = np.array([[0.0, 0.0, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 0.0]])
    >>> own = np.where(effects > 0, 1e-9, 0.9)
    >>> found = crossed_culprits(effects, 0.08, np.inf, own, 0.05, 0.1)
    >>> [bool(found.cells[1, 1] < 0.01), (found.cells < 0.01).sum().item(), float(found.rows.min()), float(found.columns.min())]
    [True, 1, 1.0, 1.0]
    """
    x, e, f, own = floats(estimates, errors, df, pvalues)
    at, more = (np.asarray(part, dtype=np.float64) for part in (limit, margin))
    whole = np.broadcast_to(np.asarray(overall, dtype=np.float64), x.shape[:-2])
    alpha = np.broadcast_to(np.asarray(level, dtype=np.float64), x.shape[:-2])[..., None, None]
    blame = np.maximum(own, _cell_contrasts(x, e, f, more))
    margins = _margins(x, e, f, at, more)
    rows, columns, cells = _shared(whole, margins, blame, share)
    named = cells <= alpha
    if not named.any():
        return CrossedCulprits(rows, columns, cells)
    again = _margins(np.where(named, np.nan, x), e, f, at, more)
    # a margin of named cells alone has nothing left
    margins = [
        np.where(np.isnan(first), np.nan, np.fmax(first, np.where(np.isnan(second), 1.0, second)))
        for first, second in zip(margins, again, strict=True)
    ]
    return CrossedCulprits(*_shared(whole, margins, blame, share)[:2], cells)


def _turned(x: FloatArray, e: FloatArray, f: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    return x.swapaxes(-1, -2), e.swapaxes(-1, -2), f.swapaxes(-1, -2)


def _cell_contrasts(x: FloatArray, e: FloatArray, f: FloatArray, margin: FloatArray) -> FloatArray:
    """Give the p-value of the least of a cell's three contrasts, shape (..., R, C); NaN where one has nothing to compare with."""
    found = np.full(x.shape, np.nan)
    rows, columns = x.shape[-2:]
    for row in range(rows):
        for column in range(columns):
            beside, above = np.arange(columns) != column, np.arange(rows) != row
            parts = (
                [table[..., row, beside] for table in (x, e, f)],
                [table[..., above, column] for table in (x, e, f)],
                [table[..., above, :][..., beside].reshape(*x.shape[:-2], -1) for table in (x, e, f)],
            )
            (r, re, rf, _), (c, ce, cf, _), (o, oe, of, _) = (weighted_mean(*part) for part in parts)
            cell, own, known = (table[..., row, column] for table in (x, e, f))
            both = joined(*joined(re, rf, ce, cf), oe, of)
            contrasts = (
                (cell - r, *joined(own, known, re, rf)),
                (cell - c, *joined(own, known, ce, cf)),
                (cell - r - c + o, *joined(own, known, *both)),
            )
            tests = [_unlike(*contrast, margin) for contrast in contrasts]
            found[..., row, column] = np.maximum.reduce(tests)
    return found


def _unlike(difference: FloatArray, error: FloatArray, df: FloatArray, margin: FloatArray) -> FloatArray:
    """Test whether a contrast is more than a margin; NaN where there is none."""
    there = np.isfinite(difference) & np.isfinite(error)
    over = np.where(there, difference - margin, 0.0)
    return np.where(
        there, t_pvalues(over, np.where(there, error, 1.0), np.where(there, df, 1.0)).greater, np.nan
    )


def _margin(x: FloatArray, e: FloatArray, f: FloatArray, limit: FloatArray, margin: FloatArray) -> FloatArray:
    """Give the p-values for "the row's mean effect is within the limit, or like that of the others", shape (..., R); NaN where there is none."""
    mean, error, known, _ = weighted_mean(x, e, f)
    own = _unlike(mean, error, known, limit[..., None])
    apart, its_error, its_df, _ = weighted_mean(*_turned(*against_rest(*_turned(x, e, f))))
    return np.maximum(own, _unlike(apart, its_error, its_df, margin[..., None]))


def _margins(
    x: FloatArray, e: FloatArray, f: FloatArray, limit: FloatArray, margin: FloatArray
) -> list[FloatArray]:
    """Give those of the rows, and those of the columns."""
    turned = _turned(x, e, f)
    return [_margin(x, e, f, limit, margin), _margin(turned[0], turned[1], turned[2], limit, margin)]


def _shared(
    whole: FloatArray, margins: list[FloatArray], cells: FloatArray, share: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Adjust rows, columns and cells for each other."""
    flat = cells.reshape(*cells.shape[:-2], -1)
    claims = np.concatenate([*margins, flat], axis=-1)
    asked = ~np.isnan(claims)
    rows, columns = (part.shape[-1] for part in margins)
    is_cell = np.arange(claims.shape[-1]) >= rows + columns
    halves = [(asked & kind).sum(axis=-1, keepdims=True) for kind in (~is_cell, is_cell)]
    weights = np.where(is_cell, 1 / np.maximum(halves[1], 1), 1 / np.maximum(halves[0], 1))
    _, adjusted = release_first(whole, claims, share=share, weights=weights)
    return (
        adjusted[..., :rows],
        adjusted[..., rows : rows + columns],
        adjusted[..., rows + columns :].reshape(cells.shape),
    )

"""Reports of benchmarks as text, for 120 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peers import LEGEND

__all__ = ["as_text", "grid"]

_HEADS = f"{'corpus, effect':<18}{'pairing':<18}{'source':<8}{'cases':>6}{'fail':>7}{'marg':>6}{'pass':>6}"
_OUTCOMES = ("fail", "marginal", "pass")


def as_text(document: dict[str, Any]) -> str:
    """Lay the report out as tables."""
    policy = document["policy"]
    shown = [name for name in LEGEND if any(name in group["peers"] for group in document["groups"])]
    heads = "".join(f"{LEGEND[name][0]:>7}" for name in shown)
    rates = f"alpha {policy['alpha']:.0%}, beta {policy['beta']:.0%}, tolerance {policy['tolerance']:.0%}"
    lines = [
        f"canaryjudge {document['canaryjudge']}, {rates}: percent of cases; peers: percent of cases alarming",
        "",
        _HEADS + heads,
    ]
    for group in document["groups"]:
        whole = group["pairing"] is None
        if not whole and group["source"] is None and _repeats(group, document["groups"]):
            continue
        name = f"{group['corpus']} {group['effect']}" if whole else ""
        lines.append(_row(name, group["pairing"] or "all", group["source"] or "all", group, shown))
    enough = document["ab_with_at_least_10_canary_points"]
    if enough:
        lines += ["", _row("ab fault, with at least 10 canary points", "", "", enough, shown)]
    lines += ["", *(f"{LEGEND[name][0]:<7}{LEGEND[name][1]}" for name in shown)]
    if document["effect_ratio_where_positive"]:
        lines += ["", *_ratio_table(document["effect_ratio_where_positive"])]
    failed, healthy, raised = (
        len(document["healthy_failed"]),
        document["healthy_cases"],
        len(document["raised"]),
    )
    lines += ["", f"{failed:,} of {healthy:,} healthy cases failed; {raised:,} cases raised an error."]
    return "\n".join(lines)


def _repeats(group: dict[str, Any], groups: Sequence[dict[str, Any]]) -> bool:
    """Tell whether a pairing's row has the same cases as the row above it or the only row below it."""
    place = ("corpus", "effect")
    family = [other for other in groups if all(other[key] == group[key] for key in place)]
    sources = sum(other["pairing"] == group["pairing"] and other["source"] is not None for other in family)
    return group["cases"] == family[0]["cases"] or sources == 1


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _row(name: str, pairing: str, source: str, group: dict[str, Any], peers: Sequence[str]) -> str:
    percent = group["percent"]
    label = (
        f"{_short(name, 17):<18}{_short(pairing, 17):<18}{_short(source, 7):<8}" if pairing else f"{name:<44}"
    )
    cells = "".join(
        f"{group['peers'][peer]:>7.1f}" if peer in group["peers"] else f"{'-':>7}" for peer in peers
    )
    ours = f"{percent['fail']:>7.1f}{percent['marginal']:>6.1f}{percent['pass']:>6.1f}"
    return f"{label}{group['cases']:>6,}{ours}{cells}"


def _ratio_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["For information, on the series that are positive throughout:", ""]
    lines.append(f"{'':<18}{'':>6}{'effect: shift (default)':>28}{'effect: ratio':>22}")
    lines.append(
        f"{'corpus, effect':<18}{'cases':>6}"
        f"{'fail':>10}{'marg':>9}{'pass':>9}{'fail':>8}{'marg':>7}{'pass':>7}"
    )
    for row in rows:
        name = f"{row['corpus']} {row['effect']}"
        default = "".join(f"{row['shift'][outcome]:>9.1f}" for outcome in _OUTCOMES)
        ratio = "".join(f"{row['ratio'][outcome]:>7.1f}" for outcome in _OUTCOMES)
        cells = f" {default} {ratio}"
        lines.append(f"{_short(name, 17):<18}{row['cases']:>6,}{cells}")
    return lines


def grid(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Lay a plain table out: the first column to the left, all others to the right, each as wide as it must be.

    Parameters
    ----------
    title : str
        Printed above.
    heads : sequence of str
        A line of its own for each part between line breaks.
    rows : sequence of sequence of str
        Cells, as many as heads; an empty row is an empty line.
    notes : sequence of str
        Lines below.

    Returns
    -------
    str
        The table.
    """
    split = [head.split("\n") for head in heads]
    depth = max(len(head) for head in split)
    top = [[[""] * (depth - len(head)) + head for head in split][i] for i in range(len(split))]
    lines = [[column[level] for column in top] for level in range(depth)]
    widths = [
        max(len(line[i]) for line in [*lines, *(row for row in rows if row)]) for i in range(len(heads))
    ]

    def laid(cells: Sequence[str]) -> str:
        first, *others = cells
        aligned = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        return "  ".join([f"{first:<{widths[0]}}", *aligned]).rstrip()

    body = [laid(row) if row else "" for row in rows]
    return "\n".join(
        [title, "", *(laid(line) for line in lines), *body, *([""] if notes else []), *notes, ""]
    )

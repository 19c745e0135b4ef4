"""The plots of docs/verdict-quality.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peers import LEGEND

__all__ = ["plot_delays", "plot_tradeoff"]

_OURS = "canaryjudge"
_FOUND = (
    ("abinj", "shift25", "+25 %"),
    ("abinj", "shift50", "+50 %"),
    ("abinj", "tail2x", "doubled tail"),
    ("ab", "fault", "labeled faults"),
)


def _group(groups: list[dict[str, Any]], corpus: str, effect: str) -> dict[str, Any]:
    return next(
        group
        for group in groups
        if (group["corpus"], group["effect"]) == (corpus, effect)
        and not group["source"]
        and not group.get("pairing")
    )


def plot_tradeoff(groups: list[dict[str, Any]], path: Path) -> None:
    """Draw found faults against failed healthy cases, a panel an effect."""
    import matplotlib as mpl  # noqa: PLC0415 - plots are an extra
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "canaryjudge"
    figure, axes = plt.subplots(1, len(_FOUND), figsize=(12, 3.4), sharey=True)
    healthy = _group(groups, "aa", "none")
    for axis, (corpus, effect, title) in zip(axes, _FOUND, strict=True):
        found = _group(groups, corpus, effect)
        for name in healthy["peers"]:
            x, y = healthy["peers"][name], found["peers"][name]
            axis.scatter(x, y, color="tab:gray", s=18)
            axis.annotate(LEGEND[name][0], (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
        x, y = healthy["percent"]["fail"], found["percent"]["fail"]
        axis.scatter(x, y, color="tab:red", s=36, zorder=3)
        axis.annotate(_OURS, (x, y), fontsize=8, xytext=(5, -9), textcoords="offset points", color="tab:red")
        axis.set(title=title, xlabel="healthy cases failed, %", xlim=(-2, 62), ylim=(-4, 104))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("found, %")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def plot_delays(groups: list[dict[str, Any]], path: Path) -> None:
    """Draw, for judges asked after every point, false fails beside what is found and how soon."""
    import matplotlib as mpl  # noqa: PLC0415 - plots are an extra
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "canaryjudge"
    healthy, found = _group(groups, "aa", "none"), _group(groups, "abinj", "shift50")
    names = list(healthy["alarmed"])
    labels = [name if name == _OURS else LEGEND[name][0] for name in names]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), sharey=True)
    panels = (
        ("healthy cases failed at some look, %", healthy["alarmed"]),
        ("+50 % found by the end, %", found["alarmed"]),
        ("median part of the window until then, %", found["delay"]),
    )
    for axis, (title, values) in zip(axes, panels, strict=True):
        colors = ["tab:red" if name == _OURS else "tab:gray" for name in names]
        axis.barh(labels, [values[name] or 0 for name in names], color=colors)
        axis.set(title=title, xlim=(0, 100))
        axis.title.set_fontsize(9)
        axis.grid(alpha=0.3, axis="x")
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)

"""Words for several arms judged under one alpha: which may go on, which is the best and which the worst, and what that means for rings."""

from __future__ import annotations

from typing import Final

from canaryjudge.explain.histories import rates_of_what
from canaryjudge.explain.layout import (
    WIDTH,
    as_grid,
    as_markdown_grid,
    cut,
    listed,
    markdown_text,
    on_one_line,
    wrapped,
)
from canaryjudge.explain.numbers import pvalue, set_percent
from canaryjudge.explain.sentences import one_line
from canaryjudge.explain.text import as_text
from canaryjudge.reasons import Outcome
from canaryjudge.results import ArmsFacts

__all__ = [
    "arms_markdown",
    "arms_names",
    "arms_promises",
    "arms_reason",
    "arms_rows",
    "arms_text",
    "rings_sentence",
]

_LONGEST_LINE: Final = 199
_HEADER: Final = ["arm", "baseline", "outcome", "judged at", "why"]
_WHY: Final = 66
"""Characters of an arm's reason in plain text; Markdown has it in full."""
_INDENT: Final = "  "


def arms_reason(facts: ArmsFacts) -> str:
    """Say in one line of under 200 characters what to do with which arm."""
    passing, held, failing = (
        list(map(on_one_line, facts.having(outcome)))
        for outcome in (Outcome.PASS, Outcome.MARGINAL, Outcome.FAIL)
    )
    said = [f"roll back {listed(failing)}"] if failing else []
    said += [f"hold {listed(held)}"] if held else []
    if passing:
        said.append(f"{listed(passing) if said else f'all {len(passing)} arms'} may go on")
    return cut(f"{facts.outcome.value.upper()}: {'; '.join(said)}", _LONGEST_LINE)


def arms_text(facts: ArmsFacts, reason: str, *, brief: bool = False) -> str:
    """Explain several arms: what to do, a table, best and worst, what the arms that do not pass say, and what is promised."""
    grid = as_grid(_HEADER, [[*row[:-1], cut(row[-1], _WHY)] for row in arms_rows(facts)])
    said = "\n".join(wrapped(f"{line}.") for line in (*arms_names(facts), rings_sentence(facts)))
    if brief:
        return "\n\n".join([wrapped(reason), grid, said])
    blocks = [wrapped(reason), grid, said]
    for arm, release in facts.arms.items():
        if release.outcome is not Outcome.PASS:
            lines = as_text(release, WIDTH - len(_INDENT), brief=True).splitlines()
            blocks.append("\n".join([f"{on_one_line(arm)}:", *(f"{_INDENT}{line}" for line in lines)]))
    return "\n\n".join([*blocks, "\n".join(wrapped(f"{line}.") for line in arms_promises(facts))])


def arms_markdown(facts: ArmsFacts, reason: str) -> str:
    """Explain several arms in Markdown."""
    said = [*arms_names(facts), rings_sentence(facts), *arms_promises(facts)]
    return "\n\n".join(
        [
            f"## {markdown_text(reason)}",
            as_markdown_grid(_HEADER, arms_rows(facts)),
            "\n".join(f"- {markdown_text(line)}." for line in said) + "\n",
        ]
    )


def arms_rows(facts: ArmsFacts) -> list[list[str]]:
    """Give a row an arm, as `_HEADER` has the columns."""
    return [
        [
            arm,
            release.baseline_arm,
            release.outcome.value.upper(),
            set_percent(release.alpha),
            one_line(release).partition(": ")[2],
        ]
        for arm, release in facts.arms.items()
    ]


def arms_names(facts: ArmsFacts) -> list[str]:
    """Say which arm is the best and which the worst, and by which metrics."""
    many, said = len(facts.arms), []
    if not facts.ranking:
        return ["No metric compares all arms with each other, so neither a best nor a worst one is named"]
    for word, side, overall in (("worst", "worse", facts.worst), ("best", "better", facts.best)):
        found = [
            (one.metric, arm, value)
            for one in facts.ranking
            for arm, value in [
                (one.worst, one.pvalue_worst) if word == "worst" else (one.best, one.pvalue_best)
            ]
            if arm is not None
        ]
        if not found:
            said.append(f"{word.capitalize()}: none; no arm is proven {side} than each of the others")
            continue
        each = [
            f"{f'{arm} ' if overall is None else ''}in {metric}{'' if value is None else f' ({pvalue(value)})'}"
            for metric, arm, value in found
        ]
        others = "the other" if many == 2 else f"each of the other {many - 1} arms"
        who = "none of all metrics" if overall is None else overall
        said.append(f"{word.capitalize()}: {who}; {side} than {others}: {listed(each)}")
    return said


def rings_sentence(facts: ArmsFacts) -> str:
    """Say what the outcomes mean if the arms are rings, each of which waits for those before it."""
    order = list(facts.arms)
    stop = next((arm for arm in order if facts.arms[arm].outcome is not Outcome.PASS), None)
    rings = "As rings of one release, in this order"
    if stop is None:
        return f"{rings}, it may go on beyond {order[-1]}"
    fails = facts.arms[stop].outcome is Outcome.FAIL
    place = order.index(stop)
    before, later = order[:place], order[place + 1 :]
    start = f"{listed(before)} {'passes' if len(before) == 1 else 'pass'}, " if before else ""
    word = "fails" if fails else "is undecided"
    where = f" to {listed(later)}" if later else ""
    halt = (
        f"it goes no farther{where and f', not{where}'}"
        if fails
        else f"it waits{where and f' before it goes{where}'}"
    )
    whatever = ", whatever is said of later ones" if later else ""
    return f"{rings}: {start}{stop} {word}, so {halt}{whatever}"


def arms_promises(facts: ArmsFacts) -> list[str]:
    """Say which error rates there are, and how alpha was shared out."""
    releases = list(facts.arms.values())
    alpha, beta = set_percent(facts.alpha), set_percent(facts.beta)
    if any(release.aggregate == "score" for release in releases):
        return ["Scores decide, so no error rate is promised of the verdicts"]
    levels = sorted({release.alpha for release in releases})
    shared = (
        f"each was judged at {set_percent(levels[0])}"
        if len(levels) == 1
        else f"they were judged at {set_percent(levels[0])} each, and those that were left at up to {set_percent(levels[-1])} once others had failed"
    )
    waived = any(release.waived for release in releases)
    start = "Apart from what is waived, with a chance of at most" if waived else "With a chance of at most"
    metrics = [result for release in releases for result in release.metrics.values()]
    return [
        f"{start} {alpha} any arm fails that is fine, over all {len(releases)} arms and all metrics: {shared} (Holm's procedure)",
        f"At most {beta} of verdicts pass an arm with harm beyond the bound that they print; {rates_of_what(metrics)}",
        f"With a chance of at most {alpha} an arm is named the best or the worst of any metric and is not",
    ]

"""Words for a rollout: what to do with the traffic, how each stage went, and which error rate covers which decision."""

from __future__ import annotations

from typing import Final

from canaryjudge.explain.layout import (
    as_grid,
    as_markdown_grid,
    cut,
    listed,
    markdown_text,
    on_one_line,
    wrapped,
)
from canaryjudge.explain.numbers import number, set_percent, span_of_time
from canaryjudge.explain.sentences import metric_sentence, one_line, waivers
from canaryjudge.explain.timelines import trend_heading, trend_lines
from canaryjudge.results import DoubtFacts, ReleaseResult, RolloutFacts, StageFacts

__all__ = [
    "looked_at",
    "rollout_heading",
    "rollout_markdown",
    "rollout_reason",
    "rollout_remarks",
    "rollout_text",
    "rollout_why",
    "stage_rows",
]

_LONGEST_LINE: Final = 199
_NEEDS: Final = {"no_harm": "no harm", "proven": "proof", "time": "time"}
_HEADER: Final = ["stage", "canary", "excludes", "needs", "lasted", "how it stands"]
_WAIVERS: Final = {
    "by_time": "time alone leaves it, so beta does not hold there",
    "left_at_deadline": "on_deadline: pass left it undecided, so beta does not hold there",
    "failed_at_deadline": "on_deadline: fail rolled it back undecided, so alpha does not hold there",
    "warned": "on_doubt: warn goes on without metrics whose data are in doubt, so beta does not hold there",
    "doubt_fails": "on_doubt: rollback fails doubtful data, so alpha does not hold there",
}


def rollout_reason(facts: RolloutFacts) -> str:
    """Say in one line of under 200 characters what to do, and why."""
    return cut(on_one_line(f"{rollout_heading(facts)}: {rollout_why(facts)}"), _LONGEST_LINE)


def rollout_text(facts: RolloutFacts, reason: str, *, brief: bool = False) -> str:
    """Explain a rollout: what to do, a table of the stages, what the metrics say, and what is promised."""
    if brief:
        return wrapped(reason)
    blocks = [wrapped(reason), as_grid(_HEADER, _rows(facts))]
    for about, lines in _parts(facts):
        blocks.append("\n".join([f"{about}:", *(wrapped(line, "  ") for line in lines)]))
    return "\n\n".join([*blocks, "\n".join(wrapped(line) for line in rollout_remarks(facts))])


def rollout_markdown(facts: RolloutFacts, reason: str) -> str:
    """Explain a rollout in Markdown."""
    parts = [f"## {markdown_text(reason)}", as_markdown_grid(_HEADER, _rows(facts))]
    for about, lines in _parts(facts):
        parts.append("\n".join([f"{about}:", "", *(f"- {markdown_text(line)}" for line in lines)]))
    return (
        "\n\n".join([*parts, "\n".join(f"- {markdown_text(line)}" for line in rollout_remarks(facts))]) + "\n"
    )


def stage_rows(facts: RolloutFacts) -> tuple[list[str], list[list[str]]]:
    """Give the table of the stages: its header, and its rows in full."""
    return _HEADER, _rows(facts, None)


def rollout_heading(facts: RolloutFacts) -> str:
    """Say what to do."""
    share = set_percent(facts.share)
    if facts.action == "advance":
        return f"ADVANCE to {share}"
    if facts.action == "hold":
        return f"HOLD at {share}"
    return "ROLL BACK" if facts.action == "rollback" else "COMPLETE"


def rollout_why(facts: RolloutFacts) -> str:
    """Say why it does what it does."""
    gone = [stage for stage in facts.stages if stage.status in ("left", "failed")]
    last = gone[-1] if gone else None
    stage, says = (f"stage {last.name}", last.evidence) if last else ("", "")
    if facts.action in ("advance", "complete"):
        how = {
            "time": f"{stage} has had its time",
            "deadline": f"{stage} is over, and the policy passes what is undecided by then",
        }.get(facts.because, f"{stage} excludes what harm it must")
        return f"{how}; {says}"
    if facts.action == "rollback":
        if facts.because == "deadline":
            return f"{stage} is over, and the policy fails what is undecided by then; {says}"
        return f"{_doubts(facts, 'rollback')}" if facts.because == "doubt" else f"{stage}; {says}"
    if facts.because == "doubt":
        return _doubts(facts, "hold")
    left = "" if facts.wait_s is None else f", about {span_of_time(max(facts.wait_s, 1.0))} more"
    if facts.because == "young":
        return f"stage {facts.stage} lasts longer{left}"
    if facts.because == "deadline":
        return f"stage {facts.stage} is over, and it is undecided; {one_line(facts.at_stage)}"
    if facts.because == "release_undecided":
        return f"the last stage is fine, the release as a whole is undecided{left}; {one_line(facts.release)}"
    return f"stage {facts.stage} is undecided{left}; {one_line(facts.at_stage)}"


def _doubts(facts: RolloutFacts, does: str) -> str:
    return "; ".join(_doubt(doubt) for doubt in facts.doubts if doubt.does == does)


def _doubt(doubt: DoubtFacts) -> str:
    """Say what is doubtful, and where."""
    at = f"in stage {doubt.stage}"
    if doubt.cause == "split_mismatch" and doubt.expected is not None and doubt.found is not None:
        got, planned = number(100 * doubt.found), number(100 * doubt.expected)
        return f"{at} the canary got {got} % of the traffic of {doubt.metric}, where the stage gives it {planned} %"
    what = "has an arm without traffic" if doubt.cause == "no_traffic" else "is not what the policy says"
    return f"{at} {doubt.metric} {what}"


def _rows(facts: RolloutFacts, most: int | None = 54) -> list[list[str]]:
    return [
        [
            stage.name,
            set_percent(stage.share),
            _bound(stage),
            _NEEDS[stage.advance],
            "" if stage.began is None or stage.ended is None else span_of_time(stage.ended - stage.began),
            _standing(stage, most),
        ]
        for stage in facts.stages
    ]


def _bound(stage: StageFacts) -> str:
    if stage.advance == "time":
        return "nothing"
    return "pass_within" if stage.bound_times == 1 else f"{number(stage.bound_times, 2)} x pass_within"


def _standing(stage: StageFacts, most: int | None) -> str:
    if stage.status == "ahead":
        return "ahead"
    said = f"{stage.status}: {on_one_line(stage.evidence)}" if stage.evidence else "no data yet"
    return said if most is None else cut(said, most)


def _parts(facts: RolloutFacts) -> list[tuple[str, list[str]]]:
    """Give what grows or fades, and what each metric says."""
    trends = trend_lines(facts)
    return [*([(trend_heading(facts), trends)] if trends else []), *_metrics(facts)]


def looked_at(facts: RolloutFacts) -> list[tuple[str, ReleaseResult]]:
    """Give the present stage's own data, where there are any, and all."""
    parts: list[tuple[str, ReleaseResult]] = [("Since the start", facts.release)]
    present = any(stage.status != "ahead" and stage.name == facts.stage for stage in facts.stages)
    if present and any(result.n_canary for result in facts.at_stage.metrics.values()):
        parts.insert(0, (f"In stage {on_one_line(facts.stage)}", facts.at_stage))
    return parts


def _metrics(facts: RolloutFacts) -> list[tuple[str, list[str]]]:
    """Give what each metric says, of the present stage's own data and of all."""
    return [
        (
            about,
            [
                f"{name} {result.outcome.value.upper()}: {metric_sentence(result, release)}."
                for name, result in release.metrics.items()
            ],
        )
        for about, release in looked_at(facts)
    ]


def rollout_remarks(facts: RolloutFacts) -> list[str]:
    """Say which error rate covers which decision, and what is given up."""
    by_metrics = dict.fromkeys([*waivers(facts.at_stage), *waivers(facts.release)])
    start = "Apart from what is waived, at most" if facts.waived or by_metrics else "At most"
    alpha, beta = set_percent(facts.alpha), set_percent(facts.beta)
    said = [
        f"{start} {alpha} of releases that are fine are rolled back, over all metrics, looks and stages: half of that for the evidence since the start, half shared out over the stages' own.",
        f"At most {beta} of releases with harm beyond pass_within in a required metric are completed, and at most {beta} of those with harm beyond a stage's bound, which is at most all of the level, leave that stage.",
    ]
    said += [f"Doubtful: {_doubt(doubt)} ({doubt.does})." for doubt in facts.doubts]
    waived: dict[str, list[str]] = {}
    for each in facts.waived:
        waived.setdefault(each.what, []).append(each.stage)
    said += [f"Waived in stage {listed(stages)}: {_WAIVERS[what]}." for what, stages in waived.items()]
    return said + [f"Waived: {waiver}." for waiver in by_metrics]

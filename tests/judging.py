"""One pair judged by one rule, and one watched, as `canaryjudge.judging` and `Monitor` do it for each metric of a policy."""

import canaryjudge.results  # noqa: F401 - findings of groups hold any finding, which it knows
from canaryjudge.data import asked_pairs, question_of
from canaryjudge.rules import Horizon, answered, judge_pairs, start_watch


def judge_by(pair, metric, settings, rates, horizon=None):
    """Judge a pair by a rule at its error rates; settings are told in the metric's unit first."""
    return judge_all_by([pair], metric, settings, rates, horizon)[0]


def judge_all_by(pairs, metric, settings, rates, horizon=None):
    """Judge pairs at once as `judge_by` judges one."""
    asked = asked_pairs(((pair, metric, rates) for pair in pairs), horizon or Horizon())
    return judge_pairs([one.row for one in asked], settings.in_unit_of(metric))


def process_by(metric, settings, rates, horizon=None):
    """Start the process of a rule that is watched, at error rates of its own."""
    question = question_of(metric, rates, horizon=horizon)
    return start_watch(question, settings.in_unit_of(metric))._start(question)


def feed(watched, pair):
    """Give a watch, or a process of one, new points; it is asked what it was started with."""
    asked = watched._question.of(
        pair.baseline,
        pair.canary,
        concurrent=pair.pairing == "concurrent",
        edges=pair.edges,
        interval=pair.interval,
        differenced=pair.differenced,
    )
    answered([watched.taking(asked)])

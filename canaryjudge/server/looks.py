"""What is done for one release in a process of its own: begin its watch, take points, look, and write what is to be told of it."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import pickle
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from canaryjudge._version import __version__
from canaryjudge.data.times import iso
from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.integrations.files.layouts import tidy_or_by_arms
from canaryjudge.integrations.prometheus.client import Access
from canaryjudge.integrations.prometheus.queries import QueryOverrides, fetch, fetch_history
from canaryjudge.integrations.sources import FILE_FORMATS, read_table
from canaryjudge.integrations.writers.prometheus import gauges
from canaryjudge.integrations.writers.summary import summary
from canaryjudge.judging import judge
from canaryjudge.monitor import Monitor
from canaryjudge.patterns import Rollout, RolloutVerdict
from canaryjudge.policy import Policy, parse_policy
from canaryjudge.quantities import shown
from canaryjudge.server.policies import PolicyFolder
from canaryjudge.strict_json import RepeatedKeyError, read_strictly
from canaryjudge.verdict import Verdict

__all__ = [
    "MEDIA",
    "PULLED",
    "Batch",
    "Looked",
    "UnreadableReleaseError",
    "Watched",
    "begun",
    "explained",
    "judged",
    "looked",
    "policy_of",
    "pulled",
    "pulled_past",
    "reported",
]

MEDIA: Final = {
    "application/json": "json",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/x-ndjson": "ndjson",
    "application/vnd.apache.parquet": "parquet",
}
"""What points may come in, by its media type."""
PULLED: Final = "pulled"
"""In place of a media type, of points that the gate itself fetched."""
_LOOKS: Final = 240
"""So many looks are remembered, of more every second one."""
_WATCHES: Final = 16
"""Watches that a process keeps at hand."""
_ASKED_ONCE: Final = ("policy", "data", "baseline", "canary", "history")
_AS_EVER: Final = argparse.Namespace(arm_attribute="service.version")
"""The options of OTLP documents."""
_Watch: TypeAlias = Monitor | Rollout


@dataclass(frozen=True, slots=True)
class Batch:
    """Points that came together.

    Attributes
    ----------
    body : bytes
        As they came.
    media : str
        What they are in, a key of `MEDIA`, or `PULLED`.
    id : str or None
        By which a caller that tries again is known; None where the points' times are all there is.
    """

    body: bytes
    media: str
    id: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What it is known by in the store: by its id, and by its id with these points; nothing where it has none."""
        if self.id is None:
            return ()
        own = hashlib.sha256(self.id.encode()).hexdigest()[:32]
        return own, f"{own}:{hashlib.sha256(self.body).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Watched:
    """A release, as it is known so far.

    Attributes
    ----------
    policy : str
        JSON.
    arms : tuple of str
        What the data call baseline and canary.
    state : str
        What `Monitor.to_json` or `Rollout.to_json` gave.
    answer : str
        What was last told, JSON.
    """

    policy: str
    arms: tuple[str, str]
    state: str
    answer: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look.

    Attributes
    ----------
    state, verdict, answer : str
        The watch, what it says in full and in short, as JSON.
    outcome, action : str
        The same in a word each.
    refused : tuple
        Of each batch, why it was not taken: message and hint; None of those that were.
    ended : bool
        Whether no more points are wanted.
    """

    state: str
    verdict: str
    answer: str
    outcome: str
    action: str
    refused: tuple[tuple[str, str] | None, ...] = ()
    ended: bool = False


class UnreadableReleaseError(CanaryJudgeError):
    """What is stored of a release cannot be read here, mostly because a later canaryjudge wrote it: nothing that who asks has done."""


@lru_cache(_WATCHES)
def _policy(text: str) -> Policy:
    try:
        return Policy.model_validate_json(text)
    except ValidationError:
        raise UnreadableReleaseError(
            f"canaryjudge {__version__} cannot read the policy that this release began with",
            "A later version began it: ask a gate of that version.",
        ) from None


_KEPT: OrderedDict[str, _Watch] = OrderedDict()
"""Watches by their states: the next look mostly begins where the last one ended, and reading a state takes longer than a look."""


def _watch(known: Watched, policy: Policy) -> _Watch:
    """Go on with a watch."""
    kept = _KEPT.pop(known.state, None)
    if kept is not None:
        return kept
    kind = Rollout if policy.stages else Monitor
    try:
        return kind.from_json(known.state, policy)
    except DataError as error:
        raise UnreadableReleaseError(f"the release as it is stored: {error.message}", error.hint) from None


def begun(
    policy: str,
    arms: tuple[str, str],
    history: Batch | None,
    own: Mapping[str, Any],
    now: float,
    limit: int,
) -> Looked:
    """Begin a watch."""
    read = _policy(policy)
    past = None if history is None else _read(history, read, arms, limit)
    kind = Rollout if read.stages else Monitor
    watch = kind(read, baseline=arms[0], canary=arms[1], history=past)
    return _told(watch, (), {"own": own}, now, points=0)


def looked(known: Watched, batches: Sequence[Batch], now: float, limit: int) -> Looked:
    """Take points, each batch for itself, and look."""
    policy = _policy(known.policy)
    watch = _watch(known, policy)
    refused: list[tuple[str, str] | None] = []
    taken: list[Any] = []
    for batch in batches:
        try:
            data = _read(batch, policy, known.arms, limit)
            watch.update(data)
            if watch.untimed and batch.id is None and batch.media != PULLED:
                raise DataError(
                    _UNTIMED, "Give the points a time, or each push a header Idempotency-Key of its own."
                )
            taken.append(data)
            refused.append(None)
        except (CanaryJudgeError, RecursionError, MemoryError) as error:
            refused.append(_why(error))
            if not isinstance(error, DataError) or error.message == _UNTIMED:
                watch = _watch(known, policy)  # it may have taken a part of them
                for data in taken:
                    watch.update(data)
    return _told(watch, tuple(refused), json.loads(known.answer), now, points=sum(map(_points, taken)))


_UNTIMED: Final = (
    "the points have no times and no Idempotency-Key, so that a caller who tries again would be counted twice"
)


def _why(error: BaseException) -> tuple[str, str]:
    if isinstance(error, CanaryJudgeError):
        return error.message, error.hint
    if isinstance(error, MemoryError):
        return "there is not enough memory for these points", "Send fewer at once."
    return (
        "the points are nested too deep",
        "Send rows with metric, arm and value, or a mapping of metrics to arms.",
    )


def _read(batch: Batch, policy: Policy, arms: tuple[str, str], limit: int) -> Any:
    """Read points in any form that a file may have."""
    if batch.media == PULLED:
        return pickle.loads(batch.body)  # noqa: S301 - another process of ours wrote it, `pulled`
    segments = () if policy.segments is None else policy.segments.by
    layout = tidy_or_by_arms(
        [metric.name for metric in policy.metrics], arms, segments, by_user=policy.has_users
    )
    stream = io.BytesIO(batch.body)
    stream.name = "the request"
    data = read_table(stream, format=MEDIA[batch.media], layout=layout)
    if isinstance(data, Mapping) and isinstance(data.get("resourceMetrics"), list):
        data = FILE_FORMATS["otlp"].data_of(batch.body.decode(), policy, _AS_EVER)
    if (count := _points(data)) > limit:
        raise DataError(
            f"the request has {count:,} points, and the gate takes {limit:,} at once",
            "Send them in several requests.",
        )
    return data


def _points(data: Any) -> int:
    """Count points, of whatever shape."""
    if isinstance(data, Mapping):
        return sum(
            len(arm.get("value", ()))
            if isinstance(arm, Mapping) and hasattr(arm.get("value", ()), "__len__")
            else len(arm)
            for arms in data.values()
            if isinstance(arms, Mapping)
            for arm in arms.values()
            if hasattr(arm, "__len__")
        )
    return len(data)


def _told(
    watch: _Watch,
    refused: tuple[tuple[str, str] | None, ...],
    last: Mapping[str, Any],
    now: float,
    points: int,
) -> Looked:
    """Look, and write what is to be told."""
    said = watch.verdict()
    state = watch.to_json()
    _KEPT[state] = watch
    while len(_KEPT) > _WATCHES:
        _KEPT.popitem(last=False)
    short = summary(said)
    rollout = isinstance(said, RolloutVerdict)
    looks = [*last.get("looks", ()), [round(now, 3), short.outcome, short.action, short.score, short.share]]
    if len(looks) > _LOOKS:
        looks = [*looks[:-1:2], looks[-1]]
    ended = (
        short.outcome == "fail"
        or short.action in ("rollback", "complete")
        or all(result.watch_over for result in said.metrics.values())
    )
    answer = {
        "outcome": short.outcome,
        "action": short.action,
        "reason": short.reason,
        "score": short.score,
        "no_data": short.lacks_data,
        **({"stage": short.stage, "share": short.share} if rollout else {}),
        "metrics": {
            name: {"outcome": result.outcome.value, "reason": result.reason.value, "role": result.role}
            for name, result in said.metrics.items()
        },
        "points": {name: [result.n_baseline, result.n_canary] for name, result in said.metrics.items()},
        "looked": iso(now),
        "explanation": said.explain(brief=True),
        "taken": last.get("taken", 0) + points,
        "looks": looks,
        "data_until": iso(max(times))
        if (times := [time for time in watch.reached.values() if time is not None])
        else None,
        "reached": dict(watch.reached),
        "own": last.get("own", {}),
        "ended": ended,
        "gauges": [
            [gauge.name, dict(labels), value] for gauge in gauges(said) for labels, value in gauge.samples
        ],
    }
    return Looked(
        state,
        said.to_json(),
        json.dumps(answer, allow_nan=False, ensure_ascii=False),
        short.outcome,
        short.action,
        refused,
        ended=ended,
    )


def read_object(body: bytes) -> dict[str, Any]:
    """Read an object of JSON."""
    try:
        found = read_strictly(body)
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, RepeatedKeyError) else "it is not JSON"
        raise DataError(f"the body: {said}", "Send one object of JSON.") from None
    if not isinstance(found, dict):
        raise DataError("the body is no object of JSON", 'Send {"policy": ..., "data": ...}.')
    return found


def judged(policies: PolicyFolder, body: bytes, limit: int) -> str:
    """Judge finished data once, and remember nothing."""
    document = read_object(body)
    for name in document:
        if name not in _ASKED_ONCE:
            raise DataError(f"the body has {name[:60]!r}", f"It may have: {', '.join(_ASKED_ONCE)}.")
    given, data = document.get("policy"), document.get("data")
    if given is None or data is None:
        raise DataError(
            "the body has no policy, or no data", 'Send {"policy": NAME or document, "data": {...}}.'
        )
    policy = (
        policies.read(given)
        if isinstance(given, str)
        else parse_policy(json.dumps(given), "the request's policy")
    )
    if isinstance(data, dict | list) and (count := _points(data)) > limit:
        raise DataError(
            f"the request has {count:,} points, and the gate takes {limit:,} at once",
            "Judge a shorter window, or fewer metrics at once.",
        )
    arms = {name: document.get(name, name) for name in ("baseline", "canary")}
    for name, arm in arms.items():
        if not isinstance(arm, str):
            raise DataError(f"{name} is {shown(arm)}", "Give the name of an arm.")
    verdict: Verdict = judge(data, policy, **arms, history=document.get("history"))
    return verdict.to_json()


def reported(verdict: str) -> str:
    """Write the report of a verdict."""
    return _verdict_of(verdict).to_html()


def explained(verdict: str) -> str:
    """Write a verdict in sentences."""
    return _verdict_of(verdict).explain() + "\n"


def _verdict_of(text: str) -> Verdict | RolloutVerdict:
    kind = RolloutVerdict if "timeline" in json.loads(text) else Verdict
    return kind.from_json(text)


def pulled(
    policy: str, access: Access, wanted: QueryOverrides, arms: tuple[str, str]
) -> tuple[bytes, list[str]]:
    """Fetch points of a server; the bytes are for `Batch`."""
    found = fetch(_policy(policy), access, wanted, baseline=arms[0], canary=arms[1])
    return pickle.dumps(found.data), found.remarks


def pulled_past(policy: str, access: Access, wanted: QueryOverrides) -> bytes | None:
    """Fetch the baseline's past; None where there is none."""
    found = fetch_history(_policy(policy), access, wanted)
    return pickle.dumps(found.data) if found.data else None


def policy_of(text: str, name: str) -> str:
    """Read a policy in the form that people write, and give it as it is kept: JSON."""
    return parse_policy(text, name).model_dump_json(exclude={"extends"})

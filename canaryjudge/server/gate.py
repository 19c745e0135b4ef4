"""The gate: releases by service and revision, each with a watch that is begun once, takes every point once, and is asked by anybody at any time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.explain import span_of_time
from canaryjudge.explain.layout import cut
from canaryjudge.integrations.prometheus.client import Access
from canaryjudge.integrations.prometheus.queries import QueryOverrides, check_selectors
from canaryjudge.integrations.writers.prometheus import OUTCOMES
from canaryjudge.integrations.writers.summary import Summary as InShort
from canaryjudge.policy import Policy
from canaryjudge.policy.query import timing
from canaryjudge.quantities import shown
from canaryjudge.server import looks
from canaryjudge.server.looks import PULLED, Batch, Looked, Watched
from canaryjudge.server.policies import PolicyFolder
from canaryjudge.server.store import Store, StoredRelease, Summary
from canaryjudge.server.workers import BusyError, Workers

__all__ = [
    "ConflictError",
    "Gate",
    "Key",
    "Limits",
    "Push",
    "Told",
    "UnknownReleaseError",
    "Wish",
    "anybody",
    "unknown",
]

log: Final = logging.getLogger("canaryjudge.gate")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,199}")
_TRIES: Final = 50
"""How often a look is taken anew because another gate was faster."""
_TOGETHER: Final = 64
"""Batches that are taken in one look."""
_SHORTEST_PULL: Final = 5.0
_FIRST_PULL: Final = 1.0
_STALE: Final = 300.0
"""Seconds after which a pass is not one of the present any more, where points are fetched; or five times as long as from one fetch to the next."""
_STALE_PULLS: Final = 5.0
_UNBOUNDED_PULL: Final = 86400.0
"""Seconds that a release is pulled for whose policy names no end."""
_SILENT: Final = {
    "canaryjudge_release_outcome": OUTCOMES["marginal"],
    "canaryjudge_release_no_data": 1.0,
}
"""The gauges of a pass that is one of the past."""
_NOT_SILENT: Final = ("canaryjudge_release_score", "canaryjudge_metric_outcome")
"""Those that it has no more."""
_OWN: Final = ("gauges", "reached", "own", "ended")
"""What the gate keeps of an answer for itself."""
_MOST_WAITING: Final = 1000
"""Pushes of one release that may wait."""
_A_LOOK: Final = 16_000_000
"""Bytes of the batches that are taken in one look, if they are more than one."""
_T = TypeVar("_T")


class UnknownReleaseError(DataError):
    """There is no such release."""


class ConflictError(DataError):
    """A release has begun already, and otherwise."""


class Key(NamedTuple):
    """What tells releases apart."""

    service: str
    revision: str

    @classmethod
    def of(cls, service: str, revision: str) -> Key:
        """Check what a caller calls a release."""
        for what, name in (("service", service), ("revision", revision)):
            if not _NAME.fullmatch(name):
                raise DataError(
                    f"the {what} {shown(name)} is no name",
                    "A name has up to 200 letters, digits and any of . _ : @ + ~ -, and begins with a letter or digit.",
                )
        return cls(service, revision)

    def __str__(self) -> str:
        return f"{self.service} {self.revision}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken.

    Attributes
    ----------
    points : int
        Of one request.
    waiting : int
        Bytes of all pushes that wait for their look.
    """

    points: int = 200_000
    waiting: int = 128_000_000


@dataclass(frozen=True, slots=True)
class Wish:
    """How a release is to be watched; None where the caller leaves it to the gate.

    Attributes
    ----------
    policy : str or None
        Its name; that of the service, or the default, where it is left out.
    document : str or None
        A policy in its place, YAML or JSON.
    baseline, canary : str
        What the data call the arms.
    baseline_selector, canary_selector : str or None
        What stands for ``${selector}``.
    stable : str or None
        The baseline's revision, for ``${stable}`` in the policy's selectors.
    history : Batch or None
        The same metrics when nothing was wrong.
    """

    policy: str | None = None
    document: str | None = None
    baseline: str = "baseline"
    canary: str = "canary"
    baseline_selector: str | None = None
    canary_selector: str | None = None
    stable: str | None = None
    history: Batch | None = None

    def facts(self) -> dict[str, str]:
        """Give what is wished, but for the history, in short texts."""
        given = {
            name: getattr(self, name)
            for name in ("policy", "baseline_selector", "canary_selector", "stable")
            if getattr(self, name) is not None
        }
        given |= {name: getattr(self, name) for name in ("baseline", "canary") if getattr(self, name) != name}
        if self.document is not None:
            given["document"] = hashlib.sha256(self.document.encode()).hexdigest()
        return given


@dataclass(frozen=True)
class Told:
    """What is told of a release.

    Attributes
    ----------
    key : Key
        Which.
    version : int
        How many times it was written: with every look, and with what a tool keeps of it.
    policy_name : str
        By which policy.
    facts : dict
        `outcome`, `action`, `reason` and all else that `looks` writes.
    """

    key: Key
    version: int
    policy_name: str
    started: float
    updated: float
    facts: Mapping[str, Any]

    @property
    def said(self) -> InShort:
        """The same in few words, as all writers take it."""
        facts = self.facts
        counted = {
            name: found["outcome"] for name, found in facts["metrics"].items() if found["role"] != "muted"
        }
        return InShort(
            outcome=facts["outcome"],
            action=facts["action"],
            reason=facts["reason"],
            score=facts["score"],
            failed=tuple(name for name, outcome in counted.items() if outcome == "fail"),
            undecided=tuple(name for name, outcome in counted.items() if outcome == "marginal"),
            lacks_data=facts["no_data"],
            stage=facts.get("stage"),
            share=facts.get("share"),
            metrics={name: found["outcome"] for name, found in facts["metrics"].items()},
        )

    def document(self) -> dict[str, Any]:
        """Give it as callers read it."""
        own = {name: value for name, value in self.facts.items() if name not in _OWN}
        return {
            "service": self.key.service,
            "revision": self.key.revision,
            "policy": self.policy_name,
            "version": self.version,
            **own,
        }

    def as_wished(self, wish: Wish) -> Told:
        """Give itself, if the release is watched as somebody wishes it to be.

        Raises
        ------
        ConflictError
            If it began otherwise.
        """
        own = self.facts["own"]
        for name, value in wish.facts().items():
            here = self.policy_name if name == "policy" else own["wish"].get(name)
            if value != here and (
                own["every"] is not None or name in ("policy", "document", "baseline", "canary")
            ):
                raise ConflictError(
                    f"the release {self.key} is watched with {name} {shown(here)}, and not {shown(value)}",
                    "Leave it out, or delete the release to begin it anew.",
                )
        return self

    @cached_property
    def text(self) -> bytes:
        """The same in JSON, written once for all who ask at the same time."""
        return json.dumps(self.document(), ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(slots=True)
class Push:
    """Points on their way into a watch.

    Attributes
    ----------
    batch : Batch
        The points.
    started : float or None
        When the release began that they are of; None if they are of whichever there is.
    done : asyncio.Future
        What is told after they were taken, or the error why they were not.
    """

    batch: Batch
    started: float | None = None
    done: asyncio.Future[Told] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Gate:
    """Releases, and what is to be done about them.

    Parameters
    ----------
    store : Store
        Where they are kept.
    policies : PolicyFolder
        By what they are judged.
    workers : Workers
        Who judges.
    access : Access, optional
        The server that points are fetched from.
    pullers : Workers, optional
        Who fetches.
    limits : Limits
        How much is taken.
    now : callable
        The time of day, in seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        policies: PolicyFolder,
        workers: Workers,
        *,
        access: Access | None = None,
        pullers: Workers | None = None,
        limits: Limits | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.store, self.policies, self.workers = store, policies, workers
        self.access, self.pullers = access, pullers
        self.limits = limits or Limits()
        self.now = now
        self.looks = self.conflicts = self.repeated = self._held = 0
        self._waiting: dict[Key, list[Push]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: dict[Any, asyncio.Task[Any]] = {}
        self._turns: WeakValueDictionary[Any, asyncio.Lock] = WeakValueDictionary()

    async def begin(self, key: Key, wish: Wish | None = None) -> Told:
        """Begin to watch a release; one that has begun is told as it is.

        Raises
        ------
        UnknownPolicyError
            If there is no policy for it.
        PolicyError, DataError
            If it cannot be watched by its policy, or the history cannot be read.
        """
        wish = wish or Wish()
        name, policy = await self._policy(key, wish)
        now, arms = self.now(), (wish.baseline, wish.canary)
        selectors = self._selectors(key, wish, policy)
        text = policy.model_dump_json(exclude={"extends"})
        history, started = wish.history, now
        settings: dict[str, Any] = {"arms": arms}
        own: dict[str, Any] = {"wish": wish.facts(), "every": None}
        if selectors is not None:
            settings |= selectors
            steps = [timing(metric.query, policy.prometheus)[0] for metric in policy.metrics if metric.query]
            own["every"] = max(_SHORTEST_PULL, min(steps))
            own["until"] = now + (policy.max_duration or _UNBOUNDED_PULL)
            if history is None and self.pullers is not None:
                past = await self.pullers.run(
                    str(key), looks.pulled_past, text, self.access, self._asked(settings, {}, started)
                )
                history = None if past is None else Batch(past, PULLED)
        begun = await self.workers.run(
            str(key), looks.begun, text, arms, history, own, now, self.limits.points
        )
        release = StoredRelease(
            service=key.service,
            revision=key.revision,
            version=0,
            policy_name=name,
            policy=text,
            settings=json.dumps(settings),
            state=begun.state,
            answer=begun.answer,
            verdict=begun.verdict,
            outcome=begun.outcome,
            action=begun.action,
            started=started,
            updated=now,
            next_pull=None if selectors is None else now + _FIRST_PULL,
        )
        await self._kept(self.store.begin, release)
        told = await self.told(key)
        if told is None:
            raise UnknownReleaseError(f"the release {key} was deleted as it began", "Begin it again.")
        return told.as_wished(wish)

    async def _policy(self, key: Key, wish: Wish) -> tuple[str, Policy]:
        """Find the policy that a release is to be judged by."""
        if wish.document is not None:
            text = await self.workers.run(str(key), looks.policy_of, wish.document, "the request's policy")
            return "(given)", Policy.model_validate_json(text)
        if wish.policy is not None:
            return wish.policy, await self._kept(self.policies.read, wish.policy)
        name = await self._kept(self.policies.of_service, key.service)
        return name, await self._kept(self.policies.read, name)

    def _selectors(self, key: Key, wish: Wish, policy: Policy) -> dict[str, Any] | None:
        """Say how points are fetched: what stands for the arms' selectors, and for names in them; None where they are pushed."""
        if self.access is None or any(metric.query is None for metric in policy.metrics):
            return None
        given = wish.baseline_selector, wish.canary_selector
        names = {"service": key.service, "revision": key.revision}
        if wish.stable is not None:
            names["stable"] = Key.of(key.service, wish.stable).revision
        check_selectors(policy, QueryOverrides(given[0], given[1], names=names))
        return {"selectors": given, "names": names}

    async def told(self, key: Key) -> Told | None:
        """Tell what was last found of a release; None where it is not known."""
        return await self._shared(self._told, key)

    def _told(self, key: Key) -> Told | None:
        found = self.store.answer(*key)
        return None if found is None else self.tell(found)

    def tell(self, release: Summary) -> Told:
        """Tell what was last found; where points are fetched and none have come for long, a pass is one of the past, and held."""
        facts = _facts(release.answer)
        own = facts["own"]
        if own["every"] is not None and facts["outcome"] == "pass" and not facts["ended"]:
            times = [time for time in facts["reached"].values() if time is not None]
            until = max([*times, release.started])
            silent, patience = (
                min(self.now(), own["until"]) - until,
                max(_STALE, _STALE_PULLS * own["every"]),
            )
            if silent > patience:
                facts |= _held(facts, silent, until + patience)
        return Told(
            Key(release.service, release.revision),
            release.version,
            release.policy_name,
            release.started,
            release.updated,
            facts,
        )

    async def latest(
        self, limit: int, before: tuple[float, str, str] | None = None, service: str | None = None
    ) -> list[Told]:
        """Tell of the releases that were looked at last, the last one first, as `Store.latest` gives them."""

        def told() -> list[Told]:
            return list(map(self.tell, self.store.latest(limit, before, service)))

        return await self._kept(told)

    async def known(self, key: Key) -> Told:
        """Tell what was last found of a release.

        Raises
        ------
        UnknownReleaseError
            If nobody has begun it.
        """
        told = await self.told(key)
        if told is None:
            raise unknown(key)
        return told

    async def asked(self, key: Key, wish: Wish | None = None) -> Told:
        """Tell what was last found of a release, and begin it where nobody has."""
        told = await self.told(key)
        return await self.begin(key, wish) if told is None else told.as_wished(wish or Wish())

    async def push(
        self, key: Key, batch: Batch, wish: Wish | None = None, *, started: float | None = None
    ) -> Told:
        """Take points, and tell what is found with them. They are in the store when this returns.

        Parameters
        ----------
        key : Key
            Of which release they are.
        batch : Batch
            The points.
        wish : Wish, optional
            How the release is to be watched, which begins with its first points.
        started : float, optional
            When the release began that they are of, if they are of no other, and begin none.

        Raises
        ------
        CanaryJudgeError
            If they are not taken; the release is then as it was.
        """
        if started is None:
            await self.asked(key, wish)
        waiting = self._waiting.get(key, ())
        if len(waiting) >= _MOST_WAITING or self._held + len(batch.body) > self.limits.waiting:
            raise BusyError(
                "more points wait to be taken than the gate can hold", "Send them again in some seconds."
            )
        push = Push(batch, started)
        self._held += len(batch.body)
        push.done.add_done_callback(lambda _: self._let_go(len(batch.body)))
        if key in self._waiting:
            self._waiting[key].append(push)
        else:
            self._waiting[key] = [push]
            task = asyncio.create_task(self._take(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(push.done)

    def _let_go(self, size: int) -> None:
        self._held -= size

    async def _take(self, key: Key) -> None:
        """Take all that waits, and what comes meanwhile, several batches a look."""
        try:
            while waiting := self._waiting[key]:
                size = count = 0
                for push in waiting[:_TOGETHER]:
                    size += len(push.batch.body)
                    if count and size > _A_LOOK:
                        break
                    count += 1
                taken = waiting[:count]
                del waiting[:count]
                try:
                    await self._look(key, taken)
                except Exception as error:  # noqa: BLE001 - whoever pushed is told
                    for push in taken:
                        if not push.done.done():
                            push.done.set_exception(error)
                            push.done.exception()  # nobody may be there to hear it any more
        finally:
            del self._waiting[key]

    async def _look(self, key: Key, taken: Sequence[Push]) -> None:
        """Take batches of points into the watch, whatever other gates do meanwhile."""
        left = list(taken)
        for attempt in range(_TRIES):
            release = await self._kept(self.store.read, *key)
            if release is None:
                raise UnknownReleaseError(f"the release {key} was deleted", "Begin it again.")
            known = await self._known(key, left)
            last = self.tell(release)
            fresh: list[Push] = []
            twins: list[Push] = []
            for push in left:
                names = push.batch.names
                if push.started not in (None, release.started):
                    _refuse(push, UnknownReleaseError(f"the release {key} began anew meanwhile"))
                elif names and names[1] in known:
                    self.repeated += 1
                    _settle(push, last)
                elif names and names[0] in known:
                    _refuse(
                        push,
                        DataError("the Idempotency-Key was that of other points", "Give each push its own."),
                    )
                elif names and any(names[0] == other.batch.names[0] for other in fresh if other.batch.names):
                    twins.append(push)
                else:
                    fresh.append(push)
            left = fresh + twins
            if not fresh:
                return
            settings = json.loads(release.settings)
            watched = Watched(
                release.policy, tuple(settings["arms"]), release.state or "", release.answer or "{}"
            )
            looked: Looked = await self.workers.run(
                str(key),
                looks.looked,
                watched,
                [push.batch for push in fresh],
                self.now(),
                self.limits.points,
            )
            for push, why in zip(fresh, looked.refused, strict=True):
                if why is not None:
                    _refuse(push, DataError(*why))
            accepted = [push for push, why in zip(fresh, looked.refused, strict=True) if why is None]
            left = accepted + twins
            if not accepted:
                if twins:
                    continue
                return
            new = replace(
                release,
                state=looked.state,
                answer=looked.answer,
                verdict=looked.verdict,
                outcome=looked.outcome,
                action=looked.action,
                updated=self.now(),
                next_pull=None if looked.ended else release.next_pull,
            )
            if await self._kept(
                self.store.write, new, [name for push in accepted for name in push.batch.names]
            ):
                self.looks += 1
                told = self.tell(replace(new, version=release.version + 1))
                for push in accepted:
                    _settle(push, told)
                left = twins
                if not left:
                    return
            else:
                await self._was_slower(attempt)
        raise _too_fast(key)

    async def _known(self, key: Key, pushes: Sequence[Push]) -> set[str]:
        """Ask which of the pushes are known."""
        names = [name for push in pushes for name in push.batch.names]
        return set(await self._kept(self.store.known, *key, names)) if names else set()

    async def note(
        self, key: Key, change: Callable[[StoredRelease], tuple[_T, Mapping[str, Any] | None]]
    ) -> _T:
        """Let a tool keep what it must remember of a release.

        Parameters
        ----------
        key : Key
            Which.
        change : callable
            Is given the release, and gives what is to be returned, and the release's settings as they are to be; None if they stay. It is asked
            anew where another gate was faster.

        Raises
        ------
        UnknownReleaseError
            If there is no such release.
        ConflictError
            If others are faster again and again.
        """
        for attempt in range(_TRIES):
            release = await self._release(key)
            found, settings = change(release)
            if settings is None or await self._kept(
                self.store.write, replace(release, settings=json.dumps(settings))
            ):
                return found
            await self._was_slower(attempt)
        raise _too_fast(key)

    async def _was_slower(self, attempt: int) -> None:
        """Wait a little after another gate was faster, so that two do not meet again."""
        self.conflicts += 1
        await asyncio.sleep(random.uniform(0, 0.02 * min(attempt + 1, 10)))  # noqa: S311 - no secret

    async def verdict(self, key: Key) -> str:
        """Give the last verdict in full, as JSON."""
        found = await self._shared(self._verdict, key)
        if found is None:
            raise unknown(key)
        return found

    def _verdict(self, key: Key) -> str | None:
        found = self.store.verdict(*key)
        return None if found is None else found[0] or "{}"

    async def report(self, key: Key) -> str:
        """Give the last verdict as a page."""
        return await self.workers.run(str(key), looks.reported, await self.verdict(key))

    async def explanation(self, key: Key) -> str:
        """Give the last verdict in sentences."""
        return await self.workers.run(str(key), looks.explained, await self.verdict(key))

    async def judge(self, body: bytes) -> str:
        """Judge finished data once, by a policy of the folder or one that is given; nothing of it is kept."""
        return await self.workers.run(anybody(), looks.judged, self.policies, body, self.limits.points)

    async def document(self, body: bytes) -> dict[str, Any]:
        """Read an object of JSON."""
        return await self.workers.run(anybody(), looks.read_object, body)

    async def delete(self, key: Key, started: float | None = None) -> bool:
        """Forget a release; if `started` is given, only the one that began then."""
        return await self._kept(self.store.delete, *key, started)

    async def pull(self, key: Key) -> None:
        """Fetch what is new of a release, and look."""
        release = await self._kept(self.store.read, *key)
        if release is None or release.next_pull is None or self.pullers is None:
            return
        settings, facts, now = json.loads(release.settings), _facts(release.answer), self.now()
        own = facts["own"]
        is_last = now > own["until"]
        until = None if is_last else max(now, release.next_pull) + own["every"]
        if not await self._kept(self.store.claim, *key, release.next_pull, until):
            return
        wanted = self._asked(settings, facts["reached"], release.started)
        if is_last:
            wanted = wanted._replace(at=own["until"])
        data, remarks = await self.pullers.run(
            str(key), looks.pulled, release.policy, self.access, wanted, tuple(settings["arms"])
        )
        for remark in remarks:
            log.warning("remark", extra={"facts": {**key._asdict(), "detail": remark}})
        await self.push(key, Batch(data, PULLED), started=release.started)

    @staticmethod
    def _asked(
        settings: Mapping[str, Any], reached: Mapping[str, float | None], started: float
    ) -> QueryOverrides:
        """Say what is asked of the server: what is new since the last time."""
        return QueryOverrides(
            baseline=settings["selectors"][0],
            canary=settings["selectors"][1],
            since=_Since(reached, started),
            names=settings["names"],
        )

    async def _release(self, key: Key) -> StoredRelease:
        release = await self._kept(self.store.read, *key)
        if release is None:
            raise unknown(key)
        return release

    async def _shared(self, function: Callable[[Key], _T], key: Key) -> _T:
        """Ask the store once for all who want to know the same before it is asked: who asks later waits for the next time, and so hears of all that was acknowledged before."""
        place = function, key
        asked = self._next.get(place)
        if asked is None:
            asked = self._next[place] = asyncio.create_task(self._asked_next(place))
            asked.add_done_callback(_heard)
        found: _T = await asyncio.shield(asked)
        return found

    async def _asked_next(self, place: tuple[Callable[[Key], Any], Key]) -> Any:
        turns = self._turns.get(place)
        if turns is None:
            turns = self._turns[place] = asyncio.Lock()
        async with turns:
            del self._next[place]
            return await self._kept(*place)

    async def _kept(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Ask the store or the disk, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(None, partial(function, *arguments))

    async def close(self) -> None:
        """Finish what is under way, and end the processes."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.workers.timeout)
        for workers in filter(None, (self.workers, self.pullers)):
            await asyncio.to_thread(workers.close)


class _Since(dict[str, float | None]):
    """How far each metric is known; one that is not, from the start on."""

    def __init__(self, reached: Mapping[str, float | None], started: float) -> None:
        super().__init__({name: value for name, value in reached.items() if value is not None})
        self._started = started

    def __reduce__(self) -> Any:
        return _Since, (dict(self), self._started)

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ARG002 - as a mapping has it
        return super().get(key, self._started)


def _held(facts: Mapping[str, Any], silent: float, since: float) -> dict[str, Any]:
    """Give what is otherwise of a pass whose points stopped so many seconds ago, which is one of the past since then."""
    last = facts["looks"][-1]
    reason = f"MARGINAL: no new points for {span_of_time(silent)}; before that it was {facts['reason']}"
    lost = {"outcome": "marginal", "reason": "no_data"}
    return {
        "outcome": "marginal",
        "action": "hold",
        "no_data": True,
        "score": None,
        "reason": cut(reason, 199),
        "metrics": {
            name: metric | lost if metric["outcome"] == "pass" else metric
            for name, metric in facts["metrics"].items()
        },
        "looks": [*facts["looks"], [max(since, last[0]), "marginal", "hold", None, last[4]]],
        "gauges": [
            [name, labels, _SILENT.get(name, value)]
            for name, labels, value in facts["gauges"]
            if name not in _NOT_SILENT
        ],
    }


def _too_fast(key: Key) -> ConflictError:
    return ConflictError(
        f"the release {key} is written to faster than it can be judged",
        "Send more points at once, and more rarely.",
    )


def unknown(key: Key) -> UnknownReleaseError:
    """Say that there is no such release."""
    return UnknownReleaseError(
        f"there is no release {key.revision!r} of {key.service!r}",
        "Push its points, or ask for its verdict, to begin it.",
    )


def anybody() -> str:
    """Name a process: any."""
    return str(random.random())  # noqa: S311 - no secret


def _facts(answer: str | None) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(answer or "{}")
    return facts


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of an error that nobody may be there to hear any more."""
    if not task.cancelled():
        task.exception()


def _settle(push: Push, told: Told) -> None:
    if not push.done.done():
        push.done.set_result(told)


def _refuse(push: Push, error: CanaryJudgeError) -> None:
    if not push.done.done():
        push.done.set_exception(error)
        push.done.exception()

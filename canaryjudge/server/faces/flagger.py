"""Flagger: its webhooks, a path each. A status up to 202 is a yes; a no to some of them waits, to others it is a failed check, and a yes to `rollback` rolls back.

Flagger asks `confirm-traffic-increase` before every step, from no traffic on, and asks it again where the step was not made; it does not always say how
much traffic the canary has. So the gate keeps what it knows of that, and says yes once from each place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.explain.layout import cut, on_one_line
from canaryjudge.integrations.writers.flagger import FLAGGER_HOOKS, flagger_answer, flagger_hook
from canaryjudge.integrations.writers.summary import PLAIN, Answer
from canaryjudge.server.asking import WISHES, wish_of
from canaryjudge.server.gate import Gate, Key, Told
from canaryjudge.server.guards import Bodies, Refused
from canaryjudge.server.looks import read_object
from canaryjudge.server.openapi import answer, does, in_path, plain, wishes
from canaryjudge.server.store import StoredRelease

__all__ = ["describe", "routes"]

_LONGEST: Final = 65_536
"""Bytes of a body; Flagger's have some hundred."""
_SAME: Final = 8.0
"""Seconds in which a question that comes again is the same one: Flagger's shortest interval is 10."""
_TELLS: Final = ("confirm-rollout", "post-rollout", "event")
"""Hooks that begin no release: two tell what was, and before confirm-rollout somebody may wait for days."""
_OVER: Final = ("Succeeded", "Failed")
_WEIGHT: Final = re.compile(r"canary weight (\d{1,3})$")
_KEPT: Final = "flagger"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where Flagger is with a release, as far as it has told.

    Attributes
    ----------
    weight : float or None
        The canary's share of the traffic, in percent; None where it is not known.
    steps : int
        How often it was told to go on.
    since : float or None
        When it was told so from this place; None if it was not yet.
    over : bool
        Whether it has promoted the release or rolled it back.
    """

    weight: float | None = None
    steps: int = 0
    since: float | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a webhook says.

    Attributes
    ----------
    key : Key
        Of which release it is.
    phase : str
        The canary's.
    metadata : dict
        Of the webhook.
    weight : float or None
        The canary's share of the traffic, in percent; older ones do not say.
    """

    key: Key
    phase: str
    metadata: Mapping[str, str]
    weight: float | None


def routes(gate: Gate, bodies: Bodies) -> list[Route]:
    """Give the routes: POST /flagger/HOOK."""

    async def asked(request: Request) -> Response:
        """Say yes or no, and why in one line."""
        hook = request.path_params["hook"]
        try:
            flagger_hook(hook)
        except DataError as error:
            return _refusal(404, error.message, error.hint)
        try:
            question = _read(request, await bodies.read(request, _LONGEST))
            wish = wish_of(
                request, {name: text for name, text in question.metadata.items() if name in WISHES}
            )
            found = await _answered(gate, hook, question, wish)
        except Refused as error:
            return _refusal(error.status, error.detail, error.hint)
        except CanaryJudgeError as error:
            found = flagger_answer(error, hook)
        return PlainTextResponse(found.body, found.status)

    return [Route("/flagger/{hook}", asked, methods=["POST"])]


def _refusal(status: int, detail: str, hint: str) -> Response:
    return PlainTextResponse(cut(f"ERROR: {on_one_line(f'{detail}. {hint}')}", 199) + "\n", status)


def _read(request: Request, body: bytes) -> _Asked:
    """Read what Flagger posts."""
    document = read_object(body)
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise DataError("metadata is no object of JSON", "Is it what Flagger posts?")
    own = {**metadata, **request.query_params}
    service, revision = own.get("service"), own.get("revision", document.get("checksum"))
    if (
        service is None
        and isinstance(document.get("name"), str)
        and isinstance(document.get("namespace"), str)
    ):
        service = f"{document['name']}.{document['namespace']}"
    if not isinstance(service, str) or not isinstance(revision, str):
        raise DataError(
            "the body has no name and namespace, or no checksum",
            "Flagger posts them; where an old one does not, name service and revision in the webhook's metadata.",
        )
    weight = document.get("canaryWeight")
    known = isinstance(weight, int | float) and not isinstance(weight, bool) and 0 <= weight <= 100
    return _Asked(
        Key.of(service, revision),
        str(document.get("phase", "")),
        metadata,
        float(weight) if known and weight is not None else None,
    )


async def _answered(gate: Gate, hook: str, asked: _Asked, wish: Any) -> Answer:
    told = await gate.told(asked.key)
    if told is None and (hook in _TELLS or (hook == "rollback" and asked.phase == "Waiting")):
        return Answer(409 if hook == "rollback" else 200, f"nothing is known of {asked.key} yet\n", PLAIN)
    if told is not None and hook not in _TELLS and await gate.note(asked.key, _ends_again):
        await gate.delete(asked.key, told.started)
        told = None
    told = await gate.begin(asked.key, wish) if told is None else told.as_wished(wish)
    if hook == "confirm-traffic-increase":
        return await _increase(gate, told, asked)
    if hook in ("pre-rollout", "post-rollout", "event"):
        await gate.note(asked.key, lambda release: (None, _noted(release, hook, asked)))
    return flagger_answer(told.said, hook)


def _ends_again(release: StoredRelease) -> tuple[bool, None]:
    """Tell whether a release is over and not failed: the same version, deployed anew, is judged anew."""
    return _place(release).over and release.outcome != "fail", None


def _noted(release: StoredRelease, hook: str, asked: _Asked) -> dict[str, Any] | None:
    """Keep what a hook tells of the place."""
    place = _place(release)
    moved = _WEIGHT.search(str(asked.metadata.get("eventMessage", ""))) if hook == "event" else None
    new = place
    if hook == "pre-rollout":
        new = _Place(weight=0.0)
    elif moved is not None:
        new = replace(place, weight=float(moved[1]), since=None)
    if hook != "pre-rollout" and asked.phase in _OVER:
        new = replace(new, over=True)
    return None if new == place else _keeping(release, new)


async def _increase(gate: Gate, told: Told, asked: _Asked) -> Answer:
    """Say whether the canary may have more traffic."""
    facts = told.facts
    if facts["outcome"] in ("pass", "fail"):
        return flagger_answer(told.said, "confirm-traffic-increase")
    now = gate.now()
    more = await gate.note(asked.key, lambda release: _may_step(release, told, asked.weight, now))
    share = f"{100 * facts['share']:g} % of the traffic" if "share" in facts else "the first step"
    if more:
        return Answer(200, f"the canary may have {share}\n", PLAIN)
    return Answer(409, cut(f"WAIT at {share}: {facts['reason']}", 199) + "\n", PLAIN)


def _may_step(
    release: StoredRelease, told: Told, weight: float | None, now: float
) -> tuple[bool, dict[str, Any] | None]:
    """Tell whether Flagger may make a step while nothing is decided: to the first traffic, or as far as the stage goes; and what is to be kept then."""
    share = 100 * told.facts["share"] if "share" in told.facts else None

    def below(weight: float) -> bool:
        return weight == 0 if share is None else weight < share - 1e-9

    if weight is not None:
        return below(weight), None
    place = _place(release)
    if place.since is not None and now - place.since < _SAME:
        return True, None
    if place.weight is not None and place.since is None:
        more = below(place.weight)
    else:
        more = place.steps <= _stage(release, told)
    if not more:
        return False, None
    return True, _keeping(release, replace(place, steps=place.steps + 1, since=now))


def _stage(release: StoredRelease, told: Told) -> int:
    """Tell how many stages a release has left behind."""
    shares = [stage["canary"] for stage in json.loads(release.policy).get("stages") or ()]
    return sum(share < told.facts["share"] for share in shares) if shares else 0


def _place(release: StoredRelease) -> _Place:
    return _Place(**json.loads(release.settings).get(_KEPT, {}))


def _keeping(release: StoredRelease, place: _Place) -> dict[str, Any]:
    return {**json.loads(release.settings), _KEPT: asdict(place)}


def describe() -> dict[str, Any]:
    """Describe the routes."""
    hook = in_path("hook") | {"schema": {"type": "string", "enum": list(FLAGGER_HOOKS)}}
    others = {
        str(status): answer(said, plain())
        for status, said in (
            (400, "It cannot be unpacked."),
            (404, "Flagger has no such type."),
            (408, "It was too slow."),
            (409, "No."),
            (413, "It is too large."),
            (415, "It is packed otherwise than by gzip."),
            (500, "Nothing was judged."),
        )
    }
    body = {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "namespace": {"type": "string"},
                    "phase": {"type": "string"},
                    "checksum": {"type": "string"},
                    "canaryWeight": {"type": "number"},
                    "metadata": {"type": "object"},
                },
            }
        }
    }
    said = "A webhook of Flagger: 200 is a yes; the body says why, in one line."
    return {"/flagger/{hook}": {"parameters": [hook], "post": does(said, plain(), others, wishes(), body)}}

"""A pipeline's side, played: its command lines run by a shell as they stand, against a Prometheus server whose releases end as they are told to."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from fake_prometheus import body, error, serving

OUTCOMES = {"pass": 0, "fail": 1, "marginal": 3, "no data": 4, "down": 2}
"""How each release ends, and canaryjudge's exit code; of `down` Prometheus cannot say."""
PROMETHEUS = "http://prometheus.monitoring:9090"
_FASTER = {"0.1": 0.5, "0.25": 0.9, "0.5": 0.97, "1": 0.995, "+Inf": 1.0}
_SLOWER = {"0.1": 0.1, "0.25": 0.4, "0.5": 0.8, "1": 0.97, "+Inf": 1.0}
_DAY = 86400.0


class Service:
    """What Prometheus has of a service whose version 1.5 is the canary, at shares of the traffic that change."""

    def __init__(self, outcome, share=0.5):
        self.outcome = outcome
        self.shares = [(time.time() - 2 * _DAY, share)]
        self.a_minute = 6 if outcome == "marginal" else 60_000
        self.bad_from = 0.0

    def requests(self, canary, at):
        """All requests that an arm had answered by then."""
        total, begun = 0.0, [*self.shares, (at, 0.0)]
        for (since, share), (until, _) in itertools.pairwise(begun):
            part = share if canary else 1 - share
            total += max(0.0, min(until, at) - since) * part * self.a_minute / 60.0
        return total

    def value(self, query, at, le):
        """A counter."""
        canary = 'version="1.5"' in query
        worse = canary and self.outcome == "fail"
        requests = self.requests(canary, at)
        harmed = (
            max(0.0, requests - self.requests(canary, max(self.bad_from, self.shares[0][0])))
            if worse
            else 0.0
        )
        if le is not None:
            return int((requests - harmed) * _FASTER[le] + harmed * _SLOWER[le])
        if "code=" in query:
            return int(0.01 * (requests - harmed) + 0.06 * harmed)
        return int(requests)

    def reply(self, handler, question):
        """Answer a query of a range."""
        if self.outcome == "down":
            error("unavailable", "the server is starting", status=503)(handler, question)
            return
        query = question["query"]
        start, end, step = (float(question[name]) for name in ("start", "end", "step"))
        times = [start + step * number for number in range(int((end - start) / step) + 1)]
        of = [{"le": le} for le in _FASTER] if "_bucket" in query else [{}]
        gone = self.outcome == "no data" and 'version="1.5"' in query
        result = [
            {"metric": one, "values": [[at, str(self.value(query, at, one.get("le")))] for at in times]}
            for one in ([] if gone else of)
        ]
        body(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))(
            handler, question
        )


class Pipeline:
    """A folder with a policy, scripts of the release's that note that they were called, and a shell with canaryjudge in it."""

    def __init__(self, folder, warm, service):
        self.folder, self.service, self.server = folder, service, None
        self.programs = folder / "programs"
        self.programs.mkdir()
        (folder / "clock").write_text("")
        # a watch is in no hurry, and tests are; steps are told the time, which their pauses let pass
        self.program(
            "canaryjudge",
            f'case $1 in watch) set -- "$@" --for=1s --interval=1s ;; rollout) set -- "$@" --at="$(cat \'{folder}/clock\')" ;; esac\n'
            f"exec '{warm}/canaryjudge' \"$@\"",
        )
        self.program("pip", "exit 0")
        for name in ("deploy-canary", "promote", "roll-back"):
            self.script(name)
        policy = Path(__file__).parents[1] / "docs/examples/integrations/policy.yaml"
        (folder / "policy.yaml").write_bytes(policy.read_bytes())

    def program(self, name, text):
        """Put a program in front of all others."""
        (self.programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (self.programs / name).chmod(0o700)

    def script(self, name):
        """Write a script that notes how it was called."""
        file = self.folder / f"{name}.sh"
        file.write_text(f"#!/bin/sh\necho {name} \"$1\" >> '{self.folder}/calls'\n", encoding="utf-8")
        file.chmod(0o700)

    @property
    def calls(self):
        """What was called."""
        file = self.folder / "calls"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def run(self, command, environment=None, **paths):
        """Run words, or a script by a shell; `paths` are what paths of the manifest are here."""
        words = ["sh", "-ec", command] if isinstance(command, str) else list(command)
        for there, here in {PROMETHEUS: self.server.url, **paths}.items():
            words = [word.replace(there, str(here)) for word in words]
        path = os.pathsep.join([str(self.programs), os.environ["PATH"]])
        return subprocess.run(
            words,
            cwd=self.folder,
            env={"PATH": path, "HOME": str(self.folder), **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@contextmanager
def played(folder, warm, outcome, **how):
    """Give a pipeline whose release ends so."""
    pipeline = Pipeline(folder, warm, Service(outcome, **how))
    with serving(pipeline.service.reply) as pipeline.server:
        yield pipeline


def evaluated(condition, values):
    """Say whether a condition such as ``a.b == 'c' && always()`` holds."""
    text = re.sub(r"[a-z]+(?:\.[\w-]+)+", lambda found: repr(values[found[0]]), condition)
    text = text.replace("&&", " and ").replace("||", " or ").replace("always()", "True")
    return bool(eval(text, {"__builtins__": {}}))  # noqa: S307 - our own manifests

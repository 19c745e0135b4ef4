"""The recipes' manifests, and a gate that answers what they ask: at its address alone, with its token alone, and away when a test says so."""

from __future__ import annotations

import base64
import json
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from server.faces.calling import START, minutes
from server.gates import Clock, asking

from canaryjudge.server.app import Settings
from canaryjudge.server.policies import PolicyFolder
from canaryjudge.server.store import Store, StoreError

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs/examples/integrations"
COUNTS = {
    "pass": {"count": 60},
    "fail": {"count": 12, "errors": 60},
    "marginal": {"count": 3},
}
"""How many minutes, and how many errors of the canary's 1,000 requests a minute, of which the baseline has 10."""


def documents(name):
    """Read all documents of a manifest."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    return [json.loads(text)] if name.endswith(".json") else list(YAML(typ="safe").load_all(text))


def kinds(found, kind):
    """Give the documents of a kind, by name."""
    return {document["metadata"]["name"]: document for document in found if document.get("kind") == kind}


GATE = documents("gate/gate.yaml")
TOKEN = kinds(GATE, "Secret")["gate-token"]["stringData"]["token"]
POLICIES = kinds(GATE, "ConfigMap")["gate-policies"]["data"]
_SERVICE = kinds(GATE, "Service")["gate"]
ADDRESS = f"{_SERVICE['metadata']['name']}.{_SERVICE['metadata']['namespace']}:{_SERVICE['spec']['ports'][0]['port']}"


def mounted(folder, texts=None):
    """Lay a ConfigMap out as a kubelet mounts it: files that are links to what is behind a link that is exchanged."""
    real = folder / "..2026_12_01"
    real.mkdir(parents=True)
    (folder / "..data").symlink_to(real.name)
    for name, text in (texts or POLICIES).items():
        (real / name).write_text(text, encoding="utf-8")
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def points(policy, outcome):
    """Points by which a release comes to an outcome; counters where the policy has such."""
    found = {"errors": minutes(**COUNTS[outcome])["errors"]}
    if YAML(typ="safe").load(POLICIES[f"{policy}.yaml"])["metrics"][0].get("counter"):
        for columns in found["errors"].values():
            for name in ("value", "total"):
                columns[name] = [sum(columns[name][: end + 1]) for end in range(len(columns[name]))]
    return found


class World:
    """The network between a tool and the gate.

    Attributes
    ----------
    away : str
        ``refused`` where nothing listens, ``slow`` where no answer comes in time, ``store`` where the gate is there and its store is not; nothing where all is well.
    """

    def __init__(self, asked, clock):
        self._asked, self.clock, self.away = asked, clock, ""
        self.questions = 0

    def ask(self, method, url, headers=None, **how):
        """Ask as Go's and curl's clients do: a user in the address becomes basic authentication."""
        self.questions += 1
        parts = urlsplit(url)
        assert parts.netloc.rpartition("@")[2] == ADDRESS
        headers = dict(headers or {})
        if parts.username is not None:
            headers["Authorization"] = (
                "Basic " + base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
            )
        if self.away in ("refused", "slow"):
            raise {"refused": ConnectionRefusedError, "slow": TimeoutError}[self.away](url)
        with ExitStack() as stack:
            if self.away == "store":
                for name in ("answer", "read", "latest"):
                    stack.enter_context(patch.object(Store, name, _lost))
            query = f"?{parts.query}" if parts.query else ""
            return self._asked(method, parts.path + query, headers=headers, **how)

    def feed(self, service, revision, policy, outcome):
        """Let a release come to an outcome; without data there is nothing to do."""
        if outcome != "no_data":
            own = {"Authorization": f"Bearer {TOKEN}"}
            path = f"/v1/releases/{service}/{revision}"
            told = self._asked("POST", path, json=points(policy, outcome), headers=own).json()
            assert told["outcome"] == outcome, told

    def releases(self):
        """List what the gate has, by service and revision."""
        own = {"Authorization": f"Bearer {TOKEN}"}
        listed = self._asked("GET", "/v1/releases", headers=own).json()["releases"]
        return {(one["service"], one["revision"]): one for one in listed}


def _lost(*_):
    raise StoreError("postgresql://gate@db/gate: the server is away", "See that it runs.")


@contextmanager
def world(tmp_path):
    """Give a world whose gate has the policies and the token of gate.yaml."""
    clock = Clock(START)
    folder = PolicyFolder(str(mounted(tmp_path / "policies")))
    with asking(tmp_path, Settings(tokens=[TOKEN]), folder=folder, now=clock) as asked:
        yield World(asked, clock)

"""Two releases through the gate, on this machine: python demo.py.

It starts a stable and a canary version of a web service, a Prometheus that scrapes both every second, and `canaryjudge serve`, which fetches from it.
Traffic goes to both by weight. Then two deploy tools are played, as they ask: Flagger's loop takes version 1.5, one answer in eight of which is an error, and
is told to roll it back; Argo Rollouts' analysis takes version 1.6, which is fine, and is told to promote it. The page of the gate shows both.
It needs canaryjudge[server] and the program prometheus, Debian's package of that name, and takes two to three minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "prometheus"))

import demo as parts  # noqa: E402 - the services and the Prometheus of the example beside this one

USERS = 6
PAUSE = 0.008
INTERVAL = 5.0
GIVE_UP = 150.0


class Router:
    """Sends users to the stable version and to the canary, by weight."""

    def __init__(self, stable: int) -> None:
        self.stable, self.canary, self.weight = stable, stable, 0
        self._over = threading.Event()
        self._users = [threading.Thread(target=self._visit, args=(user,)) for user in range(USERS)]

    def __enter__(self) -> Self:
        for user in self._users:
            user.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for user in self._users:
            user.join()

    def _visit(self, user: int) -> None:
        chance = random.Random(user)  # noqa: S311 - no secrets are drawn
        while not self._over.wait(PAUSE):
            port = self.canary if 100 * chance.random() < self.weight else self.stable
            with contextlib.suppress(OSError, http.client.HTTPException):
                asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                asked.request("GET", "/")
                asked.getresponse().read()
                asked.close()


def ask(url: str, body: object = None) -> tuple[int, str]:
    """Ask by HTTP, as a tool does: status and body of the answer."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})  # noqa: S310 - of this machine
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@contextlib.contextmanager
def gate(prometheus: str, folder: str) -> Iterator[str]:
    """Run the gate; its address."""
    port = parts.free_port()
    command = [
        sys.executable,
        "-m",
        "canaryjudge.cli",
        "serve",
        "--policies",
        str(HERE / "policies"),
        "--prometheus",
        prometheus,
    ]
    command += ["--store", f"sqlite:///{folder}/gate.db", "--port", str(port)]
    log = Path(folder) / "gate.log"
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as running:  # noqa: S603 - our own program
        try:
            for _ in range(150):
                with contextlib.suppress(OSError):
                    if ask(f"http://127.0.0.1:{port}/readyz")[0] == 200:
                        break
                if running.poll() is not None:
                    raise SystemExit(log.read_text(encoding="utf-8"))
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()


def flagger(gate_url: str, router: Router, revision: str, stable: str) -> bool:
    """Play Flagger's loop, in which webhooks are asked before every step of the weight; True where it promotes."""
    body = {"name": "shop", "namespace": "demo", "checksum": revision, "metadata": {"stable": stable}}

    def says_yes(hook: str, phase: str = "Progressing") -> bool:
        status, said = ask(f"{gate_url}/flagger/{hook}", {**body, "phase": phase})
        if hook == "rollout":
            print(f"  Flagger, weight {router.weight}: {status} {said.strip()}", flush=True)
        return status <= 202

    if not (says_yes("confirm-rollout", "Waiting") and says_yes("pre-rollout")):
        return False
    failed, begun = 0, time.monotonic()
    while time.monotonic() - begun < GIVE_UP:
        failed += router.weight > 0 and not says_yes("rollout")
        if failed >= 2 or says_yes("rollback"):  # a yes to this one rolls back
            return False
        if router.weight == 50 and says_yes("confirm-promotion"):
            return True
        if router.weight < 50 and says_yes("confirm-traffic-increase"):
            router.weight += 25
            body["metadata"] |= {"eventMessage": f"Advance shop.demo canary weight {router.weight}"}
            says_yes("event")
        time.sleep(INTERVAL)
    return False


def argo(gate_url: str, router: Router, revision: str, stable: str) -> bool:
    """Play an analysis of Argo Rollouts with its web provider: a measurement every interval, until one is successful, or one fails; True where it promotes."""
    router.weight = 50  # setWeight: 50
    begun = time.monotonic()
    while time.monotonic() - begun < GIVE_UP:
        time.sleep(INTERVAL)
        status, said = ask(f"{gate_url}/argo/shop.demo/{revision}?stable={stable}")
        if status != 200:
            print(f"  Argo Rollouts: error, {said.strip()}", flush=True)
            continue
        result = json.loads(said)["verdict"]  # jsonPath: {$.verdict}
        if result["outcome"] == "pass":  # successCondition: result.outcome == "pass"
            print(f"  Argo Rollouts: successful, {result['reason']}", flush=True)
            return True
        if result["outcome"] == "fail":  # failureCondition: result.outcome == "fail"
            print(f"  Argo Rollouts: failed, {result['reason']}", flush=True)
            return False
        print(f"  Argo Rollouts: inconclusive, {result['reason']}", flush=True)
    return False


def main() -> int:
    """Play both releases; 0 where the bad one is rolled back and the good one promoted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", metavar="FILE", help="write the gate's page of releases there at the end")
    parser.add_argument(
        "--stay",
        action="store_true",
        help="leave the gate there at the end, to look at its page, until Ctrl-C",
    )
    options = parser.parse_args()
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("prometheus is not installed: apt-get install --no-install-recommends prometheus")
    canary_port = parts.free_port()
    right = True
    with contextlib.ExitStack() as stack:
        (stable_port,) = stack.enter_context(parts.services([["--version", "1.4"]]))
        url = stack.enter_context(parts.prometheus(program, [stable_port, canary_port]))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        at = stack.enter_context(gate(url, folder))
        router = stack.enter_context(Router(stable_port))
        print(f"the gate is at {at}/", flush=True)
        for tool, version, fail, name in (
            (flagger, "1.5", "0.125", "Flagger"),
            (argo, "1.6", "0.01", "Argo Rollouts"),
        ):
            with parts.services([["--version", version, "--fail", fail, "--port", str(canary_port)]]):
                print(
                    f"{name} takes version {version}, of which {100 * float(fail):g} % of the answers are errors",
                    flush=True,
                )
                router.canary = canary_port
                promoted = tool(at, router, version, "1.4")
                router.weight = 0
            print(
                f"{name}: version {version} {'is promoted' if promoted else 'is rolled back'}\n", flush=True
            )
            right &= promoted is (version == "1.6")
        if options.page:
            Path(options.page).write_text(ask(f"{at}/")[1], encoding="utf-8")
        if options.stay:
            with contextlib.suppress(KeyboardInterrupt):
                print(f"look at {at}/, and end it with Ctrl-C", flush=True)
                threading.Event().wait()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())

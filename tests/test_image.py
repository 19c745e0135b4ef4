"""The container image: what the Containerfile says of it, and, where Debian's buildah is, the image itself, built and run."""

import contextlib
import http.server
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from canaryjudge import __version__

ROOT = Path(__file__).parents[1]
CHECKOUT = ROOT / "docs" / "examples" / "checkout"
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "container.md").read_text(encoding="utf-8")
INSTRUCTIONS = re.findall(
    r"^([A-Z]+) (.*)$",
    re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.MULTILINE).replace("\\\n", " "),
    re.MULTILINE,
)
USER = 65532
PYTHON = "/opt/canaryjudge/bin/python"


def said(instruction):
    """The last of an instruction, which holds."""
    return [text for name, text in INSTRUCTIONS if name == instruction][-1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_it_takes_the_wheel_its_constraints_and_nothing_else():
    taken = [text for name, text in INSTRUCTIONS if name in ("COPY", "ADD") and "--from" not in text]
    assert taken == ["constraints.txt build/dist/canaryjudge-*.whl /wheel/"]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored == ["*", "!constraints.txt", "!build/dist/*.whl"]


def test_it_is_nobodys_and_its_process_is_the_command_itself():
    assert said("USER") == f"{USER}:{USER}"
    assert json.loads(said("ENTRYPOINT")) == ["canaryjudge"]
    assert (said("VOLUME"), said("WORKDIR"), said("EXPOSE")) == ("/data", "/data", "8080")


class Health(http.server.BaseHTTPRequestHandler):
    """A gate that is as well as its server's `status` says."""

    def do_GET(self):
        self.send_response(self.server.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("command", "status", "healthy"),
    [
        ("serve", 200, True),
        ("serve", 503, False),
        ("serve", None, False),
        ("judge", None, True),
        ("watch", 503, True),
    ],
)
def test_its_health_is_that_of_the_gate_and_of_no_other_command(tmp_path, command, status, healthy):
    """The very check, but for where the process is said to be and the port."""
    check = json.loads(said("HEALTHCHECK").partition("CMD ")[2])
    assert check[0] == PYTHON
    (tmp_path / "cmdline").write_text(f"python\0canaryjudge\0{command}\0--port\08080\0", encoding="utf-8")
    port = free_port()
    code = check[2].replace("/proc/1/cmdline", str(tmp_path / "cmdline")).replace(":8080", f":{port}")
    environment = os.environ | {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    with contextlib.ExitStack() as stack:
        if status is not None:
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", port), Health))
            server.status = status
            threading.Thread(target=server.serve_forever).start()
            stack.callback(server.shutdown)
        run = subprocess.run(
            [sys.executable, *check[1:2], code], env=environment, capture_output=True, check=False, timeout=60
        )
    assert (run.returncode == 0) is healthy, run.stderr


def test_the_page_says_what_the_file_says():
    for fact in (f"`{USER}`", "`/data`", "`8080`", "`EXTRAS`", "`BASE`", said("ARG").partition("=")[2]):
        assert fact in PAGE, fact
    assert dict(text.split("=") for name, text in INSTRUCTIONS if name == "ARG")["BASE"] in PAGE


# From here on the image itself: Debian's buildah makes it, on a base of Debian's Python, as no registry is asked by a test.

MISSING = [program for program in ("buildah", "mmdebstrap", "unshare") if shutil.which(program) is None]
built = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (make system)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="building an image without a registry takes root"),
]


def slow(test):
    for mark in built:
        test = mark(test)
    return test


class Image:
    """The image in a store of its own, and a container of it, whose file system is at `root`."""

    def __init__(self, folder):
        self.folder = folder
        self.store = ["--root", folder / "store", "--runroot", folder / "run", "--storage-driver", "vfs"]
        self._base()
        context = folder / "context"
        context.mkdir()
        for name in ("Containerfile", ".dockerignore", "constraints.txt"):
            shutil.copy(ROOT / name, context / name)
        (context / "secret.txt").write_text("not for the image", encoding="utf-8")
        wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*wheel, "--wheel-dir", context / "build" / "dist", ROOT], check=True)
        # vfs copies whole layers: none are kept in between; only the format `docker` has health checks
        make = ["build", "--quiet", "--isolation", "chroot", "--layers=false", "--format", "docker"]
        self.buildah(*make, "--build-arg", "BASE=localhost/base", "--tag", "canaryjudge", context)
        self.config = json.loads(self.buildah("inspect", "--type", "image", "localhost/canaryjudge"))[
            "Docker"
        ]["config"]
        self.container = self.buildah("from", "localhost/canaryjudge")
        self.root = Path(self.buildah("mount", self.container))

    def buildah(self, *arguments):
        run = subprocess.run(
            ["buildah", *self.store, *arguments], capture_output=True, text=True, check=False, timeout=900
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout.strip()

    def _base(self):
        """A slim Debian with its Python, which finds packages where this machine does."""
        tar, settings = self.folder / "base.tar", self.folder / "pip.conf"
        suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
        packages = "--include=ca-certificates,python3-pip,python3-venv"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", packages, suite, tar],
            env=os.environ | {"TMPDIR": str(self.folder)},
            check=True,
        )
        authorities = "/etc/ssl/certs/ca-certificates.crt"
        known = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
        ).stdout
        index = re.findall(r"^(?:global|user|site|:env:)\.(index-url)='(.*)'$", known, re.MULTILINE)
        lines = ["[global]", f"cert = {authorities}", *(f"{name} = {value}" for name, value in index)]
        settings.write_text("\n".join(lines), encoding="utf-8")
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, tar, "/")
        tar.unlink()
        self.buildah("copy", "--quiet", container, authorities, authorities)
        self.buildah("copy", "--quiet", container, settings, "/etc/pip.conf")
        self.buildah("commit", "--quiet", "--rm", "--format", "docker", container, "localhost/base")

    def run(self, *arguments, options=()):
        """Run the image as buildah does."""
        command = ["buildah", *self.store, "run", "--isolation", "chroot", *options, self.container, "--"]
        return subprocess.run(
            [*command, *self.config["Entrypoint"], *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @contextlib.contextmanager
    def started(self, *command, **volumes):
        """Run a command as process 1 of a container, as chroot isolation does not, with a root that nobody can write to; give it and its number here."""
        mounts = [f"mount --bind {source} {self.root}/{target}" for target, source in volumes.items()]
        script = "\n".join(
            [
                "set -e",
                f"mount --bind {self.root} {self.root}",
                *mounts,
                f"mount -t proc proc {self.root}/proc",
                f"mount -o remount,bind,ro {self.root}",
                f'exec chroot --userspec={self.config["User"]} {self.root} sh -c \'cd /data && exec "$@"\' sh "$@"',
            ]
        )
        environment = dict(each.split("=", 1) for each in self.config["Env"])
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        with subprocess.Popen(
            [*alone, "sh", "-c", script, "sh", *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as outer:
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
            try:
                inner = int(until(lambda: children.read_text(encoding="utf-8")))
                yield outer, inner
            finally:
                outer.kill()

    def is_healthy(self, inner, port=8080):
        """Ask the image's own check in the container of a process, on another port where that is taken here."""
        entered = ["nsenter", "--target", str(inner), "--mount", "--pid", "--root", "--setuid", str(USER)]
        kind, *check = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        asked = [part.replace(":8080/", f":{port}/") for part in check]
        return subprocess.run([*entered, *asked], capture_output=True, check=False).returncode == 0


def until(found, seconds=30):
    """Wait for something that is true."""
    end = time.monotonic() + seconds
    while not (it := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return it


def memory():
    """A folder that is kept in memory, where there is room for the two gigabytes of files that only a test reads."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    if not shared.is_dir():
        return None
    room = os.statvfs(shared)
    fits = room.f_bavail * room.f_frsize > 4e9 and not room.f_flag & os.ST_NOEXEC
    return shared if fits else None


@pytest.fixture(scope="module")
def image():
    with tempfile.TemporaryDirectory(prefix="canaryjudge-image-", dir=memory()) as folder:
        Path(folder).chmod(0o755)
        yield Image(Path(folder))


@pytest.fixture
def data(tmp_path):
    """A volume that is the image's user's."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


@slow
def test_what_is_in_it(image):
    (packages,) = (image.root / "opt" / "canaryjudge" / "lib").glob("python3.*/site-packages")
    names = {each.name.partition("-")[0] for each in packages.glob("*.dist-info")}
    assert {"canaryjudge", "uvicorn", "sqlalchemy", "psycopg"} <= {name.lower() for name in names}
    assert not {"pip", "pytest", "pyarrow", "matplotlib"} & names
    assert not list(image.root.glob("wheel")) + list(image.root.glob("**/secret.txt"))
    assert [each for each in packages.rglob("*") if each.stat(follow_symlinks=False).st_uid] == []
    assert (image.root / "data").stat().st_uid == USER
    size = (
        sum(each.stat(follow_symlinks=False).st_size for each in packages.rglob("*") if not each.is_dir())
        / 1e6
    )
    (claimed,) = re.findall(r"adds (\d+) MB", PAGE)
    assert size == pytest.approx(int(claimed), rel=0.1)


@slow
def test_judge(image, data):
    """As buildah runs it: its user, its working directory, its entrypoint."""
    volume = ["--volume", f"{CHECKOUT}:/checkout:ro", "--volume", f"{data}:/out"]
    files = ["--policy", "/checkout/policy.yaml", "--data", "/checkout/metrics.csv", "--brief"]
    run = image.run("judge", *files, "--also", "json=/out/verdict.json", options=volume)
    assert run.returncode == 1, run.stderr
    assert run.stdout.startswith("FAIL: roll back")
    verdict = data / "verdict.json"
    assert verdict.stat().st_uid == USER
    assert json.loads(verdict.read_text(encoding="utf-8"))["version"] == __version__
    run = image.run("--version")
    assert run.stdout == f"canaryjudge {__version__}\n"
    refused = image.run("judge", *files, "--output", "/opt/verdict.txt", options=volume)
    assert (refused.returncode, "Permission denied" in refused.stderr) == (2, True)


@slow
def test_judge_with_a_root_that_nobody_can_write_to(image, data):
    shutil.copytree(CHECKOUT, data, dirs_exist_ok=True)
    command = ["judge", "--policy", "policy.yaml", "--data", "metrics.csv", "--brief"]
    with image.started(*image.config["Entrypoint"], *command, data=data) as (process, _):
        said, _ = process.communicate(timeout=60)
    assert (process.returncode, said.partition("\n")[0]) == (1, "FAIL: roll back")


@slow
def test_a_watch_ends_as_it_stands_when_it_is_told_to(image, data):
    """SIGTERM does nothing to a process 1 that has no handler for it."""
    example = ROOT / "docs" / "examples" / "rollout"
    shutil.copy(example / "policy.yaml", data / "policy.yaml")
    begun = (example / "good.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:21]
    (data / "new.csv").write_text("".join(begun), encoding="utf-8")
    command = ["watch", "--policy", "policy.yaml", "--data", "new.csv", "--state", "state.json"]
    with image.started(*image.config["Entrypoint"], *command, data=data) as (process, inner):
        until((data / "state.json").exists)
        assert image.is_healthy(inner)
        os.kill(inner, signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, "interrupted: this is how it stood" in said) == (130, True), said


STAND_IN = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists("/data/ill") else 200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


@slow
def test_it_is_healthy_while_what_serves_says_so(image, data):
    port = free_port()
    with image.started(PYTHON, "-c", STAND_IN, "serve", str(port), data=data) as (_, inner):
        until(lambda: image.is_healthy(inner, port))
        (data / "ill").touch()
        assert not image.is_healthy(inner, port)


@slow
def test_serve(image, data, tmp_path):
    """As docs/container.md runs it, but for the port, and the host: it shares the network of this machine."""
    policies, port = tmp_path / "policies", free_port()
    policies.mkdir()
    (policies / "default.yaml").write_text("metrics: [{name: cpu, direction: increase}]", encoding="utf-8")
    (data / "policies").mkdir()
    store = "sqlite:////data/gate.db"
    command = ["serve", "--policies", "/data/policies", "--store", store, "--port", str(port)]
    volumes = {"data": data, "data/policies": policies}
    asked = {"policy": "default", "data": {"cpu": {"baseline": [50.0] * 20, "canary": [50.0] * 20}}}
    with image.started(*image.config["Entrypoint"], *command, **volumes) as (process, inner):
        until(lambda: process.poll() is not None or image.is_healthy(inner, port))
        assert process.poll() is None, process.stdout.read()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/judge",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            assert json.load(answer)["outcome"] == "pass"
        assert (data / "gate.db").stat().st_uid == USER
        os.kill(inner, signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said

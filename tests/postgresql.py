"""A cluster of PostgreSQL in a temporary folder, on a loopback port, for as long as the tests run."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PASSWORD = "se?cret/w:rd"
QUICK = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "max_connections=100",
    "shared_buffers=16MB",
)


def programs():
    """The folder of Debian's newest PostgreSQL, or that of another system's, if there is one."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0),
    )
    found = shutil.which("initdb")
    return folders[-1] if folders else found and Path(found).parent


@contextlib.contextmanager
def cluster():
    """Start one, and give the address of its server: postgresql://USER:PASSWORD@HOST:PORT, to which a database is added."""
    who = (
        {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    )  # it refuses root
    with tempfile.TemporaryDirectory(prefix="cluster") as folder:
        data, password = Path(folder, "data"), Path(folder, "password")
        password.write_text(PASSWORD, encoding="utf-8")
        if who:
            for path in (folder, password):
                shutil.chown(path, "postgres", "postgres")
        make = [
            "--username=gate",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        made = [programs() / "initdb", "--pgdata", data, *make]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder, **who)
        with socket.socket() as some:
            some.bind(("127.0.0.1", 0))
            port = some.getsockname()[1]
        settings = ("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", *QUICK)
        serve = [
            programs() / "postgres",
            "-D",
            data,
            *(word for setting in settings for word in ("-c", setting)),
        ]
        log = Path(folder, "log")
        with (
            log.open("wb") as said,
            subprocess.Popen(serve, cwd=folder, stdout=said, stderr=said, **who) as server,
        ):
            try:
                while b"ready to accept connections" not in log.read_bytes():
                    assert server.poll() is None, log.read_text()
                    time.sleep(0.02)
                yield f"postgresql://gate:{PASSWORD.replace('?', '%3F').replace('/', '%2F').replace(':', '%3A')}@127.0.0.1:{port}"
            finally:
                server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept

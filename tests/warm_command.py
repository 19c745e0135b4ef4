"""The command `canaryjudge` without the second that its imports take: each run is forked from one process that has them."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1] / "docs" / "examples" / "checkout"
CLIENT = """#!{python} -IS
import json, os, socket, sys
closed = [number for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)) if stream is None]
for number in closed:
    os.open(os.devnull, os.O_RDWR)
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b" "], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), closed]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(3)))
"""


@contextlib.contextmanager
def warm_command(folder):
    """A folder for the front of PATH, whose `canaryjudge` is a process of its own with its caller's streams, folder and environment."""
    address, client = str(folder / "socket"), folder / "canaryjudge"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        command = [sys.executable, __file__, str(listening.fileno())]
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listening.fileno()]) as server:
            client.write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
            client.chmod(0o700)
            yield folder
            server.stdin.close()


def serve(listening):
    """Answer one caller after the other, until whoever started this is gone."""
    from canaryjudge.cli import main

    main(
        [
            *("judge", "--policy", str(CHECKOUT / "policy.yaml"), "--data", str(CHECKOUT / "metrics.csv")),
            *("--output", os.devnull),
        ]
    )
    while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
        caller, _ = listening.accept()
        if os.fork() == 0:
            answer(caller, main)
            os._exit(0)
        caller.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def answer(caller, main):
    """Be the process that the caller would have been."""
    _, streams, *_ = socket.recv_fds(caller, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    with caller.makefile("rb") as said:
        arguments, folder, environment, closed = json.load(said)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 - as the locale says
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    for number in closed:
        os.close(number)
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)
    code = main(arguments)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    caller.sendall(str(code).encode())


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))

"""A command in a pseudo-terminal of a given size, and what it wrote there."""

import contextlib
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

REAL = (sys.executable, "-m", "canaryjudge.cli")


def environment(**more):
    """The environment without what decides on color."""
    own = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "TERM")
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return kept | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | more


class Terminal:
    """A command that runs in a terminal."""

    def __init__(self, *arguments, command=REAL, columns=80, lines=40, **variables):
        self._own, there = pty.openpty()
        ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        command = [*command, *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=there, stdout=there, stderr=there, env=environment(**variables)
        )
        os.close(there)
        self.text = ""

    def read_until(self, wanted):
        """Read until something was written; all that was written before is in `text`."""
        seen = len(self.text)
        while wanted not in self.text[seen:]:
            if not self._read():
                raise AssertionError(f"{wanted!r} was never written: {self.text!r}")

    def interrupt(self):
        """Do as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def finish(self):
        """Read to the end, and give the exit code."""
        while self._read():
            pass
        os.close(self._own)
        return self.process.wait(60)

    def _read(self):
        ready, *_ = select.select([self._own], [], [], 60)
        if not ready:
            self.process.kill()
            raise AssertionError(f"nothing more was written: {self.text!r}")
        part = b""
        with contextlib.suppress(OSError):  # Linux says so when the other side is closed
            part = os.read(self._own, 65536)
        self.text += part.decode(errors="replace").replace("\r\n", "\n")
        return bool(part)

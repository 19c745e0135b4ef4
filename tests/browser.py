"""A headless Chromium, driven by its DevTools protocol over a pipe: no port, no driver, no network."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

__all__ = ["Browser", "chromium"]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)

# Chromium reads commands from file 3 and writes replies to file 4
LAUNCHER = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 20) for end in sys.argv[1:3]]
for there, end in zip((3, 4), ends):
    os.dup2(end, there)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium():
    """Where Chromium is; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser(contextlib.AbstractContextManager):
    """One page in one browser.

    Attributes
    ----------
    complaints : list of str
        What the page wrote to the console, exceptions of its scripts, and requests that it made beyond itself.
    """

    def __init__(self, timeout=60.0):
        self.complaints = []
        self._timeout = timeout
        self._profile = tempfile.TemporaryDirectory(
            prefix="canaryjudge-chromium-", ignore_cleanup_errors=True
        )
        to_browser, self._commands = os.pipe()
        self._replies, from_browser = os.pipe()
        start = [sys.executable, "-c", LAUNCHER, str(to_browser), str(from_browser), chromium()]
        command = [*start, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            command, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        os.set_blocking(self._replies, False)
        self._buffer, self._count, self._session, self._loaded = b"", 0, None, False
        target = next(
            each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page"
        )
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __exit__(self, *_):
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            self._session = None
            self.call("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._commands)
        os.close(self._replies)
        self._profile.cleanup()

    def call(self, method, **parameters):
        """Send a command and wait for its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        number = self._count
        while True:
            reply = self._next()
            if reply.get("id") == number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']['message']}")
                return reply["result"]

    def show(self, page, width=1440, height=900, *, dark=False, scale=1.0, media="screen"):
        """Open a file, in a window of this size, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self._loaded = False
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not self._loaded:
            self._next()

    def run(self, script):
        """Give what a piece of JavaScript gives; promises are waited for."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"].get("exception", result["exceptionDetails"])))
        return result["result"].get("value")

    def screenshot(self, *, height=None):
        """Give a picture of the page as PNG: of all of it, or of its top."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(picture["data"])

    def pdf(self):
        """Give the page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def _next(self):
        deadline = time.monotonic() + self._timeout
        while b"\0" not in self._buffer:
            try:
                more = os.read(self._replies, 1 << 20)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError("Chromium does not answer") from None
                time.sleep(0.005)
                continue
            if not more:
                raise RuntimeError("Chromium has ended")
            self._buffer += more
        line, self._buffer = self._buffer.split(b"\0", 1)
        reply = json.loads(line)
        self._listen(reply.get("method"), reply.get("params", {}))
        return reply

    def _listen(self, method, facts):
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console: {facts['args']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {facts['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.complaints.append(f"log: {facts['entry']['text']}")
        elif method == "Network.requestWillBeSent" and not facts["request"]["url"].startswith(
            ("file:", "data:")
        ):
            self.complaints.append(f"request: {facts['request']['url']}")

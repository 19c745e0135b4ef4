"""A server on a loopback port that answers as it is told to, well or badly."""

import contextlib
import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class FakePrometheus(ThreadingHTTPServer):
    """Answers each question by the next of its replies; the last one stays."""

    daemon_threads = True

    def __init__(self, *replies):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = list(replies)
        self.questions = []
        self.headers = []
        self.paths = []
        self.stopped = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Say nothing: clients that hang up are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def do_GET(self):
        self.do_POST(self.path.partition("?")[2])

    def do_POST(self, body=None):
        if body is None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        question = {name: values[0] for name, values in parse_qs(body).items()}
        self.server.questions.append(question)
        self.server.headers.append(dict(self.headers))
        self.server.paths.append(self.path)
        replies = self.server.replies
        (replies.pop(0) if len(replies) > 1 else replies[0])(self, question)

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def serving(*replies):
    with FakePrometheus(*replies) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            server.shutdown()
            thread.join()


def body(content, *, status=200, kind="application/json", length=None, **headers):
    """A reply with this content, honest about its length unless told otherwise."""

    def reply(handler, _):
        data = content if isinstance(content, bytes) else content.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data) if length is None else length))
        for name, text in headers.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.end_headers()
        handler.wfile.write(data)
        if length is not None:
            handler.close_connection = True

    return reply


def answer(document, **settings):
    return body(json.dumps(document), **settings)


def error(kind, text, status=400):
    return answer({"status": "error", "errorType": kind, "error": text}, status=status)


def zipped(document, *, cut=0):
    data = gzip.compress(json.dumps(document).encode())
    return body(data[: len(data) - cut], Content_Encoding="gzip")


def by_question(function):
    """A reply made from the question's form."""
    return lambda handler, question: answer(function(question))(handler, question)


def slow(seconds, reply):
    def waits(handler, question):
        handler.server.stopped.wait(seconds)
        reply(handler, question)

    return waits


def dribbling(pause, *, headers=True):
    """A reply of which a byte comes now and then, in its headers or after them."""

    def reply(handler, _):
        if headers:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        with contextlib.suppress(OSError):
            while not handler.server.stopped.is_set():
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(pause)
        handler.close_connection = True

    return reply


def endless(piece=b" " * 1_000_000):
    """A reply without an end."""

    def reply(handler, _):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not handler.server.stopped.is_set():
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.close_connection = True

    return reply


def hanging_up(handler, _):
    """A reply that never comes."""
    handler.close_connection = True
    handler.connection.close()

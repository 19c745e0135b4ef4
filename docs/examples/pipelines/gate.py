"""A verdict over HTTP, for Argo Rollouts, Flagger and Prometheus: python gate.py POLICY DATA [PORT]."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import canaryjudge as cj
from canaryjudge.integrations import writers
from canaryjudge.integrations.sources import read_table


def answered(policy: str, data: str, path: str, fields: dict[str, list[str]]) -> writers.Answer:
    """Judge the files as they are now, and say so as the tool behind the path wants it."""
    said: cj.Verdict | cj.CanaryJudgeError
    try:
        said = cj.judge(read_table(data), cj.load_policy(policy))
    except cj.CanaryJudgeError as error:
        said = error  # each tool is told in its own way that nothing was judged
    if path == "/argo":
        return writers.argo_answer(said)
    if path == "/api/v1/query":
        return writers.prometheus_answer(said, fields.get("query", [""])[0], time.time())
    if path == "/metrics":
        return writers.Answer(200, writers.prometheus_text(said), writers.EXPOSITION)
    if path.removeprefix("/flagger/") in writers.FLAGGER_HOOKS:
        return writers.flagger_answer(said, path.removeprefix("/flagger/"))
    return writers.Answer(404, "try /argo, /flagger/rollout, /metrics or /api/v1/query\n", "text/plain")


class Gate(BaseHTTPRequestHandler):
    """Answers for one policy and one file of data."""

    files = ("policy.yaml", "metrics.csv")

    def do_GET(self) -> None:
        """Answer a request; Argo's client of Prometheus sends its query as a form, by POST."""
        url = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        answer = answered(*self.files, url.path, parse_qs(url.query) | parse_qs(sent))
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


if __name__ == "__main__":
    Gate.files = tuple(sys.argv[1:3])
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 8080
    ThreadingHTTPServer(("", port), Gate).serve_forever()

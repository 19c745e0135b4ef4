"""What the page about the gate shows is what the gate does: its questions are asked, and its tables are held to the code."""

import json
import re
import shlex
from pathlib import Path

from server.gates import asking

from canaryjudge.server import serve
from canaryjudge.server.app import Settings
from canaryjudge.server.gate import Limits
from canaryjudge.server.openapi import description
from canaryjudge.server.policies import PolicyFolder

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/gate.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def asked_by_curl(command):
    """Method, path, headers and body that a command line of curl asks with."""
    words, method, headers, body = shlex.split(command)[1:], None, {}, None
    while len(words) > 1:
        option, value = words[:2]
        words = words[2:]
        if option == "-H":
            name, _, text = value.partition(": ")
            headers[name] = text
        elif option == "-X":
            method = value
        elif option == "--data-binary":
            body = (ROOT / value[1:]).read_bytes() if value.startswith("@") else value.encode()
        else:
            raise AssertionError(option)
    path = words[0].removeprefix("http://127.0.0.1:8080")
    return method or ("GET" if body is None else "POST"), path, headers, body


def test_what_is_asked_there_is_answered_so(tmp_path):
    shown = None
    with asking(tmp_path, folder=PolicyFolder(str(ROOT / "docs/examples/gate/policies"))) as asked:
        for language, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
            for line in text.splitlines() if language == "sh" else ():
                if line.startswith("curl "):
                    method, path, headers, body = asked_by_curl(line)
                    answer = asked(method, path, headers=headers, content=body)
                    assert answer.status_code == 200, answer.text
                    assert shown is None or answer.json() == shown
                    shown = answer.json()
            if language == "json":
                assert json.loads(text).items() <= shown.items()
    assert shown is not None


def test_what_it_says_is_taken_is_what_is_taken():
    text = PAGE.read_text(encoding="utf-8")
    settings = Settings()
    for said in (
        f"| a body, unpacked | {settings.body // 10**6} MB",
        f"| points of one request | {Limits().points:,} |",
        f"{settings.bodies // 10**6} MB each; then 503 | with `--max-body`",
        f"may take to come | {settings.body_seconds:g} s",
        f"for {settings.keep / 86400:g} days is forgotten",
        f"| connections | {serve._AT_ONCE:,};",
    ):
        assert said in text, said


def test_it_names_every_path():
    text = PAGE.read_text(encoding="utf-8").replace("SERVICE", "{service}").replace("REVISION", "{revision}")
    for path, methods in description()["paths"].items():
        short = path.removeprefix("/v1/releases/{service}/{revision}") or path
        assert short in text, path
        for method in methods:
            if method != "parameters":
                assert method.upper() in text

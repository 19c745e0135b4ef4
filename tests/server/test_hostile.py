"""Bodies and connections that mean harm, sent to a gate in a process of its own: all of it ends, in bounds that are stated, and others are answered meanwhile."""

import gzip
import io
import itertools
import json
import resource
import select
import socket
import threading
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gate_process import PATIENCE, GateProcess, until
from prometheus_client.parser import text_string_to_metric_families
from server.gates import minute, policies

from canaryjudge.server import serve

ONE = "/v1/releases/checkout/v2"
MANY = 10_000_000
GATE, JUDGE = 300_000_000, 1_500_000_000
"""Bytes that a gate holds at most, and each of its processes, whatever body of 8,000,000 bytes comes."""
JSON, CSV, NDJSON, PARQUET = (
    "application/json",
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
)


def parquet(**how):
    """Ten million points that are all the same, in few bytes."""
    names = {name: pa.array([name]).take(pa.array(np.zeros(MANY, int))) for name in ("latency", "canary")}
    table = pa.table(
        {"metric": names["latency"], "arm": names["canary"], "value": np.ones(MANY), "time": np.zeros(MANY)}
    )
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", **how)
    return stream.getvalue()


ROW = b"latency,canary,1,60\n"
HOSTILE = {
    "ten million points of JSON": (JSON, lambda: b'{"latency":{"canary":{"value":[' + b"1," * MANY + b"1]}}}", 413, "8,000,000 bytes"),
    "as many as fit": (JSON, lambda: b'{"latency":{"canary":{"value":[' + b"1," * 3_900_000 + b"1]}}}", 422, "3,900,001 points"),
    "ten million points of CSV": (CSV, lambda: b"metric,arm,value,time\n" + ROW * MANY, 413, "8,000,000 bytes"),
    "ten million packed": (CSV, lambda: gzip.compress(b"metric,arm,value,time\n" + ROW * MANY, 1), 413, "8,000,000 bytes"),
    "ten million points of NDJSON": (NDJSON, lambda: b'{"metric":"latency","arm":"canary","value":1,"time":60}\n' * MANY, 413, "8,000,000 bytes"),
    "ten million points of Parquet": (PARQUET, parquet, 422, "10,000,000 points"),
    "more than memory of Parquet": (PARQUET, lambda: parquet(use_dictionary=False), 422, "unpacks to"),
    "nested": (JSON, lambda: b"[" * 7_900_000, 422, "cannot be read"),
    "empty lists": (JSON, lambda: b"[" + b"[]," * 2_600_000 + b"[]]", 422, "points"),
    "empty lines": (CSV, lambda: b"metric,arm,value,time\n" + b"\n" * 7_900_000, (200, 503), ""),
    "a gzip bomb": (JSON, lambda: gzip.compress(bytes(2_000_000_000), 1), 413, "8,000,000 bytes"),
    "a line of columns": (CSV, lambda: b"a," * 3_900_000 + b"b\n", 503, "longer than 10 s"),
}  # fmt: skip


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    policies(folder / "policies")
    with GateProcess(folder, "--judge-timeout", "10s", "--workers", 2) as running:
        assert running("POST", ONE, json=minute(0)).status_code == 200
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(("media", "made", "status", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_body_that_means_harm_ends_within_bounds(gate, media, made, status, said):
    body = made()
    packing = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    over, others = threading.Event(), []

    def ask():
        while not over.wait(0.05):
            others.append(gate("GET", ONE).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        until(lambda: others, "others are answered before")
        before = len(others)
        answer = gate(
            "POST", "/v1/releases/checkout/harm", content=body, headers={"Content-Type": media, **packing}
        )
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text[:500]
        assert said in answer.text
        until(lambda: len(others) > before, "others are answered after")
    finally:
        over.set()
        asking.join()
    assert set(others) == {200}
    own, *judges = gate.memory()
    assert own < GATE
    assert max(judges) < JUDGE


@pytest.mark.slow
def test_what_never_ends_is_ended(gate):
    host, _, port = gate.address.removeprefix("http://").partition(":")
    junk = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
    packed = gzip.compress(b"{}")
    heads = {
        "chunked": (b"", itertools.repeat(junk), 413),
        "after the end of gzip": (b"Content-Encoding: gzip\r\n", itertools.chain([b"%x\r\n%s\r\n" % (len(packed), packed)], itertools.repeat(junk)), 400),
        "a head": (b"X: ", itertools.repeat(b"x" * 65536), 400),
    }  # fmt: skip
    for name, (more, parts, status) in heads.items():
        said = b""
        with socket.create_connection((host, int(port)), PATIENCE) as caller:
            end = b"" if name == "a head" else b"Transfer-Encoding: chunked\r\n\r\n"
            caller.sendall(
                b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s%s"
                % (ONE.encode(), more, end)
            )
            with suppress(BrokenPipeError, ConnectionResetError):  # it is sent until the gate has enough
                for part in parts:
                    caller.sendall(part)
                    if select.select([caller], [], [], 0)[0]:
                        said += caller.recv(1000)
        # of a head, the answer may be lost with the connection
        assert said.startswith(b"HTTP/1.1 %d" % status) or (name, said) == ("a head", b""), (name, said)
    assert gate.memory()[0] < GATE


@pytest.mark.slow
def test_a_thousand_connections_that_say_nothing_keep_nobody_out(gate):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host, _, port = gate.address.removeprefix("http://").partition(":")
    silent = [socket.create_connection((host, int(port)), PATIENCE) for _ in range(1500)]
    try:
        for one in silent[::2]:
            one.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        assert gate("GET", ONE).status_code == 200
        assert gate("POST", ONE, json=minute(1)).status_code == 200
        assert serve._HEAD_SECONDS < PATIENCE
        assert {one.recv(1) for one in silent} == {b""}  # they are closed
    finally:
        for one in silent:
            one.close()
    assert gate.memory()[0] < GATE


@pytest.mark.slow
def test_many_releases_take_no_memory_of_the_gate(gate):
    before = gate.memory()
    for number in range(300):
        assert gate("POST", f"/v1/releases/service-{number}/{number}", json=minute(0)).status_code == 200
    own, *judges = gate.memory()
    assert own - before[0] < 100_000_000
    assert max(judges) < JUDGE
    families = {family.name for family in text_string_to_metric_families(gate("GET", "/metrics").text)}
    assert "canaryjudge_gate_restarts" in families
    assert json.loads(gate("GET", "/v1/releases?limit=1000").text)["before"] is None

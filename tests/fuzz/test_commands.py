"""The command line in one process: whatever its options and files are, an exit code that is meant, and nothing raw on either stream."""

import contextlib
import io
import re
import resource
import subprocess
import sys
from functools import cache
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mangled import CELLS, EXAMPLES, RAW, TOKENS, bytes_of

from canaryjudge.cli import main

COMMANDS = (
    "judge",
    "monitor",
    "init",
    "calibrate",
    "plan",
    "doctor",
    "verify",
    "validate",
    "schema",
    "import",
)
FILES = [
    *(
        "checkout/metrics.csv",
        "checkout/policy.yaml",
        "checkout/panel.csv",
        "rollout/policy.yaml",
        "rollout/late.csv",
        "history/history.csv",
    ),
    *(
        "otlp/metrics.jsonl",
        "otlp/policy.yaml",
        "kayenta/request.json",
        "kayenta/canary-config.json",
        "openslo/checkout.yaml",
        "argo/checkout.yaml",
    ),
    *("flagger/checkout.yaml", "prometheus/errors.json", "prometheus/policy.yaml", "budgets/policy.yaml"),
]
DATA = {
    "checkout": ("policy.yaml", "metrics.csv"),
    "rollout": ("policy.yaml", "late.csv"),
    "otlp": ("policy.yaml", "metrics.jsonl"),
}
NEVER = ("--prometheus", "--otlp-endpoint", "--push")
"""Options that would talk to somebody."""


def run(*arguments):
    """Exit code and what was said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(arguments))
        except SystemExit as stop:
            code = stop.code
    return code, out.getvalue(), err.getvalue()


def check(*arguments, codes=(0, 1, 2, 3, 4)):
    code, out, err = run(*arguments)
    assert code in codes, (code, err)
    assert "Traceback" not in err
    assert "Warning" not in err
    assert not RAW.search(err)
    return code, out


@cache
def options_of(command):
    """The options that a command tells of in its help."""
    return tuple(
        sorted(
            {name for name in re.findall(r"--[a-z][a-z-]+", run(command, "--help")[1]) if name not in NEVER}
        )
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    with contextlib.chdir(folder):
        yield folder


@st.composite
def lines(draw):
    """Arguments of a command, some of them from its own help."""
    command = draw(st.sampled_from(COMMANDS))
    words = st.sampled_from(
        [
            *map(str, CELLS),
            *TOKENS,
            "out.json",
            "json",
            "csv",
            ".",
            "/dev/null",
            "/proc/self/mem",
            "marginal=0",
            "m",
            "5m",
            *FILES,
        ]
    )
    arguments = draw(
        st.lists(
            st.sampled_from(options_of(command)).flatmap(
                lambda name: words.map(lambda word: [name, word]) | st.just([name])
            ),
            max_size=5,
        )
    )
    return [command, *(argument.replace("\0", "0") for argument in chain(*arguments))]


@given(lines())
def test_options(folder, line):
    paths = [str(EXAMPLES / word) if word in FILES else word for word in line]
    check(*paths)


@given(lines(), st.sampled_from(list(DATA)))
def test_options_beside_a_release(folder, line, name):
    policy, data = (str(EXAMPLES / name / file) for file in DATA[name])
    _, out = check("judge", "--policy", policy, "--data", data, *line[1:])
    assert not RAW.search(out)


@given(st.sampled_from(list(DATA)), st.data())
def test_files(folder, name, data):
    policy, points = (EXAMPLES / name / file for file in DATA[name])
    mangled = folder / f"mangled{points.suffix}"
    mangled.write_bytes(data.draw(bytes_of(points.read_bytes())))
    formats = st.sampled_from(
        ["text", "json", "markdown", "html", "junit", "github", "gitlab", "prometheus", "argo", "kayenta"]
    )
    _, out = check("judge", "--policy", str(policy), "--data", str(mangled), "--format", data.draw(formats))
    assert not RAW.search(out)
    check("doctor", "--policy", str(policy), "--data", str(mangled))
    check("init", "--data", str(mangled))


@given(st.sampled_from(FILES), st.sampled_from(["argo", "flagger", "kayenta", "openslo"]), st.data())
def test_documents(folder, source, tool, data):
    mangled = folder / f"mangled{(EXAMPLES / source).suffix}"
    mangled.write_bytes(data.draw(bytes_of((EXAMPLES / source).read_bytes()[:20_000])))
    check("import", tool, str(mangled))
    check("validate", str(mangled))


@given(st.data())
def test_states(folder, data):
    state = folder / "state.json"
    state.unlink(missing_ok=True)
    policy, points = str(EXAMPLES / "rollout/policy.yaml"), str(EXAMPLES / "rollout/late.csv")
    step = ["monitor", "--policy", policy, "--data", points, "--state", str(state)]
    check(*step)
    state.write_bytes(data.draw(bytes_of(state.read_bytes())))
    check(*step)


MANY = settings().max_examples
"""A process of its own takes a second: a quarter of what is asked for, where much is."""


STREAMS = {"there": '"$@"', "full": '"$@" >/dev/full', "closed": '"$@" >&-'}


@settings(max_examples=MANY // 4 if MANY >= 1000 else 1)
@given(lines(), st.sampled_from(list(DATA)), st.sampled_from(list(STREAMS)))
def test_processes(folder, line, name, streams):
    policy, data = (str(EXAMPLES / name / file) for file in DATA[name])
    command = [
        sys.executable,
        "-m",
        "canaryjudge.cli",
        "judge",
        "--policy",
        policy,
        "--data",
        data,
        *line[1:],
    ]
    done = subprocess.run(
        [
            "sh",
            "-c",
            f"exec {STREAMS[streams]}",
            "sh",
            *(word.encode(errors="surrogatepass") for word in command),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    said = done.stderr.decode(errors="replace")
    assert done.returncode in (0, 1, 2, 3, 4), (done.returncode, said)
    assert "Traceback" not in said
    assert not RAW.search(said)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_500_000


def test_no_run_took_more_memory_than_is_stated(folder):
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1_500_000

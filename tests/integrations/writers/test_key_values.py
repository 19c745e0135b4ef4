"""GitLab's dotenv, Jenkins' properties and Tekton's results: what their readers read is what was said, and nothing else."""

import json
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from told import NASTY, many_names, renamed, texts, verdict

import canaryjudge as cj
from canaryjudge.integrations.writers import gitlab_dotenv, jenkins_properties, tekton_results

ERROR = cj.DataError("metrics.csv: there is no such file", "Check the path.")

# what GitLab replaces in a value that is not raw
EXPANDED = re.compile(r"\$\$|%%|\$[A-Za-z_]\w*|\$\{[A-Za-z_]?\w*\}|%[A-Za-z_]\w*%", re.ASCII)


def dotenv(text):
    """Read a report as GitLab does: a variable a line, both sides stripped, no quotes, no comments, no empty lines."""
    assert len(text.encode()) < 5 * 1024
    read = {}
    for line in text.split("\n")[:-1]:
        key, value = re.findall(r"^(.*?)=(.*)$", line)[-1]
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key)
        read[key.strip()] = value.strip()
    return read


def properties(text):
    """Read a properties file as java.util.Properties does, of what is in ours."""
    assert text.isascii()
    read = {}
    for line in text.split("\n")[:-1]:
        key, value = re.fullmatch(r"([A-Z_]+)=(.*)", line).groups()
        value = re.sub(r"\\u([0-9a-f]{4})|\\(.)", lambda m: chr(int(m[1], 16)) if m[1] else m[2], value)
        read[key] = value.encode("utf-16", "surrogatepass").decode("utf-16")
    return read


def message_bytes(results):
    """Bytes of the message in which Tekton hands results over: Go's JSON, which writes <, > and & as six bytes."""
    total = 2
    for key, value in results.items():
        text = json.dumps({"key": key, "value": value, "type": 1}, ensure_ascii=False, separators=(",", ":"))
        total += 1 + sum(6 if letter in "<>&\u2028\u2029" else len(letter.encode()) for letter in text)
    return total


@pytest.mark.parametrize(
    ("outcome", "action"), [("pass", "promote"), ("marginal", "hold"), ("fail", "rollback")]
)
def test_all_three_tell_the_same(outcome, action):
    said = verdict(outcome)
    lists = {
        "failed": ["m"] if outcome == "fail" else [],
        "undecided": ["m"] if outcome == "marginal" else [],
    }
    env, props, results = (
        dotenv(gitlab_dotenv(said)),
        properties(jenkins_properties(said)),
        tekton_results(said),
    )
    for found in (env, props):
        assert (found["CANARYJUDGE_OUTCOME"], found["CANARYJUDGE_ACTION"]) == (outcome, action)
        assert found["CANARYJUDGE_REASON"] == said.reason
        assert found["CANARYJUDGE_NO_DATA"] == "false"
        assert float(found["CANARYJUDGE_SCORE"]) == said.score
    assert (results["outcome"], results["action"], results["reason"]) == (outcome, action, said.reason)
    for name, expected in lists.items():
        assert json.loads(results[name]) == expected
        assert props[f"CANARYJUDGE_{name.upper()}"] == ", ".join(expected)


def test_all_three_tell_an_error_and_no_data():
    for said, outcome, lacking in ((ERROR, "error", "false"), (verdict("no_data"), "marginal", "true")):
        env, props, results = (
            dotenv(gitlab_dotenv(said)),
            properties(jenkins_properties(said)),
            tekton_results(said),
        )
        assert env["CANARYJUDGE_OUTCOME"] == props["CANARYJUDGE_OUTCOME"] == results["outcome"] == outcome
        assert env["CANARYJUDGE_NO_DATA"] == props["CANARYJUDGE_NO_DATA"] == lacking
    assert "CANARYJUDGE_SCORE" not in dotenv(gitlab_dotenv(ERROR))
    assert tekton_results(ERROR)["reason"] == "ERROR: metrics.csv: there is no such file. Check the path."


@given(st.lists(texts, min_size=1, max_size=4, unique=True), texts)
def test_dotenv_holds_our_variables_only_and_expands_nothing(names, reason):
    found = dotenv(gitlab_dotenv(renamed(names, "fail", reason)))
    assert list(found) == [
        f"CANARYJUDGE_{name}" for name in ("OUTCOME", "ACTION", "REASON", "NO_DATA", "SCORE")
    ]
    assert found["CANARYJUDGE_OUTCOME"] == "fail"
    assert not any(EXPANDED.search(value) for value in found.values())


@given(st.lists(texts, min_size=1, max_size=4, unique=True), texts)
def test_properties_read_back(names, reason):
    found = properties(jenkins_properties(renamed(names, "fail", reason)))
    assert found["CANARYJUDGE_OUTCOME"] == "fail"
    assert found["CANARYJUDGE_REASON"] == tekton_results(renamed(names, "fail", reason))["reason"]
    assert len(found) == 7


@pytest.mark.skipif(shutil.which("javac") is None, reason="a JDK is not installed")
def test_java_reads_what_was_written(tmp_path):
    (tmp_path / "Show.java").write_text(
        "public class Show { public static void main(String[] files) throws Exception { for (String file : files) {"
        " var read = new java.util.Properties(); read.load(new java.io.StringReader(java.nio.file.Files.readString(java.nio.file.Path.of(file))));"
        ' System.out.write((read.size() + read.getProperty("CANARYJUDGE_OUTCOME") + read.getProperty("CANARYJUDGE_REASON")).getBytes("UTF-8"));'
        " System.out.write(10); } } }",
        encoding="utf-8",
    )
    files, expected = [], []
    for number, name in enumerate(NASTY):
        said = renamed([name])
        files.append(tmp_path / f"{number}.properties")
        files[-1].write_text(jenkins_properties(said), encoding="ascii")
        expected.append(f"7fail{tekton_results(said)['reason']}")
    run = subprocess.run(["java", tmp_path / "Show.java", *files], capture_output=True, check=True)
    assert run.stdout.decode().splitlines() == expected


@given(
    many_names,
    st.sampled_from(["fail", "marginal"]),
)
def test_results_fit_into_a_task(names, outcome):
    results = tekton_results(renamed(names, outcome))
    assert message_bytes(results) <= 3072 + 10
    assert message_bytes(results) < 4096
    listed = json.loads(results["failed" if outcome == "fail" else "undecided"])
    assert len(listed) == len(names) or (listed[-1] == "…" and len(listed) <= len(names))
    assert all(text == text.strip("\n") for text in results.values())


def test_results_take_the_names_there_is_room_for():
    results = tekton_results(renamed([f"{'中' * 60}{number}" for number in range(40)]))
    listed = json.loads(results["failed"])
    assert 10 <= len(listed) < 40
    assert listed[-1] == "…"
    assert message_bytes(results) > 2700

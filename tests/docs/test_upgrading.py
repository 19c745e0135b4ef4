"""The page on upgrading: each version that it names is the code's, nothing is deprecated in secret, and a store of a later version is refused as it says."""

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest
from server.gates import asking, minute
from sqlalchemy import create_engine, text

import canaryjudge as cj
from canaryjudge.arm_verdicts import ArmVerdicts
from canaryjudge.data import sketches
from canaryjudge.monitor import saved_state
from canaryjudge.patterns.rollout_verdict import RolloutVerdict
from canaryjudge.server.looks import UnreadableReleaseError
from canaryjudge.server.store import Store, StoreError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/upgrading.md").read_text(encoding="utf-8")


def versions(numbers):
    return ", ".join(map(str, numbers))


def default(model, field):
    return str(model.model_fields[field].default)


def test_the_table_has_the_versions_of_the_code():
    rows = re.findall(r"^\| ([^|]*) \| `(\w+)` \| ([^|]*) \| ([\d, ]*) \|$", PAGE, re.MULTILINE)
    of_arms = {default(model, "schema_version") for model in (ArmVerdicts, RolloutVerdict)}
    assert len(of_arms) == 1
    assert [(name.partition(" ")[0], *rest) for name, *rest in rows] == [
        ("policy", "version", "by people", default(cj.Policy, "version")),
        ("verdict", "schema_version", *2 * (default(cj.Verdict, "schema_version"),)),
        ("verdict", "schema_version", *2 * (of_arms.pop(),)),
        ("state", "state_version", str(saved_state.STATE_VERSION), versions(saved_state._READ)),
        ("sketch", "version", *2 * (str(sketches._VERSION),)),
    ]


def test_what_is_deprecated_is_on_the_page():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "canaryjudge").rglob("*.py")]
    assert not any(re.search(r"DeprecationWarning|\bdeprecated\(", text) for text in sources)
    assert "Nothing is deprecated now." in PAGE


def test_a_key_that_a_later_version_knows_is_refused():
    with pytest.raises(cj.PolicyError, match="unknown key 'later'"):
        cj.Metric(name="cpu", direction="increase", later=1)


def test_a_policy_without_a_version_is_of_version_1():
    policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")])
    assert policy.version == 1


def test_a_state_of_a_later_version_is_refused_and_its_file_left_as_it_is(tmp_path, monkeypatch, capsys):
    from canaryjudge.cli import main

    policy, data, state = (tmp_path / name for name in ("policy.yaml", "data.csv", "state.json"))
    policy.write_text(
        "max_points: 60\nmetrics: [{name: errors, kind: ratio, direction: increase}]", encoding="utf-8"
    )
    rows = [f"errors,{arm},{60 * at},3,900\n" for at in range(20) for arm in ("baseline", "canary")]
    data.write_text(f"metric,arm,time,value,total\n{''.join(rows)}", encoding="utf-8")
    step = ["monitor", "--policy", str(policy), "--data", str(data), "--state", str(state)]
    with monkeypatch.context() as later:
        later.setattr(saved_state, "STATE_VERSION", saved_state.STATE_VERSION + 1)
        later.setattr(saved_state, "__version__", "9.9.0")
        assert main(step) in (0, 3, 4)
    written = state.read_bytes()
    capsys.readouterr()
    assert main(step) == 2
    assert "saved by canaryjudge 9.9.0" in capsys.readouterr().err
    assert state.read_bytes() == written


def test_tables_of_a_later_version_are_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'gate.db'}"
    Store(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update canaryjudge_schema set version = version + 1"))
    engine.dispose()
    (quoted,) = re.findall(r'"(has tables of version [^"]*)"', PAGE)
    with pytest.raises(StoreError, match=re.escape(quoted)):
        Store(url)


@pytest.mark.parametrize(
    ("written", "changes", "said"),
    [
        (
            "state",
            {"state_version": 99, "version": "9.9.0"},
            "the state is of version 99, saved by canaryjudge 9.9.0",
        ),
        ("policy", {"later": 1}, "cannot read the policy that this release began with"),
    ],
)
def test_an_older_gate_says_that_a_later_one_can_and_leaves_a_release_as_it_is(
    tmp_path, written, changes, said
):
    release = "/v1/releases/checkout/v2"
    with asking(tmp_path) as ask:
        assert ask("POST", release, json=minute(0)).status_code == 200
        store = Store(f"sqlite:///{tmp_path}/gate.db")
        now = store.read("checkout", "v2")
        later = json.dumps(json.loads(getattr(now, written)) | changes)
        assert store.write(replace(now, **{written: later}))
        before = store.read("checkout", "v2")
        pushed = ask("POST", release, json=minute(1))
        assert (pushed.status_code, pushed.headers["Retry-After"]) == (503, "2")
        assert said in pushed.json()["detail"]
        assert store.read("checkout", "v2") == before
        assert ask("GET", release).json()["outcome"] == now.outcome
        store.close()


def test_such_an_error_reaches_the_gate_from_the_process_that_judges():
    error = pickle.loads(pickle.dumps(UnreadableReleaseError("what is wrong", "What to do.")))  # noqa: S301 - our own
    assert (error.message, error.hint) == ("what is wrong", "What to do.")

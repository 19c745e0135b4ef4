"""The store: two gates and a retrying caller lose nothing and count nothing twice, in SQLite and PostgreSQL alike."""

import importlib
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import psycopg
import pushing
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from postgresql import PASSWORD, cluster
from sqlalchemy import select, text

from canaryjudge.errors import CanaryJudgeError, DataError, MissingExtraError
from canaryjudge.server import store as stores
from canaryjudge.server.store import Store, StoreError, Summary

NEW = pushing.NEW
FULL = replace(
    NEW,
    policy_name="größe",
    outcome="pass",
    action="promote",
    started=1765000000.1234567,
    updated=1765000000.7654321,
    next_pull=1765000060.3,
    answer='{"reason": "日本"}',
    settings='{"arms": ["a", "b"]}',
    policy='{"metrics": []}',
    state='{"größe": "\U0001f600"}' * 1000,
    verdict='{"outcome": "pass"}',
)


@pytest.fixture
def store(url):
    opened = Store(url)
    yield opened
    opened.close()


def together(work, items):
    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(work, items))


def begun(store, *revisions, **fields):
    for revision in revisions:
        assert store.begin(replace(NEW, revision=revision, **fields))


def all_batches(store):
    with store._reader.connect() as connection:
        return connection.execute(select(stores._batches.c.batch)).scalars().all()


# --- what is written is read


def test_a_release_comes_back_as_it_was_written(url, store):
    assert store.read("checkout", "v42") is store.answer("checkout", "v42") is None
    assert store.begin(FULL)
    assert store.read("checkout", "v42") == replace(FULL, version=1)
    later = replace(NEW, version=1, started=FULL.started, updated=FULL.updated + 1, state=None)
    assert store.write(later)
    again = Store(url)
    assert again.read("checkout", "v42") == replace(later, version=2)
    again.close()


def test_the_answer_is_the_release_without_what_is_long(store):
    store.begin(FULL)
    answer = store.answer("checkout", "v42")
    assert type(answer) is Summary
    whole = asdict(replace(FULL, version=1))
    assert asdict(answer) == {name: whole[name] for name in asdict(answer)}
    assert {"state", "verdict", "policy", "settings"}.isdisjoint(asdict(answer))


def test_damage_to_a_state_is_said_and_the_answer_is_there_still(store):
    store.begin(FULL)
    with store._writer.begin() as connection:
        connection.execute(stores._releases.update().values(state=b"no state"))
    with pytest.raises(StoreError, match="what is stored of checkout v42 is damaged"):
        store.read("checkout", "v42")
    assert store.answer("checkout", "v42").outcome == "pass"


def test_a_state_takes_less_room_than_its_text(store):
    store.begin(FULL)
    with store._reader.connect() as connection:
        assert len(connection.execute(select(stores._releases.c.state)).scalar()) < len(FULL.state) / 10


# --- one writer at a time


def test_of_two_who_read_the_same_one_writes(store):
    store.begin(NEW)
    seen = store.read("checkout", "v42")
    assert store.write(replace(seen, state="first"))
    assert not store.write(replace(seen, state="second"))
    assert store.read("checkout", "v42") == replace(seen, version=2, state="first")
    assert store.write(replace(seen, version=2, state="third"))


def test_what_was_not_begun_or_is_gone_is_not_written(store):
    assert not store.write(NEW)
    assert not store.write(replace(NEW, version=1))
    store.begin(NEW)
    seen = store.read("checkout", "v42")
    store.delete("checkout", "v42")
    assert not store.write(seen)
    # nor is another release of the same names, though it is of the same version
    store.begin(replace(NEW, started=2.0, state="another"))
    assert not store.write(seen)
    assert store.read("checkout", "v42").state == "another"


def test_a_batch_is_in_a_state_once(store):
    store.begin(NEW, ["a"])
    seen = store.read("checkout", "v42")
    assert not store.write(replace(seen, state="again"), ["b", "a"])
    assert store.read("checkout", "v42") == seen
    assert store.known("checkout", "v42", ["a", "b", "b"]) == {"a"}
    assert store.write(replace(seen, state="more"), ["b"])
    assert store.known("checkout", "v42", ["b", "a", "c"]) == {"a", "b"}
    assert store.known("checkout", "v42", []) == set()
    # that of another release is another batch
    begun(store, "v43")
    assert store.known("checkout", "v43", ["a"]) == set()
    assert store.write(replace(NEW, revision="v43", version=1), ["a"])


def test_only_the_first_begins_a_release(store):
    assert sum(together(lambda number: store.begin(replace(NEW, state=str(number))), range(16))) == 1
    assert not store.begin(FULL, ["a"])
    assert all_batches(store) == []


def test_only_one_counts_a_batch_that_all_push(url, store):
    other = Store(url)
    assert sum(together(lambda gate: pushing.push(gate, "the same"), [store, other] * 8)) == 1
    assert json.loads(store.read("checkout", "v42").state) == ["the same"]
    other.close()


def test_threads_of_two_gates_lose_nothing(url, store):
    other = Store(url)
    gates = [store, other] * 30
    assert all(together(lambda pair: pushing.push(pair[1], f"batch {pair[0]}"), enumerate(gates)))
    release = store.read("checkout", "v42")
    assert sorted(json.loads(release.state)) == sorted(f"batch {number}" for number in range(60))
    assert release.version == 61
    other.close()


def push_in_a_process(url, name, count):
    command = [sys.executable, pushing.__file__, url, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_gates_that_start_together_make_the_tables_once_and_lose_nothing(url):
    gates = [push_in_a_process(url, name, 15) for name in "abcd"]
    said = [line for gate in gates for line in gate.communicate()[0].split()]
    assert [gate.returncode for gate in gates] == [0] * 4
    store = Store(url)
    release = store.read("checkout", "v42")
    assert sorted(json.loads(release.state)) == sorted(said)
    assert (len(said), release.version) == (60, 61)
    store.close()


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_gates_that_are_killed_keep_what_they_acknowledged(url, kills):
    draw = np.random.default_rng(kills)
    acknowledged = []
    for number in range(kills // 2):
        gates = [push_in_a_process(url, f"{name}{number}", 10**6) for name in "ab"]
        lines = [[], []]
        if draw.random() < 0.8:  # else one is killed while it opens the store
            lines[0].append(gates[0].stdout.readline())
        for gate in gates:
            time.sleep(draw.uniform(0, 0.1))
            gate.kill()
        for gate, own in zip(gates, lines, strict=True):
            own.extend(gate.communicate()[0].splitlines(keepends=True))
            assert gate.returncode == -9
            acknowledged.extend(line.rstrip("\n") for line in own if line.endswith("\n"))
    assert len(acknowledged) > kills
    store = Store(url)
    release = store.read("checkout", "v42")
    counted = Counter(json.loads(release.state))
    assert set(counted.values()) == {1}
    assert set(acknowledged) <= set(counted)
    assert (
        len(counted) - len(acknowledged) <= kills
    )  # one of each gate may be written that was not acknowledged
    assert release.version == 1 + len(counted)
    assert sorted(all_batches(store)) == sorted(counted)
    # whoever heard nothing sends it again
    assert not any(pushing.push(store, batch) for batch in list(counted)[-20:])
    assert store.read("checkout", "v42") == release
    store.close()


# --- pulls, pages, and what is forgotten


def test_releases_are_due_and_one_gate_claims_each(url, store):
    begun(store, "pushed")
    begun(store, "late", next_pull=10.5)
    begun(store, "later", next_pull=20.25)
    begun(store, "not yet", next_pull=30.0)
    assert store.due(29.9, 10) == [("checkout", "late", 10.5), ("checkout", "later", 20.25)]
    assert store.due(29.9, 1) == [("checkout", "late", 10.5)]
    other = Store(url)
    seen = store.answer("checkout", "late")
    assert sum(together(lambda gate: gate.claim("checkout", "late", 10.5, 70.1), [store, other] * 8)) == 1
    assert store.answer("checkout", "late") == replace(seen, next_pull=70.1)
    assert store.due(29.9, 10) == [("checkout", "later", 20.25)]
    assert not store.claim("checkout", "pushed", 10.5, 70.1)
    assert not store.claim("checkout", "nobody", 10.5, 70.1)
    assert store.claim("checkout", "later", 20.25, None)
    assert store.due(29.9, 10) == []
    other.close()


def test_pages_have_each_release_once_the_last_written_first(store):
    written = [(float(number // 4), "größe" if number % 2 else "Ab", f"v{number}") for number in range(25)]
    for updated, service, revision in written:
        store.begin(replace(FULL, service=service, revision=revision, updated=updated))
    pages, before = [], None
    while page := store.latest(7, before):
        pages.append([(release.updated, release.service, release.revision) for release in page])
        before = pages[-1][-1]
    assert [len(page) for page in pages] == [7, 7, 7, 4]
    assert [place for page in pages for place in page] == sorted(written, reverse=True)
    assert store.latest(1) == [store.answer("Ab", "v24")]
    assert store.latest(1, service="größe") == [store.answer("größe", "v23")]
    assert store.latest(1, service="none") == []


def test_pages_have_the_same_order_whatever_the_language_of_the_database(new_database, postgresql):
    with psycopg.connect(f"{postgresql}/postgres") as connection:
        if connection.info.server_version < 150000:
            pytest.skip("databases in the order of a language came with PostgreSQL 15")
    store = Store(new_database("template template0 locale_provider icu icu_locale 'en-US'"))
    begun(store, *(revisions := ["a", "B", "ä", "Z", "b-1", "b1", "b 2"]))
    assert [release.revision for release in store.latest(9)] == sorted(revisions, reverse=True)
    store.close()


def test_a_release_is_deleted_with_its_batches(store):
    store.begin(NEW, ["a", "b"])
    begun(store, "v43")
    assert store.delete("checkout", "v42")
    assert not store.delete("checkout", "v42")
    assert store.read("checkout", "v42") is None
    assert store.known("checkout", "v42", ["a"]) == set()
    assert all_batches(store) == []
    assert [release.revision for release in store.latest(9)] == ["v43"]
    # and may begin anew, with the same points
    assert store.begin(NEW, ["a"])


def test_what_was_not_written_since_is_forgotten(store, monkeypatch):
    monkeypatch.setattr(stores, "_AT_ONCE", 3)
    for number in range(10):
        store.begin(replace(NEW, revision=f"v{number}", updated=float(number)), [f"batch {number}"])
    assert store.forget(8.0) == 8
    assert store.forget(8.0) == 0
    assert [release.revision for release in store.latest(9)] == ["v9", "v8"]
    assert sorted(all_batches(store)) == ["batch 8", "batch 9"]


def test_many_batches_are_known_in_one_question(store, monkeypatch):
    monkeypatch.setattr(stores, "_AT_ONCE", 3)
    batches = [f"batch {number}" for number in range(10)]
    store.begin(NEW, batches[:8])
    assert store.known("checkout", "v42", batches) == set(batches[:8])


NAMES = st.sampled_from(["a", "b"])
BATCHES = st.lists(st.sampled_from("123456"), max_size=3, unique=True)


class AgainstADictionary(RuleBasedStateMachine):
    """Whatever is asked in whatever order: a store is a dictionary of releases and sets of batches."""

    def __init__(self, store):
        super().__init__()
        self.store, self.model, self.clock = store, {}, 0.0
        for release in store.latest(99):
            store.delete(release.service, release.revision)

    def tick(self):
        self.clock += 1
        return self.clock

    @rule(service=NAMES, revision=NAMES, batches=BATCHES, pulled=st.booleans())
    def begin(self, service, revision, batches, pulled):
        now = self.tick()
        release = replace(
            NEW,
            service=service,
            revision=revision,
            started=now,
            updated=now,
            next_pull=now if pulled else None,
        )
        assert self.store.begin(release, batches) == ((service, revision) not in self.model)
        self.model.setdefault((service, revision), (replace(release, version=1), set(batches)))

    @rule(
        service=NAMES,
        revision=NAMES,
        batches=BATCHES,
        behind=st.integers(0, 1),
        state=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    )
    def write(self, service, revision, batches, behind, state):
        release, known = self.model.get(
            (service, revision), (replace(NEW, service=service, revision=revision), set())
        )
        changed = replace(release, version=release.version - behind, state=state, updated=self.tick())
        good = (service, revision) in self.model and not behind and known.isdisjoint(batches)
        assert self.store.write(changed, batches) == good
        if good:
            self.model[service, revision] = (
                replace(changed, version=changed.version + 1),
                known | set(batches),
            )

    @rule(service=NAMES, revision=NAMES, until=st.integers(0, 50))
    def claim(self, service, revision, until):
        release, known = self.model.get((service, revision), (NEW, set()))
        seen = self.clock if release.next_pull is None else release.next_pull
        assert self.store.claim(service, revision, seen, float(until)) == (release.next_pull is not None)
        if release.next_pull is not None:
            self.model[service, revision] = (replace(release, next_pull=float(until)), known)

    @rule(service=NAMES, revision=NAMES)
    def delete(self, service, revision):
        assert self.store.delete(service, revision) == (self.model.pop((service, revision), None) is not None)

    @rule(ago=st.integers(0, 5))
    def forget(self, ago):
        old = [key for key, (release, _) in self.model.items() if release.updated < self.clock - ago]
        assert self.store.forget(self.clock - ago) == len(old)
        for key in old:
            del self.model[key]

    @invariant()
    def the_same(self):
        releases = sorted(
            (release for release, _ in self.model.values()), key=lambda each: each.updated, reverse=True
        )
        assert [self.store.read(each.service, each.revision) for each in releases] == releases
        assert [each.version for each in self.store.latest(9)] == [each.version for each in releases]
        for (service, revision), (_, known) in self.model.items():
            assert self.store.known(service, revision, list("123456")) == known
        due = {
            (key, release.next_pull)
            for key, (release, _) in self.model.items()
            if release.next_pull is not None and release.next_pull <= self.clock
        }
        assert {
            ((service, revision), when) for service, revision, when in self.store.due(self.clock, 9)
        } == due


def test_it_is_a_dictionary(store):
    run_state_machine_as_test(lambda: AgainstADictionary(store))


# --- tables of other versions


def version_of(store):
    with store._reader.connect() as connection:
        return connection.execute(select(stores._schema.c.version)).scalar_one()


def add_a_column(connection):
    time.sleep(0.1)  # so that other gates come meanwhile
    connection.execute(text("alter table canaryjudge_releases add column owner text default 'nobody'"))


def add_to_nothing(connection):
    connection.execute(text("alter table canaryjudge_nothing add column owner text"))


def test_tables_are_migrated_once_by_gates_that_start_together(url, store, monkeypatch):
    store.begin(FULL, ["a"])
    monkeypatch.setattr(stores, "_STEPS", (add_a_column,))
    gates = together(Store, [url] * 4)
    assert [version_of(gate) for gate in gates] == [2] * 4
    assert gates[0].read("checkout", "v42") == replace(FULL, version=1)
    with gates[0]._reader.connect() as connection:
        assert connection.execute(text("select owner from canaryjudge_releases")).scalars().all() == [
            "nobody"
        ]
    # and a gate of the older version, which runs until it is replaced, goes on
    assert store.write(replace(FULL, version=1), ["b"])
    for gate in gates:
        gate.close()


def test_a_migration_is_whole_or_not_done(url, store, monkeypatch):
    monkeypatch.setattr(stores, "_STEPS", (add_a_column, add_to_nothing))
    with pytest.raises(StoreError, match="canaryjudge_nothing"):
        Store(url)
    assert version_of(store) == 1
    monkeypatch.setattr(stores, "_STEPS", (add_a_column,))
    migrated = Store(url)
    assert version_of(migrated) == 2
    migrated.close()


def test_tables_of_a_later_version_are_refused(url, store, monkeypatch):
    monkeypatch.setattr(stores, "_STEPS", (add_a_column,))
    Store(url).close()
    monkeypatch.undo()
    with pytest.raises(
        StoreError,
        match=r"has tables of version 2, written by a later canaryjudge; this one knows version 1\. Run",
    ):
        Store(url)


# --- what cannot be stored, and databases that do not answer


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", r"the name of a service has 0 characters\. Give it 1 to 200"),
        ("x" * 201, "the name of a service has 201 characters"),
        ("a\0b", "the name of a service has a NUL character"),
        ("a\ud800", "the name of a service has .* half of one"),
    ],
)
def test_names_that_cannot_be_stored_are_refused_by_all_methods(store, name, says):
    asked = [
        lambda: store.read(name, "v1"),
        lambda: store.answer(name, "v1"),
        lambda: store.begin(replace(NEW, service=name)),
        lambda: store.write(replace(NEW, service=name)),
        lambda: store.known(name, "v1", []),
        lambda: store.claim(name, "v1", 0.0, 1.0),
        lambda: store.delete(name, "v1"),
        lambda: store.latest(9, (0.0, name, "v1")),
    ]
    for ask in asked:
        with pytest.raises(DataError, match=says):
            ask()
    with pytest.raises(DataError, match=says.replace("service", "revision")):
        store.read("checkout", name)
    for ask in (store.begin, store.write):
        with pytest.raises(DataError, match=says.replace("service", "batch")):
            ask(NEW, [name])
    assert store.latest(9) == []


def test_the_longest_names_are_stored(store):
    longest = "\U0001f600" * 200
    assert store.begin(replace(NEW, service=longest, revision=longest), [longest])
    assert store.read(longest, longest).service == longest
    assert store.known(longest, longest, [longest]) == {longest}


@pytest.mark.parametrize(
    "field", ["policy_name", "outcome", "answer", "settings", "policy", "state", "verdict"]
)
def test_texts_that_cannot_be_stored_are_refused(store, field):
    for odd in ("a\0b", "\udc00"):
        with pytest.raises(
            DataError, match=f"the {field.replace('_', ' ')} of a release has a NUL character or half"
        ):
            store.begin(replace(NEW, **{field: odd}))


def test_a_batch_that_is_named_twice_is_refused(store):
    store.begin(NEW)
    with pytest.raises(DataError, match="a batch of points is named twice"):
        store.write(replace(NEW, version=1), ["a", "b", "a"])


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (
            "gate.db",
            r"the store's address cannot be read\. Write sqlite:///gate.db \(a file\) or postgresql://",
        ),
        ("", "the store's address cannot be read"),
        ("sqlite:///a\0b", "the store's address cannot be read"),
        ("postgresql://gate:secret@host:port/db", "the store's address cannot be read"),
        ("sqlite://gate.db", "names the host gate.db, which SQLite has not"),
        ("mysql://gate:secret@host/db", "begins with mysql, and no such store is known"),
        (
            "postgresql+asyncpg://gate:secret@host/db",
            r"begins with postgresql\+asyncpg, and no such store is known",
        ),
        ("postgresql://gate:se@cret@host/db", "has more than one @"),
    ],
)
def test_addresses_that_cannot_be_meant_are_refused(address, says):
    with pytest.raises(StoreError, match=says) as refused:
        Store(address)
    assert "cret" not in str(refused.value)
    assert isinstance(refused.value, CanaryJudgeError)


def test_files_that_cannot_be_a_store_are_refused(tmp_path):
    with pytest.raises(StoreError, match=f"there is no folder {tmp_path}/nowhere"):
        Store(f"sqlite:///{tmp_path}/nowhere/gate.db")
    with pytest.raises(StoreError, match=f"{tmp_path} is a folder"):
        Store(f"sqlite:///{tmp_path}")
    words = tmp_path / "words.txt"
    words.write_text("these are words, and no database. " * 99, encoding="utf-8")
    with pytest.raises(StoreError, match=r"words.txt: file is not a database\. Name another file"):
        Store(f"sqlite:///{words}")
    assert words.read_text(encoding="utf-8").startswith("these are words")


def test_a_file_that_is_only_to_be_read_is_refused(tmp_path):
    Store(f"sqlite:///{tmp_path}/gate.db").close()
    with pytest.raises(
        StoreError, match=r"attempt to write a readonly database\. Let the gate write to the file"
    ):
        Store(f"sqlite:///file:{tmp_path}/gate.db?mode=ro&uri=true")


def test_a_full_disk_loses_nothing_and_is_got_over(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/gate.db")
    store.begin(NEW)
    seen = store.read("checkout", "v42")
    large = replace(seen, state=np.random.default_rng(1).bytes(200_000).hex())
    with store._writer.connect() as connection:
        connection.exec_driver_sql("pragma max_page_count = 20")
    with pytest.raises(StoreError, match=r"database or disk is full\. Make room"):
        store.write(large, ["a"])
    assert store.read("checkout", "v42") == seen
    assert store.known("checkout", "v42", ["a"]) == set()
    with store._writer.connect() as connection:
        connection.exec_driver_sql("pragma max_page_count = 10000")
    assert store.write(large, ["a"])
    store.close()


def test_a_file_that_another_keeps_locked_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "_PATIENCE", 0.2)
    store = Store(f"sqlite:///{tmp_path}/gate.db")
    other = sqlite3.connect(tmp_path / "gate.db", isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreError, match=r"database is locked\. Another process keeps it locked"):
        store.begin(NEW)
    assert store.read("checkout", "v42") is None  # who only reads does not wait
    other.execute("commit")
    assert store.begin(NEW)
    with (
        store._writer.connect(),
        pytest.raises(StoreError, match=r"no connection was free within 0.2 seconds\. Ask"),
    ):
        store.delete("checkout", "v42")
    other.close()
    store.close()


def test_a_file_that_is_gone_takes_no_more_points(tmp_path):
    file = tmp_path / "gate.db"
    store = Store(f"sqlite:///{file}")
    store.begin(NEW)
    kept = file.rename(tmp_path / "kept.db")
    for ask in (store.check, lambda: store.write(replace(NEW, version=1)), lambda: pushing.push(store, "a")):
        with pytest.raises(
            StoreError, match=r"gate\.db was deleted or replaced since it was opened\. Bring it back"
        ):
            ask()
    kept.rename(file)
    store.check()
    assert pushing.push(store, "a")
    store.close()


def test_sqlite_keeps_what_is_acknowledged_when_the_power_fails(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/gate.db")
    for engine in (store._reader, store._writer):
        with engine.connect() as connection:
            said = [
                connection.exec_driver_sql(f"pragma {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
            assert said == ["wal", 2, 1, 10_000]
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["gate.db"]


def test_a_store_in_memory_is_for_all_threads():
    store = Store("sqlite://")
    assert all(together(lambda number: pushing.push(store, f"batch {number}"), range(40)))
    assert store.read("checkout", "v42").version == 41
    store.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_has_several_names(new_database, scheme):
    store = Store(new_database().replace("postgresql", scheme, 1))
    store.check()
    store.close()


def test_connections_that_postgresql_ended_are_made_anew(new_database):
    url = new_database()
    store = Store(url)
    store.begin(NEW)
    with psycopg.connect(url, autocommit=True) as connection:
        others = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        assert connection.execute(others).rowcount == 1
    assert pushing.push(store, "a")
    store.close()


def test_postgresql_is_not_waited_for_for_ever(new_database, monkeypatch):
    monkeypatch.setattr(stores, "_PATIENCE", 1)
    url = new_database()
    store = Store(url)
    store.begin(NEW)
    with psycopg.connect(url) as other:
        other.execute("select * from canaryjudge_releases for update")
        with pytest.raises(
            StoreError, match=r"canceling statement due to statement timeout\. See what keeps"
        ):
            store.write(replace(NEW, version=1))
    assert store.write(replace(NEW, version=1))
    # and a gate that hangs in the middle keeps nobody waiting
    with store._writer.connect() as hung:
        hung.execute(select(stores._releases.c.id).with_for_update())
        other = Store(url)
        assert other.write(replace(NEW, version=2))
        other.close()
        hung.invalidate()
    store.close()


def test_what_postgresql_refuses_is_said_without_the_password(postgresql, new_database):
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create role guest login password 'guest'")
    place = url.rpartition("@")[2]
    refusals = {
        f"postgresql://gate:wrong-secret@{place}": "password authentication failed for user",
        f"{postgresql}/nowhere": 'database "nowhere" does not exist',
        f"postgresql://guest:guest@{place}": r"permission denied for schema public\. Let the gate's user make tables",
        f"{url}?options=-cdefault_transaction_read_only%3Don": r"can only be read\. Name the server that takes writes",
        f"{url}?sslmode=require": "server does not support SSL",
        f"{url}?nonsense=1": 'invalid connection option "nonsense"',
        new_database("encoding latin1 template template0"): "has the encoding LATIN1",
        "postgresql://gate:se%63ret@127.0.0.1:9/postgres": "Connection refused.* See that the server runs",
    }
    for address, says in refusals.items():
        with pytest.raises(StoreError, match=says) as refused:
            Store(address)
        said = str(refused.value)
        assert said.startswith("the store postgresql://127.0.0.1:")
        assert not any(secret in said for secret in (PASSWORD, "secret", "se%", "gate:", "guest:"))
        assert refused.value.__cause__ is None


def test_a_server_that_is_gone_is_said_and_nothing_is_there_to_wait_for(postgresql):
    with cluster() as server:
        store = Store(f"{server}/postgres")
        store.check()
    for ask in (store.check, lambda: store.read("checkout", "v42"), lambda: store.begin(NEW)):
        with pytest.raises(StoreError, match="See that the server runs") as refused:
            ask()
        assert PASSWORD not in str(refused.value)
    store.close()


def test_check_says_that_tables_are_gone(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/gate.db")
    store.check()
    with sqlite3.connect(tmp_path / "gate.db") as connection:
        connection.execute("drop table canaryjudge_schema")
    with pytest.raises(StoreError, match="no such table"):
        store.check()
    store.close()


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        MissingExtraError, match=r"PostgreSQL needs psycopg.*canaryjudge\[server,postgresql\]"
    ):
        Store("postgresql://gate@127.0.0.1/gate")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.delitem(sys.modules, "canaryjudge.server.store")
    with pytest.raises(MissingExtraError, match=r"store needs sqlalchemy.*canaryjudge\[server\]"):
        importlib.import_module("canaryjudge.server.store")


def test_the_last_version_of_the_tables_stays_as_it_is():
    """A change of these lines needs a step of `_STEPS`, or a store of yesterday is not read tomorrow."""
    columns = {
        table.name: " ".join(column.name for column in table.columns)
        for table in stores._metadata.sorted_tables
    }
    assert len(stores._STEPS) == 0
    assert columns == {
        "canaryjudge_releases": "id service revision version policy_name outcome action started updated next_pull answer settings policy state verdict",
        "canaryjudge_batches": "release batch",
        "canaryjudge_schema": "version",
    }

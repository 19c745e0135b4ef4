"""The gate's store: a row a release in SQLite or PostgreSQL, which many ask for at once and which nobody overwrites unseen."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from canaryjudge.errors import CanaryJudgeError, DataError, MissingExtraError
from canaryjudge.texts import visible

try:
    from sqlalchemy import (
        Column,
        Connection,
        Double,
        Engine,
        ForeignKey,
        Index,
        Integer,
        LargeBinary,
        MetaData,
        QueuePool,
        RowMapping,
        Table,
        Text,
        and_,
        create_engine,
        delete,
        event,
        insert,
        inspect,
        select,
        text,
        tuple_,
        update,
    )
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
except ImportError:
    raise MissingExtraError(
        "the gate's store needs sqlalchemy", "Install it with: pip install 'canaryjudge[server]'."
    ) from None

__all__ = ["Store", "StoreError", "StoredRelease", "Summary"]

_PATIENCE: Final = 10
"""Seconds that a caller waits for the database, for a lock in it, or for a connection; who pushes points asks again."""
_LONGEST_NAME: Final = 200
"""Characters of a service, a revision or a batch: PostgreSQL's indexes hold 2,700 bytes a row, of which a character takes four."""
_AT_ONCE: Final = 500
"""Releases that are forgotten in one transaction, for which SQLite keeps all writers waiting, and batches asked for in one statement."""
_OPENING: Final = 0x63616E617279
"""The lock under which PostgreSQL's tables are made or migrated, by the first of several gates that start together."""
_FORMS: Final = "Write sqlite:///gate.db (a file) or postgresql://USER:PASSWORD@HOST/DATABASE."
_RIGHTS: Final = "Let the gate write to the file and to its folder."
_CONNECTING: Final = {
    "connect_timeout": _PATIENCE,
    "keepalives_idle": _PATIENCE,  # a server that vanished is noticed, and asked no longer
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "prepare_threshold": None,  # what is prepared is lost behind a pooler such as PgBouncer
}
"""How PostgreSQL is connected to, where the address does not say."""
_HINTS: Final = {
    "BUSY": "Another process keeps it locked; ask again when that is done.",
    "CANTOPEN": _RIGHTS,
    "CORRUPT": "Bring back a copy of it, or name a new file.",
    "FULL": "Make room on its disk; nothing was written, and what was acknowledged is kept.",
    "IOERR": "See that its disk has room and is whole; nothing was written.",
    "NOTADB": "Name another file, or one that is not there yet.",
    "READONLY": _RIGHTS,
    "PERM": _RIGHTS,
    "3D000": "Make it: createdb, with the encoding UTF8.",
    "42501": "Let the gate's user make tables in the schema, and read and write them.",
    "53100": "Make room on its disk; nothing was written, and what was acknowledged is kept.",
    "53300": "Let it have more connections; a gate takes up to 15.",
    "57014": "See what keeps the database busy, and ask again.",
}
"""What to do, by the middle word of SQLite's codes and by PostgreSQL's SQLSTATE."""


class StoreError(CanaryJudgeError):
    """The store cannot be opened or does not answer now; nothing was written that was not acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a store says of a release without reading its state.

    Attributes
    ----------
    service, revision : str
        What is released: at most 200 characters each.
    version : int
        How many times the release was written; 0 if it is not stored yet.
    policy_name : str
        The name of the policy that it is judged by.
    outcome, action : str or None
        What was concluded last, if anything was.
    answer : str or None
        The short answer, JSON.
    started, updated : float
        When it began and when it was written last, in seconds since 1970, as the caller said.
    next_pull : float or None
        When points are to be fetched next, in seconds since 1970; None if they are pushed.
    """

    service: str
    revision: str
    version: int
    policy_name: str
    outcome: str | None
    action: str | None
    started: float
    updated: float
    next_pull: float | None
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRelease(Summary):
    """All that a store keeps of a release.

    Attributes
    ----------
    settings : str
        How the gate gets its points, JSON.
    policy : str
        The policy as it was when the release began, JSON.
    state : str or None
        What `Monitor.to_json` or `Rollout.to_json` gave; stored pressed together.
    verdict : str or None
        The whole verdict, JSON; stored pressed together.
    """

    settings: str
    policy: str
    state: str | None
    verdict: str | None


_metadata = MetaData()
_ByBytes = Text().with_variant(Text(collation="C"), "postgresql")  # the same order everywhere, and for ever
_schema = Table("canaryjudge_schema", _metadata, Column("version", Integer, nullable=False))
_releases = Table(
    "canaryjudge_releases",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("service", _ByBytes, nullable=False),
    Column("revision", _ByBytes, nullable=False),
    Column("version", Integer, nullable=False),
    Column("policy_name", Text, nullable=False),
    Column("outcome", Text),
    Column("action", Text),
    Column("started", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("next_pull", Double),
    # what is long stands last: SQLite reads a row from its start as far as it is asked
    Column("answer", Text),
    Column("settings", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("state", LargeBinary),
    Column("verdict", LargeBinary),
    Index("canaryjudge_release", "service", "revision", unique=True),
    Index("canaryjudge_latest", "updated", "service", "revision"),
    Index("canaryjudge_due", "next_pull"),
)
_batches = Table(
    "canaryjudge_batches",
    _metadata,
    Column("release", ForeignKey("canaryjudge_releases.id", ondelete="CASCADE"), primary_key=True),
    Column("batch", _ByBytes, primary_key=True),
)

_STEPS: tuple[Callable[[Connection], None], ...] = ()
"""What makes version 2 of the tables of version 1, then version 3 of those, and so on; new tables are of the last version at once."""

_TEXTS: Final = ("policy_name", "outcome", "action", "answer", "settings", "policy")
_PRESSED: Final = ("state", "verdict")
_SUMMARY: Final = [_releases.c[field.name] for field in fields(Summary)]
_WHOLE: Final = [_releases.c[field.name] for field in fields(StoredRelease)]


class Store:
    """Releases and their states, in a file of SQLite or a database of PostgreSQL that several gates share.

    A release is changed by reading it, and writing it if nobody wrote it meanwhile (optimistic locking on its `version`): of several writers one succeeds, and the others
    read again. The ids of the batches of points that went into a state are written with it, so that a batch that is sent again is known. What a
    method gave back is on the disk (in PostgreSQL as its `synchronous_commit` says): a gate that is killed loses nothing that it acknowledged. All methods may be called by several threads at once.

    Parameters
    ----------
    url : str
        ``sqlite:///gate.db``, or ``postgresql://USER:PASSWORD@HOST/DATABASE``; ``sqlite://`` is kept in memory until it is closed. Tables are made where there are none, and migrated where they are of an older version.

    Raises
    ------
    StoreError
        If it cannot be opened, or later if it does not answer.
    MissingExtraError
        If psycopg is not installed.
    DataError
        By all methods, if a name or a text cannot be stored.
    """

    def __init__(self, url: str) -> None:
        address = _address(url)
        self._name = _shown(address)
        self._reader, self._writer = _engines(address, self._name)
        self._file: _File | None = None  # not yet: it may have to be made
        try:
            self._make_ready()
            self._file = _file_of(address)
        except BaseException:
            self.close()
            raise

    def read(self, service: str, revision: str) -> StoredRelease | None:
        """Give all of a release, or None if it is not here."""
        found = self._one(_WHOLE, service, revision)
        if found is None:
            return None
        return StoredRelease(
            **{**found, **{name: self._unpressed(found[name], service, revision) for name in _PRESSED}}
        )

    def verdict(self, service: str, revision: str) -> tuple[str | None] | None:
        """Give the whole verdict of a release, which may be None, without reading its state; None if it is not here."""
        found = self._one([_releases.c.verdict], service, revision)
        return None if found is None else (self._unpressed(found["verdict"], service, revision),)

    def _unpressed(self, pressed: bytes | None, service: str, revision: str) -> str | None:
        try:
            return None if pressed is None else zlib.decompress(pressed).decode()
        except (zlib.error, ValueError):
            raise StoreError(
                f"{self._name}: what is stored of {visible(service)} {visible(revision)} is damaged",
                "Delete the release and begin it anew, or bring back a copy of the database.",
            ) from None

    def answer(self, service: str, revision: str) -> Summary | None:
        """Give what was concluded last of a release, without reading its state; None if it is not here."""
        found = self._one(_SUMMARY, service, revision)
        return None if found is None else Summary(**found)

    def begin(self, release: StoredRelease, batches: Sequence[str] = ()) -> bool:
        """Store a release as version 1, with the batches in it; False if there is one of its names already."""
        row = {
            "service": release.service,
            "revision": release.revision,
            "version": 1,
            "started": release.started,
            **_row(release),
        }
        _named(release.service, release.revision, batches)
        with self._writing() as connection:
            try:
                key = connection.execute(insert(_releases).values(row)).inserted_primary_key
            except IntegrityError:
                if self._is_here(connection, release):
                    return False
                raise
            _add(connection, key[0] if key else None, batches)
        return True

    def write(self, release: StoredRelease, batches: Sequence[str] = ()) -> bool:
        """Store a release that was read, with the ids of the batches that went into its state since; its stored version is one higher then.

        Nothing is written, and False given, if it was written or deleted since it was read, or if one of the batches is in the state already.
        """
        unchanged = and_(
            _is(release.service, release.revision),
            _releases.c.version == release.version,
            _releases.c.started == release.started,  # or it is another release of the same name
        )
        key = select(_releases.c.id).where(unchanged).with_for_update()
        values = {"version": release.version + 1, **_row(release)}
        _named(release.service, release.revision, batches)
        with self._writing() as connection:
            found = connection.execute(key).scalar()
            if found is None:
                return False
            try:
                _add(connection, found, batches)
            except IntegrityError:
                connection.rollback()
                return False
            connection.execute(update(_releases).where(_releases.c.id == found).values(values))
        return True

    def known(self, service: str, revision: str, batches: Sequence[str]) -> set[str]:
        """Give those of the batches that are in the state of a release already."""
        asked_for = list(set(batches))
        _named(service, revision, asked_for)
        asked = select(_batches.c.batch).join(_releases).where(_is(service, revision))
        found: set[str] = set()
        with self._reading() as connection:
            for start in range(0, len(asked_for), _AT_ONCE):
                some = _batches.c.batch.in_(asked_for[start : start + _AT_ONCE])
                found.update(connection.execute(asked.where(some)).scalars())
        return found

    def latest(
        self, limit: int, before: tuple[float, str, str] | None = None, service: str | None = None
    ) -> list[Summary]:
        """Give the releases that were written last, the last one first; `before` is `updated`, service and revision of the last one of the page before; of one service, or of all."""
        by = (_releases.c.updated, _releases.c.service, _releases.c.revision)
        asked = select(*_SUMMARY).order_by(*(column.desc() for column in by)).limit(limit)
        if before is not None:
            _named(*before[1:])
            asked = asked.where(tuple_(*by) < before)
        if service is not None:
            _named(service, "any")
            asked = asked.where(_releases.c.service == service)
        with self._reading() as connection:
            return [Summary(**row) for row in connection.execute(asked).mappings()]

    def due(self, now: float, limit: int) -> list[tuple[str, str, float]]:
        """Give the releases whose next pull has come, with its time, the longest overdue first."""
        when = _releases.c.next_pull
        asked = (
            select(_releases.c.service, _releases.c.revision, when)
            .where(when <= now)
            .order_by(when)
            .limit(limit)
        )
        with self._reading() as connection:
            return [(service, revision, seen) for service, revision, seen in connection.execute(asked)]

    def claim(self, service: str, revision: str, seen: float, until: float | None) -> bool:
        """Move the next pull of a release, or with None let it be the last one, if it is still when it was seen to be: of several gates one gets it. That is no new version."""
        mine = and_(_is(service, revision), _releases.c.next_pull == seen)
        _named(service, revision)
        with self._writing() as connection:
            return connection.execute(update(_releases).where(mine).values(next_pull=until)).rowcount == 1

    def delete(self, service: str, revision: str, started: float | None = None) -> bool:
        """Delete a release and its batches, if `started` is given only the one that began then; False if it is not here."""
        _named(service, revision)
        which = _is(service, revision)
        if started is not None:
            which = and_(which, _releases.c.started == started)
        with self._writing() as connection:
            return connection.execute(delete(_releases).where(which)).rowcount == 1

    def forget(self, before: float) -> int:
        """Delete the releases that were not written since, and say how many they were."""
        old = (
            select(_releases.c.id)
            .where(_releases.c.updated < before)
            .limit(_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        count = 0
        while True:
            with self._writing() as connection:
                gone = connection.execute(delete(_releases).where(_releases.c.id.in_(old))).rowcount
            if not gone:
                return count
            count += gone

    def check(self) -> None:
        """Raise a StoreError if the database does not answer."""
        with self._reading() as connection:
            connection.execute(select(_schema.c.version)).one()

    def close(self) -> None:
        """Close all connections."""
        self._reader.dispose()
        self._writer.dispose()

    def _one(self, columns: Sequence[Column[Any]], service: str, revision: str) -> RowMapping | None:
        _named(service, revision)
        with self._reading() as connection:
            asked = select(*columns).where(_is(service, revision))
            return connection.execute(asked).mappings().one_or_none()

    def _is_here(self, connection: Connection, release: StoredRelease) -> bool:
        connection.rollback()
        return (
            connection.execute(select(_releases.c.id).where(_is(release.service, release.revision))).scalar()
            is not None
        )

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._told(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is committed at the end, or what was asked in it is undone."""
        with self._told(), self._writer.connect() as connection:
            yield connection
            connection.commit()

    def _refuse_another_file(self) -> None:
        """Refuse to go on where a file of SQLite was: what is written to a deleted one is lost with this process, and what is read of a new one is nothing."""
        if self._file is not None and _identity(self._file.path) != self._file.identity:
            raise StoreError(
                f"{self._name} was deleted or replaced since it was opened",
                "Bring it back, and start the gate again.",
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a sentence what the database says, without what was asked of it."""
        self._refuse_another_file()
        try:
            yield
        except SQLAlchemyError as error:
            raise self._error(error) from None

    def _error(self, error: SQLAlchemyError) -> StoreError:
        if not isinstance(error, DBAPIError):
            return StoreError(
                f"{self._name}: no connection was free within {_PATIENCE} seconds", "Ask again."
            )
        cause: Any = error.orig
        said = next(iter(str(cause).strip().splitlines()), type(cause).__name__).rstrip(".")
        code = getattr(cause, "sqlite_errorname", "").split("_")
        key = code[1] if len(code) > 1 else getattr(cause, "sqlstate", None)
        if key is None:
            return StoreError(
                f"{self._name}: {said}", "See that the server runs, and lets the gate's user in."
            )
        return StoreError(f"{self._name}: {said}", _HINTS.get(key, ""))

    def _make_ready(self) -> None:
        """Make the tables, or migrate them, in one transaction."""
        newest = 1 + len(_STEPS)
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                self._hold_postgresql(connection)
            if not inspect(connection).has_table(_schema.name):
                _metadata.create_all(connection)
                connection.execute(insert(_schema).values(version=newest))
                return
            version = connection.execute(select(_schema.c.version)).scalar_one()
            if version > newest:
                raise StoreError(
                    f"{self._name} has tables of version {version}, written by a later canaryjudge; this one knows version {newest}",
                    "Run the version that wrote them, or a later one.",
                )
            for step in _STEPS[version - 1 :]:
                step(connection)
            # even if it is that already, or what can only be read would not be noticed
            connection.execute(update(_schema).values(version=newest))

    def _hold_postgresql(self, connection: Connection) -> None:
        settings = "select current_setting('server_encoding'), current_setting('transaction_read_only')"
        encoding, read_only = connection.execute(text(settings)).one()
        if encoding != "UTF8":
            raise StoreError(
                f"{self._name} has the encoding {encoding}", "Make it anew with the encoding UTF8."
            )
        if read_only == "on":
            raise StoreError(f"{self._name} can only be read", "Name the server that takes writes.")
        connection.execute(text("set local statement_timeout = 0"))  # others may have much to migrate
        connection.execute(text(f"select pg_advisory_xact_lock({_OPENING})"))


def _address(url: str) -> URL:
    """Read an address; what is wrong with it is said without what may be its password."""
    try:
        address = make_url("" if "\0" in url else url)
        kind, _, driver = address.drivername.partition("+")
    except (SQLAlchemyError, ValueError):
        raise StoreError("the store's address cannot be read", _FORMS) from None
    if kind == "sqlite" and driver in ("", "pysqlite"):
        if address.host or address.username:
            raise StoreError(
                f"the store's address names the host {address.host}, which SQLite has not", _FORMS
            )
        return address.set(drivername="sqlite")
    if kind in ("postgresql", "postgres") and driver in ("", "psycopg"):
        if url.count("@") > 1:
            raise StoreError(
                "the store's address has more than one @", "Write one within a name or a password as %40."
            )
        return address.set(drivername="postgresql+psycopg")
    raise StoreError(
        f"the store's address begins with {visible(address.drivername)}, and no such store is known", _FORMS
    )


def _shown(address: URL) -> str:
    """Name a store without its user, its password and its options."""
    kind = address.get_backend_name()
    place = URL.create(kind, host=address.host, port=address.port, database=address.database)
    return f"the store {place.render_as_string()}"


class _File(NamedTuple):
    path: Path
    identity: tuple[int, int] | None


def _file_of(address: URL) -> _File | None:
    """Give the file of a store and which one it is; None if it has none, or one that is named by a URI."""
    if address.get_backend_name() != "sqlite" or _in_memory(address) or "uri" in address.query:
        return None
    path = Path(str(address.database)).absolute()
    return _File(path, _identity(path))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_memory(address: URL) -> bool:
    return address.database in (None, "", ":memory:")


def _engines(address: URL, name: str) -> tuple[Engine, Engine]:
    """Give what reads and what writes: in SQLite one connection writes, for which threads wait in turn, while others read."""
    pool: dict[str, Any] = {"pool_timeout": _PATIENCE, "hide_parameters": True}
    if address.get_backend_name() == "postgresql":
        engine = _postgresql(address, pool)
        return engine, engine
    alone = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, **pool}
    if _in_memory(address):
        engine = _sqlite(address, "BEGIN IMMEDIATE", alone | {"connect_args": {"check_same_thread": False}})
        return engine, engine
    if "uri" not in address.query:
        path = Path(str(address.database))
        if path.is_dir() or not path.parent.is_dir():
            wrong = f"{path} is a folder" if path.is_dir() else f"there is no folder {path.parent}"
            raise StoreError(f"{name} cannot be opened: {wrong}", "Name a file in a folder that is there.")
    return _sqlite(address, "BEGIN", pool), _sqlite(address, "BEGIN IMMEDIATE", alone)


def _sqlite(address: URL, begin: str, options: Mapping[str, Any]) -> Engine:
    engine = create_engine(address, **options)

    def prepare(connection: Any) -> None:
        connection.isolation_level = None  # transactions begin as they are told to below
        waits = f"busy_timeout = {int(1000 * _PATIENCE)}"
        for pragma in (waits, "foreign_keys = on", "journal_mode = wal", "synchronous = full"):
            connection.execute(f"PRAGMA {pragma}")

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    _prepare_each(engine, prepare)
    event.listen(engine, "begin", begun)
    return engine


def _postgresql(address: URL, options: Mapping[str, Any]) -> Engine:
    connecting = {name: value for name, value in _CONNECTING.items() if name not in address.query}
    try:
        engine = create_engine(
            address, isolation_level="READ COMMITTED", pool_pre_ping=True, connect_args=connecting, **options
        )
    except ImportError:
        raise MissingExtraError(
            "a store in PostgreSQL needs psycopg",
            "Install it with: pip install 'canaryjudge[server,postgresql]'.",
        ) from None

    def prepare(connection: Any) -> None:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(f"set {name} = '{_PATIENCE}s'")
        connection.commit()

    _prepare_each(engine, prepare)
    return engine


def _prepare_each(engine: Engine, prepare: Callable[[Any], None]) -> None:
    """Prepare each connection that is opened, or close it if that cannot be."""

    def opened(connection: Any, _: Any) -> None:
        try:
            prepare(connection)
        except BaseException:
            connection.close()
            raise

    event.listen(engine, "connect", opened)


def _is(service: str, revision: str) -> Any:
    return and_(_releases.c.service == service, _releases.c.revision == revision)


def _row(release: StoredRelease) -> dict[str, Any]:
    """Give what may change of a release, as it is stored."""
    row: dict[str, Any] = {
        name: getattr(release, name) for name in (*_TEXTS, *_PRESSED, "updated", "next_pull")
    }
    for name in (*_TEXTS, *_PRESSED):
        if row[name] is not None:
            _check(row[name], f"the {name.replace('_', ' ')} of a release")
    return row | {name: None if row[name] is None else zlib.compress(row[name].encode()) for name in _PRESSED}


def _add(connection: Connection, release: Any, batches: Sequence[str]) -> None:
    if batches:
        connection.execute(insert(_batches), [{"release": release, "batch": batch} for batch in batches])


def _named(service: str, revision: str, batches: Sequence[str] = ()) -> None:
    """Refuse names that are empty, too long, or not to be stored, and a batch that is named twice."""
    for what, name in (
        ("service", service),
        ("revision", revision),
        *(("batch", batch) for batch in batches),
    ):
        if not 0 < len(name) <= _LONGEST_NAME:
            raise DataError(
                f"the name of a {what} has {len(name):,} characters", f"Give it 1 to {_LONGEST_NAME}."
            )
        _check(name, f"the name of a {what}")
    if len(set(batches)) < len(batches):
        raise DataError("a batch of points is named twice", "Give each batch a name of its own.")


def _check(words: str, what: str) -> None:
    if "\0" in words or not _is_whole(words):
        raise DataError(
            f"{what} has a NUL character or half of one, which no database stores",
            "Leave such characters out.",
        )


def _is_whole(words: str) -> bool:
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True

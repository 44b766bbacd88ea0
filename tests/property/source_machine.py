"""A random application on a real PostgreSQL, and the syncs, kills and clock jumps between its statements, as a state machine.

What it promises at the end is P0: all transactions ended, one sync. What the guarantee excludes is not done here, or is counted:
cursors that an application's clock sets, updates that leave the cursor alone, and deletes of an incremental table, whose rows
stay (``gone``). A key that changes is a delete and an insert.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from pipelines.sync.steps import Moment, set_hook
from tests.conftest import TODAY, Project
from tests.crash.conftest import Boundary, Run
from tests.crash.crashing import DIED

KEYS = 12
FIRST_KEYS = 6
SESSIONS = 3
CHUNK_ROWS = 4
Kind = Literal["upsert", "null", "delete", "rekey"]
BOUNDARIES = (
    *("plan", "read.chunk", "land.chunk", "land.file", "land.manifest", "gate", "claim", "commit"),
    *("load.rows", "commit.ledger", "commit.fence", "commit.transaction", "mirror", "clean"),
)
MODES: dict[str, dict[str, Any]] = {
    "incremental": {"cursor": "at"},
    "snapshot": {},
    # Everything that the machine touches lies within the days that are read again.
    "partitioned": {"partition": {"column": "at", "start": "2026-01-01", "lookback_days": 30}},
}


@dataclass(frozen=True)
class Setup:
    """One table and one reader of it."""

    mode: str
    cursor: Literal["clock", "sequence", "day"]
    is_blind: bool = False
    key_type: str = "int"

    def __str__(self) -> str:
        return "-".join((self.mode, self.cursor, self.key_type, "blind" if self.is_blind else "seeing"))


@dataclass(frozen=True)
class Write:
    """One statement of the application. ``day`` counts for a partitioned table only."""

    kind: Kind
    keys: tuple[int, ...]
    day: int
    is_late_clock: bool = False  # the cursor is the clock at the statement instead of the transaction's start
    is_returning: bool = False  # the name is one that the row may have had before: A, B, A


@dataclass
class Application:
    """The source's sessions. It never waits for itself: a key that one open transaction has touched is left alone by the others."""

    url: str
    setup: Setup
    autocommit: psycopg.Connection = field(init=False)
    sessions: list[psycopg.Connection] = field(default_factory=list)
    prepared: dict[str, psycopg.Connection] = field(default_factory=dict)
    touched: dict[int, object] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    versions: int = 0

    def __post_init__(self) -> None:
        self.autocommit = psycopg.connect(self.url, autocommit=True)
        kind = f"{self._cursor_type} default {self._cursor(Write('upsert', (), 0))}"
        for statement in (
            "drop table if exists t",
            "drop sequence if exists s",
            "create sequence s",
            f"create table t (id {self.setup.key_type} primary key, name text, at {kind})",
            "grant select on t to public",
        ):
            self.autocommit.execute(statement)  # type: ignore[arg-type]
        for day in range(FIRST_KEYS):
            self.write(None, Write("upsert", (day,), -day))

    def write(self, session: psycopg.Connection | None, write: Write) -> None:
        """Run one statement, in ``session`` or in a transaction of its own."""
        owner = session or self.autocommit
        keys = [key for key in write.keys if self.touched.get(key, owner) is owner]
        if session:
            self.touched |= dict.fromkeys(keys, session)
        self.versions += 1
        name = "A" if write.is_returning else f"v{self.versions}"
        match write.kind:
            case "upsert" | "null":
                cursor = f"null::{self._cursor_type}" if write.kind == "null" else self._cursor(write)
                owner.execute(
                    f"with cursor as materialized (select {cursor} as at)"  # type: ignore[arg-type]
                    f" insert into t select key, '{name}', cursor.at from unnest(%s::int[]) key, cursor"
                    " on conflict (id) do update set name = excluded.name, at = excluded.at",
                    [keys],
                )
            case "delete":
                self.gone |= set(keys)
                owner.execute(f"delete from t where id = any (%s::{self.setup.key_type}[])", [keys])  # type: ignore[arg-type]
            case "rekey" if len(keys) > 1:
                self.gone.add(keys[0])
                owner.execute(
                    f"update t set id = %s, name = '{name}', at = {self._cursor(write)}"  # type: ignore[arg-type]
                    " where id = %s and not exists (select from t where id = %s)",
                    [keys[1], keys[0], keys[1]],
                )
            case _:
                return

    @property
    def _cursor_type(self) -> str:
        return "bigint" if self.setup.cursor == "sequence" else "timestamptz"

    def _cursor(self, write: Write) -> str:
        if self.setup.cursor == "sequence":
            return "nextval('s')"
        if self.setup.cursor == "day":
            return f"'{TODAY + timedelta(days=write.day)} 03:00+00'::timestamptz"
        return "clock_timestamp()" if write.is_late_clock else "now()"

    def begin(self) -> None:
        session = psycopg.connect(self.url)
        session.execute("select 1")
        self.sessions.append(session)

    def end(self, session: psycopg.Connection, is_commit: bool) -> None:
        session.commit() if is_commit else session.rollback()
        session.close()
        self.sessions.remove(session)
        self._let_go(session)

    def prepare(self, session: psycopg.Connection) -> None:
        self.versions += 1
        gid = f"g{self.versions}"
        session.execute(f"prepare transaction '{gid}'")  # type: ignore[arg-type]
        session.commit()
        session.close()
        self.sessions.remove(session)
        self.prepared[gid] = session

    def end_prepared(self, gid: str, is_commit: bool) -> None:
        self.autocommit.execute(f"{'commit' if is_commit else 'rollback'} prepared '{gid}'")  # type: ignore[arg-type]
        self._let_go(self.prepared.pop(gid))

    def end_all(self, is_commit: bool) -> None:
        for session in list(self.sessions):
            self.end(session, is_commit)
        for gid in list(self.prepared):
            self.end_prepared(gid, is_commit)

    def _let_go(self, session: psycopg.Connection) -> None:
        self.touched = {key: owner for key, owner in self.touched.items() if owner is not session}


class Interrupted(BaseException):
    """Ends a sync at a boundary, as a signal does that Python turns into an exception."""


keys = st.lists(st.integers(0, KEYS - 1), min_size=1, max_size=4, unique=True).map(tuple)
kinds = st.sampled_from(["upsert", "upsert", "upsert", "null", "delete", "rekey"])
writes, upserts = (st.builds(Write, kind, keys, st.integers(-6, 1), st.booleans(), st.booleans()) for kind in (kinds, st.just("upsert")))
nth = st.integers(0, 7)  # of those that there are
boundaries = st.tuples(st.sampled_from(BOUNDARIES), st.sampled_from(["before", "after"]), st.integers(1, 3))
disturbances = st.lists(st.tuples(boundaries, st.sampled_from(["write", "begin", "end", "late", "interrupt"]), writes, nth), max_size=3)


class SyncMachine(RuleBasedStateMachine):
    """See the module; made by a factory that knows the set-up, its reader's URL, and how to sync in a process that dies."""

    def __init__(self, setup: Setup, owner_url: str, reader_url: str, die: Run) -> None:
        super().__init__()
        self.setup, self.die = setup, die
        self.application = Application(owner_url, setup)
        self.folder = tempfile.TemporaryDirectory(prefix="daybreak-machine-")
        self.project = Project(reader_url, Path(self.folder.name) / "home", {"DAYBREAK_CHUNK_ROWS": str(CHUNK_ROWS)})
        self.project.declare("t", setup.mode, key=["id"], **MODES[setup.mode])
        self.latest = self.jumped = 0
        self.is_unfinished, self.has_news = False, True

    @rule(write=writes)
    def write(self, write: Write) -> None:
        self.has_news = True
        self.application.write(None, write)

    @precondition(lambda self: len(self.application.sessions) < SESSIONS)
    @rule(write=st.none() | writes)
    def begin(self, write: Write | None) -> None:
        """Open a transaction that writes at once, or only reads for now."""
        self.has_news = True
        self.application.begin()
        if write:
            self.application.write(self.application.sessions[-1], write)

    @precondition(lambda self: self.application.sessions)
    @rule(n=nth, write=writes)
    def write_late(self, n: int, write: Write) -> None:
        self.has_news = True
        self.application.write(self._session(n), write)

    @precondition(lambda self: self.application.sessions)
    @rule(n=nth, is_commit=st.sampled_from([True, True, False]))
    def end(self, n: int, is_commit: bool) -> None:
        self.has_news = True
        self.application.end(self._session(n), is_commit)

    @precondition(lambda self: self.application.sessions and len(self.application.prepared) < SESSIONS)
    @rule(n=nth)
    def prepare(self, n: int) -> None:
        self.has_news = True
        self.application.prepare(self._session(n))

    @precondition(lambda self: self.application.prepared)
    @rule(n=nth, is_commit=st.sampled_from([True, True, False]))
    def end_prepared(self, n: int, is_commit: bool) -> None:
        self.has_news = True
        gids = list(self.application.prepared)
        self.application.end_prepared(gids[n % len(gids)], is_commit)

    @rule(days=st.integers(-400, 400))
    def jump(self, days: int) -> None:
        """Move this machine's clock; the source has its own."""
        self._set_clock(days)

    @precondition(lambda self: self.has_news)  # else most steps would be syncs, the dearest
    @rule()
    def sync(self) -> None:
        self._sync()

    @precondition(lambda self: len(self.application.sessions) < SESSIONS)
    @rule(hidden=upserts, seen=upserts)
    def sync_overtaking(self, hidden: Write, seen: Write) -> None:
        """Write in a transaction that stays open, then in one that is over, then sync: chance seldom does the three in this order."""
        self.application.begin()
        self.application.write(self.application.sessions[-1], hidden)
        self.application.write(None, seen)
        self._sync()
        self.has_news = True

    @precondition(lambda self: self.has_news)
    @rule(found=disturbances)
    def sync_disturbed(self, found: list[tuple[Boundary, str, Write, int]]) -> None:
        """Sync while the application goes on: at each of the boundaries it does something, or a signal ends the sync."""
        todo = {boundary: (action, write, n) for boundary, action, write, n in found}

        def act(boundary: Boundary) -> None:
            if boundary in todo:
                self._disturb(*todo[boundary])

        try:
            with hooked(act):
                self._sync()
        except Interrupted:
            self.is_unfinished = True
            self._check_balance()

    @precondition(lambda self: self.has_news)
    @rule(boundary=boundaries)
    def sync_killed(self, boundary: Boundary) -> None:
        """Sync in a process that ends at a boundary, if it comes there."""
        self.has_news = False
        code = self.die(self.project, boundary)["code"]
        assert code in (0, DIED)
        self.is_unfinished = code == DIED
        self._check_balance()

    def teardown(self) -> None:
        try:
            self.application.end_all(is_commit=True)
            self._set_clock(self.latest)
            # Chunks of a snapshot that a crash left are loaded as they are, as of then; only the sync after it is of now.
            if self.is_unfinished and self.setup.mode != "incremental":
                self._sync()
            self._sync()
            self._check()
        finally:
            self.application.end_all(is_commit=False)
            self.application.autocommit.close()
            self.folder.cleanup()

    def _session(self, n: int) -> psycopg.Connection:
        return self.application.sessions[n % len(self.application.sessions)]

    def _set_clock(self, days: int) -> None:
        self.latest = max(self.latest, days)
        self.project.environment["DAYBREAK_TODAY"] = str(TODAY + timedelta(days=days))

    def _disturb(self, action: str, write: Write, n: int) -> None:
        application = self.application
        if action == "interrupt":
            raise Interrupted
        if action == "write":
            application.write(None, write)
        elif action == "begin" and len(application.sessions) < SESSIONS:
            application.begin()
            application.write(application.sessions[-1], write)
        elif action == "end" and application.sessions:
            application.end(self._session(n), is_commit=True)
        elif action == "late" and application.sessions:
            application.write(self._session(n), write)

    def _sync(self) -> None:
        self.has_news = False
        result = self.project.sync("t")
        self.is_unfinished = False
        assert result.outcome in ("committed", "unchanged"), result
        self._check_balance()

    def _check_balance(self) -> None:
        if not (self.project.home / "warehouse.duckdb").exists():
            return
        unbalanced = self.project.ask(
            "select * from daybreak.ledger where rows_read <> rows_inserted + rows_updated + rows_unchanged + rows_superseded"
            " + rows_quarantined"
        )
        assert not unbalanced

    def _check(self) -> None:
        """P0; an incremental table may have rows besides, of keys that were deleted."""
        assert not self.project.quarantine("t")
        if self.setup.mode != "incremental":
            self.project.check("t")
            return
        source, warehouse = Counter(self.project.source_rows("t")), Counter(self.project.warehouse_rows("t"))
        assert not source - warehouse, f"lost or stale: {source - warehouse}"
        kept = Counter(int(str(row[0])) for row in (warehouse - source).elements())
        assert kept.keys() <= self.application.gone - {int(str(row[0])) for row in source}, f"never deleted: {warehouse - source}"
        assert all(number == 1 for number in kept.values())


@contextmanager
def hooked(act: Callable[[Boundary], None]) -> Iterator[None]:
    """Call ``act`` at every boundary of the syncs of this process, with how often it was there."""
    seen: Counter[tuple[str, str]] = Counter()

    def hook(name: str, moment: Moment) -> None:
        seen[name, moment] += 1
        act((name, moment, seen[name, moment]))

    set_hook(hook)
    try:
        yield
    finally:
        set_hook(None)

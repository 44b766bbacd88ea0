"""Snowflake's transactions on DuckDB's.

Three things differ, and one means bridges them: the writes of an open transaction are kept, and can be done anew.

- On Snowflake each statement sees what others committed before it began; DuckDB's transaction sees what was there at its begin. So before
  a statement, where others have committed since, the DuckDB transaction is rolled back, begun again, and its writes are done anew.
- On Snowflake a statement that fails leaves the transaction open, with what was written before; DuckDB's is lost. The same cure.
- On Snowflake, writers of one table wait for each other; in DuckDB the second fails. Locks are taken first, see ``locks``.

To do writes anew gives the same rows only if nothing that they read has changed. Where it has, the double says that it cannot go on, and
COMMIT fails: a false "committed" would be worse than a test that stops.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import duckdb

from tests.snowflake.double.errors import NotEmulated, SqlError, translate_error
from tests.snowflake.double.locks import Mode
from tests.snowflake.double.names import Table, decode, quote
from tests.snowflake.double.store import Store

EVERYTHING: Table = ("*", "*", "*")  # read by whoever reads a catalog


@dataclass(frozen=True)
class Statement:
    """A statement of DuckDB, with the tables that it reads and those that it writes."""

    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)  # by name: ``$p1``
    reads: frozenset[Table] = frozenset()
    writes: frozenset[Table] = frozenset()
    mode: Mode = Mode.ADD

    def run(self, duck: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        used = {name: value for name, value in self.parameters.items() if re.search(rf"\${name}\b", self.sql)}
        return duck.execute(self.sql, used) if used else duck.execute(self.sql)


@dataclass
class Transaction:
    """The transaction of one session; ``is_explicit`` after BEGIN."""

    store: Store
    session: int
    duck: duckdb.DuckDBPyConnection
    lock_timeout_seconds: float = 43_200
    is_explicit: bool = False
    database: str | None = None
    _is_open: bool = False
    _snapshot: int = 0
    _writes: list[Statement] = field(default_factory=list)
    _touched: set[Table] = field(default_factory=set)
    _lost: str = ""
    _at_end: list[Callable[[], None]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self._is_open or self.is_explicit

    def begin(self) -> None:
        """Start an explicit transaction; inside one, Snowflake ignores it."""
        self.is_explicit = True

    def see_commits(self) -> None:
        """Before a statement looks up its tables: see what others have committed."""
        if self._is_open:
            self._prepare([])

    def query(self, statement: Statement) -> duckdb.DuckDBPyConnection:
        """Run a statement that reads, and return the cursor with its rows."""
        self._prepare([statement])
        return self._guard(lambda: statement.run(self.duck))

    def look(self, statement: Statement) -> list[tuple[Any, ...]]:
        """Run a statement that reads for one that will write: with its locks."""
        self._prepare([statement])
        return list(self._guard(lambda: statement.run(self.duck).fetchall()))

    def write(self, statements: list[Statement], check: Callable[[], None] = lambda: None) -> list[list[tuple[Any, ...]]]:
        """Run statements as one: all of them are done, and ``check`` passed, or none. Return DuckDB's rows for each."""
        self._prepare(statements)
        done = self._guard(lambda: [s.run(self.duck).fetchall() for s in statements])
        self._guard(check)
        self._writes += statements
        self._touched |= {table for statement in statements for table in statement.writes}
        return done

    def define(self, tables: set[Table], work: Callable[[], Any]) -> Any:
        """Run DDL in a transaction of its own, after committing the open one, as Snowflake does."""
        self.commit()
        try:
            for table in sorted(tables):
                self._lock(table, Mode.SHAPE)
            self._start()
            result = work()
            self._touched |= tables
            self._finish()
        except Exception as error:
            self.rollback()
            raise translate_error(error) from error
        return result

    def commit(self) -> None:
        if self._lost:
            reason = self._lost
            self.rollback()
            raise NotEmulated(f"COMMIT after {reason}; nothing of the transaction was kept")
        try:
            self._finish()
        except duckdb.Error as error:
            self.rollback()
            raise translate_error(error) from error

    def rollback(self) -> None:
        if self._is_open:
            with suppress(duckdb.TransactionException):  # DuckDB may have ended it
                self.duck.rollback()
        self._end()

    def abandon(self) -> None:
        """Roll back as Snowflake does with what a client left behind; a client that comes back after all hears of it."""
        self.rollback()
        self.is_explicit, self._lost = True, "a transaction that was idle, in another's way, and was rolled back"

    def end_statement(self, *, failed: bool) -> None:
        """Without BEGIN, a statement is its own transaction."""
        if self.is_explicit:
            return
        if failed:
            self.rollback()
        else:
            self.commit()

    def at_end(self, work: Callable[[], None]) -> None:
        """Do ``work`` once the transaction has committed."""
        self._at_end.append(work)

    def _prepare(self, statements: list[Statement]) -> None:
        if self._lost:
            raise NotEmulated(f"a statement after {self._lost}; roll back")
        for statement in statements:
            for table in sorted(statement.writes):
                self._lock(table, statement.mode)
        if not self._is_open:
            self._start()
            return
        with self.store.mutex:
            if self.store.clock == self._snapshot:
                return
            if self._can_do_anew():
                self._do_anew()
            elif stale := [table for s in statements for table in s.reads | s.writes if self._is_changed(table)]:
                name = ".".join(map(decode, stale[0]))
                raise NotEmulated(f"reading {name}, which others changed, after writing from what they changed as well")

    def _lock(self, table: Table, mode: Mode) -> None:
        if table[0] != "temp":
            self.store.locks.acquire(self.session, table, mode, self.lock_timeout_seconds)

    def _start(self) -> None:
        with self.store.mutex:
            self.duck.begin()
            self._is_open = True
            self._snapshot = self.store.clock
            if self.database in self.store.databases:
                self.duck.execute(f"select * from {quote(str(self.database))}._daybreak.touched").fetchall()

    def _guard(self, work: Callable[[], Any]) -> Any:
        """Return what ``work`` does; where it fails, restore what the transaction had written before."""
        try:
            return work()
        except (duckdb.Error, SqlError) as error:
            if self.is_explicit:
                with self.store.mutex:
                    if self._can_do_anew():
                        self._do_anew()
                    else:
                        self._lost = "an error that DuckDB answers by ending the transaction, whose writes cannot be done anew"
            raise translate_error(error) from error

    def _can_do_anew(self) -> bool:
        return not any(self._is_changed(table) for write in self._writes for table in write.reads)

    def _is_changed(self, table: Table) -> bool:
        if table[0] == "temp":
            return False  # of this session alone, whatever others call theirs
        changed_at = self.store.changed_at
        if table in changed_at:
            return changed_at[table] > self._snapshot
        # Never changed: a view, whose tables are not known here, or a table of an earlier life of the server.
        may_be = table == EVERYTHING or (table[0] != "temp" and self._is_view(table))
        return may_be and self.store.clock > self._snapshot

    def _is_view(self, table: Table) -> bool:
        sql = "select count(*) from duckdb_views() where database_name = ? and schema_name = ? and view_name = ?"
        with self.store.duck.cursor() as aside:
            return aside.execute(sql, list(table)).fetchall() != [(0,)]

    def _do_anew(self) -> None:
        with suppress(duckdb.TransactionException):
            self.duck.rollback()
        self._is_open = False
        self._start()
        try:
            for write in self._writes:
                write.run(self.duck).fetchall()
        except duckdb.Error as error:
            self._lost = f"writes that could not be done anew ({error})"

    def _finish(self) -> None:
        if self._is_open:
            with self.store.mutex:
                self.duck.commit()
                if self._touched:
                    self.store.note_commit(self._touched)
        late = list(self._at_end)
        self._end()
        for work in late:
            work()

    def _end(self) -> None:
        self._is_open = self.is_explicit = False
        self._writes, self._touched, self._lost, self._at_end = [], set(), "", []
        self.store.locks.release(self.session)

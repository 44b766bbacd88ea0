"""One session: it takes a statement, finds what kind it is, and answers with a result."""

import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import duckdb
from sqlglot import Expr, exp

from tests.snowflake.double import copying, merging, owning, settings, show, stages, tables
from tests.snowflake.double.errors import NotEmulated, SqlError, translate_error
from tests.snowflake.double.lengths import check_lengths, check_statement
from tests.snowflake.double.locks import Mode
from tests.snowflake.double.metadata import read_columns
from tests.snowflake.double.names import Table, quote_all
from tests.snowflake.double.session_rows import fetch
from tests.snowflake.double.store import Store
from tests.snowflake.double.transactions import Statement, Transaction
from tests.snowflake.double.translate import Place, parse, table_parts, translate
from tests.snowflake.double.wire import DELETE, INSERT, OTHER, UPDATE, Result, done, make_result

_COMMENTS = re.compile(r"('(?:[^'\\]|''|\\.)*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$)|/\*.*?\*/|--[^\n]*|(?<![:\w/])//[^\n]*", re.S)
# What a warehouse works for; the rest is answered by Snowflake's services alone.
_WAKING = re.compile(r"\s*(select|with|values|insert|update|delete|merge|copy|\(|create\b.*\bas\s+(select|with))\b", re.I | re.S)


@dataclass
class Session:
    """The state that Snowflake keeps for a connection."""

    number: int
    store: Store
    duck: duckdb.DuckDBPyConnection
    place: Place = field(default_factory=Place)
    parameters: dict[str, str] = field(default_factory=dict)
    stages: set[Table] = field(default_factory=set)  # temporary ones
    transaction: Transaction = field(init=False)
    mutex: threading.Lock = field(default_factory=threading.Lock)  # held while a statement runs
    used_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.transaction = Transaction(self.store, self.number, self.duck)
        self.place.look_up = lambda table: set(read_columns(self.duck, table))
        for name, value in settings.DEFAULTS.items():
            settings.set_parameter(self, name, self.parameters.get(name, value))

    @property
    def autocommit(self) -> bool:
        return self.parameters.get("AUTOCOMMIT", "true").lower() == "true"

    def execute(self, text: str, rows: list[dict[str, Any]]) -> Result:
        """Run a statement once for each of ``rows`` of bound values: one, or an array of them."""
        with self.mutex:
            try:
                return self._execute(text, rows)
            finally:
                self.used_at = time.monotonic()

    def abandon_if_idle(self, idle_seconds: float) -> None:
        """Roll back a transaction that nobody goes on with while others wait for it."""
        if time.monotonic() - self.used_at < idle_seconds or not self.store.locks.is_in_the_way(self.number):
            return
        if self.mutex.acquire(blocking=False):
            try:
                self.transaction.abandon()
            finally:
                self.mutex.release()

    def _execute(self, text: str, rows: list[dict[str, Any]]) -> Result:
        sql = strip_comments(text).strip().rstrip(";").strip()
        self.transaction.database = self.place.database
        words = re.findall(r"[A-Za-z_]+|\(", sql[:200].upper())[:3] or [""]
        check_statement(text, rows)
        is_work = words[0] in ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY")
        if is_work and not self.autocommit:
            self.transaction.begin()
        try:
            if is_work:
                self.transaction.see_commits()
            result = self._dispatch(sql, words, rows)
        except Exception as error:
            self.transaction.end_statement(failed=True)
            raise translate_error(error) from error
        self.transaction.end_statement(failed=False)
        return result

    def close(self) -> None:
        with self.mutex:
            self.transaction.rollback()
            self.duck.close()

    def _dispatch(self, sql: str, words: list[str], rows: list[dict[str, Any]]) -> Result:
        match words:
            case ["BEGIN", *_] | ["START", "TRANSACTION", *_]:
                self.transaction.begin()
                return done(statement_type=OTHER)
            case ["COMMIT", *_]:
                self.transaction.commit()
                return done(statement_type=OTHER)
            case ["ROLLBACK", *_]:
                self.transaction.rollback()
                return done(statement_type=OTHER)
            case ["ALTER", "SESSION", *_] | ["USE", *_]:
                return settings.run(self, sql, words)
            case ["GRANT" | "REVOKE", *_]:
                return owning.run(self, sql)
            case ["PUT" | "GET" | "LIST" | "LS" | "REMOVE" | "RM", *_] | ["CREATE" | "DROP", *_] if stages.is_about_stages(sql):
                return stages.run(self, sql)
            case ["COPY", *_]:
                return copying.run(self, sql)
            case ["SHOW" | "DESCRIBE" | "DESC", *_]:
                return show.run(self, sql)
            case ["CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "COMMENT" | "UNDROP", *_]:
                return tables.run(self, sql)
        return self._run_query(parse(sql), rows)

    def _run_query(self, expression: Expr, rows: list[dict[str, Any]]) -> Result:
        match expression:
            case exp.Merge():
                return merging.run(self, expression, rows[0])
            case exp.Insert() | exp.Update() | exp.Delete():
                return self._change(expression, rows)
            case exp.Query() | exp.Values():
                return self.query(expression, rows[0])
        raise NotEmulated(f"the statement {expression.key.upper()}")

    def query(self, expression: Expr, parameters: dict[str, Any]) -> Result:
        translated = translate(expression, self.place)
        cursor = self.transaction.query(Statement(translated.sql, parameters, frozenset(translated.reads)))
        return fetch(cursor)

    def _change(self, expression: Expr, rows: list[dict[str, Any]]) -> Result:
        target = target_of(expression, self.place)
        adds = isinstance(expression, exp.Insert)
        overwrites = adds and bool(expression.args.get("overwrite"))
        expression.set("overwrite", False)
        translated = translate(expression, self.place)
        stored = self.place.stored(target)
        reads = translated.reads - ({stored} if adds and not _reads_target(expression, target, self.place) else set())
        statements = [
            Statement(translated.sql, row, frozenset(reads), frozenset({stored}), Mode.ADD if adds else Mode.CHANGE) for row in rows
        ]
        if adds:
            self._refuse_text_as_variant(expression, stored, rows[0])
        if overwrites:
            if stored in reads:
                raise NotEmulated("INSERT OVERWRITE from the table itself")
            statements.insert(0, Statement(f"delete from {quote_all(stored)}", writes=frozenset({stored}), mode=Mode.CHANGE))
        counted = self.transaction.write(statements, lambda: check_lengths(self.duck, stored))
        count = sum(rows[0][0] for rows in counted[overwrites:])
        match expression:
            case exp.Insert():
                return make_result({"number of rows inserted": "number"}, [(count,)], INSERT)
            case exp.Update():
                names = {"number of rows updated": "number", "number of multi-joined rows updated": "number"}
                return make_result(names, [(count, 0)], UPDATE)
        return make_result({"number of rows deleted": "number"}, [(count,)], DELETE)

    def _refuse_text_as_variant(self, expression: Expr, stored: Table, row: dict[str, Any]) -> None:
        """DuckDB reads text as JSON where it is put into such a column; Snowflake does not."""
        sql = "select column_name, data_type from duckdb_columns() where database_name = ? and schema_name = ? and table_name = ?"
        kinds = dict(self.duck.execute(sql, list(stored)).fetchall())
        if "JSON" not in kinds.values() or expression.expression is None:
            return
        named = expression.this.expressions if isinstance(expression.this, exp.Schema) else ()
        columns = [column.name for column in named] or list(kinds)
        source = expression.expression
        inner = f"select * from {source.sql('duckdb')} as v" if isinstance(source, exp.Values) else source.sql("duckdb")
        given = self.transaction.look(Statement(f"describe {inner}", row))
        if any(kinds.get(column) == "JSON" and kind == "VARCHAR" for column, (_, kind, *_) in zip(columns, given, strict=False)):
            raise NotEmulated("text put into a VARIANT without PARSE_JSON")


def target_of(expression: Expr, place: Place) -> Table:
    """Return the table that DML changes."""
    target = expression.this
    while not isinstance(target, exp.Table):
        if target is None:
            raise SqlError(1003, "42000", "SQL compilation error:\nno table to change")
        target = target.this
    return place.complete(table_parts(target))


def _reads_target(expression: Expr, target: Table, place: Place) -> bool:
    source = expression.args.get("expression")
    sql = source.find_all(exp.Table) if isinstance(source, Expr) else ()
    return any(isinstance(t.this, exp.Identifier) and place.stored(target) == tuple(table_parts(t)) for t in sql)


def strip_comments(sql: str) -> str:
    return _COMMENTS.sub(lambda found: found[1] or " ", sql)


def wakes_warehouse(sql: str) -> bool:
    return bool(_WAKING.match(strip_comments(sql)))

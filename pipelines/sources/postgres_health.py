"""What a PostgreSQL says about itself and about the catalog's tables, for `daybreak doctor`. It judges nothing and reads no row.

One connection with the sync's own driver and session, and for a moment a second one of another driver: only that one tells
which process the server, or a pooler in its place, says it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines.errors import DaybreakError, PrerequisiteError
from pipelines.sources import open_source
from pipelines.sources import postgres_health_sql as sql
from pipelines.sources.postgres_connection import Connection, with_limits
from pipelines.sources.postgres_sql import literal
from pipelines.sources.postgres_types import PgType
from pipelines.sync.protocols import SchemaMoved
from pipelines.sync.spec import SourceSpec

OLDEST_VERSION = 120_000
# The doctor gives up on what is locked or slow, and says so.
LIMITS = ("set local lock_timeout = '2s'", "set local statement_timeout = '20s'")


@dataclass(frozen=True)
class ServerFacts:
    """The server as this user sees it. Timeouts are milliseconds, 0 = none, None = the version has no such setting."""

    version_number: int
    version: str
    database: str
    username: str
    is_local: bool
    is_encrypted: bool
    is_standby: bool
    now: datetime
    sees_starts: bool
    hides_activity: bool  # some sessions run, or would, with `track_activities` off
    default_zone: str
    statement_timeout_ms: int | None
    idle_timeout_ms: int | None
    transaction_timeout_ms: int | None
    max_prepared: int
    free_connections: int
    free_of_role: int | None
    free_of_database: int | None
    hidden_views: str | None
    knows_identity: bool


@dataclass(frozen=True)
class PoolerFacts:
    """What tells a pooler from a server: process numbers of the server seen over time, and whether settings stay."""

    session_pids: tuple[int, ...]  # of our connection, in one transaction after the other
    other_pid: int | None = None  # of a second connection, opened while the first was idle
    announced_pid: int | None = None  # what that one was told when it connected
    keeps_settings: bool = True


@dataclass(frozen=True)
class ColumnFacts:
    """A column: its type (``type_.name`` begins with "user " where it is no built-in one), and the cache of the sequence that feeds it."""

    name: str
    type_: PgType
    is_nullable: bool
    is_readable: bool
    default: str | None = None
    sequence_cache: int | None = None


@dataclass(frozen=True)
class TableFacts:
    """A table of the catalog; ``oid`` is None if it is not there. ``rows`` is the planner's estimate, None if it has none."""

    schema: str
    name: str
    oid: int | None
    kind: str | None
    has_schema: bool
    may_enter: bool
    is_row_secured: bool
    rows: int | None
    bytes: int
    locked_by: str | None
    has_insert_trigger: bool
    has_update_trigger: bool
    columns: tuple[ColumnFacts, ...] = ()
    unique_keys: frozenset[frozenset[str]] = frozenset()
    ordered_by: frozenset[str] = frozenset()  # columns by which rows are found without reading all of them


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that is open now; a prepared one is known by its name."""

    name: str
    is_prepared: bool
    seconds: float


@dataclass(frozen=True)
class SourceFacts:
    """All that one examination found. ``trouble`` says why the tables could not be looked at, if they could not."""

    server: ServerFacts
    clock_ahead_seconds: float  # of the source against this machine
    clock_error_seconds: float  # how wrong that may be: the way there and back
    pooler: PoolerFacts
    tables: tuple[TableFacts, ...] = ()
    open_transactions: tuple[OpenTransaction, ...] = ()
    trouble: str | None = None


def fetch_facts(spec: SourceSpec, url: str) -> SourceFacts:
    """Ask the database behind ``url``. Raises ``ConfigError``, ``PrerequisiteError`` or ``SourceUnavailable``."""
    with open_source(spec.name, url):  # which refuses an URL that no sync would take
        connection = Connection(spec.name, url)
    try:
        return _fetch(connection, spec, url)
    except SchemaMoved as error:  # a catalog, or a column of it, is missing
        raise PrerequisiteError(
            [f"Source `{spec.name}` does not answer as PostgreSQL does: {error}"],
            safe="Nothing was read.",
            remedy="Point its URL at a PostgreSQL 12 or newer.",
        ) from error
    finally:
        connection.close()


def _fetch(connection: Connection, spec: SourceSpec, url: str) -> SourceFacts:
    with connection.transaction():
        first = _session(connection)
        asked_at = datetime.now(UTC)
        server = ServerFacts(**connection.rows(sql.SERVER)[0])
        answered_at = datetime.now(UTC)
    error = (answered_at - asked_at).total_seconds() / 2
    ahead = (server.now - asked_at).total_seconds() - error
    announced, other = _second_connection(url)
    tables: tuple[TableFacts, ...] = ()
    transactions: tuple[OpenTransaction, ...] = ()
    second, trouble = first, None
    if server.version_number >= OLDEST_VERSION:
        try:
            with connection.transaction():
                second = _session(connection)
                transactions = tuple(
                    OpenTransaction(row["name"], row["kind"] == "prepared", row["seconds"]) for row in connection.rows(sql.ACTIVITY)
                )
                tables = _tables(connection, spec)
        except (DaybreakError, SchemaMoved) as refused:
            trouble = str(getattr(refused, "what", refused))
    if announced != other:
        _leave_as_found(connection)
    keeps = first["has_settings"] and second["has_settings"]
    pooler = PoolerFacts((first["pid"], second["pid"]), other, announced, keeps)
    return SourceFacts(server, ahead, error, pooler, tables, transactions, trouble)


def _session(connection: Connection) -> dict[str, Any]:
    for limit in LIMITS:
        connection.run(limit)
    return connection.rows(sql.SESSION)[0]


def _leave_as_found(connection: Connection) -> None:
    """Take our settings back: behind a pooler, other programs may be given the session that has them."""
    try:
        with connection.transaction():
            connection.run("reset all")
    except (DaybreakError, SchemaMoved):  # it is gone, and its settings with it
        return


def _second_connection(url: str) -> tuple[int | None, int | None]:
    """Return the process number that is announced at connecting, and the one that answers; nothing if there is no second connection."""
    import psycopg

    try:
        with psycopg.connect(with_limits(url), autocommit=True) as connection:
            row = connection.execute("select pg_backend_pid()").fetchone()
            return connection.info.backend_pid, row[0] if row else None
    except psycopg.Error:  # perhaps the last free connection is ours
        return None, None


def _tables(connection: Connection, spec: SourceSpec) -> tuple[TableFacts, ...]:
    names = ", ".join(f"({literal(table.schema)}, {literal(table.source_table)})" for table in spec.tables)
    rows = connection.rows(sql.relations_query(names))
    oids = ", ".join(str(row["oid"]) for row in rows if row["oid"] and row["may_enter"] and not row["locked_by"])
    if not oids:
        return tuple(TableFacts(**row) for row in rows)
    columns = connection.rows(sql.columns_query(oids))
    indexes = connection.rows(sql.indexes_query(oids))
    return tuple(_table(row, columns, indexes) for row in rows)


def _table(row: dict[str, Any], columns: Sequence[dict[str, Any]], indexes: Sequence[dict[str, Any]]) -> TableFacts:
    mine = [index for index in indexes if index["oid"] == row["oid"]]
    return TableFacts(
        **row,
        columns=tuple(_column(column) for column in columns if column["oid"] == row["oid"]),
        unique_keys=frozenset(frozenset(index["columns"].split(chr(1))) for index in mine if index["kind"] == "unique"),
        ordered_by=frozenset(index["columns"] for index in mine if index["kind"] == "ordered"),
    )


def _column(row: dict[str, Any]) -> ColumnFacts:
    base = row["base"] if row["owner"] == "system" else f"user {row['base']}"
    type_ = PgType(base, row["modifier"], row["sql_name"])
    return ColumnFacts(row["name"], type_, not row["not_null"], row["is_readable"], row["default_text"], row["cache"])

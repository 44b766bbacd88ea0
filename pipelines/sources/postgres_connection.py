"""One ADBC connection to PostgreSQL with the session this project needs, and the translation of its errors."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote

import adbc_driver_manager as adbc
import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa

from pipelines.errors import PrerequisiteError, SourceUnavailable
from pipelines.sources.driver_thread import DriverThread
from pipelines.sync.protocols import SchemaMoved

# An error instead of silently missing rows; one time zone; text forms that do not depend on the server's settings.
SESSION = (
    "set time zone 'UTC'",
    "set row_security = off",
    "set datestyle = 'ISO, YMD'",
    "set intervalstyle = 'iso_8601'",
    "set bytea_output = 'hex'",
    "set extra_float_digits = 1",
    "set default_transaction_read_only = on",
)
# The server ends what a client that died without a word, or was stopped, left running, so that no transaction stays open for its sake.
LIMITS = ("set statement_timeout = {limit}", "set idle_in_transaction_session_timeout = {limit}")
MAX_QUERY_SECONDS = 900.0
GRACE_SECONDS = 15.0  # the server ends a query that takes too long, and says so, before we take it for gone
CONNECT_SECONDS = 15
# A network that drops packets is noticed within a minute instead of the two hours that are Linux's own.
NETWORK = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
BATCH_BYTES = 8 * 2**20  # 16 times less memory than the driver's own 131 MB, at the same speed (measured on 5M rows)
_MOVED = ("42P01", "42703", "42704")  # undefined table, column, object
_REFUSED = {
    "28P01": "the password is wrong",
    "28000": "the server refuses this user",
    "3D000": "there is no such database",
    "42501": "a privilege is missing",
}
# What PostgreSQL says of itself, by class of SQLSTATE: connection, privileges, names, resources. All else may quote a row.
_TOLD_CLASSES = ("08", "0A", "25", "28", "3D", "40", "42", "53", "55", "57", "58")
_TOLD_WORDS = ("canceling statement due to", "terminating connection", "row-level security", "permission denied for", "No space left")
_HIDDEN = "a value made it refuse the query"


def with_limits(url: str) -> str:
    """Return ``url`` with the limits of ``NETWORK`` that it has not: a firewall that drops packets lets libpq wait for minutes."""
    missing = "&".join(f"{name}={value}" for name, value in NETWORK.items() if f"{name}=" not in url)
    return f"{url}{'&' if '?' in url else '?'}{missing}" if missing else url


Answer = TypeVar("Answer")


class Connection:
    """A connection that opens at its first use and speaks in Arrow tables. Not for two threads at once."""

    def __init__(self, source: str, url: str, max_query_seconds: float = MAX_QUERY_SECONDS) -> None:
        """Remember where to connect; nothing is opened yet. The server ends a query that takes longer than ``max_query_seconds``."""
        self._source, self._url, self._max_query_seconds = source, url, max_query_seconds
        self._connection: driver.Connection | None = None
        self._thread: DriverThread | None = None
        self.process_id = 0  # of the server's process for this connection; 0 before it is opened
        self.seconds = 0.0  # that calls were waited for

    @contextmanager
    def transaction(self, begin: str = "begin") -> Iterator["Connection"]:
        """Run the block in one transaction; any driver error becomes ours, and the connection is given up."""
        try:
            self.run(begin)
            yield self
            self.run("commit")
        except adbc.Error as error:
            self.close()
            translate(self._source, self._url, error)
        except BaseException:
            self.close()
            raise

    def run(self, sql: str) -> None:
        """Run a statement that returns nothing."""

        def work() -> None:
            with self._open().cursor() as cursor:
                cursor.execute(sql)

        self._call(work)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a small query."""

        def work() -> list[dict[str, Any]]:
            with self._open().cursor() as cursor:
                cursor.execute(sql)
                result: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
                return result

        return self._call(work)

    @contextmanager
    def batches(self, sql: str) -> Iterator["Batches"]:
        """Stream a query. Leaving before its end gives the connection up, as the server is still sending."""

        def work() -> tuple[driver.Cursor, pa.RecordBatchReader]:
            cursor = self._open().cursor()
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            cursor.execute(sql)
            return cursor, cursor.fetch_record_batch()

        def finish() -> None:
            with cursor, reader:
                return

        cursor, reader = self._call(work)
        try:
            yield Batches(reader, self._next_batch)
        finally:
            self._call(finish)

    def restart(self) -> None:
        """Give up a half-read stream: a new connection, and a new transaction on it."""
        self.close()
        self.run("begin")

    def close(self) -> None:
        """Close; safe to call twice, and on a broken connection."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.end(self._take_connection())

    def _take_connection(self) -> Callable[[], None]:
        connection, self._connection = self._connection, None

        def close() -> None:
            if connection is not None:
                with suppress(adbc.Error):  # the server has closed it already
                    connection.close()

        return close

    def _call(self, work: Callable[[], Answer]) -> Answer:
        """Let the driver's thread do ``work``. ``SourceUnavailable`` if the server stays silent beyond the limit that it has itself."""
        if self._thread is None:
            self._thread = DriverThread(self._source, self._max_query_seconds + GRACE_SECONDS)
        began = time.monotonic()
        try:
            return self._thread.call(work)
        except TimeoutError:
            raise SourceUnavailable(
                f"Source `{self._source}` did not answer: it has been silent for {self._thread.patience_seconds:.0f} seconds.",
                safe="Nothing was lost: finished chunks are kept and the watermark stands.",
                remedy="The next run reads on; check the server and what stands before it (a pooler, a firewall). "
                "DAYBREAK_MAX_SNAPSHOT_SECONDS sets the patience.",
            ) from None
        finally:
            self.seconds += time.monotonic() - began

    def _next_batch(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        def work() -> pa.RecordBatch | None:
            try:
                return reader.read_next_batch()
            except StopIteration:
                return None

        try:
            return self._call(work)
        except (OSError, pa.ArrowException) as error:
            translate(self._source, self._url, error)

    def _open(self) -> driver.Connection:
        if self._connection is None:
            connection = driver.connect(with_limits(self._url), autocommit=True)
            limit = int(self._max_query_seconds * 1000)
            for statement in (*SESSION, *(text.format(limit=limit) for text in LIMITS)):
                with connection.cursor() as cursor:
                    cursor.execute(statement)
            with connection.cursor() as cursor:
                cursor.execute("select pg_backend_pid()")
                self.process_id = cursor.fetchone()[0]
            self._connection = connection
        return self._connection


class Batches:
    """The batches of a running query. What breaks while they stream is raised by Arrow, not by the driver, and becomes ours."""

    def __init__(self, reader: pa.RecordBatchReader, read_next: Callable[[pa.RecordBatchReader], pa.RecordBatch | None]) -> None:
        """Keep the driver's reader, and who asks it."""
        self._reader, self._read_next, self.schema = reader, read_next, reader.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield each batch."""
        while (batch := self._read_next(self._reader)) is not None:
            yield batch


def translate(source: str, url: str, error: Exception) -> NoReturn:
    """Raise our error for the driver's: without the query, without values of the data that a server quotes, and without a secret."""
    state = getattr(error, "sqlstate", None) or ""
    text = without_secret(_without_values(str(error), state), url)
    cause = error if text == str(error).strip() else None  # a traceback shows the cause's text too
    if state in _MOVED:
        raise SchemaMoved(text) from cause
    reason = next((why for code, why in _REFUSED.items() if state == code), None) or _refusal_in(text)
    if reason:
        raise PrerequisiteError(
            [f"Source `{source}`: {reason}: {text}"],
            safe="Nothing was lost: the watermark stands.",
            remedy=_remedy(state, text),
        ) from cause
    is_slow = state == "57014" or "statement timeout" in text
    is_query = is_slow or _HIDDEN in text
    raise SourceUnavailable(
        f"Source `{source}` {'ended a query' if is_query else 'did not answer'}: {text}",
        safe="Nothing was lost: finished chunks are kept and the watermark stands.",
        remedy="DAYBREAK_MAX_SNAPSHOT_SECONDS limits a query, and with it a table that is read in one transaction; "
        "a unique index on its key makes it resumable."
        if is_slow
        else "Mend the row or the view in the source."
        if is_query
        else "The next run reads on; check that the server is up and reachable.",
    ) from cause


def _without_values(text: str, state: str) -> str:
    """Return what a server said, but not where it may have quoted a row: a bad cast, a raised exception and the like.

    While rows stream the driver gives no SQLSTATE, so the server's words decide.
    """
    told = text.split("Query was:")[0].strip()
    is_of_query = state[:2] not in _TOLD_CLASSES if state else "ERROR:" in told and not any(words in told for words in _TOLD_WORDS)
    if not is_of_query:
        return told
    return f"{_HIDDEN} ({f'SQLSTATE {state}; ' if state else ''}its words may quote data, so they stand in the server's log only)"


def _remedy(state: str, text: str) -> str:
    if "row-level security" in text:
        return "Give the user all rows (ALTER ROLE … BYPASSRLS), or sync as the table's owner: else rows would be missing in silence."
    if state == "42501":
        return "GRANT what is missing: USAGE on the schema, SELECT on the table."
    if "pg_hba.conf" in text:
        return "Let this machine in: an entry for user, database and address in the server's pg_hba.conf."
    return "Check user, password, host and database of the source's URL, in the variable that `url_env` names."


def without_secret(text: str, url: str) -> str:
    """Return ``text`` without the URL's password: libpq repeats a URL, or the part of it, that it cannot read."""
    user_info = url.partition("://")[2].rpartition("@")[0]
    user, _, password = user_info.partition(":")
    for secret in (url, password, *re.findall(r"[?&]password=([^&]*)", url)):
        for form in (secret, unquote(secret)):
            text = text.replace(form, "(hidden)") if form else text
    return re.sub(r'"([^"]+)"', lambda found: _without_piece(found[1], user, password), text)


def _without_piece(quoted: str, user: str, password: str) -> str:
    """Hide a quoted piece of the password: one with a `/`, `@` or `?` in it that was not encoded is cut there."""
    is_piece = quoted != user and (quoted in password or quoted in unquote(password))
    _, at, host = quoted.rpartition("@")
    return f'"(hidden){at}{host}"' if at else '"(hidden)"' if is_piece else f'"{quoted}"'


def _refusal_in(text: str) -> str | None:
    # libpq gives no SQLSTATE for what fails while connecting.
    phrases = ("password authentication failed", "no pg_hba.conf entry", "does not exist", "no password supplied")
    return "it refuses the connection" if any(phrase in text for phrase in phrases) else None

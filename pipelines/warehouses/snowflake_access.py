"""Sessions on Snowflake: from a URL to a connection, statements with named values, and the driver's errors as ours."""

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from pipelines.errors import ConfigError, LoadConflict, PrerequisiteError, WarehouseUnavailable
from pipelines.sync.model import StagedLoad
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import NAMED, Run, as_rows
from pipelines.warehouses.load_quarantine import EXCLUDED
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_limits import copy_without_misfits

if TYPE_CHECKING:
    import pyarrow as pa
    from snowflake.connector import SnowflakeConnection

# What a person may put behind the `?` of the URL; all of it is the driver's own, and passed on.
OPTIONS = {
    *("warehouse", "role", "authenticator", "private_key_file", "private_key_file_pwd", "token", "token_file_path", "host", "port"),
    *("protocol", "login_timeout", "network_timeout", "oauth_client_id", "oauth_client_secret", "workload_identity_provider"),
}
NUMBERS = ("port", "login_timeout", "network_timeout")
LOCK_TIMEOUT_SECONDS = 600  # by default a statement waits half a day for another one's lock
UNAVAILABLE = {250001, 250003, 250005, 250006, 251001, 251005, 251009, 630, 90073, 290400, 390114, 604}
LOCKED = {625, 626, 628}
NOT_ASKED = {251006, 251007, 251017}  # the driver itself refuses what it was to sign in with


@dataclass(frozen=True)
class Account:
    """Where a warehouse is and who signs in, from its URL. Its secrets are in no text that anybody sees."""

    name: str
    database: str
    told: str
    options: Mapping[str, Any] = field(repr=False)


def read_url(url: str) -> Account:
    """Read ``snowflake://USER[:PASSWORD]@ACCOUNT/DATABASE?warehouse=…&role=…``. Raises ``ConfigError`` that names every mistake."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    database = unquote(parts.path.strip("/"))
    problems = [f"DAYBREAK_WAREHOUSE_URL: {name!r} is no option of a Snowflake URL" for name in sorted(given.keys() - OPTIONS)]
    if not parts.hostname or not parts.username:
        problems.append("DAYBREAK_WAREHOUSE_URL: it names no user and account, as in snowflake://USER@ACCOUNT/DATABASE")
    if not database or "/" in database:
        problems.append("DAYBREAK_WAREHOUSE_URL: behind the account stands one name, the database; schemas are made by Daybreak")
    if not given.get("warehouse"):
        problems.append("DAYBREAK_WAREHOUSE_URL: it names no warehouse to compute with (?warehouse=NAME)")
    numbers = [name for name in NUMBERS if name in given]
    problems += [f"DAYBREAK_WAREHOUSE_URL: {name} is no whole number" for name in numbers if not given[name].isdigit()]
    if problems:
        raise ConfigError(problems, safe="Nothing was read or written.", remedy="Mend the URL; docs/snowflake.md shows one of each kind.")
    options: dict[str, Any] = {"account": _account(parts.netloc), "user": unquote(parts.username or ""), "database": database, **given}
    if parts.password:
        options["password"] = unquote(parts.password)
    options |= {name: int(given[name]) for name in numbers}
    return Account(options["account"], database, f"snowflake://{options['account']}/{database}", options)


def _account(netloc: str) -> str:
    return netloc.rpartition("@")[2].partition(":")[0]


class Sessions:
    """A few sessions that are kept open while a project works; each is one person's at a time."""

    def __init__(self, url: str) -> None:
        """Read the URL; nobody signs in before the first question."""
        self.account = read_url(url)
        self._idle: list[SnowflakeConnection] = []
        self._lock = Lock()

    @contextmanager
    def open(self, purpose: str) -> Iterator["SnowflakeRun"]:
        """Yield a session whose statements say what they are for. After an error it is not used again: nobody knows what is open in it."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or self._sign_in()
            run = SnowflakeRun(connection)
            run.tag(purpose)
            yield run
        except BaseException as error:
            if connection:
                with suppress(Exception):
                    connection.close()
            if is_drivers(error):
                translate(self.account, error)
            raise
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Sign out; safe to call twice."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(Exception):
                connection.close()

    def _sign_in(self) -> "SnowflakeConnection":
        try:
            return self._connect()
        except (OSError, ValueError, TypeError) as error:  # of a key or a token: the file is not there, or is none
            raise PrerequisiteError(
                [f"{self.account.told}: what Daybreak is to sign in with cannot be read: {_without_secrets(self.account, str(error))}"],
                safe="Nothing was read or written.",
                remedy="Mend private_key_file, private_key_file_pwd or token_file_path of DAYBREAK_WAREHOUSE_URL.",
            ) from None

    def _connect(self) -> "SnowflakeConnection":
        # Else the driver asks the metadata services of three clouds where it runs, for seconds, at each sign-in.
        os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own copy of requests wonders at a newer urllib3
            from snowflake.connector import connect

        parameters = {
            "QUERY_TAG": "daybreak",
            "TIMEZONE": "UTC",
            "LOCK_TIMEOUT": LOCK_TIMEOUT_SECONDS,
            "BINARY_OUTPUT_FORMAT": "HEX",
            "ABORT_DETACHED_QUERY": True,  # what nobody waits for any more must not commit later
        }
        # Values are bound by the server: in the text of a statement they would stand in the account's query history for a year.
        defaults = {"login_timeout": 60, "network_timeout": 300, "session_parameters": parameters, "autocommit": True}
        return connect(**{**defaults, **self.account.options}, application="Daybreak", paramstyle="qmark")


class SnowflakeRun(Run):
    """Runs statements in one session."""

    def __init__(self, connection: "SnowflakeConnection") -> None:
        """Keep the session; the caller owns its transaction."""
        self._connection, self._sent = connection, [0]
        self.dialect: SnowflakeDialect = SnowflakeDialect()

    @property
    def statements(self) -> int:
        """How many were run, also by what ``beside`` returned."""
        return self._sent[0]

    def beside(self, suffix: str) -> "SnowflakeRun":
        """Return what runs statements on raw tables that stand beside those that readers see."""
        run = SnowflakeRun(self._connection)
        run.dialect, run._sent = SnowflakeDialect(suffix), self._sent
        return run

    def __call__(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        """Run one statement."""
        named = [name for name in NAMED.findall(statement) if name in parameters]
        text = NAMED.sub(lambda found: "?" if found[1] in parameters else found[0], statement)
        self._sent[0] += 1
        with self._connection.cursor() as cursor:
            cursor.execute(text, [_bound(parameters[name]) for name in named] or None)
            return [tuple(row) for row in cursor.fetchall()]

    def records(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement that takes no values, and return its rows by the names of their columns."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def table(self, query: str) -> "pa.Table":
        """Run a query that takes no values, and return its rows as a table."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_all(force_return_table=True)

    def tag(self, purpose: str) -> None:
        """Say what the next statements are for, in the account's query history."""
        self(f"alter session set query_tag = {self.dialect.comment(json.dumps({'daybreak': purpose}))}")

    def columns(self, spec: TableSpec, kept_as: str | None = None) -> dict[str, str]:
        """Return the columns of a raw table."""
        found = self(
            "select column_name, data_type, numeric_precision, numeric_scale, datetime_precision from information_schema.columns "
            "where table_schema = $schema and table_name = $table order by ordinal_position",
            schema=SnowflakeDialect().stored(f"raw_{spec.source}"),
            table=SnowflakeDialect().stored(kept_as) if kept_as else self.dialect.stored(spec.name),
        )
        return {name: _type(kind, precision, scale, digits) for name, kind, precision, scale, digits in found}

    def type_name(self, type_: str) -> str:
        """Return what ``columns`` calls a type."""
        return type_

    def tables(self, spec: TableSpec) -> list[str]:
        """Return the names of the tables in a raw table's schema."""
        schema = SnowflakeDialect().stored(f"raw_{spec.source}")
        return [name for (name,) in self("select table_name from information_schema.tables where table_schema = $schema", schema=schema)]

    def keep_table(self, spec: TableSpec, version: int) -> None:
        """Drop the copy that a load is made in, so that it is made anew; see ``snowflake_swap``."""
        self(f"drop table {self.dialect.raw_table(spec)}")

    def stage_landed(self, load: StagedLoad) -> None:
        """Copy a load's files to the session's own stage, and from there into ``landed`` and ``excluded``."""
        to = self.dialect
        self._drop_staging()
        columns = ", ".join(f"{to.quote(column.name)} {to.type_of(column.arrow_type)}" for column in load.columns)
        self(f"create temporary table landed ({columns}, _daybreak_file varchar, file_row_number number(19, 0))")
        self(f"create temporary table excluded ({EXCLUDED})")
        if load.files:
            self("create temporary stage landing")
            self._copy_landed(load)
        if aside := [file for file in load.files if file.aside_path]:
            self._stage_excluded([str(file.aside_path) for file in aside])

    def _copy_landed(self, load: StagedLoad) -> None:
        with TemporaryDirectory(prefix="daybreak-") as folder:
            files = []
            for file in load.files:
                copy = str(Path(folder) / Path(file.path).name)
                # Only rows that stepped aside may have values that a COPY would stop at.
                files.append(copy if file.aside_path and copy_without_misfits(file.path, copy) else file.path)
            self._copy("landed", files)

    def _copy(self, table: str, files: Sequence[str]) -> None:
        for file in files:
            path = file.replace("\\", "\\\\").replace("'", "\\'")
            # Parquet is compressed already.
            self(f"put 'file://{path}' @landing/{table}/ auto_compress = false overwrite = true")
        # By the session's own stage and name: what Snowflake remembers of earlier loads says nothing of this one.
        self(
            f"copy into {table} from @landing/{table}/ file_format = (type = parquet binary_as_text = false use_logical_type = true "
            "use_vectorized_scanner = true) match_by_column_name = case_insensitive "
            "include_metadata = (_daybreak_file = metadata$filename, file_row_number = metadata$file_row_number) "
            "on_error = abort_statement force = true"
        )
        self(f"update {table} set _daybreak_file = split_part(_daybreak_file, '/', -1)")

    def _stage_excluded(self, files: Sequence[str]) -> None:
        columns = '"position" number(19, 0), key varchar, "column" varchar, reason varchar, original varchar, day date'
        self(f"create temporary table aside_files ({columns}, _daybreak_file varchar, file_row_number number(19, 0))")
        self._copy("aside_files", files)
        # Positions are counted from 0 here; whether Snowflake counts a file's rows from 0 or 1, the first of them says.
        first = "select coalesce(min(file_row_number), 0) from landed"
        self(
            "insert into excluded (_daybreak_file, file_row_number, key, column_name, reason, original, day) "
            f"select replace(_daybreak_file, 'aside-', 'chunk-'), \"position\" + ({first}), key, \"column\", reason, original, day "
            "from aside_files"
        )

    def stage_accepted(self, query: str, *, is_read_once: bool) -> None:
        """Make ``staged``."""
        self(f"create temporary table staged as {query}")

    def make_rows(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Make a temporary table of a few values."""
        self(f"create temporary table {table} ({', '.join(f'{name} {type_}' for name, type_ in columns.items())})")
        if rows:  # apart, as DDL takes no values
            self(f"insert into {table} {self.dialect.rows('rows', columns)}", rows=as_rows(rows))

    def _drop_staging(self) -> None:
        for name in ("staged", "landed", "aside", "aside_files", "excluded", "asked", "skipped", "changed", "still_bad"):
            self(f"drop table if exists {name}")
        self("drop stage if exists landing")


def _bound(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return json.dumps(value, default=str, ensure_ascii=False)
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def _type(kind: str, precision: int | None, scale: int | None, digits: int | None) -> str:
    if kind == "NUMBER":
        return f"number({precision}, {scale})"
    short = {"TEXT": "varchar"}.get(kind, kind.lower())
    return f"{short}({digits})" if short.startswith(("time", "timestamp")) else short


def is_drivers(error: BaseException) -> bool:
    """Whether an error is the driver's own."""
    from snowflake.connector.errors import Error

    return isinstance(error, Error)


def translate(account: Account, error: Any) -> NoReturn:  # noqa: ANN401 - the driver is not imported for its name
    """Raise our error for the driver's."""
    from snowflake.connector import errors

    number, text = int(error.errno or 0), _without_secrets(account, str(error.msg or error))
    if number in LOCKED:
        raise LoadConflict(f"Snowflake refused the transaction: {text}", safe="Nothing was committed.", remedy="Run again.") from None
    if number in UNAVAILABLE or (isinstance(error, (errors.OperationalError, errors.InterfaceError)) and not _is_refused(number)):
        what = f"the warehouse {account.told} did not answer: {text}"
        raise WarehouseUnavailable(what, safe="Nothing was committed.", remedy="Run again when it does.") from None
    if _is_refused(number):
        remedy = "Mend the user, the password or the key (DAYBREAK_WAREHOUSE_URL), or the role's privileges; see docs/snowflake.md."
        raise PrerequisiteError([f"{account.told} does not let Daybreak in: {text}"], safe="Nothing was written.", remedy=remedy) from None
    by_hand = "Grant what is missing (deploy/snowflake/setup.sql has it all); if the raw table was altered by hand, undo it."
    raise PrerequisiteError(
        [f"The warehouse {account.told} refused a statement: {text}"], safe="Nothing was committed.", remedy=by_hand
    ) from None


def is_refused(error: Any) -> bool:  # noqa: ANN401 - the driver is not imported for its name
    """Whether Snowflake answered, and said no."""
    from snowflake.connector.errors import ProgrammingError

    return isinstance(error, ProgrammingError)


def _is_refused(number: int) -> bool:
    return (390100 <= number < 390400 and number != 390114) or number in NOT_ASKED


def _without_secrets(account: Account, text: str) -> str:
    for name in ("password", "private_key_file_pwd", "token", "oauth_client_secret"):
        if secret := account.options.get(name):
            text = text.replace(str(secret), "…")
    return re.sub(r"\s+", " ", text)

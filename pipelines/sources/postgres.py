"""PostgreSQL as a Source: schema, observation and chunks, each in one short transaction. SQL text is in ``postgres_sql``."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import adbc_driver_manager as adbc
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ConfigError, PrerequisiteError, TableMissing
from pipelines.sources import postgres_sql as sql
from pipelines.sources.postgres_connection import Batches, Connection
from pipelines.sources.postgres_parity import PostgresSide
from pipelines.sources.postgres_refusals import blind_standby, check_declared, check_readable, missing
from pipelines.sources.postgres_types import PgType, arrow_type
from pipelines.sync.model import Bound, Observation
from pipelines.sync.protocols import UNFIT_COLUMN, ReadRequest, SchemaMoved, SourceChunk
from pipelines.sync.schema import outline, read_columns
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.sync.throttle import Activity


class PostgresSource:
    """Reads one PostgreSQL database over one connection. Not for two threads at once, but for ``activity``: open one per thread."""

    def __init__(self, name: str, url: str, max_snapshot_seconds: float) -> None:
        """Remember where to read; the first question connects."""
        self._name, self._max_snapshot_seconds = name, max_snapshot_seconds
        self._connection = Connection(name, url, max_snapshot_seconds)
        self._watch = Connection(name, url, max_snapshot_seconds)  # opened for back-fills only

    def describe(self, spec: TableSpec) -> TableSchema:
        """Return the table's shape now; ``PrerequisiteError`` with all that is missing."""
        with self._connection.transaction() as connection:
            schema, _ = self._describe(connection, spec)
        return schema

    def find_relation(self, spec: TableSpec, identity: str) -> str | None:
        """Return what the table that was known by ``identity`` is called now, in the same schema; None if there is none."""
        with self._connection.transaction() as connection:
            found = connection.rows(sql.identified_relation(spec, identity))
        return found[0]["name"] if found else None

    def outlines(self, specs: Sequence[TableSpec]) -> Mapping[str, str]:
        """Return the outline of each table that is there, by table id, from one query."""
        with self._connection.transaction() as connection:
            rows = connection.rows(sql.outlines(specs))
        found = defaultdict[tuple[str, str, str], list[tuple[int | None, str, str, bool]]](list)
        for row in rows:
            column = (row["number"], row["column_name"], row["sql_name"], not row["not_null"])
            found[row["schema"], row["name"], row["identity"]].append(column)
        ids = {(spec.schema, spec.source_table): spec.id for spec in specs}
        return {ids[schema, name]: outline(identity, columns) for (schema, name, identity), columns in found.items()}

    def list_tables(self, schema: str) -> Sequence[str]:
        """Return the names of a schema's tables, without views and partitions."""
        with self._connection.transaction() as connection:
            return [row["name"] for row in connection.rows(sql.TABLES.format(schema=sql.literal(schema)))]

    def read_key(self, spec: TableSpec, key: Bound) -> Bound:
        """Return the key as this database writes it: `007` of an integer is `7`. ``ConfigError`` if it is no value of the key's types."""
        with self._connection.transaction() as connection:
            _, columns = self._describe(connection, spec)
            by_name = {column.name: column for column in columns}
            texts = [f"{sql.cast(text, by_name[name])}::text as k{n}" for n, (name, text) in enumerate(zip(spec.key, key, strict=True))]
            try:
                return tuple(map(str, connection.rows(f"select {', '.join(texts)}")[0].values()))
            except adbc.DataError:
                kinds = ", ".join(f"{name} {by_name[name].type.sql_name}" for name in spec.key)
                problem = f"{spec.id}: what was given is no value of the key ({kinds})."
                raise ConfigError([problem], safe="Nothing was changed.", remedy="Write it as the source does.") from None

    def observe(self, spec: TableSpec, known: str | None = None) -> Observation:
        """Note the cursor's maximum, then the open transactions, then the time: see ``horizon`` for why in this order."""
        with self._connection.transaction() as connection:
            column = self._column(connection, spec, spec.cursor) if spec.cursor else None
            cursor_type = column.type.name if column else None
            maximum = connection.rows(sql.cursor_maximum(spec, column, known))[0] if column else {"top": None, "fell": False}
            # A statement of its own, so that it sees transactions that began after the maximum was read.
            seen = connection.rows(sql.OBSERVE)[0]
        if seen["is_standby"] and spec.cursor:
            raise blind_standby(spec)
        return Observation(
            observed_at=seen["observed_at"],
            max_cursor=maximum["top"],
            observed_cursor=_as_cursor(seen["observed_at"], cursor_type, seen["default_zone"]),
            oldest_open_at=seen["oldest_at"],
            oldest_open_cursor=_as_cursor(seen["oldest_at"], cursor_type, seen["default_zone"]),
            open_ids=tuple((seen["ids"] or "").split(",")) if seen["ids"] else (),
            is_blind=seen["is_blind"],
            oldest_open_session=seen["oldest_session"],
            fell_from=known if maximum["fell"] else None,
        )

    def partition_range(self, spec: TableSpec, time_zone: str) -> tuple[str, str] | None:
        """Return the first and last day of the partition column in ``time_zone`` (ISO); None for an empty table."""
        if spec.partition is None:
            raise ValueError(f"{spec.id} is not partitioned")
        with self._connection.transaction() as connection:
            column = self._column(connection, spec, spec.partition.column)
            name, zone = sql.quote(column.name), sql.literal(time_zone)
            day = f"({{}}({name}) at time zone {zone})::date" if column.type.name == "timestamptz" else f"{{}}({name})::date"
            # Within the years that Python's calendar has: rows outside of them are in no day that could be asked for.
            first, last = f"greatest({day.format('min')}, '0001-01-02')::text", f"least({day.format('max')}, '9999-12-30')::text"
            row = connection.rows(
                f"select {first} as first, {last} as last, count({name}) as found from {sql.relation(spec)} where {sql.is_ordered(column)}"
            )[0]
        return (row["first"], row["last"]) if row["found"] else None

    def read_chunk(self, request: ReadRequest) -> SourceChunk:
        """Read the next rows of a part; the shape is compared after the rows, under the lock that reading them took."""
        with self._connection.transaction() as connection:
            columns = self._planned(connection, request)
            query = sql.chunk_query(request, columns)
            with connection.batches(query.sql) as reader:
                rows, is_cut = _up_to(reader, request.max_bytes)
            if is_cut:
                connection.restart()
            self._check_shape(connection, request)
        more = is_cut or rows.num_rows == request.max_rows
        last = _last_bound(rows, query.bound_columns) if more and rows.num_rows else None
        return SourceChunk(_as_planned(rows, request), last)

    def read_stream(self, request: ReadRequest) -> Iterator[SourceChunk]:
        """Read everything in one repeatable-read transaction; ``statement_timeout`` ends it after ``max_snapshot_seconds``."""
        begin = "begin isolation level repeatable read"
        with self._connection.transaction(begin) as connection:
            connection.run(f"set local statement_timeout = {int(self._max_snapshot_seconds * 1000)}")
            columns = self._planned(connection, request)
            with connection.batches(sql.chunk_query(request, columns).sql) as reader:
                pending, size, rows = [], 0, 0
                for batch in reader:
                    pending.append(batch)
                    size, rows = size + batch.nbytes, rows + batch.num_rows
                    if size >= request.max_bytes or rows >= request.max_rows:
                        yield SourceChunk(_as_planned(pa.Table.from_batches(pending), request), ("more",))
                        pending, size, rows = [], 0, 0
                table = pa.Table.from_batches(pending, reader.schema)
            self._check_shape(connection, request)
        yield SourceChunk(_as_planned(table, request), None)

    def activity(self) -> Activity:
        """Count the sessions at work, of all databases, as they share the machine; on a connection of its own, while another one reads."""
        with self._watch.transaction() as connection:
            row = connection.rows(sql.ACTIVITY.format(reader=self._connection.process_id))[0]
        return Activity(row["sessions"], row["seconds"], has_others=row["has_others"])

    def spent(self) -> float:
        """Return for how many seconds this source's reading connection was asked, all in all."""
        return self._connection.seconds

    def side(self) -> PostgresSide:
        """Return what hashes this database's rows; see ``Source.side``."""
        return PostgresSide(self._connection, self._describe)

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()
        self._watch.close()

    def _planned(self, connection: Connection, request: ReadRequest) -> dict[str, sql.PgColumn]:
        _, columns = self._describe_again(connection, request)
        by_name = {column.name: column for column in columns}
        if any(column.name not in by_name for column in request.schema.columns):
            raise SchemaMoved(f"{request.spec.id}: a planned column is gone")
        return by_name

    def _check_shape(self, connection: Connection, request: ReadRequest) -> None:
        schema, _ = self._describe_again(connection, request)
        if schema.shape != request.schema.shape:
            raise SchemaMoved(f"{request.spec.id}: the schema changed while it was read")

    def _describe_again(self, connection: Connection, request: ReadRequest) -> tuple[TableSchema, list[sql.PgColumn]]:
        try:
            return self._describe(connection, request.spec)
        except PrerequisiteError as error:  # of a table that was all right when the load was planned
            raise SchemaMoved(str(error)) from error

    def _column(self, connection: Connection, spec: TableSpec, name: str | None) -> sql.PgColumn:
        _, columns = self._describe(connection, spec)
        return next(column for column in columns if column.name == name)

    def _describe(self, connection: Connection, spec: TableSpec) -> tuple[TableSchema, list[sql.PgColumn]]:
        found = connection.rows(sql.named_relation(spec))
        if not found:
            raise TableMissing(
                [f"{spec.id}: there is no table or view {spec.schema}.{spec.source_table}, or it may not be seen."],
                safe="Nothing was written; the last load stands.",
                remedy=f"Mend the entry `{spec.name}` of the catalog, or the source.",
            )
        relation = found[0]
        if not relation["readable"]:
            raise missing(spec, [f"{spec.id}: {spec.schema}.{spec.source_table} may not be read; GRANT SELECT ON it."])
        rows = connection.rows(sql.COLUMNS.format(oid=relation["oid"]))
        columns = [_pg_column(row) for row in rows]
        check_declared(spec, columns)
        check_readable(spec, rows)
        key = chr(1).join(sorted(spec.key))
        unique = {row["columns"] for row in connection.rows(sql.UNIQUE_KEYS.format(oid=relation["oid"]))}
        schema = TableSchema(
            columns=tuple(_column(row, column, spec) for row, column in zip(rows, columns, strict=True)),
            identity=relation["identity"],
            kind={"p": "partitioned", "v": "view", "m": "view"}.get(relation["kind"], "table"),  # type: ignore[arg-type]
            has_unique_key=bool(spec.key) and key in unique,
            comment=relation["comment"],
            relation=relation["name"],
        )
        return schema, columns


def _pg_column(row: dict[str, Any]) -> sql.PgColumn:
    base = row["base"] if row["owner"] == "system" else f"user {row['base']}"
    return sql.PgColumn(row["name"], PgType(base, row["modifier"], row["sql_name"]), not row["not_null"])


def _column(row: dict[str, Any], column: sql.PgColumn, spec: TableSpec) -> Column:
    return Column(
        name=row["name"],
        source_type=row["sql_name"],
        arrow_type=arrow_type(column.type),
        is_nullable=not row["not_null"],
        identity=row["number"],
        comment=row["comment"],
        default=None if row["name"] in spec.masks else row["default_text"],  # which is a value of the column
    )


def _as_cursor(instant: datetime | None, cursor_type: str | None, default_zone: str) -> str | None:
    """Return ``instant`` as a cursor value; the earlier of UTC and the server's zone where the column has no zone of its own."""
    if instant is None or cursor_type in (None, "int2", "int4", "int8"):
        return None
    if cursor_type == "timestamptz":
        return instant.isoformat()
    naive = instant.replace(tzinfo=None)
    if default_zone not in ("UTC", "Etc/UTC", "GMT"):
        naive = min(naive, _earliest_local(instant, default_zone))
    return naive.date().isoformat() if cursor_type == "date" else naive.isoformat()


def _earliest_local(instant: datetime, zone: str) -> datetime:
    """Return a wall-clock time that no later row of ``zone`` can be below: when clocks go back, an hour is written twice."""
    try:
        return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) - timedelta(hours=1)
    except (ZoneInfoNotFoundError, ValueError):  # a POSIX zone of the server's own; none is more than 13 hours behind UTC
        return instant.replace(tzinfo=None) - timedelta(hours=13)


def _last_bound(rows: pa.Table, columns: tuple[str, ...]) -> Bound:
    return tuple(str(rows.column(name)[rows.num_rows - 1].as_py()) for name in columns)


def _up_to(reader: Batches, max_bytes: int) -> tuple[pa.Table, bool]:
    """Return batches until ``max_bytes`` are reached, and whether rows may be left."""
    batches, size = [], 0
    for batch in reader:
        batches.append(batch)
        size += batch.nbytes
        if size >= max_bytes:
            return pa.Table.from_batches(batches, reader.schema), True
    return pa.Table.from_batches(batches, reader.schema), False


def _as_planned(rows: pa.Table, request: ReadRequest) -> pa.Table:
    """Return ``rows`` in the schema's types (decimals arrive as text), without the bound columns."""
    landed = read_columns(request.spec, request.schema, request.window)
    arrays = [pc.cast(rows.column(column.name), column.arrow_type) for column in landed]
    fields = [pa.field(column.name, column.arrow_type) for column in landed]
    return pa.table([*arrays, rows.column(UNFIT_COLUMN)], pa.schema([*fields, pa.field(UNFIT_COLUMN, pa.string())]))

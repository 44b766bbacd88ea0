"""PostgreSQL's side of a comparison: canonical texts, bucket digests and row hashes, each statement over a bounded piece of the table.

The canonical text is made of the very expression that is landed (``postgres_types.value_expression``), so that both sides speak
of the same value. Its twin is ``warehouses.parity_side``; contract tests hold them to each other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipelines.sources import postgres_sql as sql
from pipelines.sources.postgres_connection import Connection
from pipelines.sources.postgres_types import ENDLESS, arrow_type, value_expression
from pipelines.sync.model import Bound
from pipelines.sync.protocols import SchemaMoved
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import NO_DAY, NULL_TEXT, NUMBER_DIGITS, UNFIT_TEXT, Digest, HashedRow, Scope, Stretch
from pipelines.sync.spec import TableSpec

Describe = Callable[[Connection, TableSpec], tuple[TableSchema, list[sql.PgColumn]]]
Columns = Mapping[str, sql.PgColumn]
ARGUMENTS = 50  # PostgreSQL takes at most 100 a call
KEYS_PER_QUERY = 1000


class PostgresSide:
    """Hashes rows where they are. Each statement is a short transaction of its own under the session's limits."""

    def __init__(self, connection: Connection, describe: Describe) -> None:
        """Keep the connection, and what describes a table on it."""
        self._connection, self._describe = connection, describe

    def hash_buckets(self, scope: Scope, stretches: Sequence[Stretch]) -> Mapping[str, Digest]:
        """Return the digests of all buckets that have rows in the stretches."""
        found: dict[str, Digest] = {}
        for row in self._each(scope, stretches, bucket_query):
            digest = Digest(row["rows"], int(row["total"]))
            found[row["bucket"]] = found.get(row["bucket"], Digest()) + digest
        return found

    def list_rows(self, scope: Scope, stretches: Sequence[Stretch]) -> Sequence[HashedRow]:
        """Return the rows of the wanted buckets."""
        return [_row(scope, row) for row in self._each(scope, stretches, rows_query)]

    def find_rows(self, scope: Scope, rows: Sequence[HashedRow]) -> Sequence[HashedRow]:
        """Return the rows that have the keys now."""
        found: list[HashedRow] = []
        for keys in _batches([row.key for row in rows]):
            with self._connection.transaction() as connection:
                columns = self._columns(connection, scope)
                found += [_row(scope, row) for row in connection.rows(found_query(scope, columns, keys))]
        return found

    def hash_keys(self, scope: Scope, keys: Sequence[Bound]) -> Sequence[str]:
        """Return the hash of each key."""
        found: list[str] = []
        for batch in _batches(keys):
            with self._connection.transaction() as connection:
                query = keys_query(scope, self._columns(connection, scope), batch)
                found += [row["key_hash"] for row in connection.rows(query)]
        return found

    def list_ahead(self, scope: Scope, limit: int) -> Sequence[str]:
        """Return the keys' hashes of rows beyond the watermark."""
        with self._connection.transaction() as connection:
            query = ahead_query(scope, self._columns(connection, scope), limit)
            return [row["key_hash"] for row in connection.rows(query)]

    def _each(self, scope: Scope, stretches: Sequence[Stretch], make: "MakeQuery") -> Iterator[Mapping[str, Any]]:
        for stretch in stretches:
            after: Bound | None = None
            is_last = False
            while not is_last:
                with self._connection.transaction() as connection:
                    columns = self._columns(connection, scope)
                    upto = self._page_end(connection, scope, columns, after)
                    rows = connection.rows(make(scope, columns, [*_stretch(scope, columns, stretch), *_page(scope, columns, after, upto)]))
                yield from rows
                after, is_last = upto, upto is None

    def _page_end(self, connection: Connection, scope: Scope, columns: Columns, after: Bound | None) -> Bound | None:
        """Return the key of the last row of the next page; None if it is the last one, or if only a whole pass can be made."""
        if scope.cut.kind != "hash" or not scope.schema.has_unique_key:
            return None
        found = connection.rows(page_end_query(scope, columns, after))
        return tuple(map(str, found[0].values())) if found else None

    def _columns(self, connection: Connection, scope: Scope) -> Columns:
        schema, columns = self._describe(connection, scope.spec)
        if schema.shape != scope.schema.shape:
            raise SchemaMoved(f"{scope.spec.id}: the schema changed while it was compared")
        return {column.name: column for column in columns}


MakeQuery = Callable[[Scope, Columns, Sequence[str]], str]


def canonical(column: sql.PgColumn) -> str:
    """Return the SQL of a value's canonical text; NULL for NULL."""
    value, kind = value_expression(sql.quote(column.name), column.type), arrow_type(column.type)
    if pa.types.is_string(kind):
        text = f"md5(convert_to(({value})::text, 'UTF8'))"
    elif pa.types.is_binary(kind):
        text = f"md5(({value})::bytea)"
    elif pa.types.is_floating(kind):
        send, digits = ("float4send", 8) if pa.types.is_float32(kind) else ("float8send", 16)
        # -0.0 and 0.0 are equal to every engine that merges them.
        text = f"case when {value} = 0 then '{'0' * digits}' else encode({send}({value}), 'hex') end"
    elif pa.types.is_date(kind):
        text = f"(({value}) - date '1970-01-01')::text"
    elif pa.types.is_timestamp(kind):
        # Before PostgreSQL 14 an epoch is a float, which is exact for whole seconds only.
        seconds = f"extract(epoch from date_trunc('second', {value}))::bigint"
        text = f"({seconds} * 1000000 + extract(microseconds from {value})::bigint % 1000000)::text"
    elif pa.types.is_time(kind):
        text = f"((extract(epoch from {value}) * 1000000)::bigint)::text"
    else:
        text = f"({value})::text"
    return text


def hash_of(columns: Sequence[sql.PgColumn]) -> str:
    """Return the SQL of the md5 of several columns' canonical texts."""
    parts = [f"coalesce({canonical(column)}, {_empty(column)})" for column in columns]
    while len(parts) > 1:
        parts = [f"concat_ws(',', {', '.join(parts[start : start + ARGUMENTS])})" for start in range(0, len(parts), ARGUMENTS)]
    return f"md5({parts[0]})"


def _empty(column: sql.PgColumn) -> str:
    """Return the SQL of the text of a value that does not land: NULL, or one that no type holds, whose row must not stand as NULL."""
    if column.type.name in ENDLESS or pa.types.is_decimal(arrow_type(column.type)):
        return f"case when {sql.quote(column.name)} is null then '{NULL_TEXT}' else '{UNFIT_TEXT}' end"
    return f"'{NULL_TEXT}'"


def bucket_query(scope: Scope, columns: Columns, conditions: Sequence[str]) -> str:
    """Return the query of the digests of a piece."""
    number = f"('x0' || substr(h, 1, {NUMBER_DIGITS}))::bit(64)::bigint"
    hashed = _hashed(scope, columns, [*_scope(scope, columns), *conditions])
    return f"select {_bucket(scope.cut.digits)} as bucket, count(*) as rows, sum({number})::text as total from {hashed} group by 1"


def rows_query(scope: Scope, columns: Columns, conditions: Sequence[str]) -> str:
    """Return the query of the rows of a piece."""
    return f"select * from {_hashed(scope, columns, [*_scope(scope, columns), *conditions])}"


def found_query(scope: Scope, columns: Columns, keys: Sequence[Bound]) -> str:
    """Return the query of the rows that have ``keys``, in the scope or not."""
    tuples = ", ".join(f"({', '.join(_casts(scope, columns, key))})" for key in keys)
    condition = f"({', '.join(map(sql.quote, scope.spec.key))}) in ({tuples})"
    return f"select * from ({_plain(scope, columns, [condition])}) hashed"


def keys_query(scope: Scope, columns: Columns, keys: Sequence[Bound]) -> str:
    """Return the query of the hashes of ``keys``, which need not be in the table."""
    names = ", ".join(map(sql.quote, scope.spec.key))
    tuples = ", ".join(f"({', '.join(_casts(scope, columns, key))})" for key in keys)
    return f"select {_key_hash(scope, columns)} as key_hash from (values {tuples}) given ({names})"


def ahead_query(scope: Scope, columns: Columns, limit: int) -> str:
    """Return the query of the hashes of keys whose cursor is beyond the scope."""
    cursor = columns[scope.spec.cursor or ""]
    beyond = f" and {sql.quote(cursor.name)} > {sql.cast(scope.value, cursor)}" if scope.value else ""
    where = " and ".join([sql.is_ordered(cursor) + beyond, *_whole_key(scope, columns)])
    return f"select {_key_hash(scope, columns)} as key_hash from {sql.relation(scope.spec)} where {where} limit {limit}"


def page_end_query(scope: Scope, columns: Columns, after: Bound | None) -> str:
    """Return the query of the key of the last row of the next page, which an index on the key answers."""
    key = scope.spec.key
    where = " and ".join([*_whole_key(scope, columns), *_page(scope, columns, after, None)]) or "true"
    texts = ", ".join(f"{sql.quote(name)}::text as k{n}" for n, name in enumerate(key))
    order = ", ".join(f"src.{sql.quote(name)}" for name in key)
    return f"select {texts} from {sql.relation(scope.spec)} src where {where} order by {order} offset {scope.page_rows - 1} limit 1"


def _hashed(scope: Scope, columns: Columns, conditions: Sequence[str]) -> str:
    tests = [f"k not in (select unnest(array[{', '.join(f'{text!r}' for text in scope.aside)}]))"] if scope.aside else []
    if scope.only:
        names = ", ".join(map(sql.literal, scope.only))
        tests.append(f"{_bucket(scope.only_digits)} in (select unnest(array[{names}]))")
    where = f" where {' and '.join(tests)}" if tests else ""
    return f"(select * from ({_plain(scope, columns, conditions)}) plain{where}) hashed"


def _plain(scope: Scope, columns: Columns, conditions: Sequence[str]) -> str:
    """Return the SELECT of key texts, hashes, base and state. OFFSET 0 keeps PostgreSQL from writing each expression out twice."""
    names = [f"{sql.quote(name)}::text as k{n}" for n, name in enumerate(scope.spec.key)]
    own = [f"{_key_hash(scope, columns)} as k"] if scope.spec.key else []
    compared = [columns[column.name] for column in scope.columns]
    select = [*names, *own, f"{hash_of(compared)} as h", f"{_base(scope, columns)} as b", f"{_state(scope, columns)} as s"]
    where = f" where {' and '.join(conditions)}" if conditions else ""
    plain = f"select {', '.join(select)} from {sql.relation(scope.spec)} src{where} offset 0"
    return plain if scope.spec.key else f"select *, h as k from ({plain}) keyless"


def _key_hash(scope: Scope, columns: Columns) -> str:
    return hash_of([columns[name] for name in scope.spec.key])


def _bucket(digits: int) -> str:
    return f"b || '/' || left(k, {digits})"


def _base(scope: Scope, columns: Columns) -> str:
    if scope.cut.kind == "range":
        return f"'{scope.cut.shift}.' || ({sql.quote(scope.spec.key[0])}::bigint >> {scope.cut.shift})"
    if scope.cut.kind == "day" and scope.spec.partition:
        column = columns[scope.spec.partition.column]
        value = value_expression(sql.quote(column.name), column.type)
        local = f"({value}) at time zone {sql.literal(scope.time_zone)}" if column.type.name == "timestamptz" else value
        return f"coalesce(({local})::date::text, '{NO_DAY}')"
    return "''::text"


def _scope(scope: Scope, columns: Columns) -> list[str]:
    """Return the tests for the rows that are compared at all; days are told by the stretches."""
    tests = _whole_key(scope, columns)
    if scope.spec.cursor:
        cursor = columns[scope.spec.cursor]
        known = f"({sql.is_ordered(cursor)} and {sql.quote(cursor.name)} <= {sql.cast(scope.value, cursor)})" if scope.value else "false"
        tests.append(f"({known} or {sql.quote(cursor.name)} is null)")
    return tests


def _state(scope: Scope, columns: Columns) -> str:
    if scope.spec.partition and scope.first_day and scope.end_day:
        column = columns[scope.spec.partition.column]
        day = _base(scope, columns)
        inside = f"{day} = '{NO_DAY}' or {day} >= '{scope.first_day}' and {day} < '{scope.end_day}'"
        return f"case when {sql.is_unordered(column)} or {inside} then 'open' else 'ahead' end"
    if not scope.spec.cursor:
        return "'open'::text"
    cursor = columns[scope.spec.cursor]
    name, is_ordered = sql.quote(cursor.name), sql.is_ordered(cursor)
    beyond = f"{is_ordered} and {name} > {sql.cast(scope.value, cursor)}" if scope.value else is_ordered
    settled = f"{is_ordered} and {name} {scope.settled[0]} {sql.cast(scope.settled[1], cursor)}" if scope.settled else "false"
    return f"case when {beyond} then 'ahead' when {settled} then 'settled' when {is_ordered} then 'late' else 'open' end"


def _whole_key(scope: Scope, columns: Columns) -> list[str]:
    return [f"{sql.quote(name)} is not null" for name in scope.spec.key if columns[name].is_nullable]


def _stretch(scope: Scope, columns: Columns, stretch: Stretch) -> list[str]:
    if scope.cut.kind == "hash":
        return []
    name = scope.spec.key[0] if scope.cut.kind == "range" else scope.spec.partition.column if scope.spec.partition else ""
    column = columns[name]
    if stretch.is_null:
        return [sql.is_unordered(column)]
    # A bound of a range may be beyond a small integer type, so it is written as a number.
    bounds = [
        f"{sql.quote(name)} {sign} {text if scope.cut.kind == 'range' else sql.cast(text, column)}"
        for sign, text in ((">=", stretch.lower), ("<", stretch.upper))
        if text is not None
    ]
    return bounds if scope.cut.kind == "range" else [sql.is_ordered(column), *bounds]


def _page(scope: Scope, columns: Columns, after: Bound | None, upto: Bound | None) -> list[str]:
    key = ", ".join(map(sql.quote, scope.spec.key))
    bounds = ((">", after), ("<=", upto))
    return [f"({key}) {sign} ({', '.join(_casts(scope, columns, bound))})" for sign, bound in bounds if bound is not None]


def _casts(scope: Scope, columns: Columns, key: Bound) -> list[str]:
    return [sql.cast(text, columns[name]) for text, name in zip(key, scope.spec.key, strict=True)]


def _row(scope: Scope, row: Mapping[str, Any]) -> HashedRow:
    key = tuple(str(row[f"k{n}"]) for n in range(len(scope.spec.key)))
    return HashedRow(key, str(row["k"]), str(row["h"]), row["s"])


def _batches(keys: Sequence[Bound]) -> Iterator[Sequence[Bound]]:
    return (keys[start : start + KEYS_PER_QUERY] for start in range(0, len(keys), KEYS_PER_QUERY))

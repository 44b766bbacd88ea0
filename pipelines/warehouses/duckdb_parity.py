"""DuckDB's side of a comparison: the twin of ``sources.postgres_parity``, over the values that landed.

Every function in here exists in Snowflake too, but for a float's bits, which it can compute by arithmetic.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.landing.scan import day_expression, quote
from pipelines.sync.schema import DELETED_AT
from pipelines.sync.shape import Column
from pipelines.sync.sides import NO_DAY, NULL_TEXT, NUMBER_DIGITS, Digest, HashedRow, Scope, Stretch
from pipelines.warehouses import duckdb_sql as sql

PIECE_ROWS = 5_000_000  # hashed under one lock of the file, in about ten seconds

Open = Callable[[str], AbstractContextManager[duckdb.DuckDBPyConnection]]


class DuckDBSide:
    """Hashes rows where they are."""

    def __init__(self, open_file: Open) -> None:
        """Keep what opens the file for a purpose."""
        self._open = open_file

    def measure(self, scope: Scope) -> tuple[int, int, int]:
        """Return the number of rows, and the span of an integer key."""
        span = "0, 0"
        if scope.spec.key and pa.types.is_integer(scope.schema.column(scope.spec.key[0]).arrow_type):
            name = quote(scope.spec.key[0])
            span = f"coalesce(min({name}), 0), coalesce(max({name}), 0)"
        where = f"{_where(scope)} and {_stands(scope)}"
        ((rows, least, greatest),) = self._ask(scope, f"select count(*), {span} from {sql.raw_table(scope.spec)} where {where}")
        return int(rows), int(least), int(greatest)

    def count_marked(self, scope: Scope) -> int:
        """Return the number of rows with a mark."""
        return int(self._ask(scope, f"select count({DELETED_AT}) from {sql.raw_table(scope.spec)}")[0][0])

    def hash_buckets(self, scope: Scope, _stretches: Sequence[Stretch]) -> Mapping[str, Digest]:
        """Return the digests of all buckets. Others get the file in between, if there are many rows: sums can be added."""
        number = f"cast('0x' || substr(h, 1, {NUMBER_DIGITS}) as bigint)"
        ((total_rows,),) = self._ask(scope, f"select count(*) from {sql.raw_table(scope.spec)}")
        pieces = -(-int(total_rows) // PIECE_ROWS) or 1
        found: dict[str, Digest] = {}
        for piece in range(pieces):
            which = f"hash({', '.join(_identifying(scope))}) % {pieces} = {piece}" if pieces > 1 else "true"
            query = f"select {_bucket(scope.cut.digits)} as bucket, count(*), sum({number}) from {_hashed(scope, which)} group by 1"
            for bucket, rows, total in self._ask(scope, query):
                found[bucket] = found.get(bucket, Digest()) + Digest(int(rows), int(total))
        return found

    def list_rows(self, scope: Scope, _stretches: Sequence[Stretch]) -> Sequence[HashedRow]:
        """Return the rows of the wanted buckets."""
        return [_row(row) for row in self._ask(scope, f"select * from {_hashed(scope)}")]

    def find_rows(self, scope: Scope, rows: Sequence[HashedRow]) -> Sequence[HashedRow]:
        """Return the rows whose keys have these hashes now, in the scope or not."""
        query = f"select * from ({_plain(scope, _is_plain_key(scope) or 'true')}) where k in (select unnest($hashes::varchar[]))"
        keys = {f"key_{n}": [row.key[n] for row in rows] for n in range(len(scope.spec.key))}
        return [_row(row) for row in self._ask(scope, query, hashes=[row.key_hash for row in rows], **keys)]

    def _ask(self, scope: Scope, query: str, **more: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        given = {"aside": list(scope.aside), "ahead": list(scope.ahead), "only": list(scope.only), **more}
        used = {name: value for name, value in given.items() if f"${name}" in query}
        with self._open(f"compare {scope.spec.id}") as connection:
            return connection.execute(query, used or None).fetchall()


def canonical(column: Column) -> str:
    """Return the SQL of a value's canonical text; NULL for NULL."""
    name, kind = quote(column.name), column.arrow_type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return f"md5({name})"
    if pa.types.is_floating(kind):
        zero = "0" * (8 if pa.types.is_float32(kind) else 16)
        return f"case when {name} = 0 then '{zero}' else lower(hex(cast(cast({name} as bit) as blob))) end"
    if pa.types.is_date(kind):
        return f"cast(date_diff('day', date '1970-01-01', {name}) as varchar)"
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return f"cast(epoch_us({name}) as varchar)"
    if pa.types.is_decimal(kind) and kind.precision == kind.scale:  # written without a zero before the point
        return f"regexp_replace(cast({name} as varchar), '^(-?)\\.', '\\1' || '0.')"
    return f"cast({name} as varchar)"


def hash_of(columns: Sequence[Column]) -> str:
    """Return the SQL of the md5 of several columns' canonical texts."""
    texts = [f"coalesce({canonical(column)}, '{NULL_TEXT}')" for column in columns]
    return f"md5(concat_ws(',', {', '.join(texts)}))"


def _identifying(scope: Scope) -> list[str]:
    return [quote(name) for name in scope.spec.key or [column.name for column in scope.columns]]


def _hashed(scope: Scope, which: str = "true") -> str:
    tests = [f"k not in (select unnest(${name}::varchar[]))" for name in ("aside", "ahead") if getattr(scope, name)]
    if scope.only:
        tests.append(f"{_bucket(scope.only_digits)} in (select unnest($only::varchar[]))")
    where = f"{_where(scope)} and {which}"
    if scope.only:  # before the hashes, which cost more
        where += f" and {_base(scope)} in (select split_part(unnest($only::varchar[]), '/', 1))"
    return f"(select * from ({_plain(scope, where)}) where {' and '.join(tests) or 'true'})"


def _plain(scope: Scope, where: str) -> str:
    key = [scope.schema.column(name) for name in scope.spec.key]
    texts = f"[{', '.join(sql.as_text(quote(column.name), column.arrow_type) for column in key)}]"
    own = hash_of(key) if key else "h"
    row = hash_of(scope.columns)
    if scope.marked == "unlike":
        row = f"case when {DELETED_AT} is null then {row} else md5({row}) end"
    hashes = f"{row} as h, {own} as k, {_base(scope)} as b"
    return f"select {texts} as texts, {hashes} from {sql.raw_table(scope.spec)} where {where} and {_stands(scope)}"


def _stands(scope: Scope) -> str:
    return f"{DELETED_AT} is null" if scope.marked == "gone" else "true"


def _is_plain_key(scope: Scope) -> str | None:
    """Return the test for rows that may be asked for, which spares hashing all others, for keys of which text tells the value."""
    types = [scope.schema.column(name).arrow_type for name in scope.spec.key]
    if not all(pa.types.is_integer(type_) or pa.types.is_string(type_) for type_ in types):
        return None
    wanted = (f"{quote(name)} in (select unnest($key_{n}::{sql.duckdb_type(types[n])}[]))" for n, name in enumerate(scope.spec.key))
    return " and ".join(wanted)


def _bucket(digits: int) -> str:
    return f"b || '/' || left(k, {digits})"


def _base(scope: Scope) -> str:
    if scope.cut.kind == "range":
        return f"'{scope.cut.shift}.' || (cast({quote(scope.spec.key[0])} as bigint) >> {scope.cut.shift})"
    return f"coalesce(cast({_day(scope)} as varchar), '{NO_DAY}')" if scope.cut.kind == "day" else "''"


def _day(scope: Scope) -> str:
    column = scope.schema.column(scope.spec.partition.column if scope.spec.partition else "")
    is_instant = pa.types.is_timestamp(column.arrow_type) and column.arrow_type.tz is not None
    return day_expression(quote(column.name), is_instant, scope.time_zone)


def _where(scope: Scope) -> str:
    if scope.spec.partition:
        day = _day(scope)
        return f"({day} is null or {day} >= date '{scope.first_day}' and {day} < date '{scope.end_day}')"
    return "true"  # of an incremental table too: what is beyond the watermark is `ahead` in the source, or gone from it


def _row(row: tuple[Any, ...]) -> HashedRow:
    texts, row_hash, key_hash, _ = row
    return HashedRow(tuple(texts), key_hash, row_hash)

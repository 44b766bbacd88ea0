"""The warehouse's side of a comparison: the twin of ``sources.postgres_parity``, over the values that landed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pyarrow as pa

from pipelines.sync.schema import DELETED_AT
from pipelines.sync.shape import Column
from pipelines.sync.sides import NO_DAY, NULL_TEXT, NUMBER_DIGITS, Digest, HashedRow, Scope, Stretch
from pipelines.warehouses.dialect import Dialect, Run, is_instant

ASKED_ROWS = 50_000  # in one question: a list is one value, which Snowflake bounds
Open = Callable[[str], AbstractContextManager[Run]]


class HashingSide:
    """Hashes rows where they are.

    A warehouse that only one process can have open is hashed in pieces of ``piece_rows``, so that others get it in between.
    """

    def __init__(self, to: Dialect, open_for: Open, piece_rows: int | None = None) -> None:
        """Keep what opens the warehouse for a purpose."""
        self._to, self._open, self._piece_rows = to, open_for, piece_rows

    def measure(self, scope: Scope) -> tuple[int, int, int]:
        """Return the number of rows, and the span of an integer key."""
        span = "0, 0"
        if scope.spec.key and pa.types.is_integer(scope.schema.column(scope.spec.key[0]).arrow_type):
            name = self._to.quote(scope.spec.key[0])
            span = f"coalesce(min({name}), 0), coalesce(max({name}), 0)"
        where = f"{_where(self._to, scope)} and {_stands(scope)}"
        ((rows, least, greatest),) = self._ask(scope, f"select count(*), {span} from {self._to.raw_table(scope.spec)} where {where}")
        return int(rows), int(least), int(greatest)

    def count_marked(self, scope: Scope) -> int:
        """Return the number of rows with a mark."""
        return int(self._ask(scope, f"select count({DELETED_AT}) from {self._to.raw_table(scope.spec)}")[0][0])

    def hash_buckets(self, scope: Scope, _stretches: Sequence[Stretch]) -> Mapping[str, Digest]:
        """Return the digests of all buckets."""
        number = self._to.hex_number(f"substr(h, 1, {NUMBER_DIGITS})")
        found: dict[str, Digest] = {}
        for which in self._pieces(scope):
            hashed = _hashed(self._to, scope, which)
            query = f"select {_bucket(scope.cut.digits)} as bucket, count(*), sum({number}) from {hashed} hashed group by 1"
            for bucket, rows, total in self._ask(scope, query):
                found[bucket] = found.get(bucket, Digest()) + Digest(int(rows), int(total))
        return found

    def _pieces(self, scope: Scope) -> list[str]:
        if self._piece_rows is None:
            return ["true"]
        ((total_rows,),) = self._ask(scope, f"select count(*) from {self._to.raw_table(scope.spec)}")
        pieces = -(-int(total_rows) // self._piece_rows) or 1
        named = ", ".join(self._to.quote(name) for name in scope.spec.key or [column.name for column in scope.columns])
        return [f"hash({named}) % {pieces} = {piece}" for piece in range(pieces)] if pieces > 1 else ["true"]

    def list_rows(self, scope: Scope, _stretches: Sequence[Stretch]) -> Sequence[HashedRow]:
        """Return the rows of the wanted buckets."""
        return [self._row(row) for row in self._ask(scope, f"select texts, h, k from {_hashed(self._to, scope)} hashed")]

    def find_rows(self, scope: Scope, rows: Sequence[HashedRow]) -> Sequence[HashedRow]:
        """Return the rows whose keys have these hashes now, in the scope or not."""
        plain = _plain(self._to, scope, _is_plain_key(self._to, scope) or "true")
        query = f"select texts, h, k from ({plain}) plain where k in ({self._to.members('hashes')})"
        found: list[HashedRow] = []
        for start in range(0, len(rows), ASKED_ROWS):
            page = rows[start : start + ASKED_ROWS]
            keys = {f"key_{n}": [row.key[n] for row in page] for n in range(len(scope.spec.key))}
            found += [self._row(row) for row in self._ask(scope, query, hashes=[row.key_hash for row in page], **keys)]
        return found

    def _row(self, row: Sequence[Any]) -> HashedRow:
        texts, row_hash, key_hash = row
        return HashedRow(self._to.read_texts(texts), key_hash, row_hash)  # type: ignore[arg-type]

    def _ask(self, scope: Scope, query: str, **more: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        given = {"aside": list(scope.aside), "ahead": list(scope.ahead), "only": list(scope.only), **more}
        bases = sorted({name.partition("/")[0] for name in scope.only})
        with self._open(f"compare {scope.spec.id}") as run:
            return run(query, bases=bases, **given)


def hash_of(to: Dialect, columns: Sequence[Column]) -> str:
    """Return the SQL of the md5 of several columns' canonical texts."""
    texts = [f"coalesce({to.canonical(column)}, '{NULL_TEXT}')" for column in columns]
    return f"md5(concat_ws(',', {', '.join(texts)}))"


def _hashed(to: Dialect, scope: Scope, which: str = "true") -> str:
    tests = [f"k not in ({to.members(name)})" for name in ("aside", "ahead") if getattr(scope, name)]
    if scope.only:
        tests.append(f"{_bucket(scope.only_digits)} in ({to.members('only')})")
    where = f"{_where(to, scope)} and {which}"
    if scope.only:  # before the hashes, which cost more
        where += f" and {_base(to, scope)} in ({to.members('bases')})"
    return f"(select * from ({_plain(to, scope, where)}) plain where {' and '.join(tests) or 'true'})"


def _plain(to: Dialect, scope: Scope, where: str) -> str:
    key = [scope.schema.column(name) for name in scope.spec.key]
    texts = to.texts([to.as_text(to.quote(column.name), column.arrow_type) for column in key])
    row = hash_of(to, scope.columns)
    if scope.marked == "unlike":
        row = f"case when {DELETED_AT} is null then {row} else md5({row}) end"
    hashes = f"{row} as h, {hash_of(to, key) if key else row} as k, {_base(to, scope)} as b"
    return f"select {texts} as texts, {hashes} from {to.raw_table(scope.spec)} where {where} and {_stands(scope)}"


def _stands(scope: Scope) -> str:
    return f"{DELETED_AT} is null" if scope.marked == "gone" else "true"


def _is_plain_key(to: Dialect, scope: Scope) -> str | None:
    """Return the test for rows that may be asked for, which spares hashing all others, for keys of which text tells the value."""
    types = [scope.schema.column(name).arrow_type for name in scope.spec.key]
    if not all(pa.types.is_integer(type_) or pa.types.is_string(type_) for type_ in types):
        return None
    wanted = (f"{to.quote(name)} in ({to.members(f'key_{n}', to.type_of(types[n]))})" for n, name in enumerate(scope.spec.key))
    return " and ".join(wanted)


def _bucket(digits: int) -> str:
    return f"b || '/' || left(k, {digits})"


def _base(to: Dialect, scope: Scope) -> str:
    if scope.cut.kind == "range":
        return f"'{scope.cut.shift}.' || {to.shifted(to.quote(scope.spec.key[0]), scope.cut.shift)}"
    return f"coalesce(cast({_day(to, scope)} as varchar), '{NO_DAY}')" if scope.cut.kind == "day" else "''"


def _day(to: Dialect, scope: Scope) -> str:
    column = scope.schema.column(scope.spec.partition.column if scope.spec.partition else "")
    return to.day_of(to.quote(column.name), scope.time_zone if is_instant(column.arrow_type) else None)


def _where(to: Dialect, scope: Scope) -> str:
    if scope.spec.partition:
        day = _day(to, scope)
        return f"({day} is null or {day} >= date '{scope.first_day}' and {day} < date '{scope.end_day}')"
    return "true"  # of an incremental table too: what is beyond the watermark is `ahead` in the source, or gone from it

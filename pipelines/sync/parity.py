"""Comparing a table with its source, the pure part: how it is cut, which buckets are due, what differs, what may be deleted.

Not here: asking the two sides (``reconcile``), and the SQL of each (``sources``, ``warehouses``).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal

import pyarrow as pa

from pipelines.sync.gating import ALWAYS_TOLERATED
from pipelines.sync.model import Watermark
from pipelines.sync.plan import day_start
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import NO_DAY, Cut, Difference, Digest, HashedRow, Scope, StoredBucket, Stretch
from pipelines.sync.spec import TableSpec

PERIOD = timedelta(days=7)  # within it each bucket is hashed on the source at least once
NIGHTS = 7  # comparisons a period, if there is one a night
SMALL_ROWS = 1_000_000  # a table of at most so many rows is hashed whole each time, in a few seconds
RANGE_ROWS = 10_000  # rows of a bucket of an integer key: a day's changes touch few buckets, and 100 million rows are 10,000 buckets
LISTED_ROWS = 2_000  # a bucket of at most so many rows is listed row by row; a larger one is cut again
MORE_DIGITS = 2  # a bucket that is cut again makes 256
MAX_LISTED = 1_000_000  # rows that travel so that those that differ can be named: 100 MB
MAX_DIGITS = 4  # of the first cut: 65,536 sums are a few megabytes

Digests = Mapping[str, Digest]
Stored = Mapping[str, StoredBucket]


def settled_until(watermark: Watermark) -> tuple[Literal["<", "<="], str] | None:
    """Return up to where the last load must have seen every row; None if nowhere: the next load reads everything again.

    Below `next_lower` in any case. Up to the watermark itself if nothing was open when it was taken and it lay long enough back, which
    is just when the horizon made it the next lower bound.
    """
    if watermark.next_lower is None:
        return None
    last = watermark.observations[-1] if watermark.observations else None
    is_quiet = last is not None and not last.open_ids and last.oldest_open_at is None and watermark.next_lower == watermark.value
    return ("<=" if is_quiet else "<", watermark.next_lower)


def choose_cut(spec: TableSpec, schema: TableSchema, stored: Collection[str], measured: tuple[int, int, int]) -> Cut:
    """Return how a table is cut: by its days, by ranges of an integer key, else by the hash of its key.

    ``measured``: its rows, and the span of its first key column. A range keeps the width that it had, so that old ones can be left alone.
    """
    rows, least, greatest = measured
    if spec.partition:
        return Cut("day")
    if spec.key and pa.types.is_integer(schema.column(spec.key[0]).arrow_type):
        known = {found[1] for name in stored if (found := re.match(r"(\d+)\.", name))}
        if len(known) == 1:
            return Cut("range", int(known.pop()))
        width = max(1, (greatest - least) * RANGE_ROWS // max(rows, 1))
        return Cut("range", width.bit_length())
    digits = next((digits for digits in range(MAX_DIGITS) if rows <= LISTED_ROWS * 16**digits), MAX_DIGITS)
    return Cut("hash", 0, digits)


def choose_due(cut: Cut, stored: Stored, warehouse: Digests, now: datetime, *, is_full: bool = False) -> frozenset[str]:
    """Return the buckets to hash on the source; the others are left alone.

    A bucket is left alone only if it was equal when it was hashed last, its rows in the warehouse are those of then to the last byte
    (they are hashed each time), and that is less than a period ago: a row that changed on the source without moving its cursor can
    be found in no other way than by hashing it. Of those that could be left alone the oldest seventh is due in any case. A small table
    is always hashed whole, and so is one that is cut by hash, which has no piece that could be read alone.
    """
    names = {*stored, *warehouse}
    is_full = is_full or cut.kind == "hash" or sum(digest.rows for digest in warehouse.values()) <= SMALL_ROWS
    standing = {name for name in names if name in stored and stored[name].source == stored[name].warehouse == warehouse.get(name, Digest())}
    if is_full:
        return frozenset(names)
    oldest = sorted(standing, key=lambda name: (stored[name].checked_at, name))
    share = -(-len(oldest) // NIGHTS)
    late = [name for name in oldest if now - stored[name].checked_at > PERIOD - timedelta(days=1)]
    return frozenset(names) - (standing - {*oldest[:share], *late})


def is_of_cut(cut: Cut, bucket: str) -> bool:
    """Whether a stored bucket was cut as buckets are cut now."""
    base, _, prefix = bucket.partition("/")
    shape = {"hash": "", "range": rf"{cut.shift}\.-?\d+", "day": rf"\d{{4}}-\d\d-\d\d|{NO_DAY}"}[cut.kind]
    return len(prefix) == cut.digits and re.fullmatch(shape, base) is not None


def days_of_buckets(cut: Cut, names: Collection[str]) -> tuple[str, ...]:
    """Return the days (ISO) of buckets; none where they are not cut by day."""
    days = {name.partition("/")[0] for name in names} if cut.kind == "day" else set()
    return tuple(sorted(days - {NO_DAY}))


def cut_stretches(scope: Scope, known: Digests, due: Collection[str]) -> tuple[Stretch, ...]:
    """Return the pieces of the source that hold the ``due`` buckets, each of about ``page_rows`` rows.

    Together with those of the other ``known`` buckets they cover every value, so no row is in none: what lies between two known
    ranges belongs to the one before. Only days that are known are read.
    """
    if scope.cut.kind == "hash":
        return (Stretch(),) if due or not known else ()
    if scope.cut.kind == "day":
        return tuple(_day_stretches(scope, known, due))
    return tuple(_range_stretches(scope, known, due))


def _range_stretches(scope: Scope, known: Digests, due: Collection[str]) -> Iterator[Stretch]:
    numbers = {int(name.partition("/")[0].partition(".")[2]): name for name in known}
    order = sorted(numbers)
    starts = [str(number << scope.cut.shift) for number in order]
    pieces = [
        (numbers[number], starts[at] if at else None, starts[at + 1] if at + 1 < len(order) else None) for at, number in enumerate(order)
    ]
    if not pieces:
        yield Stretch()
        return
    yield from _merge(pieces, known, due, scope.page_rows)


def _day_stretches(scope: Scope, known: Digests, due: Collection[str]) -> Iterator[Stretch]:
    type_ = scope.schema.column(scope.spec.partition.column if scope.spec.partition else "").arrow_type

    def start(day: date) -> str:
        return day_start(day, type_, scope.time_zone)

    names = {date.fromisoformat(name.partition("/")[0]): name for name in known if not name.startswith(NO_DAY)}
    pieces = [(names[day], start(day), start(day + timedelta(days=1))) for day in sorted(names)]
    yield from _merge(pieces, known, due, scope.page_rows)
    if any(name.startswith(NO_DAY) for name in due):
        yield Stretch(is_null=True)


def _merge(pieces: Sequence[tuple[str, str | None, str | None]], known: Digests, due: Collection[str], page_rows: int) -> Iterator[Stretch]:
    """Yield the pieces that are due, neighbours together as long as they have few rows in the warehouse."""
    pending: Stretch | None = None
    rows = 0
    for name, lower, upper in pieces:
        if name not in due:
            continue
        size = known[name].rows
        if pending and pending.upper == lower and rows + size <= page_rows:
            pending, rows = replace(pending, upper=upper), rows + size
            continue
        if pending:
            yield pending
        pending, rows = Stretch(lower, upper), size
    if pending:
        yield pending


def differing(source: Digests, warehouse: Digests, looked_at: Collection[str]) -> list[str]:
    """Return the buckets whose count or content is not the same; ``looked_at`` are those that may have rows in the warehouse only."""
    return sorted(name for name in {*looked_at, *source} if source.get(name, Digest()) != warehouse.get(name, Digest()))


def compare_rows(source: Sequence[HashedRow], warehouse: Sequence[HashedRow]) -> list[Difference]:
    """Return the rows that are not the same, by key; where there is no key, rows of one content are counted."""
    found: dict[str, tuple[list[HashedRow], list[HashedRow]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((source, warehouse)):
        for row in rows:
            found[row.key_hash][side].append(row)
    return [difference for pair in found.values() if (difference := _compare(*pair))]


def _compare(source: Sequence[HashedRow], warehouse: Sequence[HashedRow]) -> Difference | None:
    if sorted(row.row_hash for row in source) == sorted(row.row_hash for row in warehouse):
        return None
    if not warehouse:
        return Difference("missing", source[0], len(source))
    if not source:
        return Difference("extra", warehouse[0], len(warehouse))
    if source[0].key:
        return Difference("different", source[0], max(len(source), len(warehouse)))
    more = len(source) - len(warehouse)
    return Difference("missing" if more > 0 else "extra", source[0], abs(more))


def confirm(
    first: tuple[Sequence[HashedRow], Sequence[HashedRow]], second: tuple[Sequence[HashedRow], Sequence[HashedRow]]
) -> list[Difference]:
    """Return what differs in the second of two looks, of rows that stood still on both sides from the first one.

    A row that changed in between is being worked on, and says nothing about what was loaded.
    """
    before, after = [_contents(rows) for rows in first], [_contents(rows) for rows in second]

    def is_still(key: str) -> bool:
        return all(old.get(key) == new.get(key) for old, new in zip(before, after, strict=True))

    return [one for one in compare_rows(*second) if is_still(one.row.key_hash)]


def _contents(rows: Sequence[HashedRow]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[row.key_hash].append(row.row_hash)
    return {key: sorted(hashes) for key, hashes in found.items()}


def most_deleted(limit: float, rows: int) -> int:
    """Return how many of ``rows`` may vanish at once: a count, or a share of them but never less than a few."""
    return limit if isinstance(limit, int) else max(ALWAYS_TOLERATED, int(limit * rows))


def why_not_delete(spec: TableSpec, vanished: int, compared: Digest, source: Digest) -> str | None:
    """Say why rows that are gone from the source are not deleted by themselves; None if they may be."""
    if source.rows == 0:
        return f"the source has no row at all, and the warehouse has {compared.rows:,}"
    allowed = most_deleted(spec.max_deletes, compared.rows)
    if vanished <= allowed:
        return None
    return f"{vanished:,} of {compared.rows:,} compared rows are gone from the source, and max_deletes lets {allowed:,} go at once"

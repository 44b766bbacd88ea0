"""Mutations of planning and reading: which rows are asked for, and in which pages."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pipelines.sources import postgres, postgres_sql
from pipelines.sync import horizon, plan, read, windows
from pipelines.sync.model import Window
from pipelines.sync.protocols import SourceChunk
from tests.sabotage.mutation import Mutation, Wrap, after, instead


def _without_first(chunk: SourceChunk) -> SourceChunk:
    return replace(chunk, rows=chunk.rows.slice(1)) if chunk.rows.num_rows > 3 else chunk


def _without_last(chunk: SourceChunk) -> SourceChunk:
    return replace(chunk, rows=chunk.rows.slice(0, chunk.rows.num_rows - 1)) if chunk.last else chunk


def _twice_first(chunks: Iterator[SourceChunk]) -> Iterator[SourceChunk]:
    for number, chunk in enumerate(chunks):
        yield from [chunk, chunk] if number == 0 else [chunk]


def _but_last(chunks: Iterator[SourceChunk]) -> Iterator[SourceChunk]:
    yield from list(chunks)[:-1]


def _without_end(chunks: Iterator[SourceChunk]) -> Iterator[SourceChunk]:
    for chunk in chunks:
        yield replace(chunk, rows=chunk.rows.slice(0, chunk.rows.num_rows * 9 // 10))


def _distinct(chunks: Iterator[SourceChunk]) -> Iterator[SourceChunk]:
    for chunk in chunks:
        yield replace(chunk, rows=chunk.rows.group_by(chunk.rows.column_names).aggregate([]).select(chunk.rows.column_names))


def _by_cursor_alone(original: Any) -> Any:
    return lambda bound, order, columns: original(bound and bound[:1], order[:1], columns)


def _only(part: str) -> Wrap:
    return after(lambda parts: tuple(one for one in parts if one == part))


def _from_watermark(original: Any) -> Any:
    return lambda spec, mark, seen: replace(original(spec, mark, seen), lower=mark.value if mark else None)


def _to_watermark(original: Any) -> Any:
    return lambda spec, mark, seen: replace(original(spec, mark, seen), upper=mark.value if mark else seen.max_cursor)


def _shifted(end: str, by: timedelta) -> Wrap:
    def shift(window: Window) -> Window:
        bound = getattr(window, end)
        return replace(window, **{end: (datetime.fromisoformat(bound) + by).isoformat()})

    return after(shift)


def _never_before(original: Any) -> Any:
    def days(spec: Any, committed: Any, *rest: Any) -> list[Any]:
        return [day for day in original(spec, committed, *rest) if day not in committed]

    return days


def _ahead(cursor: str | None) -> str | None:
    return str(int(cursor) + 1) if cursor else None


HOUR = timedelta(hours=1)
SOURCE = postgres.PostgresSource


READING = (
    Mutation("one row of every chunk is dropped", "orders", SOURCE, "read_chunk", after(_without_first)),
    Mutation("the next page begins a row too late", "stock", SOURCE, "read_chunk", after(_without_last)),
    Mutation("ties at the end of a page are passed over", "orders", postgres_sql, "_keyset", _by_cursor_alone),
    Mutation(
        "the upper bound is exclusive", "orders", postgres_sql, "window_bounds", after(lambda tests: [t.replace("<=", "<") for t in tests])
    ),
    Mutation("rows without a cursor are not swept", "orders", read, "_parts", _only("window")),
    Mutation("the look-back is forgotten", "ticks", plan, "cursor_window", _from_watermark),
    Mutation("the watermark is one ahead", "ties", horizon, "next_lower", after(_ahead)),
    Mutation("one day of a window is forgotten", "events", plan, "_day_window", _shifted("lower", timedelta(days=1))),
    Mutation("a day begins an hour late", "events", plan, "_day_window", _shifted("lower", HOUR)),
    Mutation("equal rows without a key are taken for one", "lines", SOURCE, "read_stream", after(_distinct)),
    Mutation("a chunk is read twice", "lines", SOURCE, "read_stream", after(_twice_first)),
)
MORE_READING = (
    Mutation("the last chunk is not read", "orders", read, "_chunks", after(_but_last)),
    Mutation("only rows without a cursor are read", "orders", read, "_parts", _only("null_cursor")),
    Mutation("the window ends where the last one did", "orders", plan, "cursor_window", _to_watermark),
    Mutation("open transactions are not looked at", "ticks", horizon, "_starts", instead([])),
    Mutation("a day ends an hour early", "events", plan, "_day_window", _shifted("upper", -HOUR)),
    Mutation(
        "all days are an hour late", "events", plan, "day_start", after(lambda bound: (datetime.fromisoformat(bound) + HOUR).isoformat())
    ),
    Mutation("rows in no day are not read", "events", windows, "_day_windows", after(lambda found: [w for w in found if not w.is_null])),
    Mutation("no day is looked at again", "events", plan, "missing_days", _never_before),
    Mutation("the end of a stream is lost", "lines", SOURCE, "read_stream", after(_without_end)),
    Mutation("a chunk of a keyed snapshot is read twice", "stock", read, "_chunks", after(_twice_first)),
    Mutation(
        "yesterday is not planned",
        "events",
        plan,
        "missing_days",
        after(lambda days: list(days)[:-1]),
        "a day that was never loaded is the next sync's, and a gap to the back-fill sensor: it is late, not lost",
    ),
)

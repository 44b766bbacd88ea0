"""Mutations of values, between the driver and the landed file."""

import json
import unicodedata
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.sources import postgres, postgres_parity, postgres_sql
from pipelines.sync.protocols import UNFIT_COLUMN
from tests.sabotage.mutation import Mutation, after, changing, each


def _swapped(one: str, other: str) -> Any:
    def swap(rows: pa.Table) -> pa.Table:
        first, second = (rows.schema.get_field_index(name) for name in (one, other))
        return rows.set_column(first, rows.field(first), rows.column(second)).set_column(second, rows.field(second), rows.column(first))

    return after(swap)


def _through_float(value: Decimal) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(value.as_tuple().exponent))  # type: ignore[arg-type]


def _wrapped(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def _trimming(original: Any) -> Any:
    return lambda column, type_: f"rtrim({original(column, type_)})" if type_.name == "text" else original(column, type_)


def _by_scalar(work: Any, scalar: Any) -> Any:
    return lambda column: work(column, scalar)


def _empty_to_null(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(column, ""), None, column)


def _clamped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    last = 2932896  # 9999-12-31
    days = column.cast(pa.int32())
    return pc.if_else(pc.greater(days, last), pa.scalar(last, pa.int32()), days).cast(pa.date32())


def _without_midnight(column: pa.ChunkedArray) -> pa.ChunkedArray:
    ticks = column.cast(pa.int64())
    return pc.if_else(pc.equal(ticks, 24 * 3600 * 1_000_000), 0, ticks).cast(pa.time64("us"))


def _ordinal(value: str) -> str:
    return str(("sad", "glad").index(value))


def _nothing(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(len(column), column.type)])


ONE_HOUR = pa.scalar(timedelta(hours=1), pa.duration("us"))
ONE_DAY = pa.scalar(1, pa.int32())

VALUES = (
    Mutation("two columns are swapped", "orders", postgres, "_as_planned", _swapped("n", "m")),
    changing("microseconds are cut", "orders", "instant", lambda column: pc.floor_temporal(column, unit="millisecond")),
    changing("instants are shown in the local zone", "orders", "instant", _by_scalar(pc.add, ONE_HOUR)),
    changing("text is decoded as Latin-1", "orders", "name", each(lambda text: text.encode().decode("latin-1"))),
    changing("a numeric goes through a float", "orders", "amount", each(_through_float)),
    changing("trailing blanks are stripped", "lines", "item", pc.utf8_rtrim_whitespace),
    changing("empty text becomes NULL", "stock", "label", _empty_to_null),
    changing("what fits no type becomes NULL", "orders", UNFIT_COLUMN, _nothing),
)
MORE_VALUES = (
    # The comparison reads by the very same expression, so it sees nothing as long as the defect is in that.
    Mutation("what is read and compared is trimmed", "lines", postgres_sql, "value_expression", _trimming, also=(postgres_parity,)),
    changing("NULL becomes empty text", "orders", "city", lambda column: pc.fill_null(column, "")),
    changing("text is folded to lower case", "orders", "name", pc.utf8_lower),
    changing("keys are folded to lower case", "orders", "region", pc.utf8_lower),
    changing("booleans are flipped", "stock", "ok", pc.invert),
    changing("JSON is written anew", "orders", "doc", each(lambda text: json.dumps(json.loads(text)))),
    changing("bytes are cut at a zero", "orders", "raw", each(lambda value: value.split(b"\0")[0])),
    changing("years after 9999 are clamped", "orders", "far", _clamped),
    changing("a day is taken in another zone", "orders", "day", lambda c: pc.subtract(c.cast(pa.int32()), ONE_DAY).cast(pa.date32())),
    changing("an enum is its ordinal", "orders", "mood", each(_ordinal)),
    changing("a decimal is rounded", "stock", "weight", lambda column: pc.round(column, 0)),
    changing("a double goes through a float", "orders", "f8", lambda column: column.cast(pa.float32())),
    changing("an integer wraps at 32 bits", "orders", "big", each(_wrapped)),
    changing("letters are composed otherwise", "orders", "name", each(lambda text: unicodedata.normalize("NFD", text))),
    changing("a list loses its NULLs", "orders", "list", each(lambda text: text.replace("NULL,", ""))),
    changing("a month is thirty days", "orders", "span", each(lambda text: text.replace("P1M", "P30D"))),
    changing("the end of a day is its beginning", "orders", "clock", _without_midnight),
    changing("text is cut at its fifth letter", "lines", "item", lambda column: pc.utf8_slice_codeunits(column, 0, 5)),
    changing("an hour is added to the partition's column", "events", "occurred_at", _by_scalar(pc.add, ONE_HOUR)),
    changing(
        "a negative zero loses its sign",
        "orders",
        "zero",
        _by_scalar(pc.add, pa.scalar(0.0, pa.float32())),
        "both zeros are equal by declaration: every engine's MERGE takes them for one value",
    ),
)

"""A catalog's bounds and value sets as values of the column's type: exactly, or not at all.

GX's own models make every bound a float: ``min_value: 9007199254740993`` becomes ``…992.0`` and a Decimal ``0.10``
rejects the value 0.10 (both tried on 1.24.1). So bounds are converted here and given to GX's metrics directly.
Not here: which expectation takes which argument (``rules``, ``classes``).
"""

import functools
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Literal

import pyarrow as pa
import pyarrow.types as pat

from pipelines.gates.rules import Accepts, Bounds

Kind = Literal["bool", "integer", "decimal", "float", "text", "date", "timestamp", "timestamptz", "time", "binary", ""]


def plain_type(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type of the values: a dictionary-encoded column is its dictionary's type."""
    return arrow_type.value_type if pat.is_dictionary(arrow_type) else arrow_type


@functools.lru_cache(maxsize=1024)  # asked for every value of a set, of which there may be 100,000
def kind_of(arrow_type: pa.DataType) -> Kind:
    """Return the family of values that can be compared with each other; empty for nested and other types."""
    plain = plain_type(arrow_type)
    if pat.is_timestamp(plain):
        return "timestamptz" if plain.tz else "timestamp"
    families: tuple[tuple[Kind, bool], ...] = (
        ("bool", pat.is_boolean(plain)),
        ("integer", pat.is_integer(plain)),
        ("decimal", pat.is_decimal(plain)),
        ("float", pat.is_floating(plain)),
        ("text", pat.is_string(plain) or pat.is_large_string(plain) or pat.is_string_view(plain)),
        ("date", pat.is_date(plain)),
        ("time", pat.is_time(plain)),
        ("binary", pat.is_binary(plain) or pat.is_large_binary(plain) or pat.is_fixed_size_binary(plain)),
    )
    return next((kind for kind, is_it in families if is_it), "")


def is_accepted(accepts: Accepts, arrow_type: pa.DataType) -> bool:
    """Whether an expectation that accepts such types makes sense of this one."""
    kind = kind_of(arrow_type)
    match accepts:
        case "any":
            return True
        case "value":
            return kind != ""
        case "ordered":
            return kind not in ("", "bool", "binary")
        case "number":
            return kind in ("integer", "decimal", "float")
        case "text":
            return kind == "text"


def make_bound(value: object, bounds: Bounds, arrow_type: pa.DataType | None) -> object:
    """Return ``min_value`` or ``max_value`` in the type it is compared in; ValueError says why that cannot be.

    A bound need not be a value of the column: an integer column may be compared with 0.5.
    """
    if bounds == "column" and arrow_type is not None:
        return _convert(value, plain_type(arrow_type))
    number = _number(value)
    if bounds == "count" and (number < 0 or number != int(number)):
        raise ValueError(f"{value!r} is not a whole number from 0")
    if bounds == "share" and not 0 <= number <= 1:
        raise ValueError(f"{value!r} is not a share from 0 to 1")
    return number


def make_value(value: object, arrow_type: pa.DataType) -> object:
    """Return ``value`` as what a row of the column can hold, without loss; ValueError says why that cannot be."""
    plain = plain_type(arrow_type)
    converted = _convert(value, plain)
    if pat.is_floating(plain):
        return converted
    if pat.is_decimal(plain) and isinstance(converted, int):
        converted = Decimal(converted)  # Arrow takes an int for a decimal only if it needs no rescaling
    try:
        held: object = pa.scalar(converted, plain).as_py()
    except (pa.ArrowException, OverflowError, ValueError):
        held = None
    if held != converted:
        raise ValueError(f"{value!r} does not fit into {plain}, so no row can have it")
    return held


def _convert(value: object, plain: pa.DataType) -> object:  # noqa: PLR0911 - one per kind
    wanted = f"{value!r} is {_a(type(value).__name__)} and the column is {plain}"
    match kind_of(plain):
        case "integer" | "decimal":
            return _number(value, wanted)
        case "float":
            # float32 rounds: the catalog's 0.1 means the column's 0.1, which is 0.10000000149.
            number = value if isinstance(value, float) else float(_number(value, wanted))
            return pa.scalar(number, plain).as_py()
        case "bool" if isinstance(value, bool):
            return value
        case "text" if isinstance(value, str):
            return value
        case "binary" if isinstance(value, bytes):
            return value
        case "date":
            return _date(value, wanted)
        case "timestamp" | "timestamptz" as kind:
            return _instant(value, is_aware=kind == "timestamptz", wanted=wanted)
        case "time":
            return _time(value, wanted)
    raise ValueError(f"{wanted}: write it as a value of that type (text in quotes)")


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _number(value: object, wanted: str | None = None) -> int | Decimal:
    """Return an exact number: 0.1 in the catalog means one tenth, not the float next to it."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{wanted or f'{value!r} is {_a(type(value).__name__)}'}: write a number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    number = Decimal(str(value))
    return int(number) if number == number.to_integral_value() else number


def _date(value: object, wanted: str) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an ISO date") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(f"{wanted}: write an ISO date")


def _instant(value: object, *, is_aware: bool, wanted: str) -> datetime:
    """Return a timestamp. A date is its midnight (UTC, as the reading session is); a clock time must say its offset."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == len("2026-01-01") else datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an ISO timestamp") from None
    if not isinstance(value, date):
        raise ValueError(f"{wanted}: write an ISO timestamp")
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC if is_aware else None)
    if is_aware and value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no offset and the column is an instant: write {value.isoformat()}Z")
    if not is_aware and value.tzinfo is not None:
        raise ValueError(f"{value.isoformat()} has an offset and the column has no time zone: write it without")
    return value.astimezone(UTC) if is_aware else value


def _time(value: object, wanted: str) -> time:
    if isinstance(value, str):
        try:
            value = time.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an ISO time") from None
    if not isinstance(value, time) or value.tzinfo is not None:
        # YAML reads an unquoted 08:30:00 as the number 30600.
        raise ValueError(f"{wanted}: write an ISO time in quotes, without an offset")
    return value

"""A table's shape: columns with the Arrow types they land in, and the lossless moves from one shape to another. No behaviour."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import PlainSerializer, PlainValidator

_PLAIN = (
    *(pa.bool_(), pa.binary(), pa.date32(), pa.float32(), pa.float64(), pa.int16(), pa.int32(), pa.int64(), pa.string()),
    *(pa.time64("us"), pa.timestamp("us"), pa.timestamp("us", tz="UTC")),
)


def parse_arrow_type(text: str | pa.DataType) -> pa.DataType:
    """Return the Arrow type whose ``str()`` is ``text``. Raises ValueError for one that never lands."""
    if isinstance(text, pa.DataType):
        return text
    if text.startswith("decimal128("):
        precision, scale = text.removeprefix("decimal128(").rstrip(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    for known in _PLAIN:
        if str(known) == text:
            return known
    raise ValueError(f"no column lands as {text}")


def _name_of(type_: pa.DataType) -> str:
    return str(type_)


ArrowType = Annotated[pa.DataType, PlainValidator(parse_arrow_type), PlainSerializer(_name_of, return_type=str)]


@dataclass(frozen=True)
class Column:
    """One column as the source declares it, and the Arrow type it lands in.

    ``identity`` is the database's own number for the column where it has one (PostgreSQL: ``attnum``).
    """

    name: str
    source_type: str
    arrow_type: ArrowType
    is_nullable: bool = True
    identity: int | None = None
    comment: str | None = None
    default: str | None = None


@dataclass(frozen=True)
class TableSchema:
    """A table's shape at one instant. ``identity`` names the very relation, so that a restore is not taken for a rename."""

    columns: tuple[Column, ...]
    identity: str
    kind: Literal["table", "partitioned", "view"] = "table"
    has_unique_key: bool = False  # a unique, total, immediate index on exactly the declared key
    comment: str | None = None
    relation: str = ""  # what the source calls the table; schemas recorded by earlier releases do not say

    @property
    def shape(self) -> "TableSchema":
        """What decides how rows are read and loaded: the schema without comments, defaults and the table's own name."""
        return replace(
            self, comment=None, relation="", columns=tuple(replace(column, comment=None, default=None) for column in self.columns)
        )

    def column(self, name: str) -> Column:
        """Return the column called ``name``; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class SchemaChange:
    """One move of a table's shape. ``before`` is None for an added column, ``after`` for a dropped one (kept, and NULL in later rows).

    A column of another type that does not hold every old value is kept under another name, and a new one stands in its place
    (``retype``). ``swap``: another relation has the table's name now, so nothing is known of its rows; no column says so.
    """

    kind: Literal["add", "drop", "rename", "widen", "retype", "swap"]
    before: Column | None = None
    after: Column | None = None

    def __str__(self) -> str:
        """Render as a person would say it."""
        if self.kind == "swap":
            return "the table is another one now: restored, moved or replaced"
        if self.before and self.after and self.kind == "retype" and self.before.name != self.after.name:
            return f"{self.before.name} is now called {self.after.name}, and is {self.after.source_type}, was {self.before.source_type}"
        if self.before and self.after:
            told = f"called {self.after.name}" if self.kind == "rename" else f"{self.after.source_type}, was {self.before.source_type}"
            return f"{self.before.name} is now {told}"
        column = self.before or self.after
        return f"{self.kind} {column.name}" if column else self.kind
